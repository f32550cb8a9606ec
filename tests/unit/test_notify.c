/* SPDX-License-Identifier: Apache-2.0 */
/* Denied calls: which returns of a filter become questions, their names, the ring, and a listener
 * on the live kernel. Built with monitor/notify*.c. */
#include "monitor/notify.h"

#include <fcntl.h>
#include <linux/audit.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "seccomp_fixture.h"

enum { NUMBERS = 600 };

static const uint32_t arches[] = {AUDIT_ARCH_X86_64, AUDIT_ARCH_I386, AUDIT_ARCH_AARCH64};

/* --- the filter --- */

static const char mixed[] = "{" ERRNO_DEFAULT "'syscalls': ["
			    "{'names': ['read', 'write'], 'action': 'SCMP_ACT_ALLOW'},"
			    "{'names': ['clone3'], 'action': 'SCMP_ACT_ERRNO', 'errnoRet': 38},"
			    "{'names': ['mount'], 'action': 'SCMP_ACT_ERRNO', 'errnoRet': 13},"
			    "{'names': ['kcmp'], 'action': 'SCMP_ACT_KILL'}, {'names': ['bpf'], "
			    "'action': 'SCMP_ACT_TRAP'},"
			    "{'names': ['socket'], 'action': 'SCMP_ACT_ALLOW',"
			    " 'args': [{'index': 0, 'value': 1, 'op': 'SCMP_CMP_EQ'}]}]}";

/* Every call of every ABI is decided as before, but for EPERM. Return: how many of those. */
static unsigned compare(const struct seccomp_profile *p, const struct sock_filter *changed)
{
	const struct seccomp_program before = seccomp_program(p), after = {changed, before.len, 0};
	unsigned wrong = 0, asked = 0;

	for (size_t i = 0; i < CTN_COUNT(arches) * NUMBERS * 2; i++) {
		struct seccomp_data d = {.nr = (int)(i / 2 % NUMBERS),
					 .arch = arches[i / 2 / NUMBERS]};
		uint32_t was, is;

		d.args[0] = d.args[1] = i % 2;
		was = bpf_run(&before, &d);
		is = bpf_run(&after, &d);
		wrong += is != (was == REFUSE(EPERM) ? SECCOMP_RET_USER_NOTIF : was);
		wrong += is != notify_decision(changed, after.len, &d);
		asked += is == SECCOMP_RET_USER_NOTIF;
	}
	CHECK(wrong == 0);
	return asked;
}

static struct sock_filter *asking(const struct seccomp_profile *p, size_t *ret)
{
	const struct seccomp_program program = seccomp_program(p);
	struct sock_filter *copy = malloc(program.len * sizeof(*copy));

	memcpy(copy, program.filter, program.len * sizeof(*copy));
	*ret = notify_filter(copy, program.len);
	return copy;
}

static void test_filter(void)
{
	ctn_autofree char *text = quoted(mixed);
	const char *const profiles[] = {"default", text};

	for (size_t i = 0; i < CTN_COUNT(profiles); i++) {
		struct seccomp_profile *p = get_profile(profiles[i], NULL);
		size_t n = 0;
		ctn_autofree struct sock_filter *copy = asking(p, &n);

		CHECK(n > 0);
		CHECK(compare(p, copy) > 100);
		seccomp_profile_put(p);
	}
}

static void test_filter_without(void)
{
	ctn_autofree char *text = quoted(
		"{'defaultAction': 'SCMP_ACT_ALLOW', 'syscalls': [{'names': "
		"['mount'], 'action': 'SCMP_ACT_ERRNO', 'errnoRet': 38}]}");
	struct seccomp_profile *p = get_profile(text, NULL);
	size_t n = 1;
	ctn_autofree struct sock_filter *copy = asking(p, &n);

	CHECK(n == 0);
	CHECK(compare(p, copy) == 0);
	seccomp_profile_put(p);
}

static void test_foreign_program(void)
{
	static const struct sock_filter odd[] = {{BPF_LD | BPF_W | BPF_ABS, 0, 0, 64},
						 {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW}},
					jump[] = {{BPF_JMP | BPF_JA, 0, 0, 7}};
	const struct seccomp_data d = {.nr = 1};

	CHECK(notify_decision(odd, 2, &d) == SECCOMP_RET_KILL_PROCESS);
	CHECK(notify_decision(jump, 1, &d) == SECCOMP_RET_KILL_PROCESS);
	CHECK(notify_decision(odd, 0, &d) == SECCOMP_RET_KILL_PROCESS);
}

/* --- names --- */

static void test_names(void)
{
	static const struct {
		uint32_t arch;
		int nr;
		const char *name;
		size_t args;
	} rows[] = {
		{AUDIT_ARCH_X86_64, SYS_mount, "mount", 5},
		{AUDIT_ARCH_X86_64, SYS_vhangup, "vhangup", 0},
		{AUDIT_ARCH_X86_64, SYS_exit_group, "exit_group", 6},
		{AUDIT_ARCH_X86_64, 462, "mseal", 6},
		{AUDIT_ARCH_X86_64, 999, "999", 6},
		{AUDIT_ARCH_X86_64, 1 << 20, "1048576", 6},
		{AUDIT_ARCH_X86_64, -1, "-1", 6},
		{AUDIT_ARCH_X86_64, X32 | SYS_mount, "x32:mount", 5},
		{AUDIT_ARCH_X86_64, X32 | 999, "x32:999", 6},
		{AUDIT_ARCH_I386, 21, "i386:mount", 5},
		{AUDIT_ARCH_AARCH64, 40, "0xc00000b7:40", 6},
	};

	for (size_t i = 0; i < CTN_COUNT(rows); i++) {
		char name[SECCOMP_CALL_LEN] = "";

		CHECK(seccomp_call(rows[i].arch, rows[i].nr, name) == rows[i].args);
		CHECK_STR(name, rows[i].name);
	}
}

/* --- the ring --- */

static int new_dir(char *path)
{
	strcpy(path, "/tmp/test-notify-XXXXXX");
	return mkdtemp(path) ? open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
}

static void drop_dir(int dir, const char *path)
{
	(void)unlinkat(dir, WIRE_DENIED_NAME, 0);
	(void)rmdir(path);
	close(dir);
}

static bool read_at(int dir, uint64_t number, struct wire_denied *ret)
{
	ctn_autoclose int fd = openat(dir, WIRE_DENIED_NAME, O_RDONLY | O_CLOEXEC);

	return pread(fd, ret, sizeof(*ret), (off_t)(number % WIRE_DENIED_KEPT * sizeof(*ret))) ==
		       (ssize_t)sizeof(*ret) &&
	       ret->number == number && ret->again == number;
}

static void test_ring(void)
{
	char path[32];
	int dir = new_dir(path);
	struct wire_denied d = {.arch = AUDIT_ARCH_X86_64, .nr = 7}, got;
	struct ring ring = {.state_fd = dir, .fd = -1}, next = ring;
	off_t size;

	for (uint64_t n = 1; n <= WIRE_DENIED_KEPT + 5; n++)
		ring_add(&ring, &d);
	CHECK(d.number == WIRE_DENIED_KEPT + 5 && d.flags == 0);
	CHECK(read_at(dir, WIRE_DENIED_KEPT + 5, &got) && read_at(dir, 6, &got));
	CHECK(!read_at(dir, 5, &got));
	size = lseek(ring.fd, 0, SEEK_END);
	CHECK(size == (off_t)(WIRE_DENIED_KEPT * sizeof(got)));

	/* Another monitor goes on, whatever is torn. */
	got = (struct wire_denied){.number = UINT64_MAX, .again = 3};
	CHECK(pwrite(ring.fd, &got, sizeof(got), 8 * sizeof(got)) == sizeof(got));
	got = (struct wire_denied){.number = UINT64_MAX, .again = UINT64_MAX};
	CHECK(pwrite(ring.fd, &got, sizeof(got), 9 * sizeof(got)) == sizeof(got));
	ring_add(&next, &d);
	CHECK(d.number == WIRE_DENIED_KEPT + 6 && d.flags == WIRE_DENIED_FIRST);
	close(ring.fd);
	close(next.fd);
	drop_dir(dir, path);
}

static void test_first(void)
{
	static const struct {
		uint32_t arch;
		int nr;
		bool first;
	} rows[] = {
		{AUDIT_ARCH_X86_64, 165, true},	       {AUDIT_ARCH_X86_64, 165, false},
		{AUDIT_ARCH_I386, 165, true},	       {AUDIT_ARCH_X86_64, X32 | 165, true},
		{AUDIT_ARCH_X86_64, X32 | 165, false}, {AUDIT_ARCH_X86_64, 99999, true},
		{AUDIT_ARCH_X86_64, 99998, false},     {AUDIT_ARCH_X86_64, -1, true},
		{AUDIT_ARCH_X86_64, -2, false},	       {AUDIT_ARCH_I386, -2, true},
		{AUDIT_ARCH_I386, 99998, false},
	};
	char path[32];
	int dir = new_dir(path);
	struct ring ring = {.state_fd = dir, .fd = -1};

	for (size_t i = 0; i < CTN_COUNT(rows); i++) {
		struct wire_denied d = {.arch = rows[i].arch, .nr = rows[i].nr};

		ring_add(&ring, &d);
		if ((d.flags == WIRE_DENIED_FIRST) != rows[i].first)
			printf("# row %zu\n", i);
		CHECK((d.flags == WIRE_DENIED_FIRST) == rows[i].first);
	}
	for (int nr = 0; nr < RING_CALLS; nr++) { /* not one for each number that there is */
		struct wire_denied d = {.arch = AUDIT_ARCH_X86_64, .nr = nr};

		ring_add(&ring, &d);
		CHECK((d.flags == WIRE_DENIED_FIRST) == (nr < RING_FIRSTS_MAX - 6));
	}
	close(ring.fd);
	drop_dir(dir, path);
}

/* Nothing can be written: the numbers go on. */
static void test_ring_lost(void)
{
	struct ring ring = {.state_fd = -1, .fd = -1};
	struct wire_denied d = {.arch = AUDIT_ARCH_X86_64};

	ring_add(&ring, &d);
	ring_add(&ring, &d);
	CHECK(d.number == 2);
}

/* --- live --- */

enum { CALLS = NOTIFY_BURST + 60 };

/* In the child: a filter that asks about getppid, and that many calls of it. */
static void call_often(struct handover *h, int report)
{
	struct sock_filter insns[] = {
		{BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(struct seccomp_data, nr)},
		{BPF_JMP | BPF_JEQ | BPF_K, 0, 1, SYS_getppid},
		{BPF_RET | BPF_K, 0, 0, SECCOMP_RET_USER_NOTIF},
		{BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW},
	};
	const struct sock_fprog prog = {CTN_COUNT(insns), insns};
	struct handover_given given = {
		.report = report, .killable = true, .insns = insns, .n = CTN_COUNT(insns)};

	(void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	given.fd = (int)syscall(
		SYS_seccomp, SECCOMP_SET_MODE_FILTER,
		SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, &prog);
	if (given.fd < 0 || handover_give(h, &given, NULL) < 0)
		_exit(2);
	close(given.fd);
	for (int i = 0; i < CALLS; i++) {
		if (syscall(SYS_getppid, i) != -1 || errno != EPERM)
			_exit(1);
	}
	_exit(0);
}

static uint64_t clock_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static int take_from(struct handover *h, pid_t child, int report)
{
	struct pollfd p = {.fd = report, .events = POLLIN};
	ctn_autoclose int pidfd = (int)syscall(SYS_pidfd_open, child, 0);
	struct ctn_err err = {0};
	int fd = -1;

	(void)poll(&p, 1, -1);
	CHECK(handover_pending(h));
	CHECK(handover_take(h, pidfd, &fd, &err) == 0);
	CHECK(!handover_pending(h));
	return fd;
}

/* A listener ends with the last process of its filter; on Linux 6.1 that is when it was waited for.
 */
static void serve_until_gone(struct notify *n, pid_t child, int *ret_status)
{
	bool waited = false;

	while (n->n > 0) {
		struct pollfd p = {.fd = notify_fd(n), .events = POLLIN};

		(void)poll(&p, 1, waited ? notify_timeout(n) : NOTIFY_TICK_MS);
		notify_serve(n, p.revents);
		waited = waited || waitpid(child, ret_status, WNOHANG) == child;
	}
	CHECK(waited || waitpid(child, ret_status, 0) == child);
}

static void test_live(void)
{
	struct handover *h = NULL;
	int report[2], status = 0, dir;
	struct wire_denied got;
	uint64_t began, newest = 0;
	struct notify n;
	char path[32];
	pid_t child;

	dir = new_dir(path);
	notify_init(&n, dir);
	CHECK(notify_fd(&n) == -1 && notify_timeout(&n) == -1 && notify_room(&n));
	CHECK(handover_new(&h, NULL) == 0 && pipe(report) == 0);
	child = fork();
	if (child == 0)
		call_often(h, report[1]);
	notify_add(&n, take_from(h, child, report[0]), true);
	began = clock_ms();
	serve_until_gone(&n, child, &status);
	CHECK(status == 0);
	/* Those above the burst came at the rate, in portions. */
	CHECK(clock_ms() - began >= (CALLS - NOTIFY_BURST - 20) * 1000 / NOTIFY_RATE);
	CHECK(read_at(dir, CALLS, &got) && got.args[0] == CALLS - 1 && got.pid == child);
	CHECK_STR(got.program, "test_notify");
	CHECK(notify_news(&n, true, &newest) && newest == CALLS && !notify_news(&n, true, &newest));
	CHECK(notify_fd(&n) >= 0 && n.n_held == 0);
	handover_free(h);
	close(report[0]);
	close(report[1]);
	close(n.epoll);
	close(n.ring.fd);
	drop_dir(dir, path);
}

/* A descriptor that is no listener is not taken for one. */
static void test_no_listener(void)
{
	ctn_autoclose int pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);
	struct handover *h = NULL;
	int fd = -1;

	CHECK(handover_new(&h, NULL) == 0 && !handover_pending(h));
	atomic_store(&h->listener, STDERR_FILENO + 1);
	CHECK_ERR(handover_take(h, pidfd, &fd, &check_err), EBADMSG, "no listener");
	atomic_store(&h->listener, 1000);
	CHECK_ERR(handover_take(h, pidfd, &fd, &check_err), EBADF, "seccomp.notify");
	CHECK(fd == -1 && handover_pending(h));
	handover_free(h);
	handover_free(NULL);
}

/* It was killed while it waited. */
static void test_gone(void)
{
	struct handover *h = NULL;
	pid_t child = fork();
	ctn_autoclose int pidfd = -1;
	int fd = -1;

	if (child == 0)
		_exit(0);
	pidfd = (int)syscall(SYS_pidfd_open, child, 0);
	CHECK(handover_new(&h, NULL) == 0);
	CHECK(waitid(P_PID, (id_t)child, &(siginfo_t){0}, WEXITED | WNOWAIT) == 0);
	atomic_store(&h->listener, 5);
	CHECK_ERR(handover_take(h, pidfd, &fd, &check_err), ESRCH, "killed");
	CHECK(waitpid(child, NULL, 0) == child);
	CHECK_ERR(handover_take(h, pidfd, &fd, &check_err), ESRCH, "killed");
	handover_free(h);
}

static const struct check_test tests[] = {
	{"only EPERM becomes a question", test_filter},
	{"a filter that denies nothing", test_filter_without},
	{"a filter that is not ours", test_foreign_program},
	{"calls by name", test_names},
	{"the ring", test_ring},
	{"the first of a call", test_first},
	{"a ring that cannot be written", test_ring_lost},
	{"a listener", test_live},
	{"what is none", test_no_listener},
	{"the new process has ended", test_gone},
};

int main(void)
{
	return check_run(tests, CTN_COUNT(tests));
}
