/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the files that implement life.h. */
#ifndef CTNFS_CORE_LIFE_PRIVATE_H
#define CTNFS_CORE_LIFE_PRIVATE_H

#include "container_private.h"

/* What a waiter waits for: that it runs; that a stop or kill has done its work; that it has exited
 * for good; that it was made with all that belongs to it; that there is room in its standard input;
 * that nothing is left of it. */
enum life_goal {
	GOAL_RUNNING,
	GOAL_STOPPED,
	GOAL_EXITED,
	GOAL_MADE,
	GOAL_STDIN,
	GOAL_REMOVED,
};

/** waiter_queue() - under c->lock. @w may be NULL. Return: LIFE_PENDING. */
int waiter_queue(struct container *c, struct life_waiter *w, enum life_goal goal);

/** waiter_queue_first() - the same, ahead of all. waiter_first() - the first with @goal, or NULL.
 */
int waiter_queue_first(struct container *c, struct life_waiter *w, enum life_goal goal);
struct life_waiter *waiter_first(struct container *c, enum life_goal goal);

/** struct waiter_list - waiters that were taken out of the ring, to be called once no lock is held.
 * Zero is empty. */
struct waiter_list {
	struct life_waiter *first, *last;
};

/** waiters_take() - under c->lock, in the same breath as the change that they waited for: those
 * with @goal, to the end of @list. */
void waiters_take(struct container *c, enum life_goal goal, struct waiter_list *list);

/** waiters_take_one() - under c->lock: take @w out without touching its memory, which is its
 * canceller's if it is not there. Return: whether it was there; then its reference to @c is the
 * caller's to put. */
bool waiters_take_one(struct container *c, const struct life_waiter *w);

/** waiters_take_first() - the same for the first with @goal. Return: it, or NULL. */
struct life_waiter *waiters_take_first(struct container *c, enum life_goal goal,
				       struct waiter_list *list);

/** waiters_done() - call them with @result, 0 or -errno, and its sentence; the list is empty then.
 * No lock held. */
void waiters_done(struct waiter_list *list, int result, const struct ctn_err *err);

/** life_set_state() - under c->lock. */
void life_set_state(struct container *c, enum ctn_state state);

/** start_go() - in state STARTING or RESTARTING, with nobody else acting on it: begin. */
int start_go(struct container *c, struct ctn_err *err);

/**
 * start_fail() - it came to nothing: back to where it was, and everybody is told.
 * @own: NULL, or the waiter of the caller, who is told by its return.
 * Return: whether @own was still waiting.
 */
bool start_fail(struct container *c, const struct ctn_err *err, const struct life_waiter *own);

/** mark_running() - its monitor says so. start_failed() - its monitor has ended before that. */
void mark_running(struct container *c);
void start_failed(struct container *c);

/** life_timer_at() - under c->lock: life_on_timer() at that life_clock(). Return: whether that will
 * be. */
bool life_timer_at(struct container *c, uint64_t when);

/* life_restart.c, all under c->lock */
enum {
	RESTART_UNSTARTED = 127, /* stands for the exit code of what could not be started */
	RESTART_HEALTHY_SECS = 10,
};
/** restart_delay() - nanoseconds before a start, after @tries that no health came of. */
uint64_t restart_delay(unsigned tries);
/** restart_plan() - it has ended with @code, or could not be started, by a fault of its own or not:
 * if its policy says so, set the time for the next start. @err: gets why there is none though
 * somebody may expect it; code 0 else. Return: whether there will be one: `delayed` is true. */
bool restart_plan(struct container *c, int code, bool blameless, struct ctn_err *err);
/** restart_resume() - the same, of one that was decided upon and counted before. */
bool restart_resume(struct container *c, uint64_t when, struct ctn_err *err);
/** restart_note_health() - the run that is over has lasted @ns. */
void restart_note_health(struct container *c, uint64_t ns);
/** restart_begin() - in the delay: it is over. The caller starts it. */
void restart_begin(struct container *c);
/** restart_give_up() - in the delay: it is over, and nothing follows. Releases c->lock. */
void restart_give_up(struct container *c);

/* … with no lock held: */
/** restart_settle() - put on disk what was decided about another run. @why: restart_plan()'s. */
void restart_settle(struct container *c, const struct ctn_err *why);
/** restart_go() - after restart_begin(), on the event thread. */
void restart_go(struct container *c);
/** restart_must_wait() - it shares a namespace of one that is itself about to start. */
bool restart_must_wait(struct container *c);

/** life_birth() - it has just begun to run, and its starters know: has somebody asked meanwhile
 * that it stop? */
void life_birth(struct container *c);

#endif
