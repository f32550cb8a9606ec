/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CTNFS_FS_WATCH_H
#define CTNFS_FS_WATCH_H

#include "node.h"

/** watch_begin() - the server starts: a thread that learns when logs grow. It has
 * the caller's signal mask. watch_end() - it ends: that thread, and all pollers are
 * forgotten. After a failed watch_begin(), or none, nothing. */
int watch_begin(struct ctn_err *err);
void watch_end(void);

#endif
