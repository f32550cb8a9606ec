/* SPDX-License-Identifier: Apache-2.0 */
/* The server's children: monitors. They come from one that was made first, the nursery, which keeps
 * the rights that the server gives up (fs/shield.c) and may start what the server may not.
 *
 * How that one is made: posix_spawn(3) copies the server's descriptors, some for each container
 * that there is, for the child to close them one by one: with 1,000 containers that takes several
 * times as long as all else. This takes as long as with one.
 */
#ifndef CTNFS_CORE_LAUNCH_SPAWN_H
#define CTNFS_CORE_LAUNCH_SPAWN_H

#include <sys/types.h>

#include "err.h"

struct spawner;

/**
 * spawner_new() - once, while few descriptors are open. Raises the limit on open files as far as it
 * goes; children get what it was.
 * @null_fd, @program_fd: borrowed; /dev/null, and what a child executes.
 * Return: 0; -ENOMEM; -errno. spawner_free() - NULL is fine.
 */
int spawner_new(int null_fd, int program_fd, struct spawner **ret, struct ctn_err *err);
void spawner_free(struct spawner *s);

/**
 * spawner_begin() - make the nursery. Before it spawn_child() executes each child itself.
 * @ret_pidfd: a descriptor that says when it has ended; the caller's. It ends with @s, or with this
 * process. When it has ended before, spawn_child() is -ECONNRESET for good.
 */
int spawner_begin(struct spawner *s, int *ret_pidfd, struct ctn_err *err);

/**
 * spawn_child() - a child with @sock as WIRE_SOCKET_FD, /dev/null as its standard streams, nothing
 * else open, signals as at their default or blocked, and no environment.
 * Blocks until it is there, not for long. Return: 0; -errno. Thread: any.
 */
int spawn_child(struct spawner *s, int sock, pid_t *ret, struct ctn_err *err);

#endif
