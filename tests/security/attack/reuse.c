/* SPDX-License-Identifier: Apache-2.0 */
/* On the host (N31): a process with the number that another one had, which only waits.
 *
 *     reuse PID…
 *
 * Tries until the numbers are free and taken, says READY, and "END signal N" for each that is
 * killed. With its own end they go. */
#include <errno.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void take(pid_t number)
{
	const struct timespec pause_for = {.tv_nsec = 200000};
	struct clone_args args = {
		.exit_signal = SIGCHLD, .set_tid = (unsigned long)&number, .set_tid_size = 1};
	long pid;

	while ((pid = syscall(SYS_clone3, &args, sizeof(args))) < 0 && errno == EEXIST)
		(void)nanosleep(&pause_for, NULL);
	if (pid < 0) {
		printf("%s\n", strerrorname_np(errno));
		exit(1);
	}
	if (pid > 0)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;)
		pause();
}

int main(int argc, char **argv)
{
	int status;
	pid_t pid;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (int i = 1; i < argc; i++)
		take(atoi(argv[i]));
	printf("READY\n");
	fflush(stdout);
	while ((pid = wait(&status)) > 0) {
		printf("END %d signal %d\n", pid, WIFSIGNALED(status) ? WTERMSIG(status) : 0);
		fflush(stdout);
	}
	return 0;
}
