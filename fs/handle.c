/* SPDX-License-Identifier: Apache-2.0 */
/* Open files: what a descriptor reads. Nothing here is cached by the kernel (direct I/O). */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../core/cleanup.h"
#include "ops.h"

/* --- what is open --- */

static pthread_mutex_t opened_lock = PTHREAD_MUTEX_INITIALIZER;
static struct opened all_opened = {.prev = &all_opened,
				   .next = &all_opened}; /* under opened_lock */

int opened_add(struct opened *o, uid_t uid, struct ctn_err *err)
{
	int r = quota_take(uid, &o->quota, err);

	if (r < 0)
		return r;
	pthread_mutex_lock(&opened_lock);
	o->next = &all_opened;
	o->prev = all_opened.prev;
	o->prev->next = o;
	all_opened.prev = o;
	pthread_mutex_unlock(&opened_lock);
	return 0;
}

void opened_remove(struct opened *o)
{
	pthread_mutex_lock(&opened_lock);
	o->prev->next = o->next;
	o->next->prev = o->prev;
	pthread_mutex_unlock(&opened_lock);
	quota_give(o->quota, o->held);
}

void handle_end(void)
{
	while (all_opened.next != &all_opened) /* no other thread opens or closes any more */
		all_opened.next->drop(all_opened.next);
}

/* --- handles --- */

struct handle *handle_get(struct handle *h)
{
	__atomic_add_fetch(&h->refs, 1, __ATOMIC_RELAXED);
	return h;
}

void handle_put(struct handle *h)
{
	if (!h || __atomic_sub_fetch(&h->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	opened_remove(&h->open);
	watch_forget(h);
	write_release(h);
	if (h->ref.node->flags & N_LOG)
		log_closed(&h->ref);
	if (h->ref.node->flags & N_STDIN)
		stdin_closed(h);
	if (h->ref.node->flags & N_SCRATCH)
		scratch_closed(&h->ref);
	node_ref_put(&h->ref);
	pthread_mutex_destroy(&h->lock);
	free(h->snapshot);
	free(h);
}

/* Nobody has closed it. */
static void handle_drop(struct opened *o)
{
	struct handle *h = (struct handle *)o;

	h->ends = false;
	handle_put(h);
}

/* What has to be there as long as it is open. */
static int hold_node(const struct node_ref *ref, struct ctn_err *err)
{
	int r = 0;

	if (ref->node->flags & N_LOG)
		r = log_opened(ref);
	else if (ref->node->flags & N_SCRATCH)
		r = scratch_opened(ref);
	if (r == 0)
		return 0;
	errno = -r;
	return ctn_fail_errno(err, "%s: cannot be opened", ref->node->path);
}

int handle_new(const struct node_ref *ref, uid_t uid, int flags, struct handle **ret,
	       struct ctn_err *err)
{
	struct handle *h = calloc(1, sizeof(*h));
	int r;

	if (!h)
		return ctn_fail(err, ENOMEM, "%s: no memory to open it", ref->node->path);
	h->open.drop = handle_drop;
	r = opened_add(&h->open, uid, err);
	if (r == 0) {
		r = hold_node(ref, err);
		if (r < 0)
			opened_remove(&h->open);
	}
	if (r < 0) {
		free(h);
		return r;
	}
	h->ref = *ref;
	h->refs = 1;
	h->flags = flags;
	pthread_mutex_init(&h->lock, NULL);
	*ret = h;
	return 0;
}

void handle_set_result(struct handle *h, char *text, size_t len, uint64_t offset)
{
	if (quota_hold(h->open.quota, h->open.held, len, NULL) == 0)
		h->open.held = len; /* else it is told all the same: it is short */
	free(h->snapshot);
	h->snapshot = text;
	h->snapshot_len = len;
	h->base = offset;
	h->result = true;
}

/* --- open, release --- */

/* root passes every permission bit, so that a read-only file has to say no by itself. */
static int check_access(const struct node_ref *ref, int flags, struct ctn_err *err)
{
	const bool program = S_ISREG(ref->node->mode) && ref->node->mode & 0111;

	if ((flags & O_ACCMODE) != O_RDONLY && (program || !(ref->node->mode & 0222)))
		return ctn_fail(err, EACCES, "%s can only be read", ref->node->path);
	return 0;
}

/* O_TRUNC comes with the open, and its failure is the open's. */
static int prepare_opened(struct handle *h)
{
	const struct stat empty = {0};
	struct ctn_err err = {0};
	int r = 0;

	if ((h->flags & O_ACCMODE) == O_RDONLY)
		return 0;
	if (h->ref.node->flags & N_STDIN)
		r = stdin_opened(h, &err);
	else if (!(h->flags & O_TRUNC))
		return 0;
	else if (h->ref.node->flags & N_SCRATCH)
		r = scratch_set(&h->ref, &empty, FUSE_SET_ATTR_SIZE, &err);
	else
		r = write_truncate(&h->ref, h, &err);
	return r < 0 ? -node_refuse(&h->ref, &err) : 0;
}

static int open_node(fuse_req_t req, fuse_ino_t ino, int flags, struct handle **ret)
{
	struct handle *h = NULL;
	struct ctn_err err = {0};
	struct node_ref ref;
	int r = node_ref_get(req_fs(req), ino, &ref);

	if (r < 0)
		return r;
	r = check_access(&ref, flags, &err);
	if (r == 0)
		r = handle_new(&ref, fuse_req_ctx(req)->uid, flags, &h, &err);
	if (r < 0) {
		r = -node_refuse(&ref, &err);
		node_ref_put(&ref);
		return r;
	}
	r = prepare_opened(h);
	if (r < 0) {
		handle_put(h);
		return r;
	}
	*ret = h;
	return 0;
}

void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct handle *h = NULL;
	int r = open_node(req, ino, fi->flags, &h);

	if (r < 0) {
		fuse_reply_err(req, -r);
		return;
	}
	fi->fh = (uintptr_t)h;
	/* The kernel keeps what never changes: whoever executes `exec` waits for one answer less.
	 */
	fi->keep_cache = h->ref.node->flags & N_CONST && !h->ref.node->store;
	fi->direct_io = !fi->keep_cache;
	fi->noflush = 1;
	if (fuse_reply_open(req, fi) == -ENOENT) /* the opener got a signal: no RELEASE comes */
		handle_drop(&h->open);
}

void op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino;
	handle_put((struct handle *)(uintptr_t)fi->fh);
	fuse_reply_err(req, 0);
}

/* --- reading --- */

/* What a read at @off finds: rendered anew where a reader begins. Under h->lock. */
static int refresh(struct handle *h, uint64_t off, struct ctn_err *err)
{
	char *text = NULL;
	size_t len = 0;
	int r;

	if (h->snapshot && off > h->base)
		return 0;
	if (h->result && off == h->base)
		return 0; /* what the last write came to */
	watch_reads(h);
	r = node_render(&h->ref, &text, &len, err);
	if (r == 0) {
		r = quota_hold(h->open.quota, h->open.held, len, err);
		if (r < 0)
			free(text);
	}
	if (r < 0)
		return r;
	h->open.held = len;
	free(h->snapshot);
	h->snapshot = text;
	h->snapshot_len = len;
	h->result = false;
	if (off < h->base)
		h->base = 0;
	return 0;
}

/* A copy of what is to be answered: the reply is made without the lock. */
static int read_snapshot(struct handle *h, size_t size, uint64_t off, char **ret, size_t *ret_len,
			 struct ctn_err *err)
{
	size_t len = 0;
	char *part;
	int r;

	pthread_mutex_lock(&h->lock);
	r = refresh(h, off, err);
	if (r == 0 && off - h->base < h->snapshot_len)
		len = h->snapshot_len - (size_t)(off - h->base);
	len = len < size ? len : size;
	part = r == 0 ? malloc(len + 1) : NULL;
	if (part)
		memcpy(part, h->snapshot + (off - h->base), len);
	else if (r == 0)
		r = ctn_fail(err, ENOMEM, "%s: no memory to read it", h->ref.node->path);
	pthread_mutex_unlock(&h->lock);
	if (r < 0)
		return r;
	*ret = part;
	*ret_len = len;
	return 0;
}

/* The log, or a scratch file: nothing is rendered. */
static int read_bytes(struct handle *h, size_t size, off_t off, char **ret, size_t *ret_len,
		      struct ctn_err *err)
{
	char *part = malloc(size + 1); /* the kernel asks for at most a megabyte */
	ssize_t n;

	if (!part)
		return ctn_fail(err, ENOMEM, "%s: no memory to read it", h->ref.node->path);
	pthread_mutex_lock(&h->lock);
	n = h->ref.node->flags & N_LOG ? log_read(h, part, size, off, err)
				       : scratch_read(&h->ref, part, size, off);
	pthread_mutex_unlock(&h->lock);
	if (n < 0) {
		free(part);
		return (int)n;
	}
	*ret = part;
	*ret_len = (size_t)n;
	return 0;
}

void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
	struct handle *h = (struct handle *)(uintptr_t)fi->fh;
	ctn_autofree char *part = NULL;
	struct ctn_err err = {0};
	size_t len = 0;
	int r;

	(void)ino;
	if (h->ref.node->flags & N_WAIT) {
		/* fcntl(F_SETFL) is told with the read only. */
		__atomic_store_n(&h->flags, fi->flags, __ATOMIC_RELAXED);
		wait_read(req, h, size, off);
		return;
	}
	if (h->ref.node->flags & (N_LOG | N_SCRATCH))
		r = read_bytes(h, size, off, &part, &len, &err);
	else
		r = read_snapshot(h, size, (uint64_t)off, &part, &len, &err);
	__atomic_store_n(&h->told_end, r == 0 && len == 0, __ATOMIC_RELAXED);
	if (r < 0)
		fuse_reply_err(req, -r);
	else
		fuse_reply_buf(req, part, len);
}

/* SEEK_DATA and SEEK_HOLE, the only ones that are sent: but for the log nothing has holes. */
static off_t seek_plain(const struct node_ref *ref, off_t off, int whence)
{
	ctn_autofree char *text = NULL;
	size_t len = 0;
	int r = node_render(ref, &text, &len, NULL);

	if (r < 0)
		return r;
	if (off < 0 || (size_t)off >= len)
		return -ENXIO;
	return whence == SEEK_DATA ? off : (off_t)len;
}

void op_lseek(fuse_req_t req, fuse_ino_t ino, off_t off, int whence, struct fuse_file_info *fi)
{
	const struct handle *h = (struct handle *)(uintptr_t)fi->fh;
	off_t r = h->ref.node->flags & N_LOG ? log_seek(&h->ref, off, whence)
					     : seek_plain(&h->ref, off, whence);

	(void)ino;
	if (r < 0)
		fuse_reply_err(req, (int)-r);
	else
		fuse_reply_lseek(req, r);
}
