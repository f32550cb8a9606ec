/* SPDX-License-Identifier: Apache-2.0 */
#include "spec.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "caps.h"
#include "cleanup.h"
#include "spec_lines.h"

enum { SPEC_LOG_MAX = 16 << 20 };

static int add_all(struct strlist *list, const char *const *items)
{
	for (; *items; items++) {
		if (strlist_add(list, *items, strlen(*items)) < 0)
			return -ENOMEM;
	}
	return 0;
}

struct spec *spec_new(const char *name)
{
	struct spec *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->refs = 1;
	s->name = strdup(name);
	s->cwd = strdup("/");
	s->user = strdup("");
	s->seccomp = strdup("default");
	s->start = true;
	s->caps = CAPS_DEFAULT;
	s->no_new_privs = s->notify = true;
	s->log_max = SPEC_LOG_MAX;
	if (!s->name || !s->cwd || !s->user || !s->seccomp ||
	    add_all(&s->devices, spec_default_devices) < 0 ||
	    add_all(&s->paths, spec_default_paths) < 0 ||
	    strlist_add(&s->cgroup, SPEC_KNOB_DEFAULT, strlen(SPEC_KNOB_DEFAULT)) < 0) {
		spec_put(s);
		return NULL;
	}
	return s;
}

struct spec_oci *spec_oci_edit(struct spec *s)
{
	if (!s->oci) {
		s->oci = calloc(1, sizeof(*s->oci));
		if (s->oci)
			s->oci->umask = s->oci->ioprio = -1, s->oci->personality = -1;
	}
	return s->oci;
}

static void oci_free(struct spec_oci *oci)
{
	if (!oci)
		return;
	free(oci->domainname);
	free(oci->cgroups_path);
	strlist_free(&oci->annotations);
	free(oci);
}

/* Copy a string that may be NULL. */
static bool copy_text(char **dst, const char *src)
{
	*dst = src ? strdup(src) : NULL;
	return *dst || !src;
}

static bool copy_oci(struct spec *s, const struct spec_oci *from)
{
	struct spec_oci *oci;

	if (!from)
		return true;
	oci = spec_oci_edit(s);
	if (!oci)
		return false;
	*oci = *from;
	oci->domainname = oci->cgroups_path = NULL;
	oci->annotations = (struct strlist){0};
	return copy_text(&oci->domainname, from->domainname) &&
	       copy_text(&oci->cgroups_path, from->cgroups_path) &&
	       strlist_copy(&oci->annotations, &from->annotations) == 0;
}

static bool copy_lists(struct spec *s, const struct spec *from)
{
	const struct {
		struct strlist *to;
		const struct strlist *from;
	} lists[] = {
		{&s->cmd, &from->cmd},
		{&s->env, &from->env},
		{&s->cgroup, &from->cgroup},
		{&s->mounts, &from->mounts},
		{&s->rlimits, &from->rlimits},
		{&s->sysctl, &from->sysctl},
		{&s->devices, &from->devices},
		{&s->paths, &from->paths},
		{&s->seccomp_deltas, &from->seccomp_deltas},
	};
	bool ok = true;

	for (size_t i = 0; ok && i < CTN_COUNT(lists); i++)
		ok = strlist_copy(lists[i].to, lists[i].from) == 0;
	return ok;
}

struct spec *spec_dup(const struct spec *from)
{
	struct spec *s = calloc(1, sizeof(*s));
	bool ok;

	if (!s)
		return NULL;
	s->refs = 1;
	s->start = from->start;
	s->caps = from->caps;
	s->no_new_privs = from->no_new_privs;
	s->notify = from->notify;
	s->init = from->init;
	s->log_max = from->log_max;
	s->restart = from->restart;
	s->restart_max = from->restart_max;
	s->root_mode = from->root_mode;
	s->oom_score_adj = from->oom_score_adj;
	s->tty = from->tty;
	ok = copy_text(&s->name, from->name) && copy_text(&s->cwd, from->cwd) &&
	     copy_text(&s->user, from->user) && copy_text(&s->hostname, from->hostname) &&
	     copy_text(&s->seccomp, from->seccomp) && copy_text(&s->rootfs, from->rootfs) &&
	     copy_lists(s, from) && copy_oci(s, from->oci);
	for (int i = 0; ok && i < NS_COUNT; i++)
		ok = copy_text(&s->ns[i], from->ns[i]);
	if (!ok) {
		spec_put(s);
		return NULL;
	}
	return s;
}

struct spec *spec_get(struct spec *s)
{
	if (s)
		__atomic_add_fetch(&s->refs, 1, __ATOMIC_RELAXED);
	return s;
}

void spec_put(struct spec *s)
{
	if (!s || __atomic_sub_fetch(&s->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	free(s->name);
	free(s->cwd);
	free(s->user);
	free(s->hostname);
	free(s->rootfs);
	free(s->seccomp);
	for (int i = 0; i < NS_COUNT; i++)
		free(s->ns[i]);
	strlist_free(&s->cmd);
	strlist_free(&s->env);
	strlist_free(&s->cgroup);
	strlist_free(&s->mounts);
	strlist_free(&s->rlimits);
	strlist_free(&s->sysctl);
	strlist_free(&s->devices);
	strlist_free(&s->paths);
	strlist_free(&s->seccomp_deltas);
	oci_free(s->oci);
	free(s);
}

/* The root's own files, and names that are kept for later. */
static const char *const taken_names[] = {
	"new", "error", "status", "events", "stats", "metrics", "README", "images", "networks",
};

int spec_name_check(const char *name, struct ctn_err *err)
{
	size_t len = strlen(name);

	for (size_t i = 0; i < len; i++) {
		if (!isalnum((unsigned char)name[i]) && (i == 0 || !strchr("_.-", name[i])))
			return ctn_fail(
				err, EINVAL,
				"'%.80s' cannot be a container's name: letters, digits and _ . -, "
				"beginning with a letter or a digit",
				name);
	}
	if (len == 0 || len > SPEC_NAME_MAX)
		return ctn_fail(err, EINVAL, "a container's name has 1 to %d characters, not %zu",
				SPEC_NAME_MAX, len);
	for (size_t i = 0; i < CTN_COUNT(taken_names); i++) {
		if (strcmp(name, taken_names[i]) == 0)
			return ctn_fail(err, EINVAL,
					"'%s' is a name of the tree itself; choose another", name);
	}
	return 0;
}

const char *spec_hostname(const struct spec *s)
{
	return s->hostname ? s->hostname : s->name;
}

/* One directory, since all of the server's containers are siblings: "/docker/0a1b" is docker-0a1b,
 * and what systemd would make of "machine.slice:libpod:0a1b" is machine.slice-libpod-0a1b. */
int spec_cgroup_name(const struct spec *s, char ret[SPEC_CGROUP_NAME_MAX + 1], struct ctn_err *err)
{
	const char *path = s->oci ? s->oci->cgroups_path : NULL;
	char name[SPEC_CGROUP_NAME_MAX + 1];
	size_t n = 0;

	for (const char *p = path ? path : ""; *p;) {
		size_t part = strcspn(p, "/:");

		if ((part == 1 && p[0] == '.') || (part == 2 && p[0] == '.' && p[1] == '.'))
			return ctn_fail(err, EINVAL, "cgroupsPath: '%.80s' has . or .. in it",
					path);
		if (n + part + 1 > SPEC_CGROUP_NAME_MAX)
			return ctn_fail(err, EINVAL, "cgroupsPath: longer than %d bytes",
					SPEC_CGROUP_NAME_MAX);
		if (part > 0 && n > 0)
			name[n++] = '-';
		memcpy(name + n, p, part);
		n += part;
		p += part + (p[part] != '\0');
	}
	if (path && n == 0)
		return ctn_fail(err, EINVAL, "cgroupsPath: '%.80s' names no control group", path);
	memcpy(ret, name, n);
	ret[n] = '\0';
	return 0;
}

/* One value under two names: what was said last counts. */
static const char *knob_twin(const char *knob)
{
	if (strcmp(knob, "cpu.weight") == 0)
		return "cpu.shares";
	return strcmp(knob, "cpu.shares") == 0 ? "cpu.weight" : NULL;
}

/* The entries that begin with @prefix and a blank. */
static void drop_entries(struct spec *s, const char *prefix)
{
	size_t n = strlen(prefix), kept = 0;

	for (size_t i = 0; i < s->cgroup.len; i++) {
		char *entry = s->cgroup.items[i];

		if (strncmp(entry, prefix, n) == 0 && entry[n] == ' ')
			free(entry);
		else
			s->cgroup.items[kept++] = entry;
	}
	s->cgroup.len = kept;
	if (s->cgroup.items)
		s->cgroup.items[kept] = NULL;
}

/* What a new value stands in place of: the knob's old one; of io.max, whose values are one a
 * device, that of the same device. */
static void drop_replaced(struct spec *s, const char *knob, const char *value)
{
	char prefix[64];
	size_t device = strcspn(value, " ");

	if (strcmp(knob, "io.max") == 0 && value[device] &&
	    (size_t)snprintf(prefix, sizeof(prefix), "%s %.*s", knob, (int)device, value) <
		    sizeof(prefix))
		drop_entries(s, prefix);
	else
		drop_entries(s, knob);
	if (knob_twin(knob))
		drop_entries(s, knob_twin(knob));
}

int spec_set_knob(struct spec *s, const char *knob, const char *value, struct ctn_err *err)
{
	ctn_autofree char *entry = NULL;

	if (asprintf(&entry, "%s %s", knob, value) < 0)
		return ctn_fail(err, ENOMEM, "no memory to keep %s", knob);
	drop_replaced(s, knob, value);
	if (strlist_add(&s->cgroup, entry, strlen(entry)) < 0)
		return ctn_fail(err, ENOMEM, "no memory to keep %s", knob);
	return 0;
}
