/* SPDX-License-Identifier: Apache-2.0 */
/* From a spec to a monitor at work: everything is worked out here, put into one message, and
 * carried out there. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cleanup.h"
#include "container_private.h"
#include "io.h"
#include "launch_pack.h"
#include "launch_park.h"
#include "launch_spawn.h"
#include "wire_io.h"

enum { UNWATCHED_MS = 2000 };

static int message_fd(const struct packer *p, int *ret, struct ctn_err *err)
{
	ctn_autoclose int fd = memfd_create("ctnfs-start", MFD_CLOEXEC);
	int r;

	if (fd < 0)
		return ctn_fail_errno(err, "make the start message");
	r = io_write_all(fd, p->data, p->len);
	if (r < 0)
		return ctn_fail(err, -r, "write the start message");
	*ret = ctn_take_fd(fd);
	return 0;
}

/* @more: the cgroups', then those of the namespaces to join, or a terminal. */
static int send_start(const struct container *c, int sock, int message, const int *more,
		      size_t n_more, struct ctn_err *err)
{
	const struct wire_msg msg = {
		.magic = WIRE_MAGIC, .version = WIRE_VERSION, .type = WIRE_MSG_START};
	ctn_autoclose int run = -1, state = -1;
	int fds[WIRE_FD_FIXED + WIRE_ATTACH_MAX + WIRE_JOIN_MAX] = {
		[WIRE_FD_START] = message,
		[WIRE_FD_HOST_MNT] = c->engine->host_mntns,
	};
	ssize_t n;
	int r = container_run_dir(c, &run, err);

	if (r == 0)
		r = container_state_dir(c, &state, err);
	if (r < 0)
		return r;
	fds[WIRE_FD_RUN] = run;
	fds[WIRE_FD_STATE] = state;
	if (n_more > 0)
		memcpy(fds + WIRE_FD_FIXED, more, n_more * sizeof(int));
	n = wire_send(sock, &msg, sizeof(msg), fds, WIRE_FD_FIXED + n_more);
	return n < 0 ? ctn_fail(err, (int)-n, "talk to the monitor") : 0;
}

int launch_own_layer(const struct container *c, const struct spec *spec,
		     const struct launch_joins *joins, struct ctn_err *err)
{
	struct launch_ids ids;
	int r = launch_ids_joined(c, spec, joins, &ids, err);

	return r < 0 ? r : launch_layer(c, &ids, err);
}

/* Nobody would hear of its end. What it has made ends with it, unless it was there before. */
static void give_up_monitor(struct container *c, struct pidref *monitor)
{
	bool born;
	siginfo_t info;

	(void)pidref_kill(monitor, SIGKILL, NULL);
	(void)waitid(P_PIDFD, (id_t)monitor->pidfd, &info, WEXITED);
	pthread_mutex_lock(&c->lock);
	c->monitor = NULL;
	c->monitor_is_child = false;
	c->sock = -1; /* the caller's */
	born = c->state == CTN_STARTING || c->state == CTN_RESTARTING;
	pthread_mutex_unlock(&c->lock);
	pidref_put(monitor);
	if (born)
		(void)container_cgroup_kill(c, UNWATCHED_MS, NULL);
}

/* A new one, at work on @message. @ret_sock: ours. */
static int monitor_begin(const struct container *c, const int pair[2], int message, const int *more,
			 size_t n_more, struct pidref **ret, struct ctn_err *err)
{
	struct pidref *monitor = NULL;
	pid_t pid = 0;
	int r = spawn_child(c->engine->spawner, pair[1], &pid, err);

	if (r < 0)
		return r;
	r = pidref_new(pid, -1, &monitor, err); /* our child, not reaped: the pid is its */
	if (r == 0)
		r = send_start(c, pair[0], message, more, n_more, err);
	if (r < 0) { /* our child: nobody else will wait for it */
		(void)kill(pid, SIGKILL);
		(void)waitpid(pid, NULL, 0);
		pidref_put(monitor);
		return r;
	}
	*ret = monitor;
	return 0;
}

int launch_monitor(const struct container *c, const struct packer *p, const int *more,
		   size_t n_more, struct pidref **ret, int *ret_sock, struct ctn_err *err)
{
	ctn_autoclose int message = -1, ours = -1, theirs = -1;
	int pair[2], r = message_fd(p, &message, err);

	if (r < 0)
		return r;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return ctn_fail_errno(err, "make a connection to the monitor");
	ours = pair[0];
	theirs = pair[1];
	if (fcntl(ours, F_SETFL, O_NONBLOCK) < 0)
		return ctn_fail_errno(err, "make a connection to the monitor");
	r = monitor_begin(c, pair, message, more, n_more, ret, err);
	if (r == 0)
		*ret_sock = ctn_take_fd(ours);
	return r;
}

/* The monitor that has prepared it, if there is one, goes on with @p. */
static int monitor_prepared(struct container *c, const struct packer *p, const int *more,
			    size_t n_more, struct pidref **ret, int *ret_sock)
{
	ctn_autoclose int message = -1;
	struct launch_parked parked;
	int r;

	if (!launch_parked_take(c, &parked))
		return -ENOENT;
	r = pidref_ended(parked.monitor) ? -ESRCH : message_fd(p, &message, NULL);
	if (r == 0)
		r = send_start(c, parked.sock, message, more, n_more, NULL);
	if (r < 0) { /* it was killed */
		launch_parked_end(&parked);
		return r;
	}
	*ret = parked.monitor;
	*ret_sock = parked.sock;
	return 0;
}

int launch_message(struct container *c, const struct packer *p, const int *more, size_t n_more,
		   struct ctn_err *err)
{
	struct pidref *monitor = NULL;
	int sock = -1, r = monitor_prepared(c, p, more, n_more, &monitor, &sock);

	if (r < 0)
		r = launch_monitor(c, p, more, n_more, &monitor, &sock, err);
	if (r < 0)
		return r;
	pthread_mutex_lock(&c->lock);
	c->monitor = monitor;
	c->monitor_is_child = true;
	c->sock = sock;
	c->sock_err = 0;
	pthread_mutex_unlock(&c->lock);
	if (loop_add(c->engine, c, sock, EVENT_SOCKET) < 0 ||
	    loop_add(c->engine, c, monitor->pidfd, EVENT_MONITOR) < 0) {
		r = ctn_fail_errno(err, "watch the monitor");
		give_up_monitor(c, monitor);
		close(sock);
	}
	return r;
}

/* A process that is moved into a cgroup is not counted against pids.max, only one that is born
 * there. */
static int check_pids(const struct spec *spec, struct ctn_err *err)
{
	for (size_t i = 0; i < spec->cgroup.len; i++) {
		if (strcmp(spec->cgroup.items[i], "pids.max 0") == 0)
			return ctn_fail(err, EAGAIN,
					"pids.max is 0: it may have no process at all; raise it");
	}
	return 0;
}

int launch_attach_open(const struct container *c, int *ret, bool *ret_into, struct ctn_err *err)
{
	int r;

	*ret_into = cgroup_leaf_has_births(c->cgroup);
	if (!*ret_into)
		return cgroup_leaf_attach_fds(c->cgroup, ret, err);
	r = cgroup_leaf_birthplace(c->cgroup, ret, err);
	return r < 0 ? r : 1;
}

void launch_attach_close(const int *fds, int n)
{
	for (int i = 0; i < n; i++)
		close(fds[i]);
}

/* Those of what is prepared are its cgroup's, too. */
static int attach_of(struct container *c, int *ret, bool *ret_into, struct ctn_err *err)
{
	const int n = launch_parked_attach(c, ret);

	if (n == 0)
		return launch_attach_open(c, ret, ret_into, err);
	*ret_into = cgroup_leaf_has_births(c->cgroup);
	return n;
}

static int launch_joined(struct container *c, struct spec *spec, const struct launch_joins *joins,
			 struct ctn_err *err)
{
	int more[CG_CONTROLLERS + WIRE_JOIN_MAX] = {-1}, n = 0;
	struct packer p = {0};
	bool into = false;
	int r = launch_own_layer(c, spec, joins, err);

	sessions_rest(c);
	if (r == 0)
		r = container_set_devices(c, spec, err);
	if (r == 0)
		r = n = attach_of(c, more, &into, err);
	if (r >= 0)
		r = launch_pack(c, spec, (uint32_t)n, into, joins, &p, err);
	if (r == 0)
		r = container_save_run(c, spec, c->engine->skeleton, c->oom_base, err);
	if (r == 0)
		r = launch_message(c, &p, more, (size_t)n + launch_joins_fds(joins, more + n), err);
	launch_attach_close(more, n);
	free(p.data);
	return r;
}

int launch(struct container *c, struct spec *spec, struct ctn_err *err)
{
	struct launch_joins joins;
	int r = check_pids(spec, err);

	if (r < 0)
		return r;
	r = launch_check(c, spec, err);
	if (r < 0)
		return r;
	r = launch_joins_open(c, spec, &joins, err);
	if (r == 0)
		r = launch_joined(c, spec, &joins, err);
	launch_joins_close(&joins);
	return r;
}

static void say_adopt(struct packer *p, const struct wire_status *status, uint64_t namespaces,
		      uint32_t flags)
{
	struct wire_start *m = (struct wire_start *)p->data;

	/* They are there, and no descriptors of them are needed. */
	m->ns_new = namespaces;
	m->ns_join = 0;
	m->flags |= WIRE_ADOPT | flags;
	m->adopt_pid = status->init_pid;
	m->adopt_start = status->init_start;
	m->adopt_started = status->started;
}

/* With all that is to be known for a program that enters. @fds: gets the cgroups'. */
static int pack_whole(const struct container *c, const struct spec *spec,
		      const struct wire_status *status, int *fds, int *n, bool *into,
		      struct packer *p)
{
	struct launch_joins joins;
	int r = c->parent ? -EOPNOTSUPP : launch_joins_living(c->engine, c->init, &joins, NULL);

	if (r == 0)
		r = *n = launch_attach_open(c, fds, into, NULL);
	if (r >= 0)
		r = launch_pack(c, spec, (uint32_t)*n, *into, &joins, p, NULL);
	if (r == 0)
		say_adopt(p, status, joins.flags, c->tty >= 0 ? WIRE_TTY_GIVEN : 0u);
	return r;
}

int launch_adopt(struct container *c, const struct spec *spec, const struct wire_status *status,
		 struct ctn_err *err)
{
	int more[CG_CONTROLLERS + 1] = {-1}, n = 0;
	struct packer p = {0};
	bool into = false;
	int r = pack_whole(c, spec, status, more, &n, &into, &p);

	if (r < 0) { /* it can be watched all the same */
		launch_attach_close(more, n);
		free(p.data);
		n = 0;
		p = (struct packer){0};
		r = launch_pack_adopt(c, spec, status, &p, err);
	}
	more[n] = c->tty;
	if (r == 0)
		r = launch_message(c, &p, more, (size_t)n + (c->tty >= 0), err);
	launch_attach_close(more, n);
	free(p.data);
	return r;
}
