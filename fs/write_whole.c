/* SPDX-License-Identifier: Apache-2.0 */
/* The whole of a file at once: what a scratch file that is renamed over it holds. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "../core/cleanup.h"
#include "write.h"

enum { LINE_MAX_BYTES = 65536 };

/* Files that hold nothing that could be replaced. */
static const char *const never[] = {"ctl", "log", "cgroup/procs"};

static int check(const struct node_ref *ref, const char *text, size_t len, struct ctn_err *err)
{
	const struct node *node = ref->node;

	for (size_t i = 0; i < CTN_COUNT(never); i++) {
		if (strcmp(node->path, never[i]) == 0)
			return ctn_fail(err, EPERM,
					"%s: no other file can take its place; write "
					"to it",
					node->path);
	}
	if (!(node->flags & N_MULTI) && !node->store)
		return ctn_fail(err, EPERM, "%s can only be read", node->path);
	if (memchr(text, '\0', len))
		return ctn_fail(err, EINVAL, "%s: there is a NUL byte in it", node->path);
	return 0;
}

static int store_list(const struct node_ref *ref, const char *text, size_t len, struct ctn_err *err)
{
	int r;

	list_lock(ref->c);
	r = container_store(ref->c, spec_field_find(ref->node->arg), NULL, text, len, SPEC_REPLACE,
			    NULL, err);
	list_unlock(ref->c);
	return r;
}

/* The last line that says something, cut out of @text; NULL where none does. */
static char *last_line(char *text)
{
	char *last = NULL, *line;

	while ((line = strsep(&text, "\n"))) {
		char *end = line + strlen(line);

		while (isspace((unsigned char)*line))
			line++;
		while (end > line && isspace((unsigned char)end[-1]) &&
		       !(end - 1 > line && end[-2] == '\\'))
			*--end = '\0';
		if (*line && *line != '#')
			last = line;
	}
	return last;
}

/* Write every line, after a "max" that clears what was there. */
static int store_lines(const struct node_ref *ref, char *text, struct ctn_err *err)
{
	char *line;
	int r = store_knob(ref, NULL, "max", err);

	while (r == 0 && (line = strsep(&text, "\n"))) {
		if (line[strspn(line, " \t")] && line[0] != '#')
			r = store_knob(ref, NULL, line, err);
	}
	return r;
}

/* io.max, which has a line a device: what was there is written again where one is refused. */
static int store_devices(const struct node_ref *ref, char *text, struct ctn_err *err)
{
	ctn_autofree char *before = NULL;
	size_t len = 0;
	int r = node_render(ref, &before, &len, err);

	if (r < 0)
		return r;
	r = store_lines(ref, text, err);
	if (r < 0)
		(void)store_lines(ref, before, NULL);
	return r;
}

static void answer_rename(struct write_op *op)
{
	op->ended(op->arg, !op->err.code);
	if (op->err.code && op->err.code != EINTR)
		(void)node_refuse(&op->ref, &op->err);
	fuse_reply_err(op->w.req, op->err.code);
}

/* Return: the part of @op's text to act on; NULL: none; or it is done, or @op's err says why not.
 */
static char *begin(struct write_op *op, size_t len)
{
	const struct node_ref *ref = &op->ref;
	char *line;

	if (check(ref, op->text, len, &op->err) < 0)
		return NULL;
	if (ref->node->flags & N_DOC)
		return op->text;
	if (ref->node->flags & N_MULTI) {
		(void)store_list(ref, op->text, len, &op->err);
		return NULL;
	}
	if (strcmp(ref->node->path, "cgroup/io.max") == 0) {
		(void)store_devices(ref, op->text, &op->err);
		return NULL;
	}
	line = last_line(op->text);
	if (line && strlen(line) >= LINE_MAX_BYTES) {
		(void)ctn_fail(&op->err, EINVAL, "%s: fewer than %d bytes are a line",
			       ref->node->path, LINE_MAX_BYTES);
		return NULL;
	}
	return line;
}

void write_whole(fuse_req_t req, struct node_ref *ref, const char *text, size_t len,
		 void (*done)(void *arg, bool ok), void *arg)
{
	struct write_op *op = calloc(1, sizeof(*op));

	if (op)
		op->text = malloc(len + 1);
	if (!op || !op->text) {
		free(op);
		node_ref_put(ref);
		done(arg, false);
		fuse_reply_err(req, ENOMEM);
		return;
	}
	memcpy(op->text, text, len);
	op->text[len] = '\0';
	op->w.req = req;
	op->ref = *ref;
	op->answer = answer_rename;
	op->ended = done;
	op->arg = arg;
	op->whole = true;
	op->next = begin(op, len);
	write_run(op, req);
}
