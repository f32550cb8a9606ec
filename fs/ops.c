/* SPDX-License-Identifier: Apache-2.0 */
/* Operations that change nothing: looking up, attributes, links. */
#include "ops.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "../core/cleanup.h"
#include "execs.h"

enum { NAME_BYTES_MAX = 255, BLOCK_SIZE = 4096 };

/* --- lookup --- */

/* Plain decimal: "01" is another name than "1", and no process's. */
static uint32_t parse_own_pid(const char *name)
{
	uint32_t pid = 0;

	if (name[0] == '0')
		return 0;
	for (; *name; name++) {
		if (*name < '0' || *name > '9')
			return 0;
		pid = pid * 10 + (uint32_t)(*name - '0');
		if (pid >= 1U << NODE_EXTRA_BITS)
			return 0;
	}
	return pid;
}

/* The row called @name that exists now. */
static const struct node *find_row(const struct node_ref *dir, const char *name)
{
	const struct node *node;

	for (unsigned nth = 0; (node = node_child(dir->node, name, nth)); nth++) {
		if (node_visible(node, dir->c))
			return node;
	}
	return NULL;
}

/* "memory.max" for memory.limit: who knows v2's names may use them. */
static const struct node *find_alias(const struct node_ref *dir, const char *name)
{
	const struct cgroup_knob *knob = NULL;

	if (dir->c && strcmp(dir->node->path, "cgroup") == 0)
		knob = cgroup_knob_find(name);
	return knob ? find_row(dir, knob->name) : NULL;
}

/* @ret borrows @dir's reference, but for a container in the root, and a session, of which it gets
 * one. */
static int find_entry(const struct node_ref *dir, const char *name, struct node_ref *ret)
{
	const struct node *first = node_next(dir->node, NULL);
	struct node_ref ref = {.fs = dir->fs, .c = dir->c};

	ref.node = find_row(dir, name) ?: find_alias(dir, name);
	if (!ref.node && first && first->flags & N_OWN) {
		ref.extra = parse_own_pid(name);
		ref.node = ref.extra ? first : NULL;
	} else if (!ref.node && !dir->c) {
		ref.c = container_find(dir->fs->engine, name);
		ref.node = ref.c ? node_at(ROW_CONTAINER) : NULL;
	} else if (!ref.node && execs_is(dir->node)) {
		return execs_find(dir, name, ret) ? 0 : -ENOENT;
	}
	if (!ref.node && !ns_link_find(dir, name, &ref) &&
	    !(dir->c && scratch_find(dir, name, &ref)))
		return -ENOENT;
	*ret = ref;
	return 0;
}

/* Looking is seldom refused, and then by the machine: whoever meant to write is told here. */
static void note_trouble(const struct node_ref *ref, int r, const struct ctn_err *err)
{
	static const int troubles[] = {EMFILE, ENFILE, ENOMEM, EIO};

	for (size_t i = 0; i < CTN_COUNT(troubles); i++) {
		if (r == -troubles[i] && err->code)
			(void)node_refuse(ref, err);
	}
}

static void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct ctn_err err = {0};
	struct fuse_entry_param e;
	struct node_ref dir, ref;
	int r = node_ref_get(req_fs(req), parent, &dir);

	if (r == 0) {
		r = find_entry(&dir, name, &ref);
		if (r == 0) {
			r = entry_fill(&ref, &e, &err);
			note_trouble(&ref, r, &err);
			if (ref.c != dir.c)
				node_ref_put(&ref);
		}
		node_ref_put(&dir);
	}
	if (r < 0)
		fuse_reply_err(req, -r);
	else
		fuse_reply_entry(req, &e);
}

/* Node ids are identities, so there is nothing to count. */
static void op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t nlookup)
{
	(void)ino;
	(void)nlookup;
	fuse_reply_none(req);
}

static void op_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
	(void)count;
	(void)forgets;
	fuse_reply_none(req);
}

/* --- attributes --- */

static void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct ctn_err err = {0};
	struct node_ref ref;
	struct stat st;
	double timeout = 0;
	int r = node_ref_get(req_fs(req), ino, &ref);

	(void)fi; /* the kernel does not say which descriptor asks */
	if (r == 0) {
		timeout = node_attr_timeout(ref.node);
		r = node_stat(&ref, &st, &err);
		note_trouble(&ref, r, &err);
		node_ref_put(&ref);
	}
	if (r < 0)
		fuse_reply_err(req, -r);
	else
		fuse_reply_attr(req, &st, timeout);
}

static void op_readlink(fuse_req_t req, fuse_ino_t ino)
{
	ctn_autofree char *target = NULL;
	struct node_ref ref;
	size_t len;
	int r = node_ref_get(req_fs(req), ino, &ref);

	if (r == 0) {
		r = S_ISLNK(ref.node->mode) ? node_render(&ref, &target, &len, NULL) : -EINVAL;
		node_ref_put(&ref);
	}
	if (r < 0)
		fuse_reply_err(req, -r);
	else
		fuse_reply_readlink(req, target);
}

/* Asked only where there is no -o group, and then root alone gets in: modes keep nothing from it
 * but to execute what is no program. */
static void op_access(fuse_req_t req, fuse_ino_t ino, int mask)
{
	struct node_ref ref;
	int r = node_ref_get(req_fs(req), ino, &ref);

	if (r == 0) {
		if (mask & X_OK && S_ISREG(ref.node->mode) && !(ref.node->mode & 0111))
			r = -EACCES;
		node_ref_put(&ref);
	}
	fuse_reply_err(req, -r);
}

static void op_statfs(fuse_req_t req, fuse_ino_t ino)
{
	struct statvfs st = {
		.f_bsize = BLOCK_SIZE,
		.f_frsize = BLOCK_SIZE,
		.f_namemax = NAME_BYTES_MAX,
	};

	(void)ino;
	fuse_reply_statfs(req, &st);
}

/* What a write did is on disk before it returns. */
static void op_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	(void)ino;
	(void)datasync;
	(void)fi;
	fuse_reply_err(req, 0);
}

/* A write is acted on inside write(2), so no writeback cache. O_TRUNC comes with the open. */
void op_init(void *userdata, struct fuse_conn_info *conn)
{
	(void)userdata;
	conn->want |= conn->capable & (FUSE_CAP_ATOMIC_O_TRUNC | FUSE_CAP_PARALLEL_DIROPS);
	conn->want &= ~(unsigned)FUSE_CAP_WRITEBACK_CACHE;
}

/* No FLUSH: it comes often, late, and makes tasks unkillable while the server is stopped. */
const struct fuse_lowlevel_ops ctnfs_ops = {
	.init = op_init,
	.lookup = op_lookup,
	.forget = op_forget,
	.forget_multi = op_forget_multi,
	.getattr = op_getattr,
	.setattr = op_setattr,
	.access = op_access,
	.readlink = op_readlink,
	.mknod = op_mknod,
	.mkdir = op_mkdir,
	.unlink = op_unlink,
	.rmdir = op_rmdir,
	.symlink = op_symlink,
	.rename = op_rename,
	.link = op_link,
	.open = op_open,
	.read = op_read,
	.write = op_write,
	.release = op_release,
	.fsync = op_fsync,
	.opendir = op_opendir,
	.readdir = op_readdir,
	.readdirplus = op_readdirplus,
	.releasedir = op_releasedir,
	.fsyncdir = op_fsync,
	.statfs = op_statfs,
	.create = op_create,
	.poll = op_poll,
	.lseek = op_lseek,
};
