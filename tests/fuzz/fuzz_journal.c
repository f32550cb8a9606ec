/* SPDX-License-Identifier: Apache-2.0 */
/* The journal of a former server, whatever became of it. Before a line "%%" is the file events.base
 * (empty: there is none), behind it the file events. It can always be opened and gone on with, and
 * the next server finds what was written. */
#include <errno.h>

#include "fuzz_dir.h"
#include "journal_private.h"

enum { BOUND = 4096, READ_MAX = 128 << 10, PIECE = 700, ADDED = 40 };

static const struct journal_subject db = {.id = "aaaaaaaaaaaa", .name = "db"},
				    dump = {.id = "aaaaaaaaaaaa", .session = "dump"},
				    web = {.id = "bbbbbbbbbbbb", .name = "web"};
static const struct journal_subject *const subjects[] = {NULL, &db, &web};

static int dir = -1;

static struct journal *begin(void)
{
	struct ctn_err err = {0};
	struct journal *j = NULL;
	int r = fuzz_result(journal_open(dir, BOUND, &j, &err), &err);

	if (r < 0)
		fprintf(stderr, "%s\n", err.text);
	FUZZ_CHECK(r == 0 && j);
	return j;
}

/* All that is kept of a part, to be freed. */
static char *read_part(struct journal *j, const struct journal_subject *s, size_t *ret)
{
	struct log_range range = {0};
	char *text = malloc(READ_MAX);
	size_t len = 0;
	ssize_t n = 1;

	FUZZ_CHECK(text && journal_span(j, s, &range) == 0);
	while (n > 0 && len + PIECE < READ_MAX) {
		n = journal_copy(j, s, range.start + len, text + len, PIECE);
		FUZZ_CHECK(n >= 0 && n <= PIECE);
		len += (size_t)n;
	}
	text[len] = '\0';
	*ret = len;
	return text;
}

static void read_all(struct journal *j)
{
	for (size_t i = 0; i < CTN_COUNT(subjects); i++) {
		size_t len;

		free(read_part(j, subjects[i], &len));
		FUZZ_CHECK(journal_copy(j, subjects[i], UINT64_MAX, (char[8]){0}, 8) <= 0);
	}
}

static void add_some(struct journal *j, unsigned n)
{
	journal_add(j, &db, JOURNAL_CREATED, 1, "");
	journal_add(j, &db, JOURNAL_STARTED, 2, "pid=7");
	journal_add(j, &dump, JOURNAL_CREATED, 3, "");
	for (unsigned i = 0; i < n; i++)
		journal_add(j, i % 2 ? &db : &web, JOURNAL_DENIED, 4 + i, "call=mount program=x");
	journal_add(j, &dump, JOURNAL_REMOVED, 5, "");
	journal_add(j, NULL, JOURNAL_SERVER_STOPPED, 6, "");
}

static void check_write(struct journal *j)
{
	struct ctn_err err = {0};

	FUZZ_CHECK(fuzz_result(journal_write(j, &err), &err) == 0);
}

/* @j's whole text ends with what was added last, and the next server reads the same. */
static void check_again(struct journal *j)
{
	size_t len = 0, again_len = 0;
	ctn_autofree char *text = read_part(j, NULL, &len), *again = NULL;
	const uint64_t seq = j->seq;

	FUZZ_CHECK(len > 0 && text[len - 1] == '\n');
	FUZZ_CHECK(strstr(text + (len > 64 ? len - 64 : 0), " - server-stopped\n"));
	journal_close(j);
	j = begin();
	again = read_part(j, NULL, &again_len);
	FUZZ_CHECK(j->seq == seq && again_len == len && memcmp(text, again, len) == 0);
	read_all(j);
	journal_close(j);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *rest = (const char *)data, *end = rest + size, *base;
	size_t len;
	struct journal *j;
	int fd;

	if (dir < 0)
		dir = fuzz_dir_make();
	base = fuzz_part(&rest, end, &len);
	fd = fuzz_free_fd();
	(void)unlinkat(dir, "events.base", 0);
	if (len > 0)
		fuzz_put(dir, "events.base", base, len + (rest > base + len));
	fuzz_put(dir, "events", rest, (size_t)(end - rest));
	j = begin();
	read_all(j);
	add_some(j, size % ADDED * 4U);
	check_write(j);
	read_all(j);
	check_again(j);
	FUZZ_CHECK(fuzz_free_fd() == fd);
	return 0;
}
