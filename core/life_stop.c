/* SPDX-License-Identifier: Apache-2.0 */
/* The verbs that end a container. */
#include <errno.h>
#include <signal.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "cleanup.h"
#include "life_private.h"
#include "procfs.h"

enum {
	UNBORN_MS = 2000, /* to end a stage that has not become the program yet */
};

static const uint64_t second = 1000000000;
static const uint64_t kill_ns =
	10 * second; /* after SIGKILL: longer than this, and a process hangs in the kernel */
static const uint64_t young_ns =
	second / 2; /* a program that has just begun may not have set its handlers yet */
static const uint64_t look_ns = second / 100; /* how often to look whether it has */

/* Does not jump when the clock is set, and counts a suspended machine's time. */
uint64_t life_clock(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (uint64_t)t.tv_sec * second + (uint64_t)t.tv_nsec;
}

bool life_timer_at(struct container *c, uint64_t when)
{
	struct itimerspec at = {
		.it_value = {.tv_sec = (time_t)(when / second), .tv_nsec = (long)(when % second)}};

	if (c->timer < 0) {
		c->timer = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
		if (c->timer >= 0 && loop_add(c->engine, c, c->timer, EVENT_TIMER) < 0) {
			close(c->timer);
			c->timer = -1;
		}
	}
	return c->timer >= 0 && timerfd_settime(c->timer, TFD_TIMER_ABSTIME, &at, NULL) == 0;
}

enum term { TERM_LOST, TERM_HELD, TERM_TAKEN };

/* What would become of SIGTERM now. The kernel discards a signal to a pid namespace's first process
 * that has not asked for it; one that is blocked is held, and may be discarded when it is let
 * through (a shell blocks all of them around each fork). */
static enum term term_fate(const struct container *c)
{
	const uint64_t term = UINT64_C(1) << (SIGTERM - 1);
	ctn_autoclose int procfd = -1;
	struct procfs_status s;

	if (c->parent || !spec_ns_is_new(c->running, NS_PID) || c->running->init)
		return TERM_TAKEN;
	if (pidref_open(c->init, &procfd, NULL) < 0 || procfs_read_status(procfd, &s, NULL) < 0 ||
	    (s.ignored & term))
		return TERM_LOST;
	return s.caught & term ? TERM_TAKEN : s.blocked & term ? TERM_HELD : TERM_LOST;
}

/* Under c->lock, in state STOPPING and not killed yet: the signal to send now, 0 for none; the
 * timer is set for the next look. */
static int stop_step(struct container *c)
{
	uint64_t now = life_clock(), look = now + look_ns;
	enum term fate = c->term_taken ? TERM_TAKEN : term_fate(c);
	bool young = now < c->run_since + young_ns;

	if (now >= c->stop_until || (fate == TERM_LOST && !young)) {
		c->killed = true;
		(void)life_timer_at(c, now + kill_ns);
		return SIGKILL;
	}
	c->term_taken = fate ==
			TERM_TAKEN; /* once it is, its handler has all the time that was given */
	(void)life_timer_at(c, c->term_taken || look > c->stop_until ? c->stop_until : look);
	/* Sent once only: programs take a second one as impatience. */
	if (fate == TERM_LOST || c->term_sent)
		return 0;
	c->term_sent = true;
	return SIGTERM;
}

/* Under c->lock, with a program running. Of two that stop it, the more impatient one counts. */
static int stop_mark(struct container *c, unsigned secs)
{
	uint64_t until = life_clock() + secs * second;

	if (c->state != CTN_STOPPING || until < c->stop_until)
		c->stop_until = until;
	if (c->state != CTN_STOPPING)
		life_set_state(c, CTN_STOPPING);
	return c->killed ? SIGKILL : stop_step(c);
}

/* A start that is under way. Its first process, if it is in its cgroup already, ends here, and the
 * monitor reports that; if not, it is stopped as soon as it runs (life_birth()). */
static int stop_unborn(struct container *c, struct ctn_err *err)
{
	return container_cgroup_kill(c, UNBORN_MS, err);
}

/* On disk before it is told to end: a server that is killed in between must not have it started
 * again by the next one. */
static void stop_save(struct container *c)
{
	struct ctn_err err = {0};

	if (restart_save(c, true, &err) < 0)
		container_note_error(c->engine, c, "restart", &err);
}

static bool stop_give_up(struct container *c, const struct life_waiter *w)
{
	bool found;

	pthread_mutex_lock(&c->lock);
	found = waiters_take_one(c, w);
	pthread_mutex_unlock(&c->lock);
	if (found)
		container_put(c);
	return found;
}

static int stop_begin(struct container *c, unsigned secs, bool restart, struct life_waiter *w,
		      struct ctn_err *err)
{
	struct pidref *init = NULL;
	bool thaw = false, owner = false, unborn;
	int sig = 0, r;

	pthread_mutex_lock(&c->lock);
	if (!container_is_up(c)) {
		pthread_mutex_unlock(&c->lock);
		return LIFE_DONE;
	}
	if (c->delayed) { /* there is nothing to end but the waiting */
		restart_give_up(c);
		return LIFE_DONE;
	}
	c->restart = c->wanted = restart;
	unborn = c->state == CTN_STARTING || c->state == CTN_RESTARTING;
	c->stop_at_birth = unborn;
	/* Without a first process it has lived for so short that its end is all that is known of
	 * it, and is being dealt with. */
	if (!unborn && c->init) {
		thaw = c->state == CTN_PAUSED;
		sig = stop_mark(c, secs);
		init = pidref_get(c->init);
		owner = !c->parent && spec_ns_is_new(c->running, NS_PID);
	}
	r = waiter_queue(c, w, restart ? GOAL_RUNNING : GOAL_STOPPED);
	pthread_mutex_unlock(&c->lock);
	engine_tell(c);
	stop_save(c);
	if (unborn) {
		int failed = stop_unborn(c, err);

		if (failed < 0 && (!w || stop_give_up(c, w)))
			return failed;
	}
	if (sig)
		(void)pidref_kill(init, sig, NULL); /* gone already: its end is on the way */
	if (owner)
		container_ns_resume(c, init);
	if (thaw)
		(void)cgroup_leaf_freeze(
			c->cgroup, false,
			NULL); /* after the signal, so that it is the first it sees */
	pidref_put(init);
	return r;
}

void life_birth(struct container *c)
{
	bool stop;

	pthread_mutex_lock(&c->lock);
	stop = c->stop_at_birth && c->state == CTN_RUNNING;
	c->stop_at_birth = false;
	pthread_mutex_unlock(&c->lock);
	if (stop)
		(void)stop_begin(c, 0, false, NULL, NULL);
}

static bool is_up(struct container *c)
{
	bool up;

	pthread_mutex_lock(&c->lock);
	up = container_is_up(c);
	pthread_mutex_unlock(&c->lock);
	return up;
}

/* By somebody, who is to be told at once why it could not end. */
static int stop_asked(struct container *c, unsigned secs, bool restart, struct life_waiter *w,
		      struct ctn_err *err)
{
	int r = is_up(c) ? session_check_pause(c, err) : 0;

	return r < 0 ? r : stop_begin(c, secs, restart, w, err);
}

int life_stop(struct container *c, unsigned secs, struct life_waiter *w, struct ctn_err *err)
{
	return stop_asked(c, secs, false, w, err);
}

int life_kill(struct container *c, int sig, struct life_waiter *w, struct ctn_err *err)
{
	struct pidref *init;
	int r;

	if (sig == SIGKILL)
		return stop_asked(c, 0, false, w, err);
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
		return stop_asked(c, secs, true, w, err);
	return life_start(c, w, err);
}

void life_on_timer(struct container *c)
{
	struct pidref *init = NULL;
	struct waiter_list tired = {0};
	struct ctn_err err = {0};
	uint64_t ticks;
	bool due, again;
	int sig = 0;

	pthread_mutex_lock(&c->lock);
	due = c->timer >= 0 && read(c->timer, &ticks, sizeof(ticks)) == sizeof(ticks);
	again = due && c->delayed;
	if (again) {
		restart_begin(c);
	} else if (due && c->state == CTN_STOPPING) {
		if (c->killed)
			waiters_take(c, GOAL_STOPPED, &tired);
		else
			sig = stop_step(c);
		init = pidref_get(c->init);
	}
	pthread_mutex_unlock(&c->lock);
	if (again)
		restart_go(c);
	if (sig)
		(void)pidref_kill(init, sig, NULL);
	pidref_put(init);
	ctn_fail(&err, ETIMEDOUT,
		 "it was killed, and has not ended: a process hangs in the kernel (state D in ps)");
	waiters_done(&tired, -err.code, &err);
}
