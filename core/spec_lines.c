/* SPDX-License-Identifier: Apache-2.0 */
#include "spec_lines.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "cleanup.h"
#include "io.h"

enum { WORDS_MAX = 8, MINOR_MAX = (1 << 20) - 1, MAJOR_MAX = (1 << 12) - 1 };

/* The first words of a line, at most WORDS_MAX; the copy that they point into is to be freed. */
struct words {
	char *copy;
	char *item[WORDS_MAX];
	size_t n;
};

static int split(const char *what, const char *line, struct words *ret, struct ctn_err *err)
{
	char *save = NULL;

	*ret = (struct words){.copy = strdup(line)};
	if (!ret->copy)
		return ctn_fail(err, ENOMEM, "%s: no memory for a line", what);
	for (char *w = strtok_r(ret->copy, " \t\r\n", &save); w;
	     w = strtok_r(NULL, " \t\r\n", &save)) {
		if (ret->n == WORDS_MAX)
			return ctn_fail(err, EINVAL, "%s: '%.80s' has too many words", what, line);
		ret->item[ret->n++] = w;
	}
	return 0;
}

static void words_free(struct words *w)
{
	free(w->copy);
}

#define autowords __attribute__((cleanup(words_free)))

/* --- rlimits --- */

static const struct {
	const char *name;
	int resource;
} limits[] = {
	{"as", RLIMIT_AS},
	{"core", RLIMIT_CORE},
	{"cpu", RLIMIT_CPU},
	{"data", RLIMIT_DATA},
	{"fsize", RLIMIT_FSIZE},
	{"locks", RLIMIT_LOCKS},
	{"memlock", RLIMIT_MEMLOCK},
	{"msgqueue", RLIMIT_MSGQUEUE},
	{"nice", RLIMIT_NICE},
	{"nofile", RLIMIT_NOFILE},
	{"nproc", RLIMIT_NPROC},
	{"rss", RLIMIT_RSS},
	{"rtprio", RLIMIT_RTPRIO},
	{"rttime", RLIMIT_RTTIME},
	{"sigpending", RLIMIT_SIGPENDING},
	{"stack", RLIMIT_STACK},
};

const char *spec_rlimit_name(int resource)
{
	for (size_t i = 0; i < CTN_COUNT(limits); i++) {
		if (limits[i].resource == resource)
			return limits[i].name;
	}
	return NULL;
}

static int limit_find(const char *name, int *ret, struct ctn_err *err)
{
	const char *p = strncasecmp(name, "RLIMIT_", 7) == 0 ? name + 7 : name;

	for (size_t i = 0; i < CTN_COUNT(limits); i++) {
		if (strcasecmp(limits[i].name, p) == 0) {
			*ret = limits[i].resource;
			return 0;
		}
	}
	return ctn_fail(err, EINVAL,
			"rlimits: '%.40s' is no limit of getrlimit(2): nofile, nproc, core …",
			name);
}

static int limit_value(const char *name, const char *text, uint64_t *ret, struct ctn_err *err)
{
	char what[64];

	if (strcmp(text, "max") == 0 || strcmp(text, "unlimited") == 0) {
		*ret = RLIM_INFINITY;
		return 0;
	}
	snprintf(what, sizeof(what), "rlimits: %.40s", name);
	return parse_u64(what, text, RLIM_INFINITY, ret, err);
}

int spec_rlimit_parse(const char *line, struct spec_rlimit *ret, struct ctn_err *err)
{
	autowords struct words w = {0};
	struct spec_rlimit l = {0};
	int r = split("rlimits", line, &w, err);

	if (r < 0)
		return r;
	if (w.n < 2 || w.n > 3)
		return ctn_fail(err, EINVAL,
				"rlimits: '%.80s' is not a name, a soft and a hard limit, as in "
				"nofile 1024 4096",
				line);
	r = limit_find(w.item[0], &l.resource, err);
	if (r == 0)
		r = limit_value(w.item[0], w.item[1], &l.soft, err);
	if (r == 0)
		r = limit_value(w.item[0], w.item[w.n - 1], &l.hard, err);
	if (r < 0)
		return r;
	if (l.soft > l.hard)
		return ctn_fail(err, EINVAL,
				"rlimits: %s: the soft limit %s is above the hard limit %s",
				w.item[0], w.item[1], w.item[2]);
	*ret = l;
	return 0;
}

static void limit_print(char *to, size_t room, uint64_t value)
{
	if (value == RLIM_INFINITY)
		snprintf(to, room, "max");
	else
		snprintf(to, room, "%llu", (unsigned long long)value);
}

/* asprintf(3) with our way of failing. */
__attribute__((format(printf, 4, 5))) static int line_print(const char *what, char **ret,
							    struct ctn_err *err, const char *fmt,
							    ...)
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

int spec_rlimit_line(const struct spec_rlimit *limit, char **ret, struct ctn_err *err)
{
	const char *name = spec_rlimit_name(limit->resource);
	char soft[24], hard[24];

	if (!name)
		return ctn_fail(err, EINVAL, "rlimits: there is no limit number %d",
				limit->resource);
	limit_print(soft, sizeof(soft), limit->soft);
	limit_print(hard, sizeof(hard), limit->hard);
	return line_print("rlimits", ret, err, "%s %s %s", name, soft, hard);
}

/* --- sysctl --- */

/* Settings that a namespace has of its own; a name that ends with a dot stands for all below it. */
static const struct {
	const char *name;
	enum ns_kind kind;
} sysctls[] = {
	{"net.", NS_NET},
	{"fs.mqueue.", NS_IPC},
	{"kernel.msgmax", NS_IPC},
	{"kernel.msgmnb", NS_IPC},
	{"kernel.msgmni", NS_IPC},
	{"kernel.msg_next_id", NS_IPC},
	{"kernel.sem", NS_IPC},
	{"kernel.sem_next_id", NS_IPC},
	{"kernel.shmall", NS_IPC},
	{"kernel.shmmax", NS_IPC},
	{"kernel.shmmni", NS_IPC},
	{"kernel.shm_next_id", NS_IPC},
	{"kernel.shm_rmid_forced", NS_IPC},
	{"kernel.domainname", NS_UTS},
	{"kernel.hostname", NS_UTS},
};

/* With slashes between the parts; in the dotted form a slash stands for a dot in a part, in the
 * other one nothing does: sysctl(8). */
static int sysctl_path(const char *key, char *path, struct ctn_err *err)
{
	size_t n = strlen(key), first = strcspn(key, "./");
	bool slashes = key[first] == '/';

	if (n == 0 || n >= LINE_NAME_MAX)
		return ctn_fail(err, EINVAL, "sysctl: a name has 1 to %d characters",
				LINE_NAME_MAX - 1);
	for (size_t i = 0; i < n; i++) {
		char c = key[i];

		if (!isalnum((unsigned char)c) && !strchr("_-./", c))
			return ctn_fail(err, EINVAL, "sysctl: '%.80s' is no name of a setting",
					key);
		path[i] = slashes ? c : c == '.' ? '/' : c == '/' ? '.' : c;
	}
	path[n] = '\0';
	if (path[0] == '/' || path[n - 1] == '/' || strstr(path, "//") || strstr(path, ".."))
		return ctn_fail(err, EINVAL, "sysctl: '%.80s' has an empty part or dots for one",
				key);
	return 0;
}

static int sysctl_kind(const char *key, const char *path, enum ns_kind *ret, struct ctn_err *err)
{
	char dotted[LINE_NAME_MAX];

	for (size_t i = 0; i <= strlen(path); i++)
		dotted[i] = path[i] == '/' ? '.' : path[i];
	for (size_t i = 0; i < CTN_COUNT(sysctls); i++) {
		size_t n = strlen(sysctls[i].name);

		if (sysctls[i].name[n - 1] == '.' ? strncmp(dotted, sysctls[i].name, n) == 0
						  : strcmp(dotted, sysctls[i].name) == 0) {
			*ret = sysctls[i].kind;
			return 0;
		}
	}
	return ctn_fail(err, EINVAL,
			"sysctl: %s belongs to no namespace, it would be the whole host's; set it "
			"there",
			key);
}

int spec_sysctl_parse(const char *line, struct spec_sysctl *ret, struct ctn_err *err)
{
	const char *equals = strchr(line, '='), *end = equals, *value;
	struct spec_sysctl s = {0};
	size_t n;
	int r;

	line += strspn(line, " \t");
	if (!equals || equals <= line)
		return ctn_fail(err, EINVAL,
				"sysctl: '%.80s' is not a name and a value, as in "
				"net.core.somaxconn = 1024",
				line);
	while (end > line && isblank((unsigned char)end[-1]))
		end--;
	n = (size_t)(end - line);
	if (n >= sizeof(s.key))
		return ctn_fail(err, EINVAL, "sysctl: a name has 1 to %d characters",
				LINE_NAME_MAX - 1);
	memcpy(s.key, line, n);
	value = equals + 1 + strspn(equals + 1, " \t");
	n = strlen(value);
	while (n > 0 && isspace((unsigned char)value[n - 1]))
		n--;
	if (n == 0 || n >= sizeof(s.value) || memchr(value, '\n', n))
		return ctn_fail(err, EINVAL,
				"sysctl: %s needs a value of one line, at most %zu "
				"bytes",
				s.key, sizeof(s.value) - 1);
	memcpy(s.value, value, n);
	r = sysctl_path(s.key, s.path, err);
	if (r == 0)
		r = sysctl_kind(s.key, s.path, &s.kind, err);
	if (r == 0)
		*ret = s;
	return r;
}

int spec_sysctl_line(const char *key, const char *value, char **ret, struct ctn_err *err)
{
	return line_print("sysctl", ret, err, "%s = %s", key, value);
}

/* --- devices --- */

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

/* Absolute, no empty part, no "." and "..". */
static int check_path(const char *what, const char *path, struct ctn_err *err)
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

static int device_node(const char *line, const struct words *w, struct spec_device *d,
		       struct ctn_err *err)
{
	char *end;
	int r = check_path("devices", w->item[3], err);

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
	autowords struct words w = {0};
	struct spec_device d = {.mode = 0666};
	int r = split("devices", line, &w, err);

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

/* --- paths --- */

const char *const spec_default_paths[] = {
	"masked /proc/acpi",
	"masked /proc/asound",
	"masked /proc/interrupts",
	"masked /proc/kcore",
	"masked /proc/keys",
	"masked /proc/latency_stats",
	"masked /proc/sched_debug",
	"masked /proc/scsi",
	"masked /proc/timer_list",
	"masked /proc/timer_stats",
	"masked /sys/devices/virtual/powercap",
	"masked /sys/firmware",
	"masked /sys/fs/bpf",
	"masked /sys/fs/fuse",
	"masked /sys/fs/pstore",
	"masked /sys/fs/selinux",
	"masked /sys/kernel/debug",
	"masked /sys/kernel/security",
	"masked /sys/kernel/tracing",
	"readonly /proc/bus",
	"readonly /proc/fs",
	"readonly /proc/irq",
	"readonly /proc/sys",
	"readonly /proc/sysrq-trigger",
	NULL,
};

int spec_path_parse(const char *line, struct spec_path *ret, struct ctn_err *err)
{
	struct spec_path p = {0};
	const char *from = line + strspn(line, " \t");
	size_t word = strcspn(from, " \t"), n;
	int r;

	p.masked = word == 6 && strncmp(from, "masked", word) == 0;
	if (!p.masked && !(word == 8 && strncmp(from, "readonly", word) == 0))
		return ctn_fail(err, EINVAL,
				"paths: '%.80s' begins neither with masked nor with readonly",
				line);
	from += word + strspn(from + word, " \t");
	n = strlen(from);
	while (n > 0 && isspace((unsigned char)from[n - 1]))
		n--;
	if (n >= sizeof(p.path))
		return ctn_fail(err, ENAMETOOLONG, "paths: longer than %d bytes",
				LINE_PATH_MAX - 1);
	memcpy(p.path, from, n);
	r = check_path("paths", p.path, err);
	if (r == 0)
		*ret = p;
	return r;
}

int spec_path_line(const struct spec_path *path, char **ret, struct ctn_err *err)
{
	return line_print("paths", ret, err, "%s %s", path->masked ? "masked" : "readonly",
			  path->path);
}
