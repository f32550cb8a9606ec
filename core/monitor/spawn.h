/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CTNFS_CORE_MONITOR_SPAWN_H
#define CTNFS_CORE_MONITOR_SPAWN_H

#include "monitor.h"

/**
 * struct spawned - a first process on its way to execve.
 * @pid:    0 while there is none. @pidfd: -1 then.
 * @start:  ticks since boot at which it began.
 * @report: reading end: one struct wire_error, or end of file at execve.
 * @go:     to a stage that parks (WIRE_PARK): what it is to go on with; its end ends the stage. -1.
 */
struct spawned {
	pid_t pid;
	int pidfd, report, go;
	uint64_t start;
	struct stdio io;
};

/** spawn() - make it. On failure a @ret->pid that is not 0 still has to be killed and reaped.
 */
int spawn(const struct plan *p, struct spawned *ret, struct ctn_err *err);

/** spawn_undo() - whatever there is of one that parks: killed and reaped, and all closed. */
void spawn_undo(struct spawned *s);

/** spawn_adopt() - take over a first process that runs already. It is not our child: its exit
 * status stays unknown. */
int spawn_adopt(const struct plan *p, struct spawned *ret, struct ctn_err *err);

#endif
