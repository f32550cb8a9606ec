/* SPDX-License-Identifier: Apache-2.0 */
/* poll(2): whether there is something that a descriptor has not read, and who is to be woken when
 * there is. */
#include "watch.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "../core/cleanup.h"
#include "follow.h"

enum { WATCH_BUCKETS = 256, IN = POLLIN | POLLRDNORM, OUT = POLLOUT | POLLWRNORM };

/* One descriptor whose pollers the kernel asked us to wake. */
struct watcher {
	struct watcher *prev, *next; /* in its bucket, or among those that were taken */
	struct handle *h;	     /* borrowed: watch_forget() comes before its end */
	uint32_t serial;	     /* 0: the root's */
	int token;		     /* follow.h's, or FOLLOW_NONE */
	struct fuse_pollhandle *ph;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct watcher *buckets[WATCH_BUCKETS]; /* by serial; under lock, as h->watcher is */

static uint32_t serial_of(const struct handle *h)
{
	return h->ref.c ? container_serial(h->ref.c) : 0;
}

/* --- who is to be woken --- */

/* Under lock: out of its bucket, to the others in @list. */
static void take(struct watcher *w, struct watcher **list)
{
	if (w->next)
		w->next->prev = w->prev;
	if (w->prev)
		w->prev->next = w->next;
	else
		buckets[w->serial % WATCH_BUCKETS] = w->next;
	w->h->watcher = NULL;
	w->prev = NULL;
	w->next = *list;
	*list = w;
}

/* With no lock held: a notification is a write to the kernel. */
static void end_watchers(struct watcher *w, bool notify)
{
	while (w) {
		struct watcher *next = w->next;

		if (notify)
			fuse_lowlevel_notify_poll(w->ph);
		fuse_pollhandle_destroy(w->ph);
		follow_end(w->token);
		free(w);
		w = next;
	}
}

/* Those of a container; with a @token those alone that wait for what it stands for. */
static void wake(uint32_t serial, int token)
{
	struct watcher *taken = NULL, *next;

	pthread_mutex_lock(&lock);
	for (struct watcher *w = buckets[serial % WATCH_BUCKETS]; w; w = next) {
		next = w->next;
		if (w->serial == serial && (token == FOLLOW_NONE || w->token == token))
			take(w, &taken);
	}
	pthread_mutex_unlock(&lock);
	end_watchers(taken, true);
}

/* The same of all containers, and of all there are. */
static void wake_all(int token)
{
	struct watcher *taken = NULL, *next;

	pthread_mutex_lock(&lock);
	for (size_t i = 0; i < WATCH_BUCKETS; i++) {
		for (struct watcher *w = buckets[i]; w; w = next) {
			next = w->next;
			if (token == FOLLOW_NONE || w->token == token)
				take(w, &taken);
		}
	}
	pthread_mutex_unlock(&lock);
	end_watchers(taken, true);
}

void watch_changed(uint32_t serial)
{
	wake(serial, FOLLOW_NONE);
}

static void grew(uint32_t serial, int token)
{
	if (serial)
		wake(serial, token);
	else
		wake_all(token);
}

void watch_forget(struct handle *h)
{
	struct watcher *taken = NULL;

	pthread_mutex_lock(&lock);
	if (h->watcher)
		take(h->watcher, &taken);
	pthread_mutex_unlock(&lock);
	end_watchers(taken, false);
}

/* What grows without our doing is followed: a container's output. */
static int follow(const struct handle *h, unsigned events)
{
	ctn_autoclose int fd = -1;

	if (!(h->ref.node->flags & N_LOG) || !(events & (IN | POLLPRI)))
		return FOLLOW_NONE;
	/* Before its first start there is none; that it starts is a change of its own. The journal
	 * is written here, and so needs none. */
	if (log_source(&h->ref, &fd) < 0)
		return FOLLOW_NONE;
	return follow_begin(fd, serial_of(h));
}

/* The newest one wakes all who poll this descriptor. */
static int watch_add(struct handle *h, struct fuse_pollhandle *ph, unsigned events)
{
	struct watcher *w = malloc(sizeof(*w)), *taken = NULL;
	struct watcher **bucket = &buckets[serial_of(h) % WATCH_BUCKETS];

	if (!w)
		return -ENOMEM;
	*w = (struct watcher){.h = h, .serial = serial_of(h), .ph = ph};
	w->token = follow(h, events);
	pthread_mutex_lock(&lock);
	if (h->watcher)
		take(h->watcher, &taken);
	w->next = *bucket;
	if (w->next)
		w->next->prev = w;
	*bucket = h->watcher = w;
	pthread_mutex_unlock(&lock);
	end_watchers(taken, false);
	return 0;
}

/* --- what there is to read --- */

/* Of the files whose content changes with the container's state: a number that does, too. 0: no
 * such file. */
static uint64_t moved(const struct handle *h)
{
	const unsigned flags = h->ref.node->flags;
	struct container_view view;
	uint64_t number;

	if (!(flags & N_POLL))
		return 0;
	container_view_get(h->ref.c, &view);
	number = view.moved;
	/* Those that are not about the state alone tell of the OOM killer as well. */
	if (!(flags & N_STATE))
		number += view.oomed;
	container_view_put(&view);
	return number;
}

void watch_reads(struct handle *h)
{
	h->seen = moved(h);
}

/* Whether there is something that the descriptor has not read. */
static bool is_news(struct handle *h)
{
	bool news;

	if (h->ref.node->flags & N_LOG)
		return log_more(h);
	pthread_mutex_lock(&h->lock);
	news = h->ref.node->flags & N_POLL && moved(h) != h->seen;
	pthread_mutex_unlock(&h->lock);
	return news;
}

static bool has_ended(const struct handle *h)
{
	struct container_view view;
	bool ended;

	container_view_get(h->ref.c, &view);
	ended = view.state == CTN_CREATED || view.state == CTN_EXITED;
	container_view_put(&view);
	return ended;
}

static bool is_gone(const struct handle *h)
{
	struct container *c;

	if (!h->ref.c)
		return false;
	c = container_find_serial(h->ref.fs->engine, container_serial(h->ref.c));
	container_put(c);
	return !c;
}

/* Readable, as any file, until a read has told where it ends; from then on when there is news.
 * Files of which nobody would tell that stay readable. */
static unsigned readable(struct handle *h)
{
	const unsigned flags = h->ref.node->flags;
	bool end = __atomic_load_n(&h->told_end, __ATOMIC_RELAXED);

	if (is_gone(h))
		return IN | POLLHUP;
	if (flags & N_WAIT) /* where a read would answer at once, be it with an error */
		return has_ended(h) ? IN : 0;
	if (is_news(h))
		return IN | POLLPRI;
	return flags & (N_LOG | N_POLL) && end ? 0 : IN;
}

/* Whether a write would. @tell: the poller waits, if not. */
static bool writable(const struct handle *h, bool tell)
{
	return !(h->ref.node->flags & N_STDIN) || container_stdin_room(h->ref.c, h->run, tell);
}

void op_poll(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, struct fuse_pollhandle *ph)
{
	struct handle *h = (struct handle *)(uintptr_t)fi->fh;
	int access = __atomic_load_n(&h->flags, __ATOMIC_RELAXED) & O_ACCMODE;
	unsigned events = 0;

	(void)ino;
	/* Registered first, so that no change falls between the look and the list. */
	if (ph && watch_add(h, ph, fi->poll_events) < 0) {
		fuse_pollhandle_destroy(ph);
		fuse_reply_err(req, ENOMEM);
		return;
	}
	if (access != O_WRONLY)
		events |= readable(h);
	if (access != O_RDONLY && writable(h, ph))
		events |= OUT;
	fuse_reply_poll(req, events);
}

/* --- the server's beginning and end --- */

int watch_begin(struct ctn_err *err)
{
	return follow_start(grew, err);
}

void watch_end(void)
{
	struct watcher *taken = NULL;

	follow_stop();
	pthread_mutex_lock(&lock);
	for (size_t i = 0; i < WATCH_BUCKETS; i++) {
		while (buckets[i])
			take(buckets[i], &taken);
	}
	pthread_mutex_unlock(&lock);
	end_watchers(taken, false);
}
