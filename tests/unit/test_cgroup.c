/* SPDX-License-Identifier: Apache-2.0 */
/* Control groups: making, finding again, processes, freezing, killing, devices, removing. On a
 * hybrid host the v2 code that needs no controller runs too, on the v2 mount beside the v1 ones. */
#include <sys/sysmacros.h>

#include "cgroup_fixture.h"

/* The leaf's path in every hierarchy must be at the end of the process's own. */
static void test_membership(void)
{
	pid_t pid = spawn(leaf, 0);
	ctn_autofree char *text = NULL;
	ctn_autofree pid_t *pids = NULL;
	char path[48];
	size_t n = 0;

	snprintf(path, sizeof(path), "/proc/%d/cgroup", pid);
	CHECK(io_read_at(AT_FDCWD, path, 65536, &text, NULL, NULL) == 0);
	for (size_t i = 0; i < leaf->n; i++) {
		ctn_autofree char *want = NULL;
		const char *name =
			leaf->version == 2
				? "0:"
				: cgroup_controller_names[__builtin_ctz(leaf->dirs[i].controllers)];

		CHECK(asprintf(&want, ":/%s/leaf\n", root->hier[i].rel) > 0);
		CHECK(strstr(text, name) && strstr(text, want));
	}
	CHECK(cgroup_leaf_procs(leaf, &pids, &n, NULL) == 0 && n == 1 && pids[0] == pid);
	CHECK_ERR(cgroup_leaf_remove(root, "leaf", 20, &check_err), EBUSY, "processes");
	CHECK(cgroup_leaf_kill(leaf, 2000, NULL) == 0);
	reap(pid);
}

/* v1: where `exec` looks for a pause. */
static void test_freezer_first(void)
{
	int fds[CG_CONTROLLERS], n = cgroup_leaf_attach_fds(leaf, fds, NULL);
	struct stat first, want;

	CHECK(n == (leaf->version == 2 ? 0 : (int)leaf->n));
	for (int i = 0; i < n; i++) {
		ctn_autoclose int dir = open(leaf->dirs[i].path, O_PATH | O_CLOEXEC);

		if (!(leaf->dirs[i].controllers & CG_BIT(CG_FREEZER)))
			continue;
		CHECK(fstatat(dir, "tasks", &want, 0) == 0);
		CHECK(fstat(fds[0], &first) == 0);
		CHECK(first.st_dev == want.st_dev && first.st_ino == want.st_ino);
	}
	while (n > 0)
		close(fds[--n]);
}

static void test_move(void)
{
	char text[16], path[48];
	ctn_autofree char *after = NULL;
	pid_t pid = fork();

	if (pid == 0) {
		for (;;)
			pause();
	}
	snprintf(text, sizeof(text), "%d", pid);
	snprintf(path, sizeof(path), "/proc/%d/cgroup", pid);
	try_write(leaf, "procs", text, 0, text);
	if (leaf->version == 1 && leaf->n > 1) {
		/* A group that is broken in its last hierarchy: all the others are undone. */
		struct cgroup_leaf broken = *leaf;
		ctn_autofree char *before = NULL;
		struct cgroup_leaf *other = NULL;

		CHECK(cgroup_leaf_open(root, "other", &other, NULL) == 0);
		broken = *other;
		broken.dirs[broken.n - 1].ino++;
		CHECK(io_read_at(AT_FDCWD, path, 65536, &before, NULL, NULL) == 0);
		CHECK(leaf->ops->procs_add(&broken, pid, NULL) < 0);
		CHECK(io_read_at(AT_FDCWD, path, 65536, &after, NULL, NULL) == 0);
		CHECK_STR(after, before);
		cgroup_leaf_free(other);
		CHECK(cgroup_leaf_remove(root, "other", 100, NULL) == 0);
	}
	CHECK(cgroup_leaf_kill(leaf, 2000, NULL) == 0);
	reap(pid);
	snprintf(text, sizeof(text), "%d", getpid());
	try_write(leaf, "procs", text, EINVAL, NULL);
}

static void freeze_and_kill(const struct cgroup_leaf *l)
{
	pid_t a = spawn(l, 0), b = spawn(l, 0);

	CHECK(cgroup_leaf_frozen(l, NULL) == 0);
	try_write(l, "freeze", "1", 0, "1");
	CHECK(cgroup_leaf_frozen(l, NULL) == 1);
	try_write(l, "freeze", "0", 0, "0");
	CHECK(cgroup_leaf_freeze(l, true, NULL) == 0);
	CHECK(cgroup_leaf_kill(l, 2000, NULL) == 0);
	reap(a);
	reap(b);
	CHECK(cgroup_leaf_frozen(l, NULL) == 0);
	CHECK(cgroup_leaf_kill(l, 0, NULL) == 0); /* nobody there */
}

static void test_freeze(void)
{
	if (cgroup_root_has(root, CG_FREEZER))
		freeze_and_kill(leaf);
}

/* More processes than are held by pidfd at once, in a group below the leaf. */
static void test_kill_many(void)
{
	enum { MANY = 100 };
	pid_t pids[MANY];

	for (int i = 0; i < MANY; i++) {
		pids[i] = fork_into(leaf);
		if (pids[i] == 0) {
			attach_self(leaf);
			for (;;)
				pause();
		}
	}
	cgroup_sleep(50);
	CHECK(cgroup_leaf_kill(leaf, 5000, NULL) == 0);
	for (int i = 0; i < MANY; i++)
		reap(pids[i]);
}

/* What a process in the group may do with devices. */
static void devices_hold(const struct cgroup_leaf *l)
{
	char path[] = "/tmp/ctnfs-test-XXXXXX";
	int status = 0;
	pid_t pid;

	CHECK(mkdtemp(path));
	pid = fork_into(l);
	if (pid == 0) {
		static const char *const good[] = {"/dev/null", "/dev/zero", "/dev/full",
						   "/dev/urandom"};
		int bad = 0;

		attach_self(l);
		for (size_t i = 0; i < CTN_COUNT(good); i++)
			bad |= open(good[i], O_RDWR | O_CLOEXEC) < 0 ? 1 : 0;
		bad |= open("/dev/kmsg", O_RDONLY | O_CLOEXEC) >= 0 || errno != EPERM ? 2 : 0;
		bad |= chdir(path) < 0 ? 4 : 0;
		bad |= mknod("n", S_IFCHR | 0600, makedev(1, 3)) == 0 || errno != EPERM ? 8 : 0;
		bad |= mknod("b", S_IFBLK | 0600, makedev(1, 3)) == 0 || errno != EPERM ? 16 : 0;
		(void)unlink("n");
		(void)unlink("b");
		_exit(bad);
	}
	CHECK(pid > 0 && waitpid(pid, &status, 0) == pid);
	CHECK(status == 0);
	if (status)
		printf("# device child: status %#x\n", (unsigned)status);
	CHECK(rmdir(path) == 0);
}

static void test_devices(void)
{
	if (cgroup_root_has(root, CG_DEVICES))
		devices_hold(leaf);
}

static void test_names(void)
{
	static const char *const bad[] = {"", ".", "..", "a/b", "../x", "server"};
	struct cgroup_leaf *l = NULL;
	struct cgroup_root *r = NULL;
	char *path = NULL;

	for (size_t i = 0; i < CTN_COUNT(bad); i++) {
		CHECK_ERR(cgroup_leaf_open(root, bad[i], &l, &check_err), EINVAL, "name");
		CHECK_ERR(cgroup_leaf_remove(root, bad[i], 0, &check_err), EINVAL, "name");
	}
	/* A name that is a file's in one hierarchy: what was made in those before it goes again. */
	CHECK_ERR(cgroup_leaf_open(root, "memory.stat", &l, &check_err), ENOTDIR, "memory.stat");
	CHECK(asprintf(&path, "%s/%s/memory.stat", root->hier[0].mount, root->hier[0].rel) > 0);
	CHECK(root->version == 2 || access(path, F_OK) < 0);
	free(path);
	CHECK_ERR(cgroup_root_open_texts("", "0::/\n", NULL, &r, &check_err), EOPNOTSUPP, "mount");
	CHECK_ERR(cgroup_root_open("ctnfs", &r, &check_err), EINVAL, "/ctnfs");
	CHECK_ERR(cgroup_root_open("/", &r, &check_err), EINVAL, "/ctnfs");
	CHECK_ERR(cgroup_root_open("/../x", &r, &check_err), EINVAL, "..");
	CHECK(cgroup_leaf_remove(root, "never-there", 0, NULL) == 0);
	for (int c = 0; c < CG_CONTROLLERS; c++) {
		if (!cgroup_root_has(root, (enum cgroup_controller)c))
			continue;
		CHECK(cgroup_leaf_path(leaf, (enum cgroup_controller)c, &path, NULL) == 0);
		CHECK(access(path, F_OK) == 0);
		free(path);
	}
}

/* Descriptions lead back to the same directories, also when we are found elsewhere. */
static void test_described(void)
{
	ctn_autofree char *lines = NULL;
	ctn_autofree char *again = NULL;
	struct cgroup_root *r = NULL;
	struct cgroup_leaf *l = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&lines, &len);

	CHECK(cgroup_root_describe(root, out) == 0);
	fclose(out);
	CHECK(cgroup_root_open_described(lines, &r, &check_err) == 0);
	out = open_memstream(&again, &len);
	CHECK(r && cgroup_root_describe(r, out) == 0);
	fclose(out);
	CHECK_STR(again, lines);
	CHECK(cgroup_leaf_open(r, "leaf", &l, NULL) == 0 && l->n == leaf->n);
	for (size_t i = 0; i < l->n; i++)
		CHECK_STR(l->dirs[i].path, leaf->dirs[i].path);
	cgroup_leaf_free(l);
	cgroup_root_free(r); /* the directories are not empty, so they stay */
	CHECK(access(leaf->dirs[0].path, F_OK) == 0);
	r = NULL;
	CHECK_ERR(cgroup_root_open_described("", &r, &check_err), ENOENT, "no directory");
	CHECK_ERR(cgroup_root_open_described("junk", &r, &check_err), EINVAL, "junk");
	CHECK_ERR(cgroup_root_open_described("rdma /x\n", &r, &check_err), ENOENT, "rdma");
	*strrchr(lines, '/') = '\0';
	free(again);
	CHECK(asprintf(&again, "%s/gone\n", lines) > 0);
	CHECK_ERR(cgroup_root_open_described(again, &r, &check_err), ENOENT, "gone");
	CHECK(!r);
}

/* Other servers come and go, and remove the directory that we share whenever it is empty. */
static void test_shared(void)
{
	struct cgroup_root *other = NULL;
	struct ctn_err err = {0};
	pid_t pid;

	if (root->version == 2 && !own_path)
		return; /* we sit in the shared directory ourselves: it is never empty */
	cgroup_leaf_free(leaf);
	leaf = NULL;
	CHECK(cgroup_leaf_remove(root, "leaf", 1000, NULL) == 0);
	CHECK(fixture_root(&other, NULL) == 0);
	cgroup_root_free(other);
	pid = fork();
	if (pid == 0) {
		for (int i = 0; i < 100; i++) {
			if (fixture_root(&other, NULL) == 0)
				cgroup_root_free(other);
		}
		_exit(0);
	}
	for (int i = 0; i < 100; i++) {
		struct cgroup_leaf *l = NULL;

		CHECK(cgroup_leaf_open(root, "brief", &l, &err) == 0);
		cgroup_leaf_free(l);
		CHECK(cgroup_leaf_remove(root, "brief", 1000, &err) == 0);
	}
	CHECK(waitpid(pid, NULL, 0) == pid);
	CHECK(cgroup_leaf_open(root, "leaf", &leaf, &err) == 0);
	CHECK_STR(err.text, ""); /* what was tried again has left nothing behind */
}

/* Controllers that share a hierarchy, read-only and foreign mounts, a space in a path: on plain
 * directories, since a directory is all that opening needs. */
static void test_mount_table(void)
{
	char base[] = "/tmp/ctnfs-test-XXXXXX";
	ctn_autofree char *table = NULL;
	ctn_autofree char *text = NULL;
	ctn_autofree char *want = NULL;
	struct cgroup_root *r = NULL;
	struct cgroup_leaf *l = NULL;
	size_t len = 0;
	FILE *out;

	CHECK(mkdtemp(base));
	CHECK(asprintf(&text, "%s/a b", base) > 0 && mkdir(text, 0755) == 0);
	CHECK(asprintf(&table,
		       "31 1 0:1 / %s rw - tmpfs tmpfs rw\n"
		       "32 1 0:2 / %s ro - cgroup cgroup rw,memory\n"
		       "33 1 0:3 /else %s rw shared:4 - cgroup cgroup rw,pids\n"
		       "34 1 0:4 /in %s/a\\040b rw shared:5 master:6 - cgroup cgroup "
		       "rw,cpu,cpuacct\n"
		       "35 1 0:4 / %s rw - cgroup cgroup rw,cpu,cpuacct\n"
		       "36 1 0:5 / %s rw - cgroup2 cgroup2 rw\n",
		       base, base, base, base, base, base) > 0);
	CHECK(cgroup_root_open_texts(table, "4:cpu,cpuacct:/in/side\n3:pids:/x\n0::/\n", NULL, &r,
				     NULL) == 0);
	CHECK(r->n == 1 && r->version == 1 && cgroup_root_has(r, CG_CPU) &&
	      cgroup_root_has(r, CG_CPUACCT) && !cgroup_root_has(r, CG_PIDS));
	CHECK(cgroup_leaf_open(r, "leaf", &l, NULL) == 0 && l->n == 1);
	cgroup_leaf_free(l);
	CHECK(cgroup_leaf_remove(r, "leaf", 0, NULL) == 0);
	free(text);
	text = NULL;
	out = open_memstream(&text, &len);
	CHECK(cgroup_root_describe(r, out) == 0);
	fclose(out);
	CHECK(asprintf(&want, "cpu %s/a b/side/ctnfs\ncpuacct %s/a b/side/ctnfs\n", base, base) >
	      0);
	CHECK_STR(text, want);
	cgroup_root_free(r); /* made two directories, removes two */
	free(text);
	CHECK(asprintf(&text, "%s/a b", base) > 0 && rmdir(text) == 0 && rmdir(base) == 0);
}

/* Directories made by a program inside belong to the leaf. */
static void test_nested(void)
{
	ctn_autofree pid_t *pids = NULL;
	size_t n = 0;
	pid_t pid = spawn(leaf, 0);
	char text[16];

	snprintf(text, sizeof(text), "%d", pid);
	for (size_t i = 0; i < leaf->n; i++) {
		ctn_autoclose int dir = open(leaf->dirs[i].path, O_PATH | O_CLOEXEC), sub = -1;

		if (leaf->dirs[i].controllers & CG_BIT(CG_CPUSET) && leaf->version == 1)
			continue; /* an empty one takes nobody */
		CHECK(mkdirat(dir, "in", 0755) == 0);
		CHECK(mkdirat(dir, "in/side", 0755) == 0);
		sub = openat(dir, "in/side", O_PATH | O_CLOEXEC);
		CHECK(io_write_at(sub, "cgroup.procs", text, NULL) == 0);
	}
	CHECK(cgroup_leaf_procs(leaf, &pids, &n, NULL) == 0 && n == 1 && pids[0] == pid);
	CHECK(cgroup_leaf_kill(leaf, 2000, NULL) == 0);
	reap(pid);
	cgroup_leaf_free(leaf);
	leaf = NULL;
	CHECK(cgroup_leaf_remove(root, "leaf", 1000, NULL) == 0);
	CHECK(cgroup_leaf_open(root, "leaf", &leaf, NULL) == 0);
}

/* The v2 mount of a hybrid host, taken for a v2 host without controllers. */
static void test_v2_without_controllers(void)
{
	ctn_autofree char *copy = strdup(mountinfo);
	struct cgroup_root *r = NULL;
	struct cgroup_leaf *l = NULL;
	char *save = NULL, *v2 = NULL, path[64];

	for (char *s = strtok_r(copy, "\n", &save); s; s = strtok_r(NULL, "\n", &save))
		v2 = strstr(s, " - cgroup2 ") ? s : v2;
	if (root->version == 2 || !v2)
		return;
	snprintf(path, sizeof(path), "/ctnfs-test-%d", tester);
	CHECK(cgroup_root_open_texts(v2, "0::/\n", path, &r, NULL) == 0);
	CHECK(cgroup_root_version(r) == 2 && cgroup_root_has(r, CG_FREEZER));
	CHECK(cgroup_leaf_open(r, "leaf", &l, NULL) == 0 && cgroup_leaf_has_births(l));
	freeze_and_kill(l);
	if (cgroup_root_has(r, CG_DEVICES))
		devices_hold(l);
	for (const struct cgroup_knob *k = cgroup_knobs; k->name; k++) {
		ctn_autofree char *text = k->flags & KNOB_KEPT ? knob_text(l, k->name) : NULL;

		if (!text || cgroup_root_has(r, k->controller))
			continue;
		CHECK_STR(text, "max");
		CHECK(k->write(l, "max", NULL) == 0);
		try_write(l, k->name, "-1", EINVAL, NULL);
	}
	if (!cgroup_root_has(r, CG_MEMORY))
		CHECK_ERR(cgroup_knob_find("memory.limit")->write(l, "64M", &check_err), EOPNOTSUPP,
			  "memory controller");
	cgroup_leaf_free(l);
	CHECK(cgroup_leaf_remove(r, "leaf", 1000, NULL) == 0);
	cgroup_root_free(r);
}

int main(void)
{
	static const struct check_test tests[] = {
		{"a child is in every hierarchy", test_membership},
		{"the freezer's is the first to attach to", test_freezer_first},
		{"moving a running process", test_move},
		{"freezing, and killing what is frozen", test_freeze},
		{"killing many", test_kill_many},
		{"devices", test_devices},
		{"names and paths", test_names},
		{"described and opened again", test_described},
		{"the mount table", test_mount_table},
		{"groups inside", test_nested},
		{"the shared directory goes away", test_shared},
		{"v2 without controllers", test_v2_without_controllers},
		{"nothing is left", test_remove},
	};

	return fixture_open() < 0 ? 1 : check_run(tests, CTN_COUNT(tests));
}
