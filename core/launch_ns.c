/* SPDX-License-Identifier: Apache-2.0 */
/* The namespaces of others that a start joins: found, checked against each other, held by
 * descriptors, so that nothing can change under them. */
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "io.h"
#include "launch_pack.h"
#include "procfs.h"
#include "spec_idmap.h"

/* What is known while it is being worked out. @user_from: the kind that brought the user namespace
 * along. */
struct joining {
	const struct container *c;
	const struct spec *spec;
	struct launch_joins *joins;
	enum ns_kind user_from;
};

static const char *setting_of(const struct joining *j, enum ns_kind kind, char **ret)
{
	*ret = container_ns_setting(j->c->engine, j->spec, kind);
	return *ret ?: "?";
}

/* The one that has been found before must be this one. */
static int check_user(const struct joining *j, enum ns_kind kind, int fd, struct ctn_err *err)
{
	ctn_autofree char *first = NULL, *second = NULL;
	const char *other;

	if (ns_same(j->joins->fds[NS_USER], fd) == 1)
		return 0;
	other = setting_of(j, j->user_from, &first);
	return ctn_fail(err, EINVAL,
			"ns/%s is %s and ns/%s is %s: these have different user namespaces, and "
			"rights over the one end in the other; all must be of one owner",
			ns_types[j->user_from].name, other, ns_types[kind].name,
			setting_of(j, kind, &second));
}

/* Join the user namespace of the process at @procfd, for the sake of its namespace of that kind. */
static int join_user(struct joining *j, enum ns_kind kind, int procfd, struct ctn_err *err)
{
	ctn_autoclose int fd = openat(procfd, "ns/user", O_RDONLY | O_CLOEXEC);
	struct launch_joins *joins = j->joins;
	int r;

	if (fd < 0)
		return ctn_fail(err, ESRCH, "ns/%s: the process whose it is has ended",
				ns_types[kind].name);
	if (joins->fds[NS_USER] >= 0)
		return check_user(j, kind, fd, err);
	r = spec_maps_read(procfd, &joins->uids, &joins->gids, err);
	if (r < 0)
		return r;
	joins->has_ids = true;
	joins->fds[NS_USER] = ctn_take_fd(fd);
	j->user_from = kind;
	return 0;
}

static int join_container(struct joining *j, enum ns_kind kind, struct ctn_err *err)
{
	struct pidref *init = NULL;
	ctn_autoclose int fd = -1, procfd = -1;
	int r = container_ns_open(j->c->engine, spec_ns_container(j->spec, kind), kind, &fd, &init,
				  err);

	if (r == 0)
		r = pidref_open(init, &procfd, err);
	if (r == 0)
		r = join_user(j, kind, procfd, err);
	if (r == 0 && kind != NS_USER)
		j->joins->fds[kind] = ctn_take_fd(fd);
	pidref_put(init);
	return r;
}

/* A descriptor of a user namespace does not tell its id map; a process in it does. */
static int join_user_path(struct joining *j, const char *path, struct ctn_err *err)
{
	ctn_autofree char *number = strndup(path, strcspn(path + 6, "/") + 6);
	ctn_autoclose int procfd = -1;
	uint64_t pid = 0;
	int r;

	if (!number)
		return ctn_fail(err, ENOMEM, "ns/user: no memory");
	if (strncmp(path, "/proc/", 6) != 0 || strcmp(path + strlen(number), "/ns/user") != 0 ||
	    parse_u64("pid", number + 6, INT32_MAX, &pid, NULL) < 0)
		return ctn_fail(err, EOPNOTSUPP,
				"ns/user: %s does not tell its id map; write /proc/PID/ns/user of "
				"a process in it",
				path);
	r = procfs_open((pid_t)pid, &procfd, err);
	if (r == -ESRCH)
		return ctn_fail(err, ENOENT, "ns/user: there is no process %u", (unsigned)pid);
	return r < 0 ? r : join_user(j, NS_USER, procfd, err);
}

static int join_path(struct joining *j, enum ns_kind kind, struct ctn_err *err)
{
	const char *path = spec_ns_path(j->spec, kind);
	int fd = -1;
	int r = ns_open(j->c->engine->host_mntns, path, kind, &fd, err);

	if (r < 0)
		return err ? ctn_fail_context(err, "ns/%s", ns_types[kind].name) : r;
	if (kind != NS_USER) {
		j->joins->fds[kind] = fd;
		return 0;
	}
	close(fd);
	return join_user_path(j, path, err);
}

static int join_kind(struct joining *j, enum ns_kind kind, struct ctn_err *err)
{
	if (spec_ns_container(j->spec, kind))
		return join_container(j, kind, err);
	return spec_ns_path(j->spec, kind) ? join_path(j, kind, err) : 0;
}

static bool is_hosts(const struct joining *j, enum ns_kind kind)
{
	struct stat st;

	return fstat(j->joins->fds[kind], &st) == 0 &&
	       st.st_ino == container_host_ns(j->c->engine, kind);
}

/* A container may itself be in the host's. There is nothing to join then. */
static void sort_out_hosts(const struct joining *j)
{
	struct launch_joins *joins = j->joins;

	for (int i = 0; i < NS_COUNT; i++) {
		if (joins->fds[i] < 0)
			continue;
		if (!is_hosts(j, (enum ns_kind)i)) {
			joins->flags |= ns_types[i].clone_flag;
			continue;
		}
		joins->host |= ns_types[i].clone_flag;
		ctn_close_fd(&joins->fds[i]);
		joins->fds[i] = -1;
		if (i == NS_USER)
			joins->has_ids = false;
	}
}

/* @fd's owner is where the container's root has its rights. */
static bool owned(const struct joining *j, int fd)
{
	ctn_autoclose int owner = -1;

	if (spec_ns_is_host(j->spec, NS_USER) || j->joins->host & CLONE_NEWUSER)
		return true;
	return j->joins->fds[NS_USER] >= 0 && ns_owner(fd, &owner, NULL) == 0 &&
	       ns_same(owner, j->joins->fds[NS_USER]) == 1;
}

static int check_host_user(const struct joining *j, struct ctn_err *err)
{
	ctn_autofree char *setting = NULL;

	if (!spec_ns_is_host(j->spec, NS_USER) || j->joins->fds[NS_USER] < 0)
		return 0;
	return ctn_fail(err, EINVAL,
			"ns/user is host and ns/%s is %s, whose user namespace must be joined with "
			"it; echo new > ns/user, which lets it follow",
			ns_types[j->user_from].name, setting_of(j, j->user_from, &setting));
}

/* It is entered from inside, where rights over a foreign one do not reach: only there it is known
 * which cgroup it is in. */
static int check_cgroup(const struct joining *j, struct ctn_err *err)
{
	int fd = j->joins->fds[NS_CGROUP];

	if (fd < 0 || owned(j, fd))
		return 0;
	return ctn_fail(
		err, EOPNOTSUPP,
		"ns/cgroup: %s belongs to another user namespace; join that, too (ns/user), "
		"or leave it new",
		spec_ns_setting(j->spec, NS_CGROUP));
}

/* A document for one of several that share a namespace says the name that this has. */
static int check_hostname(const struct joining *j, struct ctn_err *err)
{
	char theirs[NS_HOSTNAME_MAX + 1] = "";
	ctn_autofree char *setting = NULL;
	int r = 0;

	if (!spec_ns_names_host(j->spec))
		return 0;
	if (j->joins->fds[NS_UTS] >= 0)
		r = ns_gethostname(j->joins->fds[NS_UTS], theirs, err);
	else if (gethostname(theirs, sizeof(theirs) - 1) < 0) /* it is ours */
		r = ctn_fail_errno(err, "read the host name");
	if (r < 0)
		return err ? ctn_fail_context(err, "ns/uts") : r;
	if (strcmp(theirs, spec_hostname(j->spec)) == 0)
		return 0;
	return ctn_fail(err, EINVAL,
			"hostname: ns/uts is %s, whose host name it has, %s; echo %s > hostname, "
			"or echo new > ns/uts",
			setting_of(j, NS_UTS, &setting), theirs, j->spec->name);
}

/* Settings of namespaces that are made would have no effect on one that is there already. */
static int check_effects(const struct joining *j, struct ctn_err *err)
{
	const struct spec_oci *oci = j->spec->oci;
	int r = check_hostname(j, err);

	if (r < 0)
		return r;
	if (oci && (oci->monotonic.set || oci->boottime.set) && !spec_ns_is_new(j->spec, NS_TIME))
		return ctn_fail(err, EINVAL,
				"oci.linux.timeOffsets: its clocks are not its own; echo new > "
				"ns/time");
	if (oci && (oci->uids.len > 0 || oci->gids.len > 0) &&
	    (j->joins->has_ids || spec_ns_is_host(j->spec, NS_USER)))
		return ctn_fail(err, EINVAL,
				"oci.linux.uidMappings: its user namespace is not its own; echo "
				"new > ns/user, and share no namespace of a container");
	return 0;
}

int launch_joins_open(const struct container *c, const struct spec *spec, struct launch_joins *ret,
		      struct ctn_err *err)
{
	struct joining j = {.c = c, .spec = spec, .joins = ret, .user_from = NS_USER};
	int r = 0;

	ret->flags = ret->host = 0;
	ret->has_ids = false;
	for (int i = 0; i < NS_COUNT; i++)
		ret->fds[i] = -1;
	for (int i = 0; r == 0 && i < NS_COUNT; i++)
		r = join_kind(&j, (enum ns_kind)i, err);
	if (r < 0)
		return r;
	sort_out_hosts(&j);
	container_ns_note(c->engine, spec);
	r = check_host_user(&j, err);
	if (r == 0)
		r = check_cgroup(&j, err);
	return r < 0 ? r : check_effects(&j, err);
}

void launch_joins_close(struct launch_joins *joins)
{
	for (int i = 0; i < NS_COUNT; i++) {
		ctn_close_fd(&joins->fds[i]);
		joins->fds[i] = -1;
	}
}

size_t launch_joins_fds(const struct launch_joins *joins, int ret[WIRE_JOIN_MAX])
{
	size_t n = 0;

	for (int bit = 0; bit < 64; bit++) {
		for (int i = 0; i < NS_COUNT; i++) {
			if (joins->fds[i] >= 0 && ns_types[i].clone_flag == UINT64_C(1) << bit)
				ret[n++] = joins->fds[i];
		}
	}
	return n;
}
