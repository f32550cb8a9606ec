/* SPDX-License-Identifier: Apache-2.0 */
/* The server's directory on v2. A group may hold processes or hand controllers to its children, but
 * not both (the top group excepted). So where the server itself lives in a group on the way, it
 * moves into a leaf first. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cgroup_private.h"
#include "cleanup.h"
#include "io.h"

/* What we enable for our children, and what that gives us in our words. */
static const struct {
	const char *name;
	unsigned controllers;
} wanted[] = {
	{"cpu", CG_BIT(CG_CPU)},   {"cpuset", CG_BIT(CG_CPUSET)}, {"memory", CG_BIT(CG_MEMORY)},
	{"pids", CG_BIT(CG_PIDS)}, {"io", CG_BIT(CG_BLKIO)},
};

enum { WORDS_MAX = 4096 };

/* Whether a file of space-separated words has @word. */
static bool has_word(const char *text, const char *word)
{
	size_t len = strlen(word);

	for (const char *p = text; *p;) {
		p += strspn(p, " \n");
		if (strncmp(p, word, len) == 0 && (!p[len] || strchr(" \n", p[len])))
			return true;
		p += strcspn(p, " \n");
	}
	return false;
}

/* The directory that is the first @len bytes of @h->rel. */
static int prefix_open(const struct cgroup_hierarchy *h, size_t len, struct ctn_err *err)
{
	ctn_autofree char *path = strndup(h->rel, len);
	int fd;

	if (!path)
		return ctn_fail(err, ENOMEM, "no memory for a cgroup path");
	fd = openat(h->mountfd, path[0] ? path : ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? ctn_fail_errno(err, "open %s/%s", h->mount, path) : fd;
}

/* The next longer prefix of @h->rel that ends at a component; it must not be the whole yet. */
static size_t prefix_next(const struct cgroup_hierarchy *h, size_t len)
{
	len += strspn(h->rel + len, "/");
	return len + strcspn(h->rel + len, "/");
}

/* Whether processes in the directory forbid enabling. The kernel itself does not always say so:
 * with processes in it a group takes cpu, cpuset and pids, which makes it the root of a threaded
 * subtree, and from then on refuses memory and io. The top group, which has no cgroup.type, is
 * exempt. */
static bool is_inhabited(int fd)
{
	ctn_autofree char *procs = NULL;

	return faccessat(fd, "cgroup.type", F_OK, 0) == 0 &&
	       io_read_at(fd, "cgroup.procs", CGROUP_FILE_MAX, &procs, NULL, NULL) == 0 && procs[0];
}

/* Enables what the directory was given and does not hand on yet. Only EBUSY (processes in it) is a
 * failure: a controller that cannot be had for another reason is one that is not available. */
static int enable(int fd, struct ctn_err *err)
{
	ctn_autofree char *offered = NULL;
	ctn_autofree char *enabled = NULL;
	int r = io_read_at(fd, "cgroup.controllers", WORDS_MAX, &offered, NULL, err);

	if (r == 0)
		r = io_read_at(fd, "cgroup.subtree_control", WORDS_MAX, &enabled, NULL, err);
	for (size_t i = 0; r == 0 && i < CTN_COUNT(wanted); i++) {
		char text[16];

		if (!has_word(offered, wanted[i].name) || has_word(enabled, wanted[i].name))
			continue;
		snprintf(text, sizeof(text), "+%s", wanted[i].name);
		if (is_inhabited(fd) ||
		    io_write_at(fd, "cgroup.subtree_control", text, NULL) == -EBUSY)
			r = -EBUSY;
	}
	return r;
}

static int move_self(const struct cgroup_hierarchy *h, struct ctn_err *err)
{
	ctn_autoclose int server = prefix_open(h, strlen(h->rel), err);
	ctn_autoclose int leaf = -1;

	if (server < 0)
		return server;
	if (mkdirat(server, CGROUP_SERVER_LEAF, 0755) < 0 && errno != EEXIST)
		return ctn_fail_errno(err, "make %s/%s/%s", h->mount, h->rel, CGROUP_SERVER_LEAF);
	leaf = openat(server, CGROUP_SERVER_LEAF, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (leaf < 0)
		return ctn_fail_errno(err, "open %s/%s/%s", h->mount, h->rel, CGROUP_SERVER_LEAF);
	return io_write_at(leaf, "cgroup.procs", "0", err);
}

static int enable_prefix(const struct cgroup_hierarchy *h, size_t len, struct ctn_err *err)
{
	ctn_autoclose int fd = prefix_open(h, len, err);
	int r;

	if (fd < 0)
		return fd;
	r = enable(fd, err);
	if (r == -EBUSY && strlen(h->own) == len && strncmp(h->own, h->rel, len) == 0) {
		r = move_self(h, err);
		if (r == 0)
			r = enable(fd, err);
	}
	if (r == -EBUSY)
		return ctn_fail(err, EBUSY,
				"other processes live in the control group %s/%.*s, so it cannot "
				"hand limits to groups below it; start the server as a service of "
				"its own, or choose another place for its groups, such as /ctnfs",
				h->mount, (int)len, h->rel);
	return r;
}

int cgroup_v2_server_make(const struct cgroup_root *root, size_t i, int *ret_fd, unsigned *ret_made,
			  struct ctn_err *err)
{
	const struct cgroup_hierarchy *h = &root->hier[i];
	ctn_autoclose int fd = -1;
	unsigned made = 0;
	int r = cgroup_path_make(h, h->rel, NULL, &fd, &made, err);

	if (r < 0)
		return r;
	for (size_t len = h->enable_from; r == 0; len = prefix_next(h, len)) {
		r = enable_prefix(h, len, err);
		if (len == strlen(h->rel))
			break;
	}
	*ret_made = made; /* also on failure: what was made is removed with the root */
	if (r < 0)
		return r;
	*ret_fd = ctn_take_fd(fd);
	return 0;
}

int cgroup_v2_server_ready(struct cgroup_root *root, int fd, struct ctn_err *err)
{
	/* These two are part of every group: cpu.stat's times, and cgroup.freeze. */
	unsigned controllers = CG_BIT(CG_CPUACCT) | CG_BIT(CG_FREEZER);
	ctn_autofree char *enabled = NULL;
	int prog = cgroup_devices_load(cgroup_default_devices, CGROUP_DEFAULT_DEVICES, NULL);
	int r = io_read_at(fd, "cgroup.subtree_control", WORDS_MAX, &enabled, NULL, err);

	root->devices_prog = prog; /* closed with the root, also when this fails */
	if (r < 0)
		return r;
	for (size_t i = 0; i < CTN_COUNT(wanted); i++) {
		if (has_word(enabled, wanted[i].name))
			controllers |= wanted[i].controllers;
	}
	if (prog >= 0)
		controllers |= CG_BIT(CG_DEVICES);
	root->hier[0].controllers = controllers;
	return 0;
}

/* How many directories are in it. */
static int count_children(int dirfd)
{
	ctn_autoclose int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ctn_autoclosedir DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *e;
	int n = 0;

	if (!dir)
		return -1;
	fd = -1; /* dir owns it now */
	while ((e = readdir(dir)))
		n += e->d_type == DT_DIR && e->d_name[0] != '.';
	return n;
}

static void disable(int fd)
{
	ctn_autofree char *enabled = NULL;

	if (io_read_at(fd, "cgroup.subtree_control", WORDS_MAX, &enabled, NULL, NULL) < 0)
		return;
	for (size_t i = 0; i < CTN_COUNT(wanted); i++) {
		char text[16];

		snprintf(text, sizeof(text), "-%s", wanted[i].name);
		if (has_word(enabled, wanted[i].name))
			(void)io_write_at(fd, "cgroup.subtree_control", text, NULL);
	}
}

/* Whether @fd, the server leaf, holds this process and no other. */
static bool alone_in(int fd)
{
	ctn_autofree char *procs = NULL;
	char self[16];

	snprintf(self, sizeof(self), "%d\n", getpid());
	return io_read_at(fd, "cgroup.procs", CGROUP_FILE_MAX, &procs, NULL, NULL) == 0 &&
	       strcmp(procs, self) == 0;
}

/* Takes the controllers away again from @len up to the directory that we came from, provided that
 * nothing but our own way down is in each. */
static bool disable_way(const struct cgroup_hierarchy *h)
{
	size_t from = strlen(h->own);
	size_t len = strlen(h->rel);

	for (;;) {
		ctn_autoclose int fd = prefix_open(h, len, NULL);

		if (fd < 0 || count_children(fd) != 1)
			return false;
		disable(fd);
		if (len <= from)
			return true;
		while (len > 0 && h->rel[len - 1] != '/')
			len--;
		while (len > 0 && h->rel[len - 1] == '/')
			len--;
	}
}

/* The server goes back to where it was started, if it had to move and no container is left. */
void cgroup_v2_server_leave(struct cgroup_root *root)
{
	const struct cgroup_hierarchy *h = &root->hier[0];
	ctn_autofree char *leaf_path = NULL;
	ctn_autoclose int leaf = -1, home = -1;

	if (!h->rel || strncmp(h->own, h->rel, strlen(h->own)) != 0)
		return;
	if (asprintf(&leaf_path, "%s/%s", h->rel, CGROUP_SERVER_LEAF) < 0) {
		leaf_path = NULL;
		return;
	}
	leaf = openat(h->mountfd, leaf_path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	home = openat(h->mountfd, h->own[0] ? h->own : ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (leaf < 0 || home < 0 || !alone_in(leaf) || !disable_way(h))
		return;
	if (io_write_at(home, "cgroup.procs", "0", NULL) == 0)
		(void)unlinkat(h->mountfd, leaf_path, AT_REMOVEDIR);
}
