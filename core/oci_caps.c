/* SPDX-License-Identifier: Apache-2.0 */
/* The runtime-spec's process.capabilities. */
#include <errno.h>
#include <string.h>

#include "caps.h"
#include "oci_private.h"

/* One array of names as a mask. */
static int want_caps(const struct json_at *array, uint64_t *ret, struct ctn_err *err)
{
	int r = json_want_array(array, err);
	uint64_t mask = 0;
	struct json_at item;

	for (size_t i = 0; r == 0 && json_item(array, i, &item); i++) {
		const char *name = NULL;

		r = json_want_string(&item, &name, err);
		/* caps_apply() knows more than names: all, none, -name, masks. */
		if (r == 0 && strncmp(name, "CAP_", 4) != 0)
			r = json_fail(&item, EINVAL, err,
				      "'%.40s' is no capability's name; they begin with CAP_",
				      name);
		else if (r == 0 && caps_apply(name, &mask, err) < 0)
			r = json_fail_context(&item, err);
	}
	if (r == 0)
		*ret = mask;
	return r;
}

int oci_take_cap_set(struct oci_reader *in, const struct json_at *at, struct ctn_err *err)
{
	uint64_t set = 0;

	for (const struct oci_name *n = oci_cap_sets; n->name; n++) {
		if (strcmp(n->name, at->key) == 0)
			set = n->value;
	}
	return want_caps(at, &in->spec->oci->caps[set], err);
}

static int take_bounding(struct oci_reader *in, const struct json_at *at, struct ctn_err *err)
{
	return want_caps(at, &in->spec->caps, err);
}

/* Are the sets those that the bounding set and the user would give anyway? */
static bool follow(const struct oci_reader *in)
{
	const uint64_t *caps = in->spec->oci->caps;
	uint64_t usual = in->uid == 0 ? in->spec->caps : 0;

	return caps[SPEC_CAP_EFFECTIVE] == usual && caps[SPEC_CAP_PERMITTED] == usual &&
	       !caps[SPEC_CAP_INHERITABLE] && !caps[SPEC_CAP_AMBIENT];
}

int oci_take_caps(struct oci_reader *in, const struct json_at *at, struct ctn_err *err)
{
	static const struct oci_prop members[] = {
		{"bounding", take_bounding, NULL},     {"effective", oci_take_cap_set, NULL},
		{"permitted", oci_take_cap_set, NULL}, {"inheritable", oci_take_cap_set, NULL},
		{"ambient", oci_take_cap_set, NULL},   {NULL, NULL, NULL},
	};
	struct spec_oci *oci = spec_oci_edit(in->spec);
	int r;

	if (!oci)
		return json_fail(at, ENOMEM, err, "no memory");
	r = oci_props(in, at, in->strict ? members + 1 : members, err);
	if (r < 0)
		return r;
	/* What is not both permitted and inheritable the kernel makes no ambient one of. runc
	 * writes such documents itself, and starts them. */
	if (!in->strict)
		oci->caps[SPEC_CAP_AMBIENT] &= oci->caps[SPEC_CAP_PERMITTED] &
					       oci->caps[SPEC_CAP_INHERITABLE];
	oci->has_caps = true;
	/* The own form's `caps` may come later. */
	if (spec_caps_check(oci, in->strict ? UINT64_MAX : in->spec->caps, err) < 0)
		return json_fail_context(at, err);
	oci->has_caps = in->strict || !follow(in);
	if (!oci->has_caps)
		memset(oci->caps, 0, sizeof(oci->caps));
	return 0;
}
