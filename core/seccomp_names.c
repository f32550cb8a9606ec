/* SPDX-License-Identifier: Apache-2.0 */
/* Calls, actions, operators and architectures by name. */
#include <errno.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "seccomp_rules.h"

static const uint32_t abi_tokens[SECCOMP_ABIS] = {
	[SECCOMP_X86_64] = SCMP_ARCH_X86_64,
	[SECCOMP_I386] = SCMP_ARCH_X86,
	[SECCOMP_X32] = SCMP_ARCH_X32,
};

/* Calls that libseccomp 2.5 has no names for; their numbers are the kernel's for ever. */
static const struct young {
	const char *name;
	int number[SECCOMP_ABIS];
} youngs[] = {
	{"uretprobe", {335, SECCOMP_NO_CALL, SECCOMP_NO_CALL}},
	{"cachestat", {451, 451, 451}},
	{"fchmodat2", {452, 452, 452}},
	{"map_shadow_stack", {453, 453, SECCOMP_NO_CALL}},
	{"futex_wake", {454, 454, 454}},
	{"futex_wait", {455, 455, 455}},
	{"futex_requeue", {456, 456, 456}},
	{"statmount", {457, 457, 457}},
	{"listmount", {458, 458, 458}},
	{"lsm_get_self_attr", {459, 459, 459}},
	{"lsm_set_self_attr", {460, 460, 460}},
	{"lsm_list_modules", {461, 461, 461}},
	{"mseal", {462, 462, 462}},
	{"setxattrat", {463, 463, 463}},
	{"getxattrat", {464, 464, 464}},
	{"listxattrat", {465, 465, 465}},
	{"removexattrat", {466, 466, 466}},
};

/* i386's two calls for many: which of them, with what in its first argument, and the number that
 * the call has got of its own meanwhile, where it has; libseccomp does not tell that. */
enum { I386_SOCKETCALL = 102, I386_IPC = 117, NONE = SECCOMP_NO_CALL };

/* clang-format off */
static const struct {
	const char *name;
	int call, which, direct;
} multiplexed[] = {
	{"socket", I386_SOCKETCALL, 1, 359}, {"bind", I386_SOCKETCALL, 2, 361},
	{"connect", I386_SOCKETCALL, 3, 362}, {"listen", I386_SOCKETCALL, 4, 363},
	{"accept", I386_SOCKETCALL, 5, NONE}, {"getsockname", I386_SOCKETCALL, 6, 367},
	{"getpeername", I386_SOCKETCALL, 7, 368}, {"socketpair", I386_SOCKETCALL, 8, 360},
	{"send", I386_SOCKETCALL, 9, NONE}, {"recv", I386_SOCKETCALL, 10, NONE},
	{"sendto", I386_SOCKETCALL, 11, 369}, {"recvfrom", I386_SOCKETCALL, 12, 371},
	{"shutdown", I386_SOCKETCALL, 13, 373}, {"setsockopt", I386_SOCKETCALL, 14, 366},
	{"getsockopt", I386_SOCKETCALL, 15, 365}, {"sendmsg", I386_SOCKETCALL, 16, 370},
	{"recvmsg", I386_SOCKETCALL, 17, 372}, {"accept4", I386_SOCKETCALL, 18, 364},
	{"recvmmsg", I386_SOCKETCALL, 19, 337}, {"sendmmsg", I386_SOCKETCALL, 20, 345},
	{"semop", I386_IPC, 1, NONE}, {"semget", I386_IPC, 2, 393},
	{"semctl", I386_IPC, 3, 394}, {"semtimedop", I386_IPC, 4, NONE},
	{"msgsnd", I386_IPC, 11, 400}, {"msgrcv", I386_IPC, 12, 401},
	{"msgget", I386_IPC, 13, 399}, {"msgctl", I386_IPC, 14, 402},
	{"shmat", I386_IPC, 21, 397}, {"shmdt", I386_IPC, 22, 398},
	{"shmget", I386_IPC, 23, 395}, {"shmctl", I386_IPC, 24, 396},
};
/* clang-format on */

int seccomp_number(enum seccomp_abi abi, const char *name)
{
	int number = seccomp_syscall_resolve_name_arch(abi_tokens[abi], name);

	if (number == __NR_SCMP_ERROR) {
		for (size_t i = 0; i < CTN_COUNT(youngs); i++) {
			if (strcmp(youngs[i].name, name) == 0)
				return youngs[i].number[abi];
		}
	}
	for (size_t i = 0; abi == SECCOMP_I386 && i < CTN_COUNT(multiplexed); i++) {
		if (strcmp(multiplexed[i].name, name) == 0)
			return multiplexed[i].direct;
	}
	if (number < 0) /* another machine's */
		return SECCOMP_NO_CALL;
	number &= ~SECCOMP_X32_BIT;
	return number < SECCOMP_NUMBERS ? number : SECCOMP_NO_CALL;
}

bool seccomp_name(enum seccomp_abi abi, int number, char ret[SECCOMP_NAME_LEN])
{
	ctn_autofree char *name = NULL;
	const int bit = abi == SECCOMP_X32 ? SECCOMP_X32_BIT : 0;

	if (number < 0 || number >= SECCOMP_NUMBERS)
		return false;
	name = seccomp_syscall_resolve_num_arch(abi_tokens[abi], number | bit);
	for (size_t i = 0; !name && i < CTN_COUNT(youngs); i++) {
		if (youngs[i].number[abi] == number)
			name = strdup(youngs[i].name);
	}
	if (!name || strlen(name) >= SECCOMP_NAME_LEN)
		return false;
	strcpy(ret, name);
	return true;
}

bool seccomp_known(const char *name)
{
	for (int abi = 0; abi < SECCOMP_ABIS; abi++) {
		if (seccomp_number((enum seccomp_abi)abi, name) != SECCOMP_NO_CALL)
			return true;
	}
	return false;
}

/* --- names that are near --- */

enum { NEAR_MAX = 3 };

struct near {
	const char *wanted;
	unsigned best;
	size_t count;
	char names[NEAR_MAX][SECCOMP_NAME_LEN];
};

static void near_try(struct near *n, const char *name)
{
	unsigned d;

	if (!name || strlen(name) >= SECCOMP_NAME_LEN)
		return;
	d = ctn_distance(n->wanted, name);
	if (d > n->best)
		return;
	if (d < n->best)
		n->count = 0;
	n->best = d;
	for (size_t i = 0; i < n->count; i++) {
		if (strcmp(n->names[i], name) == 0)
			return;
	}
	if (n->count < NEAR_MAX)
		strcpy(n->names[n->count++], name);
}

void seccomp_near(const char *name, char *ret, size_t size)
{
	struct near n = {.wanted = name, .best = 1 + (unsigned)strlen(name) / 3};
	size_t len = 0;

	*ret = '\0';
	for (int abi = 0; abi < SECCOMP_X32; abi++) {
		for (int number = 0; number < SECCOMP_NUMBERS; number++) {
			ctn_autofree char *known = seccomp_syscall_resolve_num_arch(abi_tokens[abi],
										    number);

			near_try(&n, known);
		}
	}
	for (size_t i = 0; i < CTN_COUNT(youngs); i++)
		near_try(&n, youngs[i].name);
	for (size_t i = 0; i < n.count && len < size; i++)
		len += (size_t)snprintf(ret + len, size - len, "%s%s", i ? " " : "", n.names[i]);
}

int seccomp_multiplexed(const char *name, struct seccomp_cond *ret)
{
	for (size_t i = 0; i < CTN_COUNT(multiplexed); i++) {
		if (strcmp(multiplexed[i].name, name) != 0)
			continue;
		/* The upper half of ipc's argument is a version. */
		*ret = (struct seccomp_cond){
			.op = SCMP_CMP_MASKED_EQ,
			.a = multiplexed[i].call == I386_IPC ? 0xffff : 0xffffffff,
			.b = (uint64_t)multiplexed[i].which,
		};
		return multiplexed[i].call;
	}
	return SECCOMP_NO_CALL;
}

/* --- the words of a profile --- */

enum { ERRNO_MAX = 4094 /* libseccomp takes less than the kernel's MAX_ERRNO */ };

const struct seccomp_word seccomp_actions[] = {
	{"SCMP_ACT_ALLOW", SECCOMP_RET_ALLOW, 0, NULL},
	{"SCMP_ACT_ERRNO", SECCOMP_RET_ERRNO, ERRNO_MAX, NULL},
	{"SCMP_ACT_KILL", SECCOMP_RET_KILL_THREAD, 0, NULL},
	{"SCMP_ACT_KILL_THREAD", SECCOMP_RET_KILL_THREAD, 0, NULL},
	{"SCMP_ACT_KILL_PROCESS", SECCOMP_RET_KILL_PROCESS, 0, NULL},
	{"SCMP_ACT_TRAP", SECCOMP_RET_TRAP, 0, NULL},
	{"SCMP_ACT_LOG", SECCOMP_RET_LOG, 0, NULL},
	{"SCMP_ACT_TRACE", SECCOMP_RET_TRACE, UINT16_MAX, NULL},
	{"SCMP_ACT_NOTIFY", SECCOMP_RET_USER_NOTIF, 0,
	 "nothing here answers such calls; use another action"},
	{0},
};

const struct seccomp_word seccomp_ops[] = {
	{"SCMP_CMP_NE", SCMP_CMP_NE, 0, NULL},
	{"SCMP_CMP_LT", SCMP_CMP_LT, 0, NULL},
	{"SCMP_CMP_LE", SCMP_CMP_LE, 0, NULL},
	{"SCMP_CMP_EQ", SCMP_CMP_EQ, 0, NULL},
	{"SCMP_CMP_GE", SCMP_CMP_GE, 0, NULL},
	{"SCMP_CMP_GT", SCMP_CMP_GT, 0, NULL},
	{"SCMP_CMP_MASKED_EQ", SCMP_CMP_MASKED_EQ, 0, NULL},
	{0},
};

/* TSYNC is about a process's other threads, and the filter is loaded while there are none. */
const struct seccomp_word seccomp_flags[] = {
	{"SECCOMP_FILTER_FLAG_TSYNC", 0, 0, NULL},
	{"SECCOMP_FILTER_FLAG_LOG", SECCOMP_FILTER_FLAG_LOG, 0, NULL},
	{"SECCOMP_FILTER_FLAG_SPEC_ALLOW", SECCOMP_FILTER_FLAG_SPEC_ALLOW, 0, NULL},
	{"SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", 0, 0,
	 "it is about a listener, and nothing here listens; leave it out"},
	{0},
};

const struct seccomp_word seccomp_arches[] = {
	{"SCMP_ARCH_X86_64", 1 << SECCOMP_X86_64, 0, NULL},
	{"SCMP_ARCH_X86", 1 << SECCOMP_I386, 0, NULL},
	{"SCMP_ARCH_X32", 1 << SECCOMP_X32, 0, NULL},
	{"SCMP_ARCH_ARM", 0, 0, NULL},
	{"SCMP_ARCH_AARCH64", 0, 0, NULL},
	{"SCMP_ARCH_LOONGARCH64", 0, 0, NULL},
	{"SCMP_ARCH_M68K", 0, 0, NULL},
	{"SCMP_ARCH_MIPS", 0, 0, NULL},
	{"SCMP_ARCH_MIPS64", 0, 0, NULL},
	{"SCMP_ARCH_MIPS64N32", 0, 0, NULL},
	{"SCMP_ARCH_MIPSEL", 0, 0, NULL},
	{"SCMP_ARCH_MIPSEL64", 0, 0, NULL},
	{"SCMP_ARCH_MIPSEL64N32", 0, 0, NULL},
	{"SCMP_ARCH_PARISC", 0, 0, NULL},
	{"SCMP_ARCH_PARISC64", 0, 0, NULL},
	{"SCMP_ARCH_PPC", 0, 0, NULL},
	{"SCMP_ARCH_PPC64", 0, 0, NULL},
	{"SCMP_ARCH_PPC64LE", 0, 0, NULL},
	{"SCMP_ARCH_RISCV64", 0, 0, NULL},
	{"SCMP_ARCH_S390", 0, 0, NULL},
	{"SCMP_ARCH_S390X", 0, 0, NULL},
	{"SCMP_ARCH_SH", 0, 0, NULL},
	{"SCMP_ARCH_SHEB", 0, 0, NULL},
	{0},
};

const struct seccomp_word *seccomp_word_find(const struct seccomp_word *table, const char *name)
{
	for (; table->name; table++) {
		if (strcmp(table->name, name) == 0)
			return table;
	}
	return NULL;
}

const struct seccomp_word *seccomp_action_word(uint32_t action)
{
	const struct seccomp_word *word = seccomp_actions;

	while (word->name && word->value != (action & SECCOMP_RET_ACTION_FULL))
		word++;
	return word;
}
