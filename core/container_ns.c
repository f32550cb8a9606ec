/* SPDX-License-Identifier: Apache-2.0 */
/* References between containers that share namespaces: kept by id, shown by name. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "container_private.h"
#include "procfs.h"

static bool is_id(const char *text)
{
	return strlen(text) == CTN_ID_LEN && strspn(text, "0123456789abcdef") == CTN_ID_LEN;
}

/* --- paths into the mount --- */

/* Without empty parts, "." and "..", as if there were no symbolic links. */
static char *lexical(const char *path)
{
	char *out = malloc(strlen(path) + 2), *end = out;

	while (out && *path) {
		size_t n = strcspn(path, "/");

		if (n == 2 && strncmp(path, "..", 2) == 0) {
			while (end > out && *--end != '/')
				;
		} else if (n > 0 && !(n == 1 && *path == '.')) {
			*end++ = '/';
			memcpy(end, path, n);
			end += n;
		}
		path += n + (path[n] == '/');
	}
	if (out)
		*end = '\0';
	return out;
}

/* What of @path is below our mount point, which a link may lead to; NULL: it is elsewhere. We see
 * the directory under the mount only, so that looking there is no request to ourselves. */
static const char *below_mount(const struct engine *e, const char *path)
{
	for (const char *slash = strchr(path + 1, '/'); e->mountpoint && slash;
	     slash = strchr(slash + 1, '/')) {
		ctn_autofree char *dir = strndup(path, (size_t)(slash - path)),
				  *real = dir ? realpath(dir, NULL) : NULL;

		if (real && strcmp(real, e->mountpoint) == 0)
			return slash + 1;
	}
	return NULL;
}

/* "db/ns/net", below the mount. */
static int bind_below(struct spec *spec, enum ns_kind kind, const char *rest, struct ctn_err *err)
{
	const char *slash = strchr(rest, '/'), *name = ns_types[kind].name;
	char container[SPEC_NAME_MAX + 1];

	if (!slash || strncmp(slash, "/ns/", 4) != 0 || ns_find(slash + 4) < 0 ||
	    slash - rest > SPEC_NAME_MAX)
		return ctn_fail(err, EINVAL,
				"ns/%s: %.160s is no namespace; NAME/ns/%s of another container is",
				name, rest, name);
	if (strcmp(slash + 4, name) != 0)
		return ctn_fail(err, EINVAL, "ns/%s: %.160s is a %s namespace, not a %s namespace",
				name, rest, slash + 4, name);
	snprintf(container, sizeof(container), "%.*s", (int)(slash - rest), rest);
	return spec_ns_set_container(spec, kind, container, err);
}

static int bind_path(const struct engine *e, struct spec *spec, enum ns_kind kind,
		     struct ctn_err *err)
{
	ctn_autofree char *path = lexical(spec_ns_path(spec, kind));
	ctn_autoclose int fd = -1;
	const char *rest;

	if (!path)
		return ctn_fail(err, ENOMEM, "ns/%s: no memory", ns_types[kind].name);
	rest = below_mount(e, path);
	if (rest)
		return bind_below(spec, kind, rest, err);
	/* Looked at again when it starts. */
	if (ns_open(e->host_mntns, path, kind, &fd, err) < 0)
		return ctn_fail_context(err, "ns/%s", ns_types[kind].name);
	return spec_ns_set_path(spec, kind, path, err);
}

/* --- names and ids --- */

static int bind_name(struct engine *e, struct spec *spec, enum ns_kind kind, struct ctn_err *err)
{
	const char *name = spec_ns_container(spec, kind);
	struct container_view v;
	struct container *c;
	int r;

	if (strcmp(name, spec->name) == 0)
		return ctn_fail(err, EINVAL,
				"ns/%s: container:%s is itself; new is a namespace of its own",
				ns_types[kind].name, name);
	c = is_id(name) ? container_find_id(e, name) : NULL;
	if (!c)
		c = container_find(e, name);
	if (!c && is_id(name))
		return 0; /* what is read of one whose other is gone may be written back */
	if (!c)
		return ctn_fail(err, ENOENT, "ns/%s: there is no container called %.80s",
				ns_types[kind].name, name);
	container_view_get(c, &v);
	if (strcmp(v.spec->name, spec->name) == 0)
		r = ctn_fail(err, EINVAL, "ns/%s: that is itself; new is a namespace of its own",
			     ns_types[kind].name);
	else
		r = spec_ns_set_container(spec, kind, c->id, err);
	container_view_put(&v);
	container_put(c);
	return r;
}

int container_ns_bind(struct engine *e, struct spec *spec, const struct spec *before,
		      struct ctn_err *err)
{
	struct ctn_err why = {0};
	int r = 0;

	for (int i = 0; r == 0 && i < NS_COUNT; i++) {
		const enum ns_kind kind = (enum ns_kind)i;

		if (before &&
		    strcmp(spec_ns_setting(spec, kind), spec_ns_setting(before, kind)) == 0)
			continue;
		r = spec_ns_check(kind, spec_ns_setting(spec, kind), &why);
		if (r == 0 && spec_ns_path(spec, kind))
			r = bind_path(e, spec, kind, &why);
		if (r == 0 && spec_ns_container(spec, kind))
			r = bind_name(e, spec, kind, &why);
	}
	if (r < 0 && err)
		*err = why;
	return r;
}

int container_spec_bound(struct engine *e, struct spec *spec, struct ctn_err *err)
{
	return container_ns_bind(e, spec, NULL, err);
}

/* To be freed; the id itself where there is no such container any more. */
static char *name_of(struct engine *e, const char *id)
{
	struct container *c = container_find_id(e, id);
	struct container_view v;
	char *name;

	if (!c)
		return strdup(id);
	container_view_get(c, &v);
	name = strdup(v.spec->name);
	container_view_put(&v);
	container_put(c);
	return name;
}

struct spec *container_spec_named(struct engine *e, struct spec *spec)
{
	struct spec *named = NULL;

	for (int i = 0; i < NS_COUNT; i++) {
		const char *id = spec_ns_container(spec, (enum ns_kind)i);
		ctn_autofree char *name = NULL;

		if (!id)
			continue;
		name = name_of(e, id);
		named = named ?: spec_dup(spec);
		if (!name || !named ||
		    spec_ns_set_container(named, (enum ns_kind)i, name, NULL) < 0) {
			spec_put(named);
			return NULL;
		}
	}
	return named ?: spec_get(spec);
}

char *container_ns_setting(struct engine *e, const struct spec *spec, enum ns_kind kind)
{
	int implied = kind == NS_USER ? spec_ns_implied_user(spec) : -1;
	const char *id = spec_ns_container(spec, implied >= 0 ? (enum ns_kind)implied : kind);
	ctn_autofree char *name = NULL;
	char *setting = NULL;

	if (!id)
		return strdup(spec_ns_setting(spec, kind));
	name = name_of(e, id);
	if (!name || asprintf(&setting, "container:%s", name) < 0)
		return NULL;
	return setting;
}

int container_ns_open(struct engine *e, const char *id, enum ns_kind kind, int *ret,
		      struct pidref **ret_init, struct ctn_err *err)
{
	const char *what = ns_types[kind].name;
	struct container *c = container_find_id(e, id);
	ctn_autoclose int procfd = -1;
	struct container_view v;
	char path[32];
	int fd = -1, r = 0;

	if (!c)
		return ctn_fail(err, ENOENT,
				"ns/%s: the container whose namespace it was to share (id %.12s…) "
				"is gone; echo new > ns/%s, or name another",
				what, id, what);
	container_view_get(c, &v);
	snprintf(path, sizeof(path), "ns/%s", what);
	if (v.init && pidref_open(v.init, &procfd, NULL) == 0)
		fd = openat(procfd, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		r = ctn_fail(err, ESRCH,
			     "ns/%s: %s does not run, so it has no namespace to share; start %s "
			     "first",
			     what, v.spec->name, v.spec->name);
	else if (ret_init)
		*ret_init = pidref_get(v.init);
	container_view_put(&v);
	container_put(c);
	if (r == 0)
		*ret = fd;
	return r;
}

/* --- as the kernel has them --- */

/* The server is in all of the host's namespaces but the mount one, of which it has a descriptor. 0:
 * not known. */
uint64_t container_host_ns(const struct engine *e, enum ns_kind kind)
{
	static _Atomic uint64_t known[NS_COUNT]; /* this process stays where it is */
	ctn_autoclose int self = -1;
	uint64_t inode = known[kind];
	struct stat st;

	if (inode)
		return inode;
	if (kind == NS_MNT)
		return fstat(e->host_mntns, &st) == 0 ? st.st_ino : 0;
	if (procfs_open(getpid(), &self, NULL) == 0)
		(void)ns_inode(self, kind, &inode, NULL);
	known[kind] = inode;
	return inode;
}

/* Whether all that it has was made for it; everybody is in the host's time namespace. */
static bool is_apart(const struct spec *s)
{
	for (int i = 0; i < NS_COUNT; i++) {
		if (!spec_ns_is_new(s, (enum ns_kind)i) &&
		    !(i == NS_TIME && spec_ns_is_host(s, (enum ns_kind)i)))
			return false;
	}
	return true;
}

/* Those that @c may share a namespace with. Where both have only what was made for them nobody is
 * in the other's: setns(2) asks for rights in the user namespace that owns it. @ret: references. */
static int maybe_sharers(struct container *c, const struct spec *own, struct container ***ret,
			 size_t *ret_n)
{
	bool apart = is_apart(own);
	size_t n = 0, used = 0;
	int r;

	*ret = NULL;
	*ret_n = 0;
	if (!__atomic_load_n(&c->engine->ns_shared, __ATOMIC_RELAXED))
		return 0;
	r = container_list(c->engine, ret, &n);
	for (size_t i = 0; r == 0 && i < n; i++) {
		struct container *other = (*ret)[i];
		struct container_view v;

		container_view_get(other, &v);
		if (other != c && v.running && !(apart && is_apart(v.running)))
			(*ret)[used++] = other;
		else
			container_put(other);
		container_view_put(&v);
	}
	*ret_n = used;
	return r;
}

/* NULL: there is none. */
static int inode_of(const struct pidref *init, enum ns_kind kind, uint64_t *ret)
{
	ctn_autoclose int procfd = -1;
	int r = init ? pidref_open(init, &procfd, NULL) : -ESRCH;

	return r < 0 ? r : ns_inode(procfd, kind, ret, NULL);
}

/* Names of the others that are in the same namespace, a blank before each; of the host's, where
 * everybody is, only that it is that. */
static void print_sharers(const struct container *c, struct container *const *all, size_t n,
			  enum ns_kind kind, uint64_t inode, FILE *out)
{
	uint64_t theirs = 0;

	if (container_host_ns(c->engine, kind) == inode) {
		fputs(" host", out);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		struct container_view v;

		container_view_get(all[i], &v);
		if (inode_of(v.init, kind, &theirs) == 0 && theirs == inode)
			fprintf(out, " %s", v.spec->name);
		container_view_put(&v);
	}
}

int container_print_ns_list(struct container *c, FILE *out, struct ctn_err *err)
{
	struct container **all = NULL;
	struct container_view v;
	size_t n = 0;

	container_view_get(c, &v);
	if (maybe_sharers(c, v.running ?: v.spec, &all, &n) < 0) {
		container_view_put(&v);
		return ctn_fail(err, ENOMEM, "no memory for a list of containers");
	}
	for (int i = 0; i < NS_COUNT; i++) {
		ctn_autofree char *setting = container_ns_setting(c->engine, v.running ?: v.spec,
								  (enum ns_kind)i);
		uint64_t inode = 0;

		fprintf(out, "%s %s", ns_types[i].name, setting ?: "?");
		if (inode_of(v.init, (enum ns_kind)i, &inode) == 0) {
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

void container_ns_note(struct engine *e, const struct spec *running)
{
	if (spec_ns_container(running, NS_PID) || spec_ns_path(running, NS_PID))
		__atomic_store_n(&e->pid_shared, true, __ATOMIC_RELAXED);
	if (!is_apart(running))
		__atomic_store_n(&e->ns_shared, true, __ATOMIC_RELAXED);
}

void container_ns_resume(struct container *c, const struct pidref *init)
{
	struct container **all = NULL;
	uint64_t ours = 0, theirs = 0;
	size_t n = 0;

	if ((!__atomic_load_n(&c->engine->pid_shared, __ATOMIC_RELAXED) &&
	     !registry_has_sessions(c)) ||
	    inode_of(init, NS_PID, &ours) < 0 || registry_list(c->engine, &all, &n) < 0)
		return;
	for (size_t i = 0; i < n; i++) {
		struct container_view v;

		container_view_get(all[i], &v);
		if (all[i] != c && v.state == CTN_PAUSED &&
		    inode_of(v.init, NS_PID, &theirs) == 0 && ours == theirs)
			(void)life_resume(all[i], NULL, NULL);
		container_view_put(&v);
		container_put(all[i]);
	}
	free(all);
}

/* Whether what it is in belongs to another user namespace than its own. Its own may be the host's,
 * from where rights reach everywhere. */
static bool is_foreign(int procfd, enum ns_kind kind, int user)
{
	ctn_autoclose int fd = -1, owner = -1;
	char path[32];

	snprintf(path, sizeof(path), "ns/%s", ns_types[kind].name);
	fd = openat(procfd, path, O_RDONLY | O_CLOEXEC);
	return fd >= 0 && ns_owner(fd, &owner, NULL) == 0 && ns_same(owner, user) == 0;
}

/* That the clocks are the host's goes without saying. */
static bool may_be_foreign(const struct spec *spec, enum ns_kind kind)
{
	return kind != NS_USER && !spec_ns_is_new(spec, kind) &&
	       !(kind == NS_TIME && spec_ns_is_host(spec, kind));
}

void container_print_ns_foreign(struct container *c, FILE *out)
{
	ctn_autoclose int procfd = -1, user = -1;
	struct container_view v;
	const char *between = "";
	uint64_t inode = 0;

	container_view_get(c, &v);
	if (v.init)
		(void)pidref_open(v.init, &procfd, NULL); /* it has ended: nothing is said */
	for (int i = 0; procfd >= 0 && i < NS_COUNT; i++) {
		if (!may_be_foreign(v.running ?: v.spec, (enum ns_kind)i))
			continue;
		if (user < 0)
			user = openat(procfd, "ns/user", O_RDONLY | O_CLOEXEC);
		if (ns_inode(procfd, NS_USER, &inode, NULL) < 0 ||
		    inode == container_host_ns(c->engine, NS_USER))
			break; /* the host's root has rights everywhere */
		if (is_foreign(procfd, (enum ns_kind)i, user)) {
			fprintf(out, "%s%s", between, ns_types[i].name);
			between = " ";
		}
	}
	container_view_put(&v);
}
