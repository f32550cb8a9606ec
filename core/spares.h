/* SPDX-License-Identifier: Apache-2.0 */
/* Containers that are made ahead: all of them but the name and what it is to run, with the process
 * that waits for that (launch_park.h). mkdir takes one of them, and a thread makes the next.
 *
 * A spare is in the registry, with a name that nobody can give or find, so that its ids and its
 * serial are its own. On disk it is what a mkdir that was interrupted leaves, which the next server
 * removes. While one is ready, the next is made only a moment after mkdir, when its container runs
 * or has ended: that is not to wait for a processor. None is made before the first mkdir; after
 * half a minute without another, none is left, and nothing waits any more in those that were taken
 * and not started. */
#ifndef CTNFS_CORE_SPARES_H
#define CTNFS_CORE_SPARES_H

#include <stdbool.h>

#include "err.h"

struct engine;
struct container;
struct spares;

/** spares_new() - start the thread that keeps e->spares_max of them. spares_free() - end it, and
 * remove them and all that waits. Thread: main, without signals. NULL is fine. */
int spares_new(struct engine *e, struct spares **ret, struct ctn_err *err);
void spares_free(struct spares *s);

/** spares_take() - one of them, with a reference, to be named and published or given back. NULL:
 * there is none now; @s may be NULL. spares_give_back() - it is as it was. Thread: any; no lock
 * held.
 */
struct container *spares_take(struct spares *s);
void spares_give_back(struct spares *s, struct container *c);

/** spares_go_on() - a container has ended: whoever led it is not in a hurry now. */
void spares_go_on(struct spares *s);

/** spares_forget() - nothing waits in @c any more. */
void spares_forget(struct spares *s, struct container *c);

/** spares_clear() - remove all that are not taken, since something of theirs is in the way, and
 * make none until the next spares_take(). Return: whether there were any. Blocks. */
bool spares_clear(struct spares *s);

#endif
