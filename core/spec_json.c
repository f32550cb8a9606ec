/* SPDX-License-Identifier: Apache-2.0 */
#include "spec_json.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "io.h"

/* A list is an array of its lines, a single value a string, the command an array of its words. */
static struct json_object *lines_to_json(const char *text)
{
	struct json_object *array = json_object_new_array();

	while (*text) {
		size_t len = strcspn(text, "\n");

		if (len > 0)
			json_object_array_add(array, json_object_new_string_len(text, (int)len));
		text += len + (text[len] == '\n');
	}
	return array;
}

static struct json_object *strlist_to_json(const struct strlist *list)
{
	struct json_object *array = json_object_new_array();

	for (size_t i = 0; i < list->len; i++)
		json_object_array_add(array, json_object_new_string(list->items[i]));
	return array;
}

static struct json_object *field_to_json(const struct spec *s, const struct spec_field *f)
{
	ctn_autofree char *text = NULL;

	if (strcmp(f->name, "cmd") == 0)
		return strlist_to_json(&s->cmd);
	if (spec_field_text(s, f, &text, NULL) < 0)
		return NULL;
	if (f->list)
		return lines_to_json(text);
	text[strcspn(text, "\n")] = '\0';
	return json_object_new_string(text);
}

struct json_object *spec_to_json(const struct spec *s)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "name", json_object_new_string(s->name));
	for (const struct spec_field *f = spec_fields; f->name; f++) {
		/* ns/<kind> are in ns.list; a host name that follows the name is not a value */
		if (strncmp(f->name, "ns/", 3) == 0 ||
		    (strcmp(f->name, "hostname") == 0 && !s->hostname))
			continue;
		json_object_object_add(o, f->name, field_to_json(s, f));
	}
	json_object_object_add(o, "cgroup", strlist_to_json(&s->cgroup));
	return o;
}

/* A string's text; a field's text ends at a NUL, so none can be in it. */
static int json_string(const char *key, struct json_object *o, const char **ret,
		       struct ctn_err *err)
{
	const char *text;

	if (!json_object_is_type(o, json_type_string))
		return ctn_fail(err, EINVAL, "%s: neither a string nor an array of strings", key);
	text = json_object_get_string(o);
	if (strlen(text) != (size_t)json_object_get_string_len(o))
		return ctn_fail(err, EINVAL, "%s: there is a NUL byte in it", key);
	*ret = text;
	return 0;
}

static int print_lines(const char *key, struct json_object *o, FILE *out, struct ctn_err *err)
{
	bool array = json_object_is_type(o, json_type_array);
	size_t n = array ? json_object_array_length(o) : 1;

	for (size_t i = 0; i < n; i++) {
		const char *line = NULL;
		int r = json_string(key, array ? json_object_array_get_idx(o, i) : o, &line, err);

		if (r < 0)
			return r;
		fprintf(out, "%s\n", line);
	}
	return 0;
}

/* The lines of an array of strings, joined; or the string itself. */
static int json_to_text(const char *key, struct json_object *o, char **ret, struct ctn_err *err)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);
	int r;

	if (!out)
		return ctn_fail(err, ENOMEM, "%s: no memory", key);
	r = print_lines(key, o, out, err);
	if (fclose(out) != 0 && r == 0)
		r = ctn_fail(err, ENOMEM, "%s: no memory", key);
	if (r < 0) {
		free(text);
		return r;
	}
	*ret = text;
	return 0;
}

static int cmd_from_json(struct spec *s, struct json_object *o, struct ctn_err *err)
{
	const struct spec_field *f = spec_field_find("cmd");

	if (!json_object_is_type(o, json_type_array))
		return ctn_fail(err, EINVAL, "cmd: not an array");
	if (json_object_array_length(o) == 0)
		return 0;
	return f->store(s, f, json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN),
			SPEC_REPLACE, err);
}

static int cgroup_from_json(struct spec *s, struct json_object *o, struct ctn_err *err)
{
	if (!json_object_is_type(o, json_type_array))
		return ctn_fail(err, EINVAL, "cgroup: not an array");
	for (size_t i = 0; i < json_object_array_length(o); i++) {
		const char *text = NULL;
		ctn_autofree char *entry = NULL;
		char *value;
		int r = json_string("cgroup", json_object_array_get_idx(o, i), &text, err);

		if (r < 0)
			return r;
		entry = strdup(text);
		value = entry ? strchr(entry, ' ') : NULL;
		if (!value)
			return ctn_fail(err, EINVAL, "cgroup: element %zu is no knob and value", i);
		*value++ = '\0';
		r = spec_set_knob(s, entry, value, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int key_from_json(struct spec *s, const char *key, struct json_object *o,
			 struct ctn_err *err)
{
	const struct spec_field *f = spec_field_find(key);
	ctn_autofree char *text = NULL;
	int r;

	if (strcmp(key, "name") == 0)
		return 0; /* read already */
	if (strcmp(key, "cgroup") == 0)
		return cgroup_from_json(s, o, err);
	if (!f)
		return ctn_fail(err, EINVAL, "'%s' is no file of the tree", key);
	if (strcmp(key, "cmd") == 0)
		return cmd_from_json(s, o, err);
	r = json_to_text(key, o, &text, err);
	return r < 0 ? r : f->store(s, f, text, SPEC_REPLACE, err);
}

int spec_from_json(struct json_object *object, struct spec **ret, struct ctn_err *err)
{
	struct json_object *member = NULL;
	const char *name = NULL;
	struct spec *s;
	int r;

	if (!json_object_is_type(object, json_type_object) ||
	    !json_object_object_get_ex(object, "name", &member) ||
	    !json_object_is_type(member, json_type_string))
		return ctn_fail(err, EINVAL, "not a specification: no name");
	r = json_string("name", member, &name, err);
	if (r == 0)
		r = spec_name_check(name, err);
	if (r < 0)
		return r;
	s = spec_new(name);
	if (!s)
		return ctn_fail(err, ENOMEM, "no memory for a specification");
	json_object_object_foreach(object, key, value)
	{
		r = key_from_json(s, key, value, err);
		if (r < 0) {
			spec_put(s);
			return r;
		}
	}
	*ret = s;
	return 0;
}
