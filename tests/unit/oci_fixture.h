/* SPDX-License-Identifier: Apache-2.0 */
/* Short forms for the tests of oci.h: documents from files and texts, and as texts. */
#ifndef CTNFS_TESTS_UNIT_OCI_FIXTURE_H
#define CTNFS_TESTS_UNIT_OCI_FIXTURE_H

#include <fcntl.h>
#include <sys/mount.h>

#include "io.h"
#include "oci.h"
#include "spec_fixture.h"
#include "users.h"

static inline int import_text(const char *text, const char *bundle, struct spec **ret,
			      struct ctn_err *err)
{
	struct json_doc *doc = NULL;
	int r = json_doc_parse(text, strlen(text), &doc, err);

	if (r == 0) {
		struct json_at root = json_root(doc);

		r = oci_is(&root) ? oci_import(&root, bundle, ret, err)
				  : ctn_fail(err, EINVAL, "not in this form");
	}
	json_doc_free(doc);
	return r;
}

/* tests/data/oci/@name. NULL, and a failure, when it is refused. */
static inline struct spec *import_file(const char *name)
{
	ctn_autofree char *text = NULL;
	struct spec *spec = NULL;
	struct ctn_err err = {0};
	char path[4096];

	snprintf(path, sizeof(path), TEST_DATA "/oci/%s", name);
	CHECK(io_read_at(AT_FDCWD, path, 1 << 20, &text, NULL, NULL) == 0);
	if (text && import_text(text, "/srv/bundle", &spec, &err) < 0)
		printf("# %s: %s\n", name, err.text);
	CHECK(spec);
	return spec;
}

/* A made-up place, for a spec whose user is a number or root. */
static inline struct oci_where where_of(const struct spec *spec, struct users_ids *user)
{
	static struct spec_maps maps = {.items = {{0, 1000000, 65536}}, .len = 1};
	const struct spec_oci *oci = spec->oci;
	unsigned uid = 0, gid = 0;

	(void)sscanf(spec->user, "%u:%u", &uid, &gid);
	*user = (struct users_ids){.uid = uid, .gid = gid, .home = "/root"};
	return (struct oci_where){
		.root_path = spec->rootfs ? spec->rootfs : "/srv/root",
		.uids = oci && oci->uids.len ? &oci->uids : &maps,
		.gids = oci && oci->gids.len ? &oci->gids : &maps,
		.user = user,
	};
}

/* As a document's text, to be freed. */
static inline char *export_text(const struct spec *spec, struct ctn_err *err)
{
	struct json_object *o = NULL;
	struct users_ids user;
	struct oci_where where = where_of(spec, &user);
	char *text = NULL;

	if (oci_export(spec, &where, &o, err) == 0)
		text = strdup(json_object_to_json_string_ext(
			o, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(o);
	return text;
}

/* What `oci` of the own form says, to be freed; NULL for nothing. */
static inline char *members_text(const struct spec *spec)
{
	struct json_object *o = NULL;
	char *text = NULL;

	CHECK(oci_members_export(spec, &o, NULL) == 0);
	if (o)
		text = strdup(json_object_to_json_string_ext(
			o, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(o);
	return text;
}

/* The knobs, "name value\n" each, in one of a few buffers. */
static inline const char *knobs_of(const struct spec *spec)
{
	static char text[4096];
	size_t n = 0;

	text[0] = '\0';
	for (size_t i = 0; i < spec->cgroup.len; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s\n", spec->cgroup.items[i]);
	return text;
}

#endif
