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
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "../cleanup.h"
#include "monitor.h"

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

struct fs_option {
	const char *key, *value;
};

/* A detached mount of a new file system. */
static int fs_mount(const char *type, const struct fs_option *options, size_t n, unsigned attr,
		    int *ret, struct ctn_err *err)
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
	int r = fs_mount("tmpfs", options, CTN_COUNT(options), 0, &fd, err);
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
		     : fs_mount("overlay", options, CTN_COUNT(options), MOUNT_ATTR_NODEV, ret, err);
}

static int root_make(const struct plan *p, int userns, int *ret, struct ctn_err *err)
{
	ctn_autoclose int lower = -1, fd = -1;
	char upper[512], work[512];
	struct statvfs vfs;
	int r;

	if ((size_t)snprintf(upper, sizeof(upper), "%s/%s", p->state, WIRE_LAYER_NAME) >=
		    sizeof(upper) ||
	    (size_t)snprintf(work, sizeof(work), "%s/%s", p->state, WIRE_WORK_NAME) >= sizeof(work))
		return ctn_fail(err, ENAMETOOLONG, "the state directory's path is too long");
	r = lower_clone(p, userns, &lower, err);
	if (r == 0)
		r = overlay_detached(lower, upper, work, &fd, err);
	if (r == 0)
		r = overlay_attached(p, lower, upper, work, &fd, err);
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

int mounts_prepare(const struct plan *p, int userns, struct mounts *ret, struct ctn_err *err)
{
	struct mounts m = {.root = -1, .tmpfs = -1, .proc = -1, .sys = -1};
	int r = root_make(p, userns, &m.root, err);

	if (r == 0)
		r = tmpfs_make(p->msg->root_uid, p->msg->root_gid, &m.tmpfs, err);
	if (r == 0)
		r = binds_make(p, &m, err);
	if (r == 0)
		r = kernel_clones(p, &m, err);
	if (r == 0)
		*ret = m; /* after a failure the monitor ends, which closes them */
	return r;
}

/* On the channel: which of the slots have a descriptor, a bit each; then those descriptors. */
static size_t slots(struct mounts *m, int *slot[])
{
	size_t n = 0;

	slot[n++] = &m->root;
	slot[n++] = &m->tmpfs;
	slot[n++] = &m->proc;
	slot[n++] = &m->sys;
	for (size_t i = 0; i < CTN_COUNT(m->binds); i++)
		slot[n++] = &m->binds[i];
	return n;
}

int mounts_send(int sock, const struct mounts *m, struct ctn_err *err)
{
	struct mounts copy = *m;
	int *slot[4 + CTN_COUNT(m->binds)];
	int fds[CTN_COUNT(slot)];
	uint32_t mask = 0;
	size_t n = 0, total = slots(&copy, slot) - CTN_COUNT(m->binds) + m->n_binds;
	ssize_t r;

	for (size_t i = 0; i < total; i++) {
		if (*slot[i] < 0)
			continue;
		mask |= UINT32_C(1) << i;
		fds[n++] = *slot[i];
	}
	r = wire_send(sock, &mask, sizeof(mask), fds, n);
	return r < 0 ? ctn_fail(err, (int)-r, "hand over the mounts") : 0;
}

int mounts_receive(int sock, struct mounts *ret, struct ctn_err *err)
{
	struct mounts m = {.n_binds = CTN_COUNT(m.binds)};
	int *slot[4 + CTN_COUNT(m.binds)];
	int fds[CTN_COUNT(slot)];
	size_t n = 0, used = 0, total = slots(&m, slot);
	uint32_t mask = 0;
	ssize_t r = wire_receive(sock, &mask, sizeof(mask), fds, CTN_COUNT(fds), &n);

	if (r != (ssize_t)sizeof(mask))
		return ctn_fail(err, EPIPE, "the monitor gave up");
	for (size_t i = 0; i < total; i++)
		*slot[i] = (mask & UINT32_C(1) << i) && used < n ? fds[used++] : -1;
	*ret = m;
	return 0;
}
