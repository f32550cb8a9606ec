/* SPDX-License-Identifier: Apache-2.0 */
/* A command over and over, by posix_spawn and wait, as a shell does it but without a shell's cost:
 *
 *	spawn PROGRAM [ARG]...	for each line "COUNT PARALLEL" of standard input
 *
 * Prints an object a line: how long all of them took, and the CPU time of the commands, of those
 * whom they have waited for, and of those whom they have left behind. */
#include <errno.h>
#include <spawn.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "bench.h"

extern char **environ;

enum { PARALLEL_MAX = 64 };

static posix_spawn_file_actions_t streams;
static pid_t running[PARALLEL_MAX]; /* 0: free */

static void begin_one(char **argv)
{
	unsigned i = 0;

	while (running[i])
		i++;
	errno = posix_spawnp(&running[i], argv[0], &streams, NULL, argv, environ);
	BENCH_TRY(argv[0], errno ? -1 : 0);
}

static double cpu_us(const struct rusage *use)
{
	return (double)(use->ru_utime.tv_sec + use->ru_stime.tv_sec) * 1e6 +
	       (double)(use->ru_utime.tv_usec + use->ru_stime.tv_usec);
}

/* One of the commands, or what such a one has left behind. Return: whether it was a command. */
static bool end_one(const char *name, double *cpu)
{
	struct rusage use;
	int status;
	pid_t pid = BENCH_TRY("wait", wait4(-1, &status, 0, &use));

	*cpu += cpu_us(&use);
	for (unsigned i = 0; i < PARALLEL_MAX; i++) {
		if (running[i] != pid)
			continue;
		running[i] = 0;
		if (status == 0)
			return true;
		fprintf(stderr, "spawn: %s ended with status 0x%x\n", name, (unsigned)status);
		_exit(1);
	}
	return false;
}

static void run(char **argv, unsigned count, unsigned parallel, double *cpu)
{
	unsigned begun = 0, ended = 0;

	while (ended < count) {
		if (begun < count && begun - ended < parallel) {
			begin_one(argv);
			begun++;
		} else {
			ended += end_one(argv[0], cpu);
		}
	}
}

/* What the commands have left behind: what it used is theirs. */
static void reap_rest(double *cpu)
{
	struct rusage use;

	while (wait4(-1, NULL, 0, &use) > 0)
		*cpu += cpu_us(&use);
}

int main(int argc, char **argv)
{
	char line[64];

	if (argc < 2) {
		fprintf(stderr, "usage: spawn PROGRAM [ARG]...\n");
		return 2;
	}
	BENCH_TRY("adopt orphans", prctl(PR_SET_CHILD_SUBREAPER, 1)); /* for their CPU time */
	posix_spawn_file_actions_init(&streams);
	posix_spawn_file_actions_addopen(&streams, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_addopen(&streams, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
	while (fgets(line, sizeof(line), stdin)) {
		unsigned count, parallel;
		uint64_t begin, end;
		double cpu = 0;

		if (sscanf(line, "%u %u", &count, &parallel) != 2 || parallel == 0 ||
		    parallel > PARALLEL_MAX)
			return 2;
		begin = bench_now();
		run(argv + 1, count, parallel, &cpu);
		end = bench_now();
		reap_rest(&cpu);
		printf("{\"total\": %.1f, \"cpu\": %.1f}\n", bench_us(begin, end), cpu);
		fflush(stdout);
	}
	return 0;
}
