/* SPDX-License-Identifier: Apache-2.0 */
/* The own form's key `oci`: what the runtime-spec can say and no file of the tree does. */
#include <errno.h>
#include <stdlib.h>

#include "oci_export.h"
#include "oci_private.h"

static int take_user(struct oci_reader *in, const struct json_at *at, struct ctn_err *err)
{
	static const struct oci_prop members[] = {
		{"umask", oci_take_umask, NULL},
		{"additionalGids", oci_take_gids, NULL},
		{NULL, NULL, NULL},
	};

	return oci_props(in, at, members, err);
}

static int take_process(struct oci_reader *in, const struct json_at *at, struct ctn_err *err)
{
	static const struct oci_prop members[] = {
		{"user", take_user, NULL},
		{"capabilities", oci_take_caps, NULL},
		{"consoleSize", oci_take_console, NULL},
		{"scheduler", oci_take_scheduler, NULL},
		{"ioPriority", oci_take_ioprio, NULL},
		{NULL, NULL, NULL},
	};

	return oci_props(in, at, members, err);
}

static int take_linux(struct oci_reader *in, const struct json_at *at, struct ctn_err *err)
{
	static const struct oci_prop members[] = {
		{"uidMappings", oci_take_uids, NULL},
		{"gidMappings", oci_take_gid_map, NULL},
		{"timeOffsets", oci_take_offsets, NULL},
		{"rootfsPropagation", oci_take_propagation, NULL},
		{"cgroupsPath", oci_take_cgroups_path, NULL},
		{"personality", oci_take_personality, NULL},
		{NULL, NULL, NULL},
	};

	return oci_props(in, at, members, err);
}

/* A whole new set of members. */
static void forget(struct spec *spec)
{
	struct spec_oci *oci = spec->oci;

	if (!oci)
		return;
	free(oci->domainname);
	free(oci->cgroups_path);
	strlist_free(&oci->annotations);
	free(oci);
	spec->oci = NULL;
}

int oci_members_import(const struct json_at *oci, struct spec *spec, struct ctn_err *err)
{
	static const struct oci_prop members[] = {
		{"process", take_process, NULL},
		{"domainname", oci_take_domainname, NULL},
		{"linux", take_linux, NULL},
		{"annotations", oci_take_annotations, NULL},
		{NULL, NULL, NULL},
	};
	struct oci_reader in = {.spec = spec, .strict = true};

	forget(spec);
	return oci_props(&in, oci, members, err);
}

int oci_members_export(const struct spec *spec, struct json_object **ret, struct ctn_err *err)
{
	struct json_object *out;
	int r;

	if (!spec->oci) {
		*ret = NULL;
		return 0;
	}
	r = oci_export_members(spec, &out, err);
	if (r < 0)
		return r;
	if (json_object_object_length(out) == 0) {
		json_object_put(out);
		out = NULL;
	}
	*ret = out;
	return 0;
}
