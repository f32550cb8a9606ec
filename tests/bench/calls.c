/* SPDX-License-Identifier: Apache-2.0 */
/* `calls THREADS COUNT getppid|unshare`: that call, COUNT times in each thread, or with -1 for
 * ever. Prints how many nanoseconds one took. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { THREADS_MAX = 1024, NEWNS = 0x20000 };

static long number, count;

static void *call(void *unused)
{
	for (long i = 0; i != count; i++)
		(void)syscall(number, NEWNS);
	return unused;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

int main(int argc, char **argv)
{
	static pthread_t others[THREADS_MAX];
	const int threads = argc == 4 ? atoi(argv[1]) : 0;
	double start;

	if (threads < 1 || threads > THREADS_MAX)
		return 2;
	count = atol(argv[2]);
	number = strcmp(argv[3], "unshare") == 0 ? SYS_unshare : SYS_getppid;
	start = now();
	for (int i = 1; i < threads; i++)
		(void)pthread_create(&others[i], NULL, call, NULL);
	(void)call(NULL);
	for (int i = 1; i < threads; i++)
		(void)pthread_join(others[i], NULL);
	printf("%.2f\n", (now() - start) / (double)(count * threads));
	return 0;
}
