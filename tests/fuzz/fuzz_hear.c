/* SPDX-License-Identifier: Apache-2.0 */
/* A server that is told whatever its container's monitor likes (fuzz_frames.h), in each state of
 * the container. */
#include <sys/epoll.h>
#include <sys/stat.h>

#include "cgroup_private.h"
#include "container_private.h"
#include "fuzz_frames.h"
#include "journal_private.h"
#include "oom.h"
#include "pidref.h"

static const enum ctn_state states[] = {CTN_STARTING, CTN_RESTARTING, CTN_RUNNING,
					CTN_EXITED,   CTN_CREATED,    CTN_PAUSED};

static struct engine engine;
static struct cgroup_leaf leaf = {.version = 2, .ops = &cgroup_v2_ops};
static struct container c = {
	.engine = &engine,
	.cgroup = &leaf,
	.serial = 7,
	.id = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
	.uid_base = 1 << 20,
	.ready = true,
	.refs = 1,
	.sock = -1,
	.tty = -1,
	.in = -1,
	.parked_sock = -1,
	.timer = -1,
	.oom_fd = -1,
};

static void make_engine(void)
{
	struct ctn_err err = {0};
	const int dir = fuzz_dir_make();

	engine.state_fd = engine.run_fd = dir;
	engine.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	engine.lock_fd = engine.monitor_fd = engine.host_mntns = engine.stdin_epoll_fd = -1;
	FUZZ_CHECK(pthread_rwlock_init(&engine.lock, NULL) == 0);
	FUZZ_CHECK(oom_open(&engine.oom, &err) == 0);
	FUZZ_CHECK(journal_open(dir, 1 << 16, &engine.journal, &err) == 0);
	pthread_mutex_init(&c.lock, NULL);
	pthread_mutex_init(&c.edit, NULL);
	pthread_mutex_init(&c.mark, NULL);
	pthread_mutex_init(&c.errors.lock, NULL);
	pthread_mutex_init(&engine.errors.lock, NULL);
	c.waiters.prev = c.waiters.next = &c.waiters;
	FUZZ_CHECK(mkdirat(dir, c.id, 0700) == 0);
	c.spec = spec_new("x");
	FUZZ_CHECK(c.spec);
}

static void reset(void)
{
	spec_put(c.running);
	pidref_put(c.init);
	c.running = NULL;
	c.init = NULL;
	ctn_close_fd(&c.sock);
	ctn_close_fd(&c.tty);
	ctn_close_fd(&c.in);
	c.sock = c.tty = c.in = -1;
	c.sock_err = 0;
	c.start_err = (struct ctn_err){0};
}

/* What the monitor has said is the container's, and nothing else has changed. */
static void check(enum ctn_state before)
{
	FUZZ_CHECK(c.state == before || c.state == CTN_RUNNING);
	FUZZ_CHECK(c.state == before || (c.init && c.running && c.init->pidfd >= 0));
	FUZZ_CHECK(memchr(c.start_err.text, '\0', sizeof(c.start_err.text)));
	FUZZ_CHECK(c.start_err.code >= 0 && c.start_err.code < 4096);
	FUZZ_CHECK(strcmp(c.spec->name, "x") == 0);
}

static void hear(int out, const uint8_t *data, size_t size)
{
	struct wire_msg msg;
	struct frame f;
	size_t len;

	for (int i = 0; i < FRAMES_MAX && frame_next(&data, &size, &f, &msg, &len); i++) {
		if (c.sock < 0)
			break; /* a container that has no connection hears no more */
		c.state = states[f.state % CTN_COUNT(states)];
		if (f.to & 64)
			FUZZ_CHECK(shutdown(out, SHUT_WR) == 0);
		else if (len > 0)
			(void)frame_send(out, &f, &msg, len);
		life_on_socket(&c);
		check(states[f.state % CTN_COUNT(states)]);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int pair[2], fd;

	if (!c.spec)
		make_engine();
	fd = fuzz_free_fd();
	frame_pair(pair);
	c.sock = pair[0];
	hear(pair[1], data, size);
	reset();
	close(pair[1]);
	FUZZ_CHECK(fuzz_free_fd() == fd);
	return 0;
}
