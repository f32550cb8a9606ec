/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the write engine share: write.c, write_list.c, verbs.c. */
#ifndef CTNFS_FS_WRITE_H
#define CTNFS_FS_WRITE_H

#include "node.h"
#include "park.h"

/**
 * struct write_doc - what one descriptor has written to a row that takes documents. Whoever has
 * made the writer busy may use it.
 * @text:    @len bytes, and a NUL, that belong to no document that was acted on yet.
 * @counted: bytes of them that are counted in all that such descriptors hold.
 * @results: a line a document.
 */
struct write_doc {
	char *text;
	size_t len, counted;
	char *results;
	size_t results_len;
};

/**
 * struct write_list - what one descriptor has written to a list. Under list_lock().
 * @base:    what @text is applied to; NULL before the first write or truncation.
 * @left:    what was in force when its last write ended: if the field is no longer so, somebody
 * else has written.
 * @before:  what a truncation took away, until a line has replaced it.
 * @room:    bytes of memory of @text.
 * @text:    @len bytes, of which the first @applied are in force; the others are an incomplete line
 * that makes no sense yet, and @held says why.
 * @replace: a truncation came first.
 */
struct write_list {
	struct spec *base, *left, *before;
	char *text;
	size_t len, applied, room;
	bool replace;
	struct ctn_err held;
};

/**
 * struct writer - what a descriptor has written so far. Under the handle's lock but for @list.
 * @accepted:  bytes, and so the offset of the next write.
 * @position:  where the last write ended: the kernel's file position, unless it was read since;
 * differs from @accepted with O_APPEND.
 * @truncated: nothing was written since, so that the next write may start again at 0.
 * @busy:      a write is being acted on.
 */
struct writer {
	uint64_t accepted, position;
	bool truncated, busy;
	struct write_list list;
	struct write_doc doc;
};

/* A write and its answer. */
struct write_req {
	fuse_req_t req;
	struct handle *h;
	uint64_t off;
	size_t size;
	bool append, admitted;
};

/**
 * struct write_op - text that rows act on piece by piece; it may be parked between them.
 * @w:      a reference to its handle; none in a rename (write_whole.c).
 * @ref:    the handle's; a rename's own.
 * @text, @next: lines: all of them, and what has not been acted on. Documents: the present one.
 * @doc:    NULL, or where documents come from. @begin: bytes that were there before this write.
 * @taken:  bytes of the present document. @done: of those acted on in this write.
 * @said:   what the descriptor reads once the present document is done. @about: whose name a
 *          refusal is under in the root's `error`.
 * @answer: tell the caller; frees nothing.
 * @whole:  @text is one piece. @ended, @arg: of write_whole().
 */
struct write_op {
	struct parked parked; /* first: see op_resume() in write_op.c */
	struct write_req w;
	struct node_ref ref;
	char *text, *next;
	struct write_doc *doc;
	size_t begin, taken, done;
	char *said, *about;
	const struct spec_field *undo_field;
	struct spec *undo;
	struct ctn_err err;
	void (*answer)(struct write_op *op);
	bool whole;
	void (*ended)(void *arg, bool ok);
	void *arg;
};

/** write_op_new() - for a write that was admitted. write_answer() - @err says how it went; @about:
 * NULL, or whose name a refusal is under; @result: NULL, or what the descriptor reads next, taken
 * over. No lock held. */
int write_op_new(const struct write_req *w, const char *buf, struct write_op **ret,
		 struct ctn_err *err);
void write_answer(const struct write_req *w, const char *about, char *result, size_t len,
		  const struct ctn_err *err);

/** write_run() - act on all of @op's text, answer, and free it. The caller's no more. */
void write_run(struct write_op *op, fuse_req_t req);

/**
 * write_whole() - give a row the whole of a text at once: all of its lines are good, or nothing
 * happens; a single value is the last line's. Then reply 0 or the errno.
 * @req:  a rename's. @ref: taken over. @text: @len bytes, copied.
 * @done: called once, before the reply, with whether it is so.
 */
void write_whole(fuse_req_t req, struct node_ref *ref, const char *text, size_t len,
		 void (*done)(void *arg, bool ok), void *arg);

/* --- write_doc.c: rows that take JSON documents --- */

/** doc_append() - @size more bytes. -ENOSPC; -ENOMEM. */
int doc_append(const struct node_ref *ref, struct write_doc *doc, const char *buf, size_t size,
	       struct ctn_err *err);
/** doc_next() - the next complete document (or bundle's path) as fresh text. @begin: where the
 * present write's bytes begin. Return: bytes up to its end; 0: there is none; -errno. */
ssize_t doc_next(const struct node_ref *ref, const struct write_doc *doc, size_t begin, char **ret,
		 struct ctn_err *err);
/** doc_drop() - the first @n bytes have been acted on. */
void doc_drop(struct write_doc *doc, size_t n);
/** doc_hold() - the write has ended: what is left waits for more. */
void doc_hold(struct write_doc *doc);
/** doc_say() - another line of results. */
void doc_say(struct write_doc *doc, const char *line);
/** doc_release() - 0, or -EINVAL for a document that was left incomplete. Frees its members. */
int doc_release(const struct node_ref *ref, struct write_doc *doc, struct ctn_err *err);

/** write_undo() - should the verb that a store function is about to begin fail, give @field the
 * value it has in @spec again. Before the verb: its end may come before it returns. */
void write_undo(struct write_op *op, const struct spec_field *field, struct spec *spec);

/* --- write_list.c: rows that hold one entry a line --- */

/** list_lock() - keep writers of one container's configuration apart, so that comparing with what
 * was left and writing is one step. Held over disk writes, never over a wait. */
void list_lock(const struct container *c);
void list_unlock(const struct container *c);

/** list_write() - take @size more bytes. 0; -errno with a sentence and nothing of them in force. */
int list_write(const struct node_ref *ref, struct write_list *list, const char *buf, size_t size,
	       struct ctn_err *err);
/** list_refuse() - a write was refused before that: give back what a truncation took. */
void list_refuse(const struct node_ref *ref, struct write_list *list);
/** list_truncate() - @list NULL: nobody writes after it. */
int list_truncate(const struct node_ref *ref, struct write_list *list, struct ctn_err *err);
/** list_release() - 0, or -errno for an incomplete line that never made sense. Frees its members.
 */
int list_release(const struct node_ref *ref, struct write_list *list, struct ctn_err *err);

#endif
