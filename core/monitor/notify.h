/* SPDX-License-Identifier: Apache-2.0 */
/* Denied calls. What the filter refuses with EPERM it asks a listener about instead (seccomp(2),
 * SECCOMP_RET_USER_NOTIF): the monitor's, which writes the call down and answers with that errno.
 * It never lets a call through (seccomp_unotify(2) says why nobody could, safely), and never looks
 * at the memory of who made it. When it is gone, the kernel answers ENOSYS. */
#ifndef CTNFS_CORE_MONITOR_NOTIFY_H
#define CTNFS_CORE_MONITOR_NOTIFY_H

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../err.h"
#include "../wire.h"

/** notify_filter() - in a filter of @n instructions, let each that refuses with EPERM ask instead.
 * Return: how many did. */
size_t notify_filter(struct sock_filter *insns, size_t n);

/** notify_decision() - what a filter of ours decides about a call: SECCOMP_RET_…, with its data.
 * SECCOMP_RET_KILL_PROCESS where it has other instructions than ours have. */
uint32_t notify_decision(const struct sock_filter *insns, size_t n,
			 const struct seccomp_data *call);

/* --- from the process that has loaded a filter to whoever answers (notify_handover.c) --- */

/**
 * struct handover - memory that both have. A listener exists only once the filter does, and from
 * then on each system call may be refused, or kill: so nothing here needs one. The new process
 * says the descriptor's number, and waits until its parent has taken that out of it
 * (pidfd_getfd(2)); execve closes it there.
 * @listener: its number + 1; 0 before.
 * @killable: 1 where a call that was received waits on whatever signals come.
 * @taken:    1: go on. A futex(2).
 * @ready:    1: execve is next.
 */
struct handover {
	_Atomic int32_t listener;
	_Atomic uint32_t killable, taken, ready;
};

int handover_new(struct handover **ret, struct ctn_err *err);
void handover_free(struct handover *h); /* NULL is fine */

/** handover_give() - by the new process: the listener @fd of the filter @insns. @report: its
 * channel to the parent, for a message that wakes that. -ETIMEDOUT: it was not taken in half a
 * minute or so. */
struct handover_given {
	int fd, report;
	bool killable;
	const struct sock_filter *insns;
	size_t n;
};
int handover_give(struct handover *h, const struct handover_given *given, struct ctn_err *err);

/** handover_pending() - by the parent: whether there is one to be taken.
 * handover_take() - do, from the process @pidfd, and let it go on. -ESRCH: it has ended; -errno
 * with a sentence. */
bool handover_pending(const struct handover *h);
int handover_take(struct handover *h, int pidfd, int *ret, struct ctn_err *err);

/* The parent looks by itself as often, in case that the message was refused. */
enum { HANDOVER_MS = 5 };
#define HANDOVER_STEP "listener" /* of the message, a struct wire_error without a code */

/* --- what is kept of them (notify_ring.c) --- */

/** struct ring - WIRE_DENIED_NAME. @newest: the number of the last; @seen: a bit for each call that
 * was made since we began, of each ABI; @firsts: how many were called the first, RING_FIRSTS_MAX at
 * most, since each is a line of the journal, in which others have lines. */
enum { RING_CALLS = 1024, RING_ABIS = 3, RING_FIRSTS_MAX = 64 };
struct ring {
	int state_fd, fd; /* @fd: -1 until there is something to write */
	uint64_t newest;
	uint8_t seen[RING_ABIS][RING_CALLS / 8];
	unsigned firsts;
};

/** ring_add() - @d gets its number and whether it is the first. What cannot be written is lost. */
void ring_add(struct ring *ring, struct wire_denied *d);

/* --- the listeners (notify.c) --- */

enum {
	NOTIFY_LISTENERS_MAX = 128, /* asked for; those on their way come on top of it */
	NOTIFY_HELD_MAX = 128,	    /* calls that wait for their answer here; others wait in the
				       kernel */
	NOTIFY_BURST = 256,	    /* answered at once, */
	NOTIFY_RATE = 500,	    /* and then so many a second, over all listeners */
	NOTIFY_TICK_MS = 20,	    /* … in portions */
	NOTIFY_TELL_MS = 250,	    /* the server hears of others than the first as often */
};

struct held {
	int listener;
	uint64_t id;
};

/**
 * struct notify - one monitor's. Times are those of CLOCK_MONOTONIC, in nanoseconds.
 * @epoll:   of its listeners, @n of them; -1 until there is one.
 * @held:    calls that were received, in their order from @first on, @n_held of them, to be
 *           answered at @answer_at.
 * @paid:    until when answers have used the rate up.
 * @untold:  there is something in the ring that the server was not told of; @tell_at: when.
 */
struct notify {
	int epoll;
	unsigned n;
	struct held held[NOTIFY_HELD_MAX];
	size_t first, n_held;
	uint64_t answer_at, paid, tell_at;
	bool untold;
	struct ring ring;
};

void notify_init(struct notify *n, int state_fd);

/** notify_room() - whether another listener may come. notify_add() - it has, and is taken over. */
bool notify_room(const struct notify *n);
void notify_add(struct notify *n, int listener, bool killable);

/** notify_fd() - what to poll for reading; -1: nothing now. notify_timeout() - at most so many ms;
 * -1 for ever. notify_serve() - after each poll; @ready: it can be read. None of them blocks. */
int notify_fd(const struct notify *n);
int notify_timeout(const struct notify *n);
void notify_serve(struct notify *n, bool ready);

/** notify_news() - whether the server is to be told now, with the number of the newest. @end: it
 * is the last time. notify_keep_news() - it could not be told: once more, later. */
bool notify_news(struct notify *n, bool end, uint64_t *ret);
void notify_keep_news(struct notify *n);

#endif
