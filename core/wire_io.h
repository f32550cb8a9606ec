/* SPDX-License-Identifier: Apache-2.0 */
/* Sending and receiving one message with descriptors, for both ends of wire.h. */
#ifndef CTNFS_CORE_WIRE_IO_H
#define CTNFS_CORE_WIRE_IO_H

#include <stddef.h>
#include <sys/types.h>

enum { WIRE_IO_FDS_MAX = 32 };

/** wire_send() - one message. Return: bytes or -errno (no SIGPIPE). Thread: any. */
ssize_t wire_send(int sock, const void *data, size_t len, const int *fds, size_t n_fds);

/**
 * wire_receive() - one message.
 * @fds: room for @max descriptors, which arrive close-on-exec; what does not fit is closed. May be
 * NULL when @max is 0.
 * @ret_n: how many of @fds were filled; may be NULL when @max is 0. Untouched on failure.
 * Return: bytes, 0 at the end of the connection, however that came, -EMSGSIZE (nothing kept),
 * -errno. Thread: any.
 */
ssize_t wire_receive(int sock, void *data, size_t len, int *fds, size_t max, size_t *ret_n);

/**
 * wire_connect() - a connection to the monitor whose run directory is @run.
 * Return: the socket, blocking and close-on-exec; -ENOENT, -ECONNREFUSED (there is none);
 * -ETIMEDOUT (its queue was full for five seconds); -errno. Thread: any.
 */
int wire_connect(int run);

#endif
