/* SPDX-License-Identifier: Apache-2.0 */
/* The devices that a container may use, for the v1 controller and as a program for v2. */
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <string.h>
#include <sys/syscall.h>

#include "cgroup_private.h"
#include "cleanup.h"
#include "io.h"

enum { ANY_MINOR = -1 };

/* Character devices; reading and writing. mknod of nothing: what /dev needs is made for the
 * container from outside, and a node that it makes itself would be one more thing to trust. */
static const struct {
	unsigned major;
	int minor;
} allowed[] = {
	{1, 3},		  {1, 5}, {1, 7}, {1, 8}, {1, 9}, /* null zero full random urandom */
	{5, 0},		  {5, 1}, {5, 2},		  /* tty console ptmx */
	{136, ANY_MINOR},				  /* pts */
};

int cgroup_devices_v1(int dirfd, struct ctn_err *err)
{
	int r = io_write_at(dirfd, "devices.deny", "a", err);

	for (size_t i = 0; r == 0 && i < CTN_COUNT(allowed); i++) {
		char line[48];

		if (allowed[i].minor == ANY_MINOR)
			snprintf(line, sizeof(line), "c %u:* rw", allowed[i].major);
		else
			snprintf(line, sizeof(line), "c %u:%d rw", allowed[i].major,
				 allowed[i].minor);
		r = io_write_at(dirfd, "devices.allow", line, err);
		if (r == -EPERM) /* not allowed to ourselves, so not ours to give */
			r = cgroup_forgive(err);
	}
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

enum { PROG_FIXED = 10, PROG_END = 3, PROG_MAX = PROG_FIXED + PROG_END + 2 * CTN_COUNT(allowed) };

/* r1 is the context {access << 16 | type, major, minor}. The result in r0: 1 allows, 0 is EPERM. */
static int program_write(struct bpf_insn p[PROG_MAX])
{
	const unsigned load = BPF_LDX | BPF_MEM | BPF_W;
	int n = 0, end = PROG_FIXED, refuse, allow;

	for (size_t i = 0; i < CTN_COUNT(allowed); i++)
		end += allowed[i].minor == ANY_MINOR ? 1 : 2;
	refuse = end;
	allow = end + 1;

	p[n++] = insn(load, 2, 1, offsetof(struct bpf_cgroup_dev_ctx, access_type), 0);
	p[n++] = insn(load, 3, 1, offsetof(struct bpf_cgroup_dev_ctx, major), 0);
	p[n++] = insn(load, 4, 1, offsetof(struct bpf_cgroup_dev_ctx, minor), 0);
	p[n++] = insn(BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, 0);
	p[n++] = insn(BPF_ALU64 | BPF_MOV | BPF_X, 5, 2, 0, 0);
	p[n++] = insn(BPF_ALU64 | BPF_AND | BPF_K, 5, 0, 0, 0xffff);
	p[n] = insn(BPF_JMP | BPF_JNE | BPF_K, 5, 0, refuse - n - 1, BPF_DEVCG_DEV_CHAR);
	n++;
	p[n++] = insn(BPF_ALU64 | BPF_RSH | BPF_K, 2, 0, 0, 16);
	p[n++] = insn(BPF_ALU64 | BPF_AND | BPF_K, 2, 0, 0, BPF_DEVCG_ACC_MKNOD);
	p[n] = insn(BPF_JMP | BPF_JNE | BPF_K, 2, 0, refuse - n - 1, 0);
	n++;
	for (size_t i = 0; i < CTN_COUNT(allowed); i++) {
		int major = (int)allowed[i].major, minor = allowed[i].minor;

		if (minor != ANY_MINOR)
			p[n++] = insn(BPF_JMP | BPF_JNE | BPF_K, 3, 0, 1, major);
		p[n] = insn(BPF_JMP | BPF_JEQ | BPF_K, minor == ANY_MINOR ? 3 : 4, 0, allow - n - 1,
			    minor == ANY_MINOR ? major : minor);
		n++;
	}
	p[n++] = insn(BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
	p[n++] = insn(BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, 1);
	p[n++] = insn(BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
	return n;
}

/* The union is zeroed whole: the kernel refuses unknown trailing bytes that are not zero. */
static int bpf(int command, union bpf_attr *attr)
{
	return (int)syscall(SYS_bpf, command, attr, sizeof(*attr));
}

int cgroup_devices_load(struct ctn_err *err)
{
	static const char license[] = "Apache-2.0";
	struct bpf_insn program[PROG_MAX];
	union bpf_attr attr;
	int fd;

	memset(&attr, 0, sizeof(attr));
	attr.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
	attr.insn_cnt = (unsigned)program_write(program);
	attr.insns = (uint64_t)(uintptr_t)program;
	attr.license = (uint64_t)(uintptr_t)license;
	memcpy(attr.prog_name, "ctnfs_devices", sizeof("ctnfs_devices"));
	fd = bpf(BPF_PROG_LOAD, &attr); /* the kernel opens it close-on-exec */
	return fd < 0 ? ctn_fail_errno(err, "load the device program") : fd;
}

/* Whether the directory itself has a device program. */
static bool has_program(int dirfd)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.query.target_fd = (unsigned)dirfd;
	attr.query.attach_type = BPF_CGROUP_DEVICE;
	/* With no room for ids the kernel only counts, and says ENOSPC or nothing. */
	return (bpf(BPF_PROG_QUERY, &attr) == 0 || errno == ENOSPC) && attr.query.prog_cnt > 0;
}

int cgroup_devices_attach(int dirfd, int prog, struct ctn_err *err)
{
	ctn_autoclose int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	union bpf_attr attr;

	if (fd < 0)
		return ctn_fail_errno(err, "open a control group");
	if (has_program(fd))
		return 0;
	memset(&attr, 0, sizeof(attr));
	attr.target_fd = (unsigned)fd;
	attr.attach_bpf_fd = (unsigned)prog;
	attr.attach_type = BPF_CGROUP_DEVICE;
	/* So that a manager inside can only add restrictions, never replace this one. */
	attr.attach_flags = BPF_F_ALLOW_MULTI;
	if (bpf(BPF_PROG_ATTACH, &attr) < 0)
		return ctn_fail_errno(err, "attach the device program");
	return 0;
}
