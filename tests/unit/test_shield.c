/* SPDX-License-Identifier: Apache-2.0 */
/* What is left of a process that has called shield(); each case in one of its own. */
#include "../../fs/shield.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
static const bool filtered = false;
#else
static const bool filtered = true;
#endif

/* Return: wait status of a child that does @fn behind the shield. */
static int behind(enum shield_filter filter, int (*fn)(void))
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0) {
		struct ctn_err err = {0};

		if (shield(filter, &err) < 0) {
			fprintf(stderr, "%s\n", err.text);
			_exit(99);
		}
		_exit(fn());
	}
	CHECK(pid > 0 && waitpid(pid, &status, 0) == pid);
	return status;
}

static bool exits_with(int status, int code)
{
	return WIFEXITED(status) && WEXITSTATUS(status) == code;
}

static const char *const true_argv[] = {"true", NULL};

static long try_execve(void)
{
	return syscall(SYS_execve, "/bin/true", true_argv, NULL);
}

static long try_execveat(void)
{
	return syscall(SYS_execveat, AT_FDCWD, "/bin/true", true_argv, NULL, 0);
}

static long try_fork(void)
{
	return syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
}

static long try_vm_fork(void)
{
	return syscall(SYS_clone, CLONE_VM | SIGCHLD, NULL, NULL, NULL, NULL);
}

static long try_clone3(void)
{
	return syscall(SYS_clone3, NULL, 0);
}

static long try_ptrace(void)
{
	return syscall(SYS_ptrace, PTRACE_TRACEME, 0, 0, 0);
}

static long try_mount(void)
{
	return syscall(SYS_mount, "none", "/nowhere", "tmpfs", 0, NULL);
}

static long try_inet(void)
{
	return syscall(SYS_socket, AF_INET, SOCK_STREAM, 0);
}

static long try_netlink(void)
{
	return syscall(SYS_socket, AF_NETLINK, SOCK_RAW, 0);
}

static long try_unshare_user(void)
{
	return syscall(SYS_unshare, CLONE_NEWUSER);
}

static long try_setns_any(void)
{
	return syscall(SYS_setns, -1, 0);
}

static long try_umount_force(void)
{
	return syscall(SYS_umount2, "/nowhere", MNT_FORCE);
}

static long try_setuid(void)
{
	return syscall(SYS_setuid, 0);
}

static long try_capset(void)
{
	return syscall(SYS_capset, NULL, NULL);
}

static long try_module(void)
{
	return syscall(SYS_finit_module, -1, "", 0);
}

static long try_kexec(void)
{
	return syscall(SYS_kexec_load, 0, 0, NULL, 0);
}

static long try_keys(void)
{
	return syscall(SYS_keyctl, 0, 0, 0, 0, 0);
}

static long try_uring(void)
{
	return syscall(SYS_io_uring_setup, 0, NULL);
}

static long try_handle(void)
{
	return syscall(SYS_open_by_handle_at, -1, NULL, 0);
}

static long try_memory(void)
{
	return syscall(SYS_process_vm_readv, getpid(), NULL, 0, NULL, 0, 0);
}

static long try_bpf_map(void)
{
	return syscall(SYS_bpf, 0 /* BPF_MAP_CREATE */, NULL, 0);
}

static long try_filter(void)
{
	return syscall(SYS_seccomp, 1 /* SECCOMP_SET_MODE_FILTER */, 0, NULL);
}

static long try_dumpable(void)
{
	return syscall(SYS_prctl, PR_SET_DUMPABLE, 1, 0, 0, 0);
}

static long (*const refused[])(void) = {
	try_execve,	  try_execveat,	 try_fork,	   try_vm_fork, try_clone3,   try_ptrace,
	try_mount,	  try_inet,	 try_netlink,	   try_module,	try_kexec,    try_keys,
	try_unshare_user, try_setns_any, try_umount_force, try_setuid,	try_capset,   try_uring,
	try_handle,	  try_memory,	 try_bpf_map,	   try_filter,	try_dumpable,
};

/* Which one was not refused: its number from 1 on. */
static int do_refused(void)
{
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		errno = 0;
		if (refused[i]() != -1 || errno != ENOSYS)
			return (int)i + 1;
	}
	return 0;
}

static void *set_flag(void *flag)
{
	*(int *)flag = 1;
	return NULL;
}

/* What a server does: threads, files, its own kind of sockets. */
static int do_allowed(void)
{
	pthread_t thread;
	int flag = 0, fd;

	if (pthread_create(&thread, NULL, set_flag, &flag) != 0)
		return 1;
	pthread_join(thread, NULL);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	return flag != 1 || fd < 0 || access("/", F_OK) < 0 || prctl(PR_SET_NAME, "x") < 0;
}

static void test_on(void)
{
	CHECK(exits_with(behind(SHIELD_ON, do_allowed), 0));
	if (filtered)
		CHECK(exits_with(behind(SHIELD_ON, do_refused), 0));
}

static int do_execve(void)
{
	(void)try_execve();
	return 1;
}

static void test_kill_and_off(void)
{
	int status = behind(SHIELD_KILL, do_execve);

	CHECK(exits_with(behind(SHIELD_KILL, do_allowed), 0));
	if (filtered)
		CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
	CHECK(exits_with(behind(SHIELD_OFF, do_execve), 0));
}

/* Gone for good, without a way back by executing something set-user-ID. */
static int do_caps(void)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {0};
	const unsigned never = 1U << CAP_SETUID | 1U << CAP_SETGID | 1U << CAP_SETPCAP |
			       1U << CAP_SYS_MODULE | 1U << CAP_SYS_RAWIO | 1U << CAP_SYS_BOOT |
			       1U << CAP_SYS_TIME | 1U << CAP_MKNOD;

	if (syscall(SYS_capget, &head, data) < 0)
		return 1;
	if (data[0].permitted & never || data[0].inheritable || data[1].inheritable ||
	    data[0].effective != data[0].permitted)
		return 2;
	data[0].permitted = data[0].effective = never;
	if (syscall(SYS_capset, &head, data) == 0)
		return 3;
	return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1;
}

static void test_caps(void)
{
	CHECK(exits_with(behind(SHIELD_OFF, do_caps), 0));
}

static const struct check_test tests[] = {
	{"the filter", test_on},
	{"kills, or is not there", test_kill_and_off},
	{"capabilities", test_caps},
};

int main(void)
{
	return check_run(tests, sizeof(tests) / sizeof(tests[0]));
}
