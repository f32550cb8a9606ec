/* SPDX-License-Identifier: Apache-2.0 */
/* From where to where each view of a log goes. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "state_log_private.h"
#include "wire_log.h"

enum { LOG_BLOCK = 4096 };

/* --- where log.times begins --- */

/* The first byte of the line that begins behind @data, or NULL. One that ends with the entry has
 * nothing behind it. */
static const char *next_line(const char *data, size_t len)
{
	const char *p = memchr(data, '\n', len - 1);

	return p ? p + 1 : NULL;
}

/* Its start is within the entry, from position @from on: where that is, or (1) behind the entry. */
static int start_inside(const struct log_cursor *c, uint64_t from, bool middle, uint64_t *ret)
{
	ctn_autofree char *data = malloc(WIRE_LOG_PIECE);
	size_t len = (size_t)(c->now.log_end - from);
	uint64_t behind = c->before.log_end ? c->before.times_end : 0, text;
	const char *at = data;
	int r = data ? log_bytes(c->log, from, data, len) : -ENOMEM;

	if (r < 0)
		return r;
	if (middle && c->log->cut)
		at = next_line(data, len);
	if (!at)
		return 1;
	text = wire_log_text(at, len - (size_t)(at - data), middle && at == data);
	if (text > c->now.times_end || c->now.times_end - text < behind)
		return -EBADMSG;
	*ret = c->now.times_end - text;
	return 0;
}

/* No line begins in the entry that @c is at: then in one of the next, as far as one would look for
 * it; else with the next, whatever that begins with. */
static int start_behind(struct log_cursor *c, uint64_t *ret)
{
	uint64_t next = c->now.times_end, looked = 0;
	int r = 1;

	for (bool first = true; r > 0 && looked < WIRE_LOG_PIECE; first = false) {
		bool breaks;

		r = cursor_next(c);
		breaks = r > 0 && c->now.flags & WIRE_LOG_BREAK;
		if (first)
			next += breaks;
		if (r > 0 && (breaks || !(c->now.flags & WIRE_LOG_MIDDLE))) {
			*ret = c->before.times_end + breaks;
			return 0;
		}
		if (r > 0) {
			looked += c->now.log_end - cursor_begins(c);
			r = start_inside(c, cursor_begins(c), true, ret);
			if (r == 0)
				return 0;
		}
	}
	if (r >= 0)
		*ret = next;
	return r < 0 ? r : 0;
}

/* The entry that @c is at is the first of which something is kept. */
static int start_of_times(struct log_cursor *c, uint64_t *ret)
{
	uint64_t from = cursor_begins(c);
	bool whole = from == c->before.log_end, middle = c->now.flags & WIRE_LOG_MIDDLE;
	int r;

	if (whole && !(middle && c->log->cut)) {
		*ret = c->before.times_end + (c->now.flags & WIRE_LOG_BREAK ? 1 : 0);
		return 0;
	}
	r = whole ? 0 : log_line_ends(c->log, from);
	if (r >= 0)
		r = start_inside(c, from, r == 0, ret);
	return r <= 0 ? r : start_behind(c, ret);
}

/* --- */

/* Go to the first entry of which something is kept. */
static int seek_start(struct log_cursor *c)
{
	int r = cursor_seek(c, c->log->start);

	while (r > 0 && cursor_begins(c) == c->now.log_end)
		r = cursor_next(c);
	return r;
}

static int view_start(const struct state_log *l, enum log_view view, uint64_t end, uint64_t *ret)
{
	struct log_cursor c;
	uint64_t left;
	int r;

	cursor_begin(&c, l, LOG_ALL, view == LOG_TIMES);
	r = seek_start(&c);
	if (r < 0)
		return r;
	if (r == 0)
		*ret = end;
	else if (view == LOG_TIMES)
		return start_of_times(&c, ret);
	else {
		left = (view == LOG_STDOUT) == (c.now.stream == WIRE_STDOUT)
			       ? c.now.log_end - cursor_begins(&c)
			       : 0;
		*ret = entry_end(&c.now, view) - left;
	}
	return 0;
}

static int view_end(const struct state_log *l, enum log_view view, uint64_t *ret)
{
	struct log_cursor c;
	int r;

	cursor_begin(&c, l, view, view == LOG_TIMES);
	c.next = l->n;
	c.now = l->last;
	do {
		r = cursor_next(&c);
	} while (r > 0);
	if (r == 0)
		*ret = entry_end(&c.now, view);
	return r;
}

int state_log_range(const struct state_log *l, enum log_view view, uint64_t *ret_start,
		    uint64_t *ret_end)
{
	uint64_t start = l->start, end = l->end;
	int r = 0;

	if (view != LOG_ALL)
		r = view_end(l, view, &end);
	if (r == 0 && view != LOG_ALL)
		r = view_start(l, view, end, &start);
	if (r < 0)
		return r;
	*ret_start = start < end || view == LOG_ALL ? start : end;
	*ret_end = end;
	return 0;
}

uint64_t state_log_time(const struct state_log *l, enum log_view view)
{
	uint64_t end = entry_end(&l->last, view);
	struct log_cursor c;

	if (view == LOG_ALL || view == LOG_TIMES ||
	    (view == LOG_STDOUT && l->tail && l->last.log_end < l->end))
		return l->mtime;
	cursor_begin(&c, l, view, false);
	return end > 0 && cursor_seek(&c, end - 1) > 0 ? c.now.time : 0;
}

void state_log_drop(const struct state_log *l)
{
	const off_t size = sizeof(l->last);

	if (l->fd >= 0 && l->end > LOG_BLOCK)
		(void)fallocate(l->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
				(off_t)((l->end - 1) / LOG_BLOCK * LOG_BLOCK));
	/* The last entry says where what is to come begins. */
	if (l->index >= 0 && l->n > 0 && (off_t)(l->n - 1) * size >= LOG_BLOCK)
		(void)fallocate(l->index, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
				(off_t)(l->n - 1) * size / LOG_BLOCK * LOG_BLOCK);
}
