/* SPDX-License-Identifier: Apache-2.0 */
/* What the lines of the journal say: of each container and session that was created and not
 * removed. It follows from the lines alone, whether they are being written or read. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "io.h"
#include "journal_private.h"

static unsigned bucket_of(const char *id, const char *session)
{
	uint32_t h = 2166136261U;

	for (size_t i = 0; i < JOURNAL_ID_LEN && id[i]; i++)
		h = (h ^ (unsigned char)id[i]) * 16777619U;
	for (; session && *session; session++)
		h = (h ^ (unsigned char)*session) * 16777619U;
	return h % JOURNAL_BUCKETS;
}

static const char *session_of(const struct journal_item *item)
{
	return item->parent ? item->name : NULL;
}

static bool is_it(const struct journal_item *item, const char *id, const char *session)
{
	if (strncmp(item->id, id, JOURNAL_ID_LEN) != 0 || !item->parent != !session)
		return false;
	return !session || strcmp(item->name, session) == 0;
}

struct journal_item *journal_find(const struct journal *j, const char *id, const char *session)
{
	struct journal_item *item;

	session = session && *session ? session : NULL;
	item = j->buckets[bucket_of(id, session)];
	while (item && !is_it(item, id, session))
		item = item->next;
	return item;
}

void journal_item_put(struct journal_item *item)
{
	while (item && --item->refs == 0) {
		struct journal_item *parent = item->parent;

		free(item);
		item = parent;
	}
}

static struct journal_item *item_new(struct journal *j, const char *id, const char *session,
				     const char *name)
{
	struct journal_item *parent = session && *session ? journal_find(j, id, NULL) : NULL;
	struct journal_item *item, **bucket;

	if (session && *session && !parent)
		return NULL; /* of what is not there */
	item = calloc(1, sizeof(*item));
	if (!item)
		return NULL;
	item->refs = 1;
	memcpy(item->id, id, JOURNAL_ID_LEN);
	snprintf(item->name, sizeof(item->name), "%s", parent ? session : name);
	item->parent = parent;
	if (parent)
		parent->refs++;
	bucket = &j->buckets[bucket_of(id, session_of(item))];
	item->next = *bucket;
	*bucket = item;
	return item;
}

static void item_unlink(struct journal *j, struct journal_item *item)
{
	struct journal_item **at = &j->buckets[bucket_of(item->id, session_of(item))];

	while (*at != item)
		at = &(*at)->next;
	*at = item->next;
}

void journal_forget(struct journal *j)
{
	for (size_t i = 0; i < JOURNAL_BUCKETS; i++) {
		while (j->buckets[i]) {
			struct journal_item *item = j->buckets[i];

			j->buckets[i] = item->next;
			journal_item_put(item);
		}
	}
}

/* --- what each word means --- */

static void on_created(struct journal_item *item, const struct journal_line *l)
{
	item->known.created = l->time;
}

static void on_started(struct journal_item *item, const struct journal_line *l)
{
	struct journal_known *k = &item->known;

	k->started = l->time;
	k->up = true;
	k->paused = false;
	k->oom_kills = k->denied = k->execed = 0;
}

static void on_execed(struct journal_item *item, const struct journal_line *l)
{
	if (item->parent)
		on_started(item, l);
	else
		item->known.execed++;
}

static void on_paused(struct journal_item *item, const struct journal_line *l)
{
	item->known.paused = l->what == JOURNAL_PAUSED;
}

static void on_limit(struct journal_item *item, const struct journal_line *l)
{
	size_t n = strcspn(l->detail, "=");

	if (item->known.limits_at != l->time)
		item->known.limits = 0;
	item->known.limits_at = l->time;
	for (size_t i = 0; cgroup_knobs[i].name; i++) {
		if (strlen(cgroup_knobs[i].name) == n &&
		    strncmp(cgroup_knobs[i].name, l->detail, n) == 0)
			item->known.limits |= UINT64_C(1) << i;
	}
}

static void on_oom(struct journal_item *item, const struct journal_line *l)
{
	if (strncmp(l->detail, "kills=", 6) == 0)
		item->known.oom_kills = strtoull(l->detail + 6, NULL, 10);
}

static void on_denied(struct journal_item *item, const struct journal_line *l)
{
	item->known.denied = l->time;
}

static void on_died(struct journal_item *item, const struct journal_line *l)
{
	(void)l;
	item->known.up = item->known.paused = false;
}

/* Of a container: programs of `exec`. */
static void on_lost(struct journal_item *item, const struct journal_line *l)
{
	if (strncmp(l->detail, "lines=", 6) == 0)
		item->known.execed += strtoull(l->detail + 6, NULL, 10);
}

static void on_renamed(struct journal_item *item, const struct journal_line *l)
{
	snprintf(item->name, sizeof(item->name), "%s", l->name);
}

static void (*const effects[])(struct journal_item *item, const struct journal_line *l) = {
	[JOURNAL_CREATED] = on_created,	    [JOURNAL_STARTED] = on_started,
	[JOURNAL_RESTARTED] = on_started,   [JOURNAL_EXECED] = on_execed,
	[JOURNAL_PAUSED] = on_paused,	    [JOURNAL_RESUMED] = on_paused,
	[JOURNAL_LIMIT_CHANGED] = on_limit, [JOURNAL_OOM] = on_oom,
	[JOURNAL_DENIED] = on_denied,	    [JOURNAL_DIED] = on_died,
	[JOURNAL_RENAMED] = on_renamed,	    [JOURNAL_LOST] = on_lost,
};

struct journal_item *journal_apply(struct journal *j, struct journal_item *item,
				   const struct journal_line *l)
{
	if (!item && l->id[0])
		item = item_new(j, l->id, l->session, l->name);
	if (!item)
		return NULL;
	if (l->what == JOURNAL_REMOVED)
		item_unlink(j, item);
	else if (effects[l->what])
		effects[l->what](item, l);
	return item;
}

void journal_account(struct journal_item *item, uint64_t time, uint64_t pos, size_t len)
{
	struct journal_item *own = item->parent ?: item;

	if (own->bytes == own->dropped)
		own->first = pos;
	own->bytes += len;
	own->last = pos + len;
	own->mtime = time;
}

/* --- as a text --- */

static void print_item(const struct journal_item *item, FILE *out)
{
	const struct journal_known *k = &item->known;

	fprintf(out, "%s %s %s %" PRIu64 " %" PRIu64 " %d %d %" PRIu64 " %" PRIu64, item->id,
		item->parent ? "session" : "container", item->name, k->created, k->started, k->up,
		k->paused, k->limits_at, k->limits);
	fprintf(out,
		" %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64
		"\n",
		k->oom_kills, k->denied, k->execed, item->bytes, item->dropped, item->first,
		item->last);
}

/* Containers come before their sessions. */
void journal_items_print(const struct journal *j, FILE *out)
{
	for (int sessions = 0; sessions < 2; sessions++) {
		for (size_t i = 0; i < JOURNAL_BUCKETS; i++) {
			for (const struct journal_item *item = j->buckets[i]; item;
			     item = item->next) {
				if (!item->parent == !sessions)
					print_item(item, out);
			}
		}
	}
}

static int parse_item(struct journal *j, const char *line)
{
	char id[JOURNAL_ID_LEN + 1], kind[16], name[SPEC_NAME_MAX + 1];
	struct journal_known k = {0};
	uint64_t bytes, dropped, first, last;
	struct journal_item *item;
	int up, paused;
	int n = sscanf(
		line,
		"%12s %15s %64s %" SCNu64 " %" SCNu64 " %d %d %" SCNu64 " %" SCNu64 " %" SCNu64
		" %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64,
		id, kind, name, &k.created, &k.started, &up, &paused, &k.limits_at, &k.limits,
		&k.oom_kills, &k.denied, &k.execed, &bytes, &dropped, &first, &last);

	if (n != 16 || strspn(id, "0123456789abcdef") != JOURNAL_ID_LEN || !io_is_word(name) ||
	    dropped > bytes || first > last)
		return -EBADMSG;
	k.up = up;
	k.paused = paused;
	item = item_new(j, id, strcmp(kind, "session") == 0 ? name : NULL, name);
	if (!item)
		return strcmp(kind, "session") == 0 ? 0 : -ENOMEM;
	item->known = k;
	item->bytes = bytes;
	item->dropped = dropped;
	item->first = first;
	item->last = last;
	return 0;
}

int journal_items_parse(struct journal *j, const char *text)
{
	int r = 0;

	while (r == 0 && *text) {
		const char *next = strchr(text, '\n');

		if (!next)
			return -EBADMSG;
		r = parse_item(j, text);
		text = next + 1;
	}
	return r;
}
