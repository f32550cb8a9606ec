/* SPDX-License-Identifier: Apache-2.0 */
/* User names of a container, resolved in its own passwd(5) and group(5), which are foreign bytes.
 */
#ifndef CTNFS_CORE_USERS_H
#define CTNFS_CORE_USERS_H

#include <stddef.h>
#include <sys/types.h>

#include "err.h"

enum { USERS_GROUPS_MAX = 64, USERS_HOME_MAX = 256 };

/**
 * struct users_ids - whom a program runs as, in the container's own numbers.
 * @groups: supplementary groups from group(5), for a user given by name; empty for one given by
 * number unless passwd(5) has exactly that number.
 * @home:   from passwd(5), "/" when there is no entry.
 */
struct users_ids {
	uid_t uid;
	gid_t gid;
	size_t n_groups;
	gid_t groups[USERS_GROUPS_MAX];
	char home[USERS_HOME_MAX];
};

/**
 * users_resolve() - what `user` means.
 * @rootfds:   directories, topmost layer first; etc/passwd and etc/group are taken from the first
 * that has each.
 * @n_rootfds: how many.
 * @text:      `name`, `uid`, `uid:gid`, `name:group`, or "" for root. A string of digits is never
 * looked up as a name and a number must be 0 … 4294967294 in plain decimal ("00", "+1", " 1", "1:",
 * "0x0" are -EINVAL).
 * @ret:       untouched on failure.
 *
 * Files are opened with openat2 RESOLVE_IN_ROOT and O_NONBLOCK; anything but a regular file of at
 * most 10 MiB is refused
 * (-EINVAL). Never executes or loads anything (no NSS).
 *
 * Return: 0; -EINVAL; -ENOENT for an unknown name, with the way out. Thread: any.
 */
int users_resolve(const int *rootfds, size_t n_rootfds, const char *text, struct users_ids *ret,
		  struct ctn_err *err);

/** users_check() - the syntax alone, without looking names up: 0 or -EINVAL. */
int users_check(const char *text, struct ctn_err *err);

#endif
