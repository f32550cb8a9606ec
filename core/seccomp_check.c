/* SPDX-License-Identifier: Apache-2.0 */
/* Checking a JSON profile for whoever keeps it: its keys, its values, its canonical text. */
#include <errno.h>
#include <linux/version.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "seccomp.h"
#include "seccomp_rules.h"

/* A key, and what the object (or the objects in the array) under it can have. */
struct shape {
	const char *key;
	const struct shape *inner;
};

static const struct shape arch_shape[] = {{"architecture", NULL}, {"subArchitectures", NULL}, {0}};
static const struct shape arg_shape[] = {
	{"index", NULL}, {"value", NULL}, {"valueTwo", NULL}, {"op", NULL}, {0},
};
static const struct shape asked_shape[] = {
	{"arches", NULL},
	{"caps", NULL},
	{"minKernel", NULL},
	{0},
};
static const struct shape rule_shape[] = {
	{"name", NULL},
	{"names", NULL},
	{"action", NULL},
	{"errnoRet", NULL},
	{"args", arg_shape},
	{"comment", NULL},
	{"includes", asked_shape},
	{"excludes", asked_shape},
	{0},
};
static const struct shape profile_shape[] = {
	{"defaultAction", NULL},    {"defaultErrnoRet", NULL}, {"architectures", NULL},
	{"archMap", arch_shape},    {"flags", NULL},	       {"listenerPath", NULL},
	{"listenerMetadata", NULL}, {"syscalls", rule_shape},  {0},
};

static const struct shape *shape_find(const struct shape *shape, const char *key)
{
	for (; shape->key; shape++) {
		if (strcmp(shape->key, key) == 0)
			return shape;
	}
	return NULL;
}

/* Refuse the first key that the shape does not have. */
static int check_keys(const struct json_at *at, const struct shape *shape, struct ctn_err *err)
{
	struct json_at member;
	int r = 0;

	if (json_object_is_type(at->value, json_type_array)) {
		for (size_t i = 0; r == 0 && json_item(at, i, &member); i++)
			r = check_keys(&member, shape, err);
		return r;
	}
	if (!json_object_is_type(at->value, json_type_object))
		return 0; /* its type is looked at elsewhere */
	for (size_t i = 0; r == 0 && json_member(at, i, &member); i++) {
		const struct shape *known = shape_find(shape, member.key);

		if (!known)
			r = json_fail(&member, EINVAL, err,
				      "there is no such key in a seccomp "
				      "profile");
		else if (known->inner)
			r = check_keys(&member, known->inner, err);
	}
	return r;
}

/* A copy of what the shape knows. */
static struct json_object *pruned(struct json_object *value, const struct shape *shape)
{
	struct json_object *copy;

	if (shape && json_object_is_type(value, json_type_array)) {
		copy = json_object_new_array();
		for (size_t i = 0; i < json_object_array_length(value); i++)
			json_object_array_add(copy,
					      pruned(json_object_array_get_idx(value, i), shape));
		return copy;
	}
	if (!shape || !json_object_is_type(value, json_type_object))
		return json_object_get(value);
	copy = json_object_new_object();
	json_object_object_foreach(value, key, member)
	{
		const struct shape *known = shape_find(shape, key);

		if (known)
			json_object_object_add(copy, key, pruned(member, known->inner));
	}
	return copy;
}

static int canonical_text(struct json_object *value, char **ret, struct ctn_err *err)
{
	struct json_object *copy = pruned(value, profile_shape);
	const char *text = json_object_to_json_string_ext(
		copy, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
	char *kept = text ? strdup(text) : NULL;

	json_object_put(copy);
	if (!kept)
		return ctn_fail(err, ENOMEM, "no memory for a seccomp profile");
	*ret = kept;
	return 0;
}

int seccomp_check(const struct json_at *at, bool strict, char **ret, struct ctn_err *err)
{
	struct seccomp_profile *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return ctn_fail(err, ENOMEM, "no memory for a seccomp profile");
	p->refs = 1;
	r = seccomp_json_add(p, at, 0, KERNEL_VERSION(0, 0, 0), err);
	if (r == 0 && strict)
		r = check_keys(at, profile_shape, err);
	if (r == 0 && ret)
		r = canonical_text(at->value, ret, err);
	seccomp_profile_put(p);
	return r;
}
