/* SPDX-License-Identifier: Apache-2.0 */
/* What the benchmark's programs share. Each takes the lives to lead from its standard input, a word
 * a line: "true", or "first" for the program that says when it began; and prints an object a life.
 */
#ifndef CTNFS_TESTS_BENCH_H
#define CTNFS_TESTS_BENCH_H

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static inline uint64_t bench_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000U + (uint64_t)t.tv_nsec;
}

/* A benchmark that does not do what it says is worth nothing: every failure ends it. */
#define BENCH_TRY(what, call)                                                                 \
	({                                                                                    \
		__typeof__(call) result_ = (call);                                            \
		if (result_ < 0) {                                                            \
			fprintf(stderr, "%s: %s: %m\n", program_invocation_short_name, what); \
			_exit(1);                                                             \
		}                                                                             \
		result_;                                                                      \
	})

static inline void bench_copy(const char *from, int dirfd, const char *name)
{
	int in = BENCH_TRY(from, open(from, O_RDONLY | O_CLOEXEC));
	int out = BENCH_TRY(name, openat(dirfd, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0755));
	struct stat st;

	BENCH_TRY(from, fstat(in, &st));
	while (st.st_size > 0)
		st.st_size -= BENCH_TRY("sendfile", sendfile(out, in, NULL, (size_t)st.st_size));
	BENCH_TRY(name, fchmod(out, 0755));
	close(in);
	close(out);
}

/* The nanoseconds that the program wrote, from @fd. */
static inline uint64_t bench_read_first(int fd)
{
	char text[64] = "";

	BENCH_TRY("read the first instruction's time", read(fd, text, sizeof(text) - 1));
	return strtoull(text, NULL, 10);
}

static inline double bench_us(uint64_t from, uint64_t to)
{
	return to > from ? (double)(to - from) / 1000 : 0;
}

#endif
