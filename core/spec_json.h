/* SPDX-License-Identifier: Apache-2.0 */
/* A spec as JSON: keys are file names, values what would be written into them. */
#ifndef CTNFS_CORE_SPEC_JSON_H
#define CTNFS_CORE_SPEC_JSON_H

#include <json-c/json.h>

#include "spec.h"

/** spec_to_json() - every field, in the order of spec_fields. NULL without memory. */
struct json_object *spec_to_json(const struct spec *spec);

/** spec_from_json() - the reverse, through the same parsers as the files; a missing key is the
 * default, an unknown one -EINVAL. */
int spec_from_json(struct json_object *object, struct spec **ret, struct ctn_err *err);

#endif
