/* SPDX-License-Identifier: Apache-2.0 */
/* The mounts that need the host's rights: made here, detached, and handed to the stage, which moves
 * them into place. */
#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "../cleanup.h"
#include "monitor.h"
#include "mounts.h"

int mounts_fs(const char *type, const struct fs_option *options, size_t n, unsigned attr, int *ret,
	      struct ctn_err *err)
{
	ctn_autoclose int fs = fsopen(type, FSOPEN_CLOEXEC);
	int fd;

	if (fs < 0)
		return ctn_fail_errno(err, "open a %s file system", type);
	for (size_t i = 0; i < n; i++) {
		if (fsconfig(fs, FSCONFIG_SET_STRING, options[i].key, options[i].value, 0) < 0)
			return ctn_fail_errno(err, "%s option %s=%s", type, options[i].key,
					      options[i].value);
	}
	if (fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return ctn_fail_errno(err, "make a %s file system", type);
	fd = fsmount(fs, FSMOUNT_CLOEXEC, attr);
	if (fd < 0)
		return ctn_fail_errno(err, "mount a %s file system", type);
	*ret = fd;
	return 0;
}

int mounts_clone(const char *path, unsigned attr, int *ret, struct ctn_err *err)
{
	struct mount_attr set = {.attr_set = attr};
	ctn_autoclose int fd = -1;
	struct stat st;

	/* Look first: closing a mount that was cloned in vain waits for an RCU grace period. */
	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : ctn_fail_errno(err, "stat %s", path);
	if (!S_ISDIR(st.st_mode)) /* /bin -> usr/bin is in the skeleton */
		return 0;
	fd = open_tree(AT_FDCWD, path,
		       OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE | AT_SYMLINK_NOFOLLOW |
			       AT_NO_AUTOMOUNT);
	if (fd < 0)
		return ctn_fail_errno(err, "clone the mount of %s", path);
	if (mount_setattr(fd, "", AT_EMPTY_PATH | AT_RECURSIVE, &set, sizeof(set)) < 0)
		return ctn_fail_errno(err, "restrict the mount of %s", path);
	*ret = ctn_take_fd(fd);
	return 1;
}

static int binds_make(const struct plan *p, struct mounts *m, struct ctn_err *err)
{
	for (char **path = p->binds; *path; path++) {
		int r;

		if (m->n_binds == CTN_COUNT(m->binds))
			return ctn_fail(err, E2BIG, "more than %zu directories to bind",
					CTN_COUNT(m->binds));
		m->binds[m->n_binds] = -1;
		r = mounts_clone(*path, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV,
				 &m->binds[m->n_binds], err);
		if (r < 0)
			return r;
		m->n_binds++; /* one without a source stays -1, so that the numbers match the list
			       */
	}
	return 0;
}

/* A new /proc needs a pid namespace, a new /sys a network namespace, that our user namespace owns.
 * Of those that it joins there are others (joins.h). */
static int kernel_clones(const struct plan *p, struct mounts *m, struct ctn_err *err)
{
	unsigned attr = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
	int r = 0;

	if (!plan_has_ns(p, CLONE_NEWPID) && !plan_joins(p, CLONE_NEWPID))
		r = mounts_clone("/proc", attr, &m->proc, err);
	if (r >= 0 && !plan_has_ns(p, CLONE_NEWNET) && !plan_joins(p, CLONE_NEWNET))
		r = mounts_clone("/sys", attr | MOUNT_ATTR_RDONLY, &m->sys, err);
	return r < 0 ? r : 0;
}

/* The user's paths are the host's. Where the host's mounts are private, our namespace does not see
 * those that are newer than the server. */
static int host_clones(const struct plan *p, int userns, struct mounts *m, int *own,
		       struct ctn_err *err)
{
	ctn_autoclose int back = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
	int r = 0;

	if (back < 0 || setns(p->host_mnt_fd, CLONE_NEWNS) < 0)
		return ctn_fail_errno(err, "enter the host's mount namespace");
	if (p->msg->flags & WIRE_ROOT_OWN)
		r = root_own(p, userns, own, err);
	if (r == 0)
		r = binds_user(p, userns, m, err);
	if (r == 0 && setns(back, CLONE_NEWNS) < 0)
		return ctn_fail_errno(err, "leave the host's mount namespace");
	return r;
}

int mounts_prepare(const struct plan *p, int userns, struct mounts *m, struct ctn_err *err)
{
	int own = -1, r = 0;

	if (m->n_user > 0 || p->msg->flags & WIRE_ROOT_OWN)
		r = host_clones(p, userns, m, &own, err);
	if (r == 0)
		r = root_make(p, userns, own, m, err);
	if (r == 0)
		r = mounts_tmpfs(p, &m->tmpfs, err);
	if (r == 0)
		r = binds_make(p, m, err);
	if (r == 0)
		r = kernel_clones(p, m, err);
	if (r == 0 && m->n_user > 0)
		r = mounts_outside(p, m, err);
	return r;
}
