/* SPDX-License-Identifier: Apache-2.0 */
/* What can be told of a start before it has any effect. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "cleanup.h"
#include "launch_pack.h"
#include "spec_mounts.h"

/* Our own mount is not in our mount namespace: what is there cannot be seen, and to be asked by
 * ourselves would be a wait for ourselves. */
static bool is_shown_by_us(const struct engine *e, const char *path)
{
	size_t n = e->mountpoint ? strlen(e->mountpoint) : 0;

	return n > 0 && strncmp(path, e->mountpoint, n) == 0 && (path[n] == '\0' || path[n] == '/');
}

static int check_rootfs(const struct engine *e, const char *path, struct ctn_err *err)
{
	ctn_autoclose int fd = -1;

	if (is_shown_by_us(e, path))
		return ctn_fail(err, EINVAL,
				"rootfs: %s is in ctnfs itself; name the directory that it shows",
				path);
	fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? ctn_fail_errno(err, "rootfs: %s", path) : 0;
}

static int check_mounts(const struct engine *e, const struct spec *spec, struct ctn_err *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < spec->mounts.len; i++) {
		struct spec_mount m = {0};

		if (spec->mounts.items[i][0] == '-')
			continue;
		r = spec_mount_parse(spec->mounts.items[i], &m, err);
		if (r == 0 && m.flags & MOUNT_BIND && is_shown_by_us(e, m.source))
			r = ctn_fail(err, EINVAL,
				     "mounts: %s: %s is in ctnfs itself; name what it shows",
				     m.target, m.source);
		spec_mount_free(&m);
	}
	return r;
}

int launch_check(const struct container *c, const struct spec *spec, struct ctn_err *err)
{
	const char *mnt = spec->ns[NS_MNT];
	int r = 0;

	if (!spec->rootfs && spec->mounts.len == 0)
		return 0;
	if (mnt && strcmp(mnt, "new") != 0)
		return ctn_fail(err, EINVAL,
				"%s: with ns/mnt %.80s it has the root file system and mounts that "
				"are there; empty %s, or make ns/mnt new",
				spec->rootfs ? "rootfs" : "mounts", mnt,
				spec->rootfs ? "rootfs" : "mounts");
	if (spec->rootfs)
		r = check_rootfs(c->engine, spec->rootfs, err);
	return r < 0 ? r : check_mounts(c->engine, spec, err);
}
