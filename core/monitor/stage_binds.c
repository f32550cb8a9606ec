/* SPDX-License-Identifier: Apache-2.0 */
/* The entries of `mounts`, inside. */
#include <errno.h>
#include <sys/stat.h>

#include "../spec_mounts.h"
#include "monitor.h"

/* The parent has made it; here it finds its place. */
static int place_bind(struct stage *s, size_t i, struct ctn_err *err)
{
	int mount = s->mounts.user[i];
	struct stat st;

	if (mount < 0 || fstat(mount, &st) < 0)
		return ctn_fail(err, EBADMSG, "%s did not arrive", s->plan->mounts[i].target);
	return stage_mount_at(s, mount, s->plan->mounts[i].target, S_ISDIR(st.st_mode), err);
}

int stage_mount_list(struct stage *s, struct ctn_err *err)
{
	for (uint32_t i = 0; i < s->plan->msg->mounts.count; i++) {
		const struct plan_mount *m = &s->plan->mounts[i];
		int r;

		if (m->wire->flags & MOUNT_BIND)
			r = place_bind(s, i, err);
		else
			r = stage_fs_mount(s, i, err);
		if (r < 0)
			return ctn_fail_context(err, "mounts");
	}
	return 0;
}
