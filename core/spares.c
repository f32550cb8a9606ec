/* SPDX-License-Identifier: Apache-2.0 */
#include "spares.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "container_private.h"
#include "launch_park.h"

enum {
	PARKED_MAX = 16,
	IDLE_MS = 30000,
	/* Whoever has taken one is not to wait for a processor, nor for a lock of the kernel's: */
	LIFE_MS = 10, /* … while it is busy with it */
	START_MS = 3, /* … while it starts its program, also where none is left */
};

/* @until: now() at which nobody seems to want it. @taken: it has a name, and is here only so
 * that its process does not wait for ever. */
struct spare {
	struct container *c; /* counted */
	uint64_t until;
	bool taken;
};

struct spares {
	struct engine *engine;
	uint64_t idle; /* nanoseconds */
	pthread_t thread;
	pthread_mutex_t lock; /* all below; before that of a container */
	pthread_cond_t changed;
	struct spare all[PARKED_MAX];
	size_t n;
	uint64_t wanted_until; /* now() */
	uint64_t quiet_until;  /* now(): while one is ready, no other is made */
	uint64_t start_until;  /* now(): none is made at all */
	bool failed;	       /* to make one, since the last mkdir */
	bool busy;	       /* the thread makes or removes one, which is not among them */
	bool stop;
};

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000U + (uint64_t)t.tv_nsec;
}

/* --- one of them; no lock held --- */

static struct container *spare_make(struct engine *e)
{
	char id[CTN_ID_LEN + 1] = "", name[16];
	struct container *c = NULL;
	struct spec *spec;
	int r = container_make_id(id, NULL);

	snprintf(name, sizeof(name), ".%.12s", id);
	spec = r < 0 ? NULL : spec_new(name);
	if (!spec)
		return NULL;
	r = registry_add(e, spec, 0, &c, NULL);
	spec_put(spec);
	if (r < 0)
		return NULL;
	r = container_make_spare(c, id, NULL);
	if (r == 0) {
		r = launch_park(c, NULL);
		if (r == 0)
			return c;
		container_unmake_spare(c);
	}
	registry_drop(c);
	container_put(c);
	return NULL;
}

static void spare_end(struct spare *s)
{
	if (s->taken) {
		launch_unpark(s->c);
	} else {
		container_unmake_spare(s->c);
		registry_drop(s->c);
	}
	container_put(s->c);
}

/* --- all of them; under the lock, which is not held while something is done --- */

static struct spare spare_remove(struct spares *s, size_t i)
{
	struct spare gone = s->all[i];

	s->n--;
	memmove(&s->all[i], &s->all[i + 1], (s->n - i) * sizeof(s->all[0]));
	return gone;
}

static size_t count_ready(const struct spares *s)
{
	size_t n = 0;

	for (size_t i = 0; i < s->n; i++)
		n += !s->all[i].taken;
	return n;
}

/* The first that is not taken; s->n: there is none. */
static size_t first_ready(const struct spares *s)
{
	size_t i = 0;

	while (i < s->n && s->all[i].taken)
		i++;
	return i;
}

static bool is_over(const struct spares *s, const struct spare *one, uint64_t at)
{
	return at >= (one->taken ? one->until : s->wanted_until);
}

static void end_unlocked(struct spares *s, size_t i)
{
	struct spare gone = spare_remove(s, i);

	s->busy = true;
	pthread_mutex_unlock(&s->lock);
	spare_end(&gone);
	pthread_mutex_lock(&s->lock);
	s->busy = false;
	pthread_cond_broadcast(&s->changed);
}

static void make_unlocked(struct spares *s)
{
	struct container *c;

	s->busy = true;
	pthread_mutex_unlock(&s->lock);
	c = spare_make(s->engine);
	pthread_mutex_lock(&s->lock);
	s->busy = false;
	if (c)
		s->all[s->n++] = (struct spare){.c = c};
	s->failed = !c; /* whoever comes next is told why, and then it is tried again */
	pthread_cond_broadcast(&s->changed);
}

/* now() from which another may be made. */
static uint64_t free_from(const struct spares *s)
{
	return count_ready(s) == 0 ? s->start_until : s->quiet_until;
}

/* Whether one more is to be made at @at. */
static bool is_short(const struct spares *s, uint64_t at)
{
	return !s->failed && at < s->wanted_until && count_ready(s) < s->engine->spares_max &&
	       s->n < PARKED_MAX && at >= free_from(s);
}

/* One thing that is to be done. Return: whether there was any. */
static bool work(struct spares *s)
{
	const uint64_t at = now();

	for (size_t i = 0; i < s->n; i++) {
		if (s->stop || is_over(s, &s->all[i], at)) {
			end_unlocked(s, i);
			return true;
		}
	}
	if (s->stop || !is_short(s, at))
		return false;
	make_unlocked(s);
	return true;
}

static void rest(struct spares *s)
{
	const uint64_t at = now(), soonest = at > free_from(s) ? at : free_from(s);
	uint64_t until = is_short(s, soonest) ? soonest : UINT64_MAX;
	struct timespec t;

	for (size_t i = 0; i < s->n; i++) {
		uint64_t end = s->all[i].taken ? s->all[i].until : s->wanted_until;

		until = end < until ? end : until;
	}
	if (until == UINT64_MAX) {
		pthread_cond_wait(&s->changed, &s->lock);
		return;
	}
	t.tv_sec = (time_t)(until / 1000000000U);
	t.tv_nsec = (long)(until % 1000000000U);
	(void)pthread_cond_clockwait(&s->changed, &s->lock, CLOCK_MONOTONIC, &t);
}

static void *run(void *arg)
{
	struct spares *s = arg;

	pthread_mutex_lock(&s->lock);
	while (!s->stop || s->n > 0) {
		if (!work(s) && !s->stop)
			rest(s);
	}
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

struct container *spares_take(struct spares *s)
{
	struct container *c = NULL;
	size_t i;

	if (!s)
		return NULL;
	pthread_mutex_lock(&s->lock);
	s->wanted_until = now() + s->idle;
	s->quiet_until = now() + LIFE_MS * UINT64_C(1000000);
	s->failed = false;
	i = first_ready(s);
	if (i < s->n) {
		s->all[i].taken = true;
		s->all[i].until = s->wanted_until;
		s->start_until = now() + START_MS * UINT64_C(1000000);
		c = container_get(s->all[i].c);
	}
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->lock);
	return c;
}

void spares_give_back(struct spares *s, struct container *c)
{
	pthread_mutex_lock(&s->lock);
	for (size_t i = 0; i < s->n; i++) {
		if (s->all[i].c == c)
			s->all[i].taken = false;
	}
	pthread_mutex_unlock(&s->lock);
	container_put(c);
}

bool spares_clear(struct spares *s)
{
	bool any = false;

	if (!s)
		return false;
	pthread_mutex_lock(&s->lock);
	s->wanted_until = 0;
	pthread_cond_broadcast(&s->changed);
	while (s->busy || count_ready(s) > 0) {
		any = true;
		pthread_cond_wait(&s->changed, &s->lock);
	}
	pthread_mutex_unlock(&s->lock);
	return any;
}

void spares_go_on(struct spares *s)
{
	const uint64_t soon = now() + START_MS * UINT64_C(1000000); /* the next one may come now */

	if (!s)
		return;
	pthread_mutex_lock(&s->lock);
	if (s->quiet_until > soon) {
		s->quiet_until = soon;
		pthread_cond_broadcast(&s->changed);
	}
	pthread_mutex_unlock(&s->lock);
}

void spares_forget(struct spares *s, struct container *c)
{
	bool found = false;

	if (!s)
		return;
	pthread_mutex_lock(&s->lock);
	for (size_t i = 0; !found && i < s->n; i++) {
		found = s->all[i].c == c;
		if (found)
			(void)spare_remove(s, i);
	}
	if (found && s->n == PARKED_MAX - 1)
		pthread_cond_broadcast(&s->changed); /* there is room for another */
	pthread_mutex_unlock(&s->lock);
	if (found)
		container_put(c);
}

int spares_new(struct engine *e, struct spares **ret, struct ctn_err *err)
{
	struct spares *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return ctn_fail(err, ENOMEM, "no memory for a thread that prepares containers");
	s->engine = e;
	s->idle = (e->spare_ms ?: IDLE_MS) * UINT64_C(1000000);
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->changed, NULL);
	r = pthread_create(&s->thread, NULL, run, s);
	if (r) {
		free(s);
		return ctn_fail(err, r, "start a thread that prepares containers");
	}
	*ret = s;
	return 0;
}

void spares_free(struct spares *s)
{
	if (!s)
		return;
	pthread_mutex_lock(&s->lock);
	s->stop = true;
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->lock);
	pthread_join(s->thread, NULL);
	pthread_cond_destroy(&s->changed);
	pthread_mutex_destroy(&s->lock);
	free(s);
}
