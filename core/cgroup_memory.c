/* SPDX-License-Identifier: Apache-2.0 */
/* The memory rows of the table. */
#include <errno.h>
#include <inttypes.h>

#include "cgroup_private.h"
#include "io.h"

static int size_parse(int k, const char *text, uint64_t *ret, struct ctn_err *err)
{
	int r = parse_size(cgroup_knobs[k].name, text, ret, NULL);

	return r < 0 ? cgroup_refuse(err, -r, cgroup_knobs[k].name, text,
				     "bytes such as 8000000, a size such as 64M (K M G T), or max")
		     : 0;
}

int cgroup_memory_limit_read(const struct cgroup_leaf *leaf, FILE *out, struct ctn_err *err)
{
	return cgroup_number_read(leaf, K_MEMORY_LIMIT, out, err);
}

int cgroup_memory_limit_write(const struct cgroup_leaf *leaf, const char *text, struct ctn_err *err)
{
	uint64_t bytes = 0;
	int r = size_parse(K_MEMORY_LIMIT, text, &bytes, err);

	if (r < 0)
		return r;
	r = leaf->ops->memory_limit_set(leaf, bytes, err);
	/* A v1 refusal of "max" because swap is limited is not a limit that cannot be had. */
	return cgroup_finish(r, !cgroup_leaf_dir(leaf, CG_MEMORY) && bytes == CTN_MAX,
			     K_MEMORY_LIMIT, err);
}

int cgroup_memory_high_read(const struct cgroup_leaf *leaf, FILE *out, struct ctn_err *err)
{
	return cgroup_number_read(leaf, K_MEMORY_HIGH, out, err);
}

int cgroup_memory_high_write(const struct cgroup_leaf *leaf, const char *text, struct ctn_err *err)
{
	uint64_t bytes = 0;
	int r = size_parse(K_MEMORY_HIGH, text, &bytes, err);

	if (r < 0)
		return r;
	r = cgroup_number_set(leaf, K_MEMORY_HIGH, bytes, "max", err);
	return cgroup_finish(r, bytes == CTN_MAX, K_MEMORY_HIGH, err);
}

int cgroup_swap_limit_read(const struct cgroup_leaf *leaf, FILE *out, struct ctn_err *err)
{
	uint64_t bytes = 0;
	int r = leaf->ops->swap_get(leaf, &bytes, err);

	return cgroup_number_show(r, bytes, true, out, err);
}

int cgroup_swap_limit_write(const struct cgroup_leaf *leaf, const char *text, struct ctn_err *err)
{
	uint64_t bytes = 0;
	int r = size_parse(K_SWAP_LIMIT, text, &bytes, err);

	if (r < 0)
		return r;
	r = leaf->ops->swap_set(leaf, bytes, err);
	return cgroup_finish(r, bytes == CTN_MAX, K_SWAP_LIMIT, err);
}

int cgroup_memory_usage_read(const struct cgroup_leaf *leaf, FILE *out, struct ctn_err *err)
{
	return cgroup_number_read(leaf, K_MEMORY_USAGE, out, err);
}

int cgroup_memory_peak_read(const struct cgroup_leaf *leaf, FILE *out, struct ctn_err *err)
{
	return cgroup_number_read(leaf, K_MEMORY_PEAK, out, err);
}

int cgroup_memory_stat_read(const struct cgroup_leaf *leaf, FILE *out, struct ctn_err *err)
{
	return leaf->ops->memory_stat(leaf, out, err);
}
