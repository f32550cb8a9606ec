/* SPDX-License-Identifier: Apache-2.0 */
/* The runtime-spec's words, and what the kernel or we have for them. Source: config.md,
 * config-linux.md, specs-go/config.go. */
#include <linux/sched.h>
#include <sys/mount.h>

#include "oci_private.h"

/* personality(2); its header is an enum of many more. */
enum { DOMAIN_LINUX = 0, DOMAIN_LINUX32 = 8 };

const struct oci_name oci_namespaces[] = {
	{"pid", NS_PID},   {"network", NS_NET}, {"ipc", NS_IPC},
	{"uts", NS_UTS},   {"mount", NS_MNT},	{"cgroup", NS_CGROUP},
	{"user", NS_USER}, {"time", NS_TIME},	{NULL, 0},
};

const struct oci_name oci_cap_sets[] = {
	{"effective", SPEC_CAP_EFFECTIVE},
	{"permitted", SPEC_CAP_PERMITTED},
	{"inheritable", SPEC_CAP_INHERITABLE},
	{"ambient", SPEC_CAP_AMBIENT},
	{NULL, 0},
};

/* SCHED_ISO has a number, and nothing behind it. */
const struct oci_name oci_policies[] = {
	{"SCHED_OTHER", SCHED_NORMAL},
	{"SCHED_FIFO", SCHED_FIFO},
	{"SCHED_RR", SCHED_RR},
	{"SCHED_BATCH", SCHED_BATCH},
	{"SCHED_IDLE", SCHED_IDLE},
	{"SCHED_DEADLINE", SCHED_DEADLINE},
	{NULL, 0},
};

/* Those for clamping want a value that the document has no place for. */
const struct oci_name oci_sched_flags[] = {
	{"SCHED_FLAG_RESET_ON_FORK", SCHED_FLAG_RESET_ON_FORK},
	{"SCHED_FLAG_RECLAIM", SCHED_FLAG_RECLAIM},
	{"SCHED_FLAG_DL_OVERRUN", SCHED_FLAG_DL_OVERRUN},
	{"SCHED_FLAG_KEEP_POLICY", SCHED_FLAG_KEEP_POLICY},
	{"SCHED_FLAG_KEEP_PARAMS", SCHED_FLAG_KEEP_PARAMS},
	{NULL, 0},
};

const struct oci_name oci_ioprio_classes[] = {
	{"IOPRIO_CLASS_RT", 1},
	{"IOPRIO_CLASS_BE", 2},
	{"IOPRIO_CLASS_IDLE", 3},
	{NULL, 0},
};

const struct oci_name oci_propagations[] = {
	{"shared", MS_SHARED},
	{"slave", MS_SLAVE},
	{"private", MS_PRIVATE},
	{"unbindable", MS_UNBINDABLE},
	{"rshared", MS_SHARED | MS_REC},
	{"rslave", MS_SLAVE | MS_REC},
	{"rprivate", MS_PRIVATE | MS_REC},
	{"runbindable", MS_UNBINDABLE | MS_REC},
	{NULL, 0},
};

const struct oci_name oci_personalities[] = {
	{"LINUX", DOMAIN_LINUX},
	{"LINUX32", DOMAIN_LINUX32},
	{NULL, 0},
};

const struct oci_default_mount oci_default_mounts[] = {
	{"/proc", "proc", "proc", "nosuid,noexec,nodev", NS_PID, true},
	{"/sys", "sysfs", "sysfs", "nosuid,noexec,nodev,ro", NS_NET, true},
	{"/dev", "tmpfs", "tmpfs", "nosuid,noexec,mode=755", NS_COUNT, false},
	{"/dev/pts", "devpts", "devpts", "nosuid,noexec,newinstance,ptmxmode=0666,mode=0620,gid=5",
	 NS_COUNT, false},
	{"/dev/shm", "tmpfs", "shm", "nosuid,nodev,mode=1777", NS_COUNT, false},
	{"/dev/mqueue", "mqueue", "mqueue", "nosuid,noexec,nodev", NS_IPC, false},
	{"/tmp", "tmpfs", "tmpfs", "nosuid,nodev,mode=1777", NS_COUNT, false},
	{"/run", "tmpfs", "tmpfs", "nosuid,nodev,mode=755", NS_COUNT, false},
	{NULL, NULL, NULL, NULL, NS_COUNT, false},
};

static bool is_hosts(const struct spec *spec, const struct oci_default_mount *mount)
{
	return mount->owner != NS_COUNT && spec_ns_is_host(spec, mount->owner);
}

bool oci_default_bound(const struct spec *spec, const struct oci_default_mount *mount)
{
	return is_hosts(spec, mount) && mount->bound;
}

bool oci_default_absent(const struct spec *spec, const struct oci_default_mount *mount)
{
	return is_hosts(spec, mount) && !mount->bound;
}
