/* SPDX-License-Identifier: Apache-2.0 */
/* execs/: its entries are sessions, programs started in a running container. Each has the rows of a
 * container that are true of a session. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "execs.h"
#include "park.h"

bool execs_is(const struct node *dir)
{
	const struct node *first = node_next(dir, NULL);

	return first && first->flags & N_EXECS;
}

bool execs_has(const struct node_ref *ref)
{
	return ref->c && container_of_session(ref->c);
}

bool execs_find(const struct node_ref *dir, const char *name, struct node_ref *ret)
{
	struct container *session = container_session_find(dir->c, name);

	if (session)
		*ret = (struct node_ref){
			.fs = dir->fs, .node = node_at(ROW_CONTAINER), .c = session};
	return session;
}

int execs_list(const struct node_ref *dir, struct container ***ret, size_t *ret_n)
{
	return container_session_list(dir->c, ret, ret_n);
}

/* Nobody keeps when a session was removed by another server; of those that are there it is known
 * when they were made. */
uint64_t execs_mtime(const struct node_ref *dir)
{
	uint64_t mtime = mtime_touched(dir);
	struct container **all = NULL;
	struct container_view view;
	size_t n = 0;

	container_view_get(dir->c, &view);
	mtime = view.created > mtime ? view.created : mtime;
	container_view_put(&view);
	(void)container_session_list(dir->c, &all, &n); /* without memory: none */
	for (size_t i = 0; i < n; i++) {
		container_view_get(all[i], &view);
		mtime = view.created > mtime ? view.created : mtime;
		container_view_put(&view);
		container_put(all[i]);
	}
	free(all);
	return mtime;
}

fuse_ino_t execs_ino(const struct node_ref *session)
{
	struct node_ref above = {.fs = session->fs, .c = container_of_session(session->c)};
	unsigned row = ROW_CONTAINER;

	while (!execs_is(node_at(row)))
		row++;
	return node_ino_of(&above, node_at(row), 0);
}

/* --- mkdir --- */

void execs_mkdir(fuse_req_t req, const struct node_ref *dir, const char *name)
{
	struct node_ref ref = {.fs = dir->fs, .node = node_at(ROW_CONTAINER)};
	struct ctn_err err = {0};
	struct fuse_entry_param e;
	int r = container_session_create(dir->c, name, &ref.c, &err);

	if (r < 0) {
		refuse_name(req, dir, name, &err);
		return;
	}
	mtime_touch(dir);
	r = entry_fill(&ref, &e, NULL);
	if (r < 0)
		fuse_reply_err(req, -r);
	else
		fuse_reply_entry(req, &e);
	node_ref_put(&ref);
}

/* --- rmdir --- */

struct rmdir_op {
	struct parked parked; /* first: see resume and abandon */
	struct node_ref dir;  /* a reference */
	char name[];
};

static void rmdir_free(struct rmdir_op *op)
{
	node_ref_put(&op->dir);
	free(op);
}

/* Its caller got a signal: the removal goes on, and a lookup will not find it (entry timeout 0). */
static size_t rmdir_abandon(struct parked *p)
{
	rmdir_free((struct rmdir_op *)p);
	return 0;
}

/* The thread that calls it owns @op. */
static void rmdir_finish(struct rmdir_op *op, int result, const struct ctn_err *err)
{
	park_end(&op->parked);
	if (result == -EINTR) {
		fuse_reply_err(op->parked.req, EINTR);
	} else if (result < 0) {
		refuse_name(op->parked.req, &op->dir, op->name, err);
	} else {
		mtime_touch(&op->dir);
		fuse_reply_err(op->parked.req, 0);
	}
	rmdir_free(op);
}

static void rmdir_resume(struct parked *p, int result, const struct ctn_err *err)
{
	rmdir_finish((struct rmdir_op *)p, result, err);
}

void execs_rmdir(fuse_req_t req, const struct node_ref *dir, const char *name)
{
	struct ctn_err err = {0};
	struct rmdir_op *op = calloc(1, sizeof(*op) + strlen(name) + 1);
	int r;

	if (!op || node_ref_get(dir->fs, node_ino(dir), &op->dir) < 0) {
		free(op);
		fuse_reply_err(req, op ? ENOENT : ENOMEM);
		return;
	}
	strcpy(op->name, name);
	op->parked.resume = rmdir_resume;
	op->parked.abandon = rmdir_abandon;
	park_begin(&op->parked, req);
	r = container_session_remove(op->dir.c, name, &op->parked.waiter, &err);
	if (r == LIFE_PENDING)
		r = park_wait(&op->parked, &err);
	if (r != LIFE_PENDING)
		rmdir_finish(op, r, &err);
}
