/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <linux/seccomp.h>
#include <string.h>

#include "notify.h"

/* The program is as long as it was, so that an allowed call takes as many steps. Other errnos are
 * an answer, not a denial: ENOSYS says that the call does not exist. */
size_t notify_filter(struct sock_filter *insns, size_t n)
{
	size_t changed = 0;

	for (size_t i = 0; i < n; i++) {
		if (insns[i].code != (BPF_RET | BPF_K) || insns[i].k != (SECCOMP_RET_ERRNO | EPERM))
			continue;
		insns[i].k = SECCOMP_RET_USER_NOTIF;
		changed++;
	}
	return changed;
}

/* As the kernel reads what seccomp_compile.c has made. */
static bool jumps(const struct sock_filter *insn, uint32_t a)
{
	switch (BPF_OP(insn->code)) {
	case BPF_JEQ:
		return a == insn->k;
	case BPF_JGT:
		return a > insn->k;
	case BPF_JGE:
		return a >= insn->k;
	default:
		return a & insn->k; /* BPF_JSET */
	}
}

uint32_t notify_decision(const struct sock_filter *insns, size_t n, const struct seccomp_data *call)
{
	uint32_t a = 0;

	for (size_t at = 0; at < n; at++) {
		const struct sock_filter *insn = &insns[at];

		if (insn->code == (BPF_RET | BPF_K))
			return insn->k;
		if (insn->code == (BPF_JMP | BPF_JA))
			at += insn->k;
		else if (BPF_CLASS(insn->code) == BPF_JMP)
			at += jumps(insn, a) ? insn->jt : insn->jf;
		else if (insn->code == (BPF_ALU | BPF_AND | BPF_K))
			a &= insn->k;
		else if (insn->code == (BPF_LD | BPF_W | BPF_ABS) &&
			 insn->k <= sizeof(*call) - sizeof(a))
			memcpy(&a, (const char *)call + insn->k, sizeof(a));
		else
			break;
	}
	return SECCOMP_RET_KILL_PROCESS;
}
