/* SPDX-License-Identifier: Apache-2.0 */
/* The section mounts of a runtime-spec document: what a default container has, the host's
 * directories, and the lines of the file `mounts`. */
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "oci_export.h"
#include "oci_private.h"
#include "spec_idmap.h"
#include "spec_mounts.h"

enum { TTY_GID = 5 };

/* A copy of an option, with the comma's end cut off. */
static void append_option(struct oci_writer *w, struct json_object *options, const char *from,
			  size_t n)
{
	oci_append(w, options, json_object_new_string_len(from, (int)n));
}

static bool is_word(const char *from, size_t n, const char *word)
{
	return strlen(word) == n && memcmp(from, word, n) == 0;
}

/* Comma-separated options as an array, without those that only our lines have. */
static void append_options(struct oci_writer *w, struct json_object *options, const char *text)
{
	static const char *const ours[] = {"defaults", "idmap", "noidmap", NULL};

	while (*text) {
		size_t n = strcspn(text, ",");
		bool drop = n == 0;

		for (const char *const *word = ours; *word; word++)
			drop |= is_word(text, n, *word);
		if (!drop)
			append_option(w, options, text, n);
		text += n + (text[n] == ',');
	}
}

/* @options is taken. */
static void append_mount(struct oci_writer *w, struct json_object *mounts, const char *target,
			 const char *type, const char *source, struct json_object *options)
{
	struct json_object *to = json_object_new_object();

	oci_put_text(w, to, "destination", target);
	oci_put_text(w, to, "type", type);
	oci_put_text(w, to, "source", source);
	oci_put_some(w, to, "options", options);
	oci_append(w, mounts, to);
}

static void append_default(struct oci_writer *w, struct json_object *mounts,
			   const struct oci_default_mount *d)
{
	struct json_object *options = json_object_new_array();
	bool bound = oci_default_bound(w->spec, d);
	size_t n = strlen(d->options);
	uint32_t gid;

	/* A terminal's group must be one that the container has. */
	if (strcmp(d->type, "devpts") == 0 && !spec_maps_outside(w->where->gids, TTY_GID, &gid))
		n = (size_t)(strstr(d->options, ",gid=") - d->options);
	if (bound)
		oci_append_text(w, options, "rbind");
	for (const char *o = d->options; o < d->options + n;) {
		size_t len = strcspn(o, ",");

		append_option(w, options, o, len);
		o += len + 1;
	}
	append_mount(w, mounts, d->target, bound ? "none" : d->type, bound ? d->target : d->source,
		     options);
}

/* One line. A bind that is shifted says so here, where silence means that it is not. */
static int append_line(struct oci_writer *w, struct json_object *mounts, const char *line,
		       struct ctn_err *err)
{
	ctn_autofree char *said = NULL;
	struct spec_mount m = {0};
	struct json_object *options;
	int r = spec_mount_parse(line, &m, err);

	if (r == 0)
		r = spec_mount_said(line, &said, err);
	if (r < 0) {
		spec_mount_free(&m);
		return r;
	}
	options = json_object_new_array();
	append_options(w, options, said);
	if ((m.flags & (MOUNT_BIND | MOUNT_IDMAP | MOUNT_RIDMAP)) == (MOUNT_BIND | MOUNT_IDMAP) &&
	    !spec_ns_is_host(w->spec, NS_USER))
		oci_append_text(w, options, "idmap");
	append_mount(w, mounts, m.target, m.type, m.source, options);
	spec_mount_free(&m);
	return 0;
}

/* The target of a line, as canonical lines have it: without escapes where it is a default's. */
static bool is_at(const char *line, const char *target)
{
	size_t n = strlen(target);

	line += line[0] == '-' ? 1 : strcspn(line, " ") + 1;
	return strncmp(line, target, n) == 0 && (line[n] == ' ' || !line[n]);
}

/* Where a default has its place stands what a line put there, so that nothing below is covered. */
static int append_at(struct oci_writer *w, struct json_object *mounts,
		     const struct oci_default_mount *d, struct ctn_err *err)
{
	const struct strlist *lines = &w->spec->mounts;

	for (size_t i = 0; i < lines->len; i++) {
		if (!is_at(lines->items[i], d->target))
			continue;
		return lines->items[i][0] == '-' ? 0 : append_line(w, mounts, lines->items[i], err);
	}
	if (!oci_default_absent(w->spec, d))
		append_default(w, mounts, d);
	return 0;
}

static void append_bind(struct oci_writer *w, struct json_object *mounts, const char *path)
{
	struct json_object *options = json_object_new_array();

	append_options(w, options, "rbind,ro,nosuid,nodev");
	append_mount(w, mounts, path, "none", path, options);
}

static bool is_default_place(const char *line)
{
	for (const struct oci_default_mount *d = oci_default_mounts; d->target; d++) {
		if (is_at(line, d->target))
			return true;
	}
	return false;
}

int oci_put_mounts(struct oci_writer *w, struct json_object *root, struct ctn_err *err)
{
	struct json_object *mounts = json_object_new_array();
	const struct strlist *lines = &w->spec->mounts;
	int r = 0;

	for (const struct oci_default_mount *d = oci_default_mounts; r == 0 && d->target; d++)
		r = append_at(w, mounts, d, err);
	for (const char *const *path = w->where->binds; path && *path; path++)
		append_bind(w, mounts, *path);
	for (size_t i = 0; r == 0 && i < lines->len; i++) {
		if (!is_default_place(lines->items[i]))
			r = append_line(w, mounts, lines->items[i], err);
	}
	oci_put_some(w, root, "mounts", mounts);
	return r;
}
