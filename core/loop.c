/* SPDX-License-Identifier: Apache-2.0 */
/* The event thread: what monitors say, what ends, what a stop waits for. It never blocks on a
 * container. */
#include <errno.h>
#include <sys/epoll.h>

#include "container_private.h"

enum { EVENTS_AT_ONCE = 64, KIND_BITS = 2 };

int loop_add(struct engine *e, struct container *c, int fd, enum event_kind kind)
{
	struct epoll_event ev = {.events = EPOLLIN,
				 .data.u64 = (uint64_t)c->serial << KIND_BITS | (unsigned)kind};

	return epoll_ctl(e->epoll_fd, EPOLL_CTL_ADD, fd, &ev) < 0 ? -errno : 0;
}

void engine_tell(struct container *c)
{
	struct engine *e = c->engine;

	if (e->changed)
		e->changed(e->changed_arg, c->serial);
}

static void (*const handlers[])(struct container *c) = {
	[EVENT_SOCKET] = life_on_socket,
	[EVENT_MONITOR] = life_on_monitor_end,
	[EVENT_INIT] = life_on_init_end,
	[EVENT_TIMER] = life_on_timer,
};

/* By serial: an event may be about a container that another thread has removed meanwhile. */
static void dispatch(struct engine *e, uint64_t data)
{
	struct container *c = registry_find_serial(e, (uint32_t)(data >> KIND_BITS));

	if (c)
		handlers[data & ((1 << KIND_BITS) - 1)](c);
	container_put(c);
}

void *loop_run(void *arg)
{
	struct engine *e = arg;

	for (;;) {
		struct epoll_event events[EVENTS_AT_ONCE];
		int n = epoll_wait(e->epoll_fd, events, EVENTS_AT_ONCE, -1);

		for (int i = 0; i < n; i++) {
			if (events[i].data.u64 == UINT64_MAX) /* stop_fd */
				return NULL;
			dispatch(e, events[i].data.u64);
		}
	}
}
