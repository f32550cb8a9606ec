/* SPDX-License-Identifier: Apache-2.0 */
/* ctnfs-exec: the interpreter of `exec` (see exec.h). `ctnfs-exec RUNDIR SCRIPT ARG…` */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../cleanup.h"
#include "../wire.h"
#include "../wire_io.h"
#include "exec.h"

enum { ANSWER_MS = 5000 };

/* Return: the exit status. */
static int fail(const char *script, const char *sentence)
{
	fprintf(stderr, "%s: %s\n", script, sentence);
	return EXIT_EXEC;
}

/* Descriptors of ours must not become the program's standard ones. */
static int fill_streams(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR);
	} while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
	return fd < 0 ? -errno : 0;
}

static int monitor_connect(const char *run)
{
	ctn_autoclose int dir = open(run, O_PATH | O_DIRECTORY | O_CLOEXEC);

	return dir < 0 ? -errno : wire_connect(dir);
}

static ssize_t ask(int sock, enum wire_type type)
{
	const struct wire_msg msg = {.magic = WIRE_MAGIC, .version = WIRE_VERSION, .type = type};

	return wire_send(sock, &msg, sizeof(msg), NULL, 0);
}

/* The monitor's program, to be executed. What that one needs is asked for at once: the answer comes
 * while it is being started. */
static int ask_program(int sock)
{
	struct pollfd p = {.fd = sock, .events = POLLIN};
	struct wire_msg msg;
	int fd = -1;
	size_t n = 0;
	ssize_t r = ask(sock, WIRE_MSG_PROGRAM);

	if (r >= 0)
		r = ask(sock, WIRE_MSG_ENTER);
	if (r >= 0 && poll(&p, 1, ANSWER_MS) <= 0)
		return -ETIMEDOUT;
	if (r >= 0)
		r = wire_receive(sock, &msg, sizeof(msg), &fd, 1, &n);
	if (r == 0) /* it was about to end when we came */
		r = -ECONNRESET;
	if (r < 0)
		return (int)r;
	return n == 1 ? fd : -EPROTO;
}

static const char *explain(int code)
{
	switch (code) {
	case ENOENT:
	case ECONNREFUSED:
	case EPIPE:
	case ECONNRESET:
		return "the container does not run; echo start > ctl beside this file starts it";
	case EPROTO:
	case ETIMEDOUT:
		return "the container's monitor does not answer; if an older ctnfs started it, "
		       "echo restart > ctl";
	case EACCES:
	case EPERM:
		return "only root can enter a container";
	default:
		return strerror(code);
	}
}

int main(int argc, char **argv)
{
	char number[16], *name = "ctnfs-exec", **args;
	int sock, program;

	if (argc < 3 || fill_streams() < 0)
		return fail(name, "is what the file exec of a container calls; run that");
	sock = monitor_connect(argv[1]);
	program = sock < 0 ? sock : ask_program(sock);
	if (program < 0)
		return fail(argv[2], explain(-program));
	args = calloc((size_t)argc + 2, sizeof(*args));
	if (!args)
		return fail(argv[2], strerror(ENOMEM));
	snprintf(number, sizeof(number), "%d", sock);
	args[0] = name;
	args[1] = number;
	memcpy(args + 2, argv + 1, (size_t)argc * sizeof(*args));
	if (fcntl(sock, F_SETFD, 0) == 0)
		(void)execveat(program, "", args, environ, AT_EMPTY_PATH);
	return fail(argv[2], strerror(errno));
}
