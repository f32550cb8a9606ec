/* SPDX-License-Identifier: Apache-2.0 */
/* How the objects of a runtime-spec document are walked: by tables, in their order. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "io.h"
#include "oci_private.h"

enum { OCI_PATH_MAX = 4095 };

static bool is_zero(struct json_object *o)
{
	/* Read as a double, no large integer becomes 0. */
	return json_object_get_double(o) == 0;
}

bool oci_says_nothing(const struct json_at *at)
{
	struct json_at member;

	switch (json_object_get_type(at->value)) {
	case json_type_null:
		return true;
	case json_type_boolean:
		return !json_object_get_boolean(at->value);
	case json_type_int:
	case json_type_double:
		return is_zero(at->value);
	case json_type_string:
		return json_object_get_string_len(at->value) == 0;
	case json_type_array:
		return json_length(at) == 0;
	case json_type_object:
		break;
	}
	for (size_t i = 0; json_member(at, i, &member); i++) {
		if (!oci_says_nothing(&member))
			return false;
	}
	return true;
}

static const struct oci_prop *prop_find(const struct oci_prop *table, const char *name)
{
	for (; table->name; table++) {
		if (strcmp(table->name, name) == 0)
			return table;
	}
	return NULL;
}

static int refuse_unknown(const struct json_at *member, struct ctn_err *err)
{
	return json_fail(member, EINVAL, err,
			 "is no member of the key oci, which has only what no file of the tree "
			 "has");
}

static int check_known(const struct json_at *object, const struct oci_prop *table,
		       struct ctn_err *err)
{
	struct json_at member;

	for (size_t i = 0; json_member(object, i, &member); i++) {
		if (!prop_find(table, member.key))
			return refuse_unknown(&member, err);
	}
	return 0;
}

int oci_object(const struct oci_reader *in, const struct json_at *at, const char *const *names,
	       struct ctn_err *err)
{
	int r = json_want_object(at, err);
	struct json_at member;

	for (size_t i = 0; r == 0 && in->strict && json_member(at, i, &member); i++) {
		const char *const *name = names;

		while (*name && strcmp(*name, member.key) != 0)
			name++;
		if (!*name)
			return refuse_unknown(&member, err);
	}
	return r;
}

static int take(struct oci_reader *in, const struct oci_prop *p, const struct json_at *at,
		struct ctn_err *err)
{
	if (!at->value && !in->strict)
		return 0;
	if (p->take)
		return p->take(in, at, err);
	if (!p->why || oci_says_nothing(at))
		return 0;
	return json_fail(at, EOPNOTSUPP, err, "%s", p->why);
}

int oci_props(struct oci_reader *in, const struct json_at *object, const struct oci_prop *table,
	      struct ctn_err *err)
{
	int r = json_want_object(object, err);

	if (r == 0 && in->strict)
		r = check_known(object, table, err);
	for (const struct oci_prop *p = table; r == 0 && p->name; p++) {
		struct json_at at;

		if (json_get(object, p->name, &at))
			r = take(in, p, &at, err);
	}
	return r;
}

int oci_each(struct oci_reader *in, const struct json_at *array,
	     int (*fn)(struct oci_reader *in, const struct json_at *item, struct ctn_err *err),
	     struct ctn_err *err)
{
	int r = json_want_array(array, err);
	struct json_at item;

	for (size_t i = 0; r == 0 && json_item(array, i, &item); i++)
		r = fn(in, &item, err);
	return r;
}

int oci_need(const struct json_at *object, const char *key, struct json_at *ret,
	     struct ctn_err *err)
{
	struct json_at at;

	if (!json_get(object, key, &at) || !at.value)
		return json_fail(object, EINVAL, err, "%s is missing", key);
	*ret = at;
	return 0;
}

/* A file's text is lines, and loses the blanks around a value: what would not come out as it went
 * in is refused. */
int oci_check_line(const struct json_at *at, const char *text, struct ctn_err *err)
{
	size_t n = strlen(text);

	if (strchr(text, '\n'))
		return json_fail(at, EINVAL, err, "has a line break in it");
	if (n > 0 && (isspace((unsigned char)text[0]) || isspace((unsigned char)text[n - 1])))
		return json_fail(at, EINVAL, err, "has a blank at its beginning or end");
	return 0;
}

/* A whole line: one that begins with # would be skipped. */
static int check_entry(const struct json_at *at, const char *line, struct ctn_err *err)
{
	if (line[0] == '#')
		return json_fail(at, EINVAL, err, "'%.40s' begins with #", line);
	return oci_check_line(at, line, err);
}

int oci_field(struct oci_reader *in, const struct json_at *at, const char *field, const char *text,
	      struct ctn_err *err)
{
	const struct spec_field *f = spec_field_find(field);
	int r = check_entry(at, text, err);

	if (r < 0)
		return r;
	r = f->store(in->spec, f, text, SPEC_REPLACE, err);
	return r < 0 ? json_fail_context(at, err) : 0;
}

int oci_add(struct oci_reader *in, const struct json_at *at, const char *field, const char *line,
	    struct ctn_err *err)
{
	const struct spec_field *f = spec_field_find(field);
	int r = check_entry(at, line, err);

	if (r < 0)
		return r;
	r = f->store(in->spec, f, line, SPEC_AMEND, err);
	return r < 0 ? json_fail_context(at, err) : 0;
}

/* Appends the parts of @path to the clean absolute @to, which has the room. */
static void path_append(char *to, const char *path)
{
	while (*path) {
		size_t n = strcspn(path, "/");
		char *slash = strrchr(to, '/');

		if (n == 2 && strncmp(path, "..", n) == 0) {
			if (slash)
				*slash = '\0';
		} else if (n > 0 && !(n == 1 && path[0] == '.')) {
			strcat(to, "/");
			strncat(to, path, n);
		}
		path += n + (path[n] == '/');
	}
}

int oci_path(const struct json_at *at, const char *base, const char *path, char **ret,
	     struct ctn_err *err)
{
	char *clean;

	if (!path[0])
		return json_fail(at, EINVAL, err, "an empty path");
	if (path[0] != '/' && !base)
		return json_fail(at, EINVAL, err,
				 "'%.80s' is relative, and there is no bundle that it could be "
				 "relative to; give the absolute path",
				 path);
	if (strlen(path) > OCI_PATH_MAX || (base && strlen(base) > OCI_PATH_MAX))
		return json_fail(at, ENAMETOOLONG, err, "longer than %d bytes", OCI_PATH_MAX);
	clean = calloc(1, (base ? strlen(base) : 0) + strlen(path) + 4);
	if (!clean)
		return json_fail(at, ENOMEM, err, "no memory");
	if (path[0] != '/')
		path_append(clean, base);
	path_append(clean, path);
	if (!clean[0])
		strcpy(clean, "/");
	*ret = clean;
	return 0;
}

int oci_number(const struct json_at *at, const struct oci_name *names, uint64_t *ret,
	       struct ctn_err *err)
{
	ctn_autofree char *known = NULL;
	const char *name = NULL;
	size_t len;
	FILE *out;
	int r = json_want_string(at, &name, err);

	if (r < 0)
		return r;
	for (const struct oci_name *n = names; n->name; n++) {
		if (strcmp(n->name, name) == 0) {
			*ret = n->value;
			return 0;
		}
	}
	out = open_memstream(&known, &len);
	for (const struct oci_name *n = names; out && n->name; n++)
		fprintf(out, " %s", n->name);
	if (io_text_close(out, &known) < 0)
		return json_fail(at, ENOMEM, err, "no memory");
	return json_fail(at, EINVAL, err, "'%.40s' is none of%s", name, known);
}

const char *oci_name_of(const struct oci_name *names, uint64_t value)
{
	for (; names->name; names++) {
		if (names->value == value)
			return names->name;
	}
	return NULL;
}
