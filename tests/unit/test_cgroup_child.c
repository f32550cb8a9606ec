/* SPDX-License-Identifier: Apache-2.0 */
/* Groups below a leaf: on v1 in the freezer's hierarchy, on v2, and where there is no freezer. */
#include "cgroup_fixture.h"

/* A process that is in the child, and for all else in its parent. */
static pid_t spawn_child(const struct cgroup_leaf *parent, const struct cgroup_leaf *child)
{
	pid_t pid = fork_into(child);

	if (pid == 0) {
		int fds[CG_CONTROLLERS];
		int n = cgroup_leaf_child_attach_fds(parent, child, fds, NULL);

		for (int i = 0; i < n; i++) {
			if (write(fds[i], "0", 1) != 1)
				_exit(100);
		}
		raise(SIGSTOP); /* what the parent waits for: it is there */
		for (;;)
			pause();
	}
	CHECK(pid > 0 && waitpid(pid, NULL, WUNTRACED) == pid);
	(void)kill(pid, SIGCONT);
	return pid;
}

static bool has(const struct cgroup_leaf *l, pid_t pid)
{
	ctn_autofree pid_t *pids = NULL;
	size_t n = 0;
	bool found = false;

	CHECK(cgroup_leaf_procs(l, &pids, &n, NULL) == 0);
	for (size_t i = 0; i < n; i++)
		found = found || pids[i] == pid;
	return found;
}

/* In one hierarchy at the end of the child's path, in the others at the parent's. */
static void membership(const struct cgroup_leaf *parent, const struct cgroup_leaf *child, pid_t pid)
{
	ctn_autofree char *text = NULL;
	char path[48], *save = NULL;
	unsigned in_child = 0, in_parent = 0;

	snprintf(path, sizeof(path), "/proc/%d/cgroup", pid);
	CHECK(io_read_at(AT_FDCWD, path, 65536, &text, NULL, NULL) == 0);
	for (char *l = strtok_r(text, "\n", &save); l; l = strtok_r(NULL, "\n", &save)) {
		in_child += strstr(l, "/leaf/child") != NULL;
		in_parent += strstr(l, "/leaf") != NULL;
	}
	CHECK(in_child == 1 && in_parent == parent->n);
	CHECK(child->n == 1 && strcmp(strrchr(child->dirs[0].path, '/'), "/child") == 0);
}

static void listing(const struct cgroup_leaf *l)
{
	struct cgroup_leaf *child = NULL, *again = NULL;
	ctn_autofree char *text = NULL;
	ctn_autofree char *want = NULL;
	pid_t a = spawn(l, 0), b;

	CHECK(cgroup_leaf_child_open(l, "child", &child, NULL) == 0);
	b = spawn_child(l, child);
	membership(l, child, b);
	CHECK(has(l, a) && has(l, b) && !has(child, a) && has(child, b));
	text = knob_text(l, "procs");
	CHECK(asprintf(&want, a < b ? "%d\n%d" : "%2$d\n%1$d", a, b) > 0);
	CHECK_STR(text, want);
	CHECK(cgroup_leaf_child_open(l, "child", &again, NULL) == 0);
	CHECK(again && has(again, b)); /* as a server that came back finds it */
	cgroup_leaf_free(again);
	CHECK_ERR(cgroup_leaf_child_remove(l, "child", 20, &check_err), EBUSY, "leaf/child still");
	CHECK(cgroup_leaf_kill(child, 2000, NULL) == 0);
	reap(b);
	CHECK(has(l, a) && !has(l, b));
	CHECK(cgroup_leaf_child_remove(l, "child", 2000, NULL) == 0);
	CHECK(cgroup_leaf_child_remove(l, "child", 0, NULL) == 0); /* not there */
	CHECK(access(child->dirs[0].path, F_OK) < 0);
	CHECK(cgroup_leaf_child_renew(l, "child", child, NULL) == 0); /* who has it, has it again */
	b = spawn_child(l, child);
	CHECK(has(child, b));
	CHECK(cgroup_leaf_kill(child, 2000, NULL) == 0);
	reap(b);
	CHECK(cgroup_leaf_child_remove(l, "child", 2000, NULL) == 0);
	cgroup_leaf_free(child);
	CHECK(cgroup_leaf_kill(l, 2000, NULL) == 0);
	reap(a);
}

static bool frozen_soon(const struct cgroup_leaf *l, bool want)
{
	for (int i = 0; i < 1000; i++) {
		if (cgroup_leaf_frozen(l, NULL) == want)
			return true;
		cgroup_sleep(5);
	}
	return false;
}

/* The child alone; then with its parent; and SIGKILL reaches who was frozen for two reasons. */
static void freezing(const struct cgroup_leaf *l)
{
	struct cgroup_leaf *child = NULL;
	pid_t a = spawn(l, 0), b;

	CHECK(cgroup_leaf_child_open(l, "child", &child, NULL) == 0);
	b = spawn_child(l, child);
	CHECK(cgroup_leaf_freeze(child, true, NULL) == 0 && frozen_soon(child, true));
	CHECK(cgroup_leaf_frozen(l, NULL) == 0);
	CHECK(cgroup_leaf_freeze(l, true, NULL) == 0 && frozen_soon(l, true));
	CHECK(cgroup_leaf_freeze(l, false, NULL) == 0 && frozen_soon(l, false));
	CHECK(frozen_soon(child, true)); /* it was paused on its own, and stays so */
	CHECK(cgroup_leaf_self_frozen(child, NULL) == 1);
	CHECK(cgroup_leaf_freeze(child, false, NULL) == 0 && frozen_soon(child, false));
	CHECK(cgroup_leaf_freeze(l, true, NULL) == 0 && frozen_soon(child, true));
	CHECK(cgroup_leaf_self_frozen(l, NULL) == 1 && cgroup_leaf_self_frozen(child, NULL) == 0);
	CHECK(cgroup_leaf_freeze(child, true, NULL) == 0);
	CHECK(cgroup_leaf_kill(l, 2000, &check_err) == 0);
	reap(a);
	reap(b);
	CHECK(frozen_soon(l, false) && frozen_soon(child, false));
	b = spawn_child(l, child); /* it can be used again */
	CHECK(cgroup_leaf_freeze(child, true, NULL) == 0 && frozen_soon(child, true));
	CHECK(cgroup_leaf_kill(child, 2000, NULL) == 0);
	reap(b);
	cgroup_leaf_free(child);
	CHECK(cgroup_leaf_child_remove(l, "child", 2000, NULL) == 0);
}

static void names(const struct cgroup_leaf *l)
{
	static const char *const bad[] = {"", ".", "..", "a/b", "../x"};
	struct cgroup_leaf *child = NULL;
	char *path = NULL;

	for (size_t i = 0; i < CTN_COUNT(bad); i++) {
		CHECK_ERR(cgroup_leaf_child_open(l, bad[i], &child, &check_err), EINVAL, "name");
		CHECK_ERR(cgroup_leaf_child_remove(l, bad[i], 0, &check_err), EINVAL, "name");
	}
	CHECK_ERR(cgroup_leaf_child_open(l, "cgroup.procs", &child, &check_err), ENOTDIR,
		  "leaf/cgroup.procs");
	CHECK(!child);
	CHECK(cgroup_leaf_child_open(l, "child", &child, NULL) == 0);
	CHECK(cgroup_leaf_path(child, CG_FREEZER, &path, NULL) == 0);
	CHECK(path && access(path, F_OK) == 0);
	free(path);
	CHECK_ERR(cgroup_leaf_path(child, CG_MEMORY, &path, &check_err), EOPNOTSUPP, "memory");
	CHECK_ERR(cgroup_knob_find("pids.max")->write(child, "5", &check_err), EOPNOTSUPP, "pids");
	CHECK_ERR(cgroup_leaf_set_devices(child, NULL, 0, &check_err), EOPNOTSUPP, "devices");
	cgroup_leaf_free(child);
}

/* Removing a leaf takes its children along, and then there is nowhere to make one. */
static void removed_with(struct cgroup_root *r, struct cgroup_leaf **l)
{
	struct cgroup_leaf *child = NULL, *grandchild = NULL;

	CHECK(cgroup_leaf_child_open(*l, "child", &child, NULL) == 0);
	CHECK(cgroup_leaf_child_open(child, "grandchild", &grandchild, NULL) == 0);
	CHECK(cgroup_leaf_remove(r, "leaf", 2000, NULL) == 0);
	CHECK(access(child->dirs[0].path, F_OK) < 0);
	cgroup_leaf_free(grandchild);
	cgroup_leaf_free(child);
	child = NULL;
	CHECK_ERR(cgroup_leaf_child_open(*l, "child", &child, &check_err), ENOENT, "leaf is gone");
	CHECK(!child);
	cgroup_leaf_free(*l);
	*l = NULL;
	CHECK(cgroup_leaf_open(r, "leaf", l, NULL) == 0);
}

static void all(struct cgroup_root *r, struct cgroup_leaf **l)
{
	listing(*l);
	if (cgroup_root_has(r, CG_FREEZER)) {
		freezing(*l);
		names(*l);
	}
	removed_with(r, l);
}

static void test_here(void)
{
	all(root, &leaf);
}

/* The mount whose line has that in it alone, as if the host had no other. */
static struct cgroup_root *root_of(const char *mark, const char *cgroup_lines)
{
	ctn_autofree char *copy = strdup(mountinfo);
	struct cgroup_root *r = NULL;
	char *save = NULL, path[64];

	snprintf(path, sizeof(path), "/ctnfs-test-%d", tester);
	for (char *s = strtok_r(copy, "\n", &save); s; s = strtok_r(NULL, "\n", &save)) {
		if (strstr(s, mark)) {
			CHECK(cgroup_root_open_texts(s, cgroup_lines, path, &r, NULL) == 0);
			break;
		}
	}
	return r;
}

static void test_v2(void)
{
	struct cgroup_root *r = root->version == 2 ? NULL : root_of(" - cgroup2 ", "0::/\n");
	struct cgroup_leaf *l = NULL;

	if (!r)
		return;
	CHECK(cgroup_leaf_open(r, "leaf", &l, NULL) == 0);
	all(r, &l);
	cgroup_leaf_free(l);
	CHECK(cgroup_leaf_remove(r, "leaf", 1000, NULL) == 0);
	cgroup_root_free(r);
}

/* v1 without a freezer: the children are in the first hierarchy, whatever that is for. */
static struct cgroup_leaf *leaf_of(const char *mark, struct cgroup_root **r)
{
	struct cgroup_leaf *l = NULL;

	*r = root->version == 1 ? root_of(mark, cgroups) : NULL;
	if (*r)
		CHECK(cgroup_leaf_open(*r, "leaf", &l, NULL) == 0);
	return l;
}

static void leaf_of_done(struct cgroup_root *r, struct cgroup_leaf *l)
{
	cgroup_leaf_free(l);
	CHECK(cgroup_leaf_remove(r, "leaf", 1000, NULL) == 0);
	cgroup_root_free(r);
}

/* A fresh one of the kernel's takes nobody, and a full one keeps its parent from giving up. */
static void test_cpuset(void)
{
	struct cgroup_root *r = NULL;
	struct cgroup_leaf *child = NULL, *l = leaf_of(" rw,cpuset", &r);
	ctn_autofree char *whole = NULL;
	ctn_autofree char *text = NULL;

	if (!l)
		return;
	listing(l);
	whole = knob_text(l, "cpuset.cpus");
	CHECK(cgroup_leaf_child_open(l, "child", &child, NULL) == 0);
	try_write(l, "cpuset.cpus", "0", 0, "0");
	text = knob_text(child, "cpuset.cpus");
	CHECK_STR(text, "0");
	try_write(l, "cpuset.cpus", "max", 0, whole);
	free(text);
	text = knob_text(child, "cpuset.cpus");
	CHECK_STR(text, whole);
	cgroup_leaf_free(child);
	leaf_of_done(r, l);
}

static void test_devices(void)
{
	struct cgroup_root *r = NULL;
	struct cgroup_leaf *child = NULL, *l = leaf_of(" rw,devices", &r);

	if (!l)
		return;
	listing(l);
	CHECK(cgroup_leaf_child_open(l, "child", &child, NULL) == 0);
	CHECK_ERR(cgroup_leaf_set_devices(l, cgroup_default_devices, 1, &check_err), EBUSY,
		  "below");
	CHECK(cgroup_leaf_child_remove(l, "child", 0, NULL) == 0);
	CHECK(cgroup_leaf_set_devices(l, cgroup_default_devices, 1, &check_err) == 0);
	cgroup_leaf_free(child);
	leaf_of_done(r, l);
}

int main(void)
{
	static const struct check_test tests[] = {
		{"groups below a leaf", test_here}, {"on v2", test_v2},
		{"with a cpuset", test_cpuset},	    {"with devices", test_devices},
		{"nothing is left", test_remove},
	};

	return fixture_open() < 0 ? 1 : check_run(tests, CTN_COUNT(tests));
}
