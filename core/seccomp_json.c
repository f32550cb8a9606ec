/* SPDX-License-Identifier: Apache-2.0 */
/* Profiles as JSON: moby's form and the OCI runtime-spec's, read as one. */
#include <ctype.h>
#include <errno.h>
#include <linux/seccomp.h>
#include <string.h>

#include "cleanup.h"
#include "seccomp.h"
#include "seccomp_rules.h"

enum { CONDS_MAX = 32 };

/* Where the rules are to go, and for whom. */
struct reading {
	struct seccomp_profile *profile;
	uint64_t caps;
	uint32_t kernel;
};

/* --- words --- */

static int read_word(const struct json_at *at, const struct seccomp_word *table, const char *what,
		     const struct seccomp_word **ret, struct ctn_err *err)
{
	const char *text = NULL;
	int r = json_want_string(at, &text, err);

	if (r < 0)
		return r;
	*ret = seccomp_word_find(table, text);
	if (!*ret)
		return json_fail(at, EINVAL, err, "'%.64s' is no %s, as %s is", text, what,
				 table->name);
	if ((*ret)->refused)
		return json_fail(at, EOPNOTSUPP, err, "%s: %s", text, (*ret)->refused);
	return 0;
}

static int want_member(const struct json_at *object, const char *key, struct json_at *ret,
		       struct ctn_err *err)
{
	if (seccomp_get(object, key, ret))
		return 0;
	return json_fail(object, EINVAL, err, "%s is missing", key);
}

/* The action under one key, with the errno under another. */
static int read_action(const struct json_at *object, const char *key, const char *errno_key,
		       uint32_t *ret, struct ctn_err *err)
{
	const struct seccomp_word *word = NULL;
	uint64_t code = EPERM;
	struct json_at at;
	int r = want_member(object, key, &at, err);

	if (r == 0)
		r = read_word(&at, seccomp_actions, "action", &word, err);
	if (r < 0)
		return r;
	if (!seccomp_get(object, errno_key, &at)) {
		*ret = word->value | (word->takes_errno ? EPERM : 0);
		return 0;
	}
	if (!word->takes_errno)
		return json_fail(&at, EINVAL, err, "%s takes no errno: leave it out", word->name);
	r = json_want_uint(&at, word->takes_errno, &code, err);
	if (r == 0)
		*ret = word->value | (uint32_t)code;
	return r;
}

/* --- a rule --- */

struct conds {
	struct seccomp_cond items[CONDS_MAX];
	size_t count;
	bool again; /* two are about one argument */
};

struct entry {
	struct reading *to;
	struct conds conds;
	uint32_t action;
	uint64_t needs;
	bool applies;
	size_t names;
};

static int read_cond(const struct json_at *at, void *arg, struct ctn_err *err)
{
	struct conds *conds = arg;
	const struct seccomp_word *op = NULL;
	struct json_at index, value, two, op_at;
	uint64_t i = 0, a = 0, b = 0;
	int r = json_want_object(at, err);

	if (conds->count == CONDS_MAX)
		return json_fail(at, E2BIG, err, "more than %d conditions on one call", CONDS_MAX);
	if (r < 0 || (r = want_member(at, "index", &index, err)) < 0 ||
	    (r = json_want_uint(&index, SECCOMP_ARGS - 1, &i, err)) < 0 ||
	    (r = want_member(at, "value", &value, err)) < 0 ||
	    (r = json_want_uint(&value, UINT64_MAX, &a, err)) < 0 ||
	    (r = want_member(at, "op", &op_at, err)) < 0 ||
	    (r = read_word(&op_at, seccomp_ops, "comparison", &op, err)) < 0)
		return r;
	if (seccomp_get(at, "valueTwo", &two)) {
		r = json_want_uint(&two, UINT64_MAX, &b, err);
		if (r == 0 && b && op->value != SCMP_CMP_MASKED_EQ)
			r = json_fail(&two, EINVAL, err,
				      "it says nothing to %s: leave it out, or compare with "
				      "SCMP_CMP_MASKED_EQ",
				      op->name);
		if (r == 0 && op->value == SCMP_CMP_MASKED_EQ && b & ~a)
			r = json_fail(&two, EINVAL, err,
				      "it has bits that the mask in value takes away, so nothing "
				      "could ever equal it");
		if (r < 0)
			return r;
	}
	for (size_t j = 0; j < conds->count; j++)
		conds->again |= conds->items[j].arg == i;
	conds->items[conds->count++] = (struct seccomp_cond){(unsigned)i, (int)op->value, a, b};
	return 0;
}

static int note_unknown(struct seccomp_profile *p, const char *name, struct ctn_err *err)
{
	for (size_t i = 0; i < p->unknown.len; i++) {
		if (strcmp(p->unknown.items[i], name) == 0)
			return 0;
	}
	if (strlist_add(&p->unknown, name, strlen(name)) < 0)
		return ctn_fail(err, ENOMEM, "no memory for the seccomp rules");
	return 0;
}

static int add_call(struct seccomp_profile *p, const struct entry *e, const char *name,
		    struct ctn_err *err)
{
	struct seccomp_when when = {.count = 0};
	int r = 0;

	if (!seccomp_known(name))
		return note_unknown(p, name, err);
	if (!e->conds.again) {
		for (size_t i = 0; i < e->conds.count; i++)
			when.conds[when.count++] = e->conds.items[i];
		return seccomp_add(p, name, e->action, &when, e->needs, err);
	}
	when.count = 1;
	for (size_t i = 0; r == 0 && i < e->conds.count; i++) {
		when.conds[0] = e->conds.items[i];
		r = seccomp_add(p, name, e->action, &when, e->needs, err);
	}
	return r;
}

static int read_name(const struct json_at *at, void *arg, struct ctn_err *err)
{
	struct entry *e = arg;
	const char *name = NULL;
	size_t len;
	int r = json_want_string(at, &name, err);

	if (r < 0)
		return r;
	len = strlen(name);
	for (size_t i = 0; i < len; i++) {
		if (!isalnum((unsigned char)name[i]) && name[i] != '_')
			len = 0;
	}
	if (len == 0 || len >= SECCOMP_NAME_LEN)
		return json_fail(at, EINVAL, err, "'%.64s' can be no system call's name", name);
	e->names++;
	r = e->applies ? add_call(e->to->profile, e, name, err) : 0;
	return r == -E2BIG ? json_fail_context(at, err) : r;
}

static int read_names(const struct json_at *rule, struct entry *e, struct ctn_err *err)
{
	struct json_at names, name;
	bool has_names = seccomp_get(rule, "names", &names) && json_length(&names) > 0;
	int r = 0;

	if (seccomp_get(rule, "name", &name) &&
	    strcmp(json_object_get_string(name.value), "") != 0) {
		if (has_names)
			return json_fail(&name, EINVAL, err, "there are names already: use either");
		return read_name(&name, e, err);
	}
	r = seccomp_each(rule, "names", e, read_name, err);
	if (r == 0 && e->names == 0)
		r = json_fail(rule, EINVAL, err, "names is missing: it is about no system call");
	return r;
}

static int read_rule(const struct json_at *at, void *arg, struct ctn_err *err)
{
	struct entry e = {.to = arg};
	const char *said = NULL;
	struct json_at comment;
	int r = json_want_object(at, err);

	if (r == 0 && seccomp_get(at, "comment", &comment))
		r = json_want_string(&comment, &said, err);
	if (r == 0)
		r = read_action(at, "action", "errnoRet", &e.action, err);
	if (r == 0)
		r = seccomp_each(at, "args", &e.conds, read_cond, err);
	if (r == 0)
		r = seccomp_asked(at, e.to->caps, e.to->kernel, &e.applies, &e.needs, err);
	return r < 0 ? r : read_names(at, &e, err);
}

/* --- a profile --- */

static int read_arch(const struct json_at *at, void *arg, struct ctn_err *err)
{
	const struct seccomp_word *word = NULL;
	int r = read_word(at, seccomp_arches, "architecture", &word, err);

	if (r == 0)
		*(unsigned *)arg |= word->value;
	return r;
}

/* The first that is about this machine counts. */
static int read_arch_map(const struct json_at *at, void *arg, struct ctn_err *err)
{
	struct reading *to = arg;
	unsigned here = 0, others = 0;
	struct json_at name;
	int r = json_want_object(at, err);

	if (r == 0)
		r = want_member(at, "architecture", &name, err);
	if (r == 0)
		r = read_arch(&name, &here, err);
	if (r == 0)
		r = seccomp_each(at, "subArchitectures", &others, read_arch, err);
	if (r == 0 && here & 1 << SECCOMP_X86_64 && !to->profile->abis)
		to->profile->abis = here | others;
	return r;
}

static int read_arches(const struct json_at *at, struct reading *to, struct ctn_err *err)
{
	struct json_at list, map;
	int r;

	if (seccomp_get(at, "architectures", &list) && seccomp_get(at, "archMap", &map) &&
	    json_length(&list) > 0 && json_length(&map) > 0)
		return json_fail(&list, EINVAL, err, "there is archMap, too: use either");
	r = seccomp_each(at, "architectures", &to->profile->abis, read_arch, err);
	if (r == 0)
		r = seccomp_each(at, "archMap", to, read_arch_map, err);
	to->profile->abis |= 1 << SECCOMP_X86_64;
	return r;
}

static int read_flag(const struct json_at *at, void *arg, struct ctn_err *err)
{
	const struct seccomp_word *word = NULL;
	int r = read_word(at, seccomp_flags, "flag", &word, err);

	if (r == 0)
		*(uint32_t *)arg |= word->value;
	return r;
}

/* Who would answer the calls that are notified about; see SCMP_ACT_NOTIFY. */
static int refuse_listener(const struct json_at *at, struct ctn_err *err)
{
	static const char *const keys[] = {"listenerPath", "listenerMetadata"};
	struct json_at value;

	for (size_t i = 0; i < CTN_COUNT(keys); i++) {
		const char *text = NULL;
		int r;

		if (!seccomp_get(at, keys[i], &value))
			continue;
		r = json_want_string(&value, &text, err);
		if (r < 0)
			return r;
		if (text[0])
			return json_fail(&value, EOPNOTSUPP, err,
					 "nothing here passes calls on to a listener; leave it "
					 "out");
	}
	return 0;
}

int seccomp_json_add(struct seccomp_profile *p, const struct json_at *at, uint64_t caps,
		     uint32_t kernel, struct ctn_err *err)
{
	struct reading to = {p, caps, kernel};
	int r = json_want_object(at, err);

	p->foreign = SECCOMP_RET_KILL_THREAD;
	if (r == 0)
		r = read_action(at, "defaultAction", "defaultErrnoRet", &p->fallback, err);
	if (r == 0)
		r = read_arches(at, &to, err);
	if (r == 0)
		r = seccomp_each(at, "flags", &p->flags, read_flag, err);
	if (r == 0)
		r = refuse_listener(at, err);
	return r < 0 ? r : seccomp_each(at, "syscalls", &to, read_rule, err);
}
