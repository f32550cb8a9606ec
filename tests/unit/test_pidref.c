/* SPDX-License-Identifier: Apache-2.0 */
#include "pidref.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "cleanup.h"

/* A child that sleeps until it is killed. @comm: NULL, or its name, set before this returns. */
static pid_t spawn(const char *comm)
{
	int ready[2];
	char c;
	pid_t pid;

	if (pipe2(ready, O_CLOEXEC) < 0)
		abort();
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (comm)
			prctl(PR_SET_NAME, comm);
		close(ready[1]);
		for (;;)
			pause();
	}
	close(ready[1]);
	if (pid < 0 || read(ready[0], &c, 1) != 0)
		abort();
	close(ready[0]);
	return pid;
}

static void reap(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static unsigned count_fds(void)
{
	ctn_autoclosedir DIR *dir = opendir("/proc/self/fd");
	unsigned n = 0;

	while (dir && readdir(dir))
		n++;
	return n;
}

/* Field 22, counted backwards from the end of our own well-known line. */
static uint64_t start_of(pid_t pid)
{
	char path[40], text[2048] = "";
	ctn_autoclosefile FILE *f = NULL;
	unsigned long long start = 0;
	const char *p;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	f = fopen(path, "re");
	if (!f || fread(text, 1, sizeof(text) - 1, f) == 0)
		return 0;
	p = strrchr(text, ')');
	if (!p || sscanf(p,
			 ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d "
			 "%*d %*d %llu",
			 &start) != 1)
		return 0;
	return start;
}

static void test_self(void)
{
	unsigned before = count_fds();
	struct pidref *ref = NULL;
	int procfd = -1;

	CHECK(pidref_new(getpid(), -1, &ref, NULL) == 0);
	if (!ref)
		return;
	CHECK(ref->pid == getpid() && ref->refs == 1);
	CHECK(ref->start > 0 && ref->start == start_of(getpid()));
	CHECK(fcntl(ref->pidfd, F_GETFD) & FD_CLOEXEC);
	CHECK(pidref_open(ref, &procfd, NULL) == 0);
	CHECK(fcntl(procfd, F_GETFD) & FD_CLOEXEC);
	CHECK(faccessat(procfd, "status", R_OK, 0) == 0);
	close(procfd);
	CHECK(!pidref_ended(ref));
	CHECK(pidref_get(ref) == ref && ref->refs == 2);
	pidref_put(ref);
	CHECK(ref->refs == 1 && !pidref_ended(ref));
	pidref_put(ref);
	pidref_put(NULL);
	CHECK(pidref_get(NULL) == NULL);
	CHECK(count_fds() == before);
}

static void test_foreign_name(void)
{
	static const char *const names[] = {") R 1 2 3 (",  "a b)", "((((",    "))))",
					    ") S\n1 1 1 1", " ",    "\x1b[31m"};

	for (size_t i = 0; i < CTN_COUNT(names); i++) {
		pid_t pid = spawn(names[i]);
		struct pidref *ref = NULL;

		CHECK(pidref_new(pid, -1, &ref, NULL) == 0);
		CHECK(ref && ref->start == start_of(pid) && ref->start >= start_of(getpid()));
		pidref_put(ref);
		reap(pid);
	}
}

static void test_end(void)
{
	struct pidref *ref = NULL, *again = NULL;
	pid_t pid = spawn(NULL);
	unsigned before = count_fds();
	struct pollfd p = {.events = POLLIN};

	CHECK(pidref_new(pid, -1, &ref, NULL) == 0);
	if (!ref)
		return;
	CHECK(!pidref_ended(ref));
	CHECK(pidref_kill(ref, SIGTERM, NULL) == 0);
	p.fd = ref->pidfd;
	CHECK(poll(&p, 1, 5000) == 1);
	CHECK(pidref_ended(ref)); /* a zombie */
	CHECK_ERR(pidref_kill(ref, SIGTERM, &check_err), ESRCH, "has ended");
	CHECK(pidref_new(pid, -1, &again, NULL) == 0); /* not reaped: still identified */
	CHECK(again && again->start == ref->start);
	pidref_put(again);
	waitpid(pid, NULL, 0);
	CHECK(pidref_ended(ref));
	CHECK_ERR(pidref_kill(ref, SIGKILL, &check_err), ESRCH, "has ended");
	again = NULL;
	CHECK_ERR(pidref_new(pid, -1, &again, &check_err), ESRCH, "process");
	CHECK(again == NULL);
	pidref_put(ref);
	CHECK(count_fds() == before);
}

static void test_given_pidfd(void)
{
	pid_t pid = spawn(NULL);
	int fd = pidfd_open(pid, 0);
	unsigned before = count_fds();
	struct pidref *ref = NULL;

	CHECK(pidref_new(pid, fd, &ref, NULL) == 0);
	CHECK(ref && ref->pidfd == fd);
	pidref_put(ref);
	CHECK(count_fds() == before - 1); /* taken over */

	fd = pidfd_open(pid, 0);
	reap(pid);
	ref = NULL;
	CHECK_ERR(pidref_new(pid, fd, &ref, &check_err), ESRCH, "has ended");
	CHECK(ref == NULL);
	CHECK(close(fd) == 0); /* still ours */
}

static void test_bad_pid(void)
{
	struct pidref *ref = NULL;

	CHECK_ERR(pidref_new(0, -1, &ref, &check_err), EINVAL, "process 0");
	CHECK_ERR(pidref_new(-1, -1, &ref, &check_err), EINVAL, "process -1");
	CHECK_ERR(pidref_new(0x3fffffff, -1, &ref, &check_err), ESRCH, "process");
	CHECK(ref == NULL);
}

static void test_bad_signal(void)
{
	struct pidref *ref = NULL;

	CHECK(pidref_new(getpid(), -1, &ref, NULL) == 0);
	if (ref)
		CHECK_ERR(pidref_kill(ref, 99, &check_err), EINVAL, "process");
	pidref_put(ref);
}

/* Another process under the number of the one that the descriptor means. */
static void test_reused_pid(void)
{
	pid_t pid = spawn(NULL);
	ctn_autoclose int old = pidfd_open(pid, 0);
	struct clone_args args = {
		.exit_signal = SIGCHLD, .set_tid = (uintptr_t)&pid, .set_tid_size = 1};
	struct pidref *ref = NULL, *first = NULL;
	int fd = -1;
	long r;

	CHECK(pidref_new(pid, -1, &first, NULL) == 0);
	reap(pid);
	r = syscall(SYS_clone3, &args, sizeof(args));
	if (r == 0) {
		for (;;)
			pause();
	}
	if (r < 0) {
		printf("# skipped: choosing a pid: %s\n", strerror(errno));
		pidref_put(first);
		return;
	}
	CHECK_ERR(pidref_open(first, &fd, &check_err), ESRCH, "has ended");
	CHECK(fd == -1);
	pidref_put(first);
	CHECK_ERR(pidref_new(pid, old, &ref, &check_err), ESRCH, "has ended");
	CHECK(ref == NULL);
	CHECK(pidref_new(pid, -1, &ref, NULL) == 0);
	pidref_put(ref);
	reap(pid);
}

static const char *const no_signals[] = {
	"",	     " ",	   "0",
	"-1",	     "+9",	   "65",
	"9 ",	     " 9",	   "9x",
	"0x9",	     "1e1",	   "99999999999999999999",
	"SIG",	     "SIGSIGTERM", "TERM ",
	"TERMINATE", "SIG15",	   "RTMIN+31",
	"RTMIN-1",   "RTMAX+1",	   "RTMAX-31",
	"RTMIN+",    "RTMIN+ 1",   "RTMIN+-1",
	"RTMINX",    "EXIT",	   "SIGRTMIN+1000000000000",
};

static void test_signal_parse(void)
{
	const struct {
		const char *text;
		int sig;
	} good[] = {
		{"TERM", SIGTERM},
		{"SIGTERM", SIGTERM},
		{"term", SIGTERM},
		{"sigkill", SIGKILL},
		{"15", 15},
		{"1", 1},
		{"64", 64},
		{"33", 33},
		{"USR1", SIGUSR1},
		{"STKFLT", SIGSTKFLT},
		{"SIGSTKFLT", SIGSTKFLT},
		{"IO", SIGIO},
		{"POLL", SIGPOLL},
		{"CLD", SIGCHLD},
		{"IOT", SIGABRT},
		{"RTMIN", SIGRTMIN},
		{"rtmin+3", SIGRTMIN + 3},
		{"SIGRTMIN+15", SIGRTMIN + 15},
		{"RTMIN+30", SIGRTMAX},
		{"RTMAX", SIGRTMAX},
		{"SIGRTMAX-14", SIGRTMAX - 14},
		{"RTMAX-30", SIGRTMIN},
	};
	int sig = -7;

	for (size_t i = 0; i < CTN_COUNT(good); i++) {
		sig = -7;
		CHECK(signal_parse(good[i].text, &sig, NULL) == 0);
		if (sig != good[i].sig)
			CHECK_STR(good[i].text, signal_name(sig));
	}
	sig = -7;
	for (size_t i = 0; i < CTN_COUNT(no_signals); i++)
		CHECK_ERR(signal_parse(no_signals[i], &sig, &check_err), EINVAL, "is no signal");
	CHECK(sig == -7);
}

static void test_signal_name(void)
{
	CHECK_STR(signal_name(SIGTERM), "TERM");
	CHECK_STR(signal_name(SIGRTMIN), "RTMIN");
	CHECK_STR(signal_name(SIGRTMIN + 1), "RTMIN+1");
	CHECK_STR(signal_name(32), "32");
	CHECK_STR(signal_name(0), "0");
	CHECK_STR(signal_name(-3), "-3");
	CHECK_STR(signal_name(1000), "1000");
	for (int sig = 1; sig <= SIGRTMAX; sig++) {
		int back = 0;

		CHECK(signal_parse(signal_name(sig), &back, NULL) == 0);
		CHECK(back == sig);
	}
}

int main(void)
{
	static const struct check_test tests[] = {
		{"itself", test_self},
		{"names that look like fields", test_foreign_name},
		{"ending, as zombie and reaped", test_end},
		{"a given pidfd is taken over on success only", test_given_pidfd},
		{"pids that mean no process", test_bad_pid},
		{"a signal that is none", test_bad_signal},
		{"a reused pid is not mistaken", test_reused_pid},
		{"signal_parse", test_signal_parse},
		{"signal_name", test_signal_name},
	};

	return check_run(tests, CTN_COUNT(tests));
}
