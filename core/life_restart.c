/* SPDX-License-Identifier: Apache-2.0 */
/* Started again when it has ended: the policy, the delay, and what is on disk about it. A container
 * is `wanted` from the moment that somebody starts it until somebody stops it, or it comes to rest.
 */
#include <errno.h>

#include "cleanup.h"
#include "life_private.h"

static const uint64_t delay_first = 100 * UINT64_C(1000000); /* as docker has it */
static const uint64_t delay_last = 60 * UINT64_C(1000000000);

uint64_t restart_delay(unsigned tries)
{
	uint64_t delay = delay_first;

	while (tries-- > 0 && delay < delay_last)
		delay *= 2;
	return delay < delay_last ? delay : delay_last;
}

/* --- on disk --- */

/* Under c->lock. */
static struct state_restart record(const struct container *c)
{
	struct state_restart r = {.restarts = c->restarts};

	if (!c->wanted || c->spec->restart == SPEC_RESTART_NO)
		return r;
	r.up = true;
	r.tries = c->tries;
	r.failures = c->failures;
	r.counted = c->counted;
	return r;
}

/* With c->mark held. */
static bool is_saved(const struct container *c, const struct state_restart *r, bool durable)
{
	const struct state_restart *m = &c->marked;

	if (!c->has_mark)
		return !r->up; /* nobody has asked for anything */
	return m->up == r->up && m->tries == r->tries && m->failures == r->failures &&
	       m->restarts == r->restarts && m->counted == r->counted && !(durable && c->mark_lazy);
}

int restart_save(struct container *c, bool durable, struct ctn_err *err)
{
	ctn_autoclose int dir = -1;
	struct state_restart r;
	int failed = 0;

	if (c->parent)
		return 0;
	/* Looked at when it is our turn, so that who writes last writes what is so. */
	pthread_mutex_lock(&c->mark);
	pthread_mutex_lock(&c->lock);
	r = record(c);
	pthread_mutex_unlock(&c->lock);
	if (!is_saved(c, &r, durable)) {
		failed = container_state_dir(c, &dir, err);
		if (failed == 0)
			failed = state_save_restart(dir, &r, durable, err);
		c->has_mark = true;
		c->mark_lazy = !durable || failed < 0;
		c->marked = r;
	}
	pthread_mutex_unlock(&c->mark);
	return failed;
}

/* --- the delay --- */

void restart_note_health(struct container *c, uint64_t ns)
{
	if (ns >= RESTART_HEALTHY_SECS * UINT64_C(1000000000))
		c->tries = c->failures = 0;
}

bool restart_resume(struct container *c, uint64_t when, struct ctn_err *err)
{
	if (!life_timer_at(c, when)) {
		ctn_fail(err, ENFILE, "no timer for its restart; echo start > ctl");
		return false;
	}
	c->delayed = true;
	return true;
}

bool restart_plan(struct container *c, int code, bool blameless, struct ctn_err *err)
{
	uint64_t delay = restart_delay(c->tries);

	if (!c->wanted || c->parent || c->removed || c->spec->cmd.len == 0)
		return false;
	if (!spec_restarts(c->spec, code, blameless ? 0 : c->failures)) {
		if (spec_restarts(c->spec, code, 0))
			ctn_fail(err, ECANCELED,
				 "it has failed %u times in a row; restart is on-failure:%u, so it "
				 "is not started again",
				 c->failures + 1, c->spec->restart_max);
		return false;
	}
	if (!restart_resume(c, life_clock() + delay, err))
		return false;
	c->tries++;
	c->failures += !blameless;
	c->counted = c->exit.started;
	return true;
}

void restart_begin(struct container *c)
{
	c->delayed = false;
	ctn_close_fd(&c->timer);
	c->timer = -1;
}

void restart_go(struct container *c)
{
	struct ctn_err err = {0};

	if (start_go(c, &err) < 0)
		(void)start_fail(c, &err, NULL);
}

void restart_give_up(struct container *c)
{
	struct waiter_list ended = {0};
	struct ctn_err err = {0};

	restart_begin(c);
	c->wanted = false;
	life_set_state(c, CTN_EXITED);
	waiters_take(c, GOAL_STOPPED, &ended);
	waiters_take(c, GOAL_EXITED, &ended);
	pthread_mutex_unlock(&c->lock);
	if (restart_save(c, true, &err) < 0)
		container_note_error(c->engine, c, "restart", &err);
	waiters_done(&ended, 0, NULL);
	engine_tell(c);
}

void restart_changed(struct container *c)
{
	struct ctn_err err = {0};

	pthread_mutex_lock(&c->lock);
	if (c->delayed &&
	    !spec_restarts(c->spec, c->exit.code, c->failures > 0 ? c->failures - 1 : 0)) {
		restart_give_up(c);
		return;
	}
	pthread_mutex_unlock(&c->lock);
	if (restart_save(c, true, &err) < 0)
		container_note_error(c->engine, c, "restart", &err);
}

/* --- one that shares another's namespaces --- */

static bool is_coming(struct engine *e, const char *id)
{
	struct container *owner = container_find_id(e, id);
	bool coming = false;

	if (owner) {
		pthread_mutex_lock(&owner->lock);
		coming = owner->state == CTN_STARTING || owner->state == CTN_RESTARTING;
		pthread_mutex_unlock(&owner->lock);
	}
	container_put(owner);
	return coming;
}

bool restart_must_wait(struct container *c)
{
	struct spec *spec;
	bool coming = false;

	pthread_mutex_lock(&c->lock);
	spec = spec_get(c->spec);
	pthread_mutex_unlock(&c->lock);
	for (int i = 0; i < NS_COUNT && !coming; i++) {
		const char *id = spec_ns_container(spec, (enum ns_kind)i);

		coming = id && is_coming(c->engine, id);
	}
	spec_put(spec);
	return coming;
}

/* --- what could not be started --- */

void restart_settle(struct container *c, const struct ctn_err *why)
{
	struct ctn_err err = {0};

	if (why->code)
		container_note_error(c->engine, c, "restart", why);
	if (restart_save(c, false, &err) < 0)
		container_note_error(c->engine, c, "restart", &err);
}

/* What becomes of @c->state. Under c->lock. Return: whether it is at rest. */
static bool start_fail_mark(struct container *c, bool blameless, struct ctn_err *err)
{
	bool later = c->state == CTN_RESTARTING &&
		     restart_plan(c, RESTART_UNSTARTED, blameless, err);

	if (c->state == CTN_RESTARTING)
		life_set_state(c, later ? CTN_RESTARTING : CTN_EXITED);
	else
		c->state = c->rest;
	c->restart = c->stop_at_birth = false;
	c->wanted = later;
	spec_put(c->launched);
	c->launched = NULL;
	return !later;
}

bool start_fail(struct container *c, const struct ctn_err *err, const struct life_waiter *own)
{
	struct waiter_list failed = {0}, ended = {0};
	struct ctn_err why = {0};
	bool blameless = restart_must_wait(c), again, found;

	pthread_mutex_lock(&c->lock);
	found = own && waiters_take_one(c, own);
	again = c->state == CTN_RESTARTING;
	if (start_fail_mark(c, blameless, &why))
		waiters_take(c, GOAL_EXITED, &ended);
	waiters_take(c, GOAL_RUNNING, &failed);
	waiters_take(c, GOAL_STOPPED, &ended);
	pthread_mutex_unlock(&c->lock);
	if (found)
		container_put(c);	      /* the waiter's; the caller has its own */
	if (again && !found && !failed.first) /* there is nobody else who could be told */
		container_note_error(c->engine, c, "restart", err);
	restart_settle(c, &why);
	waiters_done(&failed, -err->code, err);
	waiters_done(&ended, 0, NULL);
	engine_tell(c);
	return found;
}
