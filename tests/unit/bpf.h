/* SPDX-License-Identifier: Apache-2.0 */
/* What the kernel would answer if it ran a compiled filter on a call that nobody makes. */
#ifndef CTNFS_TESTS_UNIT_BPF_H
#define CTNFS_TESTS_UNIT_BPF_H

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "seccomp.h"

static inline uint32_t bpf_jump(const struct sock_filter *insn, uint32_t a)
{
	bool taken = false;

	switch (BPF_OP(insn->code)) {
	case BPF_JA:
		return insn->k;
	case BPF_JEQ:
		taken = a == insn->k;
		break;
	case BPF_JGT:
		taken = a > insn->k;
		break;
	case BPF_JGE:
		taken = a >= insn->k;
		break;
	case BPF_JSET:
		taken = a & insn->k;
		break;
	}
	return taken ? insn->jt : insn->jf;
}

/* Return: the action; SECCOMP_RET_TRAP, which no rule of ours has, for a broken program. */
static inline uint32_t bpf_run(const struct seccomp_program *program,
			       const struct seccomp_data *data)
{
	uint32_t a = 0;

	for (size_t pc = 0; pc < program->len; pc++) {
		const struct sock_filter *insn = &program->filter[pc];

		switch (BPF_CLASS(insn->code)) {
		case BPF_LD:
			if (insn->code != (BPF_LD | BPF_W | BPF_ABS) || insn->k % 4 ||
			    insn->k >= sizeof(*data))
				return SECCOMP_RET_TRAP;
			memcpy(&a, (const char *)data + insn->k, sizeof(a));
			break;
		case BPF_ALU:
			if (insn->code != (BPF_ALU | BPF_AND | BPF_K))
				return SECCOMP_RET_TRAP;
			a &= insn->k;
			break;
		case BPF_JMP:
			pc += bpf_jump(insn, a);
			break;
		case BPF_RET:
			return insn->k;
		default:
			return SECCOMP_RET_TRAP;
		}
	}
	return SECCOMP_RET_TRAP;
}

#endif
