/* SPDX-License-Identifier: Apache-2.0 */
/* The lines of `mounts`. */
#include "spec_mounts.h"

#include <linux/mount.h>
#include <stdlib.h>
#include <sys/mount.h>

#include "check.h"
#include "cleanup.h"

static struct spec_mount parsed(const char *line)
{
	struct spec_mount m = {0};

	CHECK(spec_mount_parse(line, &m, NULL) == 0);
	return m;
}

static void test_bind(void)
{
	struct spec_mount m = parsed("/srv/redis /data none bind,rw 0 0");

	CHECK_STR(m.source, "/srv/redis");
	CHECK_STR(m.target, "/data");
	CHECK_STR(m.type, "none");
	CHECK_STR(m.data, "");
	CHECK(m.flags == (MOUNT_BIND | MOUNT_IDMAP));
	CHECK(m.set == 0 && m.clear == MOUNT_ATTR_RDONLY && m.propagation == 0);
	spec_mount_free(&m);
	m = parsed("/a /b none rbind,noidmap,rro,ro,nosuid,rslave");
	CHECK(m.flags == (MOUNT_BIND | MOUNT_REC));
	CHECK(m.set == (MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID) && m.set_rec == MOUNT_ATTR_RDONLY);
	CHECK(m.propagation == (MS_SLAVE | MS_REC));
	spec_mount_free(&m);
	m = parsed("/a /b bind defaults"); /* the runtime-spec's type */
	CHECK(m.flags == (MOUNT_BIND | MOUNT_IDMAP));
	CHECK_STR(m.type, "none");
	spec_mount_free(&m);
	m = parsed("/a /b ext4 bind,ridmap");
	CHECK(m.flags == (MOUNT_BIND | MOUNT_IDMAP | MOUNT_RIDMAP));
	spec_mount_free(&m);
}

static void test_new(void)
{
	struct spec_mount m = parsed("tmpfs /tmp/x tmpfs size=64m,nodev,sync,mode=1777,tmpcopyup");

	CHECK_STR(m.data, "size=64m,sync,mode=1777");
	CHECK(m.flags == MOUNT_TMPCOPYUP && m.set == MOUNT_ATTR_NODEV);
	spec_mount_free(&m);
	m = parsed("proc /proc proc nosuid,noexec,nodev 0 0");
	CHECK(m.flags == 0);
	CHECK(m.set == (MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC));
	spec_mount_free(&m);
	m = parsed("cgroup /sys/fs/cgroup cgroup ro,relatime");
	CHECK(m.set == MOUNT_ATTR_RDONLY && m.clear == MOUNT_ATTR__ATIME);
	spec_mount_free(&m);
	m = parsed("/sys /sys none rbind,ro");
	spec_mount_free(&m);
	m = parsed("/var/lib/lxcfs/proc/meminfo /proc/meminfo none bind");
	spec_mount_free(&m);
}

/* The later of two that contradict each other counts; times are one choice of three. */
static void test_order(void)
{
	static const struct {
		const char *options;
		uint64_t set, clear;
	} rows[] = {
		{"ro,rw", 0, MOUNT_ATTR_RDONLY},
		{"rw,ro", MOUNT_ATTR_RDONLY, 0},
		{"noatime,strictatime", MOUNT_ATTR_STRICTATIME, MOUNT_ATTR__ATIME},
		{"strictatime,atime", 0, MOUNT_ATTR__ATIME},
		{"nodiratime,noatime,diratime", MOUNT_ATTR_NOATIME,
		 MOUNT_ATTR__ATIME | MOUNT_ATTR_NODIRATIME},
		{"defaults,async,,loud", 0, 0},
	};

	for (size_t i = 0; i < CTN_COUNT(rows); i++) {
		ctn_autofree char *line = NULL;
		struct spec_mount m;

		CHECK(asprintf(&line, "tmpfs /x tmpfs %s", rows[i].options) > 0);
		m = parsed(line);
		CHECK(m.set == rows[i].set && m.clear == rows[i].clear);
		spec_mount_free(&m);
	}
}

static void test_paths(void)
{
	struct spec_mount m = parsed("/a\\040b//c/ //d\\134\\011e/ none bind");

	CHECK_STR(m.source, "/a b/c");
	CHECK_STR(m.target, "/d\\\te");
	spec_mount_free(&m);
	m = parsed("/ /host none bind"); /* the whole of the host, if that is what is wanted */
	CHECK_STR(m.source, "/");
	spec_mount_free(&m);
	m = parsed("/a\\4 /b\\999 none bind"); /* no escapes */
	CHECK_STR(m.source, "/a\\4");
	CHECK_STR(m.target, "/b\\999");
	spec_mount_free(&m);
}

static void test_lines(void)
{
	static const char *const pairs[][2] = {
		{"/srv/redis\t/data  none  bind,rw", "/srv/redis /data none bind,rw 0 0"},
		{"/srv/redis /data/ bind rbind 0 2", "/srv/redis /data none rbind 0 0"},
		{"/a\\040b /c none bind 0 0", "/a\\040b /c none bind 0 0"},
		{"#x /t tmpfs size=1m", "\\043x /t tmpfs size=1m 0 0"},
	};

	for (size_t i = 0; i < CTN_COUNT(pairs); i++) {
		struct spec_mount m = parsed(pairs[i][0]), again;
		ctn_autofree char *line = NULL;

		CHECK(spec_mount_reprint(pairs[i][0], &m, &line, NULL) == 0);
		CHECK_STR(line, pairs[i][1]);
		again = parsed(line);
		CHECK_STR(again.source, m.source);
		CHECK_STR(again.target, m.target);
		CHECK(again.flags == m.flags && again.set == m.set);
		spec_mount_free(&m);
		spec_mount_free(&again);
	}
}

static const struct {
	const char *line;
	int code;
	const char *sentence;
} bad[] = {
	{"", EINVAL, "fstab(5)"},
	{"/a", EINVAL, "fstab(5)"},
	{"/a /b none", EINVAL, "fstab(5)"},
	{"/a /b none bind 0 0 0", EINVAL, "six fields"},
	{"a /b none bind", EINVAL, "source 'a' is not an absolute path"},
	{"/a b none bind", EINVAL, "target 'b' is not an absolute path"},
	{"/a /b/../c none bind", EINVAL, ". or .. in it"},
	{"/a /./b none bind", EINVAL, ". or .. in it"},
	{"/a/.. /b none bind", EINVAL, ". or .. in it"},
	{"/a / none bind", EINVAL, "rootfs"},
	{"/a //// none bind", EINVAL, "rootfs"},
	{"/a /b none rw", EINVAL, "'none' is no type"},
	{"/dev/sda1 /b ext4 rw", EINVAL, "'ext4' is no type"},
	{"x /b overlay lowerdir=/a", EINVAL, "'overlay' is no type"},
	{"/a /b none bind,size=1m", EINVAL, "a bind has no option 'size=1m'"},
	{"/a /b none bind,rro,foo", EINVAL, "a bind has no option 'foo'"},
	{"/a /b none bind,sync", EINVAL, "a bind has no option 'sync'"},
	{"/a /b none bind,tmpcopyup", EINVAL, "tmpcopyup is for a tmpfs"},
	{"mqueue /dev/mqueue mqueue tmpcopyup", EINVAL, "tmpcopyup is for a tmpfs"},
	{"tmpfs /b tmpfs idmap", EINVAL, "idmap is for a bind"},
	{"tmpfs /b tmpfs mand", EOPNOTSUPP, "the option mand"},
	{"/a /b none bind,remount", EOPNOTSUPP, "the option remount"},
	{"tmpfs /proc tmpfs rw", EINVAL, "at /proc are the kernel's own"},
	{"/a /proc none bind", EINVAL, "at /proc are the kernel's own"},
	{"/proc /proc proc bind", EINVAL, "at /proc are the kernel's own"},
	{"/a /proc/sys none bind", EINVAL, "at /proc/sys are the kernel's own"},
	{"tmpfs /proc/self/attr tmpfs rw", EINVAL, "at /proc/self/attr"},
	{"/a //proc//sys/net none bind", EINVAL, "at /proc/sys/net"},
	{"tmpfs /proc/meminfo tmpfs rw", EINVAL, "at /proc/meminfo"},
	{"proc /mnt proc rw", EINVAL, "proc can only be at /proc, not at /mnt"},
	{"proc /proc/x proc rw", EINVAL, "/proc/x"},
	{"sysfs /mnt sysfs ro", EINVAL, "sysfs can only be at /sys"},
	{"/a /sys none bind", EINVAL, "at /sys are the kernel's own"},
	{"tmpfs /sys tmpfs rw", EINVAL, "at /sys are the kernel's own"},
	{"/a /sys/kernel none bind", EINVAL, "at /sys/kernel are"},
	{"tmpfs /sys/fs/cgroup tmpfs rw", EINVAL, "at /sys/fs/cgroup are"},
	{"cgroup /cg cgroup ro", EINVAL, "cgroup can only be at /sys/fs/cgroup"},
	{"devpts /b devpts rw", EINVAL, "devpts can only be at /dev/pts"},
	{"mqueue /b mqueue rw", EINVAL, "mqueue can only be at /dev/mqueue"},
};

static void test_bad(void)
{
	for (size_t i = 0; i < CTN_COUNT(bad); i++) {
		struct spec_mount m = {0};

		CHECK_ERR(spec_mount_parse(bad[i].line, &m, &check_err), bad[i].code,
			  bad[i].sentence);
		CHECK(!m.source && !m.target && !m.type && !m.data); /* untouched */
		spec_mount_free(&m);
	}
}

static void test_long(void)
{
	ctn_autofree char *line = malloc(20000);
	struct spec_mount m = {0};

	strcpy(line, "/a /");
	memset(line + 4, 'x', 5000);
	strcpy(line + 5004, " none bind");
	CHECK_ERR(spec_mount_parse(line, &m, &check_err), EINVAL, "not an absolute path");
	strcpy(line, "tmpfs /b tmpfs ");
	memset(line + 15, 'x', 5000);
	line[5015] = '\0';
	CHECK_ERR(spec_mount_parse(line, &m, &check_err), EINVAL, "bytes of options");
}

static const struct check_test tests[] = {
	{"binds", test_bind},
	{"new file systems", test_new},
	{"options that contradict each other", test_order},
	{"paths", test_paths},
	{"canonical lines", test_lines},
	{"refused", test_bad},
	{"too long", test_long},
};

int main(void)
{
	return check_run(tests, CTN_COUNT(tests));
}
