/* SPDX-License-Identifier: Apache-2.0 */
/* Which limits have changed. Shared by the files that implement container.h. */
#ifndef CTNFS_CORE_CONTAINER_LIMITS_H
#define CTNFS_CORE_CONTAINER_LIMITS_H

#include "container_private.h"
#include "journal.h"

enum { LIMITS_MAX = 64, JOURNAL_VALUE_MAX = 600 };

/* A value for each row of cgroup_knobs that was looked at, and a bit for each that has changed. */
struct limits {
	char *text[LIMITS_MAX];
	uint64_t changed;
};

/** limits_see() - the values now; of @one knob, or all that are kept. limits_compare() - those now,
 * and which of them are others: into @c, whose record is to be saved next. With c->edit held. Free
 * with limits_free(). */
void limits_see(const struct container *c, const struct cgroup_knob *one, struct limits *ret);
void limits_compare(struct container *c, struct limits *l);
void limits_free(struct limits *l);

/** limits_begin() - limits are about to be changed, which are not in the record yet. limits_end() -
 * they are, or are as they were. limits_restore() - by the next server, where that was cut off:
 * take away what is not in the record. container_replace.c; with c->edit held, or before anybody
 * else sees it. */
void limits_begin(const struct container *c);
void limits_end(const struct container *c);
void limits_restore(const struct container *c);

/** limits_note() - a line for each that has changed. Under c->lock. */
void limits_note(struct container *c, const struct limits *l);

/** limits_describe() - KNOB=VALUE as it is now. False: it cannot be read. */
bool limits_describe(const struct container *c, const struct cgroup_knob *knob, char *ret,
		     size_t size);

#endif
