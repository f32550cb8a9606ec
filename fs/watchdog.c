/* SPDX-License-Identifier: Apache-2.0 */
#include "watchdog.h"

#include <errno.h>
#include <linux/fuse.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "../core/cleanup.h"
#include "../core/log.h"
#include "node.h"

enum {
	SLOTS = 128, /* more than there are ever threads; one without a slot is not watched */
	LOOKS = 16,  /* at each request, until its time is over */
	LOOK_MS_MAX = 5000,
};

/**
 * struct slot - a thread that answers requests.
 * @taken: it is somebody's. @unique: the request that it is in the middle of; 0: none. The kernel
 * gives no number twice. @opcode, @ino, @pid: of that; written before @unique.
 */
struct slot {
	_Alignas(64)
		atomic_bool taken; /* a cache line each: threads write theirs at every request */
	_Atomic uint64_t unique, ino;
	_Atomic uint32_t opcode, pid;
};

/* What was seen at the last look. */
struct seen {
	uint64_t unique, age_ms;
};

static struct slot slots[SLOTS];
static _Thread_local struct slot *own;
static pthread_key_t at_end; /* gives a thread's slot back */
static pthread_once_t once = PTHREAD_ONCE_INIT;

static struct {
	pthread_t thread;
	bool begun;
	int stop_fd, abort_fd;
	uint64_t most_ms, look_ms;
	struct seen seen[SLOTS]; /* the thread's */
} dog = {.stop_fd = -1, .abort_fd = -1};

/* --- the threads that are watched --- */

static void give_back(void *slot)
{
	struct slot *s = slot;

	atomic_store(&s->unique, 0);
	atomic_store(&s->taken, false);
}

static void make_key(void)
{
	(void)pthread_key_create(&at_end, give_back);
}

static struct slot *own_slot(void)
{
	for (size_t i = 0; !own && i < SLOTS; i++) {
		bool no = false;

		if (!atomic_compare_exchange_strong(&slots[i].taken, &no, true))
			continue;
		pthread_once(&once, make_key);
		own = &slots[i];
		(void)pthread_setspecific(at_end, own);
	}
	return own;
}

ssize_t watchdog_read(int fd, void *buf, size_t len, void *userdata)
{
	struct slot *s = own_slot();
	struct fuse_in_header h;
	ssize_t n;

	(void)userdata;
	if (s)
		atomic_store_explicit(&s->unique, 0, memory_order_release);
	n = read(fd, buf, len);
	if (!s || n < (ssize_t)sizeof(h))
		return n;
	memcpy(&h, buf, sizeof(h));
	atomic_store_explicit(&s->opcode, h.opcode, memory_order_relaxed);
	atomic_store_explicit(&s->ino, h.nodeid, memory_order_relaxed);
	atomic_store_explicit(&s->pid, h.pid, memory_order_relaxed);
	atomic_store_explicit(&s->unique, h.unique, memory_order_release);
	return n;
}

ssize_t watchdog_writev(int fd, struct iovec *iov, int count, void *userdata)
{
	(void)userdata;
	return writev(fd, iov, count);
}

/* --- who watches --- */

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t); /* which stands still while the machine sleeps */
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static const char *operation(uint32_t opcode)
{
	static const char *const names[] = {
		[FUSE_LOOKUP] = "lookup",	[FUSE_FORGET] = "forget",
		[FUSE_GETATTR] = "getattr",	[FUSE_SETATTR] = "setattr",
		[FUSE_READLINK] = "readlink",	[FUSE_SYMLINK] = "symlink",
		[FUSE_MKNOD] = "mknod",		[FUSE_MKDIR] = "mkdir",
		[FUSE_UNLINK] = "unlink",	[FUSE_RMDIR] = "rmdir",
		[FUSE_RENAME] = "rename",	[FUSE_LINK] = "link",
		[FUSE_OPEN] = "open",		[FUSE_READ] = "read",
		[FUSE_WRITE] = "write",		[FUSE_STATFS] = "statfs",
		[FUSE_RELEASE] = "release",	[FUSE_FSYNC] = "fsync",
		[FUSE_INIT] = "init",		[FUSE_OPENDIR] = "opendir",
		[FUSE_READDIR] = "readdir",	[FUSE_RELEASEDIR] = "releasedir",
		[FUSE_ACCESS] = "access",	[FUSE_CREATE] = "create",
		[FUSE_INTERRUPT] = "interrupt", [FUSE_POLL] = "poll",
		[FUSE_RENAME2] = "rename",	[FUSE_LSEEK] = "lseek",
		[FUSE_READDIRPLUS] = "readdir",
	};

	return opcode < CTN_COUNT(names) && names[opcode] ? names[opcode] : "request";
}

/* The row's path, which needs no lock: who hangs may have any. */
static const char *place(uint64_t ino)
{
	const struct node *node = node_at((unsigned)(ino & ((1U << NODE_ROW_BITS) - 1)));

	if (!node || ino == FUSE_ROOT_ID)
		return "the mount";
	return *node->path ? node->path : "a container's directory";
}

/* Not one file is touched: the state directory may be what hangs. */
_Noreturn static void give_up(const struct slot *s, uint64_t age_ms)
{
	(void)!write(dog.abort_fd, "1", 1);
	log_warn("%s in %s, asked for by process %u, has not come to an end for %llu s: the "
		 "connection is aborted, and the server ends; containers go on. Start it again: "
		 "what hung is then known to be over",
		 operation(s->opcode), place(s->ino), s->pid, (unsigned long long)age_ms / 1000);
	_exit(EXIT_FAILURE);
}

/* @ms: since the last look, as far as it counts. */
static void look(uint64_t ms)
{
	for (size_t i = 0; i < SLOTS; i++) {
		uint64_t unique = atomic_load_explicit(&slots[i].unique, memory_order_acquire);
		struct seen *seen = &dog.seen[i];

		if (!unique || unique != seen->unique)
			*seen = (struct seen){.unique = unique};
		else
			seen->age_ms += ms;
		if (seen->age_ms >= dog.most_ms)
			give_up(&slots[i], seen->age_ms);
	}
}

static void *run(void *arg)
{
	struct pollfd p = {.fd = dog.stop_fd, .events = POLLIN};
	uint64_t last = now_ms();

	(void)arg;
	(void)pthread_setname_np(pthread_self(), "ctnfs-watchdog");
	while (poll(&p, 1, (int)dog.look_ms) <= 0) {
		uint64_t at = now_ms(), ms = at - last;

		/* Late: then this process was not there, and the others' time was none either. */
		look(ms < dog.look_ms * 2 ? ms : dog.look_ms);
		last = at;
	}
	return NULL;
}

int watchdog_begin(int abort_fd, unsigned secs, struct ctn_err *err)
{
	sigset_t all, old;
	int r;

	if (secs == 0)
		return 0;
	dog.most_ms = (uint64_t)secs * 1000;
	dog.look_ms = dog.most_ms / LOOKS < LOOK_MS_MAX ? dog.most_ms / LOOKS : LOOK_MS_MAX;
	dog.abort_fd = abort_fd;
	dog.stop_fd = eventfd(0, EFD_CLOEXEC);
	if (dog.stop_fd < 0)
		return ctn_fail_errno(err, "make an event for the watchdog");
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old); /* signals are the main thread's */
	r = pthread_create(&dog.thread, NULL, run, NULL);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	dog.begun = r == 0;
	return r ? ctn_fail(err, r, "start the watchdog's thread") : 0;
}

void watchdog_end(void)
{
	uint64_t one = 1;

	if (dog.begun && write(dog.stop_fd, &one, sizeof(one)) == sizeof(one))
		pthread_join(dog.thread, NULL);
	dog.begun = false;
	ctn_close_fd(&dog.stop_fd);
}
