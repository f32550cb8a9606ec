/* SPDX-License-Identifier: Apache-2.0 */
/* Set-up steps that any process of a container goes through, its first one and those that enter. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../cleanup.h"
#include "../io.h"
#include "../weaken.h"
#include "monitor.h"

/* Root of its user namespace: the maps of a new one are written by the time that the mounts have
 * arrived. */
int stage_ids(struct stage *s, struct ctn_err *err)
{
	(void)s;
	if (syscall(SYS_setgroups, 0, NULL) < 0 || setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
		return ctn_fail_errno(err, "become root of the user namespace");
	return 0;
}

int stage_streams(struct stage *s, struct ctn_err *err)
{
	const int from[] = {s->io->child_in, s->io->child_out, s->io->child_err};

	for (int i = 0; i < 3; i++) {
		if (dup2(s->terminal >= 0 ? s->terminal : from[i], i) < 0)
			return ctn_fail_errno(err, "connect the standard streams");
	}
	(void)setsid(); /* no terminal of ours can be reached from inside */
	/* Below our init it is the program that has a session with it. */
	return s->plan->msg->flags & WIRE_INIT ? 0 : terminal_control(s->plan, err);
}

int stage_signals(struct stage *s, struct ctn_err *err)
{
	/* The kernel's own call and its struct sigaction, with no handler, flags and mask: libc's
	 * leaves signals alone that it has a use for, and posix_spawn() has them ignored. */
	static const unsigned long as_new[4];
	sigset_t none;

	(void)s;
	(void)err;
	for (int sig = 1; sig < NSIG; sig++)
		(void)syscall(SYS_rt_sigaction, sig, as_new, NULL, sizeof(as_new[0]));
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	return 0;
}

/* Becoming another user could have made us dumpable (fs.suid_dumpable), for others who are in the
 * same pid namespace already, with descriptors of the host still open. */
int stage_hide(struct stage *s, struct ctn_err *err)
{
	if (!WEAKEN_DUMPABLE && (s->plan->msg->ns_join || s->entering) &&
	    prctl(PR_SET_DUMPABLE, 0) < 0)
		return ctn_fail_errno(err, "hide from others");
	return 0;
}

/* As the user that the program runs as, who must be allowed to be there. */
int stage_cwd(struct stage *s, struct ctn_err *err)
{
	char there[4096];

	if (chdir(s->plan->cwd) < 0)
		return ctn_fail_errno(err, "cwd %s", s->plan->cwd);
	if (WEAKEN_CWD)
		return 0;
	/* A directory outside of the root is "(unreachable)…": CVE-2024-21626's way out. libc's
	 * getcwd() would look for another name of it, and find one where the root is a directory of
	 * the host. */
	if (syscall(SYS_getcwd, there, sizeof(there)) < 0 || there[0] != '/')
		return ctn_fail(err, EINVAL, "cwd %s is not inside the container", s->plan->cwd);
	return 0;
}

/* For good, not only at execve: a cwd or a program's path below /proc/self/fd must find nothing of
 * ours (CVE-2024-21626). */
int stage_close(struct stage *s, struct ctn_err *err)
{
	enum { REPORT = 3 };

	if (s->report != REPORT && dup3(s->report, REPORT, O_CLOEXEC) < 0)
		return ctn_fail_errno(err, "keep the report channel");
	s->report = REPORT;
	if (WEAKEN_DESCRIPTORS)
		return 0;
	if (syscall(SYS_close_range, REPORT + 1, ~0U, 0) < 0)
		return ctn_fail_errno(err, "close the other descriptors");
	return 0;
}

void stage_report(int fd, const char *step, const struct ctn_err *err)
{
	struct wire_error e = {.code = err->code};

	snprintf(e.step, sizeof(e.step), "%s", step);
	snprintf(e.text, sizeof(e.text), "%.*s", WIRE_TEXT_MAX - 1, err->text);
	(void)io_write_all(fd, &e, sizeof(e));
}
