/* SPDX-License-Identifier: Apache-2.0 */
/* A monitor to whom whoever reaches its socket says whatever they like (fuzz_frames.h). It answers
 * each question at most once, keeps nothing that it was not to keep, and goes on. Built with the
 * monitor's talk.c and what that needs. */
#include "fuzz_frames.h"
#include "monitor/talk.h"
#include <sys/epoll.h>

enum { PEERS = 4, ANSWERS_MAX = 3 /* two that nobody has asked for */ };

static int dir = -1;

static void begin(struct monitor *m, const struct wire_start *start, int out[PEERS])
{
	struct ctn_err err = {0};

	*m = (struct monitor){.listener = -1, .message = -1, .given = -1};
	m->plan.msg = start;
	m->plan.run_fd = m->plan.state_fd = dir;
	m->first.io = (struct stdio){.in = -1, .out = -1, .err = -1, .terminal = -1};
	m->message = frame_fd(FRAME_NULL);
	m->plan.attach_fds[0] = frame_fd(FRAME_NULL);
	m->first.pidfd = frame_fd(FRAME_PIDFD);
	m->first.io.in = frame_fd(FRAME_PIPE);
	m->first.io.out = frame_fd(FRAME_NULL);
	m->status = (struct wire_status){
		.magic = WIRE_MAGIC, .version = WIRE_VERSION, .phase = WIRE_RUNNING, .started = 1};
	notify_init(&m->notify, dir);
	FUZZ_CHECK(fuzz_result(log_open(dir, 1 << 20, &m->log, &err), &err) == 0);
	for (int i = 0; i < CONNECTIONS_MAX; i++)
		m->peers[i] = -1;
	for (int i = 0; i < PEERS; i++) {
		int pair[2];

		frame_pair(pair);
		m->peers[i] = pair[0];
		out[i] = pair[1];
	}
}

/* Descriptors that a listener of denied calls is known by are in its epoll set alone. */
static void close_listeners(const struct notify *n, int lowest)
{
	for (int fd = lowest; n->epoll >= 0 && fd < 1024; fd++) {
		if (epoll_ctl(n->epoll, EPOLL_CTL_DEL, fd, NULL) == 0)
			close(fd);
	}
}

static void end(struct monitor *m, const int out[PEERS], int lowest)
{
	for (int i = 0; i < PEERS; i++) {
		ctn_close_fd(&m->peers[i]);
		close(out[i]);
	}
	close_listeners(&m->notify, lowest);
	ctn_close_fd(&m->notify.epoll);
	ctn_close_fd(&m->notify.ring.fd);
	ctn_close_fd(&m->first.pidfd);
	ctn_close_fd(&m->first.io.in);
	ctn_close_fd(&m->first.io.out);
	ctn_close_fd(&m->message);
	ctn_close_fd(&m->plan.attach_fds[0]);
	ctn_close_fd(&m->log.fd);
	ctn_close_fd(&m->log.index);
}

/* What changes in a monitor by itself. */
static void move(struct monitor *m, uint8_t state)
{
	static const uint32_t phases[] = {WIRE_RUNNING, WIRE_RUNNING, WIRE_STARTING, WIRE_EXITED};

	m->status.phase = phases[state % 4];
	m->first.io.terminal = state & 4 ? 0 : -1; /* only whether there is one */
	if (state & 8)
		log_append(&m->log, WIRE_STDOUT, 1, "some output\n", 12);
	if (state & 16)
		talk_tell_all(m);
	if (state & 32)
		(void)talk_tell_denied(m, state);
}

/* Return: whether there is something to be received. */
static bool send_one(const struct monitor *m, int to, int out, const struct frame *f,
		     const struct wire_msg *msg, size_t len)
{
	if (m->peers[to] < 0)
		return false;
	if (f->to & 64)
		return shutdown(out, SHUT_WR) == 0;
	return len > 0 && frame_send(out, f, msg, len);
}

static void say(struct monitor *m, const int out[PEERS], const uint8_t *data, size_t size)
{
	struct wire_msg msg;
	struct frame f;
	size_t len;

	for (int i = 0; i < FRAMES_MAX && frame_next(&data, &size, &f, &msg, &len); i++) {
		const int to = f.to % PEERS;

		move(m, f.state);
		if (send_one(m, to, out[to], &f, &msg, len))
			talk_receive(m, to);
		for (int k = 0; k < PEERS; k++)
			FUZZ_CHECK(frame_answers(out[k]) <= ANSWERS_MAX);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct wire_start start = {.n_attach = 1};
	static struct monitor m;
	int out[PEERS], fd;

	if (dir < 0)
		dir = fuzz_dir_make();
	(void)unlinkat(dir, WIRE_LOG_NAME, 0);
	(void)unlinkat(dir, WIRE_INDEX_NAME, 0);
	fd = fuzz_free_fd();
	begin(&m, &start, out);
	say(&m, out, data, size);
	end(&m, out, fd);
	FUZZ_CHECK(fuzz_free_fd() == fd);
	return 0;
}
