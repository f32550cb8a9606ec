/* SPDX-License-Identifier: Apache-2.0 */
#include "spec_mounts.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "io.h"
#include "spec_lines_private.h"

enum { FIELDS_MAX = 6, FIELDS_LEAST = 4, PATH_ROOM = 4096 };

const char *const spec_mount_defaults[] = {
	"/proc", "/sys", "/dev", "/dev/pts", "/dev/shm", "/dev/mqueue", "/tmp", "/run", NULL,
};

bool spec_mount_default(const char *target)
{
	for (const char *const *p = spec_mount_defaults; *p; p++) {
		if (strcmp(*p, target) == 0)
			return true;
	}
	return false;
}

void spec_mount_free(struct spec_mount *m)
{
	free(m->source);
	free(m->target);
	free(m->type);
	free(m->data);
	*m = (struct spec_mount){0};
}

/* --- fields --- */

static bool is_octal(const char *p)
{
	return p[0] >= '0' && p[0] <= '3' && p[1] >= '0' && p[1] <= '7' && p[2] >= '0' &&
	       p[2] <= '7';
}

/* \040 is a blank, as in fstab(5); any other backslash is itself. */
static char *unescape(const char *from, size_t n)
{
	char *text = malloc(n + 1), *to = text;

	for (size_t i = 0; text && i < n; i++) {
		if (from[i] == '\\' && n - i >= 4 && is_octal(from + i + 1)) {
			*to++ = (char)((from[i + 1] - '0') << 6 | (from[i + 2] - '0') << 3 |
				       (from[i + 3] - '0'));
			i += 3;
		} else {
			*to++ = from[i];
		}
	}
	if (text)
		*to = '\0';
	return text;
}

/* The line's fields, unescaped, each to be freed. Return: how many; -EINVAL; -ENOMEM. */
static int split(const char *line, char *fields[FIELDS_MAX], struct ctn_err *err)
{
	int n = 0;

	for (const char *p = line;;) {
		size_t len;

		p += strspn(p, " \t\r\n");
		if (!*p)
			return n;
		if (n == FIELDS_MAX)
			return ctn_fail(err, EINVAL,
					"mounts: '%.80s' has more than six fields; a blank in a "
					"path is \\040",
					line);
		len = strcspn(p, " \t\r\n");
		fields[n] = unescape(p, len);
		if (!fields[n])
			return ctn_fail(err, ENOMEM, "mounts: no memory for a line");
		n++;
		p += len;
	}
}

/* Absolute; slashes that mean nothing go away. */
static int clean_path(const char *what, char *path, struct ctn_err *err)
{
	char *to = path;

	if (path[0] != '/' || strlen(path) >= PATH_ROOM)
		return ctn_fail(err, EINVAL, "mounts: the %s '%.80s' is not an absolute path", what,
				path);
	for (const char *from = path; *from;) {
		size_t n;

		from += strspn(from, "/");
		n = strcspn(from, "/");
		if ((n == 1 && from[0] == '.') || (n == 2 && from[0] == '.' && from[1] == '.'))
			return ctn_fail(err, EINVAL, "mounts: the %s '%.80s' has . or .. in it",
					what, path);
		if (n == 0)
			break;
		*to++ = '/';
		memmove(to, from, n);
		to += n;
		from += n;
	}
	if (to == path)
		*to++ = '/';
	*to = '\0';
	return 0;
}

static bool is_below(const char *path, const char *dir)
{
	size_t n = strlen(dir);

	return strncmp(path, dir, n) == 0 && path[n] == '/';
}

/* What stands in for the kernel's figures of the whole host: lxcfs(1). */
static const char *const proc_files[] = {
	"/proc/cpuinfo", "/proc/diskstats", "/proc/loadavg",
	"/proc/meminfo", "/proc/slabinfo",  "/proc/stat",
	"/proc/swaps",	 "/proc/uptime",    NULL,
};

static bool is_proc_file(const char *path)
{
	for (const char *const *p = proc_files; *p; p++) {
		if (strcmp(*p, path) == 0)
			return true;
	}
	return false;
}

/* Who could put something else at the kernel's own files could make the set-up, which writes there,
 * write elsewhere. */
static int check_kernel_paths(const struct spec_mount *m, struct ctn_err *err)
{
	const bool bind = m->flags & MOUNT_BIND;
	const char *t = m->target;

	if (strcmp(t, "/") == 0)
		return ctn_fail(err, EINVAL, "mounts: / is the root file system: see rootfs");
	if (strcmp(t, "/proc") == 0 ? strcmp(m->type, "proc") != 0 || bind
				    : is_below(t, "/proc") && !(bind && is_proc_file(t)))
		return ctn_fail(err, EINVAL,
				"mounts: at %s are the kernel's own files; only a file system of "
				"type proc can be at /proc",
				t);
	if (strcmp(t, "/sys") == 0 && strcmp(m->type, "sysfs") != 0 &&
	    !(bind && strcmp(m->source, "/sys") == 0))
		return ctn_fail(err, EINVAL,
				"mounts: at /sys are the kernel's own files; only a file system of "
				"type sysfs can be there");
	if (is_below(t, "/sys") &&
	    (bind || strncmp(m->type, "cgroup", 6) != 0 || strcmp(t, "/sys/fs/cgroup") != 0))
		return ctn_fail(err, EINVAL,
				"mounts: at %s are the kernel's own files; only a file system of "
				"type cgroup can be at /sys/fs/cgroup",
				t);
	return 0;
}

static const struct {
	const char *type, *only_at; /* NULL: anywhere */
} types[] = {
	{"proc", "/proc"},
	{"sysfs", "/sys"},
	{"tmpfs", NULL},
	{"devpts", "/dev/pts"},
	{"mqueue", "/dev/mqueue"},
	{"cgroup", "/sys/fs/cgroup"},
	{"cgroup2", "/sys/fs/cgroup"},
};

static int check_type(const struct spec_mount *m, struct ctn_err *err)
{
	for (size_t i = 0; i < CTN_COUNT(types); i++) {
		if (strcmp(types[i].type, m->type) != 0)
			continue;
		if (types[i].only_at && strcmp(types[i].only_at, m->target) != 0)
			return ctn_fail(err, EINVAL, "mounts: %s can only be at %s, not at %s",
					m->type, types[i].only_at, m->target);
		return 0;
	}
	return ctn_fail(
		err, EINVAL,
		"mounts: %s: '%.40s' is no type that can be had inside: none (with bind), "
		"tmpfs, proc, sysfs, devpts, mqueue, cgroup; bind what the host has mounted",
		m->target, m->type);
}

static int check_bind(struct spec_mount *m, struct ctn_err *err)
{
	int r = clean_path("source", m->source, err);

	if (r < 0)
		return r;
	if (m->data[0])
		return ctn_fail(err, EINVAL, "mounts: %s: a bind has no option '%.80s'", m->target,
				m->data);
	if (m->flags & MOUNT_TMPCOPYUP)
		return ctn_fail(err, EINVAL, "mounts: %s: tmpcopyup is for a tmpfs", m->target);
	free(m->type);
	m->type = strdup("none");
	return m->type ? 0 : ctn_fail(err, ENOMEM, "mounts: no memory");
}

static int check_new(const struct spec_mount *m, struct ctn_err *err)
{
	if (m->flags & (MOUNT_IDMAP | MOUNT_RIDMAP))
		return ctn_fail(err, EINVAL, "mounts: %s: idmap is for a bind", m->target);
	if (m->flags & MOUNT_TMPCOPYUP && strcmp(m->type, "tmpfs") != 0)
		return ctn_fail(err, EINVAL, "mounts: %s: tmpcopyup is for a tmpfs", m->target);
	return check_type(m, err);
}

int spec_mount_parse(const char *line, struct spec_mount *ret, struct ctn_err *err)
{
	char *fields[FIELDS_MAX] = {NULL};
	struct spec_mount m = {0};
	int n = split(line, fields, err), r = n;

	if (n >= 0 && n < FIELDS_LEAST)
		r = ctn_fail(err, EINVAL,
			     "mounts: '%.80s' is not like fstab(5): source target type options, as "
			     "in /srv/redis /data none bind,rw 0 0",
			     line);
	m = (struct spec_mount){.source = ctn_take_ptr(fields[0]),
				.target = ctn_take_ptr(fields[1]),
				.type = ctn_take_ptr(fields[2]),
				.data = strdup("")};
	if (r >= 0)
		r = m.data ? clean_path("target", m.target, err)
			   : ctn_fail(err, ENOMEM, "mounts: no memory");
	if (r >= 0)
		r = spec_mount_options(&m, fields[3], err);
	if (r >= 0)
		r = m.flags & MOUNT_BIND ? check_bind(&m, err) : check_new(&m, err);
	if (r >= 0)
		r = check_kernel_paths(&m, err);
	for (int i = 0; i < FIELDS_MAX; i++)
		free(fields[i]);
	if (r < 0) {
		spec_mount_free(&m);
		return r;
	}
	*ret = m;
	return 0;
}

static void print_escaped(FILE *out, const char *text)
{
	for (const char *p = text; *p; p++) {
		if (strchr(" \t\n\r\\", *p) || (*p == '#' && p == text))
			fprintf(out, "\\%03o", (unsigned)(unsigned char)*p);
		else
			putc(*p, out);
	}
}

int spec_mount_line(const char *source, const char *target, const char *type, const char *opts,
		    char **ret, struct ctn_err *err)
{
	const char *const fields[] = {source, target, type, opts[0] ? opts : "defaults"};
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	if (!out)
		return ctn_fail(err, ENOMEM, "mounts: no memory");
	for (size_t i = 0; i < CTN_COUNT(fields); i++) {
		print_escaped(out, fields[i][0] ? fields[i] : "none");
		putc(' ', out);
	}
	fputs("0 0", out);
	if (io_text_close(out, &text) < 0)
		return ctn_fail(err, ENOMEM, "mounts: no memory");

	*ret = text;
	return 0;
}

int spec_mount_reprint(const char *line, const struct spec_mount *m, char **ret,
		       struct ctn_err *err)
{
	char *fields[FIELDS_MAX] = {NULL};
	int r = split(line, fields, err);

	if (r >= 0)
		r = spec_mount_line(m->source, m->target, m->type, fields[3] ? fields[3] : "", ret,
				    err);
	for (int i = 0; i < FIELDS_MAX; i++)
		free(fields[i]);
	return r;
}

int spec_mount_said(const char *line, char **ret, struct ctn_err *err)
{
	char *fields[FIELDS_MAX] = {NULL};
	int r = split(line, fields, err);

	if (r >= 0 && r < FIELDS_LEAST)
		r = ctn_fail(err, EINVAL, "mounts: '%.80s' has no options", line);
	if (r >= 0) {
		*ret = fields[3];
		fields[3] = NULL;
		r = 0;
	}
	for (int i = 0; i < FIELDS_MAX; i++)
		free(fields[i]);
	return r;
}
