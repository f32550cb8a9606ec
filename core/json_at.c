/* SPDX-License-Identifier: Apache-2.0 */
/* Walking through a document, and reading its values by type. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "json_private.h"

struct json_at json_root(const struct json_doc *doc)
{
	return (struct json_at){.doc = doc, .value = doc->root};
}

struct json_at json_loose(struct json_object *value)
{
	return (struct json_at){.value = value};
}

size_t json_length(const struct json_at *at)
{
	if (json_object_is_type(at->value, json_type_array))
		return json_object_array_length(at->value);
	if (json_object_is_type(at->value, json_type_object))
		return (size_t)json_object_object_length(at->value);
	return 0;
}

static void fill(const struct json_at *parent, size_t index, const char *key,
		 struct json_object *value, struct json_at *at)
{
	const struct json_doc *doc = parent->doc;

	*at = (struct json_at){
		.doc = doc,
		.value = value,
		.parent = parent,
		.key = key,
		.index = index,
		.node = doc ? doc->kids[doc->nodes.items[parent->node].kids + index] : 0,
	};
}

bool json_get(const struct json_at *object, const char *key, struct json_at *at)
{
	struct json_object *value = NULL;
	size_t index = 0;

	if (!json_object_is_type(object->value, json_type_object) ||
	    !json_object_object_get_ex(object->value, key, &value))
		return false;
	json_object_object_foreach(object->value, name, unused)
	{
		(void)unused;
		if (strcmp(name, key) == 0) {
			fill(object, index, name, value, at);
			break;
		}
		index++;
	}
	return true;
}

bool json_member(const struct json_at *object, size_t i, struct json_at *at)
{
	const struct json_doc *doc = object->doc;
	const struct lh_entry *entry;

	if (!json_object_is_type(object->value, json_type_object) || i >= json_length(object))
		return false;
	if (doc) { /* found before, so that a walk over all is not quadratic */
		entry = doc->nodes.items[doc->kids[doc->nodes.items[object->node].kids + i]].entry;
	} else {
		entry = lh_table_head(json_object_get_object(object->value));
		for (size_t n = 0; n < i; n++)
			entry = entry->next;
	}
	fill(object, i, lh_entry_k(entry), (struct json_object *)lh_entry_v(entry), at);
	return true;
}

bool json_item(const struct json_at *array, size_t i, struct json_at *at)
{
	if (!json_object_is_type(array->value, json_type_array) || i >= json_length(array))
		return false;
	fill(array, i, NULL, json_object_array_get_idx(array->value, i), at);
	return true;
}

/* --- values by type --- */

static const char *type_of(const struct json_at *at)
{
	switch (json_object_get_type(at->value)) {
	case json_type_null:
		return "null";
	case json_type_boolean:
		return json_object_get_boolean(at->value) ? "true" : "false";
	case json_type_object:
		return "an object";
	case json_type_array:
		return "an array";
	case json_type_string:
		return "a string";
	default:
		return "a number";
	}
}

int json_fail_type(const struct json_at *at, const char *wanted, struct ctn_err *err)
{
	return json_fail(at, EINVAL, err, "%s is expected, not %s", wanted, type_of(at));
}

static int want(const struct json_at *at, enum json_type type, const char *name,
		struct ctn_err *err)
{
	return json_object_is_type(at->value, type) ? 0 : json_fail_type(at, name, err);
}

int json_want_object(const struct json_at *at, struct ctn_err *err)
{
	return want(at, json_type_object, "an object", err);
}

int json_want_array(const struct json_at *at, struct ctn_err *err)
{
	return want(at, json_type_array, "an array", err);
}

int json_want_string(const struct json_at *at, const char **ret, struct ctn_err *err)
{
	int r = want(at, json_type_string, "a string", err);
	const char *text;

	if (r < 0)
		return r;
	text = json_object_get_string(at->value);
	if (strlen(text) != (size_t)json_object_get_string_len(at->value))
		return json_fail(at, EINVAL, err, "a NUL cannot be in a value");
	*ret = text;
	return 0;
}

int json_want_bool(const struct json_at *at, bool *ret, struct ctn_err *err)
{
	int r = want(at, json_type_boolean, "true or false", err);

	if (r == 0)
		*ret = json_object_get_boolean(at->value);
	return r;
}

static int want_whole(const struct json_at *at, struct ctn_err *err)
{
	if (json_object_is_type(at->value, json_type_double))
		return json_fail(at, EINVAL, err,
				 "a whole number is expected, without point and exponent");
	return want(at, json_type_int, "a whole number", err);
}

int json_want_int(const struct json_at *at, int64_t min, int64_t max, int64_t *ret,
		  struct ctn_err *err)
{
	int r = want_whole(at, err);
	int64_t n;

	if (r < 0)
		return r;
	/* json-c gives the nearest: a larger one is INT64_MAX here, a negative one 0 there */
	n = json_object_get_int64(at->value);
	if (n >= 0 && json_object_get_uint64(at->value) > (uint64_t)max)
		return json_fail(at, EINVAL, err,
				 "%" PRIu64 " is out of range: %" PRId64 " to %" PRId64,
				 json_object_get_uint64(at->value), min, max);
	if (n < min || n > max)
		return json_fail(at, EINVAL, err,
				 "%" PRId64 " is out of range: %" PRId64 " to %" PRId64, n, min,
				 max);
	*ret = n;
	return 0;
}

int json_want_uint(const struct json_at *at, uint64_t max, uint64_t *ret, struct ctn_err *err)
{
	int r = want_whole(at, err);
	int64_t n;

	if (r < 0)
		return r;
	n = json_object_get_int64(at->value);
	if (n < 0)
		return json_fail(at, EINVAL, err, "%" PRId64 " is out of range: 0 to %" PRIu64, n,
				 max);
	if (json_object_get_uint64(at->value) > max)
		return json_fail(at, EINVAL, err, "%" PRIu64 " is out of range: 0 to %" PRIu64,
				 json_object_get_uint64(at->value), max);
	*ret = json_object_get_uint64(at->value);
	return 0;
}
