/* SPDX-License-Identifier: Apache-2.0 */
/* The container's standard streams. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../cleanup.h"
#include "../io.h"
#include "monitor.h"

static const char *const fifos[] = {WIRE_STDIN_NAME, "out", "err"};

/* In the host's numbers, the user that the program runs as: /dev/stdout is opened by name inside.
 */
static int fifo_give(const struct plan *p, const char *name, struct ctn_err *err)
{
	if (fchownat(p->run_fd, name, p->msg->host_uid, p->msg->host_gid, AT_SYMLINK_NOFOLLOW) < 0)
		return ctn_fail_errno(err, "give the fifo '%s' to the container's user", name);
	return 0;
}

static int fifo_make(const struct plan *p, const char *name, struct ctn_err *err)
{
	if (unlinkat(p->run_fd, name, 0) < 0 && errno != ENOENT)
		return ctn_fail_errno(err, "remove the old fifo '%s'", name);
	if (mkfifoat(p->run_fd, name, 0600) < 0)
		return ctn_fail_errno(err, "make the fifo '%s'", name);
	return fifo_give(p, name, err);
}

static int fifo_open(const struct plan *p, const char *name, int flags, int *ret,
		     struct ctn_err *err)
{
	int fd = openat(p->run_fd, name, flags | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return ctn_fail_errno(err, "open the fifo '%s'", name);
	*ret = fd;
	return 0;
}

int stdio_open(const struct plan *p, struct stdio *ret, struct ctn_err *err)
{
	/* Our ends of the output are open for writing, too: without that, poll(2) would report a
	 * program that has closed its own again and again, as POLLHUP. Input's reading end first,
	 * or the writing one would find nobody. */
	const struct {
		const char *name;
		int flags;
		int *to;
	} ends[] = {
		{WIRE_STDIN_NAME, O_RDONLY | O_NONBLOCK, &ret->child_in},
		{WIRE_STDIN_NAME, O_WRONLY | O_NONBLOCK, &ret->in},
		{"out", O_RDWR | O_NONBLOCK, &ret->out},
		{"out", O_RDWR, &ret->child_out},
		{"err", O_RDWR | O_NONBLOCK, &ret->err},
		{"err", O_RDWR, &ret->child_err},
	};
	int r = 0;

	for (size_t i = 0; r == 0 && i < CTN_COUNT(fifos); i++)
		r = fifo_make(p, fifos[i], err);
	for (size_t i = 0; r == 0 && i < CTN_COUNT(ends); i++)
		r = fifo_open(p, ends[i].name, ends[i].flags, ends[i].to, err);
	if (r == 0 && fcntl(ret->child_in, F_SETFL, 0) < 0) /* blocking again, for the program */
		r = ctn_fail_errno(err, "prepare standard input");
	return r;
}

int stdio_give(const struct plan *p, struct ctn_err *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < CTN_COUNT(fifos); i++)
		r = fifo_give(p, fifos[i], err);
	return r;
}

int stdio_adopt(const struct plan *p, struct stdio *ret, struct ctn_err *err)
{
	int r = fifo_open(p, "out", O_RDWR | O_NONBLOCK, &ret->out, err);

	if (r == 0)
		r = fifo_open(p, "err", O_RDWR | O_NONBLOCK, &ret->err, err);
	/* The program may have closed its end, or it has had the end of file. */
	(void)fifo_open(p, WIRE_STDIN_NAME, O_WRONLY | O_NONBLOCK, &ret->in, NULL);
	return r;
}
