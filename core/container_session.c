/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions: made, found out what they are to run with, and removed. launch_session.c starts them;
 * the registry finds them. */
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <time.h>

#include "cleanup.h"
#include "life_private.h"

enum { LEFTOVER_MS = 2000, SETTLE_SECS = 5 };

struct container *container_of_session(const struct container *c)
{
	return c->parent;
}

/* --- specs --- */

static int copy_fields(struct spec *to, const struct spec *from, const char *const *names,
		       struct ctn_err *err)
{
	int r = 0;

	for (; r == 0 && *names; names++)
		r = spec_field_copy(to, from, spec_field_find(*names), err);
	return r;
}

/* What is its container's in any case is not kept. */
static int new_spec(struct container *c, const char *name, struct spec **ret, struct ctn_err *err)
{
	static const char *const fields[] = {"env", "cwd", "user", NULL};
	struct spec *spec = spec_new(name);
	struct container_view v;
	int r;

	if (!spec)
		return ctn_fail(err, ENOMEM, "no memory for a session");
	container_view_get(c, &v);
	r = copy_fields(spec, v.running ?: v.spec, fields, err);
	container_view_put(&v);
	if (r < 0)
		spec_put(spec);
	else
		*ret = spec;
	return r;
}

int session_spec_in(struct container *c, const struct spec *in, struct spec **ret,
		    struct ctn_err *err)
{
	static const char *const fields[] = {"cmd", "env", "cwd", "user", "start", "log.max", NULL};
	struct spec *spec = spec_dup(in), *own;
	int r;

	if (!spec)
		return ctn_fail(err, ENOMEM, "no memory for a session");
	spec->tty = spec->init = false;
	/* These are there already, and hold for it. */
	strlist_free(&spec->mounts);
	strlist_free(&spec->sysctl);
	strlist_free(&spec->devices);
	strlist_free(&spec->paths);
	strlist_free(&spec->cgroup);
	pthread_mutex_lock(&c->lock);
	own = spec_get(c->spec);
	pthread_mutex_unlock(&c->lock);
	r = copy_fields(spec, own, fields, err);
	spec_put(own);
	if (r < 0)
		spec_put(spec);
	else
		*ret = spec;
	return r;
}

int session_spec(struct container *c, struct spec **ret, struct ctn_err *err)
{
	struct container_view v;
	int r;

	container_view_get(c->parent, &v);
	r = session_spec_in(c, v.running ?: v.spec, ret, err);
	container_view_put(&v);
	return r;
}

/* --- making --- */

static int check_parent(struct container *c, struct ctn_err *err)
{
	bool removed;

	pthread_mutex_lock(&c->lock);
	removed = c->removed;
	pthread_mutex_unlock(&c->lock);
	return removed ? ctn_fail(err, ENOENT, "the container is being removed") : 0;
}

/* With c->edit held, so that its removal comes before or after. */
static int make(struct container *c, struct spec *spec, struct container **ret, struct ctn_err *err)
{
	char id[CTN_ID_LEN + 1] = "";
	struct container *s = NULL;
	int r = check_parent(c, err);

	if (r == 0)
		r = container_make_id(id, err);
	if (r == 0)
		r = registry_add_session(c, spec, &s, err);
	if (r < 0)
		return r;
	r = container_make(s, id, false, err);
	if (r < 0) {
		container_put(s);
		return r;
	}
	container_note_created(s);
	registry_publish(s);
	*ret = s;
	return 0;
}

int container_session_create(struct container *c, const char *name, struct container **ret,
			     struct ctn_err *err)
{
	struct spec *spec = NULL;
	int r = spec_name_check(name, err);

	if (r == 0 && c->parent)
		r = ctn_fail(err, EINVAL, "a program in a container has no sessions of its own");
	if (r == 0)
		r = new_spec(c, name, &spec, err);
	if (r < 0)
		return r;
	pthread_mutex_lock(&c->edit);
	r = make(c, spec, ret, err);
	pthread_mutex_unlock(&c->edit);
	if (r == 0)
		engine_tell(*ret);
	spec_put(spec);
	return r;
}

/* --- removing --- */

int session_check_pause(const struct container *c, struct ctn_err *err)
{
	struct container *parent = c->parent;
	bool paused;

	if (!parent)
		return 0;
	pthread_mutex_lock(&parent->lock);
	paused = parent->state == CTN_PAUSED;
	pthread_mutex_unlock(&parent->lock);
	return paused ? ctn_fail(err, EBUSY,
				 "its container is paused, and nothing of it can end; echo resume "
				 "> ctl of that first")
		      : 0;
}

static int discard(struct container *s, struct ctn_err *err)
{
	int r = container_cgroup_kill(s, LEFTOVER_MS, err); /* what its program has left behind */

	journal_save(s->engine); /* all that its files tell of */
	if (r == 0)
		r = container_remove_resources(s, err);
	if (r < 0)
		return r;
	container_note_removed(s);
	registry_drop(s);
	engine_tell(s); /* whoever reads its files is told that they are gone */
	return 0;
}

static void set_removed(struct container *s, bool removed)
{
	pthread_mutex_lock(&s->lock);
	s->removed = removed;
	pthread_mutex_unlock(&s->lock);
}

/* It has ended, or nobody could end it. On the event thread: all that is left is a few files. */
static void on_killed(struct life_waiter *maker, int result, const struct ctn_err *err)
{
	struct container *s = (struct container *)((char *)maker -
						   offsetof(struct container, maker));
	struct waiter_list list = {0};
	struct ctn_err why = *err;

	if (result == 0)
		result = discard(s, &why);
	pthread_mutex_lock(&s->lock);
	s->removed = result == 0;
	waiters_take(s, GOAL_REMOVED, &list);
	pthread_mutex_unlock(&s->lock);
	waiters_done(&list, result, &why);
}

/* Return: whether it is up, and @w waits for its removal; -ENOENT. */
static int removal_mark(struct container *s, struct life_waiter *w, struct ctn_err *err)
{
	int r = 0;

	pthread_mutex_lock(&s->lock);
	if (s->removed) {
		r = ctn_fail(err, ENOENT, "it is being removed already");
	} else {
		s->removed = true;
		r = container_is_up(s);
	}
	if (r == 1)
		(void)waiter_queue(s, w, GOAL_REMOVED);
	pthread_mutex_unlock(&s->lock);
	return r;
}

static int remove_running(struct container *s, struct life_waiter *w, struct ctn_err *err)
{
	bool waits;
	int r;

	s->maker.done = on_killed;
	r = life_kill(s, SIGKILL, &s->maker, err);
	if (r == LIFE_PENDING)
		return r;
	pthread_mutex_lock(&s->lock);
	waits = w && waiters_take_one(s, w);
	pthread_mutex_unlock(&s->lock);
	if (waits)
		container_put(s); /* the waiter's; the caller has its own */
	if (r == 0)
		r = discard(s, err);
	if (r < 0)
		set_removed(s, false);
	return waits || !w ? r : LIFE_PENDING; /* whoever cancelled it has been answered */
}

int container_session_remove(struct container *c, const char *name, struct life_waiter *w,
			     struct ctn_err *err)
{
	struct container *s = container_session_find(c, name);
	int r;

	if (!s)
		return ctn_fail(err, ENOENT, "there is no session called %.80s", name);
	pthread_mutex_lock(&s->edit); /* a writer that is under way finishes first */
	r = removal_mark(s, w, err);
	if (r == 1) {
		r = remove_running(s, w, err);
	} else if (r == 0) {
		r = discard(s, err);
		if (r < 0)
			set_removed(s, false);
	}
	pthread_mutex_unlock(&s->edit);
	container_put(s);
	return r;
}

/* --- with their container --- */

/* One who waits here, on this thread. */
struct settling {
	struct life_waiter w; /* the first member */
	pthread_mutex_t lock;
	pthread_cond_t done;
	bool is_done;
};

static void on_settled(struct life_waiter *w, int result, const struct ctn_err *err)
{
	struct settling *s = (struct settling *)w;

	(void)result;
	(void)err;
	pthread_mutex_lock(&s->lock);
	s->is_done = true;
	pthread_cond_signal(&s->done);
	pthread_mutex_unlock(&s->lock);
}

/* Return: whether it was called; else it will not be. */
static bool settling_wait(struct settling *s)
{
	struct timespec until;
	bool done;
	int r = 0;

	clock_gettime(CLOCK_MONOTONIC, &until); /* whoever sets the clock does not end it */
	until.tv_sec += SETTLE_SECS;
	pthread_mutex_lock(&s->lock);
	while (!s->is_done && r == 0)
		r = pthread_cond_clockwait(&s->done, &s->lock, CLOCK_MONOTONIC, &until);
	done = s->is_done;
	pthread_mutex_unlock(&s->lock);
	if (done || life_cancel(&s->w))
		return done;
	pthread_mutex_lock(&s->lock); /* it is being called just now */
	while (!s->is_done)
		pthread_cond_wait(&s->done, &s->lock);
	pthread_mutex_unlock(&s->lock);
	return true;
}

static int settle(struct container *c, struct ctn_err *err)
{
	struct settling s = {.w.done = on_settled,
			     .lock = PTHREAD_MUTEX_INITIALIZER,
			     .done = PTHREAD_COND_INITIALIZER};

	if (life_wait(c, &s.w, NULL) != LIFE_PENDING || settling_wait(&s))
		return 0;
	return ctn_fail(err, EBUSY, "execs/%s has not ended yet with it; try again",
			strrchr(c->name, '/') + 1);
}

int sessions_settle(struct container *c, struct ctn_err *err)
{
	struct container **list = NULL;
	size_t n = 0;
	int r = container_session_list(c, &list, &n);

	if (r < 0)
		return ctn_fail(err, ENOMEM, "no memory for a list of sessions");
	for (size_t i = 0; i < n; i++) {
		if (r == 0)
			r = settle(list[i], err);
		container_put(list[i]);
	}
	free(list);
	return r;
}

/* One that is being removed is its remover's. */
static bool take_over(struct container *s)
{
	bool removed;

	pthread_mutex_lock(&s->lock);
	removed = s->removed;
	s->removed = true;
	pthread_mutex_unlock(&s->lock);
	return !removed;
}

void sessions_discard(struct container *c)
{
	struct container **list = NULL;
	size_t n = 0;

	if (container_session_list(c, &list, &n) < 0)
		return; /* the next start of the server sweeps them */
	for (size_t i = 0; i < n; i++) {
		struct ctn_err err = {0};

		pthread_mutex_lock(&list[i]->edit);
		if (take_over(list[i]) && discard(list[i], &err) < 0)
			container_note_error(c->engine, NULL, "rmdir", &err);
		pthread_mutex_unlock(&list[i]->edit);
		container_put(list[i]);
	}
	free(list);
}

void sessions_rest(struct container *c)
{
	struct container **list = NULL;
	size_t n = 0;

	if (!registry_has_sessions(c) || container_session_list(c, &list, &n) < 0)
		return;
	for (size_t i = 0; i < n; i++) {
		container_cgroup_rest(list[i]);
		container_put(list[i]);
	}
	free(list);
}
