/* SPDX-License-Identifier: Apache-2.0 */
/* seccomp(2) profiles: what they say, as text; and compiled, as a BPF program that the monitor
 * loads. */
#ifndef CTNFS_CORE_SECCOMP_H
#define CTNFS_CORE_SECCOMP_H

#include <linux/filter.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "err.h"

struct seccomp_profile; /* immutable; counted */

/**
 * seccomp_profile_get() - the profile called @name: "default" or "none".
 * @caps: the container's bounding set; the default profile allows more to those who have more, as
 * docker's does. Return: 0 with a reference in @ret; -EINVAL with the known names. Thread: any.
 */
int seccomp_profile_get(const char *name, uint64_t caps, struct seccomp_profile **ret,
			struct ctn_err *err);
void seccomp_profile_put(struct seccomp_profile *profile); /* NULL is fine */

/**
 * struct seccomp_program - a compiled filter, for seccomp(SECCOMP_SET_MODE_FILTER).
 * @len: instructions; 0 for the profile "none": no filter is to be loaded.
 */
struct seccomp_program {
	const struct sock_filter *filter;
	size_t len;
};

/**
 * seccomp_compile() - the profile as a BPF program, compiled by libseccomp once for each distinct
 * rule set (native ABI and its 32-bit sibling, binary tree) and kept for the life of the process.
 * @ret: points into the cache; never freed.
 * Return: 0 or -errno. Thread: any; the first call for a rule set takes about 10 ms.
 */
int seccomp_compile(const struct seccomp_profile *profile, struct seccomp_program *ret,
		    struct ctn_err *err);

/**
 * seccomp_print() - the text of the container's `seccomp` file, valid as input to it: the profile's
 * name alone on a line; everything else (mode as in /proc/PID/status, default action, counts, the
 * rules in force one a line, with argument conditions) on lines that begin with '#'.
 */
void seccomp_print(FILE *out, const struct seccomp_profile *profile);

#endif
