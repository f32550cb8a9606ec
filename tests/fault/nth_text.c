/* SPDX-License-Identifier: Apache-2.0 */
#include "nth_text.h"

#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <linux/ptrace.h> /* after <sys/ptrace.h> */

/* Of the arguments in their order: d and p the directory's descriptor and a path below it, P a
 * path, f a descriptor, s a string, n a number, - nothing that says where. */
static const struct {
	long nr;
	const char *shape;
} shapes[] = {
	{SYS_mkdir, "P"},	{SYS_mkdirat, "dp"},	  {SYS_rmdir, "P"},
	{SYS_unlink, "P"},	{SYS_unlinkat, "dp"},	  {SYS_rename, "PP"},
	{SYS_renameat, "dpdp"}, {SYS_renameat2, "dpdp"},  {SYS_linkat, "dpdp"},
	{SYS_symlinkat, "sdp"}, {SYS_mknodat, "dp"},	  {SYS_open, "P"},
	{SYS_openat, "dp"},	{SYS_openat2, "dp"},	  {SYS_read, "f"},
	{SYS_write, "f"},	{SYS_writev, "f"},	  {SYS_pwrite64, "f"},
	{SYS_fsync, "f"},	{SYS_fdatasync, "f"},	  {SYS_ftruncate, "f"},
	{SYS_fallocate, "f"},	{SYS_fchown, "f"},	  {SYS_fchownat, "dp"},
	{SYS_fchmod, "f"},	{SYS_fchmodat, "dp"},	  {SYS_flock, "f"},
	{SYS_mount, "PP"},	{SYS_umount2, "P"},	  {SYS_pivot_root, "PP"},
	{SYS_open_tree, "dp"},	{SYS_move_mount, "dpdp"}, {SYS_mount_setattr, "dp"},
	{SYS_fsconfig, "-nss"}, {SYS_fsopen, "s"},	  {SYS_setns, "f"},
	{SYS_execve, "P"},	{SYS_kill, "-n"},	  {SYS_pidfd_send_signal, "-n"},
	{SYS_sendmsg, "f"},	{SYS_unshare, "n"},
};

static const char *shape_of(long nr)
{
	for (size_t i = 0; i < sizeof(shapes) / sizeof(*shapes); i++) {
		if (shapes[i].nr == nr)
			return shapes[i].shape;
	}
	return "";
}

/* By pages: the string may end just before one that is not there. */
static void read_string(pid_t tid, unsigned long long at, char *ret, size_t size)
{
	size_t n = 0;

	memset(ret, 0, size);
	while (at && n + 1 < size && !memchr(ret, '\0', n)) {
		size_t part = 4096 - (at + n) % 4096;
		struct iovec to = {ret + n, part < size - 1 - n ? part : size - 1 - n};
		struct iovec from = {(void *)(uintptr_t)(at + n), to.iov_len};
		ssize_t got = process_vm_readv(tid, &to, 1, &from, 1, 0);

		if (got <= 0)
			return;
		n += (size_t)got;
	}
}

static void read_link(pid_t tid, int fd, char *ret, size_t size)
{
	char path[64];
	ssize_t n;

	if (fd == AT_FDCWD)
		snprintf(path, sizeof(path), "/proc/%d/cwd", tid);
	else
		snprintf(path, sizeof(path), "/proc/%d/fd/%d", tid, fd);
	n = readlink(path, ret, size - 1);
	ret[n > 0 ? n : 0] = '\0';
}

static void one(pid_t tid, char kind, unsigned long long value, char *ret, size_t size)
{
	if (kind == 'd' || kind == 'f')
		read_link(tid, (int)value, ret, size);
	else if (kind == 'n')
		snprintf(ret, size, "%lld", value);
	else
		read_string(tid, value, ret, size);
}

void call_text(pid_t tid, const struct ptrace_syscall_info *info, char *ret, size_t size)
{
	const char *shape = shape_of((long)info->entry.nr);
	size_t len = 0;

	ret[0] = '\0';
	for (size_t i = 0; shape[i]; i++) {
		char text[PATH_MAX];
		int n;

		if (shape[i] == '-')
			continue;
		one(tid, shape[i], info->entry.args[i], text, sizeof(text));
		n = snprintf(ret + len, size - len, "%s%s",
			     shape[i] == 'p' ? "/"
			     : len	     ? " "
					     : "",
			     text);
		if (n < 0 || (size_t)n >= size - len)
			return;
		len += (size_t)n;
	}
}
