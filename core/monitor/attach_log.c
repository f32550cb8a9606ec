/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../cleanup.h"
#include "attach.h"

enum { LAST_LINE_MAX = 4096 };

off_t follow_end(const struct follow *f)
{
	struct stat st;

	return fstat(f->fd, &st) < 0 ? f->pos : st.st_size;
}

/* Where the first byte from @pos on is that the log has not dropped; else its end. */
static off_t next_kept(const struct follow *f, off_t pos)
{
	off_t end = follow_end(f); /* before looking: it grows */
	off_t data = lseek(f->fd, pos, SEEK_DATA);

	if (data < 0 && errno == ENXIO)
		data = end;
	return data > pos ? data : pos;
}

static ssize_t read_at(const struct follow *f, char *buf, size_t size, off_t pos)
{
	ssize_t n;

	do {
		n = pread(f->fd, buf, size, pos);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

ssize_t follow_read(struct follow *f, char *buf, size_t size)
{
	for (;;) {
		ssize_t n;
		off_t kept;

		f->pos = next_kept(f, f->pos);
		n = read_at(f, buf, size, f->pos);
		if (n <= 0)
			return n;
		/* What was dropped meanwhile, and reads as zeros, is at the beginning. */
		kept = next_kept(f, f->pos);
		if (kept < f->pos + n) {
			n -= kept - f->pos;
			memmove(buf, buf + (kept - f->pos), (size_t)n);
			f->pos = kept + n;
			return n;
		}
		f->pos = kept;
	}
}

/* A prompt, most likely: whoever comes now sees where they are. */
static void to_last_line(struct follow *f)
{
	const off_t end = follow_end(f);
	char buf[LAST_LINE_MAX];
	const char *newline;
	ssize_t n;

	f->pos = next_kept(f, end > LAST_LINE_MAX ? end - LAST_LINE_MAX : 0);
	n = f->pos < end ? read_at(f, buf, (size_t)(end - f->pos), f->pos) : 0;
	newline = n > 0 ? memrchr(buf, '\n', (size_t)n) : NULL;
	if (newline)
		f->pos += newline + 1 - buf;
}

void follow_begin(struct follow *f, int fd)
{
	ctn_autoclose int watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	char path[32];

	*f = (struct follow){.fd = fd, .watch = -1};
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (watch >= 0 && inotify_add_watch(watch, path, IN_MODIFY) >= 0)
		f->watch = ctn_take_fd(watch); /* before looking: nothing is missed */
	to_last_line(f);
}

void follow_woken(const struct follow *f)
{
	char events[4096];

	while (read(f->watch, events, sizeof(events)) > 0)
		;
}
