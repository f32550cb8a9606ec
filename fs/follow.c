/* SPDX-License-Identifier: Apache-2.0 */
#include "follow.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <time.h>
#include <unistd.h>

#include "../core/cleanup.h"

enum { FOLLOW_BUCKETS = 256, BLIND_MS = 500, PATH_SIZE = 32 };

/* A file, and how many want to know. */
struct followed {
	struct followed *next;
	int wd;
	uint32_t serial;
	unsigned users;
};

static struct {
	void (*grew)(uint32_t serial, int token);
	pthread_t thread;
	bool threaded;
	int inotify, wake; /* -1: none. @wake: an eventfd: look again at what is below */

	pthread_mutex_t lock; /* all below */
	struct followed *buckets[FOLLOW_BUCKETS];
	unsigned blind;
	bool stop;
} all = {.inotify = -1, .wake = -1, .lock = PTHREAD_MUTEX_INITIALIZER};

/* Where it is linked, or would be. Under the lock. */
static struct followed **find(int wd)
{
	struct followed **p = &all.buckets[(unsigned)wd % FOLLOW_BUCKETS];

	while (*p && (*p)->wd != wd)
		p = &(*p)->next;
	return p;
}

static void look_again(void)
{
	(void)eventfd_write(all.wake, 1);
}

/* Under the lock: one more wants to know of @wd. */
static bool count(int wd, uint32_t serial)
{
	struct followed **p = find(wd);

	if (!*p)
		*p = calloc(1, sizeof(**p));
	if (!*p)
		return false;
	(*p)->wd = wd;
	(*p)->serial = serial;
	(*p)->users++;
	return true;
}

int follow_begin(int fd, uint32_t serial)
{
	char path[PATH_SIZE];
	bool kick = false;
	int wd;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	pthread_mutex_lock(&all.lock);
	wd = inotify_add_watch(all.inotify, path, IN_MODIFY); /* it is open: no disk is asked */
	if (wd < 0 || !count(wd, serial)) {
		if (wd >= 0) /* there was none before, or it would have had an entry */
			(void)inotify_rm_watch(all.inotify, wd);
		wd = FOLLOW_BLIND;
		kick = all.blind++ == 0;
	}
	pthread_mutex_unlock(&all.lock);
	if (kick)
		look_again();
	return wd;
}

void follow_end(int token)
{
	struct followed **p, *f;

	if (token == FOLLOW_NONE)
		return;
	pthread_mutex_lock(&all.lock);
	p = find(token);
	f = *p;
	if (token == FOLLOW_BLIND)
		all.blind--;
	else if (f && --f->users == 0) {
		*p = f->next;
		(void)inotify_rm_watch(all.inotify, f->wd); /* the file may be gone already */
		free(f);
	}
	pthread_mutex_unlock(&all.lock);
}

/* --- the thread --- */

static void on_event(const struct inotify_event *e)
{
	const struct followed *f;
	uint32_t serial;
	bool wanted;

	pthread_mutex_lock(&all.lock);
	f = *find(e->wd);
	wanted = f;
	serial = f ? f->serial : 0;
	pthread_mutex_unlock(&all.lock);
	if (wanted) /* or it is the end of one that was given up */
		all.grew(serial, e->wd);
}

static void read_events(void)
{
	_Alignas(struct inotify_event) char buf[4096];
	ssize_t n = read(all.inotify, buf, sizeof(buf));

	for (char *p = buf; n > 0 && p < buf + n;) {
		const struct inotify_event *e = (const struct inotify_event *)p;

		if (e->mask & IN_Q_OVERFLOW) /* more has happened than the kernel could note */
			all.grew(0, FOLLOW_NONE);
		else
			on_event(e);
		p += sizeof(*e) + e->len;
	}
}

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* How long to sleep: until it is time again for those who get no events. */
static int pause_ms(uint64_t *next)
{
	uint64_t now = now_ms();
	bool blind;

	pthread_mutex_lock(&all.lock);
	blind = all.blind > 0;
	pthread_mutex_unlock(&all.lock);
	if (!blind)
		return -1;
	if (now >= *next) {
		*next = now + BLIND_MS;
		all.grew(0, FOLLOW_BLIND);
	}
	return BLIND_MS;
}

static bool is_stopped(void)
{
	bool stop;

	pthread_mutex_lock(&all.lock);
	stop = all.stop;
	pthread_mutex_unlock(&all.lock);
	return stop;
}

static void *run(void *arg)
{
	struct pollfd p[] = {{all.wake, POLLIN, 0}, {all.inotify, POLLIN, 0}};
	uint64_t next = 0;
	eventfd_t value;

	while (!is_stopped()) {
		if (poll(p, CTN_COUNT(p), pause_ms(&next)) <= 0)
			continue;
		if (p[1].revents)
			read_events();
		if (p[0].revents)
			(void)eventfd_read(all.wake, &value);
	}
	return arg;
}

/* --- */

static void close_all(void)
{
	ctn_close_fd(&all.inotify);
	ctn_close_fd(&all.wake);
	all.inotify = all.wake = -1;
}

int follow_start(void (*grew)(uint32_t serial, int token), struct ctn_err *err)
{
	int r;

	all.grew = grew;
	all.stop = false;
	all.wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (all.wake < 0)
		return ctn_fail_errno(err, "make an eventfd");
	/* Users have few of these, 128 by default. Without one all are looked at in turn. */
	all.inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	r = pthread_create(&all.thread, NULL, run, NULL);
	if (r > 0) {
		close_all();
		return ctn_fail(err, r, "start a thread");
	}
	all.threaded = true;
	return 0;
}

void follow_stop(void)
{
	if (!all.threaded)
		return;
	pthread_mutex_lock(&all.lock);
	all.stop = true;
	pthread_mutex_unlock(&all.lock);
	look_again();
	(void)pthread_join(all.thread, NULL);
	all.threaded = false;
	close_all();
}
