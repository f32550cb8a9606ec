/* SPDX-License-Identifier: Apache-2.0 */
/* The last refusals, for the `error` files. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "container_private.h"
#include "io.h"

uint64_t ctn_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000000000U + (uint64_t)t.tv_nsec;
}

/* Many a sentence begins with the name of the file that the line begins with. */
static void strip_prefix(struct ctn_err *err, const char *where)
{
	size_t n = strlen(where);

	if (strncmp(err->text, where, n) == 0 && err->text[n] == ':' && err->text[n + 1] == ' ')
		memmove(err->text, err->text + n + 2, strlen(err->text + n + 2) + 1);
}

void error_ring_add(struct error_ring *ring, const char *where, const struct ctn_err *err)
{
	pthread_mutex_lock(&ring->lock);
	if (!ring->entries)
		ring->entries = calloc(ERRORS_KEPT, sizeof(*ring->entries));
	if (ring->entries) {
		struct error_entry *e = &ring->entries[ring->total++ % ERRORS_KEPT];

		e->time = ctn_now();
		snprintf(e->where, sizeof(e->where), "%s", where);
		e->err = *err;
		strip_prefix(&e->err, where);
	}
	pthread_mutex_unlock(&ring->lock);
}

static void print_entry(const struct error_entry *e, FILE *out)
{
	time_t secs = (time_t)(e->time / 1000000000U);
	char text[32];
	struct tm tm;

	gmtime_r(&secs, &tm);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	fprintf(out, "%s.%03" PRIu64 "Z %s ", text, e->time / 1000000 % 1000,
		ctn_errno_name(e->err.code));
	io_escape(out, e->where, strlen(e->where)); /* a name that somebody has tried */
	fprintf(out, ": %s\n", e->err.text);	    /* which is printable */
}

void error_ring_print(struct error_ring *ring, FILE *out)
{
	pthread_mutex_lock(&ring->lock);
	for (uint64_t i = ring->total > ERRORS_KEPT ? ring->total - ERRORS_KEPT : 0;
	     i < ring->total; i++)
		print_entry(&ring->entries[i % ERRORS_KEPT], out); /* to memory: does not block */
	pthread_mutex_unlock(&ring->lock);
}

void container_note_error(struct engine *e, struct container *c, const char *where,
			  const struct ctn_err *err)
{
	char session[sizeof(((struct error_entry *)0)->where)];
	struct container_view view, parent;

	if (!c) {
		error_ring_add(&e->errors, where, err);
		return;
	}
	error_ring_add(&c->errors, where, err);
	container_view_get(c, &view);
	if (c->parent) {
		container_view_get(c->parent, &parent);
		snprintf(session, sizeof(session), "%s/execs/%s", parent.spec->name,
			 view.spec->name);
		container_view_put(&parent);
	}
	error_ring_add(&e->errors, c->parent ? session : view.spec->name, err);
	container_view_put(&view);
}

void container_print_errors(struct container *c, FILE *out)
{
	error_ring_print(&c->errors, out);
}

void engine_print_errors(struct engine *e, FILE *out)
{
	error_ring_print(&e->errors, out);
}
