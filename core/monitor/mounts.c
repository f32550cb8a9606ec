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

/* What the tmpfs holds: one file system serves /dev /dev/shm /tmp /run and the masks. */
static const struct {
	const char *name;
	mode_t mode;
	unsigned major, minor; /* of a character device; 0, 0: none */
} tmpfs_entries[] = {
	{"dev", S_IFDIR | 0755, 0, 0},	      {"dev/null", S_IFCHR | 0666, 1, 3},
	{"dev/zero", S_IFCHR | 0666, 1, 5},   {"dev/full", S_IFCHR | 0666, 1, 7},
	{"dev/random", S_IFCHR | 0666, 1, 8}, {"dev/urandom", S_IFCHR | 0666, 1, 9},
	{"dev/tty", S_IFCHR | 0666, 5, 0},    {"dev/pts", S_IFDIR | 0755, 0, 0},
	{"dev/shm", S_IFDIR | 01777, 0, 0},   {"dev/mqueue", S_IFDIR | 01777, 0, 0},
	{"shm", S_IFDIR | 01777, 0, 0},	      {"tmp", S_IFDIR | 01777, 0, 0},
	{"run", S_IFDIR | 0755, 0, 0},	      {"mask-dir", S_IFDIR | 0555, 0, 0},
	{"mask-file", S_IFREG | 0444, 0, 0},
};

static const struct {
	const char *name, *target;
} dev_links[] = {
	{"dev/ptmx", "pts/ptmx"},	   {"dev/fd", "/proc/self/fd"},
	{"dev/stdin", "/proc/self/fd/0"},  {"dev/stdout", "/proc/self/fd/1"},
	{"dev/stderr", "/proc/self/fd/2"},
};

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

static int tmpfs_entry(int fd, size_t i, uid_t uid, gid_t gid, struct ctn_err *err)
{
	const char *name = tmpfs_entries[i].name;
	mode_t mode = tmpfs_entries[i].mode;
	int r;

	if (S_ISDIR(mode))
		r = mkdirat(fd, name, mode & 07777);
	else
		r = mknodat(fd, name, mode,
			    makedev(tmpfs_entries[i].major, tmpfs_entries[i].minor));
	if (r < 0)
		return ctn_fail_errno(err, "make %s", name);
	if (fchownat(fd, name, uid, gid, AT_SYMLINK_NOFOLLOW) < 0)
		return ctn_fail_errno(err, "give %s to the container", name);
	return 0;
}

static int tmpfs_make(uid_t uid, gid_t gid, int *ret, struct ctn_err *err)
{
	static const struct fs_option options[] = {{"source", "ctnfs"}, {"mode", "0755"}};
	ctn_autoclose int fd = -1;
	int r = mounts_fs("tmpfs", options, CTN_COUNT(options), 0, &fd, err);
	mode_t mask = umask(0); /* the table's modes, exactly */

	for (size_t i = 0; r == 0 && i < CTN_COUNT(tmpfs_entries); i++)
		r = tmpfs_entry(fd, i, uid, gid, err);
	umask(mask);
	for (size_t i = 0; r == 0 && i < CTN_COUNT(dev_links); i++) {
		if (symlinkat(dev_links[i].target, fd, dev_links[i].name) < 0 ||
		    fchownat(fd, dev_links[i].name, uid, gid, AT_SYMLINK_NOFOLLOW) < 0)
			r = ctn_fail_errno(err, "link %s", dev_links[i].name);
	}
	if (r == 0)
		*ret = ctn_take_fd(fd);
	return r;
}

/* A detached copy of what is at @path, with all below it. Return: 1; 0 when there is no directory;
 * -errno. */
static int clone_path(const char *path, unsigned attr, int *ret, struct ctn_err *err)
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
		r = clone_path(*path, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV,
			       &m->binds[m->n_binds], err);
		if (r < 0)
			return r;
		m->n_binds++; /* one without a source stays -1, so that the numbers match the list
			       */
	}
	return 0;
}

/* A new /proc needs a pid namespace, a new /sys a network namespace, that our user namespace owns.
 */
static int kernel_clones(const struct plan *p, struct mounts *m, struct ctn_err *err)
{
	unsigned attr = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
	int r = 0;

	if (!plan_has_ns(p, CLONE_NEWPID))
		r = clone_path("/proc", attr, &m->proc, err);
	if (r >= 0 && !plan_has_ns(p, CLONE_NEWNET))
		r = clone_path("/sys", attr | MOUNT_ATTR_RDONLY, &m->sys, err);
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
		r = root_make(p, userns, own, &m->root, err);
	if (r == 0)
		r = tmpfs_make(p->msg->root_uid, p->msg->root_gid, &m->tmpfs, err);
	if (r == 0)
		r = binds_make(p, m, err);
	if (r == 0)
		r = kernel_clones(p, m, err);
	return r;
}
