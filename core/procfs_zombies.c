/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "io.h"
#include "procfs.h"

enum { CHILDREN_MAX = 1 << 20 };

/* Numbers that grow; they are looked through by procfs_add_zombies() alone. */
struct pids {
	pid_t *items;
	size_t n;
};

static int pids_add(struct pids *p, pid_t pid)
{
	pid_t *bigger = realloc(p->items, (p->n + 1) * sizeof(*bigger));

	if (!bigger)
		return -ENOMEM;
	p->items = bigger;
	p->items[p->n++] = pid;
	return 0;
}

/* A zombie is in no cgroup's list any more; another child is there itself, or in another cgroup. */
static bool is_zombie(pid_t pid)
{
	struct procfs_status status;
	ctn_autoclose int fd = -1;

	return procfs_open(pid, &fd, NULL) == 0 && procfs_read_status(fd, &status, NULL) == 0 &&
	       status.state == 'Z';
}

/* What the thread at @taskfd ("task/TID") has forked and not waited for. */
static int add_children(struct pids *found, int taskfd, const char *tid)
{
	ctn_autofree char *text = NULL;
	char path[64], *save = NULL;

	snprintf(path, sizeof(path), "%.20s/children", tid);
	if (io_read_at(taskfd, path, CHILDREN_MAX, &text, NULL, NULL) < 0)
		return 0; /* it has ended, or this kernel has no such file */
	for (char *word = strtok_r(text, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
		pid_t pid = (pid_t)strtol(word, NULL, 10);

		if (is_zombie(pid) && pids_add(found, pid) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int add_zombies_of(struct pids *found, pid_t pid)
{
	ctn_autoclose int fd = -1;
	ctn_autoclosedir DIR *tasks = NULL;
	const struct dirent *d;
	int taskfd, r = 0;

	if (procfs_open(pid, &fd, NULL) < 0)
		return 0;
	taskfd = openat(fd, "task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (taskfd < 0)
		return 0;
	tasks = fdopendir(taskfd);
	if (!tasks) {
		close(taskfd);
		return -ENOMEM;
	}
	while (r == 0 && (d = readdir(tasks))) {
		if (d->d_name[0] != '.')
			r = add_children(found, taskfd, d->d_name);
	}
	return r;
}

static int compare_pids(const void *a, const void *b)
{
	pid_t x = *(const pid_t *)a, y = *(const pid_t *)b;

	return (x > y) - (x < y);
}

int procfs_add_zombies(pid_t **pids, size_t *n, struct ctn_err *err)
{
	struct pids all = {.items = *pids, .n = *n};
	size_t alive = *n, unique = 0;
	int r = 0;

	for (size_t i = 0; r == 0 && i < alive; i++)
		r = add_zombies_of(&all, all.items[i]);
	*pids = all.items; /* the old memory may be gone, whatever happened */
	if (r < 0)
		return ctn_fail(err, ENOMEM, "no memory for a list of processes");
	if (all.n > 1)
		qsort(all.items, all.n, sizeof(pid_t), compare_pids);
	for (size_t i = 0; i < all.n; i++) { /* cgroup v2 lists them, too */
		if (i == 0 || all.items[i] != all.items[i - 1])
			all.items[unique++] = all.items[i];
	}
	*n = unique;
	return 0;
}
