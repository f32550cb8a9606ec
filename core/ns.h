/* SPDX-License-Identifier: Apache-2.0 */
/* namespaces(7): the project's one table of kinds. */
#ifndef CTNFS_CORE_NS_H
#define CTNFS_CORE_NS_H

#include <stdint.h>
#include <sys/types.h>

#include "err.h"

/* In the order of the names, which is the order of every listing. */
enum ns_kind { NS_CGROUP, NS_IPC, NS_MNT, NS_NET, NS_PID, NS_TIME, NS_USER, NS_UTS, NS_COUNT };

enum { NS_HOSTNAME_MAX = 64 }; /* uname(2) */

/**
 * struct ns_type - one kind of namespace.
 * @name:       its file in /proc/PID/ns.
 * @clone_flag: CLONE_NEW…
 * @fallback:   the setting of a container that says nothing: "new" or "host".
 */
struct ns_type {
	const char *name;
	uint64_t clone_flag;
	const char *fallback;
};

extern const struct ns_type ns_types[NS_COUNT];

/** ns_find() - the kind called @name, or -1. */
int ns_find(const char *name);

/**
 * ns_inode() - the inode number that identifies a process's namespace.
 * @procfd: a descriptor of its /proc/PID.
 * Return: 0; -ESRCH when the process is gone; -errno. Source: namespaces(7), the /proc/PID/ns
 * directory.
 */
int ns_inode(int procfd, enum ns_kind kind, uint64_t *ret, struct ctn_err *err);

/**
 * ns_open() - a namespace by its path on the host.
 * @host_mntns: the host's mount namespace, in which the path is meant.
 * @path:       absolute: a bind mount such as /run/netns/blue, or /proc/PID/ns/net.
 * @ret:        a descriptor for setns(2).
 * Return: 0; -EINVAL: it is no namespace, or one of another kind; -ENOENT, -errno of open.
 * Thread: any; not with a lock held.
 */
int ns_open(int host_mntns, const char *path, enum ns_kind kind, int *ret, struct ctn_err *err);

/** ns_same() - 1 when two descriptors are of the same namespace, 0 when not, -errno. */
int ns_same(int a, int b);

/** ns_owner() - the user namespace that owns the one of @fd (ioctl_ns(2), Linux 4.9). */
int ns_owner(int fd, int *ret, struct ctn_err *err);

/** ns_gethostname() - the host name in the UTS namespace of @fd. As ns_sethostname(). */
int ns_gethostname(int fd, char ret[NS_HOSTNAME_MAX + 1], struct ctn_err *err);

/**
 * ns_sethostname() - set the host name of another process's UTS namespace.
 * @procfd: a descriptor of its /proc/PID.
 *
 * The calling thread enters that namespace and returns to its own; no other thread is affected.
 *
 * Return: 0; -ESRCH; -EINVAL (longer than 64 bytes); -errno. Thread: any.
 */
int ns_sethostname(int procfd, const char *name, struct ctn_err *err);

#endif
