/* SPDX-License-Identifier: Apache-2.0 */
/* Profiles: from text and deltas to rules, and those that were asked for last. */
#include "seccomp.h"

#include <ctype.h>
#include <errno.h>
#include <linux/seccomp.h>
#include <linux/version.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "cleanup.h"
#include "io.h"
#include "seccomp_rules.h"

enum { CACHE_MAX = 64 };

/* A profile and what it was asked for with. */
struct cached {
	char *key;
	size_t key_len;
	uint64_t used; /* of cache_clock, at the last look */
	struct seccomp_profile *profile;
};

static pthread_mutex_t cache_lock = PTHREAD_MUTEX_INITIALIZER;
static struct cached cache[CACHE_MAX]; /* cache_lock */
static uint64_t cache_clock;	       /* cache_lock */

static uint32_t running_kernel(void)
{
	unsigned major = 0, minor = 0;
	struct utsname uts;

	if (uname(&uts) < 0 || sscanf(uts.release, "%u.%u", &major, &minor) != 2)
		return 0; /* an unknown kernel is an old one: less is allowed */
	return KERNEL_VERSION(major, minor, 0);
}

/* --- rules --- */

int seccomp_add(struct seccomp_profile *p, const char *name, uint32_t action,
		const struct seccomp_when *when, uint64_t needs, struct ctn_err *err)
{
	struct seccomp_rule rule = {.action = action, .needs = needs};

	if (p->count == SECCOMP_RULES_MAX)
		return ctn_fail(err, E2BIG, "more than %d seccomp rules", SECCOMP_RULES_MAX);
	if (p->count == p->room) {
		size_t room = p->room ? 2 * p->room : 512;
		struct seccomp_rule *rules = reallocarray(p->rules, room, sizeof(*rules));

		if (!rules)
			return ctn_fail(err, ENOMEM, "no memory for the seccomp rules");
		p->rules = rules;
		p->room = room;
	}
	if (when)
		rule.when = *when;
	rule.name = strdup(name);
	if (!rule.name)
		return ctn_fail(err, ENOMEM, "no memory for the seccomp rules");
	p->rules[p->count++] = rule;
	return 0;
}

static void drop_rules(struct seccomp_profile *p, const char *name)
{
	size_t kept = 0;

	for (size_t i = 0; i < p->count; i++) {
		if (strcmp(p->rules[i].name, name) == 0)
			free(p->rules[i].name);
		else
			p->rules[kept++] = p->rules[i];
	}
	p->count = kept;
}

static void code_put(struct seccomp_code *code)
{
	if (code && atomic_fetch_sub(&code->refs, 1) == 1)
		free(code);
}

void seccomp_profile_put(struct seccomp_profile *p)
{
	if (!p || atomic_fetch_sub(&p->refs, 1) > 1)
		return;
	for (size_t i = 0; i < p->count; i++)
		free(p->rules[i].name);
	free(p->rules);
	strlist_free(&p->unknown);
	code_put(p->code);
	free(p);
}

struct seccomp_program seccomp_program(const struct seccomp_profile *p)
{
	if (!p->code)
		return (struct seccomp_program){NULL, 0, 0};
	return (struct seccomp_program){p->code->insns, p->code->len, p->flags};
}

/* --- deltas --- */

int seccomp_delta_check(const char *call, struct ctn_err *err)
{
	char near[4 * SECCOMP_NAME_LEN];

	if (strlen(call) < SECCOMP_NAME_LEN && seccomp_known(call))
		return 0;
	seccomp_near(strlen(call) < SECCOMP_NAME_LEN ? call : "", near, sizeof(near));
	return ctn_fail(err, EINVAL, "seccomp: '%.64s' is no system call of this machine%s%s%s",
			call, near[0] ? "; did you mean " : "", near, near[0] ? "?" : "");
}

static int apply_delta(struct seccomp_profile *p, const char *delta, struct ctn_err *err)
{
	bool errno_default = (p->fallback & SECCOMP_RET_ACTION_FULL) == SECCOMP_RET_ERRNO;
	uint32_t refusal = errno_default ? p->fallback : SECCOMP_RET_ERRNO | EPERM;
	const char *name = delta + 1;
	int r;

	if (delta[0] != '+' && delta[0] != '-')
		return ctn_fail(err, EINVAL, "seccomp: '%.64s' is neither +call nor -call", delta);
	r = seccomp_delta_check(name, err);
	if (r < 0)
		return r;
	if (delta[0] == '+' && !p->filter)
		return ctn_fail(err, EINVAL,
				"seccomp: the profile 'none' filters nothing, so '%s' would change "
				"nothing; write default first",
				delta);
	drop_rules(p, name);
	return seccomp_add(p, name, delta[0] == '+' ? SECCOMP_RET_ALLOW : refusal, NULL, 0, err);
}

static int apply_deltas(struct seccomp_profile *p, const struct strlist *deltas,
			struct ctn_err *err)
{
	for (size_t i = 0; deltas && i < deltas->len; i++) {
		int r = apply_delta(p, deltas->items[i], err);

		if (r < 0)
			return r;
	}
	if (deltas && deltas->len > 0)
		p->filter = true;
	return 0;
}

/* --- profiles --- */

static int resolve_json(struct seccomp_profile *p, const char *text, uint64_t caps, uint32_t kernel,
			struct ctn_err *err)
{
	struct json_doc *doc = NULL;
	struct json_at root;
	int r = json_doc_parse(text, strlen(text), &doc, err);

	if (r < 0)
		return r;
	root = json_root(doc);
	r = seccomp_json_add(p, &root, caps, kernel, err);
	json_doc_free(doc);
	return r;
}

static int resolve_base(struct seccomp_profile *p, const char *text, uint64_t caps, uint32_t kernel,
			struct ctn_err *err)
{
	p->filter = true;
	if (strcmp(text, "default") == 0)
		return seccomp_default_add(p, seccomp_default_rows(caps, kernel), err);
	if (text[0] == '{')
		return resolve_json(p, text, caps, kernel, err);
	if (strcmp(text, "none") != 0)
		return ctn_fail(err, EINVAL,
				"seccomp: no profile is called '%.64s': there are 'default', "
				"'none' and JSON documents; +call and -call amend",
				text);
	p->filter = false;
	p->abis = (1 << SECCOMP_ABIS) - 1;
	p->fallback = p->foreign = SECCOMP_RET_ALLOW;
	return 0;
}

int seccomp_resolve(const char *text, const struct strlist *deltas, uint64_t caps, uint32_t kernel,
		    struct seccomp_profile **ret, struct ctn_err *err)
{
	struct seccomp_profile *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return ctn_fail(err, ENOMEM, "no memory for a seccomp profile");
	p->refs = 1;
	r = resolve_base(p, text, caps, kernel, err);
	if (r == 0)
		r = apply_deltas(p, deltas, err);
	if (r == 0 && p->filter)
		r = seccomp_assemble(p, &p->code, err);
	if (r < 0)
		seccomp_profile_put(p);
	else
		*ret = p;
	return r;
}

/* --- the cache --- */

/* Everything that a profile follows from. */
static int make_key(const char *text, const struct strlist *deltas, uint64_t caps, uint32_t kernel,
		    char **ret, size_t *ret_len)
{
	FILE *out = open_memstream(ret, ret_len);

	if (!out)
		return -ENOMEM;
	if (strcmp(text, "default") == 0) /* most capabilities do not matter to it */
		caps = seccomp_default_rows(caps, kernel);
	else if (text[0] != '{')
		caps = 0;
	fprintf(out, "%llx %s", (unsigned long long)caps, text);
	for (size_t i = 0; deltas && i < deltas->len; i++)
		fprintf(out, "\n%s", deltas->items[i]);
	return io_text_close(out, ret);
}

static struct seccomp_profile *cache_find(const char *key, size_t len) /* cache_lock */
{
	for (size_t i = 0; i < CACHE_MAX; i++) {
		struct cached *c = &cache[i];

		if (!c->profile || c->key_len != len || memcmp(c->key, key, len) != 0)
			continue;
		c->used = ++cache_clock;
		atomic_fetch_add(&c->profile->refs, 1);
		return c->profile;
	}
	return NULL;
}

/* Equal programs are kept once. */
static void share_code(struct seccomp_profile *p) /* cache_lock */
{
	for (size_t i = 0; p->code && i < CACHE_MAX; i++) {
		struct seccomp_code *other = cache[i].profile ? cache[i].profile->code : NULL;

		if (!other || other->len != p->code->len ||
		    memcmp(other->insns, p->code->insns, other->len * sizeof(other->insns[0])) != 0)
			continue;
		atomic_fetch_add(&other->refs, 1);
		code_put(p->code);
		p->code = other;
		return;
	}
}

/* Keep @p in the place of what nobody asked for the longest. Those in use go on without it. */
static void cache_add(char **key, size_t len, struct seccomp_profile *p) /* cache_lock */
{
	struct cached *c = &cache[0];

	share_code(p);
	for (size_t i = 1; i < CACHE_MAX; i++) {
		if (cache[i].used < c->used)
			c = &cache[i];
	}
	seccomp_profile_put(c->profile);
	free(c->key);
	atomic_fetch_add(&p->refs, 1);
	*c = (struct cached){ctn_take_ptr(*key), len, ++cache_clock, p};
}

int seccomp_profile_get(const char *text, const struct strlist *deltas, uint64_t caps,
			struct seccomp_profile **ret, struct ctn_err *err)
{
	uint32_t kernel = running_kernel();
	struct seccomp_profile *p, *fresh = NULL;
	ctn_autofree char *key = NULL;
	size_t len = 0;
	int r;

	if (make_key(text, deltas, caps, kernel, &key, &len) < 0)
		return ctn_fail(err, ENOMEM, "no memory for a seccomp profile");
	pthread_mutex_lock(&cache_lock);
	p = cache_find(key, len);
	pthread_mutex_unlock(&cache_lock);
	if (!p) { /* without the lock: others go on, and two that make the same are no harm */
		r = seccomp_resolve(text, deltas, caps, kernel, &fresh, err);
		if (r < 0)
			return r;
		pthread_mutex_lock(&cache_lock);
		p = cache_find(key, len);
		if (!p) {
			p = ctn_take_ptr(fresh);
			cache_add(&key, len, p);
		}
		pthread_mutex_unlock(&cache_lock);
		seccomp_profile_put(fresh);
	}
	*ret = p;
	return 0;
}
