/* SPDX-License-Identifier: Apache-2.0 */
/* Short forms for the tests of JSON profiles. */
#ifndef CTNFS_TESTS_UNIT_SECCOMP_FIXTURE_H
#define CTNFS_TESTS_UNIT_SECCOMP_FIXTURE_H

#include <linux/audit.h>
#include <linux/version.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "bpf.h"
#include "check.h"
#include "cleanup.h"
#include "seccomp_rules.h"

enum { X32 = 0x40000000 };

#define DEFAULT_CAPS  UINT64_C(0xa80425fb)
#define REFUSE(code)  (SECCOMP_RET_ERRNO | (code))
#define ALLOW	      SECCOMP_RET_ALLOW
#define KILL	      SECCOMP_RET_KILL_THREAD
#define ERRNO_DEFAULT "'defaultAction': 'SCMP_ACT_ERRNO', "

/* JSON with single quotes, so that it can be read here. */
static inline char *quoted(const char *text)
{
	char *copy = strdup(text);

	for (char *p = copy; *p; p++) {
		if (*p == '\'')
			*p = '"';
	}
	return copy;
}

static inline int check_text(const char *text, bool strict, char **ret, struct ctn_err *err)
{
	struct json_doc *doc = NULL;
	struct json_at root;
	int r = json_doc_parse(text, strlen(text), &doc, err);

	if (r < 0)
		return r;
	root = json_root(doc);
	r = seccomp_check(&root, strict, ret, err);
	json_doc_free(doc);
	return r;
}

static inline struct seccomp_profile *get_profile(const char *text, const struct strlist *deltas)
{
	struct seccomp_profile *p = NULL;
	struct ctn_err err = {0};

	CHECK(seccomp_resolve(text, deltas, DEFAULT_CAPS, KERNEL_VERSION(6, 1, 0), &p, &err) == 0);
	CHECK_STR(err.text, "");
	if (!p)
		exit(1);
	return p;
}

static inline uint32_t decide(const struct seccomp_profile *p, uint32_t arch, int number,
			      uint64_t a, uint64_t b)
{
	struct seccomp_data data = {number, arch, 0, {a, b, 0, 0, 0, 0}};
	struct seccomp_program program = seccomp_program(p);

	return bpf_run(&program, &data);
}

#endif
