/* SPDX-License-Identifier: Apache-2.0 */
/* The verbs but for those that end it (life_stop.c). A transition marks the state under the
 * container's lock, does its work outside, and marks again; whoever waits is called with no lock
 * held. */
#include "life.h"

#include <errno.h>
#include <time.h>

#include "life_private.h"

enum {
	FREEZE_MS = 2000, /* for the freezer to reach all tasks */
	FREEZE_AGAIN_MS = 20,
	FREEZE_LONG_MS = 400, /* each eighth time */
};

/* Under c->lock. @ret_go: whether the caller is to start it, in state STARTING now; otherwise the
 * result is life_start()'s. */
static int start_mark(struct container *c, struct life_waiter *w, bool *ret_go, struct ctn_err *err)
{
	*ret_go = false;
	if (c->removed)
		return ctn_fail(err, ENOENT, "the container is being removed");
	if (c->state == CTN_RUNNING) {
		c->wanted = true;
		return LIFE_DONE;
	}
	if (c->delayed) {
		restart_begin(c);
		c->tries = c->failures = 0;
		*ret_go = true;
		return waiter_queue(c, w, GOAL_RUNNING);
	}
	if (c->state == CTN_STARTING || c->state == CTN_RESTARTING)
		return waiter_queue(c, w, GOAL_RUNNING);
	if (container_is_up(c))
		return ctn_fail(err, EBUSY, "it is %s; %s", ctn_state_name(c->state),
				c->state == CTN_PAUSED ? "echo resume > ctl"
						       : "cat wait, then start it");
	if (c->spec->cmd.len == 0)
		return ctn_fail(err, EINVAL, "it has no command yet; echo a command line > cmd");
	c->rest = c->state;
	c->state = CTN_STARTING;
	c->wanted = true;
	c->tries = c->failures = 0;
	c->counted = c->exit.started; /* what became of an earlier run does not count any more */
	*ret_go = true;
	return waiter_queue(c, w, GOAL_RUNNING);
}

int life_start(struct container *c, struct life_waiter *w, struct ctn_err *err)
{
	struct ctn_err why = {0};
	bool go;
	int r;

	pthread_mutex_lock(&c->lock);
	r = start_mark(c, w, &go, err);
	pthread_mutex_unlock(&c->lock);
	if (!go && r != LIFE_DONE)
		return r;
	/* Before it runs: whatever happens then, it is known that it is to. */
	r = restart_save(c, true, &why);
	if (r == 0 && go)
		r = start_go(c, &why);
	if (r == 0 || !go)
		return go ? LIFE_PENDING : LIFE_DONE;
	if (err)
		*err = why;
	/* The caller is told by our return, or has been answered by whoever cancelled. */
	return start_fail(c, &why, w) || !w ? r : LIFE_PENDING;
}

/* --- pause and resume --- */

/* cgroup v1 can get stuck when it is told to freeze processes in the middle of a fork; told again,
 * it gets further. Those that run again for that may make calls that are denied, and a call that
 * waits for its answer is not frozen: so now and then there must be time for all of these. */
static int wait_frozen(const struct container *c, struct ctn_err *err)
{
	const struct timespec ms = {.tv_nsec = 1000000};
	int again = FREEZE_AGAIN_MS, told = 0;

	for (int i = 1; i <= FREEZE_MS; i++) {
		int r = cgroup_leaf_frozen(c->cgroup, err);

		if (r != 0)
			return r < 0 ? r : 0;
		(void)nanosleep(&ms, NULL);
		if (i == again) {
			again += ++told % 8 ? FREEZE_AGAIN_MS : FREEZE_LONG_MS;
			(void)cgroup_leaf_freeze(c->cgroup, false, NULL);
			r = cgroup_leaf_freeze(c->cgroup, true, err);
			if (r < 0)
				return r;
		}
	}
	return ctn_fail(err, ETIMEDOUT,
			"a process of it cannot be paused: it hangs in the kernel (state D in ps)");
}

/* Under c->lock. Return: LIFE_DONE: it is in state @want already; LIFE_PENDING: it may go there;
 * -errno. */
static int freeze_check(const struct container *c, enum ctn_state from, enum ctn_state want,
			struct ctn_err *err)
{
	if (c->state == want)
		return LIFE_DONE;
	if (c->state == from)
		return LIFE_PENDING;
	return ctn_fail(err, container_is_up(c) ? EBUSY : ESRCH, "it is %s, not %s",
			ctn_state_name(c->state), ctn_state_name(from));
}

static int set_frozen(struct container *c, bool freeze, struct ctn_err *err)
{
	enum ctn_state from = freeze ? CTN_RUNNING : CTN_PAUSED,
		       want = freeze ? CTN_PAUSED : CTN_RUNNING;
	int r;

	pthread_mutex_lock(&c->lock);
	r = freeze_check(c, from, want, err);
	pthread_mutex_unlock(&c->lock);
	if (r != LIFE_PENDING)
		return r;
	r = cgroup_leaf_freeze(c->cgroup, freeze, err);
	if (r == 0 && freeze)
		r = wait_frozen(c, err);
	pthread_mutex_lock(&c->lock);
	if (r == 0)
		r = freeze_check(c, from, want, err); /* a stop may have come between */
	if (r == LIFE_PENDING) {
		life_set_state(c, want);
		journal_note(c->engine, c, freeze ? JOURNAL_PAUSED : JOURNAL_RESUMED, c->moved,
			     "%s", "");
	}
	pthread_mutex_unlock(&c->lock);
	if (r < 0 && freeze)
		(void)cgroup_leaf_freeze(c->cgroup, false, NULL);
	engine_tell(c);
	return r < 0 ? r : LIFE_DONE;
}

static int freeze_verb(struct container *c, bool freeze, struct ctn_err *err)
{
	int r;

	pthread_mutex_lock(&c->edit); /* a pause and a resume at once: one after the other */
	r = set_frozen(c, freeze, err);
	pthread_mutex_unlock(&c->edit);
	return r;
}

int life_pause(struct container *c, struct life_waiter *w, struct ctn_err *err)
{
	(void)w; /* done before it returns */
	return freeze_verb(c, true, err);
}

int life_resume(struct container *c, struct life_waiter *w, struct ctn_err *err)
{
	(void)w;
	return freeze_verb(c, false, err);
}

int life_wait(struct container *c, struct life_waiter *w, struct ctn_err *err)
{
	int r = LIFE_DONE;

	pthread_mutex_lock(&c->lock);
	if (c->state == CTN_CREATED)
		r = ctn_fail(err, ESRCH, "it was never started; there is nothing to wait for");
	else if (container_is_up(c))
		r = waiter_queue(c, w, GOAL_EXITED);
	pthread_mutex_unlock(&c->lock);
	return r;
}
