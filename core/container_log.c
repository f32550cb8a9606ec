/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a container's log. The monitor writes it, sparse: a byte's offset in the file is its
 * position. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "cleanup.h"
#include "container_private.h"

enum { LOOKS = 3 };

/* Whether a monitor may be about to write an entry for what has none. */
static bool is_written(struct container *c)
{
	bool r;

	pthread_mutex_lock(&c->lock);
	r = c->monitor || container_is_up(c);
	pthread_mutex_unlock(&c->lock);
	return r;
}

/* Its files and what of them is kept. A container that never ran has none: an empty log. */
static int log_open(struct container *c, int flags, struct state_log *l, struct log_range *ret,
		    struct ctn_err *err)
{
	bool written = is_written(c);
	uint64_t max, cleared, gone, uncounted;
	ctn_autoclose int dir = -1;
	int r;

	*l = (struct state_log){.fd = -1, .index = -1}; /* the caller closes it in any case */
	r = container_state_dir(c, &dir, err);
	if (r == 0)
		r = state_log_open(dir, flags, l, err);
	if (r < 0)
		return r;
	if (!written && !is_written(c))
		l->tail = true;
	pthread_mutex_lock(&c->lock);
	max = c->spec->log_max;
	cleared = c->log_start;
	gone = c->log_lost;
	uncounted = c->log_uncounted;
	ret->mtime = l->fd >= 0 ? l->mtime : c->created;
	pthread_mutex_unlock(&c->lock);
	state_log_bound(l, cleared, max);
	ret->start = l->start;
	ret->end = l->end;
	gone += l->start;
	ret->dropped = gone > uncounted ? gone - uncounted : 0; /* less after a reboot, then */
	return 0;
}

/* Each entry is looked at once. An index that was found bad is so until there is less of it. @bad:
 * it was just found to be. Return: 0; -EBADMSG: look again. */
static int believe(struct container *c, struct state_log *l, bool bad)
{
	uint64_t checked;

	if (l->plain)
		return 0;
	pthread_mutex_lock(&c->lock);
	if (l->n < c->log_checked) {
		c->log_checked = 0;
		c->log_bad = false;
	}
	checked = c->log_checked;
	bad = bad || c->log_bad;
	pthread_mutex_unlock(&c->lock);
	if (!bad && state_log_check(l, &checked) == -EBADMSG)
		return -EBADMSG;
	pthread_mutex_lock(&c->lock);
	c->log_checked = checked;
	c->log_bad = bad;
	pthread_mutex_unlock(&c->lock);
	if (bad)
		state_log_plain(l);
	return 0;
}

static ssize_t look_at(struct container *c, struct state_log *l, enum log_view view, uint64_t pos,
		       void *buf, size_t size, struct log_range *ret)
{
	int r = state_log_range(l, view, &ret->start, &ret->end);

	if (r < 0)
		return r;
	if (view != LOG_ALL)
		ret->mtime = state_log_time(l, view) ?: c->created;
	if (!buf || pos >= ret->end)
		return 0;
	return state_log_read(l, view, pos > ret->start ? pos : ret->start, buf, size);
}

/* Again where index and log do not agree: entries were being written, or dropped. At last without
 * the index. */
static ssize_t look(struct container *c, enum log_view view, uint64_t pos, void *buf, size_t size,
		    struct log_range *ret, struct ctn_err *err)
{
	ssize_t n = -EBADMSG;

	for (int i = 0; i <= LOOKS && n == -EBADMSG; i++) {
		struct log_range range;
		struct state_log l;

		n = log_open(c, O_RDONLY, &l, &range, err);
		if (n < 0)
			i = LOOKS; /* @err has a sentence */
		else if (view != LOG_ALL)
			n = believe(c, &l, i == LOOKS);
		if (n == 0) {
			n = look_at(c, &l, view, pos, buf, size, &range);
			if (n < 0)
				(void)ctn_fail(err, (int)-n, "read the log");
		}
		if (n >= 0)
			*ret = range;
		state_log_close(&l);
	}
	return n;
}

int container_log_range(struct container *c, enum log_view view, struct log_range *ret,
			struct ctn_err *err)
{
	return (int)look(c, view, 0, NULL, 0, ret, err);
}

ssize_t container_log_read(struct container *c, enum log_view view, uint64_t pos, void *buf,
			   size_t size, struct ctn_err *err)
{
	struct log_range range;

	return look(c, view, pos, buf, size, &range, err);
}

int container_log_source(struct container *c, enum log_view view, int *ret)
{
	static const char *const names[] = {WIRE_INDEX_NAME, WIRE_LOG_NAME};

	/* The index comes after the log, and the views come through it. */
	for (size_t i = view == LOG_ALL; i < CTN_COUNT(names); i++) {
		int fd = container_open_state(c, names[i], O_RDONLY);

		if (fd >= 0) {
			*ret = fd;
			return 0;
		}
		if (errno != ENOENT)
			return -errno;
	}
	return -ENOENT;
}

/* --- what is no longer kept --- */

/* While it runs, only its record tells how many bytes a full disk has cost. */
static void ask_record(struct container *c)
{
	struct wire_status status;

	if (container_load_status(c, &status) < 0)
		return; /* it never ran, or not since the host was booted */
	pthread_mutex_lock(&c->lock);
	if (status.log_dropped > c->log_lost)
		c->log_lost = status.log_dropped;
	pthread_mutex_unlock(&c->lock);
}

int container_log_dropped(struct container *c, uint64_t *ret, struct ctn_err *err)
{
	struct log_range range;
	int r;

	ask_record(c);
	r = container_log_range(c, LOG_ALL, &range, err);
	if (r == 0)
		*ret = range.dropped;
	return r;
}

static int set_start(struct container *c, uint64_t start, uint64_t uncounted, struct ctn_err *err)
{
	ctn_autoclose int dir = -1;
	int r = container_state_dir(c, &dir, err);

	if (r < 0)
		return r;
	r = state_save_log_start(dir, start, uncounted, err);
	if (r < 0) { /* it may be on disk already */
		(void)state_save_log_start(dir, c->log_start, c->log_uncounted, NULL);
		return r;
	}
	pthread_mutex_lock(&c->lock);
	c->log_start = start;
	c->log_uncounted = uncounted;
	pthread_mutex_unlock(&c->lock);
	return 0;
}

int container_log_keep_start(struct container *c, struct ctn_err *err)
{
	struct log_range range;
	uint64_t uncounted;
	int r = container_log_range(c, LOG_ALL, &range, err);

	pthread_mutex_lock(&c->lock);
	uncounted = c->log_uncounted;
	pthread_mutex_unlock(&c->lock);
	return r < 0 ? r : set_start(c, range.start, uncounted, err);
}

int container_log_clear(struct container *c, uint64_t *ret_start, struct ctn_err *err)
{
	struct log_range range;
	struct state_log l;
	uint64_t lost;
	int r;

	ask_record(c);
	pthread_mutex_lock(&c->edit);
	pthread_mutex_lock(&c->lock);
	lost = c->log_lost;
	pthread_mutex_unlock(&c->lock);
	r = log_open(c, O_RDWR, &l, &range, err);
	if (r == 0)
		r = set_start(c, range.end, range.end + lost, err);
	if (r == 0) {
		state_log_drop(&l);
		if (ret_start)
			*ret_start = range.end;
	}
	state_log_close(&l);
	pthread_mutex_unlock(&c->edit);
	return r;
}
