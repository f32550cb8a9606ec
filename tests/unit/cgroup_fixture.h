/* SPDX-License-Identifier: Apache-2.0 */
/* A server directory and a leaf of the test's own on the real kernel, v1 or v2, whichever is
 * mounted; removed at the end and on failure. */
#ifndef CTNFS_TESTS_UNIT_CGROUP_FIXTURE_H
#define CTNFS_TESTS_UNIT_CGROUP_FIXTURE_H

#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cgroup_private.h"
#include "check.h"
#include "cleanup.h"
#include "io.h"

static struct cgroup_root *root;
static struct cgroup_leaf *leaf;
static pid_t tester;
static char *mountinfo, *cgroups; /* what the root was opened by, with: */
static char *own_path;		  /* NULL: below our own cgroup */

/* Runs however the program ends, in the tester only. */
static inline void clean_up(void)
{
	if (getpid() != tester || !root)
		return;
	if (leaf)
		(void)cgroup_leaf_kill(leaf, 2000, NULL);
	cgroup_leaf_free(leaf);
	(void)cgroup_leaf_remove(root, "leaf", 2000, NULL);
	cgroup_root_free(root);
	root = NULL;
	leaf = NULL;
}

static inline void skip(const char *why)
{
	printf("1..0 # SKIP %s\n", why);
	exit(77);
}

static inline void attach_self(const struct cgroup_leaf *l)
{
	int fds[CG_CONTROLLERS];
	int n = cgroup_leaf_attach_fds(l, fds, NULL);

	for (int i = 0; i < n; i++) {
		if (write(fds[i], "0", 1) != 1)
			_exit(100);
	}
}

static inline pid_t fork_into(const struct cgroup_leaf *l)
{
	ctn_autoclose int dir = -1;
	struct clone_args args = {.flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD};

	if (!cgroup_leaf_has_births(l))
		return fork();
	CHECK(cgroup_leaf_birthplace(l, &dir, NULL) == 0);
	args.cgroup = (uint64_t)dir;
	return (pid_t)syscall(SYS_clone3, &args, sizeof(args));
}

/* A child in the group that holds @bytes of memory; back when it does. */
static inline pid_t spawn(const struct cgroup_leaf *l, size_t bytes)
{
	int ready[2];
	char c = 0;
	pid_t pid;

	if (pipe2(ready, O_CLOEXEC) < 0)
		return -1;
	pid = fork_into(l);
	if (pid == 0) {
		attach_self(l);
		if (bytes) {
			char *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
				       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

			memset(p, 1, bytes);
		}
		if (write(ready[1], "x", 1) != 1)
			_exit(101);
		for (;;)
			pause();
	}
	close(ready[1]);
	CHECK(pid > 0 && read(ready[0], &c, 1) == 1);
	close(ready[0]);
	return pid;
}

static inline void reap(pid_t pid)
{
	int status = 0;

	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

/* The knob's text without its last newline, to be freed; NULL when it cannot be read. */
static inline char *knob_text(const struct cgroup_leaf *l, const char *name)
{
	const struct cgroup_knob *k = cgroup_knob_find(name);
	struct ctn_err err = {0};
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);
	int r = k->read(l, out, &err);

	fclose(out);
	if (r < 0 || len == 0 || text[len - 1] != '\n') {
		printf("# read of %s: %d %s\n", name, r, err.text);
		free(text);
		return NULL;
	}
	text[len - 1] = '\0';
	return text;
}

/* Writes; @errnum 0: then reads @want (NULL: not compared). Else: nothing has changed, and the
 * sentence begins with the knob's name. */
static inline void try_write(const struct cgroup_leaf *l, const char *name, const char *text,
			     int errnum, const char *want)
{
	const struct cgroup_knob *k = cgroup_knob_find(name);
	ctn_autofree char *before = knob_text(l, name);
	ctn_autofree char *after = NULL;
	struct ctn_err err = {0};
	unsigned failures = check_failures;
	int r = k->write(l, text, &err);

	CHECK(r == -errnum);
	after = knob_text(l, name);
	if (errnum) {
		CHECK(err.code == errnum && strncmp(err.text, k->name, strlen(k->name)) == 0);
		CHECK(r == -ESRCH || strlen(err.text) > strlen(k->name) + 10);
		CHECK_STR(after, before);
	} else if (want) {
		CHECK_STR(after, want);
	}
	if (check_failures != failures)
		printf("#   %s <- '%s': %d '%s'\n", name, text, r, err.text);
}

/* A root as the test's own: a second one shares its directories. */
static inline int fixture_root(struct cgroup_root **ret, struct ctn_err *err)
{
	return cgroup_root_open_texts(mountinfo, cgroups, own_path, ret, err);
}

/* v1: below this process's own groups, which may not be the top ones: as if we were in a group
 * "ctnfs-test-PID" of each. v2: at the top where we are there, so that nobody has to move. */
static inline void fixture_place(void)
{
	char name[64], *all = NULL, *save = NULL;
	size_t len = 0;
	FILE *out;

	snprintf(name, sizeof(name), "/ctnfs-test-%d", tester);
	if (!strstr(mountinfo, " - cgroup ")) {
		own_path = strstr(cgroups, "0::/\n") ? strdup(name) : NULL;
		return;
	}
	out = open_memstream(&all, &len);
	for (char *l = strtok_r(cgroups, "\n", &save); l; l = strtok_r(NULL, "\n", &save))
		fprintf(out, "%s%s\n", l, l[strlen(l) - 1] == '/' ? name + 1 : name);
	fclose(out);
	free(cgroups);
	cgroups = all;
}

/* A child in the group that does what is to be counted, until it is killed. */
static inline pid_t run_inside(void (*work)(void))
{
	pid_t pid = fork_into(leaf);

	if (pid == 0) {
		attach_self(leaf);
		work();
		_exit(102);
	}
	return pid;
}

static inline int fixture_open(void)
{
	struct ctn_err err = {0};
	int r;

	if (geteuid() != 0)
		skip("needs root");
	if (io_read_at(AT_FDCWD, "/proc/self/mountinfo", CGROUP_FILE_MAX, &mountinfo, NULL, NULL) ||
	    io_read_at(AT_FDCWD, "/proc/self/cgroup", CGROUP_FILE_MAX, &cgroups, NULL, NULL))
		skip("no /proc");
	tester = getpid();
	atexit(clean_up);
	fixture_place();
	r = fixture_root(&root, &err);
	if (r == -EOPNOTSUPP)
		skip(err.text);
	if (r == 0)
		r = cgroup_leaf_open(root, "leaf", &leaf, &err);
	if (r < 0)
		printf("Bail out! %s\n", err.text);
	return r;
}

/* To be the last test: afterwards there is no directory left. */
static inline void test_remove(void)
{
	struct stat st;

	CHECK(cgroup_leaf_remove(root, "leaf", 2000, NULL) == 0);
	for (size_t i = 0; i < leaf->n; i++)
		CHECK(stat(leaf->dirs[i].path, &st) < 0 && errno == ENOENT);
	CHECK(cgroup_leaf_remove(root, "leaf", 0, NULL) == 0);
	CHECK_ERR(cgroup_knob_find("procs")->read(leaf, stdout, &check_err), ENOENT, "");
	for (size_t i = 0; i < leaf->n; i++) {
		*strrchr(leaf->dirs[i].path, '/') = '\0'; /* now the server's directory */
		CHECK(stat(leaf->dirs[i].path, &st) == 0);
	}
	cgroup_root_free(root);
	root = NULL;
	for (size_t i = 0; i < leaf->n; i++) {
		CHECK(stat(leaf->dirs[i].path, &st) < 0 && errno == ENOENT);
		if (leaf->version == 1) {
			*strrchr(leaf->dirs[i].path, '/') = '\0'; /* ctnfs-test-PID */
			CHECK(stat(leaf->dirs[i].path, &st) < 0 && errno == ENOENT);
		}
	}
	cgroup_leaf_free(leaf);
	leaf = NULL;
	free(mountinfo);
	free(cgroups);
	free(own_path);
}

#endif
