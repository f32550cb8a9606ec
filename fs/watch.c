/* SPDX-License-Identifier: Apache-2.0 */
/* Waiting for a container: parked reads of `wait`, and poll(2). */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include "../core/cleanup.h"
#include "park.h"
#include "watch.h"

/* --- reads of `wait` --- */

struct wait_op {
	struct parked parked; /* first: see resume and abandon */
	struct handle *h;     /* a reference */
	size_t size;
};

static void wait_free(struct wait_op *op)
{
	handle_put(op->h);
	free(op);
}

static size_t wait_abandon(struct parked *p)
{
	wait_free((struct wait_op *)p);
	return 0;
}

static void refuse(fuse_req_t req, const struct handle *h, const struct ctn_err *err)
{
	fuse_reply_err(req, node_refuse(&h->ref, err));
}

/* What follows @off in the text that a read at offset 0 found. */
static void reply_from_snapshot(fuse_req_t req, struct handle *h, size_t size, off_t off)
{
	size_t len = 0;
	ctn_autofree char *part = NULL;

	pthread_mutex_lock(&h->lock);
	if (h->snapshot && (uint64_t)off < h->snapshot_len) {
		len = h->snapshot_len - (size_t)off;
		len = len < size ? len : size;
		part = malloc(len);
		if (part)
			memcpy(part, h->snapshot + off, len);
	}
	pthread_mutex_unlock(&h->lock);
	if (len && !part)
		fuse_reply_err(req, ENOMEM);
	else
		fuse_reply_buf(req, part, len);
}

/* It has exited: the code, to this read and to the later ones of the descriptor. */
static void reply_exit(fuse_req_t req, struct handle *h, size_t size)
{
	struct container_view view;
	char *text = NULL;
	int len;

	container_view_get(h->ref.c, &view);
	len = asprintf(&text, "%d\n", view.exit_code);
	container_view_put(&view);
	if (len < 0) {
		fuse_reply_err(req, ENOMEM);
		return;
	}
	pthread_mutex_lock(&h->lock);
	handle_set_result(h, text, (size_t)len, 0);
	pthread_mutex_unlock(&h->lock);
	reply_from_snapshot(req, h, size, 0);
}

/* The thread that calls it owns @op. */
static void wait_finish(struct wait_op *op, int result, const struct ctn_err *err)
{
	park_end(&op->parked);
	if (result == -EINTR)
		fuse_reply_err(op->parked.req, EINTR);
	else if (result < 0)
		refuse(op->parked.req, op->h, err);
	else
		reply_exit(op->parked.req, op->h, op->size);
	wait_free(op);
}

static void wait_resume(struct parked *p, int result, const struct ctn_err *err)
{
	wait_finish((struct wait_op *)p, result, err);
}

void watch_read_wait(fuse_req_t req, struct handle *h, size_t size, off_t off)
{
	struct ctn_err err = {0};
	struct wait_op *op;
	int r;

	if (off > 0) {
		reply_from_snapshot(req, h, size, off);
		return;
	}
	if (__atomic_load_n(&h->flags, __ATOMIC_RELAXED) & O_NONBLOCK) {
		r = life_wait(h->ref.c, NULL, &err);
		if (r < 0)
			refuse(req, h, &err);
		else if (r == LIFE_PENDING)
			fuse_reply_err(req, EAGAIN);
		else
			reply_exit(req, h, size);
		return;
	}
	op = calloc(1, sizeof(*op));
	if (!op) {
		fuse_reply_err(req, ENOMEM);
		return;
	}
	op->h = handle_get(h);
	op->size = size;
	op->parked.resume = wait_resume;
	op->parked.abandon = wait_abandon;
	park_begin(&op->parked, req);
	r = life_wait(h->ref.c, &op->parked.waiter, &err);
	if (r == LIFE_PENDING)
		r = park_wait(&op->parked, &err);
	if (r != LIFE_PENDING)
		wait_finish(op, r, &err);
}

/* --- poll(2) --- */

/* One descriptor whose poller the kernel asked us to wake. */
struct watcher {
	struct watcher *next;
	struct handle *h; /* borrowed: watch_forget() comes before its end */
	uint32_t serial;  /* 0: of the root */
	struct fuse_pollhandle *ph;
};

enum { WATCH_BUCKETS = 1024 };

static pthread_mutex_t watchers_lock = PTHREAD_MUTEX_INITIALIZER;
static struct watcher *watchers[WATCH_BUCKETS]; /* by serial; under watchers_lock */

/* Take those of a container out of its list, or (@h) only those of that descriptor. */
static struct watcher *take_watchers(const struct handle *h, uint32_t serial)
{
	struct watcher *taken = NULL;

	pthread_mutex_lock(&watchers_lock);
	for (struct watcher **at = &watchers[serial % WATCH_BUCKETS]; *at;) {
		struct watcher *w = *at;

		if (w->serial != serial || (h && w->h != h)) {
			at = &w->next;
			continue;
		}
		*at = w->next;
		w->next = taken;
		taken = w;
	}
	pthread_mutex_unlock(&watchers_lock);
	return taken;
}

/* With no lock held: a notification is a write to the kernel. */
static void end_watchers(struct watcher *w, bool notify)
{
	while (w) {
		struct watcher *next = w->next;

		if (notify)
			fuse_lowlevel_notify_poll(w->ph);
		fuse_pollhandle_destroy(w->ph);
		free(w);
		w = next;
	}
}

/* 0 is the root's. */
static uint32_t serial_of(const struct handle *h)
{
	return h->ref.c ? container_serial(h->ref.c) : 0;
}

static int watch_add(struct handle *h, struct fuse_pollhandle *ph)
{
	struct watcher *w = malloc(sizeof(*w));

	if (!w)
		return -ENOMEM;
	*w = (struct watcher){.h = h, .serial = serial_of(h), .ph = ph};
	end_watchers(take_watchers(h, w->serial), false); /* the newest one wakes all */
	pthread_mutex_lock(&watchers_lock);
	w->next = watchers[w->serial % WATCH_BUCKETS];
	watchers[w->serial % WATCH_BUCKETS] = w;
	pthread_mutex_unlock(&watchers_lock);
	return 0;
}

void watch_changed(uint32_t serial)
{
	end_watchers(take_watchers(NULL, serial), true);
}

void watch_forget(struct handle *h)
{
	end_watchers(take_watchers(h, serial_of(h)), false);
}

/* Nobody else is there any more. */
void watch_end(void)
{
	for (size_t i = 0; i < WATCH_BUCKETS; i++) {
		end_watchers(watchers[i], false);
		watchers[i] = NULL;
	}
}

/* Whether a read would answer at once (be it with an error). */
static bool readable(struct handle *h)
{
	struct container_view view;
	bool ready;

	if (h->ref.node->flags & N_EVENTS)
		return log_has_more(h);
	if (!(h->ref.node->flags & N_WAIT))
		return true;
	container_view_get(h->ref.c, &view);
	ready = view.state == CTN_CREATED || view.state == CTN_EXITED;
	container_view_put(&view);
	return ready;
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
	const bool watched = h->ref.c || h->ref.node->flags & N_EVENTS;
	unsigned events = 0;
	int r = 0;

	(void)ino;
	/* Registered first, so that no change falls between the look and the list. */
	if (ph && watched)
		r = watch_add(h, ph);
	if (ph && (r < 0 || !watched))
		fuse_pollhandle_destroy(ph);
	if (r < 0) {
		fuse_reply_err(req, -r);
		return;
	}
	if (access != O_WRONLY && readable(h))
		events |= POLLIN | POLLRDNORM;
	if (access != O_RDONLY && writable(h, ph))
		events |= POLLOUT | POLLWRNORM;
	fuse_reply_poll(req, events);
}
