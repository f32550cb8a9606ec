/* SPDX-License-Identifier: Apache-2.0 */
/* The OCI runtime-spec's form of a container, version 1.2, for Linux. */
#ifndef CTNFS_CORE_OCI_H
#define CTNFS_CORE_OCI_H

#include <stdbool.h>

#include "json_doc.h"
#include "spec.h"

/** An annotation of our own documents: the id map that the container had by its own range, a line
 * of /proc/PID/uid_map. Where the document's maps still are that, it has none of its own. */
#define OCI_IDS_KEY "org.ctnfs.ids"

/** oci_is() - whether a document is in this form rather than in our own: it has an ociVersion. */
bool oci_is(const struct json_at *root);

/**
 * oci_import() - a config.json as a spec.
 * @bundle: the bundle's absolute path, which root.path is relative to; NULL: root.path must be
 *          absolute.
 * @ret:    one reference. Its name is "" where the document gives none (annotation org.ctnfs.name);
 *          hostname says what to try next.
 *
 * Every known property takes effect or is refused: -EINVAL for what is wrong, -EOPNOTSUPP for what
 * cannot be honoured here (hooks, AppArmor and SELinux labels, intelRdt, listener sockets), each
 * with its JSON path. Unknown ones are ignored, as the specification demands. Properties whose
 * value says nothing (null, 0 or false where that is the unset value, empty arrays and objects) are
 * accepted.
 * Source: opencontainers/runtime-spec config.md, config-linux.md. Thread: any.
 */
int oci_import(const struct json_at *root, const char *bundle, struct spec **ret,
	       struct ctn_err *err);

struct users_ids;

/**
 * struct oci_where - what a document says and a spec does not know.
 * @root_path: the root file system's absolute path.
 * @binds:     directories of the host that are bound into it at the same place, read-only:
 *             absolute, NULL-terminated; may be NULL.
 * @uids, @gids: the id maps in force.
 * @user:      whom spec->user means, with his home directory and groups.
 * @ns_paths:  the path of a namespace that is joined: needed for each that is "container:ID", and
 *             taken in place of the spec's setting for any other; else NULL.
 */
struct oci_where {
	const char *root_path;
	const char *const *binds;
	const struct spec_maps *uids, *gids;
	const struct users_ids *user;
	const char *ns_paths[NS_COUNT];
};

/**
 * oci_export() - the reverse: a document that runc accepts and that says everything the spec says
 * and the runtime-spec can: not `start`, `init`, `log.max` and `restart`. Defaults are written out.
 * @ret: to be put. Return: 0; -ESRCH where ns_paths lacks one that is needed; -ENOMEM. Thread: any.
 */
int oci_export(const struct spec *spec, const struct oci_where *where, struct json_object **ret,
	       struct ctn_err *err);

/**
 * oci_members_import(), oci_members_export() - the own form's key `oci`: an object shaped like a
 * config.json that holds only the members behind struct spec_oci (process.user.umask,
 * linux.uidMappings, annotations …). Strict: any other member is -EINVAL. An empty object, or a
 * spec without any, is NULL.
 */
int oci_members_import(const struct json_at *oci, struct spec *spec, struct ctn_err *err);
int oci_members_export(const struct spec *spec, struct json_object **ret, struct ctn_err *err);

#endif
