/* SPDX-License-Identifier: Apache-2.0 */
#include "oom.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "cleanup.h"
#include "container_private.h"
#include "journal.h"
#include "kmsg.h"

enum {
	KILLS_KEPT = 32,
	DRAIN_ROUNDS = 64, /* at a start, when all of the kernel's log is new */
	SETTLE_MS = 10,	   /* v1 tells before it kills: look again after this, twice this, … */
	SETTLE_TRIES = 9,  /* … for 5 seconds: others may be killed for the same want of memory */
};

/* @kill: told by the log. @fresh: containers have not been asked yet whether it is theirs. */
struct told {
	struct kmsg_kill kill;
	bool fresh;
};

struct oom {
	int kmsg;  /* -1: may not be read */
	int timer; /* without it: v1's */
	unsigned tries;
	struct kmsg_parser parser;
	bool read;	    /* some of the log was looked at */
	bool started;	    /* there are events */
	struct told *kills; /* the newest KILLS_KEPT of @n */
	uint64_t n;
	uint64_t newest; /* atomic: seq of the last of them */
};

int oom_open(struct oom **ret, struct ctn_err *err)
{
	struct oom *o = calloc(1, sizeof(*o));

	if (o)
		o->kills = calloc(KILLS_KEPT, sizeof(*o->kills));
	if (!o || !o->kills) {
		free(o);
		return ctn_fail(err, ENOMEM, "no memory for the engine");
	}
	o->kmsg = o->timer = -1;
	if (kmsg_open(&o->kmsg, NULL) < 0)
		o->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (o->kmsg < 0 && o->timer < 0) {
		oom_close(o);
		return ctn_fail_errno(err, "make a timer");
	}
	*ret = o;
	return 0;
}

void oom_close(struct oom *o)
{
	if (!o)
		return;
	ctn_close_fd(&o->kmsg);
	ctn_close_fd(&o->timer);
	free(o->kills);
	free(o);
}

static struct told *told_at(const struct oom *o, uint64_t i)
{
	return &o->kills[i % KILLS_KEPT];
}

static uint64_t oldest(const struct oom *o)
{
	return o->n > KILLS_KEPT ? o->n - KILLS_KEPT : 0;
}

/* One that was announced is told of once more when it is done. */
static void keep(struct oom *o, const struct kmsg_kill *kill)
{
	struct told *last = o->n ? told_at(o, o->n - 1) : NULL;

	if (!last || last->kill.done || !kill->done || last->kill.pid != kill->pid)
		last = told_at(o, o->n++);
	*last = (struct told){.kill = *kill, .fresh = kill->done};
	__atomic_store_n(&o->newest, kill->seq, __ATOMIC_RELAXED);
}

/* Return: whether all is known; false: some of the log was lost. */
static bool drain(struct oom *o, int rounds)
{
	struct kmsg_kill kill;
	bool whole = true;
	int r = 1;

	o->read = true;
	while (o->kmsg >= 0 && r != 0 && rounds > 0) {
		r = kmsg_next(o->kmsg, &o->parser, &kill);
		if (r == 1)
			keep(o, &kill);
		if (r == -EPIPE)
			whole = false;
		if (r == -EAGAIN)
			rounds--;
	}
	return whole;
}

/* The kernel names the cgroup of ten kills in five seconds; the ids of who was killed always. */
static bool is_mine(const struct container *c, const struct kmsg_kill *kill)
{
	if (kill->cgroup[0])
		return cgroup_leaf_is_at(c->cgroup, CG_MEMORY, kill->cgroup);
	return kill->uid >= c->uid_base && kill->uid - c->uid_base < IDS_PER_CONTAINER;
}

/* Whether it has other ids than those of its range. */
static bool has_strange_ids(struct container *c)
{
	struct container_view v;
	bool has;

	container_view_get(c, &v);
	has = v.running && (!spec_ns_is_new(v.running, NS_USER) ||
			    (v.running->oci && v.running->oci->uids.len > 0));
	container_view_put(&v);
	return has;
}

static bool may_be_mine(struct container *c, const struct kmsg_kill *kill)
{
	return is_mine(c, kill) || (!kill->cgroup[0] && has_strange_ids(c));
}

/* The newest that is told of, after @seq; NULL: none. What is only announced comes last: it may not
 * be among those that were counted. */
static const struct kmsg_kill *find_kill(const struct oom *o, const struct container *c,
					 uint64_t seq)
{
	const struct kmsg_kill *announced = NULL;

	for (uint64_t i = o->n; i > oldest(o); i--) {
		const struct kmsg_kill *kill = &told_at(o, i - 1)->kill;

		if (kill->seq <= seq || !is_mine(c, kill))
			continue;
		if (kill->done)
			return kill;
		announced = announced ?: kill;
	}
	return announced;
}

/* The clocks of the log and of the day go apart a little, over months. */
static uint64_t time_of(const struct kmsg_kill *kill, uint64_t earliest, uint64_t latest)
{
	struct timespec t = {0};
	uint64_t up, ago, when = latest;

	clock_gettime(CLOCK_MONOTONIC, &t);
	up = (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
	ago = up - kill->time * 1000;
	if (kill->time * 1000 <= up && ctn_now() - ago < latest)
		when = ctn_now() - ago;
	return when > earliest ? when : earliest;
}

/* What is to be known from now on. Return: whether that is more than before. */
static bool look(struct container *c, uint64_t latest, struct state_oom *ret)
{
	struct oom *o = c->engine->oom;
	const struct kmsg_kill *kill;
	uint64_t kills = 0, base, started;
	struct state_oom old;

	if (c->parent || cgroup_leaf_oom_kills(c->cgroup, &kills, NULL) < 0)
		return false;
	pthread_mutex_lock(&c->lock);
	if (kills < c->oom.kills) /* somebody has made the cgroup anew */
		c->oom.kills = kills;
	old = c->oom;
	base = c->oom_base;
	started = c->started;
	pthread_mutex_unlock(&c->lock);
	if (kills == old.kills)
		return false;
	(void)drain(o, DRAIN_ROUNDS);
	kill = find_kill(o, c, old.seq);
	*ret = (struct state_oom){
		.kills = kills, .base = base, .seq = old.seq, .time = latest ?: ctn_now()};
	if (!kill)
		return true;
	ret->seq = kill->seq;
	ret->pid = kill->pid;
	memcpy(ret->program, kill->program, sizeof(ret->program));
	ret->time = time_of(kill, started, ret->time); /* its end may be known before this is */
	return true;
}

uint64_t oom_detail(const struct container *c, char *ret, size_t size)
{
	const struct state_oom *oom = &c->oom;
	uint64_t kills = oom->kills > oom->base ? oom->kills - oom->base : 0;
	char pid[16] = "-";

	if (oom->pid)
		snprintf(pid, sizeof(pid), "%d", oom->pid);
	snprintf(ret, size, "kills=%" PRIu64 " last=%s program=%s", kills, pid,
		 oom->program[0] ? oom->program : "-");
	return kills;
}

/* Before there are events, the journal compares by itself. */
static void note_one(struct container *c, uint64_t latest)
{
	struct ctn_err err = {0};
	char detail[OOM_DETAIL_MAX];
	ctn_autoclose int dir = -1;
	struct state_oom now;

	if (!look(c, latest, &now))
		return;
	if (container_run_dir(c, &dir, &err) < 0 || state_save_oom(dir, &now, &err) < 0)
		container_note_error(c->engine, c, "cgroup/events", &err);
	pthread_mutex_lock(&c->lock);
	c->oom = now;
	if (c->engine->oom->started && oom_detail(c, detail, sizeof(detail)) > 0)
		journal_note(c->engine, c, JOURNAL_OOM, now.time, "%s", detail);
	pthread_mutex_unlock(&c->lock);
	if (c->engine->oom->started)
		engine_tell(c);
}

static bool has_fresh(const struct oom *o, struct container *c)
{
	for (uint64_t k = oldest(o); k < o->n; k++) {
		const struct told *told = told_at(o, k);

		if (told->fresh && (!c || may_be_mine(c, &told->kill)))
			return true;
	}
	return false;
}

static bool runs(struct container *c)
{
	bool running;

	pthread_mutex_lock(&c->lock);
	running = c->running;
	pthread_mutex_unlock(&c->lock);
	return running;
}

/* Those that what is fresh may be about, and all that run where @all. */
static void note_fresh(struct engine *e, bool all)
{
	struct oom *o = e->oom;
	struct container **list = NULL;
	size_t n = 0;

	if (container_list(e, &list, &n) < 0)
		return; /* without memory; the next look at each finds it */
	for (size_t i = 0; i < n; i++) {
		if ((all && runs(list[i])) || has_fresh(o, list[i]))
			continue;
		container_put(list[i]);
		list[i] = NULL;
	}
	for (uint64_t k = oldest(o); k < o->n; k++)
		told_at(o, k)->fresh = false;
	for (size_t i = 0; i < n; i++) {
		if (list[i])
			note_one(list[i], 0);
		container_put(list[i]);
	}
	free(list);
}

/* A look at one reads what is told of others, and does not come again. */
static void note_rest(struct engine *e, bool all)
{
	for (; e->oom->started && (all || has_fresh(e->oom, NULL)); all = false)
		note_fresh(e, all);
}

void oom_note(struct container *c, uint64_t latest)
{
	note_one(c, latest);
	note_rest(c->engine, false);
}

void oom_begin(struct container *c)
{
	c->oom.seq = __atomic_load_n(&c->engine->oom->newest, __ATOMIC_RELAXED);
}

void oom_load(struct container *c)
{
	ctn_autoclose int dir = -1;

	if (!c->parent && container_run_dir(c, &dir, NULL) == 0)
		(void)state_load_oom(dir, &c->oom, NULL); /* none: nobody was killed */
}

int oom_start(struct engine *e, struct ctn_err *err)
{
	struct oom *o = e->oom;
	int fd = o->kmsg >= 0 ? o->kmsg : o->timer;

	if (o->kmsg >= 0 && !o->read)
		kmsg_skip(o->kmsg);
	if (loop_add(e, NULL, fd, EVENT_OOM) < 0)
		return ctn_fail_errno(err, "wait for the OOM killer");
	o->started = true;
	note_rest(e, true); /* what came while others were adopted */
	return 0;
}

/* --- without the log --- */

void oom_watch(struct container *c)
{
	struct engine *e = c->engine;
	struct ctn_err err = {0};
	uint32_t events = 0;
	int fd = -1, r;

	if (e->oom->kmsg >= 0 || c->parent)
		return;
	r = cgroup_leaf_oom_watch(c->cgroup, &fd, &events, &err);
	if (r == 0)
		r = loop_add_events(e, c, fd, EVENT_OOM, events);
	if (r < 0 && r != -EOPNOTSUPP)
		container_note_error(e, c, "cgroup/events", &err);
	pthread_mutex_lock(&c->lock);
	oom_unwatch(c);
	c->oom_fd = fd;
	pthread_mutex_unlock(&c->lock);
}

void oom_unwatch(struct container *c)
{
	ctn_close_fd(&c->oom_fd);
	c->oom_fd = -1;
	c->oom_due = false;
}

static void set_timer(struct oom *o)
{
	uint64_t ms = (uint64_t)SETTLE_MS << o->tries;
	struct itimerspec when = {.it_value = {.tv_sec = (time_t)(ms / 1000),
					       .tv_nsec = (long)(ms % 1000) * 1000000}};

	(void)timerfd_settime(o->timer, 0, &when, NULL);
}

void oom_on_event(struct container *c)
{
	struct oom *o = c->engine->oom;

	pthread_mutex_lock(&c->lock);
	if (c->oom_fd >= 0)
		cgroup_leaf_oom_clear(c->oom_fd);
	c->oom_due = c->oom_fd >= 0 && cgroup_root_version(c->engine->cgroup) == 1;
	pthread_mutex_unlock(&c->lock);
	oom_note(c, 0);
	if (!c->oom_due)
		return;
	o->tries = 0;
	set_timer(o);
}

static void on_timer(struct engine *e)
{
	struct oom *o = e->oom;
	struct container **list = NULL;
	uint64_t times;
	size_t n = 0;

	(void)read(o->timer, &times, sizeof(times));
	if (container_list(e, &list, &n) < 0)
		n = 0; /* without memory: next time */
	o->tries++;
	for (size_t i = 0; i < n; i++) {
		if (list[i]->oom_due)
			oom_note(list[i], 0);
		if (o->tries >= SETTLE_TRIES)
			list[i]->oom_due = false;
		container_put(list[i]);
	}
	free(list);
	if (o->tries < SETTLE_TRIES)
		set_timer(o);
}

void oom_on_engine(struct engine *e)
{
	if (e->oom->kmsg >= 0)
		note_rest(e, !drain(e->oom, 1));
	else
		on_timer(e);
}

/* --- what is shown --- */

void container_print_last_oom(struct container *c, FILE *out)
{
	struct state_oom oom;
	uint64_t kills = 0;

	pthread_mutex_lock(&c->lock);
	oom = c->oom;
	pthread_mutex_unlock(&c->lock);
	/* Between the kill and our hearing of it, who was before is not the last. */
	if (oom.pid && cgroup_leaf_oom_kills(c->cgroup, &kills, NULL) == 0 && kills == oom.kills)
		fprintf(out, "last_oom %d %s\n", oom.pid, oom.program[0] ? oom.program : "-");
	else
		fputs("last_oom - -\n", out);
}
