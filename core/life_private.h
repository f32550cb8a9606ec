/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the files that implement life.h. */
#ifndef CTNFS_CORE_LIFE_PRIVATE_H
#define CTNFS_CORE_LIFE_PRIVATE_H

#include "container_private.h"

/* What a waiter waits for: that it runs; that a stop or kill has done its work; that it has exited
 * for good. */
enum life_goal { GOAL_RUNNING, GOAL_STOPPED, GOAL_EXITED };

/** waiter_queue() - under c->lock. @w may be NULL. Return: LIFE_PENDING. */
int waiter_queue(struct container *c, struct life_waiter *w, enum life_goal goal);

/** waiters_call() - call those whose goal is reached (@result 0), or all that wait for @goal with
 * the failure @result. No lock held. */
void waiters_call(struct container *c, enum life_goal goal, int result, const struct ctn_err *err);

/** waiter_take_back() - take @w out of the queue without touching its memory, which is its
 * canceller's if it is not there. Return: whether it was there. */
bool waiter_take_back(struct container *c, const struct life_waiter *w);

/** life_set_state() - under c->lock. */
void life_set_state(struct container *c, enum ctn_state state);

/** start_go() - in state STARTING or RESTARTING, with nobody else acting on it: begin. start_undo()
 * - back to where it was. */
int start_go(struct container *c, struct ctn_err *err);
void start_undo(struct container *c);

/** life_birth() - it has just begun to run, and its starters know: has somebody asked meanwhile
 * that it stop? */
void life_birth(struct container *c);

#endif
