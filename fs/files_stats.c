/* SPDX-License-Identifier: Apache-2.0 */
/* Files about all containers at once. */
#include "../core/stats.h"
#include "files.h"

int show_stats(const struct node_ref *ref, FILE *out, struct ctn_err *err)
{
	return stats_print(ref->fs->engine, out, err);
}

int show_metrics(const struct node_ref *ref, FILE *out, struct ctn_err *err)
{
	return stats_print_metrics(ref->fs->engine, CTNFS_VERSION, out, err);
}
