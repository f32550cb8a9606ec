/* SPDX-License-Identifier: Apache-2.0 */
/* What the members of struct spec_oci must be to each other, and to the rest of a spec. */
#include <errno.h>

#include "caps.h"
#include "cleanup.h"
#include "spec.h"

static int caps_subset(const char *what, uint64_t set, const char *of, uint64_t bound,
		       struct ctn_err *err)
{
	uint64_t extra = set & ~bound;
	char name[32];

	if (!extra)
		return 0;
	return ctn_fail(err, EINVAL, "capabilities: %s has %s, which is not in %s", what,
			caps_name((unsigned)__builtin_ctzll(extra), name, sizeof(name)), of);
}

int spec_caps_check(const struct spec_oci *oci, uint64_t bounding, struct ctn_err *err)
{
	const uint64_t *sets = oci->caps;
	int r;

	if (!oci->has_caps)
		return 0;
	r = caps_subset("permitted", sets[SPEC_CAP_PERMITTED], "bounding", bounding, err);
	if (r == 0)
		r = caps_subset("inheritable", sets[SPEC_CAP_INHERITABLE], "bounding", bounding,
				err);
	if (r == 0)
		r = caps_subset("effective", sets[SPEC_CAP_EFFECTIVE], "permitted",
				sets[SPEC_CAP_PERMITTED], err);
	if (r == 0)
		r = caps_subset("ambient", sets[SPEC_CAP_AMBIENT], "permitted",
				sets[SPEC_CAP_PERMITTED], err);
	if (r == 0)
		r = caps_subset("ambient", sets[SPEC_CAP_AMBIENT], "inheritable",
				sets[SPEC_CAP_INHERITABLE], err);
	return r;
}
