/* SPDX-License-Identifier: Apache-2.0 */
/* Where a v2 server has its directory, and where it lives itself: in groups below the top. */
#include "cgroup_fixture.h"

/* A v2 server that is started in a group below the top moves into a leaf, and goes back. */
static int serve_below_the_top(void)
{
	struct cgroup_root *r = NULL;
	struct ctn_err err = {0};
	ctn_autofree char *in = NULL;
	ctn_autofree char *out = NULL;
	int bad = 0, r_open;

	r_open = cgroup_root_open(NULL, &r, &err);
	if (r_open < 0) {
		printf("# %s\n", err.text);
		return 1;
	}
	bad |= io_read_at(AT_FDCWD, "/proc/self/cgroup", 4096, &in, NULL, NULL) < 0 ||
			       !strstr(in, "/ctnfs/server\n")
		       ? 2
		       : 0;
	for (int c = 0; c < CG_CONTROLLERS; c++)
		bad |= cgroup_root_has(r, (enum cgroup_controller)c) !=
				       cgroup_root_has(root, (enum cgroup_controller)c)
			       ? 4
			       : 0;
	cgroup_root_free(r);
	bad |= io_read_at(AT_FDCWD, "/proc/self/cgroup", 4096, &out, NULL, NULL) < 0 ||
			       strstr(out, "/ctnfs")
		       ? 8
		       : 0;
	return bad;
}

/* One that is not alone there, as below a login shell, has its directory at the top instead. */
static int serve_beside_a_shell(void)
{
	struct cgroup_root *r = NULL;
	struct ctn_err err = {0};
	ctn_autofree char *before = NULL;
	ctn_autofree char *after = NULL;
	int bad = 0;
	pid_t shell = fork();

	if (shell == 0) {
		for (;;)
			pause();
	}
	bad |= io_read_at(AT_FDCWD, "/proc/self/cgroup", 4096, &before, NULL, NULL) < 0;
	if (cgroup_root_open(NULL, &r, &err) < 0) {
		printf("# %s\n", err.text);
		bad |= 2;
	} else {
		bad |= strcmp(r->hier[0].rel, "ctnfs") != 0 ? 4 : 0;
		bad |= !cgroup_root_has(r, CG_MEMORY) ? 8 : 0;
		cgroup_root_free(r);
	}
	bad |= io_read_at(AT_FDCWD, "/proc/self/cgroup", 4096, &after, NULL, NULL) < 0 ? 16 : 0;
	bad |= before && after && strcmp(before, after) != 0 ? 32 : 0;
	kill(shell, SIGKILL);
	waitpid(shell, NULL, 0);
	return bad;
}

static void serve_in(const char *name, int (*serve)(void))
{
	ctn_autofree char *path = NULL;
	ctn_autoclose int fd = -1;
	int status = 0;
	pid_t pid;

	CHECK(asprintf(&path, "%s/%s-%d", root->hier[0].mount, name, tester) > 0);
	CHECK(mkdir(path, 0755) == 0);
	fd = open(path, O_PATH | O_CLOEXEC);
	pid = fork();
	if (pid == 0) {
		if (io_write_at(fd, "cgroup.procs", "0", NULL) < 0)
			_exit(100);
		_exit(serve());
	}
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	if (status)
		printf("# status %#x\n", (unsigned)status);
	CHECK(rmdir(path) == 0);
}

static void test_below_the_top(void)
{
	serve_in("alone", serve_below_the_top);
}

static void test_beside_a_shell(void)
{
	serve_in("shell", serve_beside_a_shell);
}

int main(void)
{
	static const struct check_test tests[] = {
		{"below the top", test_below_the_top},
		{"beside a shell", test_beside_a_shell},
		{"nothing is left", test_remove},
	};
	int r = fixture_open();

	if (r == 0 && (root->version != 2 || !own_path)) {
		clean_up();
		skip("only where cgroup v2 is all there is, and from its top");
	}
	return r < 0 ? 1 : check_run(tests, CTN_COUNT(tests));
}
