/* SPDX-License-Identifier: Apache-2.0 */
/* An engine on the real kernel with directories and host ids of its own; at the end nothing of it
 * may be left. */
#ifndef CTNFS_TESTS_UNIT_ENGINE_FIXTURE_H
#define CTNFS_TESTS_UNIT_ENGINE_FIXTURE_H

#include <dirent.h>
#include <fcntl.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "cleanup.h"
#include "engine.h"
#include "io.h"
#include "life.h"
#include "state.h"

enum { IDS_BASE = 1879048192, IDS_COUNT = 64 * 65536, PATIENCE_SECS = 30 };

static struct engine *engine;
static struct engine_options options = {
	.mountpoint = "/nowhere", .subid_base = IDS_BASE, .subid_count = IDS_COUNT};
static char made_ids[128][CTN_ID_LEN + 1]; /* of make(), by the main thread */
static size_t n_made;
static char base_dir[] = "/var/tmp/ctnfs-test-engine.XXXXXX";

/* --- waiting --- */

struct waiter {
	struct life_waiter w;
	sem_t called;
	int result;
	unsigned calls;
	struct ctn_err err;
};

static inline void waiter_done(struct life_waiter *w, int result, const struct ctn_err *err)
{
	struct waiter *mine = (struct waiter *)w; /* its first member */

	mine->result = result;
	mine->err = *err;
	mine->calls++;
	sem_post(&mine->called);
}

static inline void waiter_init(struct waiter *w)
{
	*w = (struct waiter){.w.done = waiter_done};
	sem_init(&w->called, 0, 0);
}

/* What a verb came to, at once or later. @r: what it returned. */
static inline int waiter_result(struct waiter *w, int r, struct ctn_err *err)
{
	struct timespec until;

	if (r != LIFE_PENDING)
		return r;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += PATIENCE_SECS;
	while (sem_timedwait(&w->called, &until) < 0) {
		if (errno == EINTR)
			continue;
		CHECK(!"called in time");
		if (life_cancel(&w->w))
			return ctn_fail(err, ETIME, "not called in time");
		sem_wait(&w->called);
		break;
	}
	if (err)
		*err = w->err;
	return w->result;
}

#define VERB(name, call)                                                          \
	static inline int name(struct container *c, int arg, struct ctn_err *err) \
	{                                                                         \
		struct waiter w;                                                  \
                                                                                  \
		(void)arg;                                                        \
		waiter_init(&w);                                                  \
		return waiter_result(&w, call, err);                              \
	}

VERB(do_start, life_start(c, &w.w, err))
VERB(do_stop, life_stop(c, (unsigned)arg, &w.w, err))
VERB(do_kill, life_kill(c, arg, &w.w, err))
VERB(do_restart, life_restart(c, (unsigned)arg, &w.w, err))
VERB(do_wait, life_wait(c, &w.w, err))

static inline void sleep_ms(long ms)
{
	const struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

	nanosleep(&t, NULL);
}

static inline double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* --- containers --- */

static inline struct container *make(const char *name, const char *cmd)
{
	struct container *c = NULL;
	struct container_view v;

	CHECK_ERR(container_create(engine, name, &c, &check_err), 0, "");
	if (!c) {
		printf("Bail out! no container can be made\n");
		exit(1);
	}
	container_view_get(c, &v);
	memcpy(made_ids[n_made++ % CTN_COUNT(made_ids)], v.id, sizeof(v.id));
	container_view_put(&v);
	if (cmd)
		CHECK_ERR(container_store(c, spec_field_find("cmd"), NULL, cmd, strlen(cmd),
					  SPEC_REPLACE, NULL, &check_err),
			  0, "");
	return c;
}

static inline int store(struct container *c, const char *field, const char *text,
			struct ctn_err *err)
{
	return container_store(c, spec_field_find(field), NULL, text, strlen(text), SPEC_REPLACE,
			       NULL, err);
}

/* Ends it if it runs, and removes it. */
static inline void unmake(struct container *c)
{
	struct container_view v;

	CHECK_ERR(do_kill(c, SIGKILL, &check_err), 0, "");
	container_view_get(c, &v);
	CHECK_ERR(container_remove(engine, v.spec->name, &check_err), 0, "");
	container_view_put(&v);
	container_put(c);
}

static inline enum ctn_state state_of(struct container *c)
{
	struct container_view v;

	container_view_get(c, &v);
	container_view_put(&v);
	return v.state;
}

static inline int exit_of(struct container *c)
{
	struct container_view v;

	container_view_get(c, &v);
	container_view_put(&v);
	return v.has_exit ? v.exit_code : -1;
}

static inline pid_t init_of(struct container *c)
{
	struct container_view v;
	pid_t pid;

	container_view_get(c, &v);
	pid = v.init ? v.init->pid : 0;
	container_view_put(&v);
	return pid;
}

/* All of the log, in a buffer of the fixture. */
static inline const char *log_of(struct container *c)
{
	static _Thread_local char text[65536];
	struct log_range range = {0};
	ssize_t n = 0;

	if (container_log_range(c, LOG_ALL, &range, NULL) == 0)
		n = container_log_read(c, LOG_ALL, range.start, text, sizeof(text) - 1, NULL);
	text[n > 0 ? n : 0] = '\0';
	return text;
}

static inline bool log_shows(struct container *c, const char *what)
{
	for (int i = 0; i < PATIENCE_SECS * 50; i++) {
		if (strstr(log_of(c), what))
			return true;
		sleep_ms(20);
	}
	return false;
}

/* --- the engine --- */

static inline void engine_up(void)
{
	CHECK_ERR(engine_new(&options, &engine, &check_err), 0, "");
	if (!engine) {
		printf("Bail out! no engine\n");
		exit(1);
	}
	CHECK_ERR(engine_start(engine, &check_err), 0, "");
}

static inline void engine_again(void)
{
	engine_free(engine);
	engine = NULL;
	engine_up();
}

static inline void skip_unless_possible(void)
{
	const char *why = NULL;

	if (geteuid() != 0)
		why = "needs root";
	else if (access("/sys/fs/cgroup", W_OK) < 0)
		why = "needs writable cgroups at /sys/fs/cgroup";
	else if (access(options.monitor, X_OK) < 0)
		why = "needs the monitor program: set CTNFS_MONITOR";
	if (!why)
		return;
	printf("1..0 # SKIP %s\n", why);
	exit(77);
}

static inline void fixture_begin(void)
{
	static char monitor[4096], state[64], run[64];
	ssize_t n = readlink("/proc/self/exe", monitor, sizeof(monitor) - 64);

	options.monitor = getenv("CTNFS_MONITOR");
	if (!options.monitor && n > 0) {
		monitor[n] = '\0';
		strcpy(strrchr(monitor, '/'), "/../ctnfs-monitor");
		options.monitor = monitor;
	}
	skip_unless_possible();
	/* What a dead monitor leaves is ours to reap, whoever is process 1 here. */
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	if (!mkdtemp(base_dir))
		exit(99);
	snprintf(state, sizeof(state), "%s/state", base_dir);
	snprintf(run, sizeof(run), "%s/run", base_dir);
	options.state = state;
	options.run = run;
	options.host_mntns = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
	engine_up();
}

/* --- what may not be left --- */

/* Whether @path has anything but the server's own files. */
static inline unsigned count_ids(const char *path)
{
	ctn_autoclosedir DIR *dir = opendir(path);
	const struct dirent *d;
	unsigned n = 0;

	while (dir && (d = readdir(dir)))
		n += strlen(d->d_name) >= CTN_ID_LEN;
	return n;
}

static inline unsigned count_processes(void)
{
	ctn_autoclosedir DIR *dir = opendir("/proc");
	const struct dirent *d;
	unsigned n = 0;

	while (dir && (d = readdir(dir))) {
		struct stat st;

		if (fstatat(dirfd(dir), d->d_name, &st, 0) == 0 && st.st_uid >= IDS_BASE &&
		    st.st_uid - IDS_BASE < IDS_COUNT)
			n++;
	}
	return n;
}

/* Control groups of our containers, in the places that the engine wrote down. */
static inline unsigned count_cgroups(void)
{
	ctn_autofree char *file = NULL, *lines = NULL;
	unsigned n = 0;

	CHECK(asprintf(&file, "%s/cgroup", options.run) > 0);
	CHECK_ERR(io_read_at(AT_FDCWD, file, 65536, &lines, NULL, &check_err), 0, "");
	for (char *save = NULL, *line = strtok_r(lines, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		for (size_t i = 0; i < n_made && i < CTN_COUNT(made_ids); i++) {
			ctn_autofree char *path = NULL;

			CHECK(strchr(line, ' ') &&
			      asprintf(&path, "%s/%s", strchr(line, ' ') + 1, made_ids[i]) > 0);
			n += access(path, F_OK) == 0;
		}
	}
	return n;
}

static inline unsigned count_mounts(void)
{
	ctn_autofree char *text = NULL;
	unsigned n = 0;

	CHECK(io_read_at(AT_FDCWD, "/proc/self/mountinfo", 1 << 24, &text, NULL, NULL) == 0);
	for (const char *p = text; p && (p = strstr(p, base_dir)); p++)
		n++;
	return n;
}

/* A monitor of an earlier engine may have told of the end just now, and be about to end itself. */
static inline bool no_children(void)
{
	for (int i = 0; i < PATIENCE_SECS * 100; i++) {
		pid_t pid;

		while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
			;
		if (pid < 0)
			return errno == ECHILD;
		sleep_ms(10);
	}
	return false;
}

static inline int fixture_end(int status)
{
	check_failures = 0;
	CHECK(count_cgroups() == 0);
	engine_free(engine); /* which waits for what is removed by a thread of its own */
	CHECK(count_ids(options.state) == 0);
	CHECK(count_ids(options.run) == 0);
	CHECK(no_children());
	CHECK(count_processes() == 0);
	CHECK(count_mounts() == 0);
	CHECK_ERR(io_remove_tree_at(AT_FDCWD, base_dir, &check_err), 0, "");
	close(options.host_mntns);
	printf("# left behind: %s\n", check_failures ? "something" : "nothing");
	return status | (check_failures != 0);
}

#endif
