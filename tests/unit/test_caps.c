/* SPDX-License-Identifier: Apache-2.0 */
#include "caps.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>

#include "check.h"
#include "cleanup.h"

#define BIT(n) (UINT64_C(1) << (n))

static void test_all(void)
{
	uint64_t all = caps_all();

	for (int i = 0; i < 64; i++)
		CHECK(((all >> i) & 1) == (i < cap_max_bits() && cap_get_bound(i) == 1));
	CHECK((all & CAPS_DEFAULT) == CAPS_DEFAULT);
}

static void test_accepted(void)
{
	static const struct {
		const char *word;
		uint64_t before, after;
	} rows[] = {
		{"cap_chown", 0, BIT(0)},
		{"chown", 0, BIT(0)},
		{"CAP_CHOWN", BIT(5), BIT(0) | BIT(5)},
		{"Net_Raw", 0, BIT(13)},
		{"+kill", BIT(0), BIT(0) | BIT(5)},
		{"+CAP_KILL", BIT(5), BIT(5)},
		{"-kill", BIT(0) | BIT(5), BIT(0)},
		{"-cap_kill", BIT(0), BIT(0)},
		{"-sys_resource", BIT(24) | BIT(0), BIT(0)}, /* whether we have it or not */
		{"none", UINT64_MAX, 0},
		{"default", BIT(12), CAPS_DEFAULT | BIT(12)},
		{"00000000a80425fb", 0, CAPS_DEFAULT},
		{"0xA80425FB", BIT(12), CAPS_DEFAULT | BIT(12)},
		{"0x1", 0, BIT(0)},
		{"00000021", 0, BIT(0) | BIT(5)},
		{"0x0", BIT(3), BIT(3)},
	};

	for (size_t i = 0; i < CTN_COUNT(rows); i++) {
		struct ctn_err err = {0};
		uint64_t mask = rows[i].before;
		int r = caps_apply(rows[i].word, &mask, &err);

		CHECK(r == 0);
		CHECK(mask == rows[i].after);
		if (r != 0 || mask != rows[i].after)
			printf("# '%s': %d %016llx %s\n", rows[i].word, r, (unsigned long long)mask,
			       err.text);
	}
}

static void test_all_word(void)
{
	uint64_t mask = 0;

	CHECK(caps_apply("all", &mask, NULL) == 0);
	CHECK(mask == caps_all());
}

static void test_refused(void)
{
	static const struct {
		const char *word;
		const char *sentence;
	} rows[] = {
		{"", "wanted"},
		{"cap_chwon", "'cap_chown'"},
		{"chwon", "'chown'"},
		{"CAP_SYS_ADMN", "'cap_sys_admin'"},
		{"+sys_amdin", "'sys_admin'"},
		{"-net_rw", "'net_raw'"},
		{"defualt", "'default'"},
		{"nnoe", "'none'"},
		{"xylophones", "see capabilities(7)"},
		{"q", "see capabilities(7)"},
		{"+", "see capabilities(7)"},
		{"--kill", "'kill'"},
		{"+all", "no capability is called 'all'"},
		{"+0x1", "no capability is called '0x1'"},
		{"cap_kill,cap_chown", "cap_kill,cap_chown"},
		{"cap_kill ", "'cap_kill'"},
		{"0x", "hexadecimal digits"},
		{"0xz", "hexadecimal digits"},
		{"0x10000000000000000", "hexadecimal digits"},
		{"00000000000000000", "hexadecimal digits"},
		{"0x8000000000000000", "this kernel"},
		{"0x1 ", "hexadecimal digits"},
		{"64", "no capability"},
		{"cap_chown\nkill", "cap_chown?kill"},
	};

	for (size_t i = 0; i < CTN_COUNT(rows); i++) {
		uint64_t mask = BIT(7) | BIT(9);

		CHECK_ERR(caps_apply(rows[i].word, &mask, &check_err), EINVAL, rows[i].sentence);
		CHECK(mask == (BIT(7) | BIT(9)));
	}
}

static void test_long_word(void)
{
	char word[100000];
	uint64_t mask = 0;

	memset(word, 'c', sizeof(word) - 1);
	word[sizeof(word) - 1] = '\0';
	CHECK_ERR(caps_apply(word, &mask, &check_err), EINVAL, "hexadecimal");
	word[0] = 'x';
	CHECK_ERR(caps_apply(word, &mask, &check_err), EINVAL, "xccc");
	CHECK(mask == 0);
}

static void test_lacking(void)
{
	uint64_t known = BIT(cap_max_bits()) - 1, mask = 1, lacking = known & ~caps_all();
	char name[32], hex[32];

	if (!lacking) { /* a machine whose root has everything: give something up, here only */
		CHECK(cap_drop_bound(CAP_SYS_RESOURCE) == 0);
		lacking = BIT(CAP_SYS_RESOURCE);
	}
	caps_name((unsigned)__builtin_ctzll(lacking), name, sizeof(name));
	snprintf(hex, sizeof(hex), "0x%llx", (unsigned long long)known);
	CHECK_ERR(caps_apply(name, &mask, &check_err), EPERM, name);
	CHECK_ERR(caps_apply(hex, &mask, &check_err), EPERM, name);
	CHECK(mask == 1);
	CHECK(caps_apply("all", &mask, NULL) == 0 && !(mask & lacking));
}

static void test_names(void)
{
	char name[32];

	CHECK_STR(caps_name(0, name, sizeof(name)), "cap_chown");
	CHECK_STR(caps_name(21, name, sizeof(name)), "cap_sys_admin");
	CHECK_STR(caps_name(63, name, sizeof(name)), "63");
	CHECK_STR(caps_name(1000, name, sizeof(name)), "1000");
	CHECK_STR(caps_name(0, name, 4), "cap");
	for (unsigned i = 0; i < (unsigned)cap_max_bits(); i++) { /* what is read can be written */
		uint64_t mask = BIT(i);
		char minus[40];

		snprintf(minus, sizeof(minus), "-%s", caps_name(i, name, sizeof(name)));
		CHECK(caps_apply(minus, &mask, NULL) == 0 && mask == 0);
	}
}

static void test_print(void)
{
	ctn_autofree char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	caps_print_lines(out, 0);
	caps_print_lines(out, BIT(0) | BIT(5));
	caps_print_set(out, "CapBnd", BIT(0) | BIT(1));
	caps_print_set(out, "CapAmb", 0);
	caps_print_set(out, "CapEff", BIT(63));
	fclose(out);
	CHECK_STR(text, "none\ncap_chown\ncap_kill\n"
			"CapBnd:\t0000000000000003\tcap_chown,cap_dac_override\n"
			"CapAmb:\t0000000000000000\tnone\n"
			"CapEff:\t8000000000000000\t63\n");
}

static const struct check_test tests[] = {
	{"caps_all is what the bounding set has", test_all},
	{"words that are accepted", test_accepted},
	{"'all' is all that there is", test_all_word},
	{"words that are refused, with a suggestion, and nothing changed", test_refused},
	{"a word of 100,000 letters", test_long_word},
	{"names, numbers, and back", test_names},
	{"the text of masks", test_print},
	{"what the bounding set lacks is EPERM", test_lacking}, /* last: it may drop one */
};

int main(void)
{
	return check_run(tests, CTN_COUNT(tests));
}
