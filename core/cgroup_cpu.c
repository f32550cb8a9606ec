/* SPDX-License-Identifier: Apache-2.0 */
/* The cpu rows of the table. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "cgroup_private.h"
#include "io.h"

enum { WEIGHT_MAX = 10000, SHARES_MIN = 2, SHARES_MAX = 262144 };

int cgroup_cpu_max_read(const struct cgroup_leaf *leaf, FILE *out, struct ctn_err *err)
{
	uint64_t quota = 0, period = 0;
	int r = leaf->ops->cpu_max_get(leaf, &quota, &period, err);

	if (r == -EOPNOTSUPP)
		fputs("max\n", out);
	else if (r == 0 && quota == CTN_MAX)
		fprintf(out, "max %" PRIu64 "\n", period);
	else if (r == 0)
		fprintf(out, "%" PRIu64 " %" PRIu64 "\n", quota, period);
	return r == -EOPNOTSUPP ? cgroup_forgive(err) : r;
}

/* "quota", "max", "quota period", "max period". Return: 0 or a positive errno. */
static int cpu_max_parse(const char *text, uint64_t *ret_quota, uint64_t *ret_period)
{
	uint64_t quota = CTN_MAX, period = CGROUP_PERIOD_DEFAULT;
	char copy[64], *second;
	int r = 0;

	if (strlen(text) >= sizeof(copy))
		return EINVAL;
	strcpy(copy, text);
	second = strchr(copy, ' ');
	if (second) {
		*second++ = '\0';
		r = parse_u64("", second, CGROUP_PERIOD_MAX, &period, NULL);
	}
	if (r == 0 && strcmp(copy, "max") != 0)
		r = parse_u64("", copy, CGROUP_QUOTA_MAX, &quota, NULL);
	if (r < 0)
		return -r;
	if (quota < CGROUP_QUOTA_MIN || period < CGROUP_PERIOD_MIN)
		return ERANGE;
	*ret_quota = quota;
	*ret_period = period;
	return 0;
}

int cgroup_cpu_max_write(const struct cgroup_leaf *leaf, const char *text, struct ctn_err *err)
{
	uint64_t quota = 0, period = 0;
	int r = cpu_max_parse(text, &quota, &period);

	if (r > 0)
		return cgroup_refuse(err, r, "cpu.max", text,
				     "QUOTA PERIOD in microseconds, such as 50000 100000 (quota "
				     "from 1000, or max; period 1000 to 1000000, by default "
				     "100000)");
	r = leaf->ops->cpu_max_set(leaf, quota, period, err);
	if (r == -EINVAL) /* within range, so it is v1's rule about parents */
		return ctn_fail(err, EINVAL, "cpu.max: '%.40s' is more than a group above may use",
				text);
	return cgroup_finish(r, quota == CTN_MAX, K_CPU_MAX, err);
}

/* The kernel's own relation, 1024 shares being weight 100: so groups of either kind keep their
 * proportions, and every weight survives being held as shares. Shares below 10 and above 102400
 * have no weight of their own; on v2 they become the nearest, and read so. */
static uint64_t weight_from_shares(uint64_t shares)
{
	uint64_t weight = (shares * 100 + 512) / 1024;

	return weight < 1 ? 1 : weight > WEIGHT_MAX ? WEIGHT_MAX : weight;
}

uint64_t cgroup_shares_from_weight(uint64_t weight)
{
	return (weight * 1024 + 50) / 100;
}

int cgroup_cpu_weight_read(const struct cgroup_leaf *leaf, FILE *out, struct ctn_err *err)
{
	uint64_t value = 0;
	int r = cgroup_number_get(leaf, K_CPU_WEIGHT, &value, err);

	return cgroup_number_show(r, leaf->version == 1 ? weight_from_shares(value) : value, true,
				  out, err);
}

int cgroup_cpu_shares_read(const struct cgroup_leaf *leaf, FILE *out, struct ctn_err *err)
{
	uint64_t value = 0;
	int r = cgroup_number_get(leaf, K_CPU_SHARES, &value, err);

	return cgroup_number_show(r, leaf->version == 2 ? cgroup_shares_from_weight(value) : value,
				  true, out, err);
}

/* There is no "unlimited" weight; but where there is no controller "max" is what was read. */
static int cpu_share_write(const struct cgroup_leaf *leaf, int k, const char *text, uint64_t min,
			   uint64_t max, int version, uint64_t (*convert)(uint64_t),
			   const char *accepted, struct ctn_err *err)
{
	bool lacking = !cgroup_leaf_dir(leaf, CG_CPU);
	uint64_t value = 0;
	int r = cgroup_number_parse(k, text, min, max, lacking, accepted, &value, err);

	if (r < 0)
		return r;
	r = cgroup_number_set(leaf, k, leaf->version == version ? value : convert(value), "max",
			      err);
	return cgroup_finish(r, value == CTN_MAX, k, err);
}

int cgroup_cpu_weight_write(const struct cgroup_leaf *leaf, const char *text, struct ctn_err *err)
{
	return cpu_share_write(leaf, K_CPU_WEIGHT, text, 1, WEIGHT_MAX, 2,
			       cgroup_shares_from_weight,
			       "a number from 1 to 10000; 100 is the default", err);
}

int cgroup_cpu_shares_write(const struct cgroup_leaf *leaf, const char *text, struct ctn_err *err)
{
	return cpu_share_write(leaf, K_CPU_SHARES, text, SHARES_MIN, SHARES_MAX, 1,
			       weight_from_shares, "a number from 2 to 262144; 1024 is the default",
			       err);
}

int cgroup_cpu_stat_read(const struct cgroup_leaf *leaf, FILE *out, struct ctn_err *err)
{
	struct cgroup_cpu_stat s = {0};
	int r = leaf->ops->cpu_stat(leaf, &s, err);

	if (r < 0)
		return r;
	fprintf(out,
		"usage_usec %" PRIu64 "\nuser_usec %" PRIu64 "\nsystem_usec %" PRIu64
		"\nnr_periods %" PRIu64 "\nnr_throttled %" PRIu64 "\nthrottled_usec %" PRIu64 "\n",
		s.usage, s.user, s.system, s.periods, s.throttled, s.throttled_time);
	return 0;
}
