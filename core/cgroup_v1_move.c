/* SPDX-License-Identifier: Apache-2.0 */
/* Moving a running process into a v1 leaf: one write for each hierarchy, undone when one fails. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "cgroup_private.h"
#include "cleanup.h"
#include "io.h"

/* Where the process is in the hierarchy of @controllers, from its /proc/PID/cgroup. The line's
 * controller list is compared by one member: a hierarchy's controllers are never in another. */
static char *old_path(const char *cgroups, unsigned controllers)
{
	ctn_autofree char *copy = strdup(cgroups);
	const char *name = cgroup_controller_names[__builtin_ctz(controllers)];
	char *save = NULL;

	if (!copy)
		return NULL;
	for (char *line = strtok_r(copy, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *list = strchr(line, ':');
		char *path = list ? strchr(list + 1, ':') : NULL;
		char *in = NULL;

		if (!path)
			continue;
		*path++ = '\0';
		for (char *w = strtok_r(list + 1, ",", &in); w; w = strtok_r(NULL, ",", &in)) {
			if (strcmp(w, name) == 0)
				return strdup(path);
		}
	}
	return NULL;
}

/* The directory where the process was: as far up as the mount point, then down. */
static int old_dir(const struct cgroup_dir *dir, const char *old)
{
	size_t len = 3 * (size_t)dir->depth;
	ctn_autofree char *path = malloc(len + strlen(old) + 2);
	ctn_autoclose int fd = -1;

	if (!path || cgroup_dir_open(dir, &fd, NULL) < 0)
		return -1;
	for (unsigned i = 0; i < dir->depth; i++)
		memcpy(path + 3 * i, "../", 3);
	sprintf(path + len, ".%s", old);
	return openat(fd, path, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

static void move_back(const struct cgroup_leaf *leaf, size_t n, const char *cgroups,
		      const char *pid)
{
	for (size_t i = 0; i < n; i++) {
		ctn_autofree char *old = old_path(cgroups, leaf->dirs[i].controllers);
		ctn_autoclose int fd = old ? old_dir(&leaf->dirs[i], old) : -1;

		if (fd >= 0)
			(void)io_write_at(fd, "cgroup.procs", pid, NULL);
	}
}

int cgroup_v1_procs_add(const struct cgroup_leaf *leaf, pid_t pid, struct ctn_err *err)
{
	ctn_autofree char *cgroups = NULL;
	char path[48], text[16];
	int r;

	snprintf(path, sizeof(path), "/proc/%d/cgroup", pid);
	snprintf(text, sizeof(text), "%d", pid);
	r = io_read_at(AT_FDCWD, path, CGROUP_FILE_MAX, &cgroups, NULL, err);
	if (r < 0)
		return r == -ENOENT ? ctn_fail(err, ESRCH, "there is no process %d", pid) : r;
	for (size_t i = 0; i < leaf->n; i++) {
		ctn_autoclose int fd = -1;

		r = cgroup_dir_open(&leaf->dirs[i], &fd, err);
		if (r == 0)
			r = io_write_at(fd, "cgroup.procs", text, err);
		if (r < 0) {
			move_back(leaf, i, cgroups, text);
			return r;
		}
	}
	return 0;
}
