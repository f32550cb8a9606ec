/* SPDX-License-Identifier: Apache-2.0 */
/* The verbs, on real containers. test_life_log.c has the log and the monitor's death. */
#include "life.h"

#include <pthread.h>

#include "engine_fixture.h"

static void test_short_life(void)
{
	struct container *c = make("db", "true");
	struct container_view v;

	CHECK_ERR(do_wait(c, 0, &check_err), ESRCH, "never started");
	CHECK_ERR(do_start(c, 0, &check_err), 0, "");
	CHECK(do_wait(c, 0, NULL) == 0);
	container_view_get(c, &v);
	CHECK(v.state == CTN_EXITED && v.has_exit && v.exit_code == 0 && !v.exit_unknown);
	CHECK(!v.running && !v.init && v.started && v.finished >= v.started && !v.monitored);
	container_view_put(&v);
	CHECK(do_wait(c, 0, NULL) == 0 && do_stop(c, 1, NULL) == 0 &&
	      do_kill(c, SIGKILL, NULL) == 0);
	CHECK(store(c, "cmd", "sh -c 'exit 42'", NULL) == 0);
	CHECK(do_start(c, 0, NULL) == 0 && do_wait(c, 0, NULL) == 0 && exit_of(c) == 42);
	CHECK(store(c, "cmd", "sh -c 'kill -9 $$'", NULL) == 0);
	CHECK(store(c, "init", "1", NULL) == 0);
	CHECK(do_start(c, 0, NULL) == 0 && do_wait(c, 0, NULL) == 0 && exit_of(c) == 137);
	unmake(c);
}

/* Who has waited for its end may start it again at once: the end is over for everybody then. */
static void test_start_after_wait(void)
{
	struct container *c = make("db", "true");

	for (int i = 0; i < 100; i++) {
		CHECK_ERR(do_start(c, 0, &check_err), 0, "");
		CHECK_ERR(do_wait(c, 0, &check_err), 0, "");
	}
	unmake(c);
}

static void test_no_start(void)
{
	struct container *c = make("db", NULL);
	struct container_view v;

	CHECK_ERR(do_start(c, 0, &check_err), EINVAL, "no command yet");
	for (int i = 0; i < 2; i++) {
		CHECK(store(c, "cmd", "no-such-program -x", NULL) == 0);
		CHECK_ERR(do_start(c, 0, &check_err), ENOENT, "no-such-program");
		CHECK(store(c, "cmd", "/usr", NULL) == 0);
		CHECK_ERR(do_start(c, 0, &check_err), EACCES, "/usr");
	}
	container_view_get(c, &v);
	CHECK(v.state == CTN_CREATED && !v.has_exit && !v.running && !v.init);
	container_view_put(&v);
	CHECK(store(c, "user", "nobody-knows", NULL) == 0);
	CHECK_ERR(do_start(c, 0, &check_err), ENOENT, "nobody-knows");
	CHECK(store(c, "user", "root", NULL) == 0 && store(c, "cwd", "/none", NULL) == 0);
	CHECK(store(c, "cmd", "true", NULL) == 0);
	CHECK_ERR(do_start(c, 0, &check_err), ENOENT, "/none");
	CHECK(store(c, "cwd", "/", NULL) == 0);
	CHECK(do_start(c, 0, NULL) == 0 && do_wait(c, 0, NULL) == 0);
	CHECK(store(c, "cmd", "no-such-program", NULL) == 0);
	CHECK_ERR(do_start(c, 0, &check_err), ENOENT, "no-such-program");
	CHECK(state_of(c) == CTN_EXITED && exit_of(c) == 0);
	unmake(c);
}

/* A container that has said that its traps are set. */
static struct container *trapping(const char *traps)
{
	ctn_autofree char *cmd = NULL;
	struct container *c;

	CHECK(asprintf(&cmd, "sh -c \"%s; echo ready; while :; do sleep 5 & wait; done\"", traps) >
	      0);
	c = make("db", cmd);
	CHECK_ERR(do_start(c, 0, &check_err), 0, "");
	CHECK(log_shows(c, "ready"));
	return c;
}

static void test_stop(void)
{
	static const struct {
		const char *traps;
		int secs, exit;
		double least, most;
	} rows[] = {
		{"trap 'exit 7' TERM", 10, 7, 0, 5}, /* it does as it is told */
		{"trap '' TERM", 10, 137, 0, 5},     /* the kernel would discard it */
		{":", 10, 137, 0, 5},
		{"trap : TERM", 1, 137, 0.9, 8}, /* told, and deaf */
		{"trap 'exit 7' TERM", 0, 137, 0, 5},
	};

	for (size_t i = 0; i < CTN_COUNT(rows); i++) {
		struct container *c = trapping(rows[i].traps);
		double begin = seconds(), took;

		CHECK_ERR(do_stop(c, rows[i].secs, &check_err), 0, "");
		took = seconds() - begin;
		CHECK(state_of(c) == CTN_EXITED && exit_of(c) == rows[i].exit);
		if (took < rows[i].least || took > rows[i].most)
			printf("# %s: %.2f s\n", rows[i].traps, took);
		CHECK(took >= rows[i].least && took <= rows[i].most);
		unmake(c);
	}
}

static void test_stop_then_kill(void)
{
	struct container *c = trapping("trap : TERM");
	double begin = seconds();
	struct waiter stop;
	int r;

	waiter_init(&stop);
	r = life_stop(c, 100, &stop.w, NULL);
	CHECK(r == LIFE_PENDING && state_of(c) == CTN_STOPPING);
	CHECK_ERR(do_start(c, 0, &check_err), EBUSY, "stopping");
	CHECK_ERR(do_restart(c, 0, &check_err), EBUSY, "stopping");
	CHECK_ERR(container_remove(engine, "db", &check_err), EBUSY, "stopping");
	CHECK(do_kill(c, SIGKILL, NULL) == 0);
	CHECK(waiter_result(&stop, r, NULL) == 0 && exit_of(c) == 137);
	CHECK(seconds() - begin < 10);
	unmake(c);
}

static void test_signals(void)
{
	struct container *c = trapping("trap 'exit 9' USR1; trap 'echo hup' HUP");

	CHECK(life_kill(c, SIGHUP, NULL, NULL) == LIFE_DONE && log_shows(c, "hup"));
	CHECK(state_of(c) == CTN_RUNNING);
	CHECK(life_kill(c, SIGUSR1, NULL, NULL) == LIFE_DONE);
	CHECK(do_wait(c, 0, NULL) == 0 && exit_of(c) == 9);
	CHECK_ERR(life_kill(c, SIGUSR1, NULL, &check_err), ESRCH, "does not run");
	unmake(c);
}

static void test_pause(void)
{
	struct container *c = make("db", "sh -c 'while echo x; do sleep 0.02; done'");
	struct log_range a, b;

	CHECK_ERR(life_pause(c, NULL, &check_err), ESRCH, "created");
	CHECK(do_start(c, 0, NULL) == 0);
	CHECK(log_shows(c, "x"));
	CHECK(life_resume(c, NULL, NULL) == LIFE_DONE);
	CHECK_ERR(life_pause(c, NULL, &check_err), 0, "");
	CHECK(state_of(c) == CTN_PAUSED && life_pause(c, NULL, NULL) == LIFE_DONE);
	sleep_ms(100); /* what was in the pipe is in the log */
	CHECK(container_log_range(c, LOG_ALL, &a, NULL) == 0);
	sleep_ms(200);
	CHECK(container_log_range(c, LOG_ALL, &b, NULL) == 0 && a.end == b.end);
	CHECK_ERR(do_start(c, 0, &check_err), EBUSY, "resume");
	CHECK_ERR(container_remove(engine, "db", &check_err), EBUSY, "paused");
	CHECK(life_resume(c, NULL, NULL) == LIFE_DONE && state_of(c) == CTN_RUNNING);
	for (int i = 0; i < 100 && a.end == b.end; i++) {
		sleep_ms(20);
		CHECK(container_log_range(c, LOG_ALL, &b, NULL) == 0);
	}
	CHECK(b.end > a.end);
	CHECK_ERR(life_pause(c, NULL, &check_err), 0, "");
	CHECK(do_stop(c, 5, NULL) == 0 && state_of(c) == CTN_EXITED);
	CHECK_ERR(do_start(c, 0, &check_err), 0, "");
	CHECK_ERR(life_pause(c, NULL, &check_err), 0, "");
	CHECK(do_kill(c, SIGKILL, NULL) == 0 && exit_of(c) == 137);
	unmake(c);
}

static void test_restart(void)
{
	struct container *c = make("db", "sleep 100");
	struct waiter waiting;
	struct container_view v;
	pid_t first;
	int r;

	CHECK_ERR(do_restart(c, 0, &check_err), 0, "");
	first = init_of(c);
	CHECK(state_of(c) == CTN_RUNNING && first > 0);
	waiter_init(&waiting);
	r = life_wait(c, &waiting.w, NULL);
	CHECK(r == LIFE_PENDING);
	CHECK(store(c, "cwd", "/tmp", NULL) == 0);
	CHECK_ERR(do_restart(c, 0, &check_err), 0, "");
	container_view_get(c, &v);
	CHECK(v.state == CTN_RUNNING && v.init && v.init->pid != first && v.restarts == 1);
	CHECK(!v.has_exit && v.running && strcmp(v.running->cwd, "/tmp") == 0);
	container_view_put(&v);
	CHECK(waiting.calls == 0); /* a restart is no end */
	CHECK(do_stop(c, 0, NULL) == 0 && waiter_result(&waiting, r, NULL) == 0);
	CHECK(waiting.calls == 1);
	unmake(c);
}

static void test_hostname(void)
{
	struct container *c = make(
		"db", "sh -c 'until [ \"$(uname -n)\" = web9 ]; do sleep 0.02; done; exit 5'");
	ctn_autofree char *before = NULL, *after = NULL;

	CHECK(io_read_at(AT_FDCWD, "/proc/sys/kernel/hostname", 99, &before, NULL, NULL) == 0);
	CHECK(do_start(c, 0, NULL) == 0);
	CHECK(store(c, "hostname", "web9", NULL) == 0);
	CHECK(do_wait(c, 0, NULL) == 0 && exit_of(c) == 5);
	CHECK(io_read_at(AT_FDCWD, "/proc/sys/kernel/hostname", 99, &after, NULL, NULL) == 0);
	CHECK_STR(after, before);
	unmake(c);
}

/* --- waiters --- */

enum { WAITERS = 64 };

static struct waiter crowd[WAITERS];
static unsigned taken_back; /* of the canceller alone */

static void *cancel_half(void *arg)
{
	(void)arg;
	for (int i = 0; i < WAITERS; i += 2)
		taken_back += crowd[i].w.c && life_cancel(&crowd[i].w);
	return NULL;
}

/* Each is called once, or taken back and never called. @kill: while it ends. */
static void check_crowd(struct container *c, bool kill)
{
	unsigned called = 0;
	pthread_t thread;

	taken_back = 0;
	for (int i = 0; i < WAITERS; i++) {
		waiter_init(&crowd[i]);
		CHECK(life_wait(c, &crowd[i].w, NULL) == LIFE_PENDING);
	}
	if (kill)
		CHECK(life_kill(c, SIGKILL, NULL, NULL) == LIFE_PENDING);
	CHECK(pthread_create(&thread, NULL, cancel_half, NULL) == 0);
	pthread_join(thread, NULL);
	CHECK(kill || taken_back == WAITERS / 2);
	CHECK(do_kill(c, SIGKILL, NULL) == 0);
	for (int i = 1; i < WAITERS; i += 2)
		CHECK(waiter_result(&crowd[i], LIFE_PENDING, NULL) == 0);
	sleep_ms(50);
	for (int i = 0; i < WAITERS; i++) {
		CHECK(crowd[i].calls <= 1);
		while (sem_trywait(&crowd[i].called) == 0)
			;
		called += crowd[i].calls;
	}
	CHECK(called + taken_back == WAITERS);
}

static void test_cancel(void)
{
	struct container *c = make("db", "sleep 100");

	for (int i = 0; i < 6; i++) {
		CHECK(do_start(c, 0, NULL) == 0);
		check_crowd(c, i > 0);
	}
	unmake(c);
}

/* Who starts does not want to wait any more; it starts all the same. */
static void test_cancel_start(void)
{
	struct container *c = make("db", "sleep 100");
	struct waiter w;
	bool back;

	waiter_init(&w);
	CHECK(life_start(c, &w.w, NULL) == LIFE_PENDING);
	back = life_cancel(&w.w);
	CHECK(do_start(c, 0, NULL) == 0 && state_of(c) == CTN_RUNNING);
	CHECK(back ? w.calls == 0 : waiter_result(&w, LIFE_PENDING, NULL) == 0);
	CHECK(life_stop(c, 0, NULL, NULL) == LIFE_PENDING && do_wait(c, 0, NULL) == 0);
	unmake(c);
}

/* A stop that meets a start under way: whoever waits is told, and it does not run. */
static void test_stop_unborn(void)
{
	struct container *c = make("db", "sleep 100");

	for (int i = 0; i < 5; i++) {
		struct waiter start;
		int r;

		waiter_init(&start);
		r = life_start(c, &start.w, NULL);
		CHECK(r == LIFE_PENDING);
		sleep_ms(i * 3);
		CHECK_ERR(do_stop(c, 0, &check_err), 0, "");
		(void)waiter_result(&start, r, NULL);
		CHECK(start.calls == 1);
		CHECK(state_of(c) == CTN_CREATED || state_of(c) == CTN_EXITED);
	}
	unmake(c);
}

static const struct check_test tests[] = {
	{"short lives", test_short_life},
	{"start right after the end", test_start_after_wait},
	{"starts that fail", test_no_start},
	{"stop", test_stop},
	{"stop, then kill", test_stop_then_kill},
	{"signals", test_signals},
	{"pause and resume", test_pause},
	{"restart", test_restart},
	{"host name of a running one", test_hostname},
	{"cancel from another thread", test_cancel},
	{"cancel a start", test_cancel_start},
	{"stop during a start", test_stop_unborn},
};

int main(void)
{
	fixture_begin();
	return fixture_end(check_run(tests, CTN_COUNT(tests)));
}
