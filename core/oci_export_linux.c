/* SPDX-License-Identifier: Apache-2.0 */
/* The section linux of a runtime-spec document. */
#include <errno.h>
#include <string.h>

#include "cleanup.h"
#include "oci_export.h"
#include "oci_private.h"
#include "seccomp.h"
#include "spec_lines.h"

/* --- what the own form's `oci` has, too --- */

void oci_put_maps(struct oci_writer *w, struct json_object *to, const char *key,
		  const struct spec_maps *maps)
{
	struct json_object *array = json_object_new_array();

	for (size_t i = 0; i < maps->len; i++) {
		struct json_object *extent = json_object_new_object();

		oci_put_int(w, extent, "containerID", maps->items[i].inside);
		oci_put_int(w, extent, "hostID", maps->items[i].outside);
		oci_put_int(w, extent, "size", maps->items[i].count);
		oci_append(w, array, extent);
	}
	oci_put_some(w, to, key, array);
}

static void put_offset(struct oci_writer *w, struct json_object *to, const char *key,
		       const struct spec_time_offset *offset)
{
	struct json_object *value;

	if (!offset->set)
		return;
	value = json_object_new_object();
	oci_put_int(w, value, "secs", offset->secs);
	oci_put_int(w, value, "nanosecs", offset->nanosecs);
	oci_put(w, to, key, value);
}

void oci_put_linux_members(struct oci_writer *w, struct json_object *to)
{
	struct json_object *offsets = json_object_new_object(), *domain;
	const struct spec_oci *oci = w->spec->oci;
	const char *name;

	if (oci) {
		put_offset(w, offsets, "monotonic", &oci->monotonic);
		put_offset(w, offsets, "boottime", &oci->boottime);
	}
	oci_put_some(w, to, "timeOffsets", offsets);
	if (!oci)
		return;
	name = oci->propagation ? oci_name_of(oci_propagations, oci->propagation) : NULL;
	if (name)
		oci_put_text(w, to, "rootfsPropagation", name);
	if (oci->cgroups_path)
		oci_put_text(w, to, "cgroupsPath", oci->cgroups_path);
	name = oci->personality >= 0 ? oci_name_of(oci_personalities, (uint64_t)oci->personality)
				     : NULL;
	if (!name)
		return;
	domain = json_object_new_object();
	oci_put_text(w, domain, "domain", name);
	oci_put(w, to, "personality", domain);
}

/* --- the whole section --- */

static int namespace_path(const struct oci_writer *w, enum ns_kind kind, const char **ret,
			  struct ctn_err *err)
{
	const char *path = w->where->ns_paths[kind];

	if (!path)
		path = spec_ns_path(w->spec, kind);
	if (!path && spec_ns_container(w->spec, kind))
		return ctn_fail(err, ESRCH,
				"ns/%s: it is that of another container, which does not run, so "
				"there is no path to it",
				ns_types[kind].name);
	*ret = path;
	return 0;
}

static int put_namespaces(struct oci_writer *w, struct json_object *to, struct ctn_err *err)
{
	struct json_object *array = json_object_new_array();
	int r = 0;

	for (const struct oci_name *n = oci_namespaces; r == 0 && n->name; n++) {
		struct json_object *entry;
		const char *path = NULL;

		r = namespace_path(w, (enum ns_kind)n->value, &path, err);
		if (r < 0 || (!path && spec_ns_is_host(w->spec, (enum ns_kind)n->value)))
			continue;
		entry = json_object_new_object();
		oci_put_text(w, entry, "type", n->name);
		if (path)
			oci_put_text(w, entry, "path", path);
		oci_append(w, array, entry);
	}
	oci_put(w, to, "namespaces", array);
	return r;
}

static bool has_new_user(const struct oci_writer *w)
{
	return !w->where->ns_paths[NS_USER] && spec_ns_is_new(w->spec, NS_USER);
}

static int put_paths(struct oci_writer *w, struct json_object *to, struct ctn_err *err)
{
	struct json_object *masked = json_object_new_array(), *readonly = json_object_new_array();
	int r = 0;

	for (size_t i = 0; r == 0 && i < w->spec->paths.len; i++) {
		struct spec_path path;

		r = spec_path_parse(w->spec->paths.items[i], &path, err);
		if (r == 0)
			oci_append_text(w, path.masked ? masked : readonly, path.path);
	}
	oci_put(w, to, "maskedPaths", masked);
	oci_put(w, to, "readonlyPaths", readonly);
	return r;
}

static int put_sysctl(struct oci_writer *w, struct json_object *to, struct ctn_err *err)
{
	struct json_object *settings = json_object_new_object();
	int r = 0;

	for (size_t i = 0; r == 0 && i < w->spec->sysctl.len; i++) {
		struct spec_sysctl s;

		r = spec_sysctl_parse(w->spec->sysctl.items[i], &s, err);
		if (r == 0)
			oci_put_text(w, settings, s.key, s.value);
	}
	oci_put_some(w, to, "sysctl", settings);
	return r;
}

/* What decides the same: deltas and conditions on capabilities are resolved. */
static int put_seccomp(struct oci_writer *w, struct json_object *to, struct ctn_err *err)
{
	const struct spec *s = w->spec;
	struct seccomp_profile *profile = NULL;
	struct json_object *value = NULL;
	int r = seccomp_profile_get(s->seccomp, &s->seccomp_deltas, s->caps, &profile, err);

	if (r == 0)
		r = seccomp_export_json(profile, &value, err);
	seccomp_profile_put(profile);
	if (r == 0 && value)
		oci_put(w, to, "seccomp", value);
	return r;
}

int oci_put_linux(struct oci_writer *w, struct json_object *root, struct ctn_err *err)
{
	struct json_object *to = json_object_new_object(), *resources = json_object_new_object();
	int r;

	if (has_new_user(w)) {
		oci_put_maps(w, to, "uidMappings", w->where->uids);
		oci_put_maps(w, to, "gidMappings", w->where->gids);
	}
	r = put_sysctl(w, to, err);
	if (r == 0)
		r = oci_put_devices(w, to, resources, err);
	if (r == 0)
		r = oci_put_resources(w, resources, err);
	oci_put_some(w, to, "resources", resources);
	if (r == 0)
		r = put_namespaces(w, to, err);
	if (r == 0)
		r = put_paths(w, to, err);
	if (r == 0)
		r = put_seccomp(w, to, err);
	oci_put_linux_members(w, to);
	oci_put(w, root, "linux", to);
	return r;
}
