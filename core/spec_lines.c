/* SPDX-License-Identifier: Apache-2.0 */
#include "spec_lines_private.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "cleanup.h"
#include "io.h"

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
	line_autowords struct line_words w = {0};
	struct spec_rlimit l = {0};
	int r = line_split("rlimits", line, &w, err);

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

/* --- paths --- */

const char *const spec_default_paths[] = {
	"masked /proc/acpi",
	"masked /proc/asound",
	"masked /proc/dynamic_debug", /* where its root is the host's it could be written */
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
	r = line_check_path("paths", p.path, err);
	if (r == 0)
		*ret = p;
	return r;
}

int spec_path_line(const struct spec_path *path, char **ret, struct ctn_err *err)
{
	return line_print("paths", ret, err, "%s %s", path->masked ? "masked" : "readonly",
			  path->path);
}
