/* SPDX-License-Identifier: Apache-2.0 */
/* Operations that make, remove and rename. Containers are made by mkdir; files are what the
 * table has, and whoever wants another one is told which there are. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "../core/cleanup.h"
#include "execs.h"

enum { WHERE_ROOM = 80 };

/* A name from a user, as one word of a line of `error`. */
static void make_where(const struct node *dir, const char *name, char ret[WHERE_ROOM])
{
	snprintf(ret, WHERE_ROOM, "%s%s%s", dir->path, dir->path[0] ? "/" : "", name);
	for (char *p = ret; *p; p++) {
		if (*p <= ' ' || *p > '~' || *p == ':')
			*p = '?';
	}
}

void refuse_name(fuse_req_t req, const struct node_ref *dir, const char *name,
		 const struct ctn_err *err)
{
	char where[WHERE_ROOM];

	make_where(dir->node, name, where);
	container_note_error(dir->fs->engine, dir->c, where, err);
	fuse_reply_err(req, err->code);
}

/* The same for an operation that is possible nowhere. */
__attribute__((format(printf, 5, 6))) static void refuse_at(fuse_req_t req, fuse_ino_t parent,
							    const char *name, int code,
							    const char *fmt, ...)
{
	char text[CTN_ERR_TEXT];
	struct ctn_err err = {0};
	struct node_ref dir;
	va_list ap;
	int r = node_ref_get(req_fs(req), parent, &dir);

	if (r < 0) {
		fuse_reply_err(req, -r);
		return;
	}
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	(void)ctn_fail(&err, code, "%s", text);
	refuse_name(req, &dir, name, &err);
	node_ref_put(&dir);
}

static bool is_root(fuse_ino_t ino)
{
	return ino == FUSE_ROOT_ID;
}

/* --- files that are not there --- */

/* A row of that name with all of @flags in another directory of a container. */
static const struct node *find_elsewhere(const char *name, unsigned flags)
{
	const struct node *node;

	for (unsigned row = ROW_CONTAINER + 1; (node = node_at(row)); row++) {
		if (!(node->flags & (N_ROOT | N_OWN)) && (node->flags & flags) == flags &&
		    strcmp(node_name(node), name) == 0)
			return node;
	}
	return NULL;
}

int explain_absence(const struct node_ref *dir, const char *name, struct ctn_err *err)
{
	const unsigned flags = execs_has(dir) ? N_SESSION : 0;
	const char *nearest = node_nearest(dir->node, name, flags);
	const struct node *elsewhere = dir->c ? find_elsewhere(name, flags) : NULL;
	const struct node *row = node_child(dir->node, name, 0);

	if (!dir->c)
		(void)ctn_fail(err, ENOENT, "no file '%.80s' here; mkdir makes a container", name);
	else if (row && (row->flags & flags) != flags)
		(void)ctn_fail(err, ENOENT,
			       "'%.80s' is not a session's own; its container has it: ../../%.80s",
			       name, row->path);
	else if (row)
		(void)ctn_fail(err, ENOENT, "'%.80s' is not there while the container %s", name,
			       row->flags & N_RUNNING ? "does not run" : "runs");
	else if (elsewhere)
		(void)ctn_fail(err, ENOENT, "no file '%.80s' here; did you mean %s?", name,
			       elsewhere->path);
	else if (nearest)
		(void)ctn_fail(err, ENOENT, "no file '%.80s' here; did you mean %s?", name,
			       nearest);
	else
		(void)ctn_fail(err, ENOENT, "no file '%.80s' here; ls shows which there are", name);
	return -ENOENT;
}

/* Open what was just made. */
static int open_made(fuse_req_t req, const struct node_ref *ref, const struct fuse_entry_param *e,
		     struct fuse_file_info *fi, struct ctn_err *err)
{
	struct handle *h = NULL;
	struct node_ref own = {0};
	int r = node_ref_get(ref->fs, e->ino, &own); /* a reference of the descriptor's own */

	if (r == 0)
		r = handle_new(&own, fuse_req_ctx(req)->uid, fi->flags, &h, err);
	if (r < 0) {
		node_ref_put(&own);
		return r;
	}
	fi->fh = (uintptr_t)h;
	fi->direct_io = 1;
	fi->noflush = 1;
	if (fuse_reply_create(req, e, fi) == -ENOENT) /* its opener got a signal */
		handle_put(h);
	return 0;
}

/* A scratch file in @dir; @fi: NULL, or it is to be opened. Return: 0, and it was answered; -errno.
 */
static int make_scratch(fuse_req_t req, const struct node_ref *dir, const char *name,
			struct fuse_file_info *fi, struct ctn_err *err)
{
	struct fuse_entry_param e;
	struct node_ref ref;
	int r;

	if (execs_is(dir->node))
		return ctn_fail(err, EPERM, "only mkdir makes something here: a session");
	if (!scratch_may(dir, name, !fi || fi->flags & O_EXCL))
		return explain_absence(dir, name, err);
	r = scratch_create(dir, name, &ref, err);
	if (r == 0)
		r = entry_fill(&ref, &e, err);
	if (r == 0 && fi)
		r = open_made(req, &ref, &e, fi, err);
	else if (r == 0)
		fuse_reply_entry(req, &e);
	return r < 0 && !err->code ? ctn_fail(err, -r, "%s: it is gone already", name) : r;
}

static void create_file(fuse_req_t req, fuse_ino_t parent, const char *name,
			struct fuse_file_info *fi)
{
	struct ctn_err err = {0};
	struct node_ref dir;
	int r = node_ref_get(req_fs(req), parent, &dir);

	if (r < 0) {
		fuse_reply_err(req, -r);
		return;
	}
	if (make_scratch(req, &dir, name, fi, &err) < 0)
		refuse_name(req, &dir, name, &err);
	node_ref_put(&dir);
}

void op_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
	       struct fuse_file_info *fi)
{
	(void)mode; /* root's alone until it is changed */
	create_file(req, parent, name, fi);
}

void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev)
{
	(void)rdev;
	if (S_ISREG(mode))
		create_file(req, parent, name, NULL);
	else
		refuse_at(req, parent, name, EPERM,
			  "no FIFOs, sockets and devices can be made here");
}

void op_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t newparent, const char *newname)
{
	(void)ino;
	refuse_at(req, newparent, newname, EPERM, "no links can be made here");
}

void op_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
	struct ctn_err err = {0};
	struct fuse_entry_param e;
	struct node_ref dir, ref;
	int r = node_ref_get(req_fs(req), parent, &dir);

	if (r < 0) {
		fuse_reply_err(req, -r);
		return;
	}
	r = ns_link_create(&dir, name, target, &ref, &err);
	if (r < 0)
		refuse_name(req, &dir, name, &err);
	else if (entry_fill(&ref, &e, NULL) < 0)
		fuse_reply_err(req, ENOENT); /* somebody was quick to remove it */
	else
		fuse_reply_entry(req, &e);
	node_ref_put(&dir);
}

/* A link that a user has made. */
static bool unlink_link(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct node_ref dir;
	int r = node_ref_get(req_fs(req), parent, &dir);

	if (r < 0)
		return false;
	r = ns_link_unlink(&dir, name);
	node_ref_put(&dir);
	if (r == 0)
		fuse_reply_err(req, 0);
	return r == 0;
}

void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct node_ref dir;
	int r;

	if (unlink_link(req, parent, name))
		return;
	r = node_ref_get(req_fs(req), parent, &dir);
	if (r == 0) {
		r = dir.c ? scratch_unlink(&dir, name) : -ENOENT;
		node_ref_put(&dir);
	}
	if (r == 0) {
		fuse_reply_err(req, 0);
		return;
	}
	refuse_at(req, parent, name, EPERM,
		  is_root(parent) ? "this file stays; rmdir removes a container"
				  : "a container's files stay; rmdir of its directory removes it");
}

/* --- containers --- */

static void reply_made(fuse_req_t req, const struct node_ref *dir, const char *name)
{
	struct node_ref ref = {.fs = dir->fs, .node = node_at(ROW_CONTAINER)};
	struct ctn_err err = {0};
	struct fuse_entry_param e;
	int r = container_create(dir->fs->engine, name, &ref.c, &err);

	if (r < 0) {
		refuse_name(req, dir, name, &err);
		return;
	}
	node_root_touch();
	r = entry_fill(&ref, &e, NULL);
	if (r < 0)
		fuse_reply_err(req, -r);
	else
		fuse_reply_entry(req, &e);
	node_ref_put(&ref);
}

void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	struct node_ref dir;
	int r;

	(void)mode; /* directories have the modes of the table */
	r = node_ref_get(req_fs(req), parent, &dir);
	if (r < 0) {
		fuse_reply_err(req, -r);
		return;
	}
	if (is_root(parent))
		reply_made(req, &dir, name);
	else if (execs_is(dir.node))
		execs_mkdir(req, &dir, name);
	else
		refuse_at(req, parent, name, EPERM,
			  "no directories can be made here; mkdir beside the container makes "
			  "another one, mkdir in its execs/ a session");
	node_ref_put(&dir);
}

/* The container itself gets the sentence, too, where there is one. */
static void refuse_container(fuse_req_t req, const char *name, const struct ctn_err *err)
{
	struct engine *engine = req_fs(req)->engine;
	struct container *c = container_find(engine, name);
	char where[WHERE_ROOM];

	make_where(node_at(ROW_ROOT), name, where);
	container_note_error(engine, c, c ? "." : where, err);
	container_put(c);
	fuse_reply_err(req, err->code);
}

static void rmdir_inside(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct node_ref dir;
	int r = node_ref_get(req_fs(req), parent, &dir);

	if (r < 0) {
		fuse_reply_err(req, -r);
		return;
	}
	if (execs_is(dir.node))
		execs_rmdir(req, &dir, name);
	else
		refuse_at(req, parent, name, EPERM,
			  "a container's directories stay; rmdir of its own removes it");
	node_ref_put(&dir);
}

void op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct ctn_err err = {0};

	if (!is_root(parent)) {
		rmdir_inside(req, parent, name);
		return;
	}
	if (container_remove(req_fs(req)->engine, name, &err) < 0) {
		refuse_container(req, name, &err);
		return;
	}
	node_root_touch();
	fuse_reply_err(req, 0);
}

static int rename_container(struct fs *fs, const char *name, const char *newname, unsigned flags,
			    struct ctn_err *err)
{
	struct container *taken;

	if (flags & ~(unsigned)RENAME_NOREPLACE)
		return ctn_fail(err, EINVAL, "names cannot be exchanged; use a third one");
	taken = container_find(fs->engine, newname);
	container_put(taken);
	if (taken)
		return ctn_fail(err, EEXIST, "there is a container called %s already", newname);
	return container_rename(fs->engine, name, newname, err);
}

static bool rename_link(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t newparent,
			const char *newname, unsigned flags)
{
	struct node_ref dir, newdir, link;
	struct ctn_err err = {0};
	bool found = false;

	if (node_ref_get(req_fs(req), parent, &dir) < 0)
		return false;
	if (ns_link_find(&dir, name, &link) && node_ref_get(dir.fs, newparent, &newdir) == 0) {
		found = true;
		if (ns_link_rename(&dir, name, &newdir, newname, flags, &err) < 0)
			refuse_name(req, &newdir, newname, &err);
		else
			fuse_reply_err(req, 0);
		node_ref_put(&newdir);
	}
	node_ref_put(&dir);
	return found;
}

/* Scratch files move, and become the contents of real ones; those stay where they are. */
static void rename_file(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t newparent,
			const char *newname, unsigned flags)
{
	struct node_ref dir, newdir;
	int r = node_ref_get(req_fs(req), parent, &dir);
	bool answered, sessions;

	if (r < 0) {
		fuse_reply_err(req, -r);
		return;
	}
	r = node_ref_get(dir.fs, newparent, &newdir);
	if (r < 0) {
		fuse_reply_err(req, -r);
		node_ref_put(&dir);
		return;
	}
	answered = dir.c && scratch_rename(req, &dir, name, &newdir, newname, flags);
	sessions = execs_is(dir.node) || execs_is(newdir.node);
	node_ref_put(&dir);
	node_ref_put(&newdir);
	if (!answered)
		refuse_at(req, parent, name, EPERM,
			  sessions ? "a session keeps its name and its place; mkdir makes another"
				   : "this file stays where it is; containers can be renamed, "
				     "beside each other");
}

void op_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t newparent,
	       const char *newname, unsigned flags)
{
	struct ctn_err err = {0};

	if (rename_link(req, parent, name, newparent, newname, flags))
		return;
	if (!is_root(parent) || !is_root(newparent)) {
		rename_file(req, parent, name, newparent, newname, flags);
		return;
	}
	if (rename_container(req_fs(req), name, newname, flags, &err) < 0) {
		refuse_container(req, name, &err);
		return;
	}
	node_root_touch();
	fuse_reply_err(req, 0);
}
