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
	WIRE_ATTACH_MAX = 8,	  /* cgroup descriptors */
	WIRE_GROUPS_MAX = 64,
	WIRE_TEXT_MAX = 384,
	WIRE_STEP_MAX = 32,
	WIRE_BOOT_ID_LEN = 36,
};

/* Names in a container's run directory. */
#define WIRE_LOCK_NAME	 "lock"	  /* flock'ed while the monitor lives */
#define WIRE_SOCKET_NAME "sock"	  /* SEQPACKET, 0600 */
#define WIRE_STATUS_NAME "status" /* struct wire_status, replaced as a whole */
#define WIRE_LOWER_NAME \
	"lower" /* where the monitor attaches the idmapped skeleton, in its own namespace */
/* … and in its state directory. */
#define WIRE_LOG_NAME	"log"
#define WIRE_LAYER_NAME "layer"
#define WIRE_WORK_NAME	"work"

/* Descriptors that come with the start message, in this order; the cgroup ones follow. */
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

enum wire_start_flags {
	WIRE_NO_NEW_PRIVS = 1,
	WIRE_ADOPT = 8, /* do not start anything: watch over @adopt_pid, whose monitor was killed */
	WIRE_INIT = 2,	/* our init is pid 1, the program its child */
	WIRE_CLONE_INTO = 4, /* the first cgroup descriptor is a v2 directory for CLONE_INTO_CGROUP,
				not a v1 `tasks` */
};

/**
 * struct wire_start - everything that is needed to start one container; the monitor only carries
 * out.
 * @size:      bytes of the whole message, strings and filter included.
 * @ns_new:    CLONE_NEW… flags of the namespaces to make; the others are the host's.
 * @id_base, @id_count: the user namespace's mapping 0 → @id_base, @id_count ids; unused without
 * CLONE_NEWUSER.
 * @uid, @gid, @groups: whom the program runs as, in the container's own numbers.
 * @caps:      the bounding set.
 * @log_max:   bytes of output to keep.
 * @filter_off, @filter_len: the seccomp program, in instructions; 0: none.
 * @adopt_pid, @adopt_start, @adopt_started: with WIRE_ADOPT, as in struct wire_status.
 * @lower:     one string: the skeleton's absolute path. @state: the state directory's. @run: the
 * run directory's.
 */
struct wire_start {
	uint32_t magic, version;
	uint32_t size, flags;
	uint64_t ns_new;
	uint64_t caps;
	uint64_t log_max;
	uint32_t id_base, id_count;
	uint32_t uid, gid;
	uint32_t n_groups, n_attach;
	uint32_t groups[WIRE_GROUPS_MAX];
	uint32_t filter_off, filter_len;
	int32_t adopt_pid, pad;
	uint64_t adopt_start, adopt_started;
	struct wire_list argv, envp;
	struct wire_list cwd, hostname;
	struct wire_list lower, state, run;
	struct wire_list binds; /* absolute host paths, bound in at the same place, read-only, where
				   they exist */
	struct wire_list masked;   /* paths that read as empty inside */
	struct wire_list readonly; /* paths that cannot be written inside */
};

_Static_assert(sizeof(struct wire_start) == 432, "struct wire_start is part of the protocol");

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
	WIRE_MSG_STATUS,    /* monitor: @status; with the first process's pidfd while RUNNING */
	WIRE_MSG_ERROR,	    /* monitor: @error */
};

struct wire_msg {
	uint32_t magic, version;
	uint32_t type, pad;
	union {
		uint64_t value;
		struct wire_status status;
		struct wire_error error;
	};
};

_Static_assert(sizeof(struct wire_msg) == 440, "struct wire_msg is part of the protocol");

#endif
