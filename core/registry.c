/* SPDX-License-Identifier: Apache-2.0 */
/* Who exists: names, serials, references. Sessions are among the containers here, so that events
 * find them by their serials; they are listed by their container only. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "container_private.h"
#include "launch_park.h"

struct container *container_get(struct container *c)
{
	if (c)
		__atomic_add_fetch(&c->refs, 1, __ATOMIC_RELAXED);
	return c;
}

void container_put(struct container *c)
{
	if (!c || __atomic_sub_fetch(&c->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	spec_put(c->spec);
	spec_put(c->running);
	spec_put(c->launched);
	spec_put(c->mapped);
	pidref_put(c->init);
	pidref_put(c->monitor);
	pidref_put(c->parked);
	container_put(c->parent);
	cgroup_leaf_free(c->cgroup);
	ctn_close_fd(&c->sock);
	ctn_close_fd(&c->tty);
	stdin_release(c);
	ctn_close_fd(&c->timer);
	ctn_close_fd(&c->parked_sock);
	launch_attach_close(c->parked_attach, c->n_parked_attach);
	ctn_close_fd(&c->oom_fd);
	free(c->skeleton);
	strlist_free(&c->devices);
	free(c->errors.entries);
	pthread_mutex_destroy(&c->errors.lock);
	pthread_mutex_destroy(&c->edit);
	pthread_mutex_destroy(&c->mark);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

uint32_t container_serial(const struct container *c)
{
	return c->serial;
}

static void slot_insert(struct container **list, size_t n, size_t at, struct container *c)
{
	memmove(list + at + 1, list + at, (n - at) * sizeof(*list));
	list[at] = c;
}

static void slot_remove(struct container **list, size_t n, size_t at)
{
	memmove(list + at, list + at + 1, (n - at - 1) * sizeof(*list));
}

static int registry_grow(struct engine *e)
{
	size_t room = e->room ? e->room * 2 : 64;
	struct container **a, **b;

	if (e->n < e->room)
		return 0;
	a = realloc(e->by_name, room * sizeof(*a));
	if (!a)
		return -ENOMEM;
	e->by_name = a;
	b = realloc(e->by_serial, room * sizeof(*b));
	if (!b)
		return -ENOMEM;
	e->by_serial = b;
	e->room = room;
	return 0;
}

static struct container *container_alloc(struct engine *e, struct container *parent,
					 struct spec *spec)
{
	struct container *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->engine = e;
	c->refs = 1;
	c->sock = c->timer = c->tty = c->in = c->oom_fd = c->parked_sock = -1;
	c->spec = spec_get(spec);
	c->parent = container_get(parent);
	registry_session_key(parent, spec->name, c->name);
	c->waiters.prev = c->waiters.next = &c->waiters;
	pthread_mutex_init(&c->lock, NULL);
	pthread_mutex_init(&c->edit, NULL);
	pthread_mutex_init(&c->mark, NULL);
	pthread_mutex_init(&c->errors.lock, NULL);
	return c;
}

/* Two containers in one control group would share its limits, and die together. Under e->lock. */
static int check_cgroup_name(const struct engine *e, const struct container *c, struct ctn_err *err)
{
	for (size_t i = 0; c->cgroup_name[0] && i < e->n; i++) {
		const struct container *other = e->by_serial[i];

		if (!other->parent && strcmp(container_cgroup_name(other), c->cgroup_name) == 0)
			return ctn_fail(err, EEXIST,
					"cgroupsPath: the control group %s is that of %s already",
					c->cgroup_name, other->name);
	}
	return 0;
}

/* At its place by name. Under e->lock. Return: the caller's reference. */
static struct container *insert(struct engine *e, struct container *c, size_t at)
{
	c->serial = ++e->last_serial;
	slot_insert(e->by_name, e->n, at, c);
	e->by_serial[e->n++] = c;
	return container_get(c);
}

int registry_add(struct engine *e, struct spec *spec, uid_t uid_base, struct container **ret,
		 struct ctn_err *err)
{
	struct container *c = container_alloc(e, NULL, spec);
	bool found = false;
	size_t at;
	int r;

	if (!c)
		return ctn_fail(err, ENOMEM, "no memory for a container");
	r = spec_cgroup_name(spec, c->cgroup_name, err);
	if (r < 0) {
		container_put(c);
		return r;
	}
	pthread_rwlock_wrlock(&e->lock);
	at = registry_name_slot(e, spec->name, &found);
	r = check_cgroup_name(e, c, err);
	if (found)
		r = ctn_fail(err, EEXIST, "there is a container called %s already", spec->name);
	else if (r == 0 && registry_grow(e) < 0)
		r = ctn_fail(err, ENOMEM, "no memory for a container");
	if (r == 0)
		r = registry_ids_take(e, c, uid_base, err);
	if (r == 0)
		*ret = insert(e, c, at);
	pthread_rwlock_unlock(&e->lock);
	if (r < 0)
		container_put(c);
	return r;
}

int registry_add_session(struct container *parent, struct spec *spec, struct container **ret,
			 struct ctn_err *err)
{
	struct engine *e = parent->engine;
	struct container *c = container_alloc(e, parent, spec);
	bool found = false;
	int r = 0;
	size_t at;

	if (!c)
		return ctn_fail(err, ENOMEM, "no memory for a session");
	c->uid_base = parent->uid_base;
	pthread_rwlock_wrlock(&e->lock);
	at = registry_name_slot(e, c->name, &found);
	if (found)
		r = ctn_fail(err, EEXIST, "there is a session called %s already", spec->name);
	else if (parent->n_sessions >= SESSIONS_MAX)
		r = ctn_fail(err, ENOSPC, "it has %d sessions already; rmdir one", SESSIONS_MAX);
	else if (registry_grow(e) < 0)
		r = ctn_fail(err, ENOMEM, "no memory for a session");
	if (r == 0) {
		*ret = insert(e, c, at);
		parent->n_sessions++;
	}
	pthread_rwlock_unlock(&e->lock);
	if (r < 0)
		container_put(c);
	return r;
}

void registry_publish(struct container *c)
{
	pthread_rwlock_wrlock(&c->engine->lock);
	c->engine->n_ready += !c->ready && !c->parent;
	c->ready = true;
	pthread_rwlock_unlock(&c->engine->lock);
}

void registry_drop(struct container *c)
{
	struct engine *e = c->engine;
	bool found = false;
	size_t at;

	pthread_rwlock_wrlock(&e->lock);
	at = registry_name_slot(e, c->name, &found);
	if (found && e->by_name[at] == c) {
		slot_remove(e->by_name, e->n, at);
		slot_remove(e->by_serial, e->n, registry_serial_slot(e, c->serial));
		e->n--;
		e->n_ready -= c->ready && !c->parent;
		if (c->parent)
			c->parent->n_sessions--;
		else
			registry_ids_give_back(e, c);
	} else {
		found = false;
	}
	pthread_rwlock_unlock(&e->lock);
	if (found)
		container_put(c);
}

int registry_rename(struct container *c, struct spec *renamed, struct ctn_err *err)
{
	struct engine *e = c->engine;
	struct spec *old = NULL;
	bool taken = false, found = false;
	size_t at;

	pthread_rwlock_wrlock(&e->lock);
	at = registry_name_slot(e, renamed->name, &taken);
	if (!taken) {
		size_t from = registry_name_slot(e, c->name, &found);

		slot_remove(e->by_name, e->n, from);
		if (from < at)
			at--;
		slot_insert(e->by_name, e->n - 1, at, c);
		snprintf(c->name, sizeof(c->name), "%s", renamed->name);
		pthread_mutex_lock(&c->lock);
		old = c->spec;
		c->spec = spec_get(renamed);
		pthread_mutex_unlock(&c->lock);
	}
	pthread_rwlock_unlock(&e->lock);
	spec_put(old);
	return taken ? ctn_fail(err, EEXIST, "there is a container called %s already",
				renamed->name)
		     : 0;
}

int registry_replace(struct container *c, struct spec *spec,
		     int (*check)(const struct container *c, struct ctn_err *err),
		     struct spec **old, struct ctn_err *err)
{
	struct engine *e = c->engine;
	int r;

	pthread_rwlock_wrlock(&e->lock);
	r = registry_ids_check(e, c, spec, err);
	pthread_mutex_lock(&c->lock);
	if (r == 0)
		r = check(c, err);
	if (r == 0) {
		*old = c->spec;
		c->spec = spec_get(spec);
		c->changed = ctn_now();
	}
	pthread_mutex_unlock(&c->lock);
	if (r == 0)
		registry_ids_remap(e, c, spec);
	pthread_rwlock_unlock(&e->lock);
	return r;
}

void registry_free(struct engine *e)
{
	for (size_t i = 0; i < e->n; i++) {
		struct container *c = e->by_name[i];

		if (c->maker.next) /* its start goes on, and the next server sees the end */
			(void)life_cancel(&c->maker);
		container_put(c);
	}
	free(e->by_name);
	free(e->by_serial);
	free(e->ids_used);
	e->by_name = e->by_serial = NULL;
	e->n = 0;
}
