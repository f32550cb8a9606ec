/* SPDX-License-Identifier: Apache-2.0 */
/* JSON from strangers, read strictly: json-c parses it, this knows where in the text each value
 * stands, so that a refusal names its path, line and column. */
#ifndef CTNFS_CORE_JSON_DOC_H
#define CTNFS_CORE_JSON_DOC_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "err.h"

enum { JSON_DOC_MAX = 1 << 20, JSON_DOC_DEPTH = 64 };

struct json_doc; /* one document; immutable */

/**
 * json_doc_end() - where the first document of a text ends.
 * Return: its length, blanks and newlines in front of it included; 0 when it is not complete yet;
 * -EINVAL where @text cannot be the beginning of an object, or is longer than JSON_DOC_MAX. Only
 * brackets and quotes are looked at. Thread: any.
 */
ssize_t json_doc_end(const char *text, size_t len, struct ctn_err *err);

/**
 * json_doc_parse() - exactly one document, an object.
 * Refused with -EINVAL and "line 3, column 7: …": what is no JSON (comments, trailing commas,
 * single quotes, NaN, numbers such as 01 or 1e400 or -0, anything after its end), a duplicate key,
 * depth over JSON_DOC_DEPTH, more than JSON_DOC_MAX bytes, bytes that are not UTF-8, a NUL (also as
 * \u0000), a lone surrogate. -ENOMEM.
 * @ret: free with json_doc_free(); NULL is fine there. Thread: any.
 */
int json_doc_parse(const char *text, size_t len, struct json_doc **ret, struct ctn_err *err);
void json_doc_free(struct json_doc *doc);

/**
 * struct json_at - a value in a document, and how it was reached. Made by json_root(), json_get(),
 * json_item(); lives as long as the document, or as its own parent struct json_at on the stack.
 * @value: json-c's; NULL for JSON null.
 */
struct json_at {
	const struct json_doc *doc;
	struct json_object *value;
	const struct json_at *parent; /* NULL for the root */
	const char *key;	      /* its key in the parent; NULL in an array */
	size_t index;		      /* its place in the parent: element, or the member's number */
	uint32_t node;		      /* json_doc.c's number for it */
};

struct json_at json_root(const struct json_doc *doc);

/** json_loose() - the same for a tree without a text (our own state files): no line and column. */
struct json_at json_loose(struct json_object *value);

/** json_get() - member @key of an object. Return: whether it is there (and @at was filled). */
bool json_get(const struct json_at *object, const char *key, struct json_at *at);
/** json_member() - member number @i, in the order of the text; @at->key is its key. false past the
 * end. json_item() - the same of an array. json_length() - of either. */
bool json_member(const struct json_at *object, size_t i, struct json_at *at);
bool json_item(const struct json_at *array, size_t i, struct json_at *at);
size_t json_length(const struct json_at *at);

/**
 * json_fail() - refuse a value: "linux.seccomp.syscalls[3].action (line 40, column 12):
 * <sentence>". Return: -@code.
 */
int json_fail(const struct json_at *at, int code, struct ctn_err *err, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/** json_fail_context() - the same in front of the sentence that a parser of a text left. */
int json_fail_context(const struct json_at *at, struct ctn_err *err);

/** json_fail_type() - "<wanted> is expected, not null": -EINVAL. */
int json_fail_type(const struct json_at *at, const char *wanted, struct ctn_err *err);

/* A value of one type: 0, or -EINVAL naming what it is instead and what is asked for. Numbers are
 * exact: 1.0 is no integer, and out of [@min, @max] is refused with the range. */
int json_want_object(const struct json_at *at, struct ctn_err *err);
int json_want_array(const struct json_at *at, struct ctn_err *err);
int json_want_string(const struct json_at *at, const char **ret, struct ctn_err *err);
int json_want_bool(const struct json_at *at, bool *ret, struct ctn_err *err);
int json_want_int(const struct json_at *at, int64_t min, int64_t max, int64_t *ret,
		  struct ctn_err *err);
int json_want_uint(const struct json_at *at, uint64_t max, uint64_t *ret, struct ctn_err *err);

#endif
