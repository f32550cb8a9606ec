/* SPDX-License-Identifier: Apache-2.0 */
/* The write engine. A write is acted on before it is answered: line by line, or as a list. */
#include "write.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "../core/cleanup.h"
#include "park.h"

/* The kernel splits a long write. Below this size it does not, so what ends without a newline is
 * whole. */
enum { LINES_MAX = 65536 };

/**
 * struct writer - what a descriptor has written so far. Under the handle's lock but for @list.
 * @accepted:  bytes, and so the offset of the next write.
 * @position:  the kernel's file position; differs from @accepted with O_APPEND.
 * @truncated: nothing was written since, so that the next write may start again at 0.
 * @busy:      a write is being acted on.
 */
struct writer {
	uint64_t accepted, position;
	bool truncated, busy;
	struct write_list list;
};

/* A write and its answer. */
struct write_req {
	fuse_req_t req;
	struct handle *h;
	uint64_t off;
	size_t size;
	bool append, admitted;
};

/* A write to a row that acts on lines; it may be parked between them. */
struct write_op {
	struct parked parked; /* first: see op_resume() */
	struct write_req w;   /* holds a reference to its handle */
	char *text, *next;    /* @next: what has not been acted on */
	const struct spec_field *undo_field;
	struct spec *undo;
	struct ctn_err err;
};

static struct writer *writer_of(struct handle *h) /* under h->lock */
{
	if (!h->writer)
		h->writer = calloc(1, sizeof(*h->writer));
	return h->writer;
}

/* --- what may be written --- */

static int check_offset(const struct write_req *w, const struct writer *writer, struct ctn_err *err)
{
	/* With O_APPEND the kernel passes the file's size, which means nothing here. */
	if (w->append || w->off == writer->accepted || (writer->truncated && w->off == 0))
		return 0;
	return ctn_fail(err, EINVAL,
			"%s: a write at offset %llu, where %llu bytes have been accepted; write "
			"in order, on a fresh descriptor",
			w->h->ref.node->path, (unsigned long long)w->off,
			(unsigned long long)writer->accepted);
}

static int check_row(const struct write_req *w, const char *buf, struct ctn_err *err)
{
	const struct node *node = w->h->ref.node;

	if (node->flags & N_LOG)
		return ctn_fail(err, EINVAL, "%s: only `: > %s` empties it", node->path,
				node->path);
	if (!w->h->ref.c || (!node->store && !(node->flags & N_MULTI)))
		return ctn_fail(err, EPERM, "%s can only be read", node->path);
	if (memchr(buf, '\0', w->size))
		return ctn_fail(err, EINVAL, "%s: there is a NUL byte in it", node->path);
	if (node->store && w->size >= LINES_MAX)
		return ctn_fail(err, EINVAL, "%s: %zu bytes in one write; fewer than %d are a line",
				node->path, w->size, LINES_MAX);
	return 0;
}

static int check_alive(const struct write_req *w, fuse_ino_t ino, struct ctn_err *err)
{
	struct node_ref now;
	int r = node_ref_get(w->h->ref.fs, ino, &now);

	if (r < 0)
		return ctn_fail(err, -r, "%s: its container has been removed",
				w->h->ref.node->path);
	node_ref_put(&now);
	return 0;
}

/* One write at a time on a descriptor: the kernel sees to that for each inode, and this for
 * whatever it does not. */
static int admit(struct write_req *w, struct ctn_err *err)
{
	struct writer *writer;
	int r;

	pthread_mutex_lock(&w->h->lock);
	writer = writer_of(w->h);
	if (!writer)
		r = ctn_fail(err, ENOMEM, "%s: no memory", w->h->ref.node->path);
	else if (writer->busy)
		r = ctn_fail(err, EBUSY, "%s: another write on this descriptor is under way",
			     w->h->ref.node->path);
	else
		r = check_offset(w, writer, err);
	if (r == 0)
		w->admitted = writer->busy = true;
	pthread_mutex_unlock(&w->h->lock);
	return r;
}

/* --- the answer --- */

/* What the descriptor reads next. */
static char *result_text(const struct write_req *w, const struct ctn_err *err, size_t *ret_len)
{
	const struct node_ref *ref = &w->h->ref;
	char *text = NULL;
	int len;

	if (err->code) {
		len = asprintf(&text, "%s %s\n", ctn_errno_name(err->code), err->text);
	} else if (ref->node->store == store_ctl) {
		struct container_view view;

		container_view_get(ref->c, &view);
		len = asprintf(&text, "%s\n", ctn_state_name(view.state));
		container_view_put(&view);
	} else {
		return node_render(ref, &text, ret_len, NULL) < 0 ? NULL : text;
	}
	if (len < 0)
		return NULL;
	*ret_len = (size_t)len;
	return text;
}

static void account(const struct write_req *w, bool ok, char *result, size_t result_len)
{
	struct handle *h = w->h;
	struct writer *writer;
	uint64_t position = w->off;

	pthread_mutex_lock(&h->lock);
	writer = h->writer;
	if (writer && w->admitted)
		writer->busy = false;
	if (writer && ok) {
		if (writer->truncated && w->off == 0)
			writer->accepted = 0;
		writer->truncated = false;
		writer->accepted += w->size;
		writer->position = w->off + w->size;
	}
	if (writer && (ok || w->append)) /* a refused append leaves the position where it was */
		position = writer->position;
	h->result = false; /* then the next read there renders anew */
	h->base = position;
	if (result)
		handle_set_result(h, result, result_len, position);
	pthread_mutex_unlock(&h->lock);
}

/* @err says how it went. No lock held. */
static void answer(const struct write_req *w, const struct ctn_err *err)
{
	char *result = NULL;
	size_t len = 0;

	if (err->code && err->code != EINTR)
		(void)node_refuse(&w->h->ref, err);
	if ((w->h->flags & O_ACCMODE) == O_RDWR)
		result = result_text(w, err, &len);
	account(w, !err->code, result,
		len); /* before the answer: the next write may come at once */
	if (err->code)
		fuse_reply_err(w->req, err->code);
	else
		fuse_reply_write(w->req, w->size);
}

/* --- lines --- */

/* The next line to act on, trimmed; NULL at the end. */
static char *next_line(struct write_op *op)
{
	char *line;

	while ((line = strsep(&op->next, "\n"))) {
		char *end = line + strlen(line);

		/* A blank that is quoted by a backslash is a word's last byte. */
		while (end > line && isspace((unsigned char)end[-1]) &&
		       !(end - 1 > line && end[-2] == '\\'))
			*--end = '\0';
		while (isspace((unsigned char)*line))
			line++;
		if (*line && *line != '#')
			return line;
	}
	return NULL;
}

struct life_waiter *write_waiter(struct write_op *op)
{
	return &op->parked.waiter;
}

void write_undo(struct write_op *op, const struct spec_field *field, struct spec *spec)
{
	op->undo_field = field;
	op->undo = spec_get(spec);
}

/* A line's verb has ended. One small file is written durably where cmd has to be as it was: that is
 * before the answer, so on the event thread, too. */
static int settle(struct write_op *op, int r)
{
	if (r < 0 && op->undo)
		(void)container_restore(op->w.h->ref.c, op->undo_field, op->undo, NULL);
	spec_put(op->undo);
	op->undo = NULL;
	return r;
}

static void op_free(struct write_op *op)
{
	spec_put(op->undo);
	handle_put(op->w.h);
	free(op->text);
	free(op);
}

/* The calling thread owns @op until a line pends. */
static void op_run(struct write_op *op, int r)
{
	const struct node_ref *ref = &op->w.h->ref;
	char *line;

	while (r == 0 && (line = next_line(op))) {
		r = ref->node->store(ref, op, line, &op->err);
		if (r == LIFE_PENDING)
			r = park_wait(&op->parked, &op->err);
		if (r == LIFE_PENDING)
			return;	 /* it may be gone already */
		if (r != -EINTR) /* then the verb goes on, and nobody knows how it ends */
			r = settle(op, r);
	}
	park_end(&op->parked);
	answer(&op->w, &op->err);
	op_free(op);
}

static void op_resume(struct parked *p, int result, const struct ctn_err *err)
{
	struct write_op *op = (struct write_op *)p;

	if (result < 0) {
		op->err = *err;
		ctn_fail_context(&op->err, "%s", op->w.h->ref.node->path);
	}
	op_run(op, settle(op, result));
}

/* The caller got a signal, and its answer: the verb goes on, the lines after it do not. */
static void op_abandon(struct parked *p)
{
	struct write_op *op = (struct write_op *)p;

	account(&op->w, false, NULL, 0);
	op_free(op);
}

static int op_new(const struct write_req *w, const char *buf, struct write_op **ret,
		  struct ctn_err *err)
{
	struct write_op *op = calloc(1, sizeof(*op));

	if (op)
		op->text = op->next = strndup(buf, w->size);
	if (!op || !op->text) {
		free(op);
		return ctn_fail(err, ENOMEM, "%s: no memory", w->h->ref.node->path);
	}
	op->w = *w;
	handle_get(w->h);
	op->parked.resume = op_resume;
	op->parked.abandon = op_abandon;
	*ret = op;
	return 0;
}

/* --- operations --- */

void op_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size, off_t off,
	      struct fuse_file_info *fi)
{
	struct write_req w = {.req = req,
			      .h = (struct handle *)(uintptr_t)fi->fh,
			      .off = (uint64_t)off,
			      .size = size,
			      .append = fi->flags & O_APPEND};
	const struct node *node = w.h->ref.node;
	struct write_op *op = NULL;
	struct ctn_err err = {0};
	int r = check_row(&w, buf, &err);

	if (r == 0)
		r = check_alive(&w, ino, &err);
	if (r == 0)
		r = admit(&w, &err);
	if (r == 0 && (node->flags & N_MULTI))
		r = list_write(&w.h->ref, &w.h->writer->list, buf, size, &err);
	else if (r == 0)
		r = op_new(&w, buf, &op, &err);
	if (r < 0 || !op) {
		answer(&w, &err);
		return;
	}
	park_begin(&op->parked, req);
	op_run(op, 0);
}

static int truncate_list(const struct node_ref *ref, struct handle *h, struct ctn_err *err)
{
	struct writer *writer = NULL;

	if (h) {
		pthread_mutex_lock(&h->lock);
		writer = writer_of(h);
		if (writer)
			writer->truncated = true;
		pthread_mutex_unlock(&h->lock);
		if (!writer)
			return ctn_fail(err, ENOMEM, "%s: no memory", ref->node->path);
	}
	return list_truncate(ref, writer ? &writer->list : NULL, err);
}

int write_truncate(const struct node_ref *ref, struct handle *h, struct ctn_err *err)
{
	const struct node *node = ref->node;

	if (node->flags & N_LOG)
		return log_truncate(ref, h, err);
	if (!ref->c || (!node->store && !(node->flags & N_MULTI)))
		return ctn_fail(err, EPERM, "%s can only be read", node->path);
	if (node->flags & N_MULTI)
		return truncate_list(ref, h, err);
	if (h) { /* a value is replaced by a line, not emptied by `>` */
		pthread_mutex_lock(&h->lock);
		if (h->writer)
			h->writer->truncated = true;
		pthread_mutex_unlock(&h->lock);
	}
	return 0;
}

void write_release(struct handle *h)
{
	struct ctn_err err = {0};

	if (!h->writer)
		return;
	if (list_release(&h->ref, &h->writer->list, &err) < 0)
		(void)node_refuse(&h->ref, &err);
	free(h->writer);
	h->writer = NULL;
}
