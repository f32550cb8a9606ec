/* SPDX-License-Identifier: Apache-2.0 */
/* The restart policy: its words, and what they mean. */
#include <errno.h>
#include <string.h>

#include "cleanup.h"
#include "io.h"
#include "spec_private.h"

/* @starts_after: whether it is started again after exit code 0, and after any other. */
static const struct {
	const char *word;
	bool starts_after[2];
} policies[] = {
	[SPEC_RESTART_NO] = {"no", {false, false}},
	[SPEC_RESTART_ON_FAILURE] = {"on-failure", {false, true}},
	[SPEC_RESTART_ALWAYS] = {"always", {true, true}},
	[SPEC_RESTART_UNLESS_STOPPED] = {"unless-stopped", {true, true}},
};

bool spec_restarts(const struct spec *s, int code, unsigned failures)
{
	return policies[s->restart].starts_after[code != 0] &&
	       (s->restart_max == 0 || failures < s->restart_max);
}

void spec_restart_show(const struct spec *s, const struct spec_field *f, FILE *out)
{
	(void)f;
	fputs(policies[s->restart].word, out);
	if (s->restart_max)
		fprintf(out, ":%u", s->restart_max);
	putc('\n', out);
}

static int store_bound(struct spec *s, const char *text, struct ctn_err *err)
{
	uint64_t n = 0;
	int r = parse_u64("restart: how often", text, SPEC_RESTARTS_MAX, &n, err);

	if (r < 0)
		return r;
	if (n == 0)
		return ctn_fail(err, EINVAL,
				"restart: on-failure:0 would be no restart at all; write no, or "
				"on-failure for one without a bound");
	s->restart = SPEC_RESTART_ON_FAILURE;
	s->restart_max = (unsigned)n;
	return 0;
}

int spec_restart_store(struct spec *s, const struct spec_field *f, const char *text,
		       enum spec_write how, struct ctn_err *err)
{
	static const char bounded[] = "on-failure:";
	ctn_autofree char *value = NULL;
	int r = spec_one_value(text, &value, err);

	(void)f;
	(void)how;
	if (r < 0)
		return r;
	if (strncmp(value, bounded, strlen(bounded)) == 0)
		return store_bound(s, value + strlen(bounded), err);
	for (size_t i = 0; i < CTN_COUNT(policies); i++) {
		if (strcmp(value, policies[i].word) != 0)
			continue;
		s->restart = (enum spec_restart)i;
		s->restart_max = 0;
		return 0;
	}
	return ctn_fail(err, EINVAL,
			"restart: '%.60s' is none of no, on-failure, on-failure:N, always, "
			"unless-stopped",
			value);
}
