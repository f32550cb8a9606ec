/* SPDX-License-Identifier: Apache-2.0 */
/* The server's directory in each hierarchy. The leaves are in cgroup_leaf.c. */
#include "cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cgroup_private.h"
#include "cleanup.h"
#include "io.h"

/* The name of the one v2 hierarchy in a description, where v1 has controllers' names. */
static const char unified_name[] = "unified";

typedef int dir_init(unsigned controllers, int parentfd, int fd, struct ctn_err *err);

/* One component. Return: 1 when it was made, 0 when it was there, -errno. */
static int path_step(const struct cgroup_hierarchy *h, int parent, const char *name, dir_init *init,
		     int *ret_fd, struct ctn_err *err)
{
	ctn_autoclose int fd = -1;
	bool made = mkdirat(parent, name, 0755) == 0;
	int r;

	if (!made && errno != EEXIST)
		return ctn_fail_errno(err, "make the cgroup directory '%s' in %s", name, h->mount);
	fd = openat(parent, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return ctn_fail_errno(err, "open the cgroup directory '%s' in %s", name, h->mount);
	r = init ? init(h->controllers, parent, fd, err) : 0;
	if (r < 0) {
		if (made)
			(void)unlinkat(parent, name, AT_REMOVEDIR);
		return r;
	}
	*ret_fd = ctn_take_fd(fd);
	return made;
}

static int path_walk(const struct cgroup_hierarchy *h, const char *rel, dir_init *init, int *ret_fd,
		     unsigned *ret_made, struct ctn_err *err)
{
	ctn_autoclose int fd = fcntl(h->mountfd, F_DUPFD_CLOEXEC, 3);
	ctn_autofree char *copy = strdup(rel);
	unsigned made = 0;
	char *save = NULL;

	if (fd < 0 || !copy)
		return ctn_fail_errno(err, "open the cgroup mount %s", h->mount);
	for (char *w = strtok_r(copy, "/", &save); w; w = strtok_r(NULL, "/", &save)) {
		int next = -1;
		int r = path_step(h, fd, w, init, &next, err);

		if (r < 0)
			return r;
		made += (unsigned)r; /* below a new one all are new */
		close(fd);
		fd = next;
	}
	*ret_fd = ctn_take_fd(fd);
	*ret_made = made;
	return 0;
}

int cgroup_path_make(const struct cgroup_hierarchy *h, const char *rel, dir_init *init, int *ret_fd,
		     unsigned *ret_made, struct ctn_err *err)
{
	int r = -ENOENT;

	/* Another server may remove the empty shared directory between our mkdir and our open;
	 * mkdir in what is just being removed is ENODEV. */
	for (int i = 0; i < CGROUP_RETRIES && (r == -ENOENT || r == -ENODEV); i++)
		r = path_walk(h, rel, init, ret_fd, ret_made, err);
	return r < 0 ? r : cgroup_forgive(err);
}

static int read_self(char **ret_mountinfo, char **ret_cgroups, struct ctn_err *err)
{
	ctn_autofree char *mountinfo = NULL;
	int r = io_read_at(AT_FDCWD, "/proc/self/mountinfo", CGROUP_FILE_MAX, &mountinfo, NULL,
			   err);

	if (r == 0)
		r = io_read_at(AT_FDCWD, "/proc/self/cgroup", CGROUP_FILE_MAX, ret_cgroups, NULL,
			       err);
	if (r < 0)
		return r;
	*ret_mountinfo = ctn_take_ptr(mountinfo);
	return 0;
}

static void root_close(struct cgroup_root *root)
{
	for (size_t i = 0; i < root->n; i++) {
		if (root->hier[i].mountfd >= 0)
			close(root->hier[i].mountfd);
		free(root->hier[i].mount);
		free(root->hier[i].own);
		free(root->hier[i].rel);
	}
	if (root->devices_prog >= 0)
		close(root->devices_prog);
	free(root);
}

static int root_new(const char *mountinfo, const char *cgroups, struct cgroup_root **ret,
		    struct ctn_err *err)
{
	struct cgroup_root *root = calloc(1, sizeof(*root));
	int r;

	if (!root)
		return ctn_fail(err, ENOMEM, "no memory for the cgroup hierarchies");
	root->devices_prog = -1;
	r = cgroup_discover(root, mountinfo, cgroups, err);
	if (r < 0) {
		root_close(root);
		return r;
	}
	*ret = root;
	return 0;
}

/* "/a/b" is a path below the mount point: no way up, nothing but names. */
static int path_check(const char *path, struct ctn_err *err)
{
	ctn_autofree char *copy = strdup(path);
	char *save = NULL;

	if (!copy)
		return ctn_fail(err, ENOMEM, "no memory for a cgroup path");
	if (path[0] != '/' || strspn(path, "/") == strlen(path) || strlen(path) > 2048)
		return ctn_fail(err, EINVAL,
				"cgroup path '%.80s': give an absolute path such as /ctnfs", path);
	for (char *w = strtok_r(copy, "/", &save); w; w = strtok_r(NULL, "/", &save)) {
		if (strcmp(w, ".") == 0 || strcmp(w, "..") == 0 || strlen(w) > 255)
			return ctn_fail(err, EINVAL, "cgroup path '%.80s': '%.40s' is no name",
					path, w);
	}
	return 0;
}

static int server_open(struct cgroup_root *root, size_t i, struct ctn_err *err)
{
	ctn_autoclose int fd = -1;
	int r = root->ops->server_make(root, i, &fd, &root->hier[i].made, err);

	return r < 0 ? r : root->ops->server_ready(root, fd, err);
}

static int make_all(struct cgroup_root *root, const char *path, struct ctn_err *err)
{
	for (size_t i = 0; i < root->n; i++) {
		struct cgroup_hierarchy *h = &root->hier[i];
		int r;

		h->enable_from = path ? 0 : strlen(h->own);
		if (path)
			h->rel = strdup(path + strspn(path, "/"));
		else if (asprintf(&h->rel, "%s%sctnfs", h->own, h->own[0] ? "/" : "") < 0)
			h->rel = NULL;
		if (!h->rel)
			return ctn_fail(err, ENOMEM, "no memory for a cgroup path");
		r = server_open(root, i, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int root_open_at(const char *mountinfo, const char *cgroups, const char *path,
			struct cgroup_root **ret, struct ctn_err *err)
{
	struct cgroup_root *root = NULL;
	int r = root_new(mountinfo, cgroups, &root, err);

	if (r < 0)
		return r;
	r = make_all(root, path, err);
	if (r < 0) {
		cgroup_root_free(root);
		return r;
	}
	*ret = root;
	return 0;
}

/* On v2 a login shell's group cannot have ours below it, since the shell is in it. The top can: it
 * is where other programs without a service manager's help have theirs as well. */
int cgroup_root_open_texts(const char *mountinfo, const char *cgroups, const char *path,
			   struct cgroup_root **ret, struct ctn_err *err)
{
	int r = path ? path_check(path, err) : 0;

	if (r == 0)
		r = root_open_at(mountinfo, cgroups, path, ret, err);
	if (r == -EBUSY && !path)
		r = root_open_at(mountinfo, cgroups, "/ctnfs", ret, err);
	return r;
}

int cgroup_root_open(const char *path, struct cgroup_root **ret, struct ctn_err *err)
{
	ctn_autofree char *mountinfo = NULL;
	ctn_autofree char *cgroups = NULL;
	int r = read_self(&mountinfo, &cgroups, err);

	return r < 0 ? r : cgroup_root_open_texts(mountinfo, cgroups, path, ret, err);
}

int cgroup_root_describe(const struct cgroup_root *root, FILE *out)
{
	for (size_t i = 0; i < root->n; i++) {
		const struct cgroup_hierarchy *h = &root->hier[i];

		if (root->version == 2)
			fprintf(out, "%s %s/%s\n", unified_name, h->mount, h->rel);
		for (int c = 0; root->version == 1 && c < CG_CONTROLLERS; c++) {
			if (h->controllers & CG_BIT(c))
				fprintf(out, "%s %s/%s\n", cgroup_controller_names[c], h->mount,
					h->rel);
		}
	}
	return ferror(out) ? -EIO : 0;
}

static struct cgroup_hierarchy *find_described(struct cgroup_root *root, const char *name)
{
	if (root->version == 2)
		return strcmp(name, unified_name) == 0 ? &root->hier[0] : NULL;
	for (size_t i = 0; i < root->n; i++) {
		for (int c = 0; c < CG_CONTROLLERS; c++) {
			if ((root->hier[i].controllers & CG_BIT(c)) &&
			    strcmp(name, cgroup_controller_names[c]) == 0)
				return &root->hier[i];
		}
	}
	return NULL;
}

/* One "controller path" line. Controllers on one hierarchy have the same path, once for each. */
static int describe_line(struct cgroup_root *root, char *line, struct ctn_err *err)
{
	char *path = strchr(line, ' ');
	struct cgroup_hierarchy *h;
	struct stat st;
	size_t len;
	int r;

	if (!path)
		return ctn_fail(err, EINVAL, "recorded cgroup '%.80s' has no path", line);
	*path++ = '\0';
	h = find_described(root, line);
	if (!h)
		return ctn_fail(err, ENOENT, "no %s hierarchy is mounted as it was before", line);
	len = strlen(h->mount);
	if (strncmp(path, h->mount, len) != 0 || path[len] != '/')
		return ctn_fail(err, ENOENT, "%s is no longer below the %s mount %s", path, line,
				h->mount);
	r = path_check(path + len, err);
	if (r < 0)
		return r;
	path += len + strspn(path + len, "/");
	if (h->rel && strcmp(h->rel, path) != 0)
		return ctn_fail(err, ENOENT, "%s: the hierarchy has %s already", path, h->rel);
	if (fstatat(h->mountfd, path, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISDIR(st.st_mode))
		return ctn_fail(err, ENOENT, "the cgroup directory %s/%s is gone", h->mount, path);
	if (!h->rel)
		h->rel = strdup(path);
	return h->rel ? 0 : ctn_fail(err, ENOMEM, "no memory for a cgroup path");
}

/* Hierarchies mounted since are left out: the containers are not in them. */
static void drop_undescribed(struct cgroup_root *root)
{
	size_t kept = 0;

	for (size_t i = 0; i < root->n; i++) {
		struct cgroup_hierarchy *h = &root->hier[i];

		if (h->rel) {
			root->hier[kept++] = *h;
			continue;
		}
		close(h->mountfd);
		free(h->mount);
		free(h->own);
	}
	root->n = kept;
}

static int open_described(struct cgroup_root *root, char *lines, struct ctn_err *err)
{
	char *save = NULL;

	for (char *line = strtok_r(lines, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		int r = describe_line(root, line, err);

		if (r < 0)
			return r;
	}
	drop_undescribed(root);
	if (root->n == 0)
		return ctn_fail(err, ENOENT, "the recorded cgroups name no directory");
	for (size_t i = 0; i < root->n; i++) {
		int r;

		root->hier[i].enable_from = strlen(root->hier[i].rel); /* above it is done */
		r = server_open(root, i, err);
		if (r < 0)
			return r;
	}
	return 0;
}

int cgroup_root_open_described(const char *lines, struct cgroup_root **ret, struct ctn_err *err)
{
	ctn_autofree char *mountinfo = NULL;
	ctn_autofree char *cgroups = NULL;
	ctn_autofree char *copy = strdup(lines);
	struct cgroup_root *root = NULL;
	int r = read_self(&mountinfo, &cgroups, err);

	if (r < 0)
		return r;
	if (!copy)
		return ctn_fail(err, ENOMEM, "no memory for the recorded cgroups");
	r = root_new(mountinfo, cgroups, &root, err);
	if (r < 0)
		return r;
	r = open_described(root, copy, err);
	if (r < 0) {
		root_close(root);
		return r;
	}
	*ret = root;
	return 0;
}

/* However many slashes each has. */
static bool same_path(const char *a, const char *b)
{
	while (*a || *b) {
		size_t n;

		a += strspn(a, "/");
		b += strspn(b, "/");
		n = strcspn(a, "/");
		if (n != strcspn(b, "/") || strncmp(a, b, n) != 0)
			return false;
		a += n;
		b += n;
	}
	return true;
}

const char *cgroup_root_elsewhere(const struct cgroup_root *root, const char *path)
{
	for (size_t i = 0; i < root->n; i++) {
		if (!same_path(root->hier[i].rel, path))
			return root->hier[i].rel;
	}
	return NULL;
}

void cgroup_root_free(struct cgroup_root *root)
{
	if (!root)
		return;
	root->ops->server_leave(root);
	for (size_t i = 0; i < root->n; i++) {
		struct cgroup_hierarchy *h = &root->hier[i];
		char *slash = h->rel;

		/* The last one always, those above it only where we made them. */
		for (unsigned up = 0; slash && (up == 0 || up < h->made); up++) {
			if (unlinkat(h->mountfd, h->rel, AT_REMOVEDIR) < 0)
				break;
			slash = strrchr(h->rel, '/');
			if (slash)
				*slash = '\0';
		}
	}
	root_close(root);
}

int cgroup_root_version(const struct cgroup_root *root)
{
	return root->version;
}

bool cgroup_root_has(const struct cgroup_root *root, enum cgroup_controller c)
{
	for (size_t i = 0; i < root->n; i++) {
		if (root->hier[i].controllers & CG_BIT(c))
			return true;
	}
	return false;
}
