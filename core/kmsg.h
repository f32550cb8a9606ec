/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel's log, for the one thing that it alone tells: whom its OOM killer has killed. Knows no
 * container. */
#ifndef CTNFS_CORE_KMSG_H
#define CTNFS_CORE_KMSG_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "err.h"

enum {
	KMSG_PROGRAM_MAX = 63,	 /* a name has 15 bytes, each at most \xNN */
	KMSG_CGROUP_MAX = 1023,	 /* the kernel's own bound of a line */
	KMSG_RECORD_MAX = 16384, /* bytes of a record with its dictionary, all of it escaped */
};

/**
 * struct kmsg_kill - one process.
 * @seq:     of the record that tells of it; ascending, and only once each.
 * @time:    microseconds since boot (clock of printk, which is about CLOCK_MONOTONIC).
 * @done:    it was killed; false: it is about to be.
 * @pid:     in the initial pid namespace; a thread's, where that is what had the memory.
 * @uid:     in the initial user namespace.
 * @program: comm of proc(5), printable ASCII without blanks: other bytes are \xNN, and so are
 *           blanks and backslashes.
 * @cgroup:  the kernel's path of its memory cgroup; "": not told, for the kernel tells no more than
 *           ten in five seconds, or not printable.
 */
struct kmsg_kill {
	uint64_t seq, time;
	bool done;
	pid_t pid;
	uint32_t uid;
	char program[KMSG_PROGRAM_MAX + 1];
	char cgroup[KMSG_CGROUP_MAX + 1];
};

/** struct kmsg_parser - what earlier records have told; zero at first. @line: one that came in
 * pieces. @kill: the last that was announced. */
struct kmsg_parser {
	char line[KMSG_CGROUP_MAX + 1];
	uint64_t line_seq, line_time;
	struct kmsg_kill kill;
};

/**
 * kmsg_parse() - look at one record of /dev/kmsg.
 * @record: as read(2) gives it; NUL-terminated. Programs and cgroups have chosen their names in it.
 * Return: whether it tells of a kill; then in @ret.
 * Source: Documentation/ABI/testing/dev-kmsg; dump_oom_victim() and __oom_kill_process() in
 * mm/oom_kill.c (Linux 5.0 and later). Thread: any.
 */
bool kmsg_parse(struct kmsg_parser *p, const char *record, struct kmsg_kill *ret);

/** kmsg_open() - a descriptor for reading from the oldest record on that does not block, poll(2)
 * tells when there is more. -EPERM: without CAP_SYSLOG; -ENOENT. */
int kmsg_open(int *ret, struct ctn_err *err);

/** kmsg_skip() - go behind the newest record. */
void kmsg_skip(int fd);

/** kmsg_next() - the next kill. Return: 1; 0: no more now; -EAGAIN: many records were looked at,
 * and there may be more; -EPIPE: some were overwritten before they could be read. */
int kmsg_next(int fd, struct kmsg_parser *p, struct kmsg_kill *ret);

#endif
