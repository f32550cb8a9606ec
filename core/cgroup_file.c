/* SPDX-License-Identifier: Apache-2.0 */
/* Small files in a leaf's directories. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "cgroup_private.h"
#include "cleanup.h"
#include "io.h"

enum { WORD_ROOM = 64 };

int cgroup_dir_open(const struct cgroup_dir *dir, int *ret, struct ctn_err *err)
{
	ctn_autoclose int fd = openat(dir->base, dir->path + dir->at,
				      O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (fd < 0 && errno != ENOENT)
		return ctn_fail_errno(err, "open the control group %s", dir->path);
	if (fd < 0 || (dir->ino && (fstat(fd, &st) < 0 || st.st_ino != dir->ino)))
		return ctn_fail(err, ENOENT, "the control group %s is gone", dir->path);
	*ret = ctn_take_fd(fd);
	return 0;
}

const struct cgroup_dir *cgroup_leaf_dir(const struct cgroup_leaf *leaf, enum cgroup_controller c)
{
	for (size_t i = 0; i < leaf->n; i++) {
		if (leaf->dirs[i].controllers & CG_BIT(c))
			return &leaf->dirs[i];
	}
	return NULL;
}

int cgroup_leaf_fd(const struct cgroup_leaf *leaf, enum cgroup_controller c, int *ret,
		   struct ctn_err *err)
{
	const struct cgroup_dir *dir = cgroup_leaf_dir(leaf, c);

	return dir ? cgroup_dir_open(dir, ret, err) : cgroup_lacks(leaf, c, err);
}

int cgroup_lacks(const struct cgroup_leaf *leaf, enum cgroup_controller c, struct ctn_err *err)
{
	return ctn_fail(err, EOPNOTSUPP, "the %s controller is not available here (cgroup v%d)",
			leaf->version == 2 && c == CG_BLKIO ? "io" : cgroup_controller_names[c],
			leaf->version);
}

/* A file that is not there means either that the kernel has no such file or that the whole group
 * was removed; only the former is a missing feature. */
static int explain_missing(int dirfd, const char *file, int r, struct ctn_err *err)
{
	if (r == -ENODEV || (r == -ENOENT && faccessat(dirfd, "cgroup.procs", F_OK, 0) < 0))
		return ctn_fail(err, ENOENT, "%s: this control group is gone", file);
	if (r == -ENOENT)
		return ctn_fail(err, EOPNOTSUPP, "this kernel has no %s", file);
	return r;
}

int cgroup_open_below(const struct cgroup_dir *dir, const char *file)
{
	char path[PATH_MAX];
	int n = snprintf(path, sizeof(path), "%s/%s", dir->path + dir->at, file);

	if (n < 0 || (size_t)n >= sizeof(path))
		return -1;
	return openat(dir->base, path, O_RDONLY | O_CLOEXEC);
}

/* In one step where that cannot be another group's. */
static int open_file(const struct cgroup_leaf *leaf, enum cgroup_controller c, const char *file,
		     int *ret, struct ctn_err *err)
{
	const struct cgroup_dir *dir = cgroup_leaf_dir(leaf, c);
	ctn_autoclose int dirfd = -1;
	int fd = dir && !dir->ino ? cgroup_open_below(dir, file) : -1, r;

	if (fd < 0) {
		r = cgroup_leaf_fd(leaf, c, &dirfd, err);
		if (r < 0)
			return r;
		fd = openat(dirfd, file, O_RDONLY | O_CLOEXEC);
	}
	if (fd < 0)
		return explain_missing(dirfd, file, ctn_fail_errno(err, "open %s", file), err);
	*ret = fd;
	return 0;
}

int cgroup_file_read(const struct cgroup_leaf *leaf, enum cgroup_controller c, const char *file,
		     char **ret, struct ctn_err *err)
{
	ctn_autoclose int fd = -1;
	int r = open_file(leaf, c, file, &fd, err);

	if (r < 0)
		return r;
	r = io_read_fd(fd, file, CGROUP_FILE_MAX, ret, NULL, err);
	return r == -ENODEV ? explain_missing(-1, file, r, err) : r;
}

int cgroup_file_write(const struct cgroup_leaf *leaf, enum cgroup_controller c, const char *file,
		      const char *text, struct ctn_err *err)
{
	ctn_autoclose int fd = -1;
	int r = cgroup_leaf_fd(leaf, c, &fd, err);

	if (r < 0)
		return r;
	r = io_write_at(fd, file, text, err);
	if (r == -ENODEV) /* may be the file's own answer: a device that does not exist */
		return r;
	return r < 0 ? explain_missing(fd, file, r, err) : 0;
}

/* A file that holds one number: no list, so that one read has all of it. */
static int read_word(int fd, const char *file, char ret[WORD_ROOM], struct ctn_err *err)
{
	ssize_t n;

	do
		n = read(fd, ret, WORD_ROOM - 1);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return ctn_fail_errno(err, "read %s", file);
	ret[n] = '\0';
	ret[strcspn(ret, "\n")] = '\0';
	return 0;
}

int cgroup_file_read_u64(const struct cgroup_leaf *leaf, enum cgroup_controller c, const char *file,
			 uint64_t *ret, struct ctn_err *err)
{
	/* v1 counts pages in a long, so its "none" is the largest whole number of pages. */
	uint64_t none = (uint64_t)INT64_MAX & ~((uint64_t)sysconf(_SC_PAGESIZE) - 1);
	char text[WORD_ROOM];
	uint64_t value = 0;
	ctn_autoclose int fd = -1;
	int r = open_file(leaf, c, file, &fd, err);

	if (r < 0)
		return r;
	r = read_word(fd, file, text, err);
	if (r < 0)
		return r == -ENODEV ? explain_missing(-1, file, r, err) : r;
	if (strcmp(text, "max") == 0 || strcmp(text, "-1") == 0) {
		*ret = CTN_MAX;
		return 0;
	}
	r = parse_u64(file, text, UINT64_MAX, &value, err);
	if (r < 0)
		return r;
	*ret = value >= none ? CTN_MAX : value;
	return 0;
}

int cgroup_file_write_u64(const struct cgroup_leaf *leaf, enum cgroup_controller c,
			  const char *file, uint64_t value, const char *none, struct ctn_err *err)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64, value);
	return cgroup_file_write(leaf, c, file, value == CTN_MAX ? none : text, err);
}

uint64_t cgroup_key(const char *text, const char *key)
{
	size_t len = strlen(key);

	for (const char *p = text; p; p = strchr(p, '\n') ? strchr(p, '\n') + 1 : NULL) {
		if (strncmp(p, key, len) == 0 && p[len] == ' ')
			return strtoull(p + len + 1, NULL, 10);
	}
	return 0;
}

int cgroup_forgive(struct ctn_err *err)
{
	if (err) {
		err->code = 0;
		err->text[0] = '\0';
	}
	return 0;
}

void cgroup_sleep(unsigned ms)
{
	struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};

	(void)nanosleep(&t, NULL); /* a signal only makes the next look come earlier */
}

uint64_t cgroup_now(void)
{
	struct timespec t = {0};

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

int cgroup_below(int fd, int (*act)(int sub, const char *name, void *arg, struct ctn_err *err),
		 void *arg, struct ctn_err *err)
{
	ctn_autoclose int own = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ctn_autoclosedir DIR *dir = NULL;
	const struct dirent *e;
	int r = 0;

	dir = own < 0 ? NULL : fdopendir(own);
	if (!dir)
		return ctn_fail_errno(err, "read a control group's directory");
	own = -1; /* dir owns it now */
	while (r == 0 && (e = readdir(dir))) {
		ctn_autoclose int sub = -1;

		if (e->d_type != DT_DIR || strcmp(e->d_name, ".") == 0 ||
		    strcmp(e->d_name, "..") == 0)
			continue;
		sub = openat(fd, e->d_name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (sub < 0 && errno == ENOENT)
			continue;
		if (sub < 0)
			return ctn_fail_errno(err, "open control group %s", e->d_name);
		r = act(sub, e->d_name, arg, err);
	}
	return r;
}
