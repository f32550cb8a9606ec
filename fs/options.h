/* SPDX-License-Identifier: Apache-2.0 */
/* The command line. */
#ifndef CTNFS_FS_OPTIONS_H
#define CTNFS_FS_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "../core/err.h"
#include "shield.h"

/**
 * struct options - what the user asked for. Free with options_free().
 * @source:     first column of mounts(5).
 * @mountpoint: as given.
 * @state, @run: absolute.
 * @cgroup:     NULL: below the server's own.
 * @group:      gid of -o group; -1 without.
 * @watchdog:   seconds; 0: off.
 * @help, @version, @tree: print that and exit; nothing else is checked then.
 */
struct options {
	char *source, *mountpoint;
	char *state, *run, *cgroup;
	char *group_name;
	char *subid, *spares_text, *watchdog_text, *filter_text;
	gid_t group;
	uint32_t subid_base, subid_count;
	unsigned spares, watchdog;
	enum shield_filter filter;
	int help, version, tree, foreground, debug, single;
};

/** options_parse() - 0; -EINVAL with a sentence. @ret is to be freed in both cases. */
int options_parse(int argc, char **argv, struct options *ret, struct ctn_err *err);
void options_free(struct options *o);

/** options_usage() - the text of -h. */
const char *options_usage(void);

#endif
