/* SPDX-License-Identifier: Apache-2.0 */
/* `exec`: a program in a running container with the caller's streams and terminal.
 *
 * The file of the tree is a script whose interpreter is ctnfs-exec (exec_main.c). That one asks the
 * container's monitor for its program and becomes it: the monitor's own version, so that it
 * understands the start message, from a sealed memfd, so that nothing inside can write to it
 * (CVE-2019-5736). What is here runs there. */
#ifndef CTNFS_CORE_MONITOR_EXEC_H
#define CTNFS_CORE_MONITOR_EXEC_H

#include <signal.h>

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

/** struct exec_terminal - the caller's controlling terminal, -1: none; and whether we are in its
 * foreground. exec_terminal_open() - before there is a program that could change that. */
struct exec_terminal {
	int fd;
	bool foreground;
};
void exec_terminal_open(struct exec_terminal *ret);

/**
 * exec_wait() - wait for the program as a shell's child should: signals of the caller go on to it,
 * its stops stop us, its end is ours.
 * @pid, @pidfd: our child. @report: as stage_run()'s, the reading end.
 * @name:   of the user's call, for sentences.
 * @caught: the signals that are blocked, and forwarded.
 * Return: the exit status.
 */
int exec_wait(pid_t pid, int pidfd, int report, const char *name,
	      const struct exec_terminal *terminal, const sigset_t *caught);

#endif
