/* SPDX-License-Identifier: Apache-2.0 */
/* Messages with descriptors. */
#include "wire_io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"
#include "cleanup.h"

static int count_fds(void)
{
	int n = 0;

	for (int fd = 0; fd < 512; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static int pair[2];

static void send_fds(size_t n, const char *data)
{
	int fds[64];

	for (size_t i = 0; i < n; i++)
		fds[i] = i % 2 ? 1 : pair[0];
	CHECK(wire_send(pair[0], data, strlen(data), fds, n) == (ssize_t)strlen(data));
}

static void test_descriptors(void)
{
	int fds[WIRE_IO_FDS_MAX], before;
	char data[16];
	size_t n = 99;

	CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
	before = count_fds();
	for (size_t sent = 0; sent <= WIRE_IO_FDS_MAX; sent += 8) {
		send_fds(sent, "hello");
		CHECK(wire_receive(pair[1], data, sizeof(data), fds, WIRE_IO_FDS_MAX, &n) == 5);
		CHECK(n == sent && memcmp(data, "hello", 5) == 0);
		CHECK(count_fds() == before + (int)sent);
		for (size_t i = 0; i < n; i++) {
			CHECK(fcntl(fds[i], F_GETFD) == FD_CLOEXEC);
			close(fds[i]);
		}
	}
	CHECK(wire_send(pair[0], "x", 1, fds, WIRE_IO_FDS_MAX + 1) == -E2BIG);
	CHECK(count_fds() == before);
}

static void test_too_many_descriptors(void)
{
	int fds[WIRE_IO_FDS_MAX] = {0}, before = count_fds();
	char data[16];
	size_t n = 99;

	send_fds(5, "a");
	CHECK(wire_receive(pair[1], data, sizeof(data), fds, 2, &n) == 1 && n == 2);
	CHECK(count_fds() == before + 2);
	close(fds[0]);
	close(fds[1]);
	send_fds(5, "b");
	CHECK(wire_receive(pair[1], data, sizeof(data), NULL, 0, NULL) == 1);
	CHECK(count_fds() == before);
	send_fds(3, "longer than there is room for");
	n = 99;
	CHECK(wire_receive(pair[1], data, sizeof(data), fds, 3, &n) == -EMSGSIZE);
	CHECK(count_fds() == before && n == 99 && fds[0] == -1 && fds[2] == -1);
}

/* More than fit into the receiver's room: sent past wire_send(), which does not. */
static void test_cut_descriptors(void)
{
	enum { MANY = 40 };
	union {
		struct cmsghdr c;
		char room[CMSG_SPACE(sizeof(int) * MANY)];
	} control = {.c = {.cmsg_len = CMSG_LEN(sizeof(int) * MANY),
			   .cmsg_level = SOL_SOCKET,
			   .cmsg_type = SCM_RIGHTS}};
	struct iovec iov = {.iov_base = "c", .iov_len = 1};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = &control,
			     .msg_controllen = sizeof(control.room)};
	int fds[WIRE_IO_FDS_MAX] = {0}, before = count_fds();
	size_t n = 99;
	char data[16];

	for (int i = 0; i < MANY; i++)
		memcpy(CMSG_DATA(&control.c) + (size_t)i * sizeof(int), &pair[0], sizeof(int));
	CHECK(sendmsg(pair[0], &msg, 0) == 1);
	CHECK(wire_receive(pair[1], data, sizeof(data), fds, CTN_COUNT(fds), &n) == -EMSGSIZE);
	CHECK(count_fds() == before && n == 99 && fds[0] == -1);
}

static void test_end(void)
{
	char data[4];

	CHECK(fcntl(pair[1], F_SETFL, O_NONBLOCK) == 0);
	CHECK(wire_receive(pair[1], data, sizeof(data), NULL, 0, NULL) == -EAGAIN);
	close(pair[0]);
	CHECK(wire_receive(pair[1], data, sizeof(data), NULL, 0, NULL) == 0);
	CHECK(wire_send(pair[1], "x", 1, NULL, 0) == -EPIPE);
	close(pair[1]);
	CHECK(wire_receive(-1, data, sizeof(data), NULL, 0, NULL) == -EBADF);
}

/* Who went without having read all has still said what it said. */
static void test_reset(void)
{
	char data[64];

	CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
	CHECK(wire_send(pair[1], "for nobody", 10, NULL, 0) == 10);
	CHECK(wire_send(pair[0], "why", 3, NULL, 0) == 3);
	close(pair[0]);
	CHECK(wire_receive(pair[1], data, sizeof(data), NULL, 0, NULL) == 3);
	CHECK(memcmp(data, "why", 3) == 0);
	CHECK(wire_receive(pair[1], data, sizeof(data), NULL, 0, NULL) == 0);
	close(pair[1]);
}

static const struct check_test tests[] = {
	{"descriptors", test_descriptors},
	{"too many descriptors", test_too_many_descriptors},
	{"descriptors that were cut", test_cut_descriptors},
	{"end of the connection", test_end},
	{"end without having read all", test_reset},
};

int main(void)
{
	return check_run(tests, CTN_COUNT(tests));
}
