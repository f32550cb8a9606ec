/* SPDX-License-Identifier: Apache-2.0 */
/* The server's start and end. The order of start() matters; its comments say why. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <malloc.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../core/cleanup.h"
#include "../core/log.h"
#include "mount.h"
#include "node.h"
#include "notify.h"
#include "options.h"
#include "park.h"
#include "shield.h"
#include "watch.h"
#include "watchdog.h"

enum { EXIT_USAGE = 2, WORKERS_IDLE_LEAST = 16, WORKERS_MAX = 64 };

/**
 * struct server - all that has to be taken down at the end.
 * @programs: fs.programs.
 * @lost: what it starts programs with is gone.
 * @report: pipe to the process that the user started, who waits for a byte; -1 in the foreground.
 */
struct server {
	struct options options;
	struct mount mount;
	struct fs fs;
	char *programs;
	int report;
	atomic_bool lost;
};

static int fail(const struct ctn_err *err, int status)
{
	fprintf(stderr, "ctnfs: %s\n", err->text);
	return status;
}

static int monitor_path(const char *dir, char **ret, struct ctn_err *err)
{
	char *path = NULL;

	if (asprintf(&path, "%s/ctnfs-monitor", dir) < 0)
		return ctn_fail(err, ENOMEM, "no memory for the path of the monitor program");
	*ret = path;
	return 0;
}

/* Those beside this one (a build directory), else the installed ones. Return: their directory and
 * the monitor's path, to be freed. */
static int find_programs(char **ret_dir, char **ret_monitor, struct ctn_err *err)
{
	ctn_autofree char *dir = NULL, *monitor = NULL;
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	int r;

	self[n > 0 ? n : 0] = '\0';
	*(strrchr(self, '/') ?: self) = '\0';
	r = monitor_path(self, &monitor, err);
	if (r < 0)
		return r;
	dir = strdup(access(monitor, X_OK) == 0 ? self : CTNFS_PROGRAMS);
	if (!dir)
		return ctn_fail(err, ENOMEM, "no memory for the path of the programs");
	r = monitor_path(dir, ret_monitor, err);
	if (r == 0)
		*ret_dir = ctn_take_ptr(dir);
	return r;
}

/* The service starts another server, which has all that this one lacks. */
static void on_loss(void *arg)
{
	struct server *s = arg;

	log_warn(
		"the process from which monitors come (ctnfs-nursery) was killed: the server ends, "
		"and containers go on. Start it again");
	atomic_store(&s->lost, true);
	(void)kill(getpid(), SIGTERM);
}

static int open_engine(struct server *s, struct ctn_err *err)
{
	ctn_autofree char *monitor = NULL;
	struct engine_options o = {
		.state = s->options.state,
		.run = s->options.run,
		.cgroup = s->options.cgroup,
		.version = CTNFS_VERSION,
		.mountpoint = s->mount.path,
		.subid_base = s->options.subid_base,
		.subid_count = s->options.subid_count,
		.spares = s->options.spares,
		.host_mntns = s->mount.host_ns,
	};
	int r = find_programs(&s->programs, &monitor, err);

	s->fs.programs = s->programs;
	o.monitor = monitor;
	if (r == 0)
		r = engine_new(&o, &s->fs.engine, err);
	if (r == 0)
		engine_on_change(s->fs.engine, node_changed, &s->fs);
	if (r == 0)
		engine_on_loss(s->fs.engine, on_loss, s);
	return r;
}

static int open_session(struct server *s, struct ctn_err *err)
{
	char name[] = "ctnfs", debug[] = "-odebug";
	char *argv[] = {name, debug, NULL};
	const struct fuse_custom_io io = {.read = watchdog_read, .writev = watchdog_writev};
	struct fuse_args args = FUSE_ARGS_INIT(s->options.debug ? 2 : 1, argv);
	struct timespec now;
	int r;

	s->fs.session = fuse_session_new(&args, &ctnfs_ops, sizeof(ctnfs_ops), &s->fs);
	fuse_opt_free_args(&args);
	if (!s->fs.session)
		return ctn_fail(err, ENOMEM, "cannot make a FUSE session");
	r = mount_attach(&s->mount, s->options.source, s->options.group != (gid_t)-1, err);
	if (r < 0)
		return r;
	clock_gettime(CLOCK_REALTIME, &now);
	s->fs.mounted = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
	if (fuse_session_custom_io(s->fs.session, &io, s->mount.fuse_fd) != 0)
		return ctn_fail(err, EIO, "cannot use /dev/fuse");
	(void)ctn_take_fd(s->mount.fuse_fd); /* fuse_session_destroy() closes it */
	return 0;
}

/* --- daemon --- */

/* The process that the user started: it ends when the server answers, or with the server. */
_Noreturn static void await_report(int fd, pid_t child)
{
	int status = 0;
	char byte;
	ssize_t n;

	do
		n = read(fd, &byte, 1);
	while (n < 0 && errno == EINTR);
	if (n == 1)
		_exit(EXIT_SUCCESS);
	/* It has told its reason to the same standard error. */
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	_exit(WIFEXITED(status) && WEXITSTATUS(status) ? WEXITSTATUS(status) : EXIT_FAILURE);
}

/* Into the background. Before there is any thread: fork() takes only its own along. */
static int go_behind(struct server *s, struct ctn_err *err)
{
	int fds[2];
	pid_t pid;

	if (s->options.foreground)
		return 0;
	if (pipe2(fds, O_CLOEXEC) < 0)
		return ctn_fail_errno(err, "make a pipe");
	pid = fork();
	if (pid < 0) {
		close(fds[0]);
		close(fds[1]);
		return ctn_fail_errno(err, "fork");
	}
	if (pid > 0) {
		close(fds[1]);
		await_report(fds[0], pid);
	}
	close(fds[0]);
	s->report = fds[1];
	(void)setsid();
	return 0;
}

/* All is well: nothing is said on the user's terminal from now on. */
static int report(struct server *s, struct ctn_err *err)
{
	ctn_autoclose int null = -1;

	if (s->report < 0)
		return 0;
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null < 0)
		return ctn_fail_errno(err, "open /dev/null");
	log_init(false);
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		(void)dup2(null, fd);
	(void)!write(s->report, "", 1); /* nobody may be waiting any more */
	ctn_close_fd(&s->report);
	s->report = -1;
	return 0;
}

/* --- signals --- */

static struct fuse_session *session_to_end; /* set before the handlers are */

/* libfuse looks at the mark before it waits, and a signal in between would be lost: so another
 * comes soon, and again, until some thread of the loop was woken by it. */
static void on_end(int sig)
{
	const struct itimerval soon = {{.tv_usec = 10000}, {.tv_usec = 10000}};

	(void)sig;
	fuse_session_exit(session_to_end);
	(void)setitimer(ITIMER_REAL, &soon, NULL);
}

static void on_alarm(int sig)
{
	(void)sig; /* interrupts a wait; that is all */
}

static int catch_signals(struct fuse_session *session, struct ctn_err *err)
{
	static const struct {
		int sig;
		void (*handler)(int sig);
	} handlers[] = {
		{SIGINT, on_end},    {SIGTERM, on_end},	 {SIGHUP, on_end},
		{SIGALRM, on_alarm}, {SIGPIPE, SIG_IGN},
	};

	session_to_end = session;
	for (size_t i = 0; i < CTN_COUNT(handlers); i++) {
		const struct sigaction action = {.sa_handler = handlers[i].handler};

		if (sigaction(handlers[i].sig, &action, NULL) < 0)
			return ctn_fail_errno(err, "set signal handlers");
	}
	return 0;
}

/* The loop has ended: nothing is to be interrupted any more. */
static void ignore_signals(void)
{
	static const int sigs[] = {SIGINT, SIGTERM, SIGHUP, SIGALRM};
	const struct itimerval never = {0};

	for (size_t i = 0; i < CTN_COUNT(sigs); i++)
		(void)signal(sigs[i], SIG_IGN);
	(void)setitimer(ITIMER_REAL, &never, NULL);
}

/* --- start, serve, end --- */

/* The signals that end the server are for the main thread, which runs the loop. */
static int start_engine(struct server *s, struct ctn_err *err)
{
	sigset_t ends, old;
	int r;

	sigemptyset(&ends);
	sigaddset(&ends, SIGINT);
	sigaddset(&ends, SIGTERM);
	sigaddset(&ends, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &ends, &old);
	r = watch_begin(err);
	if (r == 0)
		r = engine_start(s->fs.engine, err);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return r;
}

static int start_watchdog(struct server *s, struct ctn_err *err)
{
	if (s->options.watchdog && s->mount.abort_fd < 0)
		log_warn("no fusectl here: should a request hang, the watchdog can end the server, "
			 "but "
			 "not what a hung thread of it holds");
	return watchdog_begin(s->mount.abort_fd, s->options.watchdog, err);
}

static int start(struct server *s, struct ctn_err *err)
{
	int r;

	r = mount_prepare(&s->mount, s->options.mountpoint, err);
	if (r == 0)
		r = open_engine(s, err); /* a second server ends here, before it mounts */
	if (r < 0)
		return r;
	s->fs.mountpoint = s->mount.path;
	s->fs.group = s->options.group;
	r = open_session(s, err);
	if (r == 0)
		r = mount_hide(&s->mount, err);
	if (r == 0 && chdir("/") < 0)
		r = ctn_fail_errno(err, "chdir /");
	if (r == 0)
		r = go_behind(s, err);
	if (r == 0)
		r = catch_signals(s->fs.session, err);
	if (r == 0)
		r = engine_begin(s->fs.engine, err);
	if (r == 0)
		r = shield(s->options.filter,
			   err); /* before there are threads, which get it, too */
	if (r == 0)
		r = start_engine(s, err);
	if (r == 0)
		r = start_watchdog(s, err);
	return r < 0 ? r : report(s, err);
}

/* The service manager goes by it; a user has report(). */
static void tell_ready(const struct server *s)
{
	struct ctn_err err = {0};

	if (notify_send(&err, "READY=1\nMAINPID=%d\nSTATUS=Serving, containers at the start: %zu",
			getpid(), container_count(s->fs.engine)) < 0)
		log_warn("%s", err.text);
}

/* Return: 0 when unmounted from outside, else a signal or -errno. */
static int serve(struct server *s)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	struct fuse_loop_config *config;
	int r;

	if (s->options.single)
		return fuse_session_loop(s->fs.session);
	config = fuse_loop_cfg_create();
	if (!config)
		return -ENOMEM;
	fuse_loop_cfg_set_clone_fd(config, 0);
	fuse_loop_cfg_set_idle_threads(config, cpus > WORKERS_IDLE_LEAST ? (unsigned)cpus
									 : WORKERS_IDLE_LEAST);
	fuse_loop_cfg_set_max_threads(config, WORKERS_MAX);
	r = fuse_session_loop_mt(s->fs.session, config);
	fuse_loop_cfg_destroy(config);
	return r;
}

static void end(struct server *s)
{
	watchdog_end();
	write_end();
	engine_stop(s->fs.engine); /* or it would go on with what is aborted now */
	park_abort_all();
	handle_end();
	engine_free(s->fs.engine); /* ends its thread; nothing calls node_changed() any more */
	watch_end();
	mount_detach(&s->mount);
	if (s->fs.session) {
		fuse_session_destroy(s->fs.session);
	}
	ctn_close_fd(&s->report);
	mount_free(&s->mount);
	free(s->programs);
	options_free(&s->options);
}

static int run(struct server *s)
{
	struct ctn_err err = {0};
	int r = start(s, &err), status = EXIT_SUCCESS;

	if (r < 0) {
		status = fail(&err, EXIT_FAILURE);
	} else {
		tell_ready(s);
		r = serve(s);
		ignore_signals();
		(void)notify_send(NULL, "STOPPING=1\nSTATUS=Ending; containers go on");
		if (r < 0) {
			log_warn("serving ended: %s", strerror(-r));
			status = EXIT_FAILURE;
		}
	}
	end(s);
	return atomic_load(&s->lost) ? EXIT_FAILURE : status;
}

int main(int argc, char **argv)
{
	struct server s = {.mount = MOUNT_EMPTY, .report = -1};
	struct ctn_err err = {0};
	int r = options_parse(argc, argv, &s.options, &err), status = EXIT_SUCCESS;

	/* What many threads allocate and free by turns leaves holes in each of its heaps: with one,
	 * thousands of lives leave the server as large as it was. */
	(void)mallopt(M_ARENA_MAX, 1);
	tree_init();
	if (r < 0) {
		status = fail(&err, EXIT_USAGE);
	} else if (s.options.help) {
		fputs(options_usage(), stdout);
	} else if (s.options.version) {
		puts("ctnfs " CTNFS_VERSION);
	} else if (s.options.tree) {
		tree_print(stdout);
	} else if (geteuid() != 0) {
		ctn_fail(&err, EPERM, "only root can make containers: sudo ctnfs %s",
			 s.options.mountpoint);
		status = fail(&err, EXIT_FAILURE);
	} else {
		return run(&s); /* frees the options, too */
	}
	options_free(&s.options);
	return status;
}
