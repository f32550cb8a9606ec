/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CTNFS_CORE_MONITOR_JOINS_H
#define CTNFS_CORE_MONITOR_JOINS_H

#include "monitor.h"

/**
 * struct joined - a first process in namespaces of others.
 * @proc, @sys: detached mounts of those namespaces' own, where its root may not make them; -1.
 */
struct joined {
	pid_t pid;
	int pidfd;
	int proc, sys;
};

/** joins_fd() - the namespace of that kind that it joins, or -1. joins_owned() - whether it joins
 * one that belongs to its own user namespace, so that its root has its rights there. */
int joins_fd(const struct plan *p, uint64_t clone_flag);
bool joins_owned(const struct plan *p, uint64_t clone_flag);

/**
 * joins_clone() - clone3(2) in the namespaces to join.
 * @args: flags and cgroup are given.
 * Return: 0 in the new process; its pid, with @ret filled; -errno. The new process is the caller's
 * child. Thread: only one.
 */
pid_t joins_clone(const struct plan *p, struct clone_args *args, struct joined *ret,
		  struct ctn_err *err);

#endif
