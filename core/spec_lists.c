/* SPDX-License-Identifier: Apache-2.0 */
/* `mounts rlimits sysctl devices paths`: lists of lines, each of which has a key. A line replaces
 * the one with its key, "-KEY" removes that. And `rootfs`. */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "spec_lines_private.h"
#include "spec_mounts.h"
#include "spec_private.h"

/**
 * struct list_kind - one of them.
 * @at: its struct strlist in struct spec.
 * @canonical: check a line and print it in its one form, to be freed.
 * @has_key:   whether a canonical line has that key.
 * @default_key: whether "-KEY" without such a line says something: it is kept.
 */
struct list_kind {
	const char *name;
	size_t at;
	int (*canonical)(const char *line, char **ret, struct ctn_err *err);
	bool (*has_key)(const char *line, const char *key, size_t len);
	bool (*default_key)(const char *key);
};

static int mount_canonical(const char *line, char **ret, struct ctn_err *err)
{
	struct spec_mount m = {0};
	int r = spec_mount_parse(line, &m, err);

	/* Its options stay as they were said, in their order. */
	if (r == 0)
		r = spec_mount_reprint(line, &m, ret, err);
	spec_mount_free(&m);
	return r;
}

static int rlimit_canonical(const char *line, char **ret, struct ctn_err *err)
{
	struct spec_rlimit l;
	int r = spec_rlimit_parse(line, &l, err);

	return r < 0 ? r : spec_rlimit_line(&l, ret, err);
}

static int sysctl_canonical(const char *line, char **ret, struct ctn_err *err)
{
	struct spec_sysctl s;
	int r = spec_sysctl_parse(line, &s, err);

	return r < 0 ? r : spec_sysctl_line(s.key, s.value, ret, err);
}

static int device_canonical(const char *line, char **ret, struct ctn_err *err)
{
	struct spec_device d;
	int r = spec_device_parse(line, &d, err);

	return r < 0 ? r : spec_device_line(&d, ret, err);
}

static int path_canonical(const char *line, char **ret, struct ctn_err *err)
{
	struct spec_path p;
	int r = spec_path_parse(line, &p, err);

	return r < 0 ? r : spec_path_line(&p, ret, err);
}

/* Is word number @n of the line, counted from 0, the key? */
static bool is_word(const char *line, unsigned n, const char *key, size_t len)
{
	for (; n > 0; n--) {
		line += strcspn(line, " ");
		line += strspn(line, " ");
	}
	return strncmp(line, key, len) == 0 && (line[len] == ' ' || line[len] == '\0');
}

static bool first_word(const char *line, const char *key, size_t len)
{
	return is_word(line, 0, key, len);
}

/* All of a path, which may have blanks in it. */
static bool path_key(const char *line, const char *key, size_t len)
{
	const char *path = strchr(line, ' ') + 1;

	return strlen(path) == len && strncmp(path, key, len) == 0;
}

/* A removed default is the whole line. */
static bool mount_key(const char *line, const char *key, size_t len)
{
	return line[0] == '-' ? is_word(line + 1, 0, key, len) : is_word(line, 1, key, len);
}

/* A node by its path; a rule without one by type and numbers. */
static bool device_key(const char *line, const char *key, size_t len)
{
	size_t rule = strcspn(line, " ") + 1;

	rule += strcspn(line + rule, " ");
	if (key[0] == '/')
		return is_word(line, 3, key, len);
	return len == rule && strncmp(line, key, len) == 0 && !strchr(line, '/');
}

static const struct list_kind kinds[] = {
	{"mounts", offsetof(struct spec, mounts), mount_canonical, mount_key, spec_mount_default},
	{"rlimits", offsetof(struct spec, rlimits), rlimit_canonical, first_word, NULL},
	{"sysctl", offsetof(struct spec, sysctl), sysctl_canonical, first_word, NULL},
	{"devices", offsetof(struct spec, devices), device_canonical, device_key, NULL},
	{"paths", offsetof(struct spec, paths), path_canonical, path_key, NULL},
};

static struct strlist *list_of(const struct spec *s, const struct list_kind *kind)
{
	return (struct strlist *)((char *)s + kind->at);
}

void spec_list_show(const struct spec *s, const struct spec_field *f, FILE *out)
{
	const struct strlist *list = list_of(s, &kinds[f->arg]);

	for (size_t i = 0; i < list->len; i++)
		fprintf(out, "%s\n", list->items[i]);
	if (list->len == 0)
		putc('\n', out);
}

static bool drop_key(struct strlist *list, const struct list_kind *kind, const char *key,
		     size_t len)
{
	size_t kept = 0;

	for (size_t i = 0; i < list->len; i++) {
		if (kind->has_key(list->items[i], key, len))
			free(list->items[i]);
		else
			list->items[kept++] = list->items[i];
	}
	if (kept == list->len)
		return false;
	list->len = kept;
	list->items[kept] = NULL;
	return true;
}

static int list_append(struct strlist *list, const struct list_kind *kind, const char *line,
		       struct ctn_err *err)
{
	if (list->len >= SPEC_LINES_MAX)
		return ctn_fail(err, E2BIG, "%s: more than %d lines", kind->name, SPEC_LINES_MAX);
	if (strlist_add(list, line, strlen(line)) < 0)
		return ctn_fail(err, ENOMEM, "%s: no memory", kind->name);
	return 0;
}

static int list_remove(struct spec *s, const struct list_kind *kind, char *key, struct ctn_err *err)
{
	struct strlist *list = list_of(s, kind);
	size_t len = strlen(key);
	bool had;

	while (len > 0 && strchr(" \t\r", key[len - 1]))
		key[--len] = '\0';
	had = len > 0 && drop_key(list, kind, key, len);
	if (kind->default_key && kind->default_key(key))
		return list_append(list, kind, key - 1, err); /* with its minus */
	if (!had)
		return ctn_fail(err, EINVAL, "%s: there is no line for '%.80s' to remove",
				kind->name, key);
	return 0;
}

/* The key of a canonical line. */
static void key_of(const struct list_kind *kind, const char *line, const char **ret,
		   size_t *ret_len)
{
	const char *from = line;
	size_t n;

	if (kind->has_key == path_key || kind->has_key == mount_key)
		from += strcspn(from, " ") + 1;
	if (kind->has_key == device_key && strchr(line, '/'))
		from = strchr(line, '/');
	n = kind->has_key == path_key ? strlen(from) : strcspn(from, " ");
	if (kind->has_key == device_key && from == line)
		n += 1 + strcspn(from + n + 1, " ");
	*ret = from;
	*ret_len = n;
}

static int list_add(struct spec *s, const struct list_kind *kind, const char *line,
		    struct ctn_err *err)
{
	struct strlist *list = list_of(s, kind);
	ctn_autofree char *canonical = NULL;
	const char *key;
	size_t len;
	int r = kind->canonical(line, &canonical, err);

	if (r < 0)
		return r;
	key_of(kind, canonical, &key, &len);
	(void)drop_key(list, kind, key, len);
	return list_append(list, kind, canonical, err);
}

int spec_list_store(struct spec *s, const struct spec_field *f, const char *text,
		    enum spec_write how, struct ctn_err *err)
{
	const struct list_kind *kind = &kinds[f->arg];

	if (how == SPEC_REPLACE)
		strlist_free(list_of(s, kind));
	while (*text) {
		size_t n = strcspn(text, "\n");
		const char *from = text + strspn(text, " \t\r");
		ctn_autofree char *line = NULL;
		int r;

		text += n + (text[n] == '\n');
		if (from >= text || *from == '\n' || *from == '#' || !*from)
			continue;
		line = strndup(from, strcspn(from, "\n"));
		if (!line)
			return ctn_fail(err, ENOMEM, "%s: no memory", kind->name);
		r = line[0] == '-' ? list_remove(s, kind, line + 1, err)
				   : list_add(s, kind, line, err);
		if (r < 0)
			return r;
	}
	return 0;
}

/* --- rootfs --- */

static const char *const root_modes[] = {"overlay", "ro", "rw"};

void spec_rootfs_show(const struct spec *s, const struct spec_field *f, FILE *out)
{
	(void)f;
	fprintf(out, "%s %s\n", s->rootfs ? s->rootfs : "host", root_modes[s->root_mode]);
}

static int rootfs_check(const char *path, enum spec_root_mode mode, struct ctn_err *err)
{
	if (strcmp(path, "host") == 0 && mode != SPEC_ROOT_OVERLAY)
		return ctn_fail(err, EINVAL,
				"rootfs: host is always an overlay; ro and rw need a directory of "
				"your own");
	if (strncmp(path, "oci:", 4) == 0)
		return ctn_fail(err, EOPNOTSUPP,
				"rootfs: images cannot be unpacked here; unpack it and name the "
				"directory");
	if (strcmp(path, "host") != 0)
		return line_check_path("rootfs", path, err);
	return 0;
}

/* A directory's name may have blanks in it, so the mode is the last word if it is one. */
int spec_rootfs_store(struct spec *s, const struct spec_field *f, const char *text,
		      enum spec_write how, struct ctn_err *err)
{
	enum spec_root_mode mode = SPEC_ROOT_OVERLAY;
	ctn_autofree char *value = NULL;
	char *last;
	int r = spec_one_value(text, &value, err);

	(void)f;
	(void)how;
	if (r < 0)
		return r;
	last = strrchr(value, ' ');
	for (size_t i = 0; last && i < CTN_COUNT(root_modes); i++) {
		if (strcmp(last + 1, root_modes[i]) != 0)
			continue;
		mode = (enum spec_root_mode)i;
		while (last > value && last[-1] == ' ')
			last--;
		*last = '\0';
		break;
	}
	r = rootfs_check(value[0] ? value : "host", mode, err);
	if (r < 0)
		return r;
	free(s->rootfs);
	s->rootfs = value[0] && strcmp(value, "host") != 0 ? ctn_take_ptr(value) : NULL;
	s->root_mode = mode;
	return 0;
}
