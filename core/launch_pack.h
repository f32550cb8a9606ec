/* SPDX-License-Identifier: Apache-2.0 */
/* The start message: everything that a monitor needs, worked out from a spec. */
#ifndef CTNFS_CORE_LAUNCH_PACK_H
#define CTNFS_CORE_LAUNCH_PACK_H

#include "container_private.h"

/* The message under construction: header first, the rest behind it. */
struct packer {
	char *data;
	size_t len, room;
	bool failed; /* no memory, or too long: checked once, at the end */
};

/* Offsets in the message, for its fields. An array begins at a multiple of 8. */
uint32_t pack_bytes(struct packer *p, const void *bytes, size_t len);
struct wire_array pack_array(struct packer *p, const void *items, size_t size, size_t n);
struct wire_list pack_list(struct packer *p, const char *const *items);
struct wire_list pack_string(struct packer *p, const char *text);

/** launch_host_binds - directories of the host that a container with rootfs `host` sees, read-only;
 * links among them are in the skeleton. Ended by NULL. */
extern const char *const launch_host_binds[];

/**
 * struct launch_ids - whose ids a container has: its own range, a map of its own, or those of the
 * user namespace that it joins.
 * @root_uid, @root_gid: who is root inside, on the host.
 */
struct launch_ids {
	struct spec_maps uids, gids;
	uint32_t root_uid, root_gid;
};

/**
 * struct launch_joins - the namespaces of others that a start joins.
 * @flags: CLONE_NEW… of those whose descriptors are in @fds. @host: of those that have turned out
 * to be the host's.
 * @fds:   by kind, -1 where there is none.
 * @has_ids: @uids and @gids are those of the user namespace that is joined.
 */
struct launch_joins {
	uint64_t flags, host;
	int fds[NS_COUNT];
	bool has_ids;
	struct spec_maps uids, gids;
};

/**
 * launch_joins_open() - what @spec's ns/<kind> mean now. A container brings its user namespace
 * along.
 * Return: 0; -ENOENT: a container or path that is not there; -ESRCH: a container that does not
 * run; -EINVAL: not a namespace of that kind, two owners, or a setting that could have no effect;
 * -EOPNOTSUPP. Close with launch_joins_close(), also after a failure. Thread: any; no lock held.
 */
int launch_joins_open(const struct container *c, const struct spec *spec, struct launch_joins *ret,
		      struct ctn_err *err);
void launch_joins_close(struct launch_joins *joins);

/** launch_joins_living() - all that a process is in, without descriptors. -ESRCH: it has ended. */
int launch_joins_living(const struct engine *e, const struct pidref *init, struct launch_joins *ret,
			struct ctn_err *err);

/** launch_joins_fds() - the descriptors in the order of the wire, borrowed. Return: how many. */
size_t launch_joins_fds(const struct launch_joins *joins, int ret[WIRE_JOIN_MAX]);

/** launch_ids() - of @spec as it is by itself; @ret's maps are filled in any case.
 * launch_ids_joined() - of one that is being started. -EINVAL where a map is not one, or nobody is
 * root inside. */
int launch_ids(const struct container *c, const struct spec *spec, struct launch_ids *ret,
	       struct ctn_err *err);
int launch_ids_joined(const struct container *c, const struct spec *spec,
		      const struct launch_joins *joins, struct launch_ids *ret,
		      struct ctn_err *err);

/** launch_layer() - give the container's layer, with all that earlier runs have left in it, to its
 * ids of this run. */
int launch_layer(const struct container *c, const struct launch_ids *ids, struct ctn_err *err);

/**
 * launch_pack() - everything that the monitor needs to start @spec, as one message.
 * @n_attach: cgroup descriptors that go with it; @into: the first is for CLONE_INTO_CGROUP.
 * @joins:    the namespaces whose descriptors go with it.
 * Of a session these are those of its container's first process, whose pidfd goes with it. Free
 * p->data, also after a failure.
 */
int launch_pack(const struct container *c, const struct spec *spec, uint32_t n_attach, bool into,
		const struct launch_joins *joins, struct packer *p, struct ctn_err *err);

/** struct host_path - a path to look up in the host's mount namespace. @fd: O_PATH, or -1 and
 * @error, which is EXDEV for one that leads into a mount of ctnfs. */
struct host_path {
	const char *path;
	int fd, error;
};

/** host_open() - fill in @fd and @error of each. -errno only where none could be looked up at all.
 * Thread: any; not under a lock. */
int host_open(const struct engine *e, struct host_path *paths, size_t n, struct ctn_err *err);

/** host_open_directory() - one directory, or a sentence: -ENOENT, -ENOTDIR, -EINVAL (of ctnfs
 * itself), -errno. @ret: O_PATH. */
int host_open_directory(const struct engine *e, const char *path, int *ret, struct ctn_err *err);

/** launch_check() - whether @spec's root file system and mounts can be there, as far as that can be
 * told beforehand. -ENOENT, -ENOTDIR; -EINVAL (of ctnfs itself; of another's mount namespace). */
int launch_check(const struct container *c, const struct spec *spec, struct ctn_err *err);

/** launch_message() - a monitor at work on what was packed. @more: the descriptors behind the fixed
 * ones. */
int launch_message(struct container *c, const struct packer *p, const int *more, size_t n_more,
		   struct ctn_err *err);

/** launch_pack_adopt() - for a monitor that only watches over what runs already. */
int launch_pack_adopt(const struct container *c, const struct spec *spec,
		      const struct wire_status *status, struct packer *p, struct ctn_err *err);

/** launch_pack_lines() - the entries of mounts, rlimits, sysctl, devices and paths. */
int launch_pack_lines(struct packer *p, const struct spec *spec, struct wire_start *m,
		      struct ctn_err *err);

#endif
