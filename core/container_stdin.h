/* SPDX-License-Identifier: Apache-2.0 */
/* A running program's standard input: a pipe, or its terminal. Nothing here blocks on the program:
 * a write takes what fits. The process ignores SIGPIPE. */
#ifndef CTNFS_CORE_CONTAINER_STDIN_H
#define CTNFS_CORE_CONTAINER_STDIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"

struct container;
struct life_waiter;

/** container_stdin_open() - which run of it @ret_run a descriptor that is opened now is for. -ESRCH
 * with the way out: it does not run. */
int container_stdin_open(struct container *c, uint64_t *ret_run, struct ctn_err *err);

/**
 * container_stdin_write() - write @len bytes, of which @done have been taken already, to the input
 * of that @run; one writer after the other, each its whole text.
 * @ret_done: moved on; also where it fails.
 * @w: NULL: do not wait. Otherwise it is called when it is its turn again (life.h); the same call
 * must be made again then, and soon, since all others wait for it.
 * Return: LIFE_DONE: all was taken; LIFE_PENDING: @w was queued; -EAGAIN: it is full, without @w;
 * -EPIPE with a sentence: that run has ended, or its input was closed; -errno.
 */
int container_stdin_write(struct container *c, uint64_t run, const char *text, size_t len,
			  size_t *ret_done, struct life_waiter *w, struct ctn_err *err);

/**
 * container_stdin_end() - the end of file, if it has not had one yet: whoever still waits to write
 * gets EPIPE. A terminal stays as it is: its end-of-file character is typed.
 * @run: 0: the present one. Of one that has ended nothing is left to do.
 * Return: 0; -ESRCH (as container_stdin_open(), only where @run is 0); -EPIPE (its terminal is
 * lost); -errno.
 */
int container_stdin_end(struct container *c, uint64_t run, struct ctn_err *err);

/** container_stdin_room() - whether a write would not wait now (be it that it fails). @tell: if it
 * would, engine_on_change()'s listener is called when that changes. */
bool container_stdin_room(struct container *c, uint64_t run, bool tell);

#endif
