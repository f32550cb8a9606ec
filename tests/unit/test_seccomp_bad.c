/* SPDX-License-Identifier: Apache-2.0 */
/* JSON profiles that are wrong: each is refused, and the sentence says where. */
#include "seccomp.h"

#include "seccomp_fixture.h"

/* clang-format off */
#define RULE(members) \
	ERRNO_DEFAULT "'syscalls': [{'names': ['read'], 'action': 'SCMP_ACT_ALLOW'}, {" members "}]"
#define CALL(members)  RULE("'names': ['read'], 'action': 'SCMP_ACT_ALLOW', " members)
#define ARG(members)   CALL("'args': [{" members "}]")
#define ASKED(members) CALL("'includes': {" members "}")

/* Each without its outer braces, which are added. */
static const struct {
	const char *json;
	int code;
	const char *path, *says;
} bad[] = {
	{"", EINVAL, "defaultAction", "missing"},
	{"'syscalls': []", EINVAL, "defaultAction", "missing"},
	{"'defaultAction': null", EINVAL, "defaultAction", "missing"},
	{"'defaultAction': 1", EINVAL, "defaultAction", "string"},
	{"'defaultAction': 'ALLOW'", EINVAL, "defaultAction", "'ALLOW' is no action"},
	{"'defaultAction': 'SCMP_ACT_NOTIFY'", EOPNOTSUPP, "defaultAction", "SCMP_ACT_NOTIFY"},
	{"'defaultAction': 'SCMP_ACT_ALLOW', 'defaultErrnoRet': 1", EINVAL, "defaultErrnoRet", "takes no errno"},
	{ERRNO_DEFAULT "'defaultErrnoRet': 4096", EINVAL, "defaultErrnoRet", "4094"},
	{ERRNO_DEFAULT "'defaultErrnoRet': -1", EINVAL, "defaultErrnoRet", ""},
	{ERRNO_DEFAULT "'defaultErrnoRet': '1'", EINVAL, "defaultErrnoRet", ""},
	{ERRNO_DEFAULT "'architectures': 'SCMP_ARCH_X86'", EINVAL, "architectures", "array"},
	{ERRNO_DEFAULT "'architectures': ['amd64']", EINVAL, "architectures[0]", "'amd64'"},
	{ERRNO_DEFAULT "'architectures': ['SCMP_ARCH_X86', 5]", EINVAL, "architectures[1]", "string"},
	{ERRNO_DEFAULT "'architectures': ['SCMP_ARCH_X86'], 'archMap': [{'architecture': 'SCMP_ARCH_X86_64'}]", EINVAL, "architectures", "archMap"},
	{ERRNO_DEFAULT "'archMap': [{}]", EINVAL, "archMap[0]", "architecture is missing"},
	{ERRNO_DEFAULT "'archMap': [{'architecture': 'SCMP_ARCH_Z80'}]", EINVAL, "archMap[0].architecture", "Z80"},
	{ERRNO_DEFAULT "'archMap': [{'architecture': 'SCMP_ARCH_X86_64', 'subArchitectures': ['x']}]", EINVAL, "archMap[0].subArchitectures[0]", "'x'"},
	{ERRNO_DEFAULT "'archMap': {}", EINVAL, "archMap", "array"},
	{ERRNO_DEFAULT "'flags': ['LOG']", EINVAL, "flags[0]", "'LOG' is no flag"},
	{ERRNO_DEFAULT "'flags': ['SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV']", EOPNOTSUPP, "flags[0]", "listener"},
	{ERRNO_DEFAULT "'listenerPath': '/run/s'", EOPNOTSUPP, "listenerPath", "listener"},
	{ERRNO_DEFAULT "'listenerMetadata': 'x'", EOPNOTSUPP, "listenerMetadata", "listener"},
	{ERRNO_DEFAULT "'listenerPath': 1", EINVAL, "listenerPath", "string"},
	{ERRNO_DEFAULT "'syscalls': {}", EINVAL, "syscalls", "array"},
	{ERRNO_DEFAULT "'syscalls': ['read']", EINVAL, "syscalls[0]", "object"},
	{ERRNO_DEFAULT "'syscals': []", EINVAL, "syscals", "no such key"},
	{RULE(""), EINVAL, "syscalls[1]", "action is missing"},
	{RULE("'names': ['read']"), EINVAL, "syscalls[1]", "action is missing"},
	{RULE("'action': 'SCMP_ACT_ALLOW'"), EINVAL, "syscalls[1]", "names is missing"},
	{RULE("'names': [], 'action': 'SCMP_ACT_ALLOW'"), EINVAL, "syscalls[1]", "names is missing"},
	{RULE("'names': 'read', 'action': 'SCMP_ACT_ALLOW'"), EINVAL, "syscalls[1].names", "array"},
	{RULE("'names': [1], 'action': 'SCMP_ACT_ALLOW'"), EINVAL, "syscalls[1].names[0]", "string"},
	{RULE("'names': ['re ad'], 'action': 'SCMP_ACT_ALLOW'"), EINVAL, "syscalls[1].names[0]", "'re ad'"},
	{RULE("'names': ['a\\n+mount'], 'action': 'SCMP_ACT_ALLOW'"), EINVAL, "syscalls[1].names[0]", "name"},
	{RULE("'names': [''], 'action': 'SCMP_ACT_ALLOW'"), EINVAL, "syscalls[1].names[0]", "name"},
	{RULE("'name': 'read', 'names': ['write'], 'action': 'SCMP_ACT_ALLOW'"), EINVAL, "syscalls[1].name", "either"},
	{RULE("'name': 7, 'action': 'SCMP_ACT_ALLOW'"), EINVAL, "syscalls[1].name", "string"},
	{RULE("'names': ['read'], 'action': 'allow'"), EINVAL, "syscalls[1].action", "'allow'"},
	{RULE("'names': ['read'], 'action': 'SCMP_ACT_NOTIFY'"), EOPNOTSUPP, "syscalls[1].action", "NOTIFY"},
	{CALL("'errnoRet': 5"), EINVAL, "syscalls[1].errnoRet", "takes no errno"},
	{RULE("'names': ['read'], 'action': 'SCMP_ACT_ERRNO', 'errnoRet': 70000"), EINVAL, "syscalls[1].errnoRet", "4094"},
	{RULE("'names': ['read'], 'action': 'SCMP_ACT_TRACE', 'errnoRet': 70000"), EINVAL, "syscalls[1].errnoRet", "65535"},
	{CALL("'comment': ['x']"), EINVAL, "syscalls[1].comment", "string"},
	{CALL("'arg': []"), EINVAL, "syscalls[1].arg", "no such key"},
	{CALL("'args': {}"), EINVAL, "syscalls[1].args", "array"},
	{CALL("'args': [7]"), EINVAL, "syscalls[1].args[0]", "object"},
	{ARG("'value': 1, 'op': 'SCMP_CMP_EQ'"), EINVAL, "syscalls[1].args[0]", "index is missing"},
	{ARG("'index': 6, 'value': 1, 'op': 'SCMP_CMP_EQ'"), EINVAL, "syscalls[1].args[0].index", "5"},
	{ARG("'index': -1, 'value': 1, 'op': 'SCMP_CMP_EQ'"), EINVAL, "syscalls[1].args[0].index", ""},
	{ARG("'index': 0, 'op': 'SCMP_CMP_EQ'"), EINVAL, "syscalls[1].args[0]", "value is missing"},
	{ARG("'index': 0, 'value': 18446744073709551616, 'op': 'SCMP_CMP_EQ'"), EINVAL, "", ""},
	{ARG("'index': 0, 'value': 1.5, 'op': 'SCMP_CMP_EQ'"), EINVAL, "syscalls[1].args[0].value", ""},
	{ARG("'index': 0, 'value': 1"), EINVAL, "syscalls[1].args[0]", "op is missing"},
	{ARG("'index': 0, 'value': 1, 'op': '=='"), EINVAL, "syscalls[1].args[0].op", "'=='"},
	{ARG("'index': 0, 'value': 1, 'op': 'SCMP_CMP_EQ', 'valueTwo': 2"), EINVAL, "syscalls[1].args[0].valueTwo", "MASKED_EQ"},
	{ARG("'index': 0, 'value': 1, 'op': 'SCMP_CMP_EQ', 'mask': 2"), EINVAL, "syscalls[1].args[0].mask", "no such key"},
	{CALL("'includes': []"), EINVAL, "syscalls[1].includes", "object"},
	{ASKED("'caps': ['CAP_NONESUCH']"), EINVAL, "syscalls[1].includes.caps[0]", "CAP_NONESUCH"},
	{ASKED("'caps': 'CAP_SYS_ADMIN'"), EINVAL, "syscalls[1].includes.caps", "array"},
	{ASKED("'arches': ['z80']"), EINVAL, "syscalls[1].includes.arches[0]", "z80"},
	{ASKED("'minKernel': '4'"), EINVAL, "syscalls[1].includes.minKernel", "'4'"},
	{ASKED("'minKernel': 4.8"), EINVAL, "syscalls[1].includes.minKernel", "string"},
	{ASKED("'minKernel': '4.8x'"), EINVAL, "syscalls[1].includes.minKernel", "4.8x"},
	{ASKED("'maxKernel': '4.8'"), EINVAL, "syscalls[1].includes.maxKernel", "no such key"},
	{CALL("'excludes': {'caps': [1]}"), EINVAL, "syscalls[1].excludes.caps[0]", "string"},
	{CALL("'excludes': {'cap': []}"), EINVAL, "syscalls[1].excludes.cap", "no such key"},
};
/* clang-format on */

static void test_bad(void)
{
	for (size_t i = 0; i < CTN_COUNT(bad); i++) {
		ctn_autofree char *text = NULL, *json = NULL, *kept = NULL;
		struct ctn_err err = {0};
		int r;

		CHECK(asprintf(&text, "{%s}", bad[i].json) > 0);
		json = quoted(text);
		r = check_text(json, true, &kept, &err);
		if (r == -bad[i].code && err.code == bad[i].code && strstr(err.text, bad[i].path) &&
		    strstr(err.text, bad[i].says) && strstr(err.text, "line 1, column") && !kept)
			continue;
		printf("# %s: %d, \"%s\"\n", bad[i].json, r, err.text);
		check_failures++;
	}
}

static void test_bounds(void)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	fputs("{\"defaultAction\": \"SCMP_ACT_ERRNO\", \"syscalls\": [", out);
	for (int i = 0; i < 41; i++) {
		fprintf(out, "%s{\"action\": \"SCMP_ACT_ALLOW\", \"names\": [\"read\"",
			i ? "," : "");
		for (int j = 0; j < 200; j++)
			fputs(",\"read\"", out);
		fputs("]}", out);
	}
	fputs("]}", out);
	fclose(out);
	CHECK_ERR(check_text(text, true, NULL, &check_err), E2BIG, "8192");
	free(text);
}

/* A program with too many conditions for the kernel. */
static void test_too_long(void)
{
	struct seccomp_profile *p = NULL;
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	fputs("{\"defaultAction\": \"SCMP_ACT_ERRNO\", \"syscalls\": [", out);
	for (int i = 0; i < 4000; i++)
		fprintf(out,
			"%s{\"action\": \"SCMP_ACT_ALLOW\", \"names\": [\"ioctl\"], \"args\": "
			"[{\"index\": 1, \"value\": %llu, \"op\": \"SCMP_CMP_EQ\"}]}",
			i ? "," : "", (unsigned long long)i << 32 | (unsigned)i);
	fputs("]}", out);
	fclose(out);
	CHECK(check_text(text, true, NULL, NULL) == 0);
	CHECK_ERR(seccomp_profile_get(text, NULL, 0, &p, &check_err), E2BIG, "4096");
	CHECK(p == NULL);
	free(text);
}

static const struct check_test tests[] = {
	{"wrong documents are refused where they are wrong", test_bad},
	{"rules are bounded", test_bounds},
	{"a program that the kernel would not take is refused", test_too_long},
};

int main(void)
{
	return check_run(tests, CTN_COUNT(tests));
}
