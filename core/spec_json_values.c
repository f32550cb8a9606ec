/* SPDX-License-Identifier: Apache-2.0 */
/* The values in a document that are what a file takes: one line, or a list of lines. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "io.h"
#include "spec_json_private.h"

static const struct {
	const char *field;
	enum spec_json_kind kind;
} kinds[] = {
	{"start", SPEC_JSON_FLAG},	  {"seccomp.notify", SPEC_JSON_FLAG},
	{"no_new_privs", SPEC_JSON_FLAG}, {"init", SPEC_JSON_FLAG},
	{"tty", SPEC_JSON_FLAG},	  {"oom_score_adj", SPEC_JSON_NUMBER},
	{"log.max", SPEC_JSON_NUMBER},
};

enum spec_json_kind spec_json_kind(const struct spec_field *f)
{
	for (size_t i = 0; i < CTN_COUNT(kinds); i++) {
		if (strcmp(kinds[i].field, f->name) == 0)
			return kinds[i].kind;
	}
	return SPEC_JSON_TEXT;
}

/* --- one value --- */

/* A file would skip a comment, and of several lines take the last; in a document that is nobody's
 * wish. */
int spec_json_line(const struct spec_reading *r, const struct json_at *at, const char **ret)
{
	const char *text = NULL;
	int n = json_want_string(at, &text, r->err);

	if (n < 0)
		return n;
	if (strchr(text, '\n'))
		return json_fail(at, EINVAL, r->err, "one line is expected, not several");
	*ret = text;
	return 0;
}

int spec_json_store(struct spec_reading *r, const struct json_at *at, const struct spec_field *f,
		    const char *text, enum spec_write how)
{
	int n = f->store(r->spec, f, text, how, r->err);

	return n < 0 ? json_fail_context(at, r->err) : 0;
}

int spec_json_text(struct spec_reading *r, const struct json_at *at, const struct spec_field *f)
{
	const char *text = NULL;
	int n = spec_json_line(r, at, &text);

	if (n < 0)
		return n;
	if (text[strspn(text, " \t\r")] == '#')
		return json_fail(at, EINVAL, r->err, "a line that begins with # says nothing");
	return spec_json_store(r, at, f, text, SPEC_REPLACE);
}

int spec_json_value(struct spec_reading *r, const struct json_at *at, const struct spec_field *f)
{
	enum spec_json_kind kind = spec_json_kind(f);
	char text[32];
	int64_t number = 0;
	int n;

	if (kind == SPEC_JSON_TEXT || json_object_is_type(at->value, json_type_string))
		return spec_json_text(r, at, f);
	if (kind == SPEC_JSON_FLAG && json_object_is_type(at->value, json_type_boolean))
		return spec_json_store(r, at, f, json_object_get_boolean(at->value) ? "1" : "0",
				       SPEC_REPLACE);
	if (!json_object_is_type(at->value, json_type_int) &&
	    !json_object_is_type(at->value, json_type_double))
		return json_fail_type(
			at, kind == SPEC_JSON_FLAG ? "0 or 1" : "a number or a string", r->err);
	n = kind == SPEC_JSON_FLAG ? json_want_int(at, 0, 1, &number, r->err)
				   : json_want_int(at, INT64_MIN, INT64_MAX, &number, r->err);
	if (n < 0)
		return n;
	snprintf(text, sizeof(text), "%" PRId64, number);
	return spec_json_store(r, at, f, text, SPEC_REPLACE);
}

/* --- lists of lines --- */

static bool kid_of(const struct json_at *at, size_t i, struct json_at *kid)
{
	return json_item(at, i, kid) || json_member(at, i, kid);
}

static char *join(const struct strlist *lines)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	if (!out)
		return NULL;
	for (size_t i = 0; i < lines->len; i++)
		fprintf(out, "%s\n", lines->items[i]);
	(void)io_text_close(out, &text);
	return text;
}

/* All lines together were refused: the first that is refused when they come one by one is named. */
static int blame(struct spec_reading *r, const struct json_at *at, const struct spec_field *f,
		 const struct strlist *lines, size_t first)
{
	struct spec *fresh = spec_new("");
	struct ctn_err why = {0};
	struct json_at kid;
	int n = fresh ? 0 : -ENOMEM;

	for (size_t i = 0; n == 0 && i < lines->len; i++) {
		n = f->store(fresh, f, lines->items[i], i ? SPEC_AMEND : SPEC_REPLACE, &why);
		if (n < 0 && kid_of(at, first + i, &kid)) {
			*r->err = why;
			at = &kid;
		}
	}
	spec_put(fresh);
	return json_fail_context(at, r->err);
}

/* Blank lines and comments only. */
static bool says_nothing(const char *text)
{
	for (;;) {
		text += strspn(text, " \t\r\n");
		if (*text != '#')
			return !*text;
		text += strcspn(text, "\n");
	}
}

/* A list that an empty text does not change is not emptied by an empty document, either. */
static int check_empty(struct spec_reading *r, const struct json_at *at, const struct spec_field *f,
		       const char *text)
{
	if (!f->keeps_empty || !says_nothing(text))
		return 0;
	return json_fail(at, EINVAL, r->err,
			 "an empty list changes nothing: leave it out, or say what is meant");
}

/* @lines belong to the values of @at from number @first on. */
int spec_json_store_lines(struct spec_reading *r, const struct json_at *at,
			  const struct spec_field *f, const struct strlist *lines, size_t first,
			  enum spec_write how)
{
	ctn_autofree char *text = join(lines);

	if (!text)
		return ctn_fail(r->err, ENOMEM, "%s: no memory", f->name);
	if (how == SPEC_REPLACE && check_empty(r, at, f, text) < 0)
		return -EINVAL;
	if (f->store(r->spec, f, text, how, r->err) < 0)
		return blame(r, at, f, lines, first);
	return 0;
}

static int collect_lines(struct spec_reading *r, const struct json_at *at, size_t first,
			 struct strlist *lines)
{
	struct json_at item;

	for (size_t i = first; json_item(at, i, &item); i++) {
		const char *line = NULL;
		int n = spec_json_line(r, &item, &line);

		if (n < 0)
			return n;
		if (strlist_add(lines, line, strlen(line)) < 0)
			return ctn_fail(r->err, ENOMEM, "no memory for a list");
	}
	return 0;
}

/* From element number @first on. */
int spec_json_items(struct spec_reading *r, const struct json_at *at, const struct spec_field *f,
		    size_t first, enum spec_write how)
{
	struct strlist lines = {0};
	int n = collect_lines(r, at, first, &lines);

	if (n == 0)
		n = spec_json_store_lines(r, at, f, &lines, first, how);
	strlist_free(&lines);
	return n;
}

int spec_json_list(struct spec_reading *r, const struct json_at *at, const struct spec_field *f)
{
	const char *text = NULL;
	int n;

	if (json_object_is_type(at->value, json_type_array))
		return spec_json_items(r, at, f, 0, SPEC_REPLACE);
	if (!json_object_is_type(at->value, json_type_string))
		return json_fail_type(at, "an array of lines, or a string with all of them,",
				      r->err);
	n = json_want_string(at, &text, r->err);
	if (n == 0)
		n = check_empty(r, at, f, text);
	return n < 0 ? n : spec_json_store(r, at, f, text, SPEC_REPLACE);
}
