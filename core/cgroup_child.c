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
		     const char *name, uint64_t *ret_ino, struct ctn_err *err)
{
	ctn_autoclose int above = -1, fd = -1;
	int r = cgroup_dir_open(parent, &above, err);
	struct stat st;
	bool made;

	if (r < 0)
		return r;
	made = mkdirat(above, name, 0755) == 0;
	if (!made && errno != EEXIST)
		return ctn_fail_errno(err, "make the control group %s/%s", parent->path, name);
	fd = openat(above, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return ctn_fail_errno(err, "open the control group %s/%s", parent->path, name);
	if (leaf->ops->child_init)
		r = leaf->ops->child_init(parent->controllers, above, fd, err);
	if (r < 0) {
		if (made)
			(void)unlinkat(above, name, AT_REMOVEDIR); /* r says why */
		return r;
	}
	*ret_ino = st.st_ino;
	return 0;
}

int cgroup_leaf_child_open(const struct cgroup_leaf *parent, const char *name,
			   struct cgroup_leaf **ret, struct ctn_err *err)
{
	const struct cgroup_dir *dir = &parent->dirs[child_hierarchy(parent)];
	ctn_autofree struct cgroup_leaf *leaf = NULL;
	ctn_autofree char *path = NULL;
	uint64_t ino = 0;
	int r = cgroup_name_check(name, err);

	if (r < 0)
		return r;
	leaf = calloc(1, sizeof(*leaf));
	if (!leaf || asprintf(&path, "%s/%s", dir->path, name) < 0) {
		path = NULL;
		return ctn_fail(err, ENOMEM, "no memory for a control group");
	}
	r = child_dir(parent, dir, name, &ino, err);
	if (r < 0)
		return r;
	leaf->version = parent->version;
	leaf->ops = parent->ops;
	leaf->n = 1;
	leaf->dirs[0] = (struct cgroup_dir){
		.base = dir->base,
		.path = ctn_take_ptr(path),
		.at = dir->at,
		.ino = ino,
		.controllers = child_controllers(parent, dir),
		.depth = dir->depth + 1,
	};
	*ret = ctn_take_ptr(leaf);
	return 0;
}

/* Whoever looks meanwhile finds one of the two. */
int cgroup_leaf_child_renew(const struct cgroup_leaf *parent, const char *name,
			    const struct cgroup_leaf *child, struct ctn_err *err)
{
	struct cgroup_leaf *known = (struct cgroup_leaf *)child; /* all else of it never changes */
	uint64_t ino = 0;
	int r = cgroup_name_check(name, err);

	if (r == 0)
		r = child_dir(parent, &parent->dirs[child_hierarchy(parent)], name, &ino, err);
	if (r == 0)
		known->dirs[0].ino = ino;
	return r;
}

int cgroup_leaf_child_attach_fds(const struct cgroup_leaf *parent, const struct cgroup_leaf *child,
				 int ret_fds[CG_CONTROLLERS], struct ctn_err *err)
{
	struct cgroup_leaf both = *parent; /* borrows the paths of the two */

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
	ctn_autoclose int above = -1;
	int r = cgroup_name_check(name, err);

	if (r == 0)
		r = cgroup_dir_open(dir, &above, err);
	if (r == -ENOENT) /* and all below it */
		return cgroup_forgive(err);
	return r < 0 ? r : cgroup_remove_at(above, dir->path, name, cgroup_now() + ms, err);
}
