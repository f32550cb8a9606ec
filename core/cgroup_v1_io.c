/* SPDX-License-Identifier: Apache-2.0 */
/* blkio.throttle.* of v1 as v2's io.max and io.stat. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cgroup_private.h"
#include "cleanup.h"
#include "io.h"

static const char *const limit_files[CG_IO_KEYS] = {
	[CG_IO_RBPS] = "blkio.throttle.read_bps_device",
	[CG_IO_WBPS] = "blkio.throttle.write_bps_device",
	[CG_IO_RIOPS] = "blkio.throttle.read_iops_device",
	[CG_IO_WIOPS] = "blkio.throttle.write_iops_device",
};

/* Lines are "8:0 1048576". */
static int limits_add(struct cgroup_io_limit **limits, size_t *n, int key, const char *text)
{
	for (const char *p = text; p && *p; p = strchr(p, '\n') ? strchr(p, '\n') + 1 : NULL) {
		struct cgroup_io_limit *row;
		unsigned major, minor;
		uint64_t value;
		size_t before = *n;

		if (sscanf(p, "%u:%u %" SCNu64, &major, &minor, &value) != 3)
			continue;
		row = cgroup_io_row((void **)limits, n, sizeof(*row), major, minor);
		if (!row)
			return -ENOMEM;
		for (int k = 0; *n > before && k < CG_IO_KEYS; k++)
			row->value[k] = CTN_MAX;
		row->value[key] = value;
	}
	return 0;
}

int cgroup_v1_io_max_list(const struct cgroup_leaf *leaf, struct cgroup_io_limit **ret,
			  size_t *ret_n, struct ctn_err *err)
{
	ctn_autofree struct cgroup_io_limit *limits = NULL;
	size_t n = 0;

	for (int k = 0; k < CG_IO_KEYS; k++) {
		ctn_autofree char *text = NULL;
		int r = cgroup_file_read(leaf, CG_BLKIO, limit_files[k], &text, err);

		if (r < 0)
			return r;
		if (limits_add(&limits, &n, k, text) < 0)
			return ctn_fail(err, ENOMEM, "no memory for io.max");
	}
	*ret = ctn_take_ptr(limits);
	*ret_n = n;
	return 0;
}

int cgroup_v1_io_max_set(const struct cgroup_leaf *leaf, const struct cgroup_io_limit *limit,
			 struct ctn_err *err)
{
	for (int k = 0; k < CG_IO_KEYS; k++) {
		uint64_t value = limit->value[k] == CTN_MAX ? 0 : limit->value[k]; /* 0: none */
		char line[64];
		int r;

		if (!limit->given[k])
			continue;
		snprintf(line, sizeof(line), "%u:%u %" PRIu64, limit->major, limit->minor, value);
		r = cgroup_file_write(leaf, CG_BLKIO, limit_files[k], line, err);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Lines are "8:0 Read 4096"; Sync, Async and Total repeat what the first three say. */
static int stats_add(struct cgroup_io_stat **stats, size_t *n, const char *text, bool bytes)
{
	static const struct {
		const char *word;
		int bytes, ios; /* places in struct cgroup_io_stat */
	} kinds[] = {{"Read", 0, 2}, {"Write", 1, 3}, {"Discard", 4, 5}};

	for (const char *p = text; p && *p; p = strchr(p, '\n') ? strchr(p, '\n') + 1 : NULL) {
		unsigned major, minor;
		uint64_t value;
		char word[16];

		if (sscanf(p, "%u:%u %15s %" SCNu64, &major, &minor, word, &value) != 4)
			continue;
		for (size_t i = 0; i < CTN_COUNT(kinds); i++) {
			struct cgroup_io_stat *row;

			if (strcmp(word, kinds[i].word) != 0)
				continue;
			row = cgroup_io_row((void **)stats, n, sizeof(*row), major, minor);
			if (!row)
				return -ENOMEM;
			row->value[bytes ? kinds[i].bytes : kinds[i].ios] = value;
		}
	}
	return 0;
}

int cgroup_v1_io_stat_list(const struct cgroup_leaf *leaf, struct cgroup_io_stat **ret,
			   size_t *ret_n, struct ctn_err *err)
{
	ctn_autofree struct cgroup_io_stat *stats = NULL;
	ctn_autofree char *bytes = NULL;
	ctn_autofree char *ios = NULL;
	size_t n = 0;
	int r = cgroup_file_read(leaf, CG_BLKIO, "blkio.throttle.io_service_bytes_recursive",
				 &bytes, err);

	if (r == 0)
		r = cgroup_file_read(leaf, CG_BLKIO, "blkio.throttle.io_serviced_recursive", &ios,
				     err);
	if (r < 0)
		return r;
	if (stats_add(&stats, &n, bytes, true) < 0 || stats_add(&stats, &n, ios, false) < 0)
		return ctn_fail(err, ENOMEM, "no memory for io.stat");
	*ret = ctn_take_ptr(stats);
	*ret_n = n;
	return 0;
}
