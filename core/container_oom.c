/* SPDX-License-Identifier: Apache-2.0 */
/* oom_score_adj of all processes of a container at once. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cleanup.h"
#include "container_private.h"
#include "io.h"
#include "procfs.h"

enum {
	ROUNDS_MAX = 64,
	SETTLE_MS = 25, /* longer than a fork takes */
	CGROUP_BYTES_MAX = 64 << 10,
};

/* What was there before, to be put back if another process refuses. */
struct change {
	pid_t pid;
	long old;
};

struct changes {
	struct change *items;
	size_t n, room;
};

static int changes_room(struct changes *list, struct ctn_err *err)
{
	size_t room = list->room ? list->room * 2 : 16;
	struct change *items;

	if (list->n < list->room)
		return 0;
	items = realloc(list->items, room * sizeof(*items));
	if (!items)
		return ctn_fail(err, ENOMEM, "oom_score_adj: no memory");
	list->items = items;
	list->room = room;
	return 0;
}

/* @cgroups: /proc/PID/cgroup. In its group, or one of its own below that. */
static bool is_in(const struct container *c, const char *cgroups)
{
	const char *name = container_cgroup_name(c), *p = cgroups;
	size_t len = strlen(name);

	while ((p = strstr(p, name))) {
		if (p > cgroups && p[-1] == '/' && (p[len] == '/' || p[len] == '\n'))
			return true;
		p += len;
	}
	return false;
}

/* The pid may be somebody else's by now; what its /proc/PID says about its cgroup is about the very
 * process that is behind the descriptor. -ESRCH when it is none of ours. */
static int open_member(const struct container *c, pid_t pid, int *ret)
{
	ctn_autofree char *text = NULL;
	ctn_autoclose int procfd = -1;
	int r = procfs_open(pid, &procfd, NULL);

	if (r == 0)
		r = io_read_at(procfd, "cgroup", CGROUP_BYTES_MAX, &text, NULL, NULL);
	if (r < 0 || !is_in(c, text))
		return -ESRCH;
	*ret = ctn_take_fd(procfd);
	return 0;
}

/* What became of one process. */
enum { SET_SAME, SET_CHANGED, SET_ENDED };

/* Return: SET_CHANGED (from @ret_old); SET_SAME: there was nothing to change; SET_ENDED; -errno. */
static int set_one(const struct container *c, pid_t pid, long value, long *ret_old)
{
	ctn_autofree char *text = NULL;
	ctn_autoclose int procfd = -1;
	char wanted[24];
	long old;
	int r = open_member(c, pid, &procfd);

	if (r == 0)
		r = io_read_at(procfd, "oom_score_adj", sizeof(wanted), &text, NULL, NULL);
	if (r < 0)
		return SET_ENDED;
	old = strtol(text, NULL, 10);
	if (old == value)
		return SET_SAME;
	snprintf(wanted, sizeof(wanted), "%ld", value);
	r = io_write_at(procfd, "oom_score_adj", wanted, NULL);
	if (r == -ESRCH || r == -ENOENT)
		return SET_ENDED;
	if (r < 0)
		return r;
	*ret_old = old;
	return SET_CHANGED;
}

/* Return: whether there can be some with the old value still, or -errno: children of those that
 * were changed, and of those that have ended meanwhile, are not in the list. */
static int set_round(const struct container *c, long value, struct changes *list,
		     struct ctn_err *err)
{
	ctn_autofree pid_t *pids = NULL;
	size_t n = 0;
	int more = 0, r = cgroup_leaf_procs(c->cgroup, &pids, &n, err);

	for (size_t i = 0; r >= 0 && i < n; i++) {
		long old = 0;

		r = changes_room(list, err);
		if (r < 0)
			break;
		r = set_one(c, pids[i], value, &old);
		if (r == -EACCES)
			ctn_fail(err, EACCES,
				 "oom_score_adj: %ld is below what its process %d may have; "
				 "lowering it needs CAP_SYS_RESOURCE, which the server has not",
				 value, pids[i]);
		else if (r < 0)
			ctn_fail(err, -r, "oom_score_adj: set that of process %d: %s", pids[i],
				 strerrordesc_np(-r));
		if (r == SET_CHANGED)
			list->items[list->n++] = (struct change){.pid = pids[i], .old = old};
		more |= r != SET_SAME;
	}
	return r < 0 ? r : more;
}

/* Until all have it. A fork copies the value long before the new process is in any list: whoever
 * was in the middle of one when its value was changed has a child with the old one, which a later
 * look finds. */
static int set_all(const struct container *c, long value, struct changes *list, struct ctn_err *err)
{
	const struct timespec settle = {.tv_nsec = SETTLE_MS * 1000000};
	int clean = 0, r;

	for (int i = 0; i < ROUNDS_MAX && clean < 2; i++) {
		r = set_round(c, value, list, err);
		if (r < 0)
			return r;
		clean = r ? 0 : clean + 1;
		if (clean && list->n == 0)
			return 0; /* all had it already */
		if (clean == 1)
			(void)nanosleep(&settle, NULL);
	}
	return 0;
}

int container_apply_oom_score_adj(struct container *c, const struct spec *spec, struct ctn_err *err)
{
	struct changes list = {0};
	int r = set_all(c, spec->oom_score_adj, &list, err);

	for (size_t i = 0; r < 0 && i < list.n; i++) {
		long now;

		(void)set_one(c, list.items[i].pid, list.items[i].old, &now);
	}
	free(list.items);
	return r;
}
