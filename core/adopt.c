/* SPDX-License-Identifier: Apache-2.0 */
/* At the start of a server: every container on disk, and what became of it while no server was
 * there. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "adopt.h"
#include "cleanup.h"
#include "container_limits.h"
#include "io.h"
#include "oom.h"
#include "rootfs.h"
#include "strlist.h"
#include "weaken.h"
#include "wire_io.h"

enum { HELLO_MS = 5000, GONE_MS = 2000 };

/* --- a living monitor --- */

static int monitor_connect(const struct container *c, int *ret, struct ctn_err *err)
{
	ctn_autoclose int dir = -1;
	int sock, r = container_run_dir(c, &dir, err);

	if (r < 0)
		return r;
	sock = wire_connect(dir);
	if (sock < 0)
		return ctn_fail(err, -sock, "connect to the monitor: %s", strerrordesc_np(-sock));
	*ret = sock;
	return 0;
}

/* One question, one answer. While it is still starting its container, the answer says so, and
 * another follows by itself. */
static int monitor_ask(int sock, struct wire_status *ret, int *ret_pidfd, int *ret_tty,
		       struct ctn_err *err)
{
	struct wire_msg msg = {
		.magic = WIRE_MAGIC, .version = WIRE_VERSION, .type = WIRE_MSG_HELLO};
	struct pollfd p = {.fd = sock, .events = POLLIN};
	int fds[] = {-1, -1};
	size_t n_fds = 0;
	ssize_t n = wire_send(sock, &msg, sizeof(msg), NULL, 0);

	if (n >= 0 && poll(&p, 1, HELLO_MS) <= 0)
		return ctn_fail(err, ETIMEDOUT, "the monitor does not answer");
	if (n >= 0)
		n = wire_receive(sock, &msg, sizeof(msg), fds, CTN_COUNT(fds), &n_fds);
	if (n != (ssize_t)sizeof(msg) || msg.magic != WIRE_MAGIC || msg.type != WIRE_MSG_STATUS) {
		ctn_close_fd(&fds[0]);
		ctn_close_fd(&fds[1]);
		return ctn_fail(err, EBADMSG, "the monitor's answer makes no sense");
	}
	*ret = msg.status;
	*ret_pidfd = fds[0];
	*ret_tty = fds[1];
	return 0;
}

/* It answered after we had opened its pidfd: that is it. */
static int monitor_identify(int sock, struct pidref **ret, struct ctn_err *err)
{
	struct ucred cred = {0};
	socklen_t len = sizeof(cred);

	if (getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
		return ctn_fail_errno(err, "ask who the monitor is");
	return pidref_new(cred.pid, -1, ret, err);
}

/* A session may stand still with its container only. What was told to and does not yet is a pause
 * that was cut off: whoever takes it for running would not let it go on in order to end it. */
static bool is_paused(const struct container *c)
{
	const int asked = cgroup_leaf_self_frozen(c->cgroup, NULL);
	const bool is_so = c->parent ? asked > 0 : cgroup_leaf_frozen(c->cgroup, NULL) > 0;

	if (asked > 0 && !is_so)
		(void)cgroup_leaf_freeze(c->cgroup, false, NULL);
	return is_so;
}

static int adopt_monitored(struct container *c, struct ctn_err *err)
{
	ctn_autoclose int sock = -1;
	int pidfd = -1, tty = -1;
	struct wire_status status;
	int r = monitor_connect(c, &sock, err);

	if (r == 0)
		r = monitor_identify(sock, &c->monitor, err);
	if (r == 0)
		r = monitor_ask(sock, &status, &pidfd, &tty, err);
	if (r < 0)
		return r;
	life_take_tty(c, tty);
	c->rest = c->has_exit ? CTN_EXITED : CTN_CREATED;
	c->state = CTN_STARTING;
	if (pidfd >= 0 && life_take_status(c, &status, pidfd, err) == 0) {
		adopt_running_spec(c);
		c->state = is_paused(c) ? CTN_PAUSED : CTN_RUNNING;
	} else { /* it is still being started */
		adopt_running_spec(c);
		c->launched = c->running;
		c->running = NULL;
	}
	fcntl(sock, F_SETFL, O_NONBLOCK);
	c->sock = ctn_take_fd(sock);
	if (loop_add(c->engine, c, c->sock, EVENT_SOCKET) < 0 ||
	    loop_add(c->engine, c, c->monitor->pidfd, EVENT_MONITOR) < 0)
		return ctn_fail_errno(err, "watch the monitor");
	life_send(c, WIRE_MSG_LOG_MAX, c->spec->log_max); /* may have changed while we were away */
	return 0;
}

/* --- no monitor --- */

static bool same_boot(const struct wire_status *status)
{
	ctn_autofree char *text = NULL;

	return io_read_at(AT_FDCWD, "/proc/sys/kernel/random/boot_id", 64, &text, NULL, NULL) ==
		       0 &&
	       strncmp(text, status->boot_id, WIRE_BOOT_ID_LEN) == 0;
}

/* A program that was there before us: when it began, by life_clock(). */
static void take_age(struct container *c)
{
	const uint64_t ticks = (uint64_t)sysconf(_SC_CLK_TCK);

	if (c->init && ticks > 0)
		c->run_since = c->init->start / ticks * 1000000000 +
			       c->init->start % ticks * (1000000000 / ticks);
}

/* Its first process lives without a monitor: the pid and its start time are those of the record. */
static bool adopt_orphan(struct container *c, const struct wire_status *status)
{
	struct pidref *init = NULL;

	if (status->init_pid <= 0 || pidref_new(status->init_pid, -1, &init, NULL) < 0)
		return false;
	if ((!WEAKEN_REUSE && init->start != status->init_start) || pidref_ended(init)) {
		pidref_put(init);
		return false;
	}
	c->init = init;
	c->started = status->started;
	c->state = is_paused(c) ? CTN_PAUSED : CTN_RUNNING;
	adopt_running_spec(c);
	stdin_hold(c);
	return life_remonitor(c, status);
}

static void note_end(struct container *c, const struct wire_status *status, bool unknown)
{
	struct state_exit e = {
		.code = unknown ? 255 : status->code,
		.unknown = unknown,
		.started = status->started,
		.finished = unknown ? ctn_now() : status->finished,
	};
	uint64_t kills = 0, base = 0;
	struct spec *spec = NULL;
	char *skeleton = NULL;
	struct ctn_err err = {0};

	if (container_load_run(c, &spec, &skeleton, &base, NULL) == 0 &&
	    cgroup_leaf_oom_kills(c->cgroup, &kills, NULL) == 0)
		e.oom_killed = kills > base;
	c->started = e.started;
	c->oom_base = base;
	oom_note(c, e.finished);
	spec_put(spec);
	free(skeleton);
	if (container_save_exit(c, &e, &err) < 0)
		container_note_error(c->engine, c, "exit", &err);
	c->exit = e;
	c->has_exit = true;
	c->log_lost = status->log_dropped;
}

/* What its last monitor left in writing, if that is of this boot and not accounted for yet. */
static void account(struct container *c)
{
	struct wire_status status;
	bool told;

	if (container_load_status(c, &status) < 0 || !same_boot(&status))
		return;
	told = c->has_exit && c->exit.started == status.started && c->exit.finished;
	if (status.phase == WIRE_RUNNING && adopt_orphan(c, &status))
		return;
	if ((status.phase == WIRE_EXITED || status.phase == WIRE_RUNNING) && !told)
		note_end(c, &status,
			 status.phase == WIRE_RUNNING || status.code == WIRE_CODE_UNKNOWN);
}

/* Whether its last monitor was killed before the program ran. */
static bool was_starting(const struct container *c)
{
	struct wire_status status;

	return container_load_status(c, &status) == 0 && same_boot(&status) &&
	       status.phase == WIRE_STARTING;
}

static void adopt_run(struct container *c)
{
	struct ctn_err err = {0};

	oom_load(c);
	adopt_exit_record(c);
	c->started = c->exit.started;
	if (adopt_is_monitored(c)) {
		if (adopt_monitored(c, &err) == 0)
			return;
		container_note_error(c->engine, c, "status", &err);
		pidref_put(c->monitor);
		c->monitor = NULL;
		c->state = CTN_CREATED;
	}
	account(c);
	if (c->state != CTN_RUNNING && c->state != CTN_PAUSED) {
		/* Nothing of it may go on unseen: a stage whose monitor died early, what an unknown
		 * end left behind. What a session's program has left is the container's. */
		if (!c->parent || was_starting(c))
			(void)container_cgroup_kill(c, GONE_MS, NULL);
		if (!c->parent && cgroup_leaf_frozen(c->cgroup, NULL) > 0)
			(void)cgroup_leaf_freeze(c->cgroup, false, NULL);
		c->state = c->has_exit ? CTN_EXITED : CTN_CREATED;
	}
	c->started = c->started ?: c->exit.started;
	c->finished = c->state == CTN_EXITED ? c->exit.finished : 0;
}

/* --- all of them --- */

static int adopt_open(struct container *c, struct ctn_err *err)
{
	int r = container_make_run_dir(c, err);

	if (r == 0)
		r = container_cgroup_open(c, err);
	if (r == 0 && !c->parent)
		limits_restore(c);
	if (r == 0 && !c->parent) /* after a reboot its cgroup is new */
		r = container_apply_limits(c, c->spec, false, err);
	if (r == -EBUSY) /* it lives there, with more than it may have from now on */
		r = 0;
	if (r == 0)
		adopt_log_start(c);
	return r;
}

static void adopt_record(struct container *c, const char *id, const struct state_record *rec)
{
	memcpy(c->id, id, CTN_ID_LEN);
	c->created = c->changed = rec->created;
	c->renamed_at = rec->renamed_at;
	c->limits_at = rec->limits_at;
	c->limits = rec->limits;
	c->saved = rec->end;
	c->moved = ctn_now();
}

static int adopt_added(struct container *c, struct ctn_err *err)
{
	int r = adopt_open(c, err);

	if (r < 0) {
		registry_drop(c);
	} else {
		registry_publish(c); /* before the run: events find it by its serial */
		adopt_run(c);
		take_age(c);
		restart_adopt(c);
		if (c->parent && c->state != CTN_RUNNING && !c->monitor)
			container_cgroup_rest(c);
	}
	container_put(c);
	return r;
}

/* A session of what is not there: that was removed. Unless it could only not be understood. */
static int adopt_lost(struct engine *e, const char *id, const char *parent, struct ctn_err *err)
{
	if (faccessat(e->state_fd, parent, F_OK, 0) == 0)
		return ctn_fail(err, ENOENT, "its container %.12s… could not be read", parent);
	(void)io_remove_tree_at(e->run_fd, id, NULL);
	return io_remove_tree_at(e->state_fd, id, err);
}

static int adopt_session(struct engine *e, const char *id, const struct state_record *rec,
			 struct ctn_err *err)
{
	struct container *parent = container_find_id(e, rec->parent), *c = NULL;
	int r;

	if (!parent)
		return adopt_lost(e, id, rec->parent, err);
	r = registry_add_session(parent, rec->spec, &c, err);
	container_put(parent);
	if (r < 0)
		return r;
	adopt_record(c, id, rec);
	return adopt_added(c, err);
}

static int adopt_container(struct engine *e, const char *id, const struct state_record *rec,
			   struct ctn_err *err)
{
	struct container *c = NULL;
	int r = registry_add(e, rec->spec, rec->uid_base, &c, err);

	if (r < 0)
		return r;
	adopt_record(c, id, rec);
	return adopt_added(c, err);
}

/* One directory of the state. What cannot be understood is left where it is, and said. @sessions:
 * gets the id of one, for later. */
static int adopt_one(struct engine *e, const char *id, struct strlist *sessions,
		     struct ctn_err *err)
{
	ctn_autoclose int fd = openat(e->state_fd, id,
				      O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct state_record rec = {0};
	int r;

	if (fd < 0)
		return ctn_fail_errno(err, "open the state directory %s", id);
	r = state_load(fd, &rec, err);
	if (r < 0 && state_never_was(fd))
		return io_remove_tree_at(e->state_fd, id, err);
	if (r < 0)
		return r;
	if (!rec.parent[0])
		r = adopt_container(e, id, &rec, err);
	else if (!sessions)
		r = adopt_session(e, id, &rec, err);
	else if (strlist_add(sessions, id, strlen(id)) < 0)
		r = ctn_fail(err, ENOMEM, "no memory for a session");
	spec_put(rec.spec);
	return r;
}

static bool is_id(const char *name)
{
	return strlen(name) == CTN_ID_LEN && strspn(name, "0123456789abcdef") == CTN_ID_LEN;
}

/* Left by a server that was killed in the middle of making or removing one. */
static bool is_debris(const char *name)
{
	return strncmp(name, "new-", 4) == 0 || strncmp(name, "trash-", 6) == 0;
}

/* A run directory or cgroup without state: rmdir was interrupted just there. */
static void sweep_runs(struct engine *e)
{
	ctn_autoclosedir DIR *dir = fdopendir(dup(e->run_fd));
	const struct dirent *d;

	while (dir && (d = readdir(dir))) {
		if (!is_id(d->d_name) || faccessat(e->state_fd, d->d_name, F_OK, 0) == 0)
			continue;
		/* Without its run directory nobody would know of the group. */
		if (cgroup_leaf_remove(e->cgroup, d->d_name, GONE_MS, NULL) == 0)
			(void)io_remove_tree_at(e->run_fd, d->d_name, NULL);
	}
}

/* A skeleton is in use while a container runs on it. */
static int keep_skeleton(const char *name, void *arg)
{
	struct engine *e = arg;
	bool used = strcmp(name, e->skeleton) == 0;

	for (size_t i = 0; !used && i < e->n; i++)
		used = e->by_name[i]->init && e->by_name[i]->skeleton &&
		       strcmp(e->by_name[i]->skeleton, name) == 0;
	return used;
}

/* It has been so on disk and perhaps runs: it is there, but it is said. */
static void note_shared_ids(struct container *c)
{
	struct ctn_err err = {0};
	int r;

	pthread_rwlock_rdlock(&c->engine->lock);
	r = registry_ids_check(c->engine, c, c->spec, &err);
	pthread_rwlock_unlock(&c->engine->lock);
	if (r < 0)
		container_note_error(c->engine, c, "spec", &err);
}

int adopt_all(struct engine *e, struct ctn_err *err)
{
	ctn_autoclosedir DIR *dir = NULL;
	struct strlist sessions = {0};
	const struct dirent *d;
	int fd = openat(e->state_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || !(dir = fdopendir(fd)))
		return ctn_fail_errno(err, "read the state directory");
	while ((d = readdir(dir))) {
		struct ctn_err why = {0};

		if (is_debris(d->d_name)) {
			journal_trash(e, d->d_name);
			(void)io_remove_tree_at(e->state_fd, d->d_name, NULL);
			continue;
		}
		if (is_id(d->d_name) && adopt_one(e, d->d_name, &sessions, &why) < 0)
			container_note_error(e, NULL, d->d_name, &why);
	}
	for (size_t i = 0; i < sessions.len; i++) { /* now their containers are there */
		struct ctn_err why = {0};

		if (adopt_one(e, sessions.items[i], NULL, &why) < 0)
			container_note_error(e, NULL, sessions.items[i], &why);
	}
	strlist_free(&sessions);
	for (size_t i = 0; i < e->n; i++)
		note_shared_ids(e->by_serial[i]);
	restart_adopted(e);
	sweep_runs(e);
	(void)rootfs_skeleton_sweep(e->state_fd, keep_skeleton, e, NULL);
	return 0;
}
