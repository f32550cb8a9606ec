/* SPDX-License-Identifier: Apache-2.0 */
#include "exec.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "../cleanup.h"
#include "../io.h"
#include "../users.h"
#include "../weaken.h"
#include "enter.h"
#include "notify.h"

enum { ANSWER_MS = 5000, PIPEFS = 0x50495045, PATH_ROOM = 4096, STATE_MAX = 4096 };

/* What the monitor has given: a copy of the message's header, to be changed. */
struct target {
	struct plan plan;
	struct wire_start start;
	int init; /* pidfd of the first process */
};

/* --- what the container is --- */

static int take_plan(struct target *t, const int *fds, size_t n, bool room, struct ctn_err *err)
{
	struct stat st;
	void *data;
	int r;

	if (fstat(fds[0], &st) < 0 || st.st_size <= 0 || st.st_size > WIRE_START_MAX)
		return ctn_fail(err, EBADMSG, "start message: its size is out of range");
	data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fds[0], 0);
	if (data == MAP_FAILED)
		return ctn_fail_errno(err, "map the start message");
	r = plan_unpack(data, (size_t)st.st_size, &t->plan, err);
	if (r < 0)
		return r;
	if (n != 2 + t->plan.msg->n_attach)
		return ctn_fail(err, EBADMSG, "start message: a descriptor is missing");
	t->start = *t->plan.msg;
	if (!room) /* its denied calls are refused without being asked about */
		t->start.flags &= ~(uint32_t)WIRE_NOTIFY;
	t->plan.msg = &t->start;
	t->init = fds[1];
	memcpy(t->plan.attach_fds, fds + 2, t->start.n_attach * sizeof(*fds));
	return 0;
}

/* ctnfs-exec has asked. */
static int take_answer(int sock, struct target *ret, struct ctn_err *err)
{
	struct pollfd p = {.fd = sock, .events = POLLIN};
	int fds[2 + WIRE_ATTACH_MAX];
	struct wire_msg msg;
	size_t n = 0;
	ssize_t r;

	if (poll(&p, 1, ANSWER_MS) <= 0)
		return ctn_fail(err, ETIMEDOUT, "the container's monitor does not answer");
	r = wire_receive(sock, &msg, sizeof(msg), fds, CTN_COUNT(fds), &n);
	if (r != (ssize_t)sizeof(msg))
		return ctn_fail(err, ESRCH, "the container has ended");
	if (msg.type == WIRE_MSG_ERROR)
		return ctn_fail(err, msg.error.code, "%.*s", WIRE_TEXT_MAX, msg.error.text);
	if (n < 2)
		return ctn_fail(err, EBADMSG, "the container's monitor has nothing to give");
	return take_plan(ret, fds, n, msg.value & 1, err);
}

/* --- whether it can be entered now --- */

static bool frozen_v2(int cgroup)
{
	ctn_autofree char *text = NULL;

	return io_read_at(cgroup, "cgroup.events", STATE_MAX, &text, NULL, NULL) == 0 &&
	       strstr(text, "frozen 1");
}

/* The descriptor is that of a `tasks` file, the freezer's, which has its state beside it. */
static bool frozen_v1(int tasks)
{
	char link[32], path[PATH_ROOM];
	ctn_autofree char *text = NULL;
	char *slash;
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", tasks);
	n = readlink(link, path, sizeof(path) - sizeof("freezer.state"));
	if (n <= 0)
		return false;
	path[n] = '\0';
	slash = strrchr(path, '/');
	if (!slash)
		return false;
	strcpy(slash + 1, "freezer.state");
	return io_read_at(AT_FDCWD, path, STATE_MAX, &text, NULL, NULL) == 0 &&
	       strncmp(text, "THAWED", 6) != 0;
}

/* A program would stand still in it from its first moment on. */
static int check_paused(const struct target *t, struct ctn_err *err)
{
	const int cgroup = t->start.n_attach > 0 ? t->plan.attach_fds[0] : -1;
	const bool frozen = cgroup >= 0 && (t->start.flags & WIRE_CLONE_INTO ? frozen_v2(cgroup)
									     : frozen_v1(cgroup));

	return frozen ? ctn_fail(err, EBUSY,
				 "the container is paused; echo resume > ctl beside "
				 "this file lets it go on")
		      : 0;
}

/* --- what the options change --- */

/* A pidfd tells its number only so; that it is still the same process is seen afterwards. */
static int init_root(int init, int *ret, struct ctn_err *err)
{
	ctn_autofree char *text = NULL;
	char path[64];
	const char *pid;
	int fd, r;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", init);
	r = io_read_at(AT_FDCWD, path, STATE_MAX, &text, NULL, err);
	if (r < 0)
		return r;
	pid = strstr(text, "\nPid:");
	snprintf(path, sizeof(path), "/proc/%d/root", pid ? atoi(pid + 5) : 0);
	fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || syscall(SYS_pidfd_send_signal, init, 0, NULL, 0) < 0) {
		ctn_close_fd(&fd);
		return ctn_fail(err, ESRCH, "the container has ended");
	}
	*ret = fd;
	return 0;
}

static void env_set(struct target *t, char *text)
{
	size_t key = strcspn(text, "=") + 1;
	char **at = t->plan.envp;

	while (*at && strncmp(*at, text, key) != 0)
		at++;
	if (!*at)
		at[1] = NULL;
	*at = text;
}

static int become_user(struct target *t, const char *user, struct ctn_err *err)
{
	ctn_autoclose int root = -1;
	static struct users_ids ids;
	char *home = NULL;
	int r = init_root(t->init, &root, err);

	if (r == 0)
		r = users_resolve(&root, 1, user, &ids, err);
	if (r < 0)
		return r;
	if (asprintf(&home, "HOME=%s", ids.home) < 0)
		return ctn_fail(err, ENOMEM, "no memory for the environment");
	env_set(t, home);
	t->start.uid = ids.uid;
	t->start.gid = ids.gid;
	t->start.n_groups = (uint32_t)ids.n_groups;
	for (size_t i = 0; i < ids.n_groups; i++)
		t->start.groups[i] = ids.groups[i];
	t->start.flags &= ~(uint32_t)WIRE_CAP_SETS; /* those were meant for another */
	return 0;
}

/* Room for what may be added. */
static int copy_env(struct target *t, size_t more, struct ctn_err *err)
{
	char **envp = calloc(t->start.envp.count + more + 4, sizeof(*envp));

	if (!envp)
		return ctn_fail(err, ENOMEM, "no memory for the environment");
	memcpy(envp, t->plan.envp, t->start.envp.count * sizeof(*envp));
	t->plan.envp = envp;
	return 0;
}

/* It is the caller's terminal that the program talks to. */
static void copy_term(struct target *t)
{
	char *term = getenv("TERM"), *text = NULL;

	if (term && (isatty(STDIN_FILENO) || isatty(STDOUT_FILENO)) &&
	    asprintf(&text, "TERM=%s", term) >= 0)
		env_set(t, text);
}

static int apply(struct target *t, const struct exec_options *o, struct ctn_err *err)
{
	int r = copy_env(t, o->n_env, err);

	if (r == 0)
		copy_term(t);
	if (r == 0 && o->user)
		r = become_user(t, o->user, err);
	for (size_t i = 0; r == 0 && i < o->n_env; i++)
		env_set(t, o->env[i]);
	if (o->cwd)
		t->plan.cwd = o->cwd;
	t->plan.argv = o->argv;
	t->start.flags &= ~(uint32_t)(WIRE_INIT | WIRE_TTY);
	return r;
}

/* Of the caller's environment nothing goes in but what was asked for; nor does it go along in the
 * memory of what is on its way in. */
static void forget_env(void)
{
	for (char **e = environ; *e; e++)
		explicit_bzero(*e, strlen(*e));
	(void)clearenv();
}

/* --- what the program inherits from us, and should have from the container --- */

/* Those of the monitor are those that the container began with. */
static void take_limits(int sock)
{
	struct ucred monitor = {0};
	socklen_t len = sizeof(monitor);

	if (getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &monitor, &len) < 0 || monitor.pid <= 0)
		return;
	for (unsigned i = 0; i < RLIM_NLIMITS; i++) {
		struct rlimit limit;

		/* Where the caller may have less than that, less it is. */
		if (prlimit(monitor.pid, i, NULL, &limit) == 0)
			(void)prlimit(0, i, &limit, NULL);
	}
}

/* /dev/stdout and its like open the pipe by its name, as whoever runs inside. */
static void give_pipes(const struct target *t)
{
	const struct wire_start *m = t->plan.msg;
	uint32_t uid = m->uid, gid = m->gid;

	if (plan_maps_ids(&t->plan) &&
	    (plan_map_id(t->plan.uid_map, m->uid_map.count, m->uid, &uid) < 0 ||
	     plan_map_id(t->plan.gid_map, m->gid_map.count, m->gid, &gid) < 0))
		return;
	for (int fd = 0; fd <= STDERR_FILENO; fd++) {
		struct statfs fs;

		if (fstatfs(fd, &fs) == 0 && fs.f_type == PIPEFS)
			(void)fchown(fd, uid, gid);
	}
}

/* --- */

static int run(const struct target *t, const struct exec_options *o, int sock, const char *name)
{
	struct exec_start start = {.plan = &t->plan, .init = t->init, .n_keep = 1 + o->n_fds};
	int report[2], reaper = -1, r = 0;
	struct exec_terminal terminal;
	sigset_t all;

	exec_terminal_open(&terminal);
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL); /* they are the program's, as soon as there is one */
	start.job = (terminal.own_group ? ENTER_GROUP : 0u) |
		    (terminal.own_group && terminal.foreground ? ENTER_FOREGROUND : 0u);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, report) < 0)
		r = -errno;
	start.keep[0] = report[1];
	for (size_t i = 0; i < o->n_fds; i++) {
		start.keep[1 + i] = o->fds[i];
		(void)fcntl(o->fds[i], F_SETFD, 0);
	}
	if (r == 0)
		r = exec_reap(&start, &reaper);
	if (r < 0) {
		fprintf(stderr, "%s: make a process: %s\n", name, strerror(-r));
		return EXIT_EXEC;
	}
	close(report[1]);
	return exec_wait(reaper, report[0], name, &terminal,
			 &(struct exec_listener){.handover = t->plan.handover,
						 .monitor = sock,
						 .program = o->argv[0]});
}

/* Our own descriptor is none of the caller's. */
static int check_fds(const struct exec_options *o, int sock, const char *name)
{
	for (size_t i = 0; i < o->n_fds; i++) {
		if (o->fds[i] == sock) {
			fprintf(stderr, "%s: -f takes an open descriptor, not '%d'\n", name, sock);
			return EXIT_EXEC;
		}
	}
	return -1;
}

int exec_main(int argc, char **argv)
{
	const int sock = atoi(argv[1]);
	struct target t = {.init = -1};
	struct exec_options o = {0};
	struct ctn_err err = {0};
	int status, r;

	if (!WEAKEN_DUMPABLE) /* nothing inside may look into it, and what it makes */
		(void)prctl(PR_SET_DUMPABLE, 0);
	fcntl(sock, F_SETFD, FD_CLOEXEC);
	status = exec_options_parse(argc - 3, argv + 3, &o);
	if (status < 0)
		status = check_fds(&o, sock, argv[3]);
	if (status >= 0)
		return status;
	r = take_answer(sock, &t, &err);
	if (r == 0)
		r = check_paused(&t, &err);
	if (r == 0)
		r = apply(&t, &o, &err);
	if (r == 0)
		r = handover_new(&t.plan.handover, &err);
	forget_env();
	if (r < 0) {
		fprintf(stderr, "%s: %s\n", argv[3], err.text);
		return EXIT_EXEC;
	}
	take_limits(sock);
	give_pipes(&t);
	return run(&t, &o, sock, argv[3]);
}
