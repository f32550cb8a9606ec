/* SPDX-License-Identifier: Apache-2.0 */
#include "quota.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

enum { BUCKETS = 64 };

/* Things and bytes. Root is trusted, and what it opens is bounded so that a mistake is told. */
static const struct limit {
	size_t things, bytes;
} of_root = {1 << 17, 256 << 20}, of_others = {1024, 16 << 20};

struct quota {
	struct quota *next; /* in its bucket */
	uid_t uid;
	atomic_size_t things, bytes;
};

/* Whose requests are most, and need no lock. */
static struct quota root;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct quota *buckets[BUCKETS]; /* those of others who have any; under lock */

static const struct limit *limit_of(uid_t uid)
{
	return uid == 0 ? &of_root : &of_others;
}

static struct quota *find(uid_t uid)
{
	struct quota *q = buckets[uid % BUCKETS];

	while (q && q->uid != uid)
		q = q->next;
	if (q)
		return q;
	q = calloc(1, sizeof(*q));
	if (q) {
		q->uid = uid;
		q->next = buckets[uid % BUCKETS];
		buckets[uid % BUCKETS] = q;
	}
	return q;
}

static void forget(const struct quota *q)
{
	struct quota **p = &buckets[q->uid % BUCKETS];

	while (*p != q)
		p = &(*p)->next;
	*p = q->next;
}

static int take_one(struct quota *q, struct ctn_err *err)
{
	const size_t most = limit_of(q->uid)->things;

	if (atomic_fetch_add(&q->things, 1) < most)
		return 0;
	atomic_fetch_sub(&q->things, 1);
	return ctn_fail(err, EMFILE,
			"user %u has %zu files open here, or waits for them: close some", q->uid,
			most);
}

int quota_take(uid_t uid, struct quota **ret, struct ctn_err *err)
{
	struct quota *q = &root;
	int r;

	if (uid != 0) {
		pthread_mutex_lock(&lock);
		q = find(uid);
		r = q ? take_one(q, err) : ctn_fail(err, ENOMEM, "no memory to open it");
		pthread_mutex_unlock(&lock);
	} else {
		r = take_one(q, err);
	}
	if (r == 0)
		*ret = q;
	return r;
}

void quota_give(struct quota *q, size_t held)
{
	bool last;

	if (!q)
		return;
	atomic_fetch_sub(&q->bytes, held);
	if (q == &root) {
		atomic_fetch_sub(&q->things, 1);
		return;
	}
	pthread_mutex_lock(&lock);
	last = atomic_fetch_sub(&q->things, 1) == 1;
	if (last)
		forget(q);
	pthread_mutex_unlock(&lock);
	if (last)
		free(q);
}

int quota_hold(struct quota *q, size_t before, size_t now, struct ctn_err *err)
{
	size_t all;

	if (!q || before == now)
		return 0;
	all = atomic_fetch_add(&q->bytes, now - before) + now - before;
	if (now < before || all <= limit_of(q->uid)->bytes)
		return 0;
	atomic_fetch_sub(&q->bytes, now - before);
	return ctn_fail(err, EMFILE,
			"what user %u has read is kept until it is closed, and that is %zu "
			"MiB already: close some",
			q->uid, (all - (now - before)) >> 20);
}
