/* SPDX-License-Identifier: Apache-2.0 */
#include "rootfs.h"

#include <ftw.h>

#include "rootfs_fixture.h"

static size_t prefix; /* length of the skeleton's path */
static unsigned visited;

static bool others_may_read(const char *path, const struct stat *st)
{
	char above[PATH_MAX];
	struct stat dir;

	if (S_ISREG(st->st_mode) && !(st->st_mode & S_IROTH))
		return false;
	snprintf(above, sizeof(above), "%s", path);
	for (char *slash = strrchr(above, '/'); slash; slash = strrchr(above, '/')) {
		*slash = '\0';
		if (stat(*above ? above : "/", &dir) < 0 || (dir.st_mode & 05) != 05)
			return false;
	}
	return true;
}

static void check_same_file(const char *copy, const char *source, const struct stat *st,
			    const struct stat *host)
{
	ctn_autofree char *a = NULL, *b = NULL;
	size_t a_len = 0, b_len = 0;

	CHECK((st->st_mode & 07777) == (host->st_mode & 0777));
	CHECK(st->st_mtim.tv_sec == host->st_mtim.tv_sec &&
	      st->st_mtim.tv_nsec == host->st_mtim.tv_nsec);
	CHECK(io_read_at(AT_FDCWD, copy, 64 << 20, &a, &a_len, NULL) == 0);
	CHECK(io_read_at(AT_FDCWD, source, 64 << 20, &b, &b_len, NULL) == 0);
	CHECK(a && b && a_len == b_len && memcmp(a, b, a_len) == 0);
}

static void check_same_link(const char *copy, const char *source)
{
	char a[PATH_MAX] = "", b[PATH_MAX] = "";

	CHECK(readlink(copy, a, sizeof(a) - 1) > 0 && readlink(source, b, sizeof(b) - 1) > 0);
	CHECK_STR(a, b);
}

/* One entry of the skeleton's etc or var against the host's. */
static int check_entry(const char *copy, const struct stat *st, int type, struct FTW *ftw)
{
	const char *source = copy + prefix;
	unsigned before = check_failures;
	struct stat host;

	(void)type;
	visited++;
	if (strcmp(source, "/etc/hostname") == 0) {
		CHECK(st->st_mode == (S_IFREG | 0644) && st->st_size == 0);
		return 0;
	}
	CHECK(strcmp(source, "/etc/shadow") != 0);
	CHECK(lstat(source, &host) == 0);
	CHECK(others_may_read(source, &host));
	CHECK((st->st_mode & S_IFMT) == (host.st_mode & S_IFMT));
	CHECK(st->st_uid == host.st_uid && st->st_gid == host.st_gid);
	if (strncmp(source, "/var", 4) == 0)
		CHECK(S_ISDIR(st->st_mode) || (S_ISLNK(st->st_mode) && ftw->level == 1));
	if (S_ISDIR(st->st_mode))
		CHECK((st->st_mode & 07777) == (host.st_mode & 03777));
	else if (S_ISREG(st->st_mode))
		check_same_file(copy, source, st, &host);
	else
		check_same_link(copy, source);
	if (check_failures != before)
		printf("# … of %s\n", source);
	return 0;
}

/* And the other way round: nothing that may be shown is missing. */
static const char *skeleton_at;

static int check_present(const char *source, const struct stat *st, int type, struct FTW *ftw)
{
	char copy[PATH_MAX];

	(void)type;
	(void)ftw;
	if (!S_ISREG(st->st_mode) && !S_ISLNK(st->st_mode))
		return 0;
	snprintf(copy, sizeof(copy), "%s%s", skeleton_at, source);
	if (strcmp(source, "/etc/hostname") != 0 && !others_may_read(source, st))
		CHECK(faccessat(AT_FDCWD, copy, F_OK, AT_SYMLINK_NOFOLLOW) < 0);
	else
		CHECK(faccessat(AT_FDCWD, copy, F_OK, AT_SYMLINK_NOFOLLOW) == 0);
	return 0;
}

static void test_host(void)
{
	ctn_autofree char *name = open_skeleton();
	char path[PATH_MAX], sub[PATH_MAX + 8];
	struct stat st;

	if (!name)
		return;
	CHECK(strncmp(name, "skeleton-", 9) == 0 && strlen(name) == 25);
	CHECK(count_names() == 1);
	CHECK(look(name, "", &st) && st.st_uid == 0 && (st.st_mode & 07777) == 0755);
	snprintf(path, sizeof(path), "%s/%s", scratch_path, name);
	skeleton_at = path;
	prefix = strlen(path);
	visited = 0;
	snprintf(sub, sizeof(sub), "%s/etc", path);
	CHECK(nftw(sub, check_entry, 16, FTW_PHYS) == 0);
	snprintf(sub, sizeof(sub), "%s/var", path);
	CHECK(nftw(sub, check_entry, 16, FTW_PHYS) == 0);
	CHECK(visited > 10);
	CHECK(nftw("/etc", check_present, 16, FTW_PHYS) == 0);
	CHECK(mode_of(name, "tmp") == 01777 && mode_of(name, "var/tmp") == 01777);
	CHECK(mode_of(name, "root") == 0700 && mode_of(name, "usr") == 0755);
	CHECK(lstat("/bin", &st) < 0 || has(name, "bin"));
}

static void test_again(void)
{
	ctn_autofree char *first = open_skeleton(), *second = NULL;
	struct stat before, after;

	CHECK(first && look(first, "etc", &before));
	second = open_skeleton();
	CHECK_STR(second, first);
	CHECK(second && look(second, "etc", &after));
	CHECK(before.st_ino == after.st_ino && before.st_ctim.tv_nsec == after.st_ctim.tv_nsec);
	CHECK(count_names() == 1);
}

static void test_sweep(void)
{
	ctn_autofree char *name = open_skeleton();

	CHECK(mkdirat(statefd, ".skeleton-0123456789abcdef.tmp", 0700) == 0);
	CHECK(mkdirat(statefd, ".skeleton-0123456789abcdef.tmp/etc", 0700) == 0);
	CHECK(mkdirat(statefd, "skeleton-0000000000000000", 0755) == 0);
	CHECK(mkdirat(statefd, "other", 0755) == 0);
	CHECK(mkdirat(statefd, ".other.tmp", 0755) == 0);
	CHECK(rootfs_skeleton_sweep(statefd, keep_one, name, NULL) == 0);
	CHECK(name && has(name, "etc") && count_names() == 3);
	CHECK(rootfs_skeleton_sweep(statefd, keep_one, NULL, NULL) == 0);
	CHECK(count_names() == 2);
	CHECK(unlinkat(statefd, "other", AT_REMOVEDIR) == 0);
	CHECK(unlinkat(statefd, ".other.tmp", AT_REMOVEDIR) == 0);
}

/* What an interrupted build left is no obstacle; the umask does not matter. */
static void test_interrupted(void)
{
	ctn_autofree char *name = open_skeleton(), *again = NULL;
	char tmp[64];
	mode_t mask = umask(0777);

	if (!name)
		return;
	snprintf(tmp, sizeof(tmp), ".%s.tmp", name);
	CHECK(renameat(statefd, name, statefd, tmp) == 0);
	again = open_skeleton();
	umask(mask);
	CHECK_STR(again, name);
	CHECK(count_names() == 1);
	CHECK(mode_of(name, "") == 0755 && mode_of(name, "tmp") == 01777 && has(name, "etc"));
	CHECK(rootfs_skeleton_sweep(statefd, keep_one, NULL, NULL) == 0);
}

static void test_bad_state(void)
{
	char *name = (char *)1;

	CHECK_ERR(rootfs_skeleton_open(-1, exclude, &name, &check_err), EBADF, "state directory");
	CHECK_ERR(rootfs_skeleton_sweep(-1, keep_one, NULL, &check_err), EBADF, "state directory");
	CHECK(name == (char *)1);
}

static const struct check_test tests[] = {
	{"the host's skeleton shows what any user may read, and no more", test_host},
	{"the second call finds it", test_again},
	{"sweep", test_sweep},
	{"a build that was interrupted", test_interrupted},
	{"no state directory", test_bad_state},
};

int main(void)
{
	return run_with_state(tests, CTN_COUNT(tests));
}
