/* SPDX-License-Identifier: Apache-2.0 */
/* io.max and io.stat: v2's words, which v1's blkio files are brought into. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cgroup_private.h"
#include "cleanup.h"
#include "io.h"

const char *const cgroup_io_keys[CG_IO_KEYS] = {
	[CG_IO_RBPS] = "rbps",
	[CG_IO_WBPS] = "wbps",
	[CG_IO_RIOPS] = "riops",
	[CG_IO_WIOPS] = "wiops",
};

static const char accepted[] =
	"a line such as 8:0 rbps=1M wbps=max riops=120 wiops=max (any of the four), or max";

struct device_number {
	unsigned major, minor;
};

void *cgroup_io_row(void **rows, size_t *n, size_t size, unsigned major, unsigned minor)
{
	struct device_number *row;
	void *bigger;

	for (size_t i = 0; i < *n; i++) {
		row = (void *)((char *)*rows + i * size);
		if (row->major == major && row->minor == minor)
			return row;
	}
	bigger = reallocarray(*rows, *n + 1, size);
	if (!bigger)
		return NULL;
	*rows = bigger;
	row = (void *)((char *)bigger + (*n)++ * size);
	memset(row, 0, size);
	row->major = major;
	row->minor = minor;
	return row;
}

/* "8:0": the kernel has 12 bits of major and 20 of minor. */
static bool device_parse(char *word, struct cgroup_io_limit *limit)
{
	char *colon = strchr(word, ':');
	uint64_t major, minor;

	if (!colon)
		return false;
	*colon = '\0';
	if (parse_u64("", word, 4095, &major, NULL) < 0 ||
	    parse_u64("", colon + 1, 1048575, &minor, NULL) < 0)
		return false;
	limit->major = (unsigned)major;
	limit->minor = (unsigned)minor;
	return true;
}

/* Return: 0 or a positive errno. */
static int pair_parse(char *word, struct cgroup_io_limit *limit)
{
	char *value = strchr(word, '=');
	int r;

	if (!value)
		return EINVAL;
	*value++ = '\0';
	for (int k = 0; k < CG_IO_KEYS; k++) {
		bool iops = k == CG_IO_RIOPS || k == CG_IO_WIOPS;

		if (strcmp(word, cgroup_io_keys[k]) != 0)
			continue;
		if (limit->given[k])
			return EINVAL;
		limit->given[k] = true;
		r = parse_size("", value, &limit->value[k], NULL);
		if (r < 0)
			return -r;
		if (limit->value[k] == 0) /* would stop the device; v1 would read it as "none" */
			return ERANGE;
		if (iops && limit->value[k] != CTN_MAX && limit->value[k] >= UINT32_MAX)
			return ERANGE; /* v1 would cut it to 32 bits without a word */
		return 0;
	}
	return EINVAL;
}

/* Return: 0 or a positive errno. */
static int line_parse(const char *text, struct cgroup_io_limit *ret)
{
	struct cgroup_io_limit limit = {0};
	char copy[256], *save = NULL, *word;
	int pairs = 0;

	if (strlen(text) >= sizeof(copy))
		return EINVAL;
	strcpy(copy, text);
	word = strtok_r(copy, " ", &save);
	if (!word || !device_parse(word, &limit))
		return EINVAL;
	while ((word = strtok_r(NULL, " ", &save))) {
		int e = pair_parse(word, &limit);

		if (e)
			return e;
		pairs++;
	}
	if (pairs == 0)
		return EINVAL;
	*ret = limit;
	return 0;
}

int cgroup_io_max_read(const struct cgroup_leaf *leaf, FILE *out, struct ctn_err *err)
{
	ctn_autofree struct cgroup_io_limit *limits = NULL;
	size_t n = 0;
	int r = leaf->ops->io_max_list(leaf, &limits, &n, err);

	if (r == -EOPNOTSUPP)
		fputs("max\n", out);
	else if (r == 0 && n == 0)
		fputs("\n", out);
	for (size_t i = 0; r == 0 && i < n; i++) {
		fprintf(out, "%u:%u", limits[i].major, limits[i].minor);
		for (int k = 0; k < CG_IO_KEYS; k++) {
			if (limits[i].value[k] == CTN_MAX)
				fprintf(out, " %s=max", cgroup_io_keys[k]);
			else
				fprintf(out, " %s=%" PRIu64, cgroup_io_keys[k], limits[i].value[k]);
		}
		putc('\n', out);
	}
	return r == -EOPNOTSUPP ? cgroup_forgive(err) : r;
}

static int clear_all(const struct cgroup_leaf *leaf, const struct cgroup_io_limit *limits, size_t n,
		     struct ctn_err *err)
{
	for (size_t i = 0; i < n; i++) {
		struct cgroup_io_limit none = limits[i];
		int r;

		for (int k = 0; k < CG_IO_KEYS; k++) {
			none.given[k] = true;
			none.value[k] = CTN_MAX;
		}
		r = leaf->ops->io_max_set(leaf, &none, err);
		if (r < 0)
			return r;
	}
	return 0;
}

/* v1 takes one value at a time: put back what was there when a later one is refused. */
static void restore(const struct cgroup_leaf *leaf, const struct cgroup_io_limit *olds, size_t n,
		    struct cgroup_io_limit wanted)
{
	for (int k = 0; k < CG_IO_KEYS; k++)
		wanted.value[k] = CTN_MAX;
	for (size_t i = 0; i < n; i++) {
		if (olds[i].major == wanted.major && olds[i].minor == wanted.minor)
			memcpy(wanted.value, olds[i].value, sizeof(wanted.value));
	}
	(void)leaf->ops->io_max_set(leaf, &wanted, NULL);
}

int cgroup_io_max_write(const struct cgroup_leaf *leaf, const char *text, struct ctn_err *err)
{
	bool clear = strcmp(text, "max") == 0;
	ctn_autofree struct cgroup_io_limit *olds = NULL;
	struct cgroup_io_limit limit = {0};
	size_t n = 0;
	int r = clear ? 0 : line_parse(text, &limit);

	if (r > 0)
		return cgroup_refuse(err, r, "io.max", text, accepted);
	r = leaf->ops->io_max_list(leaf, &olds, &n, err);
	if (r < 0)
		return clear && r == -EOPNOTSUPP ? cgroup_forgive(err) : r;
	if (clear)
		return clear_all(leaf, olds, n, err);
	r = leaf->ops->io_max_set(leaf, &limit, err);
	if (r == -ENODEV || r == -ENXIO)
		return ctn_fail(err, ENODEV, "io.max: %u:%u is no disk (lsblk shows their numbers)",
				limit.major, limit.minor);
	if (r < 0) {
		restore(leaf, olds, n, limit);
		(void)ctn_fail_context(err, "io.max");
	}
	return r;
}

int cgroup_io_stat_read(const struct cgroup_leaf *leaf, FILE *out, struct ctn_err *err)
{
	ctn_autofree struct cgroup_io_stat *stats = NULL;
	size_t n = 0;
	int r = leaf->ops->io_stat_list(leaf, &stats, &n, err);

	if (r == 0 && n == 0)
		fputs("\n", out);
	for (size_t i = 0; r == 0 && i < n; i++) {
		const uint64_t *v = stats[i].value;

		fprintf(out,
			"%u:%u rbytes=%" PRIu64 " wbytes=%" PRIu64 " rios=%" PRIu64 " wios=%" PRIu64
			" dbytes=%" PRIu64 " dios=%" PRIu64 "\n",
			stats[i].major, stats[i].minor, v[0], v[1], v[2], v[3], v[4], v[5]);
	}
	return r;
}
