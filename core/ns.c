/* SPDX-License-Identifier: Apache-2.0 */
#include "ns.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "cleanup.h"

int setns(int fd, int nstype); /* <sched.h> and <linux/sched.h> do not go together */

const struct ns_type ns_types[NS_COUNT] = {
	[NS_CGROUP] = {"cgroup", CLONE_NEWCGROUP, "new"},
	[NS_IPC] = {"ipc", CLONE_NEWIPC, "new"},
	[NS_MNT] = {"mnt", CLONE_NEWNS, "new"},
	[NS_NET] = {"net", CLONE_NEWNET, "new"},
	[NS_PID] = {"pid", CLONE_NEWPID, "new"},
	[NS_TIME] = {"time", CLONE_NEWTIME, "host"},
	[NS_USER] = {"user", CLONE_NEWUSER, "new"},
	[NS_UTS] = {"uts", CLONE_NEWUTS, "new"},
};

int ns_find(const char *name)
{
	for (int i = 0; i < NS_COUNT; i++) {
		if (strcmp(ns_types[i].name, name) == 0)
			return i;
	}
	return -1;
}

int ns_inode(int procfd, enum ns_kind kind, uint64_t *ret, struct ctn_err *err)
{
	char path[32];
	struct stat st;

	snprintf(path, sizeof(path), "ns/%s", ns_types[kind].name);
	if (fstatat(procfd, path, &st, 0) < 0)
		return ctn_fail_errno(err, "read the %s namespace", ns_types[kind].name);
	*ret = st.st_ino;
	return 0;
}

/* Make this thread see the UTS namespace of @fd. @ret: where it has to return to. */
static int uts_enter(int fd, int *ret, struct ctn_err *err)
{
	ctn_autoclose int own = open("/proc/thread-self/ns/uts", O_RDONLY | O_CLOEXEC);

	if (own < 0)
		return ctn_fail_errno(err, "open the uts namespace");
	if (setns(fd, CLONE_NEWUTS) < 0)
		return ctn_fail_errno(err, "enter the uts namespace");
	*ret = ctn_take_fd(own);
	return 0;
}

static void uts_leave(int own)
{
	if (setns(own, CLONE_NEWUTS) < 0)
		abort(); /* this thread would act on a container's host name as if it were ours */
}

int ns_gethostname(int fd, char ret[NS_HOSTNAME_MAX + 1], struct ctn_err *err)
{
	ctn_autoclose int own = -1;
	struct utsname uts;
	int r = uts_enter(fd, &own, err);

	if (r < 0)
		return r;
	if (uname(&uts) < 0)
		r = ctn_fail_errno(err, "read the host name");
	uts_leave(own);
	if (r == 0)
		snprintf(ret, NS_HOSTNAME_MAX + 1, "%s", uts.nodename);
	return r;
}

int ns_sethostname(int procfd, const char *name, struct ctn_err *err)
{
	ctn_autoclose int theirs = openat(procfd, "ns/uts", O_RDONLY | O_CLOEXEC), own = -1;
	int r;

	if (theirs < 0)
		return ctn_fail_errno(err, "open the uts namespace");
	r = uts_enter(theirs, &own, err);
	if (r < 0)
		return r;
	if (sethostname(name, strlen(name)) < 0)
		r = ctn_fail_errno(err, "set the host name '%s'", name);
	uts_leave(own);
	return r;
}
