/* SPDX-License-Identifier: Apache-2.0 */
/* The program's terminal: a pair of the container's own devpts. Its master goes to the monitor.
 * Nothing in the container is trusted for it but what is proven to be devpts, and the other end is
 * had from the master, not by a name (CVE-2025-52565). */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <sched.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "../cleanup.h"
#include "../weaken.h"
#include "monitor.h"

enum { PTMX_MAJOR = 5, PTMX_MINOR = 2, PTMX_OPEN = O_RDWR | O_NOCTTY | O_CLOEXEC };

static int open_plain(int dir, const char *path, uint64_t flags, uint64_t resolve)
{
	struct open_how how = {
		.flags = flags | O_CLOEXEC,
		.resolve = resolve | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};

	return (int)syscall(SYS_openat2, dir, path, &how, sizeof(how));
}

static int master_open(const struct plan *p, int *ret, struct ctn_err *err)
{
	ctn_autoclose int pts = -1, fd = -1;
	struct statfs fs;
	struct stat st;

	if (WEAKEN_TTY) {
		fd = open("/dev/pts/ptmx", PTMX_OPEN);
	} else if (plan_has_ns(p, CLONE_NEWNS)) {
		pts = open_plain(AT_FDCWD, "/dev/pts", O_PATH | O_DIRECTORY, 0);
		if (pts < 0 || fstatfs(pts, &fs) < 0 || fs.f_type != DEVPTS_SUPER_MAGIC)
			return ctn_fail(err, ENOTTY,
					"tty: /dev/pts in the container is no devpts file system; "
					"let mounts have one there, or echo 0 > tty");
		fd = open_plain(pts, "ptmx", PTMX_OPEN, RESOLVE_BENEATH | RESOLVE_NO_XDEV);
	} else {
		fd = open("/dev/ptmx", PTMX_OPEN); /* the host's own /dev */
	}
	if (fd < 0)
		return ctn_fail_errno(err, "tty: make a terminal");
	if (fstat(fd, &st) < 0 || !S_ISCHR(st.st_mode) ||
	    st.st_rdev != makedev(PTMX_MAJOR, PTMX_MINOR))
		return ctn_fail(err, ENOTTY, "tty: ptmx in the container makes no terminals");
	*ret = ctn_take_fd(fd);
	return 0;
}

/* As it was done before Linux 4.13, which only tests do. */
static int slave_by_name(int master)
{
	unsigned number = 0;
	char path[32];

	(void)ioctl(master, TIOCGPTN, &number);
	snprintf(path, sizeof(path), "/dev/pts/%u", number);
	return open(path, PTMX_OPEN);
}

static int slave_open(const struct wire_start *m, int master, int *ret, struct ctn_err *err)
{
	const struct winsize size = {.ws_row = m->rows, .ws_col = m->cols};
	ctn_autoclose int fd = -1;
	int unlock = 0;

	if (ioctl(master, TIOCSPTLCK, &unlock) < 0)
		return ctn_fail_errno(err, "tty: unlock the terminal");
	fd = WEAKEN_TTY ? slave_by_name(master) : ioctl(master, TIOCGPTPEER, PTMX_OPEN);
	if (fd < 0)
		return ctn_fail_errno(err, "tty: open the terminal");
	if (m->rows && m->cols && ioctl(fd, TIOCSWINSZ, &size) < 0)
		return ctn_fail_errno(err, "tty: set its size");
	if (m->uid != 0 && fchown(fd, m->uid, (gid_t)-1) < 0)
		return ctn_fail_errno(err, "tty: give the terminal to user %u", m->uid);
	*ret = ctn_take_fd(fd);
	return 0;
}

/* The terminal is the console, too. */
static int console_bind(int slave, struct ctn_err *err)
{
	ctn_autoclose int dev = open_plain(AT_FDCWD, "/dev", O_PATH | O_DIRECTORY, 0);
	ctn_autoclose int made = -1, at = -1, tree = -1;

	if (dev < 0)
		return ctn_fail_errno(err, "tty: open /dev in the container");
	made = openat(dev, "console", O_RDONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (made < 0 && errno != EEXIST)
		return ctn_fail_errno(err, "tty: make /dev/console in the container");
	at = open_plain(dev, "console", O_PATH, RESOLVE_BENEATH | RESOLVE_NO_XDEV);
	if (at < 0)
		return ctn_fail_errno(err, "tty: open /dev/console in the container");
	tree = open_tree(slave, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
	if (tree < 0 ||
	    move_mount(tree, "", at, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
		return ctn_fail_errno(err, "tty: bind the terminal to /dev/console");
	return 0;
}

int stage_terminal(struct stage *s, struct ctn_err *err)
{
	ctn_autoclose int master = -1, slave = -1;
	ssize_t sent;
	int r;

	if (!(s->plan->msg->flags & WIRE_TTY))
		return 0;
	r = master_open(s->plan, &master, err);
	if (r == 0)
		r = slave_open(s->plan->msg, master, &slave, err);
	if (r == 0 && plan_has_ns(s->plan, CLONE_NEWNS))
		r = console_bind(slave, err);
	if (r < 0)
		return r;
	sent = wire_send(s->go, "", 1, &master, 1);
	if (sent < 0)
		return ctn_fail(err, (int)-sent, "tty: hand over the terminal");
	s->terminal = ctn_take_fd(slave);
	return 0;
}

/* Of the session that was just begun, which has none. */
int terminal_control(const struct plan *p, struct ctn_err *err)
{
	if (p->msg->flags & WIRE_TTY && ioctl(STDIN_FILENO, TIOCSCTTY, 0) < 0)
		return ctn_fail_errno(err, "tty: take control of the terminal");
	return 0;
}

int terminal_keep(int master, struct stdio *io, struct ctn_err *err)
{
	io->in = io->out = master;
	io->terminal = ioctl(master, TIOCGPTPEER, PTMX_OPEN);
	if (io->terminal < 0 || fcntl(master, F_SETFL, O_RDWR | O_NONBLOCK) < 0)
		return ctn_fail_errno(err, "tty: keep the terminal");
	return 0;
}

int terminal_receive(int sock, struct stdio *io, struct ctn_err *err)
{
	int master = -1;
	size_t n = 0;
	char byte;
	ssize_t r = wire_receive(sock, &byte, 1, &master, 1, &n);

	if (r < 0)
		return ctn_fail(err, (int)-r, "tty: receive the terminal");
	return n ? terminal_keep(master, io, err) : 0; /* the stage has failed, and says why */
}
