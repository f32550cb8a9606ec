/* SPDX-License-Identifier: Apache-2.0 */
/* Acting on what was written, piece by piece, and answering. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "../core/cleanup.h"
#include "ops.h"
#include "write.h"

static _Atomic bool ending; /* no document is begun any more */

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

void write_answer(const struct write_req *w, const char *about, char *result, size_t len,
		  const struct ctn_err *err)
{
	const struct node_ref *ref = &w->h->ref;

	if (err->code && err->code != EINTR && about)
		container_note_error(ref->fs->engine, NULL, about, err);
	else if (err->code && err->code != EINTR)
		(void)node_refuse(ref, err);
	if (!result && (w->h->flags & O_ACCMODE) == O_RDWR)
		result = result_text(w, err, &len);
	account(w, !err->code, result,
		len); /* before the answer: the next write may come at once */
	if (err->code)
		fuse_reply_err(w->req, err->code);
	else
		fuse_reply_write(w->req, w->size);
}

static void answer_lines(struct write_op *op)
{
	write_answer(&op->w, NULL, NULL, 0, &op->err);
}

/* --- documents --- */

/* The present document has been acted on. */
static void document_done(struct write_op *op)
{
	if (op->said)
		doc_say(op->doc, op->said);
	doc_drop(op->doc, op->taken);
	op->done += op->taken;
	if (!op->ref.c)
		node_root_touch();
}

/* Whatever was refused or left to its fate, the next write begins a new document. What was acted on
 * before it is accepted: then the write is a short one, and who writes the rest is told. */
static void documents_end(struct write_op *op)
{
	char line[CTN_ERR_TEXT + 64];

	if (op->err.code)
		doc_drop(op->doc, op->doc->len);
	doc_hold(op->doc);
	if (op->err.code && op->err.code != EINTR && op->done) {
		op->w.size = op->done - op->begin;
		op->err = (struct ctn_err){0};
	} else if (op->err.code) {
		snprintf(line, sizeof(line), "%s %s", ctn_errno_name(op->err.code), op->err.text);
		doc_say(op->doc, line);
	}
}

static void answer_documents(struct write_op *op)
{
	char *result = NULL;
	size_t len = 0;

	documents_end(op);
	if (op->doc->results)
		result = strndup(op->doc->results, len = op->doc->results_len);
	write_answer(&op->w, op->about, result, len, &op->err);
}

static int documents_begin(struct write_op *op, const char *buf, struct ctn_err *err)
{
	struct writer *writer = op->w.h->writer;

	op->doc = &writer->doc;
	op->answer = answer_documents;
	if (op->w.off != writer->position && !op->w.append) { /* the results have been read */
		free(op->doc->results);
		op->doc->results = NULL;
		op->doc->results_len = 0;
	}
	op->begin = op->doc->len;
	return doc_append(&op->ref, op->doc, buf, op->w.size, err);
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

/* Return: 1 and what to act on next; 0 at the end; -errno. */
static int next_piece(struct write_op *op, char **ret)
{
	ssize_t n;

	if (!op->doc) {
		*ret = op->whole ? ctn_take_ptr(op->next) : next_line(op);
		return *ret != NULL;
	}
	free(op->text);
	free(op->said);
	free(op->about);
	op->text = op->said = op->about = NULL;
	if (ending)
		return ctn_fail(&op->err, ECONNABORTED, "%s: the server ends", op->ref.node->path);
	n = doc_next(&op->ref, op->doc, op->done ? 0 : op->begin, &op->text, &op->err);
	op->taken = n > 0 ? (size_t)n : 0;
	*ret = op->text;
	return n < 0 ? (int)n : n > 0;
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

/* A piece's verb has ended. One small file is written durably where cmd has to be as it was: that
 * is before the answer, so on the event thread, too. */
static int settle(struct write_op *op, int r)
{
	if (r < 0 && op->undo)
		(void)container_restore(op->ref.c, op->undo_field, op->undo, NULL);
	spec_put(op->undo);
	op->undo = NULL;
	if (r == 0 && op->doc)
		document_done(op);
	return r;
}

static void op_free(struct write_op *op)
{
	spec_put(op->undo);
	if (op->w.h)
		handle_put(op->w.h);
	else
		node_ref_put(&op->ref);
	free(op->said);
	free(op->about);
	free(op->text);
	free(op);
}

/* The calling thread owns @op until a piece pends. */
static void op_run(struct write_op *op, int r)
{
	char *piece = NULL;

	while (r == 0 && (r = next_piece(op, &piece)) > 0) {
		r = op->ref.node->store(&op->ref, op, piece, &op->err);
		if (r == LIFE_PENDING)
			r = park_wait(&op->parked, &op->err);
		if (r == LIFE_PENDING)
			return;	 /* it may be gone already */
		if (r != -EINTR) /* then the verb goes on, and nobody knows how it ends */
			r = settle(op, r);
	}
	park_end(&op->parked);
	op->answer(op);
	op_free(op);
}

/* --- documents behind one that was waited for: on a thread of their own, since the event thread is
 * not to make containers --- */

static pthread_mutex_t threads_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t threads_ended = PTHREAD_COND_INITIALIZER;
static unsigned threads; /* under threads_lock */

static void *go_on(void *op)
{
	op_run(op, 0);
	pthread_mutex_lock(&threads_lock);
	threads--;
	pthread_cond_signal(&threads_ended);
	pthread_mutex_unlock(&threads_lock);
	return NULL;
}

static bool go_on_elsewhere(struct write_op *op)
{
	pthread_t thread;
	bool ok;

	pthread_mutex_lock(&threads_lock);
	ok = !ending && pthread_create(&thread, NULL, go_on, op) == 0;
	if (ok) {
		threads++;
		pthread_detach(thread);
	}
	pthread_mutex_unlock(&threads_lock);
	return ok;
}

void write_end(void)
{
	pthread_mutex_lock(&threads_lock);
	ending = true;
	while (threads)
		pthread_cond_wait(&threads_ended, &threads_lock);
	pthread_mutex_unlock(&threads_lock);
}

static void op_resume(struct parked *p, int result, const struct ctn_err *err)
{
	struct write_op *op = (struct write_op *)p;
	int r;

	if (result < 0) {
		op->err = *err;
		ctn_fail_context(&op->err, "%s", op->ref.node->path);
	}
	r = settle(op, result);
	/* One byte is the newline that most documents end with. */
	if (r < 0 || !op->doc || op->doc->len <= 1 || !go_on_elsewhere(op))
		op_run(op, r);
}

/* The caller got a signal, and its answer: the verb goes on, the pieces after it do not. */
static size_t op_abandon(struct parked *p)
{
	struct write_op *op = (struct write_op *)p;

	if (op->doc) {
		doc_drop(op->doc, op->doc->len);
		doc_hold(op->doc);
	}
	if (op->w.h)
		account(&op->w, false, NULL, 0);
	else
		op->ended(op->arg, false);
	op_free(op);
	return 0;
}

void write_run(struct write_op *op, fuse_req_t req)
{
	op->parked.resume = op_resume;
	op->parked.abandon = op_abandon;
	park_begin(&op->parked, req);
	op_run(op, 0);
}

int write_op_new(const struct write_req *w, const char *buf, struct write_op **ret,
		 struct ctn_err *err)
{
	bool documents = w->h->ref.node->flags & N_DOC;
	struct write_op *op = calloc(1, sizeof(*op));
	int r = 0;

	if (op && !documents)
		op->text = op->next = strndup(buf, w->size);
	if (!op || (!documents && !op->text)) {
		free(op);
		return ctn_fail(err, ENOMEM, "%s: no memory", w->h->ref.node->path);
	}
	op->w = *w;
	op->ref = w->h->ref;
	op->answer = answer_lines;
	if (documents)
		r = documents_begin(op, buf, err);
	if (r < 0) {
		free(op);
		return r;
	}
	handle_get(w->h);
	*ret = op;
	return 0;
}
