/* SPDX-License-Identifier: Apache-2.0 */
/* /sys/fs/cgroup inside: the container's own control groups, as its cgroup namespace shows them. */
#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../cleanup.h"
#include "../io.h"
#include "monitor.h"

enum { CGROUPS_MAX = 64 << 10, LINK_ROOM = 4096 };

static bool is_v2(const struct plan *p)
{
	return p->msg->flags & WIRE_CLONE_INTO;
}

int stage_cgroup_look(struct stage *s, struct ctn_err *err)
{
	if (s->plan->msg->mounts.count == 0 || is_v2(s->plan) ||
	    !plan_mount_at(s->plan, "/sys/fs/cgroup"))
		return 0;
	return io_read_at(AT_FDCWD, "/proc/self/cgroup", CGROUPS_MAX, &s->cgroups, NULL, err);
}

/* Files of a control group belong to the host's root: a root inside that is somebody else there
 * cannot write them, whatever the mount allows. */
static int check_writable(const struct stage *s, const struct plan_mount *m, struct ctn_err *err)
{
	if (m->data[0])
		return ctn_fail(err, EOPNOTSUPP,
				"%s: control groups are mounted already on the host, so the option "
				"'%s' cannot be given",
				m->target, m->data);
	if (m->wire->clear & MOUNT_ATTR_RDONLY && !plan_maps_ids(s->plan))
		return ctn_fail(err, EINVAL,
				"%s: without a user namespace its root could lift its own limits "
				"there: ro",
				m->target);
	return 0;
}

/* Read-only, unless it was said otherwise. */
static unsigned attributes(const struct plan_mount *m)
{
	return fs_attr(m) | (m->wire->clear & MOUNT_ATTR_RDONLY ? 0 : MOUNT_ATTR_RDONLY);
}

static int mount_v2(struct stage *s, const struct plan_mount *m, struct ctn_err *err)
{
	const struct fs_new fs = {.type = "cgroup2", .source = m->source, .attr = attributes(m)};
	ctn_autoclose int fd = -1;
	int r = fs_make(s->plan, &fs, &fd, err);

	return r < 0 ? r : stage_fs_place(s, m, fd, err);
}

/* What its groups are called in each hierarchy of the server's: the descriptor that it attached
 * through is of …/NAME/tasks. */
static int own_name(const struct plan *p, char ret[LINK_ROOM], struct ctn_err *err)
{
	char path[32], *slash;
	ssize_t n = -1;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", p->attach_fds[0]);
	if (p->msg->n_attach > 0)
		n = readlink(path, ret, LINK_ROOM - 1);
	if (n > 0) {
		ret[n] = '\0';
		slash = strrchr(ret, '/');
		if (slash && slash > ret && strcmp(slash, "/tasks") == 0) {
			*slash = '\0';
			slash = strrchr(ret, '/');
			if (slash) {
				memmove(ret, slash, strlen(slash) + 1);
				return 0;
			}
		}
	}
	return ctn_fail(err, EOPNOTSUPP, "the container has no control groups to mount");
}

static bool ends_with(const char *text, const char *end)
{
	size_t n = strlen(text), m = strlen(end);

	return n >= m && strcmp(text + n - m, end) == 0;
}

/* One hierarchy in a directory of its own, and a link for each of several that share it. */
static int mount_hierarchy(struct stage *s, const struct plan_mount *m, int top, char *names,
			   struct ctn_err *err)
{
	const struct fs_new fs = {
		.type = "cgroup", .source = m->source, .data = names, .attr = attributes(m)};
	ctn_autoclose int fd = -1, at = -1;
	char *save = NULL;
	int r = fs_make(s->plan, &fs, &fd, err);

	if (r < 0)
		return ctn_fail_context(err, "%s/%s", m->target, names);
	if (mkdirat(top, names, 0755) < 0 ||
	    (at = openat(top, names, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)) < 0 ||
	    move_mount(fd, "", at, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
		return ctn_fail_errno(err, "mount %s/%s", m->target, names);
	if (!strchr(names, ','))
		return 0;
	{
		ctn_autofree char *copy = strdup(names);

		if (!copy)
			return ctn_fail(err, ENOMEM, "no memory for names");
		for (char *n = strtok_r(copy, ",", &save); n; n = strtok_r(NULL, ",", &save)) {
			if (symlinkat(names, top, n) < 0)
				return ctn_fail_errno(err, "link %s/%s", m->target, n);
		}
	}
	return 0;
}

/* "4:memory:/ctnfs/NAME". Hierarchies in which it has no group of its own would show the host's. */
static int mount_hierarchies(struct stage *s, const struct plan_mount *m, int top,
			     struct ctn_err *err)
{
	char own[LINK_ROOM], *save = NULL;
	int r = own_name(s->plan, own, err);

	for (char *line = strtok_r(s->cgroups, "\n", &save); r == 0 && line;
	     line = strtok_r(NULL, "\n", &save)) {
		char *names = strchr(line, ':'), *path = names ? strchr(names + 1, ':') : NULL;

		if (!path || path == names + 1 || !ends_with(path, own))
			continue;
		*path = '\0';
		r = mount_hierarchy(s, m, top, names + 1, err);
	}
	return r;
}

static int mount_v1(struct stage *s, const struct plan_mount *m, struct ctn_err *err)
{
	const unsigned attr = attributes(m);
	const struct fs_new fs = {.type = "tmpfs",
				  .source = m->source,
				  .data = "mode=0755",
				  .attr = attr & ~(unsigned)MOUNT_ATTR_RDONLY};
	struct mount_attr set = {.attr_set = attr & MOUNT_ATTR_RDONLY};
	ctn_autoclose int top = -1;
	int r = fs_make(s->plan, &fs, &top, err);

	if (r == 0)
		r = stage_fs_place(s, m, top, err);
	if (r == 0)
		r = mount_hierarchies(s, m, top, err);
	/* The directories are there: now it can be as read-only as what is mounted in it. */
	if (r == 0 && set.attr_set && mount_setattr(top, "", AT_EMPTY_PATH, &set, sizeof(set)) < 0)
		r = ctn_fail_errno(err, "make %s read-only", m->target);
	return r;
}

int stage_cgroup_mount(struct stage *s, const struct plan_mount *m, struct ctn_err *err)
{
	int r = check_writable(s, m, err);

	if (r < 0)
		return r;
	if (is_v2(s->plan))
		return mount_v2(s, m, err);
	if (strcmp(m->type, "cgroup2") == 0)
		return ctn_fail(err, EOPNOTSUPP, "%s: this host has cgroup v1; the type is cgroup",
				m->target);
	return mount_v1(s, m, err);
}
