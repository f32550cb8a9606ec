/* SPDX-License-Identifier: Apache-2.0 */
/* JSON from strangers: what is taken, how it is read, and the limits. test_json_bad.c has the rest.
 */
#include "json_doc.h"

#include <stdlib.h>

#include "check.h"
#include "cleanup.h"

static int parse(const char *text, struct json_doc **ret, struct ctn_err *err)
{
	return json_doc_parse(text, strlen(text), ret, err);
}

static void test_values(void)
{
	static const char text[] =
		" {\"s\": \"a\\u00e4\\ud83d\\ude00\\n\", \"n\": null,\n \"o\": {\"a\": [1, [2, "
		"true], -9223372036854775808]},\r\n\t\"u\": 18446744073709551615, \"d\": 1.0}\n ";
	struct json_doc *doc = NULL;
	struct json_at root, at, inner, third;
	const char *string = NULL;
	int64_t n = 0;
	uint64_t u = 0;
	bool b = false;

	CHECK_ERR(parse(text, &doc, &check_err), 0, "");
	if (!doc)
		return;
	root = json_root(doc);
	CHECK(json_length(&root) == 5 && json_want_object(&root, NULL) == 0);
	CHECK(json_get(&root, "s", &at) && json_want_string(&at, &string, NULL) == 0);
	CHECK_STR(string, "aä😀\n");
	CHECK(json_get(&root, "n", &at) && !at.value && at.index == 1);
	CHECK(json_get(&root, "u", &at) && json_want_uint(&at, UINT64_MAX, &u, NULL) == 0);
	CHECK(u == UINT64_MAX);
	CHECK(json_member(&root, 2, &at) && strcmp(at.key, "o") == 0);
	CHECK(json_get(&at, "a", &inner) && json_want_array(&inner, NULL) == 0);
	CHECK(json_item(&inner, 2, &third) && json_want_int(&third, INT64_MIN, 0, &n, NULL) == 0);
	CHECK(n == INT64_MIN);
	CHECK(json_item(&inner, 1, &third) && json_item(&third, 1, &at));
	CHECK(json_want_bool(&at, &b, NULL) == 0 && b);
	json_fail(&at, EINVAL, &check_err, "no %s", "good");
	CHECK_STR(check_err.text, "o.a[1][1] (line 2, column 21): no good");
	json_doc_free(doc);
}

/* Any byte of a text that is read is in its @len bytes. */
static void test_cut(void)
{
	static const char text[] = "{\"a\": [1.5e3, -2, \"\\ud83d\\ude00\xf0\x9f\x98\x80\\n\", "
				   "true, false, null, {\"b\": {}}], \"c\": []}";
	struct json_doc *doc = NULL;

	for (size_t n = 0; n < sizeof(text) - 1; n++) {
		ctn_autofree char *exact = malloc(n ?: 1);

		memcpy(exact, text, n);
		CHECK_ERR(json_doc_parse(exact, n, &doc, &check_err), EINVAL, "line 1, column");
	}
	CHECK(!doc && parse(text, &doc, NULL) == 0);
	json_doc_free(doc);
	json_doc_free(NULL);
}

/* --- limits --- */

/* {"a":[[…1…]]}, @depth deep. */
static char *nested(size_t depth, const char *core)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	fputs("{\"a\":", out);
	for (size_t i = 1; i < depth; i++)
		putc('[', out);
	fputs(core, out);
	for (size_t i = 1; i < depth; i++)
		putc(']', out);
	putc('}', out);
	fclose(out);
	return text;
}

static void test_depth(void)
{
	static const char *const cores[] = {"", "1", "\"s\"", "{}"};
	struct json_doc *doc = NULL;

	for (size_t i = 0; i < CTN_COUNT(cores); i++) {
		size_t most = JSON_DOC_DEPTH - (cores[i][0] == '{');
		ctn_autofree char *deep = nested(most, i == 0 ? "1" : cores[i]);
		ctn_autofree char *deeper = nested(most + 1, cores[i]);

		CHECK_ERR(parse(deep, &doc, &check_err), 0, "");
		json_doc_free(doc);
		doc = NULL;
		CHECK_ERR(parse(deeper, &doc, &check_err), EINVAL, "more than 64 deep");
		CHECK(strncmp(check_err.text, "a[0][0][0]", 10) == 0);
		CHECK(strstr(check_err.text, "(line 1, column 69)"));
	}
	CHECK(!doc);
}

/* {"a":"xxx…"} of @len bytes. */
static char *long_text(size_t len)
{
	char *text = malloc(len + 1);

	memset(text, 'x', len);
	memcpy(text, "{\"a\":\"", 6);
	memcpy(text + len - 2, "\"}", 3);
	return text;
}

static void test_size(void)
{
	ctn_autofree char *most = long_text(JSON_DOC_MAX), *more = long_text(JSON_DOC_MAX + 1);
	struct json_doc *doc = NULL;

	CHECK(json_doc_end(most, JSON_DOC_MAX, NULL) == JSON_DOC_MAX);
	CHECK(json_doc_parse(most, JSON_DOC_MAX, &doc, NULL) == 0);
	json_doc_free(doc);
	doc = NULL;
	CHECK_ERR(json_doc_parse(more, JSON_DOC_MAX + 1, &doc, &check_err), EINVAL,
		  "line 1, column 1048577: a document has at most 1048576 bytes");
	CHECK(json_doc_end(more, JSON_DOC_MAX, NULL) == 0);
	CHECK_ERR((int)json_doc_end(more, JSON_DOC_MAX + 1, &check_err), EINVAL,
		  "1048577: a document");
	CHECK(!doc);
}

/* As many values and members as fit, walked through, in no time. */
static void test_many(void)
{
	enum { MEMBERS = 90000, LAST = MEMBERS - 1 };
	char *text = NULL;
	size_t len, n = 0;
	FILE *out = open_memstream(&text, &len);
	struct json_doc *doc = NULL;
	struct json_at root, at;

	for (int i = 0; i < MEMBERS; i++)
		fprintf(out, "%c\"%x\":[]", i ? ',' : '{', i);
	fputs("}", out);
	fclose(out);
	CHECK_ERR(json_doc_parse(text, len, &doc, &check_err), 0, "");
	if (doc) {
		root = json_root(doc);
		while (json_member(&root, n, &at))
			n++;
		CHECK(n == MEMBERS && at.index == LAST && strcmp(at.key, "15f8f") == 0);
		CHECK(json_get(&root, "15f8f", &at) && at.index == LAST);
	}
	json_doc_free(doc);
	free(text);
}

/* --- the end of a document in a stream --- */

static void test_end(void)
{
	static const char text[] = " \r\n\t{\"a\": \"}\\\"]\\\\\", \"b\": [{}, \"{\"], "
				   "\"c\\\"}\": {\"d\": 1}}";
	static const char two[] = "{} \n {\"a\": 1}\n[1]";
	size_t len = sizeof(text) - 1;
	ssize_t n;

	for (size_t i = 0; i < len; i++) {
		ctn_autofree char *exact = malloc(i ?: 1);

		memcpy(exact, text, i);
		CHECK(json_doc_end(exact, i, NULL) == 0);
	}
	CHECK(json_doc_end(text, len, NULL) == (ssize_t)len);
	CHECK(json_doc_end("{}", 2, NULL) == 2 && json_doc_end("{]", 2, NULL) == 2);
	n = json_doc_end(two, sizeof(two) - 1, NULL);
	CHECK(n == 2);
	n += json_doc_end(two + n, sizeof(two) - 1 - (size_t)n, NULL);
	CHECK(n == 13);
	CHECK_ERR((int)json_doc_end(two + n, sizeof(two) - 1 - (size_t)n, &check_err), EINVAL,
		  "line 2, column 1: a document begins with '{', not with '['");
	CHECK_ERR((int)json_doc_end("\n x", 3, &check_err), EINVAL, "line 2, column 2");
	CHECK_ERR((int)json_doc_end("\0{}", 3, &check_err), EINVAL, "line 1, column 1");
	CHECK_ERR((int)json_doc_end("}", 1, &check_err), EINVAL, "not with '}'");
	CHECK(json_doc_end("", 0, NULL) == 0 && json_doc_end(" \n", 2, NULL) == 0);
}

/* --- values by type --- */

static struct json_at at_of(const struct json_at *root, const char *key)
{
	struct json_at at = {0};

	CHECK(json_get(root, key, &at));
	return at;
}

static void test_types(void)
{
	static const struct {
		const char *key, *sentence;
	} rows[] = {
		{"n", "n (line 1, column 6): an object is expected, not null"},
		{"t", "t (line 1, column 16): an object is expected, not true"},
		{"f", "f (line 1, column 26): an object is expected, not false"},
		{"i", "i (line 1, column 37): an object is expected, not a number"},
		{"d", "d (line 1, column 45): an object is expected, not a number"},
		{"s", "s (line 1, column 55): an object is expected, not a string"},
		{"a", "a (line 1, column 66): an object is expected, not an array"},
	};
	struct json_doc *doc = NULL;
	struct json_at root, at, none;
	const char *string = NULL;
	int64_t n = 77;
	uint64_t u = 77;
	bool b = true;

	CHECK(parse("{\"n\":null,\"t\": true,\"f\": false,\"i\": 12,\"d\": 1.0, \"s\": \"12\", "
		    "\"a\": [], \"o\": {}}",
		    &doc, NULL) == 0);
	root = json_root(doc);
	for (size_t i = 0; i < CTN_COUNT(rows); i++) {
		at = at_of(&root, rows[i].key);
		CHECK_ERR(json_want_object(&at, &check_err), EINVAL, rows[i].sentence);
	}
	at = at_of(&root, "o");
	CHECK(json_want_object(&at, NULL) == 0 && json_length(&at) == 0);
	CHECK(!json_member(&at, 0, &none) && !json_item(&at, 0, &none));
	CHECK(!json_get(&at, "x", &none));
	CHECK_ERR(json_want_array(&at, &check_err), EINVAL, "an array is expected, not an object");
	CHECK_ERR(json_want_bool(&at, &b, &check_err), EINVAL, "true or false is expected, not an");
	at = at_of(&root, "a");
	CHECK(json_want_array(&at, NULL) == 0 && !json_item(&at, 0, &none));
	CHECK(!json_get(&at, "x", &none) && !json_member(&at, 0, &none));
	at = at_of(&root, "i");
	CHECK_ERR(json_want_string(&at, &string, &check_err), EINVAL,
		  "a string is expected, not a");
	CHECK(json_length(&at) == 0);
	at = at_of(&root, "s");
	CHECK_ERR(json_want_int(&at, 0, 100, &n, &check_err), EINVAL, "a whole number is expected");
	CHECK_ERR(json_want_uint(&at, 100, &u, &check_err), EINVAL,
		  "whole number is expected, not");
	at = at_of(&root, "d");
	CHECK_ERR(json_want_int(&at, 0, 100, &n, &check_err), EINVAL, "without point and exponent");
	CHECK(n == 77 && u == 77 && b && !string);
	json_doc_free(doc);
}

static void test_ranges(void)
{
	struct json_doc *doc = NULL;
	struct json_at root, at;
	int64_t n = 77;
	uint64_t u = 77;

	CHECK(parse("{\"min\": -9223372036854775808, \"max\": 9223372036854775807, \"over\": "
		    "9223372036854775808, \"most\": 18446744073709551615, \"m\": -1, \"e\": 1e2}",
		    &doc, NULL) == 0);
	root = json_root(doc);
	at = at_of(&root, "min");
	CHECK_ERR(json_want_int(&at, -5, 5, &n, &check_err), EINVAL,
		  "min (line 1, column 9): -9223372036854775808 is out of range: -5 to 5");
	CHECK_ERR(json_want_uint(&at, 5, &u, &check_err), EINVAL, "out of range: 0 to 5");
	CHECK(n == 77 && json_want_int(&at, INT64_MIN, 0, &n, NULL) == 0 && n == INT64_MIN);
	at = at_of(&root, "max");
	CHECK(json_want_int(&at, 0, INT64_MAX, &n, NULL) == 0 && n == INT64_MAX);
	CHECK(json_want_uint(&at, INT64_MAX, &u, NULL) == 0 && u == INT64_MAX);
	CHECK_ERR(json_want_uint(&at, INT64_MAX - 1, &u, &check_err), EINVAL, "out of range");
	at = at_of(&root, "over");
	CHECK_ERR(json_want_int(&at, 0, INT64_MAX, &n, &check_err), EINVAL,
		  "9223372036854775808 is out of range: 0 to 9223372036854775807");
	CHECK_ERR(json_want_int(&at, INT64_MIN, -1, &n, &check_err), EINVAL, "out of range");
	CHECK(json_want_uint(&at, UINT64_MAX, &u, NULL) == 0 && u == 1ULL << 63);
	at = at_of(&root, "most");
	CHECK(json_want_uint(&at, UINT64_MAX, &u, NULL) == 0 && u == UINT64_MAX);
	CHECK_ERR(json_want_uint(&at, UINT64_MAX - 1, &u, &check_err), EINVAL, "out of range");
	at = at_of(&root, "m");
	CHECK_ERR(json_want_uint(&at, UINT64_MAX, &u, &check_err), EINVAL, "-1 is out of range: 0");
	CHECK_ERR(json_want_int(&at, 0, 1, &n, &check_err), EINVAL, "-1 is out of range: 0 to 1");
	at = at_of(&root, "e");
	CHECK_ERR(json_want_int(&at, 0, 100, &n, &check_err), EINVAL, "without point and exponent");
	json_doc_free(doc);
}

/* --- sentences --- */

static void test_sentences(void)
{
	static const char text[] =
		"{\"a.b\": {\"\": [{\"a b\": 1}]},\n\"ü\": 1, "
		"\"0123456789012345678901234567890123456789012345678901234567890123456789\": 1}";
	struct json_doc *doc = NULL;
	struct json_at root, at, kid;

	CHECK(parse(text, &doc, NULL) == 0);
	root = json_root(doc);
	CHECK(json_fail(&root, ENOENT, &check_err, "no %s", "cmd") == -ENOENT);
	CHECK_STR(check_err.text, "line 1, column 1: no cmd");
	CHECK(check_err.code == ENOENT);
	/* one variable for all of the way is enough */
	CHECK(json_member(&root, 0, &at) && json_get(&at, "", &kid) && json_item(&kid, 0, &kid) &&
	      json_member(&kid, 0, &kid));
	ctn_fail(&check_err, ERANGE, "pids.max: too much");
	CHECK(json_fail_context(&kid, &check_err) == -ERANGE);
	CHECK_STR(check_err.text, "a.b.''[0].'a b' (line 1, column 23): pids.max: too much");
	CHECK(json_member(&root, 1, &at) && json_fail(&at, EINVAL, &check_err, "x") == -EINVAL);
	CHECK_STR(check_err.text, "'ü' (line 2, column 6): x");
	CHECK(json_member(&root, 2, &at) && json_fail(&at, EINVAL, NULL, "x") == -EINVAL);
	json_fail(&at, EINVAL, &check_err, "x");
	CHECK(strncmp(check_err.text,
		      "0123456789012345678901234567890123456789012345678901234567890123… (line 2, ",
		      76) == 0);
	json_doc_free(doc);
}

/* A way that is too long is cut, the line and the sentence are not. */
static void test_long_way(void)
{
	char text[64 * 64], *p = text;
	struct json_doc *doc = NULL;

	for (int i = 0; i < 60; i++)
		p += sprintf(p, "{\"%050d\":\n", i);
	strcpy(p, "?");
	CHECK_ERR(parse(text, &doc, &check_err), EINVAL, "… (line 61, column 1): a value is expec");
}

static void test_loose(void)
{
	struct json_object *o = json_tokener_parse("{\"a\": [1, {\"b\": null}], \"c\": 2}");
	struct json_at root = json_loose(o), a, item, b;

	CHECK(json_length(&root) == 2 && json_get(&root, "a", &a) && a.index == 0);
	CHECK(json_item(&a, 1, &item) && json_member(&item, 0, &b) && !b.value);
	CHECK_ERR(json_want_object(&b, &check_err), EINVAL, "");
	CHECK_STR(check_err.text, "a[1].b: an object is expected, not null");
	CHECK(json_member(&root, 1, &b) && strcmp(b.key, "c") == 0 && !json_member(&root, 2, &b));
	json_fail(&root, EINVAL, &check_err, "x");
	CHECK_STR(check_err.text, "the document: x");
	json_object_put(o);
}

static const struct check_test tests[] = {
	{"values", test_values},     {"cut", test_cut},	      {"depth", test_depth},
	{"size", test_size},	     {"many", test_many},     {"end", test_end},
	{"types", test_types},	     {"ranges", test_ranges}, {"sentences", test_sentences},
	{"long way", test_long_way}, {"loose", test_loose},
};

int main(void)
{
	return check_run(tests, CTN_COUNT(tests));
}
