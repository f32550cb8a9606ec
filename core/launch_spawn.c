/* SPDX-License-Identifier: Apache-2.0 */
#include "launch_spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cleanup.h"
#include "io.h"
#include "wire.h"
#include "wire_io.h"

enum { STACK_BYTES = 64 << 10 };

/* The child shares this memory until it executes, and works while its parent waits: what it calls
 * must not be what a sanitizer keeps account of. */
#define IN_CHILD __attribute__((no_sanitize("address", "thread", "undefined")))

/**
 * struct spawner
 * @slot: a low descriptor, where the child's socket is put: the child leaves behind all that is
 * above, and is given nothing of it, so that how many there are does not matter.
 * @above: the first that no child needs. @files: limit for children.
 * @lock: all below; one at a time.
 */
struct spawner {
	int null_fd, program_fd, slot;
	unsigned above;
	bool limited;
	struct rlimit files;
	pthread_mutex_t lock;
	char path[32];
	int failed;  /* errno of the child's */
	int nursery; /* the connection to it; -1: there is none */
	pid_t nursery_pid;
	uint32_t asked; /* number of the last request */
	char stack[STACK_BYTES] __attribute__((aligned(64)));
};

/* clone(2) by the C library's other name: what the thread sanitizer puts in its place takes it for
 * a fork, and lets go of its locks twice. */
int __clone(int (*fn)(void *), void *stack, int flags, void *arg, ...);

static unsigned above_all(const struct spawner *s)
{
	int highest = s->slot;

	highest = s->null_fd > highest ? s->null_fd : highest;
	highest = s->program_fd > highest ? s->program_fd : highest;
	return (unsigned)highest + 1;
}

/* Every container takes some descriptors: as many as the kernel lets anybody have. */
static void limit_raise(struct spawner *s)
{
	ctn_autofree char *text = NULL;
	struct rlimit most;

	s->limited = getrlimit(RLIMIT_NOFILE, &s->files) == 0;
	if (!s->limited)
		return;
	most = s->files;
	if (io_read_at(AT_FDCWD, "/proc/sys/fs/nr_open", 32, &text, NULL, NULL) == 0 &&
	    strtoull(text, NULL, 10) > most.rlim_max)
		most.rlim_max = strtoull(text, NULL, 10);
	most.rlim_cur = most.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &most) == 0)
		return;
	most.rlim_cur = most.rlim_max = s->files.rlim_max; /* without CAP_SYS_RESOURCE */
	(void)setrlimit(RLIMIT_NOFILE, &most);		   /* then it is as many as we have */
}

int spawner_new(int null_fd, int program_fd, struct spawner **ret, struct ctn_err *err)
{
	struct spawner *s = calloc(1, sizeof(*s));

	if (!s)
		return ctn_fail(err, ENOMEM, "no memory for the server's children");
	s->null_fd = null_fd;
	s->program_fd = program_fd;
	s->nursery = -1;
	s->slot = fcntl(null_fd, F_DUPFD_CLOEXEC, WIRE_SOCKET_FD + 1);
	if (s->slot < 0) {
		free(s);
		return ctn_fail_errno(err, "keep a descriptor");
	}
	s->above = above_all(s);
	snprintf(s->path, sizeof(s->path), "/proc/self/fd/%d", program_fd);
	pthread_mutex_init(&s->lock, NULL);
	limit_raise(s);
	*ret = s;
	return 0;
}

void spawner_free(struct spawner *s)
{
	if (!s)
		return;
	close(s->slot);
	if (s->nursery >= 0) {
		close(s->nursery);
		(void)kill(s->nursery_pid,
			   SIGKILL); /* should it be stopped, it would not see the end */
		(void)waitpid(s->nursery_pid, NULL, 0);
	}
	pthread_mutex_destroy(&s->lock);
	free(s);
}

/* On its own stack, in the server's memory, with the server's descriptors until the first line. By
 * system calls alone. Signals stay blocked: a handler must not run here. */
IN_CHILD static int child(void *arg)
{
	static char name[] = "ctnfs-monitor";
	char *argv[] = {name, NULL}, *envp[] = {NULL};
	struct spawner *s = arg;

	if (syscall(SYS_close_range, s->above, ~0U, CLOSE_RANGE_UNSHARE) == 0 &&
	    syscall(SYS_dup3, s->null_fd, STDIN_FILENO, 0) >= 0 &&
	    syscall(SYS_dup3, s->null_fd, STDOUT_FILENO, 0) >= 0 &&
	    syscall(SYS_dup3, s->null_fd, STDERR_FILENO, 0) >= 0 &&
	    syscall(SYS_dup3, s->slot, WIRE_SOCKET_FD, 0) >= 0 &&
	    (!s->limited || syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, &s->files, NULL) == 0))
		syscall(SYS_execve, s->path, argv, envp);
	s->failed = errno;
	syscall(SYS_exit, 127);
	__builtin_unreachable();
}

/* Under s->lock. Return: the child, or -errno. */
static pid_t begin(struct spawner *s)
{
	sigset_t all, old;
	pid_t pid;
	int code;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	s->failed = 0;
	pid = __clone(child, s->stack + sizeof(s->stack),
		      CLONE_VM | CLONE_VFORK | CLONE_FILES | SIGCHLD, s);
	code = errno;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (pid < 0)
		return -code;
	if (s->failed) {
		(void)waitpid(pid, NULL, 0);
		return -s->failed;
	}
	return pid;
}

/* Under s->lock. Return: the child, or -errno. */
static pid_t execute(struct spawner *s, int sock)
{
	pid_t pid;

	if (dup3(sock, s->slot, O_CLOEXEC) >= 0) {
		pid = begin(s);
		(void)dup3(s->null_fd, s->slot,
			   O_CLOEXEC); /* or its other end would not see the end */
	} else {
		pid = -errno;
	}
	return pid;
}

/* --- the nursery --- */

static struct wire_msg message(enum wire_type type, uint64_t value)
{
	return (struct wire_msg){
		.magic = WIRE_MAGIC, .version = WIRE_VERSION, .type = type, .value = value};
}

/* Under s->lock. The answer to the last request. One to a request before that, whose answer could
 * not be received, is about a child that nobody has talked to. Return: the child, or -errno. */
static pid_t hear(struct spawner *s)
{
	struct wire_msg msg;

	for (;;) {
		ssize_t n = wire_receive(s->nursery, &msg, sizeof(msg), NULL, 0, NULL);
		int32_t pid = (int32_t)(uint32_t)msg.value;

		if (n != (ssize_t)sizeof(msg))
			return n < 0 ? (pid_t)n : -ECONNRESET;
		if (msg.value >> 32 == s->asked)
			return pid;
		if (pid > 0) {
			(void)kill(pid, SIGKILL); /* our own unreaped child: the pid is still its */
			(void)waitpid(pid, NULL, 0);
		}
	}
}

/* Under s->lock. Return: as above. */
static pid_t ask(struct spawner *s, int sock)
{
	struct wire_msg msg = message(WIRE_MSG_BEAR, ++s->asked);
	ssize_t n = wire_send(s->nursery, &msg, sizeof(msg), &sock, 1);

	if (n == -EPIPE)
		return -ECONNRESET;
	return n < 0 ? (pid_t)n : hear(s);
}

int spawner_begin(struct spawner *s, int *ret_pidfd, struct ctn_err *err)
{
	const struct wire_msg msg = message(WIRE_MSG_NURSERY, 0);
	ctn_autoclose int theirs = -1, pidfd = -1;
	int pair[2], r;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return ctn_fail_errno(err, "make a connection to the nursery");
	theirs = pair[1];
	r = spawn_child(s, theirs, &s->nursery_pid, err);
	if (r < 0) {
		close(pair[0]);
		return r;
	}
	s->nursery = pair[0]; /* from here on spawner_free() ends it */
	pidfd = pidfd_open(s->nursery_pid, 0);
	if (pidfd < 0)
		return ctn_fail_errno(err, "watch the nursery");
	r = (int)wire_send(s->nursery, &msg, sizeof(msg), NULL, 0);
	if (r > 0) {
		ctn_close_fd(&theirs); /* or its end would not be seen */
		theirs = -1;
		r = hear(s);
	}
	if (r < 0)
		return ctn_fail(err, -r, "talk to the nursery: %s", strerrordesc_np(-r));
	*ret_pidfd = ctn_take_fd(pidfd);
	return 0;
}

int spawn_child(struct spawner *s, int sock, pid_t *ret, struct ctn_err *err)
{
	pid_t pid;

	pthread_mutex_lock(&s->lock);
	pid = s->nursery < 0 ? execute(s, sock) : ask(s, sock);
	pthread_mutex_unlock(&s->lock);
	if (pid == -ECONNRESET)
		return ctn_fail(
			err, ECONNRESET,
			"start a monitor: the process that makes them was killed; start the "
			"server again");
	if (pid < 0)
		return ctn_fail(err, -pid, "start a monitor: %s", strerrordesc_np(-pid));
	*ret = pid;
	return 0;
}
