/* SPDX-License-Identifier: Apache-2.0 */
/* From the plan to a running first process: clone3, id maps, mounts. */
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../cleanup.h"
#include "../io.h"
#include "enter.h"
#include "joins.h"
#include "rights.h"
#include "spawn.h"

int setns(int fd, int nstype); /* <sched.h> and <linux/sched.h> do not go together */

/* Without a mount namespace of its own the container is in the host's, not in the server's. */
static int enter_host_mounts(const struct plan *p, struct ctn_err *err)
{
	if (!plan_has_ns(p, CLONE_NEWNS) && !plan_joins(p, CLONE_NEWNS) &&
	    setns(p->host_mnt_fd, CLONE_NEWNS) < 0)
		return ctn_fail_errno(err, "enter the host's mount namespace");
	return 0;
}

static pid_t clone_stage(const struct plan *p, struct joined *ret, struct ctn_err *err)
{
	struct clone_args args = {
		/* The cgroup namespace is made by the stage, once it is in its cgroup; the time
		 * namespace, once its offsets are set. */
		.flags = (p->msg->ns_new & ~(uint64_t)(CLONE_NEWCGROUP | CLONE_NEWTIME)) |
			 CLONE_PIDFD,
		.pidfd = (uintptr_t)&ret->pidfd,
		.exit_signal = SIGCHLD,
	};
	long pid;

	if (p->msg->flags & WIRE_CLONE_INTO) {
		args.flags |= CLONE_INTO_CGROUP;
		args.cgroup = (uint64_t)p->attach_fds[0];
	}
	if (p->msg->ns_join)
		return joins_clone(p, &args, ret, err);
	pid = syscall(SYS_clone3, &args, sizeof(args));
	if (pid < 0 && errno == EPERM && plan_has_ns(p, CLONE_NEWUSER))
		return (pid_t)ctn_fail_errno(
			err, "make the container's first process (in a chroot the kernel gives no "
			     "user namespace)");
	if (pid < 0)
		return (pid_t)ctn_fail_errno(err, "make the container's first process");
	return (pid_t)pid;
}

static int map_write(int procfd, const char *file, const struct wire_map *map, uint32_t n,
		     struct ctn_err *err)
{
	enum { EXTENT_MAX = 3 * 11 };
	ctn_autofree char *text = malloc(n * EXTENT_MAX + 1);
	size_t len = 0;

	if (!text)
		return ctn_fail(err, ENOMEM, "no memory for %s", file);
	text[0] = '\0';
	for (uint32_t i = 0; i < n; i++)
		len += (size_t)snprintf(text + len, EXTENT_MAX + 1, "%u %u %u\n", map[i].inside,
					map[i].outside, map[i].count);
	return io_write_at(procfd, file, text, err);
}

static int map_ids(const struct plan *p, int procfd, struct ctn_err *err)
{
	int r = map_write(procfd, "uid_map", p->uid_map, p->msg->uid_map.count, err);

	return r < 0 ? r : map_write(procfd, "gid_map", p->gid_map, p->msg->gid_map.count, err);
}

static int equip_mounts(const struct plan *p, const struct joined *joined, int userns, int go,
			struct ctn_err *err)
{
	struct mounts m = {0};
	int r = mounts_init(p, &m, err);

	if (r < 0)
		return r;
	if (plan_has_ns(p, CLONE_NEWNS))
		r = mounts_prepare(p, userns, &m, err);
	if (joined->proc >= 0)
		m.proc = joined->proc;
	if (joined->sys >= 0)
		m.sys = joined->sys;
	if (r == 0)
		r = mounts_send(go, &m, err);
	mounts_free(&m); /* all are in flight or of no more use */
	return r;
}

/* What the host's rights are needed for, while the stage waits. */
static int equip_stage(const struct plan *p, const struct joined *joined, int procfd, int go,
		       struct ctn_err *err)
{
	ctn_autoclose int userns = -1;
	int r = 0;

	if (plan_has_ns(p, CLONE_NEWUSER)) {
		r = map_ids(p, procfd, err);
		if (r < 0)
			return r;
		userns = openat(procfd, "ns/user", O_RDONLY | O_CLOEXEC);
		if (userns < 0)
			return ctn_fail_errno(err, "open the user namespace");
	} else if (plan_joins(p, CLONE_NEWUSER)) {
		userns = fcntl(joins_fd(p, CLONE_NEWUSER), F_DUPFD_CLOEXEC, 0);
	}
	r = rights_after(p, joined->pid, procfd, go, err);
	return r < 0 ? r : equip_mounts(p, joined, userns, go, err);
}

/* Field 22 of /proc/PID/stat; the name before it may hold anything, so count from its last
 * parenthesis. */
static uint64_t start_ticks(int procfd)
{
	ctn_autofree char *text = NULL;
	const char *p;
	int field = 2;

	if (io_read_at(procfd, "stat", 4096, &text, NULL, NULL) < 0)
		return 0;
	p = strrchr(text, ')');
	for (; p && *p && field < 22; p++)
		field += *p == ' ';
	return p ? strtoull(p, NULL, 10) : 0;
}

/* @s has its pid and pidfd: note when it began, which tells it from others. */
static int identify(struct spawned *s, int *ret_procfd, struct ctn_err *err)
{
	char path[32];
	int procfd;

	fcntl(s->pidfd, F_SETFD, FD_CLOEXEC);
	snprintf(path, sizeof(path), "/proc/%d", s->pid);
	procfd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (procfd < 0)
		return ctn_fail_errno(err, "open %s", path);
	s->start = start_ticks(procfd);
	*ret_procfd = procfd;
	return 0;
}

/* In a container that runs: nothing is to be prepared for it. */
static int spawn_enter(const struct plan *p, struct spawned *s, const int report[2],
		       struct ctn_err *err)
{
	const int keep[] = {s->io.child_in, s->io.child_out, s->io.child_err, report[1]};
	ctn_autoclose int procfd = -1;
	pid_t pid = enter_clone(p, p->join_fds[0], keep, CTN_COUNT(keep), &s->pidfd, err);

	if (pid == 0)
		enter_run(p, &s->io, 0, report[1]);
	if (pid < 0)
		return pid;
	s->pid = pid;
	return identify(s, &procfd, err);
}

static int spawn_stage(const struct plan *p, struct spawned *s, const int go[2],
		       const int report[2], struct ctn_err *err)
{
	struct joined joined = {.pidfd = -1, .proc = -1, .sys = -1};
	ctn_autoclose int procfd = -1;
	int r;

	s->pid = clone_stage(p, &joined, err);
	if (s->pid < 0)
		return s->pid;
	joined.pid = s->pid;
	s->pidfd = joined.pidfd;
	if (s->pid == 0) {
		close(go[0]);
		stage_run(p, &s->io, go[1], report[1]);
	}
	r = identify(s, &procfd, err);
	return r < 0 ? r : equip_stage(p, &joined, procfd, go[0], err);
}

int spawn(const struct plan *p, struct spawned *ret, struct ctn_err *err)
{
	int go[2] = {-1, -1}, report[2] = {-1, -1};
	const bool tty = p->msg->flags & WIRE_TTY;
	int r = rights_before(p, err);

	if (r == 0)
		r = enter_host_mounts(p, err);
	if (r == 0 && !tty)
		r = stdio_open(p, &ret->io, err);
	if (r < 0)
		return r;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, go) < 0 ||
	    pipe2(report, O_CLOEXEC | O_NONBLOCK) < 0)
		return ctn_fail_errno(err, "make the stage's channels");
	r = p->msg->flags & WIRE_ENTER ? spawn_enter(p, ret, report, err)
				       : spawn_stage(p, ret, go, report, err);
	/* The stage's ends are its own now; an early end of it shows as end of file here. */
	close(go[1]);
	close(report[1]);
	if (r == 0 && tty)
		r = terminal_receive(go[0], &ret->io, err);
	if (p->msg->flags & WIRE_PARK)
		ret->go = go[0];
	else
		close(go[0]);
	ctn_close_fd(&ret->io.child_in);
	ctn_close_fd(&ret->io.child_out);
	ctn_close_fd(&ret->io.child_err);
	ret->io.child_in = ret->io.child_out = ret->io.child_err = -1;
	ret->report = report[0];
	return r;
}

void spawn_undo(struct spawned *s)
{
	int *const fds[] = {&s->pidfd,	     &s->report,       &s->go,
			    &s->io.child_in, &s->io.child_out, &s->io.child_err,
			    &s->io.in,	     &s->io.out,       &s->io.err};

	if (s->pid > 0) {
		(void)kill(s->pid, SIGKILL); /* our own unreaped child: the pid is still its */
		(void)waitpid(s->pid, NULL, 0);
	}
	s->pid = 0;
	for (size_t i = 0; i < CTN_COUNT(fds); i++) {
		ctn_close_fd(fds[i]);
		*fds[i] = -1;
	}
}

int spawn_adopt(const struct plan *p, struct spawned *ret, struct ctn_err *err)
{
	ctn_autoclose int procfd = -1;
	char path[32];
	int r = 0;

	if (!(p->msg->flags & WIRE_TTY))
		r = stdio_adopt(p, &ret->io, err);
	else if (p->tty_fd >= 0) /* the server has held it */
		r = terminal_keep(p->tty_fd, &ret->io, err);
	if (r < 0)
		return r;
	snprintf(path, sizeof(path), "/proc/%d", p->msg->adopt_pid);
	procfd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	ret->pidfd = (int)syscall(SYS_pidfd_open, p->msg->adopt_pid, 0);
	/* The start time, read after the pidfd was opened, tells a recycled pid. */
	if (procfd < 0 || ret->pidfd < 0 || start_ticks(procfd) != p->msg->adopt_start)
		return ctn_fail(err, ESRCH, "its first process has ended");
	ret->pid = p->msg->adopt_pid;
	ret->start = p->msg->adopt_start;
	return 0;
}
