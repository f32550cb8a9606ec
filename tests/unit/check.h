/* SPDX-License-Identifier: Apache-2.0 */
/* The unit tests' frame: plain programs that print TAP and exit with 1 when a test failed. */
#ifndef CTNFS_TESTS_UNIT_CHECK_H
#define CTNFS_TESTS_UNIT_CHECK_H

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "err.h"

/** struct check_test - one row of a program's table; @run reports through the macros below. */
struct check_test {
	const char *name;
	void (*run)(void);
};

static unsigned check_failures;	 /* of the test that runs now */
static struct ctn_err check_err; /* for the call inside CHECK_ERR() */

/* Reports a broken condition and goes on, so that one run shows all of them. */
#define CHECK(cond)                                                                   \
	do {                                                                          \
		if (!(cond)) {                                                        \
			printf("# %s:%d: not true: %s\n", __FILE__, __LINE__, #cond); \
			check_failures++;                                             \
		}                                                                     \
	} while (0)

/* The same for two strings, showing both. */
#define CHECK_STR(have, want) check_str(__FILE__, __LINE__, #have, have, want)

/* @call passes &check_err; it must return -@errnum, leave it there, and a sentence with @substring:
 * CHECK_ERR(parse_u64("x", "1.5", 9, &n, &check_err), EINVAL, "1.5"); */
#define CHECK_ERR(call, errnum, substring)                                         \
	do {                                                                       \
		memset(&check_err, 0, sizeof(check_err));                          \
		check_refused(__FILE__, __LINE__, #call, call, errnum, substring); \
	} while (0)

static inline void check_str(const char *file, int line, const char *what, const char *have,
			     const char *want)
{
	if (have && want && strcmp(have, want) == 0)
		return;
	printf("# %s:%d: %s is \"%s\", not \"%s\"\n", file, line, what, have ? have : "(null)",
	       want ? want : "(null)");
	check_failures++;
}

static inline void check_refused(const char *file, int line, const char *call, long result,
				 int errnum, const char *substring)
{
	if (result == -errnum && check_err.code == errnum && strstr(check_err.text, substring))
		return;
	printf("# %s:%d: %s: returned %ld, code %d, \"%s\"; expected -%d and \"%s\"\n", file, line,
	       call, result, check_err.code, check_err.text, errnum, substring);
	check_failures++;
}

/* main() of every test program: `return check_run(tests, CTN_COUNT(tests));` */
static inline int check_run(const struct check_test *tests, size_t count)
{
	int status = 0;

	printf("1..%zu\n", count);
	for (size_t i = 0; i < count; i++) {
		check_failures = 0;
		tests[i].run();
		printf("%s %zu - %s\n", check_failures ? "not ok" : "ok", i + 1, tests[i].name);
		fflush(stdout);
		status |= check_failures != 0;
	}
	return status;
}

#endif
