/* SPDX-License-Identifier: Apache-2.0 */
/* The mount: made in the host's mount namespace, out of sight of the server itself. */
#ifndef CTNFS_FS_MOUNT_H
#define CTNFS_FS_MOUNT_H

#include <stdbool.h>
#include <stdint.h>

#include "../core/err.h"

/**
 * struct mount - one mount of ours.
 * @path:    absolute, without symbolic links.
 * @fuse_fd: its channel; -1 while not mounted. Taken over by the session.
 * @host_ns: descriptor of the mount namespace that it is in.
 * @dev:     st_dev of its files, by which it is recognised.
 * @mounted: it was made and has not been taken down by us.
 * @abort_fd: aborts the connection when written to; -1 where the kernel does not offer that.
 */
struct mount {
	char *path;
	int fuse_fd;
	int host_ns;
	uint64_t dev;
	bool mounted;
	int abort_fd;
};

#define MOUNT_EMPTY ((struct mount){.fuse_fd = -1, .host_ns = -1, .abort_fd = -1})

/** mount_prepare() - open the present mount namespace; find the directory; take away a dead mount
 * of a killed server. @mountpoint: may be relative. Thread: main. */
int mount_prepare(struct mount *m, const char *mountpoint, struct ctn_err *err);

/** mount_attach() - open /dev/fuse and mount it. @others: let users other than root in. */
int mount_attach(struct mount *m, const char *source, bool others, struct ctn_err *err);

/**
 * mount_hide() - go into a mount namespace of our own, where ours is not mounted.
 *
 * A thread that touched its own mount would wait for itself, unkillably. Call it before there are
 * threads.
 */
int mount_hide(const struct mount *m, struct ctn_err *err);

/** mount_detach() - take it down, if it is there and still ours. When threads are gone. */
void mount_detach(struct mount *m);

/** mount_free() - close and free; what is mounted stays. */
void mount_free(struct mount *m);

#endif
