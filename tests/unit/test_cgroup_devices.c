/* SPDX-License-Identifier: Apache-2.0 */
/* Device lists: the program for v2 is run here, instruction by instruction, against what the list
 * says in plain C; the kernel is asked whether it takes it; and a process in a real group tries. */
#include <linux/bpf.h>
#include <sys/sysmacros.h>

#include "cgroup_fixture.h"
#include "spec_lines.h"

enum { R = CGROUP_DEV_READ, W = CGROUP_DEV_WRITE, M = CGROUP_DEV_MKNOD, ALL = CGROUP_DEV_ALL };

static bool jumps(const struct bpf_insn *i, uint64_t value)
{
	return (i->code == (BPF_JMP | BPF_JNE | BPF_K)) == (value != (uint64_t)(int64_t)i->imm);
}

/* Return: the program's answer; -1 for an instruction that it has no business to use, or no end. */
static int run(const struct bpf_insn *p, int n, const struct bpf_cgroup_dev_ctx *ctx)
{
	uint64_t r[11] = {0};

	for (int pc = 0; pc >= 0 && pc < n; pc++) {
		const struct bpf_insn *i = &p[pc];
		uint32_t word = 0;

		switch (i->code) {
		case BPF_LDX | BPF_MEM | BPF_W:
			if (i->src_reg != 1 || i->off < 0 || (size_t)i->off > sizeof(*ctx) - 4)
				return -1;
			memcpy(&word, (const char *)ctx + i->off, 4);
			r[i->dst_reg] = word;
			break;
		case BPF_ALU64 | BPF_MOV | BPF_X:
			r[i->dst_reg] = r[i->src_reg];
			break;
		case BPF_ALU64 | BPF_MOV | BPF_K:
			r[i->dst_reg] = (uint64_t)(int64_t)i->imm;
			break;
		case BPF_ALU64 | BPF_AND | BPF_K:
			r[i->dst_reg] &= (uint64_t)(int64_t)i->imm;
			break;
		case BPF_ALU64 | BPF_RSH | BPF_K:
			r[i->dst_reg] >>= i->imm;
			break;
		case BPF_JMP | BPF_JNE | BPF_K:
			pc += jumps(i, r[i->dst_reg]) ? i->off : 0;
			break;
		case BPF_JMP | BPF_EXIT:
			return (int)r[0];
		default:
			return -1;
		}
	}
	return -1;
}

static bool numbers_match(const struct cgroup_device *a, const struct cgroup_device *b)
{
	return a->type == b->type && a->major == b->major && a->minor == b->minor;
}

/* What a list means: one of its devices, with the rights of all lines about it, has all that is
 * asked for. */
static bool allowed(const struct cgroup_device *list, size_t n, const struct cgroup_device *asked)
{
	for (size_t i = 0; i < n; i++) {
		unsigned access = 0;

		if ((list[i].type != 'a' && list[i].type != asked->type) ||
		    (list[i].major >= 0 && list[i].major != asked->major) ||
		    (list[i].minor >= 0 && list[i].minor != asked->minor))
			continue;
		for (size_t j = 0; j < n; j++)
			access |= numbers_match(&list[i], &list[j]) ? list[j].access : 0;
		if (!(asked->access & ~access))
			return true;
	}
	return false;
}

static int ask(const struct bpf_insn *p, int n, const struct cgroup_device *d)
{
	unsigned access = (d->access & R ? BPF_DEVCG_ACC_READ : 0u) |
			  (d->access & W ? BPF_DEVCG_ACC_WRITE : 0u) |
			  (d->access & M ? BPF_DEVCG_ACC_MKNOD : 0u);
	const struct bpf_cgroup_dev_ctx ctx = {
		.access_type = access << 16 |
			       (d->type == 'b' ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR),
		.major = (uint32_t)d->major,
		.minor = (uint32_t)d->minor,
	};

	return run(p, n, &ctx);
}

static void check_one(const struct cgroup_device *list, size_t n, const struct bpf_insn *p, int len,
		      const struct cgroup_device *asked)
{
	int got = ask(p, len, asked), want = allowed(list, n, asked);

	CHECK(got == want);
	if (got != want)
		printf("# %c %d:%d access %u: %d instead of %d\n", asked->type, (int)asked->major,
		       (int)asked->minor, asked->access, got, want);
}

/* Every question about the numbers that the list and its neighbours have. */
static void check_list(const struct cgroup_device *list, size_t n)
{
	static const int64_t majors[] = {0, 1, 2, 5, 8, 136, 254, 4095};
	static const int64_t minors[] = {0, 1, 2, 3, 5, 7, 9, 255, 1048575};
	ctn_autofree struct bpf_insn *p = NULL;
	int len = cgroup_devices_program(list, n, &p, &check_err);

	CHECK(len > 0);
	for (size_t i = 0; i < CTN_COUNT(majors); i++) {
		for (size_t j = 0; j < CTN_COUNT(minors); j++) {
			for (unsigned k = 0; k < 14; k++) {
				const struct cgroup_device asked = {.type = k & 1 ? 'b' : 'c',
								    .major = majors[i],
								    .minor = minors[j],
								    .access = 1 + k / 2};

				check_one(list, n, p, len, &asked);
			}
		}
	}
}

static const struct cgroup_device everything[] = {
	{'c', 1, 3, R}, {'a', -1, -1, ALL}, {'b', 8, 0, R}};
static const struct cgroup_device mixed[] = {
	{'c', 1, 3, R},	  {'c', 1, 3, W},    {'b', 8, -1, R},
	{'c', -1, 2, M},  {'a', 5, 1, ALL},  {'c', 4095, 1048575, R | W},
	{'b', -1, -1, M}, {'c', 136, -1, 0},
};

static void test_programs(void)
{
	check_list(NULL, 0);
	check_list(cgroup_default_devices, CGROUP_DEFAULT_DEVICES);
	check_list(everything, CTN_COUNT(everything));
	check_list(mixed, CTN_COUNT(mixed));
	for (size_t i = 0; i < CTN_COUNT(mixed); i++)
		check_list(&mixed[i], 1);
}

static void test_the_kernel_takes_them(void)
{
	static struct cgroup_device many[CGROUP_DEVICES_MAX + 1];
	struct bpf_insn *p = NULL;
	int fd = cgroup_devices_load(mixed, CTN_COUNT(mixed), &check_err);

	CHECK_ERR(cgroup_devices_program(many, CTN_COUNT(many), &p, &check_err), E2BIG, "512");
	if (fd == -EPERM || fd == -ENOSYS) {
		printf("# no BPF here: %s\n", check_err.text);
		return;
	}
	CHECK(fd >= 0);
	close(fd);
	fd = cgroup_devices_load(everything, CTN_COUNT(everything), &check_err);
	CHECK(fd >= 0);
	close(fd);
	fd = cgroup_devices_load(NULL, 0, &check_err);
	CHECK(fd >= 0);
	close(fd);
	for (int i = 0; i < CGROUP_DEVICES_MAX; i++)
		many[i] = (struct cgroup_device){'c', 1 + i % 4000, i, R | M};
	fd = cgroup_devices_load(many, CGROUP_DEVICES_MAX, &check_err);
	CHECK(fd >= 0);
	close(fd);
}

/* Two lists of one truth: what a fresh group allows, and what `devices` shows of a fresh container.
 */
static void test_the_default(void)
{
	size_t n = 0;

	for (; spec_default_devices[n]; n++) {
		struct spec_device d = {0};

		CHECK(n < CGROUP_DEFAULT_DEVICES);
		CHECK(spec_device_parse(spec_default_devices[n], &d, &check_err) == 0);
		CHECK(d.type == cgroup_default_devices[n].type);
		CHECK(d.major == cgroup_default_devices[n].major);
		CHECK(d.minor == cgroup_default_devices[n].minor);
		CHECK(d.access == cgroup_default_devices[n].access);
	}
	CHECK(n == CGROUP_DEFAULT_DEVICES);
}

/* A bit for each thing that a process in the group can do. */
enum { NULL_READ = 1, NULL_WRITE = 2, ZERO_READ = 4, KMSG_READ = 8, MAKE_NULL = 16 };

static int tries(const struct cgroup_leaf *l)
{
	char path[] = "/tmp/ctnfs-test-XXXXXX";
	int status = 0;
	pid_t pid;

	CHECK(mkdtemp(path));
	pid = fork_into(l);
	if (pid == 0) {
		int can = 0;

		attach_self(l);
		can |= open("/dev/null", O_RDONLY | O_CLOEXEC) >= 0 ? NULL_READ : 0;
		can |= open("/dev/null", O_WRONLY | O_CLOEXEC) >= 0 ? NULL_WRITE : 0;
		can |= open("/dev/zero", O_RDONLY | O_CLOEXEC) >= 0 ? ZERO_READ : 0;
		can |= open("/dev/kmsg", O_RDONLY | O_CLOEXEC) >= 0 ? KMSG_READ : 0;
		can |= chdir(path) == 0 && mknod("n", S_IFCHR | 0600, makedev(1, 3)) == 0
			       ? MAKE_NULL
			       : 0;
		(void)unlink("n");
		_exit(can);
	}
	CHECK(pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status));
	CHECK(rmdir(path) == 0);
	return WEXITSTATUS(status);
}

static void set_and_try(const struct cgroup_leaf *l, const struct cgroup_device *list, size_t n,
			int want)
{
	int can;

	CHECK(cgroup_leaf_set_devices(l, list, n, &check_err) == 0);
	can = tries(l);
	CHECK(can == want);
	if (can != want)
		printf("# can %#x, should %#x; %s\n", (unsigned)can, (unsigned)want,
		       check_err.text);
}

static void lists_hold(const struct cgroup_leaf *l)
{
	static const struct cgroup_device read_only[] = {{'c', 1, 3, R}};
	static const struct cgroup_device by_type[] = {{'a', 1, 3, R | W}, {'c', 1, 5, M}};
	static const struct cgroup_device by_major[] = {{'c', 1, -1, R | M}};
	static const struct cgroup_device in_parts[] = {{'c', 1, 3, R}, {'c', 1, 3, W | M}};
	const int rest = NULL_READ | NULL_WRITE | ZERO_READ;

	CHECK(tries(l) == rest);
	set_and_try(l, read_only, 1, NULL_READ);
	set_and_try(l, by_type, 2, NULL_READ | NULL_WRITE);
	set_and_try(l, by_major, 1, NULL_READ | ZERO_READ | KMSG_READ | MAKE_NULL);
	set_and_try(l, in_parts, 2, NULL_READ | NULL_WRITE | MAKE_NULL);
	set_and_try(l, NULL, 0, 0);
	set_and_try(l, everything, CTN_COUNT(everything), rest | KMSG_READ | MAKE_NULL);
	set_and_try(l, cgroup_default_devices, CGROUP_DEFAULT_DEVICES, rest);
}

static void test_lists(void)
{
	if (cgroup_root_has(root, CG_DEVICES))
		lists_hold(leaf);
	else
		CHECK_ERR(cgroup_leaf_set_devices(leaf, mixed, 1, &check_err), EOPNOTSUPP,
			  "devices");
}

/* A host that does not have it all: its list is cut for a child of the leaf. */
static void test_more_than_the_server_has(void)
{
	static const struct cgroup_device tun[] = {{'c', 10, 200, R | W}};
	struct cgroup_leaf inner = *leaf;
	ctn_autofree char *path = NULL;
	ctn_autoclose int top = -1;

	if (leaf->version == 2 || cgroup_leaf_fd(leaf, CG_DEVICES, &top, NULL) < 0)
		return;
	CHECK(cgroup_leaf_set_devices(leaf, mixed, 2, &check_err) == 0);
	CHECK(mkdirat(top, "inner", 0755) == 0);
	for (size_t i = 0; i < inner.n; i++) {
		if (!(inner.dirs[i].controllers & CG_BIT(CG_DEVICES)))
			continue;
		CHECK(asprintf(&path, "%s/inner", leaf->dirs[i].path) > 0);
		inner.dirs[i].path = path;
		inner.dirs[i].ino = 0;
	}
	CHECK_ERR(cgroup_leaf_set_devices(&inner, tun, 1, &check_err), EPERM, "c 10:200 rw");
	CHECK_ERR(cgroup_leaf_set_devices(leaf, tun, 1, &check_err), EBUSY, "below");
	CHECK(cgroup_leaf_set_devices(&inner, cgroup_default_devices, CGROUP_DEFAULT_DEVICES,
				      &check_err) == 0);
	CHECK(unlinkat(top, "inner", AT_REMOVEDIR) == 0);
	for (int i = 0; i < 100; i++) { /* the kernel forgets it a moment later */
		if (cgroup_leaf_set_devices(leaf, cgroup_default_devices, CGROUP_DEFAULT_DEVICES,
					    &check_err) == 0)
			return;
		cgroup_sleep(10);
	}
	CHECK(!"the leaf has its list back");
}

static unsigned programs(const struct cgroup_leaf *l)
{
	ctn_autoclose int fd = open(l->dirs[0].path, O_RDONLY | O_CLOEXEC);
	uint32_t ids[64];
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.query.target_fd = (unsigned)fd;
	attr.query.attach_type = BPF_CGROUP_DEVICE;
	attr.query.prog_ids = (uint64_t)(uintptr_t)ids;
	attr.query.prog_cnt = CTN_COUNT(ids);
	CHECK(syscall(SYS_bpf, BPF_PROG_QUERY, &attr, sizeof(attr)) == 0);
	return attr.query.prog_cnt;
}

static void replaced(const struct cgroup_leaf *l)
{
	CHECK(programs(l) == 1);
	CHECK(cgroup_leaf_set_devices(l, mixed, 1, &check_err) == 0);
	CHECK(programs(l) == 1);
	CHECK(cgroup_leaf_set_devices(l, cgroup_default_devices, CGROUP_DEFAULT_DEVICES,
				      &check_err) == 0);
	lists_hold(l);
	CHECK(programs(l) == 1);
}

/* v2: one program, whatever happened before; on a hybrid host on the v2 mount beside the others. */
static void test_v2(void)
{
	ctn_autofree char *copy = strdup(mountinfo);
	struct cgroup_root *r = NULL;
	struct cgroup_leaf *l = NULL;
	char *save = NULL, *v2 = NULL, path[64];

	if (root->version == 2) {
		if (cgroup_root_has(root, CG_DEVICES))
			replaced(leaf);
		return;
	}
	for (char *s = strtok_r(copy, "\n", &save); s; s = strtok_r(NULL, "\n", &save))
		v2 = strstr(s, " - cgroup2 ") ? s : v2;
	if (!v2)
		return;
	snprintf(path, sizeof(path), "/ctnfs-test-%d", tester);
	CHECK(cgroup_root_open_texts(v2, "0::/\n", path, &r, NULL) == 0);
	CHECK(cgroup_leaf_open(r, "leaf", &l, NULL) == 0);
	if (cgroup_root_has(r, CG_DEVICES))
		replaced(l);
	cgroup_leaf_free(l);
	CHECK(cgroup_leaf_remove(r, "leaf", 1000, NULL) == 0);
	cgroup_root_free(r);
}

int main(void)
{
	static const struct check_test tests[] = {
		{"programs decide as their lists say", test_programs},
		{"the kernel takes them", test_the_kernel_takes_them},
		{"the default is the one that is shown", test_the_default},
		{"lists hold a process", test_lists},
		{"more than the server has", test_more_than_the_server_has},
		{"v2 replaces in one step", test_v2},
		{"nothing is left", test_remove},
	};

	return fixture_open() < 0 ? 1 : check_run(tests, CTN_COUNT(tests));
}
