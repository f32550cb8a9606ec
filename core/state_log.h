/* SPDX-License-Identifier: Apache-2.0 */
/* A log on the disk and the index beside it (wire.h), as a monitor writes them meanwhile. Nothing
 * in the index is believed. */
#ifndef CTNFS_CORE_STATE_LOG_H
#define CTNFS_CORE_STATE_LOG_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "err.h"
#include "wire.h"

/** enum log_view - what of it is read. Each has positions of its own, of which byte 0 is the first
 * that the container ever put out. */
enum log_view { LOG_ALL, LOG_STDOUT, LOG_STDERR, LOG_TIMES };

/**
 * struct state_log - one look at it.
 * @fd, @index: -1: there is no such file.
 * @end, @mtime: of the log; nanoseconds since the epoch.
 * @n:     entries that there are. @last: the newest, all 0 without any.
 * @plain: there is no index, or none that can be believed: all of it is standard output, of
 *         @mtime.
 * @tail:  what has no entry is shown. The caller says so where no monitor is about to write one.
 * @start: the oldest position in the log that is kept. @cut: as the bound asks, wherever a line
 *         begins.
 */
struct state_log {
	int fd, index;
	uint64_t end, mtime;
	uint64_t n;
	struct wire_log_entry last;
	bool plain, tail;
	uint64_t start;
	bool cut;
};

/** state_log_open() - @flags: O_RDONLY or O_RDWR. Files that do not exist are an empty log. Free
 * with state_log_close(), also after a failure. */
int state_log_open(int dirfd, int flags, struct state_log *ret, struct ctn_err *err);
void state_log_close(struct state_log *l);

/** state_log_bound() - set @l->start: what was put out before @cleared, or is beyond @max bytes,
 * is not kept. */
void state_log_bound(struct state_log *l, uint64_t cleared, uint64_t max);

/**
 * state_log_check() - whether the index can be believed.
 * @checked: entries that were looked at before; how many, from now on.
 * Return: 0; -EBADMSG: call state_log_plain(); -errno.
 */
int state_log_check(const struct state_log *l, uint64_t *checked);
/** state_log_plain() - go on as if there were no index. */
void state_log_plain(struct state_log *l);

/** state_log_range() - from where to where a view goes. log.times begins with the first whole line,
 * or entry. -EBADMSG: the index and the log do not agree. */
int state_log_range(const struct state_log *l, enum log_view view, uint64_t *ret_start,
		    uint64_t *ret_end);

/** state_log_read() - up to @size bytes from position @pos, or from where it goes on. Return:
 * bytes, 0 at the end; -EBADMSG; -ENOMEM; -errno. */
ssize_t state_log_read(const struct state_log *l, enum log_view view, uint64_t pos, void *buf,
		       size_t size);

/** state_log_time() - when the last byte of a view came, to a millisecond; 0: never. */
uint64_t state_log_time(const struct state_log *l, enum log_view view);

/** state_log_drop() - give the space of all there is back, but for what tells how it goes on. @l:
 * opened O_RDWR. */
void state_log_drop(const struct state_log *l);

#endif
