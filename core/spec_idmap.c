/* SPDX-License-Identifier: Apache-2.0 */
#include "spec_idmap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "io.h"

enum { MAP_FILE_MAX = SPEC_MAPS_MAX * 40 };

static bool overlap(uint32_t a, uint32_t a_count, uint32_t b, uint32_t b_count)
{
	return a < b ? b - a < a_count : a - b < b_count;
}

static int check_extent(const char *what, const struct spec_map *m, struct ctn_err *err)
{
	if (m->count == 0)
		return ctn_fail(err, EINVAL, "%s: '%u %u %u' has no ids", what, m->inside,
				m->outside, m->count);
	/* The id 4294967295 is no id: setuid(2) means "leave it" by it. */
	if (m->count > UINT32_MAX - m->inside || m->count > UINT32_MAX - m->outside)
		return ctn_fail(err, EINVAL, "%s: '%u %u %u' goes beyond the last id, 4294967294",
				what, m->inside, m->outside, m->count);
	return 0;
}

int spec_maps_check(const char *what, const struct spec_maps *maps, struct ctn_err *err)
{
	uint32_t root;

	if (maps->len > SPEC_MAPS_MAX)
		return ctn_fail(err, EINVAL, "%s: more than %d extents", what, SPEC_MAPS_MAX);
	for (size_t i = 0; i < maps->len; i++) {
		const struct spec_map *a = &maps->items[i];
		int r = check_extent(what, a, err);

		if (r < 0)
			return r;
		for (size_t k = 0; k < i; k++) {
			const struct spec_map *b = &maps->items[k];

			if (overlap(a->inside, a->count, b->inside, b->count) ||
			    overlap(a->outside, a->count, b->outside, b->count))
				return ctn_fail(err, EINVAL,
						"%s: '%u %u %u' and '%u %u %u' overlap", what,
						b->inside, b->outside, b->count, a->inside,
						a->outside, a->count);
		}
	}
	if (!spec_maps_outside(maps, 0, &root))
		return ctn_fail(err, EINVAL, "%s: nobody is 0 inside, and root sets it up", what);
	return 0;
}

int spec_maps_parse(const char *what, const char *text, struct spec_maps *ret, struct ctn_err *err)
{
	struct spec_maps maps = {.len = 0};

	while (*text) {
		struct spec_map *m = &maps.items[maps.len];
		unsigned long long v[3];
		int n = 0;

		if (sscanf(text, "%llu %llu %llu%n", &v[0], &v[1], &v[2], &n) != 3 ||
		    v[0] > UINT32_MAX || v[1] > UINT32_MAX || v[2] > UINT32_MAX ||
		    (text[n] && text[n] != '\n'))
			return ctn_fail(err, EINVAL, "%s: '%.*s' is no extent", what,
					(int)strcspn(text, "\n"), text);
		if (maps.len == SPEC_MAPS_MAX)
			return ctn_fail(err, EINVAL, "%s: more than %d extents", what,
					SPEC_MAPS_MAX);
		*m = (struct spec_map){(uint32_t)v[0], (uint32_t)v[1], (uint32_t)v[2]};
		maps.len++;
		text += n + (text[n] == '\n');
	}
	*ret = maps;
	return 0;
}

void spec_maps_print(const struct spec_maps *maps, FILE *out)
{
	for (size_t i = 0; i < maps->len; i++)
		fprintf(out, "%u %u %u\n", maps->items[i].inside, maps->items[i].outside,
			maps->items[i].count);
}

static int read_map(int procfd, const char *file, struct spec_maps *ret, struct ctn_err *err)
{
	ctn_autofree char *text = NULL;
	int r = io_read_at(procfd, file, MAP_FILE_MAX, &text, NULL, err);

	if (r == -ENOENT)
		return ctn_fail(err, ESRCH, "%s: the process has ended", file);
	return r < 0 ? r : spec_maps_parse(file, text, ret, err);
}

int spec_maps_read(int procfd, struct spec_maps *ret_uids, struct spec_maps *ret_gids,
		   struct ctn_err *err)
{
	struct spec_maps uids;
	int r = read_map(procfd, "uid_map", &uids, err);

	if (r == 0)
		r = read_map(procfd, "gid_map", ret_gids, err);
	if (r == 0)
		*ret_uids = uids;
	return r;
}

bool spec_maps_outside(const struct spec_maps *maps, uint32_t id, uint32_t *ret)
{
	for (size_t i = 0; i < maps->len; i++) {
		const struct spec_map *m = &maps->items[i];

		if (id >= m->inside && id - m->inside < m->count) {
			*ret = m->outside + (id - m->inside);
			return true;
		}
	}
	return false;
}

bool spec_maps_inside(const struct spec_maps *maps, uint32_t id, uint32_t *ret)
{
	for (size_t i = 0; i < maps->len; i++) {
		const struct spec_map *m = &maps->items[i];

		if (id >= m->outside && id - m->outside < m->count) {
			*ret = m->inside + (id - m->outside);
			return true;
		}
	}
	return false;
}

bool spec_maps_same(const struct spec_maps *a, const struct spec_maps *b)
{
	return a->len == b->len && memcmp(a->items, b->items, a->len * sizeof(a->items[0])) == 0;
}
