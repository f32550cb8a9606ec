/* SPDX-License-Identifier: Apache-2.0 */
/* A descriptor's stream of JSON documents and bundles' paths, cut into pieces anywhere. */
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "../core/cleanup.h"
#include "../core/json_doc.h"
#include "../core/spec_doc.h"
#include "write.h"

enum {
	HELD_MAX = 32 << 20,	/* bytes of incomplete documents, of all descriptors together */
	RESULTS_MAX = 64 << 10, /* the oldest are forgotten */
	WORD_SHOWN = 40,
};

static _Atomic size_t held;

static int fail_memory(const struct node_ref *ref, struct ctn_err *err)
{
	return ctn_fail(err, ENOMEM, "%s: no memory", ref->node->path);
}

int doc_append(const struct node_ref *ref, struct write_doc *d, const char *buf, size_t size,
	       struct ctn_err *err)
{
	char *text;

	if (held > HELD_MAX)
		return ctn_fail(err, ENOSPC,
				"%s: incomplete documents of %d MiB are held for other "
				"descriptors; complete or close those",
				ref->node->path, HELD_MAX >> 20);
	text = realloc(d->text, d->len + size + 1);
	if (!text)
		return fail_memory(ref, err);
	memcpy(text + d->len, buf, size);
	d->text = text;
	d->len += size;
	text[d->len] = '\0';
	return 0;
}

void doc_drop(struct write_doc *d, size_t n)
{
	d->len -= n;
	if (d->len)
		memmove(d->text, d->text + n, d->len + 1);
	else
		free(ctn_take_ptr(d->text));
}

void doc_hold(struct write_doc *d)
{
	/* The newline behind a document begins no other one. */
	if (d->len)
		doc_drop(d, strspn(d->text, " \f\n\r\t\v"));
	held += d->len - d->counted;
	d->counted = d->len;
}

void doc_say(struct write_doc *d, const char *line)
{
	size_t len = strlen(line);
	char *text = realloc(d->results, d->results_len + len + 1);

	if (!text)
		return; /* the errno has told */
	memcpy(text + d->results_len, line, len);
	text[d->results_len + len] = '\n';
	d->results = text;
	d->results_len += len + 1;
	if (d->results_len > RESULTS_MAX) {
		size_t drop = d->results_len / 2;

		drop += strcspn(text + drop, "\n") + 1;
		d->results_len -= drop;
		memmove(text, text + drop, d->results_len);
	}
}

/* --- where one begins and ends --- */

/* Behind blanks, and lines that begin with '#'. */
static size_t document_start(const struct write_doc *d)
{
	size_t i = 0;

	while (i < d->len && (isspace((unsigned char)d->text[i]) || d->text[i] == '#')) {
		const char *end = d->text[i] == '#' ? memchr(d->text + i, '\n', d->len - i)
						    : d->text + i;

		i = end ? (size_t)(end - d->text) + 1 : d->len;
	}
	return i;
}

static size_t trimmed(const char *text, size_t len)
{
	while (len && isspace((unsigned char)text[len - 1]))
		len--;
	return len;
}

/* A path from @start on. Without a newline it may go on in the next write: it counts if all of it
 * came with this one, and it is a bundle. */
static ssize_t path_end(const struct node_ref *ref, const struct write_doc *d, size_t start,
			size_t begin, struct ctn_err *err)
{
	const char *path = d->text + start, *newline = memchr(path, '\n', d->len - start);
	size_t len = newline ? (size_t)(newline - path) : d->len - start;

	if (len >= PATH_MAX)
		return ctn_fail(err, ENAMETOOLONG, "%s: a bundle's path has at most %d bytes",
				ref->node->path, PATH_MAX - 1);
	if (newline)
		return newline + 1 - d->text;
	return start >= begin && len && spec_doc_is_bundle(path) ? (ssize_t)d->len : 0;
}

static int fail_beginning(const struct node_ref *ref, const char *text, struct ctn_err *err)
{
	size_t len = strcspn(text, " \t\r\n");

	return ctn_fail(err, EINVAL, "%s: '%.*s' begins no JSON document%s", ref->node->path,
			(int)(len < WORD_SHOWN ? len : WORD_SHOWN), text,
			ref->c ? "" : ", and is not the absolute path of an OCI bundle");
}

static ssize_t document_end(const struct node_ref *ref, const struct write_doc *d, size_t start,
			    size_t begin, struct ctn_err *err)
{
	ssize_t n;

	if (start == d->len)
		return 0;
	if (d->text[start] == '/' && !ref->c)
		return path_end(ref, d, start, begin, err);
	if (d->text[start] != '{')
		return fail_beginning(ref, d->text + start, err);
	/* Only a bracket can end it. */
	if (start < begin && d->len <= JSON_DOC_MAX &&
	    !memchr(d->text + begin, '}', d->len - begin))
		return 0;
	n = json_doc_end(d->text + start, d->len - start, err);
	if (n < 0)
		return ctn_fail_context(err, "%s", ref->node->path);
	return n ? (ssize_t)start + n : 0;
}

ssize_t doc_next(const struct node_ref *ref, const struct write_doc *d, size_t begin, char **ret,
		 struct ctn_err *err)
{
	size_t start = document_start(d);
	ssize_t end = document_end(ref, d, start, begin, err);

	if (end <= 0)
		return end;
	*ret = strndup(d->text + start, trimmed(d->text + start, (size_t)end - start));
	return *ret ? end : fail_memory(ref, err);
}

int doc_release(const struct node_ref *ref, struct write_doc *d, struct ctn_err *err)
{
	size_t start = d->text ? document_start(d) : 0;
	int r = 0;

	if (start < d->len && d->text[start] == '/')
		r = ctn_fail(err, EINVAL, "%s: a bundle's path was left without a newline",
			     ref->node->path);
	else if (start < d->len)
		r = ctn_fail(err, EINVAL,
			     "%s: a document was left incomplete after %zu bytes: a bracket or a "
			     "quote is not closed",
			     ref->node->path, d->len);
	held -= d->counted;
	free(d->text);
	free(d->results);
	return r;
}
