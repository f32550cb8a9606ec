/* SPDX-License-Identifier: Apache-2.0 */
/* Writing lists. Each write applies all that the descriptor has written so far to what was there
 * when it began, so that a line may come in pieces. */
#include <ctype.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "../core/cleanup.h"
#include "../core/json_doc.h"
#include "write.h"

enum {
	LOCKS = 64,
	KEPT_MAX = 64 << 20, /* bytes of what was written to all descriptors */
	HELD_MAX = 65536,    /* bytes of a line that makes no sense until it goes on */
};

/* One for several containers: they share it without harm. */
static pthread_mutex_t locks[LOCKS] = {[0 ... LOCKS - 1] = PTHREAD_MUTEX_INITIALIZER};

void list_lock(const struct container *c)
{
	pthread_mutex_lock(&locks[container_serial(c) % LOCKS]);
}

void list_unlock(const struct container *c)
{
	pthread_mutex_unlock(&locks[container_serial(c) % LOCKS]);
}

static const struct spec_field *field_of(const struct node_ref *ref)
{
	return spec_field_find(ref->node->arg);
}

static void spec_set(struct spec **where, struct spec *spec)
{
	struct spec *old = *where;

	*where = spec_get(spec);
	spec_put(old);
}

static void spec_drop(struct spec **where)
{
	spec_put(*where);
	*where = NULL;
}

static struct spec *present_spec(const struct node_ref *ref)
{
	struct container_view view;
	struct spec *spec;

	container_view_get(ref->c, &view);
	spec = spec_get(view.spec);
	container_view_put(&view);
	return spec;
}

/* Return: 1: the field is not as this descriptor left it; 0; -ENOMEM. */
static int changed_by_others(const struct node_ref *ref, const struct write_list *l,
			     const struct spec *now, struct ctn_err *err)
{
	ctn_autofree char *ours = NULL, *theirs = NULL;
	int r;

	if (l->left == now)
		return 0;
	r = spec_field_text(l->left, field_of(ref), &ours, err);
	if (r == 0)
		r = spec_field_text(now, field_of(ref), &theirs, err);
	return r == 0 && ours && theirs ? strcmp(ours, theirs) != 0 : r;
}

/* The bytes of complete entries in the first @len: of lines with their newline, and of documents.
 * -errno for what can become no document. */
static ssize_t complete_part(const struct node *node, const char *text, size_t len,
			     struct ctn_err *err)
{
	size_t done = 0;

	while (done < len) {
		size_t at = done;
		const char *end;
		ssize_t n = 0;

		while (at < len && isblank((unsigned char)text[at]))
			at++;
		if (node->flags & N_JSON && at < len && text[at] == '{') {
			n = json_doc_end(text + at, len - at, err);
			if (n <= 0)
				return n < 0 ? n : (ssize_t)done;
			done = at + (size_t)n;
			continue;
		}
		end = memchr(text + at, '\n', len - at);
		if (!end)
			break;
		done = (size_t)(end + 1 - text);
	}
	return (ssize_t)done;
}

/* What makes no sense until it goes on may be so long. */
static size_t held_max(const struct node *node)
{
	return node->flags & N_JSON ? SPEC_TEXT_MAX : HELD_MAX;
}

/* Whether it says anything: a line that is neither blank nor a comment. */
static bool has_entry(const char *text, size_t len)
{
	bool start = true, comment = false;

	for (size_t i = 0; i < len; i++) {
		if (text[i] == '\n') {
			start = true;
			comment = false;
		} else if (start && !isspace((unsigned char)text[i])) {
			start = false;
			comment = text[i] == '#';
		}
		if (!start && !comment)
			return true;
	}
	return false;
}

/* Start again from @now, with the line that was begun only. */
static void rebase(const struct node *node, struct write_list *l, struct spec *now)
{
	ssize_t complete = complete_part(node, l->text, l->len, NULL);
	size_t done = complete > 0 ? (size_t)complete : 0;

	spec_set(&l->base, now);
	spec_set(&l->left, now);
	spec_drop(&l->before);
	l->replace = false;
	l->len -= done;
	if (l->len)
		memmove(l->text, l->text + done, l->len);
	l->applied = l->applied > done ? l->applied - done : 0;
}

/* What the write starts from. */
static int begin(const struct node_ref *ref, struct write_list *l, struct ctn_err *err)
{
	struct spec *now = present_spec(ref);
	int r = 1;

	if (l->base)
		r = changed_by_others(ref, l, now, err);
	if (r == 1)
		rebase(ref->node, l, now); /* what another wrote is not undone */
	spec_put(now);
	return r < 0 ? r : 0;
}

/* Put the first @len bytes in force. */
static int apply(const struct node_ref *ref, struct write_list *l, size_t len, struct ctn_err *err)
{
	struct spec *now = NULL;
	int r = container_store(ref->c, field_of(ref), l->base, l->text, len,
				l->replace ? SPEC_REPLACE : SPEC_AMEND, &now, err);

	if (r < 0)
		return r;
	spec_set(&l->left, now);
	spec_put(now);
	l->applied = len;
	if (has_entry(l->text, len))
		spec_drop(&l->before);
	return 0;
}

/* Put @len bytes in force; an incomplete last line that makes no sense is held. */
static int apply_or_hold(const struct node_ref *ref, struct write_list *l, size_t len,
			 struct ctn_err *err)
{
	struct ctn_err why = {0};
	ssize_t complete = complete_part(ref->node, l->text, len, err);
	size_t done = (size_t)complete;
	int r = complete < 0 ? (int)complete : apply(ref, l, len, &why);

	if (complete < 0)
		return ctn_fail_context(err, "%s", ref->node->path);
	if (r == -EINVAL && done < len && len - done < held_max(ref->node)) {
		/* Its beginning may have made sense, and been applied, before it was continued. */
		r = l->applied == done ? 0 : apply(ref, l, done, err);
		if (r == 0)
			l->held = why;
		return r;
	}
	if (r < 0)
		*err = why;
	return r;
}

/* Give back what a truncation took, and nothing has replaced. */
static void restore(const struct node_ref *ref, struct write_list *l)
{
	struct spec *now;

	if (!l->before || container_restore(ref->c, field_of(ref), l->before, NULL) < 0)
		return;
	now = present_spec(ref);
	spec_set(&l->left, now);
	spec_put(now);
}

static _Atomic size_t kept; /* of KEPT_MAX */

static int append(const struct node_ref *ref, struct write_list *l, const char *buf, size_t size,
		  struct ctn_err *err)
{
	char *text;

	const size_t room = l->len + size > l->room ? l->len + size : l->room;

	if (size > SPEC_TEXT_MAX - l->len)
		return ctn_fail(err, EFBIG, "%s: more than %d bytes written by one descriptor",
				ref->node->path, SPEC_TEXT_MAX);
	if (room > l->room && atomic_load(&kept) + (room - l->room) > KEPT_MAX)
		return ctn_fail(
			err, ENOSPC,
			"%s: what was written to descriptors that are open is kept, and that "
			"is %d MiB: close some",
			ref->node->path, KEPT_MAX >> 20);
	text = realloc(l->text, room);
	if (!text)
		return ctn_fail(err, ENOMEM, "%s: no memory", ref->node->path);
	l->text = text;
	atomic_fetch_add(&kept, room - l->room);
	l->room = room;
	memcpy(text + l->len, buf, size);
	return 0;
}

int list_write(const struct node_ref *ref, struct write_list *l, const char *buf, size_t size,
	       struct ctn_err *err)
{
	int r;

	list_lock(ref->c);
	r = begin(ref, l, err);
	if (r == 0)
		r = append(ref, l, buf, size, err);
	if (r == 0)
		r = apply_or_hold(ref, l, l->len + size, err);
	if (r == 0) {
		l->len += size;
	} else {
		if (ref->node->flags & N_JSON)
			l->len = l->applied; /* the document's beginning went with its end */
		restore(ref, l);
	}
	list_unlock(ref->c);
	return r;
}

void list_refuse(const struct node_ref *ref, struct write_list *l)
{
	list_lock(ref->c);
	restore(ref, l);
	list_unlock(ref->c);
}

/* The descriptor's part of a truncation. */
static int forget(const struct node_ref *ref, struct write_list *l, struct ctn_err *err)
{
	struct spec *now = present_spec(ref);
	/* Truncated twice: what the first one took is what a refused line restores. */
	int r = l->before ? changed_by_others(ref, l, now, err) : 1;

	if (r >= 0) {
		l->len = l->applied = 0;
		l->replace = true;
		spec_set(&l->base, now);
		spec_set(&l->left, now);
		if (r == 1)
			spec_set(&l->before, now);
	}
	spec_put(now);
	return r < 0 ? r : 0;
}

int list_truncate(const struct node_ref *ref, struct write_list *l, struct ctn_err *err)
{
	const struct spec_field *field = field_of(ref);
	struct spec *now = NULL;
	int r = 0;

	list_lock(ref->c);
	if (l)
		r = forget(ref, l, err);
	if (l && field->keeps_empty)
		spec_drop(&l->before); /* nothing is taken */
	if (r == 0 && !field->keeps_empty)
		r = container_store(ref->c, field, NULL, "", 0, SPEC_REPLACE, &now, err);
	if (l && now)
		spec_set(&l->left, now);
	spec_put(now);
	list_unlock(ref->c);
	return r;
}

int list_release(const struct node_ref *ref, struct write_list *l, struct ctn_err *err)
{
	int r = 0;

	if (l->len > l->applied) {
		struct spec *now;

		*err = l->held;
		r = -err->code;
		list_lock(ref->c);
		now = present_spec(ref);
		if (changed_by_others(ref, l, now, NULL) == 0)
			restore(ref, l);
		spec_put(now);
		list_unlock(ref->c);
	}
	spec_drop(&l->base);
	spec_drop(&l->left);
	spec_drop(&l->before);
	free(ctn_take_ptr(l->text));
	atomic_fetch_sub(&kept, l->room);
	l->room = 0;
	return r;
}
