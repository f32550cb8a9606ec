/* SPDX-License-Identifier: Apache-2.0 */
/* For targets whose input is in files: a directory in memory, and its parts. */
#ifndef CTNFS_TESTS_FUZZ_FUZZ_DIR_H
#define CTNFS_TESTS_FUZZ_FUZZ_DIR_H

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "fuzz.h"
#include "io.h"

static char fuzz_dir_path[] = "/dev/shm/ctnfs-fuzz-XXXXXX";

static inline void fuzz_dir_remove(void)
{
	(void)io_remove_tree_at(AT_FDCWD, fuzz_dir_path, NULL);
}

/** fuzz_dir_make() - once; it goes when the program ends. Return: a descriptor. */
static inline int fuzz_dir_make(void)
{
	int fd;

	FUZZ_CHECK(mkdtemp(fuzz_dir_path));
	atexit(fuzz_dir_remove);
	fd = open(fuzz_dir_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	FUZZ_CHECK(fd >= 0);
	return fd;
}

static inline void fuzz_put(int dirfd, const char *file, const void *data, size_t len)
{
	ctn_autoclose int fd = openat(dirfd, file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	FUZZ_CHECK(fd >= 0 && io_write_all(fd, data, len) == 0);
}

/** fuzz_part() - what is left of a text, up to a line "%%". */
static inline const char *fuzz_part(const char **rest, const char *end, size_t *ret_len)
{
	const char *from = *rest, *mark = memmem(from, (size_t)(end - from), "\n%%\n", 4);

	*ret_len = (size_t)((mark ? mark : end) - from);
	*rest = mark ? mark + 4 : end;
	return from;
}

/** fuzz_result() - a refusal has its errno and a sentence. Return: @r. */
static inline int fuzz_result(int r, const struct ctn_err *err)
{
	FUZZ_CHECK(r >= 0 || (r == -err->code && err->text[0]));
	return r;
}

/** fuzz_free_fd() - the lowest descriptor that is free: the same again when all were closed. */
static inline int fuzz_free_fd(void)
{
	int fd = open("/", O_PATH | O_CLOEXEC);

	FUZZ_CHECK(fd >= 0 && close(fd) == 0);
	return fd;
}

#endif
