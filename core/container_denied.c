/* SPDX-License-Identifier: Apache-2.0 */
/* Reading what the monitor has written down of denied calls. The program inside has made up every
 * byte of it. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cleanup.h"
#include "container_private.h"
#include "journal.h"
#include "seccomp.h"

enum { PROGRAM_LEN = 4 * sizeof(((struct wire_denied *)0)->program) + 1 };

static int by_number(const void *a, const void *b)
{
	const struct wire_denied *x = a, *y = b;

	return (x->number > y->number) - (x->number < y->number);
}

/* Those that are whole, at the front. One may be written while we read, and where the disk was full
 * one from long ago may be left in its place. */
static size_t sort_out(struct wire_denied *all, size_t n)
{
	uint64_t newest = 0;
	size_t kept = 0;

	for (size_t i = 0; i < n; i++) {
		if (!all[i].number || all[i].again != all[i].number ||
		    all[i].number % WIRE_DENIED_KEPT != i)
			all[i].number = 0;
		newest = all[i].number > newest ? all[i].number : newest;
	}
	for (size_t i = 0; i < n; i++) {
		if (all[i].number && newest - all[i].number < WIRE_DENIED_KEPT)
			all[kept++] = all[i];
	}
	qsort(all, kept, sizeof(*all), by_number);
	return kept;
}

/* All that is kept, oldest first, to be freed. A container to which nothing was denied has none. */
static int denied_read(const struct container *c, struct wire_denied **ret, size_t *ret_n,
		       struct ctn_err *err)
{
	const size_t room = WIRE_DENIED_KEPT * sizeof(struct wire_denied);
	ctn_autoclose int fd = container_open_state(c, WIRE_DENIED_NAME, O_RDONLY);
	struct wire_denied *all;
	ssize_t n = 0;

	if (fd < 0 && errno != ENOENT)
		return ctn_fail_errno(err, "seccomp.denied: open what is kept of it");
	all = calloc(1, room);
	if (!all)
		return ctn_fail(err, ENOMEM, "seccomp.denied: no memory");
	if (fd >= 0)
		n = pread(fd, all, room, 0); /* a regular file: all that it has */
	if (n < 0) {
		n = ctn_fail_errno(err, "seccomp.denied: read what is kept of it");
		free(all);
		return (int)n;
	}
	*ret = all;
	*ret_n = sort_out(all, (size_t)n / sizeof(*all));
	return 0;
}

/* One word, whatever a program calls itself. */
static const char *program_word(const struct wire_denied *d, char ret[PROGRAM_LEN])
{
	const size_t n = strnlen(d->program, sizeof(d->program));

	return n == 0 ? "?" : journal_word(ret, PROGRAM_LEN, d->program, n);
}

static void print_call(const struct wire_denied *d, FILE *out)
{
	char name[SECCOMP_CALL_LEN];
	const size_t args = seccomp_call(d->arch, d->nr, name);

	fprintf(out, "%s(", name);
	for (size_t i = 0; i < args; i++)
		fprintf(out, "%s0x%" PRIx64, i ? ", " : "", d->args[i]);
	putc(')', out);
}

static void print_line(const struct wire_denied *d, FILE *out)
{
	const time_t secs = (time_t)(d->time / 1000000000U);
	char text[32], program[PROGRAM_LEN];
	struct tm tm;

	gmtime_r(&secs, &tm);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	fprintf(out, "%s.%09" PRIu64 "Z %d %s ", text, d->time % 1000000000U, d->pid,
		program_word(d, program));
	print_call(d, out);
	putc('\n', out);
}

int container_print_denied(struct container *c, FILE *out, struct ctn_err *err)
{
	ctn_autofree struct wire_denied *all = NULL;
	size_t n = 0;
	int r = denied_read(c, &all, &n, err);

	for (size_t i = 0; i < n; i++)
		print_line(&all[i], out);
	return r;
}

/* --- the journal --- */

static void describe(const struct wire_denied *d, char ret[DENIED_DETAIL_LEN])
{
	char name[SECCOMP_CALL_LEN], program[PROGRAM_LEN];

	(void)seccomp_call(d->arch, d->nr, name);
	snprintf(ret, DENIED_DETAIL_LEN, "call=%s program=%s", name, program_word(d, program));
}

void denied_note(struct container *c)
{
	ctn_autofree struct wire_denied *all = NULL;
	char detail[DENIED_DETAIL_LEN];
	size_t n = 0;

	if (denied_read(c, &all, &n, NULL) < 0)
		return;
	pthread_mutex_lock(&c->lock);
	/* What was denied before it ran follows what says that it does. */
	if (c->state == CTN_STARTING || c->state == CTN_RESTARTING)
		n = 0;
	for (size_t i = 0; i < n; i++) {
		if (all[i].number <= c->denied)
			continue;
		c->denied = all[i].number;
		if (!(all[i].flags & WIRE_DENIED_FIRST))
			continue;
		describe(&all[i], detail);
		journal_note(c->engine, c, JOURNAL_DENIED, all[i].time, "%s", detail);
	}
	pthread_mutex_unlock(&c->lock);
}

void denied_settle(struct container *c, uint64_t told, uint64_t since,
		   void (*add)(void *arg, uint64_t time, const char *detail), void *arg)
{
	ctn_autofree struct wire_denied *all = NULL;
	char detail[DENIED_DETAIL_LEN];
	size_t n = 0, from = 0;

	if (denied_read(c, &all, &n, NULL) < 0)
		return;
	for (size_t i = 0; told && i < n; i++) {
		if (all[i].time == told && all[i].flags & WIRE_DENIED_FIRST)
			from = i + 1;
	}
	for (size_t i = from; i < n; i++) {
		if (!(all[i].flags & WIRE_DENIED_FIRST) || (from == 0 && all[i].time < since))
			continue;
		describe(&all[i], detail);
		add(arg, all[i].time, detail);
	}
	c->denied = n ? all[n - 1].number : 0;
}
