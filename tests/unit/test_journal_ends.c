/* SPDX-License-Identifier: Apache-2.0 */
/* The journal when its end was cut, its disk is full, and when many write and read it at once. */
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>

#include "journal_fixture.h"

static const uint64_t base = UINT64_C(1700000000123456789);

static void cut(const char *name, off_t size)
{
	ctn_autoclose int fd = openat(dir, name, O_WRONLY | O_CLOEXEC);

	CHECK(fd >= 0 && ftruncate(fd, size) == 0);
}

static off_t size_of(const char *name)
{
	struct stat st = {0};

	CHECK(fstatat(dir, name, &st, 0) == 0);
	return st.st_size;
}

static void append(const void *data, size_t len)
{
	ctn_autoclose int fd = openat(dir, "events", O_WRONLY | O_APPEND | O_CLOEXEC);

	CHECK(fd >= 0 && io_write_all(fd, data, len) == 0);
}

static void write_three(void)
{
	note(0, JOURNAL_CREATED, base, "");
	note(0, JOURNAL_STARTED, base + 1, "pid=1");
	note(0, JOURNAL_DIED, base + 2, "exit=0");
	save();
}

/* What the next server sees of a write that was cut at any byte. */
static void test_cut(void)
{
	off_t two, three;

	reopen(JOURNAL_KEEP);
	write_three();
	three = size_of("events");
	two = three - (off_t)strlen("3 2023-11-14T22:13:20.123456791Z a died exit=0 "
				    "id=aaaaaaaaaaaa\n");
	for (off_t at = two; at < three; at++) {
		struct log_range range;
		char *text;

		cut("events", at);
		reopen(JOURNAL_KEEP);
		CHECK(j->seq == 2 && size_of("events") == two);
		CHECK(j->end == (uint64_t)two);
		note(0, JOURNAL_DIED, base + 2, "exit=0");
		save();
		text = read_kept(NULL, &range);
		CHECK(range.end == (uint64_t)three);
		CHECK(strstr(text, "\n3 2023-11-14T22:13:20.123456791Z a died exit=0 id="));
		free(text);
	}
	forget();
}

/* What a power cut may leave behind the last line. */
static void test_rubbish(void)
{
	static const char zeros[5000],
		*const rubbish[] = {
			"5 2023-11-14T22:13:20.123456791Z a died exit=0 id=aaaaaaaaaaaa\n", /* not 4
											     */
			"3 2023-11-14T22:13:20.123456791Z a died exit=0 id=aaaaaaaaaaaa\n",
			"4 2023-11-14T22:13:20.123456791Z a lived id=aaaaaaaaaaaa\n",
			"\n\n\n",
			"4 2023-11-14T22:13:20.123456791Z a died exit=0 id=aaaaaaaaaaa\n",
		};
	off_t size;

	reopen(JOURNAL_KEEP);
	write_three();
	size = size_of("events");
	for (size_t i = 0; i < CTN_COUNT(rubbish); i++) {
		append(rubbish[i], strlen(rubbish[i]));
		reopen(JOURNAL_KEEP);
		CHECK(j->seq == 3 && size_of("events") == size);
	}
	append(zeros, sizeof(zeros));
	append("\n", 1);
	reopen(JOURNAL_KEEP);
	CHECK(j->seq == 3 && size_of("events") == size);
	forget();
}

/* A journal of which the oldest lines are gone. */
static void write_many(void)
{
	reopen(8192);
	for (unsigned i = 0; i < SUBJECTS; i++)
		note(i, JOURNAL_CREATED, base + i, "");
	for (int i = 0; i < 500; i++) {
		note((unsigned)i % SUBJECTS, JOURNAL_PAUSED, base, "");
		save();
	}
}

static void test_without_base(void)
{
	static const char *const damaged[] = {
		"",
		"ctnfs journal 1\n",
		"ctnfs journal 2\n1 1 0\n",
		"ctnfs journal 1\n0 0 9\n",
		"ctnfs journal 1\n0 0 0\naaaaaaaaaaaa container a 1\n",
		"ctnfs journal 1\n0 0 0\naaa container a 1 1 1 1 1 1 1 1 1 1 1 1 1\n",
		"ctnfs journal 1\n0 0 0\naaaaaaaaaaaa container a 1 1 1 1 1 1 1 1 1 1 1 1 1",
	};

	for (size_t i = 0; i <= CTN_COUNT(damaged); i++) {
		struct log_range was, range;
		uint64_t seq;
		char *text;

		write_many();
		seq = j->seq;
		CHECK(journal_span(j, NULL, &was) == 0);
		if (i == CTN_COUNT(damaged))
			(void)unlinkat(dir, "events.base", 0);
		else
			CHECK_ERR(io_replace_at(dir, "events.base", damaged[i], strlen(damaged[i]),
						0600, false, &check_err),
				  0, "");
		reopen(8192);
		CHECK(j->seq == seq);
		text = read_kept(NULL, &range);
		CHECK(range.end == was.end && range.start <= was.start &&
		      was.start - range.start < 4096);
		CHECK(text[0] > '0' && text[0] <= '9'); /* a whole line */
		free(text);
		forget();
	}
}

/* The number of the newest line is known all the same. */
static void test_shorter_than_base(void)
{
	struct log_range range;
	uint64_t seq;
	char *text;

	write_many();
	cut("events", 0);
	reopen(8192);
	seq = j->seq;
	CHECK(seq > 400);
	note(1, JOURNAL_RESUMED, base, "");
	save();
	text = read_kept(NULL, &range);
	CHECK(strtoull(text, NULL, 10) == seq + 1 && strchr(text, '\n')[1] == '\0');
	free(text);
	reopen(8192);
	CHECK(j->seq == seq + 1);
	forget();
}

/* --- no room --- */

/* A file may not get larger than this: a write is cut there, and the next one fails. */
static void allow(rlim_t size)
{
	struct rlimit limit;

	CHECK(getrlimit(RLIMIT_FSIZE, &limit) == 0);
	limit.rlim_cur = size;
	CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
}

static uint64_t lost_lines(const char *text)
{
	const char *lost = strstr(text, " - lost lines=");

	return lost ? strtoull(lost + strlen(" - lost lines="), NULL, 10) : 0;
}

static size_t count_lines(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		n += *text == '\n';
	return n;
}

static void check_sequence(const char *text)
{
	uint64_t seq = strtoull(text, NULL, 10);

	for (; *text; text = strchr(text, '\n') + 1) {
		if (strtoull(text, NULL, 10) != seq++) {
			CHECK(!"a gap");
			return;
		}
	}
}

static void test_full_disk(void)
{
	const int more[] = {0, 40, 30000}; /* none lost, some that wait, and more than may */

	signal(SIGXFSZ, SIG_IGN);
	for (size_t k = 0; k < CTN_COUNT(more); k++) {
		struct log_range range;
		uint64_t end;
		char *text;

		reopen(JOURNAL_KEEP);
		write_three();
		allow((rlim_t)j->end + 100); /* one line and a half */
		for (int i = 0; i < 2 + more[k]; i++)
			note(0, i % 2 ? JOURNAL_RESUMED : JOURNAL_PAUSED, base + 3, "");
		CHECK(journal_write(j, &check_err) < 0);
		CHECK(strstr(check_err.text, "kept in memory"));
		CHECK_ERR(journal_write(j, &check_err), 0, ""); /* said once */
		CHECK(j->queue_len + j->out_len <= JOURNAL_WAIT_MAX + JOURNAL_LINE_MAX);
		text = read_kept(NULL, &range);
		/* No half line is shown. */
		CHECK(count_lines(text) == 4 && text[strlen(text) - 1] == '\n');
		end = range.end;
		free(text);
		allow(RLIM_INFINITY);
		save();
		text = read_kept(NULL, &range);
		CHECK(range.end > end && !j->waiting);
		check_sequence(text);
		CHECK((lost_lines(text) > 0) == (k == 2));
		CHECK(count_lines(text) - (k == 2) + lost_lines(text) == 5 + (size_t)more[k]);
		free(text);
		reopen(JOURNAL_KEEP);
		CHECK(j->end == range.end);
		forget();
	}
}

/* --- at once --- */

enum { WRITERS = 6, EACH = 1500 };

static void *writer(void *arg)
{
	const unsigned i = (unsigned)(uintptr_t)arg;
	struct ctn_err err;

	for (int n = 0; n < EACH; n++) {
		char detail[32];

		snprintf(detail, sizeof(detail), "pid=%d", n);
		note(i, JOURNAL_STARTED, base, detail);
		if (n % 2 == 0)
			(void)journal_write(j, &err);
	}
	(void)journal_write(j, &err);
	return NULL;
}

struct follower {
	const struct journal_subject *of;
	uint64_t pos, bytes, skipped;
	bool *over;
	bool wrong;
	char *text;
};

/* Reads what comes, all of it; positions never mean another byte. */
static void *follow(void *arg)
{
	struct follower *f = arg;
	bool over = false;

	for (;;) {
		struct log_range range;
		ssize_t n;

		over = __atomic_load_n(f->over, __ATOMIC_ACQUIRE);
		(void)journal_span(j, f->of, &range);
		n = journal_copy(j, f->of, f->pos, f->text + f->bytes, 777);
		(void)journal_span(j, f->of, &range);
		if (n <= 0 && over)
			return NULL;
		if (range.start > f->pos) { /* dropped meanwhile: from a line's beginning on */
			memset(f->text, 0, f->bytes);
			f->skipped++;
			f->pos = range.start;
			f->bytes = 0;
			continue;
		}
		f->bytes += (uint64_t)n;
		f->pos += (uint64_t)n;
	}
}

static void test_threads(void)
{
	const struct journal_subject s = subject(3);
	struct follower all = {.text = calloc(8 << 20, 1)},
			one = {.of = &s, .text = calloc(8 << 20, 1)};
	pthread_t writers[WRITERS], readers[2];
	struct log_range range;
	bool over = false;

	reopen(64 << 10);
	for (unsigned i = 0; i < SUBJECTS; i++)
		note(i, JOURNAL_CREATED, base, "");
	save();
	all.over = one.over = &over;
	pthread_create(&readers[0], NULL, follow, &all);
	pthread_create(&readers[1], NULL, follow, &one);
	for (uintptr_t i = 0; i < WRITERS; i++)
		pthread_create(&writers[i], NULL, writer, (void *)i);
	for (size_t i = 0; i < WRITERS; i++)
		pthread_join(writers[i], NULL);
	__atomic_store_n(&over, true, __ATOMIC_RELEASE);
	for (size_t i = 0; i < 2; i++)
		pthread_join(readers[i], NULL);
	CHECK(j->seq == SUBJECTS + WRITERS * EACH && !j->waiting);
	CHECK(journal_span(j, NULL, &range) == 0 && all.pos == range.end);
	check_sequence(all.text);
	CHECK(journal_span(j, &s, &range) == 0 && one.pos == range.end);
	for (char *line = one.text, *next; *line; line = next + 1) {
		next = strchr(line, '\n');
		if (!next || strncmp(next - 12, s.id, 12) != 0) {
			CHECK(!"a line of another");
			break;
		}
	}
	free(all.text);
	free(one.text);
	all.text = known_text();
	reopen(64 << 10);
	CHECK(j->seq == SUBJECTS + WRITERS * EACH);
	one.text = known_text();
	CHECK_STR(one.text, all.text);
	free(all.text);
	free(one.text);
	forget();
}

static const struct check_test tests[] = {
	{"cut at every byte of the last line", test_cut},
	{"rubbish at the end", test_rubbish},
	{"without what the oldest lines said", test_without_base},
	{"shorter than it was", test_shorter_than_base},
	{"a full disk", test_full_disk},
	{"many at once", test_threads},
};

int main(void)
{
	return journal_tests(tests, CTN_COUNT(tests));
}
