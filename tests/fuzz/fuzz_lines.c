/* SPDX-License-Identifier: Apache-2.0 */
/* Every configuration file of the tree. The first line names it (or any byte picks it); what
 * follows is written with `>`, and what stands behind a line "%%" with `>>`. */
#include <errno.h>
#include <string.h>

#include "cleanup.h"
#include "fuzz.h"
#include "spec_json.h"

enum { DOCUMENTS_EACH = 8 }; /* they are slow, and most rows do not differ in them */

static const char name[] = "x"; /* the container's */

static const struct spec_field *pick(char *text, char **ret_rest)
{
	const struct spec_field *f;
	size_t n = strcspn(text, "\n"), rows = 0;
	unsigned char first = (unsigned char)text[0];

	*ret_rest = text + n + (text[n] == '\n');
	text[n] = '\0';
	f = spec_field_find(text);
	if (f)
		return f;
	while (spec_fields[rows].name)
		rows++;
	return &spec_fields[first % rows];
}

/* A refusal has its errno and one printable line. */
static int store(struct spec *s, const struct spec_field *f, const char *text, enum spec_write how)
{
	struct ctn_err err = {0};
	int r = f->store(s, f, text, how, &err);

	FUZZ_CHECK(r == 0 ? err.code == 0 : r == -err.code && err.text[0]);
	for (const char *p = err.text; *p; p++)
		FUZZ_CHECK((unsigned char)*p >= ' ' && *p != 0x7f);
	return r;
}

static char *shown(const struct spec *s, const struct spec_field *f)
{
	char *text = NULL;

	FUZZ_CHECK(spec_field_text(s, f, &text, NULL) == 0);
	FUZZ_CHECK(*text == '\0' || text[strlen(text) - 1] == '\n');
	return text;
}

static void check_same(const struct spec *a, const struct spec *b, const struct spec_field *f)
{
	ctn_autofree char *of_a = shown(a, f), *of_b = shown(b, f);

	if (strcmp(of_a, of_b) != 0)
		fprintf(stderr, "%s: '%s' has become '%s'\n", f->name, of_a, of_b);
	FUZZ_CHECK(strcmp(of_a, of_b) == 0);
}

/* All of one spec is that of the other. */
static void check_equal(const struct spec *a, const struct spec *b)
{
	for (const struct spec_field *f = spec_fields; f->name; f++)
		check_same(a, b, f);
}

/* What is shown can be written, and comes to what it was shown of; so does a copy. */
static void check_round_trips(const struct spec *s, const struct spec_field *f)
{
	ctn_autofree char *text = shown(s, f);
	struct spec *back = spec_new(name), *copy = spec_dup(s), *field = spec_new(name);
	struct ctn_err err = {0};
	int r;

	FUZZ_CHECK(back && copy && field);
	check_same(s, copy, f);
	r = f->store(back, f, text, SPEC_REPLACE, &err);
	if (r < 0)
		fprintf(stderr, "%s, of '%s'\n", err.text, text);
	FUZZ_CHECK(r == 0);
	check_equal(s, back);
	FUZZ_CHECK(store(back, f, text, SPEC_AMEND) == 0); /* what is there already */
	check_same(s, back, f);
	FUZZ_CHECK(spec_field_copy(field, s, f, NULL) == 0);
	check_same(s, field, f);
	spec_put(back);
	spec_put(copy);
	spec_put(field);
}

/* The state on disk, and the file `spec`, which cannot be read back where a byte of a command or a
 * variable is not UTF-8. */
static void check_documents(const struct spec *s)
{
	struct json_object *o = spec_to_json(s), *again;
	ctn_autofree char *text = NULL;
	struct json_doc *doc = NULL;
	struct spec *back = NULL;
	struct ctn_err err = {0};

	FUZZ_CHECK(o);
	again = json_tokener_parse(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN));
	FUZZ_CHECK(again && spec_from_json(again, &back, NULL) == 0);
	check_equal(s, back);
	spec_put(back);
	json_object_put(o);
	json_object_put(again);
	FUZZ_CHECK(spec_to_text(s, &text, NULL) == 0);
	if (json_doc_parse(text, strlen(text), &doc, &err) == 0) {
		struct json_at root = json_root(doc);

		back = NULL;
		FUZZ_CHECK(spec_from_at(&root, &back, NULL) == 0);
		check_equal(s, back);
		spec_put(back);
		json_doc_free(doc);
	} else {
		FUZZ_CHECK(strstr(err.text, "UTF-8") || strlen(text) > JSON_DOC_MAX);
	}
}

/* What the text of one field is worth to a program that starts. */
static void check_env(const struct spec *s)
{
	struct strlist env = {0};

	FUZZ_CHECK(spec_env(s, "/", &env, NULL) == 0);
	for (size_t i = 0; i < env.len; i++)
		FUZZ_CHECK(env.items[i][0] != '=' && strchr(env.items[i], '='));
	strlist_free(&env);
}

/* Return: whether the spec may be used any further. */
static bool check_store(struct spec *s, const struct spec_field *f, const char *text,
			enum spec_write how)
{
	if (store(s, f, text, how) < 0)
		return false;
	check_round_trips(s, f);
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ctn_autofree char *text = strndup((const char *)data, size);
	const struct spec_field *f;
	struct spec *s = spec_new(name);
	char *first = NULL, *second;

	FUZZ_CHECK(text && s);
	f = pick(text, &first);
	second = strstr(first, "%%\n");
	if (second && (second == first || second[-1] == '\n')) {
		*second = '\0';
		second += 3;
	} else {
		second = NULL;
	}
	if (check_store(s, f, first, SPEC_REPLACE) &&
	    (!second || check_store(s, f, second, SPEC_AMEND))) {
		check_env(s);
		if (size % DOCUMENTS_EACH == 0)
			check_documents(s);
	}
	spec_put(s);
	return 0;
}
