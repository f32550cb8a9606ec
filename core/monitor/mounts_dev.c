/* SPDX-License-Identifier: Apache-2.0 */
/* The tmpfs that the parent makes: one that serves /dev /dev/shm /tmp /run and the masks, and one
 * more for a line of `mounts` that wants its own at /dev. Nodes are made here since no user
 * namespace may; and with all of a list's in one file system it is one mount, with the modes and
 * owners that were asked for, where binding them one by one would be a mount for each. Everything
 * is made of numbers in an empty file system that nobody else has seen yet: no path of the
 * container's is ever followed. */
#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "../cleanup.h"
#include "../spec_mounts.h"
#include "monitor.h"
#include "mounts.h"

enum { PATH_ROOM = 4096 + 8 };

struct entry {
	const char *name;
	mode_t mode;
};

/* What there is beside /dev. */
static const struct entry tmpfs_entries[] = {
	{"shm", S_IFDIR | 01777},     {"tmp", S_IFDIR | 01777},	    {"run", S_IFDIR | 0755},
	{"dev", S_IFDIR | 0755},      {"mask-dir", S_IFDIR | 0555}, {"mask-file", S_IFREG | 0444},
	{"hostname", S_IFREG | 0644},
};

/* Below /dev, to mount on. */
static const struct entry dev_entries[] = {
	{"pts", S_IFDIR | 0755},
	{"shm", S_IFDIR | 01777},
	{"mqueue", S_IFDIR | 01777},
};

/* A tmpfs under construction. @dev: what stands before a name that is in its /dev. */
struct place {
	const struct plan *plan;
	int fd;
	const char *dev;
};

static int own(const struct place *at, const char *name, uint32_t uid, uint32_t gid,
	       struct ctn_err *err)
{
	if (fchownat(at->fd, name, uid, gid, AT_SYMLINK_NOFOLLOW) < 0)
		return ctn_fail_errno(err, "give %s to the container", name);
	return 0;
}

static int make(const struct place *at, const char *before, const struct entry *e,
		struct ctn_err *err)
{
	char name[PATH_ROOM];
	int r;

	snprintf(name, sizeof(name), "%s%s", before, e->name);
	if (S_ISDIR(e->mode))
		r = mkdirat(at->fd, name, e->mode & 07777);
	else
		r = mknodat(at->fd, name, e->mode, 0);
	if (r < 0)
		return ctn_fail_errno(err, "make %s", name);
	return own(at, name, at->plan->msg->root_uid, at->plan->msg->root_gid, err);
}

/* The directories on the way to a node like /dev/net/tun. */
static int make_parents(const struct place *at, char *name, struct ctn_err *err)
{
	for (char *slash = strchr(name, '/'); slash; slash = strchr(slash + 1, '/')) {
		int r = 0;

		*slash = '\0';
		if (mkdirat(at->fd, name, 0755) == 0)
			r = own(at, name, at->plan->msg->root_uid, at->plan->msg->root_gid, err);
		else if (errno != EEXIST)
			r = ctn_fail_errno(err, "devices: make the directory %s", name);
		*slash = '/';
		if (r < 0)
			return r;
	}
	return 0;
}

/* A node that something else would be mounted over is one that nobody ever sees. */
static int check_node(const char *path, struct ctn_err *err)
{
	const char *name = path + strlen("/dev/");

	if (strncmp(path, "/dev/", 5) != 0 || !name[0])
		return ctn_fail(err, EINVAL, "devices: %s is not below /dev", path);
	for (size_t i = 0; i < CTN_COUNT(dev_entries); i++) {
		size_t n = strlen(dev_entries[i].name);

		if (strncmp(name, dev_entries[i].name, n) == 0 &&
		    (name[n] == '\0' || name[n] == '/'))
			return ctn_fail(err, EINVAL,
					"devices: %s: /dev/%s is a file system of its own", path,
					dev_entries[i].name);
	}
	return 0;
}

static int node_owner(const struct plan *p, const struct plan_node *node, uint32_t *ret_uid,
		      uint32_t *ret_gid, struct ctn_err *err)
{
	const struct wire_node *w = node->wire;

	if (plan_map_id(p->uid_map, p->msg->uid_map.count, w->uid, ret_uid) < 0)
		return ctn_fail(err, EINVAL, "devices: %s: uid %u is not in the container's id map",
				node->path, w->uid);
	if (plan_map_id(p->gid_map, p->msg->gid_map.count, w->gid, ret_gid) < 0)
		return ctn_fail(err, EINVAL, "devices: %s: gid %u is not in the container's id map",
				node->path, w->gid);
	return 0;
}

static int make_node(const struct place *at, const struct plan_node *node, struct ctn_err *err)
{
	const struct wire_node *w = node->wire;
	uint32_t uid = 0, gid = 0;
	char name[PATH_ROOM];
	int r = check_node(node->path, err);

	if (r == 0)
		r = node_owner(at->plan, node, &uid, &gid, err);
	if (r < 0)
		return r;
	if ((size_t)snprintf(name, sizeof(name), "%s%s", at->dev, node->path + strlen("/dev/")) >=
	    sizeof(name))
		return ctn_fail(err, ENAMETOOLONG, "devices: a path is too long");
	r = make_parents(at, name, err);
	if (r < 0)
		return r;
	if (mknodat(at->fd, name, w->mode, makedev(w->major, w->minor)) < 0)
		return ctn_fail_errno(err, "devices: make %s", node->path);
	return own(at, name, uid, gid, err);
}

/* A node of the user's may stand where we would link. */
static int make_link(const struct place *at, const char *name, const char *target,
		     struct ctn_err *err)
{
	char path[64];

	snprintf(path, sizeof(path), "%s%s", at->dev, name);
	if (symlinkat(target, at->fd, path) < 0)
		return errno == EEXIST ? 0 : ctn_fail_errno(err, "link %s", path);
	return own(at, path, at->plan->msg->root_uid, at->plan->msg->root_gid, err);
}

static int fill_dev(const struct place *at, struct ctn_err *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < CTN_COUNT(dev_entries); i++)
		r = make(at, at->dev, &dev_entries[i], err);
	for (uint32_t i = 0; r == 0 && i < at->plan->msg->nodes.count; i++)
		r = make_node(at, &at->plan->nodes[i], err);
	for (const struct dev_link *l = dev_links; r == 0 && l->name; l++)
		r = make_link(at, l->name, l->target, err);
	return r;
}

int mounts_tmpfs(const struct plan *p, int *ret, struct ctn_err *err)
{
	static const struct fs_new tmpfs = {
		.type = "tmpfs", .source = "ctnfs", .first = "mode=0755", .outside = true};
	ctn_autoclose int fd = -1;
	int r = fs_make(p, &tmpfs, &fd, err);
	const struct place at = {.plan = p, .fd = fd, .dev = "dev/"};
	mode_t mask = umask(0); /* the tables' modes, exactly */

	for (size_t i = 0; r == 0 && i < CTN_COUNT(tmpfs_entries); i++)
		r = make(&at, "", &tmpfs_entries[i], err);
	if (r == 0)
		r = fill_dev(&at, err);
	umask(mask);
	if (r == 0)
		*ret = ctn_take_fd(fd);
	return r;
}

/* The tmpfs of a line that wants one at /dev. */
static int dev_make(const struct plan *p, const struct plan_mount *m, int *ret, struct ctn_err *err)
{
	struct mount_attr rdonly = {.attr_set = MOUNT_ATTR_RDONLY};
	const unsigned attr = fs_attr(m);
	const struct fs_new tmpfs = {.type = "tmpfs",
				     .source = m->source,
				     .first = "mode=0755,uid=0,gid=0",
				     .data = m->data,
				     .attr = attr & ~(unsigned)MOUNT_ATTR_RDONLY,
				     .outside = true};
	ctn_autoclose int fd = -1;
	struct place at = {.plan = p, .dev = ""};
	mode_t mask;
	int r;

	if (m->wire->flags & MOUNT_TMPCOPYUP)
		return ctn_fail(err, EOPNOTSUPP,
				"/dev: it begins with the nodes of devices, not with a copy: no "
				"tmpcopyup");
	r = fs_make(p, &tmpfs, &fd, err);

	if (r < 0)
		return r;
	at.fd = fd;
	mask = umask(0);
	r = fill_dev(&at, err);
	umask(mask);
	if (r < 0)
		return r;
	if (attr & MOUNT_ATTR_RDONLY &&
	    mount_setattr(fd, "", AT_EMPTY_PATH, &rdonly, sizeof(rdonly)) < 0)
		return ctn_fail_errno(err, "make %s read-only", m->target);
	*ret = ctn_take_fd(fd);
	return 0;
}

/* The host's control groups, where the container shares their namespace: to look at only, or it
 * could write there with the rights of whoever root inside is (CVE-2023-25809). */
static int host_cgroups(const struct plan_mount *m, int *ret, struct ctn_err *err)
{
	int r;

	if (m->wire->clear & MOUNT_ATTR_RDONLY)
		return ctn_fail(err, EINVAL,
				"%s: without a cgroup namespace of its own they are the host's: ro",
				m->target);
	r = mounts_clone("/sys/fs/cgroup",
			 MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
				 MOUNT_ATTR_NOEXEC,
			 ret, err);
	return r == 0 ? ctn_fail(err, EOPNOTSUPP, "%s: this host has none there", m->target) : r;
}

int mounts_outside(const struct plan *p, struct mounts *m, struct ctn_err *err)
{
	const uint64_t own = p->msg->ns_new | p->msg->ns_join;
	int r = 0;

	for (size_t i = 0; r >= 0 && i < m->n_user; i++) {
		const struct plan_mount *line = &p->mounts[i];

		if (line->wire->flags & MOUNT_BIND)
			continue;
		if (strcmp(line->type, "tmpfs") == 0 && strcmp(line->target, "/dev") == 0)
			r = dev_make(p, line, &m->user[i], err);
		else if (strncmp(line->type, "cgroup", 6) == 0 && !(own & CLONE_NEWCGROUP))
			r = host_cgroups(line, &m->user[i], err);
	}
	return r < 0 ? ctn_fail_context(err, "mounts") : 0;
}
