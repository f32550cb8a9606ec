/* SPDX-License-Identifier: Apache-2.0 */
/* Namespaces by descriptor: opened by a path of the host, and asked who owns them. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <linux/nsfs.h>
#include <linux/openat2.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "cleanup.h"
#include "ns.h"

/* --- opening in the host's mount namespace --- */

struct opener {
	int mntns;
	const char *path;
	int fd, code;
};

/* No link in it is followed: those were resolved before, and one that leads into a mount of our
 * own would make us wait for ourselves. */
static int open_plain(const char *path)
{
	struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_NO_SYMLINKS};

	return (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));
}

static void *open_there(void *arg)
{
	struct opener *o = arg;

	/* setns() refuses who shares root and working directory with another thread. */
	if (unshare(CLONE_FS) == 0 && setns(o->mntns, CLONE_NEWNS) == 0)
		o->fd = open_plain(o->path);
	o->code = o->fd < 0 ? errno : 0;
	return NULL;
}

/* Where it is without symbolic links; the last part need not be visible to us, since it may have
 * been mounted on after we left the host's mount namespace. */
static char *without_links(const char *path)
{
	ctn_autofree char *dir = NULL, *real = realpath(path, NULL);
	const char *slash = strrchr(path, '/');
	char *joined = NULL;

	if (real)
		return ctn_take_ptr(real);
	dir = strndup(path, (size_t)(slash - path) + 1);
	real = dir ? realpath(dir, NULL) : NULL;
	if (real && asprintf(&joined, "%s%s", real, slash) < 0)
		joined = NULL;
	return joined;
}

static int open_on_host(int mntns, const char *path, int *ret, struct ctn_err *err)
{
	ctn_autofree char *real = without_links(path);
	struct opener o = {.mntns = mntns, .path = real ?: path, .fd = -1};
	pthread_t thread;
	int r = pthread_create(&thread, NULL, open_there, &o);

	if (r)
		return ctn_fail(err, r, "open %s: %s", path, strerrordesc_np(r));
	(void)pthread_join(thread, NULL);
	errno = o.code;
	if (o.fd < 0)
		return ctn_fail_errno(err, "open %s", path);
	*ret = o.fd;
	return 0;
}

/* "/proc/PID/…": its last part is a link that only the kernel can follow. */
static int open_in_proc(const char *path, int *ret, struct ctn_err *err)
{
	int fd;

	if (strncmp(path, "/proc/self/", 11) == 0 || strncmp(path, "/proc/thread-self/", 18) == 0)
		return ctn_fail(err, EINVAL,
				"%s: that would be this server; write the number of the process "
				"that is meant",
				path);
	fd = open(path, O_PATH | O_CLOEXEC);
	if (fd < 0)
		return ctn_fail_errno(err, "open %s", path);
	*ret = fd;
	return 0;
}

static const char *kind_of(int type)
{
	for (int i = 0; i < NS_COUNT; i++) {
		if (ns_types[i].clone_flag == (uint64_t)(unsigned)type)
			return ns_types[i].name;
	}
	return "unknown kind of";
}

/* From a place to the namespace that is there. */
static int open_checked(int place, const char *path, enum ns_kind kind, int *ret,
			struct ctn_err *err)
{
	ctn_autoclose int fd = -1;
	char link[40];
	struct statfs fs;
	int type;

	/* Before it is opened for good: that has effects on devices and FIFOs. */
	if (fstatfs(place, &fs) < 0 || fs.f_type != NSFS_MAGIC)
		return ctn_fail(err, EINVAL, "%s is not a namespace", path);
	snprintf(link, sizeof(link), "/proc/self/fd/%d", place);
	fd = open(link, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return ctn_fail_errno(err, "open %s", path);
	type = ioctl(fd, NS_GET_NSTYPE);
	if (type < 0 || (uint64_t)(unsigned)type != ns_types[kind].clone_flag)
		return ctn_fail(err, EINVAL, "%s is a %s namespace, not a %s namespace", path,
				kind_of(type), ns_types[kind].name);
	*ret = ctn_take_fd(fd);
	return 0;
}

int ns_open(int host_mntns, const char *path, enum ns_kind kind, int *ret, struct ctn_err *err)
{
	ctn_autoclose int place = -1;
	int r = strncmp(path, "/proc/", 6) == 0 ? open_in_proc(path, &place, err)
						: open_on_host(host_mntns, path, &place, err);

	return r < 0 ? r : open_checked(place, path, kind, ret, err);
}

/* --- what they are --- */

int ns_same(int a, int b)
{
	struct stat sa, sb;

	if (fstat(a, &sa) < 0 || fstat(b, &sb) < 0)
		return -errno;
	return sa.st_dev == sb.st_dev && sa.st_ino == sb.st_ino;
}

int ns_owner(int fd, int *ret, struct ctn_err *err)
{
	int owner = ioctl(fd, NS_GET_USERNS); /* close-on-exec */

	if (owner < 0)
		return ctn_fail_errno(err, "ask who owns a namespace");
	*ret = owner;
	return 0;
}
