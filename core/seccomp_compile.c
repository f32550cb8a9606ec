/* SPDX-License-Identifier: Apache-2.0 */
/* From rules to a BPF program: what libseccomp compiles, behind a short front of our own for what
 * it cannot say. */
#include <errno.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "cleanup.h"
#include "io.h"
#include "seccomp_rules.h"

enum { FRONT_MAX = 2048 }; /* instructions in front of libseccomp's */

static const struct {
	uint32_t scmp, audit;
} abis[SECCOMP_ABIS] = {
	[SECCOMP_X86_64] = {SCMP_ARCH_X86_64, AUDIT_ARCH_X86_64},
	[SECCOMP_I386] = {SCMP_ARCH_X86, AUDIT_ARCH_I386},
	[SECCOMP_X32] = {SCMP_ARCH_X32, AUDIT_ARCH_X86_64},
};

struct front {
	struct sock_filter insns[FRONT_MAX];
	size_t len; /* more than there is room for: it failed */
};

static void emit(struct front *f, unsigned code, unsigned jt, unsigned jf, uint32_t k)
{
	if (f->len < FRONT_MAX)
		f->insns[f->len] = (struct sock_filter){(uint16_t)code, (uint8_t)jt, (uint8_t)jf,
							k};
	f->len++;
}

static void emit_load(struct front *f, size_t offset)
{
	emit(f, BPF_LD | BPF_W | BPF_ABS, 0, 0, (uint32_t)offset);
}

/* With the call's number loaded, and loaded again where the next instruction is reached: call
 * @number ends with @action; with @cond only if the lower half of the argument, masked, is its
 * value. */
static void emit_end(struct front *f, uint32_t number, const struct seccomp_cond *cond,
		     uint32_t action)
{
	if (!cond) {
		emit(f, BPF_JMP | BPF_JEQ | BPF_K, 0, 1, number);
		emit(f, BPF_RET | BPF_K, 0, 0, action);
		return;
	}
	emit(f, BPF_JMP | BPF_JEQ | BPF_K, 0, 5, number);
	/* The lower half comes first: x86 is little-endian. */
	emit_load(f, offsetof(struct seccomp_data, args) + sizeof(uint64_t) * cond->arg);
	emit(f, BPF_ALU | BPF_AND | BPF_K, 0, 0, (uint32_t)cond->a);
	emit(f, BPF_JMP | BPF_JEQ | BPF_K, 0, 1, (uint32_t)cond->b);
	emit(f, BPF_RET | BPF_K, 0, 0, action);
	emit_load(f, offsetof(struct seccomp_data, nr));
}

/* Half an argument that must not be a value: libseccomp has no such comparison. Whoever has the
 * value meets the default action here, so the rule behind need not ask. */
static void front_halves(struct front *f, const struct seccomp_profile *p,
			 const struct seccomp_rule *rule, uint32_t number)
{
	for (size_t i = 0; i < rule->when.count; i++) {
		if (rule->when.conds[i].op == SECCOMP_MASKED_NE)
			emit_end(f, number, &rule->when.conds[i], p->fallback);
	}
}

/* What restricts a call restricts it where one of i386's two calls for many does its work: beside
 * an unconditional rule for socketcall or ipc, libseccomp would forget that. */
static void front_multiplexed(struct front *f, const struct seccomp_rule *rule)
{
	uint32_t action = rule->action & SECCOMP_RET_ACTION_FULL;
	struct seccomp_cond which;
	int number = seccomp_multiplexed(rule->name, &which);

	if (number == SECCOMP_NO_CALL || action == SECCOMP_RET_ALLOW || action == SECCOMP_RET_LOG)
		return;
	emit_end(f, (uint32_t)number, &which, rule->action);
}

static bool is_young(const char *name)
{
	return seccomp_syscall_resolve_name(name) == __NR_SCMP_ERROR && seccomp_known(name);
}

static void front_abi(struct front *f, const struct seccomp_profile *p, enum seccomp_abi abi)
{
	uint32_t bit = abi == SECCOMP_X32 ? SECCOMP_X32_BIT : 0;

	for (size_t i = 0; i < p->count; i++) {
		const struct seccomp_rule *rule = &p->rules[i];
		int number = seccomp_number(abi, rule->name);

		if (abi == SECCOMP_I386)
			front_multiplexed(f, rule);
		if (number == SECCOMP_NO_CALL)
			continue;
		front_halves(f, p, rule, (uint32_t)number | bit);
		if (is_young(rule->name))
			emit_end(f, (uint32_t)number | bit, NULL, rule->action);
	}
}

/* Whatever nothing in front has decided arrives at the instruction behind it. x32 has x86_64's
 * token and a bit in its numbers. */
static int front_build(struct front *f, const struct seccomp_profile *p, struct ctn_err *err)
{

	for (int abi = 0; abi < SECCOMP_ABIS; abi++) {
		size_t skip;

		if (!(p->abis & 1u << abi))
			continue;
		emit_load(f, offsetof(struct seccomp_data, arch));
		emit(f, BPF_JMP | BPF_JEQ | BPF_K, 1, 0, abis[abi].audit);
		skip = f->len;
		emit(f, BPF_JMP | BPF_JA, 0, 0, 0);
		emit_load(f, offsetof(struct seccomp_data, nr));
		front_abi(f, p, (enum seccomp_abi)abi);
		if (f->len >= FRONT_MAX)
			return ctn_fail(err, E2BIG,
					"seccomp: too many rules that are ours to keep");
		f->insns[skip].k = (uint32_t)(f->len - skip - 1);
	}
	return 0;
}

static int add_rule(scmp_filter_ctx ctx, const struct seccomp_profile *p,
		    const struct seccomp_rule *rule, struct ctn_err *err)
{
	int number = seccomp_syscall_resolve_name(rule->name), r;
	struct scmp_arg_cmp cmps[SECCOMP_ARGS];
	unsigned n = 0;

	if (number == __NR_SCMP_ERROR && seccomp_known(rule->name) && rule->when.count > 0)
		return ctn_fail(err, EOPNOTSUPP,
				"seccomp: this libseccomp is too old to look at the arguments of "
				"%s",
				rule->name);
	/* What only says the default says nothing, as with runc. */
	if (number == __NR_SCMP_ERROR || rule->action == p->fallback)
		return 0;
	for (size_t i = 0; i < rule->when.count; i++) {
		const struct seccomp_cond *c = &rule->when.conds[i];

		if (c->op != SECCOMP_MASKED_NE)
			cmps[n++] = (struct scmp_arg_cmp){c->arg, (enum scmp_compare)c->op, c->a,
							  c->b};
	}
	r = seccomp_rule_add_array(ctx, rule->action, number, n, n ? cmps : NULL);
	if (r < 0 && r != -EEXIST) /* the first of two that contradict each other counts */
		return ctn_fail(err, -r, "seccomp: libseccomp refuses the rule for %s: %s",
				rule->name, ctn_errno_name(-r));
	return 0;
}

static int set_up(scmp_filter_ctx ctx, const struct seccomp_profile *p, struct ctn_err *err)
{
	int r = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2); /* a binary tree */

	if (r == 0)
		r = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, p->foreign);
	for (int abi = 0; r == 0 && abi < SECCOMP_ABIS; abi++) {
		bool has = seccomp_arch_exist(ctx, abis[abi].scmp) == 0;
		bool wants = p->abis & 1u << abi;

		if (wants && !has)
			r = seccomp_arch_add(ctx, abis[abi].scmp);
		if (!wants && has)
			r = seccomp_arch_remove(ctx, abis[abi].scmp);
	}
	return r < 0 ? ctn_fail(err, -r, "seccomp: set libseccomp up: %s", ctn_errno_name(-r)) : 0;
}

/* libseccomp's program behind ours; every jump is relative, so nothing needs mending. */
static int link_program(scmp_filter_ctx ctx, const struct front *f, struct seccomp_code **ret,
			struct ctn_err *err)
{
	ctn_autoclose int fd = memfd_create("seccomp", MFD_CLOEXEC);
	ctn_autofree char *back = NULL;
	struct seccomp_code *code;
	size_t size = 0, len;
	int r;

	if (fd < 0)
		return ctn_fail_errno(err, "seccomp: make room for the program");
	r = seccomp_export_bpf(ctx, fd);
	if (r < 0)
		return ctn_fail(err, -r, "seccomp: compile the program: %s", ctn_errno_name(-r));
	if (lseek(fd, 0, SEEK_SET) < 0)
		return ctn_fail_errno(err, "seccomp: rewind the program");
	r = io_read_fd(fd, "the seccomp program", 16 * BPF_MAXINSNS * sizeof(struct sock_filter),
		       &back, &size, err);
	if (r < 0)
		return r;
	len = f->len + size / sizeof(code->insns[0]);
	if (len > BPF_MAXINSNS)
		return ctn_fail(err, E2BIG,
				"seccomp: the program would be %zu instructions long, and the "
				"kernel takes %d: use fewer rules with conditions",
				len, BPF_MAXINSNS);
	code = malloc(sizeof(*code) + len * sizeof(code->insns[0]));
	if (!code)
		return ctn_fail(err, ENOMEM, "no memory for the seccomp program");
	code->refs = 1;
	code->len = len;
	memcpy(code->insns, f->insns, f->len * sizeof(code->insns[0]));
	memcpy(code->insns + f->len, back, (len - f->len) * sizeof(code->insns[0]));
	*ret = code;
	return 0;
}

int seccomp_assemble(const struct seccomp_profile *p, struct seccomp_code **ret,
		     struct ctn_err *err)
{
	ctn_autofree struct front *front = calloc(1, sizeof(*front));
	scmp_filter_ctx ctx = seccomp_init(p->fallback);
	int r = 0;

	if (!front || !ctx)
		r = ctn_fail(err, ENOMEM, "no memory for the seccomp program");
	if (r == 0)
		r = set_up(ctx, p, err);
	for (size_t i = 0; r == 0 && i < p->count; i++)
		r = add_rule(ctx, p, &p->rules[i], err);
	if (r == 0)
		r = front_build(front, p, err);
	if (r == 0)
		r = link_program(ctx, front, ret, err);
	if (ctx)
		seccomp_release(ctx);
	return r;
}
