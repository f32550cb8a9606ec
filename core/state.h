/* SPDX-License-Identifier: Apache-2.0 */
/* What is on disk about one container: STATE/<id>/{spec,exit,restart,layer,work,log,log.start}
 * survive a reboot, RUN/<id>/ does not. A session is there like a container, without layer and
 * work. */
#ifndef CTNFS_CORE_STATE_H
#define CTNFS_CORE_STATE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "spec.h"
#include "wire.h"

enum { STATE_ID_LEN = 64 };

/**
 * struct state_end - what is known of STATE/<id>/spec as a file: a line for each record, of which
 * the last counts.
 * @at:    where the next one goes, in bytes; 0: into a new file in its place.
 * @named: that the file is there has reached the disk.
 */
struct state_end {
	off_t at;
	bool named;
};

/**
 * struct state_record - STATE/<id>/spec.
 * @uid_base: first of its host ids. @created: nanoseconds since the epoch. @started: 0: never.
 * @parent:   id of the container that it is a session of; "": it is none.
 * @limits:   those that were changed last, a bit for each row of cgroup_knobs. @limits_at: when; 0:
 *            never.
 * @renamed_at: when it got the name that it has; 0: it never had another.
 * @end:      from state_load().
 */
struct state_record {
	uint32_t uid_base;
	char parent[STATE_ID_LEN + 1];
	uint64_t created, renamed_at, limits_at, limits;
	struct spec *spec; /* one reference */
	struct state_end end;
};

/** struct state_exit - STATE/<id>/exit: how the last run ended. */
struct state_exit {
	int code;
	bool unknown, oom_killed;
	uint64_t started, finished;
};

#define STATE_SPEC_NAME "spec" /* what state_save() writes */
#define STATE_EXIT_NAME "exit" /* what state_save_exit() writes */

/** state_save() - durable: whatever happens, the record before or this one is what state_load()
 * finds, and this one from the return on. After an error it is the one before, unless the disk
 * refuses even that. @end: from state_load() or state_save_new(); all zero: not known. One at a
 * time for each @dirfd. */
int state_save(int dirfd, const struct state_record *record, struct state_end *end,
	       struct ctn_err *err);
/** state_save_new() - as state_save() in a directory that is only being made, and has a temporary
 * name itself. @durable: its contents are on the disk on return; else the kernel writes them when
 * it writes what any mkdir(2) has made, and a power cut before that may leave the file empty. */
int state_save_new(int dirfd, const struct state_record *record, bool durable,
		   struct state_end *end, struct ctn_err *err);
/** state_never_was() - whether @dirfd is what a power cut left of one that state_save_new() made
 * and nobody has done anything with: its spec is empty, it has never run, and nothing
 * is in its layer. */
bool state_never_was(int dirfd);
/** state_load() - the last record that was written whole. -ENOENT; -EINVAL: not ours, or from a
 * newer version (left as it is). */
int state_load(int dirfd, struct state_record *ret, struct ctn_err *err);

/** state_save_exit() - not fsync'ed: after a power cut the run is known to have ended anyhow.
 * Written in place, whole or not at all as far as a killed server is concerned. */
int state_save_exit(int dirfd, const struct state_exit *exit, struct ctn_err *err);
int state_load_exit(int dirfd, struct state_exit *ret, struct ctn_err *err);

/**
 * struct state_restart - STATE/<id>/restart, of one that has, or had, a restart policy.
 * @up:       it is to run: somebody has started it, and nobody has stopped it since.
 * @tries:    starts in a row that no health came of; @failures: those that on-failure:N counts.
 * @restarts: of all its life.
 * @counted:  when that run began whose end is in @tries already; 0: none.
 */
struct state_restart {
	bool up;
	unsigned tries, failures;
	uint64_t restarts, counted;
};

/** state_save_restart() - written in place, as an exit is; @durable: fsync'ed. */
int state_save_restart(int dirfd, const struct state_restart *restart, bool durable,
		       struct ctn_err *err);
int state_load_restart(int dirfd, struct state_restart *ret, struct ctn_err *err);

/** state_save_run() - RUN/<id>/spec: what the running program was started with, and the skeleton
 * under it. */
int state_save_run(int run_dirfd, const struct spec *spec, const char *skeleton, uint64_t oom_kills,
		   struct ctn_err *err);
/** state_load_run() - @ret_skeleton is to be freed. */
int state_load_run(int run_dirfd, struct spec **ret, char **ret_skeleton, uint64_t *ret_oom_kills,
		   struct ctn_err *err);

/**
 * struct state_oom - RUN/<id>/oom: what is known of the OOM killer's visits.
 * @kills:   how many the kernel had counted in its cgroup.
 * @base:    how many of these were before the run in which the last one was.
 * @time:    of the last one, nanoseconds since the epoch.
 * @seq:     of the kernel's message about that one. 0: none was seen of any.
 * @pid:     whom it killed, on the host; 0: not known.
 * @program: printable, without blanks; "": not known.
 */
struct state_oom {
	uint64_t kills, base, time, seq;
	pid_t pid;
	char program[64];
};

/** state_save_oom() - as state_save_exit(). state_load_oom() - -ENOENT. */
int state_save_oom(int run_dirfd, const struct state_oom *oom, struct ctn_err *err);
int state_load_oom(int run_dirfd, struct state_oom *ret, struct ctn_err *err);

/** state_load_status() - the monitor's record. -ENOENT; -EBADMSG when it is none of ours. */
int state_load_status(int run_dirfd, struct wire_status *ret, struct ctn_err *err);

/** state_load_log_start(), state_save_log_start() - the position before which nothing of the log is
 * kept; and what had been dropped when it was last emptied: that position then, and the bytes that
 * a full disk had cost. Both 0 where it never was. */
int state_load_log_start(int dirfd, uint64_t *ret, uint64_t *ret_uncounted, struct ctn_err *err);
int state_save_log_start(int dirfd, uint64_t start, uint64_t uncounted, struct ctn_err *err);

#endif
