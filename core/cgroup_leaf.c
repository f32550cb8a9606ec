/* SPDX-License-Identifier: Apache-2.0 */
/* One container's directory in each hierarchy: making, opening, removing. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cgroup_private.h"
#include "cleanup.h"

int cgroup_name_check(const char *name, struct ctn_err *err)
{
	if (!name[0] || strlen(name) > 255 || strchr(name, '/') || strcmp(name, ".") == 0 ||
	    strcmp(name, "..") == 0 || strcmp(name, CGROUP_SERVER_LEAF) == 0)
		return ctn_fail(err, EINVAL, "'%.80s' cannot be the name of a control group", name);
	return 0;
}

/* The server's directory, made again where another server removed it as empty. */
static int server_dir(const struct cgroup_root *root, size_t i, int *ret, struct ctn_err *err)
{
	const struct cgroup_hierarchy *h = &root->hier[i];
	int fd = openat(h->mountfd, h->rel, O_PATH | O_DIRECTORY | O_CLOEXEC);
	unsigned made;

	if (fd < 0 && errno == ENOENT)
		return root->ops->server_make(root, i, ret, &made, err);
	if (fd < 0)
		return ctn_fail_errno(err, "open %s/%s", h->mount, h->rel);
	*ret = fd;
	return 0;
}

/* Return: 1 when the directory was made, 0 when it was there, -ENOENT or -ENODEV when the server's
 * directory went away meanwhile, -errno. */
static int leaf_dir_try(const struct cgroup_root *root, size_t i, const char *name,
			uint64_t *ret_ino, struct ctn_err *err)
{
	const struct cgroup_hierarchy *h = &root->hier[i];
	ctn_autoclose int parent = -1, fd = -1;
	int r = server_dir(root, i, &parent, err);
	struct stat st;
	bool made;

	if (r < 0)
		return r;
	made = mkdirat(parent, name, 0755) == 0;
	if (!made && errno != EEXIST)
		return ctn_fail_errno(err, "make the control group %s/%s/%s", h->mount, h->rel,
				      name);
	fd = openat(parent, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return ctn_fail_errno(err, "open the control group %s/%s/%s", h->mount, h->rel,
				      name);
	r = fstat(fd, &st) < 0 ? ctn_fail_errno(err, "look at the control group %s", name)
			       : root->ops->leaf_init(root, h->controllers, parent, fd, made, err);
	if (r < 0) {
		if (made)
			(void)unlinkat(parent, name, AT_REMOVEDIR); /* r already says why */
		return r;
	}
	*ret_ino = st.st_ino;
	return made;
}

static unsigned components(const char *rel)
{
	unsigned n = 0;

	for (const char *p = rel + strspn(rel, "/"); *p; n++) {
		p += strcspn(p, "/");
		p += strspn(p, "/");
	}
	return n;
}

/* An id, which is given once. */
static bool is_unique(const char *name)
{
	return strlen(name) == 64 && strspn(name, "0123456789abcdef") == 64;
}

static int leaf_dir(const struct cgroup_root *root, size_t i, const char *name,
		    struct cgroup_dir *ret, struct ctn_err *err)
{
	const struct cgroup_hierarchy *h = &root->hier[i];
	ctn_autofree char *path = NULL;
	uint64_t ino = 0;
	int r = -ENOENT;

	if (asprintf(&path, "%s/%s/%s", h->mount, h->rel, name) < 0) {
		path = NULL;
		return ctn_fail(err, ENOMEM, "no memory for a control group's path");
	}
	for (int try = 0; try < CGROUP_RETRIES && (r == -ENOENT || r == -ENODEV); try++)
		r = leaf_dir_try(root, i, name, &ino, err);
	if (r < 0)
		return r;
	(void)cgroup_forgive(err); /* of the tries before */
	ret->base = h->mountfd;
	ret->path = ctn_take_ptr(path);
	ret->at = strlen(h->mount) + 1;
	ret->ino = is_unique(name) ? 0 : ino;
	ret->controllers = h->controllers;
	ret->depth = components(h->rel) + 1;
	return r;
}

int cgroup_leaf_open(struct cgroup_root *root, const char *name, struct cgroup_leaf **ret,
		     struct ctn_err *err)
{
	struct cgroup_leaf *leaf;
	unsigned made = 0;
	int r = cgroup_name_check(name, err);

	if (r < 0)
		return r;
	leaf = calloc(1, sizeof(*leaf));
	if (!leaf)
		return ctn_fail(err, ENOMEM, "no memory for a control group");
	leaf->version = root->version;
	leaf->ops = root->ops;
	for (size_t i = 0; i < root->n; i++) {
		r = leaf_dir(root, i, name, &leaf->dirs[i], err);
		if (r < 0)
			goto undo;
		made |= (unsigned)r << i;
		leaf->n++;
	}
	*ret = leaf;
	return 0;
undo:
	for (size_t i = 0; i < leaf->n; i++) {
		if (made & (1u << i))
			(void)rmdir(leaf->dirs[i].path);
	}
	cgroup_leaf_free(leaf);
	return r;
}

void cgroup_leaf_free(struct cgroup_leaf *leaf)
{
	if (!leaf)
		return;
	cgroup_figures_close(leaf);
	for (size_t i = 0; i < leaf->n; i++)
		free(leaf->dirs[i].path);
	free(leaf);
}

static int remove_tree(int parent, const char *name, int depth, struct ctn_err *err);

static int remove_children(int parent, const char *name, int depth, struct ctn_err *err)
{
	ctn_autoclose int fd = openat(parent, name,
				      O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	ctn_autoclosedir DIR *dir = NULL;
	const struct dirent *e;

	if (fd < 0)
		return errno == ENOENT ? 0 : ctn_fail_errno(err, "open control group %s", name);
	dir = fdopendir(fd);
	if (!dir)
		return ctn_fail_errno(err, "read control group %s", name);
	fd = -1; /* dir owns it now */
	while ((e = readdir(dir))) {
		int r;

		if (e->d_type != DT_DIR || strcmp(e->d_name, ".") == 0 ||
		    strcmp(e->d_name, "..") == 0)
			continue;
		r = remove_tree(dirfd(dir), e->d_name, depth + 1, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int remove_tree(int parent, const char *name, int depth, struct ctn_err *err)
{
	int r;

	if (unlinkat(parent, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
		return 0;
	if (errno != EBUSY && errno != ENOTEMPTY)
		return ctn_fail_errno(err, "remove control group %s", name);
	if (depth >= CGROUP_DEPTH_MAX)
		return ctn_fail(err, ELOOP, "control group %s: more than %d directories deep", name,
				CGROUP_DEPTH_MAX);
	r = remove_children(parent, name, depth, err);
	if (r < 0)
		return r;
	if (unlinkat(parent, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		return ctn_fail_errno(err, "remove control group %s", name);
	return 0;
}

int cgroup_remove_at(int parent, const char *path, const char *name, uint64_t deadline,
		     struct ctn_err *err)
{
	int r;

	for (;;) {
		r = remove_tree(parent, name, 0, err);
		if (r != -EBUSY || cgroup_now() >= deadline)
			break;
		cgroup_sleep(5);
	}
	if (r == -EBUSY)
		return ctn_fail(err, EBUSY, "%s/%s still has processes; kill them first", path,
				name);
	return r < 0 ? r : cgroup_forgive(err);
}

static int remove_in(const struct cgroup_hierarchy *h, const char *name, uint64_t deadline,
		     struct ctn_err *err)
{
	ctn_autoclose int server = openat(h->mountfd, h->rel, O_PATH | O_DIRECTORY | O_CLOEXEC);
	ctn_autofree char *path = NULL;

	if (server < 0)
		return errno == ENOENT ? 0 : ctn_fail_errno(err, "open %s/%s", h->mount, h->rel);
	if (asprintf(&path, "%s/%s", h->mount, h->rel) < 0) {
		path = NULL;
		return ctn_fail(err, ENOMEM, "no memory for a control group's path");
	}
	return cgroup_remove_at(server, path, name, deadline, err);
}

int cgroup_leaf_remove(struct cgroup_root *root, const char *name, unsigned ms, struct ctn_err *err)
{
	uint64_t deadline = cgroup_now() + ms;
	int first = cgroup_name_check(name, err);

	if (first < 0)
		return first;
	/* One that cannot be removed does not keep the others. */
	for (size_t i = 0; i < root->n; i++) {
		int r = remove_in(&root->hier[i], name, deadline, first < 0 ? NULL : err);

		if (first == 0)
			first = r;
	}
	return first;
}

int cgroup_leaf_path(const struct cgroup_leaf *leaf, enum cgroup_controller c, char **ret,
		     struct ctn_err *err)
{
	const struct cgroup_dir *dir = cgroup_leaf_dir(leaf, c);
	char *path;

	if (!dir)
		return cgroup_lacks(leaf, c, err);
	path = strdup(dir->path);
	if (!path)
		return ctn_fail(err, ENOMEM, "no memory for a path");
	*ret = path;
	return 0;
}

static void freezer_first(const struct cgroup_leaf *leaf, int *fds)
{
	for (size_t i = 1; i < leaf->n; i++) {
		int fd = fds[i];

		if (!(leaf->dirs[i].controllers & CG_BIT(CG_FREEZER)))
			continue;
		fds[i] = fds[0];
		fds[0] = fd;
	}
}

int cgroup_leaf_attach_fds(const struct cgroup_leaf *leaf, int ret_fds[CG_CONTROLLERS],
			   struct ctn_err *err)
{
	int fds[CG_CONTROLLERS];
	int n = 0;

	if (leaf->version == 2)
		return 0;
	for (size_t i = 0; i < leaf->n; i++, n++) {
		ctn_autoclose int dir = -1;
		int r = cgroup_dir_open(&leaf->dirs[i], &dir, err);

		fds[n] = r < 0 ? r : openat(dir, "tasks", O_WRONLY | O_CLOEXEC);
		if (fds[n] < 0) {
			if (r == 0)
				r = ctn_fail_errno(err, "open %s/tasks", leaf->dirs[i].path);
			while (n-- > 0)
				close(fds[n]);
			return r;
		}
	}
	freezer_first(leaf, fds);
	memcpy(ret_fds, fds, (size_t)n * sizeof(fds[0]));
	return n;
}

bool cgroup_leaf_has_births(const struct cgroup_leaf *leaf)
{
	return leaf->version == 2;
}

int cgroup_leaf_birthplace(const struct cgroup_leaf *leaf, int *ret, struct ctn_err *err)
{
	if (leaf->version != 2)
		return ctn_fail(err, EOPNOTSUPP, "no process is born in a cgroup of version 1");
	return cgroup_dir_open(&leaf->dirs[0], ret, err);
}
