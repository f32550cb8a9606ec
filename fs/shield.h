/* SPDX-License-Identifier: Apache-2.0 */
/* What the server gives up once it has all that it needs for that. */
#ifndef CTNFS_FS_SHIELD_H
#define CTNFS_FS_SHIELD_H

#include "../core/err.h"

/** What becomes of a system call that the server has no use for: it fails with ENOSYS, and the
 * kernel's log has it; nothing, there is no filter; the server is killed (for tests). */
enum shield_filter { SHIELD_ON, SHIELD_OFF, SHIELD_KILL };

/**
 * shield() - give up every capability that the server has no use for, and from now on every system
 * call. For good, and for all threads that are started later: call it while there is one, and after
 * engine_begin(), since monitors need more. In a build with a sanitizer that needs other calls
 * there is no filter.
 */
int shield(enum shield_filter filter, struct ctn_err *err);

#endif
