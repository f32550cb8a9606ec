/* SPDX-License-Identifier: Apache-2.0 */
#include "caps.h"

#include <ctype.h>
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/capability.h>

#include "cleanup.h"

enum {
	CAPS_ROOM = 64,	     /* bits of a mask */
	NAME_ROOM = 40,	     /* "cap_checkpoint_restore" is the longest yet */
	SUGGEST_DISTANCE = 3 /* beyond so many slips of the pen a suggestion is a guess */
};

struct word_set { /* the words that stand for a whole set */
	const char *word;
	uint64_t (*mask)(void);
};

static uint64_t no_caps(void)
{
	return 0;
}

static uint64_t default_caps(void)
{
	return CAPS_DEFAULT;
}

static const struct word_set word_sets[] = {
	{"all", caps_all},
	{"default", default_caps},
	{"none", no_caps},
};

/* What the kernel knows, which may be more or less than libcap has names for. */
static unsigned caps_known(void)
{
	int bits = cap_max_bits();

	return bits < 0 ? 0 : bits > 64 ? 64 : (unsigned)bits;
}

/* Those of @mask that there are here; a call for each that is asked about. */
static uint64_t caps_within(uint64_t mask)
{
	unsigned known = caps_known();
	uint64_t found = 0;

	for (unsigned i = 0; i < known; i++) {
		if (mask & UINT64_C(1) << i && cap_get_bound((cap_value_t)i) == 1)
			found |= UINT64_C(1) << i;
	}
	return found;
}

uint64_t caps_all(void)
{
	return caps_within(UINT64_MAX);
}

static pthread_once_t names_once = PTHREAD_ONCE_INIT;
static char names[CAPS_ROOM][NAME_ROOM]; /* written once */

/* libcap makes a string of its own for each call. */
static void names_fill(void)
{
	for (unsigned i = 0; i < CAPS_ROOM; i++) {
		char *name = cap_to_name((cap_value_t)i);

		if (name)
			snprintf(names[i], NAME_ROOM, "%s", name);
		else
			snprintf(names[i], NAME_ROOM, "%u", i);
		cap_free(name);
	}
}

/* @number: below CAPS_ROOM. */
static const char *name_of(unsigned number)
{
	pthread_once(&names_once, names_fill);
	return names[number];
}

const char *caps_name(unsigned number, char *buf, size_t size)
{
	if (number < CAPS_ROOM)
		snprintf(buf, size, "%s", name_of(number));
	else
		snprintf(buf, size, "%u", number);
	return buf;
}

static void consider(const char *word, const char *candidate, unsigned *least, char *nearest)
{
	unsigned distance = ctn_distance(word, candidate);

	/* A word of which every letter would have to change resembles nothing. */
	if (distance < *least && distance < strlen(candidate)) {
		*least = distance;
		snprintf(nearest, NAME_ROOM, "%s", candidate);
	}
}

static int unknown_word(const char *word, struct ctn_err *err)
{
	bool bare = strncasecmp(word, "cap_", 4) != 0;
	unsigned least = SUGGEST_DISTANCE + 1;
	unsigned known = caps_known();
	char nearest[NAME_ROOM] = "";

	if (strlen(word) >= NAME_ROOM)
		return ctn_fail(err, EINVAL, "no capability is called '%.*s…': see capabilities(7)",
				NAME_ROOM, word);
	for (unsigned i = 0; i < known; i++) {
		char name[NAME_ROOM];

		caps_name(i, name, sizeof(name));
		consider(word, bare && strncmp(name, "cap_", 4) == 0 ? name + 4 : name, &least,
			 nearest);
	}
	for (size_t i = 0; i < CTN_COUNT(word_sets); i++)
		consider(word, word_sets[i].word, &least, nearest);
	if (!nearest[0])
		return ctn_fail(err, EINVAL, "no capability is called '%s': see capabilities(7)",
				word);
	return ctn_fail(err, EINVAL, "no capability is called '%s': did you mean '%s'?", word,
			nearest);
}

/* The capability called @word: "cap_chown", "chown", or the number that stands for one without a
 * name. Return: the number, or -1. */
static int find_name(const char *word)
{
	unsigned known = caps_known();

	for (unsigned i = 0; i < known; i++) {
		char name[NAME_ROOM];

		caps_name(i, name, sizeof(name));
		if (strcasecmp(word, name) == 0)
			return (int)i;
		if (strncmp(name, "cap_", 4) == 0 && strcasecmp(word, name + 4) == 0)
			return (int)i;
	}
	return -1;
}

static bool is_hex_mask(const char *word)
{
	if (strncasecmp(word, "0x", 2) == 0)
		return true;
	return strlen(word) >= 8 && strspn(word, "0123456789abcdefABCDEF") == strlen(word);
}

static int parse_hex_mask(const char *word, uint64_t *ret, struct ctn_err *err)
{
	const char *digits = strncasecmp(word, "0x", 2) == 0 ? word + 2 : word;
	size_t len = strspn(digits, "0123456789abcdefABCDEF");
	unsigned known = caps_known();
	uint64_t mask;

	if (len == 0 || len > 16 || digits[len])
		return ctn_fail(err, EINVAL,
				"'%.40s' is no capability mask: 1 to 16 hexadecimal digits", word);
	mask = strtoull(digits, NULL, 16);
	if (known < 64 && mask >> known)
		return ctn_fail(err, EINVAL,
				"'%.40s' names capabilities that this kernel does not have: its "
				"last one is number %d",
				word, (int)known - 1);
	*ret = mask;
	return 0;
}

/* Nobody can give what the bounding set of the server has lost: not even exec brings it back. */
static int check_bounding_set(const char *word, uint64_t mask, struct ctn_err *err)
{
	uint64_t lacking = mask & ~caps_within(mask);
	char name[NAME_ROOM];

	if (!lacking)
		return 0;
	caps_name((unsigned)__builtin_ctzll(lacking), name, sizeof(name));
	return ctn_fail(err, EPERM,
			"'%.40s': the server's own bounding set lacks %s, so nobody here can give "
			"it: 'all' means all that there is",
			word, name);
}

static int added_mask(const char *word, uint64_t *ret, struct ctn_err *err)
{
	int number;

	for (size_t i = 0; i < CTN_COUNT(word_sets); i++) {
		if (strcasecmp(word, word_sets[i].word) == 0) {
			*ret = word_sets[i].mask();
			return 0;
		}
	}
	if (is_hex_mask(word))
		return parse_hex_mask(word, ret, err);
	number = find_name(word);
	if (number < 0)
		return unknown_word(word, err);
	*ret = UINT64_C(1) << number;
	return 0;
}

int caps_apply(const char *word, uint64_t *mask, struct ctn_err *err)
{
	uint64_t added = 0;
	int r;

	if (!*word)
		return ctn_fail(err, EINVAL, "a capability is wanted: see capabilities(7)");
	if (*word == '+' || *word == '-') {
		int number = find_name(word + 1);

		if (number < 0)
			return unknown_word(word + 1, err);
		if (*word == '-') { /* what is not there may be taken away by anyone */
			*mask &= ~(UINT64_C(1) << number);
			return 0;
		}
		added = UINT64_C(1) << number;
	} else {
		r = added_mask(word, &added, err);
		if (r < 0)
			return r;
	}
	r = check_bounding_set(word, added, err);
	if (r < 0)
		return r;
	*mask = strcasecmp(word, "none") == 0 ? 0 : *mask | added;
	return 0;
}

void caps_print_lines(FILE *out, uint64_t mask)
{
	if (!mask)
		fputs("none\n", out);
	for (; mask; mask &= mask - 1) {
		fputs(name_of((unsigned)__builtin_ctzll(mask)), out);
		putc('\n', out);
	}
}

void caps_print_set(FILE *out, const char *label, uint64_t mask)
{
	fprintf(out, "%s:\t%016llx\t", label, (unsigned long long)mask);
	if (!mask)
		fputs("none", out);
	for (; mask; mask &= mask - 1) {
		fputs(name_of((unsigned)__builtin_ctzll(mask)), out);
		if (mask & (mask - 1))
			putc(',', out);
	}
	fputc('\n', out);
}
