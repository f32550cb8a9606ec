/* SPDX-License-Identifier: Apache-2.0 */
/* The table of knobs, and the texts that both versions read and accept. */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "cgroup_private.h"
#include "cleanup.h"
#include "io.h"

enum {
	PIDS_LIMIT = 4194304, /* the kernel's PID_MAX_LIMIT */
	FREEZE_MS = 2000,
};

int cgroup_refuse(struct ctn_err *err, int code, const char *knob, const char *text,
		  const char *accepted)
{
	return ctn_fail(err, code, "%s: '%.40s' is not accepted; write %s", knob, text, accepted);
}

static const char *kernel_file(const struct cgroup_leaf *leaf, int k)
{
	return leaf->version == 2 ? cgroup_knobs[k].v2 : cgroup_knobs[k].v1;
}

/* A knob that is one number in one file on both versions. */
int cgroup_number_get(const struct cgroup_leaf *leaf, int k, uint64_t *ret, struct ctn_err *err)
{
	const char *file = kernel_file(leaf, k);

	if (!file)
		return ctn_fail(err, EOPNOTSUPP, "%s: cgroup v%d has no such thing",
				cgroup_knobs[k].name, leaf->version);
	return cgroup_file_read_u64(leaf, cgroup_knobs[k].controller, file, ret, err);
}

int cgroup_number_set(const struct cgroup_leaf *leaf, int k, uint64_t value, const char *none,
		      struct ctn_err *err)
{
	const char *file = kernel_file(leaf, k);

	if (!file)
		return ctn_fail(err, EOPNOTSUPP, "%s: cgroup v%d has no such thing",
				cgroup_knobs[k].name, leaf->version);
	return cgroup_file_write_u64(leaf, cgroup_knobs[k].controller, file, value, none, err);
}

/* Prints what a get function left; a limit that cannot be had here is none. */
int cgroup_number_show(int r, uint64_t value, bool writable, FILE *out, struct ctn_err *err)
{
	if (r == -EOPNOTSUPP && writable) {
		value = CTN_MAX;
		r = cgroup_forgive(err);
	}
	if (r == 0 && value == CTN_MAX)
		fputs("max\n", out);
	else if (r == 0)
		fprintf(out, "%" PRIu64 "\n", value);
	return r;
}

int cgroup_number_read(const struct cgroup_leaf *leaf, int k, FILE *out, struct ctn_err *err)
{
	uint64_t value = 0;
	int r = cgroup_number_get(leaf, k, &value, err);

	return cgroup_number_show(r, value, cgroup_knobs[k].flags & KNOB_WRITABLE, out, err);
}

/* After a refused write: "max" asks for what is so anyway where the limit cannot be had; for the
 * rest the sentence gets the knob's name, unless it begins with it. */
int cgroup_finish(int r, bool none, int k, struct ctn_err *err)
{
	const char *name = cgroup_knobs[k].name;

	if (r == -EOPNOTSUPP && none)
		return cgroup_forgive(err);
	if (r < 0 && err && strncmp(err->text, name, strlen(name)) != 0)
		(void)ctn_fail_context(err, "%s", name);
	return r;
}

/* A number within a range; with @none also "max". */
int cgroup_number_parse(int k, const char *text, uint64_t min, uint64_t max, bool none,
			const char *accepted, uint64_t *ret, struct ctn_err *err)
{
	uint64_t value = CTN_MAX;
	int r = 0;

	if (!none || strcmp(text, "max") != 0) {
		r = parse_u64("", text, max, &value, NULL);
		if (r == 0 && value < min)
			r = -ERANGE;
	}
	if (r < 0)
		return cgroup_refuse(err, -r, cgroup_knobs[k].name, text, accepted);
	*ret = value;
	return 0;
}

static int pids_max_read(const struct cgroup_leaf *leaf, FILE *out, struct ctn_err *err)
{
	return cgroup_number_read(leaf, K_PIDS_MAX, out, err);
}

/* The kernel would take less than there are: nobody dies of it, but nothing new can begin. Here
 * that is refused, as with memory. */
static int pids_check_use(const struct cgroup_leaf *leaf, uint64_t value, struct ctn_err *err)
{
	uint64_t use = 0;

	if (cgroup_number_get(leaf, K_PIDS_CURRENT, &use, NULL) < 0 || use <= value)
		return 0;
	return ctn_fail(err, EBUSY,
			"pids.max: it has %" PRIu64 " processes and threads, more than %" PRIu64
			"; end some first",
			use, value);
}

static int pids_max_write(const struct cgroup_leaf *leaf, const char *text, struct ctn_err *err)
{
	uint64_t value = 0;
	int r = cgroup_number_parse(K_PIDS_MAX, text, 0, PIDS_LIMIT, true,
				    "a number from 0 to 4194304, or max", &value, err);

	if (r == 0)
		r = pids_check_use(leaf, value, err);
	if (r == 0)
		r = cgroup_finish(cgroup_number_set(leaf, K_PIDS_MAX, value, "max", err),
				  value == CTN_MAX, K_PIDS_MAX, err);
	return r;
}

static int pids_current_read(const struct cgroup_leaf *leaf, FILE *out, struct ctn_err *err)
{
	return cgroup_number_read(leaf, K_PIDS_CURRENT, out, err);
}

static int events_read(const struct cgroup_leaf *leaf, FILE *out, struct ctn_err *err)
{
	static const char *const names[CG_EVENTS] = {
		[CG_EV_LOW] = "low", [CG_EV_HIGH] = "high",	    [CG_EV_MAX] = "max",
		[CG_EV_OOM] = "oom", [CG_EV_OOM_KILL] = "oom_kill", [CG_EV_PIDS] = "pids.max",
	};
	uint64_t events[CG_EVENTS] = {0};
	int r = leaf->ops->events(leaf, events, err);

	for (int i = 0; r == 0 && i < CG_EVENTS; i++)
		fprintf(out, "%s %" PRIu64 "\n", names[i], events[i]);
	return r;
}

static int freeze_read(const struct cgroup_leaf *leaf, FILE *out, struct ctn_err *err)
{
	int r = leaf->ops->frozen(leaf, err);

	if (r < 0 && r != -EOPNOTSUPP)
		return r;
	fprintf(out, "%d\n", r > 0); /* nothing is frozen where nothing can be */
	return r < 0 ? cgroup_forgive(err) : 0;
}

/* Returns when it is so. A process in an uninterruptible wait can keep the group from freezing;
 * then it is let go again, as if nothing had been written. */
static int freeze_write(const struct cgroup_leaf *leaf, const char *text, struct ctn_err *err)
{
	uint64_t deadline = cgroup_now() + FREEZE_MS;
	bool freeze = false;
	int r;

	if (parse_bool("freeze", text, &freeze, NULL) < 0)
		return cgroup_refuse(err, EINVAL, "freeze", text, "1 to freeze or 0 to thaw");
	for (unsigned pause = 1;; pause = pause < 16 ? pause * 2 : pause) {
		r = leaf->ops->freeze(leaf, freeze, err);
		if (r < 0)
			return cgroup_finish(r, !freeze, K_FREEZE, err);
		r = leaf->ops->frozen(leaf, err);
		if (r < 0 || r == freeze)
			return r < 0 ? r : 0;
		if (cgroup_now() >= deadline)
			break;
		cgroup_sleep(pause);
	}
	if (freeze)
		(void)leaf->ops->freeze(leaf, false, NULL);
	return ctn_fail(err, EBUSY,
			freeze ? "freeze: a process did not stop within %d ms; it waits for a "
				 "device or a file system"
			       : "freeze: still frozen after %d ms; a group above it may be frozen",
			FREEZE_MS);
}

static int procs_read(const struct cgroup_leaf *leaf, FILE *out, struct ctn_err *err)
{
	ctn_autofree pid_t *pids = NULL;
	size_t n = 0;
	int r = cgroup_leaf_procs(leaf, &pids, &n, err);

	if (r == 0 && n == 0)
		fputs("\n", out);
	for (size_t i = 0; r == 0 && i < n; i++)
		fprintf(out, "%d\n", pids[i]);
	return r;
}

static int procs_write(const struct cgroup_leaf *leaf, const char *text, struct ctn_err *err)
{
	uint64_t pid = 0;
	int r = cgroup_number_parse(K_PROCS, text, 1, PIDS_LIMIT, false, "one process id", &pid,
				    err);

	if (r < 0)
		return r;
	if ((pid_t)pid == getpid()) /* killing the container would kill the server */
		return ctn_fail(err, EINVAL, "procs: %s is the server itself", text);
	r = leaf->ops->procs_add(leaf, (pid_t)pid, err);
	if (r == -ESRCH)
		return ctn_fail(err, ESRCH, "procs: there is no process %s", text);
	return cgroup_finish(r, false, K_PROCS, err);
}

/* clang-format off */
const struct cgroup_knob cgroup_knobs[] = {
	[K_MEMORY_LIMIT] = {
		"memory.limit", "bytes or max; below what is in use is refused",
		"memory.limit_in_bytes", "memory.max", CG_MEMORY, KNOB_WRITABLE | KNOB_KEPT,
		cgroup_memory_limit_read, cgroup_memory_limit_write},
	[K_MEMORY_HIGH] = {
		"memory.high", "bytes or max; above it processes are slowed down and reclaimed from",
		NULL, "memory.high", CG_MEMORY, KNOB_WRITABLE | KNOB_KEPT,
		cgroup_memory_high_read, cgroup_memory_high_write},
	[K_SWAP_LIMIT] = {
		"memory.swap.limit", "bytes of swap, or max",
		"memory.memsw.limit_in_bytes", "memory.swap.max", CG_MEMORY, KNOB_WRITABLE | KNOB_KEPT,
		cgroup_swap_limit_read, cgroup_swap_limit_write},
	[K_MEMORY_USAGE] = {
		"memory.usage", "bytes in use",
		"memory.usage_in_bytes", "memory.current", CG_MEMORY, 0,
		cgroup_memory_usage_read, NULL},
	[K_MEMORY_PEAK] = {
		"memory.peak", "the most bytes that were in use",
		"memory.max_usage_in_bytes", "memory.peak", CG_MEMORY, 0,
		cgroup_memory_peak_read, NULL},
	[K_MEMORY_STAT] = {
		"memory.stat", "what the memory is used for, in v2's words; v1's own lines follow",
		"memory.stat", "memory.stat", CG_MEMORY, 0,
		cgroup_memory_stat_read, NULL},
	[K_CPUSET_CPUS] = {
		"cpuset.cpus", "processors, such as 0-2,4; max is all",
		"cpuset.cpus", "cpuset.cpus", CG_CPUSET, KNOB_WRITABLE | KNOB_KEPT,
		cgroup_cpus_read, cgroup_cpus_write},
	[K_CPUSET_MEMS] = {
		"cpuset.mems", "memory nodes, such as 0; max is all",
		"cpuset.mems", "cpuset.mems", CG_CPUSET, KNOB_WRITABLE | KNOB_KEPT,
		cgroup_mems_read, cgroup_mems_write},
	[K_CPU_MAX] = {
		"cpu.max", "QUOTA PERIOD in microseconds; max PERIOD is no limit",
		"cpu.cfs_quota_us", "cpu.max", CG_CPU, KNOB_WRITABLE | KNOB_KEPT,
		cgroup_cpu_max_read, cgroup_cpu_max_write},
	[K_CPU_WEIGHT] = {
		"cpu.weight", "1 to 10000, 100 is the default; the same thing as cpu.shares",
		"cpu.shares", "cpu.weight", CG_CPU, KNOB_WRITABLE | KNOB_KEPT,
		cgroup_cpu_weight_read, cgroup_cpu_weight_write},
	[K_CPU_SHARES] = {
		"cpu.shares", "2 to 262144, 1024 is the default; the same thing as cpu.weight",
		"cpu.shares", "cpu.weight", CG_CPU, KNOB_WRITABLE | KNOB_KEPT,
		cgroup_cpu_shares_read, cgroup_cpu_shares_write},
	[K_CPU_STAT] = {
		"cpu.stat", "times in microseconds, and how often cpu.max held it back",
		"cpuacct.usage", "cpu.stat", CG_CPUACCT, 0,
		cgroup_cpu_stat_read, NULL},
	[K_PIDS_MAX] = {
		"pids.max", "how many processes and threads, or max",
		"pids.max", "pids.max", CG_PIDS, KNOB_WRITABLE | KNOB_KEPT,
		pids_max_read, pids_max_write},
	[K_PIDS_CURRENT] = {
		"pids.current", "processes and threads there are",
		"pids.current", "pids.current", CG_PIDS, 0,
		pids_current_read, NULL},
	[K_IO_MAX] = {
		"io.max", "MAJ:MIN rbps=N wbps=N riops=N wiops=N a device; max clears all",
		"blkio.throttle.read_bps_device", "io.max", CG_BLKIO, KNOB_WRITABLE | KNOB_KEPT,
		cgroup_io_max_read, cgroup_io_max_write},
	[K_IO_STAT] = {
		"io.stat", "bytes and operations, a line a device",
		"blkio.throttle.io_service_bytes_recursive", "io.stat", CG_BLKIO, 0,
		cgroup_io_stat_read, NULL},
	[K_EVENTS] = {
		"events", "low high max oom oom_kill of the memory limits, and pids.max: how often each",
		"memory.oom_control", "memory.events", CG_MEMORY, 0,
		events_read, NULL},
	[K_FREEZE] = {
		"freeze", "1 while all processes stand still",
		"freezer.state", "cgroup.freeze", CG_FREEZER, KNOB_WRITABLE,
		freeze_read, freeze_write},
	[K_PROCS] = {
		"procs", "process ids, ascending; writing one moves that process in",
		"cgroup.procs", "cgroup.procs", CG_PIDS, KNOB_WRITABLE,
		procs_read, procs_write},
	[K_COUNT] = {NULL, NULL, NULL, NULL, 0, 0, NULL, NULL},
};
/* clang-format on */

const struct cgroup_knob *cgroup_knob_find(const char *name)
{
	for (const struct cgroup_knob *k = cgroup_knobs; k->name; k++) {
		if (strcmp(k->name, name) == 0)
			return k;
	}
	for (const struct cgroup_knob *k = cgroup_knobs; k->name; k++) {
		if (k->v2 && strcmp(k->v2, name) == 0)
			return k;
	}
	return NULL;
}
