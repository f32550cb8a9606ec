/* SPDX-License-Identifier: Apache-2.0 */
/* The container's bounded log. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../wire_log.h"
#include "monitor.h"

enum {
	LOG_BLOCK = 4096,
	LOG_STRIDE = 64 << 10, /* while it is written: a hole that ends in the middle of what the
				  page cache has as one piece costs more */
	LOG_SLACK = 256 << 10,
	LOG_MODE = 0600,
};

int log_open(int state_fd, uint64_t max, struct log *ret, struct ctn_err *err)
{
	struct stat st;
	int r, fd = openat(state_fd, WIRE_LOG_NAME,
			   O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, LOG_MODE);

	if (fd < 0 || fstat(fd, &st) < 0)
		return ctn_fail_errno(err, "open the log");
	*ret = (struct log){.fd = fd,
			    .index = -1,
			    .end = (uint64_t)st.st_size,
			    .max = max,
			    .dropped = ret->dropped};
	r = log_index_open(state_fd, ret, err);
	if (r < 0)
		return r;
	(void)log_index_cover(ret); /* on a full disk the next append tries again */
	log_trim(ret);
	return 0;
}

static void trim(struct log *log, uint64_t block)
{
	uint64_t keep = log->end > log->max ? log->end - log->max : 0;
	uint64_t start = log_index_start(log), hole;

	if (start > keep)
		keep = start;
	if (keep == 0)
		return;
	/* The byte before stays: it tells whether what is kept begins with a line. */
	hole = (keep - 1) / block * block;
	/* The server made sure at its start that the file system can do this. */
	if (hole > log->punched &&
	    fallocate(log->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)log->punched,
		      (off_t)(hole - log->punched)) == 0)
		log->punched = hole;
	log_index_trim(log, keep);
}

void log_trim(struct log *log)
{
	log->trimmed = 0;
	trim(log, LOG_BLOCK);
}

/* Return: how many bytes there was room for; a full disk must not make the program wait. */
static size_t write_some(int fd, const char *data, size_t len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = write(fd, data + done, len - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		done += (size_t)n;
	}
	return done;
}

static void append_piece(struct log *log, enum wire_stream stream, uint64_t time, const char *data,
			 size_t len)
{
	/* Readers of one stream alone are not told what has no entry: first that. */
	size_t n = log_index_cover(log) ? write_some(log->fd, data, len) : 0;

	log->dropped += len - n;
	log->end += n;
	if (n > 0)
		log_index_add(log, stream, time, data, n);
}

void log_append(struct log *log, enum wire_stream stream, uint64_t time, const char *data,
		size_t len)
{
	for (size_t n; len > 0; data += n, len -= n) {
		n = len < WIRE_LOG_PIECE ? len : WIRE_LOG_PIECE;
		append_piece(log, stream, time, data, n);
	}
	if ((log->end > log->max && log->end - log->max > log->punched + LOG_SLACK) ||
	    log_index_full(log))
		trim(log, LOG_STRIDE);
}
