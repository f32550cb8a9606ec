/* SPDX-License-Identifier: Apache-2.0 */
/* The index beside the log: of which stream each piece is, and when it came. It is written after
 * the log, so that a monitor that is killed leaves output without an entry, never the reverse. */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../wire_log.h"
#include "monitor.h"

enum {
	INDEX_BLOCK = 4096,
	INDEX_SLACK = 64 << 10,
	INDEX_MODE = 0600,
	GROW_NS = 1000000, /* what comes within that time is of one entry */
};

static bool read_entry(const struct log *log, uint64_t i, struct wire_log_entry *ret)
{
	return pread(log->index, ret, sizeof(*ret), (off_t)(i * sizeof(*ret))) ==
		       (ssize_t)sizeof(*ret) &&
	       wire_log_sound(ret, log->end);
}

static bool read_log(const struct log *log, uint64_t pos, char *data, size_t len)
{
	return pread(log->fd, data, len, (off_t)pos) == (ssize_t)len;
}

/* Whether the byte before @pos ends a line. */
static bool line_ends_at(const struct log *log, uint64_t pos)
{
	char byte = '\n';

	return pos == 0 || (read_log(log, pos - 1, &byte, 1) && byte == '\n');
}

int log_index_open(int state_fd, struct log *log, struct ctn_err *err)
{
	struct wire_log_entry e = {0};
	struct stat st;

	log->index = openat(state_fd, WIRE_INDEX_NAME, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC,
			    INDEX_MODE);
	if (log->index < 0 || fstat(log->index, &st) < 0)
		return ctn_fail_errno(err, "open the index of the log");
	/* The host may have died with more of the index on its disk than of the log. */
	log->n = (uint64_t)st.st_size / sizeof(e);
	while (log->n > 0 && !read_entry(log, log->n - 1, &e))
		log->n--;
	if (ftruncate(log->index, (off_t)(log->n * sizeof(e))) < 0)
		return ctn_fail_errno(err, "cut the index of the log");
	if (log->n > 0)
		log->last = e;
	log->ended = line_ends_at(log, log->last.log_end);
	return 0;
}

static bool put(struct log *log, const struct wire_log_entry *e, bool grown)
{
	uint64_t i = grown ? log->n - 1 : log->n;

	if (pwrite(log->index, e, sizeof(*e), (off_t)(i * sizeof(*e))) != (ssize_t)sizeof(*e))
		return false;
	if (!grown)
		log->last_begin = log->last.log_end;
	log->last = *e;
	log->n = i + 1;
	return true;
}

void log_index_add(struct log *log, enum wire_stream stream, uint64_t time, const char *data,
		   size_t len)
{
	struct wire_log_entry e = log->last;
	bool grown = log->growing && e.stream == stream && time - e.time < GROW_NS &&
		     e.log_end - log->last_begin + len <= WIRE_LOG_PIECE;
	bool middle = !log->ended;

	if (!grown) {
		e = wire_log_begin(&log->last, log->ended, stream, time);
		middle = e.flags & WIRE_LOG_MIDDLE;
	}
	wire_log_grow(&e, middle, data, len);
	log->growing = put(log, &e, grown);
	if (log->growing)
		log->ended = data[len - 1] == '\n';
}

/* Of the log of a monitor that wrote no index: what is not kept is not looked at either. */
static bool jump(struct log *log, uint64_t to, uint64_t time)
{
	struct wire_log_entry e = wire_log_begin(&log->last, log->ended, WIRE_STDOUT, time);
	uint64_t len = to - e.log_end;

	e.log_end += len;
	e.stream_end[WIRE_STDOUT] += len;
	e.times_end += len + WIRE_LOG_PREFIX;
	if (!put(log, &e, false))
		return false;
	log->ended = line_ends_at(log, to);
	return true;
}

bool log_index_cover(struct log *log)
{
	static char data[WIRE_LOG_PIECE];
	uint64_t from = log->last.log_end, time;
	struct stat st;

	if (from == log->end)
		return true;
	if (fstat(log->fd, &st) < 0)
		return false;
	time = (uint64_t)st.st_mtim.tv_sec * 1000000000U + (uint64_t)st.st_mtim.tv_nsec;
	if (log->end > log->max && log->end - log->max > from + WIRE_LOG_PIECE &&
	    !jump(log, log->end - log->max, time))
		return false;
	while (log->last.log_end < log->end) {
		uint64_t left = log->end - log->last.log_end;
		size_t len = left < sizeof(data) ? (size_t)left : sizeof(data);

		log->growing = false;
		if (!read_log(log, log->last.log_end, data, len))
			return false;
		log_index_add(log, WIRE_STDOUT, time, data, len);
		if (!log->growing)
			return false;
	}
	log->growing = false; /* nobody knows when that came */
	return true;
}

uint64_t log_index_start(const struct log *log)
{
	uint64_t room = wire_log_room(log->max);
	struct wire_log_entry e;

	return log->n > room && read_entry(log, log->n - room - 1, &e) ? e.log_end : 0;
}

bool log_index_full(const struct log *log)
{
	uint64_t room = wire_log_room(log->max);

	return log->n > room &&
	       (log->n - room) * sizeof(log->last) > log->index_punched + INDEX_BLOCK + INDEX_SLACK;
}

void log_index_trim(struct log *log, uint64_t keep)
{
	uint64_t low = 0, high = log->n, hole;
	struct wire_log_entry e;

	if (high - log->trimmed < INDEX_BLOCK / sizeof(e)) /* not a block more than last time */
		return;
	log->trimmed = high;
	while (low < high) { /* the first that goes beyond @keep */
		uint64_t i = low + (high - low) / 2;

		if (read_entry(log, i, &e) && e.log_end > keep)
			high = i;
		else
			low = i + 1;
	}
	/* The one before stays: it says where that begins. */
	hole = (low > 0 ? low - 1 : 0) * sizeof(e) / INDEX_BLOCK * INDEX_BLOCK;
	if (hole > log->index_punched &&
	    fallocate(log->index, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		      (off_t)log->index_punched, (off_t)(hole - log->index_punched)) == 0)
		log->index_punched = hole;
}
