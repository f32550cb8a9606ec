/* SPDX-License-Identifier: Apache-2.0 */
/* What is of no container any more, removed by a thread of its own: a layer can be large, and
 * whoever says rmdir need not wait for it. */
#ifndef CTNFS_CORE_SWEEPER_H
#define CTNFS_CORE_SWEEPER_H

#include "cgroup.h"
#include "err.h"
#include "pidref.h"

struct sweeper;

/**
 * sweeper_new() - with its thread.
 * @statefd, @runfd, @cgroup: borrowed until sweeper_free().
 * @failed:  called on its thread with what could not be removed and why; it tries again each
 * second, and so does the next start of the server.
 */
int sweeper_new(int statefd, int runfd, struct cgroup_root *cgroup,
		void (*failed)(void *arg, const struct ctn_err *err), void *arg,
		struct sweeper **ret, struct ctn_err *err);

/** sweeper_free() - once all that was given to it is gone, or was tried again. NULL is fine. */
void sweeper_free(struct sweeper *sweeper);

/** sweeper_add() - remove STATE/trash-@id and RUN/@id soon; at once, on this thread, where too many
 * wait. Thread: any. */
void sweeper_add(struct sweeper *sweeper, const char *id);

/** sweeper_add_child() - a child of this process that is about to end: reap it then. @process: the
 * reference is taken over. Thread: any. */
void sweeper_add_child(struct sweeper *sweeper, struct pidref *process);

/** sweeper_add_cgroup() - that control group first, which could not be removed just now. */
void sweeper_add_cgroup(struct sweeper *sweeper, const char *id, const char *cgroup);

#endif
