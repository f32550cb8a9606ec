/* SPDX-License-Identifier: Apache-2.0 */
/* Files that are programs: scripts whose interpreter is one of ours. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../core/cleanup.h"
#include "files.h"

/* What the kernel reads of a first line (BINPRM_BUF_SIZE less the newline); the rest it would leave
 * out without a word, as binfmt_script.c of all kernels since 5.1. */
enum { INTERPRETER_LINE_MAX = 255 };

static const char blanks[] = " \t\n";

/* As one word for a shell. */
static void print_quoted(const char *text, FILE *out)
{
	putc('\'', out);
	for (const char *p = text; *p; p++) {
		if (*p == '\'')
			fputs("'\\''", out);
		else
			putc(*p, out);
	}
	putc('\'', out);
}

static void print_script(const char *program, const char *run, FILE *out)
{
	/* "#!", and the blank between. */
	if (strlen(program) + strlen(run) + 3 <= INTERPRETER_LINE_MAX &&
	    !strpbrk(program, blanks) && !strpbrk(run, blanks)) {
		fprintf(out, "#!%s %s\n", program, run);
		return;
	}
	fputs("#!/bin/sh\nexec ", out);
	print_quoted(program, out);
	putc(' ', out);
	print_quoted(run, out);
	fputs(" \"$0\" \"$@\"\n", out);
}

int show_exec_script(const struct node_ref *ref, FILE *out, struct ctn_err *err)
{
	ctn_autofree char *run = NULL, *program = NULL;
	int r = container_run_path(ref->c, &run, err);

	if (r < 0)
		return r;
	if (asprintf(&program, "%s/%s", ref->fs->programs, ref->node->arg) < 0) {
		program = NULL;
		return ctn_fail(err, ENOMEM, "%s: no memory to read it", ref->node->path);
	}
	print_script(program, run, out);
	return 0;
}
