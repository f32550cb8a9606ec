/* SPDX-License-Identifier: Apache-2.0 */
/* The stage: the container's first process before it becomes the user's program. */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../cleanup.h"
#include "../io.h"
#include "joins.h"
#include "monitor.h"

/* cgroup v1: a single-threaded process that writes "0" moves itself without waiting for an RCU
 * grace period, as its parent would. */
static int stage_cgroups(struct stage *s, struct ctn_err *err)
{
	const struct wire_start *m = s->plan->msg;

	if (m->flags & WIRE_CLONE_INTO)
		return 0;
	for (uint32_t i = 0; i < m->n_attach; i++) {
		int r = io_write_all(s->plan->attach_fds[i], "0", 1);

		if (r < 0)
			return ctn_fail(err, -r, "attach to cgroup %u of %u", i + 1, m->n_attach);
	}
	return 0;
}

/* After attaching: made earlier, its root would be the server's cgroup. */
static int stage_cgroup_ns(struct stage *s, struct ctn_err *err)
{
	int r = stage_cgroup_look(s, err);

	if (r < 0)
		return r;
	if (plan_has_ns(s->plan, CLONE_NEWCGROUP) && unshare(CLONE_NEWCGROUP) < 0)
		return ctn_fail_errno(err, "make a cgroup namespace");
	if (plan_joins(s->plan, CLONE_NEWCGROUP) &&
	    setns(joins_fd(s->plan, CLONE_NEWCGROUP), CLONE_NEWCGROUP) < 0)
		return ctn_fail_errno(err, "join the cgroup namespace");
	return 0;
}

/* The monitor sets the scheduler when it has heard that we are in our cgroups. */
static int stage_scheduler(struct stage *s, struct ctn_err *err)
{
	ssize_t n;

	if (!(s->plan->msg->flags & WIRE_SCHEDULER))
		return 0;
	n = wire_send(s->go, "", 1, NULL, 0);
	return n < 0 ? ctn_fail(err, (int)-n, "ask for the scheduler") : 0;
}

/* Its clocks can be set as long as nobody is in it, by the host's root (whose number we still
 * have), in our own /proc (which is still there). */
static int stage_time(struct stage *s, struct ctn_err *err)
{
	static const char *const clocks[] = {"monotonic", "boottime"};
	static const uint32_t given[] = {WIRE_MONOTONIC, WIRE_BOOTTIME};
	const struct wire_start *m = s->plan->msg;
	ctn_autoclose int ns = -1;
	char line[64];

	if (!plan_has_ns(s->plan, CLONE_NEWTIME))
		return 0;
	if (unshare(CLONE_NEWTIME) < 0)
		return errno == EINVAL
			       ? ctn_fail(err, EOPNOTSUPP, "this kernel has no time namespaces")
			       : ctn_fail_errno(err, "make a time namespace");
	for (size_t i = 0; i < CTN_COUNT(given); i++) {
		const struct wire_offset *o = &m->offsets[i];

		if (!(m->flags & given[i]))
			continue;
		snprintf(line, sizeof(line), "%s %lld %u", clocks[i], (long long)o->secs,
			 o->nanosecs);
		if (io_write_at(AT_FDCWD, "/proc/self/timens_offsets", line, err) < 0)
			return ctn_fail_context(err, "set the clock to '%s'", line);
	}
	ns = open("/proc/self/ns/time_for_children", O_RDONLY | O_CLOEXEC);
	if (ns < 0 || setns(ns, CLONE_NEWTIME) < 0)
		return ctn_fail_errno(err, "enter the time namespace");
	return 0;
}

/* A file of the overlay @root itself: not one that is mounted there, nor in a directory that is,
 * nor what a link leads to. */
static int hostname_open(int root, int flags)
{
	const struct open_how how = {
		.flags = (uint64_t)flags | (flags & O_PATH ? 0 : O_NONBLOCK) | O_CLOEXEC,
		.mode = flags & O_CREAT ? 0644 : 0,
		.resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV,
	};

	return (int)syscall(SYS_openat2, root, "etc/hostname", &how, sizeof(how));
}

/* A directory that is used as it is stays the user's. */
static bool has_hostname_file(const struct stage *s)
{
	return plan_has_ns(s->plan, CLONE_NEWUTS) && plan_has_ns(s->plan, CLONE_NEWNS) &&
	       !(s->plan->msg->flags & (WIRE_ROOT_RO | WIRE_ROOT_RW)) &&
	       !plan_mount_at(s->plan, "/etc/hostname");
}

/* The layer need not be touched where there is a file to mount one of ours on; the skeleton has
 * one. */
static int stage_hostname_file(struct stage *s, struct ctn_err *err)
{
	const unsigned attr = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
	ctn_autoclose int at = -1, fd = -1;
	struct stat st;
	int r;

	if (!has_hostname_file(s))
		return 0;
	at = hostname_open(s->mounts.root, O_PATH);
	if (at < 0 || fstat(at, &st) < 0 || !S_ISREG(st.st_mode))
		return 0;
	r = stage_tmpfs_part(s, "hostname", attr, &fd, err);
	if (r < 0)
		return r;
	s->hostname = openat(s->mounts.tmpfs, "hostname", O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
	if (s->hostname < 0 ||
	    move_mount(fd, "", at, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
		return ctn_fail_errno(err, "mount on /etc/hostname");
	return 0;
}

/* After pivot_root, in the root directory. What is there is the container's own, and its layer, or
 * a root file system of the user's, may have made it anything. */
static int write_hostname(const char *name)
{
	ctn_autoclose int old = hostname_open(AT_FDCWD, O_RDONLY), fd = -1;
	char text[128] = "";
	size_t len = strlen(name);
	mode_t mask;

	if (old >= 0 && read(old, text, sizeof(text) - 1) == (ssize_t)len + 1 &&
	    memcmp(text, name, len) == 0 && text[len] == '\n')
		return 0;  /* it is in the layer already: leave that alone */
	mask = umask(022); /* users read it, too */
	fd = hostname_open(AT_FDCWD, O_WRONLY | O_CREAT | O_TRUNC);
	umask(mask);
	if (fd >= 0)
		(void)dprintf(fd, "%s\n", name);
	return 0;
}

static int stage_hostname(struct stage *s, struct ctn_err *err)
{
	const char *name = s->plan->hostname, *domain = s->plan->domainname;

	if (!plan_has_ns(s->plan, CLONE_NEWUTS))
		return 0;
	if (sethostname(name, strlen(name)) < 0)
		return ctn_fail_errno(err, "set the host name '%s'", name);
	if (domain[0] && setdomainname(domain, strlen(domain)) < 0)
		return ctn_fail_errno(err, "set the domain name '%s'", domain);
	if (s->hostname >= 0)
		return dprintf(s->hostname, "%s\n", name) < 0
			       ? ctn_fail_errno(err, "write /etc/hostname")
			       : 0;
	return has_hostname_file(s) ? write_hostname(name) : 0;
}

static int stage_loopback(struct stage *s, struct ctn_err *err)
{
	struct ifreq req = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
	ctn_autoclose int sock = -1;

	if (!plan_has_ns(s->plan, CLONE_NEWNET))
		return 0;
	sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (sock < 0 || ioctl(sock, SIOCSIFFLAGS, &req) < 0)
		return ctn_fail_errno(err, "bring the loopback interface up");
	return 0;
}

enum { WITH_MOUNT_NS = 1, WITH_USER_NS = 2, PARKED = 4, NOT_PARKED = 8 };

/* In this order. A failing step's name is in front of its sentence. Before it parks, a stage that
 * is prepared has done all that does not depend on what the start message may still change
 * (park.c); it is in no cgroup of the container's until then, unless it was born there. */
static const struct {
	const char *name;
	int (*run)(struct stage *s, struct ctn_err *err);
	unsigned needs;
} steps[] = {
	{"cgroups", stage_cgroups, NOT_PARKED},
	{"cgroup namespace", stage_cgroup_ns, NOT_PARKED},
	{"time namespace", stage_time, 0},
	{"scheduler", stage_scheduler, 0},
	{"root", stage_root, 0},	    /* waits for the parent */
	{"sysctl", stage_sysctls_early, 0}, /* while we have the host's ids … */
	{"keyring", stage_keyring, 0},	    /* while it counts against nobody's few */
	{"ids", stage_ids, WITH_USER_NS},
	{"sysctl", stage_sysctls, 0}, /* … and its /proc */
	{"binds", stage_binds, WITH_MOUNT_NS},
	{"proc", stage_proc,
	 WITH_MOUNT_NS}, /* while the host's is visible: later the kernel refuses */
	{"sys", stage_sys, WITH_MOUNT_NS},
	{"dev", stage_dev, WITH_MOUNT_NS},
	{"hostname", stage_hostname_file, WITH_MOUNT_NS},
	{"mounts", stage_mount_list, WITH_MOUNT_NS},
	{"readonly paths", stage_readonly, WITH_MOUNT_NS},
	{"masked paths", stage_masks, WITH_MOUNT_NS},
	{"pivot", stage_pivot, WITH_MOUNT_NS},
	{"loopback", stage_loopback, 0},
	{"signals", stage_signals, 0},
	{"park", stage_park, PARKED},
	{"cgroups", stage_cgroups, PARKED},
	{"cgroup namespace", stage_cgroup_ns, PARKED},
	{"hostname", stage_hostname, 0},
	{"terminal", stage_terminal, 0},
	{"streams", stage_streams, 0},
	{"descriptors", stage_close, 0},
	{"limits", stage_limits, 0},
	{"personality", stage_personality, 0},
	{"bounding set", stage_bounding, 0},
	{"seccomp", stage_filter_early, 0},
	{"user", stage_user, 0},
	{"hiding", stage_hide, 0},
	{"capabilities", stage_caps, 0},
	{"cwd", stage_cwd, 0},
	{"seccomp", stage_filter, 0},
	{"exec", stage_exec, 0},
};

void stage_run(const struct plan *p, const struct stdio *io, int go, int report_fd)
{
	struct stage s = {.plan = p,
			  .io = io,
			  .go = go,
			  .report = report_fd,
			  .hostname = -1,
			  .terminal = -1,
			  .proc = -1,
			  .sys = -1};
	unsigned has = (plan_has_ns(p, CLONE_NEWNS) ? WITH_MOUNT_NS : 0) |
		       (plan_maps_ids(p) ? WITH_USER_NS : 0) |
		       (p->msg->flags & WIRE_PARK ? PARKED : NOT_PARKED);

	for (size_t i = 0; i < CTN_COUNT(steps); i++) {
		struct ctn_err err = {0};

		if ((steps[i].needs & has) != steps[i].needs)
			continue;
		if (steps[i].run(&s, &err) < 0) {
			stage_report(s.report, steps[i].name, &err);
			break;
		}
	}
	_exit(127);
}
