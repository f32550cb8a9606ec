/* SPDX-License-Identifier: Apache-2.0 */
#include "err.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* How many bytes of @s make one well-formed UTF-8 character; 0: none do. */
static size_t utf8_len(const unsigned char *s)
{
	size_t n = s[0] < 0x80			 ? 1
		   : s[0] >= 0xc2 && s[0] < 0xe0 ? 2
		   : (s[0] & 0xf0) == 0xe0	 ? 3
						 : 0;

	if (s[0] >= 0xf0 && s[0] < 0xf5)
		n = 4;
	for (size_t i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80) /* the terminator, too */
			return 0;
	}
	/* Not longer than it need be (a lenient terminal would find control characters in that),
	 * no surrogate, and not above U+10FFFF. */
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
	    (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	return n;
}

/* A sentence is one line on a terminal, whatever a user or a container put into the names in it. */
static void make_printable(char *text)
{
	unsigned char *s = (unsigned char *)text;

	while (*s) {
		size_t n = utf8_len(s);
		bool control = *s < 0x20 || *s == 0x7f || (n == 2 && s[0] == 0xc2 && s[1] < 0xa0);

		if (n == 0 || control) {
			memset(s, '?', n ?: 1);
			n = n ?: 1;
		}
		s += n;
	}
}

int ctn_fail(struct ctn_err *err, int code, const char *fmt, ...)
{
	va_list ap;

	if (!err)
		return -code;
	err->code = code;
	va_start(ap, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	make_printable(err->text);
	return -code;
}

int ctn_fail_errno(struct ctn_err *err, const char *fmt, ...)
{
	int code = errno;
	size_t used;
	va_list ap;

	if (!err)
		return -code;
	err->code = code;
	va_start(ap, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	used = strlen(err->text);
	snprintf(err->text + used, sizeof(err->text) - used, ": %s",
		 strerrordesc_np(code) ?: "error");
	make_printable(err->text);
	return -code;
}

int ctn_fail_context(struct ctn_err *err, const char *fmt, ...)
{
	char inner[CTN_ERR_TEXT];
	size_t used;
	va_list ap;

	if (!err || !err->code)
		return -EIO;
	memcpy(inner, err->text, sizeof(inner));
	va_start(ap, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	used = strlen(err->text);
	snprintf(err->text + used, sizeof(err->text) - used, ": %s", inner);
	make_printable(err->text);
	return -err->code;
}

unsigned ctn_distance(const char *a, const char *b)
{
	enum { LOOKED_AT = 40 };
	unsigned row[LOOKED_AT + 1];
	size_t a_len = strnlen(a, LOOKED_AT), b_len = strnlen(b, LOOKED_AT);

	for (size_t j = 0; j <= b_len; j++)
		row[j] = (unsigned)j;
	for (size_t i = 0; i < a_len; i++) {
		unsigned diagonal = row[0];

		row[0] = (unsigned)i + 1;
		for (size_t j = 0; j < b_len; j++) {
			unsigned best = diagonal + (tolower((unsigned char)a[i]) !=
						    tolower((unsigned char)b[j]));

			diagonal = row[j + 1];
			best = row[j] + 1 < best ? row[j] + 1 : best;
			row[j + 1] = diagonal + 1 < best ? diagonal + 1 : best;
		}
	}
	return row[b_len];
}

const char *ctn_errno_name(int code)
{
	static __thread char number[16];
	const char *name = strerrorname_np(code);

	if (name)
		return name;
	snprintf(number, sizeof(number), "E%d", code);
	return number;
}
