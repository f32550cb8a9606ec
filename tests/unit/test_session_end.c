/* SPDX-License-Identifier: Apache-2.0 */
/* What ends, or is lost, around a session: its processes, its container, its monitor, the server.
 */
#include <sched.h>
#include <spawn.h>

#include "session_fixture.h"

#define TREE   "sh -c 'sleep 1000 & (setsid sleep 1000 & sleep 1000) & echo ready; exec sleep 1000'"
#define DAEMON "sh -c 'setsid sleep 1000 & echo ready'"

static struct container *running(const char *name)
{
	struct container *c = make(name, "sleep 1000");

	CHECK_ERR(do_start(c, 0, &check_err), 0, "");
	return c;
}

static struct container *started(struct container *c, const char *name, const char *cmd)
{
	struct container *s = session(c, name, cmd);

	CHECK_ERR(do_start(s, 0, &check_err), 0, "");
	return s;
}

/* --- its processes --- */

static void test_tree(void)
{
	struct container *c = running("db"), *s = session(c, "s", TREE);

	for (int i = 0; i < 3; i++) {
		CHECK(container_log_clear(s, NULL) == 0 && do_start(s, 0, NULL) == 0);
		CHECK(log_shows(s, "ready") && procs_reach(c, 5) && count_procs(s) == 4);
		if (i == 0)
			CHECK_ERR(do_kill(s, SIGKILL, &check_err), 0, "");
		if (i == 1)
			CHECK_ERR(do_stop(s, 10, &check_err), 0, "");
		if (i == 2)
			CHECK_ERR(end(c, "s"), 0, "");
		else
			CHECK(exit_of(s) == (i == 0 ? 137 : 143));
		CHECK(count_procs(c) == 1 && count_children(c) == 0);
	}
	container_put(s);
	CHECK(state_of(c) == CTN_RUNNING);
	unmake(c);
}

/* What was left by a program that ended by itself is the container's. */
static void test_left(void)
{
	struct container *c = running("db"), *s = started(c, "s", DAEMON), *other;

	CHECK(do_wait(s, 0, NULL) == 0 && exit_of(s) == 0 && count_procs(c) == 2);
	CHECK(do_start(s, 0, NULL) == 0 && do_wait(s, 0, NULL) == 0 && count_procs(c) == 3);
	CHECK(store(s, "cmd", "no-such-program", NULL) == 0);
	CHECK_ERR(do_start(s, 0, &check_err), ENOENT, "no-such-program");
	CHECK(count_procs(c) == 3 && count_children(c) == 1);
	other = started(c, "other", DAEMON);
	CHECK(do_wait(other, 0, NULL) == 0 && count_procs(c) == 4);
	session_end(c, s);
	CHECK(count_procs(c) == 2 && count_children(c) == 1);
	/* The container takes it along. */
	CHECK(do_restart(c, 0, NULL) == 0 && count_procs(c) == 1 && count_children(c) == 0);
	CHECK(state_of(other) == CTN_EXITED && do_start(other, 0, NULL) == 0);
	CHECK(do_wait(other, 0, NULL) == 0 && count_procs(c) == 2);
	container_put(other);
	unmake(c);
}

/* Told to end at any moment of its start. */
static void test_young(void)
{
	struct container *c = running("db"), *s = session(c, "s", "sleep 1000");

	for (int i = 0; i < 40; i++) {
		struct waiter w;
		int r;

		waiter_init(&w);
		r = life_start(s, &w.w, NULL);
		CHECK(r == LIFE_PENDING);
		for (int k = 0; k < i; k++)
			sched_yield();
		CHECK_ERR(do_kill(s, SIGKILL, &check_err), 0, "");
		(void)waiter_result(&w, r, NULL);
		CHECK(state_of(s) != CTN_RUNNING && count_procs(c) == 1);
	}
	session_end(c, s);
	unmake(c);
}

/* Whoever looks at its processes in the moment of its end sees some, or none. */
static void test_looked_at(void)
{
	struct container *c = running("db"), *s = session(c, "s", "true");
	ctn_autofree char *text = NULL;
	size_t len = 0;

	for (int i = 0; i < 50; i++) {
		CHECK(life_start(s, NULL, NULL) == LIFE_PENDING);
		for (bool ended = false; !ended;) {
			FILE *out = open_memstream(&text, &len);
			struct pid_pair *pairs = NULL;
			size_t n = 0;

			pthread_mutex_lock(&s->lock);
			ended = !container_is_up(s);
			pthread_mutex_unlock(&s->lock);
			CHECK(container_print_ps(s, out, NULL) == 0);
			CHECK(container_procs(s, &pairs, &n, NULL) == 0);
			free(pairs);
			fclose(out);
			free(ctn_take_ptr(text));
		}
	}
	session_end(c, s);
	unmake(c);
}

/* Nobody waits any more: it is removed all the same. */
static void test_cancelled(void)
{
	struct container *c = running("db"), *s = started(c, "s", "sleep 1000");
	struct waiter w;

	waiter_init(&w);
	CHECK(container_session_remove(c, "s", &w.w, NULL) == LIFE_PENDING);
	if (life_cancel(&w.w))
		CHECK(w.calls == 0);
	CHECK_ERR(store(s, "env", "A=1", &check_err), ENOENT, "being removed");
	for (int i = 0; i < PATIENCE_SECS * 50 && container_session_find(c, "s"); i++) {
		container_put(s); /* the one that was found */
		sleep_ms(20);
	}
	container_put(s);
	CHECK(container_session_remove(c, "s", NULL, NULL) == -ENOENT);
	unmake(c);
}

/* --- its container --- */

static void test_parent_ends(void)
{
	struct container *c = running("db"), *s = started(c, "s", TREE), *paused;

	paused = started(c, "paused", "sleep 1000");
	CHECK(life_pause(paused, NULL, NULL) == 0);
	CHECK_ERR(do_stop(c, 1, &check_err), 0, "");
	CHECK(do_wait(s, 0, NULL) == 0 && exit_of(s) == 137);
	CHECK(do_wait(paused, 0, NULL) == 0 && exit_of(paused) == 137);
	CHECK(count_procs(c) == 0 && count_children(c) == 0);
	CHECK(do_start(c, 0, NULL) == 0 && state_of(s) == CTN_EXITED);
	CHECK(do_start(s, 0, NULL) == 0 && do_restart(c, 0, NULL) == 0);
	CHECK(do_wait(s, 0, NULL) == 0 && exit_of(s) == 137 && count_procs(c) == 1);
	container_put(paused);
	container_put(s);
	unmake(c);
}

/* Its processes are not in a pid namespace that would take them along. */
static void test_parent_shares(void)
{
	struct container *c = running("db"), *web = make("web", "sleep 1000"), *s;

	CHECK(store(web, "ns/pid", "container:db", NULL) == 0 && do_start(web, 0, NULL) == 0);
	s = started(web, "s", TREE);
	CHECK(same_ns(init_of(s), init_of(c), "pid") && procs_reach(web, 5));
	CHECK(life_pause(s, NULL, NULL) == 0 && do_kill(web, SIGKILL, NULL) == 0);
	CHECK(do_wait(s, 0, NULL) == 0 && exit_of(s) == 137 && count_procs(c) == 1);
	CHECK(do_start(web, 0, NULL) == 0 && do_start(s, 0, NULL) == 0);
	CHECK(life_pause(s, NULL, NULL) == 0 && do_kill(c, SIGKILL, NULL) == 0);
	CHECK(do_wait(s, 0, NULL) == 0 && do_wait(web, 0, NULL) == 0 && exit_of(s) == 137);
	container_put(s);
	unmake(web);
	unmake(c);
}

/* With as many of its namespaces as there are the host's. */
static void test_parent_of_host(void)
{
	static const char *const kinds[] = {"pid", "net", "ipc", "uts", "user", "cgroup", "mnt"};
	struct container *c = make("db", "sleep 1000"), *s = session(c, "s", "sh -c 'exit 7'");
	char field[16];

	for (size_t i = 0; i < CTN_COUNT(kinds); i++) {
		snprintf(field, sizeof(field), "ns/%s", kinds[i]);
		CHECK_ERR(store(c, field, "host", &check_err), 0, "");
		CHECK_ERR(do_start(c, 0, &check_err), 0, "");
		CHECK_ERR(do_start(s, 0, &check_err), 0, "");
		CHECK(do_wait(s, 0, NULL) == 0 && exit_of(s) == 7);
		CHECK(do_kill(c, SIGKILL, NULL) == 0);
	}
	container_put(s);
	unmake(c);
}

/* It goes with all its sessions, whatever these were at in the moment of its end. */
static void test_removal(void)
{
	for (int round = 0; round < 5; round++) {
		struct container *c = running("db");
		char name[16];

		for (int i = 0; i < 12; i++) {
			struct container *s;

			snprintf(name, sizeof(name), "s%d", i);
			s = session(c, name, i % 2 ? "sleep 1000" : "true");
			if (i > 3)
				CHECK(life_start(s, NULL, NULL) == LIFE_PENDING);
			container_put(s);
		}
		CHECK_ERR(container_remove(engine, "db", &check_err), EBUSY, "running");
		unmake(c);
		CHECK(count_states() == 0);
	}
}

/* --- the server --- */

static void test_again(void)
{
	struct container *c = running("db"), *s;
	pid_t pid, left;

	container_put(session(c, "fresh", "true"));
	container_put(started(c, "paused", "sleep 1000"));
	s = started(c, "done", "sh -c 'setsid sleep 1000 & echo done; exit 3'");
	CHECK(do_wait(s, 0, NULL) == 0);
	container_put(s);
	s = started(c, "runs", "sh -c 'echo begun; read x; echo $x; exit 4'");
	CHECK(log_shows(s, "begun"));
	pid = init_of(s);
	left = (pid_t)count_procs(c);
	container_put(s);
	s = container_session_find(c, "paused");
	CHECK(life_pause(s, NULL, NULL) == 0);
	container_put(s);
	CHECK(life_pause(c, NULL, NULL) == 0);
	container_put(c);
	engine_again();
	c = container_find(engine, "db");
	CHECK(c && state_of(c) == CTN_PAUSED && life_resume(c, NULL, NULL) == 0);
	CHECK(count_procs(c) == (size_t)left);
	s = container_session_find(c, "fresh");
	CHECK(s && state_of(s) == CTN_CREATED && do_start(s, 0, NULL) == 0);
	container_put(s);
	s = container_session_find(c, "paused");
	CHECK(s && state_of(s) == CTN_PAUSED && life_resume(s, NULL, NULL) == 0);
	container_put(s);
	s = container_session_find(c, "done");
	CHECK(s && state_of(s) == CTN_EXITED && exit_of(s) == 3);
	CHECK_STR(log_of(s), "done\n");
	session_end(c, s);
	s = container_session_find(c, "runs");
	CHECK(s && container_of_session(s) == c && state_of(s) == CTN_RUNNING && init_of(s) == pid);
	send_line(s, "hello\n");
	CHECK(do_wait(s, 0, NULL) == 0 && exit_of(s) == 4 && log_shows(s, "hello"));
	container_put(s);
	unmake(c);
}

/* Ended while no server was there, with their container and alone. */
static void test_meanwhile(void)
{
	struct container *c = running("db"), *s = started(c, "s", "sh -c 'read x; exit 4'");
	pid_t pid = init_of(c);

	container_put(started(c, "t", "sleep 1000"));
	engine_free(engine);
	engine = NULL;
	send_line(s, "\n"); /* neither needs the engine */
	CHECK(gone(init_of(s)));
	CHECK(kill(pid, SIGKILL) == 0 && gone(pid));
	engine_up();
	container_put(s);
	container_put(c);
	c = container_find(engine, "db");
	s = container_session_find(c, "s");
	CHECK(do_wait(c, 0, NULL) == 0 && exit_of(c) == 137 && state_of(c) == CTN_EXITED);
	CHECK(do_wait(s, 0, NULL) == 0 && exit_of(s) == 4);
	container_put(s);
	s = container_session_find(c, "t");
	CHECK(do_wait(s, 0, NULL) == 0 && exit_of(s) == 137);
	container_put(s);
	unmake(c);
}

/* A crash between the removal of a container and of its sessions. */
static void test_debris(void)
{
	struct container *c = make("db", NULL), *web = make("web", NULL);
	char from[256], to[256];

	container_put(session(c, "s", "true"));
	container_put(session(web, "s", "true"));
	snprintf(from, sizeof(from), "%s/%s", options.state, c->id);
	snprintf(to, sizeof(to), "%s/trash-%s", options.state, c->id);
	container_put(c);
	container_put(web);
	engine_free(engine);
	CHECK(rename(from, to) == 0);
	engine_up();
	CHECK(!container_find(engine, "db"));
	CHECK(count_ids(options.state) == 2 && count_ids(options.run) == 2);
	/* One that cannot be read keeps its sessions. */
	web = container_find(engine, "web");
	snprintf(from, sizeof(from), "%s/%s/spec", options.state, web->id);
	snprintf(to, sizeof(to), "%s/%s/spec.kept", options.state, web->id);
	container_put(web);
	engine_free(engine);
	CHECK(rename(from, to) == 0);
	engine_up();
	CHECK(!container_find(engine, "web") && count_ids(options.state) == 2);
	engine_free(engine);
	CHECK(rename(to, from) == 0);
	engine_up();
	web = container_find(engine, "web");
	c = container_session_find(web, "s");
	CHECK(c);
	container_put(c);
	unmake(web);
}

/* --- a monitor --- */

/* Another one is there, and can be talked to, when this returns. */
static void kill_monitor(struct container *c)
{
	struct wire_status status = {0};
	bool back = false;
	pid_t pid;

	pthread_mutex_lock(&c->lock);
	pid = c->monitor->pid;
	pthread_mutex_unlock(&c->lock);
	CHECK(kill(pid, SIGKILL) == 0);
	for (int i = 0; i < PATIENCE_SECS * 50 && !back; i++) {
		sleep_ms(20);
		CHECK(state_load_status(c->run_dirfd, &status, NULL) == 0);
		back = status.monitor_pid != pid && status.phase == WIRE_RUNNING;
	}
	CHECK(back);
}

/* What a dead monitor leaves has this process as its parent: until it is reaped, it is there, in
 * the container's pid namespace. */
static void reap(pid_t pid)
{
	CHECK(waitpid(pid, NULL, 0) == pid);
}

#define DEAF                                                                      \
	"sh -c 'trap \"echo bye; exit 5\" TERM; setsid sleep 1000 & echo hello; " \
	"while :; do sleep 0.05; done'"

static void test_monitor(void)
{
	struct container *c = running("db"), *s = started(c, "s", DEAF);
	struct container_view v;
	pid_t pid = init_of(s);

	CHECK(log_shows(s, "hello\n"));
	kill_monitor(s);
	CHECK(state_of(s) == CTN_RUNNING && init_of(s) == pid);
	CHECK(life_kill(s, SIGTERM, NULL, NULL) == 0);
	CHECK(do_wait(s, 0, NULL) == 0 && exit_of(s) == 255 && log_shows(s, "bye"));
	reap(pid);
	container_view_get(s, &v);
	CHECK(v.exit_unknown);
	container_view_put(&v);
	CHECK(procs_reach(c, 2) && do_start(s, 0, NULL) == 0);
	pid = init_of(s);
	kill_monitor(s);
	CHECK(do_kill(s, SIGKILL, NULL) == 0);
	reap(pid);
	CHECK(count_procs(c) == 1);
	kill_monitor(c); /* that of its container does not matter to it */
	pid = init_of(c);
	CHECK(do_start(s, 0, NULL) == 0);
	session_end(c, s);
	CHECK(do_kill(c, SIGKILL, NULL) == 0);
	reap(pid);
	unmake(c);
}

/* What becomes of a program that the launcher of `exec` enters with. */
static int enter(struct container *c, const char *script)
{
	char program[4200], rundir[256];
	char *argv[] = {program, rundir, "exec", "sh", "-c", (char *)script, NULL};
	int status = -1;
	pid_t pid;

	snprintf(program, sizeof(program), "%s", options.monitor);
	strcpy(strrchr(program, '/'), "/ctnfs-exec");
	snprintf(rundir, sizeof(rundir), "%s/%s", options.run, c->id);
	CHECK(posix_spawn(&pid, program, NULL, NULL, argv, environ) == 0);
	CHECK(waitpid(pid, &status, 0) == pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Its new monitor knows what there is to know for those who enter. */
static void test_enter(void)
{
	static const char script[] = "[ $A$(id -un)$(stat -c %u /proc/1) = 1daemon1 ] && exit 9";

	for (int tty = 0; tty < 2; tty++) {
		struct container *c = make("db", "sleep 1000");
		pid_t pid;

		CHECK(store(c, "env", "A=1\n", NULL) == 0 && store(c, "user", "daemon", NULL) == 0);
		CHECK(store(c, "tty", tty ? "1" : "0", NULL) == 0 && do_start(c, 0, NULL) == 0);
		pid = init_of(c);
		CHECK(enter(c, script) == 9);
		kill_monitor(c);
		CHECK(enter(c, script) == 9 && procs_reach(c, 1));
		container_put(c);
		engine_again();
		c = container_find(engine, "db");
		kill_monitor(c);
		CHECK(enter(c, script) == 9);
		CHECK(do_kill(c, SIGKILL, NULL) == 0 && exit_of(c) == 255);
		reap(pid);
		unmake(c);
	}
}

static const struct check_test tests[] = {
	{"a tree of processes", test_tree},
	{"what is left behind", test_left},
	{"killed while it starts", test_young},
	{"looked at while it ends", test_looked_at},
	{"removed, and nobody waits", test_cancelled},
	{"its container ends", test_parent_ends},
	{"its container shares a pid namespace", test_parent_shares},
	{"its container has the host's namespaces", test_parent_of_host},
	{"removed with its container", test_removal},
	{"another server", test_again},
	{"ended while no server was there", test_meanwhile},
	{"a container is half removed", test_debris},
	{"the monitor is killed", test_monitor},
	{"entered when the monitor was killed", test_enter},
};

int main(void)
{
	fixture_begin();
	return fixture_end(check_run(tests, CTN_COUNT(tests)));
}
