/* SPDX-License-Identifier: Apache-2.0 */
/* Who exists: names, serials, references. Sessions are among the containers here, so that events
 * find them by their serials; they are listed by their container only. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "container_private.h"

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
	container_put(c->parent);
	cgroup_leaf_free(c->cgroup);
	ctn_close_fd(&c->dirfd);
	ctn_close_fd(&c->run_dirfd);
	ctn_close_fd(&c->sock);
	ctn_close_fd(&c->tty);
	ctn_close_fd(&c->in);
	ctn_close_fd(&c->timer);
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

/* Where @name is or would be. Under the registry's lock. */
static size_t name_slot(const struct engine *e, const char *name, bool *ret_found)
{
	size_t low = 0, high = e->n;

	*ret_found = false;
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int order = strcmp(name, e->by_name[mid]->name);

		if (order == 0) {
			*ret_found = true;
			return mid;
		}
		if (order < 0)
			high = mid;
		else
			low = mid + 1;
	}
	return low;
}

static size_t serial_slot(const struct engine *e, uint32_t serial)
{
	size_t low = 0, high = e->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (e->by_serial[mid]->serial < serial)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
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

/* No name has a slash in it. */
static void session_key(const struct container *parent, const char *name,
			char ret[REGISTRY_NAME_MAX + 1])
{
	snprintf(ret, REGISTRY_NAME_MAX + 1, "%s%s%s", parent ? parent->id : "", parent ? "/" : "",
		 name);
}

static struct container *container_alloc(struct engine *e, struct container *parent,
					 struct spec *spec)
{
	struct container *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->engine = e;
	c->refs = 1;
	c->dirfd = c->run_dirfd = c->sock = c->timer = c->tty = c->in = -1;
	c->spec = spec_get(spec);
	c->parent = container_get(parent);
	session_key(parent, spec->name, c->name);
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
	at = name_slot(e, spec->name, &found);
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
	at = name_slot(e, c->name, &found);
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
	c->ready = true;
	pthread_rwlock_unlock(&c->engine->lock);
}

void registry_drop(struct container *c)
{
	struct engine *e = c->engine;
	bool found = false;
	size_t at;

	pthread_rwlock_wrlock(&e->lock);
	at = name_slot(e, c->name, &found);
	if (found && e->by_name[at] == c) {
		slot_remove(e->by_name, e->n, at);
		slot_remove(e->by_serial, e->n, serial_slot(e, c->serial));
		e->n--;
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
	at = name_slot(e, renamed->name, &taken);
	if (!taken) {
		size_t from = name_slot(e, c->name, &found);

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

static struct container *find_name(struct engine *e, const char *name)
{
	struct container *c = NULL;
	bool found = false;
	size_t at;

	pthread_rwlock_rdlock(&e->lock);
	at = name_slot(e, name, &found);
	if (found && e->by_name[at]->ready)
		c = container_get(e->by_name[at]);
	pthread_rwlock_unlock(&e->lock);
	return c;
}

struct container *container_find(struct engine *e, const char *name)
{
	return strchr(name, '/') ? NULL : find_name(e, name);
}

struct container *container_session_find(struct container *c, const char *name)
{
	char key[REGISTRY_NAME_MAX + 1];

	if (c->parent || strlen(name) > SPEC_NAME_MAX)
		return NULL;
	session_key(c, name, key);
	return find_name(c->engine, key);
}

static struct container *find_serial(struct engine *e, uint32_t serial, bool ready)
{
	struct container *c = NULL;
	size_t at;

	pthread_rwlock_rdlock(&e->lock);
	at = serial_slot(e, serial);
	if (at < e->n && e->by_serial[at]->serial == serial && (e->by_serial[at]->ready || !ready))
		c = container_get(e->by_serial[at]);
	pthread_rwlock_unlock(&e->lock);
	return c;
}

struct container *container_find_serial(struct engine *e, uint32_t serial)
{
	return find_serial(e, serial, true);
}

struct container *registry_find_serial(struct engine *e, uint32_t serial)
{
	return find_serial(e, serial, false);
}

/* Ids are not in order: this is for references, which are few. */
struct container *container_find_id(struct engine *e, const char *id)
{
	struct container *c = NULL;

	pthread_rwlock_rdlock(&e->lock);
	for (size_t i = 0; i < e->n && !c; i++) {
		if (e->by_serial[i]->ready && !e->by_serial[i]->parent &&
		    strcmp(e->by_serial[i]->id, id) == 0)
			c = container_get(e->by_serial[i]);
	}
	pthread_rwlock_unlock(&e->lock);
	return c;
}

int registry_list(struct engine *e, bool (*match)(const struct container *c, const void *arg),
		  const void *arg, struct container ***ret, size_t *ret_n)
{
	struct container **list;
	size_t n = 0;

	pthread_rwlock_rdlock(&e->lock);
	list = calloc(e->n + 1, sizeof(*list));
	for (size_t i = 0; list && i < e->n; i++) {
		if (e->by_name[i]->ready && (!match || match(e->by_name[i], arg)))
			list[n++] = container_get(e->by_name[i]);
	}
	pthread_rwlock_unlock(&e->lock);
	if (!list)
		return -ENOMEM;
	*ret = list;
	*ret_n = n;
	return 0;
}

static bool is_session_of(const struct container *c, const void *parent)
{
	return c->parent == parent;
}

int container_list(struct engine *e, struct container ***ret, size_t *ret_n)
{
	return registry_list(e, is_session_of, NULL, ret, ret_n);
}

int container_session_list(struct container *c, struct container ***ret, size_t *ret_n)
{
	return registry_list(c->engine, is_session_of, c, ret, ret_n);
}

bool registry_has_sessions(struct container *c)
{
	bool has;

	pthread_rwlock_rdlock(&c->engine->lock);
	has = c->n_sessions > 0;
	pthread_rwlock_unlock(&c->engine->lock);
	return has;
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
