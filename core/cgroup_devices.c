/* SPDX-License-Identifier: Apache-2.0 */
/* The devices that a container may use, for the v1 controller and as a program for v2. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/bpf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "cgroup_private.h"
#include "cleanup.h"
#include "io.h"

/* Reading and writing, and mknod of nothing: what /dev needs is made for the container from
 * outside, and a node that it makes itself would be one more thing to trust. */
enum { RW = CGROUP_DEV_READ | CGROUP_DEV_WRITE };

const struct cgroup_device cgroup_default_devices[CGROUP_DEFAULT_DEVICES] = {
	{'c', 1, 3, RW},    /* null */
	{'c', 1, 5, RW},    /* zero */
	{'c', 1, 7, RW},    /* full */
	{'c', 1, 8, RW},    /* random */
	{'c', 1, 9, RW},    /* urandom */
	{'c', 5, 0, RW},    /* tty */
	{'c', 5, 1, RW},    /* console */
	{'c', 5, 2, RW},    /* ptmx */
	{'c', 136, -1, RW}, /* pts */
};

/* Whether both rules are about the same devices. */
static bool same_numbers(const struct cgroup_device *a, const struct cgroup_device *b)
{
	return a->type == b->type && a->major == b->major && a->minor == b->minor;
}

static bool is_everything(const struct cgroup_device *d, unsigned access)
{
	return d->type == 'a' && d->major < 0 && d->minor < 0 && access == CGROUP_DEV_ALL;
}

static bool is_default(const struct cgroup_device *d)
{
	for (size_t i = 0; i < CTN_COUNT(cgroup_default_devices); i++) {
		if (same_numbers(d, &cgroup_default_devices[i]))
			return !(d->access & ~cgroup_default_devices[i].access);
	}
	return false;
}

/* "c 1:3 rw", as the kernel reads it. */
static void v1_line(char line[64], char type, const struct cgroup_device *d)
{
	char major[24] = "*", minor[24] = "*";

	if (d->major >= 0)
		snprintf(major, sizeof(major), "%" PRId64, d->major);
	if (d->minor >= 0)
		snprintf(minor, sizeof(minor), "%" PRId64, d->minor);
	snprintf(line, 64, "%c %s:%s %s%s%s", type, major, minor,
		 d->access & CGROUP_DEV_READ ? "r" : "", d->access & CGROUP_DEV_WRITE ? "w" : "",
		 d->access & CGROUP_DEV_MKNOD ? "m" : "");
}

static int v1_allow(int dirfd, char type, const struct cgroup_device *d, struct ctn_err *err)
{
	char line[64];
	int r;

	v1_line(line, type, d);
	r = io_write_at(dirfd, "devices.allow", line, err);
	if (r != -EPERM)
		return r;
	/* What this host keeps from ourselves is not ours to give. Of what every container starts
	 * with it may be missing, of what someone asked for it may not. */
	if (is_default(d))
		return cgroup_forgive(err);
	return ctn_fail(err, EPERM,
			"devices: '%s' cannot be given: the server's own control group does not "
			"have it",
			line);
}

/* v1's own "a" is never written: it means everything, whatever stands behind it, and where the
 * group above has exceptions it takes them along and says nothing. */
static int v1_rule(int dirfd, const struct cgroup_device *d, struct ctn_err *err)
{
	int r;

	if (!d->access)
		return 0;
	if (d->type != 'a')
		return v1_allow(dirfd, d->type, d, err);
	r = v1_allow(dirfd, 'b', d, err);
	return r < 0 ? r : v1_allow(dirfd, 'c', d, err);
}

enum { GONE_MS = 500 }; /* for how long a group that was removed can still count as one below */

int cgroup_devices_v1(int dirfd, const struct cgroup_device *list, size_t n, struct ctn_err *err)
{
	uint64_t deadline = cgroup_now() + GONE_MS;
	int r;

	while ((r = io_write_at(dirfd, "devices.deny", "a", err)) == -EINVAL &&
	       cgroup_now() < deadline)
		cgroup_sleep(5);
	if (r == -EINVAL)
		return ctn_fail(err, EBUSY,
				"devices: there are control groups below the container's, and as "
				"long as they are there the kernel does not change its list");
	if (r == 0)
		(void)cgroup_forgive(err); /* of the tries before */
	for (size_t i = 0; r == 0 && i < n; i++)
		r = v1_rule(dirfd, &list[i], err);
	return r;
}

static struct bpf_insn insn(unsigned code, unsigned dst, unsigned src, int off, int imm)
{
	return (struct bpf_insn){
		.code = (unsigned char)code,
		.dst_reg = dst & 0xf,
		.src_reg = src & 0xf,
		.off = (short)off,
		.imm = imm,
	};
}

enum { INSNS_AROUND = 9, INSNS_RULE = 7 }; /* together at most 4096: BPF_MAXINSNS */

static unsigned bpf_access(unsigned access)
{
	return (access & CGROUP_DEV_READ ? BPF_DEVCG_ACC_READ : 0u) |
	       (access & CGROUP_DEV_WRITE ? BPF_DEVCG_ACC_WRITE : 0u) |
	       (access & CGROUP_DEV_MKNOD ? BPF_DEVCG_ACC_MKNOD : 0u);
}

/* r2 type, r3 major, r4 minor, r5 access. A test that fails goes on with the next rule. Return: how
 * many instructions. */
static int rule_write(struct bpf_insn *p, const struct cgroup_device *d, unsigned access)
{
	const unsigned jne = BPF_JMP | BPF_JNE | BPF_K;
	int kind = d->type == 'b' ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR;
	int n = 0;

	if (d->type != 'a')
		p[n++] = insn(jne, 2, 0, 0, kind);
	if (d->major >= 0)
		p[n++] = insn(jne, 3, 0, 0, (int)d->major);
	if (d->minor >= 0)
		p[n++] = insn(jne, 4, 0, 0, (int)d->minor);
	if (access != CGROUP_DEV_ALL) { /* nothing may be asked for that is not here */
		p[n++] = insn(BPF_ALU64 | BPF_MOV | BPF_X, 1, 5, 0, 0);
		p[n++] = insn(BPF_ALU64 | BPF_AND | BPF_K, 1, 0, 0,
			      (int)(~bpf_access(access) & 0xffff));
		p[n++] = insn(jne, 1, 0, 0, 0);
	}
	p[n++] = insn(BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
	for (int i = 0; i < n; i++) {
		if (p[i].code == jne)
			p[i].off = (short)(n - i - 1);
	}
	return n;
}

/* Rules about the same devices add up, as in v1. 0 where an earlier one has it all already. */
static unsigned whole_access(const struct cgroup_device *list, size_t n, size_t i)
{
	unsigned access = 0;

	for (size_t j = 0; j < n; j++) {
		if (same_numbers(&list[i], &list[j])) {
			if (j < i)
				return 0;
			access |= list[j].access;
		}
	}
	return access;
}

/* r1 is the context {access << 16 | type, major, minor}. The result in r0: 1 allows, 0 is EPERM. */
int cgroup_devices_program(const struct cgroup_device *list, size_t count, struct bpf_insn **ret,
			   struct ctn_err *err)
{
	const unsigned load = BPF_LDX | BPF_MEM | BPF_W;
	struct bpf_insn *p;
	int n = 0;

	if (count > CGROUP_DEVICES_MAX)
		return ctn_fail(err, E2BIG, "devices: more than %d rules", CGROUP_DEVICES_MAX);
	p = calloc(INSNS_AROUND + INSNS_RULE * count, sizeof(*p));
	if (!p)
		return ctn_fail(err, ENOMEM, "devices: no memory for the program");
	p[n++] = insn(load, 2, 1, offsetof(struct bpf_cgroup_dev_ctx, access_type), 0);
	p[n++] = insn(load, 3, 1, offsetof(struct bpf_cgroup_dev_ctx, major), 0);
	p[n++] = insn(load, 4, 1, offsetof(struct bpf_cgroup_dev_ctx, minor), 0);
	p[n++] = insn(BPF_ALU64 | BPF_MOV | BPF_X, 5, 2, 0, 0);
	p[n++] = insn(BPF_ALU64 | BPF_RSH | BPF_K, 5, 0, 0, 16);
	p[n++] = insn(BPF_ALU64 | BPF_AND | BPF_K, 2, 0, 0, 0xffff);
	p[n++] = insn(BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, 1);
	for (size_t i = 0; i < count; i++) {
		unsigned access = whole_access(list, count, i);

		if (access)
			n += rule_write(p + n, &list[i], access);
		if (access && is_everything(&list[i], access))
			goto done; /* what cannot be reached the kernel refuses */
	}
	p[n++] = insn(BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, 0);
	p[n++] = insn(BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
done:
	*ret = p;
	return n;
}

/* The union is zeroed whole: the kernel refuses unknown trailing bytes that are not zero. */
static int bpf(int command, union bpf_attr *attr)
{
	return (int)syscall(SYS_bpf, command, attr, sizeof(*attr));
}

static const char program_name[] = "ctnfs_devices";

int cgroup_devices_load(const struct cgroup_device *list, size_t n, struct ctn_err *err)
{
	static const char license[] = "Apache-2.0";
	ctn_autofree struct bpf_insn *program = NULL;
	union bpf_attr attr;
	int fd, len = cgroup_devices_program(list, n, &program, err);

	if (len < 0)
		return len;
	memset(&attr, 0, sizeof(attr));
	attr.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
	attr.insn_cnt = (unsigned)len;
	attr.insns = (uint64_t)(uintptr_t)program;
	attr.license = (uint64_t)(uintptr_t)license;
	memcpy(attr.prog_name, program_name, sizeof(program_name));
	fd = bpf(BPF_PROG_LOAD, &attr); /* the kernel opens it close-on-exec */
	return fd < 0 ? ctn_fail_errno(err, "load the device program") : fd;
}

static bool is_ours(int prog)
{
	struct bpf_prog_info info;
	union bpf_attr attr;

	memset(&info, 0, sizeof(info));
	memset(&attr, 0, sizeof(attr));
	attr.info.bpf_fd = (unsigned)prog;
	attr.info.info_len = sizeof(info);
	attr.info.info = (uint64_t)(uintptr_t)&info;
	return bpf(BPF_OBJ_GET_INFO_BY_FD, &attr) == 0 && strcmp(info.name, program_name) == 0;
}

enum { PROGRAMS_MAX = 64 }; /* that the kernel lets be attached to one directory */

/* Our program on the directory itself, among what a manager may have added. Return: a descriptor,
 * or -1 where there is none. */
static int attached_program(int dirfd)
{
	uint32_t ids[PROGRAMS_MAX] = {0};
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.query.target_fd = (unsigned)dirfd;
	attr.query.attach_type = BPF_CGROUP_DEVICE;
	attr.query.prog_ids = (uint64_t)(uintptr_t)ids;
	attr.query.prog_cnt = PROGRAMS_MAX;
	if (bpf(BPF_PROG_QUERY, &attr) < 0)
		return -1;
	for (uint32_t i = 0; i < attr.query.prog_cnt && i < PROGRAMS_MAX; i++) {
		ctn_autoclose int fd = -1;
		union bpf_attr get;

		memset(&get, 0, sizeof(get));
		get.prog_id = ids[i];
		fd = bpf(BPF_PROG_GET_FD_BY_ID, &get);
		if (fd >= 0 && is_ours(fd))
			return ctn_take_fd(fd);
	}
	return -1;
}

/* One step for the kernel: there is no moment without a program. */
static int attach(int dirfd, int prog, int old, struct ctn_err *err)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.target_fd = (unsigned)dirfd;
	attr.attach_bpf_fd = (unsigned)prog;
	attr.attach_type = BPF_CGROUP_DEVICE;
	/* So that a manager inside can only add restrictions, never replace this one. */
	attr.attach_flags = BPF_F_ALLOW_MULTI;
	if (old >= 0) {
		attr.attach_flags |= BPF_F_REPLACE;
		attr.replace_bpf_fd = (unsigned)old;
	}
	if (bpf(BPF_PROG_ATTACH, &attr) < 0)
		return ctn_fail_errno(err, "attach the device program");
	return 0;
}

int cgroup_devices_attach(int dirfd, int prog, bool replace, struct ctn_err *err)
{
	ctn_autoclose int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ctn_autoclose int old = -1;

	if (fd < 0)
		return ctn_fail_errno(err, "open a control group");
	old = attached_program(fd);
	return old >= 0 && !replace ? 0 : attach(fd, prog, old, err);
}

int cgroup_leaf_set_devices(const struct cgroup_leaf *leaf, const struct cgroup_device *list,
			    size_t n, struct ctn_err *err)
{
	ctn_autoclose int prog = -1, fd = -1;
	int r = cgroup_leaf_fd(leaf, CG_DEVICES, &fd, err);

	if (r < 0)
		return r;
	if (leaf->version == 1)
		return cgroup_devices_v1(fd, list, n, err);
	prog = cgroup_devices_load(list, n, err);
	return prog < 0 ? prog : cgroup_devices_attach(fd, prog, true, err);
}
