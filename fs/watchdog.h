/* SPDX-License-Identifier: Apache-2.0 */
/* Whether the threads that answer requests get on: one that hangs in a request may hold a lock that
 * all others come to want, and then whoever touches the mount waits for ever, unkillably. */
#ifndef CTNFS_FS_WATCHDOG_H
#define CTNFS_FS_WATCHDOG_H

#include <stddef.h>
#include <sys/types.h>

#include "../core/err.h"

struct iovec;

/** watchdog_read(), watchdog_writev() - how the session reads requests and answers them (struct
 * fuse_custom_io): a thread that comes for the next one has done with the last. No system call
 * more, no lock. A request that is put aside is nobody's, and so is not watched. */
ssize_t watchdog_read(int fd, void *buf, size_t len, void *userdata);
ssize_t watchdog_writev(int fd, struct iovec *iov, int count, void *userdata);

/**
 * watchdog_begin() - once a thread is in the middle of one request for @secs seconds, abort the
 * connection through @abort_fd, say which request it was, and end this process. Users of the mount
 * get ENOTCONN then, containers go on. Time in which this process does not run (SIGSTOP, a machine
 * that sleeps, or has no processor for it) is not counted.
 * @abort_fd: /sys/fs/fuse/connections/N/abort; borrowed. @secs: 0: never; nothing is begun.
 */
int watchdog_begin(int abort_fd, unsigned secs, struct ctn_err *err);
/** watchdog_end() - from now on nothing is aborted. NULL effect where it was not begun. */
void watchdog_end(void);

#endif
