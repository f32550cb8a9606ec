/* SPDX-License-Identifier: Apache-2.0 */
/* Places to mount on that the user names. What is there may be hostile: a root file system of
 * unknown origin, or a volume that another container writes to at this moment. A symbolic link is
 * followed, since an honest root file system has /var/run -> /run, but only within the new root
 * (CVE-2021-30465); what is missing is made name by name through descriptors (CVE-2024-45310); and
 * what was mounted must be what the path leads to afterwards. */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../cleanup.h"
#include "../weaken.h"
#include "monitor.h"

enum { OPEN_TRIES = 64 }; /* while somebody renames what ".." is looked for in */

static bool is_below(const char *path, const char *top)
{
	size_t n = strlen(top);

	return strncmp(path, top, n) == 0 && (path[n] == '\0' || path[n] == '/');
}

/* The kernel's own trees must be where they are said to be, whatever the root file system holds
 * (CVE-2019-19921). */
static int resolve(int root, const char *path)
{
	bool strict = is_below(path, "/proc") || is_below(path, "/sys");
	struct open_how how = {
		.flags = O_PATH | O_CLOEXEC,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS |
			   (strict ? RESOLVE_NO_SYMLINKS : 0),
	};
	int fd = -1;

	if (WEAKEN_TARGET)
		return openat(root, path + 1, O_PATH | O_CLOEXEC);
	for (int i = 0; i < OPEN_TRIES; i++) {
		fd = (int)syscall(SYS_openat2, root, path, &how, sizeof(how));
		if (fd >= 0 || (errno != EAGAIN && errno != EINTR))
			break;
	}
	return fd;
}

/* One name that was not there. @path is the whole of what is wanted, for the sentence. */
static int make_name(int parent, const char *name, bool directory, const char *path,
		     struct ctn_err *err)
{
	int fd, r = 0;

	if (directory) {
		r = mkdirat(parent, name, 0755);
	} else {
		fd = openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
			    0644);
		r = fd < 0 ? -1 : close(fd);
	}
	if (r == 0 || errno == EEXIST) /* made by somebody else, or a link: looking again tells */
		return 0;
	if (errno == EROFS)
		return ctn_fail(err, EROFS,
				"there is no '%s' of %s in the root file system, which is "
				"read-only: make it there first",
				name, path);
	return ctn_fail_errno(err, "make '%s' of %s in the root file system", name, path);
}

/* @path is "/a/b/c"; each name is looked up from the root, so that links in front of it lead where
 * they lead inside. */
static int make_missing(int root, char *path, bool directory, const char *whole,
			struct ctn_err *err)
{
	ctn_autoclose int parent = -1;

	for (char *name = path + 1; *name;) {
		char *end = name + strcspn(name, "/"), was = *end;
		int fd, r = 0;

		*end = '\0';
		fd = resolve(root, path);
		if (fd < 0 && errno == ENOENT) {
			r = make_name(parent < 0 ? root : parent, name, was || directory, whole,
				      err);
			fd = r < 0 ? -1 : resolve(root, path);
		}
		if (r < 0)
			return r;
		if (fd < 0 && errno == ENOENT)
			return ctn_fail(err, ENOENT,
					"%s in the container is a symbolic link that leads "
					"nowhere; make what it leads to",
					path);
		if (fd < 0)
			return ctn_fail_errno(err, "open %s in the container's root", path);
		ctn_close_fd(&parent);
		parent = fd;
		*end = was;
		name = end + (was != '\0');
	}
	return 0;
}

/* A link in a shared volume must lead neither to the root, where a mount would hide all, nor into
 * the kernel's trees, where it would be a false /proc/sys (CVE-2019-16884). */
static int check_place(int root, int fd, const char *path, bool directory, struct ctn_err *err)
{
	struct stat st, top;
	struct statfs fs;

	if (WEAKEN_PLACE || WEAKEN_TARGET)
		return 0;
	if (fstat(fd, &st) < 0 || fstat(root, &top) < 0 || fstatfs(fd, &fs) < 0)
		return ctn_fail_errno(err, "look at %s in the container", path);
	if (st.st_dev == top.st_dev && st.st_ino == top.st_ino)
		return ctn_fail(err, EINVAL, "%s is the container's root; mount somewhere below it",
				path);
	/* Which of their files may be named, the server knows. */
	if (fs.f_type == PROC_SUPER_MAGIC && !is_below(path, "/proc"))
		return ctn_fail(err, EINVAL, "%s leads into /proc, where nothing may be mounted",
				path);
	if (fs.f_type == SYSFS_MAGIC && !is_below(path, "/sys"))
		return ctn_fail(err, EINVAL, "%s leads into /sys, where nothing may be mounted",
				path);
	if (directory && !S_ISDIR(st.st_mode))
		return ctn_fail(err, ENOTDIR,
				"%s in the container is not a directory, what is mounted on it is",
				path);
	if (!directory && S_ISDIR(st.st_mode))
		return ctn_fail(err, EISDIR,
				"%s in the container is a directory, what is mounted on it is not",
				path);
	return 0;
}

int stage_target(struct stage *s, const char *path, bool directory, int *ret_fd,
		 struct ctn_err *err)
{
	int root = s->mounts.root, r = 0;
	ctn_autoclose int fd = resolve(root, path);

	if (fd < 0 && errno == ENOENT) {
		ctn_autofree char *copy = strdup(path);
		mode_t mask = umask(022);

		r = copy ? make_missing(root, copy, directory, path, err)
			 : ctn_fail(err, ENOMEM, "no memory for a path");
		umask(mask);
		if (r < 0)
			return r;
		fd = resolve(root, path);
	}
	if (fd < 0 && errno == ELOOP)
		return ctn_fail(err, ELOOP,
				"%s in the container leads through a symbolic link that cannot be "
				"mounted through",
				path);
	if (fd < 0)
		return ctn_fail_errno(err, "open %s in the container's root", path);
	r = check_place(root, fd, path, directory, err);
	if (r == 0)
		*ret_fd = ctn_take_fd(fd);
	return r;
}

static int mount_id(int fd, uint64_t *ret)
{
	struct statx st;

	if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_MNT_ID, &st) < 0)
		return -1;
	*ret = st.stx_mnt_id;
	return 0;
}

int stage_mount_at(struct stage *s, int mount, const char *path, bool directory,
		   struct ctn_err *err)
{
	ctn_autoclose int at = -1, seen = -1;
	uint64_t want, got;
	int r = stage_target(s, path, directory, &at, err);

	if (r < 0)
		return r;
	if (move_mount(mount, "", at, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
		return ctn_fail_errno(err, "mount on %s", path);
	if (WEAKEN_PLACE || WEAKEN_TARGET)
		return stage_keep(s, mount, path, err);
	seen = resolve(s->mounts.root, path);
	if (seen < 0 || mount_id(mount, &want) < 0 || mount_id(seen, &got) < 0 || want != got)
		return ctn_fail(err, EAGAIN,
				"%s was changed by somebody while it was mounted on; keep others "
				"from writing there, and start again",
				path);
	return stage_keep(s, mount, path, err);
}
