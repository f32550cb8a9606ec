/* SPDX-License-Identifier: Apache-2.0 */
/* The rings of denied calls and of what `exec` has begun: the server that reads them, and a monitor
 * that goes on with what another has left. The first 24 bytes: which, what is known already, and
 * since when. Built with what writes them, which is not in the library. */
#include <errno.h>
#include <sys/stat.h>

#include "container_execed.h"
#include "container_private.h"
#include "fuzz_dir.h"
#include "monitor/notify.h"

enum { LINES_MAX = WIRE_DENIED_KEPT, LINE_MAX_LEN = 512 };

struct head {
	uint64_t which, known, since;
};

static struct engine engine;
static struct container c = {.engine = &engine, .id = "a", .lock = PTHREAD_MUTEX_INITIALIZER};
static int dir; /* of @c */

static void check_printable(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		FUZZ_CHECK(text[i] >= ' ' && text[i] < 0x7f);
}

/* Whatever the program calls itself, a line is a line, and has its five words at least. */
static size_t check_lines(const char *text)
{
	size_t n = 0;

	for (const char *end; *text && (end = strchr(text, '\n')); text = end + 1, n++) {
		FUZZ_CHECK(end - text < LINE_MAX_LEN && *text >= '0' && *text <= '9');
		check_printable(text, (size_t)(end - text));
	}
	FUZZ_CHECK(!*text && n <= LINES_MAX);
	return n;
}

static char *print_denied(void)
{
	struct ctn_err err = {0};
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	FUZZ_CHECK(out && container_print_denied(&c, out, &err) == 0 && fclose(out) == 0);
	FUZZ_CHECK(strlen(text) == len);
	(void)check_lines(text);
	return text;
}

static void add_denied(void *arg, uint64_t time, const char *detail)
{
	(void)arg;
	(void)time;
	check_printable(detail, strlen(detail));
	FUZZ_CHECK(strlen(detail) < DENIED_DETAIL_LEN && strncmp(detail, "call=", 5) == 0);
}

static void check_denied(const struct head *h)
{
	struct ring ring = {.state_fd = dir, .fd = -1};
	struct wire_denied d = {.time = 1, .pid = 1, .program = "zzz"};
	char *text = print_denied();

	free(text);
	denied_settle(&c, h->known, h->since, add_denied, NULL);
	ring_add(&ring, &d);
	ring_add(&ring, &d);
	text = print_denied();
	if (ring.newest < UINT64_MAX / 2) /* what it adds is the newest */
		FUZZ_CHECK(strlen(text) > 2 && strstr(text, " zzz "));
	free(text);
	ctn_close_fd(&ring.fd);
}

static void see_execed(void *arg, const struct wire_execed *e)
{
	char detail[EXECED_DETAIL_MAX];
	size_t *n = arg;

	execed_detail(detail, sizeof(detail), e);
	check_printable(detail, strlen(detail));
	FUZZ_CHECK(++*n <= WIRE_EXECED_KEPT + 1);
}

static void check_execed(const struct head *h)
{
	size_t n = 0;

	execed_read(&c, h->since, h->known, see_execed, &n);
}

static void make_dir(void)
{
	engine.state_fd = engine.run_fd = fuzz_dir_make();
	FUZZ_CHECK(mkdirat(engine.run_fd, c.id, 0700) == 0);
	dir = openat(engine.run_fd, c.id, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	FUZZ_CHECK(dir >= 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct head h = {0};
	int fd;

	if (!dir)
		make_dir();
	if (size < sizeof(h))
		return 0;
	memcpy(&h, data, sizeof(h));
	fd = fuzz_free_fd();
	fuzz_put(dir, h.which % 2 ? WIRE_EXECED_NAME : WIRE_DENIED_NAME, data + sizeof(h),
		 size - sizeof(h));
	if (h.which % 2)
		check_execed(&h);
	else
		check_denied(&h);
	FUZZ_CHECK(fuzz_free_fd() == fd);
	return 0;
}
