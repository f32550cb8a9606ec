/* SPDX-License-Identifier: Apache-2.0 */
/* The field `seccomp`: a profile's name or document, then deltas, a line each. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "json_doc.h"
#include "seccomp.h"
#include "spec_private.h"

/* A line, or a document, which may be many. */
struct entry {
	const char *from;
	size_t len;
};

void spec_seccomp_show(const struct spec *s, const struct spec_field *f, FILE *out)
{
	(void)f;
	fprintf(out, "%s\n", s->seccomp);
	for (size_t i = 0; i < s->seccomp_deltas.len; i++)
		fprintf(out, "%s\n", s->seccomp_deltas.items[i]);
}

/* Return: 1 with the next entry of @text, which is moved behind it; 0 at the end; -errno. */
static int next_entry(const char **text, struct entry *ret, struct ctn_err *err)
{
	ssize_t n;

	for (;;) {
		*text += strspn(*text, " \t\r\n\v\f");
		if (**text != '#')
			break;
		*text += strcspn(*text, "\n");
	}
	ret->from = *text;
	ret->len = strcspn(*text, "\n");
	if (**text == '{') {
		n = json_doc_end(*text, strlen(*text), err);
		if (n < 0)
			return ctn_fail_context(err, "seccomp");
		if (n == 0)
			return ctn_fail(err, EINVAL,
					"seccomp: the JSON document ends before it is complete");
		ret->len = (size_t)n;
	}
	*text += ret->len;
	while (ret->len > 0 && isspace((unsigned char)ret->from[ret->len - 1]))
		ret->len--;
	return ret->len > 0;
}

static int set_base(struct spec *s, char **text, struct ctn_err *err)
{
	struct seccomp_profile *profile = NULL;
	int r = seccomp_profile_get(*text, NULL, s->caps, &profile, err);

	seccomp_profile_put(profile);
	if (r < 0)
		return r;
	free(s->seccomp);
	s->seccomp = ctn_take_ptr(*text);
	return 0;
}

int spec_seccomp_import(struct spec *s, const struct json_at *at, bool strict, struct ctn_err *err)
{
	ctn_autofree char *text = NULL;
	int r = seccomp_check(at, strict, &text, err);

	if (r == 0)
		r = set_base(s, &text, err);
	if (r == 0)
		strlist_free(&s->seccomp_deltas);
	return r;
}

static int store_document(struct spec *s, const struct entry *e, struct ctn_err *err)
{
	ctn_autofree char *text = NULL;
	struct json_doc *doc = NULL;
	struct json_at root;
	int r = json_doc_parse(e->from, e->len, &doc, err);

	if (r == 0) {
		root = json_root(doc);
		r = seccomp_check(&root, true, &text, err);
		json_doc_free(doc);
	}
	return r < 0 ? ctn_fail_context(err, "seccomp") : set_base(s, &text, err);
}

/* The last mention of a call counts; "+" takes a "-" on the profile that allows everything back. */
static int store_delta(struct spec *s, const char *word, struct ctn_err *err)
{
	struct strlist *deltas = &s->seccomp_deltas;
	bool none = strcmp(s->seccomp, "none") == 0, found = false;
	size_t kept = 0;
	int r = word[0] == '+' || word[0] == '-'
			? seccomp_delta_check(word + 1, err)
			: ctn_fail(err, EINVAL, "seccomp: '%.64s' is neither +call nor -call",
				   word);

	if (r < 0)
		return r;
	for (size_t i = 0; i < deltas->len; i++) {
		bool same = strcmp(deltas->items[i] + 1, word + 1) == 0;

		found |= same;
		if (same)
			free(deltas->items[i]);
		else
			deltas->items[kept++] = deltas->items[i];
	}
	deltas->len = kept;
	if (deltas->items)
		deltas->items[kept] = NULL;
	if (none && found && word[0] == '+')
		return 0;
	if (strlist_add(deltas, word, strlen(word)) < 0)
		return ctn_fail(err, ENOMEM, "seccomp: no memory for %.64s", word);
	return 0;
}

static bool is_delta(const struct entry *e)
{
	return *e->from == '+' || *e->from == '-';
}

static int store_entry(struct spec *s, const struct entry *e, struct ctn_err *err)
{
	ctn_autofree char *line = NULL;
	char *save = NULL;
	int r = 0;

	if (*e->from == '{')
		return store_document(s, e, err);
	line = strndup(e->from, e->len);
	if (!line)
		return ctn_fail(err, ENOMEM, "seccomp: no memory for a line");
	if (!is_delta(e))
		return set_base(s, &line, err);
	for (char *w = strtok_r(line, " \t\r,", &save); r == 0 && w;
	     w = strtok_r(NULL, " \t\r,", &save))
		r = store_delta(s, w, err);
	return r;
}

/* Either way of writing: a name or a document replaces, deltas and all, and deltas amend. */
int spec_seccomp_store(struct spec *s, const struct spec_field *f, const char *text,
		       enum spec_write how, struct ctn_err *err)
{
	struct seccomp_profile *profile = NULL;
	const char *p = text;
	struct entry e;
	int r;

	(void)f;
	(void)how;
	while ((r = next_entry(&p, &e, err)) > 0) {
		if (!is_delta(&e))
			strlist_free(&s->seccomp_deltas);
	}
	for (p = text; r == 0;) {
		r = next_entry(&p, &e, err);
		if (r <= 0)
			break;
		r = store_entry(s, &e, err);
	}
	/* So that the write refuses what a start could not use. */
	if (r == 0)
		r = seccomp_profile_get(s->seccomp, &s->seccomp_deltas, s->caps, &profile, err);
	seccomp_profile_put(profile);
	return r;
}
