/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The default profile, and docker's own file as a profile: the compiled programs are interpreted
 * for each call number and many arguments, and must answer what docker's file says; the default
 * profile but for the list below.
 */
#include "seccomp.h"

#include <json-c/json.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <linux/version.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>

#include "bpf.h"
#include "check.h"
#include "cleanup.h"
#include "seccomp_rules.h"

#ifndef TEST_DATA
#define TEST_DATA "tests/data"
#endif

enum { MAX_CALL = 600, MAX_MOBY_RULES = 64, ABIS = 3, X32_BIT = 0x40000000 };

#define DEFAULT_CAPS UINT64_C(0xa80425fb)
#define ALL_CAPS     ((UINT64_C(1) << 41) - 1)
#define REFUSE(code) (SECCOMP_RET_ERRNO | (code))
#define HIGH	     (UINT64_C(1) << 32)
#define KERNEL_NOW   KERNEL_VERSION(6, 1, 0) /* the file asks for 4.8, so any later one */

/* Every difference from docker's file that there may be; x32 is tested apart. */
static const struct tightening {
	uint32_t arch;
	int number;
	int arg; /* -1: whatever the arguments */
	uint32_t value;
	int code;
} tightenings[] = {
	{AUDIT_ARCH_X86_64, 41, 0, 38, EPERM},	   /* socket(AF_ALG + 2^32) */
	{AUDIT_ARCH_X86_64, 41, 0, 40, EPERM},	   /* socket(AF_VSOCK + 2^32) */
	{AUDIT_ARCH_I386, 102, -1, 0, ENOSYS},	   /* socketcall */
	{AUDIT_ARCH_X86_64, 16, 1, 0x5412, EPERM}, /* ioctl(TIOCSTI) */
	{AUDIT_ARCH_I386, 54, 1, 0x5412, EPERM},
	{AUDIT_ARCH_X86_64, 16, 1, 0x541c, EPERM}, /* ioctl(TIOCLINUX) */
	{AUDIT_ARCH_I386, 54, 1, 0x541c, EPERM},
};
static unsigned long tightening_seen[CTN_COUNT(tightenings)];

/* The kernel's numbers of calls that this libseccomp may not know. */
static const char *const young_names[] = {
	"cachestat",	     "fchmodat2",	  "map_shadow_stack", "futex_wake",
	"futex_wait",	     "futex_requeue",	  "statmount",	      "listmount",
	"lsm_get_self_attr", "lsm_set_self_attr", "lsm_list_modules", "mseal",
	"setxattrat",	     "getxattrat",	  "listxattrat",      "removexattrat",
};
enum { YOUNG_FIRST = 451, MAP_SHADOW_STACK = 453, URETPROBE = 335 };

/* --- docker's file ---------------------------------------------------------------------------- */

struct moby_rule {
	struct json_object *json, *args;
	uint32_t action;
};

static struct json_object *moby_file;
static struct moby_rule moby[MAX_MOBY_RULES];
static size_t moby_count;
static uint64_t moby_caps;			/* every capability that the file asks about */
static uint64_t moby_named[ABIS][MAX_CALL + 1]; /* rules that name the call, by ABI and number */
static const uint32_t arches[ABIS] = {AUDIT_ARCH_X86_64, AUDIT_ARCH_I386, AUDIT_ARCH_X86_64};
static const int bits[ABIS] = {0, 0, X32_BIT};
static const uint32_t tokens[ABIS] = {SCMP_ARCH_X86_64, SCMP_ARCH_X86, SCMP_ARCH_X32};

static struct json_object *member(struct json_object *object, const char *name)
{
	struct json_object *value = NULL;

	json_object_object_get_ex(object, name, &value);
	return value;
}

static bool has_string(struct json_object *array, const char *text)
{
	for (size_t i = 0; array && i < json_object_array_length(array); i++) {
		if (strcmp(json_object_get_string(json_object_array_get_idx(array, i)), text) == 0)
			return true;
	}
	return false;
}

static uint64_t cap_mask(struct json_object *array)
{
	uint64_t mask = 0;

	for (size_t i = 0; array && i < json_object_array_length(array); i++) {
		cap_value_t cap = -1;

		CHECK(cap_from_name(json_object_get_string(json_object_array_get_idx(array, i)),
				    &cap) == 0);
		mask |= UINT64_C(1) << (cap & 63);
	}
	return mask;
}

static char *call_name(int abi, int number)
{
	char *name = seccomp_syscall_resolve_num_arch(tokens[abi], number | bits[abi]);
	int young = number - YOUNG_FIRST;

	if (abi == 2 && number == MAP_SHADOW_STACK) /* there is none */
		return name;
	if (!name && young >= 0 && young < (int)CTN_COUNT(young_names))
		return strdup(young_names[young]);
	if (!name && abi == 0 && number == URETPROBE)
		return strdup("uretprobe");
	return name;
}

static void moby_read(void)
{
	struct json_object *calls;

	moby_file = json_object_from_file(TEST_DATA "/moby-seccomp-default.json");
	calls = moby_file ? member(moby_file, "syscalls") : NULL;
	CHECK(calls != NULL);
	if (!calls)
		exit(1);
	CHECK_STR(json_object_get_string(member(moby_file, "defaultAction")), "SCMP_ACT_ERRNO");
	CHECK(json_object_get_int(member(moby_file, "defaultErrnoRet")) == EPERM);
	moby_count = json_object_array_length(calls);
	CHECK(moby_count <= MAX_MOBY_RULES);
	for (size_t i = 0; i < moby_count; i++) {
		struct json_object *rule = json_object_array_get_idx(calls, i);
		const char *action = json_object_get_string(member(rule, "action"));

		moby[i] = (struct moby_rule){rule, member(rule, "args"), SECCOMP_RET_ALLOW};
		if (strcmp(action, "SCMP_ACT_ALLOW") != 0)
			moby[i].action = REFUSE(
				(uint32_t)json_object_get_int(member(rule, "errnoRet")));
		moby_caps |= cap_mask(member(member(rule, "includes"), "caps")) |
			     cap_mask(member(member(rule, "excludes"), "caps"));
	}
	for (int abi = 0; abi < ABIS; abi++) {
		for (int number = 0; number <= MAX_CALL; number++) {
			ctn_autofree char *name = call_name(abi, number);

			for (size_t i = 0; name && i < moby_count; i++) {
				if (has_string(member(moby[i].json, "names"), name))
					moby_named[abi][number] |= UINT64_C(1) << i;
			}
		}
	}
}

/* The rules of the file that hold for these capabilities and this kernel on an amd64 host. */
static uint64_t moby_in_force(uint64_t caps, uint32_t kernel)
{
	uint64_t in_force = 0;

	for (size_t i = 0; i < moby_count; i++) {
		struct json_object *in = member(moby[i].json, "includes");
		struct json_object *ex = member(moby[i].json, "excludes");
		uint64_t wanted = cap_mask(member(in, "caps"));
		const char *min = json_object_get_string(member(in, "minKernel"));
		unsigned major = 0, minor = 0;

		if ((wanted & ~caps) || (cap_mask(member(ex, "caps")) & caps))
			continue;
		if (member(in, "arches") && !has_string(member(in, "arches"), "amd64"))
			continue;
		if (has_string(member(ex, "arches"), "amd64"))
			continue;
		if (min && sscanf(min, "%u.%u", &major, &minor) == 2 &&
		    kernel < KERNEL_VERSION(major, minor, 0))
			continue;
		in_force |= UINT64_C(1) << i;
	}
	return in_force;
}

static bool moby_args_match(const struct moby_rule *rule, const struct seccomp_data *data)
{
	for (size_t i = 0; rule->args && i < json_object_array_length(rule->args); i++) {
		struct json_object *arg = json_object_array_get_idx(rule->args, i);
		const char *op = json_object_get_string(member(arg, "op"));
		uint64_t value = json_object_get_uint64(member(arg, "value"));
		uint64_t two = json_object_get_uint64(member(arg, "valueTwo"));
		uint64_t have = data->args[json_object_get_int(member(arg, "index"))];
		bool match;

		/* libseccomp, and so runc, takes x32's arguments for 32-bit ones, too. */
		if (data->arch == AUDIT_ARCH_I386 || data->nr & X32_BIT)
			have = (uint32_t)have;
		if (strcmp(op, "SCMP_CMP_LT") == 0)
			match = have < value;
		else if (strcmp(op, "SCMP_CMP_GT") == 0)
			match = have > value;
		else if (strcmp(op, "SCMP_CMP_MASKED_EQ") == 0)
			match = (have & value) == two;
		else
			match = strcmp(op, "SCMP_CMP_EQ") == 0 && have == value;
		if (!match)
			return false;
	}
	return true;
}

static uint32_t moby_says(uint64_t in_force, int abi, const struct seccomp_data *data)
{
	uint64_t rules = moby_named[abi][data->nr & ~X32_BIT] & in_force;

	for (; rules; rules &= rules - 1) {
		const struct moby_rule *rule = &moby[__builtin_ctzll(rules)];

		if (moby_args_match(rule, data))
			return rule->action;
	}
	return REFUSE(EPERM);
}

static uint32_t tighten(const struct seccomp_data *data, uint32_t action)
{
	for (size_t i = 0; i < CTN_COUNT(tightenings); i++) {
		const struct tightening *t = &tightenings[i];

		if (t->arch != data->arch || t->number != data->nr)
			continue;
		if (t->arg >= 0 && (uint32_t)data->args[t->arg] != t->value)
			continue;
		tightening_seen[i] += action != REFUSE((uint32_t)t->code);
		return REFUSE((uint32_t)t->code);
	}
	return action;
}

/* --- the comparison --------------------------------------------------------------------------- */

/* Each with its neighbours, and each again with high bits. */
static const uint64_t samples[] = {
	0x0,	    0x1,	0x7,	    0x8,	0x9,	    0x11,	0x25,
	0x26,	    0x27,	0x28,	    0x29,	0x2a,	    0x80,	0x5411,
	0x5412,	    0x5413,	0x541b,	    0x541c,	0x541d,	    0x1ffff,	0x20000,
	0x20001,    0x20007,	0x20008,    0x20009,	0x1000000,  0x2000000,	0x4000000,
	0x8000000,  0x10000000, 0x20000000, 0x40000000, 0x80000000, 0x7e020000, 0x81fdffff,
	0x81fdfffe, 0xfffffffe, 0xffffffff,
};
static const uint64_t high_bits[] = {0, HIGH, HIGH << 31, UINT64_MAX << 32};

static unsigned long compared;
static bool as_json; /* docker's file itself is the profile */

static bool compare_one(const struct seccomp_program *program, uint64_t in_force, int abi,
			struct seccomp_data *data)
{
	uint32_t have = bpf_run(program, data);
	uint32_t want = moby_says(in_force, abi, data);

	compared++;
	if (!as_json)
		want = tighten(data, want);
	if (have == want)
		return true;
	printf("# %s call %d(%#llx, %#llx): %#x, not %#x\n",
	       abi == 2 ? "x32"
	       : abi	? "i386"
			: "x86_64",
	       data->nr, (unsigned long long)data->args[0], (unsigned long long)data->args[1], have,
	       want);
	return false;
}

static void compare_call(const struct seccomp_program *program, uint64_t in_force, int abi,
			 int number)
{
	for (size_t i = 0; i < CTN_COUNT(samples) * CTN_COUNT(high_bits); i++) {
		uint64_t v = samples[i % CTN_COUNT(samples)] | high_bits[i / CTN_COUNT(samples)];
		struct seccomp_data rows[] = {
			{number | bits[abi], arches[abi], 0, {v, 3, 3, 3, 3, 3}},
			{number | bits[abi], arches[abi], UINT64_MAX, {3, v, 3, 3, 3, 3}},
			{number | bits[abi], arches[abi], 0, {v, v, v, v, v, v}},
		};

		for (size_t j = 0; j < CTN_COUNT(rows); j++) {
			if (!compare_one(program, in_force, abi, &rows[j])) {
				check_failures++;
				return; /* one line a call is enough */
			}
		}
	}
}

static struct seccomp_profile *profile_for(uint64_t caps, uint32_t kernel)
{
	const char *text = as_json ? json_object_to_json_string(moby_file) : "default";
	struct seccomp_profile *profile = NULL;
	struct ctn_err err = {0};
	struct seccomp_program program;

	CHECK(seccomp_resolve(text, NULL, caps, kernel, &profile, &err) == 0);
	CHECK_STR(err.text, "");
	if (!profile)
		exit(1);
	program = seccomp_program(profile);
	CHECK(program.len > 100 && program.len <= BPF_MAXINSNS);
	return profile;
}

static void compare_profile(uint64_t caps, uint32_t kernel)
{
	struct seccomp_profile *profile = profile_for(caps, kernel);
	struct seccomp_program program = seccomp_program(profile);
	uint64_t in_force = moby_in_force(caps, kernel);

	for (int abi = 0; abi < (as_json ? ABIS : 2); abi++) {
		for (int number = 0; number <= MAX_CALL; number++)
			compare_call(&program, in_force, abi, number);
	}
	seccomp_profile_put(profile);
}

static void test_equal(void)
{
	compare_profile(DEFAULT_CAPS, KERNEL_NOW);
	compare_profile(0, KERNEL_NOW);
	compare_profile(ALL_CAPS, KERNEL_NOW);
	compare_profile(DEFAULT_CAPS, KERNEL_VERSION(4, 7, 0));
	for (uint64_t caps = moby_caps; caps; caps &= caps - 1)
		compare_profile(DEFAULT_CAPS | (caps & -caps), KERNEL_NOW);
	printf("# %lu decisions compared\n", compared);
}

static void test_file(void)
{
	as_json = true;
	test_equal();
	as_json = false;
}

/* Every one of them makes a difference. */
static void test_tightenings(void)
{
	for (size_t i = 0; i < CTN_COUNT(tightenings); i++)
		CHECK(tightening_seen[i] > 0);
}

static const struct check_test tests[] = {
	{"docker's file can be read", moby_read},
	{"each call has docker's answer, for each capability that matters", test_equal},
	{"the list of differences is exact", test_tightenings},
	{"docker's file as a profile decides as it says, on x32, too", test_file},
};

int main(void)
{
	int status = check_run(tests, CTN_COUNT(tests));

	json_object_put(moby_file);
	return status;
}
