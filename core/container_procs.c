/* SPDX-License-Identifier: Apache-2.0 */
/* A container's processes, as the kernel has them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "container_private.h"
#include "procfs.h"
#include "spec_idmap.h"

/* Which ids on the host are its own from 0 on. 0: they are not mapped. */
static void mapped_ids(const struct container *c, const struct container_view *v, uid_t *ret_base,
		       uid_t *ret_count)
{
	ctn_autoclose int procfd = -1;
	struct spec_maps uids, gids;

	*ret_base = c->uid_base;
	*ret_count = IDS_PER_CONTAINER;
	if (pidref_open(v->init, &procfd, NULL) < 0 ||
	    spec_maps_read(procfd, &uids, &gids, NULL) < 0 || uids.len == 0)
		return; /* it has just ended */
	*ret_base = uids.items[0].outside;
	*ret_count = uids.items[0].outside ? uids.items[0].count : 0;
}

int container_print_ps(struct container *c, FILE *out, struct ctn_err *err)
{
	ctn_autofree pid_t *pids = NULL;
	uid_t base = 0, count = 0;
	struct container_view v;
	size_t n = 0;
	int r;

	container_view_get(c, &v);
	if (v.init)
		mapped_ids(c, &v, &base, &count);
	r = v.running ? container_cgroup_procs(c, &pids, &n, err) : 0;
	if (r == 0 && n > 0)
		r = procfs_add_zombies(&pids, &n, err);
	if (r == 0)
		r = procfs_print_ps(out, pids, n, base, count, err);
	container_view_put(&v);
	return r;
}

int container_procs(struct container *c, struct pid_pair **ret, size_t *ret_n, struct ctn_err *err)
{
	ctn_autofree pid_t *pids = NULL;
	struct pid_pair *pairs;
	struct container_view v;
	size_t n = 0, used = 0;
	bool up;
	int r;

	container_view_get(c, &v);
	up = v.running;
	container_view_put(&v);
	r = up ? container_cgroup_procs(c, &pids, &n, err) : 0;
	if (r < 0)
		return r;
	pairs = calloc(n + 1, sizeof(*pairs));
	if (!pairs)
		return ctn_fail(err, ENOMEM, "no memory for %zu pids", n);
	for (size_t i = 0; i < n; i++) {
		if (procfs_own_pid(pids[i], &pairs[used].own, NULL) == 0)
			pairs[used++].host = pids[i];
	}
	*ret = pairs;
	*ret_n = used;
	return 0;
}

int container_own_pid_find(struct container *c, pid_t own, pid_t *ret, struct ctn_err *err)
{
	ctn_autofree struct pid_pair *pairs = NULL;
	size_t n = 0;
	int r = container_procs(c, &pairs, &n, err);

	for (size_t i = 0; r == 0 && i < n; i++) {
		if (pairs[i].own == own) {
			*ret = pairs[i].host;
			return 0;
		}
	}
	return r < 0 ? r : ctn_fail(err, ENOENT, "no process has the pid %d inside", own);
}
