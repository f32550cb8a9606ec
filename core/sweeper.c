/* SPDX-License-Identifier: Apache-2.0 */
#include "sweeper.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io.h"
#include "strlist.h"

enum { WAITING_MAX = 256, NAME_ROOM = 96 };

struct sweeper {
	int statefd, runfd;
	void (*failed)(void *arg, const struct ctn_err *err);
	void *arg;
	pthread_t thread;
	pthread_mutex_t lock; /* all below */
	pthread_cond_t more;
	struct strlist ids;
	bool stop;
};

static void sweep(const struct sweeper *s, const char *id)
{
	struct ctn_err err = {0};
	char trash[NAME_ROOM];
	int r = io_remove_tree_at(s->runfd, id, &err);

	snprintf(trash, sizeof(trash), "trash-%s", id);
	if (r == 0)
		r = io_remove_tree_at(s->statefd, trash, &err);
	if (r < 0)
		s->failed(s->arg, &err);
}

static void *run(void *arg)
{
	struct sweeper *s = arg;
	bool stop = false;

	while (!stop) {
		struct strlist ids;

		pthread_mutex_lock(&s->lock);
		while (s->ids.len == 0 && !s->stop)
			pthread_cond_wait(&s->more, &s->lock);
		ids = s->ids;
		s->ids = (struct strlist){0};
		stop = s->stop;
		pthread_mutex_unlock(&s->lock);
		for (size_t i = 0; i < ids.len; i++)
			sweep(s, ids.items[i]);
		strlist_free(&ids);
	}
	return NULL;
}

void sweeper_add(struct sweeper *s, const char *id)
{
	bool queued;

	pthread_mutex_lock(&s->lock);
	queued = s->ids.len < WAITING_MAX && strlist_add(&s->ids, id, strlen(id)) == 0;
	if (queued)
		pthread_cond_signal(&s->more);
	pthread_mutex_unlock(&s->lock);
	if (!queued)
		sweep(s, id);
}

int sweeper_new(int statefd, int runfd, void (*failed)(void *arg, const struct ctn_err *err),
		void *arg, struct sweeper **ret, struct ctn_err *err)
{
	struct sweeper *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return ctn_fail(err, ENOMEM, "no memory for a thread that removes");
	s->statefd = statefd;
	s->runfd = runfd;
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
	pthread_cond_destroy(&s->more);
	pthread_mutex_destroy(&s->lock);
	strlist_free(&s->ids);
	free(s);
}
