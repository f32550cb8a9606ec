/* SPDX-License-Identifier: Apache-2.0 */
/* Words to the administrator: only what nobody else can be told. */
#ifndef CTNFS_CORE_LOG_H
#define CTNFS_CORE_LOG_H

#include <stdbool.h>

/** log_init() - where they go from now on: standard error, or syslog(3). Before it: standard error.
 * Thread: main. */
void log_init(bool foreground);

/** log_warn() - something is wrong and the server goes on. log_info() - worth a line. @fmt: one
 * sentence without a newline. Thread: any. */
void log_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
