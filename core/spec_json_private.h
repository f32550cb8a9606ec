/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by spec_json*.c. */
#ifndef CTNFS_CORE_SPEC_JSON_PRIVATE_H
#define CTNFS_CORE_SPEC_JSON_PRIVATE_H

#include "json_doc.h"
#include "spec.h"

/** enum spec_json_kind - what a single value may be besides a string. */
enum spec_json_kind { SPEC_JSON_TEXT, SPEC_JSON_NUMBER, SPEC_JSON_FLAG };

enum spec_json_kind spec_json_kind(const struct spec_field *field);

/** struct spec_reading - a document on its way into @spec. @state: it is our own, from the disk.
 * @err: not NULL. */
struct spec_reading {
	struct spec *spec;
	bool state;
	struct ctn_err *err;
};

/** spec_json_line() - a string without a line break. */
int spec_json_line(const struct spec_reading *r, const struct json_at *at, const char **ret);

/* A value of the document @at goes into @f; what its parser refuses gets the place in front. */
int spec_json_store(struct spec_reading *r, const struct json_at *at, const struct spec_field *f,
		    const char *text, enum spec_write how);
/** spec_json_text() - one line as a string. spec_json_value() - also a number or a bool, where @f
 * takes one. */
int spec_json_text(struct spec_reading *r, const struct json_at *at, const struct spec_field *f);
int spec_json_value(struct spec_reading *r, const struct json_at *at, const struct spec_field *f);
/** spec_json_list() - an array of lines or a string with all of them. spec_json_items() - an
 * array's, from element number @first on. spec_json_store_lines() - lines that were made of @at's
 * elements or members, from number @first on: the one that is refused is named. */
int spec_json_list(struct spec_reading *r, const struct json_at *at, const struct spec_field *f);
int spec_json_items(struct spec_reading *r, const struct json_at *at, const struct spec_field *f,
		    size_t first, enum spec_write how);
int spec_json_store_lines(struct spec_reading *r, const struct json_at *at,
			  const struct spec_field *f, const struct strlist *lines, size_t first,
			  enum spec_write how);

/** spec_json_limits() - the key `cgroup`. */
int spec_json_limits(struct spec_reading *r, const struct json_at *at);

/** struct spec_nearest - of the words it is shown, the one that resembles @wanted most, if any. */
struct spec_nearest {
	const char *wanted, *best;
	unsigned distance;
};

void spec_nearest(struct spec_nearest *n, const char *candidate);

#endif
