/* SPDX-License-Identifier: Apache-2.0 */
/* One poll loop: the first process, its set-up report, its output, the server's connections. It
 * ends when the first process has ended and its output is in the log; its own end is what tells the
 * server. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../cleanup.h"
#include "../io.h"
#include "spawn.h"

enum {
	SERVERS_MAX = 4,      /* connections at once: one server, and those that just died */
	COPY_SIZE = 64 << 10, /* a pipe's capacity */
	DRAIN_MAX = 64,	      /* reads from one pipe before the others get their turn */
};

struct monitor {
	struct plan plan;
	struct spawned first;
	struct log log;
	struct wire_status status;
	int listener;
	int servers[SERVERS_MAX];
	uint64_t reported_drops;
	bool ready; /* the stage has said that execve is next */
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000000000U + (uint64_t)t.tv_nsec;
}

static void record(struct monitor *m)
{
	m->status.log_dropped = m->reported_drops = m->log.dropped;
	/* Not durable: it is about a running system, and is gone with it. */
	(void)io_replace_at(m->plan.run_fd, WIRE_STATUS_NAME, &m->status, sizeof(m->status), 0600,
			    false, NULL);
}

static void tell(const struct monitor *m, int server)
{
	struct wire_msg msg = {
		.magic = WIRE_MAGIC, .version = WIRE_VERSION, .type = WIRE_MSG_STATUS};
	const bool alive = m->status.phase == WIRE_RUNNING, tty = m->first.io.terminal >= 0;
	const int fds[] = {m->first.pidfd, m->first.io.out};

	msg.status = m->status;
	/* The server holds the terminal, too: it would be hung up if we alone had it, and died. */
	(void)wire_send(server, &msg, sizeof(msg), fds, alive ? 1 + tty : 0);
}

static void tell_all(const struct monitor *m)
{
	for (int i = 0; i < SERVERS_MAX; i++) {
		if (m->servers[i] >= 0)
			tell(m, m->servers[i]);
	}
}

/* It never ran. The record is for a server that was away meanwhile. */
static void fail(struct monitor *m, const struct wire_error *e)
{
	struct wire_msg msg = {
		.magic = WIRE_MAGIC, .version = WIRE_VERSION, .type = WIRE_MSG_ERROR};

	msg.error = *e;
	m->status.phase = WIRE_FAILED;
	m->status.code = e->code;
	record(m);
	for (int i = 0; i < SERVERS_MAX; i++) {
		if (m->servers[i] >= 0)
			(void)wire_send(m->servers[i], &msg, sizeof(msg), NULL, 0);
	}
	if (m->first.pid > 0 && !(m->plan.msg->flags & WIRE_ADOPT)) {
		(void)kill(m->first.pid,
			   SIGKILL); /* our own unreaped child: the pid is still its */
		(void)waitpid(m->first.pid, NULL, 0);
	}
	_exit(0);
}

static void fail_err(struct monitor *m, const char *step, const struct ctn_err *err)
{
	struct wire_error e = {.code = err->code};

	snprintf(e.step, sizeof(e.step), "%s", step);
	snprintf(e.text, sizeof(e.text), "%.*s", WIRE_TEXT_MAX - 1, err->text);
	fail(m, &e);
}

/* On the report pipe: a record with code 0 when execve is next, another one when something failed;
 * end of file when the program runs, or when the stage was killed before it could say anything. */
static void on_report(struct monitor *m)
{
	struct wire_error e = {0};
	ssize_t n = read(m->first.report, &e, sizeof(e));
	siginfo_t info = {0};
	struct ctn_err err = {0};

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n == (ssize_t)sizeof(e) && e.code == 0) {
		m->ready = true;
		return;
	}
	if (n == (ssize_t)sizeof(e))
		fail(m, &e);
	close(m->first.report);
	m->first.report = -1;
	if (!m->ready) {
		(void)waitid(P_PIDFD, (id_t)m->first.pidfd, &info, WEXITED | WNOWAIT);
		ctn_fail(
			&err, ENOMEM,
			"it was killed (signal %d) before it could run; is memory.limit too small?",
			info.si_status);
		fail_err(m, "start", &err);
	}
	m->status.phase = WIRE_RUNNING;
	m->status.started = now_ns();
	record(m);
	tell_all(m);
}

static void copy_output(struct monitor *m, int fd)
{
	static char buf[COPY_SIZE];

	for (int i = 0; i < DRAIN_MAX; i++) {
		ssize_t n = read(fd, buf, sizeof(buf));

		if (n <= 0)
			return;
		log_append(&m->log, buf, (size_t)n);
		if ((size_t)n < sizeof(buf))
			return;
	}
}

/* The pid namespace is empty now, so what the pipes hold is all that will ever come. */
static void drain(struct monitor *m)
{
	const int ends[] = {m->first.io.out, m->first.io.err};

	for (size_t i = 0; i < CTN_COUNT(ends); i++) {
		struct pollfd p = {.fd = ends[i], .events = POLLIN};

		/* A foreign writer (shared pid namespace) must not keep us here: one pipe's worth,
		 * as often as it can hold it. */
		for (int round = 0; round < DRAIN_MAX && poll(&p, 1, 0) > 0 && (p.revents & POLLIN);
		     round++)
			copy_output(m, ends[i]);
	}
	log_trim(&m->log);
}

/* Return: whether it has ended, with its exit status. */
static bool take_exit(const struct monitor *m, int32_t *ret)
{
	siginfo_t info = {0};

	if (m->plan.msg->flags &
	    WIRE_ADOPT) { /* the pidfd is readable: it has, and its parent was told */
		*ret = WIRE_CODE_UNKNOWN;
		return true;
	}
	if (waitid(P_PIDFD, (id_t)m->first.pidfd, &info, WEXITED | WNOHANG) < 0 || info.si_pid == 0)
		return false;
	*ret = info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status;
	return true;
}

static void on_exit_of_first(struct monitor *m)
{
	if (!take_exit(m, &m->status.code))
		return;
	m->status.finished = now_ns();
	m->status.phase = WIRE_EXITED;
	m->first.pid = 0;
	drain(m);
	record(m);
	_exit(0);
}

static void on_message(struct monitor *m, int slot)
{
	struct wire_msg msg;
	ssize_t n = wire_receive(m->servers[slot], &msg, sizeof(msg), NULL, 0, NULL);

	if (n <= 0) { /* that server is gone; we stay */
		close(m->servers[slot]);
		m->servers[slot] = -1;
		return;
	}
	if (n != (ssize_t)sizeof(msg) || msg.magic != WIRE_MAGIC)
		return;
	if (msg.type == WIRE_MSG_HELLO)
		tell(m, m->servers[slot]);
	if (msg.type == WIRE_MSG_LOG_MAX) {
		m->log.max = msg.value;
		log_trim(&m->log);
	}
}

static void on_connect(struct monitor *m)
{
	int fd = accept4(m->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	for (int i = 0; fd >= 0 && i < SERVERS_MAX; i++) {
		if (m->servers[i] < 0) {
			m->servers[i] = fd;
			return;
		}
	}
	if (fd >= 0)
		close(fd);
}

static void loop(struct monitor *m)
{
	enum { REPORT, FIRST, OUT, ERR, LISTENER, SERVERS, ALL = SERVERS + SERVERS_MAX };

	for (;;) {
		struct pollfd p[ALL] = {
			[REPORT] = {m->first.report, POLLIN, 0},
			/* Its end is taken only after the report, which says whether it ever ran.
			 */
			[FIRST] = {m->first.report >= 0 ? -1 : m->first.pidfd, POLLIN, 0},
			[OUT] = {m->first.io.out, POLLIN, 0},
			[ERR] = {m->first.io.err, POLLIN, 0},
			[LISTENER] = {m->listener, POLLIN, 0},
		};

		for (int i = 0; i < SERVERS_MAX; i++)
			p[SERVERS + i] = (struct pollfd){m->servers[i], POLLIN, 0};
		if (poll(p, ALL, -1) < 0)
			continue;
		if (p[REPORT].revents)
			on_report(m);
		if (p[OUT].revents & POLLIN)
			copy_output(m, m->first.io.out);
		if (p[ERR].revents & POLLIN)
			copy_output(m, m->first.io.err);
		for (int i = 0; i < SERVERS_MAX; i++) {
			if (p[SERVERS + i].revents)
				on_message(m, i);
		}
		if (p[LISTENER].revents)
			on_connect(m);
		if (m->log.dropped != m->reported_drops)
			record(m);
		if (p[FIRST].revents)
			on_exit_of_first(m);
	}
}

/* The whole start message and its descriptors. There is nobody to complain to but the server. */
static int receive_plan(struct monitor *m, struct ctn_err *err)
{
	int fds[WIRE_FD_FIXED + WIRE_ATTACH_MAX + WIRE_JOIN_MAX];
	struct wire_msg msg = {0};
	struct stat st;
	size_t n = 0, attach, join;
	void *data;
	int r;

	if (wire_receive(WIRE_SOCKET_FD, &msg, sizeof(msg), fds, CTN_COUNT(fds), &n) !=
		    (ssize_t)sizeof(msg) ||
	    msg.type != WIRE_MSG_START || n < WIRE_FD_FIXED)
		return ctn_fail(err, EBADMSG, "no start message");
	if (fstat(fds[WIRE_FD_START], &st) < 0 || st.st_size <= 0 || st.st_size > WIRE_START_MAX)
		return ctn_fail(err, EBADMSG, "start message: its size is out of range");
	data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fds[WIRE_FD_START], 0);
	if (data == MAP_FAILED)
		return ctn_fail_errno(err, "map the start message");
	close(fds[WIRE_FD_START]);
	r = plan_unpack(data, (size_t)st.st_size, &m->plan, err);
	if (r < 0)
		return r;
	attach = m->plan.msg->n_attach;
	join = (size_t)__builtin_popcountll(m->plan.msg->ns_join);
	if (n != WIRE_FD_FIXED + attach + join)
		return ctn_fail(err, EBADMSG, "start message: a descriptor is missing");
	m->plan.run_fd = fds[WIRE_FD_RUN];
	m->plan.state_fd = fds[WIRE_FD_STATE];
	m->plan.host_mnt_fd = fds[WIRE_FD_HOST_MNT];
	memcpy(m->plan.attach_fds, fds + WIRE_FD_FIXED, attach * sizeof(int));
	memcpy(m->plan.join_fds, fds + WIRE_FD_FIXED + attach, join * sizeof(int));
	return 0;
}

/* The lock says that we live; the socket lets the next server find us. */
static int announce(struct monitor *m, struct ctn_err *err)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int lock = openat(m->plan.run_fd, WIRE_LOCK_NAME, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC,
			  0600);

	if (lock < 0 || flock(lock, LOCK_EX | LOCK_NB) < 0)
		return ctn_fail_errno(err, "take the container's lock"); /* kept open to the end */
	(void)unlinkat(m->plan.run_fd, WIRE_SOCKET_NAME, 0);
	m->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	/* Through the descriptor: the path itself may be longer than an address can be. */
	snprintf(addr.sun_path, sizeof(addr.sun_path), "/proc/self/fd/%d/%s", m->plan.run_fd,
		 WIRE_SOCKET_NAME);
	umask(0177);
	if (m->listener < 0 || bind(m->listener, (struct sockaddr *)&addr, sizeof(addr)) < 0 ||
	    listen(m->listener, SERVERS_MAX) < 0)
		return ctn_fail_errno(err, "make the monitor's socket");
	umask(077);
	return 0;
}

static void read_boot_id(struct monitor *m)
{
	ctn_autofree char *text = NULL;

	if (io_read_at(AT_FDCWD, "/proc/sys/kernel/random/boot_id", 64, &text, NULL, NULL) == 0)
		memcpy(m->status.boot_id, text, strnlen(text, WIRE_BOOT_ID_LEN));
}

static void become_monitor(void)
{
	(void)prctl(PR_SET_NAME, "ctnfs-monitor");
	(void)prctl(PR_SET_DUMPABLE,
		    0); /* and so the stage: nothing inside may look into it (CVE-2016-9962) */
	(void)setsid();
	(void)chdir("/");
	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGINT, SIG_IGN);
}

/* Bring the first process about, or take over the one that there is. */
static void begin(struct monitor *m)
{
	const bool adopt = m->plan.msg->flags & WIRE_ADOPT;
	struct ctn_err err = {0};
	struct wire_error e;

	if (adopt && spawn_adopt(&m->plan, &m->first, &err) < 0)
		fail_err(m, "adopt", &err);
	if (!adopt && spawn(&m->plan, &m->first, &err) < 0) {
		/* A stage that failed first knows better why; EPIPE is that we failed. */
		if (m->first.report >= 0 &&
		    read(m->first.report, &e, sizeof(e)) == (ssize_t)sizeof(e) && e.code != EPIPE)
			fail(m, &e);
		fail_err(m, "spawn", &err);
	}
	for (uint32_t i = 0; i < m->plan.msg->n_attach; i++)
		close(m->plan.attach_fds[i]);
	for (int i = 0; i < __builtin_popcountll(m->plan.msg->ns_join); i++)
		close(m->plan.join_fds[i]);
	close(m->plan.host_mnt_fd);
	close(m->plan.state_fd); /* the log is open */
	m->status.init_pid = m->first.pid;
	m->status.init_start = m->first.start;
	if (adopt) {
		m->status.phase = WIRE_RUNNING;
		m->status.started = m->plan.msg->adopt_started;
	}
	record(m);
}

int main(void)
{
	static struct monitor m = {
		.first = {.pidfd = -1, .report = -1, .io = {-1, -1, -1, -1, -1, -1, -1}},
		.listener = -1,
		.servers = {WIRE_SOCKET_FD, -1, -1, -1},
	};
	struct ctn_err err = {0};

	become_monitor();
	fcntl(WIRE_SOCKET_FD, F_SETFD, FD_CLOEXEC);
	if (receive_plan(&m, &err) < 0)
		fail_err(&m, "start", &err);
	m.status = (struct wire_status){.magic = WIRE_MAGIC,
					.version = WIRE_VERSION,
					.phase = WIRE_STARTING,
					.monitor_pid = getpid()};
	read_boot_id(&m);
	if (announce(&m, &err) < 0 ||
	    log_open(m.plan.state_fd, m.plan.msg->log_max, &m.log, &err) < 0)
		fail_err(&m, "monitor", &err);
	begin(&m);
	loop(&m);
}
