/* SPDX-License-Identifier: Apache-2.0 */
/* A profile in the OCI runtime-spec's form. */
#include <errno.h>
#include <linux/seccomp.h>
#include <string.h>

#include "cleanup.h"
#include "seccomp.h"
#include "seccomp_rules.h"

static void put_string(struct json_object *o, const char *key, const char *text)
{
	json_object_object_add(o, key, json_object_new_string(text));
}

static void put_action(struct json_object *o, const char *key, const char *errno_key,
		       uint32_t action)
{
	const struct seccomp_word *word = seccomp_action_word(action);

	put_string(o, key, word->name);
	if (word->takes_errno)
		json_object_object_add(o, errno_key,
				       json_object_new_int((int)(action & SECCOMP_RET_DATA)));
}

/* The words whose bit is set. */
static void put_words(struct json_object *o, const char *key, const struct seccomp_word *words,
		      uint32_t bits)
{
	struct json_object *array;

	if (!bits)
		return;
	array = json_object_new_array();
	for (; words->name; words++) {
		if (words->value & bits)
			json_object_array_add(array, json_object_new_string(words->name));
	}
	json_object_object_add(o, key, array);
}

static struct json_object *cond_to_json(const struct seccomp_cond *c)
{
	struct json_object *o = json_object_new_object();
	const struct seccomp_word *op = seccomp_ops;

	while (op->name && op->value != (uint32_t)c->op)
		op++;
	json_object_object_add(o, "index", json_object_new_int((int)c->arg));
	json_object_object_add(o, "value", json_object_new_uint64(c->a));
	if (c->op == SCMP_CMP_MASKED_EQ)
		json_object_object_add(o, "valueTwo", json_object_new_uint64(c->b));
	put_string(o, "op", op->name);
	return o;
}

/* The rules from @first on that differ in the name only, @count of them, under @conds. */
static void put_rules(struct json_object *calls, const struct seccomp_rule *first, size_t count,
		      const struct seccomp_cond *conds, size_t n_conds)
{
	struct json_object *o = json_object_new_object(), *names = json_object_new_array(), *args;

	for (size_t i = 0; i < count; i++)
		json_object_array_add(names, json_object_new_string(first[i].name));
	json_object_object_add(o, "names", names);
	put_action(o, "action", "errnoRet", first->action);
	if (n_conds > 0) {
		args = json_object_new_array();
		for (size_t i = 0; i < n_conds; i++)
			json_object_array_add(args, cond_to_json(&conds[i]));
		json_object_object_add(o, "args", args);
	}
	json_object_array_add(calls, o);
}

/*
 * The form has no "differs in its lower half". Every number does that begins, bit by bit, as none
 * of the excluded ones: one rule for each such beginning, of @fixed bits as in @prefix.
 */
static void put_others(struct json_object *calls, const struct seccomp_rule *first, size_t count,
		       uint32_t prefix, unsigned fixed)
{
	uint32_t mask = fixed ? UINT32_MAX << (32 - fixed) : 0;
	const struct seccomp_when *when = &first->when;
	bool excluded = false;

	for (size_t i = 0; i < when->count; i++)
		excluded |= ((uint32_t)when->conds[i].b & mask) == prefix;
	if (!excluded) {
		const struct seccomp_cond c = {when->conds[0].arg, SCMP_CMP_MASKED_EQ, mask,
					       prefix};

		put_rules(calls, first, count, &c, 1);
	} else if (fixed < 32) {
		put_others(calls, first, count, prefix, fixed + 1);
		put_others(calls, first, count, prefix | UINT32_C(1) << (31 - fixed), fixed + 1);
	}
}

static bool alike(const struct seccomp_rule *a, const struct seccomp_rule *b)
{
	if (a->action != b->action || a->when.count != b->when.count)
		return false;
	for (size_t i = 0; i < a->when.count; i++) {
		const struct seccomp_cond *x = &a->when.conds[i], *y = &b->when.conds[i];

		if (x->arg != y->arg || x->op != y->op || x->a != y->a || x->b != y->b)
			return false;
	}
	return true;
}

int seccomp_export_json(const struct seccomp_profile *p, struct json_object **ret,
			struct ctn_err *err)
{
	struct json_object *o, *calls;

	if (!p->filter) {
		*ret = NULL;
		return 0;
	}
	o = json_object_new_object();
	calls = json_object_new_array();
	if (!o || !calls) {
		json_object_put(o);
		json_object_put(calls);
		return ctn_fail(err, ENOMEM, "no memory for a seccomp profile");
	}
	put_action(o, "defaultAction", "defaultErrnoRet", p->fallback);
	put_words(o, "architectures", seccomp_arches, p->abis);
	put_words(o, "flags", seccomp_flags, p->flags);
	for (size_t i = 0, n; i < p->count; i += n) {
		const struct seccomp_rule *rule = &p->rules[i];

		for (n = 1; i + n < p->count && alike(rule, &p->rules[i + n]);)
			n++;
		if (rule->when.count > 0 && rule->when.conds[0].op == SECCOMP_MASKED_NE)
			put_others(calls, rule, n, 0, 0);
		else
			put_rules(calls, rule, n, rule->when.conds, rule->when.count);
	}
	json_object_object_add(o, "syscalls", calls);
	*ret = o;
	return 0;
}
