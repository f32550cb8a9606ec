/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes of each view of a log. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cleanup.h"
#include "state_log_private.h"
#include "wire_log.h"

/* Where what is read goes. @pos: the position of the next byte, in the view. */
struct window {
	char *buf;
	size_t size, n;
	uint64_t pos;
};

static int read_all(const struct state_log *l, struct window *w)
{
	uint64_t from = w->pos > l->start ? w->pos : l->start;
	int r;

	if (l->fd < 0 || from >= l->end)
		return 0;
	w->n = w->size < l->end - from ? w->size : (size_t)(l->end - from);
	r = log_bytes(l, from, w->buf, w->n);
	return r == -EBADMSG ? -EIO : r;
}

/* --- one stream --- */

/* Go on to the next entry that has something of it. */
static int next_of_stream(struct log_cursor *c, enum wire_stream stream, uint64_t pos)
{
	int r;

	for (int i = 0; i < CURSOR_BATCH; i++) {
		r = cursor_next(c);
		if (r <= 0 || c->now.stream == stream)
			return r;
	}
	return cursor_seek(c, pos);
}

static int read_stream(const struct state_log *l, enum log_view view, struct window *w)
{
	const enum wire_stream stream = view == LOG_STDOUT ? WIRE_STDOUT : WIRE_STDERR;
	struct log_cursor c;
	int r;

	cursor_begin(&c, l, view, false);
	r = cursor_seek(&c, w->pos);
	while (r > 0 && w->n < w->size) {
		uint64_t end = entry_end(&c.now, view), left = c.now.log_end - cursor_begins(&c);
		size_t len = w->size - w->n;

		if (c.now.stream != stream || end < w->pos)
			return -EBADMSG;
		if (left > end - w->pos)
			left = end - w->pos;
		len = left < len ? (size_t)left : len;
		r = log_bytes(l, c.now.log_end - left, w->buf + w->n, len);
		w->n += len;
		w->pos = end - left + len;
		if (r == 0)
			r = w->pos == end ? next_of_stream(&c, stream, w->pos) : 0;
	}
	return r;
}

/* --- both, with time and stream before each line --- */

/* @len bytes of it that begin at position *@at. */
static void emit(struct window *w, uint64_t *at, const char *data, size_t len)
{
	size_t skip = 0, n;

	if (w->pos > *at)
		skip = w->pos - *at < len ? (size_t)(w->pos - *at) : len;
	*at += len;
	n = len - skip < w->size - w->n ? len - skip : w->size - w->n;
	memcpy(w->buf + w->n, data + skip, n);
	w->n += n;
	w->pos += n;
}

static void print_prefix(const struct wire_log_entry *e, char *ret, size_t size)
{
	const time_t secs = (time_t)(e->time / 1000000000U);
	char date[32];
	struct tm tm;

	gmtime_r(&secs, &tm);
	strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(ret, size, "%s.%09uZ %s ", date, (unsigned)(e->time % 1000000000U),
		 e->stream == WIRE_STDOUT ? "stdout" : "stderr");
}

static void emit_lines(struct window *w, uint64_t at, const struct wire_log_entry *e, bool middle,
		       const char *data, size_t len)
{
	char prefix[WIRE_LOG_PREFIX + 16];

	print_prefix(e, prefix, sizeof(prefix));
	while (len > 0 && w->n < w->size) {
		const char *end = memchr(data, '\n', len);
		size_t line = end ? (size_t)(end + 1 - data) : len;

		if (!middle)
			emit(w, &at, prefix, WIRE_LOG_PREFIX);
		emit(w, &at, data, line);
		data += line;
		len -= line;
		middle = false;
	}
}

/* The entry that @c is at. @data: room for a piece. */
static int read_piece(struct log_cursor *c, struct window *w, char *data)
{
	uint64_t from = cursor_begins(c), at, text;
	size_t len = (size_t)(c->now.log_end - from);
	bool whole = from == c->before.log_end, middle = c->now.flags & WIRE_LOG_MIDDLE;
	int r = 0;

	if (len > WIRE_LOG_PIECE)
		return -EBADMSG;
	if (len == 0)
		return 0; /* dropped */
	r = log_bytes(c->log, from, data, len);
	if (r == 0 && !whole)
		r = log_line_ends(c->log, from);
	if (r < 0)
		return r;
	if (!whole)
		middle = r == 0;
	text = wire_log_text(data, len, middle);
	at = c->now.times_end - text;
	if (text > c->now.times_end ||
	    (whole && at - c->before.times_end != (c->now.flags & WIRE_LOG_BREAK ? 1U : 0U)))
		return -EBADMSG;
	if (w->pos < c->before.times_end || (!whole && w->pos < at))
		w->pos = whole ? c->before.times_end : at; /* what was there is dropped */
	if (whole && at > c->before.times_end) {
		at--;
		emit(w, &at, "\n", 1);
	}
	emit_lines(w, at, &c->now, middle, data, len);
	return 0;
}

static int read_times(const struct state_log *l, struct window *w)
{
	ctn_autofree char *data = malloc(WIRE_LOG_PIECE);
	struct log_cursor c;
	int r;

	if (!data)
		return -ENOMEM;
	cursor_begin(&c, l, LOG_TIMES, true);
	r = cursor_seek(&c, w->pos);
	while (r > 0 && w->n < w->size) {
		r = read_piece(&c, w, data);
		if (r == 0)
			r = cursor_next(&c);
	}
	return r;
}

/* --- */

ssize_t state_log_read(const struct state_log *l, enum log_view view, uint64_t pos, void *buf,
		       size_t size)
{
	struct window w = {.buf = buf, .size = size, .pos = pos};
	int r;

	if (view == LOG_ALL)
		r = read_all(l, &w);
	else if (view == LOG_TIMES)
		r = read_times(l, &w);
	else
		r = read_stream(l, view, &w);
	return r < 0 ? r : (ssize_t)w.n;
}
