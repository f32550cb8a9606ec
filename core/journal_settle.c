/* SPDX-License-Identifier: Apache-2.0 */
/* At the start of a server: what has happened while none was there, and what a server that was
 * killed knew and had not written. The records tell; the journal says what it has of that. Each
 * verb writes its line before the next one destroys what tells of it, so that of each kind one at
 * most is missing. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cleanup.h"
#include "container_execed.h"
#include "container_limits.h"
#include "container_private.h"
#include "journal_private.h"
#include "oom.h"

struct fact {
	uint64_t order; /* its time, or that of an earlier one of the same container */
	size_t number;	/* those of the same time stay in order */
	uint64_t time;
	enum journal_what what;
	struct container *c;	   /* borrowed; NULL: @item's */
	struct journal_item *item; /* borrowed */
	char detail[JOURNAL_DETAIL_MAX];
};

struct facts {
	struct fact *list;
	size_t n, room;
	uint64_t latest; /* of those of the present container */
	bool failed;
};

static void add(struct facts *f, struct container *c, struct journal_item *item,
		enum journal_what what, uint64_t time, const char *detail)
{
	if (f->n == f->room) {
		size_t room = f->room ? f->room * 2 : 64;
		struct fact *more = realloc(f->list, room * sizeof(*more));

		if (!more) {
			f->failed = true;
			return;
		}
		f->list = more;
		f->room = room;
	}
	if (time > f->latest)
		f->latest = time;
	f->list[f->n] = (struct fact){.order = f->latest,
				      .number = f->n,
				      .time = time,
				      .what = what,
				      .c = c,
				      .item = item};
	snprintf(f->list[f->n].detail, sizeof(f->list[f->n].detail), "%s", detail);
	f->n++;
}

static int compare(const void *a, const void *b)
{
	const struct fact *x = a, *y = b;

	if (x->order != y->order)
		return x->order < y->order ? -1 : 1;
	return x->number < y->number ? -1 : 1;
}

/* --- of one container --- */

static void died(struct facts *f, struct container *c, const struct state_exit *e)
{
	char detail[64];

	journal_exit_detail(detail, sizeof(detail), e);
	add(f, c, NULL, JOURNAL_DIED, e->finished ?: ctn_now(), detail);
}

/* A run that the journal has no end of, and that is not the last one that the records tell of. */
static void died_unseen(struct facts *f, struct container *c, uint64_t started)
{
	struct state_exit e = {.code = 255, .unknown = true};

	if (c->has_exit && c->exit.started == started)
		e = c->exit;
	died(f, c, &e);
}

static void started(struct facts *f, struct container *c, uint64_t when)
{
	char detail[64] = "";
	int pid = 0;
	struct wire_status status;

	if (c->init)
		pid = c->init->pid;
	else if (container_load_status(c, &status) == 0 && status.started == when)
		pid = status.init_pid;
	if (c->run_again)
		snprintf(detail, sizeof(detail), "pid=%d restarts=%" PRIu64, pid, c->restarts);
	else if (pid)
		snprintf(detail, sizeof(detail), "pid=%d", pid);
	add(f, c, NULL,
	    c->parent	   ? JOURNAL_EXECED
	    : c->run_again ? JOURNAL_RESTARTED
			   : JOURNAL_STARTED,
	    when, detail);
}

/* To be passed through denied_settle(). */
struct denied {
	struct facts *f;
	struct container *c;
};

static void add_denied(void *arg, uint64_t time, const char *detail)
{
	const struct denied *d = arg;

	add(d->f, d->c, NULL, JOURNAL_DENIED, time, detail);
}

static void settle_denied(struct facts *f, struct container *c, const struct journal_known *k,
			  uint64_t started)
{
	struct denied d = {f, c};

	denied_settle(c, k->started == started ? k->denied : 0, started, add_denied, &d);
}

struct execed_facts {
	struct facts *f;
	struct container *c;
};

static void add_execed(void *arg, const struct wire_execed *e)
{
	const struct execed_facts *x = arg;
	char detail[EXECED_DETAIL_MAX];

	execed_detail(detail, sizeof(detail), e);
	add(x->f, x->c, NULL, e->number ? JOURNAL_EXECED : JOURNAL_LOST,
	    e->number ? e->time : x->f->latest, detail);
}

static void settle_execed(struct facts *f, struct container *c, uint64_t run, uint64_t after)
{
	struct execed_facts x = {f, c};

	execed_read(c, run, after, add_execed, &x);
}

/* What has come to an end of its kind; the next kind may have begun before. */
static void next_kind(struct facts *f, uint64_t begun, uint64_t *latest)
{
	if (f->latest > *latest)
		*latest = f->latest;
	f->latest = begun;
}

/* In the run that has started at @run. */
static void settle_during(struct facts *f, struct container *c, const struct journal_known *k,
			  uint64_t run)
{
	const bool told = k->started == run;
	const uint64_t begun = f->latest;
	char oom[OOM_DETAIL_MAX];
	uint64_t latest = begun;

	if (run && !c->parent)
		settle_execed(f, c, run, told ? k->execed : 0);
	next_kind(f, begun, &latest);
	settle_denied(f, c, k, run);
	next_kind(f, begun, &latest);
	if (run && c->oom.time >= run &&
	    oom_detail(c, oom, sizeof(oom)) > (told ? k->oom_kills : 0))
		add(f, c, NULL, JOURNAL_OOM, c->oom.time, oom);
	next_kind(f, latest, &latest);
	f->latest = latest;
}

static void settle_runs(struct facts *f, struct container *c, const struct journal_known *k)
{
	const bool up = c->state == CTN_RUNNING || c->state == CTN_PAUSED;
	const uint64_t last = up ? c->started : c->has_exit ? c->exit.started : 0;
	const bool told = last == 0 || k->started == last;

	if (k->up && (!up || !told) && (!told || last == 0))
		died_unseen(f, c, k->started);
	if (!told)
		started(f, c, last);
	settle_during(f, c, k, last);
	if (!up && last && (!told || k->up))
		died(f, c, &c->exit);
	if (up && (c->state == CTN_PAUSED) != (told && k->paused))
		add(f, c, NULL, c->state == CTN_PAUSED ? JOURNAL_PAUSED : JOURNAL_RESUMED,
		    ctn_now(), "");
}

static void settle_name(struct facts *f, struct container *c, const struct journal_item *item)
{
	if (!c->parent && strcmp(item->name, c->spec->name) != 0)
		add(f, c, NULL, JOURNAL_RENAMED, c->renamed_at ?: ctn_now(), "");
}

static void settle_limits(struct facts *f, struct container *c, const struct journal_known *k)
{
	uint64_t missing = c->limits;

	if (k->limits_at == c->limits_at)
		missing &= ~k->limits;
	for (size_t i = 0; cgroup_knobs[i].name; i++) {
		char detail[JOURNAL_DETAIL_MAX];

		if (missing >> i & 1 &&
		    limits_describe(c, &cgroup_knobs[i], detail, sizeof(detail)))
			add(f, c, NULL, JOURNAL_LIMIT_CHANGED, c->limits_at, detail);
	}
}

static void settle_one(struct facts *f, struct journal *j, struct container *c)
{
	struct journal_item *item = journal_find(j, c->parent ? c->parent->id : c->id,
						 c->parent ? c->spec->name : NULL);
	struct journal_known k = {0};
	uint64_t begun, latest = 0;

	f->latest = c->parent ? c->parent->created : 0;	 /* that comes before it, always */
	if (item && item->known.created != c->created) { /* another session of that name */
		add(f, c, item, JOURNAL_REMOVED, c->created, "");
		item->found = true;
		item = NULL;
	}
	if (item) {
		item->found = true;
		k = item->known;
	} else {
		add(f, c, NULL, JOURNAL_CREATED, c->created, "");
	}
	begun = f->latest;
	if (item)
		settle_name(f, c, item);
	next_kind(f, begun, &latest);
	settle_limits(f, c, &k);
	next_kind(f, begun, &latest);
	settle_runs(f, c, &k);
}

/* --- of those that are gone --- */

static void settle_gone(struct facts *f, struct journal *j, bool sessions)
{
	for (size_t i = 0; i < JOURNAL_BUCKETS; i++) {
		for (struct journal_item *item = j->buckets[i]; item; item = item->next) {
			const struct journal_item *own = item->parent ?: item;
			uint64_t when = item->gone ?: own->gone ?: ctn_now();

			f->latest = 0;
			if (!item->found && !item->parent == !sessions)
				add(f, NULL, item, JOURNAL_REMOVED, when, "");
		}
	}
}

static bool is_trash(const char *name)
{
	return strncmp(name, "trash-", 6) == 0 && strlen(name) == 6 + CTN_ID_LEN;
}

void journal_trash(struct engine *e, const char *name)
{
	ctn_autoclose int fd = openat(e->state_fd, name,
				      O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct state_record rec = {0};
	struct journal_item *item;
	struct stat st;

	if (!is_trash(name) || fd < 0 || fstat(fd, &st) < 0)
		return;
	if (state_load(fd, &rec, NULL) == 0 && rec.parent[0])
		item = journal_find(e->journal, rec.parent, rec.spec->name);
	else
		item = journal_find(e->journal, name + 6, NULL);
	spec_put(rec.spec);
	if (item) /* it got this name then */
		item->gone = (uint64_t)st.st_ctim.tv_sec * 1000000000 +
			     (uint64_t)st.st_ctim.tv_nsec;
}

/* --- all of it --- */

static void write_fact(struct journal *j, const struct fact *fact)
{
	const struct container *c = fact->c;
	struct journal_subject s;

	if (c)
		s = (struct journal_subject){c->parent ? c->parent->id : c->id,
					     c->parent ? c->spec->name : NULL, c->spec->name};
	else
		s = (struct journal_subject){fact->item->id,
					     fact->item->parent ? fact->item->name : NULL, ""};
	journal_add(j, &s, fact->what, fact->time, fact->detail);
}

int journal_settle(struct engine *e, struct ctn_err *err)
{
	struct facts f = {0};

	for (size_t i = 0; i < e->n; i++) /* a container has a lower serial than its sessions */
		settle_one(&f, e->journal, e->by_serial[i]);
	settle_gone(&f, e->journal, true);
	settle_gone(&f, e->journal, false);
	if (f.failed) {
		free(f.list);
		return ctn_fail(err, ENOMEM, "no memory for the journal");
	}
	if (f.n > 0)
		qsort(f.list, f.n, sizeof(*f.list), compare);
	for (size_t i = 0; i < f.n; i++)
		write_fact(e->journal, &f.list[i]);
	free(f.list);
	journal_flush(e);
	return 0;
}
