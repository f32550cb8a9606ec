/* SPDX-License-Identifier: Apache-2.0 */
/* Symbolic links in ns/: `ln -sf ../../db/ns/net web/ns/net` makes one under a name of its own and
 * renames it. Over ns/<kind>, that is a write of where it leads. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../core/cleanup.h"
#include "files.h"
#include "ops.h"

enum { LINKS_MAX = 16, TARGET_MAX = 4095 };

/* One link. All under lock. @slot: in its node id. */
struct ns_link {
	struct ns_link *next;
	uint32_t serial, slot;
	char *name, *target;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* innermost */
static struct ns_link *links;				 /* under lock */
static uint32_t last_slot;				 /* under lock */

static bool is_ns_dir(const struct node_ref *dir)
{
	return dir->c && strcmp(dir->node->path, "ns") == 0;
}

static const struct node *link_row(const struct node *dir)
{
	const struct node *node = node_next(dir, NULL);

	while (node && !(node->flags & N_LINKS))
		node = node_next(dir, node);
	return node;
}

/* Where the link called @name is in the list; its end: there is none. */
static struct ns_link **find(const struct node_ref *dir, const char *name)
{
	uint32_t serial = is_ns_dir(dir) ? container_serial(dir->c) : 0;
	struct ns_link **at = &links;

	while (*at && ((*at)->serial != serial || strcmp((*at)->name, name) != 0))
		at = &(*at)->next;
	return at;
}

static void drop(struct ns_link **at)
{
	struct ns_link *link = *at;

	*at = link->next;
	free(link->name);
	free(link->target);
	free(link);
}

/* --- making, finding --- */

static unsigned count(uint32_t serial)
{
	unsigned n = 0;

	for (const struct ns_link *link = links; link; link = link->next)
		n += link->serial == serial;
	return n;
}

static int check_new(const struct node_ref *dir, const char *name, const char *target,
		     struct ctn_err *err)
{
	unsigned n = count(container_serial(dir->c));

	if (strlen(target) > TARGET_MAX)
		return ctn_fail(err, ENAMETOOLONG, "a link to a path of more than %d bytes",
				TARGET_MAX);
	if (*find(dir, name))
		return ctn_fail(err, EEXIST, "there is a link of that name already");
	if (n >= LINKS_MAX)
		return ctn_fail(err, ENOSPC, "there are %u links already; rm those that ls shows",
				n);
	return 0;
}

int ns_link_create(const struct node_ref *dir, const char *name, const char *target,
		   struct node_ref *ret, struct ctn_err *err)
{
	struct ns_link *link;
	int r;

	if (!is_ns_dir(dir))
		return ctn_fail(err, EPERM, "no links can be made here, but in ns/");
	link = calloc(1, sizeof(*link));
	if (!link || !(link->name = strdup(name)) || !(link->target = strdup(target))) {
		if (link)
			drop(&link);
		return ctn_fail(err, ENOMEM, "no memory for a link");
	}
	pthread_mutex_lock(&lock);
	r = check_new(dir, name, target, err);
	if (r == 0) {
		link->serial = container_serial(dir->c);
		link->slot = last_slot = (last_slot + 1) & ((1U << NODE_EXTRA_BITS) - 1);
		*ret = (struct node_ref){.fs = dir->fs,
					 .node = link_row(dir->node),
					 .c = dir->c,
					 .extra = link->slot};
		link->next = links;
		links = link;
	}
	pthread_mutex_unlock(&lock);
	if (r < 0)
		drop(&link);
	return r;
}

bool ns_link_find(const struct node_ref *dir, const char *name, struct node_ref *ret)
{
	const struct ns_link *link;

	pthread_mutex_lock(&lock);
	link = *find(dir, name);
	if (link)
		*ret = (struct node_ref){.fs = dir->fs,
					 .node = link_row(dir->node),
					 .c = dir->c,
					 .extra = link->slot};
	pthread_mutex_unlock(&lock);
	return link;
}

int ns_link_list(const struct node_ref *dir, int (*fn)(void *arg, const char *name, uint32_t slot),
		 void *arg)
{
	uint32_t serial = container_serial(dir->c);
	int r = 0;

	pthread_mutex_lock(&lock);
	for (const struct ns_link *link = links; r == 0 && link; link = link->next) {
		if (link->serial == serial)
			r = fn(arg, link->name, link->slot);
	}
	pthread_mutex_unlock(&lock);
	return r;
}

int ns_link_unlink(const struct node_ref *dir, const char *name)
{
	struct ns_link **at;
	bool found;

	pthread_mutex_lock(&lock);
	at = find(dir, name);
	found = *at;
	if (found)
		drop(at);
	pthread_mutex_unlock(&lock);
	return found ? 0 : -ENOENT;
}

void ns_link_forget(uint32_t serial)
{
	pthread_mutex_lock(&lock);
	for (struct ns_link **at = &links; *at;) {
		if ((*at)->serial == serial)
			drop(at);
		else
			at = &(*at)->next;
	}
	pthread_mutex_unlock(&lock);
}

int show_ns_scratch(const struct node_ref *ref, FILE *out, struct ctn_err *err)
{
	uint32_t serial = container_serial(ref->c);
	const struct ns_link *link;

	pthread_mutex_lock(&lock);
	link = links;
	while (link && (link->serial != serial || link->slot != ref->extra))
		link = link->next;
	if (link)
		fputs(link->target, out); /* to memory */
	pthread_mutex_unlock(&lock);
	return link ? 0 : ctn_fail(err, ENOENT, "the link is gone");
}

/* --- over ns/<kind> --- */

/* Where it leads, from the root on: the directory that it is in is known by names only. */
static int absolute(const struct node_ref *dir, const char *name, char **ret, struct ctn_err *err)
{
	ctn_autofree char *target = NULL;
	struct container_view view;
	const struct ns_link *link;
	int len;

	pthread_mutex_lock(&lock);
	link = *find(dir, name);
	target = link ? strdup(link->target) : NULL;
	pthread_mutex_unlock(&lock);
	if (!target)
		return ctn_fail(err, ENOENT, "the link is gone");
	if (strchr(target, '\n'))
		return ctn_fail(err, EINVAL, "there is a newline in where the link leads");
	if (target[0] == '/') {
		*ret = ctn_take_ptr(target);
		return 0;
	}
	container_view_get(dir->c, &view);
	len = asprintf(ret, "%s/%s/ns/%s", dir->fs->mountpoint, view.spec->name, target);
	container_view_put(&view);
	return len < 0 ? ctn_fail(err, ENOMEM, "no memory for a path") : 0;
}

static int check_rename(const struct node_ref *dir, const struct node_ref *newdir, unsigned flags,
			struct ctn_err *err)
{
	if (flags & ~(unsigned)RENAME_NOREPLACE)
		return ctn_fail(err, EINVAL, "names cannot be exchanged");
	if (newdir->c != dir->c || newdir->node != dir->node)
		return ctn_fail(err, EXDEV, "a link stays in its directory");
	return 0;
}

int ns_link_rename(const struct node_ref *dir, const char *name, const struct node_ref *newdir,
		   const char *newname, unsigned flags, struct ctn_err *err)
{
	ctn_autofree char *path = NULL;
	const struct spec_field *field;
	char field_name[16];
	int r = check_rename(dir, newdir, flags, err);

	if (r < 0)
		return r;
	(void)snprintf(field_name, sizeof(field_name), "ns/%.12s", newname);
	field = spec_field_find(field_name);
	if (!field || strcmp(field_name + 3, newname) != 0)
		return ctn_fail(err, EPERM,
				"a link can take the place of a kind of namespace only: cgroup ipc "
				"mnt net pid time user uts");
	if (flags & RENAME_NOREPLACE)
		return ctn_fail(err, EEXIST, "%s exists", field_name);
	r = absolute(dir, name, &path, err);
	if (r == 0)
		r = container_store(dir->c, field, NULL, path, strlen(path), SPEC_REPLACE, NULL,
				    err);
	if (r == 0)
		(void)ns_link_unlink(dir, name);
	return r;
}
