/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "cleanup.h"
#include "state_log_private.h"
#include "wire_log.h"

uint64_t entry_end(const struct wire_log_entry *e, enum log_view view)
{
	if (e->log_end == 0) /* dropped, though the rest of it may be there */
		return 0;
	switch (view) {
	case LOG_STDOUT:
		return e->stream_end[WIRE_STDOUT];
	case LOG_STDERR:
		return e->stream_end[WIRE_STDERR];
	case LOG_TIMES:
		return e->times_end;
	default:
		return e->log_end;
	}
}

int log_bytes(const struct state_log *l, uint64_t pos, char *data, size_t len)
{
	if (pos > l->end || len > l->end - pos) /* pread(2) would call some of them invalid */
		return -EBADMSG;
	while (len > 0) {
		ssize_t n = pread(l->fd, data, len, (off_t)pos);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EBADMSG;
		data += n;
		pos += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

int log_line_ends(const struct state_log *l, uint64_t pos)
{
	char byte = '\n';
	int r = pos > 0 ? log_bytes(l, pos - 1, &byte, 1) : 0;

	return r < 0 ? r : byte == '\n';
}

void cursor_begin(struct log_cursor *c, const struct state_log *l, enum log_view by, bool times)
{
	c->log = l;
	c->by = by;
	c->times = times;
	c->next = c->batch_at = c->batch_n = 0;
	c->before = c->now = (struct wire_log_entry){0};
}

/* Entry @i of the index, from memory where it was read with others. */
static int load(struct log_cursor *c, uint64_t i, struct wire_log_entry *ret)
{
	uint64_t left = c->log->n - i;
	ssize_t n;

	if (left == 1) {
		*ret = c->log->last;
		return 0;
	}
	if (i < c->batch_at || i - c->batch_at >= c->batch_n) {
		n = log_entries(c->log, i, c->batch,
				left < CURSOR_BATCH ? (size_t)left : CURSOR_BATCH);
		if (n <= 0)
			return n < 0 ? (int)n : -EBADMSG;
		c->batch_at = i;
		c->batch_n = (uint64_t)n;
	}
	*ret = c->batch[i - c->batch_at];
	return 0;
}

/* --- what has no entry yet, as the next monitor will enter it --- */

static int grow_by_text(struct log_cursor *c, uint64_t len)
{
	ctn_autofree char *data = malloc(WIRE_LOG_PIECE);
	int r;

	if (!data)
		return -ENOMEM;
	len = len < WIRE_LOG_PIECE ? len : WIRE_LOG_PIECE;
	r = log_bytes(c->log, c->before.log_end, data, len);
	if (r == 0)
		wire_log_grow(&c->now, c->now.flags & WIRE_LOG_MIDDLE, data, len);
	return r;
}

static int next_of_tail(struct log_cursor *c)
{
	const struct state_log *l = c->log;
	uint64_t from = c->now.log_end, start = l->start < l->end ? l->start : l->end;
	bool dropped = start > from && start - from > WIRE_LOG_PIECE;
	uint64_t len = (c->times && dropped ? start : l->end) - from;
	int r = log_line_ends(l, from);

	if (r < 0)
		return r;
	c->before = c->now;
	c->now = wire_log_begin(&c->before, r > 0, WIRE_STDOUT, l->mtime);
	c->indexed = false;
	if (c->times && !dropped) {
		r = grow_by_text(c, len);
	} else { /* nobody will ask for its lines */
		c->now.log_end += len;
		c->now.stream_end[WIRE_STDOUT] += len;
		c->now.times_end += len + WIRE_LOG_PREFIX;
	}
	return r < 0 ? r : 1;
}

/* --- */

int cursor_next(struct log_cursor *c)
{
	struct wire_log_entry e;
	int r;

	if (c->next >= c->log->n)
		return c->log->tail && c->now.log_end < c->log->end ? next_of_tail(c) : 0;
	r = load(c, c->next, &e);
	if (r < 0)
		return r;
	c->before = c->now;
	c->now = e;
	c->indexed = true;
	c->next++;
	return 1;
}

/* The first entry of the index that ends behind @pos, or how many there are. */
static int search(const struct log_cursor *c, uint64_t pos, uint64_t *ret)
{
	uint64_t low = 0, high = c->log->n;
	struct wire_log_entry e;

	if (high > 0) { /* the last one is known */
		high--;
		low = entry_end(&c->log->last, c->by) <= pos ? high + 1 : 0;
	}
	while (low < high) {
		uint64_t i = low + (high - low) / 2;
		ssize_t n = log_entries(c->log, i, &e, 1);

		if (n != 1)
			return n < 0 ? (int)n : -EBADMSG;
		if (entry_end(&e, c->by) > pos)
			high = i;
		else
			low = i + 1;
	}
	*ret = low;
	return 0;
}

int cursor_seek(struct log_cursor *c, uint64_t pos)
{
	uint64_t found = 0;
	int r = search(c, pos, &found);

	cursor_begin(c, c->log, c->by, c->times);
	if (r == 0 && found > 0) {
		c->next = found;
		r = load(c, found - 1, &c->now);
	}
	if (r < 0)
		return r;
	do {
		r = cursor_next(c);
	} while (r > 0 && entry_end(&c->now, c->by) <= pos);
	return r;
}

uint64_t cursor_begins(const struct log_cursor *c)
{
	uint64_t from = c->before.log_end, start = c->log->start, end = c->now.log_end;

	/* Where the one before it was dropped, this one ends before the start. Only what a monitor
	 * without an index left is longer than a piece, and only where it was dropped. */
	if (c->indexed && ((c->next > 1 && from == 0) || end - from > WIRE_LOG_PIECE))
		return end;
	if (start > from)
		return start < end ? start : end;
	return from;
}
