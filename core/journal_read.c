/* SPDX-License-Identifier: Apache-2.0 */
/* Reading the journal while it is written: all of it, or the lines of one container, which are
 * looked for from where its oldest is, or where its last reader was. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "journal_private.h"

enum { SCAN_ROOM = 64 << 10 };

/* --- line by line --- */

int journal_scan_begin(struct journal_scan *s, int fd, uint64_t at, uint64_t end)
{
	*s = (struct journal_scan){.fd = fd, .at = at, .end = end, .buf = malloc(SCAN_ROOM)};
	return s->buf ? 0 : -ENOMEM;
}

void journal_scan_end(struct journal_scan *s)
{
	free(s->buf);
}

/* What is left of the buffer, and more behind it. Return: bytes that came. */
static ssize_t refill(struct journal_scan *s)
{
	uint64_t from;
	size_t room;
	ssize_t n;

	memmove(s->buf, s->buf + s->used, s->len - s->used);
	s->len -= s->used;
	s->used = 0;
	from = s->at + s->len;
	room = SCAN_ROOM - s->len;
	if (from >= s->end)
		return 0;
	if (room > s->end - from)
		room = (size_t)(s->end - from);
	do {
		n = pread(s->fd, s->buf + s->len, room, (off_t)from);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	s->len += (size_t)n;
	return n;
}

int journal_scan_next(struct journal_scan *s, const char **ret, size_t *ret_len)
{
	for (;;) {
		const char *line = s->buf + s->used;
		const char *end = memchr(line, '\n', s->len - s->used);
		ssize_t n;

		if (end) {
			*ret = line;
			*ret_len = (size_t)(end - line) + 1;
			s->used += *ret_len;
			s->at += *ret_len;
			return 1;
		}
		n = s->len - s->used < SCAN_ROOM ? refill(s) : 0; /* no line is that long */
		if (n <= 0)
			return (int)n;
	}
}

/* --- how much there is --- */

static struct journal_item *part_of(const struct journal *j, const struct journal_subject *s)
{
	return journal_find(j, s->id, NULL);
}

int journal_span(struct journal *j, const struct journal_subject *s, struct log_range *ret)
{
	struct log_range range = {0};
	const struct journal_item *item;

	pthread_mutex_lock(&j->lock);
	range.mtime = j->mtime;
	if (!s) {
		range.start = range.dropped = j->start;
		range.end = j->end;
	} else if ((item = part_of(j, s))) {
		range.start = range.dropped = item->dropped;
		range.end = item->bytes;
		range.mtime = item->mtime ?: j->mtime;
	}
	pthread_mutex_unlock(&j->lock);
	*ret = range;
	return 0;
}

/* --- bytes --- */

static ssize_t copy_all(struct journal *j, uint64_t pos, void *buf, size_t size)
{
	uint64_t start, end;
	ssize_t n;

	pthread_mutex_lock(&j->lock);
	start = j->start;
	end = j->end;
	pthread_mutex_unlock(&j->lock);
	if (pos < start)
		pos = start;
	if (pos >= end)
		return 0;
	if (size > end - pos)
		size = (size_t)(end - pos);
	n = pread(j->fd, buf, size, (off_t)pos);
	return n < 0 ? -errno : n;
}

/* A place in a container's part: @own bytes of it are before @at in the file. */
struct place {
	uint64_t own, at, end;
};

/* The nearest place at or before *@pos that is known; *@pos is moved to what is kept. */
static bool find_place(struct journal *j, const struct journal_subject *s, uint64_t *pos,
		       struct place *ret)
{
	const struct journal_item *item;
	bool more = false;

	pthread_mutex_lock(&j->lock);
	item = part_of(j, s);
	if (item) {
		if (*pos < item->dropped)
			*pos = item->dropped;
		*ret = (struct place){item->dropped, item->first, item->last};
		if (item->hint_at >= item->first && item->hint_own <= *pos &&
		    item->hint_own >= item->dropped) {
			ret->own = item->hint_own;
			ret->at = item->hint_at;
		}
		if (ret->end > j->end)
			ret->end = j->end;
		more = *pos < item->bytes;
	}
	pthread_mutex_unlock(&j->lock);
	return more;
}

static void keep_hint(struct journal *j, const struct journal_subject *s, const struct place *p)
{
	struct journal_item *item;

	pthread_mutex_lock(&j->lock);
	item = part_of(j, s);
	if (item) {
		item->hint_own = p->own;
		item->hint_at = p->at;
	}
	pthread_mutex_unlock(&j->lock);
}

/* The part of a line at @own, @len bytes, that belongs to what is read from @pos on. */
static size_t copy_line(const char *line, uint64_t own, size_t len, uint64_t pos, char *buf,
			size_t size)
{
	size_t skip = pos > own ? (size_t)(pos - own) : 0;

	if (skip >= len)
		return 0;
	len -= skip;
	if (len > size)
		len = size;
	memcpy(buf, line + skip, len);
	return len;
}

static ssize_t copy_part(struct journal *j, const struct journal_subject *s, uint64_t pos,
			 char *buf, size_t size)
{
	struct journal_scan scan;
	struct place p = {0};
	const char *line;
	size_t len, done = 0;
	int r;

	if (!find_place(j, s, &pos, &p))
		return 0;
	r = journal_scan_begin(&scan, j->fd, p.at, p.end);
	while (r >= 0 && done < size && (r = journal_scan_next(&scan, &line, &len)) > 0) {
		const char *id = journal_line_id(line, len);
		size_t n;

		if (!id || memcmp(id, s->id, JOURNAL_ID_LEN) != 0) {
			p.at = scan.at;
			continue;
		}
		n = copy_line(line, p.own, len, pos + done, buf + done, size - done);
		done += n;
		if (p.own + len > pos + done)
			break; /* the next read goes on in this line */
		p.own += len;
		p.at = scan.at;
	}
	journal_scan_end(&scan);
	if (r >= 0)
		keep_hint(j, s, &p);
	return r < 0 ? r : (ssize_t)done;
}

ssize_t journal_copy(struct journal *j, const struct journal_subject *s, uint64_t pos, void *buf,
		     size_t size)
{
	ssize_t n;

	pthread_rwlock_rdlock(&j->kept);
	n = s ? copy_part(j, s, pos, buf, size) : copy_all(j, pos, buf, size);
	pthread_rwlock_unlock(&j->kept);
	return n;
}
