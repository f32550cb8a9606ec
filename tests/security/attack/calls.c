/* SPDX-License-Identifier: Apache-2.0 */
/* Makes system calls that a container has no business with (N20 to N23), and prints what came of
 * each: "NAME ERRNO", or "NAME ok". The arguments are such that the kernel, if it ever looks at
 * them, says something else than a filter, and does nothing.
 *
 *     calls            those of this machine
 *     calls 32         the same and others by the 32-bit entry, int 0x80
 *     calls x32        with the bit of the x32 ABI
 *     calls keys NAME  looks for a key of that name in the session keyring, by both entries
 *     calls wait       prints "READY" and stays until it is killed */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define BAD  -1L
#define HIGH (1L << 32)
enum { X32_BIT = 0x40000000 };

struct call {
	const char *name;
	long number;
	long args[6];
};

#define ALL_BAD                              \
	{                                    \
		BAD, BAD, BAD, BAD, BAD, BAD \
	}
#define ROW(name)                          \
	{                                  \
#name, SYS_##name, ALL_BAD \
	}

/* clang-format off */
static const struct call calls[] = {
	ROW(mount), ROW(umount2), ROW(pivot_root), ROW(swapon), ROW(swapoff), ROW(acct), ROW(settimeofday),
	ROW(clock_settime), ROW(init_module), ROW(finit_module), ROW(delete_module), ROW(kexec_load),
	ROW(kexec_file_load), ROW(add_key), ROW(request_key), ROW(keyctl), ROW(unshare), ROW(setns),
	ROW(perf_event_open), ROW(open_by_handle_at), ROW(fanotify_init), ROW(bpf), ROW(userfaultfd),
	ROW(quotactl), ROW(quotactl_fd), ROW(move_mount), ROW(fsopen), ROW(fsconfig), ROW(fsmount), ROW(fspick),
	ROW(mount_setattr), ROW(open_tree), ROW(io_uring_setup), ROW(io_uring_enter), ROW(io_uring_register),
	ROW(lookup_dcookie), ROW(syslog), ROW(sethostname), ROW(setdomainname), ROW(iopl), ROW(ioperm),
	ROW(kcmp), ROW(pidfd_getfd), ROW(process_madvise), ROW(move_pages), ROW(migrate_pages), ROW(mbind),
	ROW(set_mempolicy), ROW(get_mempolicy), ROW(set_mempolicy_home_node), ROW(uselib), ROW(ustat), ROW(sysfs),
	ROW(_sysctl), ROW(create_module), ROW(get_kernel_syms), ROW(query_module), ROW(nfsservctl), ROW(getpmsg),
	ROW(putpmsg), ROW(afs_syscall), ROW(tuxcall), ROW(security), ROW(vserver),
	{"reboot", SYS_reboot, {1, 2, 3, 4}}, /* not its magic numbers */
	{"lsm_get_self_attr", 459, ALL_BAD}, {"lsm_set_self_attr", 460, ALL_BAD}, {"lsm_list_modules", 461, ALL_BAD},
	{"open_tree_attr", 467, ALL_BAD}, {"listns", 470, ALL_BAD}, {"nobody's", 999, ALL_BAD},
	{"clone3", SYS_clone3, {0, 0}},
	{"clone newns", SYS_clone, {CLONE_NEWNS | SIGCHLD}}, {"clone newcgroup", SYS_clone, {CLONE_NEWCGROUP | SIGCHLD}},
	{"clone newuts", SYS_clone, {CLONE_NEWUTS | SIGCHLD}}, {"clone newipc", SYS_clone, {CLONE_NEWIPC | SIGCHLD}},
	{"clone newuser", SYS_clone, {CLONE_NEWUSER | SIGCHLD}}, {"clone newpid", SYS_clone, {CLONE_NEWPID | SIGCHLD}},
	{"clone newnet", SYS_clone, {CLONE_NEWNET | SIGCHLD}},
	{"clone newuser and high bits", SYS_clone, {CLONE_NEWUSER | SIGCHLD | HIGH}},
	{"unshare newuser", SYS_unshare, {CLONE_NEWUSER}}, {"unshare newtime", SYS_unshare, {0x80}},
	{"personality", SYS_personality, {0x0040000 /* ADDR_NO_RANDOMIZE */}},
	{"socket alg", SYS_socket, {AF_ALG, SOCK_SEQPACKET}}, {"socket vsock", SYS_socket, {AF_VSOCK, SOCK_STREAM}},
	{"socket alg and high bits", SYS_socket, {AF_ALG | HIGH, SOCK_SEQPACKET}},
	{"socket vsock and high bits", SYS_socket, {AF_VSOCK | HIGH, SOCK_STREAM}},
	{"socket vsock and all high bits", SYS_socket, {AF_VSOCK | -HIGH, SOCK_STREAM}},
};

/* The numbers of i386. */
static const struct call calls_32[] = {
	{"mount", 21, ALL_BAD}, {"umount", 22, ALL_BAD}, {"stime", 25, ALL_BAD}, {"umount2", 52, ALL_BAD},
	{"settimeofday", 79, ALL_BAD}, {"swapon", 87, ALL_BAD}, {"reboot", 88, {1, 2, 3, 4}}, {"init_module", 128, ALL_BAD},
	{"quotactl", 131, ALL_BAD}, {"pivot_root", 217, ALL_BAD}, {"kexec_load", 283, ALL_BAD}, {"add_key", 286, ALL_BAD},
	{"request_key", 287, ALL_BAD}, {"keyctl", 288, ALL_BAD}, {"unshare", 310, ALL_BAD}, {"perf_event_open", 336, ALL_BAD},
	{"open_by_handle_at", 342, ALL_BAD}, {"setns", 346, ALL_BAD}, {"finit_module", 350, ALL_BAD}, {"bpf", 357, ALL_BAD},
	{"userfaultfd", 374, ALL_BAD}, {"io_uring_setup", 425, ALL_BAD}, {"open_tree", 428, ALL_BAD}, {"fsopen", 430, ALL_BAD},
	{"clone3", 435, {0, 0}}, {"clone newuser", 120, {CLONE_NEWUSER | SIGCHLD}},
	{"socket alg", 359, {AF_ALG, SOCK_SEQPACKET}}, {"socket vsock", 359, {AF_VSOCK, SOCK_STREAM}},
};
/* clang-format on */

static void say(const char *name, long r)
{
	printf("%s %s\n", name, r < 0 ? strerrorname_np((int)-r) ?: "?" : "ok");
	fflush(stdout);
}

static long call_64(const struct call *c, long bit)
{
	const long *a = c->args;
	long r = syscall(c->number | bit, a[0], a[1], a[2], a[3], a[4], a[5]);

	return r < 0 ? -errno : r;
}

#ifdef __x86_64__
static long entry_32(long number, const long *a)
{
	int r;

	/* ebp stays what it is: no call here has six arguments. */
	__asm__ volatile("int $0x80"
			 : "=a"(r)
			 : "0"((int)number), "b"((int)a[0]), "c"((int)a[1]), "d"((int)a[2]),
			   "S"((int)a[3]), "D"((int)a[4])
			 : "memory", "r8", "r9", "r10", "r11");
	return r;
}
#else
static long entry_32(long number, const long *a)
{
	(void)number;
	(void)a;
	return -ENOSYS;
}
#endif

static long call_32(const struct call *c, long bit)
{
	(void)bit;
	return entry_32(c->number, c->args);
}

/* In a process of its own, for what succeeds where nothing holds it up. */
static void make(const struct call *c, long bit, long (*how)(const struct call *, long))
{
	pid_t pid;
	int status;

	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		pid_t self = getpid();
		long r = how(c, bit);

		if (getpid() == self && syscall(SYS_gettid) == self)
			say(c->name, r);
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		say(c->name, -errno);
	else if (WIFSIGNALED(status))
		printf("%s SIG%s\n", c->name, sigabbrev_np(WTERMSIG(status)));
}

static void make_all(const struct call *list, size_t n, long bit,
		     long (*how)(const struct call *, long))
{
	for (size_t i = 0; i < n; i++)
		make(&list[i], bit, how);
}

/* The multiplexer's arguments lie in memory, which must be where 32 bits reach. */
static void socketcalls(void)
{
	static const int families[] = {AF_ALG, AF_VSOCK, AF_INET};
	unsigned *low = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);

	for (size_t i = 0; low != MAP_FAILED && i < sizeof(families) / sizeof(*families); i++) {
		struct call c = {"socketcall", 102, {1, (long)low}};
		char name[32];

		low[0] = (unsigned)families[i];
		low[1] = families[i] == AF_ALG ? SOCK_SEQPACKET : SOCK_STREAM;
		low[2] = 0;
		snprintf(name, sizeof(name), "socketcall %d", families[i]);
		c.name = name;
		make(&c, 0, call_32);
	}
}

/* Into a terminal that is its own and its session's, where the kernel has nothing against it. */
static void type_into_it(void)
{
	static const struct {
		const char *name;
		long request;
	} ways[] = {
		{"ioctl TIOCSTI", TIOCSTI},
		{"ioctl TIOCSTI and high bits", TIOCSTI | HIGH},
		{"ioctl TIOCSTI and all high bits", TIOCSTI | -HIGH},
		{"ioctl TIOCLINUX", TIOCLINUX},
		{"ioctl TIOCLINUX and high bits", TIOCLINUX | HIGH},
	};
	int master, slave;
	pid_t pid = fork();

	if (pid != 0) { /* as the first process there are others' orphans to wait for as well */
		(void)waitpid(pid, NULL, 0);
		return;
	}
	setsid();
	master = posix_openpt(O_RDWR | O_NOCTTY);
	if (master < 0 || grantpt(master) < 0 || unlockpt(master) < 0 ||
	    (slave = open(ptsname(master), O_RDWR)) < 0) {
		say("openpty", -errno);
		_exit(1);
	}
	for (size_t i = 0; i < sizeof(ways) / sizeof(*ways); i++) {
		char letter = 'x';
		struct call c = {ways[i].name, SYS_ioctl, {slave, ways[i].request, (long)&letter}};

		say(c.name, call_64(&c, 0));
		if (ways[i].request == TIOCSTI) {
			struct call c32 = {"ioctl TIOCSTI by int 0x80", 54, {slave, TIOCSTI, 0}};

			make(&c32, 0, call_32);
		}
	}
	_exit(0);
}

/* KEYCTL_SEARCH in @KEY_SPEC_SESSION_KEYRING, and request_key(2) without an upcall. */
static void keys(const char *name)
{
	enum { SEARCH = 10, SESSION = -3 };
	struct call search = {"search", SYS_keyctl, {SEARCH, SESSION, (long)"user", (long)name, 0}};
	struct call request = {"request", SYS_request_key, {(long)"user", (long)name, 0, 0}};

	say(search.name, call_64(&search, 0));
	say(request.name, call_64(&request, 0));
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	if (argc == 3 && strcmp(what, "keys") == 0) {
		keys(argv[2]);
	} else if (strcmp(what, "wait") == 0) {
		printf("READY\n");
		fflush(stdout);
		for (;;)
			pause();
	} else if (strcmp(what, "32") == 0) {
		make_all(calls_32, sizeof(calls_32) / sizeof(*calls_32), 0, call_32);
		socketcalls();
	} else {
		make_all(calls, sizeof(calls) / sizeof(*calls),
			 strcmp(what, "x32") == 0 ? X32_BIT : 0, call_64);
		if (!*what)
			type_into_it();
	}
	return 0;
}
