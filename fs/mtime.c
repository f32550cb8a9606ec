/* SPDX-License-Identifier: Apache-2.0 */
/* When the content of files whose owner keeps no time (counters, refusals) has changed, as far as
 * anybody has looked: so tar(1) and rsync(1) see a change where there is one, and only there. */
#include <stdlib.h>
#include <time.h>

#include "ops.h"

enum { MTIME_BUCKETS = 4096 };

static const uint64_t lately = 1000000000; /* nanoseconds */

struct seen {
	uint64_t digest;
	uint64_t mtime; /* nanoseconds since the epoch; 0: nobody has looked yet */
	size_t len;
	uint64_t looked;  /* clock_now() then */
	uint64_t changes; /* that there had been by then */
};

/* One container's files; the root's under serial 0. */
struct seen_files {
	struct seen_files *next;
	uint32_t serial;
	struct seen rows[];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct seen_files *buckets[MTIME_BUCKETS]; /* under lock */
static _Atomic uint64_t changes;

uint64_t mtime_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* Does not jump when the clock is set. */
static uint64_t clock_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* FNV-1a: nobody gains by a collision. */
static uint64_t digest_of(const char *text, size_t len)
{
	uint64_t h = 0xcbf29ce484222325;

	for (size_t i = 0; i < len; i++)
		h = (h ^ (unsigned char)text[i]) * 0x100000001b3;
	return h;
}

static struct seen_files **find(uint32_t serial)
{
	struct seen_files **p = &buckets[serial % MTIME_BUCKETS];

	while (*p && (*p)->serial != serial)
		p = &(*p)->next;
	return p;
}

static struct seen_files *files_new(uint32_t serial)
{
	unsigned rows = 1;
	struct seen_files *files;

	while (node_at(rows))
		rows++;
	files = calloc(1, sizeof(*files) + rows * sizeof(files->rows[0]));
	if (files)
		files->serial = serial;
	return files;
}

uint64_t mtime_of_content(const struct node_ref *ref, const char *text, size_t len)
{
	uint32_t serial = ref->c ? container_serial(ref->c) : 0;
	uint64_t digest = digest_of(text, len), mtime = mtime_now();
	struct seen_files **p;

	pthread_mutex_lock(&lock);
	p = find(serial);
	if (!*p)
		*p = files_new(serial);
	if (*p) {
		struct seen *seen = &(*p)->rows[node_row(ref->node)];

		if (!seen->mtime || seen->digest != digest)
			*seen = (struct seen){.digest = digest, .mtime = mtime};
		seen->len = len;
		seen->looked = clock_now();
		seen->changes = changes;
		mtime = seen->mtime;
	}
	pthread_mutex_unlock(&lock);
	return mtime;
}

bool mtime_lately(const struct node_ref *ref, size_t *ret_len, uint64_t *ret_mtime)
{
	const struct seen_files *files;
	const struct seen *seen;
	bool known;

	pthread_mutex_lock(&lock);
	files = *find(ref->c ? container_serial(ref->c) : 0);
	seen = files ? &files->rows[node_row(ref->node)] : NULL;
	known = seen && seen->looked && seen->changes == changes &&
		clock_now() - seen->looked < lately;
	if (known) {
		*ret_len = seen->len;
		*ret_mtime = seen->mtime;
	}
	pthread_mutex_unlock(&lock);
	return known;
}

void mtime_stale(void)
{
	changes++;
}

void mtime_touch(const struct node_ref *ref)
{
	struct seen_files **p;

	pthread_mutex_lock(&lock);
	p = find(container_serial(ref->c));
	if (!*p)
		*p = files_new(container_serial(ref->c));
	if (*p)
		(*p)->rows[node_row(ref->node)].mtime = mtime_now();
	pthread_mutex_unlock(&lock);
}

uint64_t mtime_touched(const struct node_ref *ref)
{
	const struct seen_files *files;
	uint64_t mtime;

	pthread_mutex_lock(&lock);
	files = *find(container_serial(ref->c));
	mtime = files ? files->rows[node_row(ref->node)].mtime : 0;
	pthread_mutex_unlock(&lock);
	return mtime;
}

void mtime_forget(uint32_t serial)
{
	struct seen_files **p, *files;

	pthread_mutex_lock(&lock);
	p = find(serial);
	files = *p;
	if (files)
		*p = files->next;
	pthread_mutex_unlock(&lock);
	free(files);
}
