/* SPDX-License-Identifier: Apache-2.0 */
#include "state_log.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "state_log_private.h"
#include "wire_log.h"

enum { TORN_TRIES = 8, CHECK_BATCH = 256 };

/* --- open --- */

ssize_t log_entries(const struct state_log *l, uint64_t i, struct wire_log_entry *ret, size_t n)
{
	ssize_t r;

	do {
		r = pread(l->index, ret, n * sizeof(*ret), (off_t)(i * sizeof(*ret)));
	} while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : r / (ssize_t)sizeof(*ret);
}

/* The one that still grows: it may be caught half written. */
static bool read_last(const struct state_log *l, struct wire_log_entry *ret)
{
	struct wire_log_entry a, b;

	for (int i = 0; i < TORN_TRIES; i++) {
		if (log_entries(l, l->n - 1, &a, 1) != 1 || log_entries(l, l->n - 1, &b, 1) != 1)
			return false;
		if (memcmp(&a, &b, sizeof(a)) == 0) {
			*ret = a;
			return true;
		}
	}
	return false;
}

static int open_file(int dirfd, const char *name, int flags, int *ret)
{
	int fd = openat(dirfd, name, flags | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0 && errno != ENOENT)
		return -errno;
	*ret = fd;
	return 0;
}

int state_log_open(int dirfd, int flags, struct state_log *ret, struct ctn_err *err)
{
	struct stat st = {0};

	*ret = (struct state_log){.fd = -1, .index = -1};
	if (open_file(dirfd, WIRE_LOG_NAME, flags, &ret->fd) < 0)
		return ctn_fail_errno(err, "open the log");
	if (open_file(dirfd, WIRE_INDEX_NAME, flags, &ret->index) < 0)
		return ctn_fail_errno(err, "open the index of the log");
	if (ret->index >= 0 && fstat(ret->index, &st) < 0)
		return ctn_fail_errno(err, "stat the index of the log");
	ret->n = (uint64_t)st.st_size / sizeof(ret->last);
	ret->plain = ret->index < 0 || (ret->n > 0 && !read_last(ret, &ret->last));
	/* The log's size after the index: it is written before. */
	if (ret->fd >= 0 && fstat(ret->fd, &st) < 0)
		return ctn_fail_errno(err, "stat the log");
	if (ret->fd >= 0) {
		ret->end = (uint64_t)st.st_size;
		ret->mtime = (uint64_t)st.st_mtim.tv_sec * 1000000000U +
			     (uint64_t)st.st_mtim.tv_nsec;
	}
	if (ret->plain || (ret->n > 0 && !wire_log_sound(&ret->last, ret->end)))
		state_log_plain(ret);
	return 0;
}

void state_log_close(struct state_log *l)
{
	if (l->fd >= 0)
		close(l->fd);
	if (l->index >= 0)
		close(l->index);
}

void state_log_plain(struct state_log *l)
{
	l->n = 0;
	l->last = (struct wire_log_entry){0};
	l->plain = l->tail = true;
}

void state_log_bound(struct state_log *l, uint64_t cleared, uint64_t max)
{
	uint64_t room = wire_log_room(max), start = l->end > max ? l->end - max : 0;
	struct wire_log_entry e;

	if (l->n > room && log_entries(l, l->n - room - 1, &e, 1) == 1 &&
	    wire_log_sound(&e, l->end) && e.log_end > start)
		start = e.log_end;
	l->cut = start > cleared;
	l->start = l->cut ? start : cleared;
}

/* --- is it sound? --- */

/* @before: the entry before @batch; in: of the one checked last. @begun: it is there. */
static bool check_batch(const struct state_log *l, const struct wire_log_entry *batch, size_t n,
			struct wire_log_entry *before, bool *begun)
{
	for (size_t i = 0; i < n; i++) {
		if (batch[i].log_end == 0 && !*begun) /* dropped: only at the beginning */
			continue;
		if (!wire_log_sound(&batch[i], l->end) ||
		    (*begun && !wire_log_follows(before, &batch[i])))
			return false;
		*before = batch[i];
		*begun = true;
	}
	return true;
}

int state_log_check(const struct state_log *l, uint64_t *checked)
{
	struct wire_log_entry batch[CHECK_BATCH], before;
	uint64_t i = *checked;
	bool begun = false;

	if (l->n == 0)
		return 0;
	if (i > 0 && i < l->n)
		begun = log_entries(l, i - 1, &before, 1) == 1 && before.log_end > 0;
	while (i + 1 < l->n) { /* the last one is in @l */
		uint64_t left = l->n - 1 - i;
		ssize_t n = log_entries(l, i, batch,
					left < CHECK_BATCH ? (size_t)left : CHECK_BATCH);

		if (n < 0)
			return (int)n;
		if (n == 0 || !check_batch(l, batch, (size_t)n, &before, &begun))
			return -EBADMSG;
		i += (uint64_t)n;
	}
	if (!check_batch(l, &l->last, 1, &before, &begun))
		return -EBADMSG;
	*checked = l->n - 1;
	return 0;
}
