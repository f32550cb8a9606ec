/* SPDX-License-Identifier: Apache-2.0 */
/* The restart policy in the engine: delays, what counts, and what is on disk while it waits. */
#include "life_private.h"

#include "engine_fixture.h"

static const uint64_t ms = 1000000;

static void test_delays(void)
{
	static const uint64_t rows[] = {100,  200,   400,   800,   1600,  3200,
					6400, 12800, 25600, 51200, 60000, 60000};

	for (unsigned i = 0; i < CTN_COUNT(rows); i++)
		CHECK(restart_delay(i) == rows[i] * ms);
	CHECK(restart_delay(UINT32_MAX) == 60000 * ms);
}

/* What the state file says: 1 up, 0 not, -1 there is none. */
static int marked(const struct container *c)
{
	ctn_autoclose int dir = -1;
	struct state_restart r;

	CHECK(container_state_dir(c, &dir, NULL) == 0);
	return state_load_restart(dir, &r, NULL) < 0 ? -1 : r.up;
}

static bool until_state(struct container *c, enum ctn_state state)
{
	double end = seconds() + PATIENCE_SECS;

	while (state_of(c) != state && seconds() < end)
		sleep_ms(1);
	return state_of(c) == state;
}

static void test_marks(void)
{
	struct container *c = make("db", "sh -c 'exit 3'");

	CHECK(do_start(c, 0, NULL) == 0 && do_wait(c, 0, NULL) == 0);
	CHECK(marked(c) == -1);
	CHECK(store(c, "restart", "on-failure:2", NULL) == 0 && marked(c) == -1);
	CHECK(do_start(c, 0, NULL) == 0 && marked(c) == 1);
	CHECK(do_wait(c, 0, NULL) == 0 && exit_of(c) == 3 && state_of(c) == CTN_EXITED);
	CHECK(marked(c) == 0);
	CHECK(store(c, "restart", "always", NULL) == 0 && marked(c) == 0);
	CHECK(do_start(c, 0, NULL) == 0 && until_state(c, CTN_RESTARTING) && marked(c) == 1);
	CHECK(store(c, "restart", "no", NULL) == 0);
	CHECK(state_of(c) != CTN_RESTARTING || do_wait(c, 0, NULL) == 0);
	CHECK(state_of(c) == CTN_EXITED && marked(c) == 0);
	unmake(c);
}

/* Before it runs, and before it is told to end: the machine may go down just then. */
static void test_durable(void)
{
	struct container *c = make("db", "sleep 1000");

	CHECK(store(c, "restart", "always", NULL) == 0);
	CHECK(do_start(c, 0, NULL) == 0 && marked(c) == 1 && !c->mark_lazy);
	CHECK(do_stop(c, 0, NULL) == 0 && marked(c) == 0 && !c->mark_lazy);
	CHECK(store(c, "restart", "no", NULL) == 0 && do_start(c, 0, NULL) == 0);
	CHECK(marked(c) == 0);
	CHECK(store(c, "restart", "on-failure", NULL) == 0 && marked(c) == 1 && !c->mark_lazy);
	unmake(c);
}

static void test_health(void)
{
	struct container *c = make("db", NULL);

	pthread_mutex_lock(&c->lock);
	c->tries = c->failures = 7;
	restart_note_health(c, 9999 * ms);
	CHECK(c->tries == 7 && c->failures == 7);
	restart_note_health(c, 10000 * ms);
	CHECK(c->tries == 0 && c->failures == 0);
	pthread_mutex_unlock(&c->lock);
	unmake(c);
}

/* Nobody is to be told of the end of a run that another one follows. */
static void test_waiters(void)
{
	struct container *c = make("db", "sh -c 'exit 3'");
	struct waiter ends[5];
	int r[CTN_COUNT(ends)];

	CHECK(store(c, "restart", "always", NULL) == 0 && do_start(c, 0, NULL) == 0);
	for (size_t i = 0; i < CTN_COUNT(ends); i++) {
		waiter_init(&ends[i]);
		r[i] = life_wait(c, &ends[i].w, NULL);
		CHECK(r[i] == LIFE_PENDING);
	}
	sleep_ms(400);
	for (size_t i = 0; i < CTN_COUNT(ends); i++)
		CHECK(ends[i].calls == 0);
	CHECK(life_cancel(&ends[0].w));
	CHECK(do_stop(c, 0, NULL) == 0 && state_of(c) == CTN_EXITED && marked(c) == 0);
	for (size_t i = 1; i < CTN_COUNT(ends); i++)
		CHECK(waiter_result(&ends[i], r[i], NULL) == 0 && ends[i].calls == 1);
	unmake(c);
}

/* A start that fails is said, and the delay goes on; one that somebody asked for is his, too. */
static void test_starts_that_fail(void)
{
	struct container *c = make("db", "sh -c 'exit 3'");

	CHECK(store(c, "restart", "on-failure:3", NULL) == 0 && do_start(c, 0, NULL) == 0);
	CHECK(store(c, "cwd", "/none", NULL) == 0);
	CHECK(do_wait(c, 0, NULL) == 0 && state_of(c) == CTN_EXITED && exit_of(c) == 3);
	CHECK_ERR(do_start(c, 0, &check_err), ENOENT, "/none");
	CHECK(state_of(c) == CTN_EXITED && marked(c) == 0);
	CHECK(store(c, "restart", "always", NULL) == 0 && store(c, "cwd", "/", NULL) == 0);
	CHECK(do_start(c, 0, NULL) == 0 && store(c, "cwd", "/none", NULL) == 0);
	CHECK(until_state(c, CTN_RESTARTING));
	CHECK_ERR(do_start(c, 0, &check_err), ENOENT, "/none");
	CHECK(state_of(c) == CTN_RESTARTING && marked(c) == 1);
	CHECK_ERR(do_restart(c, 0, &check_err), ENOENT, "/none");
	CHECK(do_stop(c, 0, NULL) == 0 && state_of(c) == CTN_EXITED && marked(c) == 0);
	unmake(c);
}

static const struct check_test tests[] = {
	{"what the power can fail in", test_durable},
	{"delays", test_delays},
	{"what is on disk", test_marks},
	{"health", test_health},
	{"who waits for its end", test_waiters},
	{"starts that fail", test_starts_that_fail},
};

int main(void)
{
	fixture_begin();
	return fixture_end(check_run(tests, CTN_COUNT(tests)));
}
