/* SPDX-License-Identifier: Apache-2.0 */
/* The index beside a log (struct wire_log_entry), for the monitor that writes it and the server
 * that reads it: sums, no system calls. */
#ifndef CTNFS_CORE_WIRE_LOG_H
#define CTNFS_CORE_WIRE_LOG_H

#include <stdbool.h>
#include <stddef.h>

#include "wire.h"

enum { WIRE_LOG_PIECE = 64 << 10 }; /* bytes of the log that one entry stands for, at most */

/** wire_log_room() - how many entries are kept beside a log of at most @max bytes: what is before
 * the oldest of them is dropped from the log, too. */
uint64_t wire_log_room(uint64_t max);

/** wire_log_text() - how long @len > 0 bytes of output are in log.times. @middle: they go on with a
 * line. */
uint64_t wire_log_text(const char *data, size_t len, bool middle);

/**
 * wire_log_begin() - an entry behind @before that has no bytes yet.
 * @before: all 0 where there is none.
 * @ended:  the log ends with a line, or is empty.
 */
struct wire_log_entry wire_log_begin(const struct wire_log_entry *before, bool ended,
				     enum wire_stream stream, uint64_t time);

/** wire_log_grow() - @len > 0 bytes more in the newest entry. @middle: they go on with a line. */
void wire_log_grow(struct wire_log_entry *e, bool middle, const char *data, size_t len);

/** wire_log_sound() - whether it can be an entry of a log of @end bytes. One that is not may have
 * been dropped: then its @log_end is 0. */
bool wire_log_sound(const struct wire_log_entry *e, uint64_t end);

/** wire_log_follows() - whether two sound entries can be neighbours; @before all 0: @e the first.
 */
bool wire_log_follows(const struct wire_log_entry *before, const struct wire_log_entry *e);

#endif
