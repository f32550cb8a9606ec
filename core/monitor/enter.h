/* SPDX-License-Identifier: Apache-2.0 */
/* Entering a running container: for sessions, below their own monitor, and for `exec`, below its
 * caller. */
#ifndef CTNFS_CORE_MONITOR_ENTER_H
#define CTNFS_CORE_MONITOR_ENTER_H

#include "monitor.h"

/**
 * enter_clone() - make a process in a running container: in its control groups (p->attach_fds),
 * then in those of its namespaces that are in ns_new or ns_join.
 * @init:      pidfd of its first process.
 * @keep, @n:  descriptors that the new process needs beside the standard ones, ENTER_KEEP_MAX.
 * @ret_pidfd: its pidfd, for the parent.
 *
 * A helper goes ahead and makes it as its sibling, the caller's child, so that the caller itself
 * stays outside. Neither can be looked into from inside: they are not dumpable, their memory
 * belongs to the host's user namespace, and the new process has no descriptor of the host's but
 * those (CVE-2016-9962).
 *
 * Return: 0 in the new process; its pid; -EAGAIN (pids.max), -ESRCH (the container has ended),
 * -errno. Source: setns(2) with a pidfd (Linux 5.8). Thread: only one.
 */
enum { ENTER_KEEP_MAX = 64 };
pid_t enter_clone(const struct plan *p, int init, const int *keep, size_t n, int *ret_pidfd,
		  struct ctn_err *err);

enum { ENTER_GROUP = 1, ENTER_FOREGROUND = 2 };

/**
 * enter_run() - in that process: take away rights as for the container's first program, then
 * execve. Never returns; _exit(127) after a failure.
 * @io:     its standard streams, and a session of its own; NULL: it is `exec`'s, with the streams,
 *          terminal and ignored signals of the caller, and dies with its parent.
 * @job:    without @io: ENTER_GROUP: in a process group of its own, ENTER_FOREGROUND: which is the
 *          foreground of the terminal that standard input is.
 * @report: close-on-exec channel: struct wire_error, as stage_run().
 */
void enter_run(const struct plan *p, const struct stdio *io, unsigned job, int report)
	__attribute__((noreturn));

#endif
