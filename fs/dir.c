/* SPDX-License-Identifier: Apache-2.0 */
/* Directories: each descriptor lists what there was when its reader began. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "../core/cleanup.h"
#include "execs.h"

struct dir_entry {
	char *name;
	fuse_ino_t ino; /* st_ino */
	mode_t mode;
};

/* An open directory; fuse_file_info.fh. Holds no reference: it may go while it is being read. */
struct dir {
	struct opened open; /* first, so that it can be turned into the directory */
	fuse_ino_t ino;
	pthread_mutex_t lock; /* all below; two threads may read one descriptor */
	struct dir_entry *entries;
	size_t n, room;
};

static void dir_clear(struct dir *d)
{
	for (size_t i = 0; i < d->n; i++)
		free(d->entries[i].name);
	d->n = 0;
}

static void dir_drop(struct opened *o)
{
	struct dir *d = (struct dir *)o;

	opened_remove(o);
	dir_clear(d);
	pthread_mutex_destroy(&d->lock);
	free(d->entries);
	free(d);
}

static int dir_add(struct dir *d, const char *name, fuse_ino_t ino, mode_t mode)
{
	struct dir_entry e = {.name = strdup(name), .ino = ino, .mode = mode};

	if (e.name && d->n == d->room) {
		size_t room = d->room ? d->room * 2 : 32;
		struct dir_entry *bigger = realloc(d->entries, room * sizeof(*bigger));

		if (!bigger) {
			free(e.name);
			return -ENOMEM;
		}
		d->entries = bigger;
		d->room = room;
	}
	if (!e.name)
		return -ENOMEM;
	d->entries[d->n++] = e;
	return 0;
}

/* --- what is in it --- */

static int add_dots(struct dir *d, const struct node_ref *ref)
{
	const struct node *parent = node_parent(ref->node) ?: ref->node;
	fuse_ino_t up = parent->flags & N_ROOT ? FUSE_ROOT_ID
					       : node_ino_of(ref, parent, ref->extra);
	int r = dir_add(d, ".", node_ino(ref), S_IFDIR);

	if (parent->flags & N_ROOT && execs_has(ref))
		up = execs_ino(ref);
	return r < 0 ? r : dir_add(d, "..", up, S_IFDIR);
}

static int add_processes(struct dir *d, const struct node_ref *ref, const struct node *node)
{
	ctn_autofree struct pid_pair *pairs = NULL;
	size_t n = 0;
	int r = container_procs(ref->c, &pairs, &n, NULL);

	for (size_t i = 0; r == 0 && i < n; i++) {
		char name[16];

		snprintf(name, sizeof(name), "%d", pairs[i].own);
		r = dir_add(d, name, node_ino_of(ref, node, (uint32_t)pairs[i].own), node->mode);
	}
	return r;
}

/* A link to nothing is not there: a controller that this host lacks. */
static bool leads_somewhere(const struct node_ref *dir, const struct node *node)
{
	struct node_ref ref = {.fs = dir->fs, .node = node, .c = dir->c};
	ctn_autofree char *text = NULL;
	size_t len;

	return !S_ISLNK(node->mode) || node_render(&ref, &text, &len, NULL) == 0;
}

struct link_adder {
	struct dir *d;
	const struct node_ref *ref;
	const struct node *node;
};

static int add_link(void *arg, const char *name, uint32_t slot)
{
	const struct link_adder *a = arg;

	return dir_add(a->d, name, node_ino_of(a->ref, a->node, slot), a->node->mode);
}

static int add_links(struct dir *d, const struct node_ref *ref, const struct node *node)
{
	struct link_adder a = {.d = d, .ref = ref, .node = node};

	return ns_link_list(ref, add_link, &a);
}

static int add_rows(struct dir *d, const struct node_ref *ref)
{
	int r = 0;

	for (const struct node *node = node_next(ref->node, NULL); r == 0 && node;
	     node = node_next(ref->node, node)) {
		if (node->flags & (N_UNLISTED | N_SCRATCH | N_EXECS))
			continue;
		if (node->flags & N_OWN)
			r = add_processes(d, ref, node);
		else if (node->flags & N_LINKS)
			r = add_links(d, ref, node);
		else if (node_visible(node, ref->c) && leads_somewhere(ref, node))
			r = dir_add(d, node_name(node), node_ino_of(ref, node, 0), node->mode);
	}
	return r;
}

/* Of the root, or the sessions of a container. */
static int add_containers(struct dir *d, const struct node_ref *ref)
{
	const struct node *node = node_at(ROW_CONTAINER);
	struct container **all = NULL;
	size_t n = 0;
	int r = ref->c ? execs_list(ref, &all, &n) : container_list(ref->fs->engine, &all, &n);

	for (size_t i = 0; i < n; i++) {
		struct node_ref each = {.fs = ref->fs, .node = node, .c = all[i]};
		struct container_view view;

		container_view_get(all[i], &view);
		if (r == 0)
			r = dir_add(d, view.spec->name, node_ino(&each), node->mode);
		container_view_put(&view);
		container_put(all[i]);
	}
	free(all);
	return r;
}

static int add_scratch(struct dir *d, const struct node_ref *ref)
{
	char names[SCRATCH_MAX][SCRATCH_NAME_ROOM];
	struct node_ref found[SCRATCH_MAX];
	size_t n = scratch_list(ref, names, found);
	int r = 0;

	for (size_t i = 0; r == 0 && i < n; i++)
		r = dir_add(d, names[i], node_ino(&found[i]), S_IFREG);
	return r;
}

/* Under d->lock. */
static int dir_fill(struct dir *d, struct fs *fs)
{
	struct node_ref ref;
	int r = node_ref_get(fs, d->ino, &ref);

	if (r < 0)
		return r;
	dir_clear(d);
	r = add_dots(d, &ref);
	if (r == 0)
		r = add_rows(d, &ref);
	if (r == 0 && (!ref.c || execs_is(ref.node)))
		r = add_containers(d, &ref);
	if (r == 0 && ref.c)
		r = add_scratch(d, &ref);
	node_ref_put(&ref);
	return r;
}

/* --- operations --- */

void op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct ctn_err err = {0};
	struct node_ref ref;
	struct dir *d;
	int r = node_ref_get(req_fs(req), ino, &ref);

	if (r < 0) {
		fuse_reply_err(req, -r);
		return;
	}
	node_ref_put(&ref);
	d = calloc(1, sizeof(*d));
	if (!d) {
		fuse_reply_err(req, ENOMEM);
		return;
	}
	d->open.drop = dir_drop;
	d->ino = ino;
	r = opened_add(&d->open, fuse_req_ctx(req)->uid, &err);
	if (r < 0) {
		free(d);
		fuse_reply_err(req, -r);
		return;
	}
	pthread_mutex_init(&d->lock, NULL);
	fi->fh = (uintptr_t)d;
	if (fuse_reply_open(req, fi) == -ENOENT) /* the opener got a signal: no RELEASEDIR comes */
		dir_drop(&d->open);
}

void op_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct dir *d = (struct dir *)(uintptr_t)fi->fh;

	(void)ino;
	dir_drop(&d->open);
	fuse_reply_err(req, 0);
}

/*
 * What the kernel may keep of an entry that it lists: directories only, since what it is told of
 * files it asks again anyway. A container is looked up by its name: it may be another one by now,
 * or none (-ENOENT). A session keeps its name, and the kernel nothing about it. No rename can come
 * between this answer and its use, since both hold the directory's lock in the kernel.
 */
static int entry_plus(struct fs *fs, const struct dir_entry *entry, struct fuse_entry_param *ret)
{
	struct node_ref ref;
	int r;

	*ret = (struct fuse_entry_param){0}; /* no node: the kernel takes number and type only */
	ret->attr.st_ino = entry->ino;
	ret->attr.st_mode = entry->mode;
	if (!S_ISDIR(entry->mode) || entry->name[0] == '.')
		return 0;
	r = node_ref_get(fs, entry->ino, &ref);
	if (r == 0 && node_row(ref.node) == ROW_CONTAINER && !execs_has(&ref)) {
		container_put(ref.c);
		ref.c = container_find(fs->engine, entry->name);
		r = ref.c ? 0 : -ENOENT;
	}
	if (r < 0)
		return r == -ESTALE ? -ENOENT : r;
	r = entry_fill(&ref, ret, NULL);
	node_ref_put(&ref);
	return r;
}

/* Fill @buf with what comes after offset @off. Return: bytes. Under d->lock. */
static size_t print_entries(fuse_req_t req, const struct dir *d, size_t off, bool plus, char *buf,
			    size_t size)
{
	size_t used = 0;

	for (size_t i = off; i < d->n; i++) {
		const struct dir_entry *entry = &d->entries[i];
		struct fuse_entry_param e = {
			.attr = {.st_ino = entry->ino, .st_mode = entry->mode}};
		size_t need;

		if (plus && entry_plus(req_fs(req), entry, &e) == -ENOENT)
			continue;
		if (plus)
			need = fuse_add_direntry_plus(req, buf + used, size - used, entry->name, &e,
						      (off_t)i + 1);
		else
			need = fuse_add_direntry(req, buf + used, size - used, entry->name, &e.attr,
						 (off_t)i + 1);
		if (need > size - used)
			break;
		used += need;
	}
	return used;
}

static void read_dir(fuse_req_t req, size_t size, off_t off, struct dir *d, bool plus)
{
	ctn_autofree char *buf = malloc(size);
	size_t used = 0;
	int r = buf ? 0 : -ENOMEM;

	pthread_mutex_lock(&d->lock);
	if (r == 0 && (off == 0 || !d->n)) /* rewinddir(3) begins anew */
		r = dir_fill(d, req_fs(req));
	if (r == 0 && off >= 0)
		used = print_entries(req, d, (size_t)off, plus, buf, size);
	pthread_mutex_unlock(&d->lock);
	if (r < 0)
		fuse_reply_err(req, -r);
	else
		fuse_reply_buf(req, buf, used);
}

void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
	(void)ino;
	read_dir(req, size, off, (struct dir *)(uintptr_t)fi->fh, false);
}

void op_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		    struct fuse_file_info *fi)
{
	(void)ino;
	read_dir(req, size, off, (struct dir *)(uintptr_t)fi->fh, true);
}
