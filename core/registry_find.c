/* SPDX-License-Identifier: Apache-2.0 */
/* Finding and listing who exists. Both orders are sorted, so that nothing here but a list takes
 * longer where there are more. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "container_private.h"

size_t registry_name_slot(const struct engine *e, const char *name, bool *ret_found)
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

size_t registry_serial_slot(const struct engine *e, uint32_t serial)
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

void registry_session_key(const struct container *parent, const char *name,
			  char ret[REGISTRY_NAME_MAX + 1])
{
	snprintf(ret, REGISTRY_NAME_MAX + 1, "%s%s%s", parent ? parent->id : "", parent ? "/" : "",
		 name);
}

static struct container *find_name(struct engine *e, const char *name)
{
	struct container *c = NULL;
	bool found = false;
	size_t at;

	pthread_rwlock_rdlock(&e->lock);
	at = registry_name_slot(e, name, &found);
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
	registry_session_key(c, name, key);
	return find_name(c->engine, key);
}

static struct container *find_serial(struct engine *e, uint32_t serial, bool ready)
{
	struct container *c = NULL;
	size_t at;

	pthread_rwlock_rdlock(&e->lock);
	at = registry_serial_slot(e, serial);
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

/* Of those from @first up to @end in order of names: all that are ready, but sessions only where
 * asked for. Under e->lock. */
static struct container **list_range(const struct engine *e, size_t first, size_t end,
				     bool sessions, size_t *ret_n)
{
	struct container **list = calloc(end - first + 1, sizeof(*list));
	size_t n = 0;

	for (size_t i = first; list && i < end; i++) {
		if (e->by_name[i]->ready && (sessions || !e->by_name[i]->parent))
			list[n++] = container_get(e->by_name[i]);
	}
	*ret_n = n;
	return list;
}

static int list_all(struct engine *e, bool sessions, struct container ***ret, size_t *ret_n)
{
	pthread_rwlock_rdlock(&e->lock);
	*ret = list_range(e, 0, e->n, sessions, ret_n);
	pthread_rwlock_unlock(&e->lock);
	return *ret ? 0 : -ENOMEM;
}

int registry_list(struct engine *e, struct container ***ret, size_t *ret_n)
{
	return list_all(e, true, ret, ret_n);
}

int container_list(struct engine *e, struct container ***ret, size_t *ret_n)
{
	return list_all(e, false, ret, ret_n);
}

/* A container's sessions follow each other, since their names begin with the same. Under e->lock.
 */
static void sessions_range(const struct container *c, size_t *ret_first, size_t *ret_end)
{
	const struct engine *e = c->engine;
	char key[REGISTRY_NAME_MAX + 1];
	bool found;
	size_t end;

	registry_session_key(c, "", key);
	*ret_first = end = registry_name_slot(e, key, &found);
	while (end < e->n && e->by_name[end]->parent == c)
		end++;
	*ret_end = end;
}

int container_session_list(struct container *c, struct container ***ret, size_t *ret_n)
{
	struct engine *e = c->engine;
	size_t first, end;

	pthread_rwlock_rdlock(&e->lock);
	sessions_range(c, &first, &end);
	*ret = list_range(e, first, end, true, ret_n);
	pthread_rwlock_unlock(&e->lock);
	return *ret ? 0 : -ENOMEM;
}

size_t container_session_count(struct container *c)
{
	struct engine *e = c->engine;
	size_t first, end, n = 0;

	pthread_rwlock_rdlock(&e->lock);
	sessions_range(c, &first, &end);
	for (size_t i = first; i < end; i++)
		n += e->by_name[i]->ready;
	pthread_rwlock_unlock(&e->lock);
	return n;
}

size_t container_count(struct engine *e)
{
	size_t n;

	pthread_rwlock_rdlock(&e->lock);
	n = e->n_ready;
	pthread_rwlock_unlock(&e->lock);
	return n;
}

bool registry_has_sessions(struct container *c)
{
	bool has;

	pthread_rwlock_rdlock(&c->engine->lock);
	has = c->n_sessions > 0;
	pthread_rwlock_unlock(&c->engine->lock);
	return has;
}
