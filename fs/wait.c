/* SPDX-License-Identifier: Apache-2.0 */
/* Waiting for a container's end: parked reads of `wait`. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "../core/cleanup.h"
#include "park.h"

struct wait_op {
	struct parked parked; /* first: see resume and abandon */
	struct handle *h;     /* a reference */
	struct quota *quota;
	size_t size;
};

static void wait_free(struct wait_op *op)
{
	quota_give(op->quota, 0);
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

void wait_read(fuse_req_t req, struct handle *h, size_t size, off_t off)
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
	r = quota_take(fuse_req_ctx(req)->uid, &op->quota, &err);
	if (r < 0) {
		refuse(req, h, &err);
		free(op);
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
