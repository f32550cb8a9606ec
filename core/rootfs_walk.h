/* SPDX-License-Identifier: Apache-2.0 */
/* Private to rootfs: one pass over a tree of the host, which digests and may copy. */
#ifndef CTNFS_CORE_ROOTFS_WALK_H
#define CTNFS_CORE_ROOTFS_WALK_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "err.h"

enum { ROOTFS_DEPTH_MAX = 32 }; /* directories in each other; each holds descriptors meanwhile */

/**
 * struct rootfs_walk - the state of one pass. With a target it copies, without (-1) it only looks;
 * both make the same digest.
 * @exclude: absolute paths that are passed over; NULL-terminated or NULL.
 * @state:   our own directory, not shown under any name.
 * @digest:  FNV-1a of what was seen. It is no cryptographic one: a collision costs containers a
 * stale copy of /etc.
 * @files:   regular files and links too (/etc), not only directories (/var).
 * @dev_major, @dev_minor: the file system that is not left.
 * @path:    where the walk is, absolute.
 */
struct rootfs_walk {
	const char *const *exclude;
	struct statx state;
	uint64_t digest, bytes;
	size_t entries;
	bool files;
	uint32_t dev_major, dev_minor;
	size_t path_len;
	char path[(ROOTFS_DEPTH_MAX + 3) * (NAME_MAX + 1)];
};

struct rootfs_names {
	char **items;
	size_t n, room;
};

/** rootfs_names_read() - the wanted names in a directory, sorted, so that the digest does not
 * depend on the file system's order. -E2BIG beyond what one skeleton may hold. */
int rootfs_names_read(const struct rootfs_walk *w, int fd, int depth, struct rootfs_names *names,
		      struct ctn_err *err);
void rootfs_names_free(struct rootfs_names *names);

void rootfs_digest(struct rootfs_walk *w, const void *data, size_t len);

/** rootfs_path_set() - be at @name below the first @parent_len bytes of the path. */
void rootfs_path_set(struct rootfs_walk *w, size_t parent_len, const char *name);

/** rootfs_look() - statx(2) that triggers no automount and does not wait for a mount's server.
 * Return: 0, or -1 and errno. */
int rootfs_look(int dirfd, const char *name, int flags, struct statx *ret);

/** rootfs_walk_link() - see the link @name in @src; make it in @dst unless that is -1. */
int rootfs_walk_link(struct rootfs_walk *w, int src, int dst, const char *name,
		     const struct statx *st, struct ctn_err *err);

/**
 * rootfs_walk_fill() - see a directory and what is in it; make it in @dst unless that is -1.
 * @src: the directory itself; -1: it is to stay empty.
 * @st:  its attributes.
 * Return: 0; -E2BIG with the way out; -errno.
 */
int rootfs_walk_fill(struct rootfs_walk *w, int src, int dst, const char *name,
		     const struct statx *st, int depth, struct ctn_err *err);

#endif
