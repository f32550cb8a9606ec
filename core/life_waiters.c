/* SPDX-License-Identifier: Apache-2.0 */
/* Those who wait for a container. A waiter is in the ring of its container, or it is its owner's.
 */
#include <stddef.h>

#include "life_private.h"

/* Under c->lock. */
int waiter_queue(struct container *c, struct life_waiter *w, enum life_goal goal)
{
	if (w) {
		w->goal = goal;
		w->c = container_get(c);
		w->prev = c->waiters.prev;
		w->next = &c->waiters;
		w->prev->next = w;
		c->waiters.prev = w;
	}
	return LIFE_PENDING;
}

static void waiter_unlink(struct life_waiter *w)
{
	w->prev->next = w->next;
	w->next->prev = w->prev;
	w->prev = w->next = NULL;
}

bool life_cancel(struct life_waiter *w)
{
	struct container *c = w->c;
	bool ours;

	pthread_mutex_lock(&c->lock);
	ours = w->next;
	if (ours)
		waiter_unlink(w);
	pthread_mutex_unlock(&c->lock);
	if (ours)
		container_put(c);
	return ours;
}

/* Has what @goal stands for come true? Under c->lock. */
static bool goal_reached(const struct container *c, int goal)
{
	return goal == GOAL_RUNNING ? c->state == CTN_RUNNING : !container_is_up(c);
}

/* Call those whose goal is reached, or (@result < 0) all with @goal, with that result. No lock
 * held. */
void waiters_call(struct container *c, enum life_goal goal, int result, const struct ctn_err *err)
{
	static const struct ctn_err none;
	struct life_waiter *done = NULL, *w, *next;

	pthread_mutex_lock(&c->lock);
	for (w = c->waiters.prev; w != &c->waiters;
	     w = next) { /* backwards: the list comes out in order */
		next = w->prev;
		if (result < 0 ? w->goal != (int)goal : !goal_reached(c, w->goal))
			continue;
		waiter_unlink(w);
		w->goal = 0;
		/* `next` stays NULL, which tells life_cancel() that it is too late; `prev` links
		 * ours */
		w->prev = done;
		done = w;
	}
	pthread_mutex_unlock(&c->lock);
	for (w = done; w; w = next) {
		struct container *ref = w->c;

		next = w->prev;
		w->done(w, result, err ? err : &none);
		container_put(ref);
	}
}

/* Take @w out of the queue without touching its memory, which is its canceller's if it is not
 * there. */
bool waiter_take_back(struct container *c, const struct life_waiter *w)
{
	bool found = false;

	pthread_mutex_lock(&c->lock);
	for (struct life_waiter *i = c->waiters.next; !found && i != &c->waiters; i = i->next) {
		if (i == w) {
			waiter_unlink(i);
			found = true;
			break;
		}
	}
	pthread_mutex_unlock(&c->lock);
	if (found)
		container_put(c);
	return found;
}
