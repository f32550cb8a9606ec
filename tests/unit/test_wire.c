/* SPDX-License-Identifier: Apache-2.0 */
/* The message that starts a container, whole and mutilated. Built with monitor/plan.c. Meant for
 * the address sanitizer: each message lies in memory of its size. */
#include "monitor/monitor.h"

#include <errno.h>
#include <stdlib.h>

#include "check.h"
#include "cleanup.h"

enum { FILTER = 3 };

/* A message under construction, aligned as a mapped one is. */
struct message {
	union {
		_Alignas(16) char bytes[2048];
		struct wire_start header;
	};
	size_t len;
};

static volatile size_t sink; /* so that the bytes are really read */

static struct wire_start *header(struct message *m)
{
	return &m->header;
}

static struct wire_list append(struct message *m, const char *strings, uint32_t count)
{
	struct wire_list list = {.off = (uint32_t)m->len, .count = count};

	for (uint32_t i = 0; i < count; i++) {
		size_t n = strlen(strings) + 1;

		memcpy(m->bytes + m->len, strings, n);
		m->len += n;
		strings += n;
	}
	return list;
}

static struct wire_array append_array(struct message *m, const void *items, size_t size, uint32_t n)
{
	m->len += -m->len % 8;

	struct wire_array array = {.off = (uint32_t)m->len, .count = n};

	memcpy(m->bytes + m->len, items, size * n);
	m->len += size * n;
	return array;
}

static void append_arrays(struct message *m, struct wire_start *h)
{
	const struct wire_map map = {.inside = 0, .outside = 100000, .count = 65536};
	const struct wire_rlimit limit = {.resource = 7, .soft = 1024, .hard = 4096};
	const struct wire_mount mount = {
		.source = append(m, "/srv/redis", 1),
		.target = append(m, "/data", 1),
		.type = append(m, "none", 1),
		.data = append(m, "", 1),
	};
	const struct wire_node node = {.path = append(m, "/dev/null", 1), .mode = 020666};

	h->uid_map = append_array(m, &map, sizeof(map), 1);
	h->gid_map = append_array(m, &map, sizeof(map), 1);
	h->rlimits = append_array(m, &limit, sizeof(limit), 1);
	h->mounts = append_array(m, &mount, sizeof(mount), 1);
	h->nodes = append_array(m, &node, sizeof(node), 1);
}

static struct message valid(void)
{
	struct message m = {.len = sizeof(struct wire_start) + FILTER * sizeof(struct sock_filter)};
	struct wire_start *h = header(&m);

	*h = (struct wire_start){.magic = WIRE_MAGIC, .version = WIRE_VERSION, .n_attach = 2};
	h->n_groups = 1;
	h->filter_off = sizeof(*h);
	h->filter_len = FILTER;
	h->argv = append(&m, "sh\0-c\0", 3);
	h->envp = append(&m, "A=1\0B=2", 2);
	h->cwd = append(&m, "/srv", 1);
	h->hostname = append(&m, "db", 1);
	h->domainname = append(&m, "", 1);
	h->lower = append(&m, "/l", 1);
	h->state = append(&m, "/s", 1);
	h->run = append(&m, "/r", 1);
	h->binds = append(&m, "/usr\0/opt", 2);
	append_arrays(&m, h);
	h->sysctls = append(&m,
			    "net/core/somaxconn\0"
			    "1024",
			    2);
	h->removed = append(&m, "/tmp", 1);
	h->masked = append(&m, "/proc/kcore", 1);
	h->readonly = append(&m, "", 0);
	h->size = (uint32_t)m.len;
	return m;
}

/* Every byte of the structures, and of the strings that they name. */
static size_t sum_arrays(const struct plan *p)
{
	size_t sum = 0;

	for (uint32_t i = 0; i < p->msg->uid_map.count; i++)
		sum += p->uid_map[i].outside;
	for (uint32_t i = 0; i < p->msg->gid_map.count; i++)
		sum += p->gid_map[i].outside;
	for (uint32_t i = 0; i < p->msg->rlimits.count; i++)
		sum += p->rlimits[i].hard;
	for (uint32_t i = 0; i < p->msg->mounts.count; i++)
		sum += strlen(p->mounts[i].source) + strlen(p->mounts[i].target) +
		       strlen(p->mounts[i].type) + strlen(p->mounts[i].data);
	for (uint32_t i = 0; i < p->msg->nodes.count; i++)
		sum += strlen(p->nodes[i].path);
	return sum;
}

/* From a copy of exactly @len bytes, and every byte of the result is looked at. */
static int unpack(const struct message *m, size_t len, struct ctn_err *err)
{
	ctn_autofree char *copy = malloc(len ? len : 1);
	struct plan p = {0};
	size_t sum = 0;
	int r;

	memcpy(copy, m->bytes, len);
	r = plan_unpack(copy, len, &p, err);
	if (r < 0) {
		CHECK(!p.msg && !p.argv);
		return r;
	}
	char **const lists[] = {p.argv,	    p.envp,    p.binds,	 p.masked,
				p.readonly, p.sysctls, p.removed};
	const char *const strings[] = {p.cwd, p.hostname, p.domainname, p.lower, p.state, p.run};

	for (size_t i = 0; i < CTN_COUNT(lists); i++) {
		for (char **s = lists[i]; *s; s++)
			sum += strlen(*s);
	}
	for (size_t i = 0; i < CTN_COUNT(strings); i++)
		sum += strlen(strings[i]);
	for (uint32_t i = 0; i < p.msg->filter_len; i++)
		sum += p.filter[i].code;
	sink = sum + sum_arrays(&p);
	plan_free(&p);
	return 0;
}

static void test_valid(void)
{
	struct message m = valid();
	struct plan p = {0};

	CHECK(unpack(&m, m.len, NULL) == 0);
	CHECK(plan_unpack(m.bytes, m.len, &p, NULL) == 0);
	CHECK_STR(p.argv[0], "sh");
	CHECK_STR(p.argv[1], "-c");
	CHECK_STR(p.argv[2], "");
	CHECK(!p.argv[3]);
	CHECK_STR(p.envp[1], "B=2");
	CHECK_STR(p.cwd, "/srv");
	CHECK_STR(p.hostname, "db");
	CHECK_STR(p.lower, "/l");
	CHECK_STR(p.state, "/s");
	CHECK_STR(p.run, "/r");
	CHECK_STR(p.binds[1], "/opt");
	CHECK_STR(p.sysctls[1], "1024");
	CHECK_STR(p.removed[0], "/tmp");
	CHECK_STR(p.mounts[0].source, "/srv/redis");
	CHECK_STR(p.mounts[0].target, "/data");
	CHECK_STR(p.nodes[0].path, "/dev/null");
	CHECK(p.uid_map[0].outside == 100000 && p.rlimits[0].hard == 4096);
	CHECK_STR(p.masked[0], "/proc/kcore");
	CHECK(!p.readonly[0]);
	CHECK((const char *)p.filter == m.bytes + sizeof(struct wire_start));
	CHECK(p.msg == header(&m));
	plan_free(&p);
}

static void test_truncated(void)
{
	const struct message m = valid();

	for (size_t len = 0; len < m.len; len++) {
		struct message cut = m;

		CHECK_ERR(unpack(&cut, len, &check_err), EBADMSG, "start message");
		if (len < sizeof(struct wire_start))
			continue;
		header(&cut)->size = (uint32_t)len; /* a sender that says so */
		CHECK_ERR(unpack(&cut, len, &check_err), EBADMSG, "start message");
	}
}

/* Each 32-bit word of the header, with values at the edges: refused, or harmless. */
static void test_words(void)
{
	const struct message m = valid();
	const uint32_t edges[] = {0,
				  1,
				  2,
				  3,
				  64,
				  65,
				  4096,
				  4097,
				  UINT16_MAX,
				  UINT16_MAX + 1,
				  INT32_MAX,
				  (uint32_t)INT32_MAX + 1,
				  UINT32_MAX - 1,
				  UINT32_MAX,
				  sizeof(struct wire_start) - 1,
				  sizeof(struct wire_start),
				  sizeof(struct wire_start) + 4,
				  (uint32_t)m.len - 1,
				  (uint32_t)m.len,
				  (uint32_t)m.len + 1};
	unsigned fine = 0;

	for (size_t at = 0; at < sizeof(struct wire_start); at += sizeof(uint32_t)) {
		for (size_t i = 0; i < CTN_COUNT(edges); i++) {
			struct message bad = m;
			int r;

			memcpy(bad.bytes + at, &edges[i], sizeof(edges[i]));
			r = unpack(&bad, bad.len, &check_err);
			CHECK(r == 0 || (r == -EBADMSG && strstr(check_err.text, "start message")));
			fine += r == 0;
		}
	}
	CHECK(fine > 1000); /* groups, ids, flags are numbers that anything may be */
}

/* Two words at once: an offset near the end with a count that does not fit, and the like. */
static void test_pairs(void)
{
	const struct message m = valid();
	const size_t first = offsetof(struct wire_start, filter_off);
	unsigned random = 99;

	for (int i = 0; i < 20000; i++) {
		struct message bad = m;
		int r;

		for (int j = 0; j < 2; j++) {
			uint32_t value;
			size_t words = (sizeof(struct wire_start) - first) / sizeof(value);

			random = random * 1664525u + 1013904223u;
			value = random >> 8 & (random & 1 ? 7 : 1023);
			memcpy(bad.bytes + first + (random >> 16) % words * sizeof(value), &value,
			       sizeof(value));
		}
		r = unpack(&bad, bad.len, NULL);
		CHECK(r == 0 || r == -EBADMSG);
	}
}

static void test_named(void)
{
	const struct message m = valid();
	struct message bad;

#define REFUSED(change, sentence)                                                  \
	do {                                                                       \
		struct wire_start *h = header(&bad);                               \
		bad = m;                                                           \
		change;                                                            \
		CHECK_ERR(unpack(&bad, bad.len, &check_err), EBADMSG, (sentence)); \
	} while (0)

	REFUSED(h->magic++, "not one of version");
	REFUSED(h->version++, "not one of version");
	REFUSED(h->version = 0, "not one of version");
	REFUSED(h->size--, "count is out of range");
	REFUSED(h->size++, "count is out of range");
	REFUSED(h->n_groups = WIRE_GROUPS_MAX + 1, "count is out of range");
	REFUSED(h->n_attach = WIRE_ATTACH_MAX + 1, "count is out of range");
	REFUSED(h->filter_off++, "filter lies outside");
	REFUSED(h->filter_off = (uint32_t)bad.len / 4 * 4 + 4, "filter lies outside");
	REFUSED(h->filter_len = 60, "filter lies outside");
	REFUSED(h->filter_len = UINT32_MAX / 8 + 1, "filter lies outside");
	REFUSED(h->argv.count = 0, "no command");
	REFUSED(h->argv.count = UINT32_MAX, "argv lies outside");
	REFUSED(h->envp.off = UINT32_MAX, "envp lies outside");
	REFUSED(h->envp.off = (uint32_t)bad.len, "envp is cut off");
	REFUSED(h->masked.count = 2, "masked is cut off");
	REFUSED(h->cwd.count = 0, "no cwd");
	REFUSED(h->cwd.count = 2, "no cwd");
	REFUSED(h->run.off = (uint32_t)bad.len, "run is cut off");
	REFUSED(h->sysctls.count = 1, "a sysctl has no value");
	REFUSED(h->mounts.off++, "mounts lies outside");
	REFUSED(h->mounts.count = UINT32_MAX, "mounts lies outside");
	REFUSED(h->nodes.count = 60, "nodes lies outside");
	REFUSED(h->uid_map.off = ((uint32_t)bad.len + 8) & ~7u, "uid map lies outside");
	REFUSED(h->ns_join = ~UINT64_C(0), "namespaces to join are out of range");
	REFUSED(h->ns_new = h->ns_join = 1, "namespaces to join are out of range");
#undef REFUSED
	bad = m;
	bad.bytes[bad.len - 1] = 'x';
	CHECK_ERR(unpack(&bad, bad.len, &check_err), EBADMSG, "masked is cut off");
}

static const struct check_test tests[] = {
	{"a valid start message", test_valid},	  {"cut anywhere", test_truncated},
	{"every word of the header", test_words}, {"pairs of words", test_pairs},
	{"what is said about it", test_named},
};

int main(void)
{
	return check_run(tests, CTN_COUNT(tests));
}
