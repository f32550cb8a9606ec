/* SPDX-License-Identifier: Apache-2.0 */
/* The programs that `exec` has begun, written down for the server, which may be away. */
#ifndef CTNFS_CORE_MONITOR_EXECED_H
#define CTNFS_CORE_MONITOR_EXECED_H

#include <stdbool.h>

#include "../wire.h"

/** struct execed - @looked: what an earlier monitor of this run has written is known. @n: how many.
 */
struct execed {
	bool looked;
	uint64_t n;
};

/** execed_note() - into the ring in @run_fd. @new: what the one who has entered says of it.
 * @started: the run's. */
void execed_note(struct execed *x, int run_fd, uint64_t started, const struct wire_execed *new);

#endif
