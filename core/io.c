/* SPDX-License-Identifier: Apache-2.0 */
#include "io.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"

int io_write_all(int fd, const void *data, size_t len)
{
	const char *p = data;

	while (len > 0) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

int io_read_fd(int fd, const char *what, size_t max, char **ret_data, size_t *ret_len,
	       struct ctn_err *err)
{
	ctn_autofree char *buf = NULL;
	size_t len = 0, room = 0;

	for (;;) {
		ssize_t n;

		if (room - len < 2) { /* one byte for the terminator, one to notice the end */
			char *bigger = realloc(buf, room ? room * 2 : 4096);

			if (!bigger)
				return ctn_fail(err, ENOMEM, "no memory to read %s", what);
			buf = bigger;
			room = room ? room * 2 : 4096;
		}
		n = read(fd, buf + len, room - len - 1);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return ctn_fail_errno(err, "read %s", what);
		if (n == 0)
			break;
		len += (size_t)n;
		if (len > max)
			return ctn_fail(err, EFBIG, "%s is longer than %zu bytes", what, max);
	}
	buf[len] = '\0';
	if (ret_len)
		*ret_len = len;
	*ret_data = ctn_take_ptr(buf);
	return 0;
}

int io_read_at(int dirfd, const char *path, size_t max, char **ret_data, size_t *ret_len,
	       struct ctn_err *err)
{
	ctn_autoclose int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return ctn_fail_errno(err, "open %s", path);
	return io_read_fd(fd, path, max, ret_data, ret_len, err);
}

int io_write_at(int dirfd, const char *path, const char *text, struct ctn_err *err)
{
	ctn_autoclose int fd = openat(dirfd, path, O_WRONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return ctn_fail_errno(err, "open %s", path);
	do {
		n = write(fd, text, strlen(text));
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return ctn_fail_errno(err, "write %s", path);
	return 0;
}

static int write_new(int dirfd, const char *name, int flags, const void *data, size_t len,
		     mode_t mode, bool durable, struct ctn_err *err)
{
	ctn_autoclose int fd = openat(dirfd, name,
				      flags | O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, mode);
	int r;

	if (fd < 0)
		return ctn_fail_errno(err, "create %s", name);
	r = io_write_all(fd, data, len);
	if (r < 0) {
		errno = -r;
		return ctn_fail_errno(err, "write %s", name);
	}
	if (durable && fsync(fd) < 0)
		return ctn_fail_errno(err, "fsync %s", name);
	return 0;
}

static int sync_dir(int dirfd, const char *name, struct ctn_err *err)
{
	return fsync(dirfd) < 0 ? ctn_fail_errno(err, "fsync the directory of %s", name) : 0;
}

int io_create_at(int dirfd, const char *name, const void *data, size_t len, mode_t mode,
		 bool durable, struct ctn_err *err)
{
	return write_new(dirfd, name, O_EXCL, data, len, mode, durable, err);
}

static int replace_write(int dirfd, const char *tmp, const char *name, const void *data, size_t len,
			 mode_t mode, bool durable, struct ctn_err *err)
{
	int r = write_new(dirfd, tmp, O_TRUNC, data, len, mode, durable, err);

	if (r == 0 && renameat(dirfd, tmp, dirfd, name) < 0)
		r = ctn_fail_errno(err, "rename %s to %s", tmp, name);
	return r;
}

int io_replace_at(int dirfd, const char *name, const void *data, size_t len, mode_t mode,
		  bool durable, struct ctn_err *err)
{
	char tmp[256];
	int r;

	if ((size_t)snprintf(tmp, sizeof(tmp), ".%s.tmp", name) >= sizeof(tmp))
		return ctn_fail(err, ENAMETOOLONG, "the file name %s is too long", name);
	r = replace_write(dirfd, tmp, name, data, len, mode, durable, err);
	if (r < 0) {
		(void)unlinkat(dirfd, tmp, 0); /* undo what we made; r already says why */
		return r;
	}
	return durable ? sync_dir(dirfd, name, err) : 0;
}

bool io_dir_is_empty_at(int dirfd, const char *name)
{
	ctn_autoclose int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	ctn_autoclosedir DIR *dir = NULL;
	const struct dirent *e;

	if (fd < 0 || !(dir = fdopendir(fd)))
		return false;
	(void)ctn_take_fd(fd); /* dir owns it now */
	while ((e = readdir(dir))) {
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			return false;
	}
	return true;
}

/* A container can nest directories deeper than we have descriptors or stack: what is deeper than
 * this is first moved up to the top, and removed from there in another round. */
enum { REMOVE_DEPTH_MAX = 64 };

struct removal {
	int top;	/* the directory that is being emptied */
	dev_t dev;	/* its file system, never left */
	unsigned moved; /* directories moved up to it so far */
};

static int remove_children(struct removal *rm, int fd, int depth, struct ctn_err *err);

static int remove_move_up(struct removal *rm, int dirfd, const char *name, struct ctn_err *err)
{
	char up[32];

	do {
		snprintf(up, sizeof(up), ".up-%u", rm->moved++);
		if (renameat2(dirfd, name, rm->top, up, RENAME_NOREPLACE) == 0)
			return 0;
	} while (errno == EEXIST);
	return ctn_fail_errno(err, "move %s up", name);
}

static int remove_one(struct removal *rm, int dirfd, const char *name, int depth,
		      struct ctn_err *err)
{
	ctn_autoclose int fd = -1;
	struct stat st;
	int r;

	if (unlinkat(dirfd, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR)
		return ctn_fail_errno(err, "remove %s", name);
	fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : ctn_fail_errno(err, "open %s", name);
	if (fstat(fd, &st) < 0)
		return ctn_fail_errno(err, "stat %s", name);
	if (st.st_dev != rm->dev)
		return ctn_fail(err, EXDEV, "%s is a mount point; unmount it first", name);
	if (depth >= REMOVE_DEPTH_MAX)
		return remove_move_up(rm, dirfd, name, err);
	r = remove_children(rm, fd, depth + 1, err);
	if (r < 0)
		return r;
	if (unlinkat(dirfd, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		return ctn_fail_errno(err, "remove directory %s", name);
	return 0;
}

static int remove_children(struct removal *rm, int fd, int depth, struct ctn_err *err)
{
	ctn_autoclosedir DIR *dir = NULL;
	ctn_autoclose int own = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const struct dirent *e;

	if (own < 0 || !(dir = fdopendir(own)))
		return ctn_fail_errno(err, "open a directory to remove");
	(void)ctn_take_fd(own); /* dir owns it now */
	while ((e = readdir(dir))) {
		int r;

		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		r = remove_one(rm, fd, e->d_name, depth, err);
		if (r < 0)
			return r;
	}
	return 0;
}

int io_remove_tree_at(int dirfd, const char *name, struct ctn_err *err)
{
	ctn_autoclose int top = -1;
	struct removal rm = {0};
	struct stat st;
	int r;

	if (unlinkat(dirfd, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR)
		return ctn_fail_errno(err, "remove %s", name);
	top = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (top < 0 || fstat(top, &st) < 0)
		return ctn_fail_errno(err, "open %s", name);
	rm.top = top;
	rm.dev = st.st_dev;
	do { /* each round removes at least what the round before moved up */
		r = remove_children(&rm, top, 0, err);
		if (r < 0)
			return r;
	} while (unlinkat(dirfd, name, AT_REMOVEDIR) < 0 && errno == ENOTEMPTY);
	return 0;
}

/* Digits only; *end is the first other byte. Return: 0, -EINVAL without a digit, -ERANGE on
 * overflow. */
static int scan_digits(const char *text, const char **end, uint64_t *ret)
{
	uint64_t value = 0;

	if (!isdigit((unsigned char)*text))
		return -EINVAL;
	for (; isdigit((unsigned char)*text); text++) {
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(*text - '0'), &value))
			return -ERANGE;
	}
	*end = text;
	*ret = value;
	return 0;
}

int parse_u64(const char *what, const char *text, uint64_t max, uint64_t *ret, struct ctn_err *err)
{
	const char *end = NULL;
	uint64_t value = 0;
	int r = scan_digits(text, &end, &value);

	if (r == -EINVAL || (r == 0 && *end))
		return ctn_fail(err, EINVAL, "%s: '%.40s' is not a whole number", what, text);
	if (r < 0 || value > max)
		return ctn_fail(err, ERANGE, "%s: %.40s is more than %llu", what, text,
				(unsigned long long)max);
	*ret = value;
	return 0;
}

int parse_i64(const char *what, const char *text, int64_t min, int64_t max, int64_t *ret,
	      struct ctn_err *err)
{
	bool minus = *text == '-';
	const char *end = NULL;
	uint64_t value = 0;
	int r = scan_digits(text + minus, &end, &value);

	if (r == -EINVAL || (r == 0 && *end))
		return ctn_fail(err, EINVAL, "%s: '%.40s' is not a whole number", what, text);
	if (r < 0 || value > INT64_MAX || (minus ? -(int64_t)value : (int64_t)value) < min ||
	    (minus ? -(int64_t)value : (int64_t)value) > max)
		return ctn_fail(err, ERANGE, "%s: %.40s is not between %lld and %lld", what, text,
				(long long)min, (long long)max);
	*ret = minus ? -(int64_t)value : (int64_t)value;
	return 0;
}

static int size_shift(const char *unit)
{
	static const char units[] = "KMGT";
	const char *p = *unit ? strchr(units, toupper((unsigned char)*unit)) : NULL;

	if (!*unit)
		return 0;
	return p && !unit[1] ? (int)(p - units + 1) * 10 : -1;
}

int parse_size(const char *what, const char *text, uint64_t *ret, struct ctn_err *err)
{
	const char *end = NULL;
	uint64_t value = 0;
	int r, shift;

	if (strcmp(text, "max") == 0) {
		*ret = CTN_MAX;
		return 0;
	}
	r = scan_digits(text, &end, &value);
	shift = r == 0 ? size_shift(end) : 0;
	if (r == -EINVAL || shift < 0)
		return ctn_fail(err, EINVAL,
				"%s: '%.40s' is not a size: bytes such as 8000000, or 64M (K M G "
				"T), or max",
				what, text);
	if (r < 0 || value > ((uint64_t)INT64_MAX >> shift))
		return ctn_fail(err, ERANGE, "%s: %.40s is too large; max means no limit", what,
				text);
	*ret = value << shift;
	return 0;
}

int parse_bool(const char *what, const char *text, bool *ret, struct ctn_err *err)
{
	if (strcmp(text, "0") != 0 && strcmp(text, "1") != 0)
		return ctn_fail(err, EINVAL, "%s: '%.40s' is neither 0 nor 1", what, text);
	*ret = text[0] == '1';
	return 0;
}

bool io_is_word(const char *text)
{
	while (*text > ' ' && *text < 0x7f)
		text++;
	return !*text;
}

void io_escape(FILE *out, const char *data, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)data[i];

		if (c == '\\')
			fputs("\\\\", out);
		else if (c == '\n')
			fputs("\\n", out);
		else if (c == '\t')
			fputs("\\t", out);
		else if (c < 0x20 || c == 0x7f || (c >= 0x80 && c < 0xa0))
			fprintf(out, "\\x%02x", c);
		else
			putc(c, out);
	}
}

int io_text_close(FILE *out, char **text)
{
	const bool lost = !out || ferror(out);

	if ((out && fclose(out) != 0) || lost || !*text) {
		free(*text);
		*text = NULL;
		return -ENOMEM;
	}
	return 0;
}
