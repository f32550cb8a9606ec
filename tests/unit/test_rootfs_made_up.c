/* SPDX-License-Identifier: Apache-2.0 */
#include "rootfs.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include "rootfs_fixture.h"

/* Hosts that are made up, each in a mount namespace of its own. */

static void make_file(const char *path, const char *text, mode_t mode)
{
	ctn_autoclose int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	CHECK(fd >= 0 && io_write_all(fd, text, strlen(text)) == 0 && fchmod(fd, mode) == 0);
}

static void make_dir(const char *path, mode_t mode)
{
	CHECK(mkdir(path, 0700) == 0 && chmod(path, mode) == 0);
}

static void fake_etc(void)
{
	make_file("/etc/hostname", "host\n", 0644);
	make_file("/etc/passwd", "root\n", 0644);
	make_file("/etc/shadow", "secret\n", 0640);
	make_file("/etc/group-only", "secret\n", 0070);
	make_file("/etc/suid", "x", 06755);
	make_file("/etc/empty", "", 0444);
	CHECK(chown("/etc/empty", 12, 34) == 0);
	make_file("/etc/\n\x1b odd", "odd", 0644);
	make_dir("/etc/open", 01777);
	make_file("/etc/open/hostname", "another", 0644);
	make_dir("/etc/entered-only", 0751);
	make_file("/etc/entered-only/file", "secret", 0644);
	make_dir("/etc/listed-only", 0754);
	make_file("/etc/listed-only/file", "secret", 0644);
	make_dir("/etc/private", 0700);
	make_file("/etc/private/file", "secret", 0644);
	CHECK(symlink("/etc/shadow", "/etc/link") == 0);
	CHECK(symlink("nowhere/\n", "/etc/dangling") == 0);
	CHECK(lchown("/etc/dangling", 56, 78) == 0);
	CHECK(mkfifo("/etc/fifo", 0666) == 0);
	CHECK(mknod("/etc/socket", S_IFSOCK | 0666, 0) == 0);
	make_dir("/etc/mounted", 0755);
	CHECK(mount("none", "/etc/mounted", "tmpfs", 0, "mode=0755") == 0);
	make_file("/etc/mounted/file", "elsewhere", 0644);
}

static void fake_var(void)
{
	make_dir("/var/lib", 0755);
	make_file("/var/lib/file", "secret", 0644);
	make_dir("/var/lib/ctnfs", 0755);
	make_dir("/var/lib/ctnfs/x", 0755);
	make_dir("/var/lib/app", 02775);
	CHECK(chown("/var/lib/app", 90, 91) == 0 && chmod("/var/lib/app", 02775) == 0);
	make_dir("/var/lib/app/data", 0711);
	make_dir("/var/lib/app/data/hidden", 0755);
	make_dir("/var/lib/secret", 0700);
	make_dir("/var/lib/secret/hidden", 0777);
	make_dir("/var/anybody", 01777);
	make_dir("/var/anybody/hidden", 0755);
	make_dir("/var/tmp", 01777);
	make_dir("/var/tmp/hidden", 0755);
	CHECK(symlink("/run", "/var/run") == 0);
	CHECK(symlink("/run", "/var/lib/run") == 0);
	make_dir("/var/lib/mounted", 0755);
	CHECK(mount("none", "/var/lib/mounted", "tmpfs", 0, "mode=0750") == 0);
	make_dir("/var/lib/mounted/hidden", 0755);
}

static void check_fake_etc(const char *name)
{
	static const char *const absent[] = {
		"etc/shadow", "etc/group-only", "etc/entered-only", "etc/fifo",
		"etc/socket", "etc/private",	"etc/listed-only",  "etc/mounted/file",
	};
	ctn_autofree char *text = NULL;
	char path[64], target[64] = "";
	struct stat st;

	for (size_t i = 0; i < CTN_COUNT(absent); i++) {
		if (has(name, absent[i])) {
			printf("# %s is there\n", absent[i]);
			check_failures++;
		}
	}
	CHECK(mode_of(name, "etc/passwd") == 0644 && mode_of(name, "etc/suid") == 0755);
	CHECK(mode_of(name, "etc/open") == 01777 && has(name, "etc/open/hostname"));
	CHECK(mode_of(name, "etc/mounted") == 0755);
	CHECK(look(name, "etc/hostname", &st) && st.st_mode == (S_IFREG | 0644) && st.st_size == 0);
	CHECK(look(name, "etc/empty", &st) && st.st_uid == 12 && st.st_gid == 34 &&
	      st.st_size == 0 && (st.st_mode & 07777) == 0444);
	CHECK(look(name, "etc/link", &st) && S_ISLNK(st.st_mode));
	CHECK(look(name, "etc/dangling", &st) && st.st_uid == 56 && st.st_gid == 78);
	snprintf(path, sizeof(path), "%s/etc/dangling", name);
	CHECK(readlinkat(statefd, path, target, sizeof(target) - 1) > 0);
	CHECK_STR(target, "nowhere/\n");
	snprintf(path, sizeof(path), "%s/etc/\n\x1b odd", name);
	CHECK(io_read_at(statefd, path, 9, &text, NULL, NULL) == 0);
	CHECK_STR(text, "odd");
}

static void check_fake_var(const char *name)
{
	static const char *const absent[] = {
		"var/lib/file",		  "var/lib/ctnfs",	"var/lib/app/data/hidden",
		"var/lib/secret/hidden",  "var/anybody/hidden", "var/tmp/hidden",
		"var/lib/mounted/hidden", "var/lib/run",
	};
	struct stat st;

	for (size_t i = 0; i < CTN_COUNT(absent); i++) {
		if (has(name, absent[i])) {
			printf("# %s is there\n", absent[i]);
			check_failures++;
		}
	}
	CHECK(look(name, "var/lib/app", &st) && st.st_uid == 90 && st.st_gid == 91 &&
	      (st.st_mode & 07777) == 02775);
	CHECK(mode_of(name, "var/lib/app/data") == 0711);
	CHECK(mode_of(name, "var/lib/secret") == 0700);
	CHECK(mode_of(name, "var/anybody") == 01777);
	CHECK(mode_of(name, "var/lib/mounted") == 0750);
	CHECK(look(name, "var/run", &st) && S_ISLNK(st.st_mode));
}

static void in_fake_host(void)
{
	ctn_autofree char *first = NULL, *second = NULL, *third = NULL, *fourth = NULL;

	fake_etc();
	fake_var();
	first = open_skeleton();
	if (!first)
		return;
	check_fake_etc(first);
	check_fake_var(first);
	/* what is not shown makes no other skeleton */
	make_file("/etc/shadow", "changed", 0640);
	make_file("/etc/hostname", "changed", 0644);
	make_file("/var/lib/file", "changed", 0644);
	make_dir("/var/tmp/more", 0755);
	make_dir("/var/lib/ctnfs/more", 0755);
	second = open_skeleton();
	CHECK_STR(second, first);
	make_file("/etc/passwd", "more\n", 0644);
	third = open_skeleton();
	CHECK(third && strcmp(third, first) != 0);
	CHECK(has(first, "etc/passwd")); /* of the containers that run */
	make_dir("/var/lib/more", 0755);
	fourth = open_skeleton();
	CHECK(fourth && strcmp(fourth, third) != 0 && count_names() == 3);
	CHECK(has(fourth, "var/lib/more"));
	/* a directory closed to others takes all below it away */
	CHECK(chmod("/etc", 0750) == 0 && chmod("/var", 0711) == 0);
	free(ctn_take_ptr(fourth));
	fourth = open_skeleton();
	CHECK(fourth && !has(fourth, "etc/passwd") && !has(fourth, "var/lib"));
	CHECK(fourth && mode_of(fourth, "etc") == 0750 && mode_of(fourth, "var") == 0711);
}

/* Each refused with a sentence, and nothing left of what was begun. */
static void check_too_big(const char *subject)
{
	unsigned before = count_names();
	char *name = (char *)1;

	CHECK_ERR(rootfs_skeleton_open(statefd, exclude, &name, &check_err), E2BIG, subject);
	CHECK(name == (char *)1);
	CHECK(count_names() == before);
}

static void in_big_host(void)
{
	char path[PATH_MAX] = "/etc";
	ctn_autofree char *name = NULL;

	make_file("/etc/big", "", 0644);
	CHECK(truncate("/etc/big", (256 << 20) + 1) == 0);
	check_too_big("/etc/big");
	CHECK(truncate("/etc/big", INT64_C(1) << 60) == 0);
	check_too_big("/etc/big");
	CHECK(chmod("/etc/big", 0640) == 0);
	name = open_skeleton();
	CHECK(name != NULL);
	for (int i = 0; i < 40; i++) {
		strcat(path, "/d");
		CHECK(mkdir(path, 0755) == 0);
	}
	check_too_big("deeper");
	CHECK(chmod("/etc/d", 0700) == 0);
	strcpy(path, "/var");
	for (int i = 0; i < 40; i++) { /* only empty directories: those are cut off */
		strcat(path, "/d");
		CHECK(mkdir(path, 0755) == 0);
	}
	free(ctn_take_ptr(name));
	name = open_skeleton();
	CHECK(name && has(name, "var/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d"));
	make_dir("/var/many", 0755);
	CHECK(chdir("/var/many") == 0);
	for (int i = 0; i < 100000; i++) {
		char number[16];

		snprintf(number, sizeof(number), "%d", i);
		if (mkdir(number, 0755) < 0) {
			CHECK(!"100000 directories");
			break;
		}
	}
	CHECK(chdir("/") == 0);
	check_too_big("/var/many");
	CHECK(chmod("/var/many", 0777) == 0); /* nobody but root may bring us there */
	free(ctn_take_ptr(name));
	name = open_skeleton();
	CHECK(name && has(name, "var/many") && !has(name, "var/many/1"));
}

/* Run @test with an empty /etc and /var of its own. */
static void with_fake_host(void (*test)(void))
{
	int status = -1;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		if (unshare(CLONE_NEWNS) < 0 ||
		    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
		    mount("none", "/etc", "tmpfs", 0, "mode=0755") < 0 ||
		    mount("none", "/var", "tmpfs", 0, "mode=0755,nr_inodes=200000") < 0)
			_exit(77);
		check_failures = 0;
		umask(0);
		test();
		fflush(stdout);
		_exit(check_failures != 0);
	}
	waitpid(pid, &status, 0);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		puts("# skipped: no mounts here");
	else
		CHECK(status == 0);
	CHECK(rootfs_skeleton_sweep(statefd, keep_one, NULL, NULL) == 0 && count_names() == 0);
}

static void test_fake_host(void)
{
	with_fake_host(in_fake_host);
}

static void test_limits(void)
{
	with_fake_host(in_big_host);
}

static const struct check_test tests[] = {
	{"a host with everything that is to be left out", test_fake_host},
	{"limits", test_limits},
};

int main(void)
{
	return run_with_state(tests, CTN_COUNT(tests));
}
