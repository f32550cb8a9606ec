/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CTNFS_CORE_MONITOR_NURSERY_H
#define CTNFS_CORE_MONITOR_NURSERY_H

#include <stdbool.h>

/** What ps(1) calls it. */
#define NURSERY_NAME "ctnfs-nursery"

/** nursery_wanted() - whether that is the first thing the server says; blocks until it says one. */
bool nursery_wanted(void);

/** nursery() - make monitors as long as there is a server. Returns in each of them, with its own
 * connection as WIRE_SOCKET_FD. */
void nursery(void);

#endif
