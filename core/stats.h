/* SPDX-License-Identifier: Apache-2.0 */
/* All containers at one look: the files `stats` and `metrics`. */
#ifndef CTNFS_CORE_STATS_H
#define CTNFS_CORE_STATS_H

#include <stdio.h>

#include "container.h"

/** stats_print() - a header and an aligned line a container, ascending by name: name, state, pid,
 * seconds of processor time, bytes of memory, their limit, processes and threads. `max` is no
 * limit, `-` nothing. -ENOMEM. Thread: any, with no lock held. */
int stats_print(struct engine *e, FILE *out, struct ctn_err *err);

/** stats_print_metrics() - the same and more in Prometheus' text format 0.0.4. @version: the
 * server's. -ENOMEM. Thread: as above. */
int stats_print_metrics(struct engine *e, const char *version, FILE *out, struct ctn_err *err);

/**
 * struct stats_row - one container.
 * @figures:     as many as were asked for.
 * @log_dropped: bytes of its log; only where all figures were asked for.
 */
struct stats_row {
	struct container_view view;
	uint64_t figures[CGF_COUNT];
	uint64_t log_dropped;
};

struct stats {
	struct stats_row *rows;
	size_t n;
};

/** stats_collect() - all containers but those that have just been removed, ascending by name. Each
 * view is of one moment. @ret: to be freed with stats_free(). -ENOMEM. */
int stats_collect(struct engine *e, size_t n_figures, struct stats *ret, struct ctn_err *err);
void stats_free(struct stats *stats);

#endif
