/* SPDX-License-Identifier: Apache-2.0 */
/* Files that grow, and who is told. */
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "check.h"
#include "cleanup.h"

#include "../../fs/follow.h"

enum { SOON_MS = 10000, QUIET_MS = 50 };

struct told {
	uint32_t serial;
	int token;
};

static int pipe_fds[2]; /* from the thread of follow.c */

static void grew(uint32_t serial, int token)
{
	const struct told t = {serial, token};

	if (write(pipe_fds[1], &t, sizeof(t)) != (ssize_t)sizeof(t))
		abort();
}

static bool is_told(int ms, struct told *ret)
{
	struct pollfd p = {.fd = pipe_fds[0], .events = POLLIN};

	return poll(&p, 1, ms) == 1 &&
	       read(pipe_fds[0], ret, sizeof(*ret)) == (ssize_t)sizeof(*ret);
}

static void forget_told(void)
{
	struct told t;

	while (is_told(QUIET_MS, &t))
		;
}

static int make_file(void)
{
	char path[] = "/tmp/ctnfs-test-follow.XXXXXX";
	int fd = mkstemp(path);

	if (fd < 0)
		abort();
	unlink(path);
	return fd;
}

static void start(void)
{
	if (pipe(pipe_fds) < 0)
		abort();
	CHECK_ERR(follow_start(grew, &check_err), 0, "");
}

static void stop(void)
{
	follow_stop();
	close(pipe_fds[0]);
	close(pipe_fds[1]);
}

static void test_growth(void)
{
	int a = make_file(), b = make_file(), first, second, other;
	struct told t = {0};

	start();
	first = follow_begin(a, 7);
	second = follow_begin(a, 7);
	other = follow_begin(b, 8);
	CHECK(first > 0 && second == first && other > 0 && other != first);
	CHECK(!is_told(QUIET_MS, &t));
	CHECK(write(a, "x", 1) == 1);
	CHECK(is_told(SOON_MS, &t) && t.serial == 7 && t.token == first);
	forget_told();
	follow_end(second); /* the other one goes on */
	CHECK(write(a, "x", 1) == 1);
	CHECK(is_told(SOON_MS, &t) && t.serial == 7 && t.token == first);
	forget_told();
	follow_end(first);
	CHECK(write(a, "x", 1) == 1 && !is_told(QUIET_MS, &t));
	CHECK(write(b, "x", 1) == 1 && is_told(SOON_MS, &t) && t.serial == 8);
	follow_end(other);
	follow_end(FOLLOW_NONE);
	stop();
	close(a);
	close(b);
}

/* The file goes while it is followed, and with it inotify's number. */
static void test_end_of_the_file(void)
{
	int a = make_file(), token;
	struct told t = {0};

	start();
	token = follow_begin(a, 7);
	close(a);
	CHECK(is_told(SOON_MS, &t) && t.serial == 7 && t.token == token);
	follow_end(token);
	a = make_file();
	CHECK(follow_begin(a, 9) != token);
	stop();
	follow_end(token + 1);
	close(a);
}

/* One descriptor is left, which the eventfd gets. */
static void test_blind(void)
{
	struct rlimit before, few;
	int a = make_file(), token, last;
	struct told t = {0};

	if (pipe(pipe_fds) < 0 || getrlimit(RLIMIT_NOFILE, &before) < 0)
		abort();
	last = dup(a);
	close(last);
	few = before;
	few.rlim_cur = (rlim_t)last + 1;
	CHECK(setrlimit(RLIMIT_NOFILE, &few) == 0);
	CHECK_ERR(follow_start(grew, &check_err), 0, "");
	CHECK(setrlimit(RLIMIT_NOFILE, &before) == 0);
	CHECK(!is_told(QUIET_MS, &t));
	token = follow_begin(a, 7);
	CHECK(token == FOLLOW_BLIND);
	for (int i = 0; i < 2; i++)
		CHECK(is_told(SOON_MS, &t) && t.serial == 0 && t.token == FOLLOW_BLIND);
	follow_end(token);
	stop();
	close(a);
}

static void test_not_started(void)
{
	struct rlimit before, none;

	follow_stop();
	if (getrlimit(RLIMIT_NOFILE, &before) < 0)
		abort();
	none = before;
	none.rlim_cur = 0;
	CHECK(setrlimit(RLIMIT_NOFILE, &none) == 0);
	CHECK_ERR(follow_start(grew, &check_err), EMFILE, "eventfd");
	CHECK(setrlimit(RLIMIT_NOFILE, &before) == 0);
	follow_stop();
}

static const struct check_test tests[] = {
	{"files that grow", test_growth},
	{"a file that goes", test_end_of_the_file},
	{"without inotify", test_blind},
	{"no descriptor at all", test_not_started},
};

int main(void)
{
	return check_run(tests, CTN_COUNT(tests));
}
