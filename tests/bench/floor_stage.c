/* SPDX-License-Identifier: Apache-2.0 */
/* The first process. It shares our descriptors until close_range. */
#include <errno.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <linux/keyctl.h>
#include <linux/mount.h>
#include <linux/seccomp.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "bench.h"
#include "caps.h"
#include "floor.h"

static const char *const masked[] = {
	"proc/acpi",
	"proc/asound",
	"proc/interrupts",
	"proc/kcore",
	"proc/keys",
	"proc/latency_stats",
	"proc/sched_debug",
	"proc/scsi",
	"proc/timer_list",
	"proc/timer_stats",
	"sys/devices/virtual/powercap",
	"sys/firmware",
	"sys/fs/selinux",
	"sys/kernel/debug",
	"sys/kernel/tracing",
	"sys/kernel/security",
	"sys/fs/pstore",
};

static const char *const read_only[] = {
	"proc/bus", "proc/fs", "proc/irq", "proc/sys", "proc/sysrq-trigger",
};

static void move_to(int mount, int root, const char *path)
{
	BENCH_TRY(path, move_mount(mount, "", root, path, MOVE_MOUNT_F_EMPTY_PATH));
}

static void kernel_fs(int root, const char *type, const char *path, unsigned attr)
{
	int fs = BENCH_TRY(type, fsopen(type, FSOPEN_CLOEXEC)), fd;

	if (strcmp(type, "devpts") == 0) {
		BENCH_TRY(type, fsconfig(fs, FSCONFIG_SET_FLAG, "newinstance", NULL, 0));
		BENCH_TRY(type, fsconfig(fs, FSCONFIG_SET_STRING, "ptmxmode", "0666", 0));
		BENCH_TRY(type, fsconfig(fs, FSCONFIG_SET_STRING, "mode", "0620", 0));
		BENCH_TRY(type, fsconfig(fs, FSCONFIG_SET_STRING, "gid", "5", 0));
	}
	BENCH_TRY(type, fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0));
	fd = BENCH_TRY(type, fsmount(fs, FSMOUNT_CLOEXEC, attr));
	close(fs);
	move_to(fd, root, path);
	close(fd);
}

static int part_clone(int tmpfs, const char *part, unsigned attr)
{
	struct mount_attr set = {.attr_set = attr};
	int fd = BENCH_TRY(part, open_tree(tmpfs, part, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));

	BENCH_TRY(part, mount_setattr(fd, "", AT_EMPTY_PATH, &set, sizeof(set)));
	return fd;
}

static void dev_mount(const struct floor_life *life)
{
	static const struct {
		const char *part, *path;
		unsigned attr;
	} parts[] = {
		{"dev", "dev", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC},
		{"shm", "dev/shm", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV},
		{"tmp", "tmp", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV},
		{"run", "run", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV},
		{"hostname", "etc/hostname",
		 MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC},
	};

	/* Parts are cloned of an attached mount: on the old /dev, which goes with the old root. */
	move_to(life->tmpfs, AT_FDCWD, "/dev");
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		int fd = part_clone(life->tmpfs, parts[i].part, parts[i].attr);

		move_to(fd, life->root, parts[i].path);
		close(fd);
	}
	kernel_fs(life->root, "devpts", "dev/pts", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC);
	kernel_fs(life->root, "mqueue", "dev/mqueue",
		  MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
}

static void restrict_paths(const struct floor_life *life)
{
	struct mount_attr set = {.attr_set = MOUNT_ATTR_RDONLY};
	unsigned attr = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
			MOUNT_ATTR_NOEXEC;
	struct stat st;
	int fd;

	for (size_t i = 0; i < sizeof(read_only) / sizeof(read_only[0]); i++) {
		fd = open_tree(life->root, read_only[i],
			       OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
		if (fd < 0 && errno == ENOENT)
			continue;
		BENCH_TRY(read_only[i], fd);
		BENCH_TRY(read_only[i], mount_setattr(fd, "", AT_EMPTY_PATH, &set, sizeof(set)));
		move_to(fd, life->root, read_only[i]);
		close(fd);
	}
	for (size_t i = 0; i < sizeof(masked) / sizeof(masked[0]); i++) {
		if (fstatat(life->root, masked[i], &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		fd = part_clone(life->tmpfs, S_ISDIR(st.st_mode) ? "mask-dir" : "mask-file", attr);
		move_to(fd, life->root, masked[i]);
		close(fd);
	}
}

static void root_mount(const struct floor_life *life)
{
	unsigned attr = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;

	BENCH_TRY("private", mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
	move_to(life->root, AT_FDCWD, "/");
	for (int i = 0; i < FLOOR_BINDS && floor_binds[i]; i++)
		move_to(life->binds[i], life->root, floor_binds[i] + 1);
	kernel_fs(life->root, "proc", "proc", attr);
	kernel_fs(life->root, "sysfs", "sys", attr | MOUNT_ATTR_RDONLY);
	dev_mount(life);
	restrict_paths(life);
	/* Closed elsewhere it would wait for a grace period of RCU. */
	if (life->lower >= 0)
		move_to(life->lower, AT_FDCWD, "/dev");
	BENCH_TRY("root", fchdir(life->root));
	BENCH_TRY("pivot_root", syscall(SYS_pivot_root, ".", "."));
	BENCH_TRY("old root", umount2(".", MNT_DETACH));
	BENCH_TRY("chdir", chdir("/"));
}

static void host_make(void)
{
	struct ifreq req = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
	int fd = BENCH_TRY("socket", socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));

	BENCH_TRY("loopback", ioctl(fd, SIOCSIFFLAGS, &req));
	close(fd);
	BENCH_TRY("hostname", sethostname("floor", 5));
	fd = BENCH_TRY("hostname", open("/etc/hostname", O_WRONLY | O_CLOEXEC));
	BENCH_TRY("hostname", write(fd, "floor\n", 6));
	close(fd);
}

static void process_make(void)
{
	struct rlimit files;

	BENCH_TRY("keyring", syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL));
	BENCH_TRY("limits", getrlimit(RLIMIT_NOFILE, &files));
	files.rlim_cur = files.rlim_max < 1024 ? files.rlim_max : 1024;
	BENCH_TRY("limits", setrlimit(RLIMIT_NOFILE, &files));
	umask(022);
	for (int sig = 1; sig < NSIG; sig++)
		(void)signal(sig, SIG_DFL);
}

static void rights_drop(const struct floor *f)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {
		{.permitted = (uint32_t)CAPS_DEFAULT, .effective = (uint32_t)CAPS_DEFAULT},
	};

	for (unsigned cap = 0; cap <= CAP_LAST_CAP; cap++) {
		if (!(CAPS_DEFAULT & UINT64_C(1) << cap))
			BENCH_TRY("bounding set", prctl(PR_CAPBSET_DROP, cap));
	}
	BENCH_TRY("ambient set", prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0));
	BENCH_TRY("capabilities", syscall(SYS_capset, &head, data));
	BENCH_TRY("no_new_privs", prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	BENCH_TRY("filter", syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &f->filter));
}

void floor_stage(const struct floor *f, struct floor_life *life)
{
	static char *const envp[] = {
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root",
		NULL};

	floor_group_attach(f);
	BENCH_TRY("cgroup namespace", unshare(CLONE_NEWCGROUP));
	/* The descriptors are ours, too; their numbers come with the word that all is ready. */
	BENCH_TRY("wait for the mounts", read(life->go[0], life, sizeof(*life)));
	BENCH_TRY("groups", syscall(SYS_setgroups, 0, NULL));
	BENCH_TRY("gid", setresgid(0, 0, 0));
	BENCH_TRY("uid", setresuid(0, 0, 0));
	root_mount(life);
	host_make();
	process_make();
	BENCH_TRY("close_range",
		  syscall(SYS_close_range, 3, ~0U, CLOSE_RANGE_UNSHARE | CLOSE_RANGE_CLOEXEC));
	(void)setsid();
	BENCH_TRY("output", dup2(life->out, STDOUT_FILENO));
	rights_drop(f);
	execve(life->argv[0], life->argv, envp);
	fprintf(stderr, "floor: %s: %m\n", life->argv[0]);
	_exit(127);
}
