/* SPDX-License-Identifier: Apache-2.0 */
/* Removing and renaming containers, and looking at them. container_create.c makes them. */
#include "container.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "container_private.h"
#include "io.h"
#include "launch_park.h"

static const char *const state_names[] = {
	[CTN_CREATED] = "created", [CTN_STARTING] = "starting", [CTN_RUNNING] = "running",
	[CTN_PAUSED] = "paused",   [CTN_STOPPING] = "stopping", [CTN_RESTARTING] = "restarting",
	[CTN_EXITED] = "exited",
};

const char *ctn_state_name(enum ctn_state state)
{
	return state_names[state];
}

bool container_is_up(const struct container *c)
{
	return c->state != CTN_CREATED && c->state != CTN_EXITED;
}

void container_view_get(struct container *c, struct container_view *ret)
{
	pthread_mutex_lock(&c->lock);
	*ret = (struct container_view){
		.serial = c->serial,
		.state = c->state == CTN_STARTING ? c->rest : c->state,
		.spec = spec_get(c->spec),
		.running = spec_get(c->running),
		.init = pidref_get(c->init),
		.created = c->created,
		.started = c->started,
		.finished = c->finished,
		.changed = c->changed,
		.moved = c->moved,
		.oomed = c->oom.time,
		.has_exit = c->has_exit && !c->running,
		.exit_unknown = c->exit.unknown,
		.exit_code = c->exit.code,
		.restarts = c->restarts,
		.uid_base = c->uid_base,
		.monitored = c->monitor,
	};
	pthread_mutex_unlock(&c->lock);
	memcpy(ret->id, c->id, sizeof(ret->id));
}

bool container_oom_killed(struct container *c)
{
	uint64_t kills = 0, base;
	bool killed, runs;

	pthread_mutex_lock(&c->lock);
	runs = c->running;
	killed = c->exit.oom_killed;
	base = c->oom_base;
	pthread_mutex_unlock(&c->lock);
	if (!runs)
		return killed;
	return cgroup_leaf_oom_kills(c->cgroup, &kills, NULL) == 0 && kills > base;
}

void container_view_put(struct container_view *view)
{
	spec_put(view->spec);
	spec_put(view->running);
	pidref_put(view->init);
}

const struct cgroup_leaf *container_cgroup(const struct container *c)
{
	return c->cgroup;
}

const char *container_cgroup_name(const struct container *c)
{
	return c->cgroup_name[0] ? c->cgroup_name : c->id;
}

/* --- on disk --- */

/* What can be left out where there is no such controller: the default, and no limit at all. */
static bool is_dispensable(const char *entry)
{
	return strcmp(entry, SPEC_KNOB_DEFAULT) == 0 || strcmp(entry, "pids.max max") == 0;
}

/* The old value of the same knob is in force already where the cgroup was there before. */
int container_apply_limits(struct container *c, const struct spec *spec, bool strict,
			   struct ctn_err *err)
{
	for (const struct cgroup_knob *k = cgroup_knobs; k->name; k++) {
		size_t n = strlen(k->name);

		for (size_t i = 0; i < spec->cgroup.len; i++) {
			const char *entry = spec->cgroup.items[i];
			int r;

			if (strncmp(entry, k->name, n) != 0 || entry[n] != ' ' || !k->write)
				continue;
			r = k->write(c->cgroup, entry + n + 1, err);
			if (r < 0 && (r != -EOPNOTSUPP || (strict && !is_dispensable(entry))))
				return r;
		}
	}
	return 0;
}

struct state_record container_record(const struct container *c, struct spec *spec)
{
	struct state_record rec = {.uid_base = c->uid_base,
				   .created = c->created,
				   .renamed_at = c->renamed_at,
				   .limits_at = c->limits_at,
				   .limits = c->limits,
				   .spec = spec};

	if (c->parent)
		memcpy(rec.parent, c->parent->id, sizeof(rec.parent));
	return rec;
}

/* Where only the last step fails, the new one has its name already: what is refused must not be
 * there for the next server. */
int container_save(struct container *c, struct spec *spec, struct ctn_err *err)
{
	const struct state_record rec = container_record(c, spec);
	const struct state_record old = container_record(c, c->spec);
	ctn_autoclose int dir = -1;
	int r = container_state_dir(c, &dir, err);

	if (r < 0)
		return r;
	r = state_save(dir, &rec, &c->saved, err);
	if (r < 0 && spec != c->spec)
		(void)state_save(dir, &old, &c->saved, NULL);
	return r;
}

/* From the renaming on the container does not exist, whatever becomes of its control group: that is
 * not easily made again. Only who sits in it keeps the container. */
int container_remove_resources(struct container *c, struct ctn_err *err)
{
	struct engine *e = c->engine;
	struct ctn_err why = {0};
	char trash[CTN_ID_LEN + 8];
	int r;

	launch_unpark(c);
	snprintf(trash, sizeof(trash), "trash-%s", c->id);
	if (renameat(e->state_fd, c->id, e->state_fd, trash) < 0 && errno != ENOENT)
		return ctn_fail_errno(err, "move the state directory away");
	r = container_cgroup_remove(c, &why);
	if (r == -EBUSY || (r < 0 && c->parent)) {
		if (renameat(e->state_fd, trash, e->state_fd, c->id) == 0)
			return ctn_fail(err, -r, "%s", why.text);
	}
	if (r < 0 && !c->parent)
		sweeper_add_cgroup(e->sweeper, c->id, container_cgroup_name(c));
	else
		sweeper_add(e->sweeper, c->id);
	return 0;
}

void container_note_removed(struct container *c)
{
	pthread_mutex_lock(&c->lock);
	journal_note(c->engine, c, JOURNAL_REMOVED, ctn_now(), "%s", "");
	pthread_mutex_unlock(&c->lock);
}

static int begin_removal(struct container *c, struct ctn_err *err)
{
	enum ctn_state state;
	bool removed;

	pthread_mutex_lock(&c->lock);
	state = c->state;
	removed = c->removed;
	if (!container_is_up(c))
		c->removed = true;
	pthread_mutex_unlock(&c->lock);
	if (removed)
		return ctn_fail(err, ENOENT, "it is being removed already");
	if (state != CTN_CREATED && state != CTN_EXITED)
		return ctn_fail(err, EBUSY, "it is %s; echo stop > ctl first",
				ctn_state_name(state));
	return 0;
}

int container_remove(struct engine *e, const char *name, struct ctn_err *err)
{
	struct container *c = container_find(e, name);
	int r;

	if (!c)
		return ctn_fail(err, ENOENT, "there is no container called %.80s", name);
	pthread_mutex_lock(&c->edit); /* a writer that is under way finishes first */
	r = begin_removal(c, err);
	if (r == 0) {
		r = sessions_settle(c, err);
		journal_save(e); /* all that its files tell of */
		if (r == 0)
			r = container_remove_resources(c, err);
		if (r < 0) { /* a stranger's process sits in its cgroup: it stays, whole */
			(void)container_apply_limits(c, c->spec, false, NULL);
			pthread_mutex_lock(&c->lock);
			c->removed = false;
			pthread_mutex_unlock(&c->lock);
		}
	}
	pthread_mutex_unlock(&c->edit);
	if (r == 0) {
		sessions_discard(c);
		container_note_removed(c);
		registry_drop(c);
		engine_tell(c);
	}
	container_put(c);
	return r;
}

static int rename_edited(struct container *c, const char *to, struct ctn_err *err)
{
	struct spec *renamed = spec_dup(c->spec), *old = spec_get(c->spec);
	const uint64_t renamed_at = c->renamed_at;
	int r = 0;

	free(renamed ? renamed->name : NULL);
	if (!renamed || !(renamed->name = strdup(to)))
		r = ctn_fail(err, ENOMEM, "no memory to rename");
	if (r == 0)
		r = registry_rename(c, renamed, err); /* the name is ours before it is on disk */
	if (r == 0) {
		c->renamed_at = ctn_now();
		r = container_save(c, renamed, err);
		if (r < 0) {
			c->renamed_at = renamed_at;
			(void)registry_rename(c, old, NULL);
			(void)container_save(c, old, NULL); /* it may be on disk already */
		}
	}
	if (r == 0) {
		pthread_mutex_lock(&c->lock);
		c->changed = c->renamed_at;
		journal_note(c->engine, c, JOURNAL_RENAMED, c->renamed_at, "%s", "");
		pthread_mutex_unlock(&c->lock);
		journal_save(c->engine); /* before the next renaming */
	}
	spec_put(renamed);
	spec_put(old);
	return r;
}

int container_rename(struct engine *e, const char *from, const char *to, struct ctn_err *err)
{
	struct container *c = container_find(e, from);
	int r;

	if (!c)
		return ctn_fail(err, ENOENT, "there is no container called %.80s", from);
	r = spec_name_check(to, err);
	if (r == 0 && strcmp(from, to) != 0) {
		pthread_mutex_lock(&c->edit);
		r = rename_edited(c, to, err);
		pthread_mutex_unlock(&c->edit);
		engine_tell(c);
	}
	container_put(c);
	return r;
}

int container_layer_path(struct container *c, char **ret, struct ctn_err *err)
{
	char *path = NULL;

	if (asprintf(&path, "%s/%s/%s", c->engine->state_path, c->id, WIRE_LAYER_NAME) < 0)
		return ctn_fail(err, ENOMEM, "no memory for a path");
	*ret = path;
	return 0;
}

int container_run_path(struct container *c, char **ret, struct ctn_err *err)
{
	char *path = NULL;

	if (asprintf(&path, "%s/%s", c->engine->run_path, c->id) < 0)
		return ctn_fail(err, ENOMEM, "no memory for a path");
	*ret = path;
	return 0;
}
