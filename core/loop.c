/* SPDX-License-Identifier: Apache-2.0 */
/* The event thread: what monitors say, what ends, what a stop waits for. It never blocks on a
 * container. */
#include <errno.h>
#include <sys/epoll.h>

#include "container_private.h"
#include "launch_spawn.h"
#include "oom.h"

enum { EVENTS_AT_ONCE = 64, KIND_BITS = 3 };

static uint64_t event_data(const struct container *c, enum event_kind kind)
{
	return (uint64_t)c->serial << KIND_BITS | (unsigned)kind;
}

int loop_add_events(struct engine *e, struct container *c, int fd, enum event_kind kind,
		    uint32_t events)
{
	struct epoll_event ev = {.events = events, .data.u64 = c ? event_data(c, kind) : kind};

	return epoll_ctl(e->epoll_fd, EPOLL_CTL_ADD, fd, &ev) < 0 ? -errno : 0;
}

int loop_add(struct engine *e, struct container *c, int fd, enum event_kind kind)
{
	return loop_add_events(e, c, fd, kind, EPOLLIN);
}

void loop_remove(struct engine *e, int fd)
{
	(void)epoll_ctl(e->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
}

int loop_ask(struct engine *e, const struct container *c, int fd)
{
	struct epoll_event ev = {.events = EPOLLOUT | EPOLLONESHOT,
				 .data.u64 = event_data(c, EVENT_STDIN)};

	if (epoll_ctl(e->stdin_epoll_fd, EPOLL_CTL_MOD, fd, &ev) == 0)
		return 0;
	if (errno == ENOENT && epoll_ctl(e->stdin_epoll_fd, EPOLL_CTL_ADD, fd, &ev) == 0)
		return 0;
	return -errno;
}

void engine_tell(struct container *c)
{
	struct engine *e = c->engine;

	journal_flush(e);
	if (!e->changed)
		return;
	e->changed(e->changed_arg, c->serial);
	if (c->parent) /* whose part of the journal has its lines */
		e->changed(e->changed_arg, c->parent->serial);
}

static void (*const handlers[])(struct container *c) = {
	[EVENT_SOCKET] = life_on_socket, [EVENT_MONITOR] = life_on_monitor_end,
	[EVENT_INIT] = life_on_init_end, [EVENT_TIMER] = life_on_timer,
	[EVENT_STDIN] = stdin_on_room,	 [EVENT_OOM] = oom_on_event,
};

static void on_nursery_end(struct engine *e)
{
	if (e->lost)
		e->lost(e->lost_arg);
}

/* What is about no container: no serial is 0. */
static void (*const engine_handlers[])(struct engine *e) = {
	[EVENT_OOM] = oom_on_engine, [EVENT_NURSERY] = on_nursery_end};

int engine_begin(struct engine *e, struct ctn_err *err)
{
	int r;

	if (e->nursery_pidfd >= 0)
		return 0;
	r = spawner_begin(e->spawner, &e->nursery_pidfd, err);
	if (r < 0)
		return r;
	r = loop_add_events(e, NULL, e->nursery_pidfd, EVENT_NURSERY, EPOLLIN | EPOLLONESHOT);
	return r < 0 ? ctn_fail(err, -r, "watch the nursery") : 0;
}

void engine_on_loss(struct engine *e, void (*fn)(void *arg), void *arg)
{
	e->lost = fn;
	e->lost_arg = arg;
}

/* By serial: an event may be about a container that another thread has removed meanwhile. */
static void dispatch(struct engine *e, uint64_t data)
{
	struct container *c = registry_find_serial(e, (uint32_t)(data >> KIND_BITS));
	unsigned kind = data & ((1 << KIND_BITS) - 1);

	if (!(data >> KIND_BITS))
		engine_handlers[kind](e);
	else if (c)
		handlers[kind](c);
	container_put(c);
}

static void *run(struct engine *e, int epoll_fd)
{
	for (;;) {
		struct epoll_event events[EVENTS_AT_ONCE];
		int n = epoll_wait(epoll_fd, events, EVENTS_AT_ONCE, -1);

		for (int i = 0; i < n; i++) {
			if (events[i].data.u64 == UINT64_MAX) /* stop_fd */
				return NULL;
			dispatch(e, events[i].data.u64);
		}
	}
}

void *loop_run(void *arg)
{
	struct engine *e = arg;

	return run(e, e->epoll_fd);
}

void *loop_run_stdin(void *arg)
{
	struct engine *e = arg;

	return run(e, e->stdin_epoll_fd);
}
