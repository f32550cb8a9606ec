/* SPDX-License-Identifier: Apache-2.0 */
/* Control groups behind one table of knobs, the same names and texts on cgroup v1 and v2. Knows no
 * container. */
#ifndef CTNFS_CORE_CGROUP_H
#define CTNFS_CORE_CGROUP_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "err.h"

/* The controllers we use. On v1 each may be a hierarchy of its own; on v2 all share one. */
enum cgroup_controller {
	CG_CPU,
	CG_CPUACCT,
	CG_CPUSET,
	CG_MEMORY,
	CG_PIDS,
	CG_FREEZER,
	CG_DEVICES,
	CG_BLKIO,
	CG_CONTROLLERS,
};

extern const char *const cgroup_controller_names[CG_CONTROLLERS];

struct cgroup_root; /* the server's directory in each hierarchy; immutable once opened */
struct cgroup_leaf; /* one container's directory in each; immutable, goes before its root */

/**
 * cgroup_root_open() - find the mounted hierarchies and make the server's directory in each.
 * @path: below the hierarchy's mount point, as in "/ctnfs"; NULL means "ctnfs" below this process's
 * own cgroup in each hierarchy (it may not be the root one, and its limits hold for us), or on v2,
 * where other processes in it forbid that, "/ctnfs". Recorded per hierarchy, so a server that is
 * started again elsewhere can be given the old place: see cgroup_root_describe(). Return: 0;
 * -EOPNOTSUPP when no hierarchy is mounted; -EBUSY (v2: processes live in a directory on the way);
 * -errno. Thread: main, once. Source: cgroups(7).
 */
int cgroup_root_open(const char *path, struct cgroup_root **ret, struct ctn_err *err);

/** cgroup_root_describe() - "controller path" lines (v2: one line, "unified path"), to be stored;
 * cgroup_root_open_described() takes them back and fails with -ENOENT when one of the directories
 * is gone. */
int cgroup_root_describe(const struct cgroup_root *root, FILE *out);
int cgroup_root_open_described(const char *lines, struct cgroup_root **ret, struct ctn_err *err);

/** cgroup_root_elsewhere() - NULL where that is the server's directory in each hierarchy, else one
 * that is another, below its mount point and without the first slash. */
const char *cgroup_root_elsewhere(const struct cgroup_root *root, const char *path);

/** cgroup_root_free() - close it, and remove the directories where they are empty (ignoring
 * failure). NULL is fine. */
void cgroup_root_free(struct cgroup_root *root);

/** cgroup_root_version() - 1 or 2. A hybrid host, whose controllers are on v1 hierarchies, is 1. */
int cgroup_root_version(const struct cgroup_root *root);

/** cgroup_root_has() - whether the controller can be used. */
bool cgroup_root_has(const struct cgroup_root *root, enum cgroup_controller c);

/**
 * cgroup_leaf_open() - make (or open, where it exists already) the directories called @name.
 *
 * A fresh one gets what every container starts with: cgroup_default_devices and, on v1, the
 * parent's cpuset. No other limit is set.
 *
 * Return: 0; -errno with everything made here removed again. Thread: any.
 */
int cgroup_leaf_open(struct cgroup_root *root, const char *name, struct cgroup_leaf **ret,
		     struct ctn_err *err);

/**
 * cgroup_leaf_child_open() - make (or open) a group below @parent's, for some of its processes.
 * @name: not one of the kernel's own files there ("tasks", "freezer.state").
 * @ret:  a leaf of its own, with a directory in one hierarchy only, so that others are not filled
 *        with groups: v1's with the freezer, or the first. Listing, killing and freezing work as
 *        for any other; knobs of the controllers that it lacks are -EOPNOTSUPP. A process that is
 *        to be in it is in @parent in all other hierarchies: cgroup_leaf_child_attach_fds(). v2:
 *        cgroup_leaf_birthplace(), as usual.
 *
 * What holds for the parent holds for it, and what is done to the parent is done to it: frozen with
 * it, killed with it, listed and counted in it, removed with it. A cpuset below is a copy of the
 * parent's, which follows when the parent's is changed. But v1 refuses new devices for a parent
 * that has children in that hierarchy (-EBUSY), so make it when a process is to be in it, and
 * remove it afterwards.
 *
 * Return: 0; -EINVAL (name); -ENOENT (the parent is gone); -errno. Thread: any.
 */
int cgroup_leaf_child_open(const struct cgroup_leaf *parent, const char *name,
			   struct cgroup_leaf **ret, struct ctn_err *err);

/** cgroup_leaf_child_renew() - make the directory of @child once more, where it was removed; @child
 * means the new one then, for all who hold it. As cgroup_leaf_child_open(). */
int cgroup_leaf_child_renew(const struct cgroup_leaf *parent, const char *name,
			    const struct cgroup_leaf *child, struct ctn_err *err);

/** cgroup_leaf_child_attach_fds() - as cgroup_leaf_attach_fds(), for a process that is to be in
 * @child and, in the other hierarchies, in @parent. */
int cgroup_leaf_child_attach_fds(const struct cgroup_leaf *parent, const struct cgroup_leaf *child,
				 int ret_fds[CG_CONTROLLERS], struct ctn_err *err);

/** cgroup_leaf_child_remove() - rmdir it, groups below it first; as cgroup_leaf_remove(). */
int cgroup_leaf_child_remove(const struct cgroup_leaf *parent, const char *name, unsigned ms,
			     struct ctn_err *err);

/** cgroup_leaf_free() - forget it; the directories stay. NULL is fine. */
void cgroup_leaf_free(struct cgroup_leaf *leaf);

/** cgroup_leaf_remove() - rmdir the directories called @name in every hierarchy, children first;
 * what is not there is success; EBUSY is retried for up to @ms milliseconds. Thread: any, not under
 * a lock. */
int cgroup_leaf_remove(struct cgroup_root *root, const char *name, unsigned ms,
		       struct ctn_err *err);

/** cgroup_leaf_path() - the absolute path of the leaf's directory for @c, to be freed. -EOPNOTSUPP
 * without it. */
int cgroup_leaf_path(const struct cgroup_leaf *leaf, enum cgroup_controller c, char **ret,
		     struct ctn_err *err);

/**
 * cgroup_leaf_attach_fds() - descriptors through which a new process attaches itself.
 * @ret_fds: v1: each hierarchy's `tasks`, open for writing: a single-threaded process writes "0" to
 * each, which costs no RCU grace period (cgroup.procs would); the freezer's is the first, where
 * `exec` looks whether the container is paused. v2: none here (CLONE_INTO_CGROUP takes
 * cgroup_leaf_birthplace()). The caller closes them. At most CG_CONTROLLERS. Return: the number of
 * descriptors, or -errno.
 */
int cgroup_leaf_attach_fds(const struct cgroup_leaf *leaf, int ret_fds[CG_CONTROLLERS],
			   struct ctn_err *err);

/** cgroup_leaf_birthplace() - v2: the directory for CLONE_INTO_CGROUP; the caller closes it. v1:
 * -EOPNOTSUPP. cgroup_leaf_has_births(): whether there is one. */
int cgroup_leaf_birthplace(const struct cgroup_leaf *leaf, int *ret, struct ctn_err *err);
bool cgroup_leaf_has_births(const struct cgroup_leaf *leaf);

/** cgroup_leaf_procs() - pids (thread group ids) of all processes in it, ascending, to be freed.
 * @ret_n: how many. */
int cgroup_leaf_procs(const struct cgroup_leaf *leaf, pid_t **ret, size_t *ret_n,
		      struct ctn_err *err);

/** cgroup_leaf_kill() - SIGKILL every process in it and in groups below it, again until none is
 * left or @ms milliseconds have passed (-ETIMEDOUT, with a count). Each process is addressed
 * through a pidfd that was verified to be in the group. The groups are left thawed; what was frozen
 * dies without running again. */
int cgroup_leaf_kill(const struct cgroup_leaf *leaf, unsigned ms, struct ctn_err *err);

enum {
	CGROUP_DEV_MKNOD = 1,
	CGROUP_DEV_WRITE = 2,
	CGROUP_DEV_READ = 4,
	CGROUP_DEV_ALL = 7,
	CGROUP_DEVICES_MAX = 512, /* rules of one list */
	CGROUP_DEFAULT_DEVICES = 9,
};

/** struct cgroup_device - devices that may be used. @type: 'c', 'b', 'a' for both. @major, @minor:
 * -1 for all. @access: CGROUP_DEV_…. */
struct cgroup_device {
	char type;
	int64_t major, minor;
	unsigned access;
};

/** cgroup_default_devices - what a fresh leaf allows. */
extern const struct cgroup_device cgroup_default_devices[CGROUP_DEFAULT_DEVICES];

/**
 * cgroup_leaf_set_devices() - from now on what is in @list may be used, and nothing else. v2: one
 * step; v1 has moments in between in which less is allowed, so do it while nobody is in it.
 * Return: 0; -EPERM (v1: the server's own group does not have one of them, which is forgiven for
 * the default ones; less than the list is allowed then); -EBUSY (v1: it has groups below it);
 * -E2BIG; -EOPNOTSUPP without the controller. Source: devices.txt (v1), BPF_PROG_TYPE_CGROUP_DEVICE
 * (Linux 4.15, BPF_F_REPLACE 5.6). Thread: any.
 */
int cgroup_leaf_set_devices(const struct cgroup_leaf *leaf, const struct cgroup_device *list,
			    size_t n, struct ctn_err *err);

/** cgroup_leaf_freeze() - ask for freezing or thawing; cgroup_leaf_frozen() tells when it is so (1,
 * 0 or -errno). */
int cgroup_leaf_freeze(const struct cgroup_leaf *leaf, bool freeze, struct ctn_err *err);
int cgroup_leaf_frozen(const struct cgroup_leaf *leaf, struct ctn_err *err);

/** cgroup_leaf_self_frozen() - whether that was asked of it, and not only of a group above it: 1, 0
 * or -errno. */
int cgroup_leaf_self_frozen(const struct cgroup_leaf *leaf, struct ctn_err *err);

/** cgroup_leaf_oom_kills() - how many processes the OOM killer has ended in it since it was made.
 */
int cgroup_leaf_oom_kills(const struct cgroup_leaf *leaf, uint64_t *ret, struct ctn_err *err);

/** cgroup_leaf_oom_watch() - a descriptor that tells of the OOM killer's visits.
 * @ret_events: what to wait for with epoll(7): EPOLLIN or EPOLLPRI.
 * v1 tells just before it kills, v2 afterwards, and of limits that were met, too. -EOPNOTSUPP
 * without the controller. cgroup_leaf_oom_clear() - it has told: wait for the next time. */
int cgroup_leaf_oom_watch(const struct cgroup_leaf *leaf, int *ret, uint32_t *ret_events,
			  struct ctn_err *err);
void cgroup_leaf_oom_clear(int fd);

/** cgroup_leaf_is_at() - whether @path is what the kernel calls it in its messages, or a group
 * below it. */
bool cgroup_leaf_is_at(const struct cgroup_leaf *leaf, enum cgroup_controller c, const char *path);

/* What lists of many containers show of each; those that every list shows come first. Times are in
 * microseconds. */
enum cgroup_figure {
	CGF_CPU,
	CGF_MEMORY,
	CGF_MEMORY_LIMIT,
	CGF_PIDS,
	CGF_MEMORY_PEAK,
	CGF_PIDS_LIMIT,
	CGF_OOM_KILLS,
	CGF_THROTTLED,
	CGF_COUNT,
};
#define CGROUP_UNKNOWN (UINT64_MAX - 1)

/** cgroup_leaf_figures() - the first @n of them. CTN_MAX: no limit; CGROUP_UNKNOWN: this kernel
 * does not tell. Return: 0; -ENOENT: the group is gone. Thread: any. */
int cgroup_leaf_figures(const struct cgroup_leaf *leaf, size_t n, uint64_t *ret);

/**
 * struct cgroup_knob - one row of the table: a file of cgroup/ in the tree.
 * @name: as the tree has it, "memory.limit".
 * @doc:  one line for the user.
 * @v1, @v2: the kernel's own file, for people who know it; NULL where that version has none.
 * @controller: what it needs.
 * @flags: KNOB_WRITABLE; KNOB_KEPT: a written value belongs to the container's specification and is
 * applied again to a fresh cgroup (limits, not `freeze` or `procs`).
 * @read: print its value and a newline to @out. A knob that this kernel lacks reads "max" when
 * writable (`freeze`: "0"), else -EOPNOTSUPP.
 * @write: apply @text (one line, without newline, untrusted). -EINVAL, -ERANGE, -EBUSY (a limit
 * below present use; the sentence names the use), -EOPNOTSUPP, or the kernel's own answer (-ESRCH,
 * -ENODEV); nothing is changed then. "max" where there is nothing to limit is success. May take
 * seconds: never under a lock. NULL when read-only.
 */
struct cgroup_knob {
	const char *name;
	const char *doc;
	const char *v1;
	const char *v2;
	enum cgroup_controller controller;
	unsigned flags;
	int (*read)(const struct cgroup_leaf *leaf, FILE *out, struct ctn_err *err);
	int (*write)(const struct cgroup_leaf *leaf, const char *text, struct ctn_err *err);
};

enum { KNOB_WRITABLE = 1, KNOB_KEPT = 2 };

/** cgroup_knobs - the table, ended by a row without a name, in the order in which limits may be
 * applied. */
extern const struct cgroup_knob cgroup_knobs[];

/** cgroup_shares_from_weight() - the cpu.shares that are as much as a cpu.weight. */
uint64_t cgroup_shares_from_weight(uint64_t weight);

/** cgroup_knob_find() - by our name or by the v2 name ("memory.max"); NULL when there is none. */
const struct cgroup_knob *cgroup_knob_find(const char *name);

#endif
