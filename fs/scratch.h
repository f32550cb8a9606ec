/* SPDX-License-Identifier: Apache-2.0 */
/* What scratch.c and scratch_rename.c share. */
#ifndef CTNFS_FS_SCRATCH_H
#define CTNFS_FS_SCRATCH_H

#include "ops.h"

/**
 * struct scratch - one file. All under scratch_lock().
 * @refs: its name, and each descriptor.
 * @slot: which of the container's; in its node id.
 * @dir:  the directory's row. @name: "" once it has none.
 * @data: @len bytes, and room for a NUL.
 */
struct scratch {
	unsigned refs;
	struct scratch *next;
	uint32_t serial, slot;
	const struct node *dir;
	char name[SCRATCH_NAME_ROOM];
	char *data;
	size_t len;
	mode_t mode;
	uint64_t mtime; /* nanoseconds since the epoch */
};

/** scratch_lock(), scratch_unlock() - innermost but for memory: nothing is waited for under it. */
void scratch_lock(void);
void scratch_unlock(void);

/** scratch_named() - the file, or NULL. scratch_put() - one reference less. scratch_drop_name() -
 * unlink it. All under scratch_lock(). */
struct scratch *scratch_named(const struct node_ref *dir, const char *name);
void scratch_put(struct scratch *s);
void scratch_drop_name(struct scratch *s);

#endif
