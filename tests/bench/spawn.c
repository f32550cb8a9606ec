/* SPDX-License-Identifier: Apache-2.0 */
/* A command over and over, by posix_spawn and wait, as a shell does it but without a shell's cost:
 *
 *	spawn PROGRAM [ARG]...	for each line "COUNT PARALLEL" of standard input
 *
 * Prints an object a line: how long all of them took, and the CPU time of the commands and of
 * those whom they have waited for. */
#include <errno.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "bench.h"

extern char **environ;

static posix_spawn_file_actions_t streams;

static void begin_one(char **argv)
{
	pid_t pid;

	errno = posix_spawnp(&pid, argv[0], &streams, NULL, argv, environ);
	BENCH_TRY(argv[0], errno ? -1 : 0);
}

static double cpu_us(const struct rusage *use)
{
	return (double)(use->ru_utime.tv_sec + use->ru_stime.tv_sec) * 1e6 +
	       (double)(use->ru_utime.tv_usec + use->ru_stime.tv_usec);
}

/* Return: its CPU time. */
static double end_one(const char *name)
{
	struct rusage use;
	int status;

	BENCH_TRY("wait", wait4(-1, &status, 0, &use));
	if (status != 0) {
		fprintf(stderr, "spawn: %s ended with status 0x%x\n", name, (unsigned)status);
		_exit(1);
	}
	return cpu_us(&use);
}

static double run(char **argv, unsigned count, unsigned parallel)
{
	unsigned begun = 0, ended = 0;
	double cpu = 0;

	while (ended < count) {
		if (begun < count && begun - ended < parallel) {
			begin_one(argv);
			begun++;
			continue;
		}
		cpu += end_one(argv[0]);
		ended++;
	}
	return cpu;
}

int main(int argc, char **argv)
{
	char line[64];

	if (argc < 2) {
		fprintf(stderr, "usage: spawn PROGRAM [ARG]...\n");
		return 2;
	}
	posix_spawn_file_actions_init(&streams);
	posix_spawn_file_actions_addopen(&streams, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_addopen(&streams, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
	while (fgets(line, sizeof(line), stdin)) {
		unsigned count, parallel;
		uint64_t begin;
		double cpu;

		if (sscanf(line, "%u %u", &count, &parallel) != 2 || parallel == 0)
			return 2;
		begin = bench_now();
		cpu = run(argv + 1, count, parallel);
		printf("{\"total\": %.1f, \"cpu\": %.1f}\n", bench_us(begin, bench_now()), cpu);
		fflush(stdout);
	}
	return 0;
}
