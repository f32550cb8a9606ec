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

enum {
	SPEC_NAME_MAX = 64,	 /* bytes of a container's name */
	SPEC_TEXT_MAX = 1 << 20, /* bytes of any one value */
	SPEC_ARGS_MAX = 4096,	 /* words of a command */
	SPEC_ENV_MAX = 4096,	 /* variables */
	SPEC_HOSTNAME_MAX = 64,	 /* sethostname(2) */
};

/** A list of strings, NULL-terminated when not empty. */
struct strlist {
	char **items;
	size_t len;
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
 * @caps:     bounding set.
 * @seccomp:  profile name.
 * @ns:       NULL: the kind's default, else "new" or "host".
 * @cgroup:   "knob value" of each kept knob that was written, as written.
 * @log_max:  bytes of output kept.
 */
struct spec {
	char *name;
	struct strlist cmd;
	bool start;
	struct strlist env;
	char *cwd;
	char *user;
	char *hostname;
	uint64_t caps;
	char *seccomp;
	bool no_new_privs;
	bool init;
	char *ns[NS_COUNT];
	struct strlist cgroup;
	uint64_t log_max;
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

/** spec_ns_is_host() - whether it shares the host's namespace of that kind. */
bool spec_ns_is_host(const struct spec *spec, enum ns_kind kind);

/** spec_set_knob() - remember a cgroup knob's value as written (replacing an earlier one) in a
 * private spec. */
int spec_set_knob(struct spec *spec, const char *knob, const char *value, struct ctn_err *err);

void strlist_free(struct strlist *list);
int strlist_add(struct strlist *list, const char *text,
		size_t len); /* a copy of @len bytes; 0 or -ENOMEM */

#endif
