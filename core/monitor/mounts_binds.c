/* SPDX-License-Identifier: Apache-2.0 */
/* The binds of `mounts`: clones of what the host has, with the attributes, ids and propagation that
 * were asked for. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/mount.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../cleanup.h"
#include "../spec_mounts.h"
#include "mounts.h"

/* --- what must not be given away --- */

static int fd_path(int fd, char path[PATH_MAX])
{
	char link[40];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, PATH_MAX - 1);
	if (n < 0)
		return -errno;
	path[n] = '\0';
	return 0;
}

static bool is_same(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* Whether @st is @dir or a directory above it, under whatever name it is mounted. */
static int is_above(const struct stat *st, int dir, bool *ret)
{
	ctn_autoclose int at = openat(dir, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct stat here, up;

	if (at < 0 || fstat(at, &here) < 0)
		return -errno;
	for (;;) {
		int parent;

		if (is_same(st, &here)) {
			*ret = true;
			return 0;
		}
		parent = openat(at, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
		ctn_close_fd(&at);
		at = parent;
		if (at < 0 || fstat(at, &up) < 0)
			return -errno;
		if (is_same(&up, &here)) /* the root */
			return 0;
		here = up;
	}
}

/* @dir: a container's directory; what is around it are the others'. */
static int gives_away(int at, const struct stat *st, int dir, bool *ret)
{
	ctn_autoclose int top = openat(dir, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
	char path[PATH_MAX], own[PATH_MAX];
	int r = top < 0 ? -errno : fd_path(top, own);
	size_t n;

	if (r == 0)
		r = fd_path(at, path);
	if (r < 0)
		return r;
	n = strlen(own);
	if (strncmp(path, own, n) == 0 && path[n] == '/') {
		*ret = true;
		return 0;
	}
	return is_above(st, top, ret);
}

int mounts_own_state(const struct plan *p, int at, bool *ret, struct ctn_err *err)
{
	const int dirs[] = {p->state_fd, p->run_fd};
	bool own = false;
	struct stat st;
	int r = fstat(at, &st) < 0 ? -errno : 0;

	for (size_t i = 0; r == 0 && !own && i < CTN_COUNT(dirs); i++)
		r = gives_away(at, &st, dirs[i], &own);
	if (r < 0)
		return ctn_fail(err, -r, "compare with ctnfs's own directories: %s",
				strerrordesc_np(-r));
	*ret = own;
	return 0;
}

/* --- one bind --- */

static bool is_readonly(const struct wire_mount *w)
{
	return w->flags & MOUNT_REC ? w->set_rec & MOUNT_ATTR_RDONLY
				    : (w->set | w->set_rec) & MOUNT_ATTR_RDONLY;
}

static int source_open(const struct plan *p, const struct plan_mount *m, int *ret,
		       struct ctn_err *err)
{
	ctn_autoclose int at = open(m->source, O_PATH | O_CLOEXEC);
	bool own = false;
	int r = 0;

	if (at < 0 && errno == ENOENT)
		return ctn_fail(err, ENOENT,
				"mounts: %s: there is no %s on the host (what ctnfs itself shows "
				"cannot be bound)",
				m->target, m->source);
	if (at < 0)
		return ctn_fail_errno(err, "mounts: %s: open %s on the host", m->target, m->source);
	if (!is_readonly(m->wire))
		r = mounts_own_state(p, at, &own, err);
	if (own)
		return ctn_fail(err, EINVAL,
				"mounts: %s: %s has to do with ctnfs's own state, which no "
				"container may write; add %s",
				m->target, m->source, m->wire->flags & MOUNT_REC ? "rro" : "ro");
	if (r == 0)
		*ret = ctn_take_fd(at);
	return r;
}

static int set_attributes(int fd, const struct plan_mount *m, struct ctn_err *err)
{
	const struct wire_mount *w = m->wire;
	struct mount_attr top = {.attr_set = w->set, .attr_clr = w->clear};
	struct mount_attr all = {.attr_set = w->set_rec, .attr_clr = w->clear_rec};

	if ((w->set_rec || w->clear_rec) &&
	    mount_setattr(fd, "", AT_EMPTY_PATH | AT_RECURSIVE, &all, sizeof(all)) < 0)
		return ctn_fail_errno(err, "mounts: %s: set the options of all below %s", m->target,
				      m->source);
	if ((w->set || w->clear) && mount_setattr(fd, "", AT_EMPTY_PATH, &top, sizeof(top)) < 0)
		return ctn_fail_errno(err, "mounts: %s: set the options of %s", m->target,
				      m->source);
	return 0;
}

static int set_ids(int fd, const struct plan_mount *m, int userns, struct ctn_err *err)
{
	struct mount_attr set = {.attr_set = MOUNT_ATTR_IDMAP, .userns_fd = (uint64_t)userns};
	const bool below = m->wire->flags & MOUNT_RIDMAP;

	if (userns < 0 || !(m->wire->flags & MOUNT_IDMAP))
		return 0;
	if (mount_setattr(fd, "", AT_EMPTY_PATH | (below ? AT_RECURSIVE : 0), &set, sizeof(set)) ==
	    0)
		return 0;
	if (errno != EINVAL && errno != EPERM)
		return ctn_fail_errno(err, "mounts: %s: map the ids of %s", m->target, m->source);
	return ctn_fail(err, EOPNOTSUPP,
			"mounts: %s: the file system of %s%s cannot map ids to the container's; "
			"with the option noidmap its owners are shown as nobody",
			m->target, m->source, below ? ", or one mounted below it," : "");
}

/* What is mounted below the source later is not seen unless that is asked for. `shared` is so among
 * the container's own namespaces; what is mounted inside never reaches the host, since the clone is
 * of a mount that only receives. */
static int set_propagation(int fd, const struct plan_mount *m, struct ctn_err *err)
{
	const uint64_t said = m->wire->propagation;
	struct mount_attr first = {.propagation = said & (MS_SHARED | MS_SLAVE) ? MS_SLAVE
										: MS_PRIVATE};
	struct mount_attr set = {.propagation = said & ~(uint64_t)MS_REC};

	if (mount_setattr(fd, "", AT_EMPTY_PATH | AT_RECURSIVE, &first, sizeof(first)) < 0 ||
	    (said && mount_setattr(fd, "", AT_EMPTY_PATH | (said & MS_REC ? AT_RECURSIVE : 0), &set,
				   sizeof(set)) < 0))
		return ctn_fail_errno(err, "mounts: %s: set the propagation of %s", m->target,
				      m->source);
	return 0;
}

static int bind_make(const struct plan *p, const struct plan_mount *m, int userns, int *ret,
		     struct ctn_err *err)
{
	const unsigned below = m->wire->flags & MOUNT_REC ? AT_RECURSIVE : 0;
	ctn_autoclose int at = -1, fd = -1;
	int r = source_open(p, m, &at, err);

	if (r < 0)
		return r;
	fd = open_tree(at, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | below);
	if (fd < 0)
		return ctn_fail_errno(err, "mounts: %s: clone the mount of %s", m->target,
				      m->source);
	r = set_attributes(fd, m, err);
	if (r == 0)
		r = set_ids(fd, m, userns, err);
	if (r == 0)
		r = set_propagation(fd, m, err);
	if (r == 0)
		*ret = ctn_take_fd(fd);
	return r;
}

int binds_user(const struct plan *p, int userns, struct mounts *m, struct ctn_err *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < m->n_user; i++) {
		if (p->mounts[i].wire->flags & MOUNT_BIND)
			r = bind_make(p, &p->mounts[i], userns, &m->user[i], err);
	}
	return r;
}
