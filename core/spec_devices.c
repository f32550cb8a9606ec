/* SPDX-License-Identifier: Apache-2.0 */
/* The lines of `devices`; and what the lines of all such lists have in common. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "io.h"
#include "spec_lines_private.h"

enum { MINOR_MAX = (1 << 20) - 1, MAJOR_MAX = (1 << 12) - 1 };

int line_split(const char *what, const char *line, struct line_words *ret, struct ctn_err *err)
{
	char *save = NULL;

	*ret = (struct line_words){.copy = strdup(line)};
	if (!ret->copy)
		return ctn_fail(err, ENOMEM, "%s: no memory for a line", what);
	for (char *w = strtok_r(ret->copy, " \t\r\n", &save); w;
	     w = strtok_r(NULL, " \t\r\n", &save)) {
		if (ret->n == LINE_WORDS_MAX)
			return ctn_fail(err, EINVAL, "%s: '%.80s' has too many words", what, line);
		ret->item[ret->n++] = w;
	}
	return 0;
}

void line_words_free(struct line_words *w)
{
	free(w->copy);
}

int line_print(const char *what, char **ret, struct ctn_err *err, const char *fmt, ...)
{
	char *line = NULL;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&line, fmt, ap);
	va_end(ap);
	if (n < 0)
		return ctn_fail(err, ENOMEM, "%s: no memory for a line", what);
	*ret = line;
	return 0;
}

int line_check_path(const char *what, const char *path, struct ctn_err *err)
{
	size_t n = strlen(path);

	if (path[0] != '/' || n < 2 || n >= LINE_PATH_MAX || path[n - 1] == '/' ||
	    strstr(path, "//"))
		return ctn_fail(err, EINVAL, "%s: '%.80s' is not an absolute path inside", what,
				path);
	for (const char *p = path; p; p = strchr(p + 1, '/')) {
		size_t part = strcspn(p + 1, "/");

		if ((part == 1 && p[1] == '.') || (part == 2 && p[1] == '.' && p[2] == '.'))
			return ctn_fail(err, EINVAL, "%s: '%.80s' has . or .. in it", what, path);
	}
	return 0;
}

const char *const spec_default_devices[] = {
	"c 1:3 rw /dev/null",
	"c 1:5 rw /dev/zero",
	"c 1:7 rw /dev/full",
	"c 1:8 rw /dev/random",
	"c 1:9 rw /dev/urandom",
	"c 5:0 rw /dev/tty",
	"c 5:1 rw",
	"c 5:2 rw",
	"c 136:* rw",
	NULL,
};

static int device_number(const char *line, const char *text, int64_t max, int64_t *ret,
			 struct ctn_err *err)
{
	if (strcmp(text, "*") == 0) {
		*ret = -1;
		return 0;
	}
	(void)line;
	return parse_i64("devices: a device's number", text, 0, max, ret, err);
}

static int device_numbers(const char *line, char *text, struct spec_device *d, struct ctn_err *err)
{
	char *colon = strchr(text, ':');
	int r;

	if (!colon)
		return ctn_fail(err, EINVAL, "devices: '%.80s': '%s' is no MAJOR:MINOR", line,
				text);
	*colon = '\0';
	r = device_number(line, text, MAJOR_MAX, &d->major, err);
	return r < 0 ? r : device_number(line, colon + 1, MINOR_MAX, &d->minor, err);
}

static int device_access(const char *line, const char *text, struct spec_device *d,
			 struct ctn_err *err)
{
	for (const char *p = text; *p; p++) {
		unsigned bit = *p == 'r' ? 4 : *p == 'w' ? 2 : *p == 'm' ? 1 : 0;

		if (!bit || d->access & bit)
			return ctn_fail(err, EINVAL,
					"devices: '%.80s': '%s' is not r, w and m, each once", line,
					text);
		d->access |= bit;
	}
	return 0;
}

static int device_owner(char *text, struct spec_device *d, struct ctn_err *err)
{
	char *colon = strchr(text, ':');
	uint64_t uid = 0, gid = 0;
	int r;

	if (!colon)
		return ctn_fail(err, EINVAL, "devices: %s: '%s' is no UID:GID", d->path, text);
	*colon = '\0';
	r = parse_u64("devices: a node's uid", text, UINT32_MAX - 1, &uid, err);
	if (r == 0)
		r = parse_u64("devices: a node's gid", colon + 1, UINT32_MAX - 1, &gid, err);
	d->uid = (uid_t)uid;
	d->gid = (gid_t)gid;
	return r;
}

static int device_node(const char *line, const struct line_words *w, struct spec_device *d,
		       struct ctn_err *err)
{
	char *end;
	int r = line_check_path("devices", w->item[3], err);

	if (r < 0)
		return r;
	if (strncmp(w->item[3], "/dev/", 5) != 0)
		return ctn_fail(err, EINVAL, "devices: %s is not below /dev", w->item[3]);
	if (d->type == 'a' || d->major < 0 || d->minor < 0)
		return ctn_fail(err, EINVAL,
				"devices: '%.80s': a node needs a type and two numbers", line);
	strcpy(d->path, w->item[3]);
	if (w->n > 4) {
		unsigned long mode = strtoul(w->item[4], &end, 8);

		if (*end || mode > 0777)
			return ctn_fail(err, EINVAL, "devices: %s: '%s' is no octal mode", d->path,
					w->item[4]);
		d->mode = (mode_t)mode;
	}
	return w->n > 5 ? device_owner(w->item[5], d, err) : 0;
}

int spec_device_parse(const char *line, struct spec_device *ret, struct ctn_err *err)
{
	line_autowords struct line_words w = {0};
	struct spec_device d = {.mode = 0666};
	int r = line_split("devices", line, &w, err);

	if (r < 0)
		return r;
	if (w.n < 3 || w.n > 6 || strlen(w.item[0]) != 1 || !strchr("abc", w.item[0][0]))
		return ctn_fail(err, EINVAL,
				"devices: '%.80s' is not like c 1:3 rwm /dev/null: a type (c b a), "
				"MAJOR:MINOR, access, and perhaps a path, mode and UID:GID",
				line);
	d.type = w.item[0][0];
	r = device_numbers(line, w.item[1], &d, err);
	if (r == 0)
		r = device_access(line, w.item[2], &d, err);
	if (r == 0 && w.n > 3)
		r = device_node(line, &w, &d, err);
	if (r == 0)
		*ret = d;
	return r;
}

int spec_device_line(const struct spec_device *d, char **ret, struct ctn_err *err)
{
	char major[24] = "*", minor[24] = "*", node[64] = "";

	if (d->major >= 0)
		snprintf(major, sizeof(major), "%lld", (long long)d->major);
	if (d->minor >= 0)
		snprintf(minor, sizeof(minor), "%lld", (long long)d->minor);
	if (d->uid || d->gid)
		snprintf(node, sizeof(node), " %04o %u:%u", (unsigned)d->mode, d->uid, d->gid);
	else if (d->mode != 0666)
		snprintf(node, sizeof(node), " %04o", (unsigned)d->mode);
	return line_print("devices", ret, err, "%c %s:%s %s%s%s%s%s%s", d->type, major, minor,
			  d->access & 4 ? "r" : "", d->access & 2 ? "w" : "",
			  d->access & 1 ? "m" : "", d->path[0] ? " " : "", d->path,
			  d->path[0] ? node : "");
}
