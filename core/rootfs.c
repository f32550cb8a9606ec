/* SPDX-License-Identifier: Apache-2.0 */
#include "rootfs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "io.h"
#include "rootfs_walk.h"

#define SKELETON      "skeleton-"
#define DIGEST_SEED   UINT64_C(0xcbf29ce484222325) /* FNV-1a, 64 bits */
#define DIGEST_FORMAT "2" /* another one when the same host is to give another skeleton */

/* The top level beside /etc and /var. @always: mounted over or bound, so a directory even where the
 * host has a link. */
static const struct {
	const char *name;
	mode_t mode;
	bool always;
} top_dirs[] = {
	/* clang-format off */
	{"usr", 0755, true},   {"opt", 0755, true},   {"proc", 0755, true},  {"sys", 0755, true},
	{"dev", 0755, true},   {"tmp", 01777, true},  {"run", 0755, true},   {"root", 0700, true},
	{"home", 0755, false}, {"srv", 0755, false},  {"mnt", 0755, false},  {"media", 0755, false},
	{"boot", 0755, false},
	/* clang-format on */
};

/* What is there already is fine: a link of the host's, or made for another reason. */
static int make_dir(int dst, const char *name, mode_t mode, struct ctn_err *err)
{
	if (dst < 0)
		return 0;
	if (mkdirat(dst, name, 0700) < 0)
		return errno == EEXIST ? 0 : ctn_fail_errno(err, "create /%s", name);
	if (fchmodat(dst, name, mode, 0) < 0)
		return ctn_fail_errno(err, "set the mode of /%s", name);
	return 0;
}

/* A place to mount the container's own on. */
static int make_hostname(int dst, struct ctn_err *err)
{
	ctn_autoclose int fd = -1;

	if (dst < 0)
		return 0;
	fd = openat(dst, "etc/hostname", O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
		    0600);
	if (fd < 0 || fchmod(fd, 0644) < 0)
		return ctn_fail_errno(err, "create /etc/hostname");
	return 0;
}

/* /etc or /var. @open: whether others may enter and list the root. */
static int walk_tree(struct rootfs_walk *w, int root, int dst, const char *name, bool open,
		     struct ctn_err *err)
{
	ctn_autoclose int src = openat(root, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct statx st;

	if (src < 0 && errno == ENOENT)
		return make_dir(dst, name, 0755, err);
	if (src < 0 || rootfs_look(src, "", AT_EMPTY_PATH, &st) < 0)
		return ctn_fail_errno(err, "open /%s", name);
	rootfs_path_set(w, 0, name);
	w->dev_major = st.stx_dev_major;
	w->dev_minor = st.stx_dev_minor;
	open = open && (st.stx_mode & S_IROTH) && (st.stx_mode & S_IXOTH);
	return rootfs_walk_fill(w, open ? src : -1, dst, name, &st, 0, err);
}

static bool is_always_dir(const char *name)
{
	if (strcmp(name, "etc") == 0 || strcmp(name, "var") == 0)
		return true;
	for (size_t i = 0; i < CTN_COUNT(top_dirs); i++) {
		if (top_dirs[i].always && strcmp(top_dirs[i].name, name) == 0)
			return true;
	}
	return false;
}

/* bin, sbin, lib, lib64 … but not lib.usr-is-merged */
static bool is_program_dir(const char *name)
{
	if (strcmp(name, "bin") == 0 || strcmp(name, "sbin") == 0)
		return true;
	return strncmp(name, "lib", 3) == 0 && !name[strcspn(name, ".-_+ ")];
}

/* Links of the top level, and directories for programs where they are none. */
static int walk_top_entry(struct rootfs_walk *w, int root, int dst, const char *name,
			  struct ctn_err *err)
{
	struct statx st;

	if (is_always_dir(name) || rootfs_look(root, name, AT_SYMLINK_NOFOLLOW, &st) < 0)
		return 0;
	rootfs_path_set(w, 0, name);
	if (S_ISLNK(st.stx_mode))
		return rootfs_walk_link(w, root, dst, name, &st, err);
	if (!S_ISDIR(st.stx_mode) || !is_program_dir(name))
		return 0;
	rootfs_digest(w, w->path, w->path_len + 1);
	return make_dir(dst, name, 0755, err);
}

static int walk_top(struct rootfs_walk *w, int root, int dst, struct ctn_err *err)
{
	__attribute__((cleanup(rootfs_names_free))) struct rootfs_names names = {0};
	int r;

	w->files = false;
	r = rootfs_names_read(w, root, 0, &names, err);
	for (size_t i = 0; r == 0 && i < names.n; i++)
		r = walk_top_entry(w, root, dst, names.items[i], err);
	for (size_t i = 0; r == 0 && i < CTN_COUNT(top_dirs); i++)
		r = make_dir(dst, top_dirs[i].name, top_dirs[i].mode, err);
	return r;
}

static int walk_host(struct rootfs_walk *w, int dst, struct ctn_err *err)
{
	ctn_autoclose int root = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct statx st;
	bool open;
	int r;

	if (root < 0 || rootfs_look(root, "", AT_EMPTY_PATH, &st) < 0)
		return ctn_fail_errno(err, "open /");
	open = (st.stx_mode & S_IROTH) && (st.stx_mode & S_IXOTH);
	w->digest = DIGEST_SEED;
	rootfs_digest(w, DIGEST_FORMAT, sizeof(DIGEST_FORMAT));
	r = walk_top(w, root, dst, err);
	if (r < 0)
		return r;
	w->files = true;
	r = walk_tree(w, root, dst, "etc", open, err);
	if (r == 0)
		r = make_hostname(dst, err);
	if (r < 0)
		return r;
	w->files = false;
	r = walk_tree(w, root, dst, "var", open, err);
	if (r < 0)
		return r;
	return make_dir(dst, "var/tmp", 01777, err);
}

static int host_digest(int statefd, const char *const *exclude, int dst, uint64_t *ret,
		       struct ctn_err *err)
{
	struct rootfs_walk w = {.exclude = exclude};
	int r;

	if (rootfs_look(statefd, "", AT_EMPTY_PATH, &w.state) < 0)
		return ctn_fail_errno(err, "stat the state directory");
	r = walk_host(&w, dst, err);
	if (r < 0)
		return ctn_fail_context(err, "the skeleton of the host");
	*ret = w.digest;
	return 0;
}

static int skeleton_name(uint64_t digest, char **ret, struct ctn_err *err)
{
	if (asprintf(ret, SKELETON "%016llx", (unsigned long long)digest) < 0) {
		*ret = NULL;
		return ctn_fail(err, ENOMEM, "no memory to name the skeleton");
	}
	return 0;
}

/* The digest is taken once more while copying: the name says what is in it. */
static int build_in(int statefd, const char *const *exclude, const char *tmp, char **ret_name,
		    struct ctn_err *err)
{
	ctn_autoclose int dst = -1;
	ctn_autofree char *name = NULL;
	uint64_t digest = 0;
	int r;

	if (mkdirat(statefd, tmp, 0700) < 0)
		return ctn_fail_errno(err, "create %s", tmp);
	dst = openat(statefd, tmp, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dst < 0)
		return ctn_fail_errno(err, "open %s", tmp);
	r = host_digest(statefd, exclude, dst, &digest, err);
	if (r < 0)
		return r;
	r = skeleton_name(digest, &name, err);
	if (r < 0)
		return r;
	if (fchmod(dst, 0755) < 0 || syncfs(dst) < 0)
		return ctn_fail_errno(err, "sync %s", tmp);
	if (renameat2(statefd, tmp, statefd, name, RENAME_NOREPLACE) < 0) {
		if (errno != EEXIST)
			return ctn_fail_errno(err, "rename %s to %s", tmp, name);
		r = io_remove_tree_at(statefd, tmp, err); /* the host is as it was before */
		if (r < 0)
			return r;
	}
	if (fsync(statefd) < 0)
		return ctn_fail_errno(err, "sync the state directory");
	*ret_name = ctn_take_ptr(name);
	return 0;
}

int rootfs_skeleton_open(int statefd, const char *const *exclude, char **ret_name,
			 struct ctn_err *err)
{
	ctn_autofree char *name = NULL;
	uint64_t digest = 0;
	struct stat st;
	char tmp[64];
	int r = host_digest(statefd, exclude, -1, &digest, err);

	if (r < 0)
		return r;
	r = skeleton_name(digest, &name, err);
	if (r < 0)
		return r;
	if (fstatat(statefd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode)) {
		*ret_name = ctn_take_ptr(name);
		return 0;
	}
	snprintf(tmp, sizeof(tmp), ".%s.tmp", name);
	r = io_remove_tree_at(statefd, tmp, err); /* of a build that was interrupted */
	if (r < 0)
		return r;
	r = build_in(statefd, exclude, tmp, ret_name, err);
	if (r < 0)
		(void)io_remove_tree_at(statefd, tmp, NULL); /* r already says why */
	return r;
}

int rootfs_skeleton_sweep(int statefd, int (*keep)(const char *name, void *arg), void *arg,
			  struct ctn_err *err)
{
	ctn_autoclose int own = openat(statefd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ctn_autoclosedir DIR *dir = own < 0 ? NULL : fdopendir(own);
	const struct dirent *e;
	int first = 0;

	if (!dir)
		return ctn_fail_errno(err, "open the state directory");
	(void)ctn_take_fd(own); /* dir owns it now */
	while ((e = readdir(dir))) {
		const char *name = e->d_name + (e->d_name[0] == '.');
		int r;

		if (strncmp(name, SKELETON, strlen(SKELETON)) != 0 || keep(e->d_name, arg))
			continue;
		r = io_remove_tree_at(statefd, e->d_name, first < 0 ? NULL : err);
		if (r < 0 && first == 0)
			first = r;
	}
	return first;
}
