/* SPDX-License-Identifier: Apache-2.0 */
/* The log, its index and its views: what the monitor writes against what the server reads. Built
 * with the monitor's log.c and log_index.c. */
#include "log_model.h"
#include "wire_log.h"

#define MS UINT64_C(1000000)

enum { NO_BOUND = 1 << 30, READ_SIZE = 1 << 20 };

static void put(struct model *m, enum wire_stream stream, const char *text)
{
	model_put(m, stream, text, strlen(text));
	m->now += 2 * MS;
}

static void check_text(struct model *m, enum log_view view, const char *want)
{
	m->text[view][m->len[view]] = '\0';
	CHECK_STR(m->text[view], want);
}

/* The model itself, by hand. */
static void test_text(void)
{
	struct model m;

	model_begin(&m, NO_BOUND);
	model_check(&m, false, 10);
	put(&m, WIRE_STDOUT, "one\nha");
	put(&m, WIRE_STDOUT, "lf\n");
	put(&m, WIRE_STDERR, "no end");
	put(&m, WIRE_STDOUT, "x\n");
	put(&m, WIRE_STDERR, "\n\n");
	check_text(&m, LOG_ALL, "one\nhalf\nno endx\n\n\n");
	check_text(&m, LOG_STDERR, "no end\n\n");
	check_text(&m, LOG_TIMES,
		   "2026-10-03T04:00:00.000000000Z stdout one\n"
		   "2026-10-03T04:00:00.000000000Z stdout half\n"
		   "2026-10-03T04:00:00.004000000Z stderr no end\n"
		   "2026-10-03T04:00:00.006000000Z stdout x\n"
		   "2026-10-03T04:00:00.008000000Z stderr \n"
		   "2026-10-03T04:00:00.008000000Z stderr \n");
	for (size_t size = 1; size < 100; size += 7)
		model_check(&m, false, size);
	model_end(&m);
}

static void test_newlines(void)
{
	static char data[9000];

	for (size_t len = 1; len < sizeof(data); len += len < 70 ? 1 : 997) {
		for (int byte = 0; byte < 256; byte++) {
			memset(data, byte, len);
			CHECK(wire_log_text(data, len, false) ==
			      len + (byte == '\n' ? len : 1) * WIRE_LOG_PREFIX);
			data[len / 2] = '\n';
			CHECK(wire_log_text(data, len, true) == len + (byte == '\n'	   ? len - 1
								       : len / 2 + 1 < len ? 1U
											   : 0U) *
										WIRE_LOG_PREFIX);
		}
	}
}

/* --- entries --- */

static void test_growing(void)
{
	static char big[WIRE_LOG_PIECE];
	struct model m;

	model_begin(&m, NO_BOUND);
	for (int i = 0; i < 1000; i++)
		model_put(&m, WIRE_STDOUT, i % 50 ? "x" : "\n", 1);
	CHECK(m.log.n == 1);
	m.now += MS / 2;
	log_append(&m.log, WIRE_STDOUT, m.now, "y\n", 2); /* with the time of its entry */
	model_expect(&m, WIRE_STDOUT, MODEL_TIME, "y\n", 2);
	CHECK(m.log.n == 1);
	m.now += MS / 2;
	model_put(&m, WIRE_STDOUT, "z\n", 2);
	CHECK(m.log.n == 2);
	model_put(&m, WIRE_STDERR, "z\n", 2);
	CHECK(m.log.n == 3);
	m.now -= 100 * MS; /* the clock was set back */
	model_put(&m, WIRE_STDERR, "z\n", 2);
	CHECK(m.log.n == 4);
	memset(big, 'b', sizeof(big));
	model_put(&m, WIRE_STDERR, big, sizeof(big) - 2);
	CHECK(m.log.n == 4);
	model_put(&m, WIRE_STDERR, big, 1);
	CHECK(m.log.n == 5);
	model_check(&m, false, READ_SIZE);
	model_again(&m);
	model_put(&m, WIRE_STDERR, big, 1); /* not into another monitor's */
	CHECK(m.log.n == 6);
	model_check(&m, false, READ_SIZE);
	model_end(&m);
}

/* --- random interleavings --- */

static size_t random_piece(char *data, size_t max)
{
	const int newline = rand() % 3 ? 12 : 400;
	size_t len = (size_t)rand() % max + 1;

	for (size_t i = 0; i < len; i++)
		data[i] = rand() % newline ? (char)('a' + rand() % 26) : '\n';
	return len;
}

static void random_step(struct model *m, size_t max)
{
	static char data[3 * WIRE_LOG_PIECE];
	const int what = rand() % 100;
	const size_t most = sizeof(data) < max * 99 ? sizeof(data) : max * 99;

	if (what < 90) {
		model_put(m, rand() % 3 ? WIRE_STDOUT : WIRE_STDERR, data,
			  random_piece(data, rand() % 40 ? max : most));
	} else if (what < 92) {
		model_clear(m);
	} else if (what < 95) {
		model_put_tail(m, data, random_piece(data, max));
		model_check(m, true, READ_SIZE);
		model_again(m);
	} else {
		model_again(m);
	}
	if (rand() % 2)
		m->now += 2 * MS;
}

/* CTNFS_LONG=1 asks for more than a run of all tests has time for. */
static unsigned many(unsigned few, unsigned more)
{
	return getenv("CTNFS_LONG") ? more : few;
}

static void random_run(unsigned seed, uint64_t bound, size_t max, int steps)
{
	struct model m;

	srand(seed);
	model_begin(&m, bound);
	for (int i = 0; i < steps && m.len[LOG_TIMES] < MODEL_MAX / 4 && !check_failures; i++) {
		random_step(&m, max);
		if (rand() % 8 == 0 || i + 1 == steps)
			model_check(&m, false, (size_t)rand() % 3000 + 100);
	}
	if (check_failures)
		printf("# seed %u, bound %llu, pieces of %zu\n", seed, (unsigned long long)bound,
		       max);
	model_end(&m);
}

static void test_random(void)
{
	static const struct {
		uint64_t bound;
		size_t max;
		int steps;
	} runs[] = {
		{NO_BOUND, 3, 300}, {NO_BOUND, 200, 300}, {4096, 100, 3000},
		{4096, 5000, 300},  {65536, 3000, 400},	  {65536, 80, 4000},
	};

	for (unsigned seed = 1; seed <= many(1, 4); seed++) {
		for (size_t i = 0; i < CTN_COUNT(runs) && !check_failures; i++)
			random_run(seed, runs[i].bound, runs[i].max, runs[i].steps);
	}
}

/* --- bounds --- */

static off_t on_disk(const struct model *m, const char *name)
{
	struct stat st = {0};

	CHECK(fstatat(m->dirfd, name, &st, 0) == 0);
	return st.st_blocks * 512;
}

/* Each byte needs an entry: the index has a bound of its own, and the log goes with it. */
static void test_index_bound(void)
{
	struct model m;
	struct state_log l;

	model_begin(&m, NO_BOUND >> 12); /* 256K */
	for (int i = 0; i < 20000; i++)
		model_put(&m, i % 2 ? WIRE_STDERR : WIRE_STDOUT, i % 10 ? "x" : "\n", 1);
	CHECK(m.log.n == 20000);
	model_check(&m, false, READ_SIZE);
	model_look(&m, false, &l);
	CHECK(l.start == 20000 - wire_log_room(m.max) && l.cut);
	state_log_close(&l);
	CHECK(on_disk(&m, WIRE_INDEX_NAME) < 256 << 10);
	model_clear(&m);
	CHECK(on_disk(&m, WIRE_INDEX_NAME) <= 8192);
	model_check(&m, false, READ_SIZE);
	put(&m, WIRE_STDERR, "after\n");
	model_check(&m, false, READ_SIZE);
	model_end(&m);
}

/* What is dropped ends at a block; the byte before says that a line begins there. */
static void test_line_at_block(void)
{
	char data[4096];
	struct model m;

	memset(data, 'x', sizeof(data));
	data[sizeof(data) - 1] = '\n';
	model_begin(&m, sizeof(data));
	model_put(&m, WIRE_STDERR, data, sizeof(data));
	model_put(&m, WIRE_STDERR, data, sizeof(data));
	model_clear(&m);
	model_put(&m, WIRE_STDERR, data, sizeof(data));
	CHECK(m.log.n == 1);
	model_check(&m, false, READ_SIZE);
	model_put(&m, WIRE_STDERR, data, sizeof(data));
	log_trim(&m.log);
	CHECK(m.log.n == 1 && on_disk(&m, WIRE_LOG_NAME) == 2 * sizeof(data));
	model_check(&m, false, READ_SIZE);
	model_end(&m);
}

static void test_time_of_views(void)
{
	struct model m;
	struct state_log l;

	model_begin(&m, NO_BOUND);
	put(&m, WIRE_STDERR, "early\n");
	put(&m, WIRE_STDOUT, "late\n");
	put(&m, WIRE_STDOUT, "later\n");
	model_look(&m, true, &l);
	CHECK(state_log_time(&l, LOG_STDERR) == MODEL_TIME);
	CHECK(state_log_time(&l, LOG_STDOUT) == MODEL_TIME + 4 * MS);
	CHECK(state_log_time(&l, LOG_TIMES) == l.mtime && l.mtime > 0);
	state_log_close(&l);
	model_end(&m);
}

/* --- what a monitor that knew no index left --- */

static void test_no_index(void)
{
	static char old[300001];
	struct model m;
	struct state_log l;

	srand(3);
	model_begin(&m, 100000);
	CHECK(unlinkat(m.dirfd, WIRE_INDEX_NAME, 0) == 0);
	for (size_t n = 0; n < sizeof(old) - 1; n += 40)
		snprintf(old + n, 41, "%039zu\n", n);
	model_put_tail(&m, old, sizeof(old) - 1);
	model_look(&m, false, &l);
	CHECK(l.plain && l.tail && l.start == sizeof(old) - 1 - 100000);
	m.len[LOG_TIMES] =
		0; /* its positions begin elsewhere: lines that were dropped do not count */
	for (enum log_view view = LOG_ALL; view <= LOG_STDERR; view++) {
		uint64_t start = 1, end = 1;

		CHECK(state_log_range(&l, view, &start, &end) == 0 && end == m.len[view]);
		CHECK(start == (view == LOG_STDERR ? 0 : l.start));
	}
	state_log_close(&l);
	model_again(&m);
	CHECK(m.log.last.log_end == m.log.end && m.log.last.stream_end[WIRE_STDERR] == 0);
	put(&m, WIRE_STDERR, "new\n");
	model_look(&m, false, &l);
	CHECK(!l.plain);
	for (enum log_view view = LOG_STDOUT; view <= LOG_TIMES; view++) {
		uint64_t start = 0, end = 0, left;
		char text[128];

		CHECK(state_log_range(&l, view, &start, &end) == 0 && start < end);
		left = end - start;
		CHECK(state_log_read(&l, view, start, text, sizeof(text)) ==
		      (ssize_t)(left < sizeof(text) ? left : sizeof(text)));
		CHECK(view != LOG_STDERR || (left == 4 && memcmp(text, "new\n", 4) == 0));
		CHECK(view != LOG_TIMES || memcmp(text + 30, " stdout 0000000", 15) == 0);
	}
	state_log_close(&l);
	model_end(&m);
}

/* --- an index that is none --- */

static void read_through(const struct state_log *l, uint64_t most)
{
	static char buf[READ_SIZE];
	uint64_t start, end, pos;
	ssize_t n;

	for (enum log_view view = LOG_ALL; view <= LOG_TIMES; view++) {
		if (state_log_range(l, view, &start, &end) < 0)
			continue;
		CHECK(start <= end || view == LOG_ALL);
		(void)state_log_time(l, view);
		pos = start;
		for (uint64_t all = 0; all <= most; pos += (uint64_t)n, all += (uint64_t)n) {
			n = state_log_read(l, view, pos, buf, sizeof(buf));
			CHECK(n <= (ssize_t)sizeof(buf));
			if (n <= 0)
				break;
		}
	}
}

static void spoil(struct model *m)
{
	char junk[200];
	off_t size = lseek(m->log.index, 0, SEEK_END), at = rand() % (size + 100);
	size_t len = (size_t)rand() % sizeof(junk) + 1;

	for (size_t i = 0; i < len; i++)
		junk[i] = rand() % 4 ? (char)rand() : 0;
	switch (rand() % 4) {
	case 0:
		CHECK(ftruncate(m->log.index, at) == 0);
		break;
	case 1: /* entries of somewhere else in it */
		len = (size_t)pread(m->log.index, junk, 144, rand() % (size / 48 + 1) * 48);
		at -= at % 48;
		/* fall through */
	default:
		CHECK(pwrite(m->log.index, junk, len, at) == (ssize_t)len);
	}
}

static void test_spoilt(void)
{
	char data[3000];

	for (unsigned seed = 1; seed <= many(60, 400) && !check_failures; seed++) {
		uint64_t checked = 0;
		struct state_log l;
		struct model m;

		srand(seed);
		model_begin(&m, rand() % 2 ? NO_BOUND : 8192);
		for (int i = 0; i < 60; i++, m.now += 2 * MS)
			model_put(&m, rand() % 2, data, random_piece(data, 300));
		spoil(&m);
		model_look(&m, rand() % 2, &l);
		read_through(&l, 1 << 20); /* nobody has looked whether it is sound */
		if (!l.plain && state_log_check(&l, &checked) == 0)
			read_through(&l, 1 << 20);
		state_log_plain(&l);
		read_through(&l, 1 << 20);
		state_log_close(&l);
		model_again(&m); /* the next monitor goes on */
		log_append(&m.log, WIRE_STDERR, m.now, "end\n", 4);
		model_look(&m, true, &l);
		CHECK(!l.plain && l.last.log_end == l.end && l.last.stream == WIRE_STDERR);
		read_through(&l, 1 << 20);
		state_log_close(&l);
		if (check_failures)
			printf("# seed %u\n", seed);
		model_end(&m);
	}
}

static void test_plain(void)
{
	uint64_t start, end, checked = 0;
	struct state_log l;
	char text[256] = "";
	struct model m;

	model_begin(&m, NO_BOUND);
	put(&m, WIRE_STDERR, "a\nb\n");
	put(&m, WIRE_STDOUT, "c\n");
	put(&m, WIRE_STDERR, "d");
	CHECK(pwrite(m.log.index, "\xff\xff", 2, 48 + 16) == 2); /* in the middle */
	model_look(&m, false, &l);
	CHECK(!l.plain && state_log_check(&l, &checked) == -EBADMSG && checked == 0);
	state_log_plain(&l);
	CHECK(state_log_range(&l, LOG_STDERR, &start, &end) == 0 && start == 0 && end == 0);
	CHECK(state_log_range(&l, LOG_STDOUT, &start, &end) == 0 && start == 0 && end == 7);
	CHECK(state_log_read(&l, LOG_STDOUT, 1, text, sizeof(text)) == 6);
	CHECK_STR(text, "\nb\nc\nd");
	CHECK(state_log_range(&l, LOG_TIMES, &start, &end) == 0 && end == 7 + 4 * WIRE_LOG_PREFIX);
	CHECK(state_log_read(&l, LOG_TIMES, 0, text, sizeof(text)) == (ssize_t)end);
	CHECK(strncmp(text + 30, " stdout a\n", 10) == 0);
	state_log_close(&l);
	model_end(&m);
}

static const struct check_test tests[] = {
	{"text of the views", test_text},
	{"newlines are counted", test_newlines},
	{"pieces in one entry", test_growing},
	{"random interleavings", test_random},
	{"bound of the index", test_index_bound},
	{"a line that begins at a block", test_line_at_block},
	{"time of the views", test_time_of_views},
	{"a log without an index", test_no_index},
	{"a spoilt index", test_spoilt},
	{"without the index", test_plain},
};

int main(void)
{
	return check_run(tests, CTN_COUNT(tests));
}
