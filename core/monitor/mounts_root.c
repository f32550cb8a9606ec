/* SPDX-License-Identifier: Apache-2.0 */
/* The root file system, made with the host's rights: an overlay over the skeleton or over a
 * directory of the user's, or that directory itself. */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/mount.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "../cleanup.h"
#include "mounts.h"

/* The skeleton, its owners shifted into the container's range. */
static int lower_clone(const struct plan *p, int userns, int *ret, struct ctn_err *err)
{
	struct mount_attr set = {.attr_set = MOUNT_ATTR_RDONLY};
	ctn_autoclose int fd = open_tree(AT_FDCWD, p->lower, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);

	if (fd < 0)
		return ctn_fail_errno(err, "clone the skeleton %s", p->lower);
	if (userns >= 0) {
		set.attr_set |= MOUNT_ATTR_IDMAP;
		set.userns_fd = (uint64_t)userns;
	}
	if (mount_setattr(fd, "", AT_EMPTY_PATH, &set, sizeof(set)) < 0)
		return ctn_fail_errno(err,
				      "map the ids of the skeleton %s (does its file system know "
				      "idmapped mounts?)",
				      p->lower);
	*ret = ctn_take_fd(fd);
	return 0;
}

/* Before Linux 6.15 a layer must be attached, and have a path: in a mount namespace of our own,
 * where nobody else sees it and what the host unmounts goes away, too. By path: the directories'
 * descriptors belong to the server's namespace. */
static int lower_attach(int lower, const char *at, struct ctn_err *err)
{
	if (unshare(CLONE_NEWNS) < 0)
		return ctn_fail_errno(err, "make a mount namespace");
	if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
		return ctn_fail_errno(err, "make the mounts private");
	if (mkdir(at, 0700) < 0 && errno != EEXIST)
		return ctn_fail_errno(err, "make the directory %s", at);
	if (move_mount(lower, "", AT_FDCWD, at, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return ctn_fail_errno(err, "attach the lower layer at %s", at);
	return 0;
}

/* Give overlayfs the detached lower layer itself. Return: 1; 0 where this kernel cannot; -errno. */
static int overlay_detached(int lower, const char *upper, const char *work, int *ret,
			    struct ctn_err *err)
{
	ctn_autoclose int fs = fsopen("overlay", FSOPEN_CLOEXEC);
	int fd;

	if (fs < 0)
		return ctn_fail_errno(err, "open an overlay file system");
	if (fsconfig(fs, FSCONFIG_SET_STRING, "source", "ctnfs", 0) < 0 ||
	    fsconfig(fs, FSCONFIG_SET_FD, "lowerdir+", NULL, lower) < 0)
		return 0;
	if (fsconfig(fs, FSCONFIG_SET_STRING, "upperdir", upper, 0) < 0 ||
	    fsconfig(fs, FSCONFIG_SET_STRING, "workdir", work, 0) < 0 ||
	    fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return ctn_fail_errno(err, "make an overlay file system over %s", upper);
	fd = fsmount(fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_NODEV);
	if (fd < 0)
		return ctn_fail_errno(err, "mount an overlay file system");
	*ret = fd;
	return 1;
}

static int overlay_attached(const struct plan *p, int lower, const char *upper, const char *work,
			    int *ret, struct ctn_err *err)
{
	char at[512];
	const struct fs_option options[] = {
		{"source", "ctnfs"}, {"lowerdir", at}, {"upperdir", upper}, {"workdir", work}};
	int r;

	if ((size_t)snprintf(at, sizeof(at), "%s/%s", p->run, WIRE_LOWER_NAME) >= sizeof(at))
		return ctn_fail(err, ENAMETOOLONG, "the run directory's path is too long");
	r = lower_attach(lower, at, err);
	return r < 0 ? r
		     : mounts_fs("overlay", options, CTN_COUNT(options), MOUNT_ATTR_NODEV, ret,
				 err);
}

/* @lower: closed, and -1, where it had to be attached. */
static int root_overlay(const struct plan *p, int *lower, int *ret, struct ctn_err *err)
{
	char upper[512], work[512];
	ctn_autoclose int fd = -1;
	struct statvfs vfs;
	int r;

	if ((size_t)snprintf(upper, sizeof(upper), "%s/%s", p->state, WIRE_LAYER_NAME) >=
		    sizeof(upper) ||
	    (size_t)snprintf(work, sizeof(work), "%s/%s", p->state, WIRE_WORK_NAME) >= sizeof(work))
		return ctn_fail(err, ENAMETOOLONG, "the state directory's path is too long");
	r = overlay_detached(*lower, upper, work, &fd, err);
	if (r == 0) {
		r = overlay_attached(p, *lower, upper, work, &fd, err);
		close(ctn_take_fd(*lower));
	}
	if (r < 0)
		return r;
	/* overlayfs falls back to read-only, quietly, where it cannot use the upper layer */
	if (fstatvfs(fd, &vfs) < 0 || (vfs.f_flag & ST_RDONLY))
		return ctn_fail(err, EROFS,
				"overlayfs cannot write to %s; use another file system "
				"for the state directory",
				upper);
	*ret = ctn_take_fd(fd);
	return 0;
}

/* --- a directory of the user's --- */

static int own_open(const struct plan *p, int *ret, struct ctn_err *err)
{
	ctn_autoclose int fd = open(p->lower, O_PATH | O_DIRECTORY | O_CLOEXEC);
	const bool overlay = !(p->msg->flags & (WIRE_ROOT_RO | WIRE_ROOT_RW));
	bool own = false;
	struct statfs fs;
	int r = 0;

	if (fd < 0 || fstatfs(fd, &fs) < 0)
		return ctn_fail_errno(err, "rootfs: %s", p->lower);
	/* CVE-2023-0386: who serves the lower layer could say anything of its owners. */
	if (overlay && fs.f_type == FUSE_SUPER_MAGIC)
		return ctn_fail(err, EOPNOTSUPP,
				"rootfs: %s is on a FUSE file system, over which no overlay is "
				"put; say ro or rw, or copy it",
				p->lower);
	if (!(p->msg->flags & WIRE_ROOT_RO))
		r = mounts_own_state(p, fd, &own, err);
	if (own)
		return ctn_fail(err, EINVAL,
				"rootfs: %s has to do with ctnfs's own state; say ro, or take "
				"another directory",
				p->lower);
	if (r == 0)
		*ret = ctn_take_fd(fd);
	return r;
}

/* Its owners shifted into the container's range; @below: also of what is mounted below it. */
static int own_map(const struct plan *p, int fd, int userns, bool below, struct ctn_err *err)
{
	struct mount_attr set = {.attr_set = MOUNT_ATTR_IDMAP, .userns_fd = (uint64_t)userns};

	if (mount_setattr(fd, "", AT_EMPTY_PATH | (below ? AT_RECURSIVE : 0), &set, sizeof(set)) ==
	    0)
		return 0;
	if (errno != EINVAL && errno != EPERM)
		return ctn_fail_errno(err, "rootfs: map the ids of %s", p->lower);
	/* All or nothing so far; the top alone tells which of them it was. */
	if (below && mount_setattr(fd, "", AT_EMPTY_PATH, &set, sizeof(set)) == 0)
		return ctn_fail(err, EOPNOTSUPP,
				"rootfs: what is mounted below %s cannot map ids to the "
				"container's; unmount it there and name it in mounts with noidmap, "
				"or share the host's ids (ns/user host)",
				p->lower);
	return ctn_fail(err, EOPNOTSUPP,
			"rootfs: the file system of %s cannot map ids to the container's; copy it "
			"to another (ext4, xfs, btrfs), or share the host's ids (ns/user host)",
			p->lower);
}

/* As it is, with what is mounted below it, as every runtime does. */
static int own_whole(const struct plan *p, int dir, int userns, int *ret, struct ctn_err *err)
{
	const bool ro = p->msg->flags & WIRE_ROOT_RO;
	const bool slave = p->msg->propagation & (MS_SLAVE | MS_SHARED);
	struct mount_attr set = {
		.attr_set = MOUNT_ATTR_NODEV | (ro ? MOUNT_ATTR_RDONLY : 0),
		/* A shared root cannot be pivoted to: that comes after. */
		.propagation = slave ? MS_SLAVE : MS_PRIVATE,
	};
	ctn_autoclose int fd = open_tree(
		dir, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | AT_RECURSIVE);
	struct statvfs vfs;
	int r = 0;

	if (fd < 0)
		return ctn_fail_errno(err, "rootfs: clone the mount of %s", p->lower);
	if (mount_setattr(fd, "", AT_EMPTY_PATH | AT_RECURSIVE, &set, sizeof(set)) < 0 ||
	    fstatvfs(fd, &vfs) < 0)
		return ctn_fail_errno(err, "rootfs: restrict the mount of %s", p->lower);
	if (!ro && vfs.f_flag & ST_RDONLY)
		return ctn_fail(err, EROFS, "rootfs: %s is mounted read-only on the host; say ro",
				p->lower);
	if (userns >= 0)
		r = own_map(p, fd, userns, true, err);
	if (r == 0)
		*ret = ctn_take_fd(fd);
	return r;
}

/* Of that file system alone: an overlay never shows what is mounted on its layers. */
static int own_lower(const struct plan *p, int dir, int userns, int *ret, struct ctn_err *err)
{
	struct mount_attr set = {.attr_set = MOUNT_ATTR_RDONLY, .propagation = MS_PRIVATE};
	ctn_autoclose int fd = open_tree(dir, "",
					 OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
	int r = 0;

	if (fd < 0)
		return ctn_fail_errno(err, "rootfs: clone the mount of %s", p->lower);
	if (mount_setattr(fd, "", AT_EMPTY_PATH, &set, sizeof(set)) < 0)
		return ctn_fail_errno(err, "rootfs: restrict the mount of %s", p->lower);
	if (userns >= 0)
		r = own_map(p, fd, userns, false, err);
	if (r == 0)
		*ret = ctn_take_fd(fd);
	return r;
}

/* The runtime-spec never shifts a root: who gives maps (podman without root, docker with
 * userns-remap) has given the files to the mapped ids before. */
static bool is_shifted(const struct plan *p, int dir)
{
	struct stat st;

	if (!(p->msg->flags & WIRE_MAPS_GIVEN) || fstat(dir, &st) < 0)
		return false;
	for (size_t i = 0; i < p->msg->uid_map.count; i++) {
		if (st.st_uid >= p->uid_map[i].outside &&
		    st.st_uid - p->uid_map[i].outside < p->uid_map[i].count)
			return true;
	}
	return false;
}

int root_own(const struct plan *p, int userns, int *ret, struct ctn_err *err)
{
	ctn_autoclose int dir = -1;
	int r = own_open(p, &dir, err);

	if (r < 0)
		return r;
	if (is_shifted(p, dir))
		userns = -1;
	if (p->msg->flags & (WIRE_ROOT_RO | WIRE_ROOT_RW))
		return own_whole(p, dir, userns, ret, err);
	return own_lower(p, dir, userns, ret, err);
}

int root_make(const struct plan *p, int userns, int own, struct mounts *m, struct ctn_err *err)
{
	int r = 0;

	if (own >= 0 && p->msg->flags & (WIRE_ROOT_RO | WIRE_ROOT_RW)) {
		m->root = own;
		return 0;
	}
	m->lower = own;
	if (own < 0)
		r = lower_clone(p, userns, &m->lower, err);
	return r < 0 ? r : root_overlay(p, &m->lower, &m->root, err);
}
