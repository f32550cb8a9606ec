/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a container's log. The monitor writes it, sparse: a byte's offset in the file is its
 * position. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "container_private.h"

enum { LOG_BLOCK = 4096 };

/* The file and what of it is kept. A container that never ran has no file: an empty log. */
static int log_open_range(struct container *c, int flags, int *ret_fd, struct log_range *ret,
			  struct ctn_err *err)
{
	ctn_autoclose int fd = openat(c->dirfd, WIRE_LOG_NAME, flags | O_NOFOLLOW | O_CLOEXEC);
	struct stat st = {0};
	uint64_t end, max, cleared;

	if (fd < 0 && errno != ENOENT)
		return ctn_fail_errno(err, "open the log");
	if (fd >= 0 && fstat(fd, &st) < 0)
		return ctn_fail_errno(err, "stat the log");
	pthread_mutex_lock(&c->lock);
	max = c->spec->log_max;
	cleared = c->log_start;
	ret->dropped = c->log_dropped;
	ret->mtime = c->created;
	pthread_mutex_unlock(&c->lock);
	end = (uint64_t)st.st_size;
	ret->end = end;
	ret->start = end > max && end - max > cleared ? end - max : cleared;
	ret->dropped += ret->start - cleared;
	if (fd >= 0)
		ret->mtime = (uint64_t)st.st_mtim.tv_sec * 1000000000U +
			     (uint64_t)st.st_mtim.tv_nsec;
	if (ret_fd)
		*ret_fd = ctn_take_fd(fd);
	return 0;
}

int container_log_range(struct container *c, struct log_range *ret, struct ctn_err *err)
{
	return log_open_range(c, O_RDONLY, NULL, ret, err);
}

ssize_t container_log_read(struct container *c, uint64_t pos, void *buf, size_t size,
			   struct ctn_err *err)
{
	ctn_autoclose int fd = -1;
	struct log_range range;
	ssize_t n;
	int r = log_open_range(c, O_RDONLY, &fd, &range, err);

	if (r < 0)
		return r;
	if (pos < range.start)
		pos = range.start;
	if (fd < 0 || pos >= range.end)
		return 0;
	if (size > range.end - pos)
		size = range.end - pos;
	do {
		n = pread(fd, buf, size, (off_t)pos);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? ctn_fail_errno(err, "read the log") : n;
}

static int set_start(struct container *c, uint64_t start, struct ctn_err *err)
{
	int r = state_save_log_start(c->dirfd, start, err);

	if (r < 0)
		return r;
	pthread_mutex_lock(&c->lock);
	c->log_start = start;
	pthread_mutex_unlock(&c->lock);
	return 0;
}

int container_log_keep_start(struct container *c, struct ctn_err *err)
{
	struct log_range range;
	int r = log_open_range(c, O_RDONLY, NULL, &range, err);

	return r < 0 ? r : set_start(c, range.start, err);
}

int container_log_clear(struct container *c, struct ctn_err *err)
{
	ctn_autoclose int fd = -1;
	struct log_range range;
	uint64_t hole;
	int r;

	pthread_mutex_lock(&c->edit);
	r = log_open_range(c, O_RDWR, &fd, &range, err);
	if (r == 0)
		r = set_start(c, range.end, err);
	if (r == 0) {
		hole = range.end / LOG_BLOCK * LOG_BLOCK;
		if (fd >= 0 &&
		    hole > 0) /* gives the space back; what is shown does not depend on it */
			(void)fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
					(off_t)hole);
	}
	pthread_mutex_unlock(&c->edit);
	return r;
}
