/* SPDX-License-Identifier: Apache-2.0 */
/*
 * seccomp(2) profiles: what they say, as text; and compiled, as a BPF program that the monitor
 * loads.
 *
 * A profile is "default" (docker's, with what is tightened in seccomp_default.c), "none", or a JSON
 * document: moby's form (archMap, includes and excludes, minKernel) or the OCI runtime-spec's
 * (architectures, flags). Deltas, "+call" and "-call", amend it. In JSON:
 * - Calls that no ABI of this machine has are ignored, as docker and runc do, and listed.
 * - Other machines' architectures are accepted and have no effect: the kernel here never reports a
 *   call of theirs. x86_64 itself always belongs to a profile, as with runc. Calls of an ABI that
 * is not listed (i386, x32) kill the thread, as libseccomp has it.
 * - A rule without conditions beats those with conditions on the same call; among equals the first
 *   in the text decides. Several conditions on one argument are alternatives, as with runc.
 * - i386's socketcall(2) and ipc(2) do the work of other calls. What restricts one of those
 *   restricts it there, too, whatever the arguments are; what allows one does not allow it there:
 *   the arguments lie in memory, where no filter looks.
 */
#ifndef CTNFS_CORE_SECCOMP_H
#define CTNFS_CORE_SECCOMP_H

#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "err.h"
#include "json_doc.h"
#include "strlist.h"

struct seccomp_profile; /* immutable; counted */

/**
 * seccomp_profile_get() - a profile, compiled.
 * @text:   "default", "none", or a document as seccomp_check() gives it.
 * @deltas: "+call" allows a call whatever its arguments, "-call" refuses it with the default
 *          action's errno or, where that is none, EPERM. "-" on "none" filters that call only.
 * @caps:   the container's bounding set, which profiles can ask about.
 * @ret:    a reference.
 *
 * The profiles that were asked for last are kept, and equal programs are one, so that this is a
 * look-up on the way to a start.
 * Return: 0; -EINVAL with the known names, or the path in the document; -EOPNOTSUPP for what cannot
 * be honoured here; -E2BIG where the program would be longer than the kernel takes. Thread: any.
 */
int seccomp_profile_get(const char *text, const struct strlist *deltas, uint64_t caps,
			struct seccomp_profile **ret, struct ctn_err *err);
void seccomp_profile_put(struct seccomp_profile *profile); /* NULL is fine */

/**
 * struct seccomp_program - a compiled filter, for seccomp(SECCOMP_SET_MODE_FILTER).
 * @len:   instructions; 0: no filter is to be loaded.
 * @flags: SECCOMP_FILTER_FLAG_… to load it with.
 */
struct seccomp_program {
	const struct sock_filter *filter;
	size_t len;
	uint32_t flags;
};

/** seccomp_program() - of a profile; valid as long as its reference. Thread: any. */
struct seccomp_program seccomp_program(const struct seccomp_profile *profile);

/**
 * seccomp_check() - check a JSON profile, whatever capabilities its container will have.
 * @strict: refuse unknown keys; otherwise they are ignored, as the runtime-spec demands.
 * @ret:    NULL, or its canonical text on one line, without what was ignored; to be freed.
 * Return: 0; -EINVAL, -EOPNOTSUPP or -E2BIG with the path in the document. Thread: any.
 */
int seccomp_check(const struct json_at *at, bool strict, char **ret, struct ctn_err *err);

/**
 * seccomp_call() - name the call @nr of an AUDIT_ARCH_…: "mount", of another ABI than this
 * machine's "i386:mount"; "453" where it has no name.
 * Return: how many arguments it takes, as far as that is known of one that profiles deny; else 6.
 * Thread: any.
 */
enum { SECCOMP_CALL_LEN = 80 };
size_t seccomp_call(uint32_t arch, int nr, char ret[SECCOMP_CALL_LEN]);

/** seccomp_delta_check() - is @call, without its sign, one that a delta can name? -EINVAL with
 * those that may be meant. Thread: any. */
int seccomp_delta_check(const char *call, struct ctn_err *err);

/**
 * seccomp_export_json() - the profile in the OCI runtime-spec's form, conditions on capabilities,
 * kernel and architecture resolved: what runc makes of it decides the same.
 * @ret: to be put; NULL for a profile that filters nothing.
 */
int seccomp_export_json(const struct seccomp_profile *profile, struct json_object **ret,
			struct ctn_err *err);

/**
 * seccomp_print() - the text of the container's `seccomp` file, valid as input to it: @text and
 * @deltas, as they were given to seccomp_profile_get(); everything else (mode as in
 * /proc/PID/status, default action, counts, the rules in force one a line, with argument
 * conditions) on lines that begin with '#'.
 */
void seccomp_print(FILE *out, const struct seccomp_profile *profile, const char *text,
		   const struct strlist *deltas);

#endif
