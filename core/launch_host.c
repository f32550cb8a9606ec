/* SPDX-License-Identifier: Apache-2.0 */
/* Paths of the host. The server's own mount namespace does not have ctnfs's mount and, where the
 * host's mounts are private, none that is newer than the server. So they are looked up in the
 * host's, by a thread that is there for no longer, and name by name: one that leads into ctnfs's
 * own mount would be asked of the server, which must never wait for itself. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "cleanup.h"
#include "launch_pack.h"

enum {
	LINKS_MAX = 40, /* as path_resolution(7) */
	OWN_DEVS_MAX = 64,
};

struct lookup {
	const struct engine *engine;
	struct host_path *paths;
	size_t n;
	int error;
};

/* The kernel alone is asked, never who serves the file system. */
static int look(int fd, const char *path, struct statx *ret)
{
	const int flags = AT_EMPTY_PATH | AT_STATX_DONT_SYNC | AT_SYMLINK_NOFOLLOW |
			  AT_NO_AUTOMOUNT;

	return statx(fd, path, flags, STATX_TYPE, ret) < 0 ? -errno : 0;
}

/* Device numbers of what must not be asked: our own mount, wherever it is mounted again, and other
 * servers', whose files say what root does on the host. Further ones than there is room for are not
 * known. */
struct own_devs {
	dev_t items[OWN_DEVS_MAX];
	size_t n;
};

static void read_own_devs(struct own_devs *own)
{
	ctn_autoclosefile FILE *f = fopen("/proc/thread-self/mountinfo", "re");
	ctn_autofree char *line = NULL;
	size_t room = 0;

	own->n = 0;
	while (f && own->n < OWN_DEVS_MAX && getline(&line, &room, f) > 0) {
		unsigned major, minor;

		if (strstr(line, " - fuse.ctnfs ") &&
		    sscanf(line, "%*u %*u %u:%u", &major, &minor) == 2)
			own->items[own->n++] = makedev(major, minor);
	}
}

static bool is_own(const struct own_devs *own, const struct statx *st)
{
	for (size_t i = 0; i < own->n; i++) {
		if (own->items[i] == makedev(st->stx_dev_major, st->stx_dev_minor))
			return true;
	}
	return false;
}

/* Where its text cannot say where a link leads: /proc/PID/root. */
static bool is_in_proc(int fd)
{
	struct statfs fs;

	return fstatfs(fd, &fs) == 0 && fs.f_type == PROC_SUPER_MAGIC;
}

/* Put what the link @fd says in front of @rest. */
static int splice_link(int fd, char rest[PATH_MAX])
{
	char text[PATH_MAX];
	ssize_t n = readlinkat(fd, "", text, sizeof(text));
	size_t len = strlen(rest);

	if (n < 0)
		return -errno;
	if ((size_t)n + 1 + len >= PATH_MAX)
		return -ENAMETOOLONG;
	memmove(rest + n + 1, rest, len + 1);
	memcpy(rest, text, (size_t)n);
	rest[n] = '/';
	return 0;
}

/* One name of @rest, from @at on. @links: how many were followed. */
static int walk_name(int *at, char rest[PATH_MAX], const struct own_devs *own, int *links)
{
	size_t n = strcspn(rest, "/");
	char name[NAME_MAX + 1];
	struct statx st = {0};
	int next, r;

	if (n > NAME_MAX)
		return -ENAMETOOLONG;
	memcpy(name, rest, n);
	name[n] = '\0';
	memmove(rest, rest + n, strlen(rest + n) + 1);
	next = openat(*at, name, O_PATH | O_CLOEXEC | (is_in_proc(*at) ? 0 : O_NOFOLLOW));
	r = next < 0 ? -errno : look(next, "", &st);
	if (r == 0 && is_own(own, &st))
		r = -EXDEV;
	if (r == 0 && S_ISLNK(st.stx_mode)) {
		r = ++*links > LINKS_MAX ? -ELOOP : splice_link(next, rest);
		ctn_close_fd(&next);
		next = rest[0] == '/' ? open("/", O_PATH | O_DIRECTORY | O_CLOEXEC)
				      : fcntl(*at, F_DUPFD_CLOEXEC, 0);
	}
	ctn_close_fd(at);
	*at = next;
	return r;
}

static int walk(const char *path, const struct own_devs *own, int *ret)
{
	ctn_autoclose int at = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	char rest[PATH_MAX];
	int links = 0, r = at < 0 ? -errno : 0;

	if (strlen(path) >= sizeof(rest))
		return -ENAMETOOLONG;
	strcpy(rest, path);
	while (r == 0 && rest[0]) {
		size_t slashes = strspn(rest, "/");

		if (slashes > 0)
			memmove(rest, rest + slashes, strlen(rest + slashes) + 1);
		else
			r = walk_name(&at, rest, own, &links);
	}
	if (r == 0)
		*ret = ctn_take_fd(at);
	return r;
}

static void *look_up(void *arg)
{
	struct lookup *l = arg;
	const struct engine *e = l->engine;
	struct own_devs own;

	/* A working directory of its own, which setns() asks for. */
	if (e->host_mntns >= 0 &&
	    (unshare(CLONE_FS) < 0 || setns(e->host_mntns, CLONE_NEWNS) < 0)) {
		l->error = errno;
		return NULL;
	}
	read_own_devs(&own);
	for (size_t i = 0; i < l->n; i++)
		l->paths[i].error = -walk(l->paths[i].path, &own, &l->paths[i].fd);
	return NULL;
}

int host_open(const struct engine *e, struct host_path *paths, size_t n, struct ctn_err *err)
{
	struct lookup l = {.engine = e, .paths = paths, .n = n};
	sigset_t all, old;
	pthread_t thread;
	int r;

	for (size_t i = 0; i < n; i++)
		paths[i].fd = -1;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old); /* signals are the main thread's */
	r = pthread_create(&thread, NULL, look_up, &l);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (r)
		return ctn_fail(err, r, "start a thread to look at the host's files");
	pthread_join(thread, NULL);
	if (l.error)
		return ctn_fail(err, l.error, "enter the host's mount namespace: %s",
				strerrordesc_np(l.error));
	return 0;
}

int host_open_directory(const struct engine *e, const char *path, int *ret, struct ctn_err *err)
{
	struct host_path p = {.path = path};
	int r = host_open(e, &p, 1, err);
	ctn_autoclose int fd = p.fd;
	struct stat st;

	if (r < 0)
		return r;
	if (p.error == EXDEV)
		return ctn_fail(err, EINVAL, "%s is in ctnfs itself; name what it shows", path);
	if (p.error == 0 && fstat(fd, &st) == 0 && !S_ISDIR(st.st_mode))
		p.error = ENOTDIR;
	if (p.error)
		return ctn_fail(err, p.error, "%s: %s", path, strerrordesc_np(p.error));
	*ret = ctn_take_fd(fd);
	return 0;
}
