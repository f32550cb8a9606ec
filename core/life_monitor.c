/* SPDX-License-Identifier: Apache-2.0 */
/* The end of a container, of which its monitor tells before its own; or it goes on without one. On
 * the event thread, but for life_remonitor(). */
#include <errno.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cleanup.h"
#include "io.h"
#include "life_private.h"

enum { LOOKS = 50 }; /* for a record that must be read */

/* The monitor was killed under a living container: that goes on. */
bool life_remonitor(struct container *c, const struct wire_status *status)
{
	struct ctn_err err = {0};
	struct spec *spec = NULL;
	bool alive;

	pthread_mutex_lock(&c->lock);
	alive = c->init && !pidref_ended(c->init);
	if (alive) {
		pidref_put(c->monitor);
		c->monitor = NULL;
		ctn_close_fd(&c->sock);
		c->sock = -1;
		spec = spec_get(c->running);
	}
	pthread_mutex_unlock(&c->lock);
	if (!alive)
		return false;
	ctn_fail(&err, ESRCH,
		 "its monitor was killed; it goes on, but its exit status will not be known");
	container_note_error(c->engine, c, "status", &err);
	if (launch_adopt(c, spec, status, &err) <
	    0) { /* its output has no reader then, its end has */
		container_note_error(c->engine, c, "status", &err);
		(void)loop_add(c->engine, c, c->init->pidfd, EVENT_INIT);
	}
	spec_put(spec);
	return true;
}

static void reap_monitor(struct container *c)
{
	siginfo_t info;

	pthread_mutex_lock(&c->lock);
	if (c->monitor && c->monitor_is_child)
		(void)waitid(P_PIDFD, (id_t)c->monitor->pidfd, &info, WEXITED | WNOHANG);
	c->monitor_is_child = false;
	pthread_mutex_unlock(&c->lock);
}

/* A stage that outlives it for a moment keeps its end of the connection open. */
static void drop_monitor(struct container *c)
{
	pthread_mutex_lock(&c->lock);
	pidref_put(c->monitor);
	c->monitor = NULL;
	ctn_close_fd(&c->sock);
	c->sock = -1;
	pthread_mutex_unlock(&c->lock);
}

/* How it ended stands there and nowhere else: where there is no room to open it, there may be soon.
 */
static int load_status(const struct container *c, struct wire_status *ret)
{
	const struct timespec pause = {.tv_nsec = 10000000};
	int r = -EIO;

	for (int i = 0; i < LOOKS; i++) {
		r = container_load_status(c, ret);
		if (r == 0 || r == -ENOENT || r == -EBADMSG)
			break;
		(void)nanosleep(&pause, NULL);
	}
	return r;
}

/* It was refused, whatever its monitor has written down: for the next server, too. */
static void unsay_running(const struct container *c, struct wire_status *status)
{
	ctn_autoclose int dir = -1;

	if (status->phase != WIRE_RUNNING || container_run_dir(c, &dir, NULL) < 0)
		return;
	status->phase = WIRE_FAILED;
	(void)io_replace_at(dir, WIRE_STATUS_NAME, status, sizeof(*status), 0600, false, NULL);
}

static void finish(struct container *c, const struct wire_status *status)
{
	const bool unknown = status->code == WIRE_CODE_UNKNOWN;

	life_finish(c, unknown ? 255 : status->code, unknown, status->finished);
}

/* The monitor has written it down, and is about to end. Whoever starts the container before that
 * gets one that waits for it. */
void life_on_exited(struct container *c, const struct wire_status *status)
{
	struct pidref *child = NULL;
	bool was_up;

	pthread_mutex_lock(&c->lock);
	was_up = c->monitor && c->state != CTN_STARTING && c->state != CTN_RESTARTING;
	if (was_up) {
		c->log_lost = status->log_dropped;
		loop_remove(c->engine, c->monitor->pidfd);
		if (c->monitor_is_child)
			child = ctn_take_ptr(c->monitor);
		c->monitor_is_child = false;
	}
	pthread_mutex_unlock(&c->lock);
	if (child)
		sweeper_add_child(c->engine->sweeper, child);
	if (was_up) /* else its end tells */
		finish(c, status);
}

/* Return: whether that monitor has ended, and what it said last has not told of its container's
 * end: then another one may be there. */
static bool ended_untold(struct container *c)
{
	struct pidref *monitor = NULL;
	bool untold;

	pthread_mutex_lock(&c->lock);
	if (c->monitor && pidref_ended(c->monitor))
		monitor = pidref_get(c->monitor);
	pthread_mutex_unlock(&c->lock);
	if (!monitor)
		return false; /* an event that was under way when another thread had dealt with it
			       */
	life_on_socket(c);
	pthread_mutex_lock(&c->lock);
	untold = c->monitor == monitor;
	pthread_mutex_unlock(&c->lock);
	pidref_put(monitor);
	return untold;
}

void life_on_monitor_end(struct container *c)
{
	struct wire_status status = {0};
	enum ctn_state state;

	if (!ended_untold(c))
		return;
	reap_monitor(c);
	pthread_mutex_lock(&c->lock);
	state = c->state;
	pthread_mutex_unlock(&c->lock);
	if (load_status(c, &status) < 0)
		status.phase = WIRE_STARTING;
	pthread_mutex_lock(&c->lock);
	c->log_lost = status.log_dropped;
	pthread_mutex_unlock(&c->lock);
	if (status.phase == WIRE_EXITED && (state == CTN_STARTING || state == CTN_RESTARTING)) {
		/* So short a life that its first message could not be taken; it ran all the same.
		 */
		pthread_mutex_lock(&c->lock);
		c->started = status.started;
		pthread_mutex_unlock(&c->lock);
		mark_running(c);
	}
	if (status.phase == WIRE_EXITED) {
		finish(c, &status);
	} else if (state == CTN_STARTING || state == CTN_RESTARTING) {
		drop_monitor(c);
		unsay_running(c, &status);
		start_failed(c);
	} else if (!life_remonitor(c, &status)) {
		life_finish(c, 255, true, ctn_now());
	}
}

void life_on_init_end(struct container *c)
{
	bool here;

	pthread_mutex_lock(&c->lock);
	here = !c->monitor && c->init && pidref_ended(c->init);
	pthread_mutex_unlock(&c->lock);
	if (here)
		life_finish(c, 255, true, ctn_now());
}
