/* SPDX-License-Identifier: Apache-2.0 */
/* The runtime-spec's form: documents, what is made of them, and the own form's key `oci`. */
#include <string.h>

#include "cleanup.h"
#include "fuzz.h"
#include "oci.h"
#include "users.h"

static char *export_text(const struct spec *s)
{
	static const struct spec_maps maps = {.items = {{0, 1000000, 65536}}, .len = 1};
	const struct users_ids user = {.home = "/"};
	const struct spec_oci *oci = s->oci;
	const struct oci_where where = {
		.root_path = s->rootfs ? s->rootfs : "/srv/root",
		.uids = oci && oci->uids.len ? &oci->uids : &maps,
		.gids = oci && oci->gids.len ? &oci->gids : &maps,
		.user = &user,
	};
	struct json_object *o = NULL;
	struct ctn_err err = {0};
	char *text;

	if (oci_export(s, &where, &o, &err) < 0)
		fprintf(stderr, "%s\n", err.text);
	FUZZ_CHECK(o);
	text = strdup(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN));
	json_object_put(o);
	return text;
}

static struct spec *import_text(const char *text, struct ctn_err *err)
{
	struct json_doc *doc = NULL;
	struct spec *s = NULL;
	struct json_at root;

	if (json_doc_parse(text, strlen(text), &doc, err) < 0)
		return NULL;
	root = json_root(doc);
	FUZZ_CHECK(oci_import(&root, NULL, &s, err) == 0 || !s);
	json_doc_free(doc);
	return s;
}

/* What is written of an accepted document is accepted, and from there on nothing changes. */
static void there_and_back(const struct spec *s)
{
	ctn_autofree char *first = export_text(s), *second = NULL, *third = NULL;
	struct ctn_err err = {0};
	struct spec *again, *last;

	if (strlen(first) > JSON_DOC_MAX)
		return;
	again = import_text(first, &err);
	if (!again)
		fprintf(stderr, "%s\n%s\n", err.text, first);
	FUZZ_CHECK(again);
	second = export_text(again);
	last = strlen(second) > JSON_DOC_MAX ? NULL : import_text(second, &err);
	if (last) {
		third = export_text(last);
		if (strcmp(third, second) != 0)
			fprintf(stderr, "%s\n%s\n", second, third);
		FUZZ_CHECK(strcmp(third, second) == 0);
	}
	spec_put(again);
	spec_put(last);
}

/* The same of the key `oci`. */
static void members(const struct json_at *at)
{
	struct json_object *o = NULL;
	struct ctn_err err = {0};
	struct spec *s = spec_new("x"), *copy = spec_new("y");

	if (oci_members_import(at, s, &err) == 0) {
		FUZZ_CHECK(oci_members_export(s, &o, NULL) == 0);
		if (o) {
			struct json_at again = json_loose(o);

			FUZZ_CHECK(oci_members_import(&again, copy, &err) == 0);
		}
	}
	json_object_put(o);
	spec_put(s);
	spec_put(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct json_doc *doc = NULL;
	struct spec *s = NULL;
	struct ctn_err err = {0};
	struct json_at root;
	int r;

	if (json_doc_parse((const char *)data, size, &doc, NULL) < 0)
		return 0;
	root = json_root(doc);
	members(&root);
	r = oci_import(&root, "/srv/bundle", &s, &err);
	FUZZ_CHECK(r == 0 ? s != NULL : r == -err.code && err.text[0]);
	if (s)
		there_and_back(s);
	spec_put(s);
	json_doc_free(doc);
	return 0;
}
