/* SPDX-License-Identifier: Apache-2.0 */
/* A program for inside that says what it was started with, and needs nothing but itself.
 *
 *     tell             where it is and which descriptors it has, a line each
 *     tell exit N      nothing; ends with that status, from 128 on by a signal
 *     tell wait        nothing; stays until it is killed
 *     tell hold DIR PROGRAM [ARG]…
 *                      by the host, to enter with: executes PROGRAM with the directory DIR as its
 *                      standard input and its descriptors 3 to 20 */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static void tell_place(void)
{
	char where[4096] = "?";

	/* Not libc's: where the kernel says "(unreachable)…" that one looks for another name. */
	(void)syscall(SYS_getcwd, where, sizeof(where));
	printf("cwd %s\n", where);
}

static void tell_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");

	for (struct dirent *d; dir && (d = readdir(dir));) {
		char path[64], name[256];
		ssize_t n;

		if (d->d_name[0] == '.' || atoi(d->d_name) == dirfd(dir))
			continue;
		snprintf(path, sizeof(path), "/proc/self/fd/%.16s", d->d_name);
		n = readlink(path, name, sizeof(name) - 1);
		name[n < 0 ? 0 : n] = '\0';
		printf("fd %s %s\n", d->d_name, name);
	}
	if (dir)
		closedir(dir);
}

static void leave(int code)
{
	if (code > 128)
		raise(code - 128);
	exit(code);
}

static void hold(const char *directory, char **argv)
{
	enum { LAST = 20 };
	int fd = open(directory, O_RDONLY | O_DIRECTORY);

	for (int n = 0; fd >= 0 && n <= LAST; n++) {
		if ((n == 0 || n > 2) && n != fd)
			(void)dup2(fd, n);
	}
	execv(argv[0], argv);
}

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "exit") == 0)
		leave(atoi(argv[2]));
	while (argc == 2 && strcmp(argv[1], "wait") == 0)
		pause();
	if (argc > 3 && strcmp(argv[1], "hold") == 0) {
		hold(argv[2], argv + 3);
		return 1;
	}
	tell_place();
	tell_descriptors();
	return 0;
}
