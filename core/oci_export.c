/* SPDX-License-Identifier: Apache-2.0 */
/* A spec as a runtime-spec document: the root object, and how objects are built. */
#include "oci_export.h"

#include <errno.h>
#include <string.h>

#include "cleanup.h"

/* What runc 1.1 knows, and what came after. */
static const char old_version[] = "1.0.2", new_version[] = "1.2.0";

void oci_put(struct oci_writer *w, struct json_object *to, const char *key,
	     struct json_object *value)
{
	if (value && to && json_object_object_add(to, key, value) == 0)
		return;
	json_object_put(value);
	w->failed = true;
}

void oci_put_some(struct oci_writer *w, struct json_object *to, const char *key,
		  struct json_object *value)
{
	bool empty = json_object_is_type(value, json_type_array)
			     ? json_object_array_length(value) == 0
			     : value && json_object_object_length(value) == 0;

	if (empty)
		json_object_put(value);
	else
		oci_put(w, to, key, value);
}

void oci_put_text(struct oci_writer *w, struct json_object *to, const char *key, const char *text)
{
	oci_put(w, to, key, json_object_new_string(text));
}

void oci_put_bool(struct oci_writer *w, struct json_object *to, const char *key, bool value)
{
	oci_put(w, to, key, json_object_new_boolean(value));
}

void oci_put_int(struct oci_writer *w, struct json_object *to, const char *key, int64_t value)
{
	oci_put(w, to, key, json_object_new_int64(value));
}

void oci_put_uint(struct oci_writer *w, struct json_object *to, const char *key, uint64_t value)
{
	oci_put(w, to, key, json_object_new_uint64(value));
}

void oci_append(struct oci_writer *w, struct json_object *array, struct json_object *value)
{
	if (value && array && json_object_array_add(array, value) == 0)
		return;
	json_object_put(value);
	w->failed = true;
}

void oci_append_text(struct oci_writer *w, struct json_object *array, const char *text)
{
	oci_append(w, array, json_object_new_string(text));
}

struct json_object *oci_new_annotations(struct oci_writer *w)
{
	struct json_object *to = json_object_new_object();
	const struct spec_oci *oci = w->spec->oci;

	for (size_t i = 0; oci && i < oci->annotations.len; i++) {
		const char *entry = oci->annotations.items[i], *equals = strchr(entry, '=');
		ctn_autofree char *key = equals ? strndup(entry, (size_t)(equals - entry)) : NULL;

		if (key)
			oci_put_text(w, to, key, equals + 1);
		else
			w->failed = true;
	}
	return to;
}

static void put_annotations(struct oci_writer *w, struct json_object *root)
{
	struct json_object *annotations = oci_new_annotations(w);

	if (w->spec->name[0])
		oci_put_text(w, annotations, "org.ctnfs.name", w->spec->name);
	oci_put_some(w, root, "annotations", annotations);
}

static bool is_new(const struct spec *s)
{
	const struct spec_oci *oci = s->oci;

	return !spec_ns_is_host(s, NS_TIME) ||
	       (oci && (oci->domainname || oci->scheduler.set || oci->ioprio >= 0));
}

static void put_root(struct oci_writer *w, struct json_object *root)
{
	struct json_object *to = json_object_new_object();

	oci_put_text(w, to, "path", w->where->root_path);
	oci_put_bool(w, to, "readonly", w->spec->root_mode == SPEC_ROOT_RO);
	oci_put(w, root, "root", to);
}

/* In a namespace that is another's it would rename that one, so only where it was asked for. */
static bool has_hostname(const struct oci_writer *w)
{
	if (spec_ns_is_host(w->spec, NS_UTS))
		return false;
	return w->spec->hostname ||
	       (spec_ns_is_new(w->spec, NS_UTS) && !w->where->ns_paths[NS_UTS]);
}

/* The document, or what went wrong; @object is taken. */
static int finish(struct oci_writer *w, int r, struct json_object *object, struct json_object **ret,
		  struct ctn_err *err)
{
	if (r == 0 && w->failed)
		r = ctn_fail(err, ENOMEM, "no memory for a document");
	if (r < 0) {
		json_object_put(object);
		return r;
	}
	*ret = object;
	return 0;
}

int oci_export(const struct spec *spec, const struct oci_where *where, struct json_object **ret,
	       struct ctn_err *err)
{
	struct oci_writer w = {.spec = spec, .where = where};
	struct json_object *root = json_object_new_object();
	int r;

	oci_put_text(&w, root, "ociVersion", is_new(spec) ? new_version : old_version);
	r = oci_put_process(&w, root, err);
	if (r < 0)
		return finish(&w, r, root, ret, err);
	put_root(&w, root);
	if (has_hostname(&w))
		oci_put_text(&w, root, "hostname", spec_hostname(spec));
	if (spec->oci && spec->oci->domainname)
		oci_put_text(&w, root, "domainname", spec->oci->domainname);
	r = oci_put_mounts(&w, root, err);
	put_annotations(&w, root);
	if (r == 0)
		r = oci_put_linux(&w, root, err);
	return finish(&w, r, root, ret, err);
}

int oci_export_members(const struct spec *spec, struct json_object **ret, struct ctn_err *err)
{
	struct oci_writer w = {.spec = spec};
	struct json_object *root = json_object_new_object(), *process = json_object_new_object(),
			   *user = json_object_new_object(), *section = json_object_new_object();

	oci_put_user_members(&w, user);
	oci_put_some(&w, process, "user", user);
	oci_put_process_members(&w, process);
	oci_put_some(&w, root, "process", process);
	if (spec->oci && spec->oci->domainname)
		oci_put_text(&w, root, "domainname", spec->oci->domainname);
	if (spec->oci) {
		oci_put_maps(&w, section, "uidMappings", &spec->oci->uids);
		oci_put_maps(&w, section, "gidMappings", &spec->oci->gids);
	}
	oci_put_linux_members(&w, section);
	oci_put_some(&w, root, "linux", section);
	oci_put_some(&w, root, "annotations", oci_new_annotations(&w));
	return finish(&w, 0, root, ret, err);
}
