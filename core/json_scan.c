/* SPDX-License-Identifier: Apache-2.0 */
/* One walk over a text: is it JSON in every byte, and where does each value begin? What the values
 * are is json-c's to say. */
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "json_private.h"

enum { NUMBER_MAX = 64, NODES_FIRST = 64 };

/* An object or array that the scanner is in, and which of its values it is at. */
struct level {
	bool array;
	size_t index;
	size_t key, key_len; /* without the quotes */
};

struct scan {
	const char *text;
	size_t len, at;
	struct json_nodes nodes;
	struct level levels[JSON_DOC_DEPTH];
	size_t depth;
	struct ctn_err *err;
};

static int scan_value(struct scan *s, size_t key);

static int refuse(const struct scan *s, size_t at, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static int refuse(const struct scan *s, size_t at, const char *fmt, ...)
{
	char sentence[CTN_ERR_TEXT];
	struct json_place place = {0};
	va_list ap;

	for (size_t i = 0; i < s->depth; i++) {
		const struct level *l = &s->levels[i];

		if (l->array)
			json_place_index(&place, l->index);
		else if (l->key)
			json_place_key(&place, s->text + l->key, l->key_len);
	}
	json_place_end(&place, s->text, at);
	va_start(ap, fmt);
	vsnprintf(sentence, sizeof(sentence), fmt, ap);
	va_end(ap);
	return ctn_fail(s->err, EINVAL, "%s: %s", place.text, sentence);
}

/* How many bytes at @at are one character of UTF-8, without overlong forms and surrogates; 0: none.
 * Source: The Unicode Standard, table 3-7. */
static size_t utf8_len(const struct scan *s, size_t at)
{
	const unsigned char *p = (const unsigned char *)s->text + at;
	size_t left = s->len - at, n = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	unsigned char low = 0x80, high = 0xbf;

	if (p[0] < 0x80)
		return 1;
	if (p[0] < 0xc2 || p[0] > 0xf4 || n > left)
		return 0;
	if (p[0] == 0xe0)
		low = 0xa0;
	else if (p[0] == 0xed)
		high = 0x9f;
	else if (p[0] == 0xf0)
		low = 0x90;
	else if (p[0] == 0xf4)
		high = 0x8f;
	if (p[1] < low || p[1] > high)
		return 0;
	for (size_t i = 2; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	}
	return n;
}

/* What stands at the scanner, in words. */
static int refuse_here(const struct scan *s, const char *wanted)
{
	unsigned char c = s->at < s->len ? (unsigned char)s->text[s->at] : 0;
	size_t n = s->at < s->len ? utf8_len(s, s->at) : 0;

	if (s->at >= s->len)
		return refuse(s, s->at, "%s is expected, but the text ends", wanted);
	if (c == '/' || c == '#')
		return refuse(s, s->at, "%s is expected, not '%c': JSON has no comments", wanted,
			      c);
	if (c == '\'')
		return refuse(s, s->at, "%s is expected, not ': JSON's quotes are double ones",
			      wanted);
	if (n == 0)
		return refuse(s, s->at, "byte 0x%02x is not UTF-8", c);
	if (c < 0x20 || c == 0x7f)
		return refuse(s, s->at, "%s is expected, not byte 0x%02x", wanted, c);
	return refuse(s, s->at, "%s is expected, not '%.*s'", wanted, (int)n, s->text + s->at);
}

/* Skips what may stand between two tokens. Return: the byte there, 0 at the end. */
static char next_byte(struct scan *s)
{
	while (s->at < s->len && s->text[s->at] && strchr(" \t\r\n", s->text[s->at]))
		s->at++;
	return s->at < s->len ? s->text[s->at] : '\0';
}

/* --- strings --- */

size_t json_string_end(const char *text, size_t len, size_t at)
{
	for (at++; at < len && text[at] != '"'; at++)
		at += text[at] == '\\';
	return at < len ? at + 1 : len;
}

/* Four hex digits behind "\u". Return: their value, or -1. */
static int hex4(const struct scan *s, size_t at)
{
	int value = 0;

	if (s->len - at < 4)
		return -1;
	for (size_t i = at; i < at + 4; i++) {
		static const char digits[] = "0123456789abcdef0123456789ABCDEF";
		const char *d = s->text[i] ? strchr(digits, s->text[i]) : NULL;

		if (!d)
			return -1;
		value = value << 4 | (int)((d - digits) & 15);
	}
	return value;
}

static int scan_unicode_escape(struct scan *s)
{
	int c = hex4(s, s->at + 2);
	bool pair = c >= 0xd800 && c < 0xdc00;

	if (c < 0)
		return refuse(s, s->at, "four hexadecimal digits are expected behind \\u");
	if (c == 0)
		return refuse(s, s->at, "a NUL (\\u0000) cannot be in a value");
	if (pair) {
		const char *p = s->text + s->at + 6;
		int low = s->len - s->at >= 12 && p[0] == '\\' && p[1] == 'u' ? hex4(s, s->at + 8)
									      : -1;

		pair = low >= 0xdc00 && low < 0xe000;
	}
	if (!pair && c >= 0xd800 && c < 0xe000)
		return refuse(s, s->at, "\\u%04x is one half of a surrogate pair", (unsigned)c);
	s->at += pair ? 12 : 6;
	return 0;
}

static int scan_escape(struct scan *s)
{
	char c = s->len - s->at > 1 ? s->text[s->at + 1] : '\0';

	if (c == 'u')
		return scan_unicode_escape(s);
	if (!c || !strchr("\"\\/bfnrt", c))
		return refuse(s, s->at, "a backslash is followed by one of \" \\ / b f n r t u");
	s->at += 2;
	return 0;
}

static int scan_string(struct scan *s)
{
	size_t start = s->at++;

	while (s->at < s->len && s->text[s->at] != '"') {
		unsigned char c = (unsigned char)s->text[s->at];
		size_t n = utf8_len(s, s->at);

		if (n == 0)
			return refuse(s, s->at, "byte 0x%02x is not UTF-8", c);
		if (c == '\0')
			return refuse(s, s->at, "a NUL cannot be in a value");
		if (c < 0x20)
			return refuse(s, s->at, "byte 0x%02x in a string is written as %s", c,
				      c == '\n'	  ? "\\n"
				      : c == '\t' ? "\\t"
						  : "\\u00..");
		if (c != '\\') {
			s->at += n;
		} else {
			int r = scan_escape(s);

			if (r < 0)
				return r;
		}
	}
	if (s->at >= s->len)
		return refuse(s, start, "a string has no closing quote");
	s->at++;
	return 0;
}

/* --- numbers --- */

static size_t digits(const struct scan *s, size_t at)
{
	size_t n = 0;

	while (at + n < s->len && s->text[at + n] >= '0' && s->text[at + n] <= '9')
		n++;
	return n;
}

/* The end of the number at the scanner by JSON's grammar, and whether it is a whole one. */
static int number_end(struct scan *s, size_t *ret, bool *ret_whole)
{
	size_t at = s->at + (s->text[s->at] == '-'), n = digits(s, at);
	bool whole = true;

	if (n == 0)
		return refuse(s, s->at, "digits are expected behind a '-'");
	if (n > 1 && s->text[at] == '0')
		return refuse(s, s->at, "a number does not begin with 0");
	at += n;
	if (at < s->len && s->text[at] == '.') {
		n = digits(s, ++at);
		if (n == 0)
			return refuse(s, s->at, "digits are expected behind the point of a number");
		at += n;
		whole = false;
	}
	if (at < s->len && (s->text[at] == 'e' || s->text[at] == 'E')) {
		at++;
		at += at < s->len && (s->text[at] == '+' || s->text[at] == '-');
		n = digits(s, at);
		if (n == 0)
			return refuse(s, s->at, "digits are expected in the exponent of a number");
		at += n;
		whole = false;
	}
	*ret = at;
	*ret_whole = whole;
	return 0;
}

/* json-c would quietly take the nearest that it can hold. */
static int scan_number(struct scan *s)
{
	char copy[NUMBER_MAX + 1];
	size_t end = 0;
	bool whole = false, zero;
	int r = number_end(s, &end, &whole);

	if (r < 0)
		return r;
	if (end - s->at > NUMBER_MAX)
		return refuse(s, s->at, "a number of more than %d characters is out of range",
			      NUMBER_MAX);
	memcpy(copy, s->text + s->at, end - s->at);
	copy[end - s->at] = '\0';
	errno = 0;
	if (!whole)
		zero = fpclassify(strtod(copy, NULL)) == FP_ZERO;
	else if (copy[0] == '-')
		zero = strtoll(copy, NULL, 10) == 0;
	else
		zero = strtoull(copy, NULL, 10) == 0;
	if (errno == ERANGE)
		return refuse(s, s->at, "%s is out of range: more than 64 bits can say", copy);
	if (zero && copy[0] == '-')
		return refuse(s, s->at, "%s is no number of its own: write 0", copy);
	s->at = end;
	return 0;
}

/* --- values --- */

static int scan_word(struct scan *s)
{
	static const char *const words[] = {"true", "false", "null"};

	for (size_t i = 0; i < CTN_COUNT(words); i++) {
		size_t n = strlen(words[i]);

		if (s->len - s->at >= n && memcmp(s->text + s->at, words[i], n) == 0) {
			s->at += n;
			return 0;
		}
	}
	return refuse_here(s, "a value");
}

/* @key: where its quote is; 0 in an array. Return: the node's number, or -errno. */
static ssize_t add_node(struct scan *s, size_t key)
{
	struct json_nodes *nodes = &s->nodes;

	if (nodes->len == nodes->room) {
		size_t room = nodes->room ? nodes->room * 2 : NODES_FIRST;
		struct json_node *items = reallocarray(nodes->items, room, sizeof(*items));

		if (!items)
			return ctn_fail(s->err, ENOMEM, "no memory for a document");
		nodes->items = items;
		nodes->room = room;
	}
	nodes->items[nodes->len] = (struct json_node){.at = (uint32_t)s->at, .key = (uint32_t)key};
	return (ssize_t)nodes->len++;
}

/* "key": value */
static int scan_member(struct scan *s, struct level *level)
{
	size_t key;
	int r;

	level->key = 0;
	if (next_byte(s) != '"')
		return refuse_here(s, "a key in double quotes");
	key = s->at;
	r = scan_string(s);
	if (r < 0)
		return r;
	level->key = key + 1;
	level->key_len = s->at - key - 2;
	if (next_byte(s) != ':')
		return refuse_here(s, "':' behind a key");
	s->at++;
	return scan_value(s, key);
}

/* From the opening bracket to the closing one. @ret: how many values there are in between. */
static int scan_container(struct scan *s, size_t *ret)
{
	bool array = s->text[s->at] == '[';
	char close = array ? ']' : '}', c;
	struct level *level = &s->levels[s->depth];

	if (s->depth == JSON_DOC_DEPTH)
		return refuse(s, s->at, "objects and arrays are nested more than %d deep",
			      JSON_DOC_DEPTH);
	s->at++;
	c = next_byte(s);
	*level = (struct level){.array = array};
	s->depth++;
	while (c != close || level->index > 0) {
		int r = array ? scan_value(s, 0) : scan_member(s, level);

		if (r < 0)
			return r;
		level->index++;
		c = next_byte(s);
		if (c == close)
			break;
		if (c != ',') {
			s->depth--; /* it is the container that is wrong */
			return refuse_here(s, array ? "',' or ']'" : "',' or '}'");
		}
		s->at++;
		if (next_byte(s) == close) {
			s->depth--;
			return refuse(s, s->at, "nothing stands between a ',' and the '%c'", close);
		}
	}
	*ret = level->index;
	s->depth--;
	s->at++;
	return 0;
}

static int scan_value(struct scan *s, size_t key)
{
	char c = next_byte(s);
	ssize_t node = add_node(s, key);
	size_t count = 0;
	int r;

	if (node < 0)
		return (int)node;
	if (c == '{' || c == '[')
		r = scan_container(s, &count);
	else if (c == '"')
		r = scan_string(s);
	else if (c == '-' || (c >= '0' && c <= '9'))
		r = scan_number(s);
	else
		r = scan_word(s);
	if (r < 0)
		return r;
	s->nodes.items[node].next = (uint32_t)s->nodes.len;
	s->nodes.items[node].count = (uint32_t)count;
	return 0;
}

int json_scan(const char *text, size_t len, struct json_nodes *ret, struct ctn_err *err)
{
	struct scan s = {.text = text, .len = len, .err = err};
	int r = next_byte(&s) == '{' ? scan_value(&s, 0) : refuse_here(&s, "an object, '{',");

	next_byte(&s);
	if (r == 0 && s.at < len)
		r = refuse_here(&s, "the end of the document");
	*ret = s.nodes;
	return r;
}
