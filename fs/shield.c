/* SPDX-License-Identifier: Apache-2.0 */
#include "shield.h"

#include <errno.h>
#include <linux/bpf.h>
#include <linux/nsfs.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <seccomp.h>
#include <stdbool.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "../core/cleanup.h"

/* --- capabilities --- */

/* What is kept, and what for. The bounding set stays: it counts only at an execve, which there is
 * none of any more, and says what `caps` can give to containers. */
static const cap_value_t kept[] = {
	CAP_CHOWN,	  /* layers and FIFOs belong to the container's ids */
	CAP_DAC_OVERRIDE, /* files in layers belong to others: rmdir removes them */
	CAP_FOWNER,	  /* so do directories that are sticky, and modes that are set */
	CAP_FSETID,	  /* set-group-ID directories of a layer stay what they are */
	CAP_KILL,	  /* `ctl`: the container's processes are of other users */
	CAP_NET_ADMIN,	/* device programs of cgroup v2: Linux 6.1 asks for it, and nothing else */
	CAP_SYS_ADMIN,	/* unmounting; into namespaces; device programs of cgroup v2 */
	CAP_SYS_CHROOT, /* into the host's mount namespace, for that, and a container's */
	CAP_SYS_NICE,	/* `cgroup/procs`: cpuset asks for it to move who has rights we lack */
	CAP_SYS_PTRACE, /* ns/, root, procs/: links into /proc of the container's processes */
	CAP_SYS_RESOURCE, /* oom_score_adj below the server's own */
	CAP_SYSLOG,	  /* /dev/kmsg: whom the OOM killer took */
};

static int keep_caps(struct ctn_err *err)
{
	cap_t have = cap_get_proc(), want = cap_init();
	int r = have && want ? 0 : -1;

	for (size_t i = 0; r == 0 && i < CTN_COUNT(kept); i++) {
		cap_flag_value_t value = CAP_CLEAR;

		/* A machine may have given us less. */
		if (cap_get_flag(have, kept[i], CAP_PERMITTED, &value) == 0 && value == CAP_SET) {
			r = cap_set_flag(want, CAP_PERMITTED, 1, &kept[i], CAP_SET);
			r |= cap_set_flag(want, CAP_EFFECTIVE, 1, &kept[i], CAP_SET);
		}
	}
	if (r == 0)
		r = cap_set_proc(want);
	if (r < 0)
		r = ctn_fail_errno(err, "give up capabilities");
	(void)cap_free(have);
	(void)cap_free(want);
	return r;
}

/* --- system calls --- */

/* What the server and its libraries do, by groups; that is less than a third of what there is. */
/* clang-format off */
static const char *const allowed[] = {
	/* files, through descriptors */
	"access", "chdir", "chmod", "close", "close_range", "copy_file_range", "creat", "dup",
	"dup2", "dup3", "faccessat", "faccessat2", "fadvise64", "fallocate", "fchdir", "fchmod",
	"fchmodat", "fchown", "fchownat", "fcntl", "fdatasync", "fgetxattr", "flistxattr", "flock",
	"fremovexattr", "fsetxattr", "fstat", "fstatfs", "fsync", "ftruncate", "getcwd",
	"getdents64", "getxattr", "lgetxattr", "linkat", "llistxattr", "lseek", "lstat", "mkdir",
	"mkdirat", "mknodat", "newfstatat", "open", "openat", "openat2", "pread64", "preadv",
	"pwrite64", "pwritev", "read", "readlink", "readlinkat", "readv", "rename", "renameat",
	"renameat2", "rmdir", "sendfile", "stat", "statfs", "statx", "symlinkat",
	"sync_file_range", "syncfs", "umask", "unlink", "unlinkat", "utimensat", "write", "writev",
	/* waiting */
	"epoll_create1", "epoll_ctl", "epoll_pwait", "epoll_pwait2", "epoll_wait", "eventfd2",
	"inotify_add_watch", "inotify_init1", "inotify_rm_watch", "memfd_create", "pipe2", "poll",
	"ppoll", "pselect6", "select", "timerfd_create", "timerfd_gettime", "timerfd_settime",
	/* monitors, the service manager, syslog */
	"bind", "connect", "getpeername", "getsockname", "getsockopt", "recvfrom", "recvmsg",
	"sendmsg", "sendto", "setsockopt", "shutdown", "socketpair",
	/* processes that there are */
	"getpgid", "getsid", "kill", "pidfd_open", "pidfd_send_signal", "prlimit64", "tgkill",
	"wait4", "waitid",
	/* `hostname`, in the container's namespace */
	"sethostname",
	/* memory, threads, time, what a C library does */
	"brk", "clock_getres", "clock_gettime", "clock_nanosleep", "exit", "exit_group", "futex",
	"getegid", "geteuid", "getgid", "getpid", "getppid", "getrandom", "getrusage", "gettid",
	"gettimeofday", "getuid", "madvise", "membarrier", "mmap", "mprotect", "mremap", "munmap",
	"nanosleep", "restart_syscall", "rseq", "rt_sigaction", "rt_sigpending", "rt_sigprocmask",
	"rt_sigqueueinfo", "rt_sigreturn", "rt_sigsuspend", "rt_sigtimedwait", "rt_tgsigqueueinfo",
	"sched_getaffinity", "sched_yield", "set_robust_list", "set_tid_address", "setitimer",
	"sigaltstack", "sysinfo", "time", "times", "uname",
};
/* clang-format on */

/* Those of which one form is enough. @mask: the bits of the argument that have to be @value. */
static const struct {
	const char *name;
	unsigned arg;
	uint64_t mask, value;
} forms[] = {
	{"clone", 0, CLONE_THREAD | CLONE_VM, CLONE_THREAD | CLONE_VM}, /* a thread, no process */
	{"socket", 0, UINT32_MAX, AF_UNIX},
	{"prctl", 0, UINT32_MAX, PR_SET_NAME},
	{"prctl", 0, UINT32_MAX, PR_CAPBSET_READ},
	{"prctl", 0, UINT32_MAX, PR_GET_SECCOMP}, /* libseccomp asks what the kernel can do */
	{"ioctl", 1, UINT32_MAX, NS_GET_NSTYPE},
	{"ioctl", 1, UINT32_MAX, NS_GET_USERNS},
	{"ioctl", 1, UINT32_MAX, TCGETS}, /* `stdin` of one with a terminal */
	{"seccomp", 0, UINT32_MAX, SECCOMP_GET_ACTION_AVAIL},
	{"bpf", 0, UINT32_MAX, BPF_PROG_LOAD}, /* these five: devices on cgroup v2 */
	{"bpf", 0, UINT32_MAX, BPF_PROG_ATTACH},
	{"bpf", 0, UINT32_MAX, BPF_PROG_QUERY},
	{"bpf", 0, UINT32_MAX, BPF_PROG_GET_FD_BY_ID},
	{"bpf", 0, UINT32_MAX, BPF_OBJ_GET_INFO_BY_FD},
	{"setns", 1, UINT32_MAX, CLONE_NEWUTS}, /* `hostname` */
	{"unshare", 0, UINT32_MAX, CLONE_FS},	/* these two: the host's mounts, or a container's */
	{"setns", 1, UINT32_MAX, CLONE_NEWNS},
	{"umount2", 1, UINT32_MAX, MNT_DETACH},
};

static int allow_forms(scmp_filter_ctx ctx)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < CTN_COUNT(forms); i++)
		r = seccomp_rule_add(
			ctx, SCMP_ACT_ALLOW, seccomp_syscall_resolve_name(forms[i].name), 1,
			SCMP_CMP(forms[i].arg, SCMP_CMP_MASKED_EQ, forms[i].mask, forms[i].value));
	return r;
}

static int allow_all(scmp_filter_ctx ctx)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < CTN_COUNT(allowed); i++) {
		int nr = seccomp_syscall_resolve_name(allowed[i]);

		if (nr !=
		    __NR_SCMP_ERROR) /* this libseccomp does not know it, so neither do others */
			r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, nr, 0);
	}
	if (r == 0) /* no_clone3() has decided */
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(clone3), 0);
	return r < 0 ? r : allow_forms(ctx);
}

/* What clone3(2) is to make is in memory, where a filter does not see it. Told that there is none,
 * the C library starts threads by clone(2). A filter of its own, or each thread were a line in the
 * kernel's log. */
static int no_clone3(void)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);
	int r = ctx ? seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0) : -ENOMEM;

	if (r == 0)
		r = seccomp_load(ctx);
	seccomp_release(ctx);
	return r;
}

/* ENOSYS: a library that is newer than this list then does it the older way. */
static int filter_load(uint32_t otherwise)
{
	scmp_filter_ctx ctx = seccomp_init(otherwise);
	int r = ctx ? seccomp_attr_set(ctx, SCMP_FLTATR_CTL_LOG, 1) : -ENOMEM;

	if (r == 0)
		r = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	if (r == 0)
		r = allow_all(ctx);
	if (r == 0)
		r = no_clone3();
	if (r == 0)
		r = seccomp_load(ctx);
	seccomp_release(ctx);
	return r;
}

/* Address and thread sanitizer look for leaks and stop threads by calls that a server has no use
 * for. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
static const bool filtered = false;
#else
static const bool filtered = true;
#endif

int shield(enum shield_filter filter, struct ctn_err *err)
{
	int r = keep_caps(err);

	if (r < 0)
		return r;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return ctn_fail_errno(err, "give up new privileges");
	if (filter == SHIELD_OFF || !filtered)
		return 0;
	r = filter_load(filter == SHIELD_KILL ? SCMP_ACT_KILL_PROCESS : SCMP_ACT_ERRNO(ENOSYS));
	return r < 0 ? ctn_fail(err, -r,
				"load the server's own system call filter: %s; -o filter=off does "
				"without",
				strerrordesc_np(-r))
		     : 0;
}
