/* SPDX-License-Identifier: Apache-2.0 */
/* Containers: the registry, references, views, and changes of configuration. life.h has start, stop
 * and the rest. */
#ifndef CTNFS_CORE_CONTAINER_H
#define CTNFS_CORE_CONTAINER_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "cgroup.h"
#include "err.h"
#include "pidref.h"
#include "spec.h"
#include "state_log.h"

struct engine;	  /* engine.h: one server */
struct container; /* counted; opaque outside level 3 of core */

enum ctn_state {
	CTN_CREATED,
	CTN_STARTING, /* between the request and execve; shown as "created" or "exited", whichever
			 it was */
	CTN_RUNNING,
	CTN_PAUSED,
	CTN_STOPPING,
	CTN_RESTARTING,
	CTN_EXITED,
};

/** ctn_state_name() - the word that the `state` file shows. */
const char *ctn_state_name(enum ctn_state state);

enum { CTN_ID_LEN = 64 };

/**
 * struct container_view - one consistent moment of a container. Everything in it is pinned until
 * container_view_put().
 * @spec:     what it will start with. @running: what the running program was started with; NULL
 * when none runs.
 * @init:     its first process; NULL when none runs.
 * @started, @finished, @changed: nanoseconds since the epoch, 0 for never; @changed: last change of
 * configuration;
 *            @moved: last change of state. @oomed: last visit of the OOM killer that is known.
 * @exit_code: valid when @has_exit: exit status, 128+signal when killed, 255 when unknown.
 * @exit_unknown: the monitor was gone, so nobody saw the exit status.
 * @uid_base: first host id of its 65536.
 */
struct container_view {
	uint32_t serial;
	char id[CTN_ID_LEN + 1];
	enum ctn_state state;
	struct spec *spec;
	struct spec *running;
	struct pidref *init;
	uint64_t created, started, finished, changed, moved, oomed;
	bool has_exit, exit_unknown;
	int exit_code;
	uint64_t restarts;
	uid_t uid_base;
	bool monitored; /* a monitor of ours lives beside it */
};

void container_view_get(struct container *c, struct container_view *ret);
void container_view_put(struct container_view *view);

uint32_t container_serial(
	const struct container *c); /* never 0, never reused in one server's life */

/** container_find() - by name or by serial; a reference, or NULL. Thread: any. */
struct container *container_find(struct engine *e, const char *name);
struct container *container_find_serial(struct engine *e, uint32_t serial);
void container_put(struct container *c); /* NULL is fine */

/** container_oom_killed() - whether the OOM killer has ended a process of it in its present or last
 * run. */
bool container_oom_killed(struct container *c);

/** container_print_last_oom() - the line last_oom of cgroup/events: pid on the host and program of
 * whom the OOM killer ended last, "-" for what is not known. */
void container_print_last_oom(struct container *c, FILE *out);

/** container_list() - references to all, ascending by name; free each with container_put(), and the
 * array. -ENOMEM. */
int container_list(struct engine *e, struct container ***ret, size_t *ret_n);
/** container_count() - how many container_list() would find. */
size_t container_count(struct engine *e);

/** container_create() - what mkdir does: state, layer, cgroups, ids. @ret: a reference.
 * Return: 0; -EINVAL (name); -EEXIST; -ENOSPC (ids used up); -errno with nothing left behind.
 * Blocks on disk. */
int container_create(struct engine *e, const char *name, struct container **ret,
		     struct ctn_err *err);

/** container_remove() - what rmdir does: everything of a container that does not run. -ENOENT;
 * -EBUSY with the way out. Blocks. */
int container_remove(struct engine *e, const char *name, struct ctn_err *err);

/*
 * Sessions: programs started in a running container, each with the shape of a container: a struct
 * container of its own, for which the verbs of life.h, views, waiting, the log and the fields cmd,
 * env, cwd and user hold as for any other. Its cwd, env and user are those of its container when it
 * is made; all else is that container's when it starts. Its processes are in a control group of
 * their own below that container's. It goes with its container.
 */

/** container_of_session() - the container that @c is a session of, valid while the caller holds a
 * reference to @c; NULL: @c is none. */
struct container *container_of_session(const struct container *c);

/** container_session_create() - what mkdir in execs/ does, in any state of @c. -EINVAL (name),
 * -EEXIST, -ENOENT (@c is being removed), -ENOSPC (SESSIONS_MAX), -errno. Blocks on disk. */
enum { SESSIONS_MAX = 1024 };
int container_session_create(struct container *c, const char *name, struct container **ret,
			     struct ctn_err *err);

/** container_session_remove() - what rmdir in execs/ does: end whatever of it still runs, with
 * SIGKILL, and remove it; LIFE_PENDING while that takes time, then @w is called. */
struct life_waiter;
int container_session_remove(struct container *c, const char *name, struct life_waiter *w,
			     struct ctn_err *err);

/** container_session_find() - a reference, or NULL. container_session_list() - as
 * container_list(). */
struct container *container_session_find(struct container *c, const char *name);
int container_session_list(struct container *c, struct container ***ret, size_t *ret_n);
/** container_session_count() - how many it would find. */
size_t container_session_count(struct container *c);

/** container_rename() - -ENOENT; -EINVAL; -EEXIST. In any state. Blocks on disk. */
int container_rename(struct engine *e, const char *from, const char *to, struct ctn_err *err);

/**
 * container_store() - write one configuration file.
 * @base: NULL, or a spec from whose value of this field @text starts (the value when a descriptor
 * made its first write, so that a longer text on the same descriptor applies again from the start);
 * everything else is taken from the present spec.
 * @text: @len bytes of untrusted input; a NUL is -EINVAL.
 * @ret:  NULL, or gets a reference to the spec that is in force now.
 * Return: 0 once the value is on disk and in force as the field's `when` says; -EBUSY (field of a
 * running container that can only be changed when stopped); -EINVAL…; nothing is changed then.
 * Blocks on disk; live fields act before they return.
 */
int container_store(struct container *c, const struct spec_field *field, const struct spec *base,
		    const char *text, size_t len, enum spec_write how, struct spec **ret,
		    struct ctn_err *err);

/** container_restore() - give @field the value of @from again (a truncation whose first line was
 * refused). */
int container_restore(struct container *c, const struct spec_field *field, const struct spec *from,
		      struct ctn_err *err);

/** container_show() - print one configuration file: of a running container what it runs with, else
 * what it will start with. `env` shows the whole environment that execve gets. */
int container_show(struct container *c, const struct spec_field *field, FILE *out,
		   struct ctn_err *err);

/**
 * container_spec_bound() - what comes in: names of containers in a private spec's ns/<kind> become
 * ids, and paths into the mount become those containers, too. Ids stay as they are, also of
 * containers that are gone. Other paths must be namespaces now.
 * Return: 0; -ENOENT: no container of that name; -EINVAL: itself, or a path into the mount that is
 * no such namespace; -ENOMEM; as ns_open(). container_store() and life_run() do it themselves.
 */
int container_spec_bound(struct engine *e, struct spec *spec, struct ctn_err *err);

/** container_spec_named() - what goes out: @spec with the names of containers in place of their
 * ids; a reference to itself where there are none. NULL without memory. */
struct spec *container_spec_named(struct engine *e, struct spec *spec);

/** container_print_pending() - a `file value` line for each difference between what runs and what
 * would start. */
int container_print_pending(struct container *c, FILE *out, struct ctn_err *err);

/** container_print_spec(), container_print_oci() - its whole configuration as a document, in the
 * tree's own form or the OCI's: what it runs with, or will start with. */
int container_print_spec(struct container *c, FILE *out, struct ctn_err *err);
int container_print_oci(struct container *c, FILE *out, struct ctn_err *err);

/** container_print_seccomp(), _ns_list(), _ps(): the text of those files. */
int container_print_seccomp(struct container *c, FILE *out, struct ctn_err *err);
int container_print_ns_list(struct container *c, FILE *out, struct ctn_err *err);
/** container_print_denied() - the calls that its filter has denied and that are kept, oldest first,
 * a line each: time, thread on the host, program, call with its arguments. */
int container_print_denied(struct container *c, FILE *out, struct ctn_err *err);
/** container_print_ns_foreign() - the kinds of namespace that it is in, whose owner is no user
 * namespace of its own, a blank between: capabilities do not reach there. */
void container_print_ns_foreign(struct container *c, FILE *out);
int container_print_ps(struct container *c, FILE *out, struct ctn_err *err);

/** container_cgroup() - its cgroup, valid while the caller holds a reference to @c. */
const struct cgroup_leaf *container_cgroup(const struct container *c);

/** container_cgroup_seen() - somebody is about to look into it: nothing must be there that only
 * waits for its start. Blocks, shortly. */
void container_cgroup_seen(struct container *c);

/** container_set_knob() - write one cgroup file; a kept knob is recorded in the spec. May take
 * seconds. */
int container_set_knob(struct container *c, const struct cgroup_knob *knob, const char *text,
		       struct ctn_err *err);

/** container_layer_path() - the absolute path of its own writable layer, to be freed. */
int container_layer_path(struct container *c, char **ret, struct ctn_err *err);

/** container_run_path() - the absolute path of its run directory, to be freed. */
int container_run_path(struct container *c, char **ret, struct ctn_err *err);

/** container_own_pid_find() - host pid of the process with that pid inside; -ENOENT. */
int container_own_pid_find(struct container *c, pid_t own, pid_t *ret, struct ctn_err *err);
/** container_procs() - own pids and host pids of its processes, @ret_n pairs (own, host), to be
 * freed; empty when none. */
struct pid_pair {
	pid_t own, host;
};
int container_procs(struct container *c, struct pid_pair **ret, size_t *ret_n, struct ctn_err *err);

/* --- the log: an endless stream of bytes of which [start, end) is kept; positions never change
 * their meaning, and each view has its own --- */
struct log_range {
	uint64_t start, end; /* bytes since the container was made */
	uint64_t mtime;	     /* nanoseconds since the epoch */
	uint64_t dropped;    /* bytes of the log that the bound or a full disk has cost since it was
				last cleared, as far as is known */
};
int container_log_range(struct container *c, enum log_view view, struct log_range *ret,
			struct ctn_err *err);
/** container_log_read() - up to @size bytes from position @pos; where @pos was dropped, from the
 * oldest kept. Return: bytes, 0 at the end, -errno. Never blocks. */
ssize_t container_log_read(struct container *c, enum log_view view, uint64_t pos, void *buf,
			   size_t size, struct ctn_err *err);
/** container_log_source() - a descriptor of the file on the disk that is written when a view has
 * grown, for inotify(7). -ENOENT: it never ran. */
int container_log_source(struct container *c, enum log_view view, int *ret);
/** container_log_dropped() - as in its range, and what a program that runs has lost so far. */
int container_log_dropped(struct container *c, uint64_t *ret, struct ctn_err *err);
/** container_log_clear() - drop all that is there now: start becomes end. @ret_start: that; may be
 * NULL. */
int container_log_clear(struct container *c, uint64_t *ret_start, struct ctn_err *err);

/* --- refusals: the last ones, for the `error` files --- */
/** container_note_error() - @where: file ("cmd", "cgroup/memory.limit"). Kept in memory, the
 * newest 64. Also told to the engine's own list with the container's name. @c NULL: only to the
 * engine's, under @where. */
void container_note_error(struct engine *e, struct container *c, const char *where,
			  const struct ctn_err *err);
void container_print_errors(struct container *c,
			    FILE *out); /* `<time> <ERRNO> <file>: <sentence>` */

#endif
