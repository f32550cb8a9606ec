/* SPDX-License-Identifier: Apache-2.0 */
/* Writing to a program's standard input. As long as there are writers in the ring, either one of
 * them has its turn, or the loop has been asked to tell when there is room. The kernel's write is
 * made without our lock, and by one thread at a time for each container: the program decides how
 * long that holds the pipe's lock. */
#include "container_stdin.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <termios.h>
#include <unistd.h>

#include "cleanup.h"
#include "life_private.h"

enum { HELD_PART = 8 }; /* of all descriptors that the server may have: for pipes that are held */

static int open_pipe(const struct container *c)
{
	return container_open_run(c, WIRE_STDIN_NAME, O_WRONLY | O_NONBLOCK);
}

/* Whether this one more is to be held. */
static bool take_place(struct engine *e)
{
	struct rlimit most;

	if (getrlimit(RLIMIT_NOFILE, &most) < 0)
		most.rlim_cur = 0;
	if (__atomic_add_fetch(&e->stdin_held, 1, __ATOMIC_RELAXED) <= most.rlim_cur / HELD_PART)
		return true;
	__atomic_sub_fetch(&e->stdin_held, 1, __ATOMIC_RELAXED);
	return false;
}

void stdin_release(struct container *c)
{
	if (c->in_held)
		__atomic_sub_fetch(&c->engine->stdin_held, 1, __ATOMIC_RELAXED);
	ctn_close_fd(&c->in);
	c->in = -1;
	c->in_held = false;
}

/* So that the death of its monitor, which holds it, too, is no end of file. With thousands of
 * containers there are no descriptors for that: those who come then open it when somebody writes.
 */
void stdin_hold(struct container *c)
{
	pthread_mutex_lock(&c->lock);
	stdin_release(c);
	if (c->tty >= 0) /* the monitor has made it non-blocking */
		c->in = fcntl(c->tty, F_DUPFD_CLOEXEC, 0);
	else if ((c->in_held = take_place(c->engine)))
		c->in = open_pipe(c); /* none: it has had its end of file, or nobody reads */
	c->in_midline = c->in_end_owed = false;
	pthread_mutex_unlock(&c->lock);
}

/* --- what may be done; under c->lock --- */

static int check_running(const struct container *c, struct ctn_err *err)
{
	if (c->init)
		return 0;
	return ctn_fail(err, ESRCH,
			"no program runs that could read it; echo a command > cmd starts it");
}

static bool is_terminal(const struct container *c)
{
	return c->running ? c->running->tty : c->tty >= 0;
}

/* Return: 0: @in is open. */
static int check_writable(struct container *c, uint64_t run, struct ctn_err *err)
{
	if (!c->init || c->started != run)
		return ctn_fail(err, EPIPE, "the program has ended");
	if (c->in < 0 && !is_terminal(c))
		c->in = open_pipe(c);
	if (c->in >= 0)
		return 0;
	if (is_terminal(c))
		return ctn_fail(err, EPIPE,
				"its terminal was lost with its monitor; echo restart > ctl");
	if (errno != ENXIO && errno != ENOENT)
		return ctn_fail_errno(err, "open its standard input");
	if (errno == ENXIO)
		return ctn_fail(err, EPIPE, "nobody reads it: the program has closed it");
	return ctn_fail(err, EPIPE, "it has been closed; the next start opens it again");
}

int container_stdin_open(struct container *c, uint64_t *ret_run, struct ctn_err *err)
{
	int r;

	pthread_mutex_lock(&c->lock);
	r = check_running(c, err);
	if (r == 0)
		*ret_run = c->started;
	pthread_mutex_unlock(&c->lock);
	return r;
}

/* --- writing --- */

/* Without a lock. A piece of up to PIPE_BUF bytes is taken whole, or not at all. */
static int write_some(int fd, const char *text, size_t len, size_t *ret_done, struct ctn_err *err)
{
	while (*ret_done < len) {
		ssize_t n = write(fd, text + *ret_done, len - *ret_done);

		if (n == 0 || (n < 0 && errno == EAGAIN))
			return -EAGAIN;
		if (n < 0 && (errno == EPIPE || errno == EIO))
			return ctn_fail(err, EPIPE,
					"nobody reads it: the program has closed it, or has ended");
		if (n < 0 && errno != EINTR)
			return ctn_fail_errno(err, "write to its standard input");
		*ret_done += n > 0 ? (size_t)n : 0;
	}
	return 0;
}

/* Under c->lock: the turn begins. Return: LIFE_DONE: @ret_fd is to be written to and closed. */
static int turn_begin(struct container *c, uint64_t run, struct life_waiter *w, const void *me,
		      int *ret_fd, struct ctn_err *err)
{
	bool mine = c->in_turn == me;
	int fd, r;

	if (mine)
		c->in_turn = NULL;
	r = check_writable(c, run, err);
	if (r < 0)
		return r;
	if (!mine && (c->in_turn || waiter_first(c, GOAL_STDIN)))
		return w ? waiter_queue(c, w, GOAL_STDIN) : -EAGAIN;
	fd = fcntl(c->in, F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return ctn_fail_errno(err, "open its standard input");
	c->in_turn = me;
	*ret_fd = fd;
	return LIFE_DONE;
}

/* Under c->lock: nobody has the turn any more. Return: false: there was somebody to tell, and no
 * way to. */
static bool turn_next(struct container *c)
{
	c->in_turn = NULL;
	if (c->in < 0 || !(waiter_first(c, GOAL_STDIN) || c->in_end_owed || c->in_polled))
		return true;
	return loop_ask(c->engine, c, c->in) == 0;
}

/* Under c->lock: it is full. Whoever has begun goes on before the others. */
static int turn_wait(struct container *c, uint64_t run, struct life_waiter *w, struct ctn_err *err)
{
	int r = check_writable(c, run, err); /* it may have been closed meanwhile */

	if (r < 0)
		return r;
	return w ? waiter_queue_first(c, w, GOAL_STDIN) : -EAGAIN;
}

int container_stdin_write(struct container *c, uint64_t run, const char *text, size_t len,
			  size_t *ret_done, struct life_waiter *w, struct ctn_err *err)
{
	const void *me = w ? (const void *)w : &run;
	struct waiter_list lost = {0};
	size_t before = *ret_done;
	struct ctn_err why = {0};
	int fd = -1, r;

	pthread_mutex_lock(&c->lock);
	r = turn_begin(c, run, w, me, &fd, err);
	if (r != LIFE_DONE) {
		if (!c->in_turn)
			(void)turn_next(c);
		pthread_mutex_unlock(&c->lock);
		return r;
	}
	pthread_mutex_unlock(&c->lock);
	r = write_some(fd, text, len, ret_done, err);
	close(fd);
	pthread_mutex_lock(&c->lock);
	if (*ret_done > before)
		c->in_midline = text[*ret_done - 1] != '\n';
	if (r == -EAGAIN)
		r = turn_wait(c, run, w, err);
	if (!turn_next(c)) {
		waiters_take(c, GOAL_STDIN, &lost);
		ctn_fail(&why, ENOSPC,
			 "it is full, and the kernel does not tell when there is room");
	}
	pthread_mutex_unlock(&c->lock);
	waiters_done(&lost, -why.code, &why);
	return r;
}

/* --- the end of file --- */

/* ^D ends a line, and is the end of file where there is none to be ended. */
static int type_end(int fd, bool midline, struct ctn_err *err)
{
	struct termios t;
	char text[2];
	size_t done = 0;

	if (tcgetattr(fd, &t) < 0)
		return ctn_fail_errno(err, "look at its terminal");
	if (t.c_cc[VEOF] == _POSIX_VDISABLE)
		return ctn_fail(err, ENOTTY, "its terminal has no end-of-file character now");
	text[0] = text[1] = (char)t.c_cc[VEOF];
	return write_some(fd, text, midline && t.c_lflag & ICANON ? 2 : 1, &done, err);
}

static int end_terminal(struct container *c, struct ctn_err *err)
{
	ctn_autoclose int fd = -1;
	bool midline;
	int r;

	pthread_mutex_lock(&c->lock);
	r = check_writable(c, c->started, err);
	if (r == 0)
		fd = fcntl(c->in, F_DUPFD_CLOEXEC, 0);
	midline = c->in_midline;
	pthread_mutex_unlock(&c->lock);
	if (r == 0)
		r = fd < 0 ? ctn_fail_errno(err, "open its terminal") : type_end(fd, midline, err);
	pthread_mutex_lock(&c->lock);
	if (r == 0)
		c->in_midline = false;
	if (r == -EAGAIN && c->in >= 0) {
		c->in_end_owed = true;
		r = loop_ask(c->engine, c, c->in);
	}
	pthread_mutex_unlock(&c->lock);
	return r;
}

/* Under c->lock. The name goes first: nobody opens it again, whoever of us is killed now. */
static void end_pipe(struct container *c, struct waiter_list *list)
{
	container_unlink_run(c, WIRE_STDIN_NAME);
	stdin_release(c);
	waiters_take(c, GOAL_STDIN, list);
}

int container_stdin_end(struct container *c, uint64_t run, struct ctn_err *err)
{
	struct waiter_list list = {0};
	struct ctn_err why = {0};
	bool terminal, other;
	int r;

	pthread_mutex_lock(&c->lock);
	other = run && (!c->init || c->started != run);
	r = run ? 0 : check_running(c, err);
	terminal = is_terminal(c);
	if (r == 0 && !other && !terminal)
		end_pipe(c, &list);
	pthread_mutex_unlock(&c->lock);
	if (r < 0 || other)
		return r;
	if (terminal)
		return end_terminal(c, err);
	/* Also when it has had its end: the monitor may not know of that. */
	life_send(c, WIRE_MSG_STDIN_END, 0);
	ctn_fail(&why, EPIPE, "it has been closed meanwhile");
	waiters_done(&list, -why.code, &why);
	engine_tell(c);
	return 0;
}

/* --- room --- */

void stdin_on_room(struct container *c)
{
	struct waiter_list list = {0};
	struct ctn_err err = {0};
	bool polled, owed = false;

	pthread_mutex_lock(&c->lock);
	if (!c->in_turn) {
		c->in_turn = waiters_take_first(c, GOAL_STDIN, &list);
		owed = c->in_end_owed && !c->in_turn;
		c->in_end_owed = c->in_end_owed && !owed;
	}
	polled = c->in_polled;
	c->in_polled = false;
	pthread_mutex_unlock(&c->lock);
	if (owed && end_terminal(c, &err) < 0)
		container_note_error(c->engine, c, "stdin", &err);
	waiters_done(&list, 0, NULL);
	if (polled)
		engine_tell(c);
}

bool container_stdin_room(struct container *c, uint64_t run, bool tell)
{
	struct pollfd p = {.events = POLLOUT};
	bool room;

	pthread_mutex_lock(&c->lock);
	room = check_writable(c, run, NULL) < 0;
	p.fd = c->in;
	room = room || (!c->in_turn && !waiter_first(c, GOAL_STDIN) && poll(&p, 1, 0) > 0);
	if (!room && tell) {
		c->in_polled = true;
		if (!c->in_turn && loop_ask(c->engine, c, c->in) < 0)
			room = true; /* better to wait in a write than for ever */
	}
	pthread_mutex_unlock(&c->lock);
	return room;
}
