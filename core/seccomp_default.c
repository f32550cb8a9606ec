/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The profile "default": a list of what is allowed; the rest is refused with EPERM. In effect it is
 * docker's, for x86_64 and its 32-bit sibling, but for the rows marked "tighter", which are the
 * whole list of differences together with the x32 ABI (docker lets it in, we do not).
 */
#include <asm/ioctls.h>
#include <errno.h>
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <linux/version.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

#include "cleanup.h"
#include "seccomp_rules.h"

#define CAP(name) (UINT64_C(1) << CAP_##name)
#define NAMES(...)                \
	(const char *const[])     \
	{                         \
		__VA_ARGS__, NULL \
	}

/* Otherwise each name would get a line of its own. */
/* clang-format off */
static const char *const always[] = {
	"_llseek", "_newselect", "accept", "accept4", "access", "adjtimex", "alarm", "bind", "brk",
	"cachestat", "capget", "capset", "chdir", "chmod", "chown", "chown32", "clock_adjtime",
	"clock_adjtime64", "clock_getres", "clock_getres_time64", "clock_gettime",
	"clock_gettime64", "clock_nanosleep", "clock_nanosleep_time64", "close", "close_range",
	"connect", "copy_file_range", "creat", "dup", "dup2", "dup3", "epoll_create",
	"epoll_create1", "epoll_ctl", "epoll_ctl_old", "epoll_pwait", "epoll_pwait2", "epoll_wait",
	"epoll_wait_old", "eventfd", "eventfd2", "execve", "execveat", "exit", "exit_group",
	"faccessat", "faccessat2", "fadvise64", "fadvise64_64", "fallocate", "fanotify_mark",
	"fchdir", "fchmod", "fchmodat", "fchmodat2", "fchown", "fchown32", "fchownat", "fcntl",
	"fcntl64", "fdatasync", "fgetxattr", "flistxattr", "flock", "fork", "fremovexattr",
	"fsetxattr", "fstat", "fstat64", "fstatat64", "fstatfs", "fstatfs64", "fsync", "ftruncate",
	"ftruncate64", "futex", "futex_requeue", "futex_time64", "futex_wait", "futex_waitv",
	"futex_wake", "futimesat", "get_robust_list", "get_thread_area", "getcpu", "getcwd",
	"getdents", "getdents64", "getegid", "getegid32", "geteuid", "geteuid32", "getgid",
	"getgid32", "getgroups", "getgroups32", "getitimer", "getpeername", "getpgid", "getpgrp",
	"getpid", "getppid", "getpriority", "getrandom", "getresgid", "getresgid32", "getresuid",
	"getresuid32", "getrlimit", "getrusage", "getsid", "getsockname", "getsockopt", "gettid",
	"gettimeofday", "getuid", "getuid32", "getxattr", "getxattrat", "inotify_add_watch",
	"inotify_init", "inotify_init1", "inotify_rm_watch", "io_cancel", "io_destroy",
	"io_getevents", "io_pgetevents", "io_pgetevents_time64", "io_setup", "io_submit",
	"ioprio_get", "ioprio_set", "ipc", "kill", "landlock_add_rule", "landlock_create_ruleset",
	"landlock_restrict_self", "lchown", "lchown32", "lgetxattr", "link", "linkat", "listen",
	"listmount", "listxattr", "listxattrat", "llistxattr", "lremovexattr", "lseek", "lsetxattr",
	"lstat", "lstat64", "madvise", "map_shadow_stack", "membarrier", "memfd_create",
	"memfd_secret", "mincore", "mkdir", "mkdirat", "mknod", "mknodat", "mlock", "mlock2",
	"mlockall", "mmap", "mmap2", "mprotect", "mq_getsetattr", "mq_notify", "mq_open",
	"mq_timedreceive", "mq_timedreceive_time64", "mq_timedsend", "mq_timedsend_time64",
	"mq_unlink", "mremap", "mseal", "msgctl", "msgget", "msgrcv", "msgsnd", "msync", "munlock",
	"munlockall", "munmap", "name_to_handle_at", "nanosleep", "newfstatat", "open", "openat",
	"openat2", "pause", "pidfd_open", "pidfd_send_signal", "pipe", "pipe2", "pkey_alloc",
	"pkey_free", "pkey_mprotect", "poll", "ppoll", "ppoll_time64", "prctl", "pread64", "preadv",
	"preadv2", "prlimit64", "process_mrelease", "pselect6", "pselect6_time64", "pwrite64",
	"pwritev", "pwritev2", "read", "readahead", "readlink", "readlinkat", "readv", "recv",
	"recvfrom", "recvmmsg", "recvmmsg_time64", "recvmsg", "remap_file_pages", "removexattr",
	"removexattrat", "rename", "renameat", "renameat2", "restart_syscall", "rmdir", "rseq",
	"rt_sigaction", "rt_sigpending", "rt_sigprocmask", "rt_sigqueueinfo", "rt_sigreturn",
	"rt_sigsuspend", "rt_sigtimedwait", "rt_sigtimedwait_time64", "rt_tgsigqueueinfo",
	"sched_get_priority_max", "sched_get_priority_min", "sched_getaffinity", "sched_getattr",
	"sched_getparam", "sched_getscheduler", "sched_rr_get_interval",
	"sched_rr_get_interval_time64", "sched_setaffinity", "sched_setattr", "sched_setparam",
	"sched_setscheduler", "sched_yield", "seccomp", "select", "semctl", "semget", "semop",
	"semtimedop", "semtimedop_time64", "send", "sendfile", "sendfile64", "sendmmsg", "sendmsg",
	"sendto", "set_robust_list", "set_thread_area", "set_tid_address", "setfsgid", "setfsgid32",
	"setfsuid", "setfsuid32", "setgid", "setgid32", "setgroups", "setgroups32", "setitimer",
	"setpgid", "setpriority", "setregid", "setregid32", "setresgid", "setresgid32", "setresuid",
	"setresuid32", "setreuid", "setreuid32", "setrlimit", "setsid", "setsockopt", "setuid",
	"setuid32", "setxattr", "setxattrat", "shmat", "shmctl", "shmdt", "shmget", "shutdown",
	"sigaltstack", "signalfd", "signalfd4", "sigprocmask", "sigreturn", "socketpair", "splice",
	"stat", "stat64", "statfs", "statfs64", "statmount", "statx", "symlink", "symlinkat",
	"sync", "sync_file_range", "syncfs", "sysinfo", "tee", "tgkill", "time", "timer_create",
	"timer_delete", "timer_getoverrun", "timer_gettime", "timer_gettime64", "timer_settime",
	"timer_settime64", "timerfd_create", "timerfd_gettime", "timerfd_gettime64",
	"timerfd_settime", "timerfd_settime64", "times", "tkill", "truncate", "truncate64",
	"ugetrlimit", "umask", "uname", "unlink", "unlinkat", "uretprobe", "utime", "utimensat",
	"utimensat_time64", "utimes", "vfork", "vmsplice", "wait4", "waitid", "waitpid", "write",
	"writev", NULL
};

static const char *const with_sys_admin[] = {
	"bpf", "clone", "clone3", "fanotify_init", "fsconfig", "fsmount", "fsopen", "fspick",
	"lookup_dcookie", "lsm_get_self_attr", "lsm_list_modules", "lsm_set_self_attr", "mount",
	"mount_setattr", "move_mount", "open_tree", "perf_event_open", "quotactl", "quotactl_fd",
	"setdomainname", "sethostname", "setns", "syslog", "umount", "umount2", "unshare", NULL
};

static const char *const with_sys_ptrace[] = {
	"kcmp", "pidfd_getfd", "process_madvise", "process_vm_readv", "process_vm_writev", "ptrace",
	NULL
};

static const char *const with_sys_time[] = {
	"clock_settime", "clock_settime64", "settimeofday", "stime", NULL
};

static const char *const with_sys_nice[] = {
	"get_mempolicy", "mbind", "set_mempolicy", "set_mempolicy_home_node", NULL
};

static const char *const with_sys_module[] = {
	"delete_module", "finit_module", "init_module", NULL
};
/* clang-format on */

#define LOWER_HALF UINT64_C(0xffffffff)

/*
 * Tighter. The kernel takes these arguments as 32-bit numbers, so that their upper halves do not
 * count; docker's file looks at them. AF_ALG and AF_VSOCK reach kernel code of little use to a
 * container and a long record of faults: the first the crypto API, the second the hypervisor.
 */
static const struct seccomp_when not_alg_vsock = {
	.conds = {{0, SECCOMP_MASKED_NE, LOWER_HALF, AF_ALG},
		  {0, SECCOMP_MASKED_NE, LOWER_HALF, AF_VSOCK}},
	.count = 2,
	.text = "(int)arg0 (domain) is neither 38 (AF_ALG) nor 40 (AF_VSOCK)",
};

/* Tighter. The first types into a terminal, the second pastes into a console. */
static const struct seccomp_when not_typing = {
	.conds = {{1, SECCOMP_MASKED_NE, LOWER_HALF, TIOCSTI},
		  {1, SECCOMP_MASKED_NE, LOWER_HALF, TIOCLINUX}},
	.count = 2,
	.text = "(int)arg1 is neither 0x5412 (TIOCSTI) nor 0x541c (TIOCLINUX)",
};

#define EQUAL(value, says)                                                      \
	{                                                                       \
		.conds = {{0, SCMP_CMP_EQ, value, 0}}, .count = 1, .text = says \
	}

/* The other personalities switch off protections, such as address space randomisation. */
static const struct seccomp_when linux_64 = EQUAL(0x0, "arg0 == 0x0 (PER_LINUX)");
static const struct seccomp_when linux_32 = EQUAL(0x8, "arg0 == 0x8 (PER_LINUX32)");
static const struct seccomp_when uname26_64 = EQUAL(0x20000, "arg0 == 0x20000 (UNAME26)");
static const struct seccomp_when uname26_32 = EQUAL(0x20008,
						    "arg0 == 0x20008 (UNAME26, PER_LINUX32)");
static const struct seccomp_when ask_only = EQUAL(0xffffffff, "arg0 == 0xffffffff (only asks)");

/* CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET. */
static const struct seccomp_when no_namespace = {
	.conds = {{0, SCMP_CMP_MASKED_EQ, 0x7e020000, 0}},
	.count = 1,
	.text = "arg0 & 0x7e020000 == 0 (no new namespace)",
};

/**
 * struct seccomp_row - what happens to the calls @names (NULL-terminated), on both ABIs.
 * @needs: in force only if the bounding set has this capability (a mask of one bit); 0: always.
 * @lacks: in force only if the bounding set lacks this capability; 0: always.
 * @kernel: in force only from this version on, as KERNEL_VERSION(); 0: always.
 * @when: the argument decides; NULL: whatever the arguments are.
 * @refuse: 0 allows; otherwise the errno instead of the default action's EPERM.
 */
struct seccomp_row {
	const char *const *names;
	uint64_t needs, lacks;
	uint32_t kernel;
	const struct seccomp_when *when;
	int refuse;
};

static const struct seccomp_row seccomp_rows[] = {
	{.names = always},
	/* Before 4.8 a traced program could slip past its filter. */
	{.names = NAMES("process_vm_readv", "process_vm_writev", "ptrace"),
	 .kernel = KERNEL_VERSION(4, 8, 0)},
	{.names = NAMES("socket"), .when = &not_alg_vsock},
	/*
	 * Tighter. socketcall(2) passes its arguments in memory, so a filter that allows it allows
	 * every domain. Since Linux 4.3 i386 has each of the socket calls under a number of its
	 * own. The other multiplexer, ipc(2), reaches nothing that is not allowed directly, and
	 * stays.
	 */
	{.names = NAMES("socketcall"), .refuse = ENOSYS},
	{.names = NAMES("ioctl"), .when = &not_typing},
	{.names = NAMES("personality"), .when = &linux_64},
	{.names = NAMES("personality"), .when = &linux_32},
	{.names = NAMES("personality"), .when = &uname26_64},
	{.names = NAMES("personality"), .when = &uname26_32},
	{.names = NAMES("personality"), .when = &ask_only},
	{.names = NAMES("arch_prctl", "modify_ldt")}, /* x86 has them, other machines not */
	{.names = NAMES("clone"), .lacks = CAP(SYS_ADMIN), .when = &no_namespace},
	/* Its flags lie in memory, where no filter can look; ENOSYS sends libc back to clone. */
	{.names = NAMES("clone3"), .lacks = CAP(SYS_ADMIN), .refuse = ENOSYS},
	{.names = NAMES("open_by_handle_at"), .needs = CAP(DAC_READ_SEARCH)},
	{.names = with_sys_admin, .needs = CAP(SYS_ADMIN)},
	{.names = NAMES("reboot"), .needs = CAP(SYS_BOOT)},
	{.names = NAMES("chroot"), .needs = CAP(SYS_CHROOT)},
	{.names = with_sys_module, .needs = CAP(SYS_MODULE)},
	{.names = NAMES("acct"), .needs = CAP(SYS_PACCT)},
	{.names = with_sys_ptrace, .needs = CAP(SYS_PTRACE)},
	{.names = NAMES("ioperm", "iopl"), .needs = CAP(SYS_RAWIO)},
	{.names = with_sys_time, .needs = CAP(SYS_TIME)},
	{.names = NAMES("vhangup"), .needs = CAP(SYS_TTY_CONFIG)},
	{.names = with_sys_nice, .needs = CAP(SYS_NICE)},
	{.names = NAMES("syslog"), .needs = CAP(SYSLOG)},
	{.names = NAMES("bpf"), .needs = CAP(BPF)},
	{.names = NAMES("perf_event_open"), .needs = CAP(PERFMON)},
};
const size_t seccomp_row_count = CTN_COUNT(seccomp_rows);

_Static_assert(CTN_COUNT(seccomp_rows) <= 64, "the rows in force are a 64-bit mask");

static bool row_in_force(const struct seccomp_row *row, uint64_t caps, uint32_t kernel)
{
	return (!row->needs || (caps & row->needs)) && !(caps & row->lacks) &&
	       kernel >= row->kernel;
}

static bool row_has(const struct seccomp_row *row, const char *name)
{
	for (const char *const *n = row->names; *n; n++) {
		if (strcmp(*n, name) == 0)
			return true;
	}
	return false;
}

/* Whether the other rows of @rows allow, without a condition, each call that @row allows. */
static bool row_is_redundant(const struct seccomp_row *row, uint64_t rows)
{
	if (row->refuse || row->when)
		return false;
	for (const char *const *name = row->names; *name; name++) {
		bool found = false;

		for (size_t i = 0; i < seccomp_row_count && !found; i++) {
			const struct seccomp_row *other = &seccomp_rows[i];

			if (!(rows >> i & 1) || other == row || other->when || other->refuse)
				continue;
			found = row_has(other, *name);
		}
		if (!found)
			return false;
	}
	return true;
}

uint64_t seccomp_default_rows(uint64_t caps, uint32_t kernel)
{
	uint64_t rows = 0;

	for (size_t i = 0; i < seccomp_row_count; i++) {
		if (row_in_force(&seccomp_rows[i], caps, kernel))
			rows |= UINT64_C(1) << i;
	}
	for (size_t i = seccomp_row_count; i-- > 0;) {
		if ((rows >> i & 1) && row_is_redundant(&seccomp_rows[i], rows))
			rows &= ~(UINT64_C(1) << i);
	}
	return rows;
}

int seccomp_default_add(struct seccomp_profile *p, uint64_t rows, struct ctn_err *err)
{
	p->builtin = true;
	p->rows = rows;
	p->abis = 1 << SECCOMP_X86_64 | 1 << SECCOMP_I386;
	p->fallback = SECCOMP_RET_ERRNO | EPERM;
	p->foreign = SECCOMP_RET_ERRNO | ENOSYS; /* x32, as on a kernel without it */
	for (size_t i = 0; i < seccomp_row_count; i++) {
		const struct seccomp_row *row = &seccomp_rows[i];
		uint32_t action = row->refuse ? SECCOMP_RET_ERRNO | (uint32_t)row->refuse
					      : SECCOMP_RET_ALLOW;

		for (const char *const *name = row->names; *name && (rows >> i & 1); name++) {
			int r = seccomp_add(p, *name, action, row->when, row->needs, err);

			if (r < 0)
				return r;
		}
	}
	return 0;
}

const char *const *seccomp_default_row(size_t i, uint64_t *ret_cap)
{
	*ret_cap = seccomp_rows[i].needs;
	return seccomp_rows[i].needs ? seccomp_rows[i].names : NULL;
}
