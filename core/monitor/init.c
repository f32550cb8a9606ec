/* SPDX-License-Identifier: Apache-2.0 */
/* A small pid 1 for programs that do not want to be one: it reaps, and passes signals on. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "monitor.h"

/* Reap whatever ended. Return: the program's exit status once it has ended, else -1. */
static int reap(pid_t child)
{
	int status, code = -1;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid != child)
			continue;
		code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
	}
	return code;
}

void init_run(pid_t child)
{
	sigset_t all; /* blocked already, so that sigwaitinfo gets them; pid 1 has no defaults */

	(void)prctl(PR_SET_NAME, "init");
	(void)prctl(PR_SET_CHILD_SUBREAPER, 1); /* in a shared pid namespace another is pid 1 */
	/* For ps as well: "ctnfs-monitor", which stands there, is longer. */
	memset(program_invocation_name, 0, strlen(program_invocation_name));
	memcpy(program_invocation_name, "init", sizeof("init"));
	sigfillset(&all);
	for (;;) {
		siginfo_t info;
		int code = reap(child), sig;

		if (code >= 0)
			_exit(code); /* the kernel ends whatever is left in the pid namespace */
		sig = sigwaitinfo(&all, &info);
		if (sig > 0 && sig != SIGCHLD)
			(void)kill(child, sig);
	}
}
