/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the files that write a spec in the runtime-spec's form. */
#ifndef CTNFS_CORE_OCI_EXPORT_H
#define CTNFS_CORE_OCI_EXPORT_H

#include "oci.h"

/**
 * struct oci_writer - a document under construction.
 * @where:  as in oci_export(); NULL for the own form's `oci`.
 * @failed: no memory: checked once, at the end.
 */
struct oci_writer {
	const struct spec *spec;
	const struct oci_where *where;
	bool failed;
};

/* Give an object a member, or an array an element; @value is taken. oci_put_some(): unless it is an
 * empty object or array. */
void oci_put(struct oci_writer *w, struct json_object *to, const char *key,
	     struct json_object *value);
void oci_put_some(struct oci_writer *w, struct json_object *to, const char *key,
		  struct json_object *value);
void oci_put_text(struct oci_writer *w, struct json_object *to, const char *key, const char *text);
void oci_put_bool(struct oci_writer *w, struct json_object *to, const char *key, bool value);
void oci_put_int(struct oci_writer *w, struct json_object *to, const char *key, int64_t value);
void oci_put_uint(struct oci_writer *w, struct json_object *to, const char *key, uint64_t value);
void oci_append(struct oci_writer *w, struct json_object *array, struct json_object *value);
void oci_append_text(struct oci_writer *w, struct json_object *array, const char *text);

/* What both forms have: nothing where the spec says nothing. */
void oci_put_cap_sets(struct oci_writer *w, struct json_object *caps, const uint64_t *sets);
void oci_put_caps(struct oci_writer *w, struct json_object *caps, const char *key, uint64_t mask);
void oci_put_user_members(struct oci_writer *w, struct json_object *user);
void oci_put_process_members(struct oci_writer *w, struct json_object *process);
void oci_put_linux_members(struct oci_writer *w, struct json_object *linux_object);
void oci_put_maps(struct oci_writer *w, struct json_object *to, const char *key,
		  const struct spec_maps *maps);
struct json_object *oci_new_annotations(struct oci_writer *w);

/* Sections of a document. */
int oci_put_process(struct oci_writer *w, struct json_object *root, struct ctn_err *err);
int oci_put_mounts(struct oci_writer *w, struct json_object *root, struct ctn_err *err);
int oci_put_linux(struct oci_writer *w, struct json_object *root, struct ctn_err *err);
int oci_put_devices(struct oci_writer *w, struct json_object *linux_object,
		    struct json_object *resources, struct ctn_err *err);
int oci_put_resources(struct oci_writer *w, struct json_object *resources, struct ctn_err *err);

/** oci_export_members() - the own form's `oci`, perhaps empty. */
int oci_export_members(const struct spec *spec, struct json_object **ret, struct ctn_err *err);

#endif
