/* SPDX-License-Identifier: Apache-2.0 */
/* What a server finds when it starts: containers of earlier ones, with or without a monitor. */
#ifndef CTNFS_CORE_ADOPT_H
#define CTNFS_CORE_ADOPT_H

#include <stdbool.h>

#include "container_private.h"

/** adopt_all() - each that the state directory has. What cannot be understood is left where it is,
 * and said. Thread: main, before there are others. */
int adopt_all(struct engine *e, struct ctn_err *err);

/* adopt_records.c, before anybody else sees the container */
/** adopt_exit_record() - how its last run ended. adopt_log_start() - where its log begins.
 * adopt_running_spec() - what the running program was started with; its command is the container's
 * from now on, too. */
void adopt_exit_record(struct container *c);
void adopt_log_start(struct container *c);
void adopt_running_spec(struct container *c);
/** adopt_is_monitored() - whether a monitor has its lock, and is not about to end: one that has
 * written down the end of the program is waited for. */
bool adopt_is_monitored(const struct container *c);

#endif
