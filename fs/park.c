/* SPDX-License-Identifier: Apache-2.0 */
/* Locks: libfuse holds the request's lock while it calls on_interrupt(), which takes the parked
 * one's, which may be held over life_cancel(), which takes a container's. Replies and resume() are
 * called with none of ours. */
#include "park.h"

#include <errno.h>

/* All that have begun and not ended. */
static pthread_mutex_t list_lock = PTHREAD_MUTEX_INITIALIZER;
static struct parked list = {.prev = &list, .next = &list};

static void list_add(struct parked *p)
{
	pthread_mutex_lock(&list_lock);
	p->prev = list.prev;
	p->next = &list;
	p->prev->next = p->next->prev = p;
	pthread_mutex_unlock(&list_lock);
}

static void list_drop(struct parked *p)
{
	pthread_mutex_lock(&list_lock);
	p->prev->next = p->next;
	p->next->prev = p->prev;
	pthread_mutex_unlock(&list_lock);
}

/* Take it out of its wait; true: it is ours now. The lock is held over life_cancel(): were it not,
 * the wait could end and another begin before life_cancel() looks. */
static bool take_back(struct parked *p)
{
	bool ours;

	pthread_mutex_lock(&p->lock);
	p->interrupted = true;
	ours = p->state == PARK_WAITING && life_cancel(&p->waiter);
	if (ours)
		p->state = PARK_ENDED;
	pthread_mutex_unlock(&p->lock);
	return ours;
}

static void abandon(struct parked *p, fuse_req_t req, int code)
{
	size_t taken = p->abandon(p);

	if (taken)
		fuse_reply_write(req, taken);
	else
		fuse_reply_err(req, code);
}

/* A signal to the caller. libfuse holds the request's lock here, and keeps the request itself until
 * we return: so an answer is allowed, park_end() is not. */
static void on_interrupt(fuse_req_t req, void *data)
{
	struct parked *p = data;

	if (!take_back(p))
		return; /* park_wait() sees the mark, or the answer is on its way */
	list_drop(p);
	pthread_mutex_destroy(&p->lock);
	abandon(p, req, EINTR);
}

static void on_done(struct life_waiter *w, int result, const struct ctn_err *err)
{
	struct parked *p = (struct parked *)w; /* its first member */
	bool running;

	pthread_mutex_lock(&p->lock);
	running = p->state == PARK_RUNNING;
	if (running) {
		p->completed = true;
		p->result = result;
		p->err = *err;
	} else {
		p->state = PARK_RUNNING;
	}
	pthread_mutex_unlock(&p->lock);
	if (!running)
		p->resume(p, result, err);
}

void park_begin(struct parked *p, fuse_req_t req)
{
	p->waiter = (struct life_waiter){.done = on_done};
	p->req = req;
	p->state = PARK_RUNNING;
	p->interrupted = p->completed = false;
	pthread_mutex_init(&p->lock, NULL);
	list_add(p);
	/* Before anything can complete it, since an answer frees the request. It may call us back
	 * at once: then the state is RUNNING, and we only take note. */
	fuse_req_interrupt_func(req, on_interrupt, p);
}

int park_wait(struct parked *p, struct ctn_err *err)
{
	int r = LIFE_PENDING;

	pthread_mutex_lock(&p->lock);
	if (p->completed) {
		p->completed = false;
		r = p->result;
		if (r < 0)
			*err = p->err;
	} else if (p->interrupted && life_cancel(&p->waiter)) {
		r = ctn_fail(err, EINTR, "interrupted by a signal; what was asked for goes on");
	} else {
		p->state = PARK_WAITING;
	}
	pthread_mutex_unlock(&p->lock);
	return r;
}

void park_end(struct parked *p)
{
	/* Waits for an on_interrupt() that is running. */
	fuse_req_interrupt_func(p->req, NULL, NULL);
	list_drop(p);
	pthread_mutex_destroy(&p->lock);
}

/* One that waits, made ours; NULL when none does. */
static struct parked *take_any(void)
{
	struct parked *found = NULL;

	pthread_mutex_lock(&list_lock);
	for (struct parked *p = list.next; p != &list && !found; p = p->next) {
		if (take_back(p))
			found = p;
	}
	pthread_mutex_unlock(&list_lock);
	return found;
}

void park_abort_all(void)
{
	struct parked *p;

	while ((p = take_any())) {
		fuse_req_t req = p->req;

		park_end(p);
		abandon(p, req, ECONNABORTED);
	}
}
