/* SPDX-License-Identifier: Apache-2.0 */
/* What the server and a monitor say to each other. Fixed layouts with a version in front: a server
 * adopts the containers of an older one's monitors. Included by both programs; needs nothing but
 * libc. */
#ifndef CTNFS_CORE_WIRE_H
#define CTNFS_CORE_WIRE_H

#include <linux/filter.h>
#include <stdint.h>

#define WIRE_MAGIC   UINT32_C(0x63746e01)
#define WIRE_VERSION 1

enum {
	WIRE_SOCKET_FD = 3,	  /* the monitor's end of the first connection, at its execve */
	WIRE_START_MAX = 8 << 20, /* bytes of a start message */
	WIRE_JOIN_MAX = 8,	  /* descriptors of namespaces to join */
	WIRE_ATTACH_MAX = 8,	  /* cgroup descriptors */
	WIRE_GROUPS_MAX = 64,
	WIRE_TEXT_MAX = 384,
	WIRE_STEP_MAX = 32,
	WIRE_BOOT_ID_LEN = 36,
};

/* Names in a container's run directory. */
#define WIRE_LOCK_NAME	 "lock"	  /* flock'ed while the monitor lives */
#define WIRE_SOCKET_NAME "sock"	  /* SEQPACKET, 0600 */
#define WIRE_STDIN_NAME	 "in"	  /* FIFO; gone once standard input has had its end */
#define WIRE_STATUS_NAME "status" /* struct wire_status, replaced as a whole */
#define WIRE_EXECED_NAME "execed" /* struct wire_execed, a ring of WIRE_EXECED_KEPT */
#define WIRE_LOWER_NAME \
	"lower" /* where the monitor attaches the idmapped skeleton, in its own namespace */
/* … and in its state directory. */
#define WIRE_LOG_NAME	 "log"
#define WIRE_INDEX_NAME	 "log.index" /* struct wire_log_entry, one after the other */
#define WIRE_DENIED_NAME "denied"    /* struct wire_denied, a ring of WIRE_DENIED_KEPT */
#define WIRE_LAYER_NAME	 "layer"
#define WIRE_WORK_NAME	 "work"

/* Descriptors that come with the start message, in this order; the cgroup ones follow, then the
 * namespaces to join (with WIRE_ENTER: one pidfd in their place), then with WIRE_TTY_GIVEN the
 * terminal. */
enum wire_fd {
	WIRE_FD_START,	  /* a memfd with struct wire_start and its strings */
	WIRE_FD_RUN,	  /* the container's run directory */
	WIRE_FD_STATE,	  /* its state directory */
	WIRE_FD_HOST_MNT, /* the host's mount namespace */
	WIRE_FD_FIXED,	  /* how many there are always */
};

/* @count strings, one after the other, each with its NUL, from byte @off of the message. */
struct wire_list {
	uint32_t off;
	uint32_t count;
};

/* @count structures, one after the other, from byte @off of the message, which is a multiple of 8.
 */
struct wire_array {
	uint32_t off;
	uint32_t count;
};

struct wire_map {
	uint32_t inside, outside, count, pad;
};

struct wire_rlimit {
	uint32_t resource, pad;
	uint64_t soft, hard;
};

/* As struct spec_mount (spec_mounts.h), with its flags and attributes; each list is one string. */
struct wire_mount {
	struct wire_list source, target, type, data;
	uint64_t set, clear, set_rec, clear_rec;
	uint64_t propagation;
	uint32_t flags, pad;
};

/* A device node to make. @mode: with the file type. @uid, @gid: the container's own numbers. */
struct wire_node {
	struct wire_list path;
	uint32_t mode, major, minor;
	uint32_t uid, gid, pad;
};

enum wire_start_flags {
	WIRE_NO_NEW_PRIVS = 1,
	WIRE_INIT = 2,	     /* our init is pid 1, the program its child */
	WIRE_CLONE_INTO = 4, /* the first cgroup descriptor is a v2 directory for CLONE_INTO_CGROUP,
				not a v1 `tasks` */
	WIRE_ADOPT = 8, /* do not start anything: watch over @adopt_pid, whose monitor was killed */
	WIRE_TTY = 16,	/* a terminal for the program, @rows × @cols */
	WIRE_ROOT_OWN = 32,    /* @lower is a root file system of the user's, mapped whole */
	WIRE_ROOT_RO = 64,     /* … mounted as it is, read-only; */
	WIRE_ROOT_RW = 128,    /* … mounted as it is; neither: below an overlay */
	WIRE_CAP_SETS = 256,   /* @cap_sets are given */
	WIRE_SCHEDULER = 512,  /* @sched is given */
	WIRE_MONOTONIC = 1024, /* @offsets[0], [1] are given */
	WIRE_BOOTTIME = 2048,
	WIRE_OOM_ADJ = 4096,	/* @oom_score_adj is given */
	WIRE_MAPS_GIVEN = 8192, /* @uid_map is the user's choice, for which @lower may be made */
	WIRE_ENTER = 16384, /* a session: make no namespaces and mounts; @ns_join are those of the
			       container whose first process's pidfd comes along */
	WIRE_TTY_GIVEN = 32768, /* with WIRE_ADOPT: the last descriptor is the terminal's master */
	WIRE_NO_ENTER = 65536,	/* with WIRE_ADOPT: this message does not say what a program that
				   enters would need */
	WIRE_NOTIFY = 131072,	/* calls that @filter refuses with EPERM are asked about: load it
				   with a listener, and with SECCOMP_RET_USER_NOTIF in place of
				   SECCOMP_RET_ERRNO | EPERM */
	WIRE_PARK = 262144,	/* prepare it, say WIRE_MSG_PARKED, and wait: another start message
				   follows on the same connection, of the same container, and says
				   what to run. Where the connection ends before, all of it ends */
};

struct wire_scheduler {
	uint32_t policy;
	int32_t nice;
	uint32_t priority, pad;
	uint64_t flags, runtime, deadline, period;
};

struct wire_offset {
	int64_t secs;
	uint32_t nanosecs, pad;
};

/**
 * struct wire_start - everything that is needed to start one container; the monitor only carries
 * out.
 * @size:      bytes of the whole message, strings and filter included.
 * @ns_new:    CLONE_NEW… flags of the namespaces to make. @ns_join: of those to join, whose
 * descriptors come in the order of those bits, lowest first; the others are the host's.
 * @uid_map, @gid_map: struct wire_map; of the user namespace to make. @root_uid, @root_gid: who is
 * root inside, on the host.
 * @uid, @gid, @groups: whom the program runs as, in the container's own numbers. @host_uid,
 * @host_gid: the same on the host.
 * @caps:      the bounding set. @cap_sets: effective, permitted, inheritable, ambient.
 * @log_max:   bytes of output to keep.
 * @filter_off, @filter_len: the seccomp program, in instructions; 0: none. @filter_flags: to load
 * it with, SECCOMP_FILTER_FLAG_….
 * @adopt_pid, @adopt_start, @adopt_started: with WIRE_ADOPT, as in struct wire_status.
 * @rlimits, @mounts, @nodes: of the structures above. @sysctls: path below /proc/sys and value,
 * alternating. @removed: default mounts that are not to be made.
 * @ioprio, @personality: -1: inherited. @propagation: of the root, MS_…; 0: private.
 * @domainname: one string, "" for none.
 * @lower:     one string: the absolute path of the skeleton or root file system. @state: the state
 * directory's. @run: the run directory's.
 */
struct wire_start {
	uint32_t magic, version;
	uint32_t size, flags;
	uint64_t ns_new;
	uint64_t caps;
	uint64_t log_max;
	uint64_t ns_join;
	uint32_t root_uid, root_gid;
	uint32_t uid, gid;
	uint32_t host_uid, host_gid;
	uint32_t n_groups, n_attach;
	uint32_t groups[WIRE_GROUPS_MAX];
	uint32_t filter_off, filter_len;
	int32_t adopt_pid;
	uint32_t filter_flags;
	uint64_t adopt_start, adopt_started;
	struct wire_list argv, envp;
	struct wire_list cwd, hostname;
	struct wire_list lower, state, run;
	struct wire_list binds; /* absolute host paths, bound in at the same place, read-only, where
				   they exist */
	struct wire_list masked;   /* paths that read as empty inside */
	struct wire_list readonly; /* paths that cannot be written inside */
	struct wire_list domainname, sysctls, removed;
	struct wire_array uid_map, gid_map, rlimits, mounts, nodes;
	uint64_t cap_sets[4];
	struct wire_scheduler sched;
	struct wire_offset offsets[2];
	uint64_t propagation;
	int64_t personality;
	int32_t ioprio, oom_score_adj;
	uint32_t umask;
	uint16_t rows, cols;
};

_Static_assert(sizeof(struct wire_start) == 656, "struct wire_start is part of the protocol");

enum wire_phase {
	WIRE_STARTING = 1,
	WIRE_RUNNING,
	WIRE_EXITED, /* @code and @finished are valid */
	WIRE_FAILED, /* it never ran: a struct wire_error was sent */
};

enum { WIRE_CODE_UNKNOWN = -1 }; /* it ended, and its monitor was not its parent */

/**
 * struct wire_status - what the monitor knows; also the record that it leaves in the run directory.
 * @init_start: ticks since boot at which the first process began (proc(5) stat, field 22).
 * @started, @finished: nanoseconds since the epoch.
 * @code: exit status, or 128+signal.
 * @log_dropped: bytes of output that could not be written.
 */
struct wire_status {
	uint32_t magic, version;
	uint32_t phase;
	int32_t code;
	int32_t monitor_pid, init_pid;
	uint64_t init_start;
	uint64_t started, finished;
	uint64_t log_dropped;
	char boot_id[WIRE_BOOT_ID_LEN + 4];
};

_Static_assert(sizeof(struct wire_status) == 96, "struct wire_status is part of the protocol");

enum wire_stream { WIRE_STDOUT, WIRE_STDERR, WIRE_STREAMS };

/**
 * struct wire_log_entry - one piece of output, as long as the log has no other behind it: the bytes
 * of the log from the former entry's @log_end to this one's. Positions count from the first byte
 * that the container ever put out.
 * @time:       nanoseconds since the epoch, of its first byte.
 * @log_end:    position in the log behind it.
 * @stream_end: the same in each stream alone.
 * @times_end:  the same in the text of log.times.
 * @stream:     whose it is, enum wire_stream.
 * @flags:      WIRE_LOG_….
 */
struct wire_log_entry {
	uint64_t time, log_end;
	uint64_t stream_end[WIRE_STREAMS];
	uint64_t times_end;
	uint32_t stream, flags;
};

enum {
	WIRE_LOG_MIDDLE = 1, /* it goes on with the line that the former entry ended in */
	WIRE_LOG_BREAK = 2,  /* log.times has a newline of its own before it: the former entry is of
				the other stream, and did not end its line */
	WIRE_LOG_PREFIX = 38, /* bytes of log.times before each line: time, stream, a blank each */
};

_Static_assert(sizeof(struct wire_log_entry) == 48, "struct wire_log_entry is on disk");

/**
 * struct wire_denied - one system call that the filter has refused, in STATE/<id>/denied. Each is
 * written as a whole; the one with number n is at n % WIRE_DENIED_KEPT.
 * @number:  1 for the first that the container, or session, ever made; 0: nothing is here yet.
 * @time:    nanoseconds since the epoch.
 * @args:    as the program gave them: nobody has looked at what they may point to.
 * @pid:     of the thread, on the host. @arch: AUDIT_ARCH_…. @nr: of the call, in that.
 * @flags:   WIRE_DENIED_….
 * @program: comm of proc(5), whatever bytes the program made it of; NUL-padded. Empty where the
 *           thread was gone before anybody could look.
 * @again:   @number: what is between them is of one call.
 */
struct wire_denied {
	uint64_t number, time;
	uint64_t args[6];
	int32_t pid;
	uint32_t arch;
	int32_t nr;
	uint32_t flags;
	char program[16];
	uint64_t again;
};

enum {
	WIRE_DENIED_KEPT = 1024,
	WIRE_DENIED_FIRST = 1, /* of its call, since the monitor has begun; not of too many calls */
};

_Static_assert(sizeof(struct wire_denied) == 104, "struct wire_denied is on disk");

/**
 * struct wire_execed - a program that `exec` has begun, in RUN/<id>/execed. Each is written as a
 * whole; the one with number n is at n % WIRE_EXECED_KEPT.
 * @number:  1 for the first in that run of the container.
 * @time:    nanoseconds since the epoch. @run: when that run has started; others are old.
 * @pid:     as the caller of `exec` sees it.
 * @program: the last part of its name, NUL-padded; whatever bytes the caller made it of.
 */
struct wire_execed {
	uint64_t number, time, run;
	int32_t pid;
	uint32_t pad;
	char program[16];
};

enum { WIRE_EXECED_KEPT = 1024 };

_Static_assert(sizeof(struct wire_execed) == 48, "struct wire_execed is in a file");

/**
 * struct wire_error - why it could not be started.
 * @step: the set-up step that failed, NUL-terminated.
 * @text: a sentence, NUL-terminated.
 */
struct wire_error {
	int32_t code;
	char step[WIRE_STEP_MAX];
	char text[WIRE_TEXT_MAX];
};

enum wire_type {
	WIRE_MSG_START = 1, /* server: with the descriptors above; no body */
	WIRE_MSG_HELLO,	    /* server: asks for WIRE_MSG_STATUS; no body */
	WIRE_MSG_LOG_MAX,   /* server: @value is the new bound */
	WIRE_MSG_STATUS,    /* monitor: @status; while RUNNING with the first process's pidfd and,
			       where    it has a terminal, that one's master */
	WIRE_MSG_ERROR,	    /* monitor: @error */
	WIRE_MSG_STDIN_END, /* server: standard input has its end of file: close the FIFO's
			       writing end; no answer */
	WIRE_MSG_PROGRAM,   /* asks for the same, with the monitor's own program: whoever wants to
			       enter executes that, and so understands what the next one brings */
	WIRE_MSG_ENTER,	    /* asks for the same, with the start message, the first process's pidfd,
			       and the cgroup descriptors; or WIRE_MSG_ERROR. @value: 1 where there
			       is room for WIRE_MSG_LISTENER */
	WIRE_MSG_ATTACH,   /* asks for the same, with the terminal's master and the log, to be read;
			      or WIRE_MSG_ERROR. When the container has ended and its output is
			      in the log, the last WIRE_MSG_STATUS has its exit code, and then
			      the connection ends */
	WIRE_MSG_LISTENER, /* from who has entered: with the listener of its filter, for the
			      monitor to answer from now on; no answer. @value: 1 where a call that
			      was received waits on for its answer whatever signals come */
	WIRE_MSG_DENIED,   /* monitor, to servers: there is more in WIRE_DENIED_NAME; @value: the
			      number of the newest */
	WIRE_MSG_EXECED,   /* from who has entered: @execed's pid and program were executed; no
			      answer. Monitor, to servers: there is more in WIRE_EXECED_NAME */
	WIRE_MSG_PARKED,   /* monitor, once after WIRE_PARK: @value: 1 where it is prepared, 0 where
			      that cannot be done */
	WIRE_MSG_NURSERY,  /* server, first: be no monitor, but make some (nursery.c);
			      answered like the next, with the pid 0 */
	WIRE_MSG_BEAR,	   /* server: with a monitor's end of its connection; @value: any number
			      below 2^32 */
	WIRE_MSG_BORN,	   /* nursery: @value: that number << 32, and the monitor's pid or -errno */
};

struct wire_msg {
	uint32_t magic, version;
	uint32_t type, pad;
	union {
		uint64_t value;
		struct wire_status status;
		struct wire_error error;
		struct wire_execed execed;
	};
};

_Static_assert(sizeof(struct wire_msg) == 440, "struct wire_msg is part of the protocol");

#endif
