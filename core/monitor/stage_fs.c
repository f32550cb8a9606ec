/* SPDX-License-Identifier: Apache-2.0 */
/* New file systems in the container: those that every container has, each skipped where a line of
 * `mounts` stands in its place or takes it away, and those of such lines. */
#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "../cleanup.h"
#include "../spec_mounts.h"
#include "joins.h"
#include "monitor.h"

enum {
	ATTR_DATA = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV,
	ATTR_KERNEL = ATTR_DATA | MOUNT_ATTR_NOEXEC,
};

static bool is_wanted(const struct stage *s, const char *path)
{
	return !plan_mount_at(s->plan, path) && !plan_removes(s->plan, path);
}

/* A directory of ours, or of a /dev that the root file system has because ours was taken away. */
static int attach_default(struct stage *s, int fd, const char *path, struct ctn_err *err)
{
	if (plan_removes(s->plan, "/dev"))
		return stage_mount_at(s, fd, path, true, err);
	return stage_attach(s, fd, path, err);
}

static int default_fs(struct stage *s, const struct fs_new *f, const char *path,
		      struct ctn_err *err)
{
	ctn_autoclose int fd = -1;
	int r = fs_make(s->plan, f, &fd, err);

	return r < 0 ? r : attach_default(s, fd, path, err);
}

int stage_proc(struct stage *s, struct ctn_err *err)
{
	static const struct fs_new proc = {.type = "proc", .attr = ATTR_KERNEL};

	if (!is_wanted(s, "/proc"))
		return 0;
	if (s->mounts.proc >= 0)
		return stage_attach(s, s->mounts.proc, "/proc", err);
	return default_fs(s, &proc, "/proc", err);
}

int stage_sys(struct stage *s, struct ctn_err *err)
{
	static const struct fs_new sysfs = {.type = "sysfs",
					    .attr = ATTR_KERNEL | MOUNT_ATTR_RDONLY};

	if (!is_wanted(s, "/sys"))
		return 0;
	if (s->mounts.sys >= 0)
		return stage_attach(s, s->mounts.sys, "/sys", err);
	return default_fs(s, &sysfs, "/sys", err);
}

/* --- /dev and what shares its tmpfs --- */

/* A directory of the tmpfs at its place. */
static int part_place(struct stage *s, const char *part, const char *path, unsigned attr,
		      struct ctn_err *err)
{
	ctn_autoclose int fd = -1;
	int r = is_wanted(s, path) ? stage_tmpfs_part(s, part, attr, &fd, err) : 0;

	return r < 0 || fd < 0 ? r : attach_default(s, fd, path, err);
}

/* In a user namespace of one id there is no group 5; the terminals are their opener's then. */
static int devpts_place(struct stage *s, struct ctn_err *err)
{
	static const struct fs_new devpts = {
		.type = "devpts",
		.first = "newinstance,ptmxmode=0666,mode=0620",
		.data = "gid=5",
		.attr = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC,
	};
	struct fs_new fs = devpts;
	uint32_t outside;

	if (plan_map_id(s->plan->gid_map, s->plan->msg->gid_map.count, 5, &outside) < 0)
		fs.data = NULL;
	return default_fs(s, &fs, "/dev/pts", err);
}

/* Whether it has an ipc namespace that its user namespace has rights over. */
static bool has_ipc(const struct plan *p)
{
	return plan_has_ns(p, CLONE_NEWIPC) || joins_owned(p, CLONE_NEWIPC);
}

static int dev_children(struct stage *s, struct ctn_err *err)
{
	static const struct fs_new mqueue = {.type = "mqueue", .attr = ATTR_KERNEL};
	int r = part_place(s, "shm", "/dev/shm", ATTR_DATA, err);

	if (r == 0 && is_wanted(s, "/dev/pts"))
		r = devpts_place(s, err);
	if (r == 0 && has_ipc(s->plan) && is_wanted(s, "/dev/mqueue"))
		r = default_fs(s, &mqueue, "/dev/mqueue", err);
	return r;
}

/* What the root file system has of that name, and a root that is read-only, stay as they are. */
static int links_make(struct stage *s, struct ctn_err *err)
{
	ctn_autoclose int dev = -1;
	int r = stage_target(s, "/dev", true, &dev, err);

	for (const struct dev_link *l = dev_links; r == 0 && l->name; l++) {
		if (symlinkat(l->target, dev, l->name) < 0 && errno != EEXIST && errno != EROFS)
			r = ctn_fail_errno(err, "link /dev/%s", l->name);
	}
	return r;
}

/* Without a /dev of ours, each node is bound into that of the root file system. */
static int nodes_bind(struct stage *s, struct ctn_err *err)
{
	int r = links_make(s, err);

	for (uint32_t i = 0; r == 0 && i < s->plan->msg->nodes.count; i++) {
		const char *path = s->plan->nodes[i].path;
		ctn_autoclose int fd = -1;

		r = stage_tmpfs_part(s, path + 1, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, &fd, err);
		if (r == 0)
			r = stage_mount_at(s, fd, path, false, err);
	}
	return r < 0 ? ctn_fail_context(err, "devices") : 0;
}

int stage_dev(struct stage *s, struct ctn_err *err)
{
	int r;

	/* Parts can be cloned of an attached mount only (before Linux 6.15): the old /dev is as
	 * good a place as any, it goes away with the old root. */
	if (move_mount(s->mounts.tmpfs, "", AT_FDCWD, "/dev", MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return ctn_fail_errno(err, "attach the tmpfs");
	r = part_place(s, "dev", "/dev", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, err);
	if (r == 0 && plan_removes(s->plan, "/dev"))
		r = nodes_bind(s, err);
	if (r == 0 && !plan_mount_at(s->plan, "/dev")) /* else they come with that */
		r = dev_children(s, err);
	if (r == 0)
		r = part_place(s, "tmp", "/tmp", ATTR_DATA, err);
	if (r == 0)
		r = part_place(s, "run", "/run", ATTR_DATA, err);
	return r;
}

/* --- lines of `mounts` --- */

static int set_propagation(const struct plan_mount *m, int fd, struct ctn_err *err)
{
	struct mount_attr set = {.propagation = m->wire->propagation & ~(uint64_t)MS_REC};

	if (set.propagation && mount_setattr(fd, "", AT_EMPTY_PATH, &set, sizeof(set)) < 0)
		return ctn_fail_errno(err, "set the propagation of %s", m->target);
	return 0;
}

int stage_fs_place(struct stage *s, const struct plan_mount *m, int fd, struct ctn_err *err)
{
	int r = stage_mount_at(s, fd, m->target, true, err);

	return r < 0 ? r : set_propagation(m, fd, err);
}

static int line_new(struct stage *s, const struct plan_mount *m, struct ctn_err *err)
{
	const struct fs_new fs = {
		.type = m->type, .source = m->source, .data = m->data, .attr = fs_attr(m)};
	ctn_autoclose int fd = -1;
	int r = fs_make(s->plan, &fs, &fd, err);

	if (r < 0)
		return ctn_fail_context(err, "%s", m->target);
	return stage_fs_place(s, m, fd, err);
}

/* It may have to be filled before it may be read-only. */
static int line_tmpfs(struct stage *s, const struct plan_mount *m, struct ctn_err *err)
{
	struct mount_attr set = {.attr_set = fs_attr(m) & MOUNT_ATTR_RDONLY};
	const struct fs_new fs = {.type = m->type,
				  .source = m->source,
				  .data = m->data,
				  .attr = fs_attr(m) & ~(unsigned)MOUNT_ATTR_RDONLY};
	ctn_autoclose int fd = -1;
	int r;

	if (!(m->wire->flags & MOUNT_TMPCOPYUP))
		return line_new(s, m, err);
	r = fs_make(s->plan, &fs, &fd, err);
	if (r < 0)
		return ctn_fail_context(err, "%s", m->target);
	r = stage_copyup(s, m->target, fd, err);
	if (r == 0 && set.attr_set && mount_setattr(fd, "", AT_EMPTY_PATH, &set, sizeof(set)) < 0)
		r = ctn_fail_errno(err, "make %s read-only", m->target);
	return r < 0 ? r : stage_fs_place(s, m, fd, err);
}

/* A namespace's own files, which are the host's where that is shared: a clone of its mount, which
 * can be restricted, but is no file system of which something could be asked. */
static int line_clone(struct stage *s, const struct plan_mount *m, int fd, struct ctn_err *err)
{
	struct mount_attr set = {.attr_set = fs_attr(m)};

	if (m->data[0])
		return ctn_fail(err, EOPNOTSUPP,
				"%s: its namespace is not the container's own, so the option '%s' "
				"cannot be given",
				m->target, m->data);
	/* A time of access is the host's mount's to keep. */
	set.attr_set &= ~(uint64_t)(MOUNT_ATTR__ATIME | MOUNT_ATTR_NODIRATIME);
	if (mount_setattr(fd, "", AT_EMPTY_PATH | AT_RECURSIVE, &set, sizeof(set)) < 0)
		return ctn_fail_errno(err, "restrict the mount of %s", m->target);
	return stage_fs_place(s, m, fd, err);
}

static int line_proc(struct stage *s, const struct plan_mount *m, struct ctn_err *err)
{
	return s->mounts.proc >= 0 ? line_clone(s, m, s->mounts.proc, err) : line_new(s, m, err);
}

static int line_sysfs(struct stage *s, const struct plan_mount *m, struct ctn_err *err)
{
	if (s->mounts.sys < 0)
		return line_new(s, m, err);
	if (m->wire->clear & MOUNT_ATTR_RDONLY)
		return ctn_fail(err, EINVAL,
				"%s: without a network namespace of its own it is the host's: ro",
				m->target);
	return line_clone(s, m, s->mounts.sys, err);
}

static int line_mqueue(struct stage *s, const struct plan_mount *m, struct ctn_err *err)
{
	if (!has_ipc(s->plan))
		return ctn_fail(err, EINVAL,
				"%s: mqueue needs an ipc namespace of its own; write new to "
				"ns/ipc",
				m->target);
	return line_new(s, m, err);
}

/* What stands at /dev by default comes with it. */
static int line_dev(struct stage *s, const struct plan_mount *m, int fd, struct ctn_err *err)
{
	int r = stage_fs_place(s, m, fd, err);

	return r < 0 ? r : dev_children(s, err);
}

static const struct {
	const char *type;
	int (*mount)(struct stage *s, const struct plan_mount *m, struct ctn_err *err);
} types[] = {
	{"cgroup", stage_cgroup_mount},
	{"cgroup2", stage_cgroup_mount},
	{"devpts", line_new},
	{"mqueue", line_mqueue},
	{"proc", line_proc},
	{"sysfs", line_sysfs},
	{"tmpfs", line_tmpfs},
};

int stage_fs_mount(struct stage *s, size_t i, struct ctn_err *err)
{
	const struct plan_mount *m = &s->plan->mounts[i];
	const int ready = s->mounts.user[i]; /* the parent has made it */

	if (ready >= 0)
		return strcmp(m->target, "/dev") == 0 ? line_dev(s, m, ready, err)
						      : stage_fs_place(s, m, ready, err);
	for (size_t t = 0; t < CTN_COUNT(types); t++) {
		if (strcmp(types[t].type, m->type) == 0)
			return types[t].mount(s, m, err);
	}
	return ctn_fail(err, EOPNOTSUPP, "%s: no file system of type %s can be made", m->target,
			m->type);
}
