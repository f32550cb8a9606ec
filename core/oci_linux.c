/* SPDX-License-Identifier: Apache-2.0 */
/* The runtime-spec's section linux, save for mounts, devices and resources. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "oci_private.h"
#include "spec_idmap.h"
#include "spec_private.h"

enum { NANOSECS_MAX = 999999999 };

/* --- namespaces --- */

static int take_namespace(struct oci_reader *in, const struct json_at *at, struct ctn_err *err)
{
	struct json_at type, path;
	const char *setting = "new";
	char field[16];
	uint64_t kind = 0;
	int r = json_want_object(at, err);

	if (r == 0)
		r = oci_need(at, "type", &type, err);
	if (r == 0)
		r = oci_number(&type, oci_namespaces, &kind, err);
	if (r < 0)
		return r;
	if (in->listed & 1u << kind)
		return json_fail(&type, EINVAL, err, "it is listed already");
	in->listed |= 1u << kind;
	snprintf(field, sizeof(field), "ns/%s", ns_types[kind].name);
	if (!json_get(at, "path", &path) || !path.value)
		return oci_field(in, at, field, setting, err);
	r = json_want_string(&path, &setting, err);
	if (r < 0)
		return r;
	if (!setting[0])
		return oci_field(in, at, field, "new", err);
	if (setting[0] != '/')
		return json_fail(&path, EINVAL, err, "'%.80s' is not an absolute path", setting);
	return oci_field(in, &path, field, setting, err);
}

static int take_namespaces(struct oci_reader *in, const struct json_at *at, struct ctn_err *err)
{
	return oci_each(in, at, take_namespace, err);
}

/* --- id maps: user_namespaces(7) --- */

static int want_extent(const struct oci_reader *in, const struct json_at *at, struct spec_map *ret,
		       struct ctn_err *err)
{
	static const char *const keys[] = {"containerID", "hostID", "size", NULL};
	uint64_t value[CTN_COUNT(keys)] = {0};
	int r = oci_object(in, at, keys, err);

	for (size_t i = 0; r == 0 && keys[i]; i++) {
		struct json_at member;

		r = oci_need(at, keys[i], &member, err);
		if (r == 0)
			r = json_want_uint(&member, UINT32_MAX, &value[i], err);
	}
	if (r < 0)
		return r;
	*ret = (struct spec_map){(uint32_t)value[0], (uint32_t)value[1], (uint32_t)value[2]};
	return 0;
}

int oci_take_maps(const struct oci_reader *in, const struct json_at *at, struct spec_maps *maps,
		  struct ctn_err *err)
{
	int r = json_want_array(at, err);
	struct json_at item;

	maps->len = 0;
	if (r == 0 && json_length(at) > SPEC_MAPS_MAX)
		return json_fail(at, EINVAL, err, "more than %d extents", SPEC_MAPS_MAX);
	for (size_t i = 0; r == 0 && json_item(at, i, &item); i++) {
		r = want_extent(in, &item, &maps->items[i], err);
		maps->len = i + 1;
	}
	if (r == 0 && maps->len > 0 && spec_maps_check("id map", maps, err) < 0)
		r = json_fail_context(at, err);
	return r;
}

int oci_take_uids(struct oci_reader *in, const struct json_at *at, struct ctn_err *err)
{
	struct spec_oci *oci = spec_oci_edit(in->spec);

	if (!oci)
		return json_fail(at, ENOMEM, err, "no memory");
	return oci_take_maps(in, at, &oci->uids, err);
}

int oci_take_gid_map(struct oci_reader *in, const struct json_at *at, struct ctn_err *err)
{
	struct spec_oci *oci = spec_oci_edit(in->spec);

	if (!oci)
		return json_fail(at, ENOMEM, err, "no memory");
	return oci_take_maps(in, at, &oci->gids, err);
}

/* --- sysctl, paths --- */

static int take_sysctl(struct oci_reader *in, const struct json_at *at, struct ctn_err *err)
{
	struct json_at member;
	int r = json_want_object(at, err);

	for (size_t i = 0; r == 0 && json_member(at, i, &member); i++) {
		ctn_autofree char *line = NULL;
		const char *value = NULL;

		r = json_want_string(&member, &value, err);
		if (r == 0)
			r = oci_check_line(&member, value, err);
		if (r < 0)
			return r;
		if (!member.key[0] || strpbrk(member.key, "= \t\n") || member.key[0] == '-')
			return json_fail(&member, EINVAL, err,
					 "'%.80s' is no name of a setting: sysctl(8)", member.key);
		if (asprintf(&line, "%s=%s", member.key, value) < 0)
			return json_fail(&member, ENOMEM, err, "no memory");
		r = oci_add(in, &member, "sysctl", line, err);
	}
	return r;
}

static bool is_masked(const struct strlist *paths, const char *path)
{
	for (size_t i = 0; i < paths->len; i++) {
		const char *line = paths->items[i];

		if (strncmp(line, "masked ", 7) == 0 && strcmp(line + 7, path) == 0)
			return true;
	}
	return false;
}

static int take_path(struct oci_reader *in, const struct json_at *at, const char *kind,
		     struct ctn_err *err)
{
	ctn_autofree char *line = NULL, *clean = NULL;
	const char *path = NULL;
	int r = json_want_string(at, &path, err);

	if (r == 0)
		r = oci_path(at, NULL, path, &clean, err);
	if (r < 0 || is_masked(&in->spec->paths, clean)) /* what cannot be seen is not written */
		return r;
	if (asprintf(&line, "%s %s", kind, clean) < 0)
		return json_fail(at, ENOMEM, err, "no memory");
	return oci_add(in, at, "paths", line, err);
}

static int take_masked(struct oci_reader *in, const struct json_at *at, struct ctn_err *err)
{
	return take_path(in, at, "masked", err);
}

static int take_readonly(struct oci_reader *in, const struct json_at *at, struct ctn_err *err)
{
	return take_path(in, at, "readonly", err);
}

static int take_masked_paths(struct oci_reader *in, const struct json_at *at, struct ctn_err *err)
{
	return oci_each(in, at, take_masked, err);
}

static int take_readonly_paths(struct oci_reader *in, const struct json_at *at, struct ctn_err *err)
{
	return oci_each(in, at, take_readonly, err);
}

/* --- single values --- */

int oci_take_propagation(struct oci_reader *in, const struct json_at *at, struct ctn_err *err)
{
	struct spec_oci *oci = spec_oci_edit(in->spec);
	uint64_t flags = 0;
	int r;

	if (!in->strict && oci_says_nothing(at))
		return 0;
	r = oci_number(at, oci_propagations, &flags, err);
	if (r < 0)
		return r;
	if (!oci)
		return json_fail(at, ENOMEM, err, "no memory");
	oci->propagation = (unsigned long)flags;
	return 0;
}

static int want_offset(const struct oci_reader *in, const struct json_at *at,
		       struct spec_time_offset *ret, struct ctn_err *err)
{
	static const char *const names[] = {"secs", "nanosecs", NULL};
	struct spec_time_offset offset = {.set = true};
	struct json_at member;
	uint64_t nanosecs = 0;
	int r = oci_object(in, at, names, err);

	if (r == 0 && json_get(at, "secs", &member) && member.value)
		r = json_want_int(&member, INT64_MIN, INT64_MAX, &offset.secs, err);
	if (r == 0 && json_get(at, "nanosecs", &member) && member.value)
		r = json_want_uint(&member, NANOSECS_MAX, &nanosecs, err);
	if (r < 0)
		return r;
	offset.nanosecs = (uint32_t)nanosecs;
	*ret = offset;
	return 0;
}

int oci_take_offsets(struct oci_reader *in, const struct json_at *at, struct ctn_err *err)
{
	struct spec_oci *oci = spec_oci_edit(in->spec);
	struct json_at member;
	int r = json_want_object(at, err);

	if (!oci)
		return json_fail(at, ENOMEM, err, "no memory");
	for (size_t i = 0; r == 0 && json_member(at, i, &member); i++) {
		if (strcmp(member.key, "monotonic") == 0)
			r = want_offset(in, &member, &oci->monotonic, err);
		else if (strcmp(member.key, "boottime") == 0)
			r = want_offset(in, &member, &oci->boottime, err);
		else
			r = json_fail(&member, EINVAL, err,
				      "is none of the clocks monotonic and boottime: "
				      "time_namespaces(7)");
	}
	if (r == 0 && !in->strict && json_length(at) > 0 && !spec_ns_is_new(in->spec, NS_TIME))
		return json_fail(at, EINVAL, err,
				 "needs a new time namespace: add {\"type\": \"time\"} to "
				 "linux.namespaces");
	return r;
}

int oci_take_personality(struct oci_reader *in, const struct json_at *at, struct ctn_err *err)
{
	struct spec_oci *oci = spec_oci_edit(in->spec);
	static const char *const names[] = {"domain", "flags", NULL};
	struct json_at domain, flags;
	uint64_t number = 0;
	int r = oci_object(in, at, names, err);

	if (r == 0)
		r = oci_need(at, "domain", &domain, err);
	if (r == 0)
		r = oci_number(&domain, oci_personalities, &number, err);
	if (r == 0 && json_get(at, "flags", &flags) && flags.value) {
		r = json_want_array(&flags, err);
		if (r == 0 && json_length(&flags) > 0)
			return json_fail(&flags, EOPNOTSUPP, err,
					 "the specification names no flags; remove them");
	}
	if (r < 0)
		return r;
	if (!oci)
		return json_fail(at, ENOMEM, err, "no memory");
	oci->personality = (int64_t)number;
	return 0;
}

int oci_take_cgroups_path(struct oci_reader *in, const struct json_at *at, struct ctn_err *err)
{
	struct spec_oci *oci = spec_oci_edit(in->spec);
	char name[SPEC_CGROUP_NAME_MAX + 1];
	const char *text = NULL;
	int r = json_want_string(at, &text, err);

	if (r < 0 || !text[0])
		return r;
	if (!oci)
		return json_fail(at, ENOMEM, err, "no memory");
	free(oci->cgroups_path);
	oci->cgroups_path = strdup(text);
	if (!oci->cgroups_path)
		return json_fail(at, ENOMEM, err, "no memory");
	return spec_cgroup_name(in->spec, name, err) < 0 ? json_fail_context(at, err) : 0;
}

int oci_take_seccomp(struct oci_reader *in, const struct json_at *linux_at, struct ctn_err *err)
{
	static const char why[] = "nobody here can listen for it; remove it";
	static const struct oci_prop members[] = {
		{"listenerPath", NULL, why},
		{"listenerMetadata", NULL, why},
		{NULL, NULL, NULL},
	};
	struct json_at at;
	int r;

	if (!json_get(linux_at, "seccomp", &at) || !at.value)
		return 0;
	r = oci_props(in, &at, members, err);
	return r < 0 ? r : spec_seccomp_import(in->spec, &at, false, err);
}

/* Each key is a device, even with an empty object behind it. */
static int take_net_devices(struct oci_reader *in, const struct json_at *at, struct ctn_err *err)
{
	int r = json_want_object(at, err);

	(void)in;
	if (r == 0 && json_length(at) > 0)
		return json_fail(at, EOPNOTSUPP, err,
				 "network devices are not moved; bring them into the container's "
				 "ns/net with ip(8)");
	return r;
}

static int check_maps(const struct oci_reader *in, const struct json_at *at, struct ctn_err *err)
{
	const struct spec_oci *oci = in->spec->oci;
	struct json_at maps;

	if (!oci || (oci->uids.len == 0 && oci->gids.len == 0))
		return 0;
	if (!json_get(at, oci->uids.len ? "uidMappings" : "gidMappings", &maps))
		maps = *at;
	if (!(in->listed & 1u << NS_USER))
		return json_fail(&maps, EINVAL, err,
				 "needs a user namespace: add {\"type\": \"user\"} to "
				 "linux.namespaces");
	if (oci->uids.len == 0 || oci->gids.len == 0)
		return json_fail(&maps, EINVAL, err,
				 "uidMappings and gidMappings belong together; one is missing");
	return 0;
}

static const char labels[] = "SELinux labels are not applied here; remove it",
		  rdt[] = "the cache and memory bandwidth controls are not supported; remove it",
		  policy[] = "is not supported; linux.resources.cpu.mems says which memory nodes";

int oci_take_linux(struct oci_reader *in, const struct json_at *at, struct ctn_err *err)
{
	static const struct oci_prop members[] = {
		{"namespaces", take_namespaces, NULL},
		{"uidMappings", oci_take_uids, NULL},
		{"gidMappings", oci_take_gid_map, NULL},
		{"timeOffsets", oci_take_offsets, NULL},
		{"cgroupsPath", oci_take_cgroups_path, NULL},
		{"resources", oci_take_resources, NULL},
		{"sysctl", take_sysctl, NULL},
		{"rootfsPropagation", oci_take_propagation, NULL},
		{"maskedPaths", take_masked_paths, NULL},
		{"readonlyPaths", take_readonly_paths, NULL},
		{"personality", oci_take_personality, NULL},
		{"mountLabel", NULL, labels},
		{"intelRdt", NULL, rdt},
		{"netDevices", take_net_devices, NULL},
		{"memoryPolicy", NULL, policy},
		{NULL, NULL, NULL},
	};
	int r = oci_props(in, at, members, err);

	if (r == 0)
		r = check_maps(in, at, err);
	return r < 0 ? r : oci_take_devices(in, at, err);
}
