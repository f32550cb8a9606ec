/* SPDX-License-Identifier: Apache-2.0 */
/* The journal's file: its lines are at the same place as long as it exists, and the oldest become
 * a hole. What these have said is kept beside it, in `events.base`, as of a place in the file. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "container_private.h"
#include "io.h"
#include "journal_private.h"

static const char base_name[] = "events.base", base_head[] = "ctnfs journal 1";

enum { BASE_MAX = 256 << 20, PAGE = 4096 };

/* No journal is that long, and few file systems have longer files. */
#define POS_MAX (UINT64_C(1) << 43)

/* --- writing --- */

int journal_take(struct journal *j)
{
	size_t need = j->out_len + j->queue_len;

	if (need > j->out_room) {
		char *more = realloc(j->out, need);

		if (!more)
			return -ENOMEM;
		j->out = more;
		j->out_room = need;
	}
	if (j->queue_len)
		memcpy(j->out + j->out_len, j->queue, j->queue_len);
	j->out_len = need;
	j->queue_len = 0;
	return 0;
}

/* Up to the end of the last whole line of the @n bytes that were written. */
static void advance(struct journal *j, size_t n)
{
	const char *last = n ? memrchr(j->out, '\n', n) : NULL;
	size_t whole = last ? (size_t)(last - j->out) + 1 : 0;

	if (!whole)
		return;
	pthread_mutex_lock(&j->lock);
	j->end += whole;
	j->mtime = ctn_now();
	__atomic_store_n(&j->waiting, j->waiting - whole, __ATOMIC_RELEASE);
	pthread_mutex_unlock(&j->lock);
	__atomic_store_n(&j->untold, true, __ATOMIC_RELEASE);
	j->out_len -= whole;
	memmove(j->out, j->out + whole, j->out_len);
}

/* A line that a full disk has cut is behind the end, and written again. */
int journal_put(struct journal *j, struct ctn_err *err)
{
	bool short_once = false;

	while (j->out_len) {
		size_t before = j->out_len;
		ssize_t n = pwrite(j->fd, j->out, j->out_len, (off_t)j->end);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return ctn_fail_errno(
				err, "the journal cannot be written; its lines are kept in "
				     "memory");
		advance(j, (size_t)n);
		if (j->out_len == before && short_once)
			return ctn_fail(
				err, ENOSPC,
				"the journal cannot be written, the disk is full; its lines "
				"are kept in memory");
		short_once = j->out_len == before;
	}
	return 0;
}

/* --- dropping the oldest --- */

/* Where a line begins, at @at or behind. */
static int line_at(const struct journal *j, uint64_t at, uint64_t *ret)
{
	struct journal_scan s;
	const char *line;
	size_t len;
	int r = journal_scan_begin(&s, j->fd, at - 1, j->end);

	if (r == 0)
		r = journal_scan_next(&s, &line, &len);
	*ret = r > 0 ? s.at : j->end;
	journal_scan_end(&s);
	return r < 0 ? r : 0;
}

/* The lines in @text go: whoever they are about has so much less. @pos: where they are. Under
 * j->lock. */
static void account_dropped(struct journal *j, const char *text, size_t len, uint64_t pos)
{
	const char *end = text + len, *next;

	for (; text < end && (next = memchr(text, '\n', (size_t)(end - text))); text = next + 1) {
		const size_t n = (size_t)(next + 1 - text);
		const char *id = journal_line_id(text, n);
		struct journal_item *item = id ? journal_find(j, id, NULL) : NULL;

		pos += n;
		if (item && item->first < pos && item->dropped + n <= item->bytes) {
			item->dropped += n;
			item->first = pos;
		}
	}
}

static int read_lines(const struct journal *j, uint64_t to, char **ret)
{
	size_t len = (size_t)(to - j->start);
	char *text = malloc(len + 1);
	ssize_t n = text ? pread(j->fd, text, len, (off_t)j->start) : -1;

	if (n != (ssize_t)len) {
		int r = !text ? -ENOMEM : n < 0 ? -errno : -EIO;

		free(text);
		return r;
	}
	*ret = text;
	return 0;
}

/* What the lines up to @pos say. Under j->lock. */
static int print_base(const struct journal *j, uint64_t pos, char **ret, size_t *ret_len)
{
	FILE *out = open_memstream(ret, ret_len);

	if (!out)
		return -ENOMEM;
	fprintf(out, "%s\n%" PRIu64 " %" PRIu64 " %" PRIu64 "\n", base_head, pos, j->seq, j->start);
	journal_items_print(j, out);
	return io_text_close(out, ret);
}

/* The lines that it stands for are on disk before it is. */
static int save_base(struct journal *j, const char *text, size_t len, struct ctn_err *err)
{
	if (fdatasync(j->fd) < 0)
		return ctn_fail_errno(err, "write the journal to disk");
	return io_replace_at(j->dirfd, base_name, text, len, 0600, true, err);
}

/* Readers are kept out while the lines go. */
static int drop_until(struct journal *j, uint64_t to, char **ret, size_t *ret_len)
{
	ctn_autofree char *text = NULL;
	int r = read_lines(j, to, &text);

	if (r < 0)
		return r;
	pthread_rwlock_wrlock(&j->kept);
	pthread_mutex_lock(&j->lock);
	r = journal_take(j); /* what was noted is in what is printed */
	if (r == 0) {
		account_dropped(j, text, (size_t)(to - j->start), j->start);
		j->start = to;
		r = print_base(j, j->end + j->out_len, ret, ret_len);
	}
	pthread_mutex_unlock(&j->lock);
	pthread_rwlock_unlock(&j->kept);
	return r;
}

static void punch(const struct journal *j)
{
	(void)fallocate(j->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
			(off_t)(j->start / PAGE * PAGE));
}

int journal_trim(struct journal *j, struct ctn_err *err)
{
	ctn_autofree char *text = NULL;
	size_t len = 0;
	uint64_t to;
	int r;

	if (j->end - j->start <= j->bound)
		return 0;
	r = line_at(j, j->end - j->bound / 8 * 7, &to);
	if (r == 0)
		r = drop_until(j, to, &text, &len);
	if (r < 0)
		return ctn_fail(err, -r, "shorten the journal: %s", strerrordesc_np(-r));
	r = journal_put(j, err);
	if (r == 0)
		r = save_base(j, text, len, err);
	if (r == 0)
		punch(j);
	return r;
}

/* --- at the start --- */

static int parse_base(struct journal *j, const char *text, uint64_t *ret_pos)
{
	const size_t head = strlen(base_head);
	uint64_t pos, seq, start;
	const char *items;
	int r;

	if (strncmp(text, base_head, head) != 0 || text[head] != '\n' ||
	    sscanf(text + head + 1, "%" SCNu64 " %" SCNu64 " %" SCNu64, &pos, &seq, &start) != 3 ||
	    start > pos || pos > POS_MAX || seq > INT64_MAX ||
	    !(items = strchr(text + head + 1, '\n')))
		return -EBADMSG;
	r = journal_items_parse(j, items + 1);
	if (r < 0) {
		journal_forget(j);
		return r;
	}
	j->seq = seq;
	j->start = start;
	*ret_pos = pos;
	return 0;
}

/* Return: -EBADMSG where there is none that can be used. */
static int load_base(struct journal *j, uint64_t *ret_pos, struct ctn_err *err)
{
	ctn_autofree char *text = NULL;
	int r = io_read_at(j->dirfd, base_name, BASE_MAX, &text, NULL, NULL);

	if (r == 0)
		r = parse_base(j, text, ret_pos);
	if (r == -ENOMEM)
		return ctn_fail(err, ENOMEM, "no memory for the journal");
	return r < 0 ? -EBADMSG : 0;
}

/* Without a base it begins with what is no hole. */
static void find_start(struct journal *j, uint64_t size, uint64_t *ret_pos)
{
	off_t data = lseek(j->fd, 0, SEEK_DATA);
	struct journal_scan s;
	const char *line;
	size_t len;

	*ret_pos = j->start = 0;
	if (data <= 0)
		return;
	if (journal_scan_begin(&s, j->fd, (uint64_t)data, size) == 0 &&
	    journal_scan_next(&s, &line, &len) > 0)
		*ret_pos = j->start = s.at;
	journal_scan_end(&s);
}

/* The line that follows the former ones. */
static bool replay_line(struct journal *j, const char *text, size_t len, uint64_t pos)
{
	struct journal_item *item;
	struct journal_line l;

	if (!journal_line_parse(text, len, &l) || (j->seq && l.seq != j->seq + 1))
		return false;
	j->seq = l.seq;
	item = l.id[0] ? journal_find(j, l.id, l.session) : NULL;
	item = journal_apply(j, item, &l);
	if (item)
		journal_account(item, l.time, pos, len);
	if (item && l.what == JOURNAL_REMOVED)
		journal_item_put(item);
	return true;
}

/* Up to where lines make sense. */
static int replay(struct journal *j, uint64_t pos, uint64_t size)
{
	struct journal_scan s;
	const char *line;
	size_t len;
	int r = journal_scan_begin(&s, j->fd, pos, size);

	j->end = pos;
	while (r >= 0 && (r = journal_scan_next(&s, &line, &len)) > 0) {
		if (!replay_line(j, line, len, j->end))
			break;
		j->end = s.at;
	}
	journal_scan_end(&s);
	return r < 0 ? r : 0;
}

int journal_load(struct journal *j, struct ctn_err *err)
{
	ctn_autofree char *text = NULL;
	uint64_t pos = 0;
	size_t len = 0;
	struct stat st;
	int r;

	if (fstat(j->fd, &st) < 0)
		return ctn_fail_errno(err, "look at the journal");
	j->mtime = (uint64_t)st.st_mtim.tv_sec * 1000000000 + (uint64_t)st.st_mtim.tv_nsec;
	r = load_base(j, &pos, err);
	if (r == -EBADMSG)
		find_start(j, (uint64_t)st.st_size, &pos);
	else if (r < 0)
		return r;
	if (replay(j, pos, (uint64_t)st.st_size) < 0)
		return ctn_fail_errno(err, "read the journal");
	if ((uint64_t)st.st_size < j->end) { /* somebody else has cut it */
		j->start = j->end;
		r = -EBADMSG; /* the base has another start */
	}
	if ((uint64_t)st.st_size != j->end && ftruncate(j->fd, (off_t)j->end) < 0)
		return ctn_fail_errno(err, "cut the journal");
	if (r == 0)
		return 0;
	r = print_base(j, j->end, &text, &len);
	return r < 0 ? ctn_fail(err, -r, "no memory for the journal")
		     : save_base(j, text, len, err);
}
