/* SPDX-License-Identifier: Apache-2.0 */
/* Every knob of the table: what it reads, accepts and refuses. */
#include <sys/sysmacros.h>

#include "cgroup_fixture.h"

/* @version: 0 for both. */
static const struct {
	const char *knob, *text;
	int errnum;
	const char *want;
	int version;
} cases[] = {
	{"memory.limit", "64M", 0, "67108864", 0},
	{"memory.limit", "8000000", 0, "7999488", 0},
	{"memory.limit", "1g", 0, "1073741824", 0},
	{"memory.limit", "2048K", 0, "2097152", 0},
	{"memory.max", "1T", 0, "1099511627776", 0},
	{"memory.limit", "9223372036854775807", 0, "max", 0},
	{"memory.limit", "64M", 0, "67108864", 0},
	{"memory.limit", "", EINVAL, NULL, 0},
	{"memory.limit", " ", EINVAL, NULL, 0},
	{"memory.limit", "-1", EINVAL, NULL, 0},
	{"memory.limit", "+1", EINVAL, NULL, 0},
	{"memory.limit", "1.5M", EINVAL, NULL, 0},
	{"memory.limit", "1e9", EINVAL, NULL, 0},
	{"memory.limit", "0x100", EINVAL, NULL, 0},
	{"memory.limit", "64M ", EINVAL, NULL, 0},
	{"memory.limit", "64MB", EINVAL, NULL, 0},
	{"memory.limit", "64M\n", EINVAL, NULL, 0},
	{"memory.limit", "Max", EINVAL, NULL, 0},
	{"memory.limit", "9223372036854775808", ERANGE, NULL, 0},
	{"memory.limit", "18446744073709551616", ERANGE, NULL, 0},
	{"memory.limit", "99999999999T", ERANGE, NULL, 0},
	{"memory.swap.limit", "max", 0, "max", 0},
	{"memory.swap.limit", "-5", EINVAL, NULL, 0},
	{"memory.swap.limit", "junk", EINVAL, NULL, 0},
	{"memory.swap.limit", "1M", 0, "1048576", 0},
	{"memory.limit", "128M", 0, "134217728", 0},
	{"memory.swap.limit", "0", 0, "0", 0},
	{"memory.limit", "32M", 0, "33554432", 0},
	{"memory.limit", "max", EOPNOTSUPP, NULL, 1},
	{"memory.swap.limit", "max", 0, "max", 0},
	{"memory.limit", "max", 0, "max", 0},
	{"memory.swap.limit", "1M", EOPNOTSUPP, NULL, 1},
	{"memory.high", "32M", EOPNOTSUPP, NULL, 1},
	{"memory.high", "32M", 0, "33554432", 2},
	{"memory.high", "max", 0, "max", 0},
	{"memory.high", "x", EINVAL, NULL, 0},
	{"cpuset.cpus", "0", 0, "0", 0},
	{"cpuset.cpus", "0-", EINVAL, NULL, 0},
	{"cpuset.cpus", "1-0", EINVAL, NULL, 0},
	{"cpuset.cpus", "0,,1", EINVAL, NULL, 0},
	{"cpuset.cpus", "0 1", EINVAL, NULL, 0},
	{"cpuset.cpus", "-1", EINVAL, NULL, 0},
	{"cpuset.cpus", "99999999999999999999", EINVAL, NULL, 0},
	{"cpuset.cpus", "8191", ERANGE, NULL, 0},
	{"cpuset.cpus", "", EINVAL, NULL, 0},
	{"cpuset.cpus", "max", 0, NULL, 0},
	{"cpuset.mems", "0", 0, "0", 0},
	{"cpuset.mems", "1000", ERANGE, NULL, 0},
	{"cpuset.mems", "zero", EINVAL, NULL, 0},
	{"cpuset.mems", "max", 0, NULL, 0},
	{"cpu.max", "max", 0, "max 100000", 0},
	{"cpu.max", "50000 100000", 0, "50000 100000", 0},
	{"cpu.max", "2000", 0, "2000 100000", 0},
	{"cpu.max", "1000 1000", 0, "1000 1000", 0},
	{"cpu.max", "400000 1000000", 0, "400000 1000000", 0},
	{"cpu.max", "max 50000", 0, "max 50000", 0},
	{"cpu.max", "20000  25000", EINVAL, NULL, 0},
	{"cpu.max", "20000 ", EINVAL, NULL, 0},
	{"cpu.max", "20000 max", EINVAL, NULL, 0},
	{"cpu.max", "-1 100000", EINVAL, NULL, 0},
	{"cpu.max", "999", ERANGE, NULL, 0},
	{"cpu.max", "0", ERANGE, NULL, 0},
	{"cpu.max", "50000 999", ERANGE, NULL, 0},
	{"cpu.max", "50000 1000001", ERANGE, NULL, 0},
	{"cpu.max", "17592186044416", ERANGE, NULL, 0},
	{"cpu.max", "50000 100000 1", EINVAL, NULL, 0},
	{"cpu.max", "0.5", EINVAL, NULL, 0},
	{"cpu.max", "", EINVAL, NULL, 0},
	{"cpu.weight", "1", 0, "1", 0},
	{"cpu.weight", "10000", 0, "10000", 0},
	{"cpu.weight", "50", 0, "50", 0},
	{"cpu.shares", "512", 0, "512", 0},
	{"cpu.weight", "333", 0, "333", 0},
	{"cpu.weight", "0", ERANGE, NULL, 0},
	{"cpu.weight", "10001", ERANGE, NULL, 0},
	{"cpu.weight", "max", EINVAL, NULL, 0},
	{"cpu.weight", "-3", EINVAL, NULL, 0},
	{"cpu.shares", "1", ERANGE, NULL, 0},
	{"cpu.shares", "262145", ERANGE, NULL, 0},
	{"cpu.shares", "1k", EINVAL, NULL, 0},
	{"cpu.shares", "2", 0, "2", 1},
	{"cpu.shares", "2", 0, "10", 2},
	{"cpu.shares", "262144", 0, "262144", 1},
	{"cpu.shares", "262144", 0, "102400", 2},
	{"cpu.weight", "100", 0, "100", 0},
	{"pids.max", "100", 0, "100", 0},
	{"pids.max", "0", 0, "0", 0},
	{"pids.max", "4194304", 0, "4194304", 0},
	{"pids.max", "4194305", ERANGE, NULL, 0},
	{"pids.max", "-1", EINVAL, NULL, 0},
	{"pids.max", "1K", EINVAL, NULL, 0},
	{"pids.max", "99999999999999999999", ERANGE, NULL, 0},
	{"pids.max", "max", 0, "max", 0},
	{"freeze", "2", EINVAL, NULL, 0},
	{"freeze", "", EINVAL, NULL, 0},
	{"freeze", "1", 0, "1", 0},
	{"freeze", "0", 0, "0", 0},
	{"procs", "0", ERANGE, NULL, 0},
	{"procs", "-1", EINVAL, NULL, 0},
	{"procs", "1 2", EINVAL, NULL, 0},
	{"procs", "4194305", ERANGE, NULL, 0},
	{"procs", "4194303", ESRCH, NULL, 0},
	{"io.max", "max", 0, "", 0},
	{"io.max", "8:0", EINVAL, NULL, 0},
	{"io.max", "sda rbps=1M", EINVAL, NULL, 0},
	{"io.max", "8:0 rbps=", EINVAL, NULL, 0},
	{"io.max", "8:0 rbps=0", ERANGE, NULL, 0},
	{"io.max", "8:0 rbps=-1", EINVAL, NULL, 0},
	{"io.max", "8:0 rbps=1 rbps=2", EINVAL, NULL, 0},
	{"io.max", "8:0 riops=4294967295", ERANGE, NULL, 0},
	{"io.max", "8:0 speed=1", EINVAL, NULL, 0},
	{"io.max", "4095:7 rbps=1M", ENODEV, NULL, 0},
};

static void test_writes(void)
{
	for (size_t i = 0; i < CTN_COUNT(cases); i++) {
		const struct cgroup_knob *k = cgroup_knob_find(cases[i].knob);

		if (cases[i].version && cases[i].version != cgroup_root_version(root))
			continue;
		if (!cgroup_root_has(root, k->controller))
			continue;
		if (strcmp(k->name, "memory.swap.limit") == 0 && cases[i].want &&
		    k->write(leaf, "max", NULL) == -EOPNOTSUPP)
			continue;
		try_write(leaf, cases[i].knob, cases[i].text, cases[i].errnum, cases[i].want);
	}
}

static void test_conversion(void)
{
	ctn_autofree char *shares = knob_text(leaf, "cpu.shares");

	if (!cgroup_root_has(root, CG_CPU))
		return;
	CHECK_STR(shares, "1024"); /* weight 100 was written last */
	for (int w = 1; w <= 10000; w += 37) {
		char text[16];

		snprintf(text, sizeof(text), "%d", w);
		try_write(leaf, "cpu.weight", text, 0, text);
	}
	try_write(leaf, "cpu.shares", "1024", 0, "1024");
	free(shares);
	shares = knob_text(leaf, "cpu.weight");
	CHECK_STR(shares, "100");
}

static void test_reads(void)
{
	for (const struct cgroup_knob *k = cgroup_knobs; k->name; k++) {
		ctn_autofree char *text = NULL;

		CHECK(!(k->flags & KNOB_WRITABLE) == !k->write && k->read && k->doc);
		if (!k->write && !cgroup_root_has(root, k->controller))
			continue;
		text = knob_text(leaf, k->name);
		CHECK(text);
		if (!text || k->write)
			continue;
		if (strcmp(k->name, "memory.stat") == 0)
			CHECK(strstr(text, "anon ") == text && strstr(text, "\npgfault "));
		if (strcmp(k->name, "cpu.stat") == 0)
			CHECK(strstr(text, "usage_usec ") == text &&
			      strstr(text, "\nthrottled_usec "));
		if (strcmp(k->name, "events") == 0)
			CHECK(strstr(text, "\noom_kill 0\n") && strstr(text, "\npids.max 0"));
	}
	CHECK(cgroup_knob_find("memory.max") == cgroup_knob_find("memory.limit"));
	CHECK(cgroup_knob_find("cpu.weight") != cgroup_knob_find("cpu.shares"));
	CHECK(!cgroup_knob_find("memory.limt") && !cgroup_knob_find(""));
}

static void test_below_use(void)
{
	pid_t pid;
	uint64_t kills = 1;

	if (!cgroup_root_has(root, CG_MEMORY))
		return;
	try_write(leaf, "memory.limit", "max", 0, "max");
	pid = spawn(leaf, 64 << 20);
	try_write(leaf, "memory.limit", "8M", EBUSY, NULL);
	try_write(leaf, "memory.limit", "4096", EBUSY, NULL);
	try_write(leaf, "memory.limit", "0", EBUSY, NULL);
	CHECK_ERR(cgroup_knob_find("memory.limit")->write(leaf, "32M", &check_err), EBUSY,
		  "bytes in use");
	try_write(leaf, "memory.limit", "1G", 0, "1073741824"); /* a sanitizer takes its part */
	CHECK(waitpid(pid, NULL, WNOHANG) == 0);
	CHECK(cgroup_leaf_oom_kills(leaf, &kills, NULL) == 0 && kills == 0);
	CHECK(cgroup_leaf_kill(leaf, 2000, NULL) == 0);
	reap(pid);
	try_write(leaf, "memory.limit", "max", 0, "max");
}

static void allocate(void)
{
	for (size_t i = 0; i < 64; i++)
		memset(malloc(1 << 20), 1, 1 << 20);
}

static void spin(void)
{
	for (;;)
		(void)getppid();
}

static void test_oom(void)
{
	ctn_autofree char *events = NULL;
	uint64_t kills = 0;

	if (!cgroup_root_has(root, CG_MEMORY))
		return;
	try_write(leaf, "memory.limit", "16M", 0, "16777216");
	(void)cgroup_knob_find("memory.swap.limit")->write(leaf, "0", NULL);
	reap(run_inside(allocate));
	CHECK(cgroup_leaf_oom_kills(leaf, &kills, NULL) == 0 && kills == 1);
	events = knob_text(leaf, "events");
	CHECK(events && strstr(events, "\noom_kill 1\n"));
	/* v1 with swap limited: newer kernels do not count that limit's failures. */
	CHECK(events && (root->version == 1 || !strstr(events, "\nmax 0\n")));
	CHECK(events && strstr(events, "low 0\n") == events && !strstr(events, "\noom 0\n"));
	(void)cgroup_knob_find("memory.swap.limit")->write(leaf, "max", NULL);
	try_write(leaf, "memory.limit", "max", 0, "max");
}

static void test_throttled(void)
{
	ctn_autofree char *stat = NULL;
	unsigned long long usage = 0, user = 0, sys = 0, periods = 0, throttled = 0, time = 0;
	pid_t pid;

	if (!cgroup_root_has(root, CG_CPU) || !cgroup_root_has(root, CG_CPUACCT))
		return;
	try_write(leaf, "cpu.max", "2000 10000", 0, "2000 10000");
	pid = run_inside(spin);
	cgroup_sleep(300);
	CHECK(cgroup_leaf_kill(leaf, 2000, NULL) == 0);
	reap(pid);
	stat = knob_text(leaf, "cpu.stat");
	CHECK(stat && sscanf(stat,
			     "usage_usec %llu user_usec %llu system_usec %llu nr_periods %llu "
			     "nr_throttled %llu throttled_usec %llu",
			     &usage, &user, &sys, &periods, &throttled, &time) == 6);
	CHECK(usage > 10000 && user + sys <= usage + 20000);
	CHECK(periods >= throttled && throttled > 2 && time > 10000);
	try_write(leaf, "cpu.max", "max", 0, "max 100000");
}

static void test_io_max(void)
{
	ctn_autofree char *line = NULL;
	ctn_autofree char *want = NULL;
	struct stat st;

	/* On the disk that we are on; some file systems have none. */
	if (!cgroup_root_has(root, CG_BLKIO) || stat(".", &st) < 0 || major(st.st_dev) == 0)
		return;
	CHECK(asprintf(&line, "%u:%u rbps=1G wiops=5000", major(st.st_dev), minor(st.st_dev)) > 0);
	CHECK(asprintf(&want, "%u:%u rbps=1073741824 wbps=max riops=max wiops=5000",
		       major(st.st_dev), minor(st.st_dev)) > 0);
	if (cgroup_knob_find("io.max")->write(leaf, line, NULL) == -ENODEV)
		return; /* a partition */
	try_write(leaf, "io.max", line, 0, want);
	try_write(leaf, "io.max", want, 0, want);
	try_write(leaf, "io.max", "max", 0, "");
}

int main(void)
{
	static const struct check_test tests[] = {
		{"every knob reads", test_reads},	 {"values good and bad", test_writes},
		{"weight and shares", test_conversion},	 {"a limit below use", test_below_use},
		{"killed for want of memory", test_oom}, {"held back by cpu.max", test_throttled},
		{"io.max on a disk", test_io_max},	 {"nothing is left", test_remove},
	};

	return fixture_open() < 0 ? 1 : check_run(tests, CTN_COUNT(tests));
}
