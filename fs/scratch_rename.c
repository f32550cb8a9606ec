/* SPDX-License-Identifier: Apache-2.0 */
/* Renaming scratch files: among themselves, and over a file of the container, which is written so.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../core/cleanup.h"
#include "scratch.h"
#include "write.h"

/* --- among themselves --- */

static int check_move(const struct node_ref *dir, const struct node_ref *newdir,
		      const char *newname, unsigned flags, struct ctn_err *err)
{
	if (flags & ~(unsigned)RENAME_NOREPLACE)
		return ctn_fail(err, EINVAL, "names cannot be exchanged; use a third one");
	if (!newdir->c || container_serial(newdir->c) != container_serial(dir->c))
		return ctn_fail(err, EXDEV, "a scratch file stays in its container; cp it");
	if (strlen(newname) >= SCRATCH_NAME_ROOM)
		return ctn_fail(err, ENAMETOOLONG, "a file's name has at most %d bytes",
				SCRATCH_NAME_ROOM - 1);
	return 0;
}

static int move(const struct node_ref *dir, const char *name, const struct node_ref *newdir,
		const char *newname, unsigned flags, struct ctn_err *err)
{
	struct scratch *s, *taken;
	int r = 0;

	scratch_lock();
	s = scratch_named(dir, name);
	taken = scratch_named(newdir, newname);
	if (!s)
		r = ctn_fail(err, ENOENT, "it is gone already");
	else if (taken && flags & RENAME_NOREPLACE)
		r = ctn_fail(err, EEXIST, "there is a file called %.80s already", newname);
	if (r == 0 && s != taken) {
		if (taken)
			scratch_drop_name(taken);
		s->dir = newdir->node;
		strcpy(s->name, newname);
	}
	scratch_unlock();
	return r;
}

/* --- over a file --- */

/* Its contents while they are written. */
struct source {
	struct node_ref ref; /* of the scratch file, held open; a reference to its container */
	struct node_ref dir; /* borrows that reference */
	char name[SCRATCH_NAME_ROOM];
};

static void source_free(struct source *from)
{
	scratch_closed(&from->ref);
	node_ref_put(&from->ref);
	free(from);
}

/* Where it was written it has no name any more, unless somebody gave that to another file. */
static void written(void *arg, bool ok)
{
	struct source *from = arg;
	struct scratch *s;

	if (ok) {
		scratch_lock();
		s = scratch_named(&from->dir, from->name);
		if (s && s->slot == from->ref.extra)
			scratch_drop_name(s);
		scratch_unlock();
	}
	source_free(from);
}

static int source_new(const struct node_ref *dir, const char *name, struct source **ret,
		      struct ctn_err *err)
{
	struct source *from = calloc(1, sizeof(*from));
	struct node_ref found;
	int r = from ? 0 : -ENOMEM;

	if (r == 0 && !scratch_find(dir, name, &found))
		r = -ENOENT;
	if (r == 0)
		r = node_ref_get(dir->fs, node_ino(&found), &from->ref);
	if (r == 0) {
		r = scratch_opened(&from->ref);
		if (r < 0)
			node_ref_put(&from->ref);
	}
	if (r < 0) {
		free(from);
		errno = -r;
		return ctn_fail_errno(err, "%s", name);
	}
	from->dir = (struct node_ref){.fs = dir->fs, .node = dir->node, .c = from->ref.c};
	strcpy(from->name, name);
	*ret = from;
	return 0;
}

/* Return: 0, and it was or will be answered; -errno. */
static int write_over(fuse_req_t req, const struct node_ref *dir, const char *name,
		      const struct node_ref *newdir, const struct node *row, struct ctn_err *err)
{
	struct source *from = NULL;
	struct node_ref target;
	ctn_autofree char *text = NULL;
	size_t len = 0;
	int r = source_new(dir, name, &from, err);

	if (r < 0)
		return r;
	r = node_render(&from->ref, &text, &len, err);
	if (r == 0) {
		const struct node_ref there = {.fs = newdir->fs, .node = row, .c = newdir->c};

		r = node_ref_get(newdir->fs, node_ino(&there), &target);
		if (r < 0)
			(void)ctn_fail(err, -r, "%s is not there now", row->path);
	}
	if (r < 0)
		source_free(from);
	else
		write_whole(req, &target, text, len, written, from);
	return r;
}

/* --- both --- */

/* The row that is there now, under a knob's other name, too. */
static const struct node *row_of(const struct node_ref *dir, const char *name)
{
	const struct node *node;
	const struct cgroup_knob *knob = NULL;

	for (unsigned nth = 0; (node = node_child(dir->node, name, nth)); nth++) {
		if (node_visible(node, dir->c))
			return node;
	}
	if (strcmp(dir->node->path, "cgroup") == 0)
		knob = cgroup_knob_find(name);
	return knob ? node_child(dir->node, knob->name, 0) : NULL;
}

static int rename_to(fuse_req_t req, const struct node_ref *dir, const char *name,
		     const struct node_ref *newdir, const char *newname, unsigned flags,
		     struct ctn_err *err)
{
	int r = check_move(dir, newdir, newname, flags, err);
	const struct node *row;

	if (r < 0)
		return r;
	row = row_of(newdir, newname);
	if (row && flags & RENAME_NOREPLACE)
		return ctn_fail(err, EEXIST, "there is a file called %.80s already", newname);
	if (row)
		return write_over(req, dir, name, newdir, row, err);
	if (!scratch_may(newdir, newname, false))
		return explain_absence(newdir, newname, err);
	r = move(dir, name, newdir, newname, flags, err);
	if (r == 0)
		fuse_reply_err(req, 0);
	return r;
}

bool scratch_rename(fuse_req_t req, const struct node_ref *dir, const char *name,
		    const struct node_ref *newdir, const char *newname, unsigned flags)
{
	struct ctn_err err = {0};
	struct node_ref ref;

	if (!scratch_find(dir, name, &ref))
		return false;
	if (rename_to(req, dir, name, newdir, newname, flags, &err) < 0)
		fuse_reply_err(req, node_refuse(&ref, &err));
	return true;
}
