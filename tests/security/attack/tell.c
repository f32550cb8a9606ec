/* SPDX-License-Identifier: Apache-2.0 */
/* A program for inside that says what it was started with, and needs nothing but itself.
 *
 *     tell             where it is and which descriptors it has, a line each
 *     tell exit N      nothing; ends with that status
 *     tell wait        nothing; stays until it is killed */
#include <dirent.h>
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

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "exit") == 0)
		return atoi(argv[2]);
	while (argc == 2 && strcmp(argv[1], "wait") == 0)
		pause();
	tell_place();
	tell_descriptors();
	return 0;
}
