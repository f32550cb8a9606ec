/* SPDX-License-Identifier: Apache-2.0 */
/* Being the caller's child in the place of a program that is in another pid namespace. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../cleanup.h"
#include "enter.h"
#include "exec.h"
#include "notify.h"

enum { BIRTH_MS = 1000 };

struct waited {
	const char *name;
	const struct exec_terminal *terminal;
	struct exec_listener *listener;
	int reaper, report;
	pid_t pid; /* 0 while there is no program */
	int pidfd;
	bool foreground;   /* the job has the terminal, as far as we were told */
	int status;	   /* of a failure that was said already; -1 */
	uint64_t from_tty; /* bit n: the terminal gave us signal n + 1, and so the program */
};

static bool on_reaper(struct waited *w, int *ret);

/* --- signals --- */

static bool is_ignored(int sig)
{
	struct sigaction now;

	return sigaction(sig, NULL, &now) == 0 && now.sa_handler == SIG_IGN;
}

/* As if it had met us with no handler. */
static void take_default(int sig)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, sig);
	(void)sigprocmask(SIG_UNBLOCK, &set, NULL);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
}

/* It may run already, and we have only not been told; or the control group stands still, and it
 * never will. */
static bool wait_for_program(struct waited *w)
{
	struct pollfd p = {.fd = w->reaper, .events = POLLIN};
	int code;

	if (!w->pid && poll(&p, 1, BIRTH_MS) > 0)
		(void)on_reaper(w, &code); /* a failure is said there; the loop sees the end */
	return w->pid > 0;
}

/* What the terminal sends, it sends to the whole foreground, where the program is, too, but for the
 * hangup, which is for the leader of its session: that, and what was sent to us alone, goes on. */
static void on_signal(struct waited *w, const struct signalfd_siginfo *info)
{
	int sig = (int)info->ssi_signo;

	if (sig == SIGCHLD || is_ignored(sig))
		return;
	if (!wait_for_program(w)) {
		(void)kill(getpid(), sig);
		take_default(sig);
	} else if (info->ssi_code == SI_KERNEL && sig != SIGHUP) {
		w->from_tty |= UINT64_C(1) << (sig - 1);
	} else {
		(void)syscall(SYS_pidfd_send_signal, w->pidfd, sig, NULL, 0);
	}
}

/* The program was stopped by its terminal, and so are we, for the caller's job control. Whoever
 * lets us go on means it; where nobody could, the kernel does not stop us. Other stops are between
 * the program and whoever has sent them. */
static void on_stop(struct waited *w, int sig)
{
	const struct exec_terminal *t = w->terminal;
	pid_t group = w->pid;

	if (t->fd < 0 || (sig != SIGTSTP && sig != SIGTTIN && sig != SIGTTOU))
		return;
	if (t->own_group && w->foreground) {
		group = tcgetpgrp(t->fd); /* its own, or that of a job of a shell inside */
		(void)tcsetpgrp(t->fd, getpgrp());
	}
	(void)kill(t->own_group ? 0 : getpid(), SIGTSTP); /* the whole job, as a terminal does */
	take_default(SIGTSTP);
	w->foreground = tcgetpgrp(t->fd) == getpgrp();
	if (t->own_group && w->foreground && group > 0)
		(void)tcsetpgrp(t->fd, group);
	(void)syscall(SYS_pidfd_send_signal, w->pidfd, SIGCONT, NULL, 0);
}

/* --- what it comes to --- */

/* An exit status for what failed, which is said. */
static int say(const struct waited *w, const char *step, int code, const char *text)
{
	fprintf(stderr, "%s: %.*s\n", w->name, WIRE_TEXT_MAX, text);
	if (strcmp(step, "exec") != 0)
		return EXIT_EXEC;
	return code == ENOENT ? EXIT_MISSING : EXIT_CANNOT;
}

/* It was the foreground, or a shell inside has made itself that: whoever called us would be stopped
 * at its next read. */
static void give_terminal_back(const struct waited *w)
{
	if (w->foreground && tcgetpgrp(w->terminal->fd) != getpgrp())
		(void)tcsetpgrp(w->terminal->fd, getpgrp()); /* SIGTTOU is blocked */
}

/* As the caller's shell would see it of the program itself: where the terminal has interrupted the
 * job, that ends a loop or script of the caller's, too. */
static int end_as(const struct waited *w, int code)
{
	const bool own = w->terminal->own_group;
	const struct rlimit none = {0};
	const int sig = code - EXIT_SIGNAL;

	if ((sig != SIGINT && sig != SIGQUIT) ||
	    (!own && !(w->from_tty & UINT64_C(1) << (sig - 1))))
		return code;
	(void)setrlimit(RLIMIT_CORE, &none);
	(void)kill(own ? 0 : getpid(), sig);
	take_default(sig);
	return code;
}

/* --- the loop --- */

/* Who reads a pipe of the caller's is to see the program's end of it. */
static void leave_streams(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (int fd = 0; null >= 0 && fd <= STDERR_FILENO; fd++)
		(void)dup2(null, fd);
	ctn_close_fd(&null);
}

/* It was about to execute the program. */
static bool is_ready(const struct waited *w)
{
	return atomic_load(&w->listener->handover->ready);
}

static void close_monitor(struct exec_listener *l)
{
	ctn_close_fd(&l->monitor);
	l->monitor = -1;
}

/* The program has its filter, and waits until somebody answers for it. */
static void pass_listener(struct waited *w)
{
	struct wire_msg msg = {
		.magic = WIRE_MAGIC, .version = WIRE_VERSION, .type = WIRE_MSG_LISTENER};
	struct exec_listener *l = w->listener;
	struct ctn_err err = {0};
	ctn_autoclose int fd = -1;
	int r;

	msg.value = atomic_load(&l->handover->killable);
	if (!wait_for_program(w)) /* who it is; the loop sees the end of one that is none */
		return;
	r = handover_take(l->handover, w->pidfd, &fd, &err);
	if (r < 0 && r != -ESRCH) {
		w->status = say(w, "seccomp", err.code, err.text);
		(void)syscall(SYS_pidfd_send_signal, w->pidfd, SIGKILL, NULL, 0);
		close_monitor(l); /* not once more */
	} else if (r == 0) {
		(void)wire_send(l->monitor, &msg, sizeof(msg), &fd, 1);
	}
}

/* Nobody waits for what becomes of it. */
static void tell_monitor(struct waited *w)
{
	const char *slash = strrchr(w->listener->program, '/');
	const char *program = slash && slash[1] ? slash + 1 : w->listener->program;
	struct wire_msg msg = {
		.magic = WIRE_MAGIC, .version = WIRE_VERSION, .type = WIRE_MSG_EXECED};

	if (!wait_for_program(w))
		return;
	msg.execed.pid = w->pid;
	memcpy(msg.execed.program, program, strnlen(program, sizeof(msg.execed.program) - 1));
	(void)wire_send(w->listener->monitor, &msg, sizeof(msg), NULL, 0);
}

static void on_report(struct waited *w)
{
	struct wire_error e = {0};
	ssize_t n = read(w->report, &e, sizeof(e));

	if (n < 0 && errno == EINTR)
		return;
	if (n == (ssize_t)sizeof(e)) {
		if (e.code != 0)
			w->status = say(w, e.step, e.code, e.text);
		return;
	}
	close(w->report); /* it runs, or has ended */
	w->report = -1;
	if (is_ready(w) && w->status < 0) {
		leave_streams();
		tell_monitor(w);
	}
	close_monitor(w->listener);
}

/* Return: whether it is over, with the exit status. */
static bool on_reaper(struct waited *w, int *ret)
{
	struct exec_event e = {0};
	int pidfd = -1;
	size_t n = 0;

	if (wire_receive(w->reaper, &e, sizeof(e), &pidfd, 1, &n) != (ssize_t)sizeof(e)) {
		if (w->pid) /* it was killed, and its child with it */
			(void)syscall(SYS_pidfd_send_signal, w->pidfd, SIGKILL, NULL, 0);
		*ret = EXIT_SIGNAL + SIGKILL;
		return true;
	}
	switch (e.type) {
	case EXEC_BEGUN:
		w->pid = e.pid;
		w->pidfd = pidfd;
		if (e.pid <= 0)
			w->status = say(w, "", e.value, e.text);
		return e.pid <= 0;
	case EXEC_STOPPED:
		on_stop(w, e.value);
		return false;
	default:
		*ret = e.value;
		return true;
	}
}

/* What it has said may have come after we had looked for that, and before we looked for its end. */
static void hear_out(struct waited *w)
{
	struct pollfd p = {.fd = w->report, .events = POLLIN};

	while (p.fd >= 0 && poll(&p, 1, 0) > 0) {
		on_report(w);
		p.fd = w->report;
	}
}

static int finish(struct waited *w, int code)
{
	hear_out(w);
	give_terminal_back(w);
	if (w->status >= 0)
		return w->status;
	if (is_ready(w) || code != EXIT_SIGNAL + SIGKILL) /* others come from the caller's side */
		return end_as(w, code);
	fprintf(stderr,
		"%s: it was killed before it could run; is memory.limit too small, or has the "
		"container ended?\n",
		w->name);
	return EXIT_EXEC;
}

static int wait_in_loop(struct waited *w, int signals)
{
	struct signalfd_siginfo info;
	int code = 0;

	for (;;) {
		struct pollfd p[] = {{.fd = w->report, .events = POLLIN},
				     {.fd = w->reaper, .events = POLLIN},
				     {.fd = signals, .events = POLLIN}};

		if (poll(p, CTN_COUNT(p), w->listener->monitor >= 0 ? HANDOVER_MS : -1) < 0)
			continue;
		if (w->listener->monitor >= 0 && handover_pending(w->listener->handover))
			pass_listener(w);
		if (p[0].revents)
			on_report(w);
		else if (p[1].revents && on_reaper(w, &code)) /* after all that it has to say */
			return finish(w, code);
		if (p[2].revents && read(signals, &info, sizeof(info)) == (ssize_t)sizeof(info))
			on_signal(w, &info);
	}
}

void exec_terminal_open(struct exec_terminal *ret)
{
	ret->fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
	ret->foreground = ret->fd >= 0 && tcgetpgrp(ret->fd) == getpgrp();
	ret->own_group = ret->fd >= 0 && isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) &&
			 isatty(STDERR_FILENO);
}

int exec_wait(int reaper, int report, const char *name, const struct exec_terminal *terminal,
	      struct exec_listener *listener)
{
	struct waited w = {.name = name,
			   .terminal = terminal,
			   .listener = listener,
			   .reaper = reaper,
			   .report = report,
			   .pidfd = -1,
			   .foreground = terminal->foreground,
			   .status = -1};
	int signals, code = EXIT_EXEC;
	sigset_t all;

	sigfillset(&all);
	signals = signalfd(-1, &all, SFD_CLOEXEC);
	if (signals < 0)
		fprintf(stderr, "%s: wait for signals: %s\n", name, strerror(errno));
	else
		code = wait_in_loop(&w, signals);
	ctn_close_fd(&signals);
	return code;
}
