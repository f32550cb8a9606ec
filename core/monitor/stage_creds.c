/* SPDX-License-Identifier: Apache-2.0 */
/* Set-up steps that take rights away, and the last one, execve. */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/keyctl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../cleanup.h"
#include "../io.h"
#include "../weaken.h"
#include "monitor.h"
#include "notify.h"

/* Before it has the container's ids: a user other than the host's root may have 200 keys, and each
 * process of the container's would take one of them, where its parent has a session keyring. */
int stage_keyring(struct stage *s, struct ctn_err *err)
{
	(void)s;
	if (WEAKEN_KEYRING)
		return 0;
	/* A kernel without keyrings has nothing to leak. */
	if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL) < 0 && errno != ENOSYS)
		return ctn_fail_errno(err, "make a session keyring");
	return 0;
}

static int caps_set(uint64_t effective, uint64_t permitted, uint64_t inheritable,
		    struct ctn_err *err)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];

	for (int i = 0; i < 2; i++) {
		data[i].effective = (uint32_t)(effective >> (32 * i));
		data[i].permitted = (uint32_t)(permitted >> (32 * i));
		data[i].inheritable = (uint32_t)(inheritable >> (32 * i));
	}
	if (syscall(SYS_capset, &head, data) < 0)
		return ctn_fail_errno(err, "set the capabilities");
	return 0;
}

int stage_bounding(struct stage *s, struct ctn_err *err)
{
	for (unsigned cap = 0; cap < 64; cap++) {
		if (s->plan->msg->caps & UINT64_C(1) << cap || prctl(PR_CAPBSET_DROP, cap) == 0)
			continue;
		if (errno == EINVAL)
			break; /* there is none of that number, nor of a higher one */
		return ctn_fail_errno(err, "drop capability %u from the bounding set", cap);
	}
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
		return ctn_fail_errno(err, "clear the ambient capabilities");
	return 0;
}

int stage_user(struct stage *s, struct ctn_err *err)
{
	const struct wire_start *m = s->plan->msg;
	gid_t groups[WIRE_GROUPS_MAX];

	if (WEAKEN_INHERITABLE && caps_set(m->caps, m->caps, m->caps, err) < 0)
		return -EPERM;
	for (uint32_t i = 0; i < m->n_groups; i++)
		groups[i] = m->groups[i];
	if (!WEAKEN_GROUPS && syscall(SYS_setgroups, m->n_groups, groups) < 0)
		return ctn_fail_errno(err, "set the supplementary groups");
	if (m->flags & WIRE_CAP_SETS && prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
		return ctn_fail_errno(err, "keep the capabilities of user %u", m->uid);
	if (setresgid(m->gid, m->gid, m->gid) < 0)
		return ctn_fail_errno(err, "become group %u", m->gid);
	if (setresuid(m->uid, m->uid, m->uid) < 0)
		return ctn_fail_errno(err, "become user %u", m->uid);
	return 0;
}

/* Those that execve gives on to a program without asking who runs it. */
static int caps_ambient(uint64_t mask, struct ctn_err *err)
{
	for (unsigned cap = 0; mask >> cap; cap++) {
		if (mask & UINT64_C(1) << cap &&
		    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0) < 0)
			return ctn_fail_errno(err, "make capability %u ambient", cap);
		if (cap == 63)
			break;
	}
	return 0;
}

/* Where no sets are given, root has what is in the bounding set; a user other than 0 has lost all
 * of them in setresuid; the inheritable set is empty for everyone. */
int stage_caps(struct stage *s, struct ctn_err *err)
{
	const struct wire_start *m = s->plan->msg;
	const uint64_t *sets = m->cap_sets;
	uint64_t mask = m->uid == 0 ? m->caps : 0;
	int r;

	if (!(m->flags & WIRE_CAP_SETS))
		return caps_set(mask, mask, WEAKEN_INHERITABLE ? m->caps : 0, err);
	r = caps_set(sets[0], sets[1], sets[2], err);
	return r < 0 ? r : caps_ambient(sets[3], err);
}

/* execvp's rules, with the container's PATH: the first that can be executed; EACCES is remembered.
 */
static int exec_search(const struct plan *p)
{
	const char *path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
	int seen = ENOENT;

	for (char **e = p->envp; *e; e++) {
		if (strncmp(*e, "PATH=", 5) == 0)
			path = *e + 5;
	}
	while (*path) {
		size_t n = strcspn(path, ":");
		char full[4096];

		if ((size_t)snprintf(full, sizeof(full), "%.*s/%s", (int)n, n ? path : ".",
				     p->argv[0]) < sizeof(full)) {
			execve(full, p->argv, p->envp);
			if (errno != ENOENT && errno != ENOTDIR && errno != EACCES)
				return errno;
			if (errno == EACCES)
				seen = EACCES;
		}
		path += n + (path[n] == ':');
	}
	return seen;
}

static int exec_explain(const char *name, int code, struct ctn_err *err)
{
	struct stat st;

	if (strchr(name, '/') && stat(name, &st) == 0 && S_ISDIR(st.st_mode))
		return ctn_fail(err, EACCES, "%s is a directory, not a program", name);
	switch (code) {
	case ENOENT:
		if (strchr(name, '/') && access(name, F_OK) == 0)
			return ctn_fail(err, ENOENT,
					"%s: its interpreter or loader does not exist inside",
					name);
		return ctn_fail(err, ENOENT, "%s: no such program inside%s", name,
				strchr(name, '/') ? "" : "; looked along PATH");
	case EACCES:
		return ctn_fail(err, EACCES, "%s: may not be executed (see its mode inside)", name);
	case ENOEXEC:
		return ctn_fail(err, ENOEXEC,
				"%s: not a program that this machine can run; a script needs "
				"its #! line",
				name);
	default:
		errno = code;
		return ctn_fail_errno(err, "execute %s", name);
	}
}

/* The program's process goes on; this one becomes its init. The program may run, and somebody may
 * send a signal, before this one runs again: pid 1 would lose what it has not blocked by then. */
static int begin_init(const struct plan *p, struct ctn_err *err)
{
	sigset_t all, none;
	pid_t child;

	sigfillset(&all);
	sigemptyset(&none);
	(void)sigprocmask(SIG_BLOCK, &all, NULL);
	child = fork();
	if (child < 0)
		return ctn_fail_errno(err, "start the program below init");
	if (child > 0) {
		/* The report pipe, too: it is the program's now. */
		syscall(SYS_close_range, 0, ~0U, 0);
		init_run(child);
	}
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)setsid();
	return terminal_control(p, err);
}

int stage_exec(struct stage *s, struct ctn_err *err)
{
	const struct plan *p = s->plan;
	const char *name = p->argv[0];
	const struct wire_error ready = {.code = 0, .step = "exec"};
	int code;

	if (p->handover) /* where the filter refuses the message that follows, this says it */
		atomic_store(&p->handover->ready, 1);
	(void)io_write_all(s->report, &ready, sizeof(ready));
	if (p->msg->flags & WIRE_INIT) {
		code = begin_init(p, err);
		if (code < 0)
			return code;
	}
	if (strchr(name, '/')) {
		execve(name, p->argv, p->envp);
		code = errno;
	} else {
		code = exec_search(p);
	}
	return exec_explain(name, code, err);
}
