/* SPDX-License-Identifier: Apache-2.0 */
/* A tmpfs that begins with what it covers (tmpcopyup). What is copied was written by strangers:
 * everything is opened by one name in a directory's descriptor, no link is followed, and how much
 * there may be is bounded. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../cleanup.h"
#include "../weaken.h"
#include "monitor.h"

enum { ENTRIES_MAX = 16384, DEPTH_MAX = 32, BYTES_MAX = 256 << 20, CHUNK = 1 << 20 };

/* What has been copied of @target so far. */
struct copy {
	const char *target;
	unsigned entries;
	uint64_t bytes;
};

static int copy_directory(struct copy *c, int from, int to, int depth, struct ctn_err *err);

static int copy_bytes(struct copy *c, int in, int out, const char *name, struct ctn_err *err)
{
	for (;;) {
		ssize_t n = sendfile(out, in, NULL, CHUNK);

		if (n < 0)
			return ctn_fail_errno(err, "copy %s of %s into its tmpfs", name, c->target);
		if (n == 0)
			return 0;
		c->bytes += (uint64_t)n;
		if (c->bytes > BYTES_MAX)
			return ctn_fail(err, EFBIG,
					"%s: tmpcopyup copies at most %d MiB, and there is more",
					c->target, BYTES_MAX >> 20);
	}
}

static int copy_file(struct copy *c, int from, int to, const char *name, struct ctn_err *err)
{
	ctn_autoclose int in = openat(
		from, name, O_RDONLY | (WEAKEN_COPYUP ? 0 : O_NOFOLLOW) | O_NONBLOCK | O_CLOEXEC);
	ctn_autoclose int out = -1;
	struct stat st;

	/* Somebody may have put something else there meanwhile. */
	if (in < 0 || fstat(in, &st) < 0 || !S_ISREG(st.st_mode))
		return ctn_fail_errno(err, "read %s of %s", name, c->target);
	out = openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (out < 0)
		return ctn_fail_errno(err, "make %s in the tmpfs of %s", name, c->target);
	return copy_bytes(c, in, out, name, err);
}

static int copy_link(struct copy *c, int from, int to, const char *name, struct ctn_err *err)
{
	char text[PATH_MAX];
	ssize_t n = readlinkat(from, name, text, sizeof(text) - 1);

	if (n >= 0)
		text[n] = '\0';
	if (n < 0 || symlinkat(text, to, name) < 0)
		return ctn_fail_errno(err, "copy the link %s of %s", name, c->target);
	return 0;
}

static int copy_below(struct copy *c, int from, int to, const char *name, int depth,
		      struct ctn_err *err)
{
	const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	ctn_autoclose int in = openat(from, name, flags), out = -1;

	if (in < 0 || mkdirat(to, name, 0700) < 0 || (out = openat(to, name, flags)) < 0)
		return ctn_fail_errno(err, "copy the directory %s of %s", name, c->target);
	if (depth == DEPTH_MAX)
		return ctn_fail(err, ELOOP, "%s: tmpcopyup goes at most %d directories deep",
				c->target, DEPTH_MAX);
	return copy_directory(c, in, out, depth + 1, err);
}

/* Owner, mode and time, after its contents. An owner whom the container does not have is nobody,
 * as it was seen. */
static int copy_status(struct copy *c, int to, const char *name, const struct stat *st,
		       struct ctn_err *err)
{
	const struct timespec times[2] = {st->st_atim, st->st_mtim};

	if (fchownat(to, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) < 0 && errno != EINVAL)
		return ctn_fail_errno(err, "give %s of %s to its owner", name, c->target);
	if (!S_ISLNK(st->st_mode) && fchmodat(to, name, st->st_mode & 07777, 0) < 0)
		return ctn_fail_errno(err, "set the mode of %s of %s", name, c->target);
	(void)utimensat(to, name, times, AT_SYMLINK_NOFOLLOW);
	return 0;
}

static int copy_entry(struct copy *c, int from, int to, const char *name, int depth,
		      struct ctn_err *err)
{
	struct stat st;
	int r;

	if (++c->entries > ENTRIES_MAX)
		return ctn_fail(err, EFBIG,
				"%s: tmpcopyup copies at most %d files, and there are more",
				c->target, ENTRIES_MAX);
	if (fstatat(from, name, &st, WEAKEN_COPYUP ? 0 : AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : ctn_fail_errno(err, "stat %s of %s", name, c->target);
	if (S_ISREG(st.st_mode))
		r = copy_file(c, from, to, name, err);
	else if (S_ISLNK(st.st_mode))
		r = copy_link(c, from, to, name, err);
	else if (S_ISDIR(st.st_mode))
		r = copy_below(c, from, to, name, depth, err);
	else if (S_ISFIFO(st.st_mode) && mkfifoat(to, name, 0600) < 0)
		r = ctn_fail_errno(err, "make %s in the tmpfs of %s", name, c->target);
	else if (S_ISFIFO(st.st_mode))
		r = 0;
	else /* nobody listens at a copied socket, and a container makes no device nodes */
		return 0;
	return r < 0 ? r : copy_status(c, to, name, &st, err);
}

static int copy_directory(struct copy *c, int from, int to, int depth, struct ctn_err *err)
{
	int fd = fcntl(from, F_DUPFD_CLOEXEC, 3), r = 0;
	ctn_autoclosedir DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *e;

	if (!dir) {
		r = ctn_fail_errno(err, "read a directory of %s", c->target);
		ctn_close_fd(&fd);
		return r;
	}
	while (r == 0 && (e = readdir(dir))) {
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			r = copy_entry(c, from, to, e->d_name, depth, err);
	}
	return r;
}

int stage_copyup(struct stage *s, const char *target, int tmpfs, struct ctn_err *err)
{
	struct copy c = {.target = target};
	ctn_autoclose int at = -1, from = -1, to = -1;
	mode_t mask;
	int r = stage_target(s, target, true, &at, err);

	if (r < 0)
		return r;
	from = openat(at, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	to = openat(tmpfs, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (from < 0 || to < 0)
		return ctn_fail_errno(err, "read %s to copy it", target);
	mask = umask(0);
	r = copy_directory(&c, from, to, 0, err);
	umask(mask);
	return r;
}
