/* SPDX-License-Identifier: Apache-2.0 */
/* What can be told of a start before it has any effect. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "launch_pack.h"
#include "spec_mounts.h"

static int check_rootfs(const struct engine *e, const char *path, struct ctn_err *err)
{
	ctn_autoclose int fd = -1;
	int r = path ? host_open_directory(e, path, &fd, err) : 0;

	return r < 0 ? ctn_fail_context(err, "rootfs") : 0;
}

/* Sources of the binds, to be freed each. @ret_n counts also after a failure. */
static int bind_sources(const struct spec *spec, struct host_path *paths, size_t *ret_n,
			struct ctn_err *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < spec->mounts.len; i++) {
		struct spec_mount m = {0};

		if (spec->mounts.items[i][0] == '-')
			continue;
		r = spec_mount_parse(spec->mounts.items[i], &m, err);
		if (r == 0 && m.flags & MOUNT_BIND)
			paths[(*ret_n)++].path = ctn_take_ptr(m.source);
		spec_mount_free(&m);
	}
	return r;
}

static int check_source(const struct host_path *p, struct ctn_err *err)
{
	if (p->error == EXDEV)
		return ctn_fail(err, EINVAL, "mounts: %s is in ctnfs itself; name what it shows",
				p->path);
	if (p->error)
		return ctn_fail(err, p->error, "mounts: %s on the host: %s", p->path,
				strerrordesc_np(p->error));
	return 0;
}

static int check_mounts(const struct engine *e, const struct spec *spec, struct ctn_err *err)
{
	ctn_autofree struct host_path *paths = calloc(spec->mounts.len + 1, sizeof(*paths));
	size_t n = 0;
	int r = paths ? bind_sources(spec, paths, &n, err)
		      : ctn_fail(err, ENOMEM, "mounts: no memory");

	if (r == 0 && n > 0)
		r = host_open(e, paths, n, err);
	for (size_t i = 0; i < n; i++) {
		if (r == 0)
			r = check_source(&paths[i], err);
		if (paths[i].fd > 0)
			close(paths[i].fd);
		free((char *)paths[i].path);
	}
	return r;
}

int launch_check(const struct container *c, const struct spec *spec, struct ctn_err *err)
{
	const char *mnt = spec->ns[NS_MNT], *file = spec->rootfs ? "rootfs" : "mounts";
	int r;

	if (!spec->rootfs && spec->mounts.len == 0)
		return 0;
	if (mnt && strcmp(mnt, "new") != 0)
		return ctn_fail(err, EINVAL,
				"%s: with ns/mnt %.80s it has the root file system and the mounts "
				"that are there; empty %s, or make ns/mnt new",
				file, mnt, file);
	r = check_rootfs(c->engine, spec->rootfs, err);
	return r < 0 ? r : check_mounts(c->engine, spec, err);
}
