/* SPDX-License-Identifier: Apache-2.0 */
/* A journal in a directory of its own, and what must be in it. */
#ifndef CTNFS_TESTS_UNIT_JOURNAL_FIXTURE_H
#define CTNFS_TESTS_UNIT_JOURNAL_FIXTURE_H

#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "cleanup.h"
#include "io.h"
#include "journal_private.h"

enum { SUBJECTS = 7 };

static int dir = -1;
static struct journal *j;

/* Six containers and a session of the first. */
static struct journal_subject subject(unsigned i)
{
	static const char *const ids[] = {"aaaaaaaaaaaa", "bbbbbbbbbbbb", "cccccccccccc",
					  "dddddddddddd", "eeeeeeeeeeee", "ffffffffffff"};
	static const char *const names[] = {"a", "bb", "ccc", "dddd", "eeeee", "ffffff"};

	if (i >= SUBJECTS - 1)
		return (struct journal_subject){ids[0], "dump", NULL};
	return (struct journal_subject){ids[i], NULL, names[i]};
}

static inline void note(unsigned i, enum journal_what what, uint64_t time, const char *detail)
{
	const struct journal_subject s = i < SUBJECTS ? subject(i) : (struct journal_subject){0};

	journal_add(j, s.id ? &s : NULL, what, time, detail);
}

static inline void save(void)
{
	CHECK_ERR(journal_write(j, &check_err), 0, "");
}

static inline void reopen(uint64_t bound)
{
	journal_close(j);
	j = NULL;
	CHECK_ERR(journal_open(dir, bound, &j, &check_err), 0, "");
	if (!j)
		exit(99);
}

static inline void forget(void)
{
	journal_close(j);
	j = NULL;
	(void)unlinkat(dir, "events", 0);
	(void)unlinkat(dir, "events.base", 0);
}

/* A part from @pos on, read in pieces of @piece bytes; to be freed. */
static inline char *read_from(const struct journal_subject *s, uint64_t pos, size_t piece)
{
	struct log_range range;
	size_t room, len = 0;
	char *text;

	CHECK(journal_span(j, s, &range) == 0);
	room = (size_t)(range.end - range.start) + 1;
	text = calloc(room + piece, 1);
	for (;;) {
		ssize_t n = journal_copy(j, s, pos + len, text + len, piece);

		CHECK(n >= 0);
		if (n <= 0 || len > room)
			return text;
		len += (size_t)n;
	}
}

/* Everything of a part that is kept; to be freed. */
static inline char *read_kept(const struct journal_subject *s, struct log_range *ret)
{
	CHECK(journal_span(j, s, ret) == 0);
	return read_from(s, ret->start, 1000);
}

static inline int compare_lines(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* What it knows, in an order that does not depend on when it learnt that; to be freed. */
static inline char *known_text(void)
{
	char *text = NULL, *sorted, *lines[64];
	size_t len = 0, n = 0;
	FILE *out = open_memstream(&text, &len);

	journal_items_print(j, out);
	fclose(out);
	sorted = calloc(len + 1, 1);
	for (char *line = strtok(text, "\n"); line && n < 64; line = strtok(NULL, "\n"))
		lines[n++] = line;
	qsort(lines, n, sizeof(*lines), compare_lines);
	for (size_t i = 0; i < n; i++)
		strcat(strcat(sorted, lines[i]), "\n");
	free(text);
	return sorted;
}

static inline int journal_tests(const struct check_test *tests, size_t count)
{
	char path[] = "/tmp/ctnfs-test-journal.XXXXXX";
	int r;

	if (!mkdtemp(path))
		return 99;
	dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	r = check_run(tests, count);
	forget();
	if (rmdir(path) < 0) {
		printf("# %s: not empty: a temporary file was left\n", path);
		r = 1;
	}
	close(dir);
	return r;
}

#endif
