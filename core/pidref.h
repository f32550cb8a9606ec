/* SPDX-License-Identifier: Apache-2.0 */
/* A process that stays identified: a pid is never used alone. */
#ifndef CTNFS_CORE_PIDREF_H
#define CTNFS_CORE_PIDREF_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "err.h"

/**
 * struct pidref - counted; its members never change after pidref_new().
 * @pidfd:  readable (poll) when the process has ended.
 * @start:  ticks since boot (stat field 22), which with the boot id identifies it across restarts
 * of the server.
 */
struct pidref {
	pid_t pid;
	int pidfd;
	uint64_t start;
	unsigned refs; /* atomic */
};

/**
 * pidref_new() - identify a process.
 * @pidfd: taken over on success; -1: opened here from @pid (for a pid that came from a record,
 * compare @start after). Return: 0; -ESRCH when it has ended and was reaped. Thread: any.
 */
int pidref_new(pid_t pid, int pidfd, struct pidref **ret, struct ctn_err *err);
struct pidref *pidref_get(struct pidref *ref); /* NULL gives NULL */
void pidref_put(struct pidref *ref);	       /* NULL is fine */

/**
 * pidref_open() - an O_PATH descriptor of its /proc/PID directory, the caller's. None is kept: a
 * server has thousands of them.
 *
 * Return: 0; -ESRCH when it has ended and was reaped: the number may be another's. Thread: any.
 */
int pidref_open(const struct pidref *ref, int *ret, struct ctn_err *err);

/** pidref_kill() - pidfd_send_signal(2). Return: 0; -ESRCH when it has ended; -errno. */
int pidref_kill(const struct pidref *ref, int sig, struct ctn_err *err);

/** pidref_ended() - whether the process has ended (a zombie has). Never blocks. */
bool pidref_ended(const struct pidref *ref);

/** signal_parse() - "TERM", "SIGTERM", "term" or "15" to a number; -EINVAL with a sentence. 0 is
 * not accepted. */
int signal_parse(const char *text, int *ret, struct ctn_err *err);

/** signal_name() - "TERM" for 15; "RTMIN+1" and plain numbers where there is no name. Static
 * per-thread buffer. */
const char *signal_name(int sig);

#endif
