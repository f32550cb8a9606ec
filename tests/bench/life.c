/* SPDX-License-Identifier: Apache-2.0 */
/* Lives through a mount, by plain system calls:
 *
 *	life MOUNT NAME FIRST	one for each line of standard input (see bench.h)
 *
 * NAME: of the container. FIRST: the program of first.c. A line "keep FROM TO" makes and starts
 * NAME-FROM, … up to but without NAME-TO, which sleep; "drop FROM TO" kills and removes them. */
#include <errno.h>
#include <stdbool.h>

#include "bench.h"

enum { MKDIR, COPY, CMD, WAIT, LOG, RMDIR, STEPS };

static void put(int dirfd, const char *file, const char *text)
{
	int fd = BENCH_TRY(file, openat(dirfd, file, O_WRONLY | O_CLOEXEC));

	BENCH_TRY(file, write(fd, text, strlen(text)));
	BENCH_TRY(file, close(fd)); /* some errors are reported here */
}

static void expect_zero(int dirfd)
{
	int fd = BENCH_TRY("wait", openat(dirfd, "wait", O_RDONLY | O_CLOEXEC));
	char text[32] = "";

	BENCH_TRY("wait", read(fd, text, sizeof(text) - 1));
	close(fd);
	if (strcmp(text, "0\n") == 0)
		return;
	fprintf(stderr, "life: the program ended with %s\n", text);
	_exit(1);
}

static uint64_t read_log(int dirfd)
{
	int fd = BENCH_TRY("log", openat(dirfd, "log", O_RDONLY | O_CLOEXEC));
	uint64_t said = bench_read_first(fd);

	close(fd);
	return said;
}

static void copy_into_layer(int dirfd, const char *first)
{
	int layer = BENCH_TRY("layer", openat(dirfd, "layer", O_PATH | O_DIRECTORY | O_CLOEXEC));

	bench_copy(first, layer, "first");
	close(layer);
}

/* @ret: when each step was over. Return: when the program said that it began. */
static uint64_t life_lead(int mount, const char *name, const char *first, uint64_t ret[STEPS])
{
	uint64_t said = 0;
	int dir;

	BENCH_TRY("mkdir", mkdirat(mount, name, 0755));
	ret[MKDIR] = bench_now();
	dir = BENCH_TRY("open", openat(mount, name, O_PATH | O_DIRECTORY | O_CLOEXEC));
	if (first)
		copy_into_layer(dir, first);
	ret[COPY] = bench_now();
	put(dir, "cmd", first ? "/first\n" : "/usr/bin/true\n");
	ret[CMD] = bench_now();
	expect_zero(dir);
	ret[WAIT] = bench_now();
	if (first)
		said = read_log(dir);
	ret[LOG] = bench_now();
	close(dir);
	BENCH_TRY("rmdir", unlinkat(mount, name, AT_REMOVEDIR));
	ret[RMDIR] = bench_now();
	return said;
}

static void keep(int mount, const char *name)
{
	int dir;

	BENCH_TRY(name, mkdirat(mount, name, 0755));
	dir = BENCH_TRY(name, openat(mount, name, O_PATH | O_DIRECTORY | O_CLOEXEC));
	put(dir, "cmd", "/usr/bin/sleep infinity\n");
	close(dir);
}

static void drop(int mount, const char *name)
{
	int dir = BENCH_TRY(name, openat(mount, name, O_PATH | O_DIRECTORY | O_CLOEXEC));

	put(dir, "ctl", "kill\n");
	close(dir);
	BENCH_TRY(name, unlinkat(mount, name, AT_REMOVEDIR));
}

/* Return: whether the line is one of those. */
static bool many(int mount, const char *name, const char *line)
{
	uint64_t begin = bench_now();
	unsigned from, to;
	char verb[8];

	if (sscanf(line, "%7s %u %u", verb, &from, &to) != 3)
		return false;
	for (unsigned i = from; i < to; i++) {
		char each[64];

		snprintf(each, sizeof(each), "%s-%u", name, i);
		(strcmp(verb, "keep") == 0 ? keep : drop)(mount, each);
	}
	printf("{\"total\": %.1f}\n", bench_us(begin, bench_now()));
	fflush(stdout);
	return true;
}

int main(int argc, char **argv)
{
	char line[32];
	int mount;

	if (argc != 4) {
		fprintf(stderr, "usage: life MOUNT NAME FIRST\n");
		return 2;
	}
	mount = BENCH_TRY(argv[1], open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	while (fgets(line, sizeof(line), stdin)) {
		bool first = strcmp(line, "first\n") == 0;
		uint64_t at[STEPS], begin, said, copying;

		if (many(mount, argv[2], line))
			continue;
		begin = bench_now();
		said = life_lead(mount, argv[2], first ? argv[3] : NULL, at);
		copying = at[COPY] - at[MKDIR];
		printf("{\"total\": %.1f, \"first\": %.1f, \"mkdir\": %.1f, \"cmd\": %.1f, "
		       "\"wait\": %.1f, \"rmdir\": %.1f}\n",
		       bench_us(begin + copying, at[RMDIR]), bench_us(begin + copying, said),
		       bench_us(begin, at[MKDIR]), bench_us(at[COPY], at[CMD]),
		       bench_us(at[CMD], at[WAIT]), bench_us(at[LOG], at[RMDIR]));
		fflush(stdout);
	}
	return 0;
}
