/* SPDX-License-Identifier: Apache-2.0 */
/* Writing a container's configuration. container_show.c reads it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "container_limits.h"
#include "container_private.h"
#include "io.h"

/* What may not be done to a field now. Under c->lock. */
static int check_when(const struct container *c, const struct spec_field *f, struct ctn_err *err)
{
	if (c->removed)
		return ctn_fail(err, ENOENT, "%s: the container is being removed", f->name);
	if (f->when == SPEC_STOPPED && container_is_up(c))
		return ctn_fail(
			err, EBUSY,
			"%s: it is %s, and this can only change while it is not; echo stop > ctl",
			f->name, ctn_state_name(c->state));
	return 0;
}

/* Acts on what runs. The stored value is written already, so that a crash in between loses nothing.
 */
static int apply_hostname(struct container *c, const struct spec *spec, struct ctn_err *err)
{
	ctn_autofree char *setting = container_ns_setting(c->engine, spec, NS_UTS);
	ctn_autoclose int procfd = -1;
	struct pidref *init;
	int r = 0;

	/* What it says already is compared with the namespace's own at the start. */
	if (spec_ns_names_host(spec) && strcmp(spec_hostname(spec), spec_hostname(c->spec)) != 0)
		return ctn_fail(err, EINVAL, "hostname: ns/uts is %s, whose host name it has",
				setting ?: "another's");
	pthread_mutex_lock(&c->lock);
	init = pidref_get(c->running && spec_ns_is_new(c->running, NS_UTS) ? c->init : NULL);
	pthread_mutex_unlock(&c->lock);
	if (init)
		r = pidref_open(init, &procfd, err);
	if (init && r == 0)
		r = ns_sethostname(procfd, spec_hostname(spec), err);
	pidref_put(init);
	return r;
}

static int apply_log_max(struct container *c, const struct spec *spec, struct ctn_err *err)
{
	int r = container_log_keep_start(
		c, err); /* a larger bound does not bring back what was dropped */

	if (r == 0)
		life_send(c, WIRE_MSG_LOG_MAX, spec->log_max);
	return r;
}

static const struct {
	const char *field;
	int (*apply)(struct container *c, const struct spec *spec, struct ctn_err *err);
} live_fields[] = {
	{"hostname", apply_hostname},
	{"log.max", apply_log_max},
	{"oom_score_adj", container_apply_oom_score_adj},
};

static int apply_live(struct container *c, const struct spec_field *f, const struct spec *spec,
		      struct ctn_err *err)
{
	for (size_t i = 0; f->when == SPEC_LIVE && i < CTN_COUNT(live_fields); i++) {
		if (strcmp(live_fields[i].field, f->name) == 0)
			return live_fields[i].apply(c, spec, err);
	}
	return 0;
}

/* A live field is the running program's, too. */
static struct spec *running_with(struct spec *running, const struct spec *spec,
				 const struct spec_field *f)
{
	struct spec *copy = running && f->when == SPEC_LIVE ? spec_dup(running) : NULL;

	if (copy && spec_field_copy(copy, spec, f, NULL) < 0) {
		spec_put(copy);
		copy = NULL;
	}
	return copy;
}

/* Make @spec the one in force: on disk first, then for everybody. With c->edit held. */
static int publish(struct container *c, const struct spec_field *f, struct spec *spec,
		   struct ctn_err *err)
{
	struct spec *old, *old_running = NULL;
	int r;

	pthread_mutex_lock(&c->lock);
	r = check_when(c, f, err);
	pthread_mutex_unlock(&c->lock);
	if (r == 0)
		r = container_save(c, spec, err);
	if (r < 0)
		return r;
	r = apply_live(c, f, spec, err);
	if (r < 0) {
		(void)container_save(c, c->spec, NULL);
		return r;
	}
	pthread_mutex_lock(&c->lock);
	r = check_when(c, f, err); /* it may have been started meanwhile */
	if (r < 0) {
		pthread_mutex_unlock(&c->lock);
		(void)container_save(c, c->spec, NULL);
		return r;
	}
	old = c->spec;
	c->spec = spec_get(spec);
	c->changed = ctn_now();
	spec = running_with(c->running, c->spec, f);
	if (spec) {
		old_running = c->running;
		c->running = spec;
	}
	pthread_mutex_unlock(&c->lock);
	spec_put(old);
	spec_put(old_running);
	if (strcmp(f->name, "restart") == 0)
		restart_changed(c);
	return 0;
}

static int check_text(const struct spec_field *f, const char *text, size_t len, char **ret,
		      struct ctn_err *err)
{
	if (len > SPEC_TEXT_MAX)
		return ctn_fail(err, EFBIG, "%s: more than %d bytes", f->name, SPEC_TEXT_MAX);
	if (memchr(text, '\0', len))
		return ctn_fail(err, EINVAL, "%s: there is a NUL byte in it", f->name);
	*ret = strndup(text, len);
	return *ret ? 0 : ctn_fail(err, ENOMEM, "%s: no memory", f->name);
}

/* A private spec with the new value in it. With c->edit held. */
static int prepare(struct container *c, const struct spec_field *f, const struct spec *base,
		   const char *text, size_t len, enum spec_write how, struct spec **ret,
		   struct ctn_err *err)
{
	ctn_autofree char *copy = NULL;
	struct spec *spec = NULL;
	int r = check_text(f, text, len, &copy, err);

	if (r < 0)
		return r;
	pthread_mutex_lock(&c->lock);
	r = check_when(c, f,
		       err); /* before its contents: who may not write gets no advice on how to */
	pthread_mutex_unlock(&c->lock);
	if (r == 0 && !(spec = spec_dup(c->spec)))
		r = ctn_fail(err, ENOMEM, "%s: no memory", f->name);
	if (r == 0 && base)
		r = spec_field_copy(spec, base, f, err);
	if (r == 0)
		r = f->store(spec, f, copy, how, err);
	if (r == 0)
		r = container_ns_bind(c->engine, spec, c->spec, err);
	if (r < 0)
		spec_put(spec);
	else
		*ret = spec;
	return r;
}

int container_store(struct container *c, const struct spec_field *f, const struct spec *base,
		    const char *text, size_t len, enum spec_write how, struct spec **ret,
		    struct ctn_err *err)
{
	struct spec *spec = NULL;
	int r;

	pthread_mutex_lock(&c->edit);
	r = prepare(c, f, base, text, len, how, &spec, err);
	if (r == 0)
		r = publish(c, f, spec, err);
	pthread_mutex_unlock(&c->edit);
	if (r == 0 && ret)
		*ret = ctn_take_ptr(spec);
	spec_put(spec);
	return r;
}

/* For a start that is about to be: in force at once, on disk while it is under way. With c->edit
 * held. @from: NULL, or what must be in force now. */
static int swap_spec(struct container *c, const struct spec_field *f, const struct spec *from,
		     struct spec *spec, struct ctn_err *err)
{
	struct spec *old = NULL;
	int r = 0;

	pthread_mutex_lock(&c->lock);
	if (!from)
		r = check_when(c, f, err);
	if (r == 0 && (!from || c->spec == from)) {
		old = c->spec;
		c->spec = spec_get(spec);
		c->changed = ctn_now();
	}
	pthread_mutex_unlock(&c->lock);
	spec_put(old);
	return r;
}

/* With c->edit held. */
static int run_edited(struct container *c, struct spec *spec, struct life_waiter *w,
		      struct ctn_err *err)
{
	const struct spec_field *f = spec_field_find("cmd");
	struct spec *before = spec_get(c->spec);
	struct ctn_err why = {0};
	int r = spec->start ? swap_spec(c, f, NULL, spec, err) : publish(c, f, spec, err);

	if (r == 0 && spec->start) {
		r = life_start(c, w, err);
		if (r < 0)
			(void)swap_spec(c, f, spec, before, NULL);
		else if (container_save(c, spec, &why) <
			 0) /* it runs; the next change tries again */
			container_note_error(c->engine, c, f->name, &why);
	}
	spec_put(before);
	return r;
}

int life_run(struct container *c, const char *text, size_t len, struct life_waiter *w,
	     struct ctn_err *err)
{
	struct spec *spec = NULL;
	int r;

	pthread_mutex_lock(&c->edit);
	r = prepare(c, spec_field_find("cmd"), NULL, text, len, SPEC_REPLACE, &spec, err);
	if (r == 0)
		r = run_edited(c, spec, w, err);
	pthread_mutex_unlock(&c->edit);
	spec_put(spec);
	return r;
}

int container_restore(struct container *c, const struct spec_field *f, const struct spec *from,
		      struct ctn_err *err)
{
	struct spec *spec;
	int r;

	pthread_mutex_lock(&c->edit);
	spec = spec_dup(c->spec);
	r = spec ? spec_field_copy(spec, from, f, err)
		 : ctn_fail(err, ENOMEM, "%s: no memory", f->name);
	if (r == 0)
		r = publish(c, f, spec, err);
	pthread_mutex_unlock(&c->edit);
	spec_put(spec);
	return r;
}

static bool is_freeze(const struct cgroup_knob *knob)
{
	return strcmp(knob->name, "freeze") == 0;
}

/* freeze is pause and resume by another name: the state must know. */
static int set_freeze(struct container *c, const char *text, struct ctn_err *err)
{
	struct ctn_err why = {0};
	bool freeze = false;
	int r = parse_bool("cgroup/freeze", text, &freeze, err);

	if (r < 0)
		return r;
	r = freeze ? life_pause(c, NULL, &why) : life_resume(c, NULL, &why);
	if (r == -ESRCH && !freeze)
		return 0; /* what does not run is not frozen */
	if (r < 0 && err)
		*err = why;
	return r;
}

/* Can take seconds; readers do not wait for it. What is below the use of a process that only waits
 * for its start is not below any use that counts. */
static int write_knob(struct container *c, const struct cgroup_knob *knob, const char *text,
		      struct ctn_err *err)
{
	int r = knob->write(c->cgroup, text, err);

	if (r != -EBUSY)
		return r;
	container_cgroup_seen(c);
	return knob->write(c->cgroup, text, err);
}

/* It is in force; if it cannot be kept, it is not. With c->edit held. */
static int save_limit(struct container *c, struct spec *spec, struct limits *seen,
		      struct ctn_err *err)
{
	const uint64_t limits_at = c->limits_at, limits = c->limits;
	int r;

	limits_compare(c, seen);
	r = container_save(c, spec, err);
	if (r < 0) {
		(void)container_exchange_limits(c, spec, c->spec, NULL);
		seen->changed = 0;
		c->limits_at = limits_at;
		c->limits = limits;
	}
	return r;
}

int container_set_knob(struct container *c, const struct cgroup_knob *knob, const char *text,
		       struct ctn_err *err)
{
	struct spec *spec, *old = NULL;
	struct limits seen;
	int r;

	if (is_freeze(knob))
		return set_freeze(c, text, err);
	if (!knob->write)
		return ctn_fail(err, EACCES, "cgroup/%s can only be read", knob->name);
	if (!(knob->flags & KNOB_KEPT))
		return knob->write(c->cgroup, text, err);
	pthread_mutex_lock(&c->edit);
	limits_see(c, knob, &seen);
	spec = spec_dup(c->spec);
	r = spec ? spec_set_knob(spec, knob->name, text, err) : ctn_fail(err, ENOMEM, "no memory");
	limits_begin(c);
	if (r == 0)
		r = write_knob(c, knob, text, err);
	if (r == 0)
		r = save_limit(c, spec, &seen, err);
	limits_end(c);
	pthread_mutex_lock(&c->lock);
	if (r == 0) {
		old = c->spec;
		c->spec = spec_get(spec);
		c->changed = ctn_now();
	}
	limits_note(c, &seen); /* whatever became of the record */
	pthread_mutex_unlock(&c->lock);
	journal_save(c->engine); /* before the next change */
	pthread_mutex_unlock(&c->edit);
	engine_tell(c);
	limits_free(&seen);
	spec_put(old);
	spec_put(spec);
	return r;
}
