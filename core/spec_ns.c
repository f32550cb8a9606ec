/* SPDX-License-Identifier: Apache-2.0 */
/* What ns/<kind> and ns.list may say. Which container a name means is container_ns.c's. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "spec_private.h"

enum { NS_PATH_MAX = 4095 };

static const char prefix[] = "container:";

const char *spec_ns_setting(const struct spec *s, enum ns_kind kind)
{
	return s->ns[kind] ? s->ns[kind] : ns_types[kind].fallback;
}

bool spec_ns_is_host(const struct spec *s, enum ns_kind kind)
{
	return strcmp(spec_ns_setting(s, kind), "host") == 0;
}

bool spec_ns_is_new(const struct spec *s, enum ns_kind kind)
{
	return strcmp(spec_ns_setting(s, kind), "new") == 0;
}

const char *spec_ns_container(const struct spec *s, enum ns_kind kind)
{
	const char *setting = spec_ns_setting(s, kind);

	return strncmp(setting, prefix, sizeof(prefix) - 1) == 0 ? setting + sizeof(prefix) - 1
								 : NULL;
}

const char *spec_ns_path(const struct spec *s, enum ns_kind kind)
{
	const char *setting = spec_ns_setting(s, kind);

	return setting[0] == '/' ? setting : NULL;
}

bool spec_ns_names_host(const struct spec *s)
{
	bool joins = spec_ns_container(s, NS_UTS) || spec_ns_path(s, NS_UTS);

	return joins && s->hostname && strcmp(s->hostname, s->name) != 0;
}

int spec_ns_implied_user(const struct spec *s)
{
	for (int i = 0; spec_ns_is_new(s, NS_USER) && i < NS_COUNT; i++) {
		if (i != NS_MNT && spec_ns_container(s, (enum ns_kind)i))
			return i;
	}
	return -1;
}

static int set_text(struct spec *s, enum ns_kind kind, const char *before, const char *text,
		    struct ctn_err *err)
{
	char *setting = NULL;

	if (asprintf(&setting, "%s%s", before, text) < 0)
		return ctn_fail(err, ENOMEM, "ns/%s: no memory", ns_types[kind].name);
	free(s->ns[kind]);
	s->ns[kind] = setting;
	return 0;
}

int spec_ns_set_container(struct spec *s, enum ns_kind kind, const char *name, struct ctn_err *err)
{
	return set_text(s, kind, prefix, name, err);
}

int spec_ns_set_path(struct spec *s, enum ns_kind kind, const char *path, struct ctn_err *err)
{
	return set_text(s, kind, "", path, err);
}

/* A blank would end it in ns.list. */
static int check_path(const char *kind, const char *path, struct ctn_err *err)
{
	if (strlen(path) > NS_PATH_MAX)
		return ctn_fail(err, ENAMETOOLONG, "ns/%s: a path of more than %d bytes", kind,
				NS_PATH_MAX);
	for (const char *p = path; *p; p++) {
		if (isspace((unsigned char)*p) || iscntrl((unsigned char)*p))
			return ctn_fail(err, EINVAL,
					"ns/%s: '%.80s': there can be no blank in the path of a "
					"namespace",
					kind, path);
	}
	return 0;
}

int spec_ns_check(enum ns_kind kind, const char *setting, struct ctn_err *err)
{
	const char *name = ns_types[kind].name;
	bool container = strncmp(setting, prefix, sizeof(prefix) - 1) == 0;

	if (strcmp(setting, "new") == 0 || strcmp(setting, "host") == 0)
		return 0;
	if (!container && setting[0] != '/')
		return ctn_fail(err, EINVAL,
				"ns/%s: '%.80s' is neither new nor host nor container:NAME nor an "
				"absolute path",
				name, setting);
	if (kind == NS_MNT)
		return ctn_fail(err, EOPNOTSUPP,
				"ns/mnt: a container's root file system is its own; bind what two "
				"are to share into both (mounts)");
	if (!container)
		return check_path(name, setting, err);
	if (spec_name_check(setting + sizeof(prefix) - 1, err) < 0)
		return ctn_fail_context(err, "ns/%s", name);
	return 0;
}

static int set_ns(struct spec *s, enum ns_kind kind, const char *setting, struct ctn_err *err)
{
	int r = spec_ns_check(kind, setting, err);

	return r < 0 ? r : set_text(s, kind, "", setting, err);
}

void spec_ns_show(const struct spec *s, const struct spec_field *f, FILE *out)
{
	fprintf(out, "%s\n", spec_ns_setting(s, (enum ns_kind)f->arg));
}

int spec_ns_store(struct spec *s, const struct spec_field *f, const char *text, enum spec_write how,
		  struct ctn_err *err)
{
	ctn_autofree char *value = NULL;
	int r = spec_one_value(text, &value, err);

	(void)how;
	return r < 0 ? r : set_ns(s, (enum ns_kind)f->arg, value, err);
}

void spec_ns_list_show(const struct spec *s, const struct spec_field *f, FILE *out)
{
	(void)f;
	for (int i = 0; i < NS_COUNT; i++)
		fprintf(out, "%s %s\n", ns_types[i].name, spec_ns_setting(s, (enum ns_kind)i));
}

/* "kind setting"; what `ns.list` shows behind that, inode and sharers, may stand there, too. */
static int ns_list_line(struct spec *s, char *line, struct ctn_err *err)
{
	char *save = NULL, *kind = strtok_r(line, " \t\r", &save),
	     *setting = strtok_r(NULL, " \t\r", &save);
	int i = ns_find(kind);

	if (i < 0)
		return ctn_fail(err, EINVAL,
				"ns.list: '%.40s' is no kind of namespace: cgroup ipc mnt net "
				"pid time user uts",
				kind);
	if (!setting)
		return ctn_fail(err, EINVAL,
				"ns.list: %s: a setting is missing: new, host, container:NAME or a "
				"path",
				kind);
	return set_ns(s, (enum ns_kind)i, setting, err);
}

int spec_ns_list_store(struct spec *s, const struct spec_field *f, const char *text,
		       enum spec_write how, struct ctn_err *err)
{
	(void)f;
	(void)how; /* a kind that is not mentioned keeps its setting either way */
	return spec_each_line(s, text, ns_list_line, err);
}
