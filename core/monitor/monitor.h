/* SPDX-License-Identifier: Apache-2.0 */
/* ctnfs-monitor: the parent of one container. Static, single-threaded, nothing but libc: everything
 * was decided by the server and came in one message (wire.h). */
#ifndef CTNFS_CORE_MONITOR_MONITOR_H
#define CTNFS_CORE_MONITOR_MONITOR_H

#include <linux/sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "../err.h"
#include "../wire.h"
#include "../wire_io.h"

/** struct plan - the start message, unpacked. Strings point into the message, which is never freed.
 */
struct plan {
	const struct wire_start *msg;
	char **argv, **envp; /* NULL-terminated */
	char **binds, **masked, **readonly;
	char **sysctls, **removed;
	const char *cwd, *hostname, *domainname, *lower, *state, *run;
	const struct wire_map *uid_map, *gid_map;
	const struct wire_rlimit *rlimits;
	struct plan_mount *mounts; /* msg->mounts.count of them */
	struct plan_node *nodes;   /* msg->nodes.count of them */
	const struct sock_filter *filter;
	int run_fd, state_fd, host_mnt_fd;
	int attach_fds[WIRE_ATTACH_MAX];
	int join_fds[WIRE_JOIN_MAX]; /* in the order of the bits in ns_join; with WIRE_ENTER one, a
					pidfd */
	int tty_fd;		     /* with WIRE_TTY_GIVEN: the master of its terminal */
	struct handover *handover;   /* notify.h: shared by who sets up and who waits for that */
};

/** struct plan_mount - a line of `mounts`; @wire has its flags and attributes. */
struct plan_mount {
	const struct wire_mount *wire;
	const char *source, *target, *type, *data;
};

/** struct plan_node - a device node. */
struct plan_node {
	const struct wire_node *wire;
	const char *path;
};

/** dev_links - what is in every /dev beside the nodes; ended by a row without a name. */
struct dev_link {
	const char *name, *target;
};
extern const struct dev_link dev_links[];

/** plan_unpack() - check every length and offset of a received message. -EBADMSG says which is
 * wrong. plan_free() - its tables, not the message. The monitor keeps its plan as long as it lives.
 */
int plan_unpack(const void *data, size_t len, struct plan *ret, struct ctn_err *err);
void plan_free(struct plan *p);

/** plan_map() - the same of a message that is in memory behind a descriptor; it stays mapped.
 * plan_receive() - the next one on WIRE_SOCKET_FD, with the descriptors that come along. There is
 * nobody to complain to but the server. @ret_message: the message's own. -ECONNRESET: the server
 * has gone; -EBADMSG. */
int plan_map(int message, struct plan *ret, struct ctn_err *err);
int plan_receive(struct plan *ret, int *ret_message, struct ctn_err *err);

/** plan_mount_at() - the entry of `mounts` for exactly that target, the last of them; NULL without.
 * plan_removes() - whether the default mount there is not to be made. */
const struct plan_mount *plan_mount_at(const struct plan *p, const char *target);
bool plan_removes(const struct plan *p, const char *target);

/** plan_map_id() - who @id of the container is on the host. 0, or -EINVAL where nobody is. */
int plan_map_id(const struct wire_map *map, uint32_t n, uint32_t id, uint32_t *ret);

/** plan_has_ns() - whether it gets a new namespace of that kind. plan_joins() - whether it joins
 * one. */
static inline bool plan_has_ns(const struct plan *p, uint64_t clone_flag)
{
	return p->msg->ns_new & clone_flag;
}

static inline bool plan_joins(const struct plan *p, uint64_t clone_flag)
{
	return p->msg->ns_join & clone_flag;
}

/** plan_n_joins() - how many of its @join_fds there are. */
static inline size_t plan_n_joins(const struct plan *p)
{
	return p->msg->flags & WIRE_ENTER ? 1 : (size_t)__builtin_popcountll(p->msg->ns_join);
}

/** plan_maps_ids() - whether ids inside are others than on the host: a new or a joined user
 * namespace. */
static inline bool plan_maps_ids(const struct plan *p)
{
	return (p->msg->ns_new | p->msg->ns_join) & CLONE_NEWUSER;
}

/**
 * struct stdio - the container's standard streams: FIFOs in the run directory, or a terminal.
 * @child_*: what the program gets as 0, 1 and 2. Output is open for reading and writing there, so
 * that a program whose monitor died gets no EPIPE; input only for reading, so that it can see the
 * end of file.
 */
struct stdio {
	int child_in, child_out, child_err;
	int in, out, err; /* our ends; of a terminal the master, which is both in and out */
	int terminal;	  /* its other end: while that is open somewhere, the master never says
			     that it was hung up, again and again */
};

int stdio_open(const struct plan *p, struct stdio *ret, struct ctn_err *err);
/** stdio_give() - they are the user's that the program runs as, if that has changed. */
int stdio_give(const struct plan *p, struct ctn_err *err);
/** stdio_adopt() - our ends alone, of the FIFOs that a killed monitor made. */
int stdio_adopt(const struct plan *p, struct stdio *ret, struct ctn_err *err);

/** terminal_receive() - by the monitor, from the stage: its terminal's master, and keep it. Nothing
 * where the stage has failed. terminal_keep() - a master that is there already; is taken over. */
int terminal_receive(int sock, struct stdio *io, struct ctn_err *err);
int terminal_keep(int master, struct stdio *io, struct ctn_err *err);
/** terminal_control() - by a new session: standard input becomes its controlling terminal. Nothing
 * without WIRE_TTY. */
int terminal_control(const struct plan *p, struct ctn_err *err);

/**
 * struct log - the bounded log: one sparse file in which a byte's offset is its position for ever,
 * with a hole where bytes were dropped; and the index beside it, of the same kind.
 * @dropped: bytes that could not be written.
 * @last:    the newest entry, number @n - 1, of the bytes from @last_begin on; all 0 without any.
 * @growing: more can go into it.
 * @trimmed: @n when it was last looked what of the index can go.
 * @ended:   what has an entry ends with a line, or is nothing.
 */
struct log {
	int fd, index;
	uint64_t end, punched, max;
	uint64_t dropped;
	struct wire_log_entry last;
	uint64_t last_begin, n, index_punched, trimmed;
	bool growing, ended;
};

/** log_open() - the container's log, whatever became of the monitor that wrote it so far.
 * @ret: with @dropped set, on which is counted. */
int log_open(int state_fd, uint64_t max, struct log *ret, struct ctn_err *err);
/** log_append() - @len > 0 bytes that the program put out at @time, nanoseconds since the epoch. */
void log_append(struct log *log, enum wire_stream stream, uint64_t time, const char *data,
		size_t len);
void log_trim(struct log *log); /* make the holes as large as the bound asks */

/* log_index.c, for log.c: */
int log_index_open(int state_fd, struct log *log, struct ctn_err *err);
/** log_index_cover() - an entry for what was written without one: as standard output, at the log's
 * mtime. Return: whether all of the log has one now. */
bool log_index_cover(struct log *log);
/** log_index_add() - an entry for the bytes that were just written, or the last one grown. A
 * failure leaves them to log_index_cover(). */
void log_index_add(struct log *log, enum wire_stream stream, uint64_t time, const char *data,
		   size_t len);
/** log_index_start() - the position of the oldest byte that the bound of the index leaves.
 * log_index_full() - it has grown beyond that by more than need be. log_index_trim() - drop entries
 * of what is before @keep. */
uint64_t log_index_start(const struct log *log);
bool log_index_full(const struct log *log);
void log_index_trim(struct log *log, uint64_t keep);

/**
 * struct fs_new - a file system to make.
 * @first, @data: options, "size=64m,mode=755"; NULL for none. What is in @data counts.
 * @attr:    MOUNT_ATTR_… of its mount.
 * @outside: made by the parent, to whom the ids of options are others than inside.
 */
struct fs_new {
	const char *type, *source, *first, *data;
	unsigned attr;
	bool outside;
};

/** fs_make() - a detached mount of it. -EINVAL: an option that it does not take, or an id that the
 * container does not have. fs_attr() - what an entry of `mounts` says about a new mount. */
int fs_make(const struct plan *p, const struct fs_new *f, int *ret, struct ctn_err *err);
unsigned fs_attr(const struct plan_mount *m);

/** struct mounts - what the parent prepares for the stage: detached mounts, -1 where there is none.
 * @binds: one for each entry of the plan's binds. @user: one for each of its mounts, of which the
 * parent makes the binds; NULL without any. */
struct mounts {
	int root, tmpfs, proc, sys;
	int lower; /* the root's, where that is an overlay over a detached mount */
	int binds[16];
	size_t n_binds;
	int *user;
	size_t n_user;
};

/** mounts_init() - room for the plan's, all -1. mounts_free() - close what there is. */
int mounts_init(const struct plan *p, struct mounts *ret, struct ctn_err *err);
void mounts_free(struct mounts *m);

/** mounts_prepare() - in the monitor's own mount namespace, with the host's rights. @userns: -1
 * without one. After a failure some are made. */
int mounts_prepare(const struct plan *p, int userns, struct mounts *m, struct ctn_err *err);

/** The channel from parent to stage: all of struct mounts' descriptors. Both ends have called
 * mounts_init(). */
int mounts_send(int sock, struct mounts *m, struct ctn_err *err);
int mounts_receive(int sock, struct mounts *m, struct ctn_err *err);

/**
 * stage_run() - in the new process: carry out the table of set-up steps, then execve. Never
 * returns.
 * @go:      socket on which the parent sends mounts once the id maps are written.
 * @report:  close-on-exec pipe: one struct wire_error, or end of file at execve.
 */
void stage_run(const struct plan *p, const struct stdio *io, int go, int report)
	__attribute__((noreturn));

/** struct stage - what a set-up step works with. */
struct stage {
	const struct plan *plan;
	const struct stdio *io;
	int go, report;
	int hostname; /* the container's own /etc/hostname, to be written; -1: none is mounted */
	int terminal; /* what the program gets as its streams; -1: the FIFOs */
	struct mounts mounts;
	int proc, sys; /* those mounts, where others may write to the root file system; else -1 */
	char *cgroups; /* /proc/self/cgroup, as the host sees it; NULL where nobody asks */
	bool entering; /* others are in its namespaces already (enter.h) */
	unsigned job;  /* enter_run()'s */
};

/* stage_process.c */
/** stage_ids() - root of the user namespace. stage_streams() - s->terminal or s->io as the standard
 * ones, in a session of its own. stage_signals() - no handler, none blocked. stage_hide(): nothing
 * inside may look into it before execve. stage_cwd(): as the user that the program runs as.
 * stage_close() - all descriptors but the standard ones and s->report. */
int stage_ids(struct stage *s, struct ctn_err *err);
int stage_streams(struct stage *s, struct ctn_err *err);
int stage_signals(struct stage *s, struct ctn_err *err);
int stage_hide(struct stage *s, struct ctn_err *err);
int stage_cwd(struct stage *s, struct ctn_err *err);
int stage_close(struct stage *s, struct ctn_err *err);
/** stage_report() - tell the parent that @step has failed. */
void stage_report(int fd, const char *step, const struct ctn_err *err);

/* stage_mounts.c */
int stage_root(struct stage *s, struct ctn_err *err);
int stage_binds(struct stage *s, struct ctn_err *err);
int stage_readonly(struct stage *s, struct ctn_err *err);
int stage_masks(struct stage *s, struct ctn_err *err);
int stage_pivot(struct stage *s, struct ctn_err *err);
/** stage_attach() - move the detached @mount to a directory at the top of the root, or in a /dev of
 * ours; no link is followed. stage_mount_at() is for what the user names. */
int stage_attach(struct stage *s, int mount, const char *path, struct ctn_err *err);
/** stage_tmpfs_part() - a detached mount of one name in the tmpfs that the parent made. */
int stage_tmpfs_part(struct stage *s, const char *part, unsigned attr, int *ret,
		     struct ctn_err *err);
/* stage_fs.c: the mounts that every container has, where no line says otherwise; and lines. */
int stage_proc(struct stage *s, struct ctn_err *err);
int stage_sys(struct stage *s, struct ctn_err *err);
int stage_dev(struct stage *s, struct ctn_err *err);
/** stage_fs_mount() - the entry @i of `mounts`, which is no bind. */
int stage_fs_mount(struct stage *s, size_t i, struct ctn_err *err);
/** stage_fs_place() - put the new file system @fd where @m says, with its propagation. */
int stage_fs_place(struct stage *s, const struct plan_mount *m, int fd, struct ctn_err *err);
/* stage_copyup.c */
/** stage_copyup() - fill the detached @tmpfs with a copy of what is at @target now. -EFBIG, -ELOOP:
 * more, or deeper, than will be copied. */
int stage_copyup(struct stage *s, const char *target, int tmpfs, struct ctn_err *err);
/* stage_cgroup_fs.c */
/** stage_cgroup_look() - before the cgroup namespace is made: what the mount of the control groups
 * will need to know; nothing where there is none. */
int stage_cgroup_look(struct stage *s, struct ctn_err *err);
int stage_cgroup_mount(struct stage *s, const struct plan_mount *m, struct ctn_err *err);
/* stage_binds.c */
/** stage_mount_list() - the entries of `mounts`, in their order. */
int stage_mount_list(struct stage *s, struct ctn_err *err);
/* stage_mounts.c */
/** stage_keep() - what was just mounted is at @path: remember /proc and /sys, so that their files
 * are found whatever becomes of the names above them. */
int stage_keep(struct stage *s, int mount, const char *path, struct ctn_err *err);
/* stage_target.c */
/**
 * stage_target() - a place to mount on, found safely under the new root whoever wrote what is in
 * it; made where it is missing (0755, or an empty file 0644; the container's root owns it).
 * @path:      absolute, without "." and "..", not "/". Links in it are followed within the root,
 *             but for /proc and /sys and what is below them.
 * @directory: what is to be mounted there is a directory.
 * @ret_fd:    O_PATH.
 * Return: 0; -EINVAL (leads to the root, or into /proc or /sys); -ENOTDIR, -EISDIR; -EROFS (missing
 * and cannot be made); -ENOENT (a link that leads nowhere); -errno.
 */
int stage_target(struct stage *s, const char *path, bool directory, int *ret_fd,
		 struct ctn_err *err);
/** stage_mount_at() - move the detached @mount to stage_target() and see that the path leads to it
 * then. -EAGAIN where it does not. */
int stage_mount_at(struct stage *s, int mount, const char *path, bool directory,
		   struct ctn_err *err);
/* stage_limits.c */
int stage_sysctls_early(struct stage *s, struct ctn_err *err);
int stage_sysctls(struct stage *s, struct ctn_err *err);
int stage_limits(struct stage *s, struct ctn_err *err);
int stage_personality(struct stage *s, struct ctn_err *err);
/* park.c */
/** stage_park() - wait for the start message, whose plan is s->plan from then on. */
int stage_park(struct stage *s, struct ctn_err *err);
/* stage_tty.c */
int stage_terminal(struct stage *s, struct ctn_err *err);
/* stage_filter.c */
int stage_filter_early(struct stage *s, struct ctn_err *err);
int stage_filter(struct stage *s, struct ctn_err *err);
/* stage_creds.c */
int stage_keyring(struct stage *s, struct ctn_err *err);
int stage_bounding(struct stage *s, struct ctn_err *err);
int stage_user(struct stage *s, struct ctn_err *err);
int stage_caps(struct stage *s, struct ctn_err *err);
int stage_exec(struct stage *s, struct ctn_err *err);

/** init_run() - be pid 1: pass signals on to @child, reap, and exit as it did. Never returns. */
void init_run(pid_t child) __attribute__((noreturn));

#endif
