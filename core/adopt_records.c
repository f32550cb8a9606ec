/* SPDX-License-Identifier: Apache-2.0 */
/* Records that a container can do without: where one is damaged, it is said, and the rest counts.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>

#include "adopt.h"
#include "cleanup.h"
#include "life_private.h"
#include "oom.h"

enum { LEAVES_MS = 2000 };

bool adopt_is_monitored(const struct container *c)
{
	const struct timespec pause = {.tv_nsec = 1000000};
	ctn_autoclose int lock = container_open_run(c, WIRE_LOCK_NAME, O_RDWR);
	struct wire_status status;

	for (int i = 0; lock >= 0 && flock(lock, LOCK_EX | LOCK_NB) < 0; i++) {
		if (i == LEAVES_MS || container_load_status(c, &status) < 0 ||
		    status.phase != WIRE_EXITED)
			return true;
		(void)nanosleep(&pause, NULL);
	}
	return false;
}

/* It is written when a program runs, and not made to last: what a power cut has left of it says at
 * least that one ran. */
void adopt_exit_record(struct container *c)
{
	ctn_autoclose int dir = -1;
	struct ctn_err err = {0};
	int r = container_state_dir(c, &dir, &err);

	if (r == 0)
		r = state_load_exit(dir, &c->exit, &err);
	c->has_exit = r != -ENOENT;
	if (r == 0 || r == -ENOENT)
		return;
	(void)ctn_fail_context(&err, "how its last run ended is not known");
	container_note_error(c->engine, c, "exit", &err);
	c->exit = (struct state_exit){.code = 255, .unknown = true, .finished = ctn_now()};
	if (container_save_exit(c, &c->exit, &err) < 0)
		container_note_error(c->engine, c, "exit", &err);
}

/* Without it what was cleared is there again: better than nothing of all. */
void adopt_log_start(struct container *c)
{
	ctn_autoclose int dir = -1;
	struct ctn_err err = {0};

	if (container_state_dir(c, &dir, &err) == 0 &&
	    state_load_log_start(dir, &c->log_start, &c->log_uncounted, &err) == 0)
		return;
	c->log_start = c->log_uncounted = 0;
	(void)ctn_fail_context(&err, "what was removed from the log may be there again");
	container_note_error(c->engine, c, "log", &err);
}

/* Another command than the running program's, which is what was written last: it cannot be changed
 * until that has ended, and is kept while its start is under way. */
static int other_command(const struct container *c, const struct spec_field *f, bool *ret,
			 struct ctn_err *err)
{
	ctn_autofree char *kept = NULL, *running = NULL;
	int r = spec_field_text(c->spec, f, &kept, err);

	if (r == 0)
		r = spec_field_text(c->running, f, &running, err);
	if (r == 0)
		*ret = strcmp(kept, running) != 0;
	return r;
}

static void adopt_command(struct container *c)
{
	const struct spec_field *f = spec_field_find("cmd");
	struct spec *spec = NULL;
	struct ctn_err err = {0};
	bool other = false;
	int r = other_command(c, f, &other, &err);

	if (r == 0 && !other)
		return;
	spec = r == 0 ? spec_dup(c->spec) : NULL;
	r = spec ? spec_field_copy(spec, c->running, f, &err) : -ENOMEM;
	if (r == 0)
		r = container_save(c, spec, &err);
	if (r == 0) {
		spec_put(c->spec);
		c->spec = spec_get(spec);
	} else {
		container_note_error(c->engine, c, f->name, &err);
	}
	spec_put(spec);
}

/* The spec that it was started with; without that record, the present one is the best guess. */
void adopt_running_spec(struct container *c)
{
	struct spec *spec = NULL;
	char *skeleton = NULL;
	struct ctn_err err = {0};

	if (container_load_run(c, &spec, &skeleton, &c->oom_base, &err) < 0) {
		container_note_error(c->engine, c, "spec", &err);
		spec = spec_get(c->spec);
	}
	c->running = spec;
	adopt_command(c);
	container_ns_note(c->engine, spec);
	free(c->skeleton);
	c->skeleton = skeleton;
	oom_watch(c);
	oom_note(c, ctn_now());
}
