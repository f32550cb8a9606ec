/* SPDX-License-Identifier: Apache-2.0 */
/* A stage that is made ahead of the start, as far as what is known by then goes, and waits. */
#ifndef CTNFS_CORE_MONITOR_PARK_H
#define CTNFS_CORE_MONITOR_PARK_H

#include "talk.h"

/** plan_fits() - whether a stage that was prepared by @a can go on with @b: all that is used before
 * it parks is the same. What may differ is listed there, so that whatever is added later may not.
 */
bool plan_fits(const struct plan *a, const struct plan *b);

/**
 * park() - prepare m->plan, then wait for the start message; m->plan and m->message are that's
 * then. Return: 1: the prepared stage goes on with it, as m->first; 0: nothing is left of that, and
 * the start has to be made from the beginning; -ECONNRESET: the server has gone; -errno. What could
 * not be prepared is not said: the start will meet it again.
 */
int park(struct monitor *m, struct ctn_err *err);

#endif
