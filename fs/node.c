/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes: from a node id to a row and a container, and what is so about them now. */
#include "node.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "../core/cleanup.h"
#include "../core/io.h"
#include "execs.h"
#include "ops.h"

enum { BLOCK_SIZE = 128 << 10, SECTOR = 512 };
enum { STABLE_SECS = 3600, DIRECTORY_SECS = 1 };

static const uint64_t ns_per_sec = 1000000000;

static _Atomic uint64_t root_touched; /* nanoseconds since the epoch, 0: not since the mount */

void node_root_touch(void)
{
	root_touched = mtime_now();
}

/* --- identity --- */

static fuse_ino_t make_ino(uint32_t serial, uint32_t extra, unsigned row)
{
	return (fuse_ino_t)serial << 32 | (fuse_ino_t)extra << NODE_ROW_BITS | row;
}

fuse_ino_t node_ino_of(const struct node_ref *ref, const struct node *node, uint32_t extra)
{
	return make_ino(ref->c ? container_serial(ref->c) : 0, node->flags & N_MANY ? extra : 0,
			node_row(node));
}

fuse_ino_t node_ino(const struct node_ref *ref)
{
	return node_ino_of(ref, ref->node, ref->extra);
}

bool node_visible(const struct node *node, struct container *c)
{
	struct container_view view;
	bool running;

	if (c && container_of_session(c) && !(node->flags & N_SESSION))
		return false;
	if (!(node->flags & (N_RUNNING | N_STOPPED)))
		return true;
	container_view_get(c, &view);
	running = view.init;
	container_view_put(&view);
	return node->flags & (running ? N_RUNNING : N_STOPPED);
}

int node_ref_get(struct fs *fs, fuse_ino_t ino, struct node_ref *ret)
{
	struct node_ref ref = {.fs = fs, .node = node_at(ino & ((1U << NODE_ROW_BITS) - 1))};
	uint32_t serial = (uint32_t)(ino >> 32);

	if (!ref.node || (ref.node->flags & N_ROOT && serial))
		return -ESTALE;
	if (ref.node->flags & N_MANY)
		ref.extra = ino >> NODE_ROW_BITS & ((1U << NODE_EXTRA_BITS) - 1);
	if (!(ref.node->flags & N_ROOT)) {
		ref.c = container_find_serial(fs->engine, serial);
		if (!ref.c)
			return -ESTALE;
		if (!node_visible(ref.node, ref.c) || !scratch_exists(&ref)) {
			node_ref_put(&ref);
			return -ENOENT;
		}
	}
	*ret = ref;
	return 0;
}

void node_ref_put(struct node_ref *ref)
{
	container_put(ref->c);
	ref->c = NULL;
}

double node_attr_timeout(const struct node *node)
{
	if (node->flags & N_CONST)
		return STABLE_SECS;
	return S_ISDIR(node->mode) && node_next(node, NULL) &&
			       !(node_next(node, NULL)->flags & N_OWN)
		       ? DIRECTORY_SECS
		       : 0;
}

/* The removal of a session can outlive the rmdir(2) that asked for it, and then the kernel does not
 * hear when it is gone. */
static double entry_timeout_of(const struct node_ref *ref)
{
	if (node_row(ref->node) == ROW_CONTAINER && execs_has(ref))
		return 0;
	return ref->node->flags & (N_FRESH | N_RUNNING | N_STOPPED | N_MANY) ? 0 : STABLE_SECS;
}

/* --- content --- */

int node_render(const struct node_ref *ref, char **ret, size_t *ret_len, struct ctn_err *err)
{
	ctn_autofree char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);
	int r;

	if (!out)
		return ctn_fail(err, ENOMEM, "%s: no memory to read it", ref->node->path);
	r = ref->node->show ? ref->node->show(ref, out, err) : 0;
	if (io_text_close(out, &text) < 0)
		return ctn_fail(err, ENOMEM, "%s: no memory to read it", ref->node->path);
	if (r < 0)
		return r;
	if (ref->node->flags & N_ALL)
		(void)mtime_of_content(ref, text, len);
	*ret = ctn_take_ptr(text);
	*ret_len = len;
	return 0;
}

/* --- attributes --- */

struct timespec timespec_of(uint64_t ns)
{
	return (struct timespec){.tv_sec = (time_t)(ns / ns_per_sec),
				 .tv_nsec = (long)(ns % ns_per_sec)};
}

static uint64_t root_mtime(const struct node_ref *ref)
{
	uint64_t touched = root_touched;

	return S_ISDIR(ref->node->mode) && touched > ref->fs->mounted ? touched : ref->fs->mounted;
}

static uint64_t container_mtime(const struct node_ref *ref)
{
	struct container_view view;
	uint64_t mtime;

	if (execs_is(ref->node))
		return execs_mtime(ref);
	container_view_get(ref->c, &view);
	if (ref->node->flags & N_CONST)
		mtime = view.created;
	else if (ref->node->flags & N_CONFIG)
		mtime = view.changed;
	else
		mtime = view.moved; /* a directory's entries come and go with the program */
	container_view_put(&view);
	return mtime;
}

static nlink_t link_count(const struct node_ref *ref)
{
	nlink_t count = 2;

	if (!S_ISDIR(ref->node->mode))
		return 1;
	if (!node_parent(ref->node))
		count += container_count(ref->fs->engine);
	else if (execs_is(ref->node))
		count += container_session_count(ref->c);
	for (const struct node *node = node_next(ref->node, NULL); node;
	     node = node_next(ref->node, node))
		count += S_ISDIR(node->mode) && !(node->flags & N_EXECS) &&
			 node_visible(node, ref->c);
	return count;
}

static void set_size(struct stat *st, uint64_t size)
{
	st->st_size = (off_t)size;
	st->st_blocks = (blkcnt_t)((size + SECTOR - 1) / SECTOR);
}

static void set_times(struct stat *st, uint64_t ns)
{
	st->st_atim = st->st_mtim = st->st_ctim = timespec_of(ns);
}

static void stat_fixed(const struct node_ref *ref, struct stat *ret)
{
	struct stat st = {
		.st_ino = node_ino(ref),
		.st_mode = ref->node->mode,
		.st_nlink = link_count(ref),
		.st_blksize = BLOCK_SIZE,
	};

	if (ref->fs->group != (gid_t)-1 && ref->node->flags & N_OBS) {
		st.st_mode |= S_ISDIR(st.st_mode) ? 0050 : 0040;
		st.st_gid = ref->fs->group;
	}
	set_times(&st, ref->c ? container_mtime(ref) : root_mtime(ref));
	*ret = st;
}

int node_stat(const struct node_ref *ref, struct stat *ret, struct ctn_err *err)
{
	ctn_autofree char *text = NULL;
	uint64_t log_bytes = 0, log_mtime = 0, mtime = 0;
	struct stat st;
	size_t len = 0;
	int r = 0;

	stat_fixed(ref, &st);
	if (ref->node->flags & N_LOG) {
		r = log_size(ref, &log_bytes, &log_mtime, err);
		if (r < 0)
			return r;
		set_size(&st, log_bytes);
		set_times(&st, log_mtime);
	} else if (ref->node->flags & N_SCRATCH) {
		r = scratch_stat(ref, &st);
		if (r < 0)
			return r;
	} else if (ref->node->flags & N_ALL && mtime_lately(ref, &len, &mtime)) {
		set_size(&st, len);
		set_times(&st, mtime);
	} else if (!S_ISDIR(st.st_mode) && !(ref->node->flags & N_WAIT)) {
		/* What cannot be read has attributes all the same; a link to nothing is not there.
		 * Without memory it would have another size than it has. */
		r = node_render(ref, &text, &len, err);
		if (r < 0 && (S_ISLNK(st.st_mode) || r == -ENOMEM))
			return r;
		set_size(&st, len);
		if (text && !(ref->node->flags & (N_CONFIG | N_STATE | N_CONST)))
			set_times(&st, mtime_of_content(ref, text, len));
	}
	*ret = st;
	return 0;
}

int entry_fill(const struct node_ref *ref, struct fuse_entry_param *ret, struct ctn_err *err)
{
	static _Atomic uint32_t fresh;
	struct fuse_entry_param e = {
		.attr_timeout = node_attr_timeout(ref->node),
		.entry_timeout = entry_timeout_of(ref),
	};
	int r = node_stat(ref, &e.attr, err);

	if (r < 0)
		return r;
	e.ino = e.attr.st_ino;
	if (ref->node->flags & N_FRESH)
		e.ino = make_ino(ref->c ? container_serial(ref->c) : 0,
				 ++fresh & ((1U << NODE_EXTRA_BITS) - 1), node_row(ref->node));
	*ret = e;
	return 0;
}

void node_changed(void *arg, uint32_t serial)
{
	const struct fs *fs = arg;
	struct container *c;

	watch_changed(serial);
	if (!serial)
		return; /* the journal */
	mtime_stale();
	c = container_find_serial(fs->engine, serial);
	if (!c) {
		mtime_forget(serial);
		ns_link_forget(serial);
		scratch_forget(serial);
	}
	container_put(c);
}

int node_refuse(const struct node_ref *ref, const struct ctn_err *err)
{
	const char *path = ref->node->path;

	container_note_error(ref->fs->engine, ref->c, path[0] ? path : ".", err);
	return err->code ?: EIO;
}
