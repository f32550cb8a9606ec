/* SPDX-License-Identifier: Apache-2.0 */
#include "talk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "../cleanup.h"
#include "../weaken.h"

enum { LOCK_WAIT_MS = 5000, LOCK_PAUSE_MS = 1 };

static struct wire_msg new_message(enum wire_type type)
{
	return (struct wire_msg){.magic = WIRE_MAGIC, .version = WIRE_VERSION, .type = type};
}

static void hang_up(struct monitor *m, int i)
{
	close(m->peers[i]);
	m->peers[i] = -1;
	m->attached[i] = m->servers[i] = false;
}

/* --- what is said unasked --- */

static int tell(const struct monitor *m, int peer)
{
	const bool alive = m->status.phase == WIRE_RUNNING, tty = m->first.io.terminal >= 0;
	const int fds[] = {m->first.pidfd, m->first.io.out};
	struct wire_msg msg = new_message(WIRE_MSG_STATUS);

	msg.status = m->status;
	/* The server holds the terminal, too: it would be hung up if we alone had it, and died. */
	return (int)wire_send(peer, &msg, sizeof(msg), fds, alive ? 1 + tty : 0);
}

/* Whom we cannot tell must not wait for it: the end of the connection says so. */
void talk_tell_all(struct monitor *m)
{
	for (int i = 0; i < CONNECTIONS_MAX; i++) {
		if (m->peers[i] >= 0 && tell(m, m->peers[i]) < 0)
			hang_up(m, i);
	}
}

bool talk_tell_denied(const struct monitor *m, uint64_t newest)
{
	struct wire_msg msg = new_message(WIRE_MSG_DENIED);
	bool told = true;

	msg.value = newest;
	for (int i = 0; i < CONNECTIONS_MAX; i++) {
		/* One that does not read, and is stopped perhaps, must not stop us. */
		if (m->servers[i] && m->peers[i] >= 0 &&
		    send(m->peers[i], &msg, sizeof(msg), MSG_NOSIGNAL | MSG_DONTWAIT) < 0 &&
		    errno == EAGAIN)
			told = false;
	}
	return told;
}

static void send_error(int peer, const struct wire_error *e)
{
	struct wire_msg msg = new_message(WIRE_MSG_ERROR);

	msg.error = *e;
	(void)wire_send(peer, &msg, sizeof(msg), NULL, 0);
}

void talk_fail_all(const struct monitor *m, const struct wire_error *e)
{
	for (int i = 0; i < CONNECTIONS_MAX; i++) {
		if (m->peers[i] >= 0)
			send_error(m->peers[i], e);
	}
}

/* --- questions --- */

static void refuse(int peer, const char *step, int code, const char *text)
{
	struct wire_error e = {.code = code};

	snprintf(e.step, sizeof(e.step), "%s", step);
	snprintf(e.text, sizeof(e.text), "%s", text);
	send_error(peer, &e);
}

static int index_of(const struct monitor *m, int peer)
{
	int i = 0;

	while (m->peers[i] != peer)
		i++;
	return i;
}

static void on_hello(struct monitor *m, int peer, const struct wire_msg *msg)
{
	(void)msg;
	m->servers[index_of(m, peer)] = true;
	(void)tell(m, peer); /* who asks has little patience */
}

static void on_log_max(struct monitor *m, int peer, const struct wire_msg *msg)
{
	(void)peer;
	m->log.max = msg->value;
	log_trim(&m->log);
}

/* The name goes, too, so that whoever comes next knows. A terminal's end of file is typed by the
 * server. */
static void on_stdin_end(struct monitor *m, int peer, const struct wire_msg *msg)
{
	(void)peer;
	(void)msg;
	if (m->first.io.terminal >= 0)
		return;
	(void)unlinkat(m->plan.run_fd, WIRE_STDIN_NAME, 0);
	ctn_close_fd(&m->first.io.in);
	m->first.io.in = -1;
}

static void on_program(struct monitor *m, int peer, const struct wire_msg *msg)
{
	struct wire_msg answer = new_message(WIRE_MSG_PROGRAM);
	ctn_autoclose int self = WEAKEN_PROGRAM
					 ? openat(m->plan.run_fd, "program", O_RDONLY | O_CLOEXEC)
					 : open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

	(void)msg;
	if (self < 0)
		refuse(peer, "exec", errno, "the monitor cannot open its own program");
	else
		(void)wire_send(peer, &answer, sizeof(answer), &self, 1);
}

static void on_enter(struct monitor *m, int peer, const struct wire_msg *msg)
{
	const struct wire_start *start = m->plan.msg;
	struct wire_msg answer = new_message(WIRE_MSG_ENTER);
	int fds[2 + WIRE_ATTACH_MAX] = {m->message, m->first.pidfd};

	(void)msg;
	if (m->status.phase != WIRE_RUNNING) {
		refuse(peer, "exec", EAGAIN, "it is still being started");
		return;
	}
	if (start->flags & WIRE_NO_ENTER) {
		refuse(peer, "exec", EOPNOTSUPP,
		       "its monitor was killed, and what it was started with is not known any "
		       "more; echo restart > ctl");
		return;
	}
	answer.value = notify_room(&m->notify);
	memcpy(fds + 2, m->plan.attach_fds, start->n_attach * sizeof(int));
	(void)wire_send(peer, &answer, sizeof(answer), fds, 2 + start->n_attach);
}

/* Whether @peer may stay as one who is attached. */
static bool may_stay(struct monitor *m, int peer)
{
	const int own = index_of(m, peer);
	int n = 0;

	for (int i = 0; i < CONNECTIONS_MAX; i++)
		n += m->attached[i];
	if (!m->attached[own] && n == ATTACHED_MAX)
		return false;
	m->attached[own] = true;
	return true;
}

/* Our own descriptor of the log is for writing; they get one for reading. */
static void on_attach(struct monitor *m, int peer, const struct wire_msg *msg)
{
	struct wire_msg answer = new_message(WIRE_MSG_ATTACH);
	ctn_autoclose int log = -1;
	char path[32];

	(void)msg;
	if (m->status.phase != WIRE_RUNNING) {
		refuse(peer, "attach", EAGAIN, "it is still being started");
		return;
	}
	if (m->first.io.terminal < 0) {
		refuse(peer, "attach", ENOTTY,
		       "it has no terminal: echo 1 > tty before its next start; its output is in "
		       "log, its input stdin");
		return;
	}
	if (!may_stay(m, peer)) {
		refuse(peer, "attach", EAGAIN, "too many are attached already");
		return;
	}
	snprintf(path, sizeof(path), "/proc/self/fd/%d", m->log.fd);
	log = open(path, O_RDONLY | O_CLOEXEC);
	if (log < 0)
		refuse(peer, "attach", errno, "the monitor cannot open the log for reading");
	else
		(void)wire_send(peer, &answer, sizeof(answer), (const int[]){m->first.io.out, log},
				2);
}

/* One that does not read misses nothing: it is written down. */
static void on_execed(struct monitor *m, int peer, const struct wire_msg *msg)
{
	struct wire_msg news = new_message(WIRE_MSG_EXECED);

	(void)peer;
	if (m->status.phase != WIRE_RUNNING)
		return;
	execed_note(&m->execed, m->plan.run_fd, m->status.started, &msg->execed);
	for (int i = 0; i < CONNECTIONS_MAX; i++) {
		if (m->servers[i] && m->peers[i] >= 0)
			(void)send(m->peers[i], &news, sizeof(news), MSG_NOSIGNAL | MSG_DONTWAIT);
	}
}

static void on_listener(struct monitor *m, int peer, const struct wire_msg *msg)
{
	(void)peer;
	if (m->given >= 0)
		notify_add(&m->notify, ctn_take_fd(m->given), msg->value & 1);
}

static const struct {
	enum wire_type type;
	void (*act)(struct monitor *m, int peer, const struct wire_msg *msg);
} questions[] = {
	{WIRE_MSG_HELLO, on_hello},	    {WIRE_MSG_LOG_MAX, on_log_max},
	{WIRE_MSG_STDIN_END, on_stdin_end}, {WIRE_MSG_PROGRAM, on_program},
	{WIRE_MSG_ENTER, on_enter},	    {WIRE_MSG_ATTACH, on_attach},
	{WIRE_MSG_EXECED, on_execed},	    {WIRE_MSG_LISTENER, on_listener},
};

void talk_receive(struct monitor *m, int i)
{
	struct wire_msg msg;
	size_t n_given = 0;
	ssize_t n;

	m->given = -1;
	n = wire_receive(m->peers[i], &msg, sizeof(msg), &m->given, 1, &n_given);
	if (n == -EAGAIN || n == -EINTR)
		return;
	if (n <= 0)
		hang_up(m, i); /* that peer is gone; we stay */
	for (size_t k = 0; k < CTN_COUNT(questions); k++) {
		if (n == (ssize_t)sizeof(msg) && msg.magic == WIRE_MAGIC &&
		    questions[k].type == msg.type)
			questions[k].act(m, m->peers[i], &msg);
	}
	ctn_close_fd(&m->given);
}

/* --- connections --- */

bool talk_full(const struct monitor *m)
{
	for (int i = 0; i < CONNECTIONS_MAX; i++) {
		if (m->peers[i] < 0)
			return false;
	}
	return true;
}

void talk_accept(struct monitor *m)
{
	int fd = accept4(m->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	for (int i = 0; fd >= 0 && i < CONNECTIONS_MAX; i++) {
		if (m->peers[i] < 0) {
			m->peers[i] = fd;
			return;
		}
	}
	if (fd >= 0)
		close(fd);
}

/* Kept to the end. What a killed monitor was about to make a program of has the lock, too, until it
 * has noticed or is killed. */
static int take_lock(const struct monitor *m, struct ctn_err *err)
{
	const struct timespec pause = {.tv_nsec = LOCK_PAUSE_MS * 1000000L};
	int lock = openat(m->plan.run_fd, WIRE_LOCK_NAME, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC,
			  0600);

	if (lock < 0)
		return ctn_fail_errno(err, "open the container's lock");
	for (int waited = 0; flock(lock, LOCK_EX | LOCK_NB) < 0; waited += LOCK_PAUSE_MS) {
		if (errno != EWOULDBLOCK)
			return ctn_fail_errno(err, "take the container's lock");
		if (waited >= LOCK_WAIT_MS)
			return ctn_fail(
				err, EBUSY,
				"what a former monitor has started has not ended yet; try again");
		(void)nanosleep(&pause, NULL);
	}
	return 0;
}

int talk_announce(struct monitor *m, struct ctn_err *err)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int r = take_lock(m, err);

	if (r < 0)
		return r;
	(void)unlinkat(m->plan.run_fd, WIRE_SOCKET_NAME, 0);
	m->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	/* Through the descriptor: the path itself may be longer than an address can be. */
	snprintf(addr.sun_path, sizeof(addr.sun_path), "/proc/self/fd/%d/%s", m->plan.run_fd,
		 WIRE_SOCKET_NAME);
	umask(0177);
	if (m->listener < 0 || bind(m->listener, (struct sockaddr *)&addr, sizeof(addr)) < 0 ||
	    listen(m->listener, CONNECTIONS_MAX) < 0)
		return ctn_fail_errno(err, "make the monitor's socket");
	umask(077);
	return 0;
}
