/* SPDX-License-Identifier: Apache-2.0 */
/* Being the caller's child in the place of a program that is in another pid namespace. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../cleanup.h"
#include "exec.h"

struct waited {
	pid_t pid;
	int pidfd, report;
	const char *name;
	bool ready;	   /* execve was next */
	int failed;	   /* the exit status, where it could not be executed; -1 */
	uint64_t from_tty; /* bit n: the terminal gave us signal n, and so the program */
	const struct exec_terminal *terminal;
};

static bool is_ignored(int sig)
{
	struct sigaction now;

	return sigaction(sig, NULL, &now) == 0 && now.sa_handler == SIG_IGN;
}

/* What the terminal sends, it sends to the whole foreground, where the program is, too: only what
 * was sent to us alone goes on. */
static void on_signal(struct waited *w, const struct signalfd_siginfo *info)
{
	int sig = (int)info->ssi_signo;

	if (info->ssi_code == SI_KERNEL) {
		w->from_tty |= UINT64_C(1) << (sig - 1);
		return;
	}
	if (!is_ignored(sig))
		(void)syscall(SYS_pidfd_send_signal, w->pidfd, sig, NULL, 0);
}

/* The program was stopped by its terminal, and so are we, for the caller's job control. Whoever
 * lets us go on means it. Other stops are between the program and whoever has sent them. */
static void on_stop(const struct waited *w, int sig)
{
	if (w->terminal->fd < 0 || (sig != SIGTSTP && sig != SIGTTIN && sig != SIGTTOU))
		return;
	(void)kill(getpid(), SIGSTOP);
	(void)syscall(SYS_pidfd_send_signal, w->pidfd, SIGCONT, NULL, 0);
}

/* Return: whether it has ended; then its exit status, or 128 + signal. */
static bool on_child(const struct waited *w, int *ret)
{
	siginfo_t info = {0};

	for (;;) {
		info.si_pid = 0;
		if (waitid(P_PID, (id_t)w->pid, &info, WEXITED | WSTOPPED | WNOHANG) < 0 ||
		    info.si_pid == 0)
			return false;
		if (info.si_code == CLD_STOPPED) {
			on_stop(w, info.si_status);
			continue;
		}
		*ret = info.si_code == CLD_EXITED ? info.si_status : EXIT_SIGNAL + info.si_status;
		return true;
	}
}

/* An exit status for what failed, which is said. */
static int say(const struct waited *w, const struct wire_error *e)
{
	const bool program = strcmp(e->step, "exec") == 0;

	fprintf(stderr, "%s: %.*s\n", w->name, WIRE_TEXT_MAX, e->text);
	if (!program)
		return EXIT_EXEC;
	return e->code == ENOENT ? EXIT_MISSING : EXIT_CANNOT;
}

static void on_report(struct waited *w)
{
	struct wire_error e = {0};
	ssize_t n = read(w->report, &e, sizeof(e));

	if (n < 0 && errno == EINTR)
		return;
	if (n == (ssize_t)sizeof(e)) {
		if (e.code == 0)
			w->ready = true;
		else
			w->failed = say(w, &e);
		return;
	}
	close(w->report); /* it runs, or has ended */
	w->report = -1;
}

/* A shell inside has made itself the foreground, and is gone: whoever called us would be stopped at
 * its next read. */
static void give_terminal_back(const struct waited *w)
{
	if (w->terminal->foreground && tcgetpgrp(w->terminal->fd) != getpgrp())
		(void)tcsetpgrp(w->terminal->fd, getpgrp()); /* SIGTTOU is blocked */
}

/* As the caller's shell would see it of the program itself: where the terminal has interrupted
 * both, that ends a loop of the shell's, too. */
static int end_as(const struct waited *w, int code)
{
	const struct rlimit none = {0};
	const int sig = code - EXIT_SIGNAL;
	sigset_t set;

	if ((sig != SIGINT && sig != SIGQUIT) || !(w->from_tty & UINT64_C(1) << (sig - 1)))
		return code;
	(void)setrlimit(RLIMIT_CORE, &none);
	(void)signal(sig, SIG_DFL);
	sigemptyset(&set);
	sigaddset(&set, sig);
	(void)kill(getpid(), sig);
	(void)sigprocmask(SIG_UNBLOCK, &set, NULL);
	return code;
}

static int finish(const struct waited *w, int code)
{
	give_terminal_back(w);
	if (w->failed >= 0)
		return w->failed;
	if (!w->ready) {
		fprintf(stderr,
			"%s: it was killed before it could run; is memory.limit too small, or has "
			"the container ended?\n",
			w->name);
		return EXIT_EXEC;
	}
	return end_as(w, code);
}

static int wait_in_loop(struct waited *w, int signals)
{
	struct signalfd_siginfo info;
	int code = 0;

	for (;;) {
		struct pollfd p[] = {{.fd = w->report, .events = POLLIN},
				     {.fd = signals, .events = POLLIN}};

		if (poll(p, CTN_COUNT(p), -1) < 0)
			continue;
		if (p[0].revents) {
			on_report(w);
			continue; /* all that it says comes before its end */
		}
		if (read(signals, &info, sizeof(info)) != (ssize_t)sizeof(info))
			continue;
		if (info.ssi_signo != SIGCHLD)
			on_signal(w, &info);
		else if (on_child(w, &code))
			return finish(w, code);
	}
}

void exec_terminal_open(struct exec_terminal *ret)
{
	ret->fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
	ret->foreground = ret->fd >= 0 && tcgetpgrp(ret->fd) == getpgrp();
}

int exec_wait(pid_t pid, int pidfd, int report, const char *name,
	      const struct exec_terminal *terminal, const sigset_t *caught)
{
	struct waited w = {.pid = pid,
			   .pidfd = pidfd,
			   .report = report,
			   .name = name,
			   .failed = -1,
			   .terminal = terminal};
	int signals = signalfd(-1, caught, SFD_CLOEXEC), code = EXIT_EXEC;

	if (signals < 0)
		fprintf(stderr, "%s: wait for signals: %s\n", name, strerror(errno));
	else
		code = wait_in_loop(&w, signals);
	ctn_close_fd(&signals);
	return code;
}
