/* SPDX-License-Identifier: Apache-2.0 */
/* The mounts on their way from parent to stage. Both know the plan, and so how many slots there
 * are: each message says of 32 of them which have a descriptor, a bit each, and has those with it.
 */
#include <errno.h>
#include <stdlib.h>

#include "../cleanup.h"
#include "monitor.h"

enum {
	SLOTS_EACH = 32,
	SLOTS_FIXED = 5 + CTN_COUNT(((struct mounts *)0)->binds),
};

_Static_assert((int)SLOTS_EACH <= (int)WIRE_IO_FDS_MAX, "a message's descriptors");

static int *slot(struct mounts *m, size_t i)
{
	int *const first[] = {&m->root, &m->tmpfs, &m->proc, &m->sys, &m->lower};

	if (i < CTN_COUNT(first))
		return first[i];
	return i < SLOTS_FIXED ? &m->binds[i - CTN_COUNT(first)] : &m->user[i - SLOTS_FIXED];
}

int mounts_init(const struct plan *p, struct mounts *ret, struct ctn_err *err)
{
	struct mounts m = {.n_user = p->msg->mounts.count};

	if (m.n_user > 0) {
		m.user = calloc(m.n_user, sizeof(*m.user));
		if (!m.user)
			return ctn_fail(err, ENOMEM, "no memory for %zu mounts", m.n_user);
	}
	for (size_t i = 0; i < SLOTS_FIXED + m.n_user; i++)
		*slot(&m, i) = -1;
	*ret = m;
	return 0;
}

void mounts_free(struct mounts *m)
{
	for (size_t i = 0; i < SLOTS_FIXED + m->n_user; i++)
		ctn_close_fd(slot(m, i));
	free(m->user);
	m->user = NULL;
	m->n_user = 0;
}

static int send_some(int sock, struct mounts *m, size_t from, size_t to, struct ctn_err *err)
{
	int fds[SLOTS_EACH];
	uint32_t mask = 0;
	size_t n = 0;
	ssize_t r;

	for (size_t i = from; i < to; i++) {
		if (*slot(m, i) < 0)
			continue;
		mask |= UINT32_C(1) << (i - from);
		fds[n++] = *slot(m, i);
	}
	r = wire_send(sock, &mask, sizeof(mask), fds, n);
	return r < 0 ? ctn_fail(err, (int)-r, "hand over the mounts") : 0;
}

static int receive_some(int sock, struct mounts *m, size_t from, size_t to, struct ctn_err *err)
{
	int fds[SLOTS_EACH];
	size_t n = 0, used = 0;
	uint32_t mask = 0;
	ssize_t r = wire_receive(sock, &mask, sizeof(mask), fds, CTN_COUNT(fds), &n);

	if (r == -EMSGSIZE)
		return ctn_fail(err, EMFILE, "too many mounts for the limit of open files");
	if (r != (ssize_t)sizeof(mask))
		return ctn_fail(err, EPIPE, "the monitor gave up");
	for (size_t i = from; i < to; i++) {
		if ((mask & UINT32_C(1) << (i - from)) && used < n)
			*slot(m, i) = fds[used++];
	}
	return 0;
}

static int in_parts(int sock, struct mounts *m,
		    int (*part)(int sock, struct mounts *m, size_t from, size_t to,
				struct ctn_err *err),
		    struct ctn_err *err)
{
	const size_t total = SLOTS_FIXED + m->n_user;
	int r = 0;

	for (size_t at = 0; r == 0 && at < total; at += SLOTS_EACH)
		r = part(sock, m, at, at + SLOTS_EACH < total ? at + SLOTS_EACH : total, err);
	return r;
}

int mounts_send(int sock, struct mounts *m, struct ctn_err *err)
{
	return in_parts(sock, m, send_some, err);
}

int mounts_receive(int sock, struct mounts *m, struct ctn_err *err)
{
	return in_parts(sock, m, receive_some, err);
}
