/* SPDX-License-Identifier: Apache-2.0 */
#include "notify.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "../cleanup.h"

enum {
	EVENTS = 16,
	ROUNDS = 8,	     /* before the others in the loop get their turn */
	MS = 1000 * 1000,    /* nanoseconds */
	KILLABLE_SHIFT = 32, /* in an event's data, above the descriptor */
};

static const uint64_t price = UINT64_C(1000) * MS / NOTIFY_RATE; /* of one answer */
static const uint64_t tick = UINT64_C(1) * MS * NOTIFY_TICK_MS;

/* A kernel to come may write more than the headers here know of; it takes the size from nobody. */
union request {
	struct seccomp_notif notif;
	char room[512];
};

union response {
	struct seccomp_notif_resp resp;
	char room[512];
};

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000U * MS + (uint64_t)t.tv_nsec;
}

void notify_init(struct notify *n, int state_fd)
{
	*n = (struct notify){.epoll = -1, .ring = {.state_fd = state_fd, .fd = -1}};
}

/* --- listeners --- */

bool notify_room(const struct notify *n)
{
	return n->n < NOTIFY_LISTENERS_MAX;
}

void notify_add(struct notify *n, int listener, bool killable)
{
	struct epoll_event e = {.events = EPOLLIN};

	e.data.u64 = (uint64_t)listener | (uint64_t)killable << KILLABLE_SHIFT;
	if (n->epoll < 0)
		n->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (n->epoll < 0 || epoll_ctl(n->epoll, EPOLL_CTL_ADD, listener, &e) < 0)
		close(listener); /* its calls are refused with ENOSYS */
	else
		n->n++;
}

/* Nobody has that filter any more. */
static void drop_listener(struct notify *n, int listener)
{
	size_t kept = 0;

	/* Whoever has sent it may have it open still: closing alone would not take it out. */
	(void)epoll_ctl(n->epoll, EPOLL_CTL_DEL, listener, NULL);
	close(listener);
	n->n--;
	for (size_t i = 0; i < n->n_held; i++) {
		const struct held h = n->held[(n->first + i) % NOTIFY_HELD_MAX];

		if (h.listener != listener)
			n->held[(n->first + kept++) % NOTIFY_HELD_MAX] = h;
	}
	n->n_held = kept;
}

/* --- answers --- */

static void answer(int listener, uint64_t id)
{
	union response r = {.resp = {.id = id, .error = -EPERM}};

	/* ENOENT: whoever has made the call is gone. */
	(void)ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &r);
}

/* Whether there is one to be had, which is paid then. */
static bool pay(struct notify *n, uint64_t now)
{
	if (n->paid < now)
		n->paid = now;
	if (n->paid + price > now + NOTIFY_BURST * price)
		return false;
	n->paid += price;
	return true;
}

/* In portions: each time that the monitor wakes up costs the host. */
static void answer_held(struct notify *n)
{
	const uint64_t now = clock_ns(CLOCK_MONOTONIC);

	if (now < n->answer_at)
		return;
	while (n->n_held > 0 && pay(n, now)) {
		const struct held h = n->held[n->first];

		answer(h.listener, h.id);
		n->first = (n->first + 1) % NOTIFY_HELD_MAX;
		n->n_held--;
	}
	n->answer_at = now + tick;
}

static void hold(struct notify *n, int listener, uint64_t id, uint64_t now)
{
	if (n->n_held == 0)
		n->answer_at = now + tick;
	n->held[(n->first + n->n_held++) % NOTIFY_HELD_MAX] = (struct held){listener, id};
}

/* Where a signal would end the waiting, and the call be made once more, holding it back would only
 * make more of them. */
static void answer_or_hold(struct notify *n, int listener, uint64_t id, bool killable)
{
	const uint64_t now = clock_ns(CLOCK_MONOTONIC);

	if (!killable || (n->n_held == 0 && pay(n, now)))
		answer(listener, id);
	else
		hold(n, listener, id, now);
}

/* --- what is written down --- */

static void read_program(pid_t tid, char *ret, size_t size)
{
	ctn_autoclose int fd = -1;
	char path[32];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/comm", tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? 0 : read(fd, ret, size);
	if (n > 0 && ret[n - 1] == '\n')
		ret[n - 1] = '\0';
}

static void write_down(struct notify *n, int listener, const struct seccomp_notif *call)
{
	struct wire_denied d = {
		.time = clock_ns(CLOCK_REALTIME),
		.pid = (int32_t)call->pid,
		.arch = call->data.arch,
		.nr = call->data.nr,
	};

	for (size_t i = 0; i < CTN_COUNT(d.args); i++)
		d.args[i] = call->data.args[i];
	if (d.pid > 0)
		read_program(d.pid, d.program, sizeof(d.program));
	/* It was killed, and the number may have been another's by then. */
	if (ioctl(listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &call->id) < 0)
		memset(d.program, 0, sizeof(d.program));
	ring_add(&n->ring, &d);
	n->untold = true;
	if (d.flags & WIRE_DENIED_FIRST)
		n->tell_at = 0;
}

/* There is one: nobody else receives, and one that was killed meanwhile is ENOENT. */
static void receive(struct notify *n, int listener, bool killable)
{
	union request call = {0}; /* as the kernel demands */

	if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &call) < 0)
		return;
	write_down(n, listener, &call.notif);
	answer_or_hold(n, listener, call.notif.id, killable);
}

/* --- the loop's --- */

int notify_fd(const struct notify *n)
{
	return n->n_held < NOTIFY_HELD_MAX ? n->epoll : -1;
}

static int until(uint64_t then)
{
	const uint64_t now = clock_ns(CLOCK_MONOTONIC);

	return then > now ? (int)((then - now) / MS) + 1 : 0;
}

int notify_timeout(const struct notify *n)
{
	const int news = n->untold ? until(n->tell_at) : -1;
	const int held = n->n_held > 0 ? until(n->answer_at) : -1;

	return news < 0 || (held >= 0 && held < news) ? held : news;
}

/* Return: whether there may be more. */
static bool serve_some(struct notify *n)
{
	struct epoll_event events[EVENTS];
	const int got = epoll_wait(n->epoll, events, EVENTS, 0);

	for (int i = 0; i < got; i++) {
		const int listener = (int)(uint32_t)events[i].data.u64;

		if (events[i].events & EPOLLIN && n->n_held < NOTIFY_HELD_MAX)
			receive(n, listener, events[i].data.u64 >> KILLABLE_SHIFT);
		else if (events[i].events & EPOLLHUP)
			drop_listener(n, listener);
	}
	return got > 0;
}

void notify_serve(struct notify *n, bool ready)
{
	if (n->n_held > 0)
		answer_held(n);
	for (int i = 0; ready && i < ROUNDS && notify_fd(n) >= 0 && serve_some(n); i++)
		;
}

bool notify_news(struct notify *n, bool end, uint64_t *ret)
{
	const uint64_t now = clock_ns(CLOCK_MONOTONIC);

	if (!n->untold || (!end && now < n->tell_at))
		return false;
	n->untold = false;
	n->tell_at = now + (uint64_t)NOTIFY_TELL_MS * MS;
	*ret = n->ring.newest;
	return true;
}

void notify_keep_news(struct notify *n)
{
	n->untold = true;
}
