/* SPDX-License-Identifier: Apache-2.0 */
/* Documents that are none, and the sentence about each. */
#include "json_doc.h"

#include "check.h"
#include "cleanup.h"

static int parse(const char *text, struct json_doc **ret, struct ctn_err *err)
{
	return json_doc_parse(text, strlen(text), ret, err);
}

struct bad {
	const char *text, *sentence; /* the sentence from its beginning on */
};

static const struct bad bad_structure[] = {
	{"", "line 1, column 1: an object, '{', is expected, but the text ends"},
	{" \n ", "line 2, column 2: an object, '{', is expected, but the text ends"},
	{"[]", "line 1, column 1: an object, '{', is expected, not '['"},
	{"\"a\"", "line 1, column 1: an object"},
	{"1", "line 1, column 1: an object"},
	{"null", "line 1, column 1: an object"},
	{"\xef\xbb\xbf{}", "line 1, column 1: an object, '{', is expected, not '\xef\xbb\xbf'"},
	{"{", "line 1, column 2: a key in double quotes is expected, but the text ends"},
	{"}", "line 1, column 1: an object, '{', is expected, not '}'"},
	{"{]", "line 1, column 2: a key in double quotes is expected, not ']'"},
	{"{,}", "line 1, column 2: a key in double quotes is expected, not ','"},
	{"{a: 1}", "line 1, column 2: a key in double quotes is expected, not 'a'"},
	{"{'a': 1}", "line 1, column 2: a key in double quotes is expected, not ': JSON"},
	{"{1: 1}", "line 1, column 2: a key in double quotes is expected, not '1'"},
	{"{null: 1}", "line 1, column 2: a key in double quotes is expected, not 'n'"},
	{"{\"a\"}", "a (line 1, column 5): ':' behind a key is expected, not '}'"},
	{"{\"a\" 1}", "a (line 1, column 6): ':' behind a key is expected, not '1'"},
	{"{\"a\"=1}", "a (line 1, column 5): ':' behind a key is expected, not '='"},
	{"{\"a\":}", "a (line 1, column 6): a value is expected, not '}'"},
	{"{\"a\":", "a (line 1, column 6): a value is expected, but the text ends"},
	{"{\"a\"::1}", "a (line 1, column 6): a value is expected, not ':'"},
	{"{\"a\":1", "line 1, column 7: ',' or '}' is expected, but the text ends"},
	{"{\"a\":1,}", "line 1, column 8: nothing stands between a ',' and the '}'"},
	{"{\"a\":1,,}", "line 1, column 8: a key in double quotes is expected, not ','"},
	{"{\"a\":1 \"b\":2}", "line 1, column 8: ',' or '}' is expected, not '\"'"},
	{"{\"a\":1;}", "line 1, column 7: ',' or '}' is expected, not ';'"},
	{"{\"a\":1]", "line 1, column 7: ',' or '}' is expected, not ']'"},
	{"{\"a\":[1}}", "a (line 1, column 8): ',' or ']' is expected, not '}'"},
	{"{\"a\":[1 2]}", "a (line 1, column 9): ',' or ']' is expected, not '2'"},
	{"{\"a\":[1,]}", "a (line 1, column 9): nothing stands between a ',' and the ']'"},
	{"{\"a\":[,1]}", "a[0] (line 1, column 7): a value is expected, not ','"},
	{"{\"a\":[1,,2]}", "a[1] (line 1, column 9): a value is expected, not ','"},
	{"{\"a\":[", "a[0] (line 1, column 7): a value is expected, but the text ends"},
	{"{\"a\":[1", "a (line 1, column 8): ',' or ']' is expected, but the text ends"},
	{"{\"a\":[:]}", "a[0] (line 1, column 7): a value is expected, not ':'"},
	{"{}}", "line 1, column 3: the end of the document is expected, not '}'"},
	{"{} {}", "line 1, column 4: the end of the document is expected, not '{'"},
	{"{}\n\nx", "line 3, column 1: the end of the document is expected, not 'x'"},
	{"{},", "line 1, column 3: the end of the document is expected, not ','"},
	{"// c\n{}", "line 1, column 1: an object, '{', is expected, not '/': JSON has no"},
	{"# c\n{}", "line 1, column 1: an object, '{', is expected, not '#': JSON has no comm"},
	{"{ /* c */ }", "line 1, column 3: a key in double quotes is expected, not '/': JSON"},
	{"{\"a\": /* c */ 1}", "a (line 1, column 7): a value is expected, not '/': JSON has"},
	{"{\"a\": 1 // c\n}", "line 1, column 9: ',' or '}' is expected, not '/': JSON has"},
	{"{} // c", "line 1, column 4: the end of the document is expected, not '/': JSON"},
	{"{\f}", "line 1, column 2: a key in double quotes is expected, not byte 0x0c"},
	{"{\xc2\xa0}", "line 1, column 2: a key in double quotes is expected, not '\xc2\xa0'"},
	{"{\"a\": {\"b\": [{}, {\"c\": x}]}}", "a.b[1].c (line 1, column 24): a value is exp"},
	{"{\"ä\":\n \"äöü\" x}", "line 2, column 8: ',' or '}' is expected, not 'x'"},
};

static const struct bad bad_values[] = {
	{"{\"a\": True}", "a (line 1, column 7): a value is expected, not 'T'"},
	{"{\"a\": tru}", "a (line 1, column 7): a value is expected, not 't'"},
	{"{\"a\": truex}", "line 1, column 11: ',' or '}' is expected, not 'x'"},
	{"{\"a\": NULL}", "a (line 1, column 7): a value is expected, not 'N'"},
	{"{\"a\": nul", "a (line 1, column 7): a value is expected, not 'n'"},
	{"{\"a\": NaN}", "a (line 1, column 7): a value is expected, not 'N'"},
	{"{\"a\": Infinity}", "a (line 1, column 7): a value is expected, not 'I'"},
	{"{\"a\": -Infinity}", "a (line 1, column 7): digits are expected behind a '-'"},
	{"{\"a\": nan}", "a (line 1, column 7): a value is expected, not 'n'"},
	{"{\"a\": undefined}", "a (line 1, column 7): a value is expected, not 'u'"},
	{"{\"a\": 'b'}", "a (line 1, column 7): a value is expected, not ': JSON"},
	{"{\"a\": `b`}", "a (line 1, column 7): a value is expected, not '`'"},
	{"{\"a\": @}", "a (line 1, column 7): a value is expected, not '@'"},
	{"{\"a\": \xff}", "a (line 1, column 7): byte 0xff is not UTF-8"},
	{"{\"a\": \x7f}", "a (line 1, column 7): a value is expected, not byte 0x7f"},
	/* numbers */
	{"{\"a\": 01}", "a (line 1, column 7): a number does not begin with 0"},
	{"{\"a\": 00}", "a (line 1, column 7): a number does not begin with 0"},
	{"{\"a\": -01}", "a (line 1, column 7): a number does not begin with 0"},
	{"{\"a\": -0}", "a (line 1, column 7): -0 is no number of its own: write 0"},
	{"{\"a\": -0.0}", "a (line 1, column 7): -0.0 is no number of its own"},
	{"{\"a\": -0e5}", "a (line 1, column 7): -0e5 is no number of its own"},
	{"{\"a\": 1e400}", "a (line 1, column 7): 1e400 is out of range"},
	{"{\"a\": -1e400}", "a (line 1, column 7): -1e400 is out of range"},
	{"{\"a\": 1e-400}", "a (line 1, column 7): 1e-400 is out of range"},
	{"{\"a\": 18446744073709551616}", "a (line 1, column 7): 18446744073709551616 is out"},
	{"{\"a\": -9223372036854775809}", "a (line 1, column 7): -9223372036854775809 is out"},
	{"{\"a\": 10000000000000000000000000000000000000000000000000000000000000000}",
	 "a (line 1, column 7): a number of more than 64 characters is out of range"},
	{"{\"a\": +1}", "a (line 1, column 7): a value is expected, not '+'"},
	{"{\"a\": .5}", "a (line 1, column 7): a value is expected, not '.'"},
	{"{\"a\": 1.}", "a (line 1, column 7): digits are expected behind the point"},
	{"{\"a\": 1.e5}", "a (line 1, column 7): digits are expected behind the point"},
	{"{\"a\": 1e}", "a (line 1, column 7): digits are expected in the exponent"},
	{"{\"a\": 1e+}", "a (line 1, column 7): digits are expected in the exponent"},
	{"{\"a\": -}", "a (line 1, column 7): digits are expected behind a '-'"},
	{"{\"a\": --1}", "a (line 1, column 7): digits are expected behind a '-'"},
	{"{\"a\": 0x10}", "line 1, column 8: ',' or '}' is expected, not 'x'"},
	{"{\"a\": 1_000}", "line 1, column 8: ',' or '}' is expected, not '_'"},
	{"{\"a\": 64M}", "line 1, column 9: ',' or '}' is expected, not 'M'"},
	{"{\"a\": 1", "line 1, column 8: ',' or '}' is expected, but the text ends"},
};

static const struct bad bad_strings[] = {
	{"{\"a", "line 1, column 2: a string has no closing quote"},
	{"{\"a\": \"b}", "a (line 1, column 7): a string has no closing quote"},
	{"{\"a\": \"b\\\"}", "a (line 1, column 7): a string has no closing quote"},
	{"{\"a\": \"b\\", "a (line 1, column 9): a backslash is followed by"},
	{"{\"a\": \"b\nc\"}", "a (line 1, column 9): byte 0x0a in a string is written as \\n"},
	{"{\"a\": \"b\tc\"}", "a (line 1, column 9): byte 0x09 in a string is written as \\t"},
	{"{\"a\": \"b\x1f\"}", "a (line 1, column 9): byte 0x1f in a string is written as \\u"},
	{"{\"a\": \"\\x41\"}", "a (line 1, column 8): a backslash is followed by"},
	{"{\"a\": \"\\'\"}", "a (line 1, column 8): a backslash is followed by"},
	{"{\"a\": \"\\U0041\"}", "a (line 1, column 8): a backslash is followed by"},
	{"{\"a\": \"\\\n\"}", "a (line 1, column 8): a backslash is followed by"},
	{"{\"a\": \"\\u\"}", "a (line 1, column 8): four hexadecimal digits"},
	{"{\"a\": \"\\u004\"}", "a (line 1, column 8): four hexadecimal digits"},
	{"{\"a\": \"\\u00g4\"}", "a (line 1, column 8): four hexadecimal digits"},
	{"{\"a\": \"\\u00", "a (line 1, column 8): four hexadecimal digits"},
	{"{\"a\": \"\\u+041\"}", "a (line 1, column 8): four hexadecimal digits"},
	{"{\"a\": \"x\\u0000\"}", "a (line 1, column 9): a NUL (\\u0000) cannot be in a value"},
	{"{\"\\u0000\": 1}", "line 1, column 3: a NUL (\\u0000) cannot be in a value"},
	{"{\"a\": \"\\ud800\"}", "a (line 1, column 8): \\ud800 is one half of a surrogate"},
	{"{\"a\": \"\\udc00\"}", "a (line 1, column 8): \\udc00 is one half"},
	{"{\"a\": \"\\ude00\\ud83d\"}", "a (line 1, column 8): \\ude00 is one half"},
	{"{\"a\": \"\\ud83dx\"}", "a (line 1, column 8): \\ud83d is one half"},
	{"{\"a\": \"\\ud83d\\u0041\"}", "a (line 1, column 8): \\ud83d is one half"},
	{"{\"a\": \"\\ud83d\\ud83d\"}", "a (line 1, column 8): \\ud83d is one half"},
	{"{\"a\": \"\\ud83d\\ude0", "a (line 1, column 8): \\ud83d is one half"},
	/* UTF-8: a byte alone, cut, overlong, a surrogate, beyond the last character */
	{"{\"a\": \"\x80\"}", "a (line 1, column 8): byte 0x80 is not UTF-8"},
	{"{\"a\": \"\xc3\"}", "a (line 1, column 8): byte 0xc3 is not UTF-8"},
	{"{\"a\": \"\xe2\x82\"}", "a (line 1, column 8): byte 0xe2 is not UTF-8"},
	{"{\"a\": \"\xf0\x9f\x98\"}", "a (line 1, column 8): byte 0xf0 is not UTF-8"},
	{"{\"a\": \"\xc0\xaf\"}", "a (line 1, column 8): byte 0xc0 is not UTF-8"},
	{"{\"a\": \"\xc1\x81\"}", "a (line 1, column 8): byte 0xc1 is not UTF-8"},
	{"{\"a\": \"\xe0\x9f\xbf\"}", "a (line 1, column 8): byte 0xe0 is not UTF-8"},
	{"{\"a\": \"\xf0\x8f\xbf\xbf\"}", "a (line 1, column 8): byte 0xf0 is not UTF-8"},
	{"{\"a\": \"\xed\xa0\x80\"}", "a (line 1, column 8): byte 0xed is not UTF-8"},
	{"{\"a\": \"\xf4\x90\x80\x80\"}", "a (line 1, column 8): byte 0xf4 is not UTF-8"},
	{"{\"a\": \"\xf5\x80\x80\x80\"}", "a (line 1, column 8): byte 0xf5 is not UTF-8"},
	{"{\"a\": \"\xff\"}", "a (line 1, column 8): byte 0xff is not UTF-8"},
	{"{\"\xc3(\": 1}", "line 1, column 3: byte 0xc3 is not UTF-8"},
	/* keys */
	{"{\"a\":1,\"a\":1}", "a (line 1, column 8): this key is there twice"},
	{"{\"a\":1,\"b\":2,\n\"a\":null}", "a (line 2, column 1): this key is there twice"},
	{"{\"a\":1,\"\\u0061\":1}", "a (line 1, column 8): this key is there twice"},
	{"{\"\":1,\"\":1}", "'' (line 1, column 7): this key is there twice"},
	{"{\"a\":[{\"b c\":1,\"b c\":1}]}", "a[0].'b c' (line 1, column 16): this key is"},
	{"{\"\\\\\\\"\":1,\"x\":1,\"\\\\\\\"\":2}", "'\\\"' (line 1, column 17): this key is"},
};

static void check_bad(const struct bad *rows, size_t count)
{
	struct json_doc *untouched = NULL;

	for (size_t i = 0; i < count; i++) {
		CHECK_ERR(parse(rows[i].text, &untouched, &check_err), EINVAL, rows[i].sentence);
		if (strncmp(check_err.text, rows[i].sentence, strlen(rows[i].sentence)) != 0)
			CHECK_STR(check_err.text, rows[i].sentence);
		CHECK(parse(rows[i].text, &untouched, NULL) == -EINVAL);
	}
	CHECK(!untouched);
}

static void test_bad_structure(void)
{
	check_bad(bad_structure, CTN_COUNT(bad_structure));
}

static void test_bad_values(void)
{
	check_bad(bad_values, CTN_COUNT(bad_values));
}

static void test_bad_strings(void)
{
	check_bad(bad_strings, CTN_COUNT(bad_strings));
}

static void test_raw_nul(void)
{
	struct json_doc *doc = NULL;

	CHECK_ERR(json_doc_parse("{\"a\": \"b\0c\"}", 12, &doc, &check_err), EINVAL,
		  "a (line 1, column 9): a NUL cannot be in a value");
	CHECK_ERR(json_doc_parse("{\0}", 3, &doc, &check_err), EINVAL, "not byte 0x00");
	CHECK_ERR(json_doc_parse("{}\0", 3, &doc, &check_err), EINVAL,
		  "line 1, column 3: the end of the document is expected, not byte 0x00");
	CHECK_ERR(json_doc_parse("{}\0x", 4, &doc, &check_err), EINVAL, "column 3");
	CHECK(!doc);
}

static const struct check_test tests[] = {
	{"bad structure", test_bad_structure},
	{"bad values", test_bad_values},
	{"bad strings", test_bad_strings},
	{"raw NUL", test_raw_nul},
};

int main(void)
{
	return check_run(tests, CTN_COUNT(tests));
}
