/* SPDX-License-Identifier: Apache-2.0 */
/* The message that starts a container. Built with monitor/plan.c, which is not in the library. */
#include <errno.h>
#include <string.h>

#include "cleanup.h"
#include "fuzz.h"
#include "monitor/monitor.h"

static volatile size_t sink; /* so that the bytes are really read */

static size_t sum_lists(const struct plan *p)
{
	char **const lists[] = {p->argv,     p->envp,	 p->binds,  p->masked,
				p->readonly, p->sysctls, p->removed};
	const uint32_t counts[] = {p->msg->argv.count,	   p->msg->envp.count,
				   p->msg->binds.count,	   p->msg->masked.count,
				   p->msg->readonly.count, p->msg->sysctls.count,
				   p->msg->removed.count};
	const char *const strings[] = {p->cwd,	 p->hostname, p->domainname,
				       p->lower, p->state,    p->run};
	size_t sum = 0;

	for (size_t i = 0; i < CTN_COUNT(lists); i++) {
		for (uint32_t k = 0; k < counts[i]; k++)
			sum += strlen(lists[i][k]);
		FUZZ_CHECK(!lists[i][counts[i]]);
	}
	for (size_t i = 0; i < CTN_COUNT(strings); i++)
		sum += strlen(strings[i]);
	return sum;
}

static size_t sum_arrays(const struct plan *p)
{
	const struct wire_start *m = p->msg;
	size_t sum = 0;

	for (uint32_t i = 0; i < m->rlimits.count; i++)
		sum += p->rlimits[i].hard;
	for (uint32_t i = 0; i < m->mounts.count; i++) {
		const struct plan_mount *mount = &p->mounts[i];

		sum += strlen(mount->source) + strlen(mount->type) + strlen(mount->data);
		sum += mount->wire->propagation;
		FUZZ_CHECK(plan_mount_at(p, mount->target));
	}
	for (uint32_t i = 0; i < m->nodes.count; i++)
		sum += strlen(p->nodes[i].path) + p->nodes[i].wire->pad;
	for (uint32_t i = 0; i < m->filter_len; i++)
		sum += p->filter[i].k;
	for (uint32_t i = 0; i < m->removed.count; i++)
		FUZZ_CHECK(plan_removes(p, p->removed[i]));
	return sum;
}

static void check_maps(const struct plan *p)
{
	uint32_t id = 0;

	for (uint32_t i = 0; i < p->msg->uid_map.count; i++) {
		const struct wire_map *m = &p->uid_map[i];

		if (m->count > 0)
			FUZZ_CHECK(plan_map_id(p->uid_map, i + 1, m->inside, &id) == 0);
	}
	(void)plan_map_id(p->gid_map, p->msg->gid_map.count, UINT32_MAX, &id);
}

/* A copy of just its size, aligned as a mapped one is. What every message has right is put right,
 * or few would get past the header; the unit test has it wrong. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ctn_autofree struct wire_start *message = malloc(size ?: 1);
	struct plan plan = {0};
	struct ctn_err err = {0};
	int r;

	FUZZ_CHECK(message);
	memcpy(message, data, size);
	if (size >= sizeof(*message)) {
		message->magic = WIRE_MAGIC;
		message->version = WIRE_VERSION;
		message->size = (uint32_t)size;
	}
	r = plan_unpack(message, size, &plan, &err);
	if (r < 0) {
		FUZZ_CHECK(r == -EBADMSG && err.code == EBADMSG);
		FUZZ_CHECK(strstr(err.text, "start message") && !plan.msg && !plan.argv);
		return 0;
	}
	FUZZ_CHECK(plan.msg == message && message->argv.count > 0);
	sink = sum_lists(&plan) + sum_arrays(&plan);
	check_maps(&plan);
	plan_free(&plan);
	return 0;
}
