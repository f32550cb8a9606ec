/* SPDX-License-Identifier: Apache-2.0 */
/* Documents: the reader, every value's place, and the tree's own form there and back. */
#include <errno.h>
#include <string.h>

#include "cleanup.h"
#include "fuzz.h"
#include "spec_json.h"

/* Each value can be named, and is found again by its number and by its key. */
static void walk(const struct json_at *at)
{
	struct ctn_err err = {0};
	struct json_at kid, again;

	FUZZ_CHECK(json_fail(at, ENOENT, &err, "x") == -ENOENT && strstr(err.text, "line "));
	for (size_t i = 0; json_item(at, i, &kid); i++)
		walk(&kid);
	for (size_t i = 0; json_member(at, i, &kid); i++) {
		FUZZ_CHECK(json_get(at, kid.key, &again));
		FUZZ_CHECK(again.value == kid.value && again.index == i && again.node == kid.node);
		walk(&kid);
	}
}

/* What is shown means what was read. */
static void there_and_back(struct spec *s)
{
	ctn_autofree char *text = NULL, *again = NULL;
	struct json_doc *doc = NULL;
	struct spec *back = NULL;
	struct ctn_err err = {0};
	struct json_at root;

	if (!s->name[0]) {
		free(s->name);
		s->name = strdup("x");
	}
	FUZZ_CHECK(spec_to_text(s, &text, NULL) == 0);
	if (strlen(text) > JSON_DOC_MAX)
		return;
	FUZZ_CHECK(json_doc_parse(text, strlen(text), &doc, NULL) == 0);
	root = json_root(doc);
	if (spec_from_at(&root, &back, &err) < 0)
		fprintf(stderr, "%s\n%s", err.text, text);
	FUZZ_CHECK(back && spec_to_text(back, &again, NULL) == 0);
	if (strcmp(text, again) != 0)
		fprintf(stderr, "%s%s", text, again);
	FUZZ_CHECK(strcmp(text, again) == 0);
	json_doc_free(doc);
	spec_put(back);
}

static bool only_blanks(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (!text[i] || !strchr(" \t\r\n", text[i]))
			return false;
	}
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	struct json_doc *doc = NULL;
	struct spec *s = NULL;
	struct ctn_err err = {0};
	struct json_at root;
	ssize_t end = json_doc_end(text, size, NULL);
	int r = json_doc_parse(text, size, &doc, &err);

	FUZZ_CHECK(end <= (ssize_t)size && r <= 0);
	FUZZ_CHECK(r == 0 ? doc != NULL : r == -err.code && err.text[0]);
	if (!doc)
		return 0;
	FUZZ_CHECK(end > 0 && only_blanks(text + end, size - (size_t)end));
	root = json_root(doc);
	walk(&root);
	r = spec_from_at(&root, &s, &err);
	FUZZ_CHECK(r == 0 ? s != NULL : r == -err.code && strstr(err.text, "line "));
	if (s)
		there_and_back(s);
	spec_put(s);
	json_doc_free(doc);
	return 0;
}
