/* SPDX-License-Identifier: Apache-2.0 */
/* cgroup/: limits and counters. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../core/cleanup.h"
#include "files.h"

int show_knob(const struct node_ref *ref, FILE *out, struct ctn_err *err)
{
	const struct cgroup_knob *knob = cgroup_knob_find(ref->node->arg);

	if (!knob)
		return ctn_fail(err, EOPNOTSUPP, "%s: not known here", ref->node->path);
	if (!(knob->flags & KNOB_KEPT)) /* a limit is the same whoever is there */
		container_cgroup_seen(ref->c);
	return knob->read(container_cgroup(ref->c), out, err);
}

int show_events(const struct node_ref *ref, FILE *out, struct ctn_err *err)
{
	int r = show_knob(ref, out, err);

	if (r == 0)
		container_print_last_oom(ref->c, out);
	return r;
}

int show_raw_link(const struct node_ref *ref, FILE *out, struct ctn_err *err)
{
	container_cgroup_seen(ref->c);
	for (int i = 0; i < CG_CONTROLLERS; i++) {
		ctn_autofree char *path = NULL;
		int r;

		if (strcmp(cgroup_controller_names[i], ref->node->arg) != 0)
			continue;
		r = cgroup_leaf_path(container_cgroup(ref->c), (enum cgroup_controller)i, &path,
				     err);
		if (r == 0)
			fputs(path, out);
		if (r != -EOPNOTSUPP)
			return r;
	}
	return ctn_fail(err, ENOENT, "%s: this host has no such controller", ref->node->path);
}
