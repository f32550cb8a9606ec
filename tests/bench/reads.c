/* SPDX-License-Identifier: Apache-2.0 */
/* open, read and close of a file, over and over:
 *
 *	reads	for each line "COUNT CLIENTS PATH" of standard input
 *
 * With one client prints an object with the median, 10 % and 90 % of COUNT reads in microseconds;
 * with more, each a process that reads COUNT times, how many reads a second all of them made. */
#include <sys/wait.h>

#include "bench.h"

enum { COUNT_MAX = 1000000, CLIENTS_MAX = 64, BUFFER = 64 << 10 };

static uint64_t took[COUNT_MAX]; /* ns */

static void read_once(const char *path)
{
	static char buffer[BUFFER];
	int fd = BENCH_TRY(path, open(path, O_RDONLY | O_CLOEXEC));

	BENCH_TRY(path, read(fd, buffer, sizeof(buffer)));
	close(fd);
}

static int compare(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static void one_by_one(unsigned count, const char *path)
{
	for (unsigned i = 0; i < count; i++) {
		uint64_t begin = bench_now();

		read_once(path);
		took[i] = bench_now() - begin;
	}
	qsort(took, count, sizeof(took[0]), compare);
	printf("{\"median\": %.2f, \"p10\": %.2f, \"p90\": %.2f}\n", (double)took[count / 2] / 1e3,
	       (double)took[count / 10] / 1e3, (double)took[count - 1 - count / 10] / 1e3);
}

static void crowd_wait(unsigned clients)
{
	for (unsigned i = 0; i < clients; i++) {
		int status;

		BENCH_TRY("wait", wait(&status));
		if (status != 0)
			_exit(1); /* it has said why */
	}
}

/* All begin when the pipe is closed. */
static void crowd(unsigned count, unsigned clients, const char *path)
{
	uint64_t begin;
	int go[2];
	char byte;

	BENCH_TRY("pipe", pipe2(go, O_CLOEXEC));
	for (unsigned i = 0; i < clients; i++) {
		if (BENCH_TRY("fork", fork()) > 0)
			continue;
		close(go[1]);
		(void)!read(go[0], &byte, 1);
		for (unsigned k = 0; k < count; k++)
			read_once(path);
		_exit(0);
	}
	begin = bench_now();
	close(go[0]);
	close(go[1]);
	crowd_wait(clients);
	printf("{\"per_second\": %.0f}\n",
	       (double)count * clients * 1e9 / (double)(bench_now() - begin));
}

int main(void)
{
	char line[4200], path[4096];

	while (fgets(line, sizeof(line), stdin)) {
		unsigned count, clients;

		if (sscanf(line, "%u %u %4095[^\n]", &count, &clients, path) != 3 || count == 0 ||
		    count > COUNT_MAX || clients == 0 || clients > CLIENTS_MAX)
			return 2;
		if (clients == 1)
			one_by_one(count, path);
		else
			crowd(count, clients, path);
		fflush(stdout);
	}
	return 0;
}
