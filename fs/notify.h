/* SPDX-License-Identifier: Apache-2.0 */
/* What the server tells whoever manages services: sd_notify(3). Its protocol is a line or more in a
 * datagram, documented to be stable there, so that no library is needed for it. */
#ifndef CTNFS_FS_NOTIFY_H
#define CTNFS_FS_NOTIFY_H

#include "../core/err.h"

/**
 * notify_send() - printf(3)'s: KEY=VALUE lines, to the socket that NOTIFY_SOCKET in the environment
 * names.
 * Return: 0, also where nobody asked for it; -errno. Waits for at most a few seconds. Thread: main.
 */
int notify_send(struct ctn_err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
