/* SPDX-License-Identifier: Apache-2.0 */
/* Making containers: mkdir's, and those from a whole spec. */
#include "container_create.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "io.h"
#include "launch_park.h"
#include "life_private.h"
#include "oom.h"
#include "spares.h"

enum {
	LAYER_MODE = 0755,
	SHORT_ID_LEN = 12,
	IDS_TRIED = 8,
	NEW_ROOM = CTN_ID_LEN + 32, /* of a path in a state directory that is being made */
};

int container_make_id(char id[CTN_ID_LEN + 1], struct ctn_err *err)
{
	unsigned char bytes[CTN_ID_LEN / 2];

	if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
		return ctn_fail_errno(err, "make an id");
	for (size_t i = 0; i < sizeof(bytes); i++)
		sprintf(id + 2 * i, "%02x", bytes[i]);
	return 0;
}

static const char *const new_dirs[] = {"/" WIRE_LAYER_NAME, "/" WIRE_WORK_NAME};

static int create_layer(const struct container *c, const char *tmp, struct ctn_err *err)
{
	for (size_t i = 0; i < CTN_COUNT(new_dirs); i++) {
		char path[NEW_ROOM];

		snprintf(path, sizeof(path), "%s%s", tmp, new_dirs[i]);
		if (mkdirat(c->engine->state_fd, path, LAYER_MODE) < 0)
			return ctn_fail_errno(err, "make the directory %s", new_dirs[i] + 1);
	}
	return 0;
}

/* Where there is no descriptor left, that may be why it came to nothing: no more of them. */
static void discard_new(const struct container *c, const char *tmp)
{
	const int fd = c->engine->state_fd;
	char path[NEW_ROOM];

	snprintf(path, sizeof(path), "%s/%s", tmp, STATE_SPEC_NAME);
	(void)unlinkat(fd, path, 0);
	for (size_t i = 0; i < CTN_COUNT(new_dirs); i++) {
		snprintf(path, sizeof(path), "%s%s", tmp, new_dirs[i]);
		(void)unlinkat(fd, path, AT_REMOVEDIR);
	}
	(void)unlinkat(fd, tmp, AT_REMOVEDIR);
}

/* Under that until it is complete, so that a crash leaves all of it or nothing that counts. */
static void new_name(const struct container *c, char ret[CTN_ID_LEN + 8])
{
	snprintf(ret, CTN_ID_LEN + 8, CONTAINER_NEW_PREFIX "%s", c->id);
}

static int state_make(struct container *c, struct ctn_err *err)
{
	struct engine *e = c->engine;
	char tmp[CTN_ID_LEN + 8];

	new_name(c, tmp);
	c->is_new = true;
	if (mkdirat(e->state_fd, tmp, 0700) < 0)
		return ctn_fail_errno(err, "make the state directory");
	return c->parent ? 0 : create_layer(c, tmp, err);
}

/* From here on the container exists. @durable: also after a power cut. */
static int state_complete(struct container *c, bool durable, struct ctn_err *err)
{
	const struct state_record rec = container_record(c, c->spec);
	struct engine *e = c->engine;
	ctn_autoclose int dir = -1;
	char tmp[CTN_ID_LEN + 8];
	int r = container_state_dir(c, &dir, err);

	new_name(c, tmp);
	if (r == 0)
		r = state_save_new(dir, &rec, durable, &c->saved, err);
	if (r == 0 && renameat(e->state_fd, tmp, e->state_fd, c->id) < 0)
		r = ctn_fail_errno(err, "name the state directory");
	c->is_new = r < 0;
	return r;
}

static void state_unmake(const struct container *c)
{
	char tmp[CTN_ID_LEN + 8];

	new_name(c, tmp);
	(void)io_remove_tree_at(c->engine->state_fd, tmp, NULL);
}

static int run_make(struct container *c, struct ctn_err *err)
{
	if (mkdirat(c->engine->run_fd, c->id, 0700) < 0)
		return ctn_fail_errno(err, "make the run directory");
	return 0;
}

static int create_on_disk(struct container *c, bool durable, struct ctn_err *err)
{
	char tmp[CTN_ID_LEN + 8];
	int r = state_make(c, err);

	if (r == 0)
		r = state_complete(c, durable, err);
	if (r == 0)
		return run_make(c, err);
	new_name(c, tmp);
	discard_new(c, tmp);
	return r;
}

static int create_cgroup(struct container *c, struct ctn_err *err)
{
	int r = container_cgroup_open(c, err);

	if (r < 0 || c->parent)
		return r;
	if (!c->cgroup_name[0]) /* one with a name may have been there before */
		container_devices_fresh(c);
	return container_apply_limits(c, c->spec, true, err);
}

static int create_resources(struct container *c, bool durable, struct ctn_err *err)
{
	int r = create_on_disk(c, durable, err);

	if (r == 0)
		r = create_cgroup(c, err);
	if (r < 0)
		(void)container_remove_resources(c, NULL); /* it never was */
	else
		container_cgroup_rest(c);
	return r;
}

int container_make(struct container *c, const char *id, bool durable, struct ctn_err *err)
{
	int r;

	memcpy(c->id, id, sizeof(c->id));
	c->created = c->changed = c->moved = ctn_now();
	oom_begin(c);
	r = create_resources(c, durable, err);
	if (r < 0)
		registry_drop(c);
	return r;
}

/* --- ahead of its name --- */

bool container_is_spare(const struct container *c)
{
	return c->name[0] == '.';
}

/* The run directory before the cgroup: by it the next server finds that. */
int container_make_spare(struct container *c, const char *id, struct ctn_err *err)
{
	int r;

	memcpy(c->id, id, sizeof(c->id));
	r = state_make(c, err);
	if (r == 0)
		r = run_make(c, err);
	if (r == 0)
		r = create_cgroup(c, err);
	if (r < 0)
		container_unmake_spare(c);
	return r;
}

void container_unmake_spare(struct container *c)
{
	struct ctn_err err = {0};

	launch_unpark(c);
	if (container_cgroup_remove(c, &err) < 0)
		container_note_error(c->engine, NULL, "mkdir", &err);
	(void)io_remove_tree_at(c->engine->run_fd, c->id, NULL);
	state_unmake(c);
}

/* The empty log that its monitor has made is not older than it. */
static void log_is_new(const struct container *c)
{
	const struct timespec created = {.tv_sec = (time_t)(c->created / 1000000000U),
					 .tv_nsec = (long)(c->created % 1000000000U)};

	ctn_autoclose int fd = container_open_state(c, WIRE_LOG_NAME, O_RDONLY);

	if (fd >= 0)
		(void)futimens(fd, (const struct timespec[]){created, created});
}

/* A spare gets the name and spec of what is to be made. @ret: NULL where there is none. */
static int claim(struct engine *e, struct spec *spec, bool durable, struct container **ret,
		 struct ctn_err *err)
{
	struct container *c = spares_take(e->spares);
	int r;

	*ret = NULL;
	if (!c)
		return 0;
	r = registry_rename(c, spec, err);
	if (r < 0) {
		spares_give_back(e->spares, c);
		return r;
	}
	c->created = c->changed = c->moved = ctn_now();
	oom_begin(c);
	log_is_new(c);
	r = state_complete(c, durable, err);
	if (r == 0)
		r = container_apply_limits(c, spec, true, err);
	if (r == 0) {
		*ret = c;
		return 0;
	}
	(void)container_remove_resources(c, NULL);
	state_unmake(c);
	registry_drop(c);
	container_put(c);
	return r;
}

/* --- the name --- */

static int set_name(struct spec *spec, const char *name, size_t len, struct ctn_err *err)
{
	char *copy = strndup(name, len);

	if (!copy)
		return ctn_fail(err, ENOMEM, "no memory for a container");
	free(spec->name);
	spec->name = copy;
	return 0;
}

/* Reserve the name that the document gives, or one that suits it. @id: another one where the first
 * digits of this are taken. */
static int reserve(struct engine *e, struct spec *spec, char id[CTN_ID_LEN + 1],
		   struct container **ret, struct ctn_err *err)
{
	int r = -EEXIST;

	if (spec->name[0]) {
		r = spec_name_check(spec->name, err);
		return r < 0 ? r : registry_add(e, spec, 0, ret, err);
	}
	if (spec->hostname && spec_name_check(spec->hostname, NULL) == 0) {
		r = set_name(spec, spec->hostname, strlen(spec->hostname), err);
		if (r == 0)
			r = registry_add(e, spec, 0, ret, err);
	}
	for (int i = 0; r == -EEXIST && i < IDS_TRIED; i++) {
		r = i ? container_make_id(id, err) : 0;
		if (r == 0)
			r = set_name(spec, id, SHORT_ID_LEN, err);
		if (r == 0)
			r = registry_add(e, spec, 0, ret, err);
	}
	return r;
}

static int make_new(struct engine *e, struct spec *spec, bool durable, struct container **ret,
		    struct ctn_err *err)
{
	char id[CTN_ID_LEN + 1] = "";
	struct container *c = NULL;
	int r = container_make_id(id, err);

	if (r == 0)
		r = reserve(e, spec, id, &c, err);
	/* Host ids may be those of one that was only made to be at hand. */
	if ((r == -ENOSPC || r == -EINVAL) && spares_clear(e->spares))
		r = reserve(e, spec, id, &c, err);
	if (r < 0)
		return r;
	r = container_make(c, id, durable, err);
	if (r < 0)
		container_put(c);
	else
		*ret = c;
	return r;
}

/* What has no file of the tree may be about what a spare has already: its ids, its cgroup. */
static bool may_be_spare(const struct spec *spec)
{
	return spec->name[0] && !spec->oci;
}

/* All of it but that it can be found. */
static int make(struct engine *e, struct spec *spec, bool durable, struct container **ret,
		struct ctn_err *err)
{
	struct container *c = NULL;
	int r = 0;

	if (may_be_spare(spec)) {
		r = spec_name_check(spec->name, err);
		if (r == 0)
			r = claim(e, spec, durable, &c, err);
	}
	if (r == 0 && !c)
		r = make_new(e, spec, durable, &c, err);
	if (r == 0)
		*ret = c;
	return r;
}

void container_note_created(struct container *c)
{
	pthread_mutex_lock(&c->lock);
	journal_note(c->engine, c, JOURNAL_CREATED, c->created, "%s", "");
	pthread_mutex_unlock(&c->lock);
}

static void publish(struct container *c)
{
	container_note_created(c);
	registry_publish(c);
	engine_tell(c);
}

int container_create(struct engine *e, const char *name, struct container **ret,
		     struct ctn_err *err)
{
	struct spec *spec;
	int r = spec_name_check(name, err);

	if (r < 0)
		return r;
	spec = spec_new(name);
	if (!spec)
		return ctn_fail(err, ENOMEM, "no memory for a container");
	r = make(e, spec, false, ret, err); /* as mkdir(2) is: nothing was said about it yet */
	if (r == 0)
		publish(*ret);
	spec_put(spec);
	return r;
}

/* --- with a start --- */

/* It never ran: it never was. */
static void discard(struct container *c)
{
	struct ctn_err err = {0};

	pthread_mutex_lock(&c->lock);
	c->removed = true;
	pthread_mutex_unlock(&c->lock);
	if (container_remove_resources(c, &err) < 0)
		container_note_error(c->engine, NULL, c->name, &err);
	registry_drop(c);
}

/* The start has come to an end. A few files are removed here where it failed, so that the name is
 * free again before anybody is answered. */
static void on_started(struct life_waiter *maker, int result, const struct ctn_err *err)
{
	struct container *c = (struct container *)((char *)maker -
						   offsetof(struct container, maker));
	struct waiter_list made = {0};

	if (result < 0)
		discard(c);
	else
		registry_publish(c);
	pthread_mutex_lock(&c->lock);
	waiters_take(c, GOAL_MADE, &made);
	pthread_mutex_unlock(&c->lock);
	waiters_done(&made, result, err);
}

/* Unseen by all but the event thread. */
static int start_unseen(struct container *c, struct life_waiter *w, struct ctn_err *err)
{
	bool waits;
	int r;

	c->maker.done = on_started;
	pthread_mutex_lock(&c->lock);
	(void)waiter_queue(c, w, GOAL_MADE);
	pthread_mutex_unlock(&c->lock);
	r = life_start(c, &c->maker, err);
	if (r >= 0)
		return r;
	pthread_mutex_lock(&c->lock);
	waits = w && waiters_take_one(c, w);
	pthread_mutex_unlock(&c->lock);
	if (waits)
		container_put(c); /* the waiter's; the caller has its own */
	discard(c);
	return r;
}

int container_create_spec(struct engine *e, struct spec *spec, struct life_waiter *w,
			  struct container **ret, struct ctn_err *err)
{
	struct container *c = NULL;
	int r = make(e, spec, true, &c, err);

	if (r < 0)
		return r;
	if (spec->start && spec->cmd.len > 0)
		r = start_unseen(c, w, err); /* noted when it has begun to run */
	else
		publish(c);
	if (r < 0)
		container_put(c);
	else
		*ret = c;
	return r;
}
