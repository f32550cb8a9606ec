/* SPDX-License-Identifier: Apache-2.0 */
/* A group below a leaf, for some of its processes: to list, freeze and kill them apart from the
 * others. In one hierarchy only: in every other, which is about limits, they are the leaf's, like
 * all the rest. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cgroup_private.h"
#include "cleanup.h"

/* Which of the leaf's directories has the children: the one that can freeze, where there is any. */
static size_t child_hierarchy(const struct cgroup_leaf *leaf)
{
	for (size_t i = 0; i < leaf->n; i++) {
		if (leaf->dirs[i].controllers & CG_BIT(CG_FREEZER))
			return i;
	}
	return 0;
}

/* v2: no controller is enabled for what is below a leaf, as its own processes forbid that. */
static unsigned child_controllers(const struct cgroup_leaf *leaf, const struct cgroup_dir *parent)
{
	const unsigned always = CG_BIT(CG_CPUACCT) | CG_BIT(CG_FREEZER);

	return leaf->version == 2 ? parent->controllers & always : parent->controllers;
}

static int child_dir(const struct cgroup_leaf *leaf, const struct cgroup_dir *parent,
		     const char *name, int *ret_fd, struct ctn_err *err)
{
	bool made = mkdirat(parent->fd, name, 0755) == 0;
	ctn_autoclose int fd = -1;
	int r = 0;

	if (!made && errno != EEXIST)
		return ctn_fail_errno(err, "make the control group %s/%s", parent->path, name);
	fd = openat(parent->fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return ctn_fail_errno(err, "open the control group %s/%s", parent->path, name);
	if (leaf->ops->child_init)
		r = leaf->ops->child_init(parent->controllers, parent->fd, fd, err);
	if (r < 0) {
		if (made)
			(void)unlinkat(parent->fd, name, AT_REMOVEDIR); /* r says why */
		return r;
	}
	*ret_fd = ctn_take_fd(fd);
	return 0;
}

int cgroup_leaf_child_open(const struct cgroup_leaf *parent, const char *name,
			   struct cgroup_leaf **ret, struct ctn_err *err)
{
	const struct cgroup_dir *dir = &parent->dirs[child_hierarchy(parent)];
	ctn_autofree struct cgroup_leaf *leaf = NULL;
	ctn_autofree char *path = NULL;
	int fd = -1, r = cgroup_name_check(name, err);

	if (r < 0)
		return r;
	leaf = calloc(1, sizeof(*leaf));
	if (!leaf || asprintf(&path, "%s/%s", dir->path, name) < 0) {
		path = NULL;
		return ctn_fail(err, ENOMEM, "no memory for a control group");
	}
	r = child_dir(parent, dir, name, &fd, err);
	if (r < 0)
		return r;
	leaf->version = parent->version;
	leaf->ops = parent->ops;
	leaf->n = 1;
	leaf->dirs[0] = (struct cgroup_dir){
		.fd = fd,
		.path = ctn_take_ptr(path),
		.controllers = child_controllers(parent, dir),
		.depth = dir->depth + 1,
	};
	*ret = ctn_take_ptr(leaf);
	return 0;
}

/* The number of the descriptor stays, and always means one of the two. */
int cgroup_leaf_child_renew(const struct cgroup_leaf *parent, const char *name,
			    const struct cgroup_leaf *child, struct ctn_err *err)
{
	struct cgroup_leaf *fresh = NULL;
	int r = cgroup_leaf_child_open(parent, name, &fresh, err);

	if (r == 0 && dup3(fresh->dirs[0].fd, child->dirs[0].fd, O_CLOEXEC) < 0)
		r = ctn_fail_errno(err, "keep the control group %s", fresh->dirs[0].path);
	cgroup_leaf_free(fresh);
	return r;
}

int cgroup_leaf_child_attach_fds(const struct cgroup_leaf *parent, const struct cgroup_leaf *child,
				 int ret_fds[CG_CONTROLLERS], struct ctn_err *err)
{
	struct cgroup_leaf both = *parent; /* borrows the descriptors of the two */

	both.dirs[child_hierarchy(parent)] = child->dirs[0];
	return cgroup_leaf_attach_fds(&both, ret_fds, err);
}

int cgroup_leaf_self_frozen(const struct cgroup_leaf *leaf, struct ctn_err *err)
{
	ctn_autofree char *text = NULL;
	int r = cgroup_file_read(leaf, CG_FREEZER,
				 leaf->version == 2 ? "cgroup.freeze" : "freezer.self_freezing",
				 &text, err);

	return r < 0 ? r : text[0] == '1';
}

int cgroup_leaf_child_remove(const struct cgroup_leaf *parent, const char *name, unsigned ms,
			     struct ctn_err *err)
{
	const struct cgroup_dir *dir = &parent->dirs[child_hierarchy(parent)];
	int r = cgroup_name_check(name, err);

	return r < 0 ? r : cgroup_remove_at(dir->fd, dir->path, name, cgroup_now() + ms, err);
}
