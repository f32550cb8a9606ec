/* SPDX-License-Identifier: Apache-2.0 */
/* An errno and the sentence that explains it, born together where the call failed. */
#ifndef CTNFS_CORE_ERR_H
#define CTNFS_CORE_ERR_H

#include <stddef.h>

enum { CTN_ERR_TEXT = 512 };

/**
 * struct ctn_err - why something was refused.
 * @code: a positive errno, 0 while nothing has failed.
 * @text: one sentence without a final newline: the subject, and the way out where it is known.
 * Always NUL-terminated; cut at the end when longer; control bytes are shown as '?'.
 */
struct ctn_err {
	int code;
	char text[CTN_ERR_TEXT];
};

/**
 * ctn_fail() - record @code and a sentence.
 * @err:  may be NULL.
 * @code: a positive errno.
 * Return: -@code. Thread: any.
 */
int ctn_fail(struct ctn_err *err, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/** ctn_fail_errno() - as ctn_fail() with the present errno, whose description is appended: "…: No
 * such file". */
int ctn_fail_errno(struct ctn_err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/**
 * ctn_fail_context() - put "…: " in front of the sentence that a callee left.
 * Return: -err->code (or -EIO where @err is NULL or empty), for `return ctn_fail_context(err, …)`.
 */
int ctn_fail_context(struct ctn_err *err, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/** ctn_distance() - how many letters of @a must be inserted, left out or replaced to make it @b,
 * whatever their case: for "did you mean". Of longer words the first 40 bytes count. */
unsigned ctn_distance(const char *a, const char *b);

/** ctn_errno_name() - "EBUSY" for 16; "E1234" (in a static per-thread buffer) for a number without
 * a name. */
const char *ctn_errno_name(int code);

#endif
