/* SPDX-License-Identifier: Apache-2.0 */
/* Records as JSON, for state.c and state_spec.c alone. */
#ifndef CTNFS_CORE_STATE_PRIVATE_H
#define CTNFS_CORE_STATE_PRIVATE_H

#include <json-c/json.h>

#include "state.h"

enum { STATE_FILE_MAX = 16 << 20 };

/** state_versioned() - a record with nothing in it yet but its version. */
struct json_object *state_versioned(void);

/** state_parse() - one object and nothing behind it: what is cut off, or has a tail, is not what
 * was written. Return: NULL for that. */
struct json_object *state_parse(const char *text, size_t len);

/** state_check() - whether @o is a record that can be understood here. @name: of its file. Return:
 * 0 with @o in *@ret; -EINVAL and @o is gone. */
int state_check(const char *name, struct json_object *o, struct json_object **ret,
		struct ctn_err *err);

/** state_get_spec() - its member "spec". Return: 0; -EINVAL. */
int state_get_spec(struct json_object *o, struct spec **ret, struct ctn_err *err);

/** state_u64() - 0 where it is not there. */
uint64_t state_u64(struct json_object *o, const char *key);

#endif
