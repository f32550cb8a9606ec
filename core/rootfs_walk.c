/* SPDX-License-Identifier: Apache-2.0 */
#include "rootfs_walk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "io.h"

enum {
	ENTRIES_MAX = 100000,
	BYTES_MAX = 256 << 20,
	OTHERS_LIST = S_IROTH | S_IXOTH,
};

#define DIGEST_PRIME UINT64_C(0x100000001b3)

void rootfs_names_free(struct rootfs_names *names)
{
	for (size_t i = 0; i < names->n; i++)
		free(names->items[i]);
	free(names->items);
}

static int compare_names(const void *a, const void *b)
{
	char *const *x = a, *const *y = b;

	return strcmp(*x, *y);
}

static int walk_dir(struct rootfs_walk *w, int src, int dst, int depth, struct ctn_err *err);

void rootfs_digest(struct rootfs_walk *w, const void *data, size_t len)
{
	const unsigned char *p = data;

	for (size_t i = 0; i < len; i++)
		w->digest = (w->digest ^ p[i]) * DIGEST_PRIME;
}

static void digest_entry(struct rootfs_walk *w, const struct statx *st)
{
	uint32_t owner[3] = {st->stx_mode, st->stx_uid, st->stx_gid};
	uint64_t rest[5] = {st->stx_size, (uint64_t)st->stx_mtime.tv_sec, st->stx_mtime.tv_nsec,
			    (uint64_t)st->stx_ctime.tv_sec, st->stx_ctime.tv_nsec};

	rootfs_digest(w, w->path, w->path_len + 1);
	rootfs_digest(w, owner, sizeof(owner));
	if (!S_ISDIR(st->stx_mode)) /* a directory's change with things that we do not show */
		rootfs_digest(w, rest, sizeof(rest));
}

static int count_entry(struct rootfs_walk *w, uint64_t bytes, struct ctn_err *err)
{
	w->entries++;
	if (bytes > BYTES_MAX - w->bytes)
		return ctn_fail(err, E2BIG,
				"%s: the files in /etc that anybody may read are more than %d "
				"bytes; make what containers need not see unreadable for others",
				w->path, BYTES_MAX);
	w->bytes += bytes;
	return 0;
}

int rootfs_look(int dirfd, const char *name, int flags, struct statx *ret)
{
	return statx(dirfd, name, flags | AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC, STATX_BASIC_STATS,
		     ret);
}

/* Gone or become something else since it was looked at, or in a mount that does not serve root. */
static bool is_not_there(int code)
{
	static const int codes[] = {ENOENT, ENOTDIR, ELOOP,    ENXIO,
				    EACCES, ENODEV,  ENOTCONN, ESTALE};

	for (size_t i = 0; i < CTN_COUNT(codes); i++) {
		if (codes[i] == code)
			return true;
	}
	return false;
}

static int set_owner_mode(int fd, const struct statx *st, mode_t mask, const char *path,
			  struct ctn_err *err)
{
	if (fchown(fd, st->stx_uid, st->stx_gid) < 0 || fchmod(fd, st->stx_mode & mask) < 0)
		return ctn_fail_errno(err, "set the owner of the copy of %s", path);
	return 0;
}

static void get_times(const struct statx *st, struct timespec times[2])
{
	times[0] = (struct timespec){.tv_nsec = UTIME_NOW};
	times[1] = (struct timespec){st->stx_mtime.tv_sec, st->stx_mtime.tv_nsec};
}

/* At most @len bytes: what is appended meanwhile is not counted and not wanted. */
static int copy_bytes(int in, int out, uint64_t len, const char *path, struct ctn_err *err)
{
	char buf[16384];
	bool ranges = true;

	while (len > 0) {
		size_t want = len < sizeof(buf) || ranges ? len : sizeof(buf);
		ssize_t n = ranges ? copy_file_range(in, NULL, out, NULL, want, 0)
				   : read(in, buf, want);

		if (ranges && n <= 0) { /* not on these file systems */
			ranges = false;
			continue;
		}
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return ctn_fail_errno(err, "read %s", path);
		if (n == 0)
			return 0;
		len -= (uint64_t)n;
		if (!ranges) {
			int r = io_write_all(out, buf, (size_t)n);

			if (r < 0)
				return ctn_fail(err, -r, "copy %s: %s", path, strerror(-r));
		}
	}
	return 0;
}

static int copy_file(int in, int dst, const char *name, const struct statx *st, const char *path,
		     struct ctn_err *err)
{
	ctn_autoclose int out = openat(dst, name,
				       O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	struct timespec times[2];
	int r;

	if (out < 0)
		return ctn_fail_errno(err, "create the copy of %s", path);
	r = copy_bytes(in, out, st->stx_size, path, err);
	if (r < 0)
		return r;
	r = set_owner_mode(out, st, 0777, path, err);
	if (r < 0)
		return r;
	get_times(st, times);
	if (futimens(out, times) < 0)
		return ctn_fail_errno(err, "set the times of the copy of %s", path);
	return 0;
}

static int walk_file(struct rootfs_walk *w, int src, int dst, const char *name, struct ctn_err *err)
{
	/* It may have become a fifo since it was looked at. */
	ctn_autoclose int in = openat(src, name, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
	struct statx st;
	int r;

	if (in < 0 && is_not_there(errno))
		return 0;
	if (in < 0 || rootfs_look(in, "", AT_EMPTY_PATH, &st) < 0)
		return ctn_fail_errno(err, "open %s", w->path);
	if (!S_ISREG(st.stx_mode) || !(st.stx_mode & S_IROTH))
		return 0;
	r = count_entry(w, st.stx_size, err);
	if (r < 0)
		return r;
	digest_entry(w, &st);
	return dst < 0 ? 0 : copy_file(in, dst, name, &st, w->path, err);
}

int rootfs_walk_link(struct rootfs_walk *w, int src, int dst, const char *name,
		     const struct statx *st, struct ctn_err *err)
{
	char target[PATH_MAX];
	ssize_t n = readlinkat(src, name, target, sizeof(target) - 1);
	struct timespec times[2];

	if (n < 0 && (errno == ENOENT || errno == EINVAL)) /* gone, or no link any more */
		return 0;
	if (n < 0)
		return ctn_fail_errno(err, "read the link %s", w->path);
	target[n] = '\0';
	w->entries++;
	digest_entry(w, st);
	rootfs_digest(w, target, (size_t)n + 1);
	if (dst < 0)
		return 0;
	get_times(st, times);
	if (symlinkat(target, dst, name) < 0 ||
	    fchownat(dst, name, st->stx_uid, st->stx_gid, AT_SYMLINK_NOFOLLOW) < 0 ||
	    utimensat(dst, name, times, AT_SYMLINK_NOFOLLOW) < 0)
		return ctn_fail_errno(err, "copy the link %s", w->path);
	return 0;
}

int rootfs_walk_fill(struct rootfs_walk *w, int src, int dst, const char *name,
		     const struct statx *st, int depth, struct ctn_err *err)
{
	ctn_autoclose int own = -1;
	struct timespec times[2];
	int r;

	w->entries++;
	digest_entry(w, st);
	if (dst >= 0) {
		if (mkdirat(dst, name, 0700) < 0)
			return ctn_fail_errno(err, "create the copy of %s", w->path);
		own = openat(dst, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (own < 0)
			return ctn_fail_errno(err, "open the copy of %s", w->path);
	}
	r = src < 0 ? 0 : walk_dir(w, src, own, depth, err);
	if (r < 0 || own < 0)
		return r;
	r = set_owner_mode(own, st, 03777, w->path, err);
	if (r < 0 || !w->files)
		return r;
	get_times(st, times);
	if (futimens(own, times) < 0)
		return ctn_fail_errno(err, "set the times of the copy of %s", w->path);
	return 0;
}

static bool is_excluded(const struct rootfs_walk *w)
{
	for (size_t i = 0; w->exclude && w->exclude[i]; i++) {
		size_t len = strlen(w->exclude[i]);

		while (len > 1 && w->exclude[i][len - 1] == '/')
			len--;
		if (len == w->path_len && memcmp(w->exclude[i], w->path, len) == 0)
			return true;
	}
	return false;
}

static bool is_state(const struct rootfs_walk *w, const struct statx *st)
{
	return st->stx_ino == w->state.stx_ino && st->stx_dev_major == w->state.stx_dev_major &&
	       st->stx_dev_minor == w->state.stx_dev_minor;
}

static bool may_descend(const struct rootfs_walk *w, const struct statx *st)
{
	if ((st->stx_mode & OTHERS_LIST) != OTHERS_LIST)
		return false;
	if (!w->files && (st->stx_mode & S_IWOTH)) /* or any user could fill our limits */
		return false;
	return st->stx_dev_major == w->dev_major && st->stx_dev_minor == w->dev_minor;
}

static int walk_subdir(struct rootfs_walk *w, int src, int dst, const char *name,
		       const struct statx *seen, int depth, struct ctn_err *err)
{
	ctn_autoclose int fd = -1;
	struct statx st = *seen;

	if (w->files && (st.stx_mode & OTHERS_LIST) != OTHERS_LIST)
		return 0;
	if (is_state(w, &st))
		return 0;
	if (may_descend(w, &st) && depth >= ROOTFS_DEPTH_MAX && w->files)
		return ctn_fail(err, E2BIG, "%.200s… is deeper than %d directories", w->path,
				ROOTFS_DEPTH_MAX);
	if (may_descend(w, &st) && depth < ROOTFS_DEPTH_MAX) {
		fd = openat(src, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0 && is_not_there(errno))
			return 0;
		if (fd < 0 || rootfs_look(fd, "", AT_EMPTY_PATH, &st) < 0)
			return ctn_fail_errno(err, "open %s", w->path);
		if (!may_descend(w, &st)) /* changed just now */
			return 0;
	}
	return rootfs_walk_fill(w, fd, dst, name, &st, depth + 1, err);
}

static int walk_entry(struct rootfs_walk *w, int src, int dst, const char *name, int depth,
		      struct ctn_err *err)
{
	struct statx st;

	if (is_excluded(w))
		return 0;
	if (rootfs_look(src, name, AT_SYMLINK_NOFOLLOW, &st) < 0) {
		if (is_not_there(errno))
			return 0;
		return ctn_fail_errno(err, "stat %s", w->path);
	}
	if (S_ISDIR(st.stx_mode))
		return walk_subdir(w, src, dst, name, &st, depth, err);
	if (S_ISLNK(st.stx_mode) && (w->files || depth == 0)) /* /var/run -> /run */
		return rootfs_walk_link(w, src, dst, name, &st, err);
	if (S_ISREG(st.stx_mode) && w->files && (st.stx_mode & S_IROTH))
		return walk_file(w, src, dst, name, err);
	return 0;
}

static bool is_wanted(const struct rootfs_walk *w, const struct dirent *e, int depth)
{
	if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
		return false;
	if (depth == 0 && strcmp(e->d_name, w->files ? "hostname" : "tmp") == 0)
		return false; /* made anew */
	return w->files || e->d_type == DT_DIR || e->d_type == DT_UNKNOWN ||
	       (e->d_type == DT_LNK && depth == 0);
}

static int add_name(struct rootfs_names *names, const char *name)
{
	char *copy;

	if (names->n == names->room) {
		size_t room = names->room ? names->room * 2 : 64;
		char **bigger = reallocarray(names->items, room, sizeof(*bigger));

		if (!bigger)
			return -ENOMEM;
		names->items = bigger;
		names->room = room;
	}
	copy = strdup(name);
	if (!copy)
		return -ENOMEM;
	names->items[names->n++] = copy;
	return 0;
}

int rootfs_names_read(const struct rootfs_walk *w, int fd, int depth, struct rootfs_names *names,
		      struct ctn_err *err)
{
	ctn_autoclose int own = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ctn_autoclosedir DIR *dir = own < 0 ? NULL : fdopendir(own);
	const struct dirent *e;

	if (!dir)
		return ctn_fail_errno(err, "open %s", w->path);
	(void)ctn_take_fd(own); /* dir owns it now */
	while ((errno = 0, e = readdir(dir))) {
		if (!is_wanted(w, e, depth))
			continue;
		if (w->entries + names->n >= ENTRIES_MAX)
			return ctn_fail(err, E2BIG,
					"%.200s: /etc and the directories of /var are more than %d "
					"entries; make what containers need not see unreadable "
					"for others",
					w->path, ENTRIES_MAX);
		if (add_name(names, e->d_name) < 0)
			return ctn_fail(err, ENOMEM, "no memory to read %s", w->path);
	}
	if (errno)
		return ctn_fail_errno(err, "read %s", w->path);
	if (names->n > 0)
		qsort(names->items, names->n, sizeof(*names->items), compare_names);
	return 0;
}

void rootfs_path_set(struct rootfs_walk *w, size_t parent_len, const char *name)
{
	/* ROOTFS_DEPTH_MAX names of NAME_MAX bytes fit. */
	w->path_len = parent_len + (size_t)snprintf(w->path + parent_len,
						    sizeof(w->path) - parent_len, "/%s", name);
}

static int walk_dir(struct rootfs_walk *w, int src, int dst, int depth, struct ctn_err *err)
{
	__attribute__((cleanup(rootfs_names_free))) struct rootfs_names names = {0};
	size_t len = w->path_len;
	int r = rootfs_names_read(w, src, depth, &names, err);

	for (size_t i = 0; r == 0 && i < names.n; i++) {
		rootfs_path_set(w, len, names.items[i]);
		r = walk_entry(w, src, dst, names.items[i], depth, err);
	}
	w->path[len] = '\0';
	w->path_len = len;
	return r;
}
