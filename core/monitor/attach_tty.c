/* SPDX-License-Identifier: Apache-2.0 */
#include "attach.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "../cleanup.h"

/* What the handlers need. @raw_wanted: from tty_raw() to tty_restore(). */
static struct termios saved, raw;
static volatile sig_atomic_t raw_wanted, resized, continued;
static sigset_t waiting;

/* In the background it is the shell's: its modes are not ours to change, nor to wait for. */
static bool in_foreground(void)
{
	pid_t group = tcgetpgrp(STDIN_FILENO);

	return group < 0 || group == getpgrp(); /* < 0: it is not our controlling terminal */
}

void tty_restore(void)
{
	if (raw_wanted && in_foreground())
		(void)tcsetattr(STDIN_FILENO, TCSANOW, &saved);
	raw_wanted = 0;
}

/* --- signals --- */

/* Its default action comes when the handler returns (SA_RESETHAND). */
static void on_end(int sig)
{
	tty_restore();
	(void)raise(sig);
}

static void take(int sig, void (*handler)(int sig), int flags)
{
	struct sigaction action = {.sa_handler = handler, .sa_flags = flags}, now;

	if (sigaction(sig, NULL, &now) == 0 && now.sa_handler == SIG_IGN)
		return; /* nohup(1), or a shell without job control */
	sigfillset(&action.sa_mask);
	(void)sigaction(sig, &action, NULL);
}

/* The terminal as it was, while we stand still. */
static void on_stop(int sig)
{
	const int before = errno, was_raw = raw_wanted;
	sigset_t one;

	tty_restore();
	raw_wanted = was_raw;
	sigemptyset(&one);
	sigaddset(&one, sig);
	(void)signal(sig, SIG_DFL);
	(void)raise(sig);
	(void)sigprocmask(SIG_UNBLOCK, &one, NULL); /* here, unless nobody could let us go on */
	take(sig, on_stop, 0);
	continued = resized = 1;
	errno = before;
}

/* Also after SIGSTOP, which cannot be caught. */
static void on_continue(int sig)
{
	(void)sig;
	continued = resized = 1;
}

static void on_resize(int sig)
{
	(void)sig;
	resized = 1;
}

/* Whether it is one that ends a process, unless it is caught, and that can be caught. */
static bool is_end(int sig)
{
	static const int others[] = {
		SIGKILL, SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU, SIGCONT, SIGCHLD, SIGURG, SIGWINCH,
	};

	for (size_t i = 0; i < CTN_COUNT(others); i++) {
		if (sig == others[i])
			return false;
	}
	return true;
}

int tty_init(struct ctn_err *err)
{
	sigset_t late;

	sigemptyset(&late);
	sigaddset(&late, SIGWINCH);
	sigaddset(&late, SIGCONT);
	sigaddset(&late, SIGTSTP);
	if (sigprocmask(SIG_BLOCK, &late, &waiting) < 0)
		return ctn_fail_errno(err, "block signals");
	sigdelset(&waiting, SIGWINCH);
	sigdelset(&waiting, SIGCONT);
	sigdelset(&waiting, SIGTSTP);
	for (int sig = 1; sig <= SIGRTMAX; sig++) {
		if (is_end(sig))
			take(sig, on_end, (int)SA_RESETHAND);
	}
	take(SIGTSTP, on_stop, 0);
	take(SIGCONT, on_continue, 0);
	take(SIGWINCH, on_resize, 0);
	return 0;
}

const sigset_t *tty_mask(void)
{
	return &waiting;
}

/* --- modes --- */

/* In the background this stops us, until we are in the foreground again. */
static int set_raw(struct ctn_err *err)
{
	while (tcsetattr(STDIN_FILENO, TCSANOW, &raw) < 0) {
		if (errno != EINTR)
			return ctn_fail_errno(err, "set the modes of your terminal");
	}
	return 0;
}

int tty_raw(struct ctn_err *err)
{
	int r;

	if (!isatty(STDIN_FILENO))
		return 0;
	if (tcgetattr(STDIN_FILENO, &saved) < 0)
		return ctn_fail_errno(err, "read the modes of your terminal");
	raw = saved;
	cfmakeraw(&raw);
	raw.c_cc[VMIN] = 1;
	raw.c_cc[VTIME] = 0;
	raw_wanted = 1; /* first: a signal may come in between */
	r = set_raw(err);
	if (r < 0)
		raw_wanted = 0;
	return r;
}

bool tty_is_raw(void)
{
	return raw_wanted;
}

/* --- size --- */

bool tty_changed(bool *ret_redraw)
{
	bool changed = resized;

	*ret_redraw = continued;
	resized = continued = 0;
	if (*ret_redraw && raw_wanted)
		(void)set_raw(NULL); /* gone? then reading tells */
	return changed;
}

static bool size_of_caller(struct winsize *ret)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		if (ioctl(fd, TIOCGWINSZ, ret) == 0)
			return ret->ws_row && ret->ws_col;
	}
	return false;
}

void tty_size_pass(int master, bool redraw)
{
	struct winsize size, now;

	if (!size_of_caller(&size))
		return;
	/* The kernel says nothing to the programs where nothing changes. */
	if (redraw && ioctl(master, TIOCGWINSZ, &now) == 0 && now.ws_row == size.ws_row &&
	    now.ws_col == size.ws_col) {
		now.ws_row = size.ws_row > 1 ? size.ws_row - 1 : 2;
		(void)ioctl(master, TIOCSWINSZ, &now);
	}
	(void)ioctl(master, TIOCSWINSZ, &size);
}
