/* SPDX-License-Identifier: Apache-2.0 */
/* Set-up steps that build the root file system, inside the new namespaces. What is below the root
 * was written by earlier runs of the container: paths in it are resolved under the root's
 * descriptor, and the places that we mount on must be real directories. */
#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../cleanup.h"
#include "monitor.h"

/* Open @path under the new root. No symbolic link in it is followed. */
static int open_in_root(int root, const char *path, uint64_t flags)
{
	struct open_how how = {
		.flags = flags | O_PATH | O_CLOEXEC,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};

	return (int)syscall(SYS_openat2, root, path, &how, sizeof(how));
}

/* A directory to mount on. Only ever at the top, below our own /dev, or below the /usr of the host.
 */
static int target_open(int root, const char *path, int *ret, struct ctn_err *err)
{
	int fd = open_in_root(root, path, O_DIRECTORY);

	if (fd < 0 && errno == ENOENT) {
		mode_t mask = umask(022);

		if (mkdirat(root, path + 1, 0755) == 0)
			fd = open_in_root(root, path, O_DIRECTORY);
		umask(mask);
	}
	if (fd < 0 && (errno == ENOTDIR || errno == ELOOP))
		return ctn_fail(err, ENOTDIR,
				"%s in the container's root file system is not a directory; make "
				"it one",
				path);
	if (fd < 0 && errno == EROFS)
		return ctn_fail(err, EROFS,
				"the root file system is read-only and has no directory %s to "
				"mount on: make it there first",
				path);
	if (fd < 0)
		return ctn_fail_errno(err, "open %s in the container's root", path);
	*ret = fd;
	return 0;
}

static int attach(int mount, int root, const char *path, struct ctn_err *err)
{
	ctn_autoclose int target = -1;
	int r = target_open(root, path, &target, err);

	if (r < 0)
		return r;
	if (move_mount(mount, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) <
	    0)
		return ctn_fail_errno(err, "mount on %s", path);
	return 0;
}

static int restrict_mount(int mount, unsigned attr, const char *path, struct ctn_err *err)
{
	struct mount_attr set = {.attr_set = attr};

	if (mount_setattr(mount, "", AT_EMPTY_PATH | AT_RECURSIVE, &set, sizeof(set)) < 0)
		return ctn_fail_errno(err, "restrict the mount of %s", path);
	return 0;
}

/* A new instance of one of the kernel's own file systems, owned by our namespaces. */
static int kernel_fs(int root, const char *type, const char *path, unsigned attr,
		     const char *const *options, struct ctn_err *err)
{
	ctn_autoclose int fs = fsopen(type, FSOPEN_CLOEXEC), fd = -1;

	if (fs < 0)
		return ctn_fail_errno(err, "open a %s file system", type);
	for (; options && options[0]; options += 2) {
		int r = options[1][0] ? fsconfig(fs, FSCONFIG_SET_STRING, options[0], options[1], 0)
				      : fsconfig(fs, FSCONFIG_SET_FLAG, options[0], NULL, 0);

		if (r < 0)
			return ctn_fail_errno(err, "%s option %s", type, options[0]);
	}
	if (fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return ctn_fail_errno(err, "make a %s file system", type);
	fd = fsmount(fs, FSMOUNT_CLOEXEC, attr);
	if (fd < 0)
		return ctn_fail_errno(err, "mount a %s file system", type);
	return attach(fd, root, path, err);
}

int stage_root(struct stage *s, struct ctn_err *err)
{
	int r = mounts_init(s->plan, &s->mounts, err);

	if (r == 0)
		r = mounts_receive(s->go, &s->mounts, err);
	if (r < 0 || !plan_has_ns(s->plan, CLONE_NEWNS))
		return r;
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return ctn_fail_errno(err, "make the mounts private");
	/* On top of the old root: nothing needs to exist there, and pivot_root can still reach it.
	 */
	if (move_mount(s->mounts.root, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return ctn_fail_errno(err, "mount the root file system");
	return 0;
}

int stage_binds(struct stage *s, struct ctn_err *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && s->plan->binds[i]; i++) {
		if (s->mounts.binds[i] >= 0)
			r = attach(s->mounts.binds[i], s->mounts.root, s->plan->binds[i], err);
	}
	return r;
}

int stage_proc(struct stage *s, struct ctn_err *err)
{
	if (s->mounts.proc >= 0)
		return attach(s->mounts.proc, s->mounts.root, "/proc", err);
	return kernel_fs(s->mounts.root, "proc", "/proc",
			 MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC, NULL, err);
}

int stage_sys(struct stage *s, struct ctn_err *err)
{
	if (s->mounts.sys >= 0)
		return attach(s->mounts.sys, s->mounts.root, "/sys", err);
	return kernel_fs(s->mounts.root, "sysfs", "/sys",
			 MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
				 MOUNT_ATTR_NOEXEC,
			 NULL, err);
}

/* Which part of the one tmpfs goes where. */
static const struct {
	const char *part, *path;
	unsigned attr;
} tmpfs_parts[] = {
	{"dev", "/dev", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC},
	{"shm", "/dev/shm", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV},
	{"tmp", "/tmp", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV},
	{"run", "/run", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV},
};

static int tmpfs_clone(struct stage *s, const char *part, unsigned attr, int *ret,
		       struct ctn_err *err)
{
	ctn_autoclose int fd = open_tree(s->mounts.tmpfs, part,
					 OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	int r;

	if (fd < 0)
		return ctn_fail_errno(err, "clone the tmpfs directory '%s'", part);
	r = restrict_mount(fd, attr, part, err);
	if (r == 0)
		*ret = ctn_take_fd(fd);
	return r;
}

int stage_dev(struct stage *s, struct ctn_err *err)
{
	static const char *const devpts[] = {"newinstance", "",	   "ptmxmode", "0666", "mode",
					     "0620",	    "gid", "5",	       NULL};
	unsigned attr = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
	int r = 0;

	/* Parts can be cloned of an attached mount only (before Linux 6.15): the old /dev is as
	 * good a place as any, it goes away with the old root. */
	if (move_mount(s->mounts.tmpfs, "", AT_FDCWD, "/dev", MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return ctn_fail_errno(err, "attach the tmpfs");
	for (size_t i = 0; r == 0 && i < CTN_COUNT(tmpfs_parts); i++) {
		ctn_autoclose int fd = -1;

		r = tmpfs_clone(s, tmpfs_parts[i].part, tmpfs_parts[i].attr, &fd, err);
		if (r == 0)
			r = attach(fd, s->mounts.root, tmpfs_parts[i].path, err);
	}
	if (r == 0)
		r = kernel_fs(s->mounts.root, "devpts", "/dev/pts",
			      MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, devpts, err);
	if (r == 0 && plan_has_ns(s->plan, CLONE_NEWIPC))
		r = kernel_fs(s->mounts.root, "mqueue", "/dev/mqueue", attr, NULL, err);
	return r;
}

int stage_readonly(struct stage *s, struct ctn_err *err)
{
	for (char **path = s->plan->readonly; *path; path++) {
		ctn_autoclose int at = open_in_root(s->mounts.root, *path, 0), fd = -1;
		int r;

		if (at < 0 && errno == ENOENT)
			continue;
		if (at < 0)
			return ctn_fail_errno(err, "open %s", *path);
		fd = open_tree(at, "",
			       OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | AT_RECURSIVE);
		if (fd < 0)
			return ctn_fail_errno(err, "clone the mount of %s", *path);
		r = restrict_mount(fd, MOUNT_ATTR_RDONLY, *path, err);
		if (r < 0)
			return r;
		if (move_mount(fd, "", at, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) <
		    0)
			return ctn_fail_errno(err, "make %s read-only", *path);
	}
	return 0;
}

int stage_masks(struct stage *s, struct ctn_err *err)
{
	unsigned attr = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
			MOUNT_ATTR_NOEXEC;

	for (char **path = s->plan->masked; *path; path++) {
		ctn_autoclose int at = open_in_root(s->mounts.root, *path, 0), fd = -1;
		struct stat st;
		int r;

		if (at < 0 && errno == ENOENT)
			continue;
		if (at < 0 || fstat(at, &st) < 0)
			return ctn_fail_errno(err, "open %s", *path);
		r = tmpfs_clone(s, S_ISDIR(st.st_mode) ? "mask-dir" : "mask-file", attr, &fd, err);
		if (r < 0)
			return r;
		if (move_mount(fd, "", at, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) <
		    0)
			return ctn_fail_errno(err, "mask %s", *path);
	}
	return 0;
}

int stage_pivot(struct stage *s, struct ctn_err *err)
{
	const unsigned long spread = (unsigned long)s->plan->msg->propagation;

	if (fchdir(s->mounts.root) < 0)
		return ctn_fail_errno(err, "enter the new root");
	/* pivot_root(2): with both names ".", the old root ends up on top of the new one, from
	 * where it is unmounted. */
	if (syscall(SYS_pivot_root, ".", ".") < 0)
		return ctn_fail_errno(err, "pivot_root");
	if (umount2(".", MNT_DETACH) < 0)
		return ctn_fail_errno(err, "unmount the old root");
	if (chdir("/") < 0)
		return ctn_fail_errno(err, "enter the new root");
	/* Only now: pivot_root(2) wants roots that are not shared. */
	if (spread && mount(NULL, "/", NULL, spread, NULL) < 0)
		return ctn_fail_errno(err, "set the propagation of the root's mounts");
	return 0;
}
