/* SPDX-License-Identifier: Apache-2.0 */
/* The keys that detach. */
#include "monitor/attach.h"

#include "check.h"
#include "cleanup.h"

static void check_bytes(const char *text, const char *want, size_t len)
{
	struct keys k = {.len = 99};

	CHECK(keys_parse(text, &k, NULL) == 0);
	CHECK(k.len == len && k.held == 0 && memcmp(k.bytes, want, len) == 0);
}

static void test_parse(void)
{
	check_bytes("", "", 0);
	check_bytes("ctrl-p,ctrl-q", "\x10\x11", 2);
	check_bytes("ctrl-a,d",
		    "\x01"
		    "d",
		    2);
	check_bytes("ctrl-z", "\x1a", 1);
	check_bytes("ctrl-A,ctrl-@,ctrl-[,ctrl-\\,ctrl-],ctrl-^,ctrl-_",
		    "\x01\x00\x1b\x1c\x1d\x1e\x1f", 7);
	check_bytes("~,.,-, ", "~.- ", 4);
	check_bytes("\xff", "\xff", 1);
	check_bytes("a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p", "abcdefghijklmnop", KEYS_MAX);
}

static void test_refused(void)
{
	static const char *const wrong[] = {
		",",  ",a",	"a,",	  "a,,b",   "aa",     "ctrl-", "ctrl-ab",
		"^p", "Ctrl-p", "ctrl-1", "ctrl- ", "ctrl-{", "ctrl",  "ctrl-p ctrl-q",
	};
	struct keys k = {.len = 99};

	for (size_t i = 0; i < CTN_COUNT(wrong); i++)
		CHECK_ERR(keys_parse(wrong[i], &k, &check_err), EINVAL, "is no key");
	CHECK_ERR(keys_parse("a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q", &k, &check_err), EINVAL, "16");
	CHECK(k.len == 99);
}

/* What of @typed is passed on until the keys are complete, then '!'. */
static const char *fed(const char *keys, const char *typed)
{
	static char out[256];
	struct keys k;
	size_t len = 0;

	CHECK(keys_parse(keys, &k, NULL) == 0);
	for (; *typed; typed++) {
		unsigned char some[KEYS_MAX];
		size_t n = 99;
		bool all = keys_feed(&k, (unsigned char)*typed, some, &n);

		CHECK(n <= KEYS_MAX);
		memcpy(out + len, some, n);
		len += n;
		if (all)
			out[len++] = '!';
	}
	out[len] = '\0';
	return out;
}

static void test_feed(void)
{
	CHECK_STR(fed("", "abc"), "abc");
	CHECK_STR(fed("q", "abqc"), "ab!c");
	CHECK_STR(fed("a,b", "ab"), "!");
	CHECK_STR(fed("a,b", "xaby"), "x!y");
	CHECK_STR(fed("a,b", "a"), "");
	CHECK_STR(fed("a,b", "ac"), "ac");
	CHECK_STR(fed("a,b", "aab"), "a!");
	CHECK_STR(fed("a,b", "ba"), "b");
	CHECK_STR(fed("a,b", "abab"), "!!");
}

/* Where a new beginning is inside of what was kept back. */
static void test_overlap(void)
{
	CHECK_STR(fed("a,a,b", "aaab"), "a!");
	CHECK_STR(fed("a,a,b", "aaaac"), "aaaac");
	CHECK_STR(fed("a,b,a,c", "ababac"), "ab!");
	CHECK_STR(fed("a,b,a,c", "abac"), "!");
	CHECK_STR(fed("a,b,a,c", "abaabac"), "aba!");
	CHECK_STR(fed("a,b,a,b,c", "abababc"), "ab!");
	CHECK_STR(fed("a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a", "aaaaaaaaaaaaaaab"), "aaaaaaaaaaaaaaab");
}

static void test_bytes(void)
{
	struct keys k = {.len = 0};
	unsigned char out[KEYS_MAX];
	size_t n = 99;

	CHECK(keys_parse("ctrl-@,\xff", &k, NULL) == 0);
	CHECK(!keys_feed(&k, 0, out, &n) && n == 0);
	CHECK(!keys_feed(&k, 0, out, &n) && n == 1 && out[0] == 0);
	CHECK(keys_feed(&k, 0xff, out, &n) && n == 0 && k.held == 0);
}

static const struct check_test tests[] = {
	{"keys are bytes", test_parse},
	{"what is no key", test_refused},
	{"only the keys are kept back", test_feed},
	{"keys that begin in the middle of others", test_overlap},
	{"any byte", test_bytes},
};

int main(void)
{
	return check_run(tests, CTN_COUNT(tests));
}
