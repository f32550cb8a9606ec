/* SPDX-License-Identifier: Apache-2.0 */
/* `stdin`: a file that is the writing end of a pipe. A write that does not fit is parked; `>` is
 * the whole input, so its end of file comes when the descriptor has gone. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "park.h"

/* One write; the thread that works for it owns it. */
struct stdin_op {
	struct parked parked; /* first: see resume and abandon */
	struct handle *h;     /* a reference */
	bool wait;
	size_t size, done;
	struct ctn_err err;
	char text[];
};

int stdin_opened(struct handle *h, struct ctn_err *err)
{
	int r = container_stdin_open(h->ref.c, &h->run, err);

	if (r < 0)
		return ctn_fail_context(err, "%s", h->ref.node->path);
	h->ends = h->flags & O_TRUNC;
	return 0;
}

void stdin_closed(struct handle *h)
{
	struct ctn_err err = {0};

	if (h->ends && container_stdin_end(h->ref.c, h->run, &err) < 0)
		(void)node_refuse(&h->ref, &err);
}

int stdin_truncate(const struct node_ref *ref, struct handle *h, struct ctn_err *err)
{
	int r;

	if (!h) {
		r = container_stdin_end(ref->c, 0, err);
		return r < 0 ? ctn_fail_context(err, "%s", ref->node->path) : 0;
	}
	pthread_mutex_lock(&h->lock);
	h->ends = true;
	pthread_mutex_unlock(&h->lock);
	return 0;
}

static void op_free(struct stdin_op *op)
{
	handle_put(op->h);
	free(op);
}

/* What was taken before something went wrong is a short write, and the next one is told. */
static void op_answer(struct stdin_op *op)
{
	fuse_req_t req = op->parked.req;
	int code = op->err.code;

	if (op->done || op->size == 0)
		fuse_reply_write(req, op->done);
	else if (code == EINTR || code == EAGAIN)
		fuse_reply_err(req, code);
	else
		fuse_reply_err(req, node_refuse(&op->h->ref, &op->err));
}

static void op_run(struct stdin_op *op, int r)
{
	while (r == 0 && op->done < op->size) {
		r = container_stdin_write(op->h->ref.c, op->h->run, op->text, op->size, &op->done,
					  op->wait ? &op->parked.waiter : NULL, &op->err);
		if (r == LIFE_PENDING)
			r = park_wait(&op->parked, &op->err);
		if (r == LIFE_PENDING)
			return; /* it may be gone already */
	}
	park_end(&op->parked);
	if (r == -EAGAIN)
		op->err.code = EAGAIN;
	else if (r < 0)
		ctn_fail_context(&op->err, "%s", op->h->ref.node->path);
	op_answer(op);
	op_free(op);
}

static void op_resume(struct parked *p, int result, const struct ctn_err *err)
{
	struct stdin_op *op = (struct stdin_op *)p;

	op->err = *err;
	op_run(op, result);
}

static size_t op_abandon(struct parked *p)
{
	struct stdin_op *op = (struct stdin_op *)p;
	size_t done = op->done;

	op_free(op);
	return done;
}

void stdin_write(fuse_req_t req, struct handle *h, const char *text, size_t size, int flags)
{
	struct stdin_op *op = malloc(sizeof(*op) + size); /* the kernel sends at most a megabyte */

	if (!op) {
		fuse_reply_err(req, ENOMEM);
		return;
	}
	memset(op, 0, sizeof(*op));
	op->h = handle_get(h);
	op->wait = !(flags & O_NONBLOCK);
	op->size = size;
	memcpy(op->text, text, size);
	op->parked.resume = op_resume;
	op->parked.abandon = op_abandon;
	park_begin(&op->parked, req);
	op_run(op, 0);
}
