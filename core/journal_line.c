/* SPDX-License-Identifier: Apache-2.0 */
/* One line of the journal, written and read. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cleanup.h"
#include "io.h"
#include "journal_private.h"

static const uint64_t ns_per_sec = 1000000000;
static const char id_key[] = " id=";

enum { ID_KEY_LEN = 4, TIME_LEN = 30 };

static const char *const words[] = {
	[JOURNAL_CREATED] = "created",
	[JOURNAL_STARTED] = "started",
	[JOURNAL_RESTARTED] = "restarted",
	[JOURNAL_EXECED] = "execed",
	[JOURNAL_PAUSED] = "paused",
	[JOURNAL_RESUMED] = "resumed",
	[JOURNAL_LIMIT_CHANGED] = "limit-changed",
	[JOURNAL_OOM] = "oom",
	[JOURNAL_DENIED] = "denied",
	[JOURNAL_DIED] = "died",
	[JOURNAL_RENAMED] = "renamed",
	[JOURNAL_REMOVED] = "removed",
	[JOURNAL_SERVER_STARTED] = "server-started",
	[JOURNAL_SERVER_STOPPED] = "server-stopped",
	[JOURNAL_LOST] = "lost",
};

const char *journal_word(char *ret, size_t size, const char *data, size_t len)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)data[i];
		bool plain = c > ' ' && c < 0x7f && c != '\\';
		char text[8];
		int k = snprintf(text, sizeof(text),
				 plain	     ? "%c"
				 : c == '\\' ? "\\\\"
					     : "\\x%02x",
				 c);

		if (n + (size_t)k >= size)
			break;
		memcpy(ret + n, text, (size_t)k);
		n += (size_t)k;
	}
	ret[n] = '\0';
	return ret;
}

static void print_time(char buf[TIME_LEN + 1], uint64_t ns)
{
	time_t secs = (time_t)(ns / ns_per_sec);
	char text[24];
	struct tm tm;

	gmtime_r(&secs, &tm);
	if (strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm) != 19) /* after the year 9999 */
		strcpy(text, "9999-12-31T23:59:59");
	snprintf(buf, TIME_LEN + 1, "%s.%09" PRIu64 "Z", text, ns % ns_per_sec);
}

static bool parse_time(const char *text, uint64_t *ret)
{
	struct tm tm = {0};
	uint64_t ns = 0;
	const char *rest;

	if (strlen(text) != TIME_LEN || text[TIME_LEN - 1] != 'Z')
		return false;
	rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
	if (!rest || rest != text + 19 || *rest != '.' || strspn(rest + 1, "0123456789") != 9)
		return false;
	ns = strtoull(rest + 1, NULL, 10);
	*ret = (uint64_t)timegm(&tm) * ns_per_sec + ns;
	return true;
}

/* Nothing in it ends the line or moves a terminal's cursor, whoever forgot to see to that. */
static void make_safe(char *text)
{
	for (; *text; text++) {
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			*text = '?';
	}
}

int journal_line_print(char *buf, size_t size, const struct journal_line *l)
{
	char name[JOURNAL_NAME_MAX + 1] = "-", time[TIME_LEN + 1], detail[JOURNAL_DETAIL_MAX + 1];

	if (l->id[0])
		snprintf(name, sizeof(name), "%s%s%s", l->name, l->session[0] ? "/execs/" : "",
			 l->session);
	snprintf(detail, sizeof(detail), "%s%s", l->detail[0] ? " " : "", l->detail);
	make_safe(detail);
	print_time(time, l->time);
	return snprintf(buf, size, "%" PRIu64 " %s %s %s%s%s%s\n", l->seq, time, name,
			words[l->what], detail, l->id[0] ? id_key : "", l->id);
}

const char *journal_line_id(const char *text, size_t len)
{
	const size_t tail = ID_KEY_LEN + JOURNAL_ID_LEN + 1;
	const char *at = text + len - tail;

	if (len <= tail || memcmp(at, id_key, ID_KEY_LEN) != 0 || text[len - 1] != '\n')
		return NULL;
	return at + ID_KEY_LEN;
}

static bool parse_what(const char *word, enum journal_what *ret)
{
	for (size_t i = 0; i < CTN_COUNT(words); i++) {
		if (strcmp(words[i], word) == 0) {
			*ret = (enum journal_what)i;
			return true;
		}
	}
	return false;
}

/* NAME, or NAME/execs/SESSION. */
static bool parse_name(char *word, struct journal_line *l)
{
	char *session = strstr(word, "/execs/");

	if (session) {
		*session = '\0';
		session += strlen("/execs/");
	}
	if (!io_is_word(word) || (session && !io_is_word(session)))
		return false;
	if (!*word || strlen(word) > SPEC_NAME_MAX || (session && strlen(session) > SPEC_NAME_MAX))
		return false;
	strcpy(l->name, word);
	strcpy(l->session, session ?: "");
	return true;
}

bool journal_line_parse(const char *text, size_t len, struct journal_line *ret)
{
	const char *id = journal_line_id(text, len);
	char copy[JOURNAL_LINE_MAX], *rest = copy, *words_of[4], *end;
	size_t n = id ? (size_t)(id - text) - ID_KEY_LEN : len - 1;
	struct journal_line l = {0};

	if (id && strspn(id, "0123456789abcdef") != JOURNAL_ID_LEN)
		return false;
	if (len < 2 || len > sizeof(copy) || text[len - 1] != '\n' || memchr(text, '\0', len))
		return false;
	memcpy(copy, text, n);
	copy[n] = '\0';
	for (size_t i = 0; i < CTN_COUNT(words_of); i++) {
		words_of[i] = strsep(&rest, " ");
		if (!words_of[i])
			return false;
	}
	if (copy[0] < '1' || copy[0] > '9')
		return false;
	l.seq = strtoull(words_of[0], &end, 10);
	if (*end || l.seq > INT64_MAX || !parse_time(words_of[1], &l.time) ||
	    !parse_what(words_of[3], &l.what))
		return false;
	if (id ? !parse_name(words_of[2], &l) : strcmp(words_of[2], "-") != 0)
		return false;
	if (rest && strlen(rest) >= sizeof(l.detail))
		return false;
	strcpy(l.detail, rest ?: "");
	if (id)
		memcpy(l.id, id, JOURNAL_ID_LEN);
	*ret = l;
	return true;
}
