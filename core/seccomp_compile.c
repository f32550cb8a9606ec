/* SPDX-License-Identifier: Apache-2.0 */
/* From rows to a BPF program: a short front of our own, then what libseccomp compiles. */
#include "seccomp.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "cleanup.h"
#include "io.h"
#include "seccomp_rules.h"

enum {
	/* The capabilities that the rows ask for make some 2^14 rule sets, at 5 KiB a program.
	 * Nobody has use for a small part of them, and what is cached stays. */
	CACHE_MAX = 1024,
	FRONT_MAX = 200 /* instructions in front of libseccomp's; jumps in it reach 255 */
};

struct cached {
	uint64_t rows;
	struct seccomp_program program;
};

static pthread_mutex_t cache_lock = PTHREAD_MUTEX_INITIALIZER;
static struct cached cache[CACHE_MAX]; /* cache_lock; entries never change once counted */
static size_t cache_count;	       /* cache_lock */

static const uint32_t abi_tokens[SECCOMP_ABIS] = {
	[SECCOMP_X86_64] = SCMP_ARCH_X86_64,
	[SECCOMP_I386] = SCMP_ARCH_X86,
};

/* The instructions in front of libseccomp's: the refusals, and the calls it has no names for. */
struct front {
	struct sock_filter insns[FRONT_MAX];
	size_t len;
	const struct seccomp_young *young[32]; /* allowed */
	size_t youngs;
};

static void emit(struct front *f, unsigned code, unsigned jt, unsigned jf, uint32_t k)
{
	if (f->len < FRONT_MAX) /* one too many is noticed by front_build() */
		f->insns[f->len] = (struct sock_filter){(uint16_t)code, (uint8_t)jt, (uint8_t)jf,
							k};
	f->len++;
}

static void emit_load(struct front *f, size_t offset)
{
	emit(f, BPF_LD | BPF_W | BPF_ABS, 0, 0, (uint32_t)offset);
}

static void emit_return(struct front *f, uint32_t action)
{
	emit(f, BPF_RET | BPF_K, 0, 0, action);
}

/* With the call's number loaded, and loaded again where the next instruction is reached. */
static void emit_refusal(struct front *f, const struct seccomp_refusal *refusal, uint32_t number)
{
	uint32_t action = SECCOMP_RET_ERRNO | (uint32_t)refusal->code;

	if (refusal->arg == SECCOMP_ANY_ARG) {
		emit(f, BPF_JMP | BPF_JEQ | BPF_K, 0, 1, number);
		emit_return(f, action);
		return;
	}
	emit(f, BPF_JMP | BPF_JEQ | BPF_K, 0, 4, number);
	/* The lower half comes first: x86 is little-endian. */
	emit_load(f, offsetof(struct seccomp_data, args) + 8 * (size_t)refusal->arg);
	emit(f, BPF_JMP | BPF_JEQ | BPF_K, 0, 1, refusal->value);
	emit_return(f, action);
	emit_load(f, offsetof(struct seccomp_data, nr));
}

static void emit_young(struct front *f, enum seccomp_abi abi)
{
	int lowest = INT32_MAX;
	unsigned count = 0;

	for (size_t i = 0; i < f->youngs; i++) {
		int number = f->young[i]->number[abi];

		if (number == SECCOMP_NO_CALL)
			continue;
		lowest = number < lowest ? number : lowest;
		count++;
	}
	if (!count)
		return;
	emit(f, BPF_JMP | BPF_JGE | BPF_K, 0, 2 * count,
	     (uint32_t)lowest); /* most calls end here */
	for (size_t i = 0; i < f->youngs; i++) {
		int number = f->young[i]->number[abi];

		if (number == SECCOMP_NO_CALL)
			continue;
		emit(f, BPF_JMP | BPF_JEQ | BPF_K, 0, 1, (uint32_t)number);
		emit_return(f, SECCOMP_RET_ALLOW);
	}
}

/* Whatever nothing in front has decided arrives at the instruction behind it. */
static int front_build(struct front *f, struct ctn_err *err)
{
	size_t jumps[SECCOMP_ABIS];

	emit_load(f, offsetof(struct seccomp_data, arch));
	for (enum seccomp_abi abi = 0; abi < SECCOMP_ABIS; abi++) {
		size_t test = f->len;

		emit(f, BPF_JMP | BPF_JEQ | BPF_K, 0, 0, abi_tokens[abi]);
		emit_load(f, offsetof(struct seccomp_data, nr));
		for (size_t i = 0; i < seccomp_refusal_count; i++) {
			int number = seccomp_refusals[i].number[abi];

			if (number != SECCOMP_NO_CALL)
				emit_refusal(f, &seccomp_refusals[i], (uint32_t)number);
		}
		emit_young(f, abi);
		jumps[abi] = f->len;
		emit(f, BPF_JMP | BPF_JA, 0, 0, 0);
		if (f->len > FRONT_MAX)
			return ctn_fail(err, E2BIG, "the seccomp refusals are too many");
		f->insns[test].jf = (uint8_t)(f->len - test - 1);
	}
	for (enum seccomp_abi abi = 0; abi < SECCOMP_ABIS; abi++)
		f->insns[jumps[abi]].k = (uint32_t)(f->len - jumps[abi] - 1);
	return 0;
}

/*
 * A name that libseccomp does not know yet is allowed by its number. One that has no number here
 * either may be left out, since the default action refuses it; a rule that does anything but allow
 * may not, as its loss would change what a program gets to see.
 */
static int add_unknown(struct front *f, const struct seccomp_rule *rule, struct ctn_err *err)
{
	if (rule->row->refuse || rule->row->when)
		return ctn_fail(err, EOPNOTSUPP,
				"this libseccomp does not know %s: version 2.5 or later is needed",
				rule->name);
	for (size_t i = 0; i < seccomp_young_count; i++) {
		if (strcmp(seccomp_youngs[i].name, rule->name) != 0)
			continue;
		if (f->youngs == CTN_COUNT(f->young))
			return ctn_fail(err, E2BIG, "too many calls are unknown to libseccomp");
		f->young[f->youngs++] = &seccomp_youngs[i];
	}
	return 0;
}

static int add_rule(scmp_filter_ctx ctx, struct front *f, const struct seccomp_rule *rule,
		    struct ctn_err *err)
{
	const struct seccomp_when *when = rule->row->when;
	int number = seccomp_syscall_resolve_name(rule->name);
	uint32_t action = SCMP_ACT_ALLOW;
	struct scmp_arg_cmp cmp = {0};
	int r;

	if (number == __NR_SCMP_ERROR)
		return add_unknown(f, rule, err);
	if (rule->row->refuse)
		action = SCMP_ACT_ERRNO((uint32_t)rule->row->refuse);
	if (when)
		cmp = (struct scmp_arg_cmp){when->arg, (enum scmp_compare)when->op, when->a,
					    when->b};
	r = seccomp_rule_add_array(ctx, action, number, when ? 1 : 0, when ? &cmp : NULL);
	if (r < 0)
		return ctn_fail(err, -r, "libseccomp refuses the rule for %s: %s", rule->name,
				ctn_errno_name(-r));
	return 0;
}

static int set_up(scmp_filter_ctx ctx, struct ctn_err *err)
{
	int r;

	if (seccomp_arch_native() != SCMP_ARCH_X86_64)
		return ctn_fail(
			err, EOPNOTSUPP,
			"the seccomp profile 'default' is for x86_64: write none to seccomp");
	r = seccomp_arch_add(ctx, SCMP_ARCH_X86);
	if (r == 0)
		r = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2); /* a binary tree */
	/* On x86_64 that is x32, which then looks as on a kernel without it. */
	if (r == 0)
		r = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ERRNO(ENOSYS));
	if (r < 0)
		return ctn_fail(err, -r, "set libseccomp up: %s", ctn_errno_name(-r));
	return 0;
}

/* Puts libseccomp's program behind ours; every jump is relative, so nothing needs mending. */
static int link_program(scmp_filter_ctx ctx, const struct front *f, struct seccomp_program *ret,
			struct ctn_err *err)
{
	ctn_autoclose int fd = memfd_create("seccomp", MFD_CLOEXEC);
	ctn_autofree char *main_part = NULL;
	struct sock_filter *filter;
	size_t size = 0, len;
	int r;

	if (fd < 0)
		return ctn_fail_errno(err, "create a memory file for the seccomp program");
	r = seccomp_export_bpf(ctx, fd);
	if (r < 0)
		return ctn_fail(err, -r, "compile the seccomp program: %s", ctn_errno_name(-r));
	if (lseek(fd, 0, SEEK_SET) < 0)
		return ctn_fail_errno(err, "rewind the seccomp program");
	r = io_read_fd(fd, "the seccomp program", BPF_MAXINSNS * sizeof(*filter), &main_part, &size,
		       err);
	if (r < 0)
		return r;
	len = f->len + size / sizeof(*filter);
	if (len > BPF_MAXINSNS)
		return ctn_fail(err, E2BIG, "the seccomp program is %zu instructions long", len);
	filter = calloc(len, sizeof(*filter));
	if (!filter)
		return ctn_fail(err, ENOMEM, "no memory for the seccomp program");
	memcpy(filter, f->insns, f->len * sizeof(*filter));
	memcpy(filter + f->len, main_part, (len - f->len) * sizeof(*filter));
	*ret = (struct seccomp_program){filter, len};
	return 0;
}

static int compile_rules(scmp_filter_ctx ctx, uint64_t rows, struct seccomp_program *ret,
			 struct ctn_err *err)
{
	ctn_autofree struct seccomp_rule *rules = NULL;
	struct front front = {.len = 0};
	size_t count = 0;
	int r = set_up(ctx, err);

	if (r < 0)
		return r;
	rules = seccomp_list_rules(rows, &count);
	if (!rules)
		return ctn_fail(err, ENOMEM, "no memory for the seccomp rules");
	for (size_t i = 0; i < count; i++) {
		r = add_rule(ctx, &front, &rules[i], err);
		if (r < 0)
			return r;
	}
	r = front_build(&front, err);
	if (r < 0)
		return r;
	return link_program(ctx, &front, ret, err);
}

static const struct cached *cache_find(uint64_t rows) /* cache_lock */
{
	for (size_t i = 0; i < cache_count; i++) {
		if (cache[i].rows == rows)
			return &cache[i];
	}
	return NULL;
}

/* Takes @program over, unless another thread was faster: then @ret is that thread's. */
static int cache_add(uint64_t rows, struct seccomp_program program, struct seccomp_program *ret,
		     struct ctn_err *err)
{
	const struct cached *found;
	int r = 0;

	pthread_mutex_lock(&cache_lock);
	found = cache_find(rows);
	if (!found && cache_count < CACHE_MAX) {
		cache[cache_count] = (struct cached){rows, program};
		found = &cache[cache_count++];
	}
	if (found)
		*ret = found->program;
	pthread_mutex_unlock(&cache_lock);
	if (!found)
		r = ctn_fail(err, ENOSPC,
			     "%d different seccomp programs are kept already: choose caps that "
			     "another container has, or restart the server",
			     CACHE_MAX);
	if (!found || found->program.filter != program.filter)
		free((void *)program.filter);
	return r;
}

int seccomp_compile(const struct seccomp_profile *profile, struct seccomp_program *ret,
		    struct ctn_err *err)
{
	struct seccomp_program program = {0};
	const struct cached *found;
	scmp_filter_ctx ctx;
	int r;

	if (!profile->filter) {
		*ret = (struct seccomp_program){NULL, 0};
		return 0;
	}
	pthread_mutex_lock(&cache_lock);
	found = cache_find(profile->rows);
	pthread_mutex_unlock(&cache_lock);
	if (found) { /* stays as it is, so that no lock is needed to read it */
		*ret = found->program;
		return 0;
	}
	/* Without the lock: others go on, and two that compile the same are no harm. */
	ctx = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	if (!ctx)
		return ctn_fail(err, ENOMEM, "no memory for the seccomp program");
	r = compile_rules(ctx, profile->rows, &program, err);
	seccomp_release(ctx);
	if (r < 0)
		return r;
	return cache_add(profile->rows, program, ret, err);
}
