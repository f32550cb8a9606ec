/* SPDX-License-Identifier: Apache-2.0 */
/* The skeleton: the lower layer of every container whose root file system is `host`. */
#ifndef CTNFS_CORE_ROOTFS_H
#define CTNFS_CORE_ROOTFS_H

#include "err.h"

/**
 * rootfs_skeleton_open() - make, or find already made, the skeleton of this host.
 * @statefd: the server's state directory; the skeleton is "skeleton-<key>" in it.
 * @exclude: absolute paths (NULL-terminated) whose directories are not shown below /var: our own
 * state.
 * @ret_name: the directory's name in @statefd, to be freed.
 *
 * Content: copies of the regular files and symbolic links in /etc that any local user may read
 * (directories only where any user may enter and list; owners, modes, times kept; never setuid
 * bits; /etc/hostname is empty: the container's own is mounted there), /var as empty directories
 * with their owners and modes and the links directly in it (run -> /run); nothing below those that
 * others cannot list or that others may write, and no other file system is entered; the top-level
 * symbolic links (/bin -> usr/bin), and empty directories for usr opt proc sys dev tmp run root
 * home srv mnt media boot and, where they are no links, bin sbin lib*. /tmp and /var/tmp are 1777;
 * /root is 0700.
 *
 * The key is a digest of what was seen (paths, modes, sizes, times), so a host whose /etc has
 * changed gets another skeleton and running containers keep theirs. It is built under a temporary
 * name and renamed when complete.
 *
 * Return: 0 or -errno. Thread: main, once.
 */
int rootfs_skeleton_open(int statefd, const char *const *exclude, char **ret_name,
			 struct ctn_err *err);

/** rootfs_skeleton_sweep() - remove the skeletons, finished or not, that @keep() does not claim. */
int rootfs_skeleton_sweep(int statefd, int (*keep)(const char *name, void *arg), void *arg,
			  struct ctn_err *err);

#endif
