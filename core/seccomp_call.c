/* SPDX-License-Identifier: Apache-2.0 */
/* A call that was made, for people. */
#include "seccomp.h"

#include <linux/audit.h>
#include <string.h>

#include "cleanup.h"
#include "seccomp_rules.h"

/* What else is in the registers at such a call means nothing. The calls that docker's profile
 * denies by itself or without a capability, and a few that users take away. */
/* clang-format off */
static const struct {
	const char *name;
	size_t args;
} known[] = {
	{"acct", 1}, {"add_key", 5}, {"adjtimex", 1}, {"bpf", 3}, {"chmod", 2}, {"chown", 3}, {"chroot", 1},
	{"clock_adjtime", 2}, {"clock_settime", 2}, {"clone", 5}, {"clone3", 2}, {"connect", 3},
	{"create_module", 2}, {"delete_module", 2}, {"fanotify_init", 2}, {"fanotify_mark", 5},
	{"fchmod", 2}, {"fchmodat", 3}, {"fchown", 3}, {"fchownat", 5}, {"finit_module", 3},
	{"fsconfig", 5}, {"fsmount", 3}, {"fsopen", 2}, {"fspick", 3}, {"get_kernel_syms", 1},
	{"get_mempolicy", 5}, {"getpgid", 1}, {"getppid", 0}, {"getpriority", 2}, {"getsid", 1},
	{"init_module", 3}, {"io_uring_enter", 6}, {"io_uring_register", 4}, {"io_uring_setup", 2},
	{"ioctl", 3}, {"ioperm", 3}, {"iopl", 1}, {"kcmp", 5}, {"kexec_file_load", 5},
	{"kexec_load", 4}, {"keyctl", 5}, {"kill", 2}, {"link", 2}, {"linkat", 5},
	{"lookup_dcookie", 3}, {"mbind", 6}, {"memfd_create", 2}, {"migrate_pages", 4}, {"mkdir", 2},
	{"mkdirat", 3}, {"mknod", 3}, {"mknodat", 4}, {"mlock", 2}, {"mount", 5},
	{"mount_setattr", 5}, {"move_mount", 5}, {"move_pages", 6}, {"name_to_handle_at", 5},
	{"nice", 1}, {"open_by_handle_at", 3}, {"open_tree", 3}, {"perf_event_open", 5},
	{"personality", 1}, {"pidfd_getfd", 3}, {"pivot_root", 2}, {"process_madvise", 5},
	{"process_vm_readv", 6}, {"process_vm_writev", 6}, {"ptrace", 4}, {"query_module", 5},
	{"quotactl", 4}, {"quotactl_fd", 4}, {"reboot", 4}, {"rename", 2}, {"renameat", 4},
	{"renameat2", 5}, {"request_key", 4}, {"sched_setattr", 3}, {"sched_yield", 0},
	{"seccomp", 3}, {"set_mempolicy", 3}, {"setdomainname", 2}, {"setgid", 1}, {"sethostname", 2},
	{"setns", 2}, {"setpriority", 3}, {"settimeofday", 2}, {"setuid", 1}, {"setxattr", 5},
	{"socket", 3}, {"socketcall", 2}, {"stime", 1}, {"swapoff", 1}, {"swapon", 2}, {"sysfs", 3},
	{"syslog", 3}, {"umount", 1}, {"umount2", 2}, {"unlink", 1}, {"unlinkat", 3}, {"unshare", 1},
	{"uselib", 1}, {"userfaultfd", 1}, {"ustat", 2}, {"vhangup", 0}, {"vm86", 2}, {"vmsplice", 4},
};
/* clang-format on */

static const char *const prefixes[SECCOMP_ABIS] = {
	[SECCOMP_X86_64] = "", [SECCOMP_I386] = "i386:", [SECCOMP_X32] = "x32:"};

static size_t count_args(const char *name)
{
	for (size_t i = 0; i < CTN_COUNT(known); i++) {
		if (strcmp(known[i].name, name) == 0)
			return known[i].args;
	}
	return SECCOMP_ARGS;
}

size_t seccomp_call(uint32_t arch, int nr, char ret[SECCOMP_CALL_LEN])
{
	enum seccomp_abi abi = SECCOMP_I386;
	char name[SECCOMP_NAME_LEN];

	if (arch != AUDIT_ARCH_I386 && arch != AUDIT_ARCH_X86_64) {
		snprintf(ret, SECCOMP_CALL_LEN, "%#x:%d", arch, nr);
		return SECCOMP_ARGS;
	}
	if (arch == AUDIT_ARCH_X86_64)
		abi = nr >= SECCOMP_X32_BIT ? SECCOMP_X32 : SECCOMP_X86_64;
	if (abi == SECCOMP_X32)
		nr &= ~SECCOMP_X32_BIT;
	if (!seccomp_name(abi, nr, name)) {
		snprintf(ret, SECCOMP_CALL_LEN, "%s%d", prefixes[abi], nr);
		return SECCOMP_ARGS;
	}
	snprintf(ret, SECCOMP_CALL_LEN, "%s%s", prefixes[abi], name);
	return count_args(name);
}
