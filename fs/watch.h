/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CTNFS_FS_WATCH_H
#define CTNFS_FS_WATCH_H

#include "node.h"

/** watch_end() - forget all pollers: the server ends. */
void watch_end(void);

#endif
