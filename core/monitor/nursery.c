/* SPDX-License-Identifier: Apache-2.0 */
/* Where monitors come from: a monitor that has no container, and copies itself. The server cannot
 * do it, for it may not start programs, and has given up the rights that a monitor needs. The copy
 * is the server's child, as if it had started it. */
#include "nursery.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <errno.h>

#include "monitor.h"

bool nursery_wanted(void)
{
	struct wire_msg msg = {0};

	return recv(WIRE_SOCKET_FD, &msg, sizeof(msg), MSG_PEEK) == (ssize_t)sizeof(msg) &&
	       msg.type == WIRE_MSG_NURSERY;
}

static void answer(const struct wire_msg *to, int32_t pid)
{
	const struct wire_msg msg = {.magic = WIRE_MAGIC,
				     .version = WIRE_VERSION,
				     .type = WIRE_MSG_BORN,
				     .value = to->value << 32 | (uint32_t)pid};

	(void)wire_send(WIRE_SOCKET_FD, &msg, sizeof(msg), NULL, 0);
}

/* In the child. The server's end of our own connection is no business of a monitor's. */
static void become_child(int sock)
{
	(void)dup3(sock, WIRE_SOCKET_FD, O_CLOEXEC);
	close(sock);
	(void)prctl(PR_SET_NAME, "ctnfs-monitor");
	(void)setsid();
}

/* Return: true in the child. */
static bool bear(const struct wire_msg *msg, int sock)
{
	long pid = syscall(SYS_clone, CLONE_PARENT | SIGCHLD, NULL, NULL, NULL, NULL);

	if (pid == 0) {
		become_child(sock);
		return true;
	}
	answer(msg, pid < 0 ? -errno : (int32_t)pid);
	close(sock);
	return false;
}

void nursery(void)
{
	struct wire_msg msg;
	bool child = false;

	(void)prctl(PR_SET_NAME, NURSERY_NAME);
	while (!child) {
		int sock = -1;
		size_t n = 0;
		ssize_t got = wire_receive(WIRE_SOCKET_FD, &msg, sizeof(msg), &sock, 1, &n);

		if (got == 0 || got == -ECONNRESET)
			_exit(0); /* the server has gone */
		if (got == (ssize_t)sizeof(msg) && msg.type == WIRE_MSG_BEAR && n == 1)
			child = bear(&msg, sock);
		else if (got == (ssize_t)sizeof(msg) && msg.type == WIRE_MSG_NURSERY)
			answer(&msg, 0);
		else
			_exit(1); /* out of step: better none */
	}
}
