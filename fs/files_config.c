/* SPDX-License-Identifier: Apache-2.0 */
/* Files about what a container is to be, and what the kernel made of it. */
#include <errno.h>

#include "../core/caps.h"
#include "../core/cleanup.h"
#include "../core/procfs.h"
#include "files.h"

int show_field(const struct node_ref *ref, FILE *out, struct ctn_err *err)
{
	const struct spec_field *field = spec_field_find(ref->node->arg);

	if (!field)
		return ctn_fail(err, EOPNOTSUPP, "%s: not known here", ref->node->path);
	return container_show(ref->c, field, out, err);
}

int show_seccomp(const struct node_ref *ref, FILE *out, struct ctn_err *err)
{
	return container_print_seccomp(ref->c, out, err);
}

int show_ns_list(const struct node_ref *ref, FILE *out, struct ctn_err *err)
{
	return container_print_ns_list(ref->c, out, err);
}

int show_caps_sets(const struct node_ref *ref, FILE *out, struct ctn_err *err)
{
	uint64_t caps[CTN_COUNT(procfs_caps_labels)];
	ctn_autoclose int procfd = -1;
	struct container_view view;
	int r;

	container_view_get(ref->c, &view);
	r = view.init ? pidref_open(view.init, &procfd, err) : -ESRCH;
	if (r == 0)
		r = procfs_read_caps(procfd, caps, err);
	if (r == 0) {
		for (size_t i = 0; i < CTN_COUNT(caps); i++)
			caps_print_set(out, procfs_caps_labels[i], caps[i]);
	} else if (r == -ESRCH) { /* none, or no more */
		putc('\n', out);
		r = 0;
	}
	container_view_put(&view);
	return r;
}

int show_denied(const struct node_ref *ref, FILE *out, struct ctn_err *err)
{
	return container_print_denied(ref->c, out, err);
}
