/* SPDX-License-Identifier: Apache-2.0 */
/* A container's processes and namespaces, as the kernel has them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "container_private.h"
#include "procfs.h"

int container_print_ps(struct container *c, FILE *out, struct ctn_err *err)
{
	ctn_autofree pid_t *pids = NULL;
	struct container_view v;
	size_t n = 0;
	bool mapped;
	int r;

	container_view_get(c, &v);
	mapped = v.running && !spec_ns_is_host(v.running, NS_USER);
	r = v.running ? cgroup_leaf_procs(c->cgroup, &pids, &n, err) : 0;
	if (r == 0 && n > 0)
		r = procfs_add_zombies(&pids, &n, err);
	if (r == 0)
		r = procfs_print_ps(out, pids, n, mapped ? c->uid_base : 0,
				    mapped ? IDS_PER_CONTAINER : 0, err);
	container_view_put(&v);
	return r;
}

int container_procs(struct container *c, struct pid_pair **ret, size_t *ret_n, struct ctn_err *err)
{
	ctn_autofree pid_t *pids = NULL;
	struct pid_pair *pairs;
	struct container_view v;
	size_t n = 0, used = 0;
	bool up;
	int r;

	container_view_get(c, &v);
	up = v.running;
	container_view_put(&v);
	r = up ? cgroup_leaf_procs(c->cgroup, &pids, &n, err) : 0;
	if (r < 0)
		return r;
	pairs = calloc(n + 1, sizeof(*pairs));
	if (!pairs)
		return ctn_fail(err, ENOMEM, "no memory for %zu pids", n);
	for (size_t i = 0; i < n; i++) {
		if (procfs_own_pid(pids[i], &pairs[used].own, NULL) == 0)
			pairs[used++].host = pids[i];
	}
	*ret = pairs;
	*ret_n = used;
	return 0;
}

int container_own_pid_find(struct container *c, pid_t own, pid_t *ret, struct ctn_err *err)
{
	ctn_autofree struct pid_pair *pairs = NULL;
	size_t n = 0;
	int r = container_procs(c, &pairs, &n, err);

	for (size_t i = 0; r == 0 && i < n; i++) {
		if (pairs[i].own == own) {
			*ret = pairs[i].host;
			return 0;
		}
	}
	return r < 0 ? r : ctn_fail(err, ENOENT, "no process has the pid %d inside", own);
}

/* The server is in all of the host's namespaces but the mount one, of which it has a descriptor. 0:
 * not known. */
static uint64_t host_ns_inode(const struct engine *e, enum ns_kind kind)
{
	ctn_autoclose int self = -1;
	uint64_t inode = 0;
	struct stat st;

	if (kind == NS_MNT)
		return fstat(e->host_mntns, &st) == 0 ? st.st_ino : 0;
	if (procfs_open(getpid(), &self, NULL) == 0)
		(void)ns_inode(self, kind, &inode, NULL);
	return inode;
}

/* Names of the others that are in the same namespace, a blank before each. */
static void print_sharers(const struct container *c, struct container *const *all, size_t n,
			  enum ns_kind kind, uint64_t inode, FILE *out)
{
	uint64_t theirs = 0;

	if (host_ns_inode(c->engine, kind) == inode)
		fputs(" host", out);
	for (size_t i = 0; i < n; i++) {
		struct container_view v;

		container_view_get(all[i], &v);
		if (all[i] != c && v.init && ns_inode(v.init->procfd, kind, &theirs, NULL) == 0 &&
		    theirs == inode)
			fprintf(out, " %s", v.spec->name);
		container_view_put(&v);
	}
}

int container_print_ns_list(struct container *c, FILE *out, struct ctn_err *err)
{
	struct container **all = NULL;
	struct container_view v;
	size_t n = 0;

	if (container_list(c->engine, &all, &n) < 0)
		return ctn_fail(err, ENOMEM, "no memory for a list of containers");
	container_view_get(c, &v);
	for (int i = 0; i < NS_COUNT; i++) {
		const struct spec *spec = v.running ?: v.spec;
		uint64_t inode = 0;

		fprintf(out, "%s %s", ns_types[i].name, spec->ns[i] ?: ns_types[i].fallback);
		if (v.init && ns_inode(v.init->procfd, (enum ns_kind)i, &inode, NULL) == 0) {
			fprintf(out, " %llu", (unsigned long long)inode);
			print_sharers(c, all, n, (enum ns_kind)i, inode, out);
		}
		putc('\n', out);
	}
	container_view_put(&v);
	for (size_t i = 0; i < n; i++)
		container_put(all[i]);
	free(all);
	return 0;
}
