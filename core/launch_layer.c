/* SPDX-License-Identifier: Apache-2.0 */
/* A container's layer belongs to its ids. These change when it joins another's user namespace, or
 * the host's: what earlier runs have written is given to the new ones. Nothing of it runs
 * meanwhile. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "io.h"
#include "launch_pack.h"
#include "spec_idmap.h"

enum { DEPTH_MAX = 512, IDS_FILE_MAX = 2 * SPEC_MAPS_MAX * 40, EXTENTS_COMPARED = 8 };

/* In the state directory, where the layer is not the container's own range's: its uid map, a blank
 * line, its gid map. */
#define IDS_NAME "layer.ids"

struct shift {
	const struct launch_ids *from, *to;
	dev_t dev;
};

/* --- whose it is --- */

static void own_ids(const struct container *c, struct launch_ids *ret)
{
	ret->uids.len = ret->gids.len = 1;
	ret->uids.items[0] = ret->gids.items[0] = (struct spec_map){
		.inside = 0, .outside = c->uid_base, .count = IDS_PER_CONTAINER};
	ret->root_uid = ret->root_gid = c->uid_base;
}

static bool same_ids(const struct launch_ids *a, const struct launch_ids *b)
{
	return spec_maps_same(&a->uids, &b->uids) && spec_maps_same(&a->gids, &b->gids);
}

static int load_ids(const struct container *c, int dir, struct launch_ids *ret, struct ctn_err *err)
{
	ctn_autofree char *text = NULL;
	char *gids;
	int r = io_read_at(dir, IDS_NAME, IDS_FILE_MAX, &text, NULL, NULL);

	if (r == -ENOENT) {
		own_ids(c, ret);
		return 0;
	}
	if (r < 0)
		return ctn_fail(err, -r, "read %s of the state directory", IDS_NAME);
	gids = strstr(text, "\n\n");
	if (!gids)
		return ctn_fail(err, EINVAL, "%s is damaged: it is not what ctnfs wrote", IDS_NAME);
	gids[1] = '\0';
	r = spec_maps_parse(IDS_NAME, text, &ret->uids, err);
	return r < 0 ? r : spec_maps_parse(IDS_NAME, gids + 2, &ret->gids, err);
}

static int save_ids(const struct container *c, int dir, const struct launch_ids *ids,
		    struct ctn_err *err)
{
	ctn_autofree char *text = NULL;
	struct launch_ids own;
	size_t len = 0;
	FILE *out;

	own_ids(c, &own);
	if (same_ids(&own, ids)) {
		if (unlinkat(dir, IDS_NAME, 0) < 0 && errno != ENOENT)
			return ctn_fail_errno(err, "remove %s", IDS_NAME);
		return 0;
	}
	out = open_memstream(&text, &len);
	if (!out)
		return ctn_fail(err, ENOMEM, "%s: no memory", IDS_NAME);
	spec_maps_print(&ids->uids, out);
	putc('\n', out);
	spec_maps_print(&ids->gids, out);
	if (io_text_close(out, &text) < 0)
		return ctn_fail(err, ENOMEM, "%s: no memory", IDS_NAME);
	return io_replace_at(dir, IDS_NAME, text, len, 0600, true, err);
}

/* --- can it be done twice? --- */

struct range {
	int64_t from, to; /* the first behind it */
};

static struct range intersect(int64_t a, int64_t a_count, int64_t b, int64_t b_count)
{
	return (struct range){a > b ? a : b, a + a_count < b + b_count ? a + a_count : b + b_count};
}

/* Of the ids that @n gives to what is @inside: would the shift move them again? */
static bool moves_again(const struct spec_maps *from, const struct spec_maps *to,
			const struct spec_map *n, struct range inside)
{
	const int64_t first = n->outside + (inside.from - n->inside);

	for (size_t i = 0; i < from->len; i++) {
		const struct spec_map *o = &from->items[i];
		struct range y = intersect(first, inside.to - inside.from, o->outside, o->count);
		int64_t back = (int64_t)o->inside - o->outside;

		for (size_t k = 0; y.from < y.to && k < to->len; k++) {
			const struct spec_map *m = &to->items[k];
			struct range j = intersect(y.from + back, y.to - y.from, m->inside,
						   m->count);

			if (j.from < j.to && (int64_t)m->inside - m->outside != back)
				return true;
		}
	}
	return false;
}

/* A file with two names is met twice, and a server that was killed begins again: what was shifted
 * must not be shifted once more. */
static bool is_stable(const struct spec_maps *from, const struct spec_maps *to)
{
	if (from->len > EXTENTS_COMPARED || to->len > EXTENTS_COMPARED)
		return false;
	for (size_t i = 0; i < from->len; i++) {
		for (size_t k = 0; k < to->len; k++) {
			const struct spec_map *o = &from->items[i], *n = &to->items[k];
			struct range both = intersect(o->inside, o->count, n->inside, n->count);

			if (both.from < both.to && moves_again(from, to, n, both))
				return false;
		}
	}
	return true;
}

/* --- the walk --- */

/* @id as the other map has it; an id that either does not know stays. */
static uint32_t shift_id(const struct spec_maps *from, const struct spec_maps *to, uint32_t id)
{
	uint32_t inside, outside;

	if (spec_maps_inside(from, id, &inside) && spec_maps_outside(to, inside, &outside))
		return outside;
	return id;
}

/* The kernel takes set-user-id bits and capabilities off what changes its owner. */
static int shift_owner(const struct shift *s, int dirfd, const char *name, const struct stat *st,
		       struct ctn_err *err)
{
	uid_t uid = shift_id(&s->from->uids, &s->to->uids, st->st_uid);
	gid_t gid = shift_id(&s->from->gids, &s->to->gids, st->st_gid);

	if (uid == st->st_uid && gid == st->st_gid)
		return 0;
	if (fchownat(dirfd, name, uid, gid, AT_SYMLINK_NOFOLLOW) < 0)
		return ctn_fail_errno(err, "give '%.80s' in the layer to the container", name);
	return 0;
}

static int shift_below(const struct shift *s, int fd, int depth, struct ctn_err *err);

static int shift_entry(const struct shift *s, int dirfd, const char *name, int depth,
		       struct ctn_err *err)
{
	ctn_autoclose int fd = -1;
	struct stat st;
	int r;

	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return ctn_fail_errno(err, "stat '%.80s' in the layer", name);
	if (st.st_dev != s->dev)
		return 0;
	if (S_ISDIR(st.st_mode)) {
		if (depth >= DEPTH_MAX)
			return ctn_fail(err, ELOOP,
					"its layer has directories in each other, %d deep: its ids "
					"cannot change",
					DEPTH_MAX);
		fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0)
			return ctn_fail_errno(err, "open '%.80s' in the layer", name);
		r = shift_below(s, fd, depth + 1, err);
		if (r < 0)
			return r;
	}
	return shift_owner(s, dirfd, name, &st, err);
}

static int shift_below(const struct shift *s, int fd, int depth, struct ctn_err *err)
{
	ctn_autoclosedir DIR *dir = NULL;
	ctn_autoclose int own = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const struct dirent *e;

	if (own < 0 || !(dir = fdopendir(own)))
		return ctn_fail_errno(err, "read a directory of the layer");
	(void)ctn_take_fd(own); /* dir owns it now */
	while ((e = readdir(dir))) {
		int r;

		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		r = shift_entry(s, fd, e->d_name, depth, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int shift_layer(int dir, const struct launch_ids *from, const struct launch_ids *to,
		       dev_t dev, struct ctn_err *err)
{
	const struct shift s = {.from = from, .to = to, .dev = dev};
	ctn_autoclose int fd = openat(dir, WIRE_LAYER_NAME,
				      O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return ctn_fail_errno(err, "open the layer");
	if (io_dir_is_empty_at(fd, "."))
		return 0;
	if (!is_stable(&from->uids, &to->uids) || !is_stable(&from->gids, &to->gids))
		return ctn_fail(err, EINVAL,
				"the host ids of its layer overlap with its new ones, which could "
				"mix up whose files are whose; rmdir it and make it anew, or use "
				"others");
	return shift_below(&s, fd, 0, err);
}

int launch_layer(const struct container *c, const struct launch_ids *ids, struct ctn_err *err)
{
	ctn_autoclose int dir = -1;
	struct launch_ids before;
	struct stat st;
	bool same;
	int r = container_state_dir(c, &dir, err);

	if (r == 0)
		r = load_ids(c, dir, &before, err);

	if (r < 0)
		return r;
	if (fstatat(dir, WIRE_LAYER_NAME, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return ctn_fail_errno(err, "stat the layer");
	same = same_ids(&before, ids);
	if (!same)
		r = shift_layer(dir, &before, ids, st.st_dev, err);
	if (r == 0 && !same)
		r = save_ids(c, dir, ids, err);
	if (r == 0 && (st.st_uid != ids->root_uid || st.st_gid != ids->root_gid) &&
	    fchownat(dir, WIRE_LAYER_NAME, ids->root_uid, ids->root_gid, AT_SYMLINK_NOFOLLOW) < 0)
		return ctn_fail_errno(err, "give the layer to the container");
	return r;
}
