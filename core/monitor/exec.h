/* SPDX-License-Identifier: Apache-2.0 */
/* `exec`: a program in a running container with the caller's streams and terminal.
 *
 * The file of the tree is a script whose interpreter is ctnfs-exec (exec_main.c). That one asks the
 * container's monitor for its program and for the start message and becomes that program: the
 * monitor's own version, so that it understands the message, from a sealed memfd, so that nothing
 * inside can write to it (CVE-2019-5736). What is here runs there. */
#ifndef CTNFS_CORE_MONITOR_EXEC_H
#define CTNFS_CORE_MONITOR_EXEC_H

#include "monitor.h"

/* Exit statuses as of chroot(1), env(1) and shells: exec itself has failed; the program cannot be
 * executed; it was not found; a signal has ended it. */
enum { EXIT_EXEC = 125, EXIT_CANNOT = 126, EXIT_MISSING = 127, EXIT_SIGNAL = 128 };

enum { EXEC_FDS_MAX = 32 };

/**
 * struct exec_options - the command line.
 * @user, @cwd: NULL: the container's.
 * @env:   KEY=VALUE, NULL-terminated.
 * @fds:   descriptors to pass on beside the standard ones.
 * @argv:  the program and its arguments.
 */
struct exec_options {
	const char *user, *cwd;
	char **env;
	size_t n_env;
	int fds[EXEC_FDS_MAX];
	size_t n_fds;
	char **argv;
};

/** exec_options_parse() - @argv[0] is what the user called. Prints what is wrong, or the help.
 * Return: -1: go on; else the exit status. */
int exec_options_parse(int argc, char **argv, struct exec_options *ret);

/** exec_main() - `ctnfs-exec SOCKET RUNDIR SCRIPT [OPTION]… PROGRAM [ARG]…`, as ctnfs-exec calls
 * it. Return: the exit status. */
int exec_main(int argc, char **argv);

/**
 * struct exec_terminal - the caller's controlling terminal.
 * @fd: -1: none.
 * @foreground: we are in its foreground.
 * @own_group:  the program gets a process group of its own, since all its streams are terminals: a
 * shell inside could not name ours, which has no number there. In a pipeline it stays with the
 * others of the job.
 */
struct exec_terminal {
	int fd;
	bool foreground, own_group;
};

/** exec_terminal_open() - before there is a program that could change it. */
void exec_terminal_open(struct exec_terminal *ret);

/** struct exec_start - what enter_clone() and enter_run() are given; @keep[0] is the report. */
struct exec_start {
	const struct plan *plan;
	int init;
	unsigned job;
	int keep[1 + EXEC_FDS_MAX];
	size_t n_keep;
};

enum { EXEC_REAP_FD = 3 };
enum exec_event_type { EXEC_BEGUN = 1, EXEC_STOPPED, EXEC_ENDED };

/**
 * struct exec_event - what the program's parent says.
 * @pid:   EXEC_BEGUN: of the program, whose pidfd comes along; else -1, and @value is an errno with
 *         the sentence @text.
 * @value: EXEC_STOPPED: the signal; EXEC_ENDED: the exit status, or 128 + signal.
 */
struct exec_event {
	int32_t type, value, pid;
	char text[WIRE_TEXT_MAX];
};

/** exec_reap() - make a process that makes the program and is its parent; when our end of the
 * connection is closed, it kills the program. @ret: that end. Return: 0 or -errno. */
int exec_reap(const struct exec_start *s, int *ret);

/**
 * struct exec_listener - what becomes of the program's denied calls, and who hears of it.
 * @handover: with the program; where it gives a listener, that goes on to
 * @monitor:  the connection to the container's, which is told that the program runs, and closed
 *            then: the monitor has few places, which others need.
 * @program:  what it is called.
 */
struct exec_listener {
	struct handover *handover;
	int monitor;
	const char *program;
};

/**
 * exec_wait() - wait for the program as a shell's child should: signals of the caller go on to it,
 * its stops stop us, its end is ours. All signals are blocked.
 * @report: as enter_run()'s, the reading end. @name: of the user's call, for sentences.
 * Return: the exit status.
 */
int exec_wait(int reaper, int report, const char *name, const struct exec_terminal *terminal,
	      struct exec_listener *listener);

#endif
