/* SPDX-License-Identifier: Apache-2.0 */
/* What a container wrote, and what becomes of it when its monitor is killed. */
#include "engine_fixture.h"

#define FLOOD "sh -c 'head -c 1048575 /dev/zero | tr \"\\0\" x; echo'"

enum { FLOOD_LEN = 1 << 20, KEPT = 4096 };

/* Run it to its end. */
static void run(struct container *c)
{
	CHECK_ERR(do_start(c, 0, &check_err), 0, "");
	CHECK(do_wait(c, 0, NULL) == 0 && exit_of(c) == 0);
}

/* Bytes on the disk behind the log. */
static off_t log_on_disk(struct container *c)
{
	ctn_autofree char *path = NULL;
	struct container_view v;
	struct stat st = {0};

	container_view_get(c, &v);
	CHECK(asprintf(&path, "%s/%s/%s", options.state, v.id, WIRE_LOG_NAME) > 0);
	container_view_put(&v);
	CHECK(stat(path, &st) == 0);
	return st.st_blocks * 512;
}

static void test_log(void)
{
	struct container *c = make("db", "sh -c 'echo out; echo err >&2; printf end'");
	struct log_range range;
	char buf[8];

	CHECK(container_log_range(c, LOG_ALL, &range, NULL) == 0 && range.start == 0 &&
	      range.end == 0);
	CHECK(container_log_read(c, LOG_ALL, 0, buf, sizeof(buf), NULL) == 0);
	CHECK(container_log_clear(c, NULL, NULL) == 0);
	run(c);
	CHECK(strstr(log_of(c), "out\n") && strstr(log_of(c), "err\n"));
	CHECK(strstr(log_of(c), "end") && strlen(log_of(c)) == 11);
	CHECK(container_log_range(c, LOG_ALL, &range, NULL) == 0 && range.start == 0 &&
	      range.end == 11);
	CHECK(container_log_read(c, LOG_ALL, 9, buf, 1, NULL) == 1);
	CHECK(container_log_read(c, LOG_ALL, 11, buf, 1, NULL) == 0);
	CHECK(container_log_read(c, LOG_ALL, UINT64_MAX, buf, 1, NULL) == 0);
	CHECK(store(c, "cmd", "echo again", NULL) == 0);
	run(c);
	CHECK(container_log_range(c, LOG_ALL, &range, NULL) == 0 && range.end == 17);
	CHECK(container_log_clear(c, NULL, NULL) == 0);
	CHECK_STR(log_of(c), "");
	CHECK(container_log_range(c, LOG_ALL, &range, NULL) == 0 && range.start == 17 &&
	      range.end == 17);
	run(c);
	CHECK_STR(log_of(c), "again\n");
	container_put(c);
	engine_again();
	c = container_find(engine, "db");
	CHECK_STR(log_of(c), "again\n");
	unmake(c);
}

static void check_kept(struct container *c, uint64_t end)
{
	static char buf[FLOOD_LEN + 1];
	struct log_range range;

	CHECK(container_log_range(c, LOG_ALL, &range, NULL) == 0);
	CHECK(range.end == end && range.start == end - KEPT);
	CHECK(container_log_read(c, LOG_ALL, 0, buf, sizeof(buf), NULL) == KEPT);
	CHECK(strspn(buf, "x") == KEPT - 1 && buf[KEPT - 1] == '\n');
	CHECK(log_on_disk(c) <= 4 * KEPT);
}

static void test_bound(void)
{
	struct container *c = make("db", FLOOD);

	CHECK(store(c, "log.max", "4096", NULL) == 0);
	run(c);
	check_kept(c, FLOOD_LEN);
	run(c);
	check_kept(c, 2 * FLOOD_LEN);
	CHECK(container_log_clear(c, NULL, NULL) == 0 && log_on_disk(c) <= KEPT);
	unmake(c);
}

/* What was dropped does not come back, as zeros, with a larger bound. */
static void test_larger_bound(void)
{
	struct container *c = make("db", FLOOD);
	struct log_range range;
	char byte = 0;

	CHECK(store(c, "log.max", "4096", NULL) == 0);
	run(c);
	CHECK(store(c, "log.max", "16M", NULL) == 0);
	CHECK(container_log_range(c, LOG_ALL, &range, NULL) == 0);
	CHECK(range.end - range.start < 4 * KEPT);
	CHECK(container_log_read(c, LOG_ALL, 0, &byte, 1, NULL) == 1 && byte == 'x');
	unmake(c);
}

static void test_smaller_bound(void)
{
	struct container *c = make("db", "sh -c 'head -c 1048575 /dev/zero | tr \"\\0\" x; echo; "
					 "exec sleep 100'");
	struct log_range range = {0};

	CHECK(do_start(c, 0, NULL) == 0);
	for (int i = 0; i < 500 && range.end < FLOOD_LEN; i++) {
		sleep_ms(20);
		CHECK(container_log_range(c, LOG_ALL, &range, NULL) == 0);
	}
	CHECK(range.start == 0 && range.end == FLOOD_LEN && log_on_disk(c) >= FLOOD_LEN);
	CHECK(store(c, "log.max", "4096", NULL) == 0);
	for (int i = 0; i < 100 && log_on_disk(c) > 4 * KEPT; i++)
		sleep_ms(20);
	check_kept(c, FLOOD_LEN);
	unmake(c);
}

/* --- the monitor's death --- */

static pid_t monitor_of(struct container *c)
{
	ctn_autofree char *path = NULL;
	ctn_autoclose int dir = -1;
	struct wire_status status = {0};
	struct container_view v;

	container_view_get(c, &v);
	CHECK(asprintf(&path, "%s/%s", options.run, v.id) > 0);
	container_view_put(&v);
	dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CHECK_ERR(state_load_status(dir, &status, &check_err), 0, "");
	return status.monitor_pid;
}

static bool monitored(struct container *c)
{
	struct container_view v;

	container_view_get(c, &v);
	container_view_put(&v);
	return v.monitored;
}

/* Start it and kill its monitor; another one watches over it when this returns. */
static void orphan(struct container *c)
{
	pid_t first;

	CHECK_ERR(do_start(c, 0, &check_err), 0, "");
	first = monitor_of(c);
	CHECK(first > 1 && monitored(c));
	if (first > 1)
		CHECK(kill(first, SIGKILL) == 0); /* our own child, not reaped yet */
	for (int i = 0; i < 500 && !(monitor_of(c) != first && monitored(c)); i++)
		sleep_ms(10);
	CHECK(monitored(c) && monitor_of(c) != first);
}

static void check_unknown_end(struct container *c)
{
	struct container_view v;

	container_view_get(c, &v);
	CHECK(v.state == CTN_EXITED && v.has_exit && v.exit_code == 255 && v.exit_unknown);
	CHECK(!v.init && !v.running);
	container_view_put(&v);
}

static void test_orphan_killed(void)
{
	struct container *c = make("db", "sleep 100");
	pid_t pid;

	orphan(c);
	pid = init_of(c);
	CHECK(state_of(c) == CTN_RUNNING && pid > 0 && kill(pid, 0) == 0);
	CHECK_ERR(container_remove(engine, "db", &check_err), EBUSY, "running");
	CHECK(life_pause(c, NULL, NULL) == LIFE_DONE && life_resume(c, NULL, NULL) == LIFE_DONE);
	CHECK(do_kill(c, SIGKILL, NULL) == 0);
	check_unknown_end(c);
	CHECK(store(c, "cmd", "true", NULL) == 0);
	run(c); /* and it can be started again */
	unmake(c);
}

static void test_orphan_ends(void)
{
	struct container *c = make("db", "sh -c 'sleep 0.5; echo late; exit 3'");

	orphan(c);
	CHECK(state_of(c) == CTN_RUNNING);
	CHECK(do_wait(c, 0, NULL) == 0);
	check_unknown_end(c); /* whoever watched was not its parent */
	CHECK_STR(log_of(c), "late\n");
	unmake(c);
}

static void test_orphan_twice(void)
{
	struct container *c = make("db", "sh -c 'while echo x; do sleep 0.02; done'");
	pid_t pid;

	orphan(c);
	pid = init_of(c);
	CHECK(kill(monitor_of(c), SIGKILL) == 0);
	sleep_ms(300);
	CHECK(container_log_clear(c, NULL, NULL) == 0 && log_shows(c, "x"));
	CHECK(state_of(c) == CTN_RUNNING && init_of(c) == pid && monitored(c));
	CHECK(do_stop(c, 0, NULL) == 0);
	check_unknown_end(c);
	unmake(c);
}

static void test_orphan_adopted(void)
{
	struct container *c = make("db", "sleep 100"), *gone = make("gone", "sleep 1");
	pid_t pid, reaped;

	orphan(c);
	orphan(gone);
	pid = init_of(c);
	reaped = init_of(gone);
	container_put(c);
	container_put(gone);
	engine_free(engine);
	engine = NULL;
	sleep_ms(1200);
	(void)waitpid(reaped, NULL, WNOHANG);
	engine_up();
	c = container_find(engine, "db");
	CHECK(c && state_of(c) == CTN_RUNNING && init_of(c) == pid && monitored(c));
	CHECK(do_stop(c, 0, NULL) == 0);
	check_unknown_end(c);
	gone = container_find(engine, "gone");
	check_unknown_end(gone);
	unmake(c);
	unmake(gone);
}

/* Killed while no server was there, over programs of which one goes on. */
static void test_monitor_dies_alone(void)
{
	struct container *c = make("db", "sh -c 'while echo x; do sleep 0.02; done'");
	struct container *gone = make("gone", "sleep 0.5");
	pid_t pid, dead[3];

	CHECK(do_start(c, 0, NULL) == 0 && do_start(gone, 0, NULL) == 0);
	pid = init_of(c);
	dead[0] = monitor_of(c);
	dead[1] = monitor_of(gone);
	dead[2] = init_of(gone);
	container_put(c);
	container_put(gone);
	engine_free(engine);
	engine = NULL;
	CHECK(kill(dead[0], SIGKILL) == 0 && kill(dead[1], SIGKILL) == 0);
	for (int i = 0; i < 3; i++)
		CHECK(waitpid(dead[i], NULL, 0) == dead[i]);
	engine_up();
	gone = container_find(engine, "gone");
	check_unknown_end(gone);
	unmake(gone);
	c = container_find(engine, "db");
	CHECK(c && state_of(c) == CTN_RUNNING && init_of(c) == pid);
	sleep_ms(100);
	CHECK(container_log_clear(c, NULL, NULL) == 0 && log_shows(c, "x") && monitored(c));
	CHECK(do_kill(c, SIGKILL, NULL) == 0);
	check_unknown_end(c);
	unmake(c);
}

static const struct check_test tests[] = {
	{"log", test_log},
	{"bound of the log", test_bound},
	{"a larger bound", test_larger_bound},
	{"a smaller bound while it runs", test_smaller_bound},
	{"monitor killed, then the container", test_orphan_killed},
	{"monitor killed, the container ends", test_orphan_ends},
	{"monitor killed twice", test_orphan_twice},
	{"monitor killed, server replaced", test_orphan_adopted},
	{"monitor killed while no server is there", test_monitor_dies_alone},
};

int main(void)
{
	fixture_begin();
	return fixture_end(check_run(tests, CTN_COUNT(tests)));
}
