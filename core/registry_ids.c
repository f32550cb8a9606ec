/* SPDX-License-Identifier: Apache-2.0 */
/* Which host ids are whose. All of it under the registry's lock. A session has those of its
 * container, and no say in this. */
#include <errno.h>
#include <string.h>

#include "cleanup.h"
#include "container_private.h"

/* The ranges that the @count ids from @id on lie in: two of them when it was made under another
 * subid option. Return: whether there are any. */
static bool ids_span(const struct engine *e, uint32_t id, uint32_t count, uint32_t *ret_first,
		     uint32_t *ret_last)
{
	int64_t first = (int64_t)id - e->subid_base, last = first + count - 1;
	int64_t all = (int64_t)e->subid_ranges * IDS_PER_CONTAINER;

	if (count == 0 || last < 0 || first >= all)
		return false;
	*ret_first = first < 0 ? 0 : (uint32_t)(first / IDS_PER_CONTAINER);
	*ret_last = last >= all ? e->subid_ranges - 1 : (uint32_t)(last / IDS_PER_CONTAINER);
	return true;
}

static void ids_mark(struct engine *e, uint32_t id, uint32_t count, bool used)
{
	uint32_t first, last;

	if (!ids_span(e, id, count, &first, &last))
		return;
	for (uint32_t i = first; i <= last; i++) {
		if (used)
			e->ids_used[i / 8] |= (uint8_t)(1 << i % 8);
		else
			e->ids_used[i / 8] &= (uint8_t) ~(1 << i % 8);
	}
	if (!used && first < e->ids_hint)
		e->ids_hint = first;
}

/* Whoever has root's id on the host can have any other: nothing is kept apart by such an extent. */
static bool is_roots(const struct spec_map *extent)
{
	return extent->outside == 0;
}

static void mark_maps(struct engine *e, const struct spec_maps *maps, bool used)
{
	for (size_t i = 0; i < maps->len; i++) {
		if (!is_roots(&maps->items[i]))
			ids_mark(e, maps->items[i].outside, maps->items[i].count, used);
	}
}

static void mark_all(struct engine *e, const struct container *c, bool used)
{
	if (c->parent)
		return;
	ids_mark(e, c->uid_base, IDS_PER_CONTAINER, used);
	if (c->mapped) {
		mark_maps(e, &c->mapped->oci->uids, used);
		mark_maps(e, &c->mapped->oci->gids, used);
	}
}

/* One that may lie across the ranges of others. */
static bool is_odd(const struct engine *e, const struct container *c)
{
	return c->mapped || (c->uid_base - e->subid_base) % IDS_PER_CONTAINER != 0;
}

/* What @c has no more. Another may lie across the same ranges; where all have a whole one each,
 * nobody does, and nobody is looked at. */
static void unmark(struct engine *e, const struct container *c)
{
	bool odd = is_odd(e, c);

	mark_all(e, c, false);
	e->ids_odd -= odd;
	for (size_t i = 0; (odd || e->ids_odd > 0) && i < e->n; i++) {
		if (e->by_serial[i] != c)
			mark_all(e, e->by_serial[i], true);
	}
}

static bool has_maps(const struct spec *spec)
{
	return spec->oci && (spec->oci->uids.len > 0 || spec->oci->gids.len > 0);
}

static bool overlaps(const struct spec_map *extent, uint32_t id, uint32_t count)
{
	return extent->outside < id ? id - extent->outside < extent->count
				    : extent->outside - id < count;
}

/* @theirs: NULL: they have only their range. */
static bool is_others(const struct spec_map *extent, const struct container *other,
		      const struct spec_maps *theirs)
{
	if (overlaps(extent, other->uid_base, IDS_PER_CONTAINER))
		return true;
	for (size_t i = 0; theirs && i < theirs->len; i++) {
		if (!is_roots(&theirs->items[i]) &&
		    overlaps(extent, theirs->items[i].outside, theirs->items[i].count))
			return true;
	}
	return false;
}

static int check_maps(const char *what, const struct spec_maps *maps, const struct container *other,
		      const struct spec_maps *theirs, struct ctn_err *err)
{
	for (size_t i = 0; i < maps->len; i++) {
		const struct spec_map *m = &maps->items[i];

		if (!is_roots(m) && is_others(m, other, theirs))
			return ctn_fail(err, EINVAL,
					"linux.%s: of the host ids from %u to %u some are those of "
					"%s, and containers must not share ids; give it others, or "
					"leave the maps out: then it gets a range of its own",
					what, m->outside, m->outside + (m->count - 1), other->name);
	}
	return 0;
}

int registry_ids_check(const struct engine *e, const struct container *c, const struct spec *spec,
		       struct ctn_err *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && has_maps(spec) && i < e->n; i++) {
		const struct container *other = e->by_serial[i];
		const struct spec_oci *theirs = other->mapped ? other->mapped->oci : NULL;

		if (other == c || other->parent)
			continue;
		r = check_maps("uidMappings", &spec->oci->uids, other,
			       theirs ? &theirs->uids : NULL, err);
		if (r == 0)
			r = check_maps("gidMappings", &spec->oci->gids, other,
				       theirs ? &theirs->gids : NULL, err);
	}
	return r;
}

/* That very range, which nobody else may be given. */
static int check_range(const struct engine *e, uid_t uid_base, struct ctn_err *err)
{
	for (size_t k = 0; k < e->n; k++) {
		if (!e->by_serial[k]->parent && e->by_serial[k]->uid_base == uid_base)
			return ctn_fail(err, EINVAL,
					"its host ids from %u on belong to another container",
					uid_base);
	}
	return 0;
}

/* The first that is free. */
static int find_range(struct engine *e, uid_t *ret, struct ctn_err *err)
{
	uint32_t i = e->ids_hint;

	while (i < e->subid_ranges && (e->ids_used[i / 8] & 1 << i % 8))
		i++;
	e->ids_hint = i;
	if (i >= e->subid_ranges)
		return ctn_fail(err, ENOSPC,
				"all %u ranges of host ids are in use; rmdir a container, or mount "
				"with a larger -o subid=BASE:COUNT",
				e->subid_ranges);
	*ret = e->subid_base + i * IDS_PER_CONTAINER;
	return 0;
}

int registry_ids_take(struct engine *e, struct container *c, uid_t uid_base, struct ctn_err *err)
{
	int r;

	if (uid_base) {
		r = check_range(e, uid_base, err);
	} else {
		r = registry_ids_check(e, c, c->spec, err);
		if (r == 0)
			r = find_range(e, &uid_base, err);
	}
	if (r < 0)
		return r;
	c->uid_base = uid_base;
	c->mapped = has_maps(c->spec) ? spec_get(c->spec) : NULL;
	mark_all(e, c, true);
	e->ids_odd += is_odd(e, c);
	return 0;
}

void registry_ids_give_back(struct engine *e, struct container *c)
{
	unmark(e, c);
}

void registry_ids_remap(struct engine *e, struct container *c, struct spec *spec)
{
	struct spec *old = c->mapped;

	if (!old && !has_maps(spec))
		return;
	unmark(e, c);
	c->mapped = has_maps(spec) ? spec_get(spec) : NULL;
	mark_all(e, c, true);
	e->ids_odd += is_odd(e, c);
	spec_put(old);
}
