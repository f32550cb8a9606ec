/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the parent's side share, mounts*.c. Not for the stage. */
#ifndef CTNFS_CORE_MONITOR_MOUNTS_H
#define CTNFS_CORE_MONITOR_MOUNTS_H

#include "monitor.h"

struct fs_option {
	const char *key, *value;
};

/* mounts.c */
/** mounts_fs() - a detached mount of a new file system. @attr: MOUNT_ATTR_…. */
int mounts_fs(const char *type, const struct fs_option *options, size_t n, unsigned attr, int *ret,
	      struct ctn_err *err);

/* mounts_root.c */
/** root_make() - the detached root: an overlay over the skeleton or over the user's directory, or
 * that directory itself. @userns: -1 where ids are the host's. */
int root_make(const struct plan *p, int userns, int *ret, struct ctn_err *err);

/* mounts_binds.c */
/** binds_user() - a detached mount in @m->user for each bind of `mounts`. */
int binds_user(const struct plan *p, int userns, struct mounts *m, struct ctn_err *err);

/**
 * mounts_own_state() - whether what is open at @at gives away ctnfs's own directories: it is one of
 * them, or has one below it, or is in one. @ret: untouched on failure. A container that could write
 * there could write anything on the host.
 */
int mounts_own_state(const struct plan *p, int at, bool *ret, struct ctn_err *err);

#endif
