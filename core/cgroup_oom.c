/* SPDX-License-Identifier: Apache-2.0 */
/* Being told when the OOM killer comes, and what the kernel calls a leaf. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "cgroup_private.h"
#include "cleanup.h"
#include "io.h"

static int watch_v1(int dirfd, int *ret, struct ctn_err *err)
{
	ctn_autoclose int control = openat(dirfd, "memory.oom_control", O_RDONLY | O_CLOEXEC);
	ctn_autoclose int event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	char text[32];
	int r;

	if (control < 0 || event < 0)
		return ctn_fail_errno(err, "watch memory.oom_control");
	snprintf(text, sizeof(text), "%d %d", event, control);
	r = io_write_at(dirfd, "cgroup.event_control", text, err);
	if (r == 0)
		*ret = ctn_take_fd(event);
	return r;
}

int cgroup_leaf_oom_watch(const struct cgroup_leaf *leaf, int *ret, uint32_t *ret_events,
			  struct ctn_err *err)
{
	ctn_autoclose int dirfd = -1;
	int fd, r = cgroup_leaf_fd(leaf, CG_MEMORY, &dirfd, err);

	if (r < 0)
		return r;
	if (leaf->version == 1) {
		*ret_events = EPOLLIN;
		return watch_v1(dirfd, ret, err);
	}
	fd = openat(dirfd, "memory.events", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return ctn_fail_errno(err, "open memory.events");
	*ret_events = EPOLLPRI; /* always readable; this is a change */
	*ret = fd;
	return 0;
}

/* The kernel's next change counts from this read on. */
void cgroup_leaf_oom_clear(int fd)
{
	char text[256];

	(void)lseek(fd, 0, SEEK_SET); /* an eventfd has no position */
	(void)read(fd, text, sizeof(text));
}

/* The path of the kernel begins where its tree does, ours where that is mounted here, perhaps
 * further in: so the part that we know, the server's directory, is looked for. A program can only
 * add to the end. */
bool cgroup_leaf_is_at(const struct cgroup_leaf *leaf, enum cgroup_controller c, const char *path)
{
	const struct cgroup_dir *dir = cgroup_leaf_dir(leaf, c);
	const char *part, *name, *found;
	unsigned depth = 0;

	if (!dir)
		return false;
	name = strrchr(dir->path, '/');
	for (part = dir->path + strlen(dir->path); part > dir->path && depth < dir->depth;)
		depth += *--part == '/';
	found = memmem(path, strlen(path), part, (size_t)(name + 1 - part)); /* "/…/" */
	if (!found)
		return false;
	found += name - part;
	part = name;
	return strncmp(found, part, strlen(part)) == 0 &&
	       (found[strlen(part)] == '\0' || found[strlen(part)] == '/');
}
