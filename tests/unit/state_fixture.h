/* SPDX-License-Identifier: Apache-2.0 */
/* A directory with records, and its files as bytes. */
#ifndef CTNFS_TESTS_STATE_FIXTURE_H
#define CTNFS_TESTS_STATE_FIXTURE_H

#include <fcntl.h>

#include "io.h"
#include "spec_fixture.h"
#include "state.h"

static int dir = -1; /* that the records are in */

static inline void write_file(const char *name, const void *data, size_t len)
{
	ctn_autoclose int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	CHECK(fd >= 0 && io_write_all(fd, data, len) == 0);
}

static inline void write_text(const char *name, const char *text)
{
	write_file(name, text, strlen(text));
}

static inline char *read_file(const char *name)
{
	char *text = NULL;

	CHECK(io_read_at(dir, name, 1 << 24, &text, NULL, NULL) == 0);
	return text;
}

#endif
