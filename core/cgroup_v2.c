/* SPDX-License-Identifier: Apache-2.0 */
/* cgroup v2: one hierarchy; see Documentation/admin-guide/cgroup-v2.rst in Linux. Making and
 * leaving the server's directory is in cgroup_v2_server.c. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cgroup_private.h"
#include "cleanup.h"
#include "io.h"

static int v2_leaf_init(const struct cgroup_root *root, unsigned controllers, int parentfd, int fd,
			bool fresh, struct ctn_err *err)
{
	(void)parentfd;
	(void)fresh; /* one that a server left half made is looked at by the attach itself */
	if (!(controllers & CG_BIT(CG_DEVICES)))
		return 0;
	return cgroup_devices_attach(fd, root->devices_prog, false, err);
}

static int v2_freeze(const struct cgroup_leaf *leaf, bool freeze, struct ctn_err *err)
{
	return cgroup_file_write(leaf, CG_FREEZER, "cgroup.freeze", freeze ? "1" : "0", err);
}

static int v2_frozen(const struct cgroup_leaf *leaf, struct ctn_err *err)
{
	ctn_autofree char *events = NULL;
	int r = cgroup_file_read(leaf, CG_FREEZER, "cgroup.events", &events, err);

	return r < 0 ? r : cgroup_key(events, "frozen") == 1;
}

static int v2_procs_add(const struct cgroup_leaf *leaf, pid_t pid, struct ctn_err *err)
{
	ctn_autoclose int fd = -1;
	char text[16];
	int r = cgroup_dir_open(&leaf->dirs[0], &fd, err);

	snprintf(text, sizeof(text), "%d", pid);
	return r < 0 ? r : io_write_at(fd, "cgroup.procs", text, err);
}

enum { RECLAIM_ROUNDS = 5 };

/* Writing memory.max kills what cannot be reclaimed. So reclaim first, and refuse if that was not
 * enough. What grows past @bytes after the look would have met the limit a moment later anyway. */
static int make_room(const struct cgroup_leaf *leaf, uint64_t bytes, struct ctn_err *err)
{
	uint64_t use = 0;

	for (int round = 0;; round++) {
		int r = cgroup_file_read_u64(leaf, CG_MEMORY, "memory.current", &use, err);

		if (r < 0 || use <= bytes)
			return r;
		if (round == RECLAIM_ROUNDS)
			break;
		/* EAGAIN: less than asked for; the next look tells how much. A kernel older than
		 * 5.19 has no such file and refuses what reclaim might have made possible. */
		(void)cgroup_file_write_u64(leaf, CG_MEMORY, "memory.reclaim", use - bytes, "0",
					    NULL);
	}
	return ctn_fail(err, EBUSY,
			"memory.limit: %" PRIu64 " is below the %" PRIu64
			" bytes in use, and the kernel could not reclaim enough; end processes or "
			"choose more",
			bytes, use);
}

static int v2_memory_limit_set(const struct cgroup_leaf *leaf, uint64_t bytes, struct ctn_err *err)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	int r = 0;

	if (bytes != CTN_MAX)
		r = make_room(leaf, bytes & ~(page - 1), err); /* as the kernel will round it */
	if (r == 0)
		r = cgroup_file_write_u64(leaf, CG_MEMORY, "memory.max", bytes, "max", err);
	return r;
}

static int v2_swap_get(const struct cgroup_leaf *leaf, uint64_t *ret, struct ctn_err *err)
{
	return cgroup_file_read_u64(leaf, CG_MEMORY, "memory.swap.max", ret, err);
}

/* The kernel would take a limit below the use and just swap out no more; v1 refuses it. */
static int v2_swap_set(const struct cgroup_leaf *leaf, uint64_t bytes, struct ctn_err *err)
{
	uint64_t use = 0;
	int r = cgroup_file_read_u64(leaf, CG_MEMORY, "memory.swap.current", &use, err);

	if (r == 0 && use > bytes)
		return ctn_fail(err, EBUSY,
				"memory.swap.limit: %" PRIu64 " is below the %" PRIu64
				" bytes in use; end processes or choose more",
				bytes, use);
	if (r == 0)
		r = cgroup_file_write_u64(leaf, CG_MEMORY, "memory.swap.max", bytes, "max", err);
	return r;
}

static int v2_memory_stat(const struct cgroup_leaf *leaf, FILE *out, struct ctn_err *err)
{
	ctn_autofree char *text = NULL;
	int r = cgroup_file_read(leaf, CG_MEMORY, "memory.stat", &text, err);

	if (r == 0)
		fputs(text, out);
	return r;
}

static int v2_cpu_max_get(const struct cgroup_leaf *leaf, uint64_t *ret_quota, uint64_t *ret_period,
			  struct ctn_err *err)
{
	ctn_autofree char *text = NULL;
	uint64_t quota = CTN_MAX, period = 0;
	int r = cgroup_file_read(leaf, CG_CPU, "cpu.max", &text, err);

	if (r < 0)
		return r;
	if (sscanf(text, "max %" SCNu64, &period) != 1 &&
	    sscanf(text, "%" SCNu64 " %" SCNu64, &quota, &period) != 2)
		return ctn_fail(err, EIO, "cpu.max: cannot read the kernel's '%.40s'", text);
	*ret_quota = quota;
	*ret_period = period;
	return 0;
}

static int v2_cpu_max_set(const struct cgroup_leaf *leaf, uint64_t quota, uint64_t period,
			  struct ctn_err *err)
{
	char text[48];

	if (quota == CTN_MAX)
		snprintf(text, sizeof(text), "max %" PRIu64, period);
	else
		snprintf(text, sizeof(text), "%" PRIu64 " %" PRIu64, quota, period);
	return cgroup_file_write(leaf, CG_CPU, "cpu.max", text, err);
}

/* The times are there even without the controller. */
static int v2_cpu_stat(const struct cgroup_leaf *leaf, struct cgroup_cpu_stat *ret,
		       struct ctn_err *err)
{
	ctn_autofree char *text = NULL;
	int r = cgroup_file_read(leaf, CG_CPUACCT, "cpu.stat", &text, err);

	if (r < 0)
		return r;
	*ret = (struct cgroup_cpu_stat){
		.usage = cgroup_key(text, "usage_usec"),
		.user = cgroup_key(text, "user_usec"),
		.system = cgroup_key(text, "system_usec"),
		.periods = cgroup_key(text, "nr_periods"),
		.throttled = cgroup_key(text, "nr_throttled"),
		.throttled_time = cgroup_key(text, "throttled_usec"),
	};
	return 0;
}

/* Empty means "as the parent"; shown is what that comes to, as v1 shows it. */
static int v2_cpuset_get(const struct cgroup_leaf *leaf, const char *file, char **ret,
			 struct ctn_err *err)
{
	ctn_autofree char *own = NULL;
	char effective[64];
	int r = cgroup_file_read(leaf, CG_CPUSET, file, &own, err);

	if (r < 0)
		return r;
	if (own[strspn(own, "\n")]) {
		*ret = ctn_take_ptr(own);
		return 0;
	}
	snprintf(effective, sizeof(effective), "%s.effective", file);
	return cgroup_file_read(leaf, CG_CPUSET, effective, ret, err);
}

static int v2_cpuset_set(const struct cgroup_leaf *leaf, const char *file, const char *list,
			 struct ctn_err *err)
{
	return cgroup_file_write(leaf, CG_CPUSET, file, list, err);
}

static int v2_oom_kills(const struct cgroup_leaf *leaf, uint64_t *ret, struct ctn_err *err)
{
	ctn_autofree char *memory = NULL;
	int r = cgroup_file_read(leaf, CG_MEMORY, "memory.events", &memory, err);

	if (r == 0)
		*ret = cgroup_key(memory, "oom_kill");
	return r;
}

static int v2_events(const struct cgroup_leaf *leaf, uint64_t ret[CG_EVENTS], struct ctn_err *err)
{
	static const char *const keys[] = {
		[CG_EV_LOW] = "low", [CG_EV_HIGH] = "high",	    [CG_EV_MAX] = "max",
		[CG_EV_OOM] = "oom", [CG_EV_OOM_KILL] = "oom_kill",
	};
	uint64_t events[CG_EVENTS] = {0};
	ctn_autofree char *memory = NULL;
	ctn_autofree char *pids = NULL;
	int r = cgroup_file_read(leaf, CG_MEMORY, "memory.events", &memory, err);
	int r_pids = cgroup_file_read(leaf, CG_PIDS, "pids.events", &pids, r < 0 ? NULL : err);

	if (r < 0 && r_pids < 0)
		return r;
	for (size_t i = 0; r == 0 && i < CTN_COUNT(keys); i++)
		events[i] = cgroup_key(memory, keys[i]);
	if (r_pids == 0)
		events[CG_EV_PIDS] = cgroup_key(pids, "max");
	memcpy(ret, events, sizeof(events));
	return 0;
}

/* "rbps=1048576 wbps=max …", in whatever order the kernel writes them. */
static void io_limit_scan(struct cgroup_io_limit *row, char *words)
{
	char *save = NULL;

	for (int k = 0; k < CG_IO_KEYS; k++)
		row->value[k] = CTN_MAX;
	for (char *w = strtok_r(words, " ", &save); w; w = strtok_r(NULL, " ", &save)) {
		char *value = strchr(w, '=');

		if (!value)
			continue;
		*value++ = '\0';
		for (int k = 0; k < CG_IO_KEYS; k++) {
			if (strcmp(w, cgroup_io_keys[k]) == 0 && strcmp(value, "max") != 0)
				row->value[k] = strtoull(value, NULL, 10);
		}
	}
}

static int v2_io_max_list(const struct cgroup_leaf *leaf, struct cgroup_io_limit **ret,
			  size_t *ret_n, struct ctn_err *err)
{
	ctn_autofree struct cgroup_io_limit *limits = NULL;
	ctn_autofree char *text = NULL;
	char *save = NULL;
	size_t n = 0;
	int r = cgroup_file_read(leaf, CG_BLKIO, "io.max", &text, err);

	if (r < 0)
		return r;
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		struct cgroup_io_limit *row;
		unsigned major, minor;
		int used = 0;

		if (sscanf(line, "%u:%u %n", &major, &minor, &used) != 2 || used == 0)
			continue;
		row = cgroup_io_row((void **)&limits, &n, sizeof(*row), major, minor);
		if (!row)
			return ctn_fail(err, ENOMEM, "no memory for io.max");
		io_limit_scan(row, line + used);
	}
	*ret = ctn_take_ptr(limits);
	*ret_n = n;
	return 0;
}

static int v2_io_max_set(const struct cgroup_leaf *leaf, const struct cgroup_io_limit *limit,
			 struct ctn_err *err)
{
	char line[192];
	int len = snprintf(line, sizeof(line), "%u:%u", limit->major, limit->minor);

	for (int k = 0; k < CG_IO_KEYS; k++) {
		size_t room = sizeof(line) - (size_t)len;

		if (!limit->given[k])
			continue;
		if (limit->value[k] == CTN_MAX)
			len += snprintf(line + len, room, " %s=max", cgroup_io_keys[k]);
		else
			len += snprintf(line + len, room, " %s=%" PRIu64, cgroup_io_keys[k],
					limit->value[k]);
	}
	return cgroup_file_write(leaf, CG_BLKIO, "io.max", line, err);
}

static int v2_io_stat_list(const struct cgroup_leaf *leaf, struct cgroup_io_stat **ret,
			   size_t *ret_n, struct ctn_err *err)
{
	static const char *const keys[CG_IO_STATS] = {
		" rbytes=", " wbytes=", " rios=", " wios=", " dbytes=", " dios="};
	ctn_autofree struct cgroup_io_stat *stats = NULL;
	ctn_autofree char *text = NULL;
	char *save = NULL;
	size_t n = 0;
	int r = cgroup_file_read(leaf, CG_BLKIO, "io.stat", &text, err);

	if (r < 0)
		return r;
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		struct cgroup_io_stat *row;
		unsigned major, minor;

		/* A device without traffic here has a line without figures. */
		if (sscanf(line, "%u:%u", &major, &minor) != 2 || !strstr(line, keys[0]))
			continue;
		row = cgroup_io_row((void **)&stats, &n, sizeof(*row), major, minor);
		if (!row)
			return ctn_fail(err, ENOMEM, "no memory for io.stat");
		for (int k = 0; k < CG_IO_STATS; k++) {
			const char *at = strstr(line, keys[k]);

			row->value[k] = at ? strtoull(at + strlen(keys[k]), NULL, 10) : 0;
		}
	}
	*ret = ctn_take_ptr(stats);
	*ret_n = n;
	return 0;
}

const struct cgroup_ops cgroup_v2_ops = {
	.server_make = cgroup_v2_server_make,
	.server_ready = cgroup_v2_server_ready,
	.server_leave = cgroup_v2_server_leave,
	.leaf_init = v2_leaf_init,
	.freeze = v2_freeze,
	.frozen = v2_frozen,
	.procs_add = v2_procs_add,
	.memory_limit_set = v2_memory_limit_set,
	.swap_get = v2_swap_get,
	.swap_set = v2_swap_set,
	.memory_stat = v2_memory_stat,
	.cpu_max_get = v2_cpu_max_get,
	.cpu_max_set = v2_cpu_max_set,
	.cpu_stat = v2_cpu_stat,
	.cpuset_get = v2_cpuset_get,
	.cpuset_set = v2_cpuset_set,
	.events = v2_events,
	.oom_kills = v2_oom_kills,
	.io_max_list = v2_io_max_list,
	.io_max_set = v2_io_max_set,
	.io_stat_list = v2_io_stat_list,
};
