/* SPDX-License-Identifier: Apache-2.0 */
/* Set-up steps for what a process has besides its rights: limits, settings of its namespaces,
 * umask, personality. */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <sched.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "../cleanup.h"
#include "rights.h"

/* The server raised its soft limit for itself; programs expect select(2)'s 1024. */
static int limit_files(struct ctn_err *err)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) < 0)
		return ctn_fail_errno(err, "read the limit on open files");
	if (files.rlim_max > 1024)
		files.rlim_cur = 1024;
	if (setrlimit(RLIMIT_NOFILE, &files) < 0)
		return ctn_fail_errno(err, "set the limit on open files");
	return 0;
}

/* After our descriptors are closed, and while no filter forbids it. The monitor has raised what was
 * to be raised, so all that is left is lowering. */
int stage_limits(struct stage *s, struct ctn_err *err)
{
	const struct wire_start *m = s->plan->msg;
	int r = limit_files(err);

	for (uint32_t i = 0; r == 0 && i < m->rlimits.count; i++) {
		const struct wire_rlimit *want = &s->plan->rlimits[i];
		const struct rlimit limit = {.rlim_cur = want->soft, .rlim_max = want->hard};
		struct rlimit have = {0};

		(void)prlimit(0, want->resource, NULL, &have);
		if (prlimit(0, want->resource, &limit, NULL) < 0)
			r = limit_fail(want, have.rlim_max, err);
	}
	umask(m->umask);
	return r;
}

int stage_personality(struct stage *s, struct ctn_err *err)
{
	int64_t value = s->plan->msg->personality;

	if (value >= 0 && personality((unsigned long)value) < 0)
		return ctn_fail_errno(err, "personality 0x%llx", (unsigned long long)value);
	return 0;
}

/* --- settings of namespaces --- */

/* The host's /proc, which nothing of the container can have touched; what it shows below sys is of
 * the namespaces that we are in. */
static int open_settings(int *ret, struct ctn_err *err)
{
	enum { PROC_ROOT_INO = 1 };
	ctn_autoclose int proc = open("/proc", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct statfs fs;
	struct stat st;
	int fd;

	if (proc < 0 || fstatfs(proc, &fs) < 0 || fstat(proc, &st) < 0)
		return ctn_fail_errno(err, "sysctl: open /proc");
	if (fs.f_type != PROC_SUPER_MAGIC || st.st_ino != PROC_ROOT_INO)
		return ctn_fail(err, EINVAL, "sysctl: the host's /proc is no proc file system");
	fd = openat(proc, "sys", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return ctn_fail_errno(err, "sysctl: open /proc/sys");
	*ret = fd;
	return 0;
}

/* Linux 6.1 has net.core only where the network namespace is the host's users'. */
static int setting_missing(int sys, const char *path, struct ctn_err *err)
{
	if (strncmp(path, "net/core/", 9) == 0 && faccessat(sys, "net/core/somaxconn", F_OK, 0) < 0)
		return ctn_fail(err, EOPNOTSUPP,
				"sysctl: %s: this kernel has no net.core in a user namespace; with "
				"ns/user host it has",
				path);
	return ctn_fail(err, ENOENT, "sysctl: %s: its own namespace has no such setting", path);
}

static int setting_open(int sys, const char *path, int *ret, struct ctn_err *err)
{
	struct open_how how = {
		.flags = O_WRONLY | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS |
			   RESOLVE_NO_XDEV,
	};
	int fd = (int)syscall(SYS_openat2, sys, path, &how, sizeof(how));

	if (fd < 0 && (errno == ENOENT || errno == EISDIR))
		return setting_missing(sys, path, err);
	if (fd < 0 && (errno == EACCES || errno == EPERM))
		return ctn_fail(err, EOPNOTSUPP,
				"sysctl: %s cannot be changed in a namespace on this kernel", path);
	if (fd < 0)
		return ctn_fail_errno(err, "sysctl: %s", path);
	*ret = fd;
	return 0;
}

/* Once written, an entry has no value any more. @last: nobody else will try. */
static int settings_write(struct stage *s, bool last, struct ctn_err *err)
{
	ctn_autoclose int sys = -1;
	int r = 0;

	for (char **p = s->plan->sysctls; r == 0 && *p; p += 2) {
		ctn_autoclose int fd = -1;

		if (!p[1])
			continue;
		if (sys < 0)
			r = open_settings(&sys, err);
		if (r == 0)
			r = setting_open(sys, p[0], &fd, err);
		if (r == -EOPNOTSUPP && !last) {
			r = 0;
			continue;
		}
		if (r == 0 && write(fd, p[1], strlen(p[1])) != (ssize_t)strlen(p[1]))
			r = ctn_fail_errno(err, "sysctl: %s = %.80s", p[0], p[1]);
		p[1] = NULL;
	}
	return r;
}

/* In the new namespaces, but still with the host's user ids: before Linux 6.9 the settings of an
 * ipc namespace are the host's root's alone, and those of a uts namespace still are. */
int stage_sysctls_early(struct stage *s, struct ctn_err *err)
{
	return settings_write(s, false, err);
}

/* As root of the user namespace: since Linux 6.9 those of an ipc namespace are its own alone. */
int stage_sysctls(struct stage *s, struct ctn_err *err)
{
	return settings_write(s, true, err);
}
