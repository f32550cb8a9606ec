/* SPDX-License-Identifier: Apache-2.0 */
/* The write engine: what may be written. write_op.c acts on it, line by line or document by
 * document, write_list.c on lists; before it is answered. */
#include "write.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "../core/cleanup.h"
#include "ops.h"
#include "park.h"

/* The kernel splits a long write. Below this size it does not, so what ends without a newline is
 * whole. */
enum { LINES_MAX = 65536 };

static struct writer *writer_of(struct handle *h) /* under h->lock */
{
	if (!h->writer)
		h->writer = calloc(1, sizeof(*h->writer));
	return h->writer;
}

/* --- what may be written --- */

static int check_offset(const struct write_req *w, const struct writer *writer, struct ctn_err *err)
{
	bool documents = w->h->ref.node->flags & N_DOC;
	uint64_t at = documents ? writer->position : writer->accepted;

	/* With O_APPEND the kernel passes the file's size, which means nothing here. */
	if (w->append || w->off == at || (writer->truncated && w->off == 0))
		return 0;
	if (documents && !writer->doc.len)
		return 0; /* results were read since the last document */
	return ctn_fail(err, EINVAL,
			"%s: a write at offset %llu, where %llu bytes have been accepted; write "
			"in order, on a fresh descriptor",
			w->h->ref.node->path, (unsigned long long)w->off, (unsigned long long)at);
}

static int check_row(const struct write_req *w, const char *buf, struct ctn_err *err)
{
	const struct node *node = w->h->ref.node;

	if (node->flags & N_LOG)
		return ctn_fail(err, EINVAL, "%s: only `: > %s` empties it", node->path,
				node->path);
	if (!node->store && !(node->flags & N_MULTI))
		return ctn_fail(err, EPERM, "%s can only be read", node->path);
	if (memchr(buf, '\0', w->size))
		return ctn_fail(err, EINVAL, "%s: there is a NUL byte in it", node->path);
	if (node->store && !(node->flags & N_DOC) && w->size >= LINES_MAX)
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

/* --- operations --- */

static void write_scratch(fuse_req_t req, const struct handle *h, const char *buf, size_t size,
			  off_t off, bool append)
{
	struct ctn_err err = {0};

	if (scratch_write(&h->ref, buf, size, off, append, &err) < 0)
		fuse_reply_err(req, node_refuse(&h->ref, &err));
	else
		fuse_reply_write(req, size);
}

static void write_row(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size, off_t off,
		      const struct fuse_file_info *fi)
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
		r = write_op_new(&w, buf, &op, &err);
	if (r < 0 && (node->flags & N_MULTI) && w.h->writer)
		list_refuse(&w.h->ref, &w.h->writer->list);
	if (r < 0 || !op)
		write_answer(&w, NULL, NULL, 0, &err);
	else
		write_run(op, req);
}

void op_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size, off_t off,
	      struct fuse_file_info *fi)
{
	struct handle *h = (struct handle *)(uintptr_t)fi->fh;

	if (h->ref.node->flags & N_SCRATCH)
		write_scratch(req, h, buf, size, off, fi->flags & O_APPEND);
	else if (h->ref.node->flags & N_STDIN)
		stdin_write(req, h, buf, size, fi->flags);
	else
		write_row(req, ino, buf, size, off, fi);
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
	if (node->flags & N_STDIN)
		return stdin_truncate(ref, h, err);
	if (!node->store && !(node->flags & N_MULTI))
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
	if (list_release(&h->ref, &h->writer->list, &err) < 0 ||
	    doc_release(&h->ref, &h->writer->doc, &err) < 0)
		(void)node_refuse(&h->ref, &err);
	free(h->writer);
	h->writer = NULL;
}
