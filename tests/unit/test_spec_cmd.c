/* SPDX-License-Identifier: Apache-2.0 */
/* The command's grammar: quoting, what only a shell would understand, JSON, limits. */
#include "spec_fixture.h"

enum { ROUNDS = 600, WORDS_MOST = 6, BYTES_MOST = 12 };

struct row {
	const char *text;
	const char *words[6];
};

static const struct row good[] = {
	{"true", {"true"}},
	{"  ls   -l\t/tmp \n", {"ls", "-l", "/tmp"}},
	{"echo 'a b' \"c d\" e\\ f", {"echo", "a b", "c d", "e f"}},
	{"echo '' \"\"", {"echo", "", ""}},
	{"echo a'b'\"c\"d", {"echo", "abcd"}},
	{"echo '\\n' \"\\n\" \\n", {"echo", "\\n", "\\n", "n"}},
	{"echo \"\\\"\\\\\\$\\`\"", {"echo", "\"\\$`"}},
	{"echo '|&;<>$()*?`'", {"echo", "|&;<>$()*?`"}},
	{"echo \\| \\$x", {"echo", "|", "$x"}},
	{"sh -c 'exit 3'", {"sh", "-c", "exit 3"}},
	{"echo a\\ ", {"echo", "a "}},
	{"echo a\r\n", {"echo", "a"}},
	{"echo a#b", {"echo", "a#b"}},
	{"echo # still words", {"echo", "#", "still", "words"}},
	{"# a comment\n\nfirst\nsecond x\n", {"second", "x"}},
	{"[ -e /x ]", {"[", "-e", "/x", "]"}},
	{"[\"ls\", \"-l\", \"a b\"]", {"ls", "-l", "a b"}},
	{" [ \"sh\" , \"-c\", \"a\\nb | c\\u00e4\" ] \n", {"sh", "-c", "a\nb | c\xc3\xa4"}},
	{"[\"echo\", \"\"]", {"echo", ""}},
	{"prog \xff\xfe", {"prog", "\xff\xfe"}},
	{"a=b ~ {x} !1 %y ^z", {"a=b", "~", "{x}", "!1", "%y", "^z"}},
};

static void check_words(const struct spec *s, const struct row *row)
{
	size_t n = 0;

	while (n < CTN_COUNT(row->words) && row->words[n])
		n++;
	CHECK(s->cmd.len == n);
	for (size_t i = 0; i < n && i < s->cmd.len; i++)
		CHECK_STR(s->cmd.items[i], row->words[i]);
}

static void test_words(void)
{
	for (size_t i = 0; i < CTN_COUNT(good); i++) {
		struct spec *s = spec_new("db");

		CHECK(put(&s, "cmd", good[i].text, NULL) == 0);
		check_words(s, &good[i]);
		check_echo(s, "cmd");
		CHECK(put(&s, "cmd", text_of(s, "cmd"), NULL) == 0);
		check_words(s, &good[i]);
		spec_put(s);
	}
}

static void test_refused(void)
{
	static const char *const bad[][2] = {
		{"echo 'a", "' has no partner"},       {"echo \"a", "\" has no partner"},
		{"echo \"a\\\"", "\" has no partner"}, {"echo a\\", "ends in a backslash"},
		{"''", "program's name is empty"},     {"'' a", "program's name is empty"},
		{"[]", "program's name is empty"},     {"[\"\"]", "program's name is empty"},
		{"[\"a\", 1]", "element 1"},	       {"[\"a\", null]", "element 1"},
		{"[\"a\", [\"b\"]]", "element 1"},     {"[\"a\\u0000b\"]", "NUL"},
		{"[\"a\"", "not a JSON array"},	       {"[\"a\"] b", "not a JSON array"},
		{"[\"a\",]", "not a JSON array"},      {"ok\necho 'a\nok\n", "no partner"},
	};
	struct spec *s = spec_new("db");

	CHECK(put(&s, "cmd", "kept", NULL) == 0);
	for (size_t i = 0; i < CTN_COUNT(bad); i++)
		CHECK_ERR(put(&s, "cmd", bad[i][0], &check_err), EINVAL, bad[i][1]);
	CHECK_STR(text_of(s, "cmd"), "kept\n");
	CHECK(put(&s, "cmd", "\n# nothing\n", NULL) == 0);
	CHECK_STR(text_of(s, "cmd"), "kept\n");
	spec_put(s);
}

static void test_operators(void)
{
	static const char operators[] = "|&;<>$()*?`";
	struct spec *s = spec_new("db");

	for (const char *p = operators; *p; p++) {
		char text[32], shown[4] = {'\'', *p, '\'', '\0'};

		snprintf(text, sizeof(text), "echo %c", *p);
		CHECK_ERR(put(&s, "cmd", text, &check_err), EINVAL, "no shell runs here");
		CHECK(strstr(check_err.text, shown) && strstr(check_err.text, "sh -c"));
		snprintf(text, sizeof(text), "a%cb", *p);
		CHECK_ERR(put(&s, "cmd", text, &check_err), EINVAL, "no shell runs here");
		snprintf(text, sizeof(text), "echo '%c' \"\\%c\" \\%c", *p, *p, *p);
		CHECK(put(&s, "cmd", text, NULL) == 0);
	}
	CHECK_ERR(put(&s, "cmd", "echo (a)", &check_err), EINVAL, "'('");
	spec_put(s);
}

/* @n words of one letter, as a line or as JSON. */
static char *many(size_t n, bool json)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	for (size_t i = 0; i < n; i++)
		fputs(json ? i ? ",\"x\"" : "[\"x\"" : "x ", out);
	fputs(json ? "]" : "", out);
	fclose(out);
	return text;
}

static void test_limits(void)
{
	struct spec *s = spec_new("db");

	for (int json = 0; json < 2; json++) {
		ctn_autofree char *most = many(SPEC_ARGS_MAX, json);
		ctn_autofree char *more = many(SPEC_ARGS_MAX + 1, json);

		CHECK(put(&s, "cmd", most, NULL) == 0 && s->cmd.len == SPEC_ARGS_MAX);
		CHECK_ERR(put(&s, "cmd", more, &check_err), E2BIG, "4096 words");
	}
	spec_put(s);
}

/* A fixed sequence: a failure comes back. */
static unsigned next_random(void)
{
	static unsigned state = 20240611;

	state = state * 1664525u + 1013904223u;
	return state >> 16;
}

static char *random_word(bool first)
{
	static const char nasty[] = "'\"\\ \t|&;<>$()*?`#[]{}=-~!,:ab\r\v\x01\x7f\n\xc3\xa4\xff";
	size_t len = next_random() % BYTES_MOST + first;
	char *word = malloc(len + 1);

	for (size_t i = 0; i < len; i++) {
		word[i] = next_random() % 2 ? nasty[next_random() % (sizeof(nasty) - 1)]
					    : (char)(next_random() % 255 + 1);
	}
	word[len] = '\0';
	return word;
}

/* Any words at all, shown and read again, are the same words. */
static void test_round_trip(void)
{
	for (int i = 0; i < ROUNDS; i++) {
		struct spec *a = spec_new("db"), *b = spec_new("db");
		size_t n = next_random() % WORDS_MOST + 1;

		for (size_t j = 0; j < n; j++) {
			ctn_autofree char *word = random_word(j == 0);

			CHECK(strlist_add(&a->cmd, word, strlen(word)) == 0);
		}
		CHECK_ERR(put(&b, "cmd", text_of(a, "cmd"), &check_err), 0, "");
		CHECK(b->cmd.len == n);
		for (size_t j = 0; j < n && j < b->cmd.len; j++)
			CHECK_STR(b->cmd.items[j], a->cmd.items[j]);
		CHECK_STR(text_of(b, "cmd"), text_of(a, "cmd"));
		spec_put(a);
		spec_put(b);
	}
}

static const struct check_test tests[] = {
	{"words", test_words},
	{"refused", test_refused},
	{"shell operators", test_operators},
	{"limits", test_limits},
	{"any words come back", test_round_trip},
};

int main(void)
{
	return check_run(tests, CTN_COUNT(tests));
}
