/* SPDX-License-Identifier: Apache-2.0 */
/* Which cgroup hierarchies are mounted, and where this process is in each. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "cgroup_private.h"
#include "cleanup.h"

const char *const cgroup_controller_names[CG_CONTROLLERS] = {
	[CG_CPU] = "cpu",	  [CG_CPUACCT] = "cpuacct", [CG_CPUSET] = "cpuset",
	[CG_MEMORY] = "memory",	  [CG_PIDS] = "pids",	    [CG_FREEZER] = "freezer",
	[CG_DEVICES] = "devices", [CG_BLKIO] = "blkio",
};

/* The fields of a mountinfo line that matter here; they point into the line. */
struct mount_line {
	char *root, *point, *options, *fstype, *super_options;
};

/* Whether @word is a member of a comma-separated list. */
static bool in_list(const char *list, const char *word)
{
	size_t len = strlen(word);

	for (const char *p = list; p; p = strchr(p, ',') ? strchr(p, ',') + 1 : NULL) {
		if (strncmp(p, word, len) == 0 && (p[len] == ',' || p[len] == '\0'))
			return true;
	}
	return false;
}

static unsigned controllers_in(const char *list)
{
	unsigned found = 0;

	for (int c = 0; c < CG_CONTROLLERS; c++) {
		if (in_list(list, cgroup_controller_names[c]))
			found |= CG_BIT(c);
	}
	return found;
}

/* mountinfo writes space, tab, newline and backslash as three octal digits. */
static void unescape(char *s)
{
	char *to = s;

	for (; *s; s++) {
		if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] >= '0' && s[2] <= '7' &&
		    s[3] >= '0' && s[3] <= '7') {
			*to++ = (char)((s[1] - '0') * 64 + (s[2] - '0') * 8 + (s[3] - '0'));
			s += 3;
		} else {
			*to++ = *s;
		}
	}
	*to = '\0';
}

static bool mount_split(char *line, struct mount_line *ret)
{
	struct mount_line m = {0};
	char *save = NULL;
	int field = 0, dash = -1;

	for (char *w = strtok_r(line, " ", &save); w; w = strtok_r(NULL, " ", &save), field++) {
		if (field == 3)
			m.root = w;
		else if (field == 4)
			m.point = w;
		else if (field == 5)
			m.options = w;
		else if (field > 5 && dash < 0 && strcmp(w, "-") == 0)
			dash = field;
		else if (dash > 0 && field == dash + 1)
			m.fstype = w;
		else if (dash > 0 && field == dash + 3)
			m.super_options = w;
	}
	if (!m.super_options)
		return false;
	unescape(m.root);
	unescape(m.point);
	*ret = m;
	return true;
}

/* This process's path in the hierarchy of @controllers (0: v2), as /proc/self/cgroup has it. */
static char *own_path(const char *cgroups, unsigned controllers)
{
	ctn_autofree char *copy = strdup(cgroups);
	char *save = NULL;

	if (!copy)
		return NULL;
	for (char *line = strtok_r(copy, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *list = strchr(line, ':');
		char *path = list ? strchr(list + 1, ':') : NULL;

		if (!path)
			continue;
		*list++ = '\0';
		*path++ = '\0';
		if (controllers ? (controllers_in(list) & controllers) != 0
				: strcmp(line, "0") == 0)
			return strdup(path);
	}
	return NULL;
}

/* @path seen from a mount whose root is @root; NULL when it is not below it. */
static const char *below(const char *path, const char *root)
{
	size_t len = strcmp(root, "/") == 0 ? 0 : strlen(root);

	if (strncmp(path, root, len) != 0 || (path[len] != '/' && path[len] != '\0'))
		return NULL;
	path += len;
	return path + strspn(path, "/");
}

/* A v2 server that was started by one of its kind is in that one's leaf; what counts is where the
 * first of them was started. */
static void leave_server_leaf(char *own)
{
	static const char leaf[] = "ctnfs/" CGROUP_SERVER_LEAF;
	size_t len = strlen(own), tail = strlen(leaf);

	if (len < tail || strcmp(own + len - tail, leaf) != 0)
		return;
	if (len == tail)
		own[0] = '\0';
	else if (own[len - tail - 1] == '/')
		own[len - tail - 1] = '\0';
}

/* Return: 1 when the mount was taken, 0 when it is of no use (not ours to see), -errno. */
static int hierarchy_add(struct cgroup_root *root, const struct mount_line *m, const char *cgroups,
			 unsigned controllers, struct ctn_err *err)
{
	ctn_autofree char *full = own_path(cgroups, controllers);
	const char *own = full ? below(full, m->root) : NULL;
	struct cgroup_hierarchy *h = &root->hier[root->n];

	if (!own)
		return 0;
	/* Counted at once, so that whatever fails below is closed with the root. */
	root->n++;
	*h = (struct cgroup_hierarchy){.controllers = controllers};
	h->mountfd = open(m->point, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (h->mountfd < 0)
		return ctn_fail_errno(err, "open the cgroup mount %s", m->point);
	h->mount = strdup(m->point);
	h->own = strdup(own);
	if (h->own && !controllers)
		leave_server_leaf(h->own);
	if (!h->mount || !h->own)
		return ctn_fail(err, ENOMEM, "no memory for the cgroup mount %s", m->point);
	return 1;
}

/* Takes the mounts of one version. Of several mounts of a hierarchy the first writable one that
 * shows our own cgroup is used. */
static int take_mounts(struct cgroup_root *root, const char *mountinfo, const char *cgroups,
		       const char *fstype, struct ctn_err *err)
{
	ctn_autofree char *copy = strdup(mountinfo);
	unsigned seen = 0;
	char *save = NULL;

	if (!copy)
		return ctn_fail(err, ENOMEM, "no memory to read mountinfo");
	for (char *line = strtok_r(copy, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		bool v1 = strcmp(fstype, "cgroup") == 0;
		struct mount_line m = {0};
		unsigned controllers;
		int r;

		if (!mount_split(line, &m) || strcmp(m.fstype, fstype) != 0 ||
		    in_list(m.options, "ro"))
			continue;
		controllers = v1 ? controllers_in(m.super_options) : 0;
		if (v1 ? !controllers || (controllers & seen) : root->n > 0)
			continue;
		r = hierarchy_add(root, &m, cgroups, controllers, err);
		if (r < 0)
			return r;
		if (r > 0)
			seen |= controllers;
	}
	return 0;
}

int cgroup_discover(struct cgroup_root *root, const char *mountinfo, const char *cgroups,
		    struct ctn_err *err)
{
	int r = take_mounts(root, mountinfo, cgroups, "cgroup", err);

	root->version = 1;
	root->ops = &cgroup_v1_ops;
	if (r < 0 || root->n > 0) /* hybrid: a controller on v1 is not to be had on v2 */
		return r;
	r = take_mounts(root, mountinfo, cgroups, "cgroup2", err);
	root->version = 2;
	root->ops = &cgroup_v2_ops;
	if (r < 0 || root->n > 0)
		return r;
	return ctn_fail(err, EOPNOTSUPP,
			"no writable cgroup hierarchy is mounted; mount one, as in "
			"mount -t cgroup2 cgroup2 /sys/fs/cgroup");
}
