/* SPDX-License-Identifier: Apache-2.0 */
/* The mounts that need the host's rights, detached; and the layer. */
#include <errno.h>
#include <linux/mount.h>
#include <sys/mount.h>
#include <sys/sysmacros.h>

#include "bench.h"
#include "floor.h"

const char *const floor_binds[FLOOR_BINDS] = {"/usr", "/opt"};

static const struct {
	const char *name;
	mode_t mode;
	unsigned major, minor;
} nodes[] = {
	{"dev", S_IFDIR | 0755, 0, 0},	      {"dev/null", S_IFCHR | 0666, 1, 3},
	{"dev/zero", S_IFCHR | 0666, 1, 5},   {"dev/full", S_IFCHR | 0666, 1, 7},
	{"dev/random", S_IFCHR | 0666, 1, 8}, {"dev/urandom", S_IFCHR | 0666, 1, 9},
	{"dev/tty", S_IFCHR | 0666, 5, 0},    {"dev/pts", S_IFDIR | 0755, 0, 0},
	{"dev/shm", S_IFDIR | 01777, 0, 0},   {"dev/mqueue", S_IFDIR | 01777, 0, 0},
	{"shm", S_IFDIR | 01777, 0, 0},	      {"tmp", S_IFDIR | 01777, 0, 0},
	{"run", S_IFDIR | 0755, 0, 0},	      {"mask-dir", S_IFDIR | 0555, 0, 0},
	{"mask-file", S_IFREG | 0444, 0, 0},  {"hostname", S_IFREG | 0644, 0, 0},
};

static const struct {
	const char *name, *target;
} links[] = {
	{"dev/ptmx", "pts/ptmx"},	   {"dev/fd", "/proc/self/fd"},
	{"dev/stdin", "/proc/self/fd/0"},  {"dev/stdout", "/proc/self/fd/1"},
	{"dev/stderr", "/proc/self/fd/2"},
};

static void own(int fd, const char *name)
{
	BENCH_TRY(name, fchownat(fd, name, FLOOR_ID_BASE, FLOOR_ID_BASE, AT_SYMLINK_NOFOLLOW));
}

static int tmpfs_make(void)
{
	int fs = BENCH_TRY("tmpfs", fsopen("tmpfs", FSOPEN_CLOEXEC)), fd;
	mode_t mask = umask(0);

	BENCH_TRY("tmpfs", fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0));
	fd = BENCH_TRY("tmpfs", fsmount(fs, FSMOUNT_CLOEXEC, 0));
	close(fs);
	for (size_t i = 0; i < sizeof(nodes) / sizeof(nodes[0]); i++) {
		if (S_ISDIR(nodes[i].mode))
			BENCH_TRY(nodes[i].name, mkdirat(fd, nodes[i].name, nodes[i].mode & 07777));
		else
			BENCH_TRY(nodes[i].name, mknodat(fd, nodes[i].name, nodes[i].mode,
							 makedev(nodes[i].major, nodes[i].minor)));
		own(fd, nodes[i].name);
	}
	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
		BENCH_TRY(links[i].name, symlinkat(links[i].target, fd, links[i].name));
		own(fd, links[i].name);
	}
	umask(mask);
	return fd;
}

static int lower_clone(const struct floor *f, int userns)
{
	struct mount_attr set = {
		.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_IDMAP,
		.userns_fd = (uint64_t)userns,
	};
	int fd = BENCH_TRY(f->lower,
			   open_tree(AT_FDCWD, f->lower, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));

	BENCH_TRY("map the ids of the skeleton",
		  mount_setattr(fd, "", AT_EMPTY_PATH, &set, sizeof(set)));
	return fd;
}

/* Before Linux 6.15 a layer must have a path: our mount namespace is our own anyway. */
static void lower_give(const struct floor *f, int fs, int *lower)
{
	char at[512];

	if (fsconfig(fs, FSCONFIG_SET_FD, "lowerdir+", NULL, *lower) == 0)
		return;
	snprintf(at, sizeof(at), "%s/lower", f->dir);
	BENCH_TRY(at, mkdir(at, 0755) < 0 && errno != EEXIST ? -1 : 0);
	BENCH_TRY(at, move_mount(*lower, "", AT_FDCWD, at, MOVE_MOUNT_F_EMPTY_PATH));
	close(*lower);
	*lower = -1;
	BENCH_TRY(at, fsconfig(fs, FSCONFIG_SET_STRING, "lowerdir", at, 0));
}

static int overlay_make(const struct floor *f, int *lower)
{
	int fs = BENCH_TRY("overlay", fsopen("overlay", FSOPEN_CLOEXEC)), fd;
	char upper[512], work[512];

	snprintf(upper, sizeof(upper), "%s/upper", f->dir);
	snprintf(work, sizeof(work), "%s/work", f->dir);
	lower_give(f, fs, lower);
	BENCH_TRY(upper, fsconfig(fs, FSCONFIG_SET_STRING, "upperdir", upper, 0));
	BENCH_TRY(work, fsconfig(fs, FSCONFIG_SET_STRING, "workdir", work, 0));
	BENCH_TRY("overlay", fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0));
	fd = BENCH_TRY("overlay", fsmount(fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_NODEV));
	close(fs);
	return fd;
}

void floor_mounts_make(const struct floor *f, int userns, struct floor_life *life)
{
	struct mount_attr set = {
		.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV,
	};
	life->lower = lower_clone(f, userns);
	life->root = overlay_make(f, &life->lower);
	life->tmpfs = tmpfs_make();
	for (int i = 0; i < FLOOR_BINDS && floor_binds[i]; i++) {
		int fd = BENCH_TRY(floor_binds[i],
				   open_tree(AT_FDCWD, floor_binds[i],
					     OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE));

		BENCH_TRY(floor_binds[i],
			  mount_setattr(fd, "", AT_EMPTY_PATH | AT_RECURSIVE, &set, sizeof(set)));
		life->binds[i] = fd;
	}
}

void floor_layer_make(const struct floor *f)
{
	BENCH_TRY("upper", mkdirat(f->dirfd, "upper", 0755));
	BENCH_TRY("work", mkdirat(f->dirfd, "work", 0755));
	BENCH_TRY("upper", fchownat(f->dirfd, "upper", FLOOR_ID_BASE, FLOOR_ID_BASE, 0));
}

static void gone(int dirfd, const char *name, int flags)
{
	if (unlinkat(dirfd, name, flags) < 0 && errno != ENOENT)
		BENCH_TRY(name, -1);
}

/* What the lives leave in it is known. */
void floor_layer_remove(const struct floor *f)
{
	gone(f->dirfd, "upper/first", 0);
	gone(f->dirfd, "upper", AT_REMOVEDIR);
	gone(f->dirfd, "work/work", AT_REMOVEDIR);
	gone(f->dirfd, "work", AT_REMOVEDIR);
}
