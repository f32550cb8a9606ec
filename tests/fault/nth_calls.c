/* SPDX-License-Identifier: Apache-2.0 */
#include "nth_calls.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/ptrace.h> /* after <sys/ptrace.h> */

enum {
	CHANGES = 1, /* something that others see */
	SPACE = 2,   /* needs room on a disk: ENOSPC */
	IO = 4,	     /* reaches a disk: EIO */
	FILES = 8,   /* makes a descriptor: EMFILE */
	MEMORY = 16, /* needs the kernel's memory, or the process's own: ENOMEM */
	ANY = 31,
};

static const struct {
	const char *name;
	unsigned class;
} classes[] = {
	{"changes", CHANGES}, {"space", SPACE},	  {"io", IO},
	{"files", FILES},     {"memory", MEMORY}, {"any", ANY},
};

static int makes_duplicate(const unsigned long long *args)
{
	return args[1] == F_DUPFD || args[1] == F_DUPFD_CLOEXEC;
}

static const int making = O_CREAT | O_TRUNC | (O_TMPFILE & ~O_DIRECTORY);

static int open_makes(const unsigned long long *args)
{
	return (args[1] & (unsigned)making) != 0;
}

static int openat_makes(const unsigned long long *args)
{
	return (args[2] & (unsigned)making) != 0;
}

/* clang-format off */
static const struct call calls[] = {
	{SYS_mkdir, "mkdir", CHANGES | SPACE | MEMORY, NULL},
	{SYS_mkdirat, "mkdirat", CHANGES | SPACE | MEMORY, NULL},
	{SYS_rmdir, "rmdir", CHANGES | IO, NULL},
	{SYS_unlink, "unlink", CHANGES | IO, NULL},
	{SYS_unlinkat, "unlinkat", CHANGES | IO, NULL},
	{SYS_rename, "rename", CHANGES | SPACE | IO, NULL},
	{SYS_renameat, "renameat", CHANGES | SPACE | IO, NULL},
	{SYS_renameat2, "renameat2", CHANGES | SPACE | IO, NULL},
	{SYS_linkat, "linkat", CHANGES | SPACE, NULL},
	{SYS_symlink, "symlink", CHANGES | SPACE, NULL},
	{SYS_symlinkat, "symlinkat", CHANGES | SPACE, NULL},
	{SYS_mknodat, "mknodat", CHANGES | SPACE, NULL},
	{SYS_mknod, "mknod", CHANGES | SPACE, NULL},
	{SYS_open, "open", CHANGES, open_makes},
	{SYS_openat, "openat", CHANGES | SPACE | IO, openat_makes},
	{SYS_openat, "openat", FILES | MEMORY, NULL},
	{SYS_openat2, "openat2", FILES | MEMORY, NULL},
	{SYS_write, "write", CHANGES | SPACE | IO, NULL},
	{SYS_pwrite64, "pwrite64", CHANGES | SPACE | IO, NULL},
	{SYS_writev, "writev", CHANGES | SPACE | IO, NULL},
	{SYS_read, "read", IO, NULL},
	{SYS_pread64, "pread64", IO, NULL},
	{SYS_getdents64, "getdents64", IO, NULL},
	{SYS_fsync, "fsync", CHANGES | SPACE | IO, NULL},
	{SYS_fdatasync, "fdatasync", CHANGES | SPACE | IO, NULL},
	{SYS_ftruncate, "ftruncate", CHANGES | SPACE | IO, NULL},
	{SYS_fallocate, "fallocate", CHANGES | SPACE | IO, NULL},
	{SYS_fchown, "fchown", CHANGES | SPACE, NULL},
	{SYS_fchownat, "fchownat", CHANGES | SPACE, NULL},
	{SYS_fchmod, "fchmod", CHANGES | SPACE, NULL},
	{SYS_fchmodat, "fchmodat", CHANGES | SPACE, NULL},
	{SYS_setxattr, "setxattr", CHANGES | SPACE, NULL},
	{SYS_mount, "mount", CHANGES | MEMORY, NULL},
	{SYS_umount2, "umount2", CHANGES, NULL},
	{SYS_pivot_root, "pivot_root", CHANGES, NULL},
	{SYS_open_tree, "open_tree", CHANGES | FILES | MEMORY, NULL},
	{SYS_move_mount, "move_mount", CHANGES | MEMORY, NULL},
	{SYS_mount_setattr, "mount_setattr", CHANGES | MEMORY, NULL},
	{SYS_fsopen, "fsopen", FILES | MEMORY, NULL},
	{SYS_fsconfig, "fsconfig", CHANGES | MEMORY, NULL},
	{SYS_fsmount, "fsmount", CHANGES | FILES | MEMORY, NULL},
	{SYS_unshare, "unshare", CHANGES | MEMORY, NULL},
	{SYS_setns, "setns", CHANGES | MEMORY, NULL},
	{SYS_clone, "clone", CHANGES | MEMORY, NULL},
	{SYS_clone3, "clone3", CHANGES | MEMORY, NULL},
	{SYS_fork, "fork", CHANGES | MEMORY, NULL},
	{SYS_vfork, "vfork", CHANGES | MEMORY, NULL},
	{SYS_execve, "execve", CHANGES | MEMORY, NULL},
	{SYS_sendmsg, "sendmsg", CHANGES | MEMORY, NULL},
	{SYS_recvmsg, "recvmsg", MEMORY, NULL},
	{SYS_kill, "kill", CHANGES, NULL},
	{SYS_pidfd_send_signal, "pidfd_send_signal", CHANGES, NULL},
	{SYS_waitid, "waitid", CHANGES, NULL},
	{SYS_bind, "bind", CHANGES | SPACE | MEMORY, NULL},
	{SYS_flock, "flock", CHANGES, NULL},
	{SYS_bpf, "bpf", CHANGES | FILES | MEMORY, NULL},
	{SYS_timerfd_create, "timerfd_create", FILES | MEMORY, NULL},
	{SYS_timerfd_settime, "timerfd_settime", CHANGES, NULL},
	{SYS_pidfd_open, "pidfd_open", FILES | MEMORY, NULL},
	{SYS_memfd_create, "memfd_create", FILES | MEMORY, NULL},
	{SYS_socket, "socket", FILES | MEMORY, NULL},
	{SYS_socketpair, "socketpair", FILES | MEMORY, NULL},
	{SYS_accept4, "accept4", FILES | MEMORY, NULL},
	{SYS_pipe2, "pipe2", FILES | MEMORY, NULL},
	{SYS_eventfd2, "eventfd2", FILES | MEMORY, NULL},
	{SYS_epoll_create1, "epoll_create1", FILES | MEMORY, NULL},
	{SYS_epoll_ctl, "epoll_ctl", MEMORY, NULL},
	{SYS_dup, "dup", FILES, NULL},
	{SYS_fcntl, "fcntl", FILES, makes_duplicate},
	{SYS_mmap, "mmap", MEMORY, NULL},
	{SYS_brk, "brk", MEMORY, NULL},
};
/* clang-format on */

unsigned call_class(const char *name)
{
	for (size_t i = 0; i < sizeof(classes) / sizeof(*classes); i++) {
		if (strcmp(classes[i].name, name) == 0)
			return classes[i].class;
	}
	return 0;
}

static int is_fuse(pid_t tid, int fd)
{
	char path[64], target[64];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/fd/%d", tid, fd);
	n = readlink(path, target, sizeof(target) - 1);
	target[n > 0 ? n : 0] = '\0';
	return strcmp(target, "/dev/fuse") == 0;
}

static int first_is_fd(long nr)
{
	return nr == SYS_read || nr == SYS_write || nr == SYS_writev || nr == SYS_pread64;
}

const struct call *call_find(pid_t tid, unsigned class, const struct ptrace_syscall_info *info)
{
	for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++) {
		const struct call *c = &calls[i];

		if (c->nr != (long)info->entry.nr || !(c->classes & class) ||
		    (c->counts && !c->counts((const unsigned long long *)info->entry.args)))
			continue;
		if (class != CHANGES && class != ANY && first_is_fd(c->nr) &&
		    is_fuse(tid, (int)info->entry.args[0]))
			return NULL;
		return c;
	}
	return NULL;
}
