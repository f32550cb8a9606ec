/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CTNFS_CORE_MONITOR_RIGHTS_H
#define CTNFS_CORE_MONITOR_RIGHTS_H

#include <sys/resource.h>

#include "monitor.h"

/**
 * rights_before() - by the monitor, before the stage is made: raise its own hard limits to those
 * that the container is to get, and see that no setting of a namespace would be the host's.
 * Return: 0; -EPERM, -EINVAL with a sentence that names the limit or setting.
 */
int rights_before(const struct plan *p, struct ctn_err *err);

/**
 * rights_after() - by the monitor, on the waiting stage @pid: oom_score_adj, scheduler, ioPriority.
 * @go: the channel to the stage, which with WIRE_SCHEDULER says on it that it is in its cgroups.
 * Return: 0; -EACCES (oom_score_adj), -EPERM, -errno. Source: proc(5), sched_setattr(2),
 * ioprio_set(2).
 */
int rights_after(const struct plan *p, pid_t pid, int procfd, int go, struct ctn_err *err);

/** rights_self() - the same for the calling process, which is in its control groups already.
 * oom_score_adj is left alone where lowering it is not allowed. */
int rights_self(const struct plan *p, struct ctn_err *err);

/** limit_name() - "nofile" for RLIMIT_NOFILE. limit_fail() - what errno means when @want was
 * refused and the hard limit is @have. */
const char *limit_name(uint32_t resource);
int limit_fail(const struct wire_rlimit *want, rlim_t have, struct ctn_err *err);

#endif
