/* SPDX-License-Identifier: Apache-2.0 */
/* One poll loop: the first process, its set-up report, its output, the server's connections. It
 * ends when the first process has ended and its output is in the log, and the server was told. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../cleanup.h"
#include "../io.h"
#include "../weaken.h"
#include "exec.h"
#include "nursery.h"
#include "park.h"

enum {
	COPY_SIZE = 64 << 10, /* as much as one entry of the log's index stands for */
	PIPE_GROWN = 1 << 20, /* of a program that puts out more than we take away */
	DRAIN_MAX = 64,	      /* reads from one pipe before the others get their turn */
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000000000U + (uint64_t)t.tv_nsec;
}

/* A full disk has no room for a new file, but for other bytes in the old one. */
static void record_over(const struct monitor *m)
{
	ctn_autoclose int fd = openat(m->plan.run_fd, WIRE_STATUS_NAME,
				      O_WRONLY | O_NOFOLLOW | O_CLOEXEC);

	if (fd >= 0)
		(void)!pwrite(fd, &m->status, sizeof(m->status), 0);
}

static void record(struct monitor *m)
{
	m->status.log_dropped = m->reported_drops = m->log.dropped;
	/* Not durable: it is about a running system, and is gone with it. */
	if (io_replace_at(m->plan.run_fd, WIRE_STATUS_NAME, &m->status, sizeof(m->status), 0600,
			  false, NULL) < 0)
		record_over(m);
}

/* It never ran. The record is for a server that was away meanwhile. */
static void fail(struct monitor *m, const struct wire_error *e)
{
	m->status.phase = WIRE_FAILED;
	m->status.code = e->code;
	record(m);
	talk_fail_all(m, e);
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

/* Unmounting them takes as long as all else of its end. So they stay until that is told, unless
 * there are some of the user's among them, who may want to unmount what is below. */
static void hold_mounts(struct monitor *m)
{
	const struct wire_start *start = m->plan.msg;
	char path[32];

	if (start->flags & (WIRE_ENTER | WIRE_ROOT_OWN) || start->mounts.count > 0 ||
	    m->mounts >= 0)
		return;
	snprintf(path, sizeof(path), "/proc/%d/ns/mnt", m->first.pid);
	m->mounts = open(path, O_RDONLY | O_CLOEXEC);
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
	if (n == (ssize_t)sizeof(e) && e.code == 0) { /* the loop looks for the listener itself */
		hold_mounts(m);
		return;
	}
	if (n == (ssize_t)sizeof(e))
		fail(m, &e);
	close(m->first.report);
	m->first.report = -1;
	if (!atomic_load(&m->plan.handover->ready)) {
		(void)waitid(P_PIDFD, (id_t)m->first.pidfd, &info, WEXITED | WNOWAIT);
		ctn_fail(
			&err, ENOMEM,
			"it was killed (signal %d) before it could run; is memory.limit too small?",
			info.si_status);
		fail_err(m, "start", &err);
	}
	handover_free(
		ctn_take_ptr(m->plan.handover)); /* an init of ours is not to have it either */
	m->status.phase = WIRE_RUNNING;
	m->status.started = now_ns();
	record(m);
	talk_tell_all(m);
}

/* The stage has loaded its filter, and waits until we can answer for it. */
static void take_listener(struct monitor *m)
{
	struct ctn_err err = {0};
	int fd = -1, r = handover_take(m->plan.handover, m->first.pidfd, &fd, &err);

	if (r == -ESRCH) /* the end of its report says why */
		return;
	if (r < 0)
		fail_err(m, "seccomp", &err);
	notify_add(&m->notify, fd, atomic_load(&m->plan.handover->killable));
}

static void tell_denied(struct monitor *m, bool end)
{
	uint64_t newest;

	if (notify_news(&m->notify, end, &newest) && !talk_tell_denied(m, newest))
		notify_keep_news(&m->notify);
}

static void copy_output(struct monitor *m, int fd, enum wire_stream stream)
{
	static char buf[COPY_SIZE];
	static bool grown[WIRE_STREAMS];

	for (int i = 0; i < DRAIN_MAX; i++) {
		ssize_t n = read(fd, buf, sizeof(buf));

		if (n <= 0)
			return;
		log_append(&m->log, stream, now_ns(), buf, (size_t)n);
		if ((size_t)n < sizeof(buf))
			return;
		/* It was full, and the program waits for us. Where processors are scarce, the fewer
		 * turns the two take the better. The kernel may say no; a terminal does. */
		if (!grown[stream])
			(void)fcntl(fd, F_SETPIPE_SZ, PIPE_GROWN);
		grown[stream] = true;
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
			copy_output(m, ends[i], i == 0 ? WIRE_STDOUT : WIRE_STDERR);
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
	tell_denied(m, true);
	record(m);
	talk_tell_all(m);	  /* before another run can have another record */
	ctn_close_fd(&m->mounts); /* and this, before another can have the lock */
	_exit(0);
}

enum { REPORT, FIRST, OUT, ERR, LISTENER, DENIED, PEERS, ALL = PEERS + CONNECTIONS_MAX };

static void what_to_poll(const struct monitor *m, struct pollfd *p)
{
	p[REPORT].fd = m->first.report;
	/* Its end is taken only after the report, which says whether it ever ran. */
	p[FIRST].fd = m->first.report >= 0 ? -1 : m->first.pidfd;
	p[OUT].fd = m->first.io.out;
	p[ERR].fd = m->first.io.err;
	p[LISTENER].fd = talk_full(m) ? -1 : m->listener;
	p[DENIED].fd = notify_fd(&m->notify);
	for (int i = 0; i < CONNECTIONS_MAX; i++)
		p[PEERS + i].fd = m->peers[i];
	for (int i = 0; i < ALL; i++)
		p[i].events = POLLIN;
}

static int timeout(const struct monitor *m)
{
	const struct handover *h = m->plan.handover;
	const int ms = notify_timeout(&m->notify);

	return h && m->plan.msg->flags & WIRE_NOTIFY && !atomic_load(&h->taken) ? HANDOVER_MS : ms;
}

/* The kernel takes no more of them than RLIMIT_NOFILE allows descriptors; few are in use. */
static int poll_used(struct pollfd *p, nfds_t n, int ms)
{
	while (n > 0 && p[n - 1].fd < 0)
		n--;
	return poll(p, n, ms);
}

static void loop(struct monitor *m)
{
	for (;;) {
		struct pollfd p[ALL] = {0};

		what_to_poll(m, p);
		if (poll_used(p, ALL, timeout(m)) < 0)
			continue;
		if (handover_pending(m->plan.handover))
			take_listener(m);
		if (p[REPORT].revents)
			on_report(m);
		if (p[OUT].revents & POLLIN)
			copy_output(m, m->first.io.out, WIRE_STDOUT);
		if (p[ERR].revents & POLLIN)
			copy_output(m, m->first.io.err, WIRE_STDERR);
		notify_serve(&m->notify, p[DENIED].revents);
		tell_denied(m, false);
		for (int i = 0; i < CONNECTIONS_MAX; i++) {
			if (p[PEERS + i].revents)
				talk_receive(m, i);
		}
		if (p[LISTENER].revents)
			talk_accept(m);
		if (m->log.dropped != m->reported_drops)
			record(m);
		if (p[FIRST].revents)
			on_exit_of_first(m);
	}
}

static void read_boot_id(struct monitor *m)
{
	ctn_autofree char *text = NULL;

	if (io_read_at(AT_FDCWD, "/proc/sys/kernel/random/boot_id", 64, &text, NULL, NULL) == 0)
		memcpy(m->status.boot_id, text, strnlen(text, WIRE_BOOT_ID_LEN));
}

/* The record of the monitor before this one: what it could not write is counted on. */
static void go_on_counting(struct monitor *m)
{
	ctn_autofree char *data = NULL;
	struct wire_status before;
	size_t len = 0;

	if (io_read_at(m->plan.run_fd, WIRE_STATUS_NAME, sizeof(before), &data, &len, NULL) < 0 ||
	    len != sizeof(before))
		return;
	memcpy(&before, data, sizeof(before));
	if (before.magic == WIRE_MAGIC &&
	    memcmp(before.boot_id, m->status.boot_id, sizeof(before.boot_id)) == 0)
		m->log.dropped = before.log_dropped;
}

static void become_monitor(void)
{
	sigset_t none;

	(void)prctl(PR_SET_NAME, "ctnfs-monitor");
	if (!WEAKEN_DUMPABLE) /* and so the stage: nothing inside may look into it (CVE-2016-9962)
			       */
		(void)prctl(PR_SET_DUMPABLE, 0);
	(void)setsid();
	(void)chdir("/");
	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL); /* the server's child has all blocked */
}

/* Bring the first process about, or take over the one that there is. */
static void begin(struct monitor *m)
{
	const bool adopt = m->plan.msg->flags & WIRE_ADOPT;
	struct ctn_err err = {0};
	struct wire_error e;

	if (!adopt && handover_new(&m->plan.handover, &err) < 0)
		fail_err(m, "spawn", &err);
	if (adopt && spawn_adopt(&m->plan, &m->first, &err) < 0)
		fail_err(m, "adopt", &err);
	if (!adopt && spawn(&m->plan, &m->first, &err) < 0) {
		/* A stage that failed first knows better why; EPIPE is that we failed. */
		if (m->first.report >= 0 &&
		    read(m->first.report, &e, sizeof(e)) == (ssize_t)sizeof(e) && e.code != EPIPE)
			fail(m, &e);
		fail_err(m, "spawn", &err);
	}
}

/* There is a first process: what it was made with is not needed any more. */
static void settle(struct monitor *m)
{
	/* The cgroups' stay, for those who enter. */
	for (size_t i = 0; i < plan_n_joins(&m->plan); i++)
		close(m->plan.join_fds[i]);
	close(m->plan.host_mnt_fd);
	if (m->plan.msg->flags & WIRE_NOTIFY)
		notify_init(&m->notify, m->plan.state_fd);
	else
		close(m->plan.state_fd); /* the log is open */
	m->status.init_pid = m->first.pid;
	m->status.init_start = m->first.start;
	if (m->plan.msg->flags & WIRE_ADOPT) {
		m->status.phase = WIRE_RUNNING;
		m->status.started = m->plan.msg->adopt_started;
	}
	record(m);
}

/* Until the start comes nothing says that we are there: who looks, finds nothing that runs. Return:
 * whether there is a first process then. */
static bool wait_parked(struct monitor *m)
{
	struct ctn_err err = {0};
	int r = park(m, &err);

	if (r == -ECONNRESET)
		_exit(0);
	if (r < 0)
		fail_err(m, "start", &err);
	return r > 0;
}

int main(int argc, char **argv)
{
	static struct monitor m = {
		.first = {.pidfd = -1, .report = -1, .go = -1, .io = {-1, -1, -1, -1, -1, -1, -1}},
		.log = {.fd = -1},
		.listener = -1,
		.peers = {[1 ... CONNECTIONS_MAX - 1] = -1},
		.servers = {true},
		.given = -1,
		.mounts = -1,
	};
	struct ctn_err err = {0};
	bool released;

	if (argc > 3)
		return exec_main(argc, argv);
	m.peers[0] = WIRE_SOCKET_FD;
	notify_init(&m.notify, -1);

	become_monitor();
	if (nursery_wanted())
		nursery();
	fcntl(WIRE_SOCKET_FD, F_SETFD, FD_CLOEXEC);
	if (plan_receive(&m.plan, &m.message, &err) < 0)
		fail_err(&m, "start", &err);
	m.status = (struct wire_status){.magic = WIRE_MAGIC,
					.version = WIRE_VERSION,
					.phase = WIRE_STARTING,
					.monitor_pid = getpid()};
	read_boot_id(&m);
	go_on_counting(&m);
	released = m.plan.msg->flags & WIRE_PARK && wait_parked(&m);
	if (talk_announce(&m, &err) < 0 ||
	    (m.log.fd < 0 && log_open(m.plan.state_fd, m.plan.msg->log_max, &m.log, &err) < 0))
		fail_err(&m, "monitor", &err);
	if (!released)
		begin(&m);
	settle(&m);
	loop(&m);
}
