/* SPDX-License-Identifier: Apache-2.0 */
/* A whole new spec for a container that is there. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "container_create.h"
#include "container_limits.h"
#include "container_private.h"

/* What takes a knob's limit away, where that is not "max". */
static const struct {
	const char *knob, *value;
} unlimited[] = {
	{"cpu.weight", "100"},
	{"cpu.shares", "1024"},
};

static const char *no_limit(const struct cgroup_knob *knob)
{
	for (size_t i = 0; i < CTN_COUNT(unlimited); i++) {
		if (strcmp(unlimited[i].knob, knob->name) == 0)
			return unlimited[i].value;
	}
	return "max";
}

static bool has_knob(const struct spec *spec, const struct cgroup_knob *knob)
{
	size_t n = strlen(knob->name);

	for (size_t i = 0; i < spec->cgroup.len; i++) {
		if (strncmp(spec->cgroup.items[i], knob->name, n) == 0 &&
		    spec->cgroup.items[i][n] == ' ')
			return true;
	}
	return false;
}

/* Take away what @from limits, the last first: a limit on swap stands upon one on memory. */
static int clear_limits(struct container *c, const struct spec *from, struct ctn_err *err)
{
	const struct cgroup_knob *knob = cgroup_knobs;
	int r = 0;

	while (knob->name)
		knob++;
	while (r == 0 && knob-- > cgroup_knobs) {
		if (!(knob->flags & KNOB_KEPT) || !has_knob(from, knob))
			continue;
		r = knob->write(c->cgroup, no_limit(knob), err);
		if (r == -EOPNOTSUPP) /* then it limited nothing */
			r = 0;
	}
	return r;
}

/* In the run directory, which a reboot takes away together with what the kernel knows. */
static const char mark[] = "limits";

void limits_begin(const struct container *c)
{
	const int fd = container_open_run(c, mark, O_WRONLY | O_CREAT);

	if (fd >= 0) /* without it, only a crash is not undone */
		close(fd);
}

void limits_end(const struct container *c)
{
	container_unlink_run(c, mark);
}

void limits_restore(const struct container *c)
{
	const struct cgroup_knob *knob = cgroup_knobs;
	ctn_autoclose int fd = container_open_run(c, mark, O_RDONLY);

	if (fd < 0)
		return;
	while (knob->name)
		knob++;
	while (knob-- > cgroup_knobs) {
		if (knob->flags & KNOB_KEPT && !has_knob(c->spec, knob))
			(void)knob->write(c->cgroup, no_limit(knob), NULL);
	}
	limits_end(c);
}

int container_exchange_limits(struct container *c, const struct spec *from, const struct spec *to,
			      struct ctn_err *err)
{
	int r = clear_limits(c, from, err);

	if (r == 0)
		r = container_apply_limits(c, to, true, err);
	if (r < 0) {
		(void)clear_limits(c, to, NULL);
		(void)container_apply_limits(c, from, false, NULL);
	}
	return r;
}

/* Under c->lock. */
static int check_stopped(const struct container *c, struct ctn_err *err)
{
	if (c->removed)
		return ctn_fail(err, ENOENT, "spec: the container is being removed");
	if (container_is_up(c))
		return ctn_fail(err, EBUSY,
				"spec: it is %s, and this can only change while it is not; echo "
				"stop > ctl",
				ctn_state_name(c->state));
	return 0;
}

/* Its control group stays where it was made. */
static int check_cgroup(const struct container *c, const struct spec *spec, struct ctn_err *err)
{
	char name[SPEC_CGROUP_NAME_MAX + 1] = "";
	int r = spec_cgroup_name(spec, name, err);

	if (r == 0 && strcmp(name, c->cgroup_name) != 0)
		r = ctn_fail(err, EINVAL,
			     "spec: cgroupsPath: its control group is %s; another one can only be "
			     "given to new",
			     container_cgroup_name(c));
	return r;
}

/* Before anything is changed; once more when it is published. */
static int check_ids(const struct container *c, const struct spec *spec, struct ctn_err *err)
{
	int r;

	pthread_rwlock_rdlock(&c->engine->lock);
	r = registry_ids_check(c->engine, c, spec, err);
	pthread_rwlock_unlock(&c->engine->lock);
	return r < 0 && err ? ctn_fail_context(err, "spec") : r;
}

/* With c->edit held. */
static int check_name(const struct container *c, struct spec *spec, struct ctn_err *err)
{
	if (spec->name[0] && strcmp(spec->name, c->spec->name) != 0)
		return ctn_fail(err, EINVAL,
				"spec: name: this container is called %s; mv renames it, and a "
				"document with another name can be written to new",
				c->spec->name);
	free(spec->name);
	spec->name = strdup(c->spec->name);
	return spec->name ? 0 : ctn_fail(err, ENOMEM, "spec: no memory");
}

/* On disk first, then for everybody. With c->edit held. */
static int publish(struct container *c, struct spec *spec, struct ctn_err *err)
{
	struct spec *old = NULL;
	int r = container_save(c, spec, err);

	if (r < 0)
		return r;
	r = registry_replace(c, spec, check_stopped, &old, err); /* started meanwhile? */
	if (r < 0)
		(void)container_save(c, c->spec, NULL);
	spec_put(old);
	return r;
}

/* With c->edit held. */
static int replace(struct container *c, struct spec *spec, struct ctn_err *err)
{
	const uint64_t limits_at = c->limits_at, limits = c->limits;
	struct spec *old = spec_get(c->spec);
	struct limits seen;
	int r;

	limits_see(c, NULL, &seen);
	limits_begin(c);
	r = container_exchange_limits(c, old, spec, err);
	if (r == 0)
		limits_compare(c, &seen);
	if (r == 0 && spec->log_max != old->log_max) /* a larger bound brings nothing back */
		r = container_log_keep_start(c, err);
	if (r == 0) {
		r = publish(c, spec, err);
		if (r < 0)
			(void)container_exchange_limits(c, spec, old, NULL);
	}
	limits_end(c);
	if (r == 0) {
		pthread_mutex_lock(&c->lock);
		limits_note(c, &seen);
		pthread_mutex_unlock(&c->lock);
		journal_save(c->engine); /* before the next change */
	} else {
		c->limits_at = limits_at;
		c->limits = limits;
	}
	limits_free(&seen);
	spec_put(old);
	return r;
}

int container_replace_spec(struct container *c, struct spec *spec, struct ctn_err *err)
{
	int r;

	pthread_mutex_lock(&c->edit);
	pthread_mutex_lock(&c->lock);
	r = check_stopped(c, err);
	pthread_mutex_unlock(&c->lock);
	if (r == 0)
		r = check_name(c, spec, err);
	if (r == 0)
		r = check_cgroup(c, spec, err);
	if (r == 0)
		r = check_ids(c, spec, err);
	if (r == 0)
		r = replace(c, spec, err);
	pthread_mutex_unlock(&c->edit);
	engine_tell(c);
	return r;
}
