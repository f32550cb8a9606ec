/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The OOM killer's visits: noticed when they happen, written into the journal once.
 *
 * How many there were is the kernel's counter in each cgroup. Whom it killed, only the kernel's log
 * tells, which is also what wakes us; where that may not be read, the cgroup's own notification
 * does, and nobody knows whom.
 *
 * Thread: the main one until engine_start(), then the event thread; container_print_last_oom():
 * any.
 */
#ifndef CTNFS_CORE_OOM_H
#define CTNFS_CORE_OOM_H

#include <stdint.h>
#include <stdio.h>

#include "container.h"

/** oom_open() - prepare it. oom_start() - be woken from now on. oom_close() - NULL is fine. */
struct oom;
int oom_open(struct oom **ret, struct ctn_err *err);
int oom_start(struct engine *e, struct ctn_err *err);
void oom_close(struct oom *oom);

/** oom_begin() - nobody of @c was killed yet: what the log tells so far is about others, of whom
 * one may have had its name. Before anybody else has it; any thread. */
void oom_begin(struct container *c);

/** oom_load() - what an earlier server knew about @c. Before anybody else has it. */
void oom_load(struct container *c);

/** oom_watch() - it runs. oom_unwatch() - it does not; under c->lock. */
void oom_watch(struct container *c);
void oom_unwatch(struct container *c);

/** oom_note() - has the OOM killer been there since the last time? Then it was not later than
 * @latest (nanoseconds since the epoch; 0: just now). Of a session nothing is told: the memory is
 * its container's. No lock held. */
void oom_note(struct container *c, uint64_t latest);

/** oom_detail() - what a line of the journal says about the last that is known; under c->lock.
 * Return: how many there were in that run, 0: none that it is to tell of. */
enum { OOM_DETAIL_MAX = 160 };
uint64_t oom_detail(const struct container *c, char *ret, size_t size);

/** oom_on_engine(), oom_on_event() - for loop.c. */
void oom_on_engine(struct engine *e);
void oom_on_event(struct container *c);

#endif
