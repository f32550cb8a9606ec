/* SPDX-License-Identifier: Apache-2.0 */
#include "container_execed.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "journal.h"

/* Only records of @run count; a number is at its own place. */
static bool is_valid(const struct wire_execed *e, uint64_t run, size_t place)
{
	return e->run == run && e->number && e->number % WIRE_EXECED_KEPT == place;
}

static void tell_lost(uint64_t n, void (*fn)(void *arg, const struct wire_execed *e), void *arg)
{
	const struct wire_execed none = {.time = n};

	fn(arg, &none);
}

void execed_read(const struct container *c, uint64_t run, uint64_t after,
		 void (*fn)(void *arg, const struct wire_execed *e), void *arg)
{
	ctn_autoclose int fd = container_open_run(c, WIRE_EXECED_NAME, O_RDONLY);
	ctn_autofree struct wire_execed *ring = NULL;
	uint64_t newest = after;
	size_t n;

	if (fd < 0 || !(ring = calloc(WIRE_EXECED_KEPT, sizeof(*ring))))
		return;
	if (pread(fd, ring, WIRE_EXECED_KEPT * sizeof(*ring), 0) <= 0)
		return;
	for (n = 0; n < WIRE_EXECED_KEPT; n++) {
		if (is_valid(&ring[n], run, n) && ring[n].number > newest)
			newest = ring[n].number;
	}
	if (newest - after > WIRE_EXECED_KEPT) {
		tell_lost(newest - after - WIRE_EXECED_KEPT, fn, arg);
		after = newest - WIRE_EXECED_KEPT;
	}
	/* A damaged record may have the greatest of all numbers. */
	for (uint64_t i = after; i < newest;) {
		const struct wire_execed *e = &ring[++i % WIRE_EXECED_KEPT];

		if (is_valid(e, run, i % WIRE_EXECED_KEPT) && e->number == i)
			fn(arg, e);
		else
			tell_lost(1, fn, arg);
	}
}

void execed_detail(char *ret, size_t size, const struct wire_execed *e)
{
	char program[4 * sizeof(e->program) + 1];

	if (e->number == 0)
		snprintf(ret, size, "lines=%" PRIu64, e->time);
	else
		snprintf(ret, size, "pid=%d program=%s", e->pid,
			 journal_word(program, sizeof(program), e->program,
				      strnlen(e->program, sizeof(e->program))));
}

static void note(void *arg, const struct wire_execed *e)
{
	struct container *c = arg;
	char detail[EXECED_DETAIL_MAX];

	execed_detail(detail, sizeof(detail), e);
	pthread_mutex_lock(&c->lock);
	journal_note(c->engine, c, e->number ? JOURNAL_EXECED : JOURNAL_LOST,
		     e->number ? e->time : ctn_now(), "%s", detail);
	pthread_mutex_unlock(&c->lock);
}

void execed_note(struct container *c)
{
	struct journal_known k = {0};
	bool known;

	if (c->parent)
		return;
	pthread_mutex_lock(&c->lock);
	known = journal_known(c->engine, c, &k) && k.up && k.started == c->started;
	pthread_mutex_unlock(&c->lock);
	if (known) /* else it comes with its start */
		execed_read(c, k.started, k.execed, note, c);
}
