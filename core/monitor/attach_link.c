/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "../cleanup.h"
#include "../io.h"
#include "../wire_io.h"
#include "attach.h"

enum { ANSWER_MS = 5000, SUCCESSOR_MS = 5000, PAUSE_MS = 50 };

/* --- what the run directory says --- */

static int read_record(const struct link *l, struct wire_status *ret)
{
	ctn_autofree char *data = NULL;
	size_t len = 0;
	int r = io_read_at(l->run, WIRE_STATUS_NAME, sizeof(*ret), &data, &len, NULL);

	if (r < 0)
		return r;
	if (len != sizeof(*ret))
		return -EBADMSG;
	memcpy(ret, data, len);
	return ret->magic == WIRE_MAGIC ? 0 : -EBADMSG;
}

static bool is_alive(pid_t pid)
{
	ctn_autoclose int fd = pid > 0 ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;
	struct pollfd p = {.fd = fd, .events = POLLIN};

	return fd >= 0 && poll(&p, 1, 0) == 0;
}

/* A container that was started again at once has another record by now. */
static bool is_same_run(const struct link *l, struct wire_status *ret)
{
	return read_record(l, ret) == 0 && ret->init_pid == l->record.init_pid &&
	       ret->init_start == l->record.init_start;
}

int link_code(const struct link *l)
{
	struct wire_status now;

	if (l->code >= 0)
		return l->code;
	if (!is_same_run(l, &now))
		return EXIT_UNKNOWN;
	if (now.phase == WIRE_RUNNING && is_alive(now.init_pid))
		return -1;
	return now.phase == WIRE_EXITED && now.code != WIRE_CODE_UNKNOWN ? now.code : EXIT_UNKNOWN;
}

/* --- a question and its answer --- */

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int wait_for(int sock, int64_t until)
{
	struct pollfd p = {.fd = sock, .events = POLLIN};
	int64_t left;
	int n;

	do {
		left = until - now_ms();
		n = poll(&p, 1, left > 0 ? (int)left : 0);
	} while (n < 0 && errno == EINTR);
	return n > 0 ? 0 : -ETIMEDOUT;
}

/* Return: 1: that was no answer. */
static int take_answer(struct link *l, int *ret_log, struct ctn_err *err)
{
	ctn_autoclose int master = -1, log = -1;
	struct wire_msg msg = {0};
	int fds[2] = {-1, -1};
	size_t n_fds = 0;
	ssize_t n = wire_receive(l->sock, &msg, sizeof(msg), fds, CTN_COUNT(fds), &n_fds);

	master = fds[0];
	log = fds[1];
	if (n <= 0)
		return n < 0 ? (int)n : -ECONNRESET;
	if (n != (ssize_t)sizeof(msg) || msg.magic != WIRE_MAGIC)
		return -EBADMSG;
	if (msg.type == WIRE_MSG_ERROR)
		return ctn_fail(err, msg.error.code > 0 ? msg.error.code : EIO, "%.*s",
				WIRE_TEXT_MAX, msg.error.text);
	if (msg.type != WIRE_MSG_ATTACH)
		return 1; /* the status is told to everybody */
	if (n_fds != CTN_COUNT(fds))
		return -EBADMSG;
	l->master = ctn_take_fd(master);
	*ret_log = ctn_take_fd(log);
	return 0;
}

static int open_once(struct link *l, int *ret_log, struct ctn_err *err)
{
	const struct wire_msg question = {
		.magic = WIRE_MAGIC, .version = WIRE_VERSION, .type = WIRE_MSG_ATTACH};
	const int64_t until = now_ms() + ANSWER_MS;
	int r;

	*err = (struct ctn_err){0};
	l->sock = wire_connect(l->run);
	if (l->sock < 0) {
		r = l->sock;
		l->sock = -1;
		return r;
	}
	r = (int)wire_send(l->sock, &question, sizeof(question), NULL, 0);
	do {
		r = r < 0 ? r : wait_for(l->sock, until);
		if (r == 0)
			r = take_answer(l, ret_log, err);
	} while (r > 0);
	if (r < 0) {
		close(l->sock);
		l->sock = -1;
	}
	return r;
}

/* Whether what has failed may work soon: a monitor that was killed gets a successor, one that
 * starts its container will have done so. */
static bool is_passing(const struct link *l, int r)
{
	struct wire_status now;

	switch (-r) {
	case EAGAIN:
	case EINTR:
		return true;
	case ENOENT:
	case ECONNREFUSED:
	case ECONNRESET:
	case EPIPE:
		return read_record(l, &now) == 0 && now.phase == WIRE_RUNNING &&
		       is_alive(now.init_pid);
	default:
		return false;
	}
}

static int explain(int r, struct ctn_err *err)
{
	switch (-r) {
	case ENOENT:
	case ECONNREFUSED:
	case ECONNRESET:
	case EPIPE:
		return ctn_fail(err, ESRCH, "it does not run");
	case ETIMEDOUT:
	case EBADMSG:
		return ctn_fail(err, ETIMEDOUT,
				"its monitor does not answer; if an older ctnfs started it, echo "
				"restart > ctl");
	case EACCES:
	case EPERM:
		return ctn_fail(err, EPERM, "only root can be attached to a container");
	default:
		return err->code ? r : ctn_fail(err, -r, "%s", strerror(-r));
	}
}

static int open_soon(struct link *l, int *ret_log, struct ctn_err *err)
{
	const int64_t until = now_ms() + SUCCESSOR_MS;

	for (;;) {
		int r = open_once(l, ret_log, err);

		if (r == 0)
			return 0;
		if (!is_passing(l, r))
			return explain(r, err);
		if (now_ms() >= until && r != -EAGAIN)
			return ctn_fail(err, ETIMEDOUT,
					"its monitor was killed, and no ctnfs is there to start "
					"another");
		if (now_ms() >= until)
			return explain(r, err);
		(void)poll(NULL, 0, PAUSE_MS);
	}
}

int link_open(const char *run, struct link *l, int *ret_log, struct ctn_err *err)
{
	int r;

	*l = (struct link){.run = -1, .sock = -1, .master = -1, .code = -1};
	l->run = open(run, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (l->run < 0)
		return explain(-errno, err);
	r = open_soon(l, ret_log, err);
	if (r == 0)
		(void)read_record(l, &l->record);
	return r;
}

int link_reopen(struct link *l, struct ctn_err *err)
{
	ctn_autoclose int log = -1, old = -1;
	const int before = l->master;
	struct wire_status now;
	int r = open_soon(l, &log, err);

	if (r < 0)
		return r;
	old = before;
	if (is_same_run(l, &now))
		return 0;
	close(l->sock);
	l->sock = -1;
	return ctn_fail(err, ESRCH, "it has ended");
}

/* --- what it says unasked --- */

bool link_receive(struct link *l)
{
	ctn_autoclose int first = -1, second = -1;
	struct wire_msg msg = {0};
	int fds[2] = {-1, -1};
	ssize_t n = wire_receive(l->sock, &msg, sizeof(msg), fds, CTN_COUNT(fds), NULL);

	first = fds[0];
	second = fds[1];
	if (n == -EAGAIN)
		return true;
	if (n <= 0) {
		close(l->sock);
		l->sock = -1;
		return false;
	}
	if (n == (ssize_t)sizeof(msg) && msg.magic == WIRE_MAGIC && msg.type == WIRE_MSG_STATUS &&
	    msg.status.phase == WIRE_EXITED)
		l->code = msg.status.code == WIRE_CODE_UNKNOWN ? EXIT_UNKNOWN : msg.status.code;
	return true;
}
