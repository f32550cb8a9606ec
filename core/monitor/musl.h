/* SPDX-License-Identifier: Apache-2.0 */
/* What musl 1.2 lacks of the GNU C library that we use. The build includes it in front of each file
 * of the programs that are linked with musl: these begin in a quarter of the time, since the GNU
 * library's static start-up asks a processor that is virtual what it can do, and every such
 * question ends up with the hypervisor. */
#ifndef CTNFS_CORE_MONITOR_MUSL_H
#define CTNFS_CORE_MONITOR_MUSL_H

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/mount.h>
#include <linux/stat.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static inline int open_tree(int dirfd, const char *path, unsigned flags)
{
	return (int)syscall(SYS_open_tree, dirfd, path, flags);
}

static inline int move_mount(int from, const char *from_path, int to, const char *to_path,
			     unsigned flags)
{
	return (int)syscall(SYS_move_mount, from, from_path, to, to_path, flags);
}

static inline int fsopen(const char *type, unsigned flags)
{
	return (int)syscall(SYS_fsopen, type, flags);
}

static inline int fsconfig(int fd, unsigned cmd, const char *key, const void *value, int aux)
{
	return (int)syscall(SYS_fsconfig, fd, cmd, key, value, aux);
}

static inline int fsmount(int fd, unsigned flags, unsigned attr)
{
	return (int)syscall(SYS_fsmount, fd, flags, attr);
}

static inline int mount_setattr(int dirfd, const char *path, unsigned flags,
				struct mount_attr *attr, size_t size)
{
	return (int)syscall(SYS_mount_setattr, dirfd, path, flags, attr, size);
}

static inline int statx(int dirfd, const char *path, int flags, unsigned mask, struct statx *ret)
{
	return (int)syscall(SYS_statx, dirfd, path, flags, mask, ret);
}

static inline int renameat2(int from_dir, const char *from, int to_dir, const char *to,
			    unsigned flags)
{
	return (int)syscall(SYS_renameat2, from_dir, from, to_dir, to, flags);
}

static inline int execveat(int dirfd, const char *path, char *const argv[], char *const envp[],
			   int flags)
{
	return (int)syscall(SYS_execveat, dirfd, path, argv, envp, flags);
}

/* As the GNU library puts it: a sentence is the same whoever built the program. */
static inline const char *strerrordesc_np(int code)
{
	static const char *const other[] = {
		[EIO] = "Input/output error",
		[ECHILD] = "No child processes",
		[ENOMEM] = "Cannot allocate memory",
		[EBUSY] = "Device or resource busy",
		[EXDEV] = "Invalid cross-device link",
		[EMFILE] = "Too many open files",
		[ENOTTY] = "Inappropriate ioctl for device",
		[EDOM] = "Numerical argument out of domain",
		[ERANGE] = "Numerical result out of range",
		[EDEADLK] = "Resource deadlock avoided",
		[ENAMETOOLONG] = "File name too long",
		[ELOOP] = "Too many levels of symbolic links",
		[EOVERFLOW] = "Value too large for defined data type",
		[ELIBACC] = "Can not access a needed shared library",
		[ELIBBAD] = "Accessing a corrupted shared library",
		[EILSEQ] = "Invalid or incomplete multibyte or wide character",
		[EUSERS] = "Too many users",
		[EMSGSIZE] = "Message too long",
		[EOPNOTSUPP] = "Operation not supported",
		[EADDRINUSE] = "Address already in use",
		[ENOTCONN] = "Transport endpoint is not connected",
		[ETIMEDOUT] = "Connection timed out",
		[EUCLEAN] = "Structure needs cleaning",
		[EDQUOT] = "Disk quota exceeded",
	};

	if (code > 0 && (size_t)code < sizeof(other) / sizeof(other[0]) && other[code])
		return other[code];
	return strerror(code);
}

/* Names are the server's to give: it has the GNU library. */
static inline const char *strerrorname_np(int code)
{
	(void)code;
	return NULL;
}

#endif
