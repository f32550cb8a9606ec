/* SPDX-License-Identifier: Apache-2.0 */
/* A container's two directories, of its state and of its run. */
#ifndef CTNFS_CORE_CONTAINER_DIRS_H
#define CTNFS_CORE_CONTAINER_DIRS_H

#include "container.h"
#include "state.h"
#include "wire.h"

/** container_state_dir(), container_run_dir() - a descriptor of its directory in state_fd or
 * run_fd, the caller's. -ENOENT: it has been removed. container_open_state(), container_open_run()
 * - a file in it; -1 and errno. */
int container_state_dir(const struct container *c, int *ret, struct ctn_err *err);
int container_run_dir(const struct container *c, int *ret, struct ctn_err *err);
int container_open_state(const struct container *c, const char *file, int flags);
int container_open_run(const struct container *c, const char *file, int flags);
void container_unlink_run(const struct container *c, const char *file);
int container_make_run_dir(const struct container *c, struct ctn_err *err); /* or it is there */
/** container_load_status() and so on - as state_load_status() and so on. */
int container_load_status(const struct container *c, struct wire_status *ret);
int container_save_exit(const struct container *c, const struct state_exit *e, struct ctn_err *err);
int container_save_run(const struct container *c, const struct spec *spec, const char *skeleton,
		       uint64_t oom_kills, struct ctn_err *err);
int container_load_run(const struct container *c, struct spec **ret, char **ret_skeleton,
		       uint64_t *ret_oom_kills, struct ctn_err *err);

#endif
