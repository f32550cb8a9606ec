/* SPDX-License-Identifier: Apache-2.0 */
#include "sweeper.h"

#include <errno.h>
#include <malloc.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#include "cleanup.h"
#include "io.h"
#include "strlist.h"

enum { WAITING_MAX = 256, NAME_ROOM = 96, ID_LEN = 64, AGAIN_SECS = 1, CHILD_MS = 1000 };
enum { TRIM_EVERY = 256 }; /* removals: what many lives leave free in the heap goes back, too */

struct child {
	struct child *next;
	struct pidref *process;
};

struct sweeper {
	int statefd, runfd;
	struct cgroup_root *cgroup;
	void (*failed)(void *arg, const struct ctn_err *err);
	void *arg;
	pthread_t thread;
	pthread_mutex_t lock; /* all below */
	pthread_cond_t more;
	struct strlist items; /* an id, or an id, a space and a control group's name */
	struct strlist again; /* those that could not be removed */
	struct child *children;
	bool stop;
	unsigned swept; /* the thread's own */
};

static int sweep(const struct sweeper *s, const char *item, struct ctn_err *err)
{
	char trash[NAME_ROOM], id[ID_LEN + 1];
	int r = 0;

	snprintf(id, sizeof(id), "%s", item);
	snprintf(trash, sizeof(trash), "trash-%s", id);
	/* Its run directory is what the next start of the server knows the group from. */
	if (strlen(item) > ID_LEN)
		r = cgroup_leaf_remove(s->cgroup, item + ID_LEN + 1, 0, err);
	if (r == 0)
		r = io_remove_tree_at(s->runfd, id, err);
	if (r == 0)
		r = io_remove_tree_at(s->statefd, trash, err);
	return r;
}

/* @tell: it is the first time. */
static void sweep_or_keep(struct sweeper *s, const char *item, bool tell)
{
	struct ctn_err err = {0};

	if (sweep(s, item, &err) == 0)
		return;
	pthread_mutex_lock(&s->lock);
	if (s->again.len < WAITING_MAX)
		(void)strlist_add(&s->again, item, strlen(item));
	pthread_mutex_unlock(&s->lock);
	if (tell)
		s->failed(s->arg, &err);
}

static void sweep_all(struct sweeper *s, struct strlist *items, bool tell)
{
	for (size_t i = 0; i < items->len; i++) {
		sweep_or_keep(s, items->items[i], tell);
		if (++s->swept % TRIM_EVERY == 0)
			(void)malloc_trim(0);
	}
	strlist_free(items);
}

/* Return: whether it is gone. One that hangs in the kernel is asked again later. */
static bool reap(struct pidref *process)
{
	struct pollfd p = {.fd = process->pidfd, .events = POLLIN};
	siginfo_t info;

	if (poll(&p, 1, CHILD_MS) <= 0)
		return false;
	(void)waitid(P_PIDFD, (id_t)process->pidfd, &info, WEXITED | WNOHANG);
	pidref_put(process);
	return true;
}

static void reap_all(struct sweeper *s, struct child *children)
{
	while (children) {
		struct child *one = children;

		children = one->next;
		if (reap(one->process)) {
			free(one);
			continue;
		}
		pthread_mutex_lock(&s->lock);
		one->next = s->children;
		s->children = one;
		pthread_mutex_unlock(&s->lock);
	}
}

/* Under s->lock. */
static void wait_for_work(struct sweeper *s)
{
	struct timespec until;

	while (s->items.len == 0 && s->again.len == 0 && !s->children && !s->stop)
		pthread_cond_wait(&s->more, &s->lock);
	if (s->items.len > 0 || s->children || s->stop)
		return;
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += AGAIN_SECS;
	(void)pthread_cond_clockwait(&s->more, &s->lock, CLOCK_MONOTONIC, &until);
}

static void *run(void *arg)
{
	struct sweeper *s = arg;
	bool stop = false;

	while (!stop) {
		struct strlist items, again;
		struct child *children;

		pthread_mutex_lock(&s->lock);
		wait_for_work(s);
		items = s->items;
		again = s->again;
		s->items = s->again = (struct strlist){0};
		children = ctn_take_ptr(s->children);
		stop = s->stop;
		pthread_mutex_unlock(&s->lock);
		reap_all(s, children);
		sweep_all(s, &items, true);
		sweep_all(s, &again, false);
	}
	return NULL;
}

static void add(struct sweeper *s, const char *item)
{
	bool queued;

	pthread_mutex_lock(&s->lock);
	queued = s->items.len < WAITING_MAX && strlist_add(&s->items, item, strlen(item)) == 0;
	if (queued)
		pthread_cond_signal(&s->more);
	pthread_mutex_unlock(&s->lock);
	if (!queued)
		sweep_or_keep(s, item, true);
}

void sweeper_add(struct sweeper *s, const char *id)
{
	add(s, id);
}

void sweeper_add_cgroup(struct sweeper *s, const char *id, const char *cgroup)
{
	char item[ID_LEN + 1 + 256];

	snprintf(item, sizeof(item), "%s %s", id, cgroup);
	add(s, item);
}

void sweeper_add_child(struct sweeper *s, struct pidref *process)
{
	struct child *one = malloc(sizeof(*one));

	if (!one) {
		if (!reap(process))
			pidref_put(process);
		return;
	}
	one->process = process;
	pthread_mutex_lock(&s->lock);
	one->next = s->children;
	s->children = one;
	pthread_cond_signal(&s->more);
	pthread_mutex_unlock(&s->lock);
}

int sweeper_new(int statefd, int runfd, struct cgroup_root *cgroup,
		void (*failed)(void *arg, const struct ctn_err *err), void *arg,
		struct sweeper **ret, struct ctn_err *err)
{
	struct sweeper *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return ctn_fail(err, ENOMEM, "no memory for a thread that removes");
	s->statefd = statefd;
	s->runfd = runfd;
	s->cgroup = cgroup;
	s->failed = failed;
	s->arg = arg;
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->more, NULL);
	r = pthread_create(&s->thread, NULL, run, s);
	if (r) {
		free(s);
		return ctn_fail(err, r, "start a thread that removes");
	}
	*ret = s;
	return 0;
}

void sweeper_free(struct sweeper *s)
{
	if (!s)
		return;
	pthread_mutex_lock(&s->lock);
	s->stop = true;
	pthread_cond_signal(&s->more);
	pthread_mutex_unlock(&s->lock);
	pthread_join(s->thread, NULL);
	while (s->children) {
		struct child *one = s->children;

		s->children = one->next;
		pidref_put(one->process);
		free(one);
	}
	pthread_cond_destroy(&s->more);
	pthread_mutex_destroy(&s->lock);
	strlist_free(&s->items);
	strlist_free(&s->again);
	free(s);
}
