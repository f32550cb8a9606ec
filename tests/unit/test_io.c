/* SPDX-License-Identifier: Apache-2.0 */
#include "io.h"

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "cleanup.h"

enum { DEEP = 5000 };

static char scratch_path[] = "/tmp/ctnfs-test-XXXXXX";
static int scratch = -1;

static void put(const char *path, const char *text)
{
	ctn_autoclose int fd = openat(scratch, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC,
				      0644);

	CHECK(fd >= 0 && io_write_all(fd, text, strlen(text)) == 0);
}

static void check_content(const char *path, const char *want)
{
	ctn_autofree char *have = NULL;

	CHECK(io_read_at(scratch, path, 1 << 20, &have, NULL, NULL) == 0);
	CHECK_STR(have, want);
}

static unsigned count_names(int dirfd)
{
	ctn_autoclosedir DIR *dir = fdopendir(
		openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	unsigned n = 0;

	while (dir && readdir(dir))
		n++;
	return n - 2;
}

static bool exists(const char *path)
{
	return faccessat(scratch, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static void on_alarm(int sig)
{
	(void)sig;
}

/* A full pipe with a slow reader, and signals: short writes and EINTR. */
static void test_write_all(void)
{
	enum { BYTES = 1 << 20 };
	struct sigaction sa = {.sa_handler = on_alarm}; /* without SA_RESTART */
	static char data[BYTES];
	int fds[2], status = -1;
	pid_t pid;

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (char)(i * 7 + (i >> 12));
	if (pipe2(fds, O_CLOEXEC) < 0)
		abort();
	pid = fork();
	if (pid == 0) {
		static char back[BYTES];
		size_t len = 0;
		ssize_t n;

		close(fds[1]);
		while ((n = read(fds[0], back + len, 30001)) > 0) {
			len += (size_t)n;
			usleep(500);
			kill(getppid(), SIGALRM);
		}
		_exit(len == BYTES && memcmp(back, data, BYTES) == 0 ? 0 : 1);
	}
	sigaction(SIGALRM, &sa, NULL);
	close(fds[0]);
	CHECK(io_write_all(fds[1], data, sizeof(data)) == 0);
	CHECK(io_write_all(fds[1], NULL, 0) == 0);
	close(fds[1]);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	CHECK(status == 0);
	CHECK(io_write_all(-1, "x", 1) == -EBADF);
	fds[0] = open("/dev/full", O_WRONLY | O_CLOEXEC);
	CHECK(io_write_all(fds[0], "x", 1) == -ENOSPC);
	close(fds[0]);
}

static void test_read(void)
{
	static const size_t sizes[] = {0, 1, 4094, 4095, 4096, 4097, 8191, 8192, 100000};
	static char text[100001];
	char *data = NULL, *untouched = (char *)1;
	size_t len = 7;

	for (size_t i = 0; i < CTN_COUNT(sizes); i++) {
		memset(text, 'r', sizeof(text));
		text[sizes[i]] = '\0';
		put("r", text);
		CHECK(io_read_at(scratch, "r", sizes[i], &data, &len, NULL) == 0);
		CHECK(len == sizes[i] && strcmp(data, text) == 0);
		free(data);
		if (sizes[i] > 0) {
			CHECK_ERR(io_read_at(scratch, "r", sizes[i] - 1, &untouched, &len,
					     &check_err),
				  EFBIG, "r is longer than");
			CHECK(len == sizes[i]);
		}
	}
	CHECK_ERR(io_read_at(scratch, "none", 9, &untouched, &len, &check_err), ENOENT, "none");
	CHECK_ERR(io_read_at(scratch, ".", 9, &untouched, &len, &check_err), EISDIR, ".");
	CHECK_ERR(io_read_fd(-1, "that thing", 9, &untouched, NULL, &check_err), EBADF,
		  "that thing");
	CHECK(untouched == (char *)1);
	CHECK(io_read_at(AT_FDCWD, "/proc/self/cmdline", 4096, &data, &len, NULL) == 0);
	CHECK(len > 0 && data[len] == '\0' && strlen(data) + 1 == len); /* a NUL inside stays */
	free(data);
}

static void test_read_offset(void)
{
	ctn_autofree char *data = NULL;
	ctn_autoclose int fd = -1;

	put("r", "0123456789");
	fd = openat(scratch, "r", O_RDONLY | O_CLOEXEC);
	CHECK(lseek(fd, 4, SEEK_SET) == 4);
	CHECK(io_read_fd(fd, "r", 6, &data, NULL, NULL) == 0);
	CHECK_STR(data, "456789");
}

static void test_write_at(void)
{
	put("w", "old content");
	CHECK(io_write_at(scratch, "w", "new", NULL) == 0);
	check_content("w", "new content"); /* as cgroupfs wants it: no truncation */
	CHECK_ERR(io_write_at(scratch, "none", "x", &check_err), ENOENT, "none");
	CHECK(!exists("none"));
	CHECK_ERR(io_write_at(AT_FDCWD, "/dev/full", "x", &check_err), ENOSPC, "/dev/full");
}

static void test_replace(void)
{
	unsigned before = count_names(scratch);
	struct stat st, other;

	for (int durable = 0; durable <= 1; durable++) {
		CHECK(io_replace_at(scratch, "p", "one\n", 4, 0640, durable, NULL) == 0);
		check_content("p", "one\n");
		CHECK(fstatat(scratch, "p", &st, 0) == 0 && (st.st_mode & 07777) == 0640);
		CHECK(io_replace_at(scratch, "p", "", 0, 0600, durable, NULL) == 0);
		check_content("p", "");
		CHECK(fstatat(scratch, "p", &other, 0) == 0 && (other.st_mode & 07777) == 0600);
		CHECK(other.st_ino != st.st_ino); /* whoever has the old one open keeps it */
	}
	put(".p.tmp", "what a crash left behind, longer than the new contents");
	CHECK(io_replace_at(scratch, "p", "two", 3, 0600, true, NULL) == 0);
	check_content("p", "two");
	CHECK(symlinkat("target", scratch, "link") == 0);
	CHECK(io_replace_at(scratch, "link", "x", 1, 0600, false, NULL) == 0);
	CHECK(!exists("target")); /* the link is replaced, not followed */
	CHECK(fstatat(scratch, "link", &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode));
	CHECK(unlinkat(scratch, "link", 0) == 0 && unlinkat(scratch, "p", 0) == 0);
	CHECK(count_names(scratch) == before);
}

/* Whatever fails, the old file stays and no temporary one does. */
static void test_replace_failure(void)
{
	unsigned before;
	static char big[100000];
	struct rlimit old, small = {1000, 0};
	char name[300];

	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &old);
	small.rlim_max = old.rlim_max;
	put("p", "precious");
	CHECK(mkdirat(scratch, "dir", 0755) == 0);
	put("dir/inside", "x");
	before = count_names(scratch);
	setrlimit(RLIMIT_FSIZE, &small);
	CHECK_ERR(io_replace_at(scratch, "p", big, sizeof(big), 0600, true, &check_err), EFBIG,
		  "p.tmp");
	setrlimit(RLIMIT_FSIZE, &old);
	CHECK_ERR(io_replace_at(scratch, "dir", "x", 1, 0600, true, &check_err), EISDIR, "dir");
	CHECK_ERR(io_replace_at(scratch, "no/p", "x", 1, 0600, true, &check_err), ENOENT, "no/p");
	memset(name, 'n', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	CHECK_ERR(io_replace_at(scratch, name, "x", 1, 0600, true, &check_err), ENAMETOOLONG,
		  "too long");
	CHECK(symlinkat("victim", scratch, ".p.tmp") == 0);
	CHECK_ERR(io_replace_at(scratch, "p", "x", 1, 0600, true, &check_err), ELOOP, "p.tmp");
	CHECK(!exists("victim") && !exists(".p.tmp"));
	check_content("p", "precious");
	check_content("dir/inside", "x");
	CHECK(count_names(scratch) == before);
	CHECK(io_remove_tree_at(scratch, "dir", NULL) == 0);
}

static void test_remove_tree(void)
{
	CHECK(io_remove_tree_at(scratch, "nothing", NULL) == 0);
	put("f", "x");
	CHECK(io_remove_tree_at(scratch, "f", NULL) == 0 && !exists("f"));
	CHECK(mkdirat(scratch, "keep", 0755) == 0);
	put("keep/file", "kept");
	CHECK(mkdirat(scratch, "t", 0755) == 0);
	CHECK(symlinkat("../keep", scratch, "t/link") == 0);
	CHECK(symlinkat("t", scratch, "top") == 0);
	CHECK(io_remove_tree_at(scratch, "top", NULL) == 0); /* the link, not what it leads to */
	CHECK(!exists("top") && exists("t/link"));
	CHECK(mkdirat(scratch, "t/a", 0) == 0 && mkdirat(scratch, "t/a/b", 0) == 0);
	CHECK(mkfifoat(scratch, "t/a/b/fifo", 0) == 0);
	put("t/a/\n\x1b odd", "x");
	CHECK(io_remove_tree_at(scratch, "t", NULL) == 0 && !exists("t"));
	check_content("keep/file", "kept");
	CHECK(io_remove_tree_at(scratch, "keep", NULL) == 0);
}

static void test_remove_wide(void)
{
	CHECK(mkdirat(scratch, "wide", 0755) == 0);
	for (int i = 0; i < 3000; i++) {
		char path[64];

		snprintf(path, sizeof(path), "wide/%d", i);
		if (i % 2)
			put(path, "");
		else
			CHECK(mkdirat(scratch, path, 0755) == 0);
	}
	CHECK(io_remove_tree_at(scratch, "wide", NULL) == 0 && !exists("wide"));
}

/* Deeper than PATH_MAX, than our descriptors, and than a recursion would like; with names that the
 * removal itself uses, at more than one level. */
static void test_remove_deep(void)
{
	struct rlimit old, few = {256, 0};
	ctn_autoclose int fd = dup(scratch);
	int r;

	CHECK(mkdirat(scratch, "deep", 0755) == 0);
	CHECK(mkdirat(scratch, "deep/.up-0", 0755) == 0 &&
	      mkdirat(scratch, "deep/.up-3", 0755) == 0);
	for (int i = 0; i < DEEP; i++) {
		int next;

		if (i > 0 && mkdirat(fd, "deep", 0755) < 0)
			break;
		next = openat(fd, "deep", O_PATH | O_DIRECTORY | O_CLOEXEC);
		CHECK(next >= 0);
		close(fd);
		fd = next;
		if (i % 100 == 50)
			CHECK(mkdirat(fd, ".up-1", 0700) == 0 && symlinkat("/", fd, "l") == 0);
	}
	getrlimit(RLIMIT_NOFILE, &old);
	few.rlim_max = old.rlim_max;
	setrlimit(RLIMIT_NOFILE, &few);
	r = io_remove_tree_at(scratch, "deep", &check_err);
	setrlimit(RLIMIT_NOFILE, &old);
	CHECK(r == 0);
	if (r < 0)
		printf("# %s\n", check_err.text);
	CHECK(!exists("deep"));
}

static void test_remove_mount(void)
{
	char path[64];
	pid_t pid;
	int status = -1;

	CHECK(mkdirat(scratch, "m", 0755) == 0 && mkdirat(scratch, "m/tmp", 0755) == 0);
	fflush(stdout);
	pid = fork();
	if (pid == 0) { /* in its own mount namespace */
		snprintf(path, sizeof(path), "%s/m/tmp", scratch_path);
		if (unshare(CLONE_NEWNS) < 0 ||
		    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
		    mount("none", path, "tmpfs", 0, NULL) < 0)
			_exit(77);
		close(scratch); /* it is of the namespace that was left */
		scratch = open(scratch_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		check_failures = 0;
		put("m/tmp/precious", "x");
		CHECK_ERR(io_remove_tree_at(scratch, "m", &check_err), EXDEV, "unmount");
		CHECK(exists("m/tmp/precious"));
		fflush(stdout);
		_exit(check_failures != 0);
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		puts("# skipped: no mounts here");
	else
		CHECK(status == 0);
	CHECK(io_remove_tree_at(scratch, "m", NULL) == 0 && !exists("m"));
}

static const struct check_test tests[] = {
	{"io_write_all through signals and short writes", test_write_all},
	{"io_read_at at every bound", test_read},
	{"io_read_fd goes on at the offset", test_read_offset},
	{"io_write_at", test_write_at},
	{"io_replace_at", test_replace},
	{"io_replace_at that fails leaves all as it was", test_replace_failure},
	{"io_remove_tree_at", test_remove_tree},
	{"io_remove_tree_at: many names", test_remove_wide},
	{"io_remove_tree_at: 5000 levels", test_remove_deep},
	{"io_remove_tree_at stays on its file system", test_remove_mount},
};

int main(void)
{
	int r;

	if (!mkdtemp(scratch_path) ||
	    (scratch = open(scratch_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0) {
		perror(scratch_path);
		return 1;
	}
	r = check_run(tests, CTN_COUNT(tests));
	close(scratch);
	return io_remove_tree_at(AT_FDCWD, scratch_path, NULL) < 0 ? 1 : r;
}
