/* SPDX-License-Identifier: Apache-2.0 */
/* The knobs of cgroup/ on a directory of plain files that stands for a control group. The first
 * line names the knob, the second is written to it; the rest is what the kernel's file says. */
#include <sys/stat.h>

#include "cgroup_private.h"
#include "fuzz_dir.h"

static int parentfd = -1, leaffd = -1;

/* What a fresh group of either version says. */
static const struct {
	const char *name, *text;
} files[] = {
	{"cgroup.procs", "7\n12\n"},
	{"tasks", ""},
	{"memory.limit_in_bytes", "9223372036854771712\n"},
	{"memory.memsw.limit_in_bytes", "9223372036854771712\n"},
	{"memory.usage_in_bytes", "4096\n"},
	{"memory.memsw.usage_in_bytes", "4096\n"},
	{"memory.max_usage_in_bytes", "8192\n"},
	{"memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n"},
	{"memory.failcnt", "2\n"},
	{"memory.stat", "cache 1\nrss 2\nhierarchical_memory_limit 3\n"},
	{"memory.max", "max\n"},
	{"memory.high", "max\n"},
	{"memory.swap.max", "max\n"},
	{"memory.swap.current", "0\n"},
	{"memory.current", "4096\n"},
	{"memory.peak", "8192\n"},
	{"memory.reclaim", ""},
	{"memory.events", "low 0\nhigh 0\nmax 1\noom 2\noom_kill 3\n"},
	{"cpuset.cpus", "0-3\n"},
	{"cpuset.mems", "0\n"},
	{"cpuset.cpus.effective", "0-3\n"},
	{"cpuset.mems.effective", "0\n"},
	{"cpu.cfs_quota_us", "-1\n"},
	{"cpu.cfs_period_us", "100000\n"},
	{"cpu.max", "max 100000\n"},
	{"cpu.shares", "1024\n"},
	{"cpu.weight", "100\n"},
	{"cpu.stat", "usage_usec 5\nnr_periods 1\nnr_throttled 2\nthrottled_time 3\n"},
	{"cpuacct.usage", "123456\n"},
	{"cpuacct.stat", "user 1\nsystem 2\n"},
	{"pids.max", "max\n"},
	{"pids.current", "2\n"},
	{"pids.events", "max 4\n"},
	{"io.max", ""},
	{"io.stat", "8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6\n"},
	{"blkio.throttle.read_bps_device", "8:0 1024\n"},
	{"blkio.throttle.write_bps_device", ""},
	{"blkio.throttle.read_iops_device", ""},
	{"blkio.throttle.write_iops_device", ""},
	{"blkio.throttle.io_service_bytes_recursive", "8:0 Read 1\n8:0 Write 2\nTotal 3\n"},
	{"blkio.throttle.io_serviced_recursive", "8:0 Read 1\n8:0 Write 2\nTotal 3\n"},
	{"freezer.state", "THAWED\n"},
	{"cgroup.freeze", "0\n"},
	{"cgroup.events", "populated 1\nfrozen 0\n"},
};

static bool same_family(const char *file, const char *of)
{
	return of && strncmp(file, of, 3) == 0;
}

/* The files that the knob has to do with; all of them would take most of the time. NULL: all. */
static void reset(int dirfd, const struct cgroup_knob *k)
{
	for (size_t i = 0; i < CTN_COUNT(files); i++) {
		if (!k || same_family(files[i].name, k->v1) || same_family(files[i].name, k->v2))
			fuzz_put(dirfd, files[i].name, files[i].text, strlen(files[i].text));
	}
}

static char leaf_name[] = "leaf";

static void make_group(void)
{
	parentfd = fuzz_dir_make();
	FUZZ_CHECK(mkdirat(parentfd, leaf_name, 0755) == 0);
	leaffd = openat(parentfd, leaf_name, O_PATH | O_DIRECTORY | O_CLOEXEC);
	FUZZ_CHECK(leaffd >= 0);
	reset(parentfd, NULL);
	reset(leaffd, NULL);
}

static int knob_read(const struct cgroup_leaf *leaf, const struct cgroup_knob *k, char **ret)
{
	struct ctn_err err = {0};
	size_t len = 0;
	FILE *out = open_memstream(ret, &len);
	int r;

	FUZZ_CHECK(out);
	r = fuzz_result(k->read(leaf, out, &err), &err);
	FUZZ_CHECK(fclose(out) == 0);
	FUZZ_CHECK(r < 0 || strcmp(k->name, "memory.stat") == 0 ||
		   (len > 0 && (*ret)[len - 1] == '\n'));
	return r;
}

/* A written one shows what can be written again, line by line, and shows the same. cgroupfs takes a
 * write as the whole new value; of plain files that is so of empty ones. */
static void check_written(const struct cgroup_leaf *leaf, const struct cgroup_knob *k)
{
	ctn_autofree char *shown = NULL, *again = NULL;
	struct ctn_err err = {0};

	FUZZ_CHECK(knob_read(leaf, k, &shown) == 0);
	shown[strcspn(shown, "\n")] = '\0';
	fuzz_put(leaffd, k->v2, "", 0);
	if (*shown && k->write(leaf, shown, &err) < 0) /* a blank line is nothing to write */
		fprintf(stderr, "%s\n", err.text);
	FUZZ_CHECK(err.code == 0);
	FUZZ_CHECK(knob_read(leaf, k, &again) == 0);
	again[strcspn(again, "\n")] = '\0';
	FUZZ_CHECK(strcmp(shown, again) == 0);
}

/* The kernel answers `freeze`, and `procs` moves processes: neither is a matter of plain files. */
static void check_write(const struct cgroup_leaf *leaf, const struct cgroup_knob *k,
			const char *text)
{
	struct ctn_err err = {0};

	if (!(k->flags & KNOB_KEPT))
		return;
	reset(leaffd, k);
	if (leaf->version == 2)
		fuzz_put(leaffd, k->v2, "", 0);
	if (fuzz_result(k->write(leaf, text, &err), &err) == 0 && leaf->version == 2)
		check_written(leaf, k);
}

static void check_knob(int version, const struct cgroup_knob *k, const char *text, const char *said,
		       size_t said_len)
{
	struct cgroup_leaf leaf = {
		.version = version,
		.ops = version == 1 ? &cgroup_v1_ops : &cgroup_v2_ops,
		.n = 1,
		.dirs = {{.base = parentfd, .path = leaf_name, .controllers = ~0u, .depth = 1}},
	};
	const char *file = version == 1 ? k->v1 : k->v2;
	ctn_autofree char *shown = NULL;

	check_write(&leaf, k, text);
	reset(leaffd, k);
	if (file)
		fuzz_put(leaffd, file, said, said_len);
	(void)knob_read(&leaf, k, &shown);
}

/* What the numbers are made of: none is taken for another one. */
static void check_numbers(const char *text)
{
	uint64_t number = 0, bytes = 0;
	int64_t with_sign = 0;
	char again[24];

	if (parse_u64("x", text, UINT64_MAX, &number, NULL) == 0 && text[0] != '0') {
		snprintf(again, sizeof(again), "%llu", (unsigned long long)number);
		FUZZ_CHECK(strcmp(again, text) == 0);
	}
	if (parse_i64("x", text, INT64_MIN, INT64_MAX, &with_sign, NULL) == 0 &&
	    text[text[0] == '-'] != '0') {
		snprintf(again, sizeof(again), "%lld", (long long)with_sign);
		FUZZ_CHECK(strcmp(again, text) == 0);
	}
	if (parse_size("x", text, &bytes, NULL) == 0)
		FUZZ_CHECK(bytes == CTN_MAX ? strcmp(text, "max") == 0 : bytes <= INT64_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ctn_autofree char *copy = strndup((const char *)data, size);
	char *text, *said;
	const struct cgroup_knob *k;

	FUZZ_CHECK(copy);
	if (leaffd < 0)
		make_group();
	text = copy + strcspn(copy, "\n");
	if (*text)
		*text++ = '\0';
	said = text + strcspn(text, "\n");
	if (*said)
		*said++ = '\0';
	k = cgroup_knob_find(copy);
	if (!k)
		k = &cgroup_knobs[(unsigned char)copy[0] % K_COUNT];
	check_numbers(text);
	check_knob(1, k, text, said, strlen(said));
	check_knob(2, k, text, said, strlen(said));
	return 0;
}
