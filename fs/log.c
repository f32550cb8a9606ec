/* SPDX-License-Identifier: Apache-2.0 */
/* `log`, the views of it, and `events`: files whose offsets do not move under a reader, over a
 * stream whose oldest bytes are dropped. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../core/cleanup.h"
#include "../core/journal.h"
#include "node.h"

enum { LOG_BUCKETS = 64, READ_TRIES = 8, JOURNAL_VIEW = LOG_TIMES + 1 };

/* What offset 0 of one file of a container is, while descriptors on it are open. */
struct log_base {
	struct log_base *next;
	uint32_t serial;
	int view;
	unsigned opened;
	uint64_t base; /* position in the view */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct log_base *buckets[LOG_BUCKETS]; /* under lock */

/* enum log_view, or JOURNAL_VIEW. */
static int view_of(const struct node_ref *ref)
{
	static const struct {
		const char *arg;
		int view;
	} views[] = {
		{"log", LOG_ALL},	  {"stdout", LOG_STDOUT},   {"stderr", LOG_STDERR},
		{"log.times", LOG_TIMES}, {"events", JOURNAL_VIEW},
	};

	for (size_t i = 0; i < CTN_COUNT(views); i++) {
		if (strcmp(views[i].arg, ref->node->arg) == 0)
			return views[i].view;
	}
	abort(); /* a row of the table with another name */
}

static int range_of(const struct node_ref *ref, struct log_range *ret, struct ctn_err *err)
{
	const int view = view_of(ref);

	return view == JOURNAL_VIEW ? journal_range(ref->fs->engine, ref->c, ret, err)
				    : container_log_range(ref->c, (enum log_view)view, ret, err);
}

static ssize_t read_at(const struct node_ref *ref, uint64_t pos, void *buf, size_t size,
		       struct ctn_err *err)
{
	const int view = view_of(ref);

	return view == JOURNAL_VIEW
		       ? journal_read(ref->fs->engine, ref->c, pos, buf, size, err)
		       : container_log_read(ref->c, (enum log_view)view, pos, buf, size, err);
}

/* 0 is the root's. */
static uint32_t serial_of(const struct node_ref *ref)
{
	return ref->c ? container_serial(ref->c) : 0;
}

/* The place where it is linked, or where it would be. Under lock. */
static struct log_base **find(const struct node_ref *ref)
{
	uint32_t serial = serial_of(ref);
	int view = view_of(ref);
	struct log_base **p = &buckets[serial % LOG_BUCKETS];

	while (*p && ((*p)->serial != serial || (*p)->view != view))
		p = &(*p)->next;
	return p;
}

/* Where offset 0 is, given what is kept now. */
static uint64_t base_of(const struct node_ref *ref, const struct log_range *range)
{
	const struct log_base *b;
	uint64_t base;

	pthread_mutex_lock(&lock);
	b = *find(ref);
	base = b ? b->base : range->start;
	pthread_mutex_unlock(&lock);
	return base;
}

int log_opened(const struct node_ref *ref)
{
	struct log_range range;
	struct log_base **p;
	int r = range_of(ref, &range, NULL);

	if (r < 0)
		return r;
	pthread_mutex_lock(&lock);
	p = find(ref);
	if (!*p) {
		*p = calloc(1, sizeof(**p));
		if (*p) {
			(*p)->serial = serial_of(ref);
			(*p)->view = view_of(ref);
			(*p)->base = range.start;
		}
	}
	if (*p)
		(*p)->opened++;
	else
		r = -ENOMEM;
	pthread_mutex_unlock(&lock);
	return r;
}

void log_closed(const struct node_ref *ref)
{
	struct log_base **p, *b;

	pthread_mutex_lock(&lock);
	p = find(ref);
	b = *p;
	if (b && --b->opened == 0)
		*p = b->next;
	else
		b = NULL;
	pthread_mutex_unlock(&lock);
	free(b);
}

/* Its present length, and where its offset 0 is. */
static int measure(const struct node_ref *ref, struct log_range *ret_range, uint64_t *ret_base,
		   uint64_t *ret_size, struct ctn_err *err)
{
	int r = range_of(ref, ret_range, err);

	if (r < 0)
		return r;
	*ret_base = base_of(ref, ret_range);
	*ret_size = ret_range->end > *ret_base ? ret_range->end - *ret_base : 0;
	return 0;
}

int log_size(const struct node_ref *ref, uint64_t *ret_size, uint64_t *ret_mtime,
	     struct ctn_err *err)
{
	struct log_range range;
	uint64_t base;
	int r = measure(ref, &range, &base, ret_size, err);

	if (r == 0)
		*ret_mtime = range.mtime;
	return r;
}

/* Read at position *@pos, or where the oldest byte kept is by now; tell where that was. */
static ssize_t read_kept(const struct node_ref *ref, uint64_t *pos, void *buf, size_t size,
			 struct ctn_err *err)
{
	struct log_range range;
	ssize_t n = 0;

	for (int i = 0; i < READ_TRIES; i++) {
		int r = range_of(ref, &range, err);

		if (r < 0)
			return r;
		if (i > 0 && range.start <= *pos)
			break; /* nothing was dropped under the read */
		if (*pos < range.start)
			*pos = range.start;
		n = read_at(ref, *pos, buf, size, err);
		if (n < 0)
			break;
	}
	return n;
}

/* A reader that goes on where it was is told each byte once, in order: after a gap its offsets lag
 * behind the positions. Any other offset means what it always did. Under h->lock. */
ssize_t log_read(struct handle *h, void *buf, size_t size, off_t off, struct ctn_err *err)
{
	uint64_t base, length, pos;
	struct log_range range;
	ssize_t n;
	int r = measure(&h->ref, &range, &base, &length, err);

	if (r < 0)
		return r;
	pos = off && (uint64_t)off == h->log_next ? h->log_pos : base + (uint64_t)off;
	n = read_kept(&h->ref, &pos, buf, size, err);
	if (n < 0)
		return n;
	h->log_next = (uint64_t)off + (uint64_t)n;
	h->log_pos = pos + (uint64_t)n;
	return n;
}

bool log_more(struct handle *h)
{
	struct log_range range;
	uint64_t base, length, pos;

	if (measure(&h->ref, &range, &base, &length, NULL) < 0)
		return true; /* a read will say why */
	pthread_mutex_lock(&h->lock);
	pos = h->log_next ? h->log_pos : base;
	pthread_mutex_unlock(&h->lock);
	return range.end > pos;
}

int log_source(const struct node_ref *ref, int *ret_fd)
{
	const int view = view_of(ref);

	return view == JOURNAL_VIEW ? -ENOENT
				    : container_log_source(ref->c, (enum log_view)view, ret_fd);
}

off_t log_seek(const struct node_ref *ref, off_t off, int whence)
{
	uint64_t base, length, first;
	struct log_range range;
	int r = measure(ref, &range, &base, &length, NULL);

	if (r < 0)
		return r;
	if (off < 0 || (uint64_t)off >= length)
		return -ENXIO;
	first = range.start > base ? range.start - base : 0; /* before it is what was dropped */
	if (whence == SEEK_DATA) {
		if (first >= length)
			return -ENXIO;
		return (uint64_t)off < first ? (off_t)first : off;
	}
	return (uint64_t)off < first ? off : (off_t)length;
}

/* Others who have it open keep their offsets: what was before is dropped for them, as by the bound.
 * A follower loses nothing of what comes after so, whenever it looks. */
int log_truncate(const struct node_ref *ref, bool opened, struct ctn_err *err)
{
	struct log_base *b;
	uint64_t start = 0;
	int r = container_log_clear(ref->c, &start, err);

	if (r < 0)
		return r;
	pthread_mutex_lock(&lock);
	b = *find(ref);
	if (b && opened && b->opened == 1)
		b->base = start;
	pthread_mutex_unlock(&lock);
	return 0;
}
