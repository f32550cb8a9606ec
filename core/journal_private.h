/* SPDX-License-Identifier: Apache-2.0 */
/* The journal without containers: a file of lines, and what they say. Not for anyone but journal*.c
 * and its test. */
#ifndef CTNFS_CORE_JOURNAL_PRIVATE_H
#define CTNFS_CORE_JOURNAL_PRIVATE_H

#include <pthread.h>

#include "journal.h"

enum {
	JOURNAL_KEEP = 8 << 20,	    /* bytes of lines on disk */
	JOURNAL_WAIT_MAX = 1 << 20, /* bytes that wait for room there */
	JOURNAL_DETAIL_MAX = 768,
	JOURNAL_LINE_MAX = 1024,
	JOURNAL_ID_LEN = 12,
	JOURNAL_BUCKETS = 1024,
	JOURNAL_NAME_MAX = 2 * SPEC_NAME_MAX + 8,
};

/** struct journal_subject - whom a line is about. @id: of the container, 12 digits and perhaps
 * more. @session: its name, or NULL. @name: the container's now; of a session not looked at. */
struct journal_subject {
	const char *id, *session, *name;
};

/* One that was created and not removed. */
struct journal_item {
	struct journal_item *next;   /* in its bucket */
	struct journal_item *parent; /* of a session; counted */
	unsigned refs;
	char id[JOURNAL_ID_LEN + 1];
	char name[SPEC_NAME_MAX + 1];
	struct journal_known known;
	/* Of a container with its sessions: bytes of all its lines ever, and of those that are not
	 * kept any more; where in the file the oldest kept begins and the newest ends. */
	uint64_t bytes, dropped, first, last;
	uint64_t mtime;		    /* time of the newest that this server has seen; 0 */
	uint64_t hint_own, hint_at; /* the same place in its part and in the file */
	uint64_t gone;		    /* journal_trash() */
	bool found;		    /* journal_settle() */
};

/* A line, taken apart. */
struct journal_line {
	uint64_t seq, time;
	enum journal_what what;
	char id[JOURNAL_ID_LEN + 1]; /* "": the server's */
	char name[SPEC_NAME_MAX + 1], session[SPEC_NAME_MAX + 1];
	char detail[JOURNAL_DETAIL_MAX];
};

struct journal {
	int dirfd, fd; /* borrowed; ours */
	uint64_t bound;
	pthread_mutex_t io; /* who writes; before the others */
	char *out;	    /* under io: lines that are on their way to the disk */
	size_t out_len, out_room;
	bool failing;	       /* under io: and it was said */
	pthread_rwlock_t kept; /* held by who reads the file: no line is dropped meanwhile */
	pthread_mutex_t lock;  /* innermost; all below */
	uint64_t seq;	       /* of the newest line */
	uint64_t start, end;   /* of the lines in the file; changed under io, too */
	uint64_t mtime;
	char *queue;
	size_t queue_len, queue_room;
	size_t waiting; /* in @queue and @out; to be read without the lock: is there any? */
	uint64_t lost;
	bool untold; /* atomic: who follows is to be told of new lines */
	struct journal_item *buckets[JOURNAL_BUCKETS];
};

/* journal.c */

/** journal_open() - the file `events` in @dirfd (borrowed) and what it says; what is behind the
 * last whole line is cut off. @bound: bytes to keep. */
int journal_open(int dirfd, uint64_t bound, struct journal **ret, struct ctn_err *err);
void journal_close(struct journal *j);

/** journal_add() - journal_note(); @s: NULL: the server. */
void journal_add(struct journal *j, const struct journal_subject *s, enum journal_what what,
		 uint64_t time, const char *detail);
/** journal_write() - what was noted. 0; -errno, once until it goes again: it waits. */
int journal_write(struct journal *j, struct ctn_err *err);

/* journal_read.c */
int journal_span(struct journal *j, const struct journal_subject *s, struct log_range *ret);
ssize_t journal_copy(struct journal *j, const struct journal_subject *s, uint64_t pos, void *buf,
		     size_t size);

/** struct journal_scan - the whole lines of the file from @at to @end, one after the other. Free
 * with journal_scan_end(). */
struct journal_scan {
	int fd;
	uint64_t at, end; /* where the next line begins */
	char *buf;
	size_t used, len;
};
int journal_scan_begin(struct journal_scan *s, int fd, uint64_t at, uint64_t end);
/** journal_scan_next() - @ret: valid until the next call; with its newline. Return: 1; 0: no whole
 * line follows; -errno. */
int journal_scan_next(struct journal_scan *s, const char **ret, size_t *ret_len);
void journal_scan_end(struct journal_scan *s);

/* journal_line.c */
int journal_line_print(char *buf, size_t size, const struct journal_line *l);
bool journal_line_parse(const char *text, size_t len, struct journal_line *ret);
/** journal_line_id() - where in the line its id is, 12 digits; NULL: the server's. */
const char *journal_line_id(const char *text, size_t len);

/* journal_items.c; all under j->lock */
struct journal_item *journal_find(const struct journal *j, const char *id, const char *session);
/** journal_apply() - what the line says. @item: whom it is about; NULL: nobody yet, or the server.
 * Return: that; of one that was removed a reference to be put. */
struct journal_item *journal_apply(struct journal *j, struct journal_item *item,
				   const struct journal_line *l);
/** journal_account() - a line about it of @time and @len bytes is, or will be, at @pos. */
void journal_account(struct journal_item *item, uint64_t time, uint64_t pos, size_t len);
void journal_item_put(struct journal_item *item);
void journal_forget(struct journal *j);
/** journal_items_print(), journal_items_parse() - as a text: of a container's lines that are not
 * kept any more, this is what they said. */
void journal_items_print(const struct journal *j, FILE *out);
int journal_items_parse(struct journal *j, const char *text);

/* journal_file.c */
/** journal_load() - replay what is there. journal_trim() - drop the oldest lines beyond the bound;
 * under j->io, with nothing in j->out. */
int journal_load(struct journal *j, struct ctn_err *err);
int journal_trim(struct journal *j, struct ctn_err *err);
/** journal_put() - write j->out; under j->io. */
int journal_put(struct journal *j, struct ctn_err *err);
/** journal_take() - the queue to j->out; under j->io and j->lock. -ENOMEM. */
int journal_take(struct journal *j);

#endif
