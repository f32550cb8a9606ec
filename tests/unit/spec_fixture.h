/* SPDX-License-Identifier: Apache-2.0 */
/* Short forms for the tests of spec.h: fields by name, texts as C strings. */
#ifndef CTNFS_TESTS_UNIT_SPEC_FIXTURE_H
#define CTNFS_TESTS_UNIT_SPEC_FIXTURE_H

#include <stdlib.h>

#include "check.h"
#include "cleanup.h"
#include "spec.h"

/* As container_store() does it: on a copy, which counts only when all of it was understood. */
static inline int put_as(struct spec **s, const char *field, const char *text, enum spec_write how,
			 struct ctn_err *err)
{
	const struct spec_field *f = spec_field_find(field);
	struct spec *copy = spec_dup(*s);
	int r = f->store(copy, f, text, how, err);

	if (r < 0) {
		spec_put(copy);
		return r;
	}
	spec_put(*s);
	*s = copy;
	return r;
}

static inline int put(struct spec **s, const char *field, const char *text, struct ctn_err *err)
{
	return put_as(s, field, text, SPEC_REPLACE, err);
}

static inline int add(struct spec **s, const char *field, const char *text)
{
	return put_as(s, field, text, SPEC_AMEND, NULL);
}

/* The field's text, in one of a few buffers. */
static inline const char *text_of(const struct spec *s, const char *field)
{
	static char *kept[8];
	static size_t next;
	char **slot = &kept[next++ % CTN_COUNT(kept)];

	free(*slot);
	*slot = NULL;
	CHECK(spec_field_text(s, spec_field_find(field), slot, NULL) == 0);
	return *slot;
}

/* What is shown must be accepted, and mean the same. */
static inline void check_echo(const struct spec *s, const char *field)
{
	struct spec *copy = spec_dup(s);

	CHECK(put(&copy, field, text_of(s, field), NULL) == 0);
	CHECK_STR(text_of(copy, field), text_of(s, field));
	spec_put(copy);
}

#endif
