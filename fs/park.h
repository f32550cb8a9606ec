/* SPDX-License-Identifier: Apache-2.0 */
/* Parked requests: a request that has to wait gives its thread back, and is answered when what it
 * waits for has come, or with EINTR when its caller got a signal. */
#ifndef CTNFS_FS_PARK_H
#define CTNFS_FS_PARK_H

#include "node.h"

enum park_state {
	PARK_RUNNING, /* a thread works for it, and will answer or park it */
	PARK_WAITING, /* whoever takes it out of this state answers it */
	PARK_ENDED,
};

/**
 * struct parked - one request; part of a larger structure of its owner.
 * @waiter: for the verbs of life.h.
 * @resume: what it waited for has come: 0 or -errno with its sentence in @err. Called on any
 * thread, which then owns it.
 * @abandon: somebody else is about to answer; free it. Return: 0, or how many bytes of a write have
 * been taken: that is the answer then.
 * The rest is private.
 */
struct parked {
	struct life_waiter waiter;
	fuse_req_t req;
	void (*resume)(struct parked *p, int result, const struct ctn_err *err);
	size_t (*abandon)(struct parked *p);
	struct parked *prev, *next; /* under the list's lock */
	pthread_mutex_t lock;	    /* all below */
	enum park_state state;
	bool interrupted;
	bool completed; /* while running: it came before the thread could park it */
	int result;
	struct ctn_err err;
};

/** park_begin() - start work for @req; @p->resume and @p->abandon are set. State: running. */
void park_begin(struct parked *p, fuse_req_t req);

/**
 * park_wait() - give the thread back, after a verb returned LIFE_PENDING.
 *
 * Return: LIFE_PENDING: @p belongs to others and may be gone; LIFE_DONE or -errno (with @err): what
 * it waited for has come already; -EINTR: the caller has got a signal. But for LIFE_PENDING it is
 * still the thread's.
 */
int park_wait(struct parked *p, struct ctn_err *err);

/** park_end() - the thread that owns it is about to answer; from here on it is a mere structure. */
void park_end(struct parked *p);

/** park_abort_all() - answer all that wait with ECONNABORTED: the server ends, engine_stop() has
 * been called. */
void park_abort_all(void);

#endif
