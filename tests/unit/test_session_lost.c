/* SPDX-License-Identifier: Apache-2.0 */
/* What is lost around a session: the server, a monitor, half of its container. */
#include <spawn.h>

#include "session_fixture.h"

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
	const pid_t pid = init_of(c), its = init_of(s);
	ctn_autoclose int in = open_input(s);

	container_put(started(c, "t", "sleep 1000"));
	container_put(s);
	container_put(c);
	engine_free(engine);
	engine = NULL;
	CHECK(write(in, "\n", 1) == 1 && gone(its));
	CHECK(kill(pid, SIGKILL) == 0 && gone(pid));
	engine_up();
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
	CHECK(rename(from, to) == 0 && close(creat(from, 0600)) == 0);
	CHECK(truncate(from, 7) == 0); /* empty it would never have been */
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
		CHECK(container_load_status(c, &status) == 0);
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
