/* SPDX-License-Identifier: Apache-2.0 */
/* JSON profiles: what they decide. */
#include "seccomp.h"

#include "seccomp_fixture.h"

static uint32_t native(const char *text, int number, uint64_t a, uint64_t b)
{
	ctn_autofree char *json = quoted(text);
	struct seccomp_profile *p = get_profile(json, NULL);
	uint32_t action = decide(p, AUDIT_ARCH_X86_64, number, a, b);

	seccomp_profile_put(p);
	return action;
}

#define BIG UINT64_C(0x500000007)

static const struct {
	const char *op;
	uint64_t value, two;
	uint64_t yes[4], no[4];
} ops[] = {
	{"EQ", BIG, 0, {BIG, BIG, BIG, BIG}, {7, BIG + 1, UINT64_C(5) << 32, 0}},
	{"NE", BIG, 0, {7, BIG + 1, UINT64_C(5) << 32, 0}, {BIG, BIG, BIG, BIG}},
	{"LT",
	 BIG,
	 0,
	 {0, BIG - 1, UINT32_MAX, UINT64_C(5) << 32},
	 {BIG, BIG + 1, UINT64_C(6) << 32, UINT64_MAX}},
	{"LE",
	 BIG,
	 0,
	 {0, BIG - 1, UINT32_MAX, BIG},
	 {BIG + 1, UINT64_C(6) << 32, UINT64_MAX, BIG + 9}},
	{"GT",
	 BIG,
	 0,
	 {BIG + 1, UINT64_C(6) << 32, UINT64_MAX, BIG + 9},
	 {0, BIG - 1, UINT32_MAX, BIG}},
	{"GE",
	 BIG,
	 0,
	 {BIG, BIG + 1, UINT64_C(6) << 32, UINT64_MAX},
	 {0, BIG - 1, UINT32_MAX, UINT64_C(5) << 32}},
	{"MASKED_EQ",
	 UINT64_C(0xf0000000f),
	 BIG,
	 {BIG, BIG + 0x10, BIG | UINT64_C(1) << 60, BIG},
	 {7, BIG + 1, UINT64_C(5) << 32, 0}},
};

/* Comparisons that hold for no number, whatever is compared. */
static const struct {
	const char *op;
	uint64_t value, two;
} nevers[] = {
	{"LT", 0, 0},
	{"GT", UINT64_MAX, 0},
};

static struct seccomp_profile *with_op(const char *op, uint64_t value, uint64_t two)
{
	ctn_autofree char *text = NULL, *json = NULL;

	CHECK(asprintf(&text,
		       "{" ERRNO_DEFAULT "'architectures': ['SCMP_ARCH_X86'], 'syscalls': "
		       "[{'names': ['dup2'], 'action': 'SCMP_ACT_ALLOW', 'args': [{'index': 1, "
		       "'op': 'SCMP_CMP_%s', 'value': %llu, 'valueTwo': %llu}]}]}",
		       op, (unsigned long long)value, (unsigned long long)two) > 0);
	json = quoted(text);
	return get_profile(json, NULL);
}

static void test_ops(void)
{
	for (size_t i = 0; i < CTN_COUNT(ops); i++) {
		struct seccomp_profile *p = with_op(ops[i].op, ops[i].value, ops[i].two);
		for (size_t j = 0; j < 4; j++) {
			CHECK(decide(p, AUDIT_ARCH_X86_64, SYS_dup2, 0, ops[i].yes[j]) == ALLOW);
			CHECK(decide(p, AUDIT_ARCH_X86_64, SYS_dup2, 0, ops[i].no[j]) ==
			      REFUSE(EPERM));
		}
		seccomp_profile_put(p);
	}
	/* i386 has 32 bits, of the argument and of the number that it is compared with. */
	for (size_t i = 0; i < 2; i++) {
		struct seccomp_profile *p = with_op(ops[i].op, ops[i].value, ops[i].two);
		bool equal = ops[i].op[0] == 'E';

		CHECK(decide(p, AUDIT_ARCH_I386, 63, 0, (uint32_t)BIG) ==
		      (equal ? ALLOW : REFUSE(EPERM)));
		CHECK(decide(p, AUDIT_ARCH_I386, 63, 0, (uint32_t)BIG + 1) ==
		      (equal ? REFUSE(EPERM) : ALLOW));
		seccomp_profile_put(p);
	}
	for (size_t i = 0; i < CTN_COUNT(nevers); i++) {
		struct seccomp_profile *p = with_op(nevers[i].op, nevers[i].value, nevers[i].two);

		for (size_t j = 0; j < CTN_COUNT(ops); j++)
			CHECK(decide(p, AUDIT_ARCH_X86_64, SYS_dup2, 0, ops[j].yes[j % 4]) ==
			      REFUSE(EPERM));
		seccomp_profile_put(p);
	}
}

#define ONE(action)                                                                              \
	"{'defaultAction': 'SCMP_ACT_ALLOW', 'syscalls': [{'names': ['dup'], 'action': '" action \
	"'}]}"

static void test_actions(void)
{
	CHECK(native(ONE("SCMP_ACT_ERRNO"), SYS_dup, 0, 0) == REFUSE(EPERM));
	CHECK(native(ONE("SCMP_ACT_ERRNO', 'errnoRet': 0, 'comment': '"), SYS_dup, 0, 0) ==
	      REFUSE(0));
	CHECK(native(ONE("SCMP_ACT_ERRNO', 'errnoRet': 4094, 'comment': '"), SYS_dup, 0, 0) ==
	      REFUSE(4094));
	CHECK(native(ONE("SCMP_ACT_KILL"), SYS_dup, 0, 0) == KILL);
	CHECK(native(ONE("SCMP_ACT_KILL_THREAD"), SYS_dup, 0, 0) == KILL);
	CHECK(native(ONE("SCMP_ACT_KILL_PROCESS"), SYS_dup, 0, 0) == SECCOMP_RET_KILL_PROCESS);
	CHECK(native(ONE("SCMP_ACT_TRAP"), SYS_dup, 0, 0) == SECCOMP_RET_TRAP);
	CHECK(native(ONE("SCMP_ACT_LOG"), SYS_dup, 0, 0) == SECCOMP_RET_LOG);
	CHECK(native(ONE("SCMP_ACT_TRACE', 'errnoRet': 9, 'comment': '"), SYS_dup, 0, 0) ==
	      (SECCOMP_RET_TRACE | 9));
	CHECK(native(ONE("SCMP_ACT_KILL"), SYS_dup2, 0, 0) == ALLOW);
	CHECK(native("{'defaultAction': 'SCMP_ACT_KILL_PROCESS'}", SYS_dup, 0, 0) ==
	      SECCOMP_RET_KILL_PROCESS);
	CHECK(native("{'defaultAction': 'SCMP_ACT_ERRNO', 'defaultErrnoRet': 38}", SYS_dup, 0, 0) ==
	      REFUSE(38));
}

#define AND(op2)                                                                                   \
	"{" ERRNO_DEFAULT "'syscalls': [{'names': ['dup2'], 'action': 'SCMP_ACT_ALLOW', 'args': [" \
	"{'index': 0, 'value': 1, 'op': 'SCMP_CMP_EQ'}, {'index': " op2                            \
	", 'value': 2, 'op': 'SCMP_CMP_EQ'}]}]}"
#define BOTH(one, two) "{" ERRNO_DEFAULT "'syscalls': [" one ", " two "]}"
#define ANY(action)    "{'names': ['dup2'], 'action': 'SCMP_ACT_" action "}"
#define IF_7(action)                                                                              \
	"{'names': ['dup2'], 'args': [{'index': 0, 'value': 7, 'op': 'SCMP_CMP_EQ'}], 'action': " \
	"'SCMP_ACT_" action "}"

static void test_together(void)
{
	CHECK(native(AND("1"), SYS_dup2, 1, 2) == ALLOW);
	CHECK(native(AND("1"), SYS_dup2, 1, 1) == REFUSE(EPERM));
	CHECK(native(AND("1"), SYS_dup2, 2, 2) == REFUSE(EPERM));
	/* On one argument they are alternatives. */
	CHECK(native(AND("0"), SYS_dup2, 1, 0) == ALLOW &&
	      native(AND("0"), SYS_dup2, 2, 0) == ALLOW);
	CHECK(native(AND("0"), SYS_dup2, 3, 0) == REFUSE(EPERM));
	/* One without a condition beats one with, the first of two beats the second, and what says
	 * the default says nothing. */
	CHECK(native(BOTH(IF_7("ERRNO', 'errnoRet': 9"), ANY("ALLOW'")), SYS_dup2, 7, 0) == ALLOW);
	CHECK(native(BOTH(ANY("ALLOW'"), IF_7("ERRNO', 'errnoRet': 9")), SYS_dup2, 7, 0) == ALLOW);
	CHECK(native(BOTH(ANY("ALLOW'"), ANY("KILL'")), SYS_dup2, 7, 0) == ALLOW);
	CHECK(native(BOTH(ANY("KILL'"), ANY("ALLOW'")), SYS_dup2, 7, 0) == KILL);
	CHECK(native(BOTH(IF_7("KILL'"), IF_7("ALLOW'")), SYS_dup2, 7, 0) == KILL);
	CHECK(native(BOTH(IF_7("ERRNO'"), IF_7("ALLOW'")), SYS_dup2, 7, 0) == ALLOW);
	CHECK(native(BOTH(ANY("ERRNO'"), IF_7("ALLOW'")), SYS_dup2, 7, 0) == ALLOW);
}

static void test_abis(void)
{
	static const char *const texts[] = {
		"{'defaultAction': 'SCMP_ACT_ALLOW'}",
		"{'defaultAction': 'SCMP_ACT_ALLOW', 'architectures': ['SCMP_ARCH_X86']}",
		"{'defaultAction': 'SCMP_ACT_ALLOW', 'architectures': ['SCMP_ARCH_X86_64', "
		"'SCMP_ARCH_X32', 'SCMP_ARCH_ARM']}",
		"{'defaultAction': 'SCMP_ACT_ALLOW', 'archMap': [{'architecture': "
		"'SCMP_ARCH_AARCH64', 'subArchitectures': ['SCMP_ARCH_X86']}, {'architecture': "
		"'SCMP_ARCH_X86_64', 'subArchitectures': ['SCMP_ARCH_X32']}, {'architecture': "
		"'SCMP_ARCH_X86_64', 'subArchitectures': ['SCMP_ARCH_X86']}]}",
	};

	for (size_t i = 0; i < CTN_COUNT(texts); i++) {
		ctn_autofree char *json = quoted(texts[i]);
		struct seccomp_profile *p = get_profile(json, NULL);

		CHECK(decide(p, AUDIT_ARCH_X86_64, SYS_dup, 0, 0) == ALLOW);
		CHECK(decide(p, AUDIT_ARCH_I386, 41, 0, 0) == (i == 1 ? ALLOW : KILL));
		CHECK(decide(p, AUDIT_ARCH_X86_64, X32 | SYS_dup, 0, 0) == (i > 1 ? ALLOW : KILL));
		CHECK(decide(p, AUDIT_ARCH_AARCH64, 23, 0, 0) == KILL);
		seccomp_profile_put(p);
	}
}

/* What restricts socket or shmget does so through i386's socketcall and ipc, too. */
static void test_multiplexed(void)
{
	ctn_autofree char *json = quoted(
		"{'defaultAction': 'SCMP_ACT_ALLOW', 'architectures': ['SCMP_ARCH_X86'], "
		"'syscalls': "
		"[{'names': ['socketcall', 'ipc'], 'action': 'SCMP_ACT_ALLOW'}, {'names': "
		"['socket', "
		"'shmget'], 'action': 'SCMP_ACT_ERRNO', 'errnoRet': 13}]}");
	struct seccomp_profile *p = get_profile(json, NULL);

	CHECK(decide(p, AUDIT_ARCH_I386, 359, 2, 0) == REFUSE(13));
	CHECK(decide(p, AUDIT_ARCH_I386, 102, 1, 0) == REFUSE(13));
	CHECK(decide(p, AUDIT_ARCH_I386, 102, 2, 0) == ALLOW);
	CHECK(decide(p, AUDIT_ARCH_I386, 395, 1, 0) == REFUSE(13));
	CHECK(decide(p, AUDIT_ARCH_I386, 117, 23, 0) == REFUSE(13));
	CHECK(decide(p, AUDIT_ARCH_I386, 117, 23 | 1 << 16, 0) == REFUSE(13));
	CHECK(decide(p, AUDIT_ARCH_I386, 117, 24, 0) == ALLOW);
	seccomp_profile_put(p);
}

/* What a rule asks for, it asks for all of; what excludes it, each alone does. */
static void test_asked(void)
{
	static const struct {
		const char *asked;
		bool applies; /* to the default capabilities on Linux 6.1 */
	} rows[] = {
		{"'includes': {'caps': ['CAP_CHOWN', 'CAP_KILL']}", true},
		{"'includes': {'caps': ['CAP_CHOWN', 'CAP_SYS_ADMIN']}", false},
		{"'includes': {'minKernel': '6.1'}", true},
		{"'includes': {'minKernel': '6.2'}", false},
		{"'includes': {'minKernel': '5.99.3'}", true},
		{"'includes': {'arches': ['arm64', 'amd64']}", true},
		{"'includes': {'arches': ['arm64']}", false},
		{"'includes': {'arches': [], 'caps': null}, 'excludes': {}", true},
		{"'excludes': {'caps': ['CAP_SYS_ADMIN', 'CAP_CHOWN']}", false},
		{"'excludes': {'caps': ['CAP_SYS_ADMIN']}", true},
		{"'excludes': {'arches': ['s390', 'amd64']}", false},
		{"'excludes': {'arches': ['s390']}", true},
		{"'excludes': {'minKernel': '6.1'}", false},
		{"'includes': {'caps': ['CAP_CHOWN']}, 'excludes': {'caps': ['CAP_KILL']}", false},
	};

	for (size_t i = 0; i < CTN_COUNT(rows); i++) {
		ctn_autofree char *text = NULL;

		CHECK(asprintf(&text,
			       "{" ERRNO_DEFAULT "'syscalls': [{'name': 'dup', 'action': "
			       "'SCMP_ACT_ALLOW', %s}]}",
			       rows[i].asked) > 0);
		CHECK(native(text, SYS_dup, 0, 0) == (rows[i].applies ? ALLOW : REFUSE(EPERM)));
	}
}

static void test_flags(void)
{
	ctn_autofree char *json = quoted("{'defaultAction': 'SCMP_ACT_ALLOW', 'flags': "
					 "['SECCOMP_FILTER_FLAG_LOG', 'SECCOMP_FILTER_FLAG_TSYNC', "
					 "'SECCOMP_FILTER_FLAG_SPEC_ALLOW'], 'listenerPath': ''}");
	struct seccomp_profile *p = get_profile(json, NULL);

	CHECK(seccomp_program(p).flags ==
	      (SECCOMP_FILTER_FLAG_LOG | SECCOMP_FILTER_FLAG_SPEC_ALLOW));
	seccomp_profile_put(p);
}

/* Kept as one line, without what is not known. */
static void test_canonical(void)
{
	ctn_autofree char *json = quoted(
		"{'x': [], 'syscalls': [{'y': 1, 'comment': 'a/b', 'names':\n "
		"['dup', 'nosuch', 'nosuch'], 'action': 'SCMP_ACT_ALLOW', 'args': null}],\n"
		"'defaultAction': 'SCMP_ACT_TRAP'}\n");
	ctn_autofree char *want = quoted(
		"{'syscalls':[{'comment':'a/b','names':['dup','nosuch','nosuch'],"
		"'action':'SCMP_ACT_ALLOW','args':null}],'defaultAction':'SCMP_ACT_TRAP'}");
	ctn_autofree char *kept = NULL;
	struct seccomp_profile *p;

	CHECK(check_text(json, false, &kept, NULL) == 0);
	CHECK_STR(kept, want);
	p = get_profile(kept, NULL);
	CHECK(p->unknown.len == 1 && strcmp(p->unknown.items[0], "nosuch") == 0);
	seccomp_profile_put(p);
	CHECK_ERR(check_text(json, true, NULL, &check_err), EINVAL, "x");
}

static const struct check_test tests[] = {
	{"each comparison, on 64 bits", test_ops},
	{"each action, with its errno", test_actions},
	{"several conditions, several rules", test_together},
	{"ABIs that are not listed are killed", test_abis},
	{"i386's multiplexers are no way around", test_multiplexed},
	{"rules for some capabilities, kernels, hosts", test_asked},
	{"flags", test_flags},
	{"the text that is kept", test_canonical},
};

int main(void)
{
	return check_run(tests, CTN_COUNT(tests));
}
