/* SPDX-License-Identifier: Apache-2.0 */
/* Programs that `exec` has begun, as the monitor has written them down. Shared by the files that
 * implement container.h. */
#ifndef CTNFS_CORE_CONTAINER_EXECED_H
#define CTNFS_CORE_CONTAINER_EXECED_H

#include "container_private.h"

/**
 * execed_read() - those of the run that has started at @run, from number @after + 1 on.
 * @fn:    called for each in order; with number 0 and, as @time, how many there were whose record
 *         is not there any more.
 */
void execed_read(const struct container *c, uint64_t run, uint64_t after,
		 void (*fn)(void *arg, const struct wire_execed *e), void *arg);

/** execed_detail() - pid= program= */
enum { EXECED_DETAIL_MAX = 128 };
void execed_detail(char *ret, size_t size, const struct wire_execed *e);

/** execed_note() - what the journal has not of the present run. On the event thread. */
void execed_note(struct container *c);

#endif
