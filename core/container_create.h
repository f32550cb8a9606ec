/* SPDX-License-Identifier: Apache-2.0 */
/* Whole specs: making a container from one, and giving another one to a container that is there. */
#ifndef CTNFS_CORE_CREATE_H
#define CTNFS_CORE_CREATE_H

#include "container.h"
#include "life.h"

/**
 * container_create_spec() - what a document written to `new` does.
 * @spec: private, one reference, the caller's to put; its name is filled in where it is "".
 * @w:    as for the verbs of life.h; called once the container runs, or it is known why not.
 * @ret:  a reference.
 *
 * The name is the spec's, else its host name if that is free, else the first 12 digits of the id.
 * State, layer, cgroups and limits are made while nobody can see it; with a command, and unless
 * `start` is 0, it is started unseen, too. So it is there complete, or it is not: where the start
 * fails, all is removed again and the error is that of the start.
 *
 * Return: LIFE_DONE; LIFE_PENDING; -EINVAL (name), -EEXIST, -ENOSPC, -EOPNOTSUPP (a limit that this
 * kernel lacks), -errno with nothing left behind. Blocks on disk. Thread: any.
 */
int container_create_spec(struct engine *e, struct spec *spec, struct life_waiter *w,
			  struct container **ret, struct ctn_err *err);

/**
 * container_replace_spec() - what a document written to `spec` does.
 * @spec: private; its name is filled in where it is "".
 *
 * Return: 0 once @spec is on disk and in force; -EBUSY unless it is stopped; -EINVAL for another
 * name; -EOPNOTSUPP…; nothing is changed then, limits included. Blocks on disk; never starts it.
 */
int container_replace_spec(struct container *c, struct spec *spec, struct ctn_err *err);

#endif
