/* SPDX-License-Identifier: Apache-2.0 */
/* cpuset.cpus and cpuset.mems. The versions disagree on what they refuse (v2 takes a CPU that is
 * not there and ignores it), so a list is checked here against what the parent has. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "cgroup_private.h"
#include "cleanup.h"
#include "io.h"

enum { NUMBERS_MAX = 8192 }; /* the kernel's largest NR_CPUS */

struct number_set {
	unsigned char has[NUMBERS_MAX];
};

static bool number_scan(const char **p, unsigned *ret)
{
	unsigned value = 0;

	if (!isdigit((unsigned char)**p))
		return false;
	for (; isdigit((unsigned char)**p); (*p)++) {
		value = value * 10 + (unsigned)(**p - '0');
		if (value >= NUMBERS_MAX)
			return false;
	}
	*ret = value;
	return true;
}

/* "0-3,8": numbers and rising ranges. */
static bool list_parse(const char *text, struct number_set *set)
{
	const char *p = text;

	memset(set, 0, sizeof(*set));
	for (;;) {
		unsigned from = 0, to;

		if (!number_scan(&p, &from))
			return false;
		to = from;
		if (*p == '-' && (p++, !number_scan(&p, &to)))
			return false;
		if (to < from)
			return false;
		memset(set->has + from, 1, to - from + 1);
		if (*p == '\0')
			return true;
		if (*p++ != ',')
			return false;
	}
}

static bool is_subset(const struct number_set *a, const struct number_set *of)
{
	for (int i = 0; i < NUMBERS_MAX; i++) {
		if (a->has[i] && !of->has[i])
			return false;
	}
	return true;
}

/* What the leaf's parent may use, in the kernel's list form. */
static int parent_list(const struct cgroup_leaf *leaf, const char *file, char **ret,
		       struct ctn_err *err)
{
	ctn_autoclose int fd = -1;
	char path[64];
	int r = cgroup_leaf_fd(leaf, CG_CPUSET, &fd, err);

	if (r < 0)
		return r;
	snprintf(path, sizeof(path), "../%s%s", file, leaf->version == 2 ? ".effective" : "");
	r = io_read_at(fd, path, CGROUP_FILE_MAX, ret, NULL, err);
	if (r == 0)
		(*ret)[strcspn(*ret, "\n")] = '\0';
	return r;
}

static int set_read(const struct cgroup_leaf *leaf, const char *file, FILE *out,
		    struct ctn_err *err)
{
	ctn_autofree char *list = NULL;
	int r = leaf->ops->cpuset_get(leaf, file, &list, err);

	if (r == -EOPNOTSUPP)
		fputs("max\n", out);
	else if (r == 0)
		fprintf(out, "%.*s\n", (int)strcspn(list, "\n"), list);
	return r == -EOPNOTSUPP ? cgroup_forgive(err) : r;
}

static int set_write(const struct cgroup_leaf *leaf, const char *file, const char *text,
		     struct ctn_err *err)
{
	bool all = strcmp(text, "max") == 0;
	struct number_set wanted, present;
	ctn_autofree char *parent = NULL;
	int r;

	if (!all && (strlen(text) > 1024 || !list_parse(text, &wanted)))
		return cgroup_refuse(err, EINVAL, file, text,
				     "a list such as 0-2,4, or max for all there are");
	r = parent_list(leaf, file, &parent, err);
	if (r < 0)
		return all && r == -EOPNOTSUPP ? cgroup_forgive(err) : r;
	if (!all && list_parse(parent, &present) && !is_subset(&wanted, &present))
		return ctn_fail(err, ERANGE, "%s: '%.40s' is not within %s, which is all there are",
				file, text, parent);
	if (all) /* v2 follows its parent when its own list is empty; v1 needs the list */
		text = leaf->version == 2 ? "\n" : parent;
	r = leaf->ops->cpuset_set(leaf, file, text, err);
	if (r < 0)
		(void)ctn_fail_context(err, "%s", file);
	return r;
}

int cgroup_cpus_read(const struct cgroup_leaf *leaf, FILE *out, struct ctn_err *err)
{
	return set_read(leaf, "cpuset.cpus", out, err);
}

int cgroup_cpus_write(const struct cgroup_leaf *leaf, const char *text, struct ctn_err *err)
{
	return set_write(leaf, "cpuset.cpus", text, err);
}

int cgroup_mems_read(const struct cgroup_leaf *leaf, FILE *out, struct ctn_err *err)
{
	return set_read(leaf, "cpuset.mems", out, err);
}

int cgroup_mems_write(const struct cgroup_leaf *leaf, const char *text, struct ctn_err *err)
{
	return set_write(leaf, "cpuset.mems", text, err);
}
