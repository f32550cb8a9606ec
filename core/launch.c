/* SPDX-License-Identifier: Apache-2.0 */
/* From a spec to a monitor at work: everything is worked out here, put into one message, and
 * carried out there. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
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
#include "seccomp.h"
#include "users.h"
#include "wire_io.h"

/* Directories of the host that every container sees, read-only; links among them are in the
 * skeleton. */
static const char *const host_binds[] = {"/usr",   "/opt",   "/bin",	"/sbin", "/lib",
					 "/lib32", "/lib64", "/libx32", NULL};

/* First what only the host's own /sys has, which is what there is without a network namespace:
 * nothing is mounted in a new one. Then what docker hides. */
enum { MASKED_IN_HOST_SYS = 7 };
static const char *const masked_paths[] = {
	"/sys/fs/selinux",	"/sys/fs/bpf",
	"/sys/fs/fuse",		"/sys/fs/pstore",
	"/sys/kernel/debug",	"/sys/kernel/tracing",
	"/sys/kernel/security", "/proc/acpi",
	"/proc/asound",		"/proc/interrupts",
	"/proc/kcore",		"/proc/keys",
	"/proc/latency_stats",	"/proc/sched_debug",
	"/proc/scsi",		"/proc/timer_list",
	"/proc/timer_stats",	"/sys/devices/virtual/powercap",
	"/sys/firmware",	NULL,
};
static const char *const readonly_paths[] = {
	"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger", NULL,
};

/* The message under construction: header first, strings behind it. */
struct packer {
	char *data;
	size_t len, room;
	bool failed; /* no memory, or too long: checked once, at the end */
};

static uint32_t pack_bytes(struct packer *p, const void *bytes, size_t len)
{
	size_t at = p->len, need = at + len;

	if (p->failed || need > WIRE_START_MAX) {
		p->failed = true;
		return 0;
	}
	if (need > p->room) {
		size_t room = need * 2;
		char *bigger = realloc(p->data, room);

		if (!bigger) {
			p->failed = true;
			return 0;
		}
		p->data = bigger;
		p->room = room;
	}
	if (len > 0)
		memcpy(p->data + at, bytes, len);
	p->len = need;
	return (uint32_t)at;
}

static struct wire_list pack_list(struct packer *p, const char *const *items)
{
	struct wire_list list = {.off = (uint32_t)p->len};

	for (; items && items[list.count]; list.count++)
		pack_bytes(p, items[list.count], strlen(items[list.count]) + 1);
	return list;
}

static struct wire_list pack_string(struct packer *p, const char *text)
{
	const char *const one[] = {text, NULL};

	return pack_list(p, one);
}

static uint64_t new_namespaces(const struct spec *spec)
{
	uint64_t flags = 0;

	for (int i = 0; i < NS_COUNT; i++) {
		if (!spec_ns_is_host(spec, (enum ns_kind)i))
			flags |= ns_types[i].clone_flag;
	}
	return flags;
}

static int compile_filter(const struct spec *spec, struct seccomp_program *ret, struct ctn_err *err)
{
	struct seccomp_profile *profile = NULL;
	int r = seccomp_profile_get(spec->seccomp, spec->caps, &profile, err);

	if (r == 0)
		r = seccomp_compile(profile, ret, err);
	seccomp_profile_put(profile);
	return r;
}

static void pack_paths(struct packer *p, struct wire_start *m, const struct container *c,
		       const struct spec *spec)
{
	const struct engine *e = c->engine;
	ctn_autofree char *lower = NULL, *state = NULL, *run = NULL;

	if (asprintf(&lower, "%s/%s", e->state_path, e->skeleton) < 0 ||
	    asprintf(&state, "%s/%s", e->state_path, c->id) < 0 ||
	    asprintf(&run, "%s/%s", e->run_path, c->id) < 0) {
		p->failed = true;
		return;
	}
	m->lower = pack_string(p, lower);
	m->state = pack_string(p, state);
	m->run = pack_string(p, run);
	m->binds = pack_list(p, host_binds);
	m->masked = pack_list(p, masked_paths +
					 (spec_ns_is_host(spec, NS_NET) ? 0 : MASKED_IN_HOST_SYS));
	m->readonly = pack_list(p, readonly_paths);
}

static void fill_ids(struct wire_start *m, const struct container *c, const struct users_ids *ids)
{
	m->id_base = c->uid_base;
	m->id_count = IDS_PER_CONTAINER;
	m->uid = ids->uid;
	m->gid = ids->gid;
	m->n_groups = (uint32_t)ids->n_groups;
	for (size_t i = 0; i < ids->n_groups; i++)
		m->groups[i] = ids->groups[i];
}

/* Everything that the monitor needs, as one message. @n_attach: cgroup descriptors that go with it.
 */
static int pack_start(const struct container *c, const struct spec *spec, uint32_t n_attach,
		      bool clone_into, struct packer *p, struct ctn_err *err)
{
	struct wire_start m = {.magic = WIRE_MAGIC, .version = WIRE_VERSION};
	struct seccomp_program filter = {0};
	struct users_ids ids = {0};
	struct strlist env = {0};
	int r = container_user(c, spec, &ids, err);

	if (r == 0)
		r = compile_filter(spec, &filter, err);
	if (r == 0)
		r = spec_env(spec, ids.home, &env, err);
	if (r < 0)
		return r;
	pack_bytes(p, &m, sizeof(m));
	m.flags = (spec->no_new_privs ? WIRE_NO_NEW_PRIVS : 0u) | (spec->init ? WIRE_INIT : 0u) |
		  (clone_into ? WIRE_CLONE_INTO : 0u);
	m.ns_new = new_namespaces(spec);
	m.caps = spec->caps;
	m.log_max = spec->log_max;
	m.n_attach = n_attach;
	fill_ids(&m, c, &ids);
	m.filter_off = pack_bytes(p, filter.filter, filter.len * sizeof(*filter.filter));
	m.filter_len = (uint32_t)filter.len;
	m.argv = pack_list(p, (const char *const *)spec->cmd.items);
	m.envp = pack_list(p, (const char *const *)env.items);
	m.cwd = pack_string(p, spec->cwd);
	m.hostname = pack_string(p, spec_hostname(spec));
	pack_paths(p, &m, c, spec);
	strlist_free(&env);
	if (p->failed)
		return ctn_fail(err, E2BIG, "cmd and env together are too long");
	m.size = (uint32_t)p->len;
	memcpy(p->data, &m, sizeof(m));
	return 0;
}

/* For a monitor that only watches over what runs already. */
static int pack_adopt(const struct container *c, const struct spec *spec,
		      const struct wire_status *status, struct packer *p, struct ctn_err *err)
{
	struct wire_start m = {.magic = WIRE_MAGIC, .version = WIRE_VERSION, .flags = WIRE_ADOPT};

	pack_bytes(p, &m, sizeof(m));
	m.adopt_pid = status->init_pid;
	m.adopt_start = status->init_start;
	m.adopt_started = status->started;
	m.log_max = spec->log_max;
	m.filter_off = m.envp.off = 0;
	m.argv = pack_list(p, (const char *const *)spec->cmd.items);
	m.cwd = m.hostname = pack_string(p, "");
	pack_paths(p, &m, c, spec);
	if (p->failed)
		return ctn_fail(err, E2BIG, "cmd is too long");
	m.size = (uint32_t)p->len;
	memcpy(p->data, &m, sizeof(m));
	return 0;
}

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

/* The server has threads: posix_spawn, never fork. All our descriptors are close-on-exec but the
 * one that is meant. */
static int spawn_monitor(const struct engine *e, int sock, pid_t *ret, struct ctn_err *err)
{
	char path[32], *argv[] = {"ctnfs-monitor", NULL}, *envp[] = {NULL};
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t none;
	int r;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", e->monitor_fd);
	sigemptyset(&none);
	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
	posix_spawnattr_setsigmask(&attr, &none);
	for (int fd = 0; fd < 3; fd++)
		posix_spawn_file_actions_adddup2(&actions, e->null_fd, fd);
	posix_spawn_file_actions_adddup2(&actions, sock, WIRE_SOCKET_FD);
	r = posix_spawn(ret, path, &actions, &attr, argv, envp);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attr);
	return r ? ctn_fail(err, r, "start a monitor: %s", strerrordesc_np(r)) : 0;
}

static int send_start(const struct container *c, int sock, int message, const int *attach,
		      size_t n_attach, struct ctn_err *err)
{
	const struct wire_msg msg = {
		.magic = WIRE_MAGIC, .version = WIRE_VERSION, .type = WIRE_MSG_START};
	int fds[WIRE_FD_FIXED + WIRE_ATTACH_MAX] = {
		[WIRE_FD_START] = message,
		[WIRE_FD_RUN] = c->run_dirfd,
		[WIRE_FD_STATE] = c->dirfd,
		[WIRE_FD_HOST_MNT] = c->engine->host_mntns,
	};
	ssize_t n;

	if (n_attach > 0)
		memcpy(fds + WIRE_FD_FIXED, attach, n_attach * sizeof(int));
	n = wire_send(sock, &msg, sizeof(msg), fds, WIRE_FD_FIXED + n_attach);
	return n < 0 ? ctn_fail(err, (int)-n, "talk to the monitor") : 0;
}

/* The layer belongs to whoever is root inside. */
static int own_layer(const struct container *c, const struct spec *spec, struct ctn_err *err)
{
	uid_t owner = spec_ns_is_host(spec, NS_USER) ? 0 : c->uid_base;

	if (fchownat(c->dirfd, WIRE_LAYER_NAME, owner, owner, AT_SYMLINK_NOFOLLOW) < 0)
		return ctn_fail_errno(err, "give the layer to the container");
	return 0;
}

static int launch_with(struct container *c, int sock, int message, const int *attach,
		       size_t n_attach, const int pair[2], struct ctn_err *err)
{
	struct pidref *monitor = NULL;
	pid_t pid = 0;
	int r = spawn_monitor(c->engine, pair[1], &pid, err);

	if (r < 0)
		return r;
	r = pidref_new(pid, -1, &monitor, err); /* our child, not reaped: the pid is its */
	if (r == 0)
		r = send_start(c, sock, message, attach, n_attach, err);
	if (r < 0) { /* our child: nobody else will wait for it */
		(void)kill(pid, SIGKILL);
		(void)waitpid(pid, NULL, 0);
		pidref_put(monitor);
		return r;
	}
	pthread_mutex_lock(&c->lock);
	c->monitor = monitor;
	c->monitor_is_child = true;
	c->sock = sock;
	pthread_mutex_unlock(&c->lock);
	if (loop_add(c->engine, c, sock, EVENT_SOCKET) < 0 ||
	    loop_add(c->engine, c, monitor->pidfd, EVENT_MONITOR) < 0)
		return ctn_fail_errno(err, "watch the monitor");
	return 0;
}

static int launch_sockets(struct container *c, int message, const int *attach, size_t n_attach,
			  struct ctn_err *err)
{
	int pair[2], r;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return ctn_fail_errno(err, "make a connection to the monitor");
	if (fcntl(pair[0], F_SETFL, O_NONBLOCK) < 0)
		return ctn_fail_errno(err, "make a connection to the monitor");
	r = launch_with(c, pair[0], message, attach, n_attach, pair, err);
	close(pair[1]);
	if (r < 0 && c->sock != pair[0])
		close(pair[0]);
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

int launch(struct container *c, struct spec *spec, struct ctn_err *err)
{
	int attach[CG_CONTROLLERS] = {-1}, into = cgroup_leaf_dirfd(c->cgroup), n = 0;
	ctn_autoclose int message = -1;
	struct packer p = {0};
	int r = check_pids(spec, err);

	if (r == 0)
		r = own_layer(c, spec, err);
	if (r == 0 && into < 0)
		r = n = cgroup_leaf_attach_fds(c->cgroup, attach, err);
	if (into >= 0) {
		attach[0] = into;
		n = 1;
	}
	if (r >= 0)
		r = pack_start(c, spec, (uint32_t)n, into >= 0, &p, err);
	if (r == 0)
		r = message_fd(&p, &message, err);
	if (r == 0)
		r = state_save_run(c->run_dirfd, spec, c->engine->skeleton, c->oom_base, err);
	if (r == 0)
		r = launch_sockets(c, message, attach, (size_t)n, err);
	for (int i = 0; into < 0 && i < n; i++)
		close(attach[i]);
	free(p.data);
	return r;
}

int launch_adopt(struct container *c, const struct spec *spec, const struct wire_status *status,
		 struct ctn_err *err)
{
	ctn_autoclose int message = -1;
	struct packer p = {0};
	int r = pack_adopt(c, spec, status, &p, err);

	if (r == 0)
		r = message_fd(&p, &message, err);
	if (r == 0)
		r = launch_sockets(c, message, NULL, 0, err);
	free(p.data);
	return r;
}
