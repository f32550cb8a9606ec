/* SPDX-License-Identifier: Apache-2.0 */
/* Which system calls count. */
#ifndef CTNFS_TESTS_FAULT_NTH_CALLS_H
#define CTNFS_TESTS_FAULT_NTH_CALLS_H

#include <sys/types.h>

struct ptrace_syscall_info;

struct call {
	long nr;
	const char *name;
	unsigned classes;
	/* NULL, or whether the call with these arguments counts. */
	int (*counts)(const unsigned long long *args);
};

/** call_class() - "changes", "space", "io", "files", "memory", "any" of them; 0: no such class. */
unsigned call_class(const char *name);

/** call_find() - the row of the call that @tid is about to do, or NULL: not of that class, or about
 * the FUSE device where it is to fail (the kernel's own requests do not). */
const struct call *call_find(pid_t tid, unsigned class, const struct ptrace_syscall_info *info);

#endif
