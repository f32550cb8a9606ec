/* SPDX-License-Identifier: Apache-2.0 */
/* A profile for people. */
#include <errno.h>
#include <inttypes.h>
#include <linux/seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>

#include "cleanup.h"
#include "seccomp.h"
#include "seccomp_rules.h"

static const struct {
	uint32_t action;
	const char *verb;
	const char *as_default;
} verbs[] = {
	{SECCOMP_RET_ALLOW, "allow", "allow"},
	{SECCOMP_RET_ERRNO, "refuse", "errno"},
	{SECCOMP_RET_KILL_THREAD, "kill-thread", "kill the thread"},
	{SECCOMP_RET_KILL_PROCESS, "kill-process", "kill the process"},
	{SECCOMP_RET_TRAP, "trap", "trap (SIGSYS)"},
	{SECCOMP_RET_LOG, "log", "allow and log"},
	{SECCOMP_RET_TRACE, "trace", "trace"},
};

static size_t verb_of(uint32_t action)
{
	size_t i = 0;

	while (i + 1 < CTN_COUNT(verbs) && verbs[i].action != (action & SECCOMP_RET_ACTION_FULL))
		i++;
	return i;
}

static const char *op_text(int op)
{
	static const char *const texts[] = {
		[SCMP_CMP_NE] = "!=", [SCMP_CMP_LT] = "<",  [SCMP_CMP_LE] = "<=",
		[SCMP_CMP_EQ] = "==", [SCMP_CMP_GE] = ">=", [SCMP_CMP_GT] = ">",
	};

	return op >= 0 && (size_t)op < CTN_COUNT(texts) && texts[op] ? texts[op] : "?";
}

static void print_when(FILE *out, const struct seccomp_when *when)
{
	if (when->text) {
		fputs(when->text, out);
		return;
	}
	for (size_t i = 0; i < when->count; i++) {
		const struct seccomp_cond *c = &when->conds[i];

		fprintf(out, "%sarg%u ", i ? " and " : "", c->arg);
		if (c->op == SCMP_CMP_MASKED_EQ)
			fprintf(out, "& 0x%" PRIx64 " == 0x%" PRIx64, c->a, c->b);
		else
			fprintf(out, "%s 0x%" PRIx64, op_text(c->op), c->a);
	}
}

static void print_needs(FILE *out, uint64_t needs)
{
	const char *before = " (it has ";

	for (; needs; needs &= needs - 1) {
		char *cap = cap_to_name(__builtin_ctzll(needs));

		fprintf(out, "%s%s", before, cap ? cap : "a capability");
		cap_free(cap);
		before = ", ";
		if (!(needs & (needs - 1)))
			fputc(')', out);
	}
}

static void print_rule(FILE *out, const struct seccomp_rule *rule)
{
	const struct seccomp_word *word = seccomp_action_word(rule->action);

	fprintf(out, "# %s %s", verbs[verb_of(rule->action)].verb, rule->name);
	if (rule->when.count > 0) {
		fputs(" if ", out);
		print_when(out, &rule->when);
	}
	if (word->takes_errno)
		fprintf(out, " with %s", ctn_errno_name((int)(rule->action & SECCOMP_RET_DATA)));
	print_needs(out, rule->needs);
	fputc('\n', out);
}

static bool is_allow(const struct seccomp_rule *rule)
{
	uint32_t action = rule->action & SECCOMP_RET_ACTION_FULL;

	return action == SECCOMP_RET_ALLOW || action == SECCOMP_RET_LOG;
}

/* Of rules by name. */
static void print_counts(FILE *out, const struct seccomp_profile *p,
			 const struct seccomp_rule *const *rules, size_t count)
{
	const struct seccomp_word *word = seccomp_action_word(p->fallback);
	size_t allowed = 0, conditional = 0, refused = 0;

	for (size_t i = 0; i < count; i++) {
		bool again = i > 0 && strcmp(rules[i]->name, rules[i - 1]->name) == 0;

		if (!is_allow(rules[i]))
			refused++;
		else if (rules[i]->when.count == 0)
			allowed++;
		else if (!again)
			conditional++;
	}
	fprintf(out, "# default action: %s", verbs[verb_of(p->fallback)].as_default);
	if (word->takes_errno)
		fprintf(out, " %s", ctn_errno_name((int)(p->fallback & SECCOMP_RET_DATA)));
	fprintf(out, "\n# %zu calls allowed, %zu on condition, %zu refusals by name\n", allowed,
		conditional, refused);
}

static void print_abis(FILE *out, const struct seccomp_profile *p)
{
	bool i386 = p->abis & 1 << SECCOMP_I386, x32 = p->abis & 1 << SECCOMP_X32;
	const char *others = p->builtin ? "refused with ENOSYS" : "killed";

	if (i386 && x32)
		fputs("# for x86_64, its 32-bit sibling i386, and x32\n", out);
	else if (i386)
		fprintf(out, "# for x86_64 and its 32-bit sibling i386; x32 is %s\n", others);
	else if (x32)
		fprintf(out, "# for x86_64 and x32; i386 is %s\n", others);
	else
		fprintf(out, "# for x86_64; i386 and x32 are %s\n", others);
	for (const struct seccomp_word *flag = seccomp_flags; flag->name; flag++) {
		if (flag->value & p->flags)
			fprintf(out, "# loaded with %s\n", flag->name);
	}
	if (p->unknown.len > 0)
		fputs("# no calls of this machine, ignored:", out);
	for (size_t i = 0; i < p->unknown.len; i++)
		fprintf(out, " %s", p->unknown.items[i]);
	if (p->unknown.len > 0)
		fputc('\n', out);
}

/* By name; of one name as they are asked: one without a condition decides, and the others of the
 * name say nothing. */
static int compare_rules(const void *a, const void *b)
{
	const struct seccomp_rule *x = *(const struct seccomp_rule *const *)a;
	const struct seccomp_rule *y = *(const struct seccomp_rule *const *)b;
	int r = strcmp(x->name, y->name);

	if (r == 0)
		r = (x->when.count > 0) - (y->when.count > 0);
	return r ? r : (x > y) - (x < y);
}

static const struct seccomp_rule **sorted_rules(const struct seccomp_profile *p, size_t *ret_count)
{
	const struct seccomp_rule **rules = calloc(p->count + 1, sizeof(*rules));
	size_t kept = 0;

	for (size_t i = 0; rules && i < p->count; i++) {
		if (p->builtin || p->rules[i].action != p->fallback)
			rules[kept++] = &p->rules[i];
	}
	if (!rules)
		return NULL;
	qsort(rules, kept, sizeof(*rules), compare_rules);
	*ret_count = 0;
	for (size_t i = 0; i < kept; i++) {
		const struct seccomp_rule *last = *ret_count ? rules[*ret_count - 1] : NULL;

		if (!last || last->when.count > 0 || strcmp(last->name, rules[i]->name) != 0)
			rules[(*ret_count)++] = rules[i];
	}
	return rules;
}

static bool is_allowed(const char *name, const struct seccomp_rule *const *rules, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (strcmp(rules[i]->name, name) == 0 && rules[i]->when.count == 0 &&
		    is_allow(rules[i]))
			return true;
	}
	return false;
}

/* What one more capability would open: the answer to "why may it not?". */
static void print_lacking(FILE *out, const struct seccomp_rule *const *rules, size_t count)
{
	for (size_t i = 0; i < seccomp_row_count; i++) {
		uint64_t needs = 0;
		const char *const *name = seccomp_default_row(i, &needs);
		bool first = true;

		for (; name && *name; name++) {
			char *cap;

			if (is_allowed(*name, rules, count))
				continue;
			cap = first ? cap_to_name(__builtin_ctzll(needs)) : NULL;
			if (first)
				fprintf(out, "# not without %s:", cap ? cap : "a capability");
			cap_free(cap);
			fprintf(out, " %s", *name);
			first = false;
		}
		if (!first)
			fputc('\n', out);
	}
}

/* The document as people lay it out. */
static void print_document(FILE *out, const char *text)
{
	struct json_object *o = json_tokener_parse(text);
	const char *pretty = o ? json_object_to_json_string_ext(
					 o, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED |
						    JSON_C_TO_STRING_NOSLASHESCAPE)
			       : NULL;

	fprintf(out, "%s\n", pretty ? pretty : text);
	json_object_put(o);
}

void seccomp_print(FILE *out, const struct seccomp_profile *p, const char *text,
		   const struct strlist *deltas)
{
	const char *mode = p->filter ? "# mode 2 (filter)\n" : "# mode 0 (disabled)\n";
	ctn_autofree const struct seccomp_rule **rules = NULL;
	size_t count = 0;

	if (text[0] == '{')
		print_document(out, text); /* first, so that it is one for others, too */
	else
		fprintf(out, "%s%s\n", mode, text);
	for (size_t i = 0; deltas && i < deltas->len; i++)
		fprintf(out, "%s\n", deltas->items[i]);
	if (text[0] == '{')
		fputs(mode, out);
	if (!p->filter)
		return;
	rules = sorted_rules(p, &count);
	if (!rules) {
		fputs("# no memory to list the rules\n", out);
		return;
	}
	print_counts(out, p, rules, count);
	print_abis(out, p);
	fputs("# these decide:\n", out);
	for (size_t i = 0; i < count; i++)
		print_rule(out, rules[i]);
	if (p->builtin)
		print_lacking(out, rules, count);
}
