/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the files that implement spec.h. */
#ifndef CTNFS_CORE_SPEC_PRIVATE_H
#define CTNFS_CORE_SPEC_PRIVATE_H

#include "json_doc.h"
#include "spec.h"

/** spec_each_line() - call @fn with a private copy of each line of @text, blanks in front of it
 * removed (those at its end can be part of a value); blank lines and those that begin with '#' are
 * skipped. Stops at the first failure. */
int spec_each_line(struct spec *spec, const char *text,
		   int (*fn)(struct spec *spec, char *line, struct ctn_err *err),
		   struct ctn_err *err);

/** spec_one_value() - the one line of a single value, to be freed: the last that is neither blank
 * nor a comment, "" when there is none. */
int spec_one_value(const char *text, char **ret, struct ctn_err *err);

/** enum spec_list - @arg of the rows with spec_list_show(). */
enum spec_list { LIST_MOUNTS, LIST_RLIMITS, LIST_SYSCTL, LIST_DEVICES, LIST_PATHS };

/* Rows of spec_fields that need more than a few lines. */
void spec_env_show(const struct spec *s, const struct spec_field *f, FILE *out);
int spec_env_store(struct spec *s, const struct spec_field *f, const char *text,
		   enum spec_write how, struct ctn_err *err);
void spec_cmd_show(const struct spec *s, const struct spec_field *f, FILE *out);
int spec_cmd_store(struct spec *s, const struct spec_field *f, const char *text,
		   enum spec_write how, struct ctn_err *err);
void spec_ns_show(const struct spec *s, const struct spec_field *f, FILE *out);
int spec_ns_store(struct spec *s, const struct spec_field *f, const char *text, enum spec_write how,
		  struct ctn_err *err);
void spec_ns_list_show(const struct spec *s, const struct spec_field *f, FILE *out);
int spec_ns_list_store(struct spec *s, const struct spec_field *f, const char *text,
		       enum spec_write how, struct ctn_err *err);
void spec_list_show(const struct spec *s, const struct spec_field *f, FILE *out);
int spec_list_store(struct spec *s, const struct spec_field *f, const char *text,
		    enum spec_write how, struct ctn_err *err);
void spec_rootfs_show(const struct spec *s, const struct spec_field *f, FILE *out);
int spec_rootfs_store(struct spec *s, const struct spec_field *f, const char *text,
		      enum spec_write how, struct ctn_err *err);

void spec_restart_show(const struct spec *s, const struct spec_field *f, FILE *out);
int spec_restart_store(struct spec *s, const struct spec_field *f, const char *text,
		       enum spec_write how, struct ctn_err *err);

void spec_seccomp_show(const struct spec *s, const struct spec_field *f, FILE *out);
int spec_seccomp_store(struct spec *s, const struct spec_field *f, const char *text,
		       enum spec_write how, struct ctn_err *err);

/** spec_seccomp_import() - give a private spec a JSON profile from a document of any form, without
 * deltas; its caps are to be there already. @strict: as of seccomp_check(). */
int spec_seccomp_import(struct spec *s, const struct json_at *at, bool strict, struct ctn_err *err);

#endif
