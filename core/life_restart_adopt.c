/* SPDX-License-Identifier: Apache-2.0 */
/* Started again across the ends of servers and machines: what the state file `restart` and the
 * record of the last run say together. */
#include <errno.h>
#include <stdlib.h>

#include "cleanup.h"
#include "life_private.h"

/* Between two that are due at the same time, so that they start in the order in which they were
 * made. */
static const uint64_t apart = 1000000;

/* Under c->lock: it runs, or somebody else knows whether it will. */
static void adopt_living(struct container *c, const struct state_restart *r)
{
	bool policy = c->spec->restart != SPEC_RESTART_NO;

	/* Without a policy nobody has written down that it was started. With one, it may have been
	 * told to stop, and not have heard it. */
	c->wanted = r->up || !policy || !c->has_mark;
	if (c->run_again && c->started != c->exit.started)
		c->restarts++; /* the last server did not come to it */
	if (c->state == CTN_STARTING && c->has_exit && policy && r->up)
		life_set_state(c, CTN_RESTARTING);
}

/* Under c->lock: it is at rest, and was to be up. */
static void adopt_ended(struct container *c, struct ctn_err *err)
{
	bool later;

	if (!c->has_exit) { /* all that there was about its run is lost with the machine's power */
		c->exit = (struct state_exit){.code = 255, .unknown = true};
		c->has_exit = true;
	}
	if (c->exit.started && c->counted == c->exit.started) {
		later = c->spec->restart != SPEC_RESTART_NO && c->spec->cmd.len > 0;
		c->delayed = later; /* restart_adopted() sets the time */
	} else {
		/* The end of the machine is no fault of its own. */
		if (!c->exit.finished)
			c->tries = c->failures = 0;
		else if (c->exit.finished > c->exit.started)
			restart_note_health(c, c->exit.finished - c->exit.started);
		later = restart_plan(c, c->exit.code, false, err);
	}
	c->wanted = later;
	life_set_state(c, later ? CTN_RESTARTING : CTN_EXITED);
}

void restart_adopt(struct container *c)
{
	struct state_restart r = {0};
	ctn_autoclose int dir = -1;
	struct ctn_err why = {0};

	if (c->parent)
		return;
	pthread_mutex_lock(&c->mark);
	c->has_mark = container_state_dir(c, &dir, &why) == 0 &&
		      state_load_restart(dir, &r, &why) == 0;
	c->mark_lazy = true;
	c->marked = r;
	pthread_mutex_unlock(&c->mark);
	if (why.code && why.code != ENOENT) /* damaged: the next change writes it anew */
		container_note_error(c->engine, c, "restart", &why);
	why = (struct ctn_err){0};
	pthread_mutex_lock(&c->lock);
	c->restarts = r.restarts;
	c->tries = r.tries;
	c->failures = r.failures;
	c->counted = r.counted;
	c->wanted = r.up;
	/* A start that no end is counted of yet was the last of @tries. */
	c->run_again = r.up && r.tries > (r.counted == (c->init ? c->started : c->exit.started));
	if (container_is_up(c))
		adopt_living(c, &r);
	else if (r.up)
		adopt_ended(c, &why);
	pthread_mutex_unlock(&c->lock);
	restart_settle(c, &why);
}

static int by_age(const void *a, const void *b)
{
	const struct container *x = *(struct container *const *)a,
			       *y = *(struct container *const *)b;

	return x->created < y->created ? -1 : x->created > y->created;
}

/* After its delay once more, and a bit: @turn others come before it. */
static void set_time(struct container *c, size_t turn)
{
	struct ctn_err err = {0};
	uint64_t delay;
	bool later;

	pthread_mutex_lock(&c->lock);
	delay = restart_delay(c->tries > 0 ? c->tries - 1 : 0);
	later = restart_resume(c, life_clock() + delay + turn * apart, &err);
	if (!later) {
		c->delayed = c->wanted = false;
		life_set_state(c, CTN_EXITED);
	}
	pthread_mutex_unlock(&c->lock);
	if (!later)
		restart_settle(c, &err);
}

void restart_adopted(struct engine *e)
{
	struct container **list = NULL;
	struct ctn_err err = {0};
	size_t n = 0, turn = 0;

	if (container_list(e, &list, &n) < 0) {
		ctn_fail(&err, ENOMEM, "no memory for the containers that are to start again");
		container_note_error(e, NULL, "restart", &err);
		return;
	}
	qsort(list, n, sizeof(struct container *), by_age);
	for (size_t i = 0; i < n; i++) {
		if (list[i]->delayed) /* there is no other thread yet */
			set_time(list[i], turn++);
		container_put(list[i]);
	}
	free(list);
}
