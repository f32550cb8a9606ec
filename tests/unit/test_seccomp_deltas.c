/* SPDX-License-Identifier: Apache-2.0 */
/* Deltas, what is kept of profiles, and the OCI form and back. */
#include "seccomp.h"

#include "seccomp_fixture.h"

#ifndef TEST_DATA
#define TEST_DATA "tests/data"
#endif

enum { MAX_CALL = 600 };

/* --- deltas -------------------------------------------------------------------------------------
 */

static struct seccomp_profile *with_delta(const char *text, const char *delta)
{
	char *items[] = {(char *)delta, NULL};
	struct strlist deltas = {items, 1};

	return get_profile(text, &deltas);
}

static uint32_t delta_says(const char *text, const char *delta, uint32_t arch, int number,
			   uint64_t a)
{
	ctn_autofree char *json = quoted(text);
	struct seccomp_profile *p = with_delta(json, delta);
	uint32_t action = decide(p, arch, number, a, 0x5412);

	seccomp_profile_put(p);
	return action;
}

static void test_deltas(void)
{
	static const char kill[] = "{'defaultAction': 'SCMP_ACT_KILL'}";
	static const char e38[] =
		"{'defaultAction': 'SCMP_ACT_ERRNO', 'defaultErrnoRet': 38, 'syscalls': "
		"[{'names': ['dup'], 'action': 'SCMP_ACT_ALLOW'}]}";
	const uint32_t x64 = AUDIT_ARCH_X86_64, i386 = AUDIT_ARCH_I386;

	CHECK(delta_says("default", "+mount", x64, SYS_mount, 0) == ALLOW);
	CHECK(delta_says("default", "+mount", i386, 21, 0) == ALLOW);
	CHECK(delta_says("default", "+ioctl", x64, SYS_ioctl, 0) == ALLOW); /* TIOCSTI, too */
	CHECK(delta_says("default", "+clone3", x64, SYS_clone3, 0) == ALLOW);
	CHECK(delta_says("default", "-read", x64, SYS_read, 0) == REFUSE(EPERM));
	CHECK(delta_says("default", "-read", x64, SYS_write, 0) == ALLOW);
	CHECK(delta_says("default", "-clone", x64, SYS_clone, 0) == REFUSE(EPERM));
	CHECK(delta_says(kill, "+read", x64, SYS_read, 0) == ALLOW);
	CHECK(delta_says(kill, "-read", x64, SYS_read, 0) == REFUSE(EPERM));
	CHECK(delta_says(e38, "-dup", x64, SYS_dup, 0) == REFUSE(38));
	CHECK(delta_says(e38, "+cachestat", x64, 451, 0) == ALLOW);
	CHECK(delta_says("none", "-mount", x64, SYS_mount, 0) == REFUSE(EPERM));
	CHECK(delta_says("none", "-mount", x64, X32 | SYS_mount, 0) == REFUSE(EPERM));
	CHECK(delta_says("none", "-mount", i386, 21, 0) == REFUSE(EPERM));
	CHECK(delta_says("none", "-mount", x64, SYS_read, 0) == ALLOW);
	CHECK(delta_says("none", "-mount", i386, 3, 0) == ALLOW);
	CHECK(delta_says("none", "-socket", i386, 102, 1) == REFUSE(EPERM));
}

static void test_bad_deltas(void)
{
	static const struct {
		const char *base, *delta, *says;
	} rows[] = {
		{"default", "+moutn", "did you mean mount?"},
		{"default", "-ptrac", "did you mean ptrace?"},
		{"default", "+", "no system call"},
		{"default", "mount", "neither"},
		{"default", "+arm_sync_file_range", "this machine"},
		{"default",
		 "+aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
		 "no system"},
		{"none", "+mount", "filters nothing"},
	};

	for (size_t i = 0; i < CTN_COUNT(rows); i++) {
		char *items[] = {(char *)rows[i].delta, NULL};
		struct strlist deltas = {items, 1};
		struct seccomp_profile *p = NULL;

		CHECK_ERR(seccomp_profile_get(rows[i].base, &deltas, 0, &p, &check_err), EINVAL,
			  rows[i].says);
		CHECK(p == NULL);
	}
}

/* More profiles than are kept: one that is held stays what it was. */
static void test_bounded(void)
{
	struct seccomp_profile *held = NULL, *p = NULL;
	uint32_t first;

	CHECK(seccomp_profile_get("{\"defaultAction\": \"SCMP_ACT_TRAP\"}", NULL, 0, &held, NULL) ==
	      0);
	first = decide(held, AUDIT_ARCH_X86_64, 0, 0, 0);
	for (uint64_t caps = 1; caps <= 200; caps++) {
		CHECK(seccomp_profile_get("{\"defaultAction\": \"SCMP_ACT_KILL\"}", NULL, caps, &p,
					  NULL) == 0);
		seccomp_profile_put(p);
	}
	CHECK(decide(held, AUDIT_ARCH_X86_64, 0, 0, 0) == first && first == SECCOMP_RET_TRAP);
	seccomp_profile_put(held);
}

/* --- the OCI form and back ----------------------------------------------------------------------
 */

static const uint64_t samples[] = {
	0,
	1,
	2,
	7,
	8,
	37,
	38,
	39,
	40,
	41,
	0x5411,
	0x5412,
	0x5413,
	0x541c,
	0x541d,
	0x20000,
	0x20008,
	0x7e020000,
	0x10000000,
	0x80000000,
	0xffffffff,
	UINT64_C(0x100000026),
	UINT64_C(0x100000028),
	UINT64_C(0x100005412),
	UINT64_C(0x10000541c),
	UINT64_MAX,
};

static void compare(const struct seccomp_profile *a, const struct seccomp_profile *b)
{
	static const uint32_t arches[] = {AUDIT_ARCH_X86_64, AUDIT_ARCH_I386};
	unsigned wrong = 0;

	for (int i = 0; i < 2; i++) {
		for (int number = 0; number < MAX_CALL; number++) {
			for (size_t j = 0; j < CTN_COUNT(samples); j++) {
				uint64_t v = samples[j];

				wrong += decide(a, arches[i], number, v, 3) !=
					 decide(b, arches[i], number, v, 3);
				wrong += decide(a, arches[i], number, 3, v) !=
					 decide(b, arches[i], number, 3, v);
			}
		}
	}
	CHECK(wrong == 0);
}

static void round_trip(const char *text, const char *delta)
{
	struct seccomp_profile *a = delta ? with_delta(text, delta) : get_profile(text, NULL), *b;
	struct json_object *o = NULL;
	const char *said;

	CHECK(seccomp_export_json(a, &o, NULL) == 0 && o);
	said = json_object_to_json_string(o);
	CHECK(check_text(said, true, NULL, &check_err) == 0);
	b = get_profile(said, NULL);
	compare(a, b);
	json_object_put(o);
	seccomp_profile_put(a);
	seccomp_profile_put(b);
}

static void test_round_trip(void)
{
	struct json_object *moby = json_object_from_file(TEST_DATA "/moby-seccomp-default.json");
	struct json_object *o = (void *)1;
	struct seccomp_profile *none = get_profile("none", NULL);

	round_trip("default", NULL);
	round_trip("default", "+ptrace");
	round_trip("default", "-socket");
	round_trip("default", "+ioctl");
	round_trip("none", "-socket");
	round_trip(json_object_to_json_string(moby), NULL);
	round_trip(json_object_to_json_string(moby), "-socket");
	CHECK(seccomp_export_json(none, &o, NULL) == 0 && o == NULL);
	seccomp_profile_put(none);
	json_object_put(moby);
}

static const struct check_test tests[] = {
	{"deltas on each base", test_deltas},
	{"deltas that are wrong", test_bad_deltas},
	{"what is kept is bounded, what is held is not lost", test_bounded},
	{"the OCI form decides the same", test_round_trip},
};

int main(void)
{
	return check_run(tests, CTN_COUNT(tests));
}
