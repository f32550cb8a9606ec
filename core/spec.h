/* SPDX-License-Identifier: Apache-2.0 */
/* What a container is to be. A spec is immutable once published (container.h) and counted; changing
 * one means copying it, changing the copy, and publishing that. Knows neither kernel nor disk. */
#ifndef CTNFS_CORE_SPEC_H
#define CTNFS_CORE_SPEC_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "err.h"
#include "ns.h"
#include "strlist.h"

enum {
	SPEC_NAME_MAX = 64,	 /* bytes of a container's name */
	SPEC_TEXT_MAX = 1 << 20, /* bytes of any one value */
	SPEC_ARGS_MAX = 4096,	 /* words of a command */
	SPEC_ENV_MAX = 4096,	 /* variables */
	SPEC_HOSTNAME_MAX = 64,	 /* sethostname(2) */
};

enum {
	SPEC_MAPS_MAX = 340,  /* extents of an id map: user_namespaces(7) */
	SPEC_LINES_MAX = 512, /* entries of mounts, devices, paths, sysctl */
	SPEC_GROUPS_MAX = 64, /* supplementary groups */
};

/** The one limit that a container has when nobody says so, as it stands in @cgroup. */
#define SPEC_KNOB_DEFAULT "pids.max 4096"

/** When a container is started again that has ended without being told to. */
enum spec_restart {
	SPEC_RESTART_NO,
	SPEC_RESTART_ON_FAILURE,
	SPEC_RESTART_ALWAYS,
	SPEC_RESTART_UNLESS_STOPPED, /* the same; docker's word for it */
};

enum { SPEC_RESTARTS_MAX = 1000000 };

/** Where the root file system's changes go. */
enum spec_root_mode { SPEC_ROOT_OVERLAY, SPEC_ROOT_RO, SPEC_ROOT_RW };

/** One extent of an id map: @count ids from @inside on are those from @outside on, on the host. */
struct spec_map {
	uint32_t inside, outside, count;
};

struct spec_maps {
	struct spec_map items[SPEC_MAPS_MAX];
	size_t len;
};

/** sched_setattr(2). @flags: SCHED_FLAG_…; times in nanoseconds. */
struct spec_scheduler {
	bool set;
	uint32_t policy;
	int32_t nice;
	uint32_t priority;
	uint64_t flags, runtime, deadline, period;
};

/** time_namespaces(7): what is added to a clock. */
struct spec_time_offset {
	bool set;
	int64_t secs;
	uint32_t nanosecs;
};

enum spec_cap_set {
	SPEC_CAP_EFFECTIVE,
	SPEC_CAP_PERMITTED,
	SPEC_CAP_INHERITABLE,
	SPEC_CAP_AMBIENT,
	SPEC_CAP_SETS
};

/**
 * struct spec_oci - what the runtime-spec can say and no file of the tree does; the key `oci` of
 * the own form. NULL in a spec that says none of it.
 * @uids, @gids:   without extents: the container's own range.
 * @groups:        supplementary groups beside those that group(5) gives; with @has_groups instead
 *                 of them.
 * @umask:         -1: 022.
 * @has_caps:      the sets below are given; otherwise they follow from the bounding set and uid.
 * @ioprio:        IOPRIO_PRIO_VALUE(class, level); -1: inherited.
 * @personality:   PER_…; -1: inherited.
 * @propagation:   MS_SHARED, MS_SLAVE, MS_PRIVATE, MS_UNBINDABLE, perhaps with MS_REC; 0: private.
 * @domainname, @cgroups_path: NULL: none.
 * @rows, @cols:   of the terminal; 0: not given.
 * @annotations:   "key=value".
 */
struct spec_oci {
	struct spec_maps uids, gids;
	bool has_groups, has_caps;
	uint32_t groups[SPEC_GROUPS_MAX];
	size_t n_groups;
	int32_t umask, ioprio;
	int64_t personality;
	uint64_t caps[SPEC_CAP_SETS];
	struct spec_scheduler scheduler;
	struct spec_time_offset monotonic, boottime;
	unsigned long propagation;
	char *domainname, *cgroups_path;
	uint16_t rows, cols;
	struct strlist annotations;
};

/**
 * struct spec - one container's configuration.
 * @name:     its directory in the mount.
 * @cmd:      argv; empty while none was written.
 * @start:    whether writing cmd starts it.
 * @env:      "KEY=value" in order of first mention; "-KEY" for a default variable that was removed.
 * @cwd:      absolute path inside.
 * @user:     users.h grammar; "" for root.
 * @hostname: NULL: the container's name.
 * @rootfs:   NULL: `host`; else the absolute path of a directory on the host.
 * @mounts:   fstab(5) lines in canonical form (spec_mounts.h), and "-/path" for a default mount
 *            that is not to be there.
 * @rlimits, @sysctl, @devices, @paths: their lines in canonical form (spec_lines.h). @devices and
 *            @paths hold the whole list, defaults included.
 * @caps:     bounding set.
 * @seccomp:  "default", "none", or a profile as a JSON document in moby's or the OCI form.
 * @seccomp_deltas: "+call" and "-call", in order of last mention.
 * @notify:   whether the monitor is asked about denied calls.
 * @ns:       NULL: the kind's default, else "new", "host", "container:ID" (64 hex digits) or the
 *            absolute path of a namespace.
 * @cgroup:   "knob value" of each kept knob that was written, as written.
 * @log_max:  bytes of output kept.
 * @restart:  when it is started again; @restart_max: after a failure, how often in a row; 0:
 * without bound.
 * @oci:      NULL, or owned.
 */
struct spec {
	char *name;
	struct strlist cmd;
	bool start;
	struct strlist env;
	char *cwd;
	char *user;
	char *hostname;
	char *rootfs;
	enum spec_root_mode root_mode;
	struct strlist mounts, rlimits, sysctl, devices, paths;
	int oom_score_adj;
	uint64_t caps;
	char *seccomp;
	struct strlist seccomp_deltas;
	bool notify;
	bool no_new_privs;
	bool tty;
	bool init;
	char *ns[NS_COUNT];
	struct strlist cgroup;
	uint64_t log_max;
	enum spec_restart restart;
	unsigned restart_max;
	struct spec_oci *oci;
	unsigned refs; /* atomic */
};

/** spec_new() - all defaults. NULL without memory. */
struct spec *spec_new(const char *name);
struct spec *spec_dup(
	const struct spec *spec); /* a private copy with one reference; NULL without memory */
struct spec *spec_get(struct spec *spec); /* another reference; NULL gives NULL */
void spec_put(struct spec *spec);	  /* NULL is fine */

/** spec_name_check() - [A-Za-z0-9][A-Za-z0-9_.-]{0,63}, not one of the root's own or reserved
 * names. -EINVAL. */
int spec_name_check(const char *name, struct ctn_err *err);

/** How a text meets the value that is there. */
enum spec_write {
	SPEC_REPLACE, /* `>` */
	SPEC_AMEND,   /* `>>` */
};

enum spec_when { SPEC_LIVE, SPEC_NEXT, SPEC_STOPPED };

/**
 * struct spec_field - one configuration file of the tree.
 * @name:  as in the tree: "env", "ns/net" …
 * @when:  when a write takes effect.
 * @list:  one entry a line, so that a partial last line may be continued; otherwise one value.
 * @keeps_empty: an empty text changes nothing (caps, seccomp), rather than emptying the list.
 * @show:  print the value, newline at its end, "\n" for an empty one.
 * @store: parse @text (NUL-terminated; no NUL inside; at most SPEC_TEXT_MAX) into a private spec.
 * On failure the spec is unusable and is to be dropped. Lines that are blank or begin with '#' are
 * skipped.
 * @arg:   for @show and @store.
 */
struct spec_field {
	const char *name;
	enum spec_when when;
	bool list;
	bool keeps_empty;
	void (*show)(const struct spec *spec, const struct spec_field *field, FILE *out);
	int (*store)(struct spec *spec, const struct spec_field *field, const char *text,
		     enum spec_write how, struct ctn_err *err);
	int arg;
};

/** spec_fields - the table, ended by a row without a name; in the order of the JSON form. */
extern const struct spec_field spec_fields[];
const struct spec_field *spec_field_find(const char *name); /* NULL when there is none */

/** spec_field_text() - the field as text, to be freed. 0 or -ENOMEM. */
int spec_field_text(const struct spec *spec, const struct spec_field *field, char **ret,
		    struct ctn_err *err);

/** spec_field_copy() - give @field in the private @dst the value that it has in @src. 0 or -ENOMEM.
 */
int spec_field_copy(struct spec *dst, const struct spec *src, const struct spec_field *field,
		    struct ctn_err *err);

/** spec_env() - the environment that execve gets: defaults (PATH HOME HOSTNAME TERM) merged with
 * the spec's.
 * @home: the user's home directory. @ret: fresh list of "KEY=value". */
int spec_env(const struct spec *spec, const char *home, struct strlist *ret, struct ctn_err *err);

/** spec_env_print() - "KEY=value" lines with newlines and backslashes escaped, as the `env` file
 * has them. */
void spec_env_print(const struct strlist *env, FILE *out);

/** spec_hostname() - the host name in force: @hostname or the name. */
const char *spec_hostname(const struct spec *spec);

/** spec_ns_setting() - what ns/<kind> says: "new", "host", "container:ID" or a path.
 * spec_ns_is_host(), spec_ns_is_new(): whether it is that word. spec_ns_container(),
 * spec_ns_path(): the ID or the path; NULL for other settings. */
const char *spec_ns_setting(const struct spec *spec, enum ns_kind kind);
bool spec_ns_is_host(const struct spec *spec, enum ns_kind kind);
bool spec_ns_is_new(const struct spec *spec, enum ns_kind kind);
const char *spec_ns_container(const struct spec *spec, enum ns_kind kind);
const char *spec_ns_path(const struct spec *spec, enum ns_kind kind);

/** spec_ns_check() - whether that can be the setting of ns/<kind>. -EINVAL; -EOPNOTSUPP. */
int spec_ns_check(enum ns_kind kind, const char *setting, struct ctn_err *err);

/** spec_ns_names_host() - whether it asks for a host name that ns/uts, another's, cannot have. Its
 * own name says nothing. */
bool spec_ns_names_host(const struct spec *spec);

/** spec_ns_implied_user() - the kind whose container's user namespace is joined along with it; -1
 * when ns/user says itself which. */
int spec_ns_implied_user(const struct spec *spec);

/** spec_ns_set_container() - in a private spec: "container:" and @name, a name or an id.
 * spec_ns_set_path() - @path. 0 or -ENOMEM. */
int spec_ns_set_container(struct spec *spec, enum ns_kind kind, const char *name,
			  struct ctn_err *err);
int spec_ns_set_path(struct spec *spec, enum ns_kind kind, const char *path, struct ctn_err *err);

/** spec_cgroup_name() - the name of its control group below the server's: of @oci's cgroups_path
 * with slashes and colons as '-', or "" where it says none and the container's id is the name.
 * Return: 0; -EINVAL for a path with "..", or one that leaves nothing or more than 255 bytes. */
enum { SPEC_CGROUP_NAME_MAX = 255 };
int spec_cgroup_name(const struct spec *spec, char ret[SPEC_CGROUP_NAME_MAX + 1],
		     struct ctn_err *err);

/** spec_restarts() - whether it is to be started again after a run that ended with @code, where
 * @failures runs in a row were followed by another already. */
bool spec_restarts(const struct spec *spec, int code, unsigned failures);

/** spec_set_knob() - remember a cgroup knob's value as written (replacing an earlier one) in a
 * private spec. */
int spec_set_knob(struct spec *spec, const char *knob, const char *value, struct ctn_err *err);

/** spec_oci_edit() - the private spec's @oci, made with nothing said where there is none. NULL
 * without memory. */
struct spec_oci *spec_oci_edit(struct spec *spec);

/** spec_caps_check() - whether the kernel will take the sets of @oci with that bounding set:
 * permitted and inheritable are in it, effective in permitted, ambient in both. -EINVAL names the
 * set and the capability. */
int spec_caps_check(const struct spec_oci *oci, uint64_t bounding, struct ctn_err *err);

#endif
