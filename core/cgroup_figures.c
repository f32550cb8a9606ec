/* SPDX-License-Identifier: Apache-2.0 */
/* Some figures of a leaf at once, for lists of many: without memory, and each from one short read.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "cgroup_private.h"
#include "cleanup.h"
#include "io.h"

enum {
	FIGURE_BYTES_MAX = 1023, /* of a file that is read; what is wanted stands at its top */
	KEPT_MAX = 1024,	 /* files of all leaves that stay open */
};

static _Atomic int n_kept;

/* Where a figure stands. @key: NULL where the file is one number. @divide: what it is counted in,
 * in our units. */
struct source {
	enum cgroup_controller controller;
	const char *file, *key;
	unsigned divide;
};

/* clang-format off */
static const struct source sources[2][CGF_COUNT] = {
	{
		[CGF_CPU]          = {CG_CPUACCT, "cpuacct.usage",             NULL,             1000},
		[CGF_MEMORY]       = {CG_MEMORY,  "memory.usage_in_bytes",     NULL,             1},
		[CGF_MEMORY_LIMIT] = {CG_MEMORY,  "memory.limit_in_bytes",     NULL,             1},
		[CGF_PIDS]         = {CG_PIDS,    "pids.current",              NULL,             1},
		[CGF_MEMORY_PEAK]  = {CG_MEMORY,  "memory.max_usage_in_bytes", NULL,             1},
		[CGF_PIDS_LIMIT]   = {CG_PIDS,    "pids.max",                  NULL,             1},
		[CGF_OOM_KILLS]    = {CG_MEMORY,  "memory.oom_control",        "oom_kill",       1},
		[CGF_THROTTLED]    = {CG_CPU,     "cpu.stat",                  "throttled_time", 1000},
	}, {
		[CGF_CPU]          = {CG_CPUACCT, "cpu.stat",                  "usage_usec",     1},
		[CGF_MEMORY]       = {CG_MEMORY,  "memory.current",            NULL,             1},
		[CGF_MEMORY_LIMIT] = {CG_MEMORY,  "memory.max",                NULL,             1},
		[CGF_PIDS]         = {CG_PIDS,    "pids.current",              NULL,             1},
		[CGF_MEMORY_PEAK]  = {CG_MEMORY,  "memory.peak",               NULL,             1},
		[CGF_PIDS_LIMIT]   = {CG_PIDS,    "pids.max",                  NULL,             1},
		[CGF_OOM_KILLS]    = {CG_MEMORY,  "memory.events",             "oom_kill",       1},
		[CGF_THROTTLED]    = {CG_CPU,     "cpu.stat",                  "throttled_usec", 1},
	},
};
/* clang-format on */

static bool is_gone(const struct cgroup_dir *dir)
{
	ctn_autoclose int fd = -1;

	return cgroup_dir_open(dir, &fd, NULL) < 0 || faccessat(fd, "cgroup.procs", F_OK, 0) < 0;
}

/* Opening costs four times what reading does, and those that every list shows are read again and
 * again: their files stay open. @kept: where, 1 more than the descriptor; NULL: it is not to be. */
static ssize_t read_text(const struct cgroup_dir *dir, const char *file, _Atomic int *kept,
			 char *text)
{
	ctn_autoclose int fd = -1;
	int before = 0;

	if (kept && *kept)
		return pread(*kept - 1, text, FIGURE_BYTES_MAX, 0);
	/* Whose group has gone is on no list: no need to look whether it is still the same. */
	fd = cgroup_open_below(dir, file);
	if (fd < 0)
		return -1;
	if (kept && atomic_fetch_add(&n_kept, 1) < KEPT_MAX &&
	    atomic_compare_exchange_strong(kept, &before, fd + 1))
		return pread(ctn_take_fd(fd), text, FIGURE_BYTES_MAX, 0);
	if (kept) /* there are enough, or another thread was faster */
		atomic_fetch_sub(&n_kept, 1);
	return pread(fd, text, FIGURE_BYTES_MAX, 0);
}

void cgroup_figures_close(struct cgroup_leaf *leaf)
{
	for (size_t i = 0; i < CGF_KEPT; i++) {
		if (!leaf->figures[i])
			continue;
		close(leaf->figures[i] - 1);
		atomic_fetch_sub(&n_kept, 1);
	}
}

/* Return: 0; -ENOENT: the whole group is gone; -ESRCH: there is no such file, or it says nothing.
 */
static int read_source(const struct cgroup_dir *dir, const struct source *s, _Atomic int *kept,
		       uint64_t *ret)
{
	/* v1 counts pages in a long, so its "none" is the largest whole number of pages. */
	const uint64_t none = (uint64_t)INT64_MAX & ~((uint64_t)sysconf(_SC_PAGESIZE) - 1);
	char text[FIGURE_BYTES_MAX + 1];
	ssize_t n = read_text(dir, s->file, kept, text);
	uint64_t value;

	if (n <= 0)
		return is_gone(dir) ? -ENOENT : -ESRCH;
	text[n] = '\0';
	if (s->key) {
		value = cgroup_key(text, s->key);
	} else if (strncmp(text, "max", 3) == 0) {
		*ret = CTN_MAX;
		return 0;
	} else {
		value = strtoull(text, NULL, 10);
		if (value >= none)
			value = CTN_MAX;
	}
	*ret = value == CTN_MAX ? value : value / s->divide;
	return 0;
}

int cgroup_leaf_figures(const struct cgroup_leaf *leaf, size_t n, uint64_t *ret)
{
	_Atomic int *kept =
		((struct cgroup_leaf *)leaf)->figures; /* a cache, all the same to others */

	for (size_t i = 0; i < n; i++) {
		const struct source *s = &sources[leaf->version == 2][i];
		const struct cgroup_dir *dir = cgroup_leaf_dir(leaf, s->controller);
		int r = -ESRCH;

		if (dir)
			r = read_source(dir, s, i < CGF_KEPT ? kept + i : NULL, &ret[i]);
		if (r == -ENOENT)
			return r;
		if (r < 0)
			ret[i] = CGROUP_UNKNOWN;
	}
	return 0;
}
