/* SPDX-License-Identifier: Apache-2.0 */
/* The parent of a program that entered: a process that no terminal and no job control stops. Were
 * it the one that the caller's shell stops, the program could not be reaped, and a pid namespace,
 * and so a container, does not end before all of its zombies are gone. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../cleanup.h"
#include "enter.h"
#include "exec.h"

static void tell(int sock, const struct exec_event *e, int pidfd)
{
	(void)wire_send(sock, e, sizeof(*e), &pidfd, pidfd >= 0);
}

/* What became of it, as long as there is something. Return: whether it has ended. */
static bool look(int sock, pid_t pid)
{
	for (;;) {
		siginfo_t info = {0};
		struct exec_event e = {.type = EXEC_STOPPED};

		if (waitid(P_PID, (id_t)pid, &info, WEXITED | WSTOPPED | WNOHANG) < 0 ||
		    info.si_pid == 0)
			return false;
		e.value = info.si_status;
		if (info.si_code != CLD_STOPPED) {
			e.type = EXEC_ENDED;
			e.value += info.si_code == CLD_EXITED ? 0 : EXIT_SIGNAL;
		}
		tell(sock, &e, -1);
		if (e.type == EXEC_ENDED)
			return true;
	}
}

/* Until it has ended. Whoever asked for it being gone, it goes, too. */
static void watch(int sock, pid_t pid, int pidfd, int signals)
{
	struct signalfd_siginfo info;

	for (;;) {
		struct pollfd p[] = {{.fd = sock, .events = POLLIN},
				     {.fd = signals, .events = POLLIN}};

		if (look(sock, pid))
			return;
		if (poll(p, CTN_COUNT(p), -1) < 0)
			continue;
		if (p[0].revents) {
			(void)syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
			sock = -1;
		}
		if (p[1].revents)
			(void)read(signals, &info, sizeof(info));
	}
}

/* Nothing of the caller's stays open here: who reads its pipe is to see the program's end of it. */
static void keep_only(int sock, int pidfd, int signals)
{
	const unsigned last = ~0U;
	const int low[] = {sock, pidfd, signals};

	for (int i = 0; i < 3; i++)
		(void)dup3(low[i], EXEC_REAP_FD + i, O_CLOEXEC);
	(void)syscall(SYS_close_range, 0, EXEC_REAP_FD - 1, 0);
	(void)syscall(SYS_close_range, EXEC_REAP_FD + 3, last, 0);
}

static void reap(const struct exec_start *s, int sock)
{
	struct exec_event e = {.type = EXEC_BEGUN, .pid = -1};
	struct ctn_err err = {0};
	sigset_t child;
	int pidfd = -1, signals;
	pid_t pid;

	pid = enter_clone(s->plan, s->init, s->keep, s->n_keep, &pidfd, &err);
	if (pid == 0)
		enter_run(s->plan, NULL, s->job, s->keep[0]);
	/* A group or session of our own, in which the kernel does not count us as one who could let
	 * a stopped job go on, unless the program has a group of its own: then that is what we are
	 * for it. */
	if (s->job & ENTER_GROUP)
		(void)setpgid(0, 0);
	else
		(void)setsid();
	e.pid = pid;
	e.value = err.code;
	snprintf(e.text, sizeof(e.text), "%.*s", (int)sizeof(e.text) - 1, err.text);
	tell(sock, &e, pidfd);
	if (pid < 0)
		return;
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	signals = signalfd(-1, &child, SFD_CLOEXEC);
	keep_only(sock, pidfd, signals);
	watch(EXEC_REAP_FD, pid, EXEC_REAP_FD + 1, EXEC_REAP_FD + 2);
}

int exec_reap(const struct exec_start *s, int *ret)
{
	int pair[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	pid = fork();
	if (pid == 0) {
		close(pair[0]);
		reap(s, pair[1]);
		_exit(0);
	}
	close(pair[1]);
	if (pid < 0) {
		close(pair[0]);
		return -errno;
	}
	*ret = pair[0];
	return 0;
}
