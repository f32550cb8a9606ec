/* SPDX-License-Identifier: Apache-2.0 */
#include "wire_io.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "wire.h"

enum { CONNECT_SECS = 5 };

union control {
	struct cmsghdr align;
	char room[CMSG_SPACE(sizeof(int) * WIRE_IO_FDS_MAX)];
};

ssize_t wire_send(int sock, const void *data, size_t len, const int *fds, size_t n_fds)
{
	struct iovec iov = {.iov_base = (void *)data, .iov_len = len};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	union control control = {0};
	ssize_t n;

	if (n_fds > WIRE_IO_FDS_MAX)
		return -E2BIG;
	if (n_fds > 0) {
		struct cmsghdr *c;

		msg.msg_control = control.room;
		msg.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
		memcpy(CMSG_DATA(c), fds, sizeof(int) * n_fds);
	}
	do {
		n = sendmsg(sock, &msg, MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

/* Keep descriptors of @c until there are @max, close the others. Return: how many there are. */
static size_t take_fds(struct cmsghdr *c, int *fds, size_t kept, size_t max)
{
	size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

	for (size_t i = 0; i < n; i++) {
		int fd;

		memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
		if (kept < max)
			fds[kept++] = fd;
		else
			close(fd);
	}
	return kept;
}

ssize_t wire_receive(int sock, void *data, size_t len, int *fds, size_t max, size_t *ret_n)
{
	struct iovec iov = {.iov_base = data, .iov_len = len};
	union control control = {0};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control.room,
			     .msg_controllen = sizeof(control.room)};
	unsigned reset = 0;
	size_t got = 0;
	ssize_t n;

	/* Where the other end went without having read all, that is said once, and before what it
	 * has sent: why it went, perhaps. */
	do {
		n = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC);
	} while (n < 0 && (errno == EINTR || (errno == ECONNRESET && !reset++)));
	if (n < 0)
		return -errno;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c)) {
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
			got = take_fds(c, fds, got, max);
	}
	if (msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) {
		while (got > 0) {
			close(fds[--got]);
			fds[got] = -1; /* the number may be somebody else's soon */
		}
		return -EMSGSIZE;
	}
	if (ret_n)
		*ret_n = got;
	return n;
}

int wire_connect(int run)
{
	const struct timeval patience = {.tv_sec = CONNECT_SECS};
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0), r = 0;

	if (sock < 0)
		return -errno;
	/* Through the descriptor: the path itself may be longer than an address can be. */
	snprintf(addr.sun_path, sizeof(addr.sun_path), "/proc/self/fd/%d/%s", run,
		 WIRE_SOCKET_NAME);
	if (setsockopt(sock, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) < 0 ||
	    connect(sock, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		r = errno == EAGAIN ? -ETIMEDOUT : -errno;
	if (r < 0) {
		close(sock);
		return r;
	}
	return sock;
}
