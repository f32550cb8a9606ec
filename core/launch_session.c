/* SPDX-License-Identifier: Apache-2.0 */
/* Starting a program in a container that runs: in its namespaces, with its rights. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "launch_pack.h"
#include "spec_idmap.h"

/* Those of the process, as the kernel has them; its settings could mean others by now. */
int launch_joins_living(const struct engine *e, const struct pidref *init, struct launch_joins *ret,
			struct ctn_err *err)
{
	ctn_autoclose int procfd = -1;
	int r = pidref_open(init, &procfd, err);

	*ret = (struct launch_joins){.flags = 0};
	for (int i = 0; i < NS_COUNT; i++)
		ret->fds[i] = -1;
	for (int i = 0; r == 0 && i < NS_COUNT; i++) {
		uint64_t inode = 0;

		r = ns_inode(procfd, (enum ns_kind)i, &inode, err);
		if (r < 0)
			break;
		if (inode == container_host_ns(e, (enum ns_kind)i))
			ret->host |= ns_types[i].clone_flag;
		else
			ret->flags |= ns_types[i].clone_flag;
	}
	ret->has_ids = ret->flags & ns_types[NS_USER].clone_flag;
	return r == 0 && ret->has_ids ? spec_maps_read(procfd, &ret->uids, &ret->gids, err) : r;
}

/* Whether a program can begin in it now. */
static int check_parent(const struct container_view *v, struct ctn_err *err)
{
	const char *name = v->spec->name;

	if (v->state == CTN_PAUSED)
		return ctn_fail(err, EBUSY, "%s is paused; echo resume > ctl of it first", name);
	if (v->state == CTN_RESTARTING)
		return ctn_fail(err, EBUSY, "%s is restarting; echo start > ctl of it first", name);
	if (v->state == CTN_STOPPING)
		return ctn_fail(err, EBUSY, "%s is stopping; cat wait of it, then start it", name);
	if (v->state != CTN_RUNNING || !v->running || !v->init)
		return ctn_fail(err, ESRCH,
				"%s does not run, so nothing can run in it; start it first", name);
	return 0;
}

/* What is packed goes with these descriptors, in this order. */
struct attach {
	int fds[CG_CONTROLLERS + 1];
	size_t n;
	bool into; /* it is born there */
};

static int attach_open(const struct container *c, struct attach *ret, struct ctn_err *err)
{
	int n;

	*ret = (struct attach){.into = cgroup_leaf_has_births(c->cgroup)};
	if (ret->into)
		n = cgroup_leaf_birthplace(c->cgroup, ret->fds, err) ?: 1;
	else
		n = cgroup_leaf_child_attach_fds(c->parent->cgroup, c->cgroup, ret->fds, err);
	ret->n = n < 0 ? 0 : (size_t)n;
	return n < 0 ? n : 0;
}

static void attach_close(struct attach *a)
{
	for (size_t i = 0; i < a->n; i++)
		close(a->fds[i]);
}

static int launch_in(struct container *c, struct spec *spec, const struct pidref *init,
		     struct ctn_err *err)
{
	struct launch_joins joins;
	struct packer p = {0};
	struct attach a = {0};
	int r = launch_joins_living(c->engine, init, &joins, err);

	if (r == 0)
		r = container_cgroup_renew(c, err);
	if (r == 0)
		r = attach_open(c, &a, err);
	if (r == 0)
		r = launch_pack(c, spec, (uint32_t)a.n, a.into, &joins, &p, err);
	if (r == 0)
		r = container_save_run(c, spec, "", 0, err);
	if (r == 0) {
		int more[CTN_COUNT(a.fds)];

		memcpy(more, a.fds, a.n * sizeof(*more));
		more[a.n] = init->pidfd;
		r = launch_message(c, &p, more, a.n + 1, err);
	}
	attach_close(&a);
	free(p.data);
	return r;
}

int launch_session(struct container *c, struct ctn_err *err)
{
	struct spec *spec = NULL, *old;
	struct container_view v;
	int r;

	container_view_get(c->parent, &v);
	r = check_parent(&v, err);
	if (r == 0)
		r = session_spec_in(c, v.running, &spec, err);
	if (r == 0) {
		pthread_mutex_lock(&c->lock);
		old = c->launched;
		c->launched = spec_get(spec);
		pthread_mutex_unlock(&c->lock);
		spec_put(old);
		r = launch_in(c, spec, v.init, err);
	}
	container_view_put(&v);
	spec_put(spec);
	return r;
}
