/* SPDX-License-Identifier: Apache-2.0 */
/* The journal against a model: lines, parts, the bound, and what a server finds that starts. */
#include "journal_fixture.h"

static const uint64_t second = 1000000000, base = UINT64_C(1700000000123456789);

/* --- lines --- */

static void test_line(void)
{
	char *text;
	struct log_range range;

	reopen(JOURNAL_KEEP);
	note(SUBJECTS, JOURNAL_SERVER_STARTED, base, "version=1");
	note(1, JOURNAL_CREATED, base + 1, "");
	note(0, JOURNAL_CREATED, base + 2, "");
	note(SUBJECTS - 1, JOURNAL_CREATED, base + 3, "");
	note(SUBJECTS - 1, JOURNAL_EXECED, base + second, "pid=7");
	save();
	text = read_kept(NULL, &range);
	CHECK_STR(text, "1 2023-11-14T22:13:20.123456789Z - server-started version=1\n"
			"2 2023-11-14T22:13:20.123456790Z bb created id=bbbbbbbbbbbb\n"
			"3 2023-11-14T22:13:20.123456791Z a created id=aaaaaaaaaaaa\n"
			"4 2023-11-14T22:13:20.123456792Z a/execs/dump created id=aaaaaaaaaaaa\n"
			"5 2023-11-14T22:13:21.123456789Z a/execs/dump execed pid=7 "
			"id=aaaaaaaaaaaa\n");
	free(text);
	forget();
}

static void test_bad_lines(void)
{
	static const char good[] =
		"7 2023-11-14T22:13:20.123456790Z bb died exit=1 oom=1 id=bbbbbbbbbbbb\n";
	static const char *const bad[] = {
		"07 2023-11-14T22:13:20.123456790Z bb created id=bbbbbbbbbbbb\n",
		"-7 2023-11-14T22:13:20.123456790Z bb created id=bbbbbbbbbbbb\n",
		"7x 2023-11-14T22:13:20.123456790Z bb created id=bbbbbbbbbbbb\n",
		"7 2023-11-14T22:13:20.12345679Z bb created id=bbbbbbbbbbbb\n",
		"7 2023-13-14T22:13:20.123456790Z bb created id=bbbbbbbbbbbb\n",
		"7 2023-11-14T22:13:20.123456790Z bb created\n",
		"7 2023-11-14T22:13:20.123456790Z - created id=bbbbbbbbbbbb",
		"7 2023-11-14T22:13:20.123456790Z bb\n",
		"7 2023-11-14T22:13:20.123456790Z  created id=bbbbbbbbbbbb\n",
		"7 2023-11-14T22:13:20.123456790Z bb invented id=bbbbbbbbbbbb\n",
		"\n",
		"x\n",
		" id=bbbbbbbbbbbb\n",
	};
	struct journal_line l;
	char copy[sizeof(good)];

	CHECK(journal_line_parse(good, strlen(good), &l));
	CHECK(l.seq == 7 && l.time == base + 1 && l.what == JOURNAL_DIED);
	CHECK_STR(l.detail, "exit=1 oom=1");
	CHECK(journal_line_print(copy, sizeof(copy), &l) == (int)strlen(good));
	CHECK_STR(copy, good);
	for (size_t i = 0; i < CTN_COUNT(bad); i++) {
		if (journal_line_parse(bad[i], strlen(bad[i]), &l))
			CHECK_STR(bad[i], "refused");
	}
	for (size_t n = 0; n < strlen(good); n++) /* whatever is cut off */
		CHECK(!journal_line_parse(good, n, &l));
	memcpy(copy, good, sizeof(good));
	copy[5] = '\0';
	CHECK(!journal_line_parse(copy, strlen(good), &l));
}

static void test_words(void)
{
	char word[64];

	CHECK_STR(journal_word(word, sizeof(word), "redis-server", 12), "redis-server");
	CHECK_STR(journal_word(word, sizeof(word), "a b\n\033[31m\\\x7f\x9b", 12),
		  "a\\x20b\\x0a\\x1b[31m\\\\\\x7f\\x9b");
	CHECK_STR(journal_word(word, sizeof(word), "\x9b\xff\0z", 4), "\\x9b\\xff\\x00z");
	CHECK_STR(journal_word(word, 6, "abc\n", 4), "abc"); /* whole ones only */
	CHECK_STR(journal_word(word, 8, "abc\n", 4), "abc\\x0a");
	CHECK_STR(journal_word(word, sizeof(word), "", 0), "");
}

/* Nobody's mistake gets a control byte or a second line into it. */
static void test_unsafe_detail(void)
{
	struct log_range range;
	char *text, big[2000];

	reopen(JOURNAL_KEEP);
	note(0, JOURNAL_CREATED, base, "");
	note(0, JOURNAL_OOM, base, "program=a\n9 b\033");
	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	note(0, JOURNAL_OOM, base, big);
	save();
	text = read_kept(NULL, &range);
	CHECK(strstr(text, "oom program=a?9 b? id=") && !strchr(text, '\033'));
	reopen(JOURNAL_KEEP); /* and all of it makes sense */
	CHECK(j->seq == 3);
	free(text);
	forget();
}

/* --- what is noted once, or not at all --- */

static void test_once(void)
{
	struct log_range range;
	char *text;

	reopen(JOURNAL_KEEP);
	note(2, JOURNAL_STARTED, base, "pid=1");	  /* of nobody */
	note(SUBJECTS - 1, JOURNAL_DIED, base, "exit=1"); /* of nobody */
	for (int i = 0; i < 2; i++)
		note(0, JOURNAL_CREATED, base, "");
	note(0, JOURNAL_RENAMED, base, ""); /* as it is called already */
	for (int i = 0; i < 2; i++)
		note(SUBJECTS - 1, JOURNAL_CREATED, base, "");
	for (int i = 0; i < 2; i++)
		note(0, JOURNAL_REMOVED, base, "");
	for (int i = 0; i < 2; i++) /* it had this name */
		note(SUBJECTS - 1, JOURNAL_REMOVED, base, "");
	save();
	text = read_kept(NULL, &range);
	CHECK(j->seq == 4);
	CHECK(strstr(text, "4 2023-11-14T22:13:20.123456789Z a/execs/dump removed "));
	free(text);
	forget();
}

static void test_rename(void)
{
	const struct journal_subject renamed = {subject(0).id, NULL, "other"};
	char *text, *known;
	struct log_range range;

	reopen(JOURNAL_KEEP);
	note(0, JOURNAL_CREATED, base, "");
	note(SUBJECTS - 1, JOURNAL_CREATED, base, "");
	journal_add(j, &renamed, JOURNAL_RENAMED, base, "");
	note(SUBJECTS - 1, JOURNAL_EXECED, base, "pid=1");
	save();
	text = read_kept(NULL, &range);
	CHECK(strstr(text, "Z other renamed from=a id=") &&
	      strstr(text, "Z other/execs/dump execed pid=1 id="));
	free(text);
	known = known_text();
	reopen(JOURNAL_KEEP);
	text = known_text();
	CHECK_STR(text, known);
	free(text);
	free(known);
	forget();
}

/* --- against a model --- */

/* All that was ever written: of everybody, and of each. */
static struct model {
	char *text[SUBJECTS + 1];
	size_t len[SUBJECTS + 1];
	uint64_t seq;
} model;

static void model_add(unsigned i, const char *text)
{
	model.text[i] = realloc(model.text[i], model.len[i] + strlen(text) + 1);
	strcpy(model.text[i] + model.len[i], text);
	model.len[i] += strlen(text);
}

static void model_free(void)
{
	for (unsigned i = 0; i <= SUBJECTS; i++)
		free(model.text[i]);
	model = (struct model){0};
}

/* The time goes back now and then. */
static void both(unsigned i, enum journal_what what, const char *word, const char *detail)
{
	const uint64_t time = base - model.seq % 10 * second;
	struct journal_line l = {.seq = ++model.seq, .time = time, .what = what};
	const struct journal_subject s = i < SUBJECTS ? subject(i) : (struct journal_subject){0};
	char text[JOURNAL_LINE_MAX];

	(void)word;
	if (i < SUBJECTS) {
		strcpy(l.id, s.id);
		strcpy(l.name, s.name ?: "a");
		strcpy(l.session, s.session ?: "");
	}
	strcpy(l.detail, detail);
	journal_line_print(text, sizeof(text), &l);
	model_add(SUBJECTS, text);
	if (i < SUBJECTS)
		model_add(i == SUBJECTS - 1 ? 0 : i, text);
	note(i, what, time, detail);
}

static void check_part(unsigned i, unsigned seed)
{
	static const size_t pieces[] = {1, 13, 100, 4096, 100000};
	const struct journal_subject s = i < SUBJECTS ? subject(i) : (struct journal_subject){0};
	const struct journal_subject *of = s.id ? &s : NULL;
	const size_t piece = seed % 50 ? pieces[1 + seed % 4] : 1;
	struct log_range range;
	uint64_t from;
	char *text;

	CHECK(journal_span(j, of, &range) == 0);
	CHECK(range.end == model.len[i] && range.start <= range.end);
	if (range.end == 0)
		return;
	from = range.start + seed % (range.end - range.start + 1);
	text = read_from(of, from, piece);
	CHECK_STR(text, model.text[i] + from);
	free(text);
	if (range.start) { /* what is not kept any more goes on with the oldest that is */
		char some[50];

		CHECK(journal_copy(j, of, range.start / 2, some, sizeof(some)) > 0);
		CHECK(strncmp(some, model.text[i] + range.start, sizeof(some)) == 0 ||
		      range.end - range.start < sizeof(some));
		CHECK(model.text[i][range.start - 1] == '\n');
	}
}

static void begin_all(void)
{
	for (unsigned i = 0; i < SUBJECTS; i++)
		both(i, JOURNAL_CREATED, "created", "");
}

static void random_note(unsigned n)
{
	static const enum journal_what what[] = {JOURNAL_STARTED, JOURNAL_PAUSED, JOURNAL_RESUMED,
						 JOURNAL_OOM, JOURNAL_DIED};
	unsigned k = (unsigned)rand();
	char detail[80];

	snprintf(detail, sizeof(detail), "pid=%u%.*s", n, (int)(k % 40),
		 " k=xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
	if (k % 40 > 0 && k % 40 < 4)
		detail[strcspn(detail, " ")] = '\0';
	both(k / 64 % (SUBJECTS + 1),
	     k / 64 % (SUBJECTS + 1) == SUBJECTS ? JOURNAL_SERVER_STARTED : what[k / 1024 % 5], "",
	     detail);
}

static void test_model(void)
{
	reopen(JOURNAL_KEEP);
	begin_all();
	for (unsigned n = 0; n < 400; n++) {
		random_note(n);
		if (n % 3)
			save();
		if (n % 37 == 0) {
			save();
			for (unsigned i = 0; i <= SUBJECTS; i++)
				check_part(i == SUBJECTS - 1 ? 0 : i, (unsigned)rand());
		}
	}
	save();
	model_free();
	forget();
}

static uint64_t bytes_on_disk(void)
{
	struct stat st;

	CHECK(fstat(j->fd, &st) == 0);
	return (uint64_t)st.st_blocks * 512;
}

/* The oldest lines go, whole; positions stay; a server that starts knows what they said. */
static void test_bound(void)
{
	enum { BOUND = 16384, SLACK = 2 * JOURNAL_LINE_MAX };
	struct log_range range;

	reopen(BOUND);
	begin_all();
	for (unsigned n = 0; n < 3000; n++) {
		random_note(n);
		if (n % 4 == 0)
			save();
		if (n % 101 == 0) {
			char *before, *after;

			save();
			CHECK(journal_span(j, NULL, &range) == 0);
			CHECK(range.end - range.start <= BOUND);
			CHECK(range.end < BOUND || range.end - range.start > BOUND / 8 * 7 - SLACK);
			CHECK(bytes_on_disk() <= BOUND + 3 * 4096);
			before = known_text();
			reopen(BOUND);
			after = known_text();
			CHECK_STR(after, before);
			free(before);
			free(after);
		}
		if (n % 29 == 0) {
			save();
			for (unsigned i = 0; i <= SUBJECTS; i++)
				check_part(i == SUBJECTS - 1 ? 0 : i, (unsigned)rand());
		}
	}
	CHECK(journal_span(j, NULL, &range) == 0 && range.end > 10 * BOUND);
	model_free();
	forget();
}

static const struct check_test tests[] = {
	{"a line", test_line}, {"lines that are none", test_bad_lines},
	{"words", test_words}, {"unsafe details", test_unsafe_detail},
	{"once", test_once},   {"rename", test_rename},
	{"model", test_model}, {"bound", test_bound},
};

int main(void)
{
	srand(7);
	return journal_tests(tests, CTN_COUNT(tests));
}
