/* SPDX-License-Identifier: Apache-2.0 */
#include "mount.h"

#include <errno.h>
#include <fcntl.h>
#include <mntent.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "../core/cleanup.h"
#include "../core/log.h"

#define FS_TYPE "fuse.ctnfs"

/* Whether the topmost mount at @path is one of ctnfs. */
static bool is_ctnfs_mount(const char *path)
{
	FILE *f = setmntent("/proc/self/mounts", "re");
	struct mntent *entry;
	bool ours = false;

	if (!f)
		return false;
	while ((entry = getmntent(f))) { /* oldest first; main has no other thread yet */
		if (strcmp(entry->mnt_dir, path) == 0)
			ours = strcmp(entry->mnt_type, FS_TYPE) == 0;
	}
	endmntent(f);
	return ours;
}

/* A killed server leaves a mount that answers ENOTCONN. */
static int take_away_dead(const char *path, struct ctn_err *err)
{
	struct statx st;

	/* Asking the server itself: for a moment after its end the kernel would answer from its
	 * memory. */
	while (statx(AT_FDCWD, path, AT_STATX_FORCE_SYNC, STATX_TYPE | STATX_SIZE | STATX_MTIME,
		     &st) < 0) {
		/* It went while it was asked; from now on it is ENOTCONN. */
		if (errno == ECONNABORTED)
			continue;
		if (errno != ENOTCONN)
			return ctn_fail_errno(err, "mount point '%s'", path);
		if (!is_ctnfs_mount(path))
			return ctn_fail(err, ENOTCONN,
					"mount point '%s': a dead mount of something else is "
					"there; umount it first",
					path);
		if (umount2(path, MNT_DETACH) < 0)
			return ctn_fail_errno(err, "unmount the dead ctnfs at '%s'", path);
	}
	if (!S_ISDIR(st.stx_mode))
		return ctn_fail(err, ENOTDIR, "mount point '%s' is not a directory", path);
	return 0;
}

int mount_prepare(struct mount *m, const char *mountpoint, struct ctn_err *err)
{
	m->host_ns = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
	if (m->host_ns < 0)
		return ctn_fail_errno(err, "open /proc/self/ns/mnt");
	m->path = realpath(mountpoint, NULL);
	if (!m->path)
		return ctn_fail_errno(err, "mount point '%s'", mountpoint);
	return take_away_dead(m->path, err);
}

/* The device number of what is mounted there; asks the kernel only, never the file system's
 * server. */
static int mounted_dev(const char *path, uint64_t *ret)
{
	struct statx st;

	if (statx(AT_FDCWD, path, AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT | AT_SYMLINK_NOFOLLOW,
		  STATX_TYPE, &st) < 0)
		return -errno;
	*ret = makedev(st.stx_dev_major, st.stx_dev_minor);
	return 0;
}

/* Its file /sys/fs/fuse/connections/N/abort, through a mount of our own that has no path: the host
 * need not have one, and ours need not be looked for. */
static int open_abort(uint64_t dev)
{
	ctn_autoclose int fs = fsopen("fusectl", FSOPEN_CLOEXEC), dir = -1;
	char path[32];

	if (fs < 0 || fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return -1;
	dir = fsmount(fs, FSMOUNT_CLOEXEC, 0);
	snprintf(path, sizeof(path), "%u/abort", minor(dev));
	return dir < 0 ? -1 : openat(dir, path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
}

int mount_attach(struct mount *m, const char *source, bool others, struct ctn_err *err)
{
	ctn_autoclose int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	char data[160];
	int r;

	if (fd < 0)
		return ctn_fail_errno(err, "open /dev/fuse (modprobe fuse)");
	/* Where root alone gets in, modes decide nothing, and the kernel would ask for the
	 * attributes of a file, which for most means its content, before each open. */
	snprintf(data, sizeof(data), "fd=%d,rootmode=40000,user_id=0,group_id=0%s", fd,
		 others ? ",default_permissions,allow_other" : "");
	if (mount(source, m->path, FS_TYPE, MS_NOSUID | MS_NODEV, data) < 0)
		return ctn_fail_errno(err, "mount at '%s'", m->path);
	m->mounted = true;
	r = mounted_dev(m->path, &m->dev);
	if (r < 0)
		return ctn_fail(err, -r, "look at the new mount at '%s'", m->path);
	m->abort_fd = open_abort(m->dev);
	m->fuse_fd = ctn_take_fd(fd);
	return 0;
}

/* Mounts of other servers in this namespace: where the host's mounts are private, we would keep
 * them alive after they are unmounted there, and their servers with them. */
static void hide_others(void)
{
	FILE *f = setmntent("/proc/self/mounts", "re");
	struct mntent *entry;

	if (!f)
		return;
	while ((entry = getmntent(f))) {
		if (strcmp(entry->mnt_type, FS_TYPE) == 0)
			(void)umount2(entry->mnt_dir, MNT_DETACH); /* under another mount: stays */
	}
	endmntent(f);
}

int mount_hide(const struct mount *m, struct ctn_err *err)
{
	if (unshare(CLONE_NEWNS) < 0)
		return ctn_fail_errno(err, "make a mount namespace for the server");
	/* Slave: what the host mounts later is seen here, what is done here stays here. */
	if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
		return ctn_fail_errno(err, "make the server's mounts private");
	if (umount2(m->path, MNT_DETACH) < 0)
		return ctn_fail_errno(err, "hide the server's own mount from it");
	hide_others();
	return 0;
}

void mount_detach(struct mount *m)
{
	uint64_t dev;

	if (!m->mounted)
		return;
	m->mounted = false;
	/* setns() refuses who shares root and working directory with another; threads that are
	 * just ending may still do so. */
	if (unshare(CLONE_FS) < 0 || setns(m->host_ns, CLONE_NEWNS) < 0) {
		log_warn("cannot unmount '%s': %s", m->path, strerror(errno));
		return;
	}
	if (mounted_dev(m->path, &dev) < 0 || dev != m->dev)
		return; /* somebody has unmounted it, or mounted over it */
	if (umount2(m->path, MNT_DETACH) < 0)
		log_warn("cannot unmount '%s': %s", m->path, strerror(errno));
}

void mount_free(struct mount *m)
{
	ctn_close_fd(&m->fuse_fd);
	ctn_close_fd(&m->host_ns);
	ctn_close_fd(&m->abort_fd);
	free(m->path);
	*m = MOUNT_EMPTY;
}
