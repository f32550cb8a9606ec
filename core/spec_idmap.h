/* SPDX-License-Identifier: Apache-2.0 */
/* Id maps: whose id outside is which inside. */
#ifndef CTNFS_CORE_SPEC_IDMAP_H
#define CTNFS_CORE_SPEC_IDMAP_H

#include "spec.h"

/**
 * spec_maps_check() - what user_namespaces(7) asks of a map, and a root.
 * @what: "uid map"; names it in sentences.
 * Return: 0; -EINVAL: an extent of no ids, one beyond 4294967294, two that overlap inside or
 * outside, nobody who is 0 inside, more than SPEC_MAPS_MAX extents. Thread: any.
 */
int spec_maps_check(const char *what, const struct spec_maps *maps, struct ctn_err *err);

/** spec_maps_parse() - lines as in /proc/PID/uid_map, "INSIDE OUTSIDE COUNT". -EINVAL. */
int spec_maps_parse(const char *what, const char *text, struct spec_maps *ret, struct ctn_err *err);

/** spec_maps_print() - the reverse. */
void spec_maps_print(const struct spec_maps *maps, FILE *out);

/** spec_maps_read() - of a user namespace that a process is in. @procfd: its /proc/PID. -ESRCH
 * when it has ended. */
int spec_maps_read(int procfd, struct spec_maps *ret_uids, struct spec_maps *ret_gids,
		   struct ctn_err *err);

/** spec_maps_outside(), spec_maps_inside() - whether @id has a counterpart there, and which. */
bool spec_maps_outside(const struct spec_maps *maps, uint32_t id, uint32_t *ret);
bool spec_maps_inside(const struct spec_maps *maps, uint32_t id, uint32_t *ret);

bool spec_maps_same(const struct spec_maps *a, const struct spec_maps *b);

#endif
