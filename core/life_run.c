/* SPDX-License-Identifier: Apache-2.0 */
/* What happens to a container by itself: its monitor's messages, and its end. On the event thread,
 * but for start_go(). */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "container_execed.h"
#include "life_private.h"
#include "oom.h"
#include "spares.h"
#include "wire_io.h"

enum { LEFTOVER_MS = 2000 }; /* to end what a shared pid namespace leaves behind */

/* Under c->lock. */
void life_set_state(struct container *c, enum ctn_state state)
{
	c->state = state;
	c->moved = ctn_now();
}

void life_send(struct container *c, uint32_t type, uint64_t value)
{
	struct wire_msg msg = {
		.magic = WIRE_MAGIC, .version = WIRE_VERSION, .type = type, .value = value};

	pthread_mutex_lock(&c->lock);
	if (c->sock >= 0)
		(void)wire_send(c->sock, &msg, sizeof(msg), NULL, 0); /* does not block */
	pthread_mutex_unlock(&c->lock);
}

/* In state STARTING (or RESTARTING), with nobody else acting on it. */
int start_go(struct container *c, struct ctn_err *err)
{
	struct spec *spec;
	uint64_t kills = 0;
	int r;

	journal_save(c->engine); /* what the records of the last run tell of */
	if (c->parent)
		return launch_session(c, err);
	(void)cgroup_leaf_oom_kills(c->cgroup, &kills, NULL); /* none without the controller */
	pthread_mutex_lock(&c->lock);
	c->oom_base = kills;
	spec = spec_get(c->spec);
	free(c->skeleton);
	c->skeleton = strdup(c->engine->skeleton);
	spec_put(c->launched);
	c->launched = spec_get(spec); /* c->spec may change before it runs */
	pthread_mutex_unlock(&c->lock);
	r = launch(c, spec, err);
	spec_put(spec);
	return r;
}

void life_take_tty(struct container *c, int tty)
{
	pthread_mutex_lock(&c->lock);
	ctn_close_fd(&c->tty);
	c->tty = tty;
	pthread_mutex_unlock(&c->lock);
}

/* The monitor says that it runs. Takes @pidfd over. */
int life_take_status(struct container *c, const struct wire_status *status, int pidfd,
		     struct ctn_err *err)
{
	struct pidref *init = NULL;
	int r = pidref_new(status->init_pid, pidfd, &init, err);

	if (r < 0) {
		close(pidfd);
		return r;
	}
	pthread_mutex_lock(&c->lock);
	pidref_put(c->init);
	c->init = init;
	c->started = status->started;
	c->log_lost = status->log_dropped;
	pthread_mutex_unlock(&c->lock);
	stdin_hold(c);
	return 0;
}

/* Under c->lock. */
static void note_start(struct container *c)
{
	struct engine *e = c->engine;
	const int pid = c->init ? c->init->pid : 0;

	/* If nobody has seen it yet, since it was to be started at once. */
	journal_note(e, c, JOURNAL_CREATED, c->created, "%s", "");
	if (c->state == CTN_RESTARTING)
		journal_note(e, c, JOURNAL_RESTARTED, c->started, "pid=%d restarts=%" PRIu64, pid,
			     c->restarts);
	else
		journal_note(e, c, c->parent ? JOURNAL_EXECED : JOURNAL_STARTED, c->started,
			     "pid=%d", pid);
}

/* From now until it has ended, what is on disk says that it ended without a witness: true if we all
 * die with it. */
void mark_running(struct container *c)
{
	struct waiter_list list = {0};
	struct state_exit e = {.code = 255, .unknown = true};
	struct ctn_err err = {0};

	pthread_mutex_lock(&c->lock);
	if (c->state == CTN_RESTARTING)
		c->restarts++;
	note_start(c);
	life_set_state(c, CTN_RUNNING);
	spec_put(c->running);
	c->running = c->launched ?: spec_get(c->spec); /* not launched by this server: adopted */
	c->launched = NULL;
	c->term_sent = c->killed = false;
	c->run_since = life_clock();
	e.started = c->started;
	c->exit = e;
	waiters_take(c, GOAL_RUNNING, &list);
	pthread_mutex_unlock(&c->lock);
	oom_watch(c);
	if (container_save_exit(c, &e, &err) < 0)
		container_note_error(c->engine, c, "exit", &err);
	restart_settle(c, &(struct ctn_err){0}); /* it has been started once more */
	waiters_done(&list, 0, NULL);
	denied_note(c);
	engine_tell(c);
}

/* Under c->lock. Without it nobody would say that the program runs: a start that is under way
 * fails. Where the monitor has ended, that is EVENT_MONITOR's. */
static void connection_lost(struct container *c, int why)
{
	ctn_close_fd(&c->sock);
	c->sock = -1;
	c->sock_err = why;
	if (c->monitor && (c->state == CTN_STARTING || c->state == CTN_RESTARTING))
		(void)pidref_kill(c->monitor, SIGKILL, NULL);
}

static void on_status(struct container *c, const struct wire_status *status, int pidfd, int tty)
{
	struct ctn_err err = {0};
	bool starting;
	int r;

	pthread_mutex_lock(&c->lock);
	starting = c->state == CTN_STARTING || c->state == CTN_RESTARTING;
	pthread_mutex_unlock(&c->lock);
	if (!starting || status->phase != WIRE_RUNNING) {
		ctn_close_fd(&pidfd);
		ctn_close_fd(&tty);
		return;
	}
	life_take_tty(c, tty);
	r = life_take_status(c, status, pidfd, &err);
	if (r == 0) {
		mark_running(c);
		life_birth(c);
	} else if (r != -ESRCH) { /* that would be: it has ended already, and the record tells */
		pthread_mutex_lock(&c->lock);
		connection_lost(c, -r);
		pthread_mutex_unlock(&c->lock);
	}
}

/* The monitor says that it could not be started. Acted on when it has ended, or the next start
 * would meet it. */
static void on_error(struct container *c, const struct wire_error *e)
{
	pthread_mutex_lock(&c->lock);
	ctn_fail(&c->start_err, e->code > 0 && e->code < 4096 ? e->code : EIO, "%.*s",
		 WIRE_TEXT_MAX, e->text);
	pthread_mutex_unlock(&c->lock);
}

/* It never ran. */
void start_failed(struct container *c)
{
	struct ctn_err err = {0};

	pthread_mutex_lock(&c->lock);
	err = c->start_err;
	c->start_err = (struct ctn_err){0};
	pthread_mutex_unlock(&c->lock);
	/* A monitor that says why has seen to it; in a session's there may be an earlier run's. */
	if (!c->parent || !err.code)
		(void)container_cgroup_kill(c, LEFTOVER_MS, NULL);
	container_cgroup_rest(c);
	if (!err.code && c->sock_err)
		ctn_fail(&err, c->sock_err, "listen to its monitor: %s",
			 strerrordesc_np(c->sock_err));
	if (!err.code)
		ctn_fail(&err, EIO, "its monitor was killed before the program ran");
	(void)start_fail(c, &err, NULL);
}

/* One message. Return: false when there is none now, or never again. */
static bool socket_read(struct container *c)
{
	struct wire_msg msg;
	int fds[] = {-1, -1};
	size_t n_fds = 0;
	ssize_t n;

	pthread_mutex_lock(&c->lock);
	n = c->sock >= 0 ? wire_receive(c->sock, &msg, sizeof(msg), fds, CTN_COUNT(fds), &n_fds)
			 : -EAGAIN;
	if (n == 0 || (n < 0 && n != -EAGAIN))
		connection_lost(c, (int)-n);
	pthread_mutex_unlock(&c->lock);
	if (n <= 0)
		return false;
	if (n == (ssize_t)sizeof(msg) && msg.magic == WIRE_MAGIC && msg.type == WIRE_MSG_STATUS &&
	    n_fds)
		on_status(c, &msg.status, ctn_take_fd(fds[0]), ctn_take_fd(fds[1]));
	if (n == (ssize_t)sizeof(msg) && msg.magic == WIRE_MAGIC && msg.type == WIRE_MSG_STATUS &&
	    msg.status.phase == WIRE_EXITED)
		life_on_exited(c, &msg.status);
	if (n == (ssize_t)sizeof(msg) && msg.magic == WIRE_MAGIC && msg.type == WIRE_MSG_ERROR)
		on_error(c, &msg.error);
	if (n == (ssize_t)sizeof(msg) && msg.magic == WIRE_MAGIC && msg.type == WIRE_MSG_EXECED) {
		execed_note(c);
		engine_tell(c);
	}
	if (n == (ssize_t)sizeof(msg) && msg.magic == WIRE_MAGIC && msg.type == WIRE_MSG_DENIED) {
		denied_note(c);
		engine_tell(c);
	}
	ctn_close_fd(&fds[0]);
	ctn_close_fd(&fds[1]);
	return true;
}

void life_on_socket(struct container *c)
{
	while (socket_read(c))
		;
}

/* --- end --- */

static void count_oom(struct container *c, struct state_exit *e)
{
	uint64_t kills = 0;

	if (cgroup_leaf_oom_kills(c->cgroup, &kills, NULL) == 0)
		e->oom_killed = kills > c->oom_base;
}

/* Under c->lock. */
static void forget_run(struct container *c)
{
	spec_put(c->running);
	pidref_put(c->init);
	pidref_put(c->monitor);
	c->running = NULL;
	c->init = c->monitor = NULL;
	ctn_close_fd(&c->sock);
	ctn_close_fd(&c->timer);
	ctn_close_fd(&c->tty);
	stdin_release(c);
	c->sock = c->timer = c->tty = -1;
	c->in_end_owed = false;
	oom_unwatch(c);
}

/* Whether another run follows at once, as somebody wants it, or later, as its policy does. Under
 * c->lock. Return: at once. */
static bool finish_decide(struct container *c, int code, struct ctn_err *why)
{
	bool again = c->restart && !c->removed;

	if (again) {
		c->tries = c->failures = 0;
		c->counted = c->exit.started;
	} else {
		restart_note_health(c, life_clock() - c->run_since);
		c->wanted = restart_plan(c, code, false, why);
	}
	c->restart = c->stop_at_birth = false;
	life_set_state(c, again || c->wanted ? CTN_RESTARTING : CTN_EXITED);
	return again;
}

/* The run is over. Return: whether another follows at once. */
static bool finish_mark(struct container *c, const struct state_exit *e)
{
	struct waiter_list ended = {0}, failed = {0}, writers = {0};
	struct ctn_err err = {0}, why = {0};
	char detail[64];
	bool again, rests;

	pthread_mutex_lock(&c->lock);
	forget_run(c);
	c->exit = *e;
	c->has_exit = true;
	c->finished = e->finished;
	journal_exit_detail(detail, sizeof(detail), e);
	journal_note(c->engine, c, JOURNAL_DIED, e->finished, "%s", detail);
	again = finish_decide(c, e->code, &why);
	rests = c->state == CTN_EXITED;
	waiters_take(c, GOAL_STOPPED,
		     &ended); /* what they wanted to end has ended, whatever comes next */
	waiters_take(c, GOAL_STDIN, &writers);
	if (rests)
		waiters_take(c, GOAL_EXITED, &ended);
	if (!again)
		waiters_take(c, GOAL_RUNNING, &failed);
	pthread_mutex_unlock(&c->lock);
	restart_settle(c, &why);
	ctn_fail(&err, ECANCELED, "it was stopped before it could start again");
	waiters_done(&ended, 0, NULL);
	waiters_done(&failed, -err.code, &err);
	ctn_fail(&err, EPIPE, "the program has ended");
	waiters_done(&writers, -err.code, &err);
	engine_tell(c);
	return again;
}

/* Under c->lock. Whether processes of it may be left that are to end with it. Its own pid namespace
 * takes all of it along; a shared one does not. What a session's program leaves behind goes on in
 * the container, unless the session was told to end. */
static bool has_rest(const struct container *c, bool unknown)
{
	if (c->parent)
		return c->state == CTN_STOPPING;
	return unknown || (c->running && !spec_ns_is_new(c->running, NS_PID));
}

void life_finish(struct container *c, int code, bool unknown, uint64_t finished)
{
	struct state_exit e = {.code = code, .unknown = unknown, .finished = finished};
	struct ctn_err err = {0};
	bool rest, frozen;

	pthread_mutex_lock(&c->lock);
	e.started = c->started;
	rest = has_rest(c, unknown);
	frozen = c->state == CTN_PAUSED && !c->parent;
	pthread_mutex_unlock(&c->lock);
	if (frozen) /* killed all the same; the next to come in there is not to stand still */
		(void)cgroup_leaf_freeze(c->cgroup, false, NULL);
	if (rest && container_cgroup_kill(c, LEFTOVER_MS, &err) < 0)
		container_note_error(c->engine, c, "ctl", &err);
	container_cgroup_rest(c);
	sessions_rest(c); /* whose last processes may have ended with it only */
	execed_note(c);
	oom_note(c, finished);
	count_oom(c, &e);
	denied_note(c);
	if (container_save_exit(c, &e, &err) < 0)
		container_note_error(c->engine, c, "exit", &err);
	if (finish_mark(c, &e) && start_go(c, &err) < 0)
		(void)start_fail(c, &err, NULL);
	spares_go_on(c->engine->spares);
}
