/* SPDX-License-Identifier: Apache-2.0 */
/* Joining the namespaces of others. A process that has entered a user namespace cannot leave it,
 * and one that enters a pid namespace does so with its children only: a helper goes ahead, makes
 * the first process as its sibling, our child, and ends. Nothing of this can be looked into from
 * inside: these processes are not dumpable, and their memory belongs to the host's user namespace
 * until execve (CVE-2016-9962). */
#include "joins.h"

#include <errno.h>
#include <linux/mount.h>
#include <linux/nsfs.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../cleanup.h"
#include "../weaken.h"

int setns(int fd, int nstype); /* <sched.h> and <linux/sched.h> do not go together */

/* With the host's rights, so before the user namespace; the cgroup one is entered by the first
 * process itself, once it is in its cgroup. */
static const struct {
	uint64_t flag;
	const char *name;
} kinds[] = {
	{CLONE_NEWPID, "pid"}, {CLONE_NEWNET, "net"},	{CLONE_NEWUTS, "uts"},
	{CLONE_NEWIPC, "ipc"}, {CLONE_NEWTIME, "time"},
};

/* What the helper says: the first process, or why there is none. Its pidfd comes along, then those
 * of @proc and @sys that are there. */
struct reply {
	int32_t pid, code;
	bool proc, sys;
	char text[WIRE_TEXT_MAX];
};

int joins_fd(const struct plan *p, uint64_t flag)
{
	if (!plan_joins(p, flag))
		return -1;
	return p->join_fds[__builtin_popcountll(p->msg->ns_join & (flag - 1))];
}

bool joins_owned(const struct plan *p, uint64_t flag)
{
	ctn_autoclose int owner = -1;
	int user = joins_fd(p, CLONE_NEWUSER);
	struct stat a, b;

	if (!plan_joins(p, flag))
		return false;
	if (!plan_maps_ids(p))
		return true; /* the host's root has rights everywhere */
	if (user < 0)
		return false;
	owner = ioctl(joins_fd(p, flag), NS_GET_USERNS);
	return owner >= 0 && fstat(owner, &a) == 0 && fstat(user, &b) == 0 && a.st_ino == b.st_ino;
}

/* --- /proc and /sys of namespaces over which the container's root has no rights --- */

static int kernel_mount(const char *type, unsigned attr, int *ret, struct ctn_err *err)
{
	ctn_autoclose int fs = fsopen(type, FSOPEN_CLOEXEC);
	int fd = -1;

	if (fs >= 0 && fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0)
		fd = fsmount(fs, FSMOUNT_CLOEXEC,
			     attr | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
	if (fd < 0)
		return ctn_fail_errno(err, "make a %s file system of the joined namespace", type);
	*ret = fd;
	return 0;
}

/* ENOMEM is what the kernel says of a pid namespace whose first process has ended. */
static int fail_fork(struct ctn_err *err)
{
	if (errno == ENOMEM)
		return ctn_fail(err, ESRCH,
				"ns/pid: the first process of that namespace has ended, and so has "
				"the namespace");
	return ctn_fail_errno(err, "make a process in the joined namespaces");
}

/* It is that of the pid namespace of whoever makes it: a child of ours is in the joined one. */
static int proc_mount(int *ret, struct ctn_err *err)
{
	int pair[2], fd = -1, r = 0;
	size_t n = 0;
	char ok = 0;
	pid_t child;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return ctn_fail_errno(err, "make a channel");
	child = fork();
	if (child < 0)
		r = fail_fork(err);
	if (child == 0) {
		if (kernel_mount("proc", 0, &fd, NULL) == 0)
			(void)wire_send(pair[1], "p", 1, &fd, 1);
		_exit(0);
	}
	close(pair[1]);
	if (child > 0)
		(void)wire_receive(pair[0], &ok, 1, &fd, 1, &n);
	close(pair[0]);
	if (child > 0)
		(void)waitpid(child, NULL, 0);
	if (r == 0 && n == 0)
		r = ctn_fail(err, EPERM, "make a proc file system of the joined pid namespace");
	if (r == 0)
		*ret = fd;
	return r;
}

static int foreign_mounts(const struct plan *p, struct joined *j, struct ctn_err *err)
{
	int r = 0;

	if (!plan_has_ns(p, CLONE_NEWNS))
		return 0;
	if (plan_joins(p, CLONE_NEWPID) && !joins_owned(p, CLONE_NEWPID))
		r = proc_mount(&j->proc, err);
	if (r == 0 && plan_joins(p, CLONE_NEWNET) && !joins_owned(p, CLONE_NEWNET))
		r = kernel_mount("sysfs", MOUNT_ATTR_RDONLY, &j->sys, err);
	return r;
}

/* --- the helper --- */

static int enter(const struct plan *p, struct joined *j, struct ctn_err *err)
{
	int r;

	for (size_t i = 0; i < CTN_COUNT(kinds); i++) {
		if (plan_joins(p, kinds[i].flag) &&
		    setns(joins_fd(p, kinds[i].flag), (int)kinds[i].flag) < 0)
			return ctn_fail_errno(err, "join the %s namespace", kinds[i].name);
	}
	r = foreign_mounts(p, j, err);
	if (r == 0 && plan_joins(p, CLONE_NEWUSER) &&
	    setns(joins_fd(p, CLONE_NEWUSER), CLONE_NEWUSER) < 0)
		r = ctn_fail_errno(err, "join the user namespace");
	/* Other rights than before could have made us dumpable (fs.suid_dumpable). */
	if (!WEAKEN_DUMPABLE)
		(void)prctl(PR_SET_DUMPABLE, 0);
	return r;
}

static void tell(int sock, const struct joined *j, const struct ctn_err *err)
{
	struct reply reply = {
		.pid = j->pid, .code = err->code, .proc = j->proc >= 0, .sys = j->sys >= 0};
	int fds[3] = {j->pidfd};
	size_t n = j->pid > 0;

	if (reply.proc)
		fds[n++] = j->proc;
	if (reply.sys)
		fds[n++] = j->sys;
	snprintf(reply.text, sizeof(reply.text), "%.*s", WIRE_TEXT_MAX - 1, err->text);
	(void)wire_send(sock, &reply, sizeof(reply), fds, n);
}

/* Return: in the first process only. */
static void help(const struct plan *p, struct clone_args *args, int sock)
{
	struct joined j = {.pidfd = -1, .proc = -1, .sys = -1};
	struct ctn_err err = {0};
	long pid = -1;

	if (enter(p, &j, &err) == 0) {
		args->flags |= CLONE_PARENT;
		args->exit_signal = 0; /* it is ours, SIGCHLD */
		args->pidfd = (uintptr_t)&j.pidfd;
		pid = syscall(SYS_clone3, args, sizeof(*args));
		if (pid < 0 && plan_joins(p, CLONE_NEWPID))
			(void)fail_fork(&err);
		else if (pid < 0)
			ctn_fail_errno(&err, "make the container's first process");
	}
	if (pid == 0) {
		close(sock);
		return;
	}
	j.pid = (pid_t)pid;
	tell(sock, &j, &err);
	_exit(0);
}

static int take_reply(int sock, struct joined *ret, struct ctn_err *err)
{
	struct joined j = {.pidfd = -1, .proc = -1, .sys = -1};
	struct reply reply;
	int fds[3] = {-1, -1, -1};
	size_t n = 0, used = 0;

	if (wire_receive(sock, &reply, sizeof(reply), fds, CTN_COUNT(fds), &n) !=
	    (ssize_t)sizeof(reply))
		return ctn_fail(err, ENOMEM,
				"the helper that joins the namespaces was killed (memory?)");
	if (reply.pid > 0) {
		j.pid = reply.pid;
		j.pidfd = fds[used++];
	}
	if (reply.proc)
		j.proc = fds[used++];
	if (reply.sys)
		j.sys = fds[used++];
	if (reply.pid <= 0 || used > n) /* the monitor ends, and with it what has come */
		return ctn_fail(err, reply.code ?: EMFILE, "%.*s", WIRE_TEXT_MAX, reply.text);
	*ret = j;
	return 0;
}

pid_t joins_clone(const struct plan *p, struct clone_args *args, struct joined *ret,
		  struct ctn_err *err)
{
	int pair[2], r;
	pid_t helper;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return (pid_t)ctn_fail_errno(err, "make a channel to the helper");
	helper = fork();
	if (helper == 0) {
		close(pair[0]);
		help(p, args, pair[1]);
		return 0;
	}
	close(pair[1]);
	r = helper < 0 ? ctn_fail_errno(err, "start the helper that joins the namespaces")
		       : take_reply(pair[0], ret, err);
	close(pair[0]);
	if (helper > 0)
		(void)waitpid(helper, NULL, 0);
	return r < 0 ? r : ret->pid;
}
