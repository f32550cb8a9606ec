/* SPDX-License-Identifier: Apache-2.0 */
/* Those who wait for a container. A waiter is in the ring of its container, or it is its owner's.
 */
#include <stddef.h>

#include "life_private.h"

static void waiter_link(struct container *c, struct life_waiter *w, enum life_goal goal,
			struct life_waiter *next)
{
	w->goal = goal;
	w->c = container_get(c);
	w->prev = next->prev;
	w->next = next;
	w->prev->next = w->next->prev = w;
}

int waiter_queue(struct container *c, struct life_waiter *w, enum life_goal goal)
{
	if (w)
		waiter_link(c, w, goal, &c->waiters);
	return LIFE_PENDING;
}

int waiter_queue_first(struct container *c, struct life_waiter *w, enum life_goal goal)
{
	waiter_link(c, w, goal, c->waiters.next);
	return LIFE_PENDING;
}

struct life_waiter *waiter_first(struct container *c, enum life_goal goal)
{
	for (struct life_waiter *w = c->waiters.next; w != &c->waiters; w = w->next) {
		if (w->goal == (int)goal)
			return w;
	}
	return NULL;
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

/* `next` is NULL then, which tells life_cancel() that it is too late; the list goes on in `prev`.
 */
static void take(struct life_waiter *w, struct waiter_list *list)
{
	waiter_unlink(w);
	if (list->last)
		list->last->prev = w;
	else
		list->first = w;
	list->last = w;
}

void waiters_take(struct container *c, enum life_goal goal, struct waiter_list *list)
{
	struct life_waiter *next;

	for (struct life_waiter *w = c->waiters.next; w != &c->waiters; w = next) {
		next = w->next;
		if (w->goal == (int)goal)
			take(w, list);
	}
}

struct life_waiter *waiters_take_first(struct container *c, enum life_goal goal,
				       struct waiter_list *list)
{
	struct life_waiter *w = waiter_first(c, goal);

	if (w)
		take(w, list);
	return w;
}

bool waiters_take_one(struct container *c, const struct life_waiter *one)
{
	for (struct life_waiter *w = c->waiters.next; w != &c->waiters; w = w->next) {
		if (w != one)
			continue;
		waiter_unlink(w);
		return true;
	}
	return false;
}

void waiters_done(struct waiter_list *list, int result, const struct ctn_err *err)
{
	static const struct ctn_err none;
	struct life_waiter *next;

	for (struct life_waiter *w = list->first; w; w = next) {
		struct container *c = w->c;

		next = w->prev;
		w->done(w, result, err ? err : &none);
		container_put(c);
	}
	*list = (struct waiter_list){0};
}
