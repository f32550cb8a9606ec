/* SPDX-License-Identifier: Apache-2.0 */
/* The verbs. A transition marks the state under the container's lock, does its work outside, and
 * marks again; whoever waits is called with no lock held. */
#include "life.h"

#include <errno.h>
#include <signal.h>
#include <sys/timerfd.h>
#include <time.h>

#include "cleanup.h"
#include "life_private.h"
#include "procfs.h"

enum {
	KILL_SECS = 10,	  /* after SIGKILL: longer than this, and a process hangs in the kernel */
	FREEZE_MS = 1000, /* for the freezer to reach all tasks */
	UNBORN_MS = 2000, /* to end a stage that has not become the program yet */
};

/* Under c->lock. */
static void timer_set(struct container *c, unsigned secs)
{
	struct itimerspec when = {.it_value = {.tv_sec = secs, .tv_nsec = secs ? 0 : 1}};

	if (c->timer < 0) {
		c->timer = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
		if (c->timer >= 0)
			(void)loop_add(c->engine, c, c->timer, EVENT_TIMER);
	}
	if (c->timer >= 0)
		(void)timerfd_settime(c->timer, 0, &when, NULL);
}

/* Under c->lock. Return: 0: go on, in state STARTING; LIFE_DONE + 1 … as life_start() otherwise. */
static int start_mark(struct container *c, struct life_waiter *w, bool *ret_go, struct ctn_err *err)
{
	*ret_go = false;
	if (c->removed)
		return ctn_fail(err, ENOENT, "the container is being removed");
	if (c->state == CTN_RUNNING)
		return LIFE_DONE;
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
	if (!go)
		return r;
	r = start_go(c, &why);
	if (r == 0)
		return LIFE_PENDING;
	start_undo(c);
	if (err)
		*err = why;
	/* The caller is told by our return, or has been answered by whoever cancelled; the others
	 * by their waiters. */
	r = w && !waiter_take_back(c, w) ? LIFE_PENDING : r;
	waiters_call(c, GOAL_RUNNING, -why.code, &why);
	return r;
}

/* --- stop and kill --- */

/* The kernel discards a signal to a pid namespace's first process that has not asked for it. */
static bool takes_term(const struct container *c, const struct pidref *init)
{
	const uint64_t term = UINT64_C(1) << (SIGTERM - 1);
	struct procfs_status status;

	if (spec_ns_is_host(c->running, NS_PID) || c->running->init)
		return true;
	return procfs_read_status(init->procfd, &status, NULL) == 0 &&
	       ((status.caught | status.blocked) & term);
}

/* Under c->lock, in state STOPPING: arm or shorten the patience that is left. */
static void stop_patience(struct container *c, unsigned secs)
{
	struct itimerspec left = {0};

	if (c->timer >= 0 && timerfd_gettime(c->timer, &left) == 0 && left.it_value.tv_sec > 0 &&
	    left.it_value.tv_sec < (time_t)secs)
		return;
	timer_set(c, secs);
}

/* Under c->lock, with a program running: the signal to send now. */
static int stop_mark(struct container *c, unsigned secs, bool *ret_thaw)
{
	*ret_thaw = c->state == CTN_PAUSED;
	if (c->state != CTN_STOPPING)
		life_set_state(c, CTN_STOPPING);
	if (c->killed)
		return SIGKILL;
	if (secs > 0 && takes_term(c, c->init)) {
		stop_patience(c, secs);
		return SIGTERM;
	}
	c->killed = true;
	timer_set(c, KILL_SECS);
	return SIGKILL;
}

/* A start that is under way: its first process ends, the monitor reports that, and the state goes
 * back. */
static int stop_unborn(struct container *c, struct ctn_err *err)
{
	return cgroup_leaf_kill(c->cgroup, UNBORN_MS, err);
}

static int stop_begin(struct container *c, unsigned secs, bool restart, struct life_waiter *w,
		      struct ctn_err *err)
{
	struct pidref *init = NULL;
	bool thaw = false, unborn;
	int sig = 0, r;

	pthread_mutex_lock(&c->lock);
	if (!container_is_up(c)) {
		pthread_mutex_unlock(&c->lock);
		return LIFE_DONE;
	}
	c->restart = restart;
	unborn = c->state == CTN_STARTING || c->state == CTN_RESTARTING;
	if (!unborn) {
		sig = stop_mark(c, secs, &thaw);
		init = pidref_get(c->init);
	}
	r = waiter_queue(c, w, restart ? GOAL_RUNNING : GOAL_STOPPED);
	pthread_mutex_unlock(&c->lock);
	engine_tell(c);
	if (unborn && stop_unborn(c, err) < 0 && (!w || waiter_take_back(c, w)))
		return -err->code;
	if (init)
		(void)pidref_kill(init, sig, NULL); /* gone already: its end is on the way */
	if (thaw)
		(void)cgroup_leaf_freeze(
			c->cgroup, false,
			NULL); /* after the signal, so that it is the first it sees */
	pidref_put(init);
	return r;
}

int life_stop(struct container *c, unsigned secs, struct life_waiter *w, struct ctn_err *err)
{
	return stop_begin(c, secs, false, w, err);
}

int life_kill(struct container *c, int sig, struct life_waiter *w, struct ctn_err *err)
{
	struct pidref *init;
	int r;

	if (sig == SIGKILL)
		return stop_begin(c, 0, false, w, err);
	pthread_mutex_lock(&c->lock);
	init = pidref_get(c->init);
	pthread_mutex_unlock(&c->lock);
	if (!init)
		return ctn_fail(err, ESRCH,
				"it does not run; there is nothing to send a signal to");
	r = pidref_kill(init, sig, err);
	pidref_put(init);
	return r;
}

int life_restart(struct container *c, unsigned secs, struct life_waiter *w, struct ctn_err *err)
{
	enum ctn_state state;

	pthread_mutex_lock(&c->lock);
	state = c->state;
	pthread_mutex_unlock(&c->lock);
	if (state == CTN_STOPPING)
		return ctn_fail(err, EBUSY, "it is stopping; cat wait, then start it");
	if (state == CTN_RUNNING || state == CTN_PAUSED)
		return stop_begin(c, secs, true, w, err);
	return life_start(c, w, err);
}

void life_on_timer(struct container *c)
{
	struct pidref *init = NULL;
	struct ctn_err err = {0};
	bool late = false;
	uint64_t ticks;

	pthread_mutex_lock(&c->lock);
	if (c->timer >= 0 && read(c->timer, &ticks, sizeof(ticks)) == sizeof(ticks) &&
	    c->state == CTN_STOPPING) {
		late = c->killed;
		c->killed = true;
		init = pidref_get(c->init);
		if (!late)
			timer_set(c, KILL_SECS);
	}
	pthread_mutex_unlock(&c->lock);
	if (init)
		(void)pidref_kill(init, SIGKILL, NULL);
	pidref_put(init);
	if (late) {
		ctn_fail(&err, ETIMEDOUT,
			 "it was killed %d seconds ago and has not ended: a process hangs in the "
			 "kernel (state D in ps)",
			 KILL_SECS);
		waiters_call(c, GOAL_STOPPED, -err.code, &err);
	}
}

/* --- pause and resume --- */

static int wait_frozen(const struct container *c, struct ctn_err *err)
{
	const struct timespec ms = {.tv_nsec = 1000000};

	for (int i = 0; i < FREEZE_MS; i++) {
		int r = cgroup_leaf_frozen(c->cgroup, err);

		if (r != 0)
			return r < 0 ? r : 0;
		(void)nanosleep(&ms, NULL);
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
	if (r == LIFE_PENDING)
		life_set_state(c, want);
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
