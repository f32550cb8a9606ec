/* SPDX-License-Identifier: Apache-2.0 */
/* The default profile where it works: other ABIs, the live kernel, the cache, the text. What it
 * answers call by call is compared with docker's file in test_seccomp_moby.c. */
#include "seccomp.h"

#include <linux/audit.h>
#include <linux/capability.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bpf.h"
#include "check.h"
#include "cleanup.h"

#define DEFAULT_CAPS UINT64_C(0xa80425fb)
#define ALL_CAPS     ((UINT64_C(1) << 41) - 1)
#define CAP(name)    (UINT64_C(1) << CAP_##name)
#define HIGH	     (1L << 32)

enum { X32_BIT = 0x40000000, ROUNDS = 50, THREADS = 8 };

static struct seccomp_program compile(const char *name, uint64_t caps)
{
	struct seccomp_profile *profile = NULL;
	struct seccomp_program program = {0};

	CHECK(seccomp_profile_get(name, NULL, caps, &profile, NULL) == 0);
	program = seccomp_program(profile);
	seccomp_profile_put(profile); /* it is among those that were asked for last */
	return program;
}

static void test_names(void)
{
	struct seccomp_profile *profile = NULL;

	CHECK_ERR(seccomp_profile_get("dfault", NULL, 0, &profile, &check_err), EINVAL,
		  "'default'");
	CHECK_ERR(seccomp_profile_get("", NULL, 0, &profile, &check_err), EINVAL, "'none'");
	CHECK_ERR(seccomp_profile_get("Default", NULL, 0, &profile, &check_err), EINVAL,
		  "'Default'");
	CHECK(profile == NULL);
	seccomp_profile_put(NULL);
}

static void test_none(void)
{
	struct seccomp_program program = compile("none", ALL_CAPS);

	CHECK(program.len == 0 && program.filter == NULL);
}

static void test_other_abis(void)
{
	static const uint32_t foreign[] = {
		AUDIT_ARCH_AARCH64, AUDIT_ARCH_ARM, AUDIT_ARCH_RISCV64, AUDIT_ARCH_S390X, 0,
		UINT32_MAX};
	struct seccomp_program program = compile("default", ALL_CAPS);
	unsigned passed = 0;

	for (int number = 0; number <= 600; number++) {
		struct seccomp_data data = {.nr = number | X32_BIT, .arch = AUDIT_ARCH_X86_64};

		passed += bpf_run(&program, &data) != (SECCOMP_RET_ERRNO | ENOSYS);
		data.arch = AUDIT_ARCH_I386; /* where that bit means nothing */
		passed += bpf_run(&program, &data) != (SECCOMP_RET_ERRNO | EPERM);
		for (size_t i = 0; i < CTN_COUNT(foreign); i++) {
			data = (struct seccomp_data){.nr = number, .arch = foreign[i]};
			passed += bpf_run(&program, &data) != (SECCOMP_RET_ERRNO | ENOSYS);
		}
	}
	CHECK(passed == 0);
	for (int number = -3; number < 0; number++) {
		struct seccomp_data data = {.nr = number, .arch = AUDIT_ARCH_X86_64};
		uint32_t action = bpf_run(&program, &data);

		CHECK(action == (SECCOMP_RET_ERRNO | EPERM) ||
		      action == (SECCOMP_RET_ERRNO | ENOSYS));
	}
}

static void test_cache(void)
{
	uint64_t admin = DEFAULT_CAPS | CAP(SYS_ADMIN);
	struct seccomp_program first = compile("default", DEFAULT_CAPS);

	CHECK(compile("default", DEFAULT_CAPS).filter == first.filter);
	/* Capabilities that open no call, or none that is not open already, make no new program. */
	CHECK(compile("default", DEFAULT_CAPS | CAP(LEASE)).filter == first.filter);
	CHECK(compile("default", DEFAULT_CAPS & ~CAP(CHOWN)).filter == first.filter);
	CHECK(compile("default", DEFAULT_CAPS & ~CAP(SYS_CHROOT)).filter != first.filter);
	CHECK(compile("default", admin).filter != first.filter);
	CHECK(compile("default", admin).filter ==
	      compile("default", admin | CAP(SYSLOG) | CAP(BPF) | CAP(PERFMON)).filter);
}

static void *compile_in_thread(void *arg)
{
	struct seccomp_profile *profile = NULL;
	struct seccomp_program program = {0};
	uint64_t caps = DEFAULT_CAPS | CAP(SYS_TIME) | (*(int *)arg % 2 ? CAP(SYS_BOOT) : 0);

	if (seccomp_profile_get("default", NULL, caps, &profile, NULL) == 0)
		program = seccomp_program(profile);
	seccomp_profile_put(profile);
	return (void *)program.filter;
}

static void test_threads(void)
{
	pthread_t threads[THREADS];
	void *filters[THREADS];
	int numbers[THREADS];

	for (int i = 0; i < THREADS; i++) {
		numbers[i] = i;
		CHECK(pthread_create(&threads[i], NULL, compile_in_thread, &numbers[i]) == 0);
	}
	for (int i = 0; i < THREADS; i++)
		CHECK(pthread_join(threads[i], &filters[i]) == 0);
	CHECK(filters[0] && filters[1] && filters[0] != filters[1]);
	for (int i = 2; i < THREADS; i++)
		CHECK(filters[i] == filters[i % 2]);
}

/* --- in the live kernel ----------------------------------------------------------------------- */

static int load(const struct seccomp_program *program)
{
	struct sock_fprog prog = {(unsigned short)program->len, (void *)program->filter};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -1;
	return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog);
}

static long int80(long number, long a, long b)
{
	long result;

	/* Before Linux 4.17 the entry lost r8 to r11. */
	__asm__ volatile("int $0x80"
			 : "=a"(result)
			 : "a"(number), "b"(a), "c"(b), "d"(0)
			 : "memory", "r8", "r9", "r10", "r11");
	return (int)result;
}

/* One call as libc makes it: the result, or -errno. */
static long call(long number, long a, long b, long c)
{
	long result = syscall(number, a, b, c, 0L, 0L, 0L);

	return result < 0 ? -errno : result;
}

enum { I386 = 1 };

/* Without a filter none of these is answered with EPERM by the kernel to root. */
static const struct {
	const char *name;
	int abi;
	long number, a, b;
	long want; /* 1: anything that is no refusal */
} live[] = {
	{"ptrace(TRACEME)", 0, SYS_ptrace, PTRACE_TRACEME, 0, 0},
	{"mount", 0, SYS_mount, 0, 0, -EPERM},
	{"fsopen", 0, SYS_fsopen, 0, 0, -EPERM},
	{"unshare(NEWUSER)", 0, SYS_unshare, CLONE_NEWUSER, 0, -EPERM},
	{"clone(NEWUSER)", 0, SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, -EPERM},
	{"clone3", 0, SYS_clone3, 0, 0, -ENOSYS},
	{"setns", 0, SYS_setns, -1, 0, -EPERM},
	{"bpf", 0, SYS_bpf, -1, 0, -EPERM},
	{"keyctl", 0, SYS_keyctl, -1, 0, -EPERM},
	{"io_uring_setup", 0, SYS_io_uring_setup, 0, 0, -EPERM},
	{"userfaultfd", 0, SYS_userfaultfd, -1, 0, -EPERM},
	{"open_by_handle_at", 0, SYS_open_by_handle_at, -1, 0, -EPERM},
	{"socket(AF_ALG)", 0, SYS_socket, 38, SOCK_SEQPACKET, -EPERM},
	{"socket(AF_ALG + 2^32)", 0, SYS_socket, 38 + HIGH, SOCK_SEQPACKET, -EPERM},
	{"socket(AF_VSOCK)", 0, SYS_socket, 40, SOCK_STREAM, -EPERM},
	{"socket(AF_VSOCK + 2^32)", 0, SYS_socket, 40 + HIGH, SOCK_STREAM, -EPERM},
	{"socket(AF_UNIX)", 0, SYS_socket, AF_UNIX, SOCK_STREAM, 1},
	{"ioctl(TIOCSTI)", 0, SYS_ioctl, -1, 0x5412, -EPERM},
	{"ioctl(TIOCSTI + 2^32)", 0, SYS_ioctl, -1, 0x5412 + HIGH, -EPERM},
	{"ioctl(TIOCLINUX)", 0, SYS_ioctl, -1, 0x541c, -EPERM},
	{"ioctl(TCGETS)", 0, SYS_ioctl, -1, 0x5401, -EBADF},
	{"personality(ADDR_NO_RANDOMIZE)", 0, SYS_personality, 0x40000, 0, -EPERM},
	{"personality(0xffffffff)", 0, SYS_personality, 0xffffffff, 0, 1},
	{"chroot", 0, SYS_chroot, 0, 0, -EFAULT}, /* the default set has cap_sys_chroot */
	{"fchmodat2, unknown to libseccomp 2.5", 0, 452, -1, 0, 1},
	{"x32 getpid", 0, X32_BIT | SYS_getpid, 0, 0, -ENOSYS},
	{"i386 getpid", I386, 20, 0, 0, 1},
	{"i386 mount", I386, 21, 0, 0, -EPERM},
	{"i386 socketcall(SYS_SOCKET)", I386, 102, 1, 0, -ENOSYS},
	{"i386 socket(AF_ALG)", I386, 359, 38, SOCK_SEQPACKET, -EPERM},
	{"i386 socket(AF_VSOCK)", I386, 359, 40, SOCK_STREAM, -EPERM},
	{"i386 socket(AF_UNIX)", I386, 359, AF_UNIX, SOCK_STREAM, 1},
	{"i386 ioctl(TIOCSTI)", I386, 54, -1, 0x5412, -EPERM},
	{"i386 clone3", I386, 435, 0, 0, -ENOSYS},
};

static long live_call(size_t i)
{
	return live[i].abi == I386 ? int80(live[i].number, live[i].a, live[i].b)
				   : call(live[i].number, live[i].a, live[i].b, 0);
}

/* Runs @child in a process of its own. Return: its wait status. */
static int in_child(void (*child)(void *), void *arg)
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0) {
		child(arg);
		_exit(0);
	}
	CHECK(pid > 0 && waitpid(pid, &status, 0) == pid);
	return status;
}

static void child_int80(void *arg)
{
	(void)arg;
	_exit(int80(20, 0, 0) == getpid() ? 0 : 1);
}

struct live_run {
	struct seccomp_program program;
	bool has_int80;
	int loaded;
	long results[CTN_COUNT(live)];
};

static void child_live(void *arg)
{
	struct live_run *run = arg;

	run->loaded = load(&run->program);
	for (size_t i = 0; run->loaded == 0 && i < CTN_COUNT(live); i++) {
		if (live[i].abi != I386 || run->has_int80)
			run->results[i] = live_call(i);
	}
}

static void *shared(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	CHECK(p != MAP_FAILED);
	if (p == MAP_FAILED)
		exit(1);
	return p;
}

static void test_live(void)
{
	struct live_run *run = shared(sizeof(*run));

	run->program = compile("default", DEFAULT_CAPS);
	run->has_int80 = in_child(child_int80, NULL) == 0;
	if (!run->has_int80)
		printf("# this kernel has no 32-bit entry: i386 rows are left out\n");
	CHECK(in_child(child_live, run) == 0);
	CHECK(run->loaded == 0);
	for (size_t i = 0; i < CTN_COUNT(live); i++) {
		long have = run->results[i];
		bool refused = have == -EPERM || (have == -ENOSYS && live[i].number != 452);

		if (live[i].abi == I386 && !run->has_int80)
			continue;
		if (live[i].want == 1 ? !refused : have == live[i].want)
			continue;
		printf("# %s: %ld, not %ld\n", live[i].name, have, live[i].want);
		check_failures++;
	}
	munmap(run, sizeof(*run));
}

struct load_run {
	struct seccomp_program program;
	long least_ns; /* of the loads so far */
};

static void child_load(void *arg)
{
	struct load_run *run = arg;
	struct timespec from, to;
	long ns;

	clock_gettime(CLOCK_MONOTONIC, &from);
	if (load(&run->program) != 0)
		_exit(1);
	clock_gettime(CLOCK_MONOTONIC, &to);
	ns = (to.tv_sec - from.tv_sec) * 1000000000 + to.tv_nsec - from.tv_nsec;
	if (!run->least_ns || ns < run->least_ns)
		run->least_ns = ns;
}

static void test_load_time(void)
{
	struct load_run *run = shared(sizeof(*run));

	run->program = compile("default", DEFAULT_CAPS);
	for (int i = 0; i < ROUNDS; i++)
		CHECK(in_child(child_load, run) == 0);
	printf("# loading %zu instructions takes %ld us (least of %d)\n", run->program.len,
	       run->least_ns / 1000, ROUNDS);
	munmap(run, sizeof(*run));
}

/* --- the text --------------------------------------------------------------------------------- */

static char *text_of(const char *name, uint64_t caps)
{
	struct seccomp_profile *profile = NULL;
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	CHECK(seccomp_profile_get(name, NULL, caps, &profile, NULL) == 0);
	seccomp_print(out, profile, name, NULL);
	fclose(out);
	seccomp_profile_put(profile);
	return text;
}

static void test_print(void)
{
	static const char *const lines[] = {
		"\n# default action: errno EPERM\n",
		"\n# allow read\n",
		"\n# allow clone if arg0 & 0x7e020000 == 0 (no new namespace)\n",
		"\n# refuse clone3 with ENOSYS\n",
		"\n# allow ioctl if (int)arg1 is neither 0x5412 (TIOCSTI) nor",
		"\n# refuse socketcall with ENOSYS\n",
		"\n# allow personality if arg0 == 0x20008 (UNAME26, PER_LINUX32)\n",
		"\n# allow chroot (it has cap_sys_chroot)\n",
		"\n# not without cap_sys_boot: reboot\n",
		"\n# not without cap_sys_admin: bpf clone clone3 ",
	};
	ctn_autofree char *text = text_of("default", DEFAULT_CAPS);
	ctn_autofree char *again = text_of("default", DEFAULT_CAPS | CAP(LEASE));
	ctn_autofree char *none = text_of("none", ALL_CAPS);
	ctn_autofree char *admin = text_of("default", DEFAULT_CAPS | CAP(SYS_ADMIN));

	CHECK_STR(none, "# mode 0 (disabled)\nnone\n");
	CHECK_STR(again, text);
	CHECK(strncmp(text, "# mode 2 (filter)\ndefault\n#", 27) == 0);
	for (size_t i = 0; i < CTN_COUNT(lines); i++) {
		CHECK(strstr(text, lines[i]) != NULL);
		if (!strstr(text, lines[i]))
			printf("# missing:%s\n", lines[i]);
	}
	CHECK(!strstr(text, "allow mount") && !strstr(text, "allow socketcall"));
	CHECK(strstr(admin, "\n# allow mount (it has cap_sys_admin)\n"));
	CHECK(strstr(admin, "\n# allow clone3 (it has cap_sys_admin)\n"));
	CHECK(!strstr(admin, "not without cap_sys_admin") && !strstr(admin, "cap_bpf"));
}

/* Written back, it says the same: one line is no comment. Rules are in alphabetical order. */
static void test_print_shape(void)
{
	ctn_autofree char *text = text_of("default", ALL_CAPS);
	char *rest = NULL, before[80] = "";
	unsigned values = 0, rules = 0;

	for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		char name[80];

		if (*line != '#') {
			values++;
			CHECK_STR(line, "default");
		}
		if (sscanf(line, "# allow %79s", name) == 1) {
			CHECK(strcmp(before, name) <= 0);
			strcpy(before, name);
			rules++;
		}
	}
	CHECK(values == 1);
	CHECK(rules > 390);
}

static const struct check_test tests[] = {
	{"unknown profiles are refused with the known names", test_names},
	{"'none' has no program", test_none},
	{"x32 and foreign machines are refused whatever the capabilities", test_other_abis},
	{"one program for each rule set", test_cache},
	{"threads that compile the same get the same program", test_threads},
	{"the live kernel answers as the profile says", test_live},
	{"loading (a figure, not a test)", test_load_time},
	{"the text says what is in force", test_print},
	{"the text is valid input, and sorted", test_print_shape},
};

int main(void)
{
	return check_run(tests, CTN_COUNT(tests));
}
