/* SPDX-License-Identifier: Apache-2.0 */
/* For both ends of wire.h: an input that is messages, one after the other. */
#ifndef CTNFS_TESTS_FUZZ_FUZZ_FRAMES_H
#define CTNFS_TESTS_FUZZ_FUZZ_FRAMES_H

#include <errno.h>
#include <sys/pidfd.h>
#include <sys/socket.h>

#include "fuzz_dir.h"
#include "wire.h"
#include "wire_io.h"

enum { FRAMES_MAX = 64, FRAME_FDS_MAX = 3 };

/* What comes along with a message. */
enum frame_fd { FRAME_NULL, FRAME_PIDFD, FRAME_PIPE, FRAME_DIR, FRAME_FDS };

/**
 * struct frame - before each message. @len: its bytes, of which those that are missing are 0.
 * @state: up to the target. @to: which connection, if there are several. @raw: its first words are
 * sent as they are, else they are put right, and without any length it is as long as it should be.
 */
struct frame {
	uint8_t state, to, n_fds, raw;
	uint8_t fds[FRAME_FDS_MAX];
	uint8_t type;
	uint16_t len;
};

/** frame_next() - the next one of the input, and its message. */
static inline bool frame_next(const uint8_t **data, size_t *size, struct frame *ret,
			      struct wire_msg *msg, size_t *ret_len)
{
	size_t n;

	if (*size < sizeof(*ret))
		return false;
	memcpy(ret, *data, sizeof(*ret));
	*data += sizeof(*ret);
	*size -= sizeof(*ret);
	n = ret->len % (sizeof(*msg) + 1);
	*ret_len = ret->raw & 1 ? n : sizeof(*msg);
	n = n < *size ? n : *size;
	*msg = (struct wire_msg){0};
	memcpy(msg, *data, n);
	*data += n;
	*size -= n;
	if (!(ret->raw & 1)) {
		msg->magic = WIRE_MAGIC;
		msg->version = WIRE_VERSION;
		msg->type = ret->type % (WIRE_MSG_PARKED + 2);
	}
	return true;
}

static inline int frame_fd(enum frame_fd kind)
{
	int pair[2];

	switch (kind) {
	case FRAME_PIDFD:
		return pidfd_open(getpid(), 0);
	case FRAME_PIPE:
		FUZZ_CHECK(pipe2(pair, O_CLOEXEC | O_NONBLOCK) == 0);
		close(pair[0]);
		return pair[1];
	case FRAME_DIR:
		return open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	default:
		return open("/dev/null", O_RDWR | O_CLOEXEC);
	}
}

/** frame_send() - false: the other end takes nothing more. */
static inline bool frame_send(int sock, const struct frame *f, const struct wire_msg *msg,
			      size_t len)
{
	int fds[FRAME_FDS_MAX];
	size_t n = f->n_fds % (FRAME_FDS_MAX + 1);
	ssize_t r;

	for (size_t i = 0; i < n; i++)
		FUZZ_CHECK((fds[i] = frame_fd(f->fds[i] % FRAME_FDS)) >= 0);
	r = wire_send(sock, msg, len, fds, n);
	for (size_t i = 0; i < n; i++)
		close(fds[i]);
	return r >= 0;
}

/** frame_answers() - take all that has come; each is a message of ours. Return: how many. */
static inline size_t frame_answers(int sock)
{
	int fds[WIRE_IO_FDS_MAX];
	struct wire_msg msg;
	size_t answers = 0, n = 0;

	while (wire_receive(sock, &msg, sizeof(msg), fds, CTN_COUNT(fds), &n) > 0) {
		FUZZ_CHECK(msg.magic == WIRE_MAGIC && msg.version == WIRE_VERSION);
		FUZZ_CHECK(msg.type >= WIRE_MSG_START && msg.type <= WIRE_MSG_PARKED);
		if (msg.type == WIRE_MSG_ERROR)
			FUZZ_CHECK(msg.error.code > 0 && msg.error.text[0]);
		while (n > 0)
			close(fds[--n]);
		answers++;
	}
	return answers;
}

static inline void frame_pair(int pair[2])
{
	FUZZ_CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) ==
		   0);
}

#endif
