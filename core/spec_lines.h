/* SPDX-License-Identifier: Apache-2.0 */
/* The lines of `rlimits`, `sysctl`, `devices` and `paths`. Pure: text in, values out; each parser
 * takes one line as a person writes it, and one that accepted it takes its own canonical form, too.
 */
#ifndef CTNFS_CORE_SPEC_LINES_H
#define CTNFS_CORE_SPEC_LINES_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "err.h"
#include "ns.h"
#include "strlist.h"

enum { LINE_NAME_MAX = 128, LINE_PATH_MAX = 4096 };

/** struct spec_rlimit - "nofile 1024 4096": getrlimit(2). @resource: RLIMIT_…; RLIM_INFINITY is
 * `max` (and `unlimited`). One number is both. */
struct spec_rlimit {
	int resource;
	uint64_t soft, hard;
};

/** spec_rlimit_parse() - -EINVAL for an unknown name, a number that is none, soft over hard. Also
 * accepts RLIMIT_NOFILE. spec_rlimit_name() - "nofile", or NULL. */
int spec_rlimit_parse(const char *line, struct spec_rlimit *ret, struct ctn_err *err);
const char *spec_rlimit_name(int resource);
int spec_rlimit_line(const struct spec_rlimit *limit, char **ret, struct ctn_err *err);

/**
 * struct spec_sysctl - "net.core.somaxconn = 1024".
 * @key:  with dots or, where a part has a dot in it, slashes: as written. @path: below /proc/sys.
 * @kind: the namespace that the setting belongs to.
 */
struct spec_sysctl {
	char key[LINE_NAME_MAX], path[LINE_NAME_MAX];
	char value[LINE_NAME_MAX * 8];
	enum ns_kind kind;
};

/** spec_sysctl_parse() - -EINVAL for a key that belongs to no namespace (it would be the whole
 * host's), "..", an empty part, another byte than [A-Za-z0-9_.-/]. */
int spec_sysctl_parse(const char *line, struct spec_sysctl *ret, struct ctn_err *err);
int spec_sysctl_line(const char *key, const char *value, char **ret, struct ctn_err *err);

/**
 * struct spec_device - "c 1:3 rwm /dev/null [mode [uid:gid]]": what may be used, and with @path
 * the node that is made.
 * @type: 'c', 'b', or 'a' for both. @major, @minor: -1 for `*`. @access: mask of "rwm", 4 2 1.
 * @path: "" for a rule without a node. @mode: permission bits, default 0666. @uid, @gid: inside.
 */
struct spec_device {
	char type;
	int64_t major, minor;
	unsigned access;
	char path[LINE_PATH_MAX];
	mode_t mode;
	uid_t uid, gid;
};

int spec_device_parse(const char *line, struct spec_device *ret, struct ctn_err *err);
int spec_device_line(const struct spec_device *device, char **ret, struct ctn_err *err);
extern const char *const spec_default_devices[]; /* canonical lines, NULL-terminated */

/** struct spec_path - "masked /proc/kcore": reads as empty; "readonly /proc/sys". @path: absolute,
 * without "." and "..". */
struct spec_path {
	bool masked; /* false: read-only */
	char path[LINE_PATH_MAX];
};

int spec_path_parse(const char *line, struct spec_path *ret, struct ctn_err *err);
int spec_path_line(const struct spec_path *path, char **ret, struct ctn_err *err);
extern const char *const spec_default_paths[]; /* canonical lines, NULL-terminated */

#endif
