/* SPDX-License-Identifier: Apache-2.0 */
/* proc(5): facts of processes, from descriptors of their /proc/PID directories. */
#ifndef CTNFS_CORE_PROCFS_H
#define CTNFS_CORE_PROCFS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "err.h"

/**
 * struct procfs_status - what we use of /proc/PID/status and stat.
 * @own_pid: its pid in its innermost pid namespace (last of NSpid).
 * @uid:     effective uid as the host sees it.
 * @state:   the letter: R S D T Z …
 * @rss:     bytes. @cpu: user and system time, nanoseconds. @start: ticks since boot (stat field
 * 22).
 * @caps:    CapInh CapPrm CapEff CapBnd CapAmb, in that order.
 * @blocked, @ignored: SigBlk and SigIgn, as @caught.
 * @caught:  SigCgt, bit N-1 for signal N.
 * @comm:    raw, may hold control bytes.
 */
struct procfs_status {
	pid_t pid, ppid, own_pid;
	uid_t uid;
	char state;
	uint64_t rss, cpu, start;
	uint64_t caps[5];
	uint64_t caught, blocked, ignored;
	char comm[64];
};

extern const char *const procfs_caps_labels[5]; /* "CapInh" … */

/** procfs_open() - O_PATH|O_DIRECTORY descriptor of /proc/@pid on our own private view; -ESRCH when
 * there is none. */
int procfs_open(pid_t pid, int *ret, struct ctn_err *err);

/** procfs_read_status() - Return: 0; -ESRCH when the process is gone. Thread: any. */
int procfs_read_status(int procfd, struct procfs_status *ret, struct ctn_err *err);

/** procfs_read_caps() - the caps of struct procfs_status alone. Otherwise as that. */
int procfs_read_caps(int procfd, uint64_t ret[5], struct ctn_err *err);

/**
 * procfs_print_ps() - the `ps` file: a header, then one aligned row a process: host pid, own pid,
 * user, state, rss, cpu time, command; children below their parent, indented by two spaces a level,
 * ascending by pid. Processes that end meanwhile are left out. Commands are escaped (io_escape),
 * zombies and kernel threads show their name in brackets.
 * @pids, @n:  host pids. @uid_base, @uid_count: a uid in that range is shown as the container sees
 * it, another as "-".
 * @ids:       0 for @uid_count means no user namespace: uids are shown as they are.
 */
int procfs_print_ps(FILE *out, const pid_t *pids, size_t n, uid_t uid_base, uid_t uid_count,
		    struct ctn_err *err);

/**
 * procfs_add_zombies() - add the dead children that the given processes have not waited for; cgroup
 * v1 does not list them.
 * @pids, @n: in and out; ascending then, without doubles. @pids is from malloc and may move; on
 * failure it is still the caller's to free. Return: 0; -ENOMEM. Source: proc(5),
 * /proc/PID/task/TID/children (Linux 4.2). Thread: any.
 */
int procfs_add_zombies(pid_t **pids, size_t *n, struct ctn_err *err);

/** procfs_own_pid() - @pid as its innermost pid namespace numbers it, or -ESRCH. */
int procfs_own_pid(pid_t pid, pid_t *ret, struct ctn_err *err);

#endif
