/* SPDX-License-Identifier: Apache-2.0 */
/* What both programs that test rootfs share: a state directory, and looks into a skeleton. */
#ifndef CTNFS_TESTS_UNIT_ROOTFS_FIXTURE_H
#define CTNFS_TESTS_UNIT_ROOTFS_FIXTURE_H

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "cleanup.h"
#include "io.h"
#include "rootfs.h"

static char scratch_path[] = "/tmp/ctnfs-test-XXXXXX";
static int statefd = -1;
static const char *const exclude[] = {"/var/lib/ctnfs/", NULL};

/* The name of a skeleton, to be freed; NULL when that failed. */
static inline char *open_skeleton(void)
{
	char *name = NULL;
	int r = rootfs_skeleton_open(statefd, exclude, &name, &check_err);

	CHECK(r == 0);
	if (r < 0)
		printf("# %s\n", check_err.text);
	return name;
}

/* lstat below the skeleton. */
static inline bool look(const char *name, const char *path, struct stat *st)
{
	char full[PATH_MAX];

	snprintf(full, sizeof(full), "%s/%s", name, path);
	return fstatat(statefd, full, st, AT_SYMLINK_NOFOLLOW) == 0;
}

static inline mode_t mode_of(const char *name, const char *path)
{
	struct stat st;

	return look(name, path, &st) ? st.st_mode & 07777 : (mode_t)-1;
}

static inline bool has(const char *name, const char *path)
{
	struct stat st;

	return look(name, path, &st);
}

static inline int keep_one(const char *name, void *arg)
{
	return arg && strcmp(name, arg) == 0;
}

static inline unsigned count_names(void)
{
	ctn_autoclosedir DIR *dir = fdopendir(
		openat(statefd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	unsigned n = 0;

	while (dir && readdir(dir))
		n++;
	return n - 2;
}

/* main() of both programs. */
static inline int run_with_state(const struct check_test *tests, size_t count)
{
	int r;

	if (geteuid() != 0) {
		puts("1..0 # SKIP a skeleton has the owners of the host's files: needs root");
		return 77;
	}
	if (!mkdtemp(scratch_path) ||
	    (statefd = open(scratch_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0) {
		perror(scratch_path);
		return 1;
	}
	r = check_run(tests, count);
	close(statefd);
	return io_remove_tree_at(AT_FDCWD, scratch_path, NULL) < 0 ? 1 : r;
}

#endif
