/* SPDX-License-Identifier: Apache-2.0 */
/* What takes the host's rights: a container's root has none over the machine's limits and
 * scheduling, so its monitor does this for it. */
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../cleanup.h"
#include "../io.h"
#include "joins.h"
#include "rights.h"

/* --- limits --- */

static const char *const limit_names[RLIM_NLIMITS] = {
	[RLIMIT_AS] = "as",
	[RLIMIT_CORE] = "core",
	[RLIMIT_CPU] = "cpu",
	[RLIMIT_DATA] = "data",
	[RLIMIT_FSIZE] = "fsize",
	[RLIMIT_LOCKS] = "locks",
	[RLIMIT_MEMLOCK] = "memlock",
	[RLIMIT_MSGQUEUE] = "msgqueue",
	[RLIMIT_NICE] = "nice",
	[RLIMIT_NOFILE] = "nofile",
	[RLIMIT_NPROC] = "nproc",
	[RLIMIT_RSS] = "rss",
	[RLIMIT_RTPRIO] = "rtprio",
	[RLIMIT_RTTIME] = "rttime",
	[RLIMIT_SIGPENDING] = "sigpending",
	[RLIMIT_STACK] = "stack",
};

const char *limit_name(uint32_t resource)
{
	return resource < CTN_COUNT(limit_names) && limit_names[resource] ? limit_names[resource]
									  : "?";
}

static const char *limit_text(rlim_t value, char *to, size_t room)
{
	if (value == RLIM_INFINITY)
		snprintf(to, room, "max");
	else
		snprintf(to, room, "%llu", (unsigned long long)value);
	return to;
}

int limit_fail(const struct wire_rlimit *want, rlim_t have, struct ctn_err *err)
{
	char hard[24], present[24];
	int code = errno;

	limit_text(want->hard, hard, sizeof(hard));
	limit_text(have, present, sizeof(present));
	if (code != EPERM) {
		errno = code;
		return ctn_fail_errno(err, "rlimits: %s: set the hard limit %s",
				      limit_name(want->resource), hard);
	}
	return ctn_fail(err, EPERM,
			"rlimits: %s: the hard limit cannot be raised from %s to %s here%s; give "
			"at most %s",
			limit_name(want->resource), present, hard,
			want->resource == RLIMIT_NOFILE
				? " (needs CAP_SYS_RESOURCE, and fs.nr_open is a bound)"
				: " (needs CAP_SYS_RESOURCE)",
			present);
}

/* Before the user namespace is made: its own bounds on signals, message queues and locked memory
 * are the limits that its maker has at that moment. */
static int limits_raise(const struct plan *p, struct ctn_err *err)
{
	for (uint32_t i = 0; i < p->msg->rlimits.count; i++) {
		const struct wire_rlimit *want = &p->rlimits[i];
		struct rlimit have, raised;

		if (prlimit(0, want->resource, NULL, &have) < 0)
			return ctn_fail_errno(err, "rlimits: read limit %u", want->resource);
		raised.rlim_cur = want->hard > have.rlim_cur ? want->hard : have.rlim_cur;
		raised.rlim_max = want->hard > have.rlim_max ? want->hard : have.rlim_max;
		if (raised.rlim_cur == have.rlim_cur && raised.rlim_max == have.rlim_max)
			continue;
		if (prlimit(0, want->resource, &raised, NULL) < 0)
			return limit_fail(want, have.rlim_max, err);
	}
	return 0;
}

/* --- settings of namespaces --- */

static const struct {
	const char *prefix, *ns;
	uint64_t flag;
} sysctl_kinds[] = {
	{"net/", "net", CLONE_NEWNET},
	{"kernel/hostname", "uts", CLONE_NEWUTS},
	{"kernel/domainname", "uts", CLONE_NEWUTS},
	{"", "ipc", CLONE_NEWIPC},
};

/* Whether that namespace is the one that we are in, which is the host's. */
static bool is_hosts(const struct plan *p, const char *ns, uint64_t flag)
{
	struct stat own, joined;
	char path[32];

	if (plan_has_ns(p, flag))
		return false;
	if (!plan_joins(p, flag))
		return true;
	snprintf(path, sizeof(path), "/proc/self/ns/%s", ns);
	return stat(path, &own) < 0 || fstat(joins_fd(p, flag), &joined) < 0 ||
	       (own.st_ino == joined.st_ino && own.st_dev == joined.st_dev);
}

/* The stage writes them as the host's root, which is what old kernels ask for: never to the host's.
 */
static int sysctls_check(const struct plan *p, struct ctn_err *err)
{
	for (char **s = p->sysctls; *s; s += 2) {
		size_t i = 0;

		while (strncmp(*s, sysctl_kinds[i].prefix, strlen(sysctl_kinds[i].prefix)) != 0)
			i++;
		if (is_hosts(p, sysctl_kinds[i].ns, sysctl_kinds[i].flag))
			return ctn_fail(
				err, EINVAL,
				"sysctl: %s needs its own %s namespace: ns/%s is the host's", *s,
				sysctl_kinds[i].ns, sysctl_kinds[i].ns);
	}
	return 0;
}

int rights_before(const struct plan *p, struct ctn_err *err)
{
	int r = limits_raise(p, err);

	return r < 0 ? r : sysctls_check(p, err);
}

/* --- of the stage --- */

static int oom_set(const struct plan *p, int procfd, struct ctn_err *err)
{
	char text[16];
	int r;

	snprintf(text, sizeof(text), "%d", p->msg->oom_score_adj);
	r = io_write_at(procfd, "oom_score_adj", text, NULL);
	/* Nobody asked for 0: where even that is too low for us, it stays what it is. */
	if (r == 0 || (r == -EACCES && p->msg->oom_score_adj == 0))
		return 0;
	if (r == -EACCES)
		return ctn_fail(err, EACCES,
				"oom_score_adj: %s is below what the server itself has, and "
				"lowering it needs CAP_SYS_RESOURCE",
				text);
	return ctn_fail(err, -r, "oom_score_adj: set %s: %s", text, strerror(-r));
}

/* sched_setattr(2), first version. */
struct attr {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period;
};

static int sched_set(const struct plan *p, pid_t pid, struct ctn_err *err)
{
	const struct wire_scheduler *w = &p->msg->sched;
	const struct attr attr = {
		.size = sizeof(attr),
		.policy = w->policy,
		.flags = w->flags,
		.nice = w->nice,
		.priority = w->priority,
		.runtime = w->runtime,
		.deadline = w->deadline,
		.period = w->period,
	};

	if (syscall(SYS_sched_setattr, pid, &attr, 0) == 0)
		return 0;
	if (errno == EPERM)
		return ctn_fail(err, EPERM,
				"scheduler: policy %u, priority %u, nice %d is refused: it needs "
				"CAP_SYS_NICE, and for a real-time policy time in the cpu cgroup",
				w->policy, w->priority, w->nice);
	return ctn_fail_errno(err, "scheduler: policy %u, priority %u, nice %d", w->policy,
			      w->priority, w->nice);
}

static int ioprio_set(const struct plan *p, pid_t pid, struct ctn_err *err)
{
	enum { WHO_PROCESS = 1, CLASS_SHIFT = 13 };
	int value = p->msg->ioprio;

	if (syscall(SYS_ioprio_set, WHO_PROCESS, pid, value) < 0)
		return ctn_fail_errno(err, "ioPriority: class %d, priority %d",
				      value >> CLASS_SHIFT, value & ((1 << CLASS_SHIFT) - 1));
	return 0;
}

/* A real-time process cannot be moved into a v1 cgroup: it has to be there already. */
static int sched_set_waiting(const struct plan *p, pid_t pid, int go, struct ctn_err *err)
{
	char there;

	if (wire_receive(go, &there, 1, NULL, 0, NULL) != 1)
		return ctn_fail(err, EPIPE, "the stage gave up");
	return sched_set(p, pid, err);
}

int rights_after(const struct plan *p, pid_t pid, int procfd, int go, struct ctn_err *err)
{
	int r = 0;

	if (p->msg->flags & WIRE_OOM_ADJ)
		r = oom_set(p, procfd, err);
	if (r == 0 && p->msg->flags & WIRE_SCHEDULER)
		r = sched_set_waiting(p, pid, go, err);
	if (r == 0 && p->msg->ioprio >= 0)
		r = ioprio_set(p, pid, err);
	return r;
}

int rights_self(const struct plan *p, struct ctn_err *err)
{
	ctn_autoclose int self = open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r = 0;

	if (self >= 0)
		r = oom_set(p, self, err);
	if (r == -EACCES)
		r = 0;
	if (r == 0 && p->msg->flags & WIRE_SCHEDULER)
		r = sched_set(p, 0, err);
	if (r == 0 && p->msg->ioprio >= 0)
		r = ioprio_set(p, 0, err);
	return r;
}
