/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <sys/stat.h>

#include "bench.h"
#include "cgroup_private.h"
#include "floor.h"

/* As the product has them: all that a v1 host offers, one hierarchy each. */
static const char *const controllers[] = {
	"cpu", "cpuacct", "cpuset", "memory", "pids", "freezer", "devices", "blkio",
};

static const char *const devices[] = {
	"c 1:3 rw", "c 1:5 rw", "c 1:7 rw", "c 1:8 rw",	  "c 1:9 rw",
	"c 5:0 rw", "c 5:1 rw", "c 5:2 rw", "c 136:* rw",
};

static void put(int dirfd, const char *file, const char *text)
{
	int fd = BENCH_TRY(file, openat(dirfd, file, O_WRONLY | O_CLOEXEC));

	BENCH_TRY(file, write(fd, text, strlen(text)));
	close(fd);
}

static void copy(int from, int to, const char *file)
{
	int fd = BENCH_TRY(file, openat(from, file, O_RDONLY | O_CLOEXEC));
	char text[4096];
	ssize_t n = BENCH_TRY(file, read(fd, text, sizeof(text) - 1));

	text[n] = '\0';
	close(fd);
	put(to, file, text);
}

/* A v1 cpuset without processors and memory takes no process. */
static void cpuset_fill(const struct floor_group *g, int parent, int dir)
{
	if (strcmp(g->name, "cpuset") != 0)
		return;
	copy(parent, dir, "cpuset.cpus");
	copy(parent, dir, "cpuset.mems");
}

/* Our own cgroup of a hierarchy, from /proc/self/cgroup: "7:blkio:/path", "0::/path" for v2. */
static int own_open(const char *controller, const char *mount, char *ret, size_t size)
{
	FILE *in = fopen("/proc/self/cgroup", "re");
	char line[4096];
	int fd = -1;

	while (in && fd < 0 && fgets(line, sizeof(line), in)) {
		char *name = strchr(line, ':'), *path = name ? strchr(name + 1, ':') : NULL;

		if (!path)
			continue;
		*path++ = '\0';
		path[strcspn(path, "\n")] = '\0';
		if (strcmp(name + 1, controller) != 0)
			continue;
		snprintf(ret, size, "%s%s", mount, path);
		fd = open(ret, O_PATH | O_DIRECTORY | O_CLOEXEC);
	}
	if (in)
		fclose(in);
	return fd;
}

static void parent_name(char *ret, size_t size)
{
	snprintf(ret, size, "ctnfs-floor-%d", getpid());
}

static void group_open(struct floor *f, const char *controller, const char *mount)
{
	struct floor_group *g = &f->groups[f->n_groups];
	char path[4096], name[48];
	int own = own_open(controller, mount, path, sizeof(path));

	if (own < 0)
		return;
	parent_name(name, sizeof(name));
	snprintf(g->name, sizeof(g->name), "%s", controller);
	BENCH_TRY(path, mkdirat(own, name, 0755));
	g->parent = BENCH_TRY(path, openat(own, name, O_PATH | O_DIRECTORY | O_CLOEXEC));
	cpuset_fill(g, own, g->parent);
	close(own);
	f->n_groups++;
}

/* Where the host lets us; a controller that cannot be had is one that costs nothing. */
static void v2_enable(const struct floor_group *g)
{
	static const char *const each[] = {"+cpu", "+cpuset", "+memory", "+pids", "+io"};
	static const char *const where[] = {"../cgroup.subtree_control", "cgroup.subtree_control"};

	for (size_t w = 0; w < 2; w++) {
		int fd = openat(g->parent, where[w], O_WRONLY | O_CLOEXEC);

		for (size_t i = 0; fd >= 0 && i < 5; i++)
			(void)!write(fd, each[i], strlen(each[i]));
		if (fd >= 0)
			close(fd);
	}
}

void floor_groups_open(struct floor *f)
{
	struct ctn_err err = {0};

	for (size_t i = 0; i < sizeof(controllers) / sizeof(controllers[0]); i++) {
		char mount[64];

		snprintf(mount, sizeof(mount), "/sys/fs/cgroup/%s", controllers[i]);
		if (access(mount, F_OK) == 0)
			group_open(f, controllers[i], mount);
	}
	if (f->n_groups > 0)
		return;
	f->v2 = true;
	group_open(f, "", "/sys/fs/cgroup");
	if (f->n_groups == 0) {
		fprintf(stderr, "floor: no control groups are mounted on /sys/fs/cgroup\n");
		_exit(1);
	}
	v2_enable(&f->groups[0]);
	f->devices_prog = BENCH_TRY(
		"load the device program",
		cgroup_devices_load(cgroup_default_devices, CGROUP_DEFAULT_DEVICES, &err));
}

void floor_groups_close(struct floor *f)
{
	char name[48];

	parent_name(name, sizeof(name));
	for (int i = 0; i < f->n_groups; i++) {
		char path[64], link[4096] = "";

		snprintf(path, sizeof(path), "/proc/self/fd/%d", f->groups[i].parent);
		if (readlink(path, link, sizeof(link) - 1) > 0)
			BENCH_TRY(link, rmdir(link));
		close(f->groups[i].parent);
	}
}

static void v1_init(struct floor_group *g)
{
	cpuset_fill(g, g->parent, g->dir);
	if (strcmp(g->name, "devices") == 0) {
		put(g->dir, "devices.deny", "a");
		for (size_t i = 0; i < sizeof(devices) / sizeof(devices[0]); i++)
			put(g->dir, "devices.allow", devices[i]);
	}
	if (strcmp(g->name, "pids") == 0)
		put(g->dir, "pids.max", "4096");
	g->tasks = BENCH_TRY("tasks", openat(g->dir, "tasks", O_WRONLY | O_CLOEXEC));
}

static void v2_init(const struct floor *f, const struct floor_group *g)
{
	struct ctn_err err = {0};

	if (faccessat(g->dir, "pids.max", F_OK, 0) == 0)
		put(g->dir, "pids.max", "4096");
	BENCH_TRY("attach the device program",
		  cgroup_devices_attach(g->dir, f->devices_prog, false, &err));
}

void floor_group_make(struct floor *f, const char *name)
{
	for (int i = 0; i < f->n_groups; i++) {
		struct floor_group *g = &f->groups[i];

		BENCH_TRY(g->name, mkdirat(g->parent, name, 0755));
		g->dir = BENCH_TRY(g->name,
				   openat(g->parent, name, O_PATH | O_DIRECTORY | O_CLOEXEC));
		if (f->v2)
			v2_init(f, g);
		else
			v1_init(g);
	}
}

void floor_group_attach(const struct floor *f)
{
	for (int i = 0; i < f->n_groups && !f->v2; i++)
		BENCH_TRY("attach", write(f->groups[i].tasks, "0", 1));
}

void floor_group_remove(struct floor *f, const char *name)
{
	for (int i = 0; i < f->n_groups; i++) {
		struct floor_group *g = &f->groups[i];

		if (!f->v2)
			close(g->tasks);
		close(g->dir);
		BENCH_TRY(g->name, unlinkat(g->parent, name, AT_REMOVEDIR));
	}
}
