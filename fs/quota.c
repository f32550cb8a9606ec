/* SPDX-License-Identifier: Apache-2.0 */
#include "quota.h"

#include <errno.h>
#include <pthread.h>
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
	size_t things, bytes;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct quota *buckets[BUCKETS]; /* those who have any; under lock, with all in them */

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

int quota_take(uid_t uid, struct quota **ret, struct ctn_err *err)
{
	const size_t most = limit_of(uid)->things;
	struct quota *q;
	int r = 0;

	pthread_mutex_lock(&lock);
	q = find(uid);
	if (!q)
		r = ctn_fail(err, ENOMEM, "no memory to open it");
	else if (q->things >= most)
		r = ctn_fail(err, EMFILE,
			     "user %u has %zu files open here, or waits for them: close some", uid,
			     most);
	else
		q->things++;
	pthread_mutex_unlock(&lock);
	if (r == 0)
		*ret = q;
	return r;
}

void quota_give(struct quota *q, size_t held)
{
	bool last;

	if (!q)
		return;
	pthread_mutex_lock(&lock);
	q->bytes -= held;
	last = --q->things == 0;
	if (last)
		forget(q);
	pthread_mutex_unlock(&lock);
	if (last)
		free(q);
}

int quota_hold(struct quota *q, size_t before, size_t now, struct ctn_err *err)
{
	int r = 0;

	if (!q || before == now)
		return 0;
	pthread_mutex_lock(&lock);
	if (now > before && q->bytes - before + now > limit_of(q->uid)->bytes)
		r = ctn_fail(err, EMFILE,
			     "what user %u has read is kept until it is closed, and that is %zu "
			     "MiB already: close some",
			     q->uid, q->bytes >> 20);
	else
		q->bytes = q->bytes - before + now;
	pthread_mutex_unlock(&lock);
	return r;
}
