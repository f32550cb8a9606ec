/* SPDX-License-Identifier: Apache-2.0 */
/* The lines of a container's `mounts`: fstab(5), with the option names of mount(8) and of the
 * runtime-spec. */
#ifndef CTNFS_CORE_SPEC_MOUNTS_H
#define CTNFS_CORE_SPEC_MOUNTS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "err.h"
#include "strlist.h"

enum spec_mount_flags {
	MOUNT_BIND = 1 << 0,
	MOUNT_REC = 1 << 1,	  /* rbind: with what is mounted below */
	MOUNT_IDMAP = 1 << 2,	  /* a bind's owners are shifted into the container's range */
	MOUNT_RIDMAP = 1 << 3,	  /* … and those of what is mounted below */
	MOUNT_TMPCOPYUP = 1 << 4, /* a tmpfs begins with what is below it */
};

/**
 * struct spec_mount - one line, taken apart.
 * @source:  of a bind: an absolute path on the host; otherwise any text.
 * @target:  absolute, without "." and ".." and doubled slashes; never "/".
 * @type:    "none" for a bind; proc sysfs tmpfs devpts mqueue cgroup cgroup2 overlay.
 * @data:    what is left of the options, "size=64m,mode=755"; "" for nothing.
 * @set, @clear: MOUNT_ATTR_… of mount_setattr(2). @set_rec, @clear_rec: of what is mounted below,
 *           too (rro, rnosuid …).
 * @propagation: MS_SHARED MS_SLAVE MS_PRIVATE MS_UNBINDABLE, perhaps with MS_REC; 0: not said.
 */
struct spec_mount {
	char *source, *target, *type, *data;
	unsigned flags;
	uint64_t set, clear, set_rec, clear_rec;
	unsigned long propagation;
};

/**
 * spec_mount_parse() - `source target type options [freq passno]`; blanks and backslashes in a
 * field as \040 \011 \012 \134. A bind without `idmap` or `noidmap` is MOUNT_IDMAP.
 * Return: 0; -EINVAL (field count, option, path; a target that the kernel's own files are behind:
 * below /proc, or at it with another type than proc; the same for /sys below which only a cgroup
 * file system at /sys/fs/cgroup may be mounted); -EOPNOTSUPP (a known option that cannot be
 * honoured). Free with spec_mount_free(), also after a failure. Thread: any.
 */
int spec_mount_parse(const char *line, struct spec_mount *ret, struct ctn_err *err);
void spec_mount_free(struct spec_mount *mount);

/** spec_mount_line() - the canonical line of a source, target, type and comma-separated options:
 * escaped, with "0 0" at its end; to be freed. The runtime-spec's form goes through it. */
int spec_mount_line(const char *source, const char *target, const char *type, const char *options,
		    char **ret, struct ctn_err *err);

/** spec_mount_reprint() - the canonical line of one that was parsed into @mount, its options in
 * their order. */
int spec_mount_reprint(const char *line, const struct spec_mount *mount, char **ret,
		       struct ctn_err *err);

/** spec_mount_said() - the options of a line as they were said, unescaped; to be freed. */
int spec_mount_said(const char *line, char **ret, struct ctn_err *err);

/** spec_mount_default() - whether a default container has a mount of its own at @target, which a
 * line replaces and "-/target" removes: /proc /sys /dev /dev/pts /dev/shm /dev/mqueue /tmp /run.
 * spec_mount_defaults: those, NULL-terminated, parents first. */
bool spec_mount_default(const char *target);
extern const char *const spec_mount_defaults[];

#endif
