/* SPDX-License-Identifier: Apache-2.0 */
/* nth PID ROLE CLASS ACTION N: attaches to a process with all its threads and the children that it
 * will have, counts the system calls of CLASS in those of ROLE, and at the Nth does ACTION:
 *
 *   count        nothing; N is 0
 *   kill         SIGKILL to the process that is about to do it, which then does not
 *   kill-root    to PID itself, whoever is about to do it
 *   kill-both    to both
 *   hold         that thread waits before the call until the end of the input
 *   hold-after   behind the call
 *   ERRNO        that call is not done, and fails so: a number
 *
 * CLASS: one of nth_calls.h; or NAME:PART, the calls with that name about something with that part
 * in its path or description (nth_text.h), at its end with a $ behind PART; or "any". ROLE: 0 is
 * PID, 1 a child of it, 2 one of that, 9 all. It prints "ready", for each call counted "ROLE NAME
 * PROCESS TEXT", at the Nth "hit" and the same, and ends when that is done, or at the end of its
 * input, letting all go on. What strace -e inject does, but with one count for all calls and
 * threads. */
#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/ptrace.h> /* after <sys/ptrace.h> */

#include "nth_calls.h"
#include "nth_text.h"

enum { THREADS_MAX = 512, NURSERY_ROLE = 8, ALL_ROLES = 9 };
enum { KILL_SELF = -1, KILL_ROOT = -2, KILL_BOTH = -3, HOLD = -4, HOLD_AFTER = -5, COUNT = 0 };

struct thread {
	pid_t tid, tgid;
	int role;
	bool failing; /* is in the call that is to fail */
	bool leaving; /* in that behind which it is to wait */
	bool held;    /* has stopped before its parent's event: it waits for that */
};

static struct thread threads[THREADS_MAX];
static size_t n_threads;
static pid_t root;
static int role, action;
static unsigned class;
static char *name, *part; /* NULL, or what the call has to have beside its class */
static long target, seen;

_Noreturn static void give_up(const char *what)
{
	perror(what);
	exit(2);
}

static struct thread *find(pid_t tid)
{
	for (size_t i = 0; i < n_threads; i++) {
		if (threads[i].tid == tid)
			return &threads[i];
	}
	return NULL;
}

static struct thread *add(pid_t tid, pid_t tgid, int its_role)
{
	struct thread *t = find(tid);

	if (!t && n_threads == THREADS_MAX) {
		errno = ENOSPC;
		give_up("nth: threads");
	}
	if (!t)
		t = &threads[n_threads++];
	*t = (struct thread){.tid = tid, .tgid = tgid, .role = its_role};
	return t;
}

static void drop(pid_t tid)
{
	struct thread *t = find(tid);

	if (t)
		*t = threads[--n_threads];
}

static pid_t tgid_of(pid_t tid)
{
	char path[64], line[128];
	pid_t tgid = tid;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", tid);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "Tgid: %d", &tgid) == 1)
			break;
	}
	if (f)
		fclose(f);
	return tgid;
}

static void attach_threads(pid_t pid, int its_role)
{
	static const long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE |
				    PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACEEXEC;
	char path[64];
	struct dirent *d;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	dir = opendir(path);
	if (!dir)
		give_up(path);
	while ((d = readdir(dir))) {
		pid_t tid = atoi(d->d_name);

		if (tid <= 0 || find(tid))
			continue;
		if (ptrace(PTRACE_SEIZE, tid, NULL, options) < 0 ||
		    ptrace(PTRACE_INTERRUPT, tid, NULL, NULL) < 0) {
			if (errno == ESRCH)
				continue; /* it has ended meanwhile */
			give_up("nth: attach");
		}
		add(tid, pid, its_role);
	}
	closedir(dir);
}

static bool is_nursery(pid_t pid)
{
	char path[64], its_name[32] = "";
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	f = fopen(path, "re");
	if (f) {
		(void)!fgets(its_name, sizeof(its_name), f);
		fclose(f);
	}
	return strcmp(its_name, "ctnfs-nursery\n") == 0;
}

static void attach_nurseries(const char *children)
{
	FILE *f = fopen(children, "re");
	int child;

	while (f && fscanf(f, "%d", &child) == 1) {
		if (is_nursery(child) && !find(child))
			attach_threads(child, NURSERY_ROLE);
	}
	if (f)
		fclose(f);
}

/* The children of a server are made by one that it has already, and are its own all the same. */
static void attach_all(void)
{
	char path[64], children[PATH_MAX];
	struct dirent *d;
	DIR *dir;

	attach_threads(root, 0);
	snprintf(path, sizeof(path), "/proc/%d/task", root);
	dir = opendir(path);
	while (dir && (d = readdir(dir))) {
		snprintf(children, sizeof(children), "%s/%s/children", path, d->d_name);
		attach_nurseries(children);
	}
	if (dir)
		closedir(dir);
}

static void say(const char *word, const struct thread *t, const struct call *c, const char *text)
{
	printf("%s%d %s %d %s\n", word, t->role, c->name, t->tgid, text);
	fflush(stdout);
}

_Noreturn static void kill_now(const struct thread *t)
{
	if (action != KILL_SELF)
		(void)kill(root, SIGKILL);
	if (action != KILL_ROOT)
		(void)kill(t->tgid, SIGKILL);
	exit(0);
}

static void cancel_call(pid_t tid, bool done)
{
	struct user_regs_struct regs;
	struct iovec io = {&regs, sizeof(regs)};

	if (ptrace(PTRACE_GETREGSET, tid, (void *)NT_PRSTATUS, &io) < 0)
		return; /* it was killed meanwhile */
	if (done)
		regs.rax = (unsigned long long)-(long)action;
	else
		regs.orig_rax = SYS_getpid; /* -1 a filter would take for a call, too */
	(void)ptrace(PTRACE_SETREGSET, tid, (void *)NT_PRSTATUS, &io);
}

static bool has_part(const char *text)
{
	const size_t len = strlen(text), n = strlen(part);

	if (n == 0 || part[n - 1] != '$')
		return strstr(text, part);
	return len + 1 >= n && strncmp(text + len + 1 - n, part, n - 1) == 0;
}

static bool is_wanted(const struct thread *t, const struct call *c,
		      const struct ptrace_syscall_info *info, char *text, size_t size)
{
	text[0] = '\0';
	if (!c || t->role == NURSERY_ROLE || (role != ALL_ROLES && t->role != role) ||
	    (name && strcmp(c->name, name) != 0))
		return false;
	if (class == call_class("any"))
		call_text(t->tid, info, text, size);
	return !part || has_part(text);
}

/* Whether it may go on. */
static bool on_entry(struct thread *t, const struct ptrace_syscall_info *info)
{
	const struct call *c = call_find(t->tid, class, info);
	char text[2 * PATH_MAX];

	if (!is_wanted(t, c, info, text, sizeof(text)))
		return true;
	seen++;
	if (seen != target) {
		say("", t, c, text);
		return true;
	}
	t->leaving = action == HOLD_AFTER;
	if (!t->leaving)
		say("hit ", t, c, text);
	if (action == HOLD || t->leaving)
		return t->leaving;
	if (action < 0)
		kill_now(t);
	t->failing = true;
	cancel_call(t->tid, false);
	return true;
}

static bool on_syscall(struct thread *t)
{
	struct ptrace_syscall_info info = {0};

	if (ptrace(PTRACE_GET_SYSCALL_INFO, t->tid, (void *)sizeof(info), &info) <= 0)
		return true;
	if (info.op == PTRACE_SYSCALL_INFO_ENTRY)
		return on_entry(t, &info);
	if (info.op == PTRACE_SYSCALL_INFO_EXIT && t->leaving) {
		t->leaving = false;
		say("hit ", t, &(const struct call){.name = name ? name : "call"}, "");
		return false;
	}
	if (info.op == PTRACE_SYSCALL_INFO_EXIT && t->failing) {
		cancel_call(t->tid, true);
		exit(0); /* the end of the tracer lets all of them go on */
	}
	return true;
}

/* A new thread has the role of its process; a new process the next one. */
static int child_role(const struct thread *parent, pid_t tgid)
{
	if (parent->role == NURSERY_ROLE)
		return 1;
	return tgid == parent->tgid ? parent->role : parent->role + 1;
}

static void on_child(struct thread parent)
{
	const struct thread *there;
	unsigned long tid = 0;
	bool held;
	pid_t tgid;

	if (ptrace(PTRACE_GETEVENTMSG, parent.tid, NULL, &tid) < 0)
		return;
	there = find((pid_t)tid);
	held = there && there->held;
	tgid = tgid_of((pid_t)tid);
	add((pid_t)tid, tgid, child_role(&parent, tgid));
	if (held)
		(void)ptrace(PTRACE_SYSCALL, tid, NULL, NULL);
}

static bool stops_all(int sig)
{
	return sig == SIGSTOP || sig == SIGTSTP || sig == SIGTTIN || sig == SIGTTOU;
}

static void on_stop(pid_t tid, int status)
{
	int sig = WSTOPSIG(status), event = status >> 16;
	struct thread *t = find(tid);

	if (!t) {
		add(tid, 0, ALL_ROLES)->held = true;
		return;
	}
	if (sig == (SIGTRAP | 0x80)) {
		if (!on_syscall(t))
			return;
		sig = 0;
	} else if (event == PTRACE_EVENT_CLONE || event == PTRACE_EVENT_FORK ||
		   event == PTRACE_EVENT_VFORK) {
		on_child(*t);
		sig = 0;
	} else if (event == PTRACE_EVENT_STOP) {
		if (stops_all(sig)) {
			(void)ptrace(PTRACE_LISTEN, tid, NULL, NULL);
			return;
		}
		sig = 0;
	} else if (event) {
		sig = 0;
	}
	(void)ptrace(PTRACE_SYSCALL, tid, NULL, (void *)(long)sig);
}

/* All that have something to say. Return: whether anybody is left. */
static bool wait_all(void)
{
	for (;;) {
		int status = 0;
		pid_t tid = waitpid(-1, &status, __WALL | WNOHANG);

		if (tid < 0)
			return errno != ECHILD;
		if (tid == 0)
			return true;
		if (WIFSTOPPED(status))
			on_stop(tid, status);
		else
			drop(tid);
	}
}

/* One of them has been given another call, and not yet what that one is to return. */
static bool is_failing(void)
{
	for (size_t i = 0; i < n_threads; i++) {
		if (threads[i].failing)
			return true;
	}
	return false;
}

static void loop(void)
{
	bool over = false;
	struct pollfd p[2] = {{.fd = STDIN_FILENO, .events = POLLIN}, {.events = POLLIN}};
	struct signalfd_siginfo info;
	sigset_t chld;

	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	sigprocmask(SIG_BLOCK, &chld, NULL);
	p[1].fd = signalfd(-1, &chld, SFD_CLOEXEC | SFD_NONBLOCK);
	attach_all();
	attach_all(); /* what was made meanwhile */
	printf("ready\n");
	fflush(stdout);
	while (wait_all() && (!over || is_failing())) {
		if (poll(p, 2, -1) < 0 && errno != EINTR)
			give_up("nth: poll");
		while (read(p[1].fd, &info, sizeof(info)) > 0)
			;
		if (p[0].revents)
			over = true;
		p[0].fd = over ? -1 : STDIN_FILENO;
	}
}

static int parse_action(const char *text)
{
	static const struct {
		const char *name;
		int value;
	} actions[] = {
		{"count", COUNT},	  {"kill", KILL_SELF}, {"kill-root", KILL_ROOT},
		{"kill-both", KILL_BOTH}, {"hold", HOLD},      {"hold-after", HOLD_AFTER},
	};

	for (size_t i = 0; i < sizeof(actions) / sizeof(*actions); i++) {
		if (strcmp(actions[i].name, text) == 0)
			return actions[i].value;
	}
	return atoi(text);
}

static unsigned parse_class(char *text)
{
	part = strchr(text, ':');
	if (!part)
		return call_class(text);
	*part++ = '\0';
	name = text;
	return call_class("any");
}

int main(int argc, char **argv)
{
	if (argc != 6 || !(class = parse_class(argv[3]))) {
		fputs("usage: nth PID ROLE CLASS ACTION N\n", stderr);
		return 2;
	}
	root = atoi(argv[1]);
	role = atoi(argv[2]);
	action = parse_action(argv[4]);
	target = atol(argv[5]);
	loop();
	return 0;
}
