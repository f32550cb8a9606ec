/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the write engine share: write.c, write_list.c, verbs.c. */
#ifndef CTNFS_FS_WRITE_H
#define CTNFS_FS_WRITE_H

#include "node.h"

/** write_undo() - should the verb that a store function is about to begin fail, give @field the
 * value it has in @spec again. Before the verb: its end may come before it returns. */
void write_undo(struct write_op *op, const struct spec_field *field, struct spec *spec);

/* --- write_list.c: rows that hold one entry a line --- */

/**
 * struct write_list - what one descriptor has written to a list. Under list_lock().
 * @base:    what @text is applied to; NULL before the first write or truncation.
 * @left:    what was in force when its last write ended: if the field is no longer so, somebody
 * else has written.
 * @before:  what a truncation took away, until a line has replaced it.
 * @text:    @len bytes, of which the first @applied are in force; the others are an incomplete line
 * that makes no sense yet, and @held says why.
 * @replace: a truncation came first.
 */
struct write_list {
	struct spec *base, *left, *before;
	char *text;
	size_t len, applied;
	bool replace;
	struct ctn_err held;
};

/** list_lock() - keep writers of one container's configuration apart, so that comparing with what
 * was left and writing is one step. Held over disk writes, never over a wait. */
void list_lock(const struct container *c);
void list_unlock(const struct container *c);

/** list_write() - take @size more bytes. 0; -errno with a sentence and nothing of them in force. */
int list_write(const struct node_ref *ref, struct write_list *list, const char *buf, size_t size,
	       struct ctn_err *err);
/** list_truncate() - @list NULL: nobody writes after it. */
int list_truncate(const struct node_ref *ref, struct write_list *list, struct ctn_err *err);
/** list_release() - 0, or -errno for an incomplete line that never made sense. Frees its members.
 */
int list_release(const struct node_ref *ref, struct write_list *list, struct ctn_err *err);

#endif
