/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "attach.h"

static const char ctrl[] = "ctrl-";

/* One key, which is @len bytes of @text. Return: the byte that it sends; -1. */
static int parse_key(const char *text, size_t len)
{
	const size_t prefix = sizeof(ctrl) - 1;
	char c = text[0];

	if (len == 1)
		return (unsigned char)c;
	if (len != prefix + 1 || strncmp(text, ctrl, prefix) != 0)
		return -1;
	c = text[prefix];
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 1;
	if (c >= '@' && c <= '_')
		return c - '@'; /* letters, too, as they are on the keys */
	return -1;
}

int keys_parse(const char *text, struct keys *ret, struct ctn_err *err)
{
	struct keys k = {.len = 0};

	while (*text) {
		/* A comma cannot be a key. */
		size_t len = strcspn(text, ",");
		int key = parse_key(text, len);

		if (key < 0 || (text[len] && !text[len + 1]))
			return ctn_fail(err, EINVAL,
					"'%.40s' is no key: a character, or ctrl- and one of a-z @ "
					"[ \\ ] ^ _, with a comma between two",
					text);
		if (k.len == KEYS_MAX)
			return ctn_fail(err, EINVAL, "at most %d keys", KEYS_MAX);
		k.bytes[k.len++] = (unsigned char)key;
		text += len + (text[len] == ',');
	}
	*ret = k;
	return 0;
}

bool keys_feed(struct keys *k, unsigned char byte, unsigned char *out, size_t *ret_n)
{
	unsigned char typed[KEYS_MAX + 1];
	size_t n = k->held + 1, keep = k->len < n ? k->len : n;

	memcpy(typed, k->bytes, k->held);
	typed[k->held] = byte;
	/* Of what was typed, as much of the end as the keys could begin with. */
	while (keep > 0 && memcmp(typed + n - keep, k->bytes, keep) != 0)
		keep--;
	*ret_n = n - keep;
	memcpy(out, typed, n - keep);
	k->held = keep < k->len ? keep : 0;
	return keep > 0 && keep == k->len;
}
