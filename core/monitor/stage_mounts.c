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
#include "../weaken.h"
#include "monitor.h"

/* Open @path under the new root. No symbolic link in it is followed. */
static int open_in_root(int root, const char *path, uint64_t flags)
{
	struct open_how how = {
		.flags = flags | O_PATH | O_CLOEXEC,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};

	if (WEAKEN_TARGET)
		return openat(root, path + 1, (int)how.flags);
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

int stage_attach(struct stage *s, int mount, const char *path, struct ctn_err *err)
{
	ctn_autoclose int target = -1;
	int r = target_open(s->mounts.root, path, &target, err);

	if (r < 0)
		return r;
	if (move_mount(mount, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) <
	    0)
		return ctn_fail_errno(err, "mount on %s", path);
	return stage_keep(s, mount, path, err);
}

int stage_keep(struct stage *s, int mount, const char *path, struct ctn_err *err)
{
	int *to = strcmp(path, "/proc") == 0  ? &s->proc
		  : strcmp(path, "/sys") == 0 ? &s->sys
					      : NULL;

	if (!to || !(s->plan->msg->flags & WIRE_ROOT_OWN))
		return 0;
	*to = fcntl(mount, F_DUPFD_CLOEXEC, 0);
	return *to < 0 ? ctn_fail_errno(err, "keep the mount of %s", path) : 0;
}

/* A place to hide or to protect. In a root file system that somebody changes at this moment, /proc
 * may already be another directory; its mount is not (CVE-2019-19921). */
static int open_kept(const struct stage *s, const char *path)
{
	if (s->proc >= 0 && strncmp(path, "/proc/", 6) == 0)
		return open_in_root(s->proc, path + 5, 0);
	if (s->sys >= 0 && strncmp(path, "/sys/", 5) == 0)
		return open_in_root(s->sys, path + 4, 0);
	return open_in_root(s->mounts.root, path, 0);
}

static int restrict_mount(int mount, unsigned attr, const char *path, struct ctn_err *err)
{
	struct mount_attr set = {.attr_set = attr};

	if (mount_setattr(mount, "", AT_EMPTY_PATH | AT_RECURSIVE, &set, sizeof(set)) < 0)
		return ctn_fail_errno(err, "restrict the mount of %s", path);
	return 0;
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
			r = stage_attach(s, s->mounts.binds[i], s->plan->binds[i], err);
	}
	return r;
}

int stage_tmpfs_part(struct stage *s, const char *part, unsigned attr, int *ret,
		     struct ctn_err *err)
{
	ctn_autoclose int fd = open_tree(s->mounts.tmpfs, part,
					 OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	int r;

	if (fd < 0)
		return ctn_fail_errno(err, "clone the tmpfs's '%s'", part);
	r = restrict_mount(fd, attr, part, err);
	if (r == 0)
		*ret = ctn_take_fd(fd);
	return r;
}

/* What is not there needs no hiding. */
static bool is_missing(int error)
{
	return error == ENOENT || error == ENOTDIR;
}

/* A link would let the root file system choose what is hidden. */
static int fail_path(const char *path, struct ctn_err *err)
{
	if (errno == ELOOP)
		return ctn_fail(err, ELOOP,
				"paths: %s leads through a symbolic link; name what it leads to",
				path);
	return ctn_fail_errno(err, "paths: open %s", path);
}

int stage_readonly(struct stage *s, struct ctn_err *err)
{
	for (char **path = s->plan->readonly; *path; path++) {
		ctn_autoclose int at = open_kept(s, *path), fd = -1;
		int r;

		if (at < 0 && is_missing(errno))
			continue;
		if (at < 0)
			return fail_path(*path, err);
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

/* What hides is our own, and never the container's /dev/null (CVE-2025-31133). */
static int mask_open(struct stage *s, bool directory, int *ret, struct ctn_err *err)
{
	const unsigned attr = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
			      MOUNT_ATTR_NOEXEC;

	if (WEAKEN_MASKS && !directory) {
		*ret = open_tree(s->mounts.root, "dev/null", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
		return *ret < 0 ? ctn_fail_errno(err, "clone /dev/null") : 0;
	}
	return stage_tmpfs_part(s, directory ? "mask-dir" : "mask-file", attr, ret, err);
}

int stage_masks(struct stage *s, struct ctn_err *err)
{
	for (char **path = s->plan->masked; *path; path++) {
		ctn_autoclose int at = open_kept(s, *path), fd = -1;
		struct stat st;
		int r;

		if (at < 0 && is_missing(errno))
			continue;
		if (at < 0 || fstat(at, &st) < 0)
			return fail_path(*path, err);
		r = mask_open(s, S_ISDIR(st.st_mode), &fd, err);
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

	/* Below the old root, with which it goes away: to close it where it is attached nowhere
	 * would wait for a grace period of RCU of its own. */
	if (s->mounts.lower >= 0 &&
	    move_mount(s->mounts.lower, "", AT_FDCWD, "/dev", MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return ctn_fail_errno(err, "attach the lower layer");
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
