/* SPDX-License-Identifier: Apache-2.0 */
/* The runtime-spec's linux.resources, as knobs of cgroup/. Whether a value can be had is found out
 * where it is applied, as with one that was written into the file. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cgroup.h"
#include "cleanup.h"
#include "oci_private.h"

enum { PERIOD_DEFAULT = 100000 };

static int set_knob(struct oci_reader *in, const struct json_at *at, const char *knob,
		    const char *value, struct ctn_err *err)
{
	int r = oci_check_line(at, value, err);

	if (r == 0 && spec_set_knob(in->spec, knob, value, err) < 0)
		r = json_fail_context(at, err);
	return r;
}

static int set_number(struct oci_reader *in, const struct json_at *at, const char *knob,
		      int64_t value, struct ctn_err *err)
{
	char text[24] = "max";

	if (value >= 0)
		snprintf(text, sizeof(text), "%" PRId64, value);
	return set_knob(in, at, knob, text, err);
}

/* --- memory --- */

/* -1 is no limit, 0 as if it were not there. @ret: 0 where nothing is said. */
static int want_limit(const struct json_at *object, const char *key, struct json_at *at,
		      int64_t *ret, struct ctn_err *err)
{
	*ret = 0;
	if (!json_get(object, key, at) || !at->value)
		return 0;
	return json_want_int(at, -1, INT64_MAX, ret, err);
}

static int take_memory_limits(struct oci_reader *in, const struct json_at *memory,
			      struct ctn_err *err)
{
	struct json_at limit_at, swap_at;
	int64_t limit = 0, swap = 0;
	int r = want_limit(memory, "limit", &limit_at, &limit, err);

	if (r == 0)
		r = want_limit(memory, "swap", &swap_at, &swap, err);
	if (r == 0 && limit)
		r = set_number(in, &limit_at, "memory.limit", limit, err);
	if (r < 0 || !swap)
		return r;
	if (swap < 0)
		return set_number(in, &swap_at, "memory.swap.limit", -1, err);
	/* It is memory and swap together, so without the one the other cannot be told. */
	if (limit <= 0)
		return json_fail(&swap_at, EINVAL, err,
				 "is memory and swap together, so it needs a limit beside it");
	if (swap < limit)
		return json_fail(&swap_at, EINVAL, err,
				 "is memory and swap together, so it cannot be below limit, "
				 "%" PRId64,
				 limit);
	return set_number(in, &swap_at, "memory.swap.limit", swap - limit, err);
}

/* -1 is what there is without it. */
static int take_no_limit(struct oci_reader *in, const struct json_at *at, struct ctn_err *err)
{
	int64_t value = 0;
	int r = json_want_int(at, -1, INT64_MAX, &value, err);

	(void)in;
	if (r == 0 && value > 0)
		return json_fail(at, EOPNOTSUPP, err,
				 "there is no such limit here; limit covers all memory");
	return r;
}

static int take_swappiness(struct oci_reader *in, const struct json_at *at, struct ctn_err *err)
{
	(void)in; /* 0 says something, too */
	return json_fail(at, EOPNOTSUPP, err,
			 "there is no such knob here; remove it, or limit swap");
}

static const char no_knob[] = "there is no such knob here; remove it";

static int take_memory(struct oci_reader *in, const struct json_at *at, struct ctn_err *err)
{
	/* useHierarchy is so in any case; checkBeforeUpdate is how limits are set here: one below
	 * present use is refused. */
	static const struct oci_prop members[] = {
		{"reservation", take_no_limit, NULL},
		{"kernel", take_no_limit, NULL},
		{"kernelTCP", take_no_limit, NULL},
		{"swappiness", take_swappiness, NULL},
		{"disableOOMKiller", NULL, "the OOM killer cannot be switched off here; remove it"},
		{"useHierarchy", NULL, NULL},
		{"checkBeforeUpdate", NULL, NULL},
		{NULL, NULL, NULL},
	};
	int r = oci_props(in, at, members, err);

	return r < 0 ? r : take_memory_limits(in, at, err);
}

/* --- cpu --- */

static int take_shares(struct oci_reader *in, const struct json_at *at, struct ctn_err *err)
{
	uint64_t value = 0;
	int r = json_want_uint(at, INT64_MAX, &value, err);

	return r < 0 || !value ? r : set_number(in, at, "cpu.shares", (int64_t)value, err);
}

static int take_set(struct oci_reader *in, const struct json_at *at, const char *knob,
		    struct ctn_err *err)
{
	const char *text = NULL;
	int r = json_want_string(at, &text, err);

	return r < 0 || !text[0] ? r : set_knob(in, at, knob, text, err);
}

static int take_cpus(struct oci_reader *in, const struct json_at *at, struct ctn_err *err)
{
	return take_set(in, at, "cpuset.cpus", err);
}

static int take_mems(struct oci_reader *in, const struct json_at *at, struct ctn_err *err)
{
	return take_set(in, at, "cpuset.mems", err);
}

static int take_cpu_max(struct oci_reader *in, const struct json_at *cpu, struct ctn_err *err)
{
	struct json_at quota_at, period_at;
	char text[64];
	int64_t quota = 0;
	uint64_t period = 0;
	int r = want_limit(cpu, "quota", &quota_at, &quota, err);

	if (r == 0 && json_get(cpu, "period", &period_at) && period_at.value)
		r = json_want_uint(&period_at, INT64_MAX, &period, err);
	if (r < 0 || (!quota && !period))
		return r;
	if (!period)
		period = PERIOD_DEFAULT;
	if (quota > 0)
		snprintf(text, sizeof(text), "%" PRId64 " %" PRIu64, quota, period);
	else
		snprintf(text, sizeof(text), "max %" PRIu64, period);
	return set_knob(in, quota ? &quota_at : &period_at, "cpu.max", text, err);
}

static int take_cpu(struct oci_reader *in, const struct json_at *at, struct ctn_err *err)
{
	static const struct oci_prop members[] = {
		{"shares", take_shares, NULL},
		{"cpus", take_cpus, NULL},
		{"mems", take_mems, NULL},
		{"burst", NULL, no_knob},
		{"realtimeRuntime", NULL, no_knob},
		{"realtimePeriod", NULL, no_knob},
		{"idle", NULL, no_knob},
		{NULL, NULL, NULL},
	};
	int r = oci_props(in, at, members, err);

	return r < 0 ? r : take_cpu_max(in, at, err);
}

/* --- pids --- */

static int take_pids(struct oci_reader *in, const struct json_at *at, struct ctn_err *err)
{
	struct json_at member;
	int64_t limit = 0;
	int r = json_want_object(at, err);

	if (r == 0)
		r = want_limit(at, "limit", &member, &limit, err);
	/* No limit is what there is without one. */
	return r < 0 || limit <= 0 ? r : set_number(in, &member, "pids.max", limit, err);
}

/* --- block devices --- */

const struct oci_name oci_throttles[] = {
	{"throttleReadBpsDevice", 0},
	{"throttleWriteBpsDevice", 1},
	{"throttleReadIOPSDevice", 2},
	{"throttleWriteIOPSDevice", 3},
	{NULL, 0},
};

const char *const oci_throttle_keys[OCI_THROTTLES] = {"rbps", "wbps", "riops", "wiops"};

struct throttled {
	int64_t major, minor;
	uint64_t rate[OCI_THROTTLES]; /* 0: not said */
};

struct throttles {
	struct throttled items[SPEC_LINES_MAX];
	size_t n;
};

static int want_throttle(const struct json_at *at, struct throttles *all, uint64_t which,
			 struct ctn_err *err)
{
	struct json_at major_at, minor_at, rate_at;
	struct throttled t = {0};
	uint64_t rate = 0;
	size_t i = 0;
	int r = json_want_object(at, err);

	if (r == 0)
		r = oci_need(at, "major", &major_at, err);
	if (r == 0)
		r = oci_need(at, "minor", &minor_at, err);
	if (r == 0)
		r = oci_need(at, "rate", &rate_at, err);
	if (r == 0)
		r = json_want_int(&major_at, 0, 4095, &t.major, err);
	if (r == 0)
		r = json_want_int(&minor_at, 0, 1048575, &t.minor, err);
	if (r == 0)
		r = json_want_uint(&rate_at, INT64_MAX, &rate, err);
	if (r < 0 || !rate)
		return r;
	while (i < all->n && (all->items[i].major != t.major || all->items[i].minor != t.minor))
		i++;
	if (i == SPEC_LINES_MAX)
		return json_fail(at, E2BIG, err, "more than %d devices", SPEC_LINES_MAX);
	if (i == all->n)
		all->items[all->n++] = t;
	all->items[i].rate[which] = rate;
	return 0;
}

static int set_throttle(struct oci_reader *in, const struct json_at *at, const struct throttled *t,
			struct ctn_err *err)
{
	char line[192];
	size_t n = (size_t)snprintf(line, sizeof(line), "%" PRId64 ":%" PRId64, t->major, t->minor);

	for (int i = 0; i < OCI_THROTTLES; i++) {
		if (t->rate[i])
			n += (size_t)snprintf(line + n, sizeof(line) - n, " %s=%" PRIu64,
					      oci_throttle_keys[i], t->rate[i]);
	}
	return set_knob(in, at, "io.max", line, err);
}

static int take_block_io(struct oci_reader *in, const struct json_at *at, struct ctn_err *err)
{
	static const struct oci_prop members[] = {
		{"weight", NULL, no_knob},
		{"leafWeight", NULL, no_knob},
		{"weightDevice", NULL, no_knob},
		{NULL, NULL, NULL},
	};
	ctn_autofree struct throttles *all = calloc(1, sizeof(*all));
	int r = oci_props(in, at, members, err);

	if (!all)
		return json_fail(at, ENOMEM, err, "no memory");
	for (const struct oci_name *t = oci_throttles; r == 0 && t->name; t++) {
		struct json_at list, item;

		if (!json_get(at, t->name, &list) || !list.value)
			continue;
		r = json_want_array(&list, err);
		for (size_t i = 0; r == 0 && json_item(&list, i, &item); i++)
			r = want_throttle(&item, all, t->value, err);
	}
	for (size_t i = 0; r == 0 && i < all->n; i++)
		r = set_throttle(in, at, &all->items[i], err);
	return r;
}

/* --- files of cgroup v2 --- */

/* io.max has a line a device; the others have one. */
static int set_lines(struct oci_reader *in, const struct json_at *at,
		     const struct cgroup_knob *knob, const char *text, struct ctn_err *err)
{
	ctn_autofree char *copy = strdup(text);
	char *save = NULL;
	int r = 0;

	if (!copy)
		return json_fail(at, ENOMEM, err, "no memory");
	if (strcmp(knob->name, "io.max") != 0)
		return set_knob(in, at, knob->name, text, err);
	for (char *l = strtok_r(copy, "\n", &save); l && r == 0; l = strtok_r(NULL, "\n", &save))
		r = set_knob(in, at, knob->name, l, err);
	return r;
}

static int take_unified(struct oci_reader *in, const struct json_at *at, struct ctn_err *err)
{
	struct json_at member;
	int r = json_want_object(at, err);

	for (size_t i = 0; r == 0 && json_member(at, i, &member); i++) {
		const struct cgroup_knob *knob = cgroup_knob_find(member.key);
		const char *text = NULL;

		r = json_want_string(&member, &text, err);
		if (r < 0 || !text[0])
			continue;
		if (!knob || !knob->v2 || strcmp(knob->v2, member.key) != 0 ||
		    !(knob->flags & KNOB_KEPT))
			return json_fail(&member, EOPNOTSUPP, err, "%s", no_knob);
		r = set_lines(in, &member, knob, text, err);
	}
	return r;
}

/* An empty object inside still names a device. */
static int take_rdma(struct oci_reader *in, const struct json_at *at, struct ctn_err *err)
{
	int r = json_want_object(at, err);

	(void)in;
	if (r == 0 && json_length(at) > 0)
		return json_fail(at, EOPNOTSUPP, err, "%s", no_knob);
	return r;
}

int oci_take_resources(struct oci_reader *in, const struct json_at *at, struct ctn_err *err)
{
	/* devices: oci_take_devices() */
	static const struct oci_prop members[] = {
		{"memory", take_memory, NULL},
		{"cpu", take_cpu, NULL},
		{"pids", take_pids, NULL},
		{"blockIO", take_block_io, NULL},
		{"hugepageLimits", NULL, no_knob},
		{"network", NULL, no_knob},
		{"rdma", take_rdma, NULL},
		{"unified", take_unified, NULL},
		{NULL, NULL, NULL},
	};

	return oci_props(in, at, members, err);
}
