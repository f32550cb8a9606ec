/* SPDX-License-Identifier: Apache-2.0 */
#include "procfs.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "cleanup.h"
#include "io.h"

enum { CHAIN = 40 };

static void sleep_for_ever(int ready)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	close(ready);
	for (;;)
		pause();
}

/* Run @child(@arg, fd) in a child and return once it has closed fd. */
static pid_t spawn(void (*child)(const char *arg, int ready), const char *arg)
{
	int ready[2];
	char c;
	pid_t pid;

	if (pipe2(ready, O_CLOEXEC) < 0)
		abort();
	pid = fork();
	if (pid == 0) {
		child(arg, ready[1]);
		_exit(0);
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

static void child_named(const char *name, int ready)
{
	prctl(PR_SET_NAME, name);
	sleep_for_ever(ready);
}

static void child_exits(const char *name, int ready)
{
	prctl(PR_SET_NAME, name);
	(void)ready;
}

static void child_execs(const char *arg, int ready)
{
	(void)ready; /* closed by execve */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	execl("/bin/sleep", arg, "1000", (char *)NULL);
}

static void child_chain(const char *depth, int ready)
{
	static int parents = -1; /* a copy would keep our parent waiting */
	char next[16];

	if (parents >= 0)
		close(parents);
	parents = ready;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (atoi(depth) > 1) {
		snprintf(next, sizeof(next), "%d", atoi(depth) - 1);
		spawn(child_chain, next);
	}
	sleep_for_ever(ready);
}

static int status_of(pid_t pid, struct procfs_status *st)
{
	ctn_autoclose int fd = -1;
	int r = procfs_open(pid, &fd, NULL);

	return r < 0 ? r : procfs_read_status(fd, st, NULL);
}

/* The value of a line of /proc/self/status, to compare with. */
static const char *own_line(const char *label)
{
	static char line[256];
	ctn_autoclosefile FILE *f = fopen("/proc/self/status", "re");

	while (f && fgets(line, sizeof(line), f)) {
		size_t len = strlen(label);

		if (strncmp(line, label, len) == 0 && line[len] == ':')
			return line + len + 1;
	}
	return "";
}

static void on_signal(int sig)
{
	(void)sig;
}

static void test_self(void)
{
	struct procfs_status st = {0};
	struct rusage use;
	int64_t cpu;

	signal(SIGUSR2, on_signal);
	prctl(PR_SET_NAME, "test me");
	for (clock_t end = clock() + CLOCKS_PER_SEC / 20; clock() < end;)
		;
	CHECK(status_of(getpid(), &st) == 0);
	getrusage(RUSAGE_SELF, &use);
	cpu = ((int64_t)use.ru_utime.tv_sec + use.ru_stime.tv_sec) * 1000000000 +
	      ((int64_t)use.ru_utime.tv_usec + use.ru_stime.tv_usec) * 1000;
	CHECK(st.pid == getpid() && st.ppid == getppid() && st.own_pid == getpid());
	CHECK(st.uid == geteuid());
	CHECK(st.state == 'R');
	CHECK_STR(st.comm, "test me");
	CHECK(st.rss > 100000 && st.rss % 1024 == 0);
	CHECK(llabs((int64_t)st.cpu - cpu) < 100000000 && st.cpu >= 20000000);
	CHECK(st.start > 0);
	CHECK(st.caught & UINT64_C(1) << (SIGUSR2 - 1));
	CHECK(!(st.caught & UINT64_C(1) << (SIGKILL - 1)));
	for (int i = 0; i < 5; i++)
		CHECK(st.caps[i] == strtoull(own_line(procfs_caps_labels[i]), NULL, 16));
}

static void test_effective_uid(void)
{
	struct procfs_status st = {0};

	if (geteuid() != 0) {
		puts("# skipped: needs root");
		return;
	}
	CHECK(setresuid(0, 12345, 0) == 0);
	CHECK(status_of(getpid(), &st) == 0);
	CHECK(st.uid == 12345);
	CHECK(setresuid(0, 0, 0) == 0);
}

static void test_foreign_name(void)
{
	static const char *const names[] = {") Z 1 2 3 (", "x\nUid:\t0\t0", "\x1b[2J\t)", "(", "",
					    "\\n)) R 0"};

	for (size_t i = 0; i < CTN_COUNT(names); i++) {
		pid_t pid = spawn(child_named, names[i]);
		struct procfs_status st = {0};

		CHECK(status_of(pid, &st) == 0);
		CHECK_STR(st.comm, names[i]);
		CHECK(st.state == 'S' || st.state == 'R');
		CHECK(st.ppid == getpid() && st.pid == pid && st.own_pid == pid);
		CHECK(st.uid == geteuid() && st.rss > 0);
		reap(pid);
	}
}

static void test_gone(void)
{
	ctn_autoclose int fd = -1;
	struct procfs_status st = {.pid = -5};
	int untouched = -5;
	pid_t own = -5;
	pid_t pid = spawn(child_exits, "ends");

	CHECK(procfs_open(pid, &fd, NULL) == 0);
	CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	waitid(P_PID, (id_t)pid, NULL, WEXITED | WNOWAIT);
	CHECK(procfs_read_status(fd, &st, NULL) == 0);
	CHECK(st.state == 'Z' && st.rss == 0);
	CHECK_STR(st.comm, "ends");
	waitpid(pid, NULL, 0);
	st.pid = -5;
	CHECK_ERR(procfs_read_status(fd, &st, &check_err), ESRCH, "ended");
	CHECK(st.pid == -5);
	CHECK_ERR(procfs_open(pid, &untouched, &check_err), ESRCH, "no process");
	CHECK_ERR(procfs_open(-1, &untouched, &check_err), ESRCH, "no process -1");
	CHECK(untouched == -5);
	CHECK_ERR(procfs_own_pid(pid, &own, &check_err), ESRCH, "no process");
	CHECK(own == -5);
}

static void test_own_pid(void)
{
	pid_t middle, inner = 0, own = 0;
	int out[2];

	CHECK(procfs_own_pid(getpid(), &own, NULL) == 0 && own == getpid());
	if (pipe2(out, O_CLOEXEC) < 0)
		abort();
	middle = fork();
	if (middle == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		inner = unshare(CLONE_NEWPID) < 0 ? -1 : fork();
		if (inner == 0)
			sleep_for_ever(out[1]); /* pid 1 of its namespace */
		(void)!write(out[1], &inner, sizeof(inner));
		close(out[1]);
		for (;;)
			pause();
	}
	close(out[1]);
	CHECK(read(out[0], &inner, sizeof(inner)) == sizeof(inner));
	close(out[0]);
	if (inner < 0) {
		puts("# skipped: no new pid namespace here");
	} else {
		struct procfs_status st = {0};

		CHECK(procfs_own_pid(inner, &own, NULL) == 0 && own == 1);
		CHECK(status_of(inner, &st) == 0 && st.own_pid == 1 && st.pid == inner);
		kill(inner, SIGKILL);
	}
	reap(middle);
}

/* The text of ps for these pids. */
static char *ps(const pid_t *pids, size_t n, uid_t base, uid_t count)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	CHECK(procfs_print_ps(f, pids, n, base, count, NULL) == 0);
	fclose(f);
	return text;
}

/* The line of @pid in @text, cut into its seven columns; COMMAND keeps its indentation. */
static bool ps_line(const char *text, pid_t pid, char cell[7][128])
{
	for (const char *line = text; line && *line; line = strchr(line, '\n')) {
		int used = 0;

		line += *line == '\n';
		memset(cell, 0, 7 * 128);
		if (sscanf(line, "%127s %127s %127s %127s %127s %127s%n", cell[0], cell[1], cell[2],
			   cell[3], cell[4], cell[5], &used) == 6 &&
		    atoi(cell[0]) == pid) {
			snprintf(cell[6], 128, "%.*s", (int)strcspn(line + used + 1, "\n"),
				 line + used + 1);
			return true;
		}
	}
	return false;
}

static void test_ps_tree(void)
{
	pid_t zombie = spawn(child_exits, "dead\nand \x9b");
	pid_t odd = spawn(child_execs, "a b\n\x1b[31m\\");
	pid_t pids[] = {odd, getpid(), zombie, odd, 0x3ffffff0, zombie};
	ctn_autofree char *text = NULL;
	char cell[7][128];

	waitid(P_PID, (id_t)zombie, NULL, WEXITED | WNOWAIT);
	text = ps(pids, CTN_COUNT(pids), 0, 0);
	CHECK(sscanf(text, "%127s %127s %127s %127s %127s %127s %127s", cell[0], cell[1], cell[2],
		     cell[3], cell[4], cell[5], cell[6]) == 7);
	CHECK_STR(cell[0], "PID");
	CHECK_STR(cell[1], "OWN");
	CHECK_STR(cell[2], "USER");
	CHECK_STR(cell[3], "STATE");
	CHECK_STR(cell[4], "RSS");
	CHECK_STR(cell[5], "TIME");
	CHECK_STR(cell[6], "COMMAND");
	CHECK(ps_line(text, getpid(), cell));
	CHECK_STR(cell[3], "R");
	CHECK(cell[6][0] != ' ' && strchr(cell[4], 'M') && strchr(cell[5], ':'));
	CHECK(ps_line(text, zombie, cell));
	CHECK_STR(cell[3], "Z");
	CHECK_STR(cell[4], "0K");
	CHECK_STR(cell[6], "  [dead\\nand \\x9b]");
	CHECK(ps_line(text, odd, cell));
	CHECK_STR(cell[6], "  a b\\n\\x1b[31m\\\\ 1000");
	/* header and three lines: the duplicates and the one that does not exist are left out */
	CHECK(strtok(text, "\n") && strtok(NULL, "\n") && strtok(NULL, "\n") && strtok(NULL, "\n"));
	CHECK(strtok(NULL, "\n") == NULL);
	reap(odd);
	waitpid(zombie, NULL, 0);
}

static void test_ps_users(void)
{
	static const struct {
		uid_t base, count;
		const char *user;
	} cases[] = {
		{0, 0, "0"},	      {0, 1, "0"},     {1, 65536, "-"},
		{100000, 65536, "-"}, {0, 65536, "0"}, {5, 0, "0"},
	};
	pid_t self = getpid();

	if (geteuid() != 0) {
		puts("# skipped: needs root");
		return;
	}
	for (size_t i = 0; i < CTN_COUNT(cases); i++) {
		ctn_autofree char *text = ps(&self, 1, cases[i].base, cases[i].count);
		char cell[7][128];

		CHECK(ps_line(text, self, cell));
		CHECK_STR(cell[2], cases[i].user);
	}
	CHECK(setresuid(0, 100007, 0) == 0);
	for (uid_t count = 7; count <= 8; count++) {
		ctn_autofree char *text = ps(&self, 1, 100000, count);
		char cell[7][128];

		CHECK(ps_line(text, self, cell));
		CHECK_STR(cell[2], count == 7 ? "-" : "7");
	}
	CHECK(setresuid(0, 0, 0) == 0);
}

static void test_ps_empty(void)
{
	ctn_autofree char *text = ps(NULL, 0, 0, 0);

	CHECK_STR(text, "PID OWN USER STATE RSS TIME COMMAND\n");
}

static void test_ps_long_command(void)
{
	static char arg[100000];
	ctn_autofree char *text = NULL;
	pid_t pid;

	memset(arg, 'x', sizeof(arg) - 1);
	pid = spawn(child_execs, arg);
	text = ps(&pid, 1, 0, 0);
	CHECK(strlen(text) > 4096 && strlen(text) < 4096 + 200);
	CHECK(strspn(strchr(text, 'x'), "x") == 4096);
	reap(pid);
}

/* A chain deeper than the indentation goes. Its first process is ours, so killing that one ends
 * the others one after the other. */
static void test_ps_deep(void)
{
	char depth[16];
	pid_t pids[CHAIN], first;
	ctn_autofree char *text = NULL;
	char cell[7][128];

	snprintf(depth, sizeof(depth), "%d", CHAIN);
	first = spawn(child_chain, depth);
	pids[0] = first;
	for (int i = 1; i < CHAIN; i++) { /* the only child of each */
		char path[64], children[32] = "";
		ctn_autoclosefile FILE *f = NULL;

		snprintf(path, sizeof(path), "/proc/%d/task/%d/children", pids[i - 1], pids[i - 1]);
		f = fopen(path, "re");
		if (!f || !fgets(children, sizeof(children), f)) {
			puts("# skipped: no list of children in /proc");
			reap(first);
			return;
		}
		pids[i] = atoi(children);
	}
	text = ps(pids, CHAIN, 0, 0);
	for (int i = 0; i < CHAIN; i++) {
		CHECK(ps_line(text, pids[i], cell));
		CHECK(strspn(cell[6], " ") == (size_t)(i < 32 ? i : 32) * 2);
	}
	/* Each dies with its parent and falls to us, so that none is left. */
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	reap(first);
	while (waitpid(-1, NULL, 0) > 0)
		;
	prctl(PR_SET_CHILD_SUBREAPER, 0);
}

static void test_ps_kernel_thread(void)
{
	struct procfs_status st = {0};
	ctn_autofree char *text = NULL;
	char cell[7][128];
	pid_t pid = 2;

	if (status_of(pid, &st) < 0 || strcmp(st.comm, "kthreadd") != 0) {
		puts("# skipped: no kernel threads to be seen");
		return;
	}
	text = ps(&pid, 1, 0, 0);
	CHECK(ps_line(text, pid, cell));
	CHECK_STR(cell[6], "[kthreadd]");
}

static void test_ps_full(void)
{
	ctn_autoclosefile FILE *f = fopen("/dev/full", "we");
	pid_t pid = getpid();

	if (!f)
		return;
	setvbuf(f, NULL, _IONBF, 0);
	CHECK_ERR(procfs_print_ps(f, &pid, 1, 0, 0, &check_err), EIO, "list of processes");
}

int main(void)
{
	static const struct check_test tests[] = {
		{"itself", test_self},
		{"the effective uid", test_effective_uid},
		{"names that look like fields", test_foreign_name},
		{"zombies and the reaped", test_gone},
		{"pid in the innermost namespace", test_own_pid},
		{"ps: tree, escapes, zombies, duplicates", test_ps_tree},
		{"ps: users", test_ps_users},
		{"ps: nobody", test_ps_empty},
		{"ps: a long command", test_ps_long_command},
		{"ps: a deep tree", test_ps_deep},
		{"ps: a kernel thread", test_ps_kernel_thread},
		{"ps: output fails", test_ps_full},
	};

	return check_run(tests, CTN_COUNT(tests));
}
