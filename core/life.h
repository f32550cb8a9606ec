/* SPDX-License-Identifier: Apache-2.0 */
/* A container's life: the verbs of `ctl`, and waiting. Nothing here blocks longer than a disk
 * write: a verb that takes time returns LIFE_PENDING, and its waiter is called when it is done. */
#ifndef CTNFS_CORE_LIFE_H
#define CTNFS_CORE_LIFE_H

#include <stdbool.h>

#include "container.h"
#include "err.h"

enum { LIFE_DONE = 0, LIFE_PENDING = 1 };
enum { LIFE_STOP_SECS = 10 }; /* `stop` without a number */

/**
 * struct life_waiter - one who waits; lives inside a caller's structure, which must stay until
 * @done was called or life_cancel() returned true.
 * @done: called once, with no lock held, on the event thread or on the thread of whoever completed
 * it: @result is 0 or -errno with its sentence in @err (never NULL). It must not block. Not called
 * after life_cancel() returned true.
 * @prev, @next, @goal, @c: private.
 */
struct life_waiter {
	void (*done)(struct life_waiter *w, int result, const struct ctn_err *err);
	struct life_waiter *prev, *next;
	int goal;
	struct container *c;
};

/*
 * The verbs. Each returns LIFE_DONE when what was asked for is already so (or was done at once),
 * LIFE_PENDING when @w was queued, or -errno with a sentence and nothing changed. @w may be NULL:
 * nobody waits, the verb goes on all the same.
 */
int life_start(struct container *c, struct life_waiter *w, struct ctn_err *err);
/**
 * life_run() - what writing `cmd` does: store the command, and start it unless `start` is 0. The
 * command is on disk when it returns. A start that fails at once leaves the command that was there
 * before; of one that fails later the waiter is told, who should restore it (container_restore()).
 */
int life_run(struct container *c, const char *text, size_t len, struct life_waiter *w,
	     struct ctn_err *err);
int life_stop(struct container *c, unsigned secs, struct life_waiter *w, struct ctn_err *err);
/** life_kill() - with SIGKILL: pending until it is gone; another signal: sent to its first process.
 */
int life_kill(struct container *c, int sig, struct life_waiter *w, struct ctn_err *err);
int life_pause(struct container *c, struct life_waiter *w, struct ctn_err *err);
int life_resume(struct container *c, struct life_waiter *w, struct ctn_err *err);
int life_restart(struct container *c, unsigned secs, struct life_waiter *w, struct ctn_err *err);
/** life_wait() - until it has exited for good. -ESRCH when it was never started. */
int life_wait(struct container *c, struct life_waiter *w, struct ctn_err *err);

/** life_cancel() - stop waiting. The caller has a reference of its own to the container. Return:
 * true: @w is the caller's again; false: @done was or is being called. */
bool life_cancel(struct life_waiter *w);

#endif
