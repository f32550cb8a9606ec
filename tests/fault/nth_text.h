/* SPDX-License-Identifier: Apache-2.0 */
/* What a system call is about. */
#ifndef CTNFS_TESTS_FAULT_NTH_TEXT_H
#define CTNFS_TESTS_FAULT_NTH_TEXT_H

#include <stddef.h>
#include <sys/types.h>

struct ptrace_syscall_info;

/** call_text() - of the call that @tid, which is stopped before it, is about to do: the files,
 * strings and signals that it names, with blanks between them; "" where that is not known. */
void call_text(pid_t tid, const struct ptrace_syscall_info *info, char *ret, size_t size);

#endif
