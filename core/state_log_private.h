/* SPDX-License-Identifier: Apache-2.0 */
/* Going through a log entry by entry, for state_log*.c alone. */
#ifndef CTNFS_CORE_STATE_LOG_PRIVATE_H
#define CTNFS_CORE_STATE_LOG_PRIVATE_H

#include "state_log.h"

enum { CURSOR_BATCH = 64 };

/**
 * struct log_cursor - an entry and the one before it.
 * @by:    whose positions it is looked for by.
 * @times: ends in log.times are wanted also of what has no entry, which must be read for that.
 * @next:  the number of the entry behind it.
 * @before: all 0 for the first; @log_end 0 where it was dropped. @now: it.
 * @indexed: it is of the index, not made up.
 */
struct log_cursor {
	const struct state_log *log;
	enum log_view by;
	bool times;
	uint64_t next;
	struct wire_log_entry before, now;
	bool indexed;
	uint64_t batch_at, batch_n;
	struct wire_log_entry batch[CURSOR_BATCH];
};

/** cursor_begin() - before the first entry. cursor_seek() - to the first that ends behind @pos.
 * cursor_next() - to the next one. Return: 1; 0: there is none; -EBADMSG, -errno. */
void cursor_begin(struct log_cursor *c, const struct state_log *l, enum log_view by, bool times);
int cursor_seek(struct log_cursor *c, uint64_t pos);
int cursor_next(struct log_cursor *c);

/** cursor_begins() - the position in the log at which what can be read of the entry begins; its end
 * where nothing can. */
uint64_t cursor_begins(const struct log_cursor *c);

/** entry_end() - where it ends in a view. */
uint64_t entry_end(const struct wire_log_entry *e, enum log_view view);

/** log_entries() - up to @n entries from number @i on. Return: how many; -errno. */
ssize_t log_entries(const struct state_log *l, uint64_t i, struct wire_log_entry *ret, size_t n);
/** log_bytes() - exactly @len bytes from position @pos. 0; -EBADMSG: there are fewer; -errno. */
int log_bytes(const struct state_log *l, uint64_t pos, char *data, size_t len);
/** log_line_ends() - whether the byte before @pos ends a line; 0, 1, -errno. */
int log_line_ends(const struct state_log *l, uint64_t pos);

#endif
