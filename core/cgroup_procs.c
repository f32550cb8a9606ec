/* SPDX-License-Identifier: Apache-2.0 */
/* The processes in a leaf: listing, freezing, killing. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "cgroup_private.h"
#include "cleanup.h"
#include "io.h"

struct pid_list {
	pid_t *pids;
	size_t n, room;
};

static int pids_parse(struct pid_list *list, const char *text, struct ctn_err *err)
{
	char *end = NULL;

	for (const char *p = text; *p; p = end + (*end == '\n')) {
		long pid = strtol(p, &end, 10);

		if (end == p)
			break;
		if (pid <= 0) /* v2 shows 0 for a process outside our pid namespace */
			continue;
		if (list->n == list->room) {
			size_t room = list->room ? list->room * 2 : 64;
			pid_t *bigger = reallocarray(list->pids, room, sizeof(*bigger));

			if (!bigger)
				return ctn_fail(err, ENOMEM, "no memory to list processes");
			list->pids = bigger;
			list->room = room;
		}
		list->pids[list->n++] = (pid_t)pid;
	}
	return 0;
}

static int pids_collect(struct pid_list *list, int dirfd, int depth, struct ctn_err *err);

struct below {
	struct pid_list *list;
	int depth;
};

static int pids_child(int sub, const char *name, void *arg, struct ctn_err *err)
{
	const struct below *b = arg;

	(void)name;
	return pids_collect(b->list, sub, b->depth, err);
}

static int pids_collect(struct pid_list *list, int fd, int depth, struct ctn_err *err)
{
	ctn_autofree char *text = NULL;
	int r = io_read_at(fd, "cgroup.procs", CGROUP_FILE_MAX, &text, NULL, err);

	if (depth > 0 && (r == -ENOENT || r == -ENODEV))
		return 0;	       /* removed meanwhile */
	if (r < 0 && r != -EOPNOTSUPP) /* a threaded v2 group: its processes are listed above it */
		return r;
	r = r < 0 ? 0 : pids_parse(list, text, err);
	if (r < 0)
		return r;
	if (depth >= CGROUP_DEPTH_MAX)
		return ctn_fail(err, ELOOP, "control groups nested more than %d deep",
				CGROUP_DEPTH_MAX);
	/* A program inside may have made groups of its own: its processes are the container's all
	 * the same. */
	return cgroup_below(fd, pids_child, &(struct below){list, depth + 1}, err);
}

static int pid_compare(const void *a, const void *b)
{
	pid_t x = *(const pid_t *)a, y = *(const pid_t *)b;

	return (x > y) - (x < y);
}

/* Every process is in each hierarchy's directory; one listing is enough. */
static const struct cgroup_dir *procs_dir(const struct cgroup_leaf *leaf)
{
	return cgroup_leaf_dir(leaf, CG_PIDS) ?: cgroup_leaf_dir(leaf, CG_FREEZER) ?: leaf->dirs;
}

int cgroup_leaf_procs(const struct cgroup_leaf *leaf, pid_t **ret, size_t *ret_n,
		      struct ctn_err *err)
{
	ctn_autoclose int fd = -1;
	struct pid_list list = {0};
	size_t n = 0;
	int r = cgroup_dir_open(procs_dir(leaf), &fd, err);

	if (r == 0)
		r = pids_collect(&list, fd, 0, err);
	if (r < 0) {
		free(list.pids);
		return r;
	}
	if (list.n > 0)
		qsort(list.pids, list.n, sizeof(*list.pids), pid_compare);
	for (size_t i = 0; i < list.n; i++) { /* v2 may name one twice */
		if (n == 0 || list.pids[n - 1] != list.pids[i])
			list.pids[n++] = list.pids[i];
	}
	*ret = list.pids;
	*ret_n = n;
	return 0;
}

int cgroup_leaf_freeze(const struct cgroup_leaf *leaf, bool freeze, struct ctn_err *err)
{
	return leaf->ops->freeze(leaf, freeze, err);
}

int cgroup_leaf_frozen(const struct cgroup_leaf *leaf, struct ctn_err *err)
{
	return leaf->ops->frozen(leaf, err);
}

int cgroup_leaf_oom_kills(const struct cgroup_leaf *leaf, uint64_t *ret, struct ctn_err *err)
{
	if (!cgroup_leaf_dir(leaf, CG_MEMORY))
		return cgroup_lacks(leaf, CG_MEMORY, err);
	return leaf->ops->oom_kills(leaf, ret, err);
}

enum { KILL_BATCH = 64 }; /* pidfds held at once, so that a large group costs few descriptors */

/* Kills @n processes that were seen in the group. A pid may have been given to another process
 * since, so: take pidfds first, then look again. Who is listed now under a pid that our pidfd held
 * before is that process, or has ended, and then the signal goes nowhere. */
static int kill_batch(const struct cgroup_leaf *leaf, const pid_t *pids, size_t n,
		      struct ctn_err *err)
{
	int fds[KILL_BATCH];
	ctn_autofree pid_t *now = NULL;
	size_t n_now = 0;
	int r;

	for (size_t i = 0; i < n; i++)
		fds[i] = (int)syscall(SYS_pidfd_open, pids[i], 0); /* close-on-exec by itself */
	r = cgroup_leaf_procs(leaf, &now, &n_now, err);
	for (size_t i = 0; i < n; i++) {
		if (fds[i] < 0)
			continue;
		if (r == 0 && n_now > 0 && bsearch(&pids[i], now, n_now, sizeof(*now), pid_compare))
			(void)syscall(SYS_pidfd_send_signal, fds[i], SIGKILL, NULL, 0);
		close(fds[i]);
	}
	return r;
}

/* Return: how many were there, or -errno. */
static int kill_round(const struct cgroup_leaf *leaf, struct ctn_err *err)
{
	ctn_autofree pid_t *pids = NULL;
	size_t n = 0;
	int r = cgroup_leaf_procs(leaf, &pids, &n, err);

	for (size_t i = 0; r == 0 && i < n; i += KILL_BATCH)
		r = kill_batch(leaf, pids + i, n - i < KILL_BATCH ? n - i : KILL_BATCH, err);
	return r < 0 ? r : (int)n;
}

/* Thaw the groups below, those that were frozen on their own: on v1 nobody dies in them before. */
static int thaw_child(int sub, const char *name, void *arg, struct ctn_err *err)
{
	const struct cgroup_leaf *leaf = arg;
	struct cgroup_leaf child = {
		.version = leaf->version,
		.ops = leaf->ops,
		.n = 1,
		.dirs[0] = {.base = sub, .path = (char *)".", .controllers = CG_BIT(CG_FREEZER)},
	};

	(void)name;
	(void)err; /* the next round tries again, and who does not die is counted */
	(void)leaf->ops->freeze(&child, false, NULL);
	return cgroup_below(sub, thaw_child, arg, NULL);
}

static int thaw(const struct cgroup_leaf *leaf, bool below, struct ctn_err *err)
{
	ctn_autoclose int fd = -1;
	int r = leaf->ops->freeze(leaf, false, err);

	if (r == 0 && below && cgroup_leaf_fd(leaf, CG_FREEZER, &fd, NULL) == 0)
		(void)cgroup_below(fd, thaw_child, (void *)leaf, NULL);
	return r;
}

/* A frozen process keeps SIGKILL pending on v1 until it is thawed, and then dies before it runs a
 * line of its own: so the thaw comes after the signals. What forks faster than we can list is held
 * still by the freezer, from the third round on.
 *
 * v2's cgroup.kill would be shorter, but newer kernels (seen with 6.18, not with Debian's 6.1) keep
 * count of it, and kill at once whatever is started there later with CLONE_INTO_CGROUP by a parent
 * whose own group has another count: a container could be stopped and never started again. */
int cgroup_leaf_kill(const struct cgroup_leaf *leaf, unsigned ms, struct ctn_err *err)
{
	uint64_t deadline = cgroup_now() + ms;
	unsigned pause = 1;

	for (int round = 0;; round++) {
		int n, r;

		if (round >= 2)
			(void)leaf->ops->freeze(leaf, true, NULL);
		n = kill_round(leaf, err);
		r = thaw(leaf, n > 0, n < 0 ? NULL : err);
		if (n <= 0)
			return n;
		if (r < 0 && r != -EOPNOTSUPP)
			return r;
		if (cgroup_now() >= deadline)
			return ctn_fail(err, ETIMEDOUT,
					"%d process%s did not end within %u ms of SIGKILL", n,
					n == 1 ? "" : "es", ms);
		cgroup_sleep(pause);
		pause = pause < 20 ? pause * 2 : pause;
	}
}
