/* SPDX-License-Identifier: Apache-2.0 */
/* cgroup v1: one hierarchy for each controller or group of controllers. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cgroup_private.h"
#include "cleanup.h"
#include "io.h"

/* A new v1 cpuset is empty, and no process can enter an empty one. */
static int cpuset_inherit(int parentfd, int fd, const char *file, struct ctn_err *err)
{
	ctn_autofree char *own = NULL;
	ctn_autofree char *parent = NULL;
	int r = io_read_at(fd, file, CGROUP_FILE_MAX, &own, NULL, err);

	if (r < 0 || own[strspn(own, "\n")])
		return r;
	r = io_read_at(parentfd, file, CGROUP_FILE_MAX, &parent, NULL, err);
	return r < 0 ? r : io_write_at(fd, file, parent, err);
}

static int dir_init(unsigned controllers, int parentfd, int fd, struct ctn_err *err)
{
	int r = 0;

	if (controllers & CG_BIT(CG_CPUSET)) {
		r = cpuset_inherit(parentfd, fd, "cpuset.cpus", err);
		if (r == 0)
			r = cpuset_inherit(parentfd, fd, "cpuset.mems", err);
	}
	if (controllers & CG_BIT(CG_MEMORY)) {
		ctn_autofree char *text = NULL;

		/* Always 1 since 5.11; before, only a directory without children takes it. */
		if (io_read_at(fd, "memory.use_hierarchy", 64, &text, NULL, NULL) == 0 &&
		    text[0] == '0')
			(void)io_write_at(fd, "memory.use_hierarchy", "1", NULL);
	}
	return r;
}

static int v1_server_make(const struct cgroup_root *root, size_t i, int *ret_fd, unsigned *ret_made,
			  struct ctn_err *err)
{
	return cgroup_path_make(&root->hier[i], root->hier[i].rel, dir_init, ret_fd, ret_made, err);
}

static int v1_server_ready(struct cgroup_root *root, int fd, struct ctn_err *err)
{
	(void)root; /* what a v1 hierarchy offers stands in mountinfo */
	(void)fd;
	(void)err;
	return 0;
}

static void v1_server_leave(struct cgroup_root *root)
{
	(void)root;
}

/* One that was left half made by a server that died still has the list it inherited. */
static bool allows_all_devices(int fd)
{
	ctn_autofree char *list = NULL;

	return io_read_at(fd, "devices.list", CGROUP_FILE_MAX, &list, NULL, NULL) < 0 ||
	       strncmp(list, "a ", 2) == 0;
}

static int v1_leaf_init(const struct cgroup_root *root, unsigned controllers, int parentfd, int fd,
			bool fresh, struct ctn_err *err)
{
	int r = dir_init(controllers, parentfd, fd, err);

	(void)root;
	if (r < 0 || !(controllers & CG_BIT(CG_DEVICES)) || (!fresh && !allows_all_devices(fd)))
		return r;
	return cgroup_devices_v1(fd, cgroup_default_devices, CGROUP_DEFAULT_DEVICES, err);
}

static int v1_freeze(const struct cgroup_leaf *leaf, bool freeze, struct ctn_err *err)
{
	return cgroup_file_write(leaf, CG_FREEZER, "freezer.state", freeze ? "FROZEN" : "THAWED",
				 err);
}

static int v1_frozen(const struct cgroup_leaf *leaf, struct ctn_err *err)
{
	ctn_autofree char *state = NULL;
	int r = cgroup_file_read(leaf, CG_FREEZER, "freezer.state", &state, err);

	return r < 0 ? r : strcmp(state, "FROZEN\n") == 0; /* FREEZING: not yet */
}

static const char limit_file[] = "memory.limit_in_bytes";
static const char memsw_file[] = "memory.memsw.limit_in_bytes";

/* Says how much is in use where the kernel only says EBUSY. */
static int busy(const struct cgroup_leaf *leaf, const char *knob, uint64_t bytes,
		const char *usage_file, struct ctn_err *err)
{
	uint64_t use = 0;

	(void)cgroup_file_read_u64(leaf, CG_MEMORY, usage_file, &use, NULL);
	return ctn_fail(err, EBUSY,
			"%s: %" PRIu64 " is below the %" PRIu64
			" bytes in use, and the kernel could not reclaim enough; end processes or "
			"choose more",
			knob, bytes, use);
}

static int limit_write(const struct cgroup_leaf *leaf, uint64_t bytes, struct ctn_err *err)
{
	int r = cgroup_file_write_u64(leaf, CG_MEMORY, limit_file, bytes, "-1", err);

	return r == -EBUSY ? busy(leaf, "memory.limit", bytes, "memory.usage_in_bytes", err) : r;
}

static int memsw_write(const struct cgroup_leaf *leaf, uint64_t bytes, struct ctn_err *err)
{
	return cgroup_file_write_u64(leaf, CG_MEMORY, memsw_file, bytes, "-1", err);
}

/* The kernel keeps limit <= memsw at every moment, so which is written first depends on the
 * direction; the swap allowance, their difference, stays. */
static int v1_memory_limit_set(const struct cgroup_leaf *leaf, uint64_t bytes, struct ctn_err *err)
{
	uint64_t old = CTN_MAX, swap = CTN_MAX;
	int r = cgroup_file_read_u64(leaf, CG_MEMORY, limit_file, &old, err);

	if (r < 0)
		return r;
	if (leaf->ops->swap_get(leaf, &swap, NULL) < 0 || swap == CTN_MAX)
		return limit_write(leaf, bytes, err);
	if (bytes == CTN_MAX)
		return ctn_fail(
			err, EOPNOTSUPP,
			"memory.limit: cgroup v1 cannot limit swap without limiting memory; "
			"write max to memory.swap.limit first");
	if (bytes > old) {
		r = memsw_write(leaf, bytes + swap, err);
		if (r == 0)
			r = limit_write(leaf, bytes, err);
		if (r < 0)
			(void)memsw_write(leaf, old + swap, NULL);
		return r;
	}
	r = limit_write(leaf, bytes, err);
	if (r < 0)
		return r;
	r = memsw_write(leaf, bytes + swap, err);
	if (r < 0)
		(void)limit_write(leaf, old, NULL);
	return r == -EBUSY ? busy(leaf, "memory.limit", bytes, "memory.memsw.usage_in_bytes", err)
			   : r;
}

static int v1_swap_get(const struct cgroup_leaf *leaf, uint64_t *ret, struct ctn_err *err)
{
	uint64_t limit = 0, memsw = 0;
	int r = cgroup_file_read_u64(leaf, CG_MEMORY, memsw_file, &memsw, err);

	if (r == 0)
		r = cgroup_file_read_u64(leaf, CG_MEMORY, limit_file, &limit, err);
	if (r == 0)
		*ret = memsw == CTN_MAX || limit > memsw ? CTN_MAX : memsw - limit;
	return r;
}

static int v1_swap_set(const struct cgroup_leaf *leaf, uint64_t bytes, struct ctn_err *err)
{
	uint64_t limit = 0, unused = 0;
	int r = v1_swap_get(leaf, &unused, err);

	if (r == 0)
		r = cgroup_file_read_u64(leaf, CG_MEMORY, limit_file, &limit, err);
	if (r < 0)
		return r;
	if (bytes == CTN_MAX)
		return memsw_write(leaf, CTN_MAX, err);
	if (limit == CTN_MAX)
		return ctn_fail(err, EOPNOTSUPP,
				"memory.swap.limit: cgroup v1 cannot limit swap without limiting "
				"memory; set memory.limit first");
	r = memsw_write(leaf, limit + bytes, err);
	return r == -EBUSY
		       ? busy(leaf, "memory.swap.limit", bytes, "memory.memsw.usage_in_bytes", err)
		       : r;
}

/* v2's names for what v1 counts, the groups below included, as v2 does. */
static const struct {
	const char *v2, *v1;
} stat_names[] = {
	{"anon", "total_rss"},
	{"file", "total_cache"},
	{"shmem", "total_shmem"},
	{"file_mapped", "total_mapped_file"},
	{"file_dirty", "total_dirty"},
	{"file_writeback", "total_writeback"},
	{"swapcached", "total_swapcached"},
	{"anon_thp", "total_rss_huge"},
	{"inactive_anon", "total_inactive_anon"},
	{"active_anon", "total_active_anon"},
	{"inactive_file", "total_inactive_file"},
	{"active_file", "total_active_file"},
	{"unevictable", "total_unevictable"},
	{"workingset_refault_anon", "total_workingset_refault_anon"},
	{"workingset_refault_file", "total_workingset_refault_file"},
	{"pgfault", "total_pgfault"},
	{"pgmajfault", "total_pgmajfault"},
};

/* Whether v1's line is of a name that has been printed with v2's meaning. */
static bool stat_is_printed(const char *line)
{
	for (size_t i = 0; i < CTN_COUNT(stat_names); i++) {
		size_t len = strlen(stat_names[i].v2);

		if (strncmp(line, stat_names[i].v2, len) == 0 && line[len] == ' ')
			return true;
	}
	return false;
}

/* v2's words first, then v1's own lines; a name that both have is printed once, as v2 means it. */
static int v1_memory_stat(const struct cgroup_leaf *leaf, FILE *out, struct ctn_err *err)
{
	ctn_autofree char *text = NULL;
	uint64_t kernel = 0;
	char *save = NULL;
	int r = cgroup_file_read(leaf, CG_MEMORY, "memory.stat", &text, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < CTN_COUNT(stat_names); i++)
		fprintf(out, "%s %" PRIu64 "\n", stat_names[i].v2,
			cgroup_key(text, stat_names[i].v1));
	if (cgroup_file_read_u64(leaf, CG_MEMORY, "memory.kmem.usage_in_bytes", &kernel, NULL) == 0)
		fprintf(out, "kernel %" PRIu64 "\n", kernel);
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		if (!stat_is_printed(line))
			fprintf(out, "%s\n", line);
	}
	return 0;
}

static const char quota_file[] = "cpu.cfs_quota_us";
static const char period_file[] = "cpu.cfs_period_us";

static int v1_cpu_max_get(const struct cgroup_leaf *leaf, uint64_t *ret_quota, uint64_t *ret_period,
			  struct ctn_err *err)
{
	uint64_t quota = 0, period = 0;
	int r = cgroup_file_read_u64(leaf, CG_CPU, quota_file, &quota, err);

	if (r == 0)
		r = cgroup_file_read_u64(leaf, CG_CPU, period_file, &period, err);
	if (r < 0)
		return r;
	*ret_quota = quota;
	*ret_period = period;
	return 0;
}

/* Two files for one pair: between the writes the group has a mixed pair. The order is chosen so
 * that its share is the smaller of the two mixtures, which is never above both the old and the new
 * share: nobody gets more in between, and the kernel's check against the parent holds. */
static int v1_cpu_max_set(const struct cgroup_leaf *leaf, uint64_t quota, uint64_t period,
			  struct ctn_err *err)
{
	uint64_t old_quota = 0, old_period = 0;
	bool quota_first;
	int r = v1_cpu_max_get(leaf, &old_quota, &old_period, err);

	if (r < 0)
		return r;
	quota_first = quota == CTN_MAX ||
		      (old_quota != CTN_MAX &&
		       (double)quota * (double)period <= (double)old_quota * (double)old_period);
	for (int step = 0; r == 0 && step < 2; step++) {
		bool is_quota = (step == 0) == quota_first;

		r = cgroup_file_write_u64(leaf, CG_CPU, is_quota ? quota_file : period_file,
					  is_quota ? quota : period, "-1", err);
		if (r < 0 && step == 1) /* take the first step back */
			(void)cgroup_file_write_u64(leaf, CG_CPU,
						    is_quota ? period_file : quota_file,
						    is_quota ? old_period : old_quota, "-1", NULL);
	}
	return r;
}

/* user and system are counted in clock ticks here, the total in nanoseconds. */
static int v1_cpu_stat(const struct cgroup_leaf *leaf, struct cgroup_cpu_stat *ret,
		       struct ctn_err *err)
{
	uint64_t tick = 1000000 / (uint64_t)sysconf(_SC_CLK_TCK);
	ctn_autofree char *acct = NULL;
	ctn_autofree char *bandwidth = NULL;
	uint64_t usage = 0;
	int r = cgroup_file_read_u64(leaf, CG_CPUACCT, "cpuacct.usage", &usage, err);

	if (r == 0)
		r = cgroup_file_read(leaf, CG_CPUACCT, "cpuacct.stat", &acct, err);
	if (r < 0)
		return r;
	*ret = (struct cgroup_cpu_stat){
		.usage = usage / 1000,
		.user = cgroup_key(acct, "user") * tick,
		.system = cgroup_key(acct, "system") * tick,
	};
	if (cgroup_file_read(leaf, CG_CPU, "cpu.stat", &bandwidth, NULL) == 0) {
		ret->periods = cgroup_key(bandwidth, "nr_periods");
		ret->throttled = cgroup_key(bandwidth, "nr_throttled");
		ret->throttled_time = cgroup_key(bandwidth, "throttled_time") / 1000;
	}
	return 0;
}

static int v1_cpuset_get(const struct cgroup_leaf *leaf, const char *file, char **ret,
			 struct ctn_err *err)
{
	return cgroup_file_read(leaf, CG_CPUSET, file, ret, err);
}

struct cpuset_file {
	const char *file, *list;
};

static int cpuset_follow(int sub, const char *name, void *arg, struct ctn_err *err)
{
	const struct cpuset_file *set = arg;

	(void)name;
	return io_write_at(sub, set->file, set->list, err);
}

/* A group must have all that those below it have, so they give up first, and get afterwards. */
static int v1_cpuset_set(const struct cgroup_leaf *leaf, const char *file, const char *list,
			 struct ctn_err *err)
{
	struct cpuset_file set = {.file = file, .list = list};
	ctn_autoclose int fd = -1;
	int r = cgroup_file_write(leaf, CG_CPUSET, file, list, err);

	if ((r < 0 && r != -EBUSY) || cgroup_leaf_fd(leaf, CG_CPUSET, &fd, NULL) < 0)
		return r;
	if (r == -EBUSY && cgroup_below(fd, cpuset_follow, &set, NULL) == 0)
		return cgroup_file_write(leaf, CG_CPUSET, file, list, err);
	return r < 0 ? r : cgroup_below(fd, cpuset_follow, &set, err);
}

static int v1_oom_kills(const struct cgroup_leaf *leaf, uint64_t *ret, struct ctn_err *err)
{
	ctn_autofree char *oom = NULL;
	int r = cgroup_file_read(leaf, CG_MEMORY, "memory.oom_control", &oom, err);

	if (r == 0)
		*ret = cgroup_key(oom, "oom_kill");
	return r;
}

/* How often a limit was met. With swap limited the kernel charges memory and swap together first,
 * so a page that is refused there is not counted by memory alone. */
static uint64_t failures(const struct cgroup_leaf *leaf, const char *file)
{
	uint64_t n = 0;

	(void)cgroup_file_read_u64(leaf, CG_MEMORY, file, &n, NULL); /* none without the file */
	return n;
}

/* v1 has no memory.low and memory.high, and does not count an out-of-memory state that killed
 * nobody: oom is the number of kills. */
static int v1_events(const struct cgroup_leaf *leaf, uint64_t ret[CG_EVENTS], struct ctn_err *err)
{
	uint64_t events[CG_EVENTS] = {0};
	ctn_autofree char *pids = NULL;
	int memory = v1_oom_kills(leaf, &events[CG_EV_OOM_KILL], err);
	int processes = cgroup_file_read(leaf, CG_PIDS, "pids.events", &pids,
					 memory < 0 ? NULL : err);

	if (memory < 0 && processes < 0)
		return memory;
	if (memory == 0) {
		events[CG_EV_MAX] = failures(leaf, "memory.failcnt") +
				    failures(leaf, "memory.memsw.failcnt");
		events[CG_EV_OOM] = events[CG_EV_OOM_KILL];
	}
	if (processes == 0)
		events[CG_EV_PIDS] = cgroup_key(pids, "max");
	memcpy(ret, events, sizeof(events));
	return 0;
}

const struct cgroup_ops cgroup_v1_ops = {
	.server_make = v1_server_make,
	.server_ready = v1_server_ready,
	.server_leave = v1_server_leave,
	.leaf_init = v1_leaf_init,
	.child_init = dir_init,
	.freeze = v1_freeze,
	.frozen = v1_frozen,
	.procs_add = cgroup_v1_procs_add,
	.memory_limit_set = v1_memory_limit_set,
	.swap_get = v1_swap_get,
	.swap_set = v1_swap_set,
	.memory_stat = v1_memory_stat,
	.cpu_max_get = v1_cpu_max_get,
	.cpu_max_set = v1_cpu_max_set,
	.cpu_stat = v1_cpu_stat,
	.cpuset_get = v1_cpuset_get,
	.cpuset_set = v1_cpuset_set,
	.events = v1_events,
	.oom_kills = v1_oom_kills,
	.io_max_list = cgroup_v1_io_max_list,
	.io_max_set = cgroup_v1_io_max_set,
	.io_stat_list = cgroup_v1_io_stat_list,
};
