/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the files that implement oci.h. */
#ifndef CTNFS_CORE_OCI_PRIVATE_H
#define CTNFS_CORE_OCI_PRIVATE_H

#include "oci.h"

struct oci_prop;

/**
 * struct oci_reader - a document on its way into a spec.
 * @spec:    private.
 * @bundle:  as in oci_import().
 * @strict:  the own form's `oci`: an unknown member is refused.
 * @listed:  which kinds of namespaces the document has; bit NS_….
 * @mounted: which rows of oci_default_mounts it has a mount at.
 * @uid:     process.user's.
 */
struct oci_reader {
	struct spec *spec;
	const char *bundle;
	bool strict;
	unsigned listed, mounted;
	uint32_t uid;
};

/**
 * struct oci_prop - one property of an object.
 * @take:    gives the spec its value, which is not null. NULL: it cannot be honoured here, which is
 *           -EOPNOTSUPP unless the value says nothing.
 * @why:     without @take: the sentence behind the path. NULL: the value has no meaning on Linux.
 */
struct oci_prop {
	const char *name;
	int (*take)(struct oci_reader *in, const struct json_at *at, struct ctn_err *err);
	const char *why;
};

/** oci_props() - take the members of an object in the order of the table, which a row without a
 * name ends. */
int oci_props(struct oci_reader *in, const struct json_at *object, const struct oci_prop *table,
	      struct ctn_err *err);

/** oci_object() - an object, in the own form without members other than @names (NULL-terminated).
 */
int oci_object(const struct oci_reader *in, const struct json_at *at, const char *const *names,
	       struct ctn_err *err);

/** oci_each() - call @fn for each element of an array. */
int oci_each(struct oci_reader *in, const struct json_at *array,
	     int (*fn)(struct oci_reader *in, const struct json_at *item, struct ctn_err *err),
	     struct ctn_err *err);

/** oci_says_nothing() - null, false, 0, "", [] and objects of nothing else. */
bool oci_says_nothing(const struct json_at *at);

/** oci_need() - member @key of @object, or -EINVAL: it is missing. */
int oci_need(const struct json_at *object, const char *key, struct json_at *ret,
	     struct ctn_err *err);

/** oci_field() - give the file @field of the tree the value @text; the refusal gets @at's path. */
int oci_field(struct oci_reader *in, const struct json_at *at, const char *field, const char *text,
	      struct ctn_err *err);

/** oci_add() - add one line to the list that the file @field of the tree is. */
int oci_add(struct oci_reader *in, const struct json_at *at, const char *field, const char *line,
	    struct ctn_err *err);

/** oci_check_line() - a text that comes back from a file of lines as it went in, or -EINVAL: no
 * line break, no blank at its beginning or end. */
int oci_check_line(const struct json_at *at, const char *text, struct ctn_err *err);

/** oci_path() - an absolute path without "." and "..", doubled and last slashes: of @path, below
 * @base unless it is absolute. Lexical. @base: NULL: -EINVAL for a relative one. */
int oci_path(const struct json_at *at, const char *base, const char *path, char **ret,
	     struct ctn_err *err);

/* A name with a number. oci_number() - -EINVAL with what there is. oci_name() - or NULL. */
struct oci_name {
	const char *name;
	uint64_t value;
};

int oci_number(const struct json_at *at, const struct oci_name *names, uint64_t *ret,
	       struct ctn_err *err);
const char *oci_name_of(const struct oci_name *names, uint64_t value);

extern const struct oci_name oci_cap_sets[], oci_policies[], oci_sched_flags[],
	oci_ioprio_classes[], oci_propagations[], oci_personalities[], oci_namespaces[],
	oci_throttles[];

enum { OCI_IOPRIO_SHIFT = 13, OCI_THROTTLES = 4 };

extern const char *const oci_throttle_keys[OCI_THROTTLES]; /* in io.max */

/* Objects that both forms have. */
int oci_take_process(struct oci_reader *in, const struct json_at *at, struct ctn_err *err);
int oci_take_linux(struct oci_reader *in, const struct json_at *at, struct ctn_err *err);
int oci_take_annotations(struct oci_reader *in, const struct json_at *at, struct ctn_err *err);
int oci_take_domainname(struct oci_reader *in, const struct json_at *at, struct ctn_err *err);
int oci_take_umask(struct oci_reader *in, const struct json_at *at, struct ctn_err *err);
int oci_take_gids(struct oci_reader *in, const struct json_at *at, struct ctn_err *err);
int oci_take_console(struct oci_reader *in, const struct json_at *at, struct ctn_err *err);
int oci_take_scheduler(struct oci_reader *in, const struct json_at *at, struct ctn_err *err);
int oci_take_ioprio(struct oci_reader *in, const struct json_at *at, struct ctn_err *err);
int oci_take_cap_set(struct oci_reader *in, const struct json_at *at, struct ctn_err *err);
int oci_take_uids(struct oci_reader *in, const struct json_at *at, struct ctn_err *err);
int oci_take_gid_map(struct oci_reader *in, const struct json_at *at, struct ctn_err *err);
int oci_take_maps(const struct oci_reader *in, const struct json_at *at, struct spec_maps *maps,
		  struct ctn_err *err);
int oci_take_propagation(struct oci_reader *in, const struct json_at *at, struct ctn_err *err);
int oci_take_offsets(struct oci_reader *in, const struct json_at *at, struct ctn_err *err);
int oci_take_personality(struct oci_reader *in, const struct json_at *at, struct ctn_err *err);
int oci_take_cgroups_path(struct oci_reader *in, const struct json_at *at, struct ctn_err *err);

/* Parts of a config.json alone. oci_take_caps() - process.capabilities; @at->value may be NULL. */
int oci_take_caps(struct oci_reader *in, const struct json_at *at, struct ctn_err *err);
int oci_take_mounts(struct oci_reader *in, const struct json_at *at, struct ctn_err *err);
int oci_remove_defaults(struct oci_reader *in, const struct json_at *root, struct ctn_err *err);
int oci_take_devices(struct oci_reader *in, const struct json_at *linux_at, struct ctn_err *err);
/* When the capabilities are known, which a profile can ask about. */
int oci_take_seccomp(struct oci_reader *in, const struct json_at *linux_at, struct ctn_err *err);
int oci_take_resources(struct oci_reader *in, const struct json_at *at, struct ctn_err *err);

/**
 * struct oci_default_mount - how a default container's own mounts read as entries of a document. An
 * entry that is exactly this is the default again.
 * @owner: the kind of namespace that it shows. Where that is the host's it cannot be made anew:
 * then it is a bind of the host's, or, without @bound, it is not there. NS_COUNT: none.
 */
struct oci_default_mount {
	const char *target, *type, *source, *options;
	enum ns_kind owner;
	bool bound;
};

extern const struct oci_default_mount oci_default_mounts[]; /* ended by a row without a target */

/** oci_default_bound(), oci_default_absent() - whether that one is a bind of the host's, or not
 * there. */
bool oci_default_bound(const struct spec *spec, const struct oci_default_mount *mount);
bool oci_default_absent(const struct spec *spec, const struct oci_default_mount *mount);

/** oci_has_own_root() - whether the document that @at is in has the annotation org.ctnfs.rootfs:
 * the root is ours, as our own documents say. */
bool oci_has_own_root(const struct json_at *at);

#endif
