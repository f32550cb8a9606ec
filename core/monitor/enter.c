/* SPDX-License-Identifier: Apache-2.0 */
#include "enter.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../cleanup.h"
#include "../io.h"
#include "../weaken.h"
#include "rights.h"

int setns(int fd, int nstype); /* <sched.h> and <linux/sched.h> do not go together */

/* What the helper says: the new process, whose pidfd comes along, or why there is none. */
struct reply {
	int32_t pid, code;
	char text[WIRE_TEXT_MAX];
};

/* --- the helper --- */

static int compare(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

/* All but 0 to 2 and the @n of @keep. */
static int close_others(const int *keep, size_t n, struct ctn_err *err)
{
	int sorted[ENTER_KEEP_MAX + WIRE_ATTACH_MAX + 2];
	unsigned from = STDERR_FILENO + 1;

	memcpy(sorted, keep, n * sizeof(*keep));
	qsort(sorted, n, sizeof(*sorted), compare);
	for (size_t i = 0; i < n; i++) {
		unsigned fd = (unsigned)sorted[i];

		if (fd > from && syscall(SYS_close_range, from, fd - 1, 0) < 0)
			return ctn_fail_errno(err, "close the other descriptors");
		from = fd >= from ? fd + 1 : from;
	}
	if (syscall(SYS_close_range, from, ~0U, 0) < 0)
		return ctn_fail_errno(err, "close the other descriptors");
	return 0;
}

/* Nothing of the host's but what is needed here. */
static int close_most(const struct plan *p, int init, int sock, const int *keep, size_t n,
		      struct ctn_err *err)
{
	int all[ENTER_KEEP_MAX + WIRE_ATTACH_MAX + 2];

	if (WEAKEN_DESCRIPTORS)
		return 0;
	memcpy(all, keep, n * sizeof(*keep));
	memcpy(all + n, p->attach_fds, p->msg->n_attach * sizeof(*keep));
	n += p->msg->n_attach;
	all[n++] = init;
	all[n++] = sock;
	return close_others(all, n, err);
}

/* v1: whoever moves itself waits for no RCU grace period, as its parent would. v2: born there. */
static int attach(const struct plan *p, struct ctn_err *err)
{
	for (uint32_t i = 0; i < p->msg->n_attach; i++) {
		int r = 0;

		if (!(p->msg->flags & WIRE_CLONE_INTO))
			r = io_write_all(p->attach_fds[i], "0", 1);
		if (r < 0)
			return ctn_fail(err, -r, "attach to cgroup %u of %u", i + 1,
					p->msg->n_attach);
		close(p->attach_fds[i]);
	}
	return 0;
}

/* All at once: the kernel checks each against the rights that the others give. */
static int join(const struct plan *p, int init, struct ctn_err *err)
{
	uint64_t flags = p->msg->ns_new | p->msg->ns_join;

	if (flags && setns(init, (int)flags) < 0)
		return errno == ESRCH ? ctn_fail(err, ESRCH, "the container has ended")
				      : ctn_fail_errno(err, "join the container's namespaces");
	close(init);
	/* Other rights than before could have made us dumpable (fs.suid_dumpable). */
	if (!WEAKEN_DUMPABLE && prctl(PR_SET_DUMPABLE, 0) < 0)
		return ctn_fail_errno(err, "hide from the container");
	return 0;
}

/* ENOMEM is what the kernel says of a pid namespace whose first process has ended. */
static int fail_clone(struct ctn_err *err)
{
	if (errno == ENOMEM)
		return ctn_fail(err, ESRCH, "the container has ended");
	if (errno == EAGAIN)
		return ctn_fail(err, EAGAIN,
				"the container may have no more processes; see cgroup/pids.max");
	return ctn_fail_errno(err, "make a process in the container");
}

static int go_ahead(const struct plan *p, int init, int sock, const int *keep, size_t n,
		    struct ctn_err *err)
{
	int r = close_most(p, init, sock, keep, n, err);

	if (r == 0)
		r = attach(p, err);
	if (r == 0)
		r = rights_self(p, err);
	return r < 0 ? r : join(p, init, err);
}

/* Return: in the new process only. */
static void help(const struct plan *p, int init, int sock, const int *keep, size_t n)
{
	struct clone_args args = {.flags = CLONE_PIDFD | CLONE_PARENT};
	struct reply reply = {.pid = -1};
	struct ctn_err err = {0};
	int pidfd = -1;
	long pid = -1;

	args.pidfd = (uintptr_t)&pidfd;
	if (go_ahead(p, init, sock, keep, n, &err) == 0) {
		pid = syscall(SYS_clone3, &args, sizeof(args));
		if (pid < 0)
			(void)fail_clone(&err);
	}
	if (pid == 0) {
		close(sock);
		return;
	}
	reply.pid = (int32_t)pid;
	reply.code = err.code;
	snprintf(reply.text, sizeof(reply.text), "%.*s", WIRE_TEXT_MAX - 1, err.text);
	(void)wire_send(sock, &reply, sizeof(reply), &pidfd, pid > 0);
	_exit(0);
}

/* --- its parent --- */

static pid_t clone_helper(const struct plan *p)
{
	struct clone_args args = {.exit_signal = SIGCHLD};

	if (p->msg->flags & WIRE_CLONE_INTO) {
		args.flags = CLONE_INTO_CGROUP;
		args.cgroup = (uint64_t)p->attach_fds[0];
	}
	return (pid_t)syscall(SYS_clone3, &args, sizeof(args));
}

/* It has made the new process, our child, and was killed before it could say so. There is no other
 * child of the caller's. Unreaped, that one would keep its pid namespace, and so the container,
 * from ending. */
static void end_unknown(void)
{
	enum { TEXT_MAX = 4096 };
	ctn_autofree char *text = NULL;
	char path[64], *next;
	long pid;

	snprintf(path, sizeof(path), "/proc/self/task/%d/children", getpid());
	if (io_read_at(AT_FDCWD, path, TEXT_MAX, &text, NULL, NULL) < 0)
		return; /* a kernel without CONFIG_PROC_CHILDREN */
	for (next = text; (pid = strtol(next, &next, 10)) > 0;) {
		(void)kill((pid_t)pid, SIGKILL); /* unreaped: the number is its */
		(void)waitpid((pid_t)pid, NULL, 0);
	}
}

static int take_reply(int sock, pid_t *ret, int *ret_pidfd, struct ctn_err *err)
{
	struct reply reply;
	int pidfd = -1;
	size_t n = 0;

	if (wire_receive(sock, &reply, sizeof(reply), &pidfd, 1, &n) != (ssize_t)sizeof(reply))
		return ctn_fail(err, ENOMEM,
				"it was killed before it could run; is memory.limit too small, or "
				"has the container ended?");
	if (reply.pid <= 0 || n == 0)
		return ctn_fail(err, reply.code ?: EMFILE, "%.*s", WIRE_TEXT_MAX, reply.text);
	*ret = reply.pid;
	*ret_pidfd = pidfd;
	return 0;
}

pid_t enter_clone(const struct plan *p, int init, const int *keep, size_t n, int *ret_pidfd,
		  struct ctn_err *err)
{
	pid_t helper, pid = 0;
	int pair[2], r;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return (pid_t)ctn_fail_errno(err, "make a channel to the helper");
	helper = clone_helper(p);
	if (helper == 0) {
		help(p, init, pair[1], keep, n);
		return 0;
	}
	close(pair[1]);
	r = helper < 0 ? fail_clone(err) : take_reply(pair[0], &pid, ret_pidfd, err);
	close(pair[0]);
	if (helper > 0)
		(void)waitpid(helper, NULL, 0);
	if (helper > 0 && r < 0)
		end_unknown();
	return r < 0 ? r : pid;
}

/* --- the new process --- */

/* Whoever ends `exec` ends its program, too: after the last change of rights, which would forget
 * it. */
static int step_parent(struct stage *s, struct ctn_err *err)
{
	if (!s->io && prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return ctn_fail_errno(err, "follow the parent's end");
	return 0;
}

/* While SIGTTOU is blocked. */
static int step_job(struct stage *s, struct ctn_err *err)
{
	if (s->job & ENTER_GROUP && setpgid(0, 0) < 0)
		return ctn_fail_errno(err, "make a process group");
	if (s->job & ENTER_FOREGROUND && tcsetpgrp(STDIN_FILENO, getpgrp()) < 0)
		return ctn_fail_errno(err, "become the terminal's foreground");
	return 0;
}

static int step_streams(struct stage *s, struct ctn_err *err)
{
	int r = s->io ? stage_streams(s, err) : 0;

	return r == 0 && s->io ? stage_close(s, err) : r;
}

/* Ignored signals of a session are the monitor's own; those of `exec` are the caller's wish. */
static int step_signals(struct stage *s, struct ctn_err *err)
{
	sigset_t none;

	if (s->io)
		return stage_signals(s, err);
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	return 0;
}

static int step_ids(struct stage *s, struct ctn_err *err)
{
	return plan_maps_ids(s->plan) ? stage_ids(s, err) : 0;
}

/* In the order of those of the container's first process. */
static const struct {
	const char *name;
	int (*run)(struct stage *s, struct ctn_err *err);
} steps[] = {
	{"keyring", stage_keyring}, /* as the host's root */
	{"ids", step_ids},
	{"hiding", stage_hide},
	{"streams", step_streams},
	{"terminal", step_job},
	{"limits", stage_limits},
	{"personality", stage_personality},
	{"signals", step_signals},
	{"bounding set", stage_bounding},
	{"seccomp", stage_filter_early},
	{"user", stage_user},
	{"hiding", stage_hide},
	{"capabilities", stage_caps},
	{"parent", step_parent},
	{"cwd", stage_cwd},
	{"seccomp", stage_filter},
	{"exec", stage_exec},
};

void enter_run(const struct plan *p, const struct stdio *io, unsigned job, int report)
{
	struct stage s = {.plan = p,
			  .io = io,
			  .go = -1,
			  .report = report,
			  .hostname = -1,
			  .terminal = -1,
			  .proc = -1,
			  .sys = -1,
			  .entering = true,
			  .job = job};

	for (size_t i = 0; i < CTN_COUNT(steps); i++) {
		struct ctn_err err = {0};

		if (steps[i].run(&s, &err) < 0) {
			stage_report(s.report, steps[i].name, &err);
			break;
		}
	}
	_exit(127);
}
