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
 * It is one file in the state directory, bounded: its oldest lines go first. A line is written
 * before what else tells of its fact goes: so a server that starts can write what one that was
 * killed has not (journal_settle()), and never writes anything twice.
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
	JOURNAL_EXECED,	   /* pid=: a session's program; pid= program=: one of `exec` */
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
	JOURNAL_LOST, /* lines=: for which there was no room; of a container: that of `exec` */
};

/**
 * journal_note() - something has happened.
 * @c:      NULL: to the server itself.
 * @time:   of it, nanoseconds since the epoch (ctn_now(), or what a record says).
 * @detail: printf(3)'s: KEY=VALUE words with a blank between, or "". What does not come from us
 *          went through journal_word() before. `from=` of JOURNAL_RENAMED is put there here.
 *
 * Only takes note, in memory; the sequence is given here. Thread: any, with c->lock held, in the
 * same breath as the change itself, so that the order of lines is that of facts; call
 * engine_tell(c) when it is no longer held. What is on disk about the fact is saved before: a
 * server that dies in between finds it there, and writes the line.
 *
 * That it was created, or removed, is written once, however often it is noted. Of what the journal
 * does not know yet, or not any more, nothing else is written.
 */
void journal_note(struct engine *e, struct container *c, enum journal_what what, uint64_t time,
		  const char *detail, ...) __attribute__((format(printf, 5, 6)));

/** journal_word() - a word of a line from bytes that anybody may have chosen: as io_escape(), and
 * blanks as \x20; printf %b gives the bytes again. At most @size - 1 bytes, whole characters of
 * that. Return: @ret. */
const char *journal_word(char *ret, size_t size, const char *data, size_t len);

/** journal_save() - write what was noted: before what tells of a fact is destroyed. May block on
 * the disk, never on a container. Thread: any, with no lock held but a container's `edit`.
 * journal_flush() - that, and tell those who follow. engine_tell() calls it. No lock held. */
void journal_save(struct engine *e);
void journal_flush(struct engine *e);

/**
 * struct journal_known - what the journal says of a container or session.
 * @created, @started: times of these lines. @up: no end follows the newest start.
 * @limits_at: time of the last limit that was changed. @limits: which ones at that time, a bit for
 *             each row of cgroup_knobs.
 * @oom_kills: kills= of the newest line about the present or last run. @denied: its time. @execed:
 *             how many programs of `exec` are told of in that run.
 */
struct journal_known {
	uint64_t created, started;
	bool up, paused;
	uint64_t limits_at, limits;
	uint64_t oom_kills, denied, execed;
};

/** journal_known() - false: nothing. Thread: any, locks as for journal_note(). */
bool journal_known(struct engine *e, const struct container *c, struct journal_known *ret);

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

/** journal_settle() - all containers were adopted: write what their records tell and the journal
 * does not. Before there are events. */
int journal_settle(struct engine *e, struct ctn_err *err);

/** journal_trash() - a directory of the state that is about to be removed: where it was that of a
 * container that the journal knows, this tells when it went. Before journal_settle(). */
void journal_trash(struct engine *e, const char *name);

#endif
