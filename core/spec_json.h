/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tree's own form of a spec: keys are file names, values what would be written into the files.
 *
 * One line is a string; where the file takes a number, also a number, where it takes 0 or 1, also
 * true or false. A list is an array of its lines, or a string with all of them. Beside that:
 * - cmd: an array of words, or a string that is split as in the file.
 * - env: also {"KEY": "value"}, null for a default variable that is not to be there.
 * - seccomp: also a profile as an object, or an array that begins with one.
 * - ns: {"net": "host"}. cgroup: {"pids.max": 100}; io.max takes an array.
 * - name, which is no file; and oci, the few members of the runtime-spec that have none (oci.h).
 */
#ifndef CTNFS_CORE_SPEC_JSON_H
#define CTNFS_CORE_SPEC_JSON_H

#include <json-c/json.h>

#include "json_doc.h"
#include "spec.h"

/** spec_to_json() - every field, in the order of spec_fields; namespaces only where something was
 * said. To be put. NULL without memory. */
struct json_object *spec_to_json(const struct spec *spec);

/** spec_to_text() - the same as the `spec` file has it: indented by two, a newline at its end.
 * @ret: to be freed. Bytes in cmd or env that are not UTF-8 are in it as they are. */
int spec_to_text(const struct spec *spec, char **ret, struct ctn_err *err);

/**
 * spec_from_at() - a user's document as a spec.
 * @ret: one reference. Its name is "" where the document gives none.
 *
 * Each value goes through the parser of its file. A missing key is the default; an unknown one, one
 * of another type, a value out of range is -EINVAL, what a parser refuses else is its own error,
 * all with path, line and column in front. The limits under `cgroup` are known, writable and kept;
 * their values are checked where they are applied. Thread: any.
 */
int spec_from_at(const struct json_at *root, struct spec **ret, struct ctn_err *err);

/** spec_from_json() - the reverse of spec_to_json(), for our own state files: a name must be there;
 * also what older versions wrote: ns.list, and cgroup as "knob value" lines. */
int spec_from_json(struct json_object *object, struct spec **ret, struct ctn_err *err);

/** spec_template() - a document to start from, valid as it is. */
const char *spec_template(void);

#endif
