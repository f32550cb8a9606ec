/* SPDX-License-Identifier: Apache-2.0 */
/* Symbolic links into the kernel's own trees: what it shows well is not shown again here. */
#include <errno.h>
#include <stdlib.h>

#include "../core/cleanup.h"
#include "files.h"

int show_target(const struct node_ref *ref, FILE *out, struct ctn_err *err)
{
	(void)err;
	fputs(ref->node->arg, out);
	return 0;
}

/* /proc/PID of its first process, with @middle and @last behind it. */
static int print_proc(const struct node_ref *ref, const char *middle, const char *last, FILE *out,
		      struct ctn_err *err)
{
	struct container_view view;
	int r = 0;

	container_view_get(ref->c, &view);
	if (view.init)
		fprintf(out, "/proc/%d%s%s", view.init->pid, middle, last);
	else
		r = ctn_fail(err, ENOENT, "%s: it does not run", ref->node->path);
	container_view_put(&view);
	return r;
}

int show_ns_link(const struct node_ref *ref, FILE *out, struct ctn_err *err)
{
	return print_proc(ref, "/ns/", ref->node->arg, out, err);
}

int show_proc_link(const struct node_ref *ref, FILE *out, struct ctn_err *err)
{
	return print_proc(ref, "", ref->node->arg, out, err);
}

int show_own_link(const struct node_ref *ref, FILE *out, struct ctn_err *err)
{
	pid_t host = 0;
	int r = container_own_pid_find(ref->c, (pid_t)ref->extra, &host, err);

	if (r == 0)
		fprintf(out, "/proc/%d", host);
	return r;
}

int show_layer_link(const struct node_ref *ref, FILE *out, struct ctn_err *err)
{
	ctn_autofree char *path = NULL;
	int r = container_layer_path(ref->c, &path, err);

	if (r == 0)
		fputs(path, out);
	return r;
}
