/* SPDX-License-Identifier: Apache-2.0 */
#include "users.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "cleanup.h"
#include "io.h"
#include "weaken.h"

enum {
	FILE_BYTES_MAX = 10 << 20,
	NAME_MAX_BYTES = 255,
	OPEN_TRIES = 64, /* openat2 says EAGAIN while something is being renamed anywhere */
};

#define ID_MAX UINT64_C(4294967294) /* (uid_t)-1 means "unchanged" to the kernel */

/* A run of bytes in a foreign file, not terminated. */
struct span {
	const char *p;
	size_t len;
};

/* One side of `user:group`: a number, or a name when @name.p is set. */
struct who {
	struct span name;
	uint32_t number;
};

/* Plain decimal without a leading zero, at most ID_MAX. */
static bool span_number(struct span s, uint32_t *ret)
{
	uint64_t n = 0;

	if (s.len == 0 || s.len > 10 || (s.len > 1 && s.p[0] == '0'))
		return false;
	for (size_t i = 0; i < s.len; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
		n = n * 10 + (uint64_t)(s.p[i] - '0');
	}
	if (n > ID_MAX)
		return false;
	*ret = (uint32_t)n;
	return true;
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

/* A name begins with a letter or '_', so nothing that looks like a number is ever one. */
static bool span_is_name(struct span s)
{
	if (s.len == 0 || s.len > NAME_MAX_BYTES || !is_letter(s.p[0]))
		return false;
	for (size_t i = 1; i < s.len; i++) {
		char c = s.p[i];

		if (!is_letter(c) && !(c >= '0' && c <= '9') && c != '-' && c != '.')
			return false;
	}
	return true;
}

static bool span_equal(struct span a, struct span b)
{
	return a.len == b.len && memcmp(a.p, b.p, a.len) == 0;
}

/* Cut what comes before the next @sep off the front of @rest. Without a @sep all of it is taken. */
static struct span span_cut(struct span *rest, char sep)
{
	const char *end = rest->len ? memchr(rest->p, sep, rest->len) : NULL;
	struct span head = {rest->p, end ? (size_t)(end - rest->p) : rest->len};
	size_t gone = head.len + (end != NULL);

	rest->p += gone;
	rest->len -= gone;
	return head;
}

static int parse_who(struct span s, const char *what, const char *text, struct who *ret,
		     struct ctn_err *err)
{
	struct who who = {0};

	if (span_is_name(s))
		who.name = s;
	else if (!span_number(s, &who.number))
		return ctn_fail(err, EINVAL,
				"user '%.80s': the %s is neither a name nor a plain number from 0 "
				"to %llu",
				text, what, (unsigned long long)ID_MAX);
	*ret = who;
	return 0;
}

static int parse_text(const char *text, struct who *ret_user, struct who *ret_group,
		      bool *ret_has_group, struct ctn_err *err)
{
	struct span rest = {text, strlen(text)};
	bool has_group = strchr(text, ':') != NULL;
	struct who user = {0}, group = {0};
	int r;

	if (*text) {
		r = parse_who(span_cut(&rest, ':'), "user", text, &user, err);
		if (r < 0)
			return r;
	}
	if (has_group) {
		r = parse_who(rest, "group", text, &group, err);
		if (r < 0)
			return r;
	}
	*ret_user = user;
	*ret_group = group;
	*ret_has_group = has_group;
	return 0;
}

int users_check(const char *text, struct ctn_err *err)
{
	struct who user, group;
	bool has_group;

	return parse_text(text, &user, &group, &has_group, err);
}

/* --- the files, layer by layer --- */

static int open_in_root(int rootfd, const char *path, uint64_t flags)
{
	struct open_how how = {.flags = flags | O_CLOEXEC,
			       .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
	int fd = -1;

	if (WEAKEN_USERS)
		how.resolve = 0;
	for (int i = 0; i < OPEN_TRIES; i++) {
		fd = (int)syscall(SYS_openat2, rootfd, path, &how, sizeof(how));
		if (fd >= 0 || (errno != EAGAIN && errno != EINTR))
			break;
	}
	return fd;
}

enum layer { LAYER_FOUND, LAYER_HIDES, LAYER_HAS_NOT };

/* An overlay's upper directory that replaced the one below it says so in an attribute. */
static bool is_opaque(int rootfd, const char *dir)
{
	ctn_autoclose int fd = open_in_root(rootfd, dir, O_RDONLY | O_DIRECTORY);
	char value[2] = "";

	return fd >= 0 && fgetxattr(fd, "trusted.overlay.opaque", value, sizeof(value)) == 1 &&
	       value[0] == 'y';
}

static int layer_missing(int rootfd, const char *path, enum layer *ret, struct ctn_err *err)
{
	ctn_autoclose int fd = open_in_root(rootfd, path, O_PATH | O_NOFOLLOW);

	if (fd >= 0) /* what it leads to may be in a layer below, which we do not put together */
		return ctn_fail(err, EINVAL,
				"/%s of the container is a symbolic link that leads nowhere; put a "
				"file there",
				path);
	*ret = is_opaque(rootfd, "etc") || is_opaque(rootfd, ".") ? LAYER_HIDES : LAYER_HAS_NOT;
	return 0;
}

/* Look with O_PATH first: opening a fifo or a device is an act of its own. */
static int layer_open(int rootfd, const char *path, enum layer *ret, int *ret_fd,
		      struct ctn_err *err)
{
	ctn_autoclose int fd = open_in_root(rootfd, path, O_PATH);
	char again[40];
	struct stat st;
	int opened;

	if (fd < 0 && errno == ENOENT)
		return layer_missing(rootfd, path, ret, err);
	if (fd < 0 && errno == ENOTDIR) { /* etc itself is a file or whiteout here */
		*ret = LAYER_HIDES;
		return 0;
	}
	if (fd < 0 && errno == ELOOP)
		return ctn_fail(err, EINVAL, "/%s of the container is a loop of links", path);
	if (fd < 0 || fstat(fd, &st) < 0)
		return ctn_fail_errno(err, "open /%s of the container", path);
	if (S_ISCHR(st.st_mode) && st.st_rdev == 0) { /* overlayfs: deleted in this layer */
		*ret = LAYER_HIDES;
		return 0;
	}
	if (!S_ISREG(st.st_mode) || st.st_size > FILE_BYTES_MAX)
		return ctn_fail(err, EINVAL,
				"/%s of the container is not a regular file of at "
				"most %d bytes",
				path, FILE_BYTES_MAX);
	snprintf(again, sizeof(again), "/proc/self/fd/%d", fd);
	opened = open(again, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (opened < 0)
		return ctn_fail_errno(err, "open /%s of the container", path);
	*ret = LAYER_FOUND;
	*ret_fd = opened;
	return 0;
}

/* @ret_data: NULL where no layer has the file. */
static int read_file(const int *rootfds, size_t n, const char *path, char **ret_data,
		     struct span *ret, struct ctn_err *err)
{
	ctn_autoclose int fd = -1;
	enum layer found = LAYER_HAS_NOT;
	char *data = NULL;
	size_t len = 0;
	int r;

	for (size_t i = 0; i < n && found == LAYER_HAS_NOT; i++) {
		r = layer_open(rootfds[i], path, &found, &fd, err);
		if (r < 0)
			return r;
	}
	if (found == LAYER_FOUND) {
		r = io_read_fd(fd, path, FILE_BYTES_MAX, &data, &len, err);
		if (r == -EFBIG) /* it grew meanwhile */
			return ctn_fail(err, EINVAL, "/%s of the container is too large", path);
		if (r < 0)
			return r;
	}
	*ret_data = data;
	*ret = (struct span){data, len};
	return 0;
}

/* --- entries --- */

/* passwd(5): name:password:uid:gid:comment:home:shell; group(5): name:password:gid:members. */
enum { F_NAME, F_UID = 2, F_GID = 3, F_HOME = 5, F_GROUP_GID = 2, F_MEMBERS = 3, F_COUNT = 7 };

struct entry {
	struct span field[F_COUNT];
};

static bool next_entry(struct span *rest, struct entry *ret)
{
	struct span line;

	if (rest->len == 0)
		return false;
	line = span_cut(rest, '\n');
	for (int i = 0; i < F_COUNT; i++)
		ret->field[i] = span_cut(&line, ':');
	return true;
}

static bool find_entry(struct span file, const struct who *who, int number_field, struct entry *ret)
{
	struct entry e;

	while (next_entry(&file, &e)) {
		uint32_t number;

		if (who->name.p ? span_equal(e.field[F_NAME], who->name)
				: span_number(e.field[number_field], &number) &&
					  number == who->number) {
			*ret = e;
			return true;
		}
	}
	return false;
}

static int bad_entry(struct span name, const char *file, const char *what, struct ctn_err *err)
{
	return ctn_fail(err, EINVAL, "the entry of '%.*s' in /etc/%s of the container has %s",
			name.len > 80 ? 80 : (int)name.len, name.p, file, what);
}

static int unknown(const struct who *who, const char *what, const char *file, struct ctn_err *err)
{
	return ctn_fail(err, ENOENT,
			"/etc/%s of the container knows no %s '%.*s': add it there, or give a "
			"number such as 1000:1000",
			file, what, who->name.len > 80 ? 80 : (int)who->name.len, who->name.p);
}

static int take_home(const struct entry *e, struct users_ids *ids, struct ctn_err *err)
{
	struct span home = e->field[F_HOME];

	if (home.len == 0 || home.p[0] != '/' || memchr(home.p, '\0', home.len))
		return 0; /* "/", as for those without an entry */
	if (home.len >= sizeof(ids->home))
		return bad_entry(e->field[F_NAME], "passwd", "too long a home directory", err);
	memcpy(ids->home, home.p, home.len);
	ids->home[home.len] = '\0';
	return 0;
}

static bool has_member(struct span members, struct span name)
{
	while (members.len > 0) {
		if (span_equal(span_cut(&members, ','), name))
			return true;
	}
	return false;
}

static int add_group(struct users_ids *ids, gid_t gid, struct span name, struct ctn_err *err)
{
	for (size_t i = 0; i < ids->n_groups; i++) {
		if (ids->groups[i] == gid)
			return 0;
	}
	if (ids->n_groups == USERS_GROUPS_MAX)
		return ctn_fail(err, EINVAL,
				"user '%.*s' is in more than %d groups; give one group as "
				"user:group",
				name.len > 80 ? 80 : (int)name.len, name.p, USERS_GROUPS_MAX);
	ids->groups[ids->n_groups++] = gid;
	return 0;
}

static int take_groups(struct span file, struct span name, struct users_ids *ids,
		       struct ctn_err *err)
{
	struct entry e;

	while (next_entry(&file, &e)) {
		uint32_t gid;
		int r;

		if (!has_member(e.field[F_MEMBERS], name))
			continue;
		if (!span_number(e.field[F_GROUP_GID], &gid))
			return bad_entry(e.field[F_NAME], "group", "no valid number", err);
		r = add_group(ids, gid, name, err);
		if (r < 0)
			return r;
	}
	return 0;
}

/* @ret_name: the user's name, empty where passwd has no entry. */
static int resolve_user(struct span passwd, const struct who *user, struct users_ids *ids,
			struct span *ret_name, struct ctn_err *err)
{
	struct entry e;

	ids->uid = user->number;
	if (!find_entry(passwd, user, F_UID, &e))
		return user->name.p ? unknown(user, "user", "passwd", err) : 0;
	if (!span_number(e.field[F_UID], &ids->uid) || !span_number(e.field[F_GID], &ids->gid))
		return bad_entry(e.field[F_NAME], "passwd", "no valid numbers", err);
	*ret_name = e.field[F_NAME];
	return take_home(&e, ids, err);
}

static int resolve_group(struct span file, const struct who *group, struct users_ids *ids,
			 struct ctn_err *err)
{
	struct entry e;

	ids->gid = group->number;
	if (!group->name.p)
		return 0;
	if (!find_entry(file, group, F_GROUP_GID, &e))
		return unknown(group, "group", "group", err);
	if (!span_number(e.field[F_GROUP_GID], &ids->gid))
		return bad_entry(e.field[F_NAME], "group", "no valid number", err);
	return 0;
}

int users_resolve(const int *rootfds, size_t n_rootfds, const char *text, struct users_ids *ret,
		  struct ctn_err *err)
{
	ctn_autofree char *passwd_data = NULL, *group_data = NULL;
	struct span passwd = {0}, groups = {0}, name = {0};
	struct users_ids ids = {.home = "/"};
	struct who user, group;
	bool has_group;
	int r = parse_text(text, &user, &group, &has_group, err);

	if (r < 0)
		return r;
	r = read_file(rootfds, n_rootfds, "etc/passwd", &passwd_data, &passwd, err);
	if (r < 0)
		return r;
	r = resolve_user(passwd, &user, &ids, &name, err);
	if (r < 0)
		return r;
	if (!has_group || group.name.p) { /* a number needs no file */
		r = read_file(rootfds, n_rootfds, "etc/group", &group_data, &groups, err);
		if (r < 0)
			return r;
	}
	if (has_group) /* exactly that group, no supplementary ones */
		r = resolve_group(groups, &group, &ids, err);
	else if (name.len > 0)
		r = take_groups(groups, name, &ids, err);
	if (r < 0)
		return r;
	*ret = ids;
	return 0;
}
