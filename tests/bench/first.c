/* SPDX-License-Identifier: Apache-2.0 */
/* The program that says when it began: nanoseconds of CLOCK_MONOTONIC on its standard output.
 * Static, so that no loader's work comes before. */
#include <stdio.h>
#include <time.h>
#include <unistd.h>

int main(void)
{
	struct timespec t;
	char text[32];
	int n;

	clock_gettime(CLOCK_MONOTONIC, &t);
	n = snprintf(text, sizeof(text), "%lld\n",
		     (long long)t.tv_sec * 1000000000 + (long long)t.tv_nsec);
	return write(STDOUT_FILENO, text, (size_t)n) != n;
}
