/* SPDX-License-Identifier: Apache-2.0 */
/* A container's two directories. They are opened when they are needed: a server with thousands of
 * containers has no descriptors to keep. The id in their names is given to no other. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "container_private.h"

enum {
	PATH_ROOM = sizeof(CONTAINER_NEW_PREFIX) + CTN_ID_LEN + 64,
	DIR_FLAGS = O_RDONLY | O_DIRECTORY
};

/* One that is being made gets its name at any moment (container_create.c), once. */
static int open_state(const struct container *c, const char *file, int flags)
{
	static const char *const prefixes[] = {"", CONTAINER_NEW_PREFIX, ""};
	int fd = -1;

	for (size_t i = 0; fd < 0 && i < CTN_COUNT(prefixes); i++) {
		char path[PATH_ROOM];

		if (i > 0 && errno != ENOENT)
			break;
		snprintf(path, sizeof(path), "%s%s/%s", prefixes[i], c->id, file);
		fd = openat(c->engine->state_fd, path, flags | O_NOFOLLOW | O_CLOEXEC, 0600);
	}
	return fd;
}

int container_open_state(const struct container *c, const char *file, int flags)
{
	return open_state(c, file, flags);
}

int container_open_run(const struct container *c, const char *file, int flags)
{
	char path[PATH_ROOM];

	snprintf(path, sizeof(path), "%s/%s", c->id, file);
	return openat(c->engine->run_fd, path, flags | O_NOFOLLOW | O_CLOEXEC, 0600);
}

void container_unlink_run(const struct container *c, const char *file)
{
	char path[PATH_ROOM];

	snprintf(path, sizeof(path), "%s/%s", c->id, file);
	(void)unlinkat(c->engine->run_fd, path, 0);
}

int container_state_dir(const struct container *c, int *ret, struct ctn_err *err)
{
	int fd = open_state(c, ".", DIR_FLAGS);

	if (fd < 0)
		return ctn_fail_errno(err, "open the state directory %s", c->id);
	*ret = fd;
	return 0;
}

int container_run_dir(const struct container *c, int *ret, struct ctn_err *err)
{
	int fd = container_open_run(c, ".", DIR_FLAGS);

	if (fd < 0)
		return ctn_fail_errno(err, "open the run directory %s", c->id);
	*ret = fd;
	return 0;
}

int container_make_run_dir(const struct container *c, struct ctn_err *err)
{
	if (mkdirat(c->engine->run_fd, c->id, 0700) < 0 && errno != EEXIST)
		return ctn_fail_errno(err, "make the run directory %s", c->id);
	return 0;
}

/* --- records in them --- */

int container_load_status(const struct container *c, struct wire_status *ret)
{
	ctn_autoclose int dir = -1;
	int r = container_run_dir(c, &dir, NULL);

	return r < 0 ? r : state_load_status(dir, ret, NULL);
}

int container_save_exit(const struct container *c, const struct state_exit *e, struct ctn_err *err)
{
	ctn_autoclose int dir = -1;
	int r = container_state_dir(c, &dir, err);

	return r < 0 ? r : state_save_exit(dir, e, err);
}

int container_save_run(const struct container *c, const struct spec *spec, const char *skeleton,
		       uint64_t oom_kills, struct ctn_err *err)
{
	ctn_autoclose int dir = -1;
	int r = container_run_dir(c, &dir, err);

	return r < 0 ? r : state_save_run(dir, spec, skeleton, oom_kills, err);
}

int container_load_run(const struct container *c, struct spec **ret, char **ret_skeleton,
		       uint64_t *ret_oom_kills, struct ctn_err *err)
{
	ctn_autoclose int dir = -1;
	int r = container_run_dir(c, &dir, err);

	return r < 0 ? r : state_load_run(dir, ret, ret_skeleton, ret_oom_kills, err);
}
