/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From rules to a BPF program. For each ABI the call numbers form ranges that are decided alike; a
 * binary search over their beginnings leads to an action, or to the comparisons of one call.
 *
 * Jumps only lead forward, so the program is built from its end: whatever a jump leads to is there
 * already. A label is an instruction's distance from the end.
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "seccomp_rules.h"

enum { JUMP_MAX = 255, RETURNS_MAX = 64 };

/* A call on one ABI, and a rule that holds for it. */
struct entry {
	int number;
	unsigned order;
	const struct seccomp_rule *rule;
};

/* The numbers from @start on, up to the next range, are decided alike: by @count rules in turn, and
 * by @action when none of them holds. */
struct range {
	uint32_t start;
	const struct entry *entries;
	size_t count;
	uint32_t action;
};

struct build {
	const struct seccomp_profile *profile;
	struct sock_filter insns[BPF_MAXINSNS]; /* last one first */
	size_t len;				/* more than there is room for: it failed */
	bool narrow;				/* the ABI's arguments are 32 bits */
	struct {
		uint32_t action;
		size_t label;
	} returns[RETURNS_MAX];
	size_t n_returns;
	struct entry *entries;
	size_t n_entries;
	struct seccomp_rule *implied; /* what restricts socketcall and ipc */
	size_t n_implied;
	struct range ranges[2 * SECCOMP_NUMBERS];
	size_t n_ranges;
};

/* --- instructions --- */

static size_t emit(struct build *b, unsigned code, size_t jt, size_t jf, uint32_t k)
{
	if (b->len < BPF_MAXINSNS)
		b->insns[b->len] = (struct sock_filter){(uint16_t)code, (uint8_t)jt, (uint8_t)jf,
							k};
	return b->len++;
}

static size_t emit_load(struct build *b, size_t offset)
{
	return emit(b, BPF_LD | BPF_W | BPF_ABS, 0, 0, (uint32_t)offset);
}

/* A label near enough to be jumped to from the instruction after the next. */
static size_t reach(struct build *b, size_t label)
{
	size_t skip = b->len - label - 1;

	return skip + 1 > JUMP_MAX ? emit(b, BPF_JMP | BPF_JA, 0, 0, (uint32_t)skip) : label;
}

/* The number, with what is to look at it right behind. */
static size_t emit_load_number(struct build *b, size_t next)
{
	if (next != b->len - 1)
		emit(b, BPF_JMP | BPF_JA, 0, 0, (uint32_t)(b->len - next - 1));
	return emit_load(b, offsetof(struct seccomp_data, nr));
}

static size_t emit_test(struct build *b, unsigned op, uint32_t k, size_t yes, size_t no)
{
	yes = reach(b, yes);
	no = reach(b, no);
	return emit(b, BPF_JMP | op | BPF_K, b->len - yes - 1, b->len - no - 1, k);
}

static size_t emit_return(struct build *b, uint32_t action)
{
	size_t i = 0;

	while (i < b->n_returns && b->returns[i].action != action)
		i++;
	if (i < b->n_returns && b->len - b->returns[i].label < JUMP_MAX - 16)
		return b->returns[i].label;
	if (i == RETURNS_MAX)
		i = 0; /* forgotten, and made again when it is needed */
	else if (i == b->n_returns)
		b->n_returns++;
	b->returns[i].action = action;
	b->returns[i].label = emit(b, BPF_RET | BPF_K, 0, 0, action);
	return b->returns[i].label;
}

/* --- conditions --- */

/* Where an argument's lower and upper half are: x86 is little-endian. */
static size_t half(const struct seccomp_cond *c, bool upper)
{
	return offsetof(struct seccomp_data, args) + sizeof(uint64_t) * c->arg + (upper ? 4 : 0);
}

/* (argument & a) == b */
static size_t emit_masked(struct build *b, const struct seccomp_cond *c, uint64_t mask,
			  uint64_t value, size_t yes, size_t no)
{
	size_t label = yes;

	if (value & ~mask || (b->narrow && value >> 32))
		return no;
	for (int upper = 0; upper < 2; upper++) {
		uint32_t m = (uint32_t)(upper ? mask >> 32 : mask);

		if (m == 0 || (upper && b->narrow))
			continue;
		emit_test(b, BPF_JEQ, (uint32_t)(upper ? value >> 32 : value), label, no);
		if (m != UINT32_MAX)
			emit(b, BPF_ALU | BPF_AND | BPF_K, 0, 0, m);
		label = emit_load(b, half(c, upper));
	}
	return label;
}

/* argument > value, or >= with @op BPF_JGE */
static size_t emit_greater(struct build *b, const struct seccomp_cond *c, unsigned op, size_t yes,
			   size_t no)
{
	uint32_t upper = (uint32_t)(c->a >> 32);
	size_t label;

	if (b->narrow && upper)
		return no;
	emit_test(b, op, (uint32_t)c->a, yes, no);
	label = emit_load(b, half(c, false));
	if (b->narrow)
		return label;
	label = emit_test(b, BPF_JEQ, upper, label, no);
	emit_test(b, BPF_JGT, upper, yes, label);
	return emit_load(b, half(c, true));
}

static size_t emit_cond(struct build *b, const struct seccomp_cond *c, size_t yes, size_t no)
{
	switch (c->op) {
	case SCMP_CMP_EQ:
		return emit_masked(b, c, UINT64_MAX, c->a, yes, no);
	case SCMP_CMP_NE:
		return emit_masked(b, c, UINT64_MAX, c->a, no, yes);
	case SCMP_CMP_MASKED_EQ:
		return emit_masked(b, c, c->a, c->b, yes, no);
	case SECCOMP_MASKED_NE:
		return emit_masked(b, c, c->a, c->b, no, yes);
	case SCMP_CMP_GT:
		return emit_greater(b, c, BPF_JGT, yes, no);
	case SCMP_CMP_GE:
		return emit_greater(b, c, BPF_JGE, yes, no);
	case SCMP_CMP_LE:
		return emit_greater(b, c, BPF_JGT, no, yes);
	default: /* SCMP_CMP_LT; the tables know no others */
		return emit_greater(b, c, BPF_JGE, no, yes);
	}
}

static size_t emit_range(struct build *b, const struct range *range)
{
	size_t label = emit_return(b, range->action);

	for (size_t i = range->count; i-- > 0;) {
		const struct seccomp_rule *rule = range->entries[i].rule;
		size_t yes = emit_return(b, rule->action);

		for (size_t j = rule->when.count; j-- > 0;)
			yes = emit_cond(b, &rule->when.conds[j], yes, label);
		label = yes;
	}
	return label;
}

/* The search, with the number loaded. */
static size_t emit_search(struct build *b, const struct range *ranges, size_t count)
{
	size_t middle = count / 2, above, below;

	if (count == 1)
		return emit_range(b, ranges);
	above = emit_search(b, ranges + middle, count - middle);
	below = emit_search(b, ranges, middle);
	return emit_test(b, BPF_JGE, ranges[middle].start, above, below);
}

/* --- ranges --- */

static int compare_entries(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	if (x->number != y->number)
		return x->number < y->number ? -1 : 1;
	return x->order < y->order ? -1 : x->order > y->order;
}

static void add_entry(struct build *b, int number, unsigned order, const struct seccomp_rule *rule)
{
	b->entries[b->n_entries++] = (struct entry){number, order, rule};
}

/* What restricts a call restricts it where i386's multiplexers do its work, before their own
 * rules. */
static void add_implied(struct build *b, const struct seccomp_rule *rule)
{
	struct seccomp_rule *implied = &b->implied[b->n_implied];
	uint32_t action = rule->action & SECCOMP_RET_ACTION_FULL;
	int number = seccomp_multiplexed(rule->name, &implied->when.conds[0]);

	if (number == SECCOMP_NO_CALL || action == SECCOMP_RET_ALLOW || action == SECCOMP_RET_LOG)
		return;
	implied->action = rule->action;
	implied->when.count = 1;
	add_entry(b, number, (unsigned)b->n_implied++, implied);
}

static void add_entries(struct build *b, enum seccomp_abi abi)
{
	const struct seccomp_profile *p = b->profile;

	b->n_entries = b->n_implied = 0;
	for (size_t i = 0; i < p->count; i++) {
		int number = seccomp_number(abi, p->rules[i].name);

		/* What only says the default says nothing, as with runc. */
		if (number != SECCOMP_NO_CALL && p->rules[i].action != p->fallback)
			add_entry(b, number, (unsigned)(p->count + i), &p->rules[i]);
		if (abi == SECCOMP_I386)
			add_implied(b, &p->rules[i]);
	}
	qsort(b->entries, b->n_entries, sizeof(*b->entries), compare_entries);
}

static void add_range(struct build *b, uint32_t start, const struct range *like)
{
	struct range *last = b->n_ranges ? &b->ranges[b->n_ranges - 1] : NULL;

	if (last && last->start == start)
		b->n_ranges--; /* empty: this one takes its place */
	last = b->n_ranges ? &b->ranges[b->n_ranges - 1] : NULL;
	if (last && !last->count && !like->count && last->action == like->action)
		return;
	b->ranges[b->n_ranges] = *like;
	b->ranges[b->n_ranges++].start = start;
}

/* One call's rules, the first @count entries: those behind the multiplexers' own that no condition
 * limits decide no more. */
static struct range range_of(const struct build *b, const struct entry *entries, size_t count)
{
	struct range range = {.entries = entries, .action = b->profile->fallback};
	size_t implied = 0;

	while (implied < count && entries[implied].order < b->profile->count)
		implied++;
	range.count = count;
	for (size_t i = implied; i < count; i++) {
		if (entries[i].rule->when.count > 0)
			continue;
		range.count = implied;
		range.action = entries[i].rule->action;
		break;
	}
	return range;
}

static size_t emit_abi(struct build *b, enum seccomp_abi abi)
{
	const struct range others = {.action = b->profile->fallback};
	uint32_t bit = abi == SECCOMP_X32 ? SECCOMP_X32_BIT : 0;

	add_entries(b, abi);
	b->n_ranges = 0;
	b->narrow = abi == SECCOMP_I386;
	add_range(b, 0, &others);
	for (size_t i = 0, n; i < b->n_entries; i += n) {
		uint32_t number = (uint32_t)b->entries[i].number | bit;
		struct range range;

		for (n = 1; i + n < b->n_entries; n++) {
			if (b->entries[i + n].number != b->entries[i].number)
				break;
		}
		range = range_of(b, &b->entries[i], n);
		add_range(b, number, &range);
		add_range(b, number + 1, &others);
	}
	return emit_search(b, b->ranges, b->n_ranges);
}

/* --- the whole --- */

static void emit_program(struct build *b)
{
	unsigned abis = b->profile->abis;
	size_t foreign, label, i386, native;

	foreign = label = emit_return(b, b->profile->foreign);
	if (abis & 1 << SECCOMP_I386) {
		i386 = emit_load_number(b, emit_abi(b, SECCOMP_I386));
		label = emit_test(b, BPF_JEQ, AUDIT_ARCH_I386, i386, foreign);
	}
	foreign = emit_return(b, b->profile->foreign);
	if (abis & 1 << SECCOMP_X32)
		foreign = emit_abi(b, SECCOMP_X32);
	native = emit_abi(b, SECCOMP_X86_64);
	native = emit_test(b, BPF_JGE, SECCOMP_X32_BIT, foreign, native);
	native = emit_load_number(b, native);
	emit_test(b, BPF_JEQ, AUDIT_ARCH_X86_64, native, label);
	emit_load(b, offsetof(struct seccomp_data, arch));
}

static int finish(const struct build *b, struct seccomp_code **ret, struct ctn_err *err)
{
	struct seccomp_code *code;

	if (b->len > BPF_MAXINSNS)
		return ctn_fail(err, E2BIG,
				"the seccomp program would be %zu instructions long, and the "
				"kernel takes %d: use fewer rules with conditions",
				b->len, BPF_MAXINSNS);
	code = malloc(sizeof(*code) + b->len * sizeof(code->insns[0]));
	if (!code)
		return ctn_fail(err, ENOMEM, "no memory for the seccomp program");
	code->refs = 1;
	code->len = b->len;
	for (size_t i = 0; i < b->len; i++)
		code->insns[i] = b->insns[b->len - 1 - i];
	*ret = code;
	return 0;
}

int seccomp_assemble(const struct seccomp_profile *p, struct seccomp_code **ret,
		     struct ctn_err *err)
{
	ctn_autofree struct build *b = calloc(1, sizeof(*b));
	ctn_autofree struct entry *entries = calloc(2 * p->count + 1, sizeof(*entries));
	ctn_autofree struct seccomp_rule *implied = calloc(p->count + 1, sizeof(*implied));

	if (!b || !entries || !implied)
		return ctn_fail(err, ENOMEM, "no memory for the seccomp program");
	b->profile = p;
	b->entries = entries;
	b->implied = implied;
	emit_program(b);
	return finish(b, ret, err);
}
