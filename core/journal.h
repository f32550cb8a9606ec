/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The journal: a line for each thing that has happened to a container or to the server, once, in
 * the order in which it happened; for the `events` files. A line is
 *
 *	SEQUENCE TIME NAME WHAT [KEY=VALUE ...] [id=ID]
 *
 * The sequence counts from 1 and has no gaps. The time is that of the fact, RFC 3339 in UTC with
 * nine digits: the very nanoseconds that the records of state.h have, so that a server that starts
 * can tell what was written already. NAME is the container's at that time, or DB/execs/DUMP for a
 * session, or - for the server. ID is the first 12 digits of the container's id; of a session, of
 * its container's.
 *
 * It is one file in the state directory, bounded: its oldest lines go first.
 */
#ifndef CTNFS_CORE_JOURNAL_H
#define CTNFS_CORE_JOURNAL_H

#include <stdint.h>
#include <sys/types.h>

#include "container.h"

enum journal_what {
	JOURNAL_CREATED,
	JOURNAL_STARTED,   /* pid= */
	JOURNAL_RESTARTED, /* pid= restarts=: begun again by `restart`, the file or the verb */
	JOURNAL_EXECED,	   /* pid=: a session's program, or one of `exec` */
	JOURNAL_PAUSED,
	JOURNAL_RESUMED,
	JOURNAL_LIMIT_CHANGED, /* KNOB=VALUE, as the kernel has it now */
	JOURNAL_OOM,	       /* kills= of this run so far, last= its pid, program= */
	JOURNAL_DENIED,	       /* call= program=: the first time that a run makes that call */
	JOURNAL_DIED,	       /* exit=, oom=1, unknown=1 */
	JOURNAL_RENAMED,       /* from= */
	JOURNAL_REMOVED,
	JOURNAL_SERVER_STARTED, /* version= */
	JOURNAL_SERVER_STOPPED,
};

/**
 * journal_note() - something has happened.
 * @c:      NULL: to the server itself.
 * @time:   of it, nanoseconds since the epoch (ctn_now(), or what a record says).
 * @detail: printf(3)'s: KEY=VALUE words with a blank between, or "". Nothing in it needs to be
 *          escaped any more.
 *
 * Only takes note, in memory; the sequence is given here. Thread: any, with c->lock held, in the
 * same breath as the change itself, so that the order of lines is that of facts. What is on disk
 * about the fact is saved before: a server that dies in between finds it there, and writes the
 * line.
 */
void journal_note(struct engine *e, struct container *c, enum journal_what what, uint64_t time,
		  const char *detail, ...) __attribute__((format(printf, 5, 6)));

/** journal_flush() - write what was noted, and tell those who follow. engine_tell() calls it. May
 * block on the disk, never on a container. Thread: any, with no lock held. */
void journal_flush(struct engine *e);

/**
 * journal_range() - from where to where the journal goes, in bytes since its beginning.
 * @c: NULL: all of it; else its own part, whose positions count its own lines only.
 * journal_read() - up to @size bytes from position @pos, or from the oldest line kept. What was
 * noted and not yet written is written first. Return: bytes, 0 at the end, -errno. Never blocks
 * but on the disk. Thread: any, with no lock held.
 */
int journal_range(struct engine *e, struct container *c, struct log_range *ret,
		  struct ctn_err *err);
ssize_t journal_read(struct engine *e, struct container *c, uint64_t pos, void *buf, size_t size,
		     struct ctn_err *err);

#endif
