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

/** mounts_clone() - a detached copy of what is at @path, with all below it, and @attr set. Return:
 * 1; 0 when there is no directory; -errno. */
int mounts_clone(const char *path, unsigned attr, int *ret, struct ctn_err *err);

/* mounts_dev.c */
/** mounts_tmpfs() - the file system that serves /dev /dev/shm /tmp /run and the masks. */
int mounts_tmpfs(const struct plan *p, int *ret, struct ctn_err *err);
/** mounts_outside() - those entries of `mounts` but the binds that only the parent can make, in
 * @m->user. */
int mounts_outside(const struct plan *p, struct mounts *m, struct ctn_err *err);

/* mounts_root.c */
/** root_own() - a detached clone of the user's directory, mapped and restricted. In the host's
 * mount namespace. @userns: -1 where ids are the host's. */
int root_own(const struct plan *p, int userns, int *ret, struct ctn_err *err);
/** root_make() - the detached root, in @m->root: what root_own() gave, or an overlay over that or
 * over the skeleton, which is in @m->lower then. @own: -1 without one; taken over. */
int root_make(const struct plan *p, int userns, int own, struct mounts *m, struct ctn_err *err);

/* mounts_binds.c */
/** binds_user() - a detached mount in @m->user for each bind of `mounts`. In the host's mount
 * namespace. */
int binds_user(const struct plan *p, int userns, struct mounts *m, struct ctn_err *err);

/**
 * mounts_own_state() - whether what is open at @at gives away ctnfs's own directories: it is one of
 * them, or has one below it, or is in one. @ret: untouched on failure. A container that could write
 * there could write anything on the host.
 */
int mounts_own_state(const struct plan *p, int at, bool *ret, struct ctn_err *err);

#endif
