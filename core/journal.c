/* SPDX-License-Identifier: Apache-2.0 */
/* Taking note, and writing what was noted. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "container_private.h"
#include "journal_private.h"

/* --- the queue --- */

/* Under j->lock: for the next line. */
static bool reserve(struct journal *j)
{
	size_t room = j->queue_room ? j->queue_room * 2 : 4 * JOURNAL_LINE_MAX;
	char *more;

	if (j->waiting > JOURNAL_WAIT_MAX)
		return false;
	if (j->queue_room - j->queue_len >= JOURNAL_LINE_MAX)
		return true;
	more = realloc(j->queue, room);
	if (!more)
		return false;
	j->queue = more;
	j->queue_room = room;
	return true;
}

/* Under j->lock. It gets its number here. */
static bool queue_line(struct journal *j, struct journal_item *item, struct journal_line *l)
{
	size_t n;

	if (!reserve(j))
		return false;
	l->seq = j->seq + 1;
	n = (size_t)journal_line_print(j->queue + j->queue_len, JOURNAL_LINE_MAX, l);
	if (item)
		journal_account(item, l->time, j->end + j->waiting, n);
	j->seq++;
	j->queue_len += n;
	__atomic_store_n(&j->waiting, j->waiting + n, __ATOMIC_RELEASE);
	return true;
}

/* Under j->lock: where lines are missing, it is said, as soon as there is room. */
static bool say_lost(struct journal *j)
{
	struct journal_line l = {.what = JOURNAL_LOST, .time = ctn_now()};

	if (!j->lost)
		return true;
	snprintf(l.detail, sizeof(l.detail), "lines=%" PRIu64, j->lost);
	if (!queue_line(j, NULL, &l))
		return false;
	j->lost = 0;
	return true;
}

/* --- notes --- */

static void fill_name(struct journal_line *l, const struct journal_item *item)
{
	const struct journal_item *own = item->parent ?: item;

	memcpy(l->id, item->id, sizeof(l->id));
	snprintf(l->name, sizeof(l->name), "%s", own->name);
	snprintf(l->session, sizeof(l->session), "%s", item->parent ? item->name : "");
}

/* Under j->lock. Return: whether there is something to be said of @s. */
static bool prepare(struct journal *j, const struct journal_subject *s, struct journal_line *l,
		    struct journal_item **ret)
{
	struct journal_item *item = journal_find(j, s->id, s->session);

	if (!item == (l->what != JOURNAL_CREATED))
		return false;
	if (!item) {
		memcpy(l->id, s->id, JOURNAL_ID_LEN);
		snprintf(l->name, sizeof(l->name), "%s", s->name);
		snprintf(l->session, sizeof(l->session), "%s", s->session ?: "");
		item = journal_apply(j, NULL,
				     l); /* a session has its container's name from there */
		if (!item) {
			j->lost++;
			return false;
		}
	}
	fill_name(l, item);
	if (l->what == JOURNAL_RENAMED) {
		if (strcmp(item->name, s->name) == 0)
			return false;
		snprintf(l->detail, sizeof(l->detail), "from=%s", item->name);
		snprintf(l->name, sizeof(l->name), "%s", s->name);
	}
	*ret = item;
	return true;
}

void journal_add(struct journal *j, const struct journal_subject *s, enum journal_what what,
		 uint64_t time, const char *detail)
{
	struct journal_line l = {.what = what, .time = time};
	struct journal_item *item = NULL;

	snprintf(l.detail, sizeof(l.detail), "%s", detail);
	pthread_mutex_lock(&j->lock);
	if (!s || prepare(j, s, &l, &item)) {
		if (!say_lost(j) || !queue_line(j, item, &l))
			j->lost++;
		if (item)
			(void)journal_apply(j, item, &l);
		if (item && what == JOURNAL_REMOVED)
			journal_item_put(item);
	}
	pthread_mutex_unlock(&j->lock);
}

/* --- writing --- */

/* What waits, all of it, and then what is said about the rest. Under j->io. */
static int write_all(struct journal *j, struct ctn_err *err)
{
	bool more = true;
	int r = 0;

	while (r == 0 && more) {
		pthread_mutex_lock(&j->lock);
		r = journal_take(j);
		pthread_mutex_unlock(&j->lock);
		if (r == 0)
			r = journal_put(j, err);
		else
			ctn_fail(err, -r, "no memory to write the journal");
		pthread_mutex_lock(&j->lock);
		if (r == 0)
			(void)say_lost(j);
		more = j->queue_len > 0;
		pthread_mutex_unlock(&j->lock);
	}
	return r;
}

int journal_write(struct journal *j, struct ctn_err *err)
{
	struct ctn_err why = {0};
	bool said;
	int r;

	if (!__atomic_load_n(&j->waiting, __ATOMIC_ACQUIRE))
		return 0; /* nobody is writing either: it waits until it is written */
	pthread_mutex_lock(&j->io);
	r = write_all(j, &why);
	if (r == 0)
		r = journal_trim(j, &why);
	said = j->failing;
	j->failing = r < 0;
	pthread_mutex_unlock(&j->io);
	if (r == 0 || said)
		return 0;
	*err = why;
	return r;
}

/* --- of an engine --- */

static struct journal_subject subject_of(const struct container *c)
{
	return (struct journal_subject){
		.id = c->parent ? c->parent->id : c->id,
		.session = c->parent ? c->spec->name : NULL,
		.name = c->spec->name,
	};
}

void journal_note(struct engine *e, struct container *c, enum journal_what what, uint64_t time,
		  const char *detail, ...)
{
	struct journal_subject s = c ? subject_of(c) : (struct journal_subject){0};
	char text[JOURNAL_DETAIL_MAX];
	va_list ap;

	va_start(ap, detail);
	vsnprintf(text, sizeof(text), detail, ap);
	va_end(ap);
	journal_add(e->journal, c ? &s : NULL, what, time, text);
}

void journal_save(struct engine *e)
{
	struct ctn_err err = {0};

	if (journal_write(e->journal, &err) < 0)
		container_note_error(e, NULL, "events", &err);
}

void journal_flush(struct engine *e)
{
	journal_save(e);
	if (e->changed && __atomic_exchange_n(&e->journal->untold, false, __ATOMIC_ACQ_REL))
		e->changed(e->changed_arg, 0);
}

void journal_exit_detail(char *ret, size_t size, const struct state_exit *e)
{
	snprintf(ret, size, "exit=%d%s%s", e->code, e->oom_killed ? " oom=1" : "",
		 e->unknown ? " unknown=1" : "");
}

bool journal_known(struct engine *e, const struct container *c, struct journal_known *ret)
{
	const struct journal_subject s = subject_of(c);
	const struct journal_item *item;

	pthread_mutex_lock(&e->journal->lock);
	item = journal_find(e->journal, s.id, s.session);
	if (item)
		*ret = item->known;
	pthread_mutex_unlock(&e->journal->lock);
	return item;
}

int journal_range(struct engine *e, struct container *c, struct log_range *ret, struct ctn_err *err)
{
	const struct journal_subject s = {.id = c ? c->id : NULL};
	int r;

	journal_flush(e);
	r = journal_span(e->journal, c ? &s : NULL, ret);
	return r < 0 ? ctn_fail(err, -r, "events: %s", strerrordesc_np(-r)) : 0;
}

ssize_t journal_read(struct engine *e, struct container *c, uint64_t pos, void *buf, size_t size,
		     struct ctn_err *err)
{
	const struct journal_subject s = {.id = c ? c->id : NULL};
	ssize_t r;

	journal_flush(e);
	r = journal_copy(e->journal, c ? &s : NULL, pos, buf, size);
	return r < 0 ? ctn_fail(err, (int)-r, "events: %s", strerrordesc_np((int)-r)) : r;
}

/* --- from open to close --- */

int journal_open(int dirfd, uint64_t bound, struct journal **ret, struct ctn_err *err)
{
	struct journal *j = calloc(1, sizeof(*j));
	int r;

	if (!j)
		return ctn_fail(err, ENOMEM, "no memory for the journal");
	j->dirfd = dirfd;
	j->bound = bound;
	pthread_mutex_init(&j->io, NULL);
	pthread_mutex_init(&j->lock, NULL);
	pthread_rwlock_init(&j->kept, NULL);
	j->fd = openat(dirfd, "events", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	r = j->fd < 0 ? ctn_fail_errno(err, "open the journal") : journal_load(j, err);
	if (r < 0)
		journal_close(j);
	else
		*ret = j;
	return r;
}

void journal_close(struct journal *j)
{
	if (!j)
		return;
	journal_forget(j);
	ctn_close_fd(&j->fd);
	pthread_rwlock_destroy(&j->kept);
	pthread_mutex_destroy(&j->lock);
	pthread_mutex_destroy(&j->io);
	free(j->queue);
	free(j->out);
	free(j);
}
