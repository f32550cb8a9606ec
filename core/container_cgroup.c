/* SPDX-License-Identifier: Apache-2.0 */
/* Where a container's processes are, and a session's: below its container's, in one hierarchy. */
#include <errno.h>

#include "launch_park.h"

enum { REMOVE_MS = 2000 };

int container_cgroup_open(struct container *c, struct ctn_err *err)
{
	if (c->parent)
		return cgroup_leaf_child_open(c->parent->cgroup, c->id, &c->cgroup, err);
	return cgroup_leaf_open(c->engine->cgroup, container_cgroup_name(c), &c->cgroup, err);
}

/* cgroup v2, where a process is born in its control group: moving it there at its start would take
 * a grace period of RCU. On v1 it comes when it is started. */
void container_cgroup_seen(struct container *c)
{
	if (cgroup_leaf_has_births(c->cgroup))
		launch_unpark(c);
}

int container_cgroup_renew(struct container *c, struct ctn_err *err)
{
	int r = cgroup_leaf_child_renew(c->parent->cgroup, c->id, c->cgroup, err);

	if (r == 0) /* what an earlier run left behind may have been paused with it */
		(void)cgroup_leaf_freeze(c->cgroup, false, NULL);
	return r;
}

void container_cgroup_rest(struct container *c)
{
	if (c->parent)
		(void)cgroup_leaf_child_remove(c->parent->cgroup, c->id, 0, NULL);
}

/* A session's was removed, as nobody was in it. */
static int forgive_removed(const struct container *c, int r, const struct ctn_err *why,
			   struct ctn_err *err)
{
	if (c->parent && (r == -ENOENT || r == -ENODEV))
		return 0;
	if (r < 0 && err)
		*err = *why;
	return r;
}

int container_cgroup_procs(const struct container *c, pid_t **ret, size_t *ret_n,
			   struct ctn_err *err)
{
	struct ctn_err why = {0};
	int r;

	*ret = NULL;
	*ret_n = 0;
	r = cgroup_leaf_procs(c->cgroup, ret, ret_n, &why);
	return forgive_removed(c, r, &why, err);
}

int container_cgroup_kill(const struct container *c, unsigned ms, struct ctn_err *err)
{
	struct ctn_err why = {0};
	int r = cgroup_leaf_kill(c->cgroup, ms, &why);

	return forgive_removed(c, r, &why, err);
}

int container_cgroup_remove(const struct container *c, struct ctn_err *err)
{
	if (c->parent)
		return cgroup_leaf_child_remove(c->parent->cgroup, c->id, REMOVE_MS, err);
	return cgroup_leaf_remove(c->engine->cgroup, container_cgroup_name(c), REMOVE_MS, err);
}
