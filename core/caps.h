/* SPDX-License-Identifier: Apache-2.0 */
/* capabilities(7) as 64-bit masks, bit N for capability number N. Names are libcap's. */
#ifndef CTNFS_CORE_CAPS_H
#define CTNFS_CORE_CAPS_H

#include <stdint.h>
#include <stdio.h>

#include "err.h"

/* What docker gives: chown dac_override fowner fsetid kill setgid setuid setpcap net_bind_service
 * net_raw sys_chroot mknod audit_write setfcap. */
#define CAPS_DEFAULT UINT64_C(0x00000000a80425fb)

/** caps_all() - every capability that this kernel knows and this process's bounding set has.
 * Thread: any. */
uint64_t caps_all(void);

/**
 * caps_apply() - read one word or line of the `caps` grammar into a mask.
 * @word: a name ("cap_chown" or "chown", any case), a hex mask ("0x…" or at least 8 hex digits),
 * `all`, `none`, `default`, `+name`, `-name`. Surrounding blanks must be gone.
 * @mask: in and out; a name, mask, all or default adds to it; none clears it; `-name` removes.
 * Untouched on failure. Return: 0; -EINVAL: unknown name (with the nearest known one in the
 * sentence); -EPERM: a capability that this process's bounding set lacks, so that nobody here can
 * give it. Thread: any.
 */
int caps_apply(const char *word, uint64_t *mask, struct ctn_err *err);

/** caps_name() - write "cap_chown" (or "38" when libcap has no name for it) to @buf of @size bytes.
 * Return: @buf. */
const char *caps_name(unsigned number, char *buf, size_t size);

/** caps_print_lines() - a name a line, ascending by number; an empty mask prints "none". */
void caps_print_lines(FILE *out, uint64_t mask);

/** caps_print_set() - "CapBnd:\t00000000a80425fb\tcap_chown,cap_dac_override,…\n", for `caps.sets`.
 */
void caps_print_set(FILE *out, const char *label, uint64_t mask);

#endif
