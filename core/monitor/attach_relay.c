/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../cleanup.h"
#include "attach.h"

enum {
	READ_SIZE = 4096,
	WRITE_SIZE = 4096, /* a pipe that poll(2) calls writable takes so many without waiting */
	RETRY_MS = 100,	   /* for a terminal that does not say when it has room again */
	LOOK_MS = 50,	   /* at the log, without inotify */
};

enum { IN, MASTER, OUT, LOG, SOCK, ALL };

/* --- in --- */

static void take_input(struct relay *r, const char *data, size_t len)
{
	const size_t room = sizeof(r->in);

	r->in_off = r->in_len = 0;
	for (size_t i = 0; i < len && !r->detach; i++) {
		unsigned char out[KEYS_MAX];
		size_t n = 0;

		r->detach = keys_feed(&r->keys, (unsigned char)data[i], out, &n);
		if (r->in_len + n <= room) /* always: no more is kept back than KEYS_MAX */
			memcpy(r->in + r->in_len, out, n);
		r->in_len += n;
	}
}

static void on_input(struct relay *r)
{
	char data[READ_SIZE];
	ssize_t n = read(STDIN_FILENO, data, sizeof(data));

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0) {
		take_input(r, data, (size_t)n);
		return;
	}
	r->in_end = true;
	if (tty_is_raw())
		(void)raise(SIGHUP); /* a terminal in raw mode has no other end */
}

static void pass_input(struct relay *r)
{
	ssize_t n = write(r->link.master, r->in + r->in_off, r->in_len);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0)
		n = (ssize_t)r->in_len; /* hung up: nobody can read it any more */
	r->in_off += (size_t)n;
	r->in_len -= (size_t)n;
}

/* --- out --- */

/* Nobody reads it any more. */
static int lose_output(const struct relay *r, struct ctn_err *err)
{
	(void)raise(r->out_is_terminal ? SIGHUP : SIGPIPE);
	return ctn_fail(err, EPIPE, "write its output: %s", strerror(EPIPE));
}

static int pass_output(struct relay *r, struct ctn_err *err)
{
	size_t len = r->out_len < WRITE_SIZE ? r->out_len : WRITE_SIZE;
	ssize_t n = write(STDOUT_FILENO, r->out + r->out_off, len);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n < 0 && errno == EIO && r->out_is_terminal)
		return lose_output(r, err);
	if (n < 0)
		return ctn_fail_errno(err, "write its output");
	r->out_off += (size_t)n;
	r->out_len -= (size_t)n;
	return 0;
}

/* Return: whether there is output; none at the end of the log as it is now, or as it was when the
 * container ended. */
static int take_output(struct relay *r, struct ctn_err *err)
{
	size_t room = sizeof(r->out);
	ssize_t n;

	if (r->out_len)
		return 1;
	if (r->code >= 0 && r->log.pos >= r->last)
		return 0;
	if (r->code >= 0 && (off_t)room > r->last - r->log.pos)
		room = (size_t)(r->last - r->log.pos);
	n = follow_read(&r->log, r->out, room);
	if (n < 0)
		return ctn_fail(err, (int)-n, "read the log: %s", strerror((int)-n));
	r->out_off = 0;
	r->out_len = (size_t)n;
	return n > 0;
}

/* --- the end of the connection --- */

static int on_link(struct relay *r, struct ctn_err *err)
{
	int status = 0;

	if (link_receive(&r->link))
		return 0;
	r->code = link_code(&r->link);
	if (r->code < 0) { /* only the monitor was killed */
		status = link_reopen(&r->link, err);
		if (status == -ESRCH) {
			status = 0;
			r->code = EXIT_UNKNOWN;
		}
	}
	r->last = follow_end(&r->log);
	return status;
}

/* --- */

static int wait_timeout(const struct relay *r)
{
	if (r->in_len)
		return RETRY_MS;
	return r->log.watch < 0 && !r->out_len ? LOOK_MS : -1;
}

static int wait_for_some(const struct relay *r, struct pollfd p[ALL])
{
	const bool lives = r->code < 0;
	const int timeout = wait_timeout(r);
	const struct timespec t = {.tv_nsec = timeout * 1000000L};

	p[IN] = (struct pollfd){lives && !r->in_end && !r->in_len ? STDIN_FILENO : -1, POLLIN, 0};
	p[MASTER] = (struct pollfd){lives && r->in_len ? r->link.master : -1, POLLOUT, 0};
	p[OUT] = (struct pollfd){STDOUT_FILENO, r->out_len ? POLLOUT : 0, 0};
	p[LOG] = (struct pollfd){lives && !r->out_len ? r->log.watch : -1, POLLIN, 0};
	p[SOCK] = (struct pollfd){r->link.sock, POLLIN, 0};
	return ppoll(p, ALL, timeout < 0 ? NULL : &t, tty_mask());
}

static int step(struct relay *r, const struct pollfd p[ALL], struct ctn_err *err)
{
	int status = 0;

	if (p[LOG].revents)
		follow_woken(&r->log);
	if (p[OUT].revents & POLLOUT)
		status = pass_output(r, err);
	else if (p[OUT].revents)
		status = lose_output(r, err);
	if (p[IN].revents)
		on_input(r);
	if (p[MASTER].revents || r->in_len)
		pass_input(r);
	if (status == 0 && p[SOCK].revents)
		status = on_link(r, err);
	return status;
}

int relay_run(struct relay *r, struct ctn_err *err)
{
	tty_size_pass(r->link.master, true);
	while (!r->detach) {
		struct pollfd p[ALL];
		bool redraw;
		int status = take_output(r, err);

		if (status < 0 || (status == 0 && r->code >= 0))
			return status;
		if (tty_changed(&redraw))
			tty_size_pass(r->link.master, redraw);
		if (wait_for_some(r, p) < 0) {
			if (errno == EINTR)
				continue;
			return ctn_fail_errno(err, "wait");
		}
		status = step(r, p, err);
		if (status < 0)
			return status;
	}
	return 0;
}
