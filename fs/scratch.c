/* SPDX-License-Identifier: Apache-2.0 */
/* Scratch files: what editors, sed -i and mv need beside a file. In memory, root's alone, few and
 * small. */
#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "../core/cleanup.h"
#include "files.h"
#include "scratch.h"

enum {
	SIZE_MAX_EACH = 1 << 20,
	TOTAL_MAX = 64 << 20, /* bytes of all of them, those of removed containers included */
	BUCKETS = 64,
	SECTOR = 512,
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
/* All below are under lock. */
static struct scratch *buckets[BUCKETS];
static uint32_t last_slot;
static size_t total;

static const struct node *scratch_node(void)
{
	static _Atomic(const struct node *) found;
	const struct node *node = found;

	for (unsigned row = ROW_CONTAINER; !node; row++) {
		if (node_at(row)->flags & N_SCRATCH)
			found = node = node_at(row);
	}
	return node;
}

static struct node_ref ref_of(const struct node_ref *dir, const struct scratch *s)
{
	return (struct node_ref){
		.fs = dir->fs, .node = scratch_node(), .c = dir->c, .extra = s->slot};
}

static struct scratch *by_name(const struct node_ref *dir, const char *name)
{
	uint32_t serial = container_serial(dir->c);

	for (struct scratch *s = buckets[serial % BUCKETS]; s; s = s->next) {
		if (s->serial == serial && s->dir == dir->node && strcmp(s->name, name) == 0)
			return s;
	}
	return NULL;
}

static struct scratch *by_slot(uint32_t serial, uint32_t slot)
{
	struct scratch *s = buckets[serial % BUCKETS];

	while (s && (s->serial != serial || s->slot != slot))
		s = s->next;
	return s;
}

static struct scratch *of_ref(const struct node_ref *ref)
{
	return by_slot(container_serial(ref->c), ref->extra);
}

void scratch_lock(void)
{
	pthread_mutex_lock(&lock);
}

void scratch_unlock(void)
{
	pthread_mutex_unlock(&lock);
}

void scratch_put(struct scratch *s)
{
	struct scratch **p = &buckets[s->serial % BUCKETS];

	if (--s->refs > 0)
		return;
	while (*p != s)
		p = &(*p)->next;
	*p = s->next;
	total -= s->len;
	free(s->data);
	free(s);
}

struct scratch *scratch_named(const struct node_ref *dir, const char *name)
{
	return name[0] ? by_name(dir, name) : NULL;
}

void scratch_drop_name(struct scratch *s)
{
	s->name[0] = '\0';
	scratch_put(s);
}

/* --- making, finding --- */

static bool has_writable(const struct node *dir)
{
	for (const struct node *n = node_next(dir, NULL); n; n = node_next(dir, n)) {
		if (S_ISREG(n->mode) && n->mode & 0222 && !(n->flags & N_SCRATCH))
			return true;
	}
	return false;
}

/* A row's name, whether it is there now or not, or one by which a knob is found. */
static bool is_taken(const struct node *dir, const char *name)
{
	return node_child(dir, name, 0) ||
	       (strcmp(dir->path, "cgroup") == 0 && cgroup_knob_find(name));
}

bool scratch_may(const struct node_ref *dir, const char *name, bool exclusive)
{
	static const char *const patterns[] = {".*", "*~", "*.tmp", "*.sw?"};
	bool known = exclusive;

	for (size_t i = 0; !known && i < CTN_COUNT(patterns); i++)
		known = fnmatch(patterns[i], name, 0) == 0;
	return known && dir->c && has_writable(dir->node) && !is_taken(dir->node, name);
}

/* vim asks so whether it may put another file in a file's place. It may not: the file stays, and is
 * written to. Told so, it does that. */
static bool is_probe(const char *name)
{
	return strspn(name, "0123456789") == strlen(name);
}

static int check_room(const struct node_ref *dir, const char *name, struct ctn_err *err)
{
	uint32_t serial = container_serial(dir->c);
	unsigned n = 0;

	if (strlen(name) >= SCRATCH_NAME_ROOM)
		return ctn_fail(err, ENAMETOOLONG, "a file's name has at most %d bytes",
				SCRATCH_NAME_ROOM - 1);
	if (is_probe(name))
		return ctn_fail(err, EPERM,
				"no scratch file's name is a number; the container's "
				"files are written to, not replaced");
	for (const struct scratch *s = buckets[serial % BUCKETS]; s; s = s->next)
		n += s->serial == serial;
	if (n >= SCRATCH_MAX)
		return ctn_fail(err, ENOSPC,
				"there are %d scratch files already; remove some: ls -A", n);
	return by_name(dir, name) ? ctn_fail(err, EEXIST, "it exists") : 0;
}

/* A number that no file of the container has. */
static uint32_t free_slot(uint32_t serial)
{
	do {
		last_slot = (last_slot + 1) & ((1U << NODE_EXTRA_BITS) - 1);
	} while (by_slot(serial, last_slot));
	return last_slot;
}

int scratch_create(const struct node_ref *dir, const char *name, struct node_ref *ret,
		   struct ctn_err *err)
{
	uint32_t serial = container_serial(dir->c);
	struct scratch *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return ctn_fail(err, ENOMEM, "no memory for a file");
	scratch_lock();
	r = check_room(dir, name, err);
	if (r == 0) {
		*s = (struct scratch){.refs = 1,
				      .next = buckets[serial % BUCKETS],
				      .serial = serial,
				      .slot = free_slot(serial),
				      .dir = dir->node,
				      .mode = 0600,
				      .mtime = mtime_now()};
		strcpy(s->name, name);
		buckets[serial % BUCKETS] = s;
		*ret = ref_of(dir, s);
	} else {
		free(s);
	}
	scratch_unlock();
	return r;
}

bool scratch_find(const struct node_ref *dir, const char *name, struct node_ref *ret)
{
	const struct scratch *s;

	scratch_lock();
	s = scratch_named(dir, name);
	if (s)
		*ret = ref_of(dir, s);
	scratch_unlock();
	return s;
}

size_t scratch_list(const struct node_ref *dir, char names[][SCRATCH_NAME_ROOM],
		    struct node_ref *ret)
{
	uint32_t serial = container_serial(dir->c);
	size_t n = 0;

	scratch_lock();
	for (const struct scratch *s = buckets[serial % BUCKETS]; s && n < SCRATCH_MAX;
	     s = s->next) {
		if (s->serial != serial || s->dir != dir->node || !s->name[0])
			continue;
		strcpy(names[n], s->name);
		ret[n++] = ref_of(dir, s);
	}
	scratch_unlock();
	return n;
}

int scratch_unlink(const struct node_ref *dir, const char *name)
{
	struct scratch *s;

	scratch_lock();
	s = scratch_named(dir, name);
	if (s)
		scratch_drop_name(s);
	scratch_unlock();
	return s ? 0 : -ENOENT;
}

void scratch_forget(uint32_t serial)
{
	struct scratch *next;

	scratch_lock();
	for (struct scratch *s = buckets[serial % BUCKETS]; s; s = next) {
		next = s->next;
		if (s->serial == serial && s->name[0])
			scratch_drop_name(s);
	}
	scratch_unlock();
}

/* --- one file --- */

bool scratch_exists(const struct node_ref *ref)
{
	bool exists;

	if (!(ref->node->flags & N_SCRATCH))
		return true;
	scratch_lock();
	exists = of_ref(ref);
	scratch_unlock();
	return exists;
}

int scratch_stat(const struct node_ref *ref, struct stat *st)
{
	const struct scratch *s;

	scratch_lock();
	s = of_ref(ref);
	if (s) {
		st->st_mode = S_IFREG | s->mode;
		st->st_nlink = s->name[0] != '\0';
		st->st_size = (off_t)s->len;
		st->st_blocks = (blkcnt_t)((s->len + SECTOR - 1) / SECTOR);
		st->st_atim = st->st_mtim = st->st_ctim = timespec_of(s->mtime);
	}
	scratch_unlock();
	return s ? 0 : -ENOENT;
}

int scratch_opened(const struct node_ref *ref)
{
	struct scratch *s;

	scratch_lock();
	s = of_ref(ref);
	if (s)
		s->refs++;
	scratch_unlock();
	return s ? 0 : -ENOENT;
}

void scratch_closed(const struct node_ref *ref)
{
	scratch_lock();
	scratch_put(of_ref(ref)); /* the descriptor has kept it */
	scratch_unlock();
}

ssize_t scratch_read(const struct node_ref *ref, void *buf, size_t size, off_t off)
{
	const struct scratch *s;
	size_t n = 0;

	scratch_lock();
	s = of_ref(ref);
	if (off >= 0 && (size_t)off < s->len) {
		n = s->len - (size_t)off;
		n = n < size ? n : size;
		memcpy(buf, s->data + off, n);
	}
	scratch_unlock();
	return (ssize_t)n;
}

static int resize(struct scratch *s, uint64_t size, struct ctn_err *err)
{
	char *data;

	if (size > SIZE_MAX_EACH)
		return ctn_fail(err, EFBIG, "a scratch file has at most %d bytes", SIZE_MAX_EACH);
	if (size > s->len && size - s->len > TOTAL_MAX - total)
		return ctn_fail(err, ENOSPC, "all scratch files together have at most %d bytes",
				TOTAL_MAX);
	data = realloc(s->data, size + 1);
	if (!data)
		return ctn_fail(err, ENOMEM, "no memory for a scratch file");
	if (size > s->len)
		memset(data + s->len, 0, size - s->len);
	total += size - s->len;
	s->data = data;
	s->len = size;
	return 0;
}

int scratch_write(const struct node_ref *ref, const char *buf, size_t size, off_t off, bool append,
		  struct ctn_err *err)
{
	struct scratch *s;
	uint64_t at;
	int r = 0;

	scratch_lock();
	s = of_ref(ref);
	at = append ? s->len : (uint64_t)off;
	if (at + size > s->len)
		r = resize(s, at + size, err);
	if (r == 0) {
		memcpy(s->data + at, buf, size);
		s->mtime = mtime_now();
	}
	scratch_unlock();
	return r;
}

static uint64_t time_asked(const struct stat *attr, int to_set)
{
	if (to_set & FUSE_SET_ATTR_MTIME_NOW)
		return mtime_now();
	return (uint64_t)attr->st_mtim.tv_sec * 1000000000 + (uint64_t)attr->st_mtim.tv_nsec;
}

int scratch_set(const struct node_ref *ref, const struct stat *attr, int to_set,
		struct ctn_err *err)
{
	struct scratch *s;
	int r = 0;

	scratch_lock();
	s = of_ref(ref);
	if (!s)
		r = ctn_fail(err, ENOENT, "the file is gone");
	if (r == 0 && to_set & FUSE_SET_ATTR_SIZE) {
		r = resize(s, (uint64_t)attr->st_size, err);
		s->mtime = mtime_now();
	}
	if (r == 0 && to_set & FUSE_SET_ATTR_MODE)
		s->mode = attr->st_mode & 07777;
	if (r == 0 && to_set & (FUSE_SET_ATTR_MTIME | FUSE_SET_ATTR_MTIME_NOW))
		s->mtime = time_asked(attr, to_set);
	scratch_unlock();
	return r;
}

int show_scratch(const struct node_ref *ref, FILE *out, struct ctn_err *err)
{
	const struct scratch *s;

	scratch_lock();
	s = of_ref(ref);
	if (s && s->len)
		fwrite(s->data, 1, s->len, out); /* to memory */
	scratch_unlock();
	return s ? 0 : ctn_fail(err, ENOENT, "the file is gone");
}
