/* SPDX-License-Identifier: Apache-2.0 */
/* Whole reads and writes, atomic replacement of small files, strict numbers. */
#ifndef CTNFS_CORE_IO_H
#define CTNFS_CORE_IO_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "err.h"

#define CTN_MAX UINT64_MAX /* how "max", no limit, is held in a uint64_t */

/** io_write_all() - write all @len bytes, through EINTR and short writes. Return: 0 or -errno.
 * Thread: any. */
int io_write_all(int fd, const void *data, size_t len);

/**
 * io_read_at() - read a whole small file (procfs, cgroupfs, state) into fresh memory.
 * @dirfd, @path: as openat(2); symbolic links are followed.
 * @max:          the most bytes to accept.
 * @ret_data:     NUL-terminated (a NUL inside the file stays), to be freed.
 * @ret_len:      bytes without the terminator; may be NULL.
 * Return: 0; -EFBIG when the file is longer than @max; -errno of open or read, with the path in
 * @err. Thread: any.
 */
int io_read_at(int dirfd, const char *path, size_t max, char **ret_data, size_t *ret_len,
	       struct ctn_err *err);

/** io_read_fd() - as io_read_at() from an open descriptor's present offset; @what names it in @err.
 */
int io_read_fd(int fd, const char *what, size_t max, char **ret_data, size_t *ret_len,
	       struct ctn_err *err);

/** io_write_at() - open an existing file for writing and write @text by one write(2) (as cgroupfs
 * wants it). */
int io_write_at(int dirfd, const char *path, const char *text, struct ctn_err *err);

/**
 * io_replace_at() - give @name in @dirfd new contents so that a crash leaves the old or the new,
 * never a mixture.
 * @durable: also fsync the file before, and the directory after, the rename.
 * @mode:    permission bits of the new file.
 * Return: 0 or -errno; on failure the old file is as it was and the temporary one is gone.
 * Thread: any; two writers of the same name must be kept apart by the caller.
 */
int io_replace_at(int dirfd, const char *name, const void *data, size_t len, mode_t mode,
		  bool durable, struct ctn_err *err);

/** io_create_at() - make a file that must not exist yet. @durable: its contents are on disk on
 * return; that it has a name there is the caller's to sync. Return: 0; -EEXIST; -errno. */
int io_create_at(int dirfd, const char *name, const void *data, size_t len, mode_t mode,
		 bool durable, struct ctn_err *err);

/** io_dir_is_empty_at() - whether there is such a directory, with nothing in it. */
bool io_dir_is_empty_at(int dirfd, const char *name);

/** io_remove_tree_at() - remove @name under @dirfd and all below it; stays on one file system;
 * never follows a symbolic link. What does not exist is success. Return: 0 or -errno of the first
 * failure. */
int io_remove_tree_at(int dirfd, const char *name, struct ctn_err *err);

/**
 * parse_u64() - a decimal number and nothing else: no sign, space, fraction, exponent, or text
 * behind it. Return: 0; -EINVAL; -ERANGE when above @max. @err names @what and shows the text.
 */
int parse_u64(const char *what, const char *text, uint64_t max, uint64_t *ret, struct ctn_err *err);

/** parse_i64() - as parse_u64() with an optional leading '-', between @min and @max. */
int parse_i64(const char *what, const char *text, int64_t min, int64_t max, int64_t *ret,
	      struct ctn_err *err);

/**
 * parse_size() - bytes: a decimal number with an optional K, M, G or T (powers of 1024, either
 * case), or "max".
 * @ret: bytes, or CTN_MAX for "max".
 * Return: 0; -EINVAL; -ERANGE when the value is 2^63 or more.
 */
int parse_size(const char *what, const char *text, uint64_t *ret, struct ctn_err *err);

/** parse_bool() - "0" or "1". */
int parse_bool(const char *what, const char *text, bool *ret, struct ctn_err *err);

/** io_is_word() - whether there is nothing in it but printable ASCII without blanks. */
bool io_is_word(const char *text);

/** io_escape() - write @len bytes to @out with control bytes, DEL, C1 bytes and backslash as \n,
 * \t, \xHH, \\. */
void io_escape(FILE *out, const char *data, size_t len);

/** io_text_close() - the end of an open_memstream(3), whose text is complete then. @out: NULL is as
 * one that had no memory. fclose(3) alone does not tell all of it: a realloc(3) that fails in the
 * end only leaves no text. Return: 0, or -ENOMEM with *@text NULL. */
int io_text_close(FILE *out, char **text);

#endif
