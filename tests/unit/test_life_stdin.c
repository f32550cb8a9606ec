/* SPDX-License-Identifier: Apache-2.0 */
/* Writing to a program's standard input: whose turn it is, and who is told of an end. */
#include "container_stdin.h"
#include "engine_fixture.h"

enum { PIPE_SIZE = 64 << 10, LARGE = 2 * PIPE_SIZE };

#define DEAF \
	"sh -c 'trap go=1 USR1; go=; echo ready; until [ \"$go\" ]; do sleep 0.02; done; wc -c'"

static char text[LARGE];

/* Started, and its program reads nothing before USR1. */
static struct container *make_deaf(uint64_t *ret_run)
{
	struct container *c = make("db", DEAF);

	CHECK_ERR(do_start(c, 0, &check_err), 0, "");
	CHECK(log_shows(c, "ready"));
	CHECK_ERR(container_stdin_open(c, ret_run, &check_err), 0, "");
	return c;
}

static void fill(struct container *c, uint64_t run)
{
	size_t done = 0;

	CHECK(container_stdin_room(c, run, false));
	CHECK(container_stdin_write(c, run, text, LARGE, &done, NULL, NULL) == -EAGAIN);
	CHECK(done == PIPE_SIZE && !container_stdin_room(c, run, false));
}

static void test_not_running(void)
{
	struct container *c = make("db", "true");
	uint64_t run = 7;
	size_t done = 0;

	CHECK_ERR(container_stdin_open(c, &run, &check_err), ESRCH, "> cmd starts it");
	CHECK_ERR(container_stdin_end(c, 0, &check_err), ESRCH, "> cmd starts it");
	CHECK(container_stdin_end(c, 7, NULL) == 0);
	CHECK_ERR(container_stdin_write(c, 7, "x", 1, &done, NULL, &check_err), EPIPE, "ended");
	CHECK(run == 7 && done == 0 && container_stdin_room(c, 7, true));
	unmake(c);
}

/* The first who waits goes on, in its order; who gives up is not waited for. */
static void test_turns(void)
{
	struct waiter a, b, d;
	size_t done[3] = {0};
	uint64_t run = 0;
	struct container *c = make_deaf(&run);

	waiter_init(&a);
	waiter_init(&b);
	waiter_init(&d);
	fill(c, run);
	CHECK(container_stdin_write(c, run, "1", 1, &done[0], &a.w, NULL) == LIFE_PENDING);
	CHECK(container_stdin_write(c, run, "22", 2, &done[1], &b.w, NULL) == LIFE_PENDING);
	CHECK(container_stdin_write(c, run, "333", 3, &done[2], &d.w, NULL) == LIFE_PENDING);
	CHECK(life_cancel(&a.w) && done[0] == 0 && b.calls == 0);
	CHECK(do_kill(c, SIGUSR1, NULL) == 0);
	CHECK(waiter_result(&b, LIFE_PENDING, NULL) == 0 && a.calls == 0 && d.calls == 0);
	CHECK(!life_cancel(&b.w));
	/* It is that one's turn: nobody else is let in, however much room there is. */
	CHECK(container_stdin_write(c, run, "x", 1, &done[0], NULL, NULL) == -EAGAIN);
	CHECK(d.calls == 0 && !container_stdin_room(c, run, false));
	CHECK(container_stdin_write(c, run, "22", 2, &done[1], &b.w, NULL) == LIFE_DONE);
	CHECK(waiter_result(&d, LIFE_PENDING, NULL) == 0);
	CHECK(container_stdin_write(c, run, "333", 3, &done[2], &d.w, NULL) == LIFE_DONE);
	CHECK(done[0] == 0 && done[1] == 2 && done[2] == 3);
	CHECK_ERR(container_stdin_end(c, run, &check_err), 0, "");
	CHECK(log_shows(c, "65541\n"));
	CHECK(do_wait(c, 0, NULL) == 0);
	unmake(c);
}

static void test_closed(void)
{
	struct waiter a;
	uint64_t run = 0;
	size_t done = 0;
	struct container *c = make_deaf(&run);

	waiter_init(&a);
	fill(c, run);
	CHECK(container_stdin_write(c, run, text, LARGE, &done, &a.w, NULL) == LIFE_PENDING);
	CHECK_ERR(container_stdin_end(c, run, &check_err), 0, "");
	CHECK_ERR(waiter_result(&a, LIFE_PENDING, &check_err), EPIPE, "closed");
	CHECK_ERR(container_stdin_write(c, run, "x", 1, &done, NULL, &check_err), EPIPE, "closed");
	CHECK(container_stdin_end(c, 0, NULL) == 0 && container_stdin_room(c, run, false));
	CHECK(do_kill(c, SIGUSR1, NULL) == 0 && log_shows(c, "65536\n"));
	CHECK(do_wait(c, 0, NULL) == 0);
	unmake(c);
}

/* What was begun in one run says nothing to the next. */
static void test_another_run(void)
{
	struct waiter a;
	uint64_t run = 0, next = 0;
	size_t done = 0;
	struct container *c = make_deaf(&run);

	waiter_init(&a);
	fill(c, run);
	CHECK(container_stdin_write(c, run, text, LARGE, &done, &a.w, NULL) == LIFE_PENDING);
	CHECK(do_restart(c, 0, NULL) == 0);
	CHECK(waiter_result(&a, LIFE_PENDING, NULL) <= 0); /* its turn, or the end, came first */
	CHECK_ERR(container_stdin_write(c, run, "x", 1, &done, &a.w, &check_err), EPIPE, "ended");
	CHECK(container_stdin_end(c, run, NULL) == 0);
	CHECK(container_stdin_open(c, &next, NULL) == 0 && next != run);
	fill(c, next);
	unmake(c);
}

static void test_another_server(void)
{
	uint64_t run = 0;
	struct container *c = make_deaf(&run);

	container_put(c);
	engine_again();
	c = container_find(engine, "db");
	CHECK(c && container_stdin_open(c, &run, NULL) == 0);
	fill(c, run);
	CHECK(container_stdin_end(c, run, NULL) == 0);
	CHECK(do_kill(c, SIGUSR1, NULL) == 0 && log_shows(c, "65536\n"));
	unmake(c);
}

static const struct check_test tests[] = {
	{"not running", test_not_running},
	{"turns", test_turns},
	{"closed", test_closed},
	{"another run", test_another_run},
	{"another server", test_another_server},
};

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	memset(text, 'x', sizeof(text));
	fixture_begin();
	return fixture_end(check_run(tests, CTN_COUNT(tests)));
}
