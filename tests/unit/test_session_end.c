/* SPDX-License-Identifier: Apache-2.0 */
/* What ends around a session: its processes, its container. */
#include <sched.h>

#include "session_fixture.h"

#define TREE   "sh -c 'sleep 1000 & (setsid sleep 1000 & sleep 1000) & echo ready; exec sleep 1000'"
#define DAEMON "sh -c 'setsid sleep 1000 & echo ready'"

/* --- its processes --- */

static void test_tree(void)
{
	struct container *c = running("db"), *s = session(c, "s", TREE);

	for (int i = 0; i < 3; i++) {
		CHECK(container_log_clear(s, NULL, NULL) == 0 && do_start(s, 0, NULL) == 0);
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
};

int main(void)
{
	fixture_begin();
	return fixture_end(check_run(tests, CTN_COUNT(tests)));
}
