/* SPDX-License-Identifier: Apache-2.0 */
/* A log and its index as anybody may have left them: the server's views of it, and a monitor that
 * goes on with it. The input is a struct head, its entries, and the log. Built with the monitor's
 * log.c and log_index.c. */
#include <errno.h>

#include "fuzz_dir.h"
#include "monitor/monitor.h"
#include "state_log.h"

enum { READ_MAX = 256 << 10, FILL = 16 << 10, EACH_MAX = 64 << 10, PIECES_MAX = 24 };

/* @n: entries. @piece: bytes read at once. @hole: bytes at the beginning of the log that were
 * dropped. @tail: bits; the upper ones: how much of the same byte is behind the log. */
struct head {
	uint32_t max, cleared;
	uint16_t n, piece, hole;
	uint8_t tail, checked;
};

static int dir = -1;
static char whole[READ_MAX], part[READ_MAX];

static bool is_damage(ssize_t r)
{
	return r == -EBADMSG || r == -EIO;
}

/* In pieces it is what it is at once. Return: bytes, or -errno. */
static ssize_t read_pieces(const struct state_log *l, enum log_view view, uint64_t start,
			   size_t piece)
{
	size_t done = 0;

	for (int i = 0; i < PIECES_MAX && done + piece <= sizeof(part); i++) {
		ssize_t n = state_log_read(l, view, start + done, part + done, piece);

		if (n <= 0)
			return n < 0 ? n : (ssize_t)done;
		FUZZ_CHECK((size_t)n <= piece);
		done += (size_t)n;
	}
	return (ssize_t)done;
}

static void check_view(const struct state_log *l, enum log_view view, size_t piece)
{
	uint64_t start = 0, end = 0;
	int r = state_log_range(l, view, &start, &end);
	ssize_t n, m;

	(void)state_log_time(l, view);
	if (r < 0) {
		FUZZ_CHECK(is_damage(r));
		return;
	}
	FUZZ_CHECK(start <= end || (view == LOG_ALL && end == l->end));
	n = state_log_read(l, view, start, whole, sizeof(whole));
	FUZZ_CHECK(n <= (ssize_t)sizeof(whole) && (n >= 0 || is_damage(n)));
	m = read_pieces(l, view, start, piece);
	FUZZ_CHECK(m >= 0 || is_damage(m));
	if (n >= 0 && m >= 0 && view == LOG_ALL)
		FUZZ_CHECK(m <= n && memcmp(whole, part, (size_t)m) == 0);
	FUZZ_CHECK(state_log_read(l, view, UINT64_MAX, part, piece) <= 0);
}

static void check_views(const struct head *h)
{
	uint64_t checked = h->checked;
	struct ctn_err err = {0};
	struct state_log l;
	int r = fuzz_result(state_log_open(dir, O_RDWR, &l, &err), &err);

	FUZZ_CHECK(r == 0);
	l.tail |= h->tail & 1;
	state_log_bound(&l, h->cleared, h->max);
	r = state_log_check(&l, &checked);
	FUZZ_CHECK(r == 0 || r == -EBADMSG);
	for (enum log_view view = LOG_ALL; view <= LOG_TIMES; view++)
		check_view(&l, view, h->piece % EACH_MAX + 1U);
	state_log_plain(&l); /* what the server does once it has met the damage */
	for (enum log_view view = LOG_ALL; view <= LOG_TIMES; view++) {
		uint64_t start, end;

		FUZZ_CHECK(state_log_range(&l, view, &start, &end) == 0);
		check_view(&l, view, h->piece % EACH_MAX + 1U);
	}
	if (h->tail & 2)
		state_log_drop(&l);
	state_log_close(&l);
}

/* Whatever it has found, what it adds is there. */
static void go_on(const struct head *h)
{
	static const char line[] = "one more line\n";
	struct ctn_err err = {0};
	struct log log = {0};
	char last[sizeof(line)] = "";
	uint64_t end;

	FUZZ_CHECK(fuzz_result(log_open(dir, h->max, &log, &err), &err) == 0);
	end = log.end;
	for (int i = 0; i < 3; i++)
		log_append(&log, (enum wire_stream)(i % 2), 1000000007, line, strlen(line));
	FUZZ_CHECK(log.end == end + 3 * strlen(line) && log.dropped == 0);
	FUZZ_CHECK(pread(log.fd, last, strlen(line), (off_t)(log.end - strlen(line))) ==
		   (ssize_t)strlen(line));
	FUZZ_CHECK(strcmp(last, line) == 0);
	close(log.fd);
	close(log.index);
}

static void put_log(const char *data, size_t size, size_t fill, size_t hole)
{
	static char filling[15 * FILL];
	ctn_autoclose int fd = -1;

	fuzz_put(dir, WIRE_LOG_NAME, data, size);
	fd = openat(dir, WIRE_LOG_NAME, O_RDWR | O_APPEND | O_CLOEXEC);
	memset(filling, 'y', fill);
	FUZZ_CHECK(fd >= 0 && io_write_all(fd, filling, fill) == 0);
	if (hole)
		FUZZ_CHECK(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
				     (off_t)hole) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct head h;
	size_t index;
	int fd;

	if (dir < 0)
		dir = fuzz_dir_make();
	if (size < sizeof(h))
		return 0;
	memcpy(&h, data, sizeof(h));
	data += sizeof(h);
	size -= sizeof(h);
	index = h.n * sizeof(struct wire_log_entry);
	index = index < size ? index : size;
	fd = fuzz_free_fd();
	fuzz_put(dir, WIRE_INDEX_NAME, data, index);
	put_log((const char *)data + index, size - index, (size_t)(h.tail >> 4) * FILL, h.hole);
	check_views(&h);
	go_on(&h);
	check_views(&h);
	FUZZ_CHECK(fuzz_free_fd() == fd);
	return 0;
}
