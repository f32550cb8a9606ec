/* SPDX-License-Identifier: Apache-2.0 */
/* A container's process that is made before its start, as far as it goes without knowing what is to
 * run: the monitor waits with it for another start message (WIRE_PARK in wire.h), and compares.
 * Where that does not fit what was prepared, the monitor makes the process anew. Nothing shows a
 * process that waits so, and nobody can join its namespaces: the container does not run. */
#ifndef CTNFS_CORE_LAUNCH_PARK_H
#define CTNFS_CORE_LAUNCH_PARK_H

#include "launch_pack.h"

struct launch_parked {
	struct pidref *monitor; /* our child */
	int sock; /* to it; with its end the monitor ends, and the process that waits */
};

/** launch_park() - prepare @c, which nobody else knows yet, with its present spec. */
int launch_park(struct container *c, struct ctn_err *err);

/** launch_parked_take() - what is prepared is the caller's from now on. False: there is nothing. */
bool launch_parked_take(struct container *c, struct launch_parked *ret);

/** launch_parked_attach() - what launch_attach_open() gave for it, which is the caller's from now
 * on; once. @ret: room for CG_CONTROLLERS. Return: how many; 0 where nothing is prepared. */
int launch_parked_attach(struct container *c, int *ret);

/** launch_parked_end() - and nothing of it is left; killed where it takes too long. launch_unpark()
 * - the same of a container, which may have none. Thread: any; no lock held. */
void launch_parked_end(struct launch_parked *parked);
void launch_unpark(struct container *c);

/** launch_monitor() - a new monitor at work on what was packed. @more: the descriptors behind the
 * fixed ones. @ret_sock: the connection to it. */
int launch_monitor(const struct container *c, const struct packer *p, const int *more,
		   size_t n_more, struct pidref **ret, int *ret_sock, struct ctn_err *err);

/** launch_attach_open() - the descriptors through which a process gets into its cgroup; @ret: room
 * for CG_CONTROLLERS. @ret_into: it is born there. Return: how many. launch_attach_close() - with
 * what was returned, or less.
 * launch_own_layer() - launch_layer() for those whom @spec, with @joins, makes root inside. */
int launch_attach_open(const struct container *c, int *ret, bool *ret_into, struct ctn_err *err);
void launch_attach_close(const int *fds, int n);
int launch_own_layer(const struct container *c, const struct spec *spec,
		     const struct launch_joins *joins, struct ctn_err *err);

#endif
