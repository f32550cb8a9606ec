/* SPDX-License-Identifier: Apache-2.0 */
/* A runtime-spec document as a spec: the root object. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "oci_private.h"
#include "spec_idmap.h"

static const char name_key[] = "org.ctnfs.name", rootfs_key[] = "org.ctnfs.rootfs";

bool oci_has_own_root(const struct json_at *at)
{
	struct json_at annotations, value;

	while (at->parent)
		at = at->parent;
	return json_object_is_type(at->value, json_type_object) &&
	       json_get(at, "annotations", &annotations) &&
	       json_object_is_type(annotations.value, json_type_object) &&
	       json_get(&annotations, rootfs_key, &value);
}

bool oci_is(const struct json_at *root)
{
	struct json_at version;

	return json_object_is_type(root->value, json_type_object) &&
	       json_get(root, "ociVersion", &version);
}

/* "1.", a number, ".", a number, and perhaps what semver puts behind it. */
static bool is_version_1(const char *text)
{
	for (int part = 0; part < 3; part++) {
		size_t n = strspn(text, "0123456789");

		if (n == 0 || (n > 1 && text[0] == '0') || (part == 0 && (n != 1 || *text != '1')))
			return false;
		text += n;
		if (part < 2 && *text++ != '.')
			return false;
	}
	if (*text && (strchr("-+", *text) == NULL || !text[1]))
		return false;
	for (; *text; text++) {
		if (!isalnum((unsigned char)*text) && !strchr("-+.", *text))
			return false;
	}
	return true;
}

static int check_version(const struct json_at *root, struct ctn_err *err)
{
	const char *text = NULL;
	struct json_at at;
	int r = oci_need(root, "ociVersion", &at, err);

	if (r == 0)
		r = json_want_string(&at, &text, err);
	if (r == 0 && !is_version_1(text))
		return json_fail(&at, EINVAL, err,
				 "'%.40s' is no version 1 of the runtime-spec, such as 1.2.0",
				 text);
	return r;
}

static int take_root(struct oci_reader *in, const struct json_at *at, struct ctn_err *err)
{
	ctn_autofree char *path = NULL, *line = NULL;
	struct json_at member;
	const char *text = NULL;
	bool readonly = false;
	int r = json_want_object(at, err);

	if (r == 0 && json_get(at, "readonly", &member) && member.value)
		r = json_want_bool(&member, &readonly, err);
	if (r == 0)
		r = oci_need(at, "path", &member, err);
	if (r == 0)
		r = json_want_string(&member, &text, err);
	if (r == 0)
		r = oci_path(&member, in->bundle, text, &path, err);
	if (r < 0 || oci_has_own_root(at))
		return r; /* then path only stands in for it */
	if (asprintf(&line, "%s %s", path, readonly ? "ro" : "rw") < 0)
		return json_fail(at, ENOMEM, err, "no memory");
	return oci_field(in, &member, "rootfs", line, err);
}

/* Without the kind in the list it would be the host's that got the name. */
static int need_uts(const struct oci_reader *in, const struct json_at *at, struct ctn_err *err)
{
	if (in->strict || in->listed & 1u << NS_UTS)
		return 0;
	return json_fail(at, EINVAL, err,
			 "needs a uts namespace: add {\"type\": \"uts\"} to linux.namespaces");
}

static int take_hostname(struct oci_reader *in, const struct json_at *at, struct ctn_err *err)
{
	const char *text = NULL;
	int r = json_want_string(at, &text, err);

	if (r < 0 || !text[0])
		return r;
	r = need_uts(in, at, err);
	return r < 0 ? r : oci_field(in, at, "hostname", text, err);
}

int oci_take_domainname(struct oci_reader *in, const struct json_at *at, struct ctn_err *err)
{
	struct spec_oci *oci = spec_oci_edit(in->spec);
	const char *text = NULL;
	int r = json_want_string(at, &text, err);

	if (r < 0 || !text[0])
		return r;
	r = need_uts(in, at, err);
	if (r < 0)
		return r;
	for (const char *p = text; *p; p++) {
		if (!isalnum((unsigned char)*p) && (p == text || !strchr("_.-", *p)))
			return json_fail(at, EINVAL, err,
					 "'%.80s' has more than letters, digits and - . _, or "
					 "begins with one of those",
					 text);
	}
	if (strlen(text) > SPEC_HOSTNAME_MAX)
		return json_fail(at, EINVAL, err, "longer than %d characters", SPEC_HOSTNAME_MAX);
	if (!oci)
		return json_fail(at, ENOMEM, err, "no memory");
	free(oci->domainname);
	oci->domainname = strdup(text);
	return oci->domainname ? 0 : json_fail(at, ENOMEM, err, "no memory");
}

static int take_name(struct oci_reader *in, const struct json_at *at, const char *name,
		     struct ctn_err *err)
{
	char *copy;

	if (in->strict)
		return json_fail(at, EINVAL, err, "is the key name of the document");
	if (spec_name_check(name, err) < 0)
		return json_fail_context(at, err);
	copy = strdup(name);
	if (!copy)
		return json_fail(at, ENOMEM, err, "no memory");
	free(in->spec->name);
	in->spec->name = copy;
	return 0;
}

/* In our own document: these maps were given by us, and who is made of it gets others. */
static int take_own_ids(struct oci_reader *in, const struct json_at *at, const char *text,
			struct ctn_err *err)
{
	struct spec_oci *oci = in->spec->oci;
	struct spec_maps own;

	if (spec_maps_parse("id map", text, &own, err) < 0)
		return json_fail_context(at, err);
	if (spec_maps_same(&own, &oci->uids) && spec_maps_same(&own, &oci->gids))
		oci->uids.len = oci->gids.len = 0;
	return 0;
}

static int take_annotation(struct oci_reader *in, const struct json_at *at, struct ctn_err *err)
{
	struct strlist *list = &in->spec->oci->annotations;
	ctn_autofree char *entry = NULL;
	const char *text = NULL;
	int r = json_want_string(at, &text, err);

	if (r < 0)
		return r;
	if (strcmp(at->key, name_key) == 0)
		return take_name(in, at, text, err);
	if (!in->strict && strcmp(at->key, OCI_IDS_KEY) == 0)
		return take_own_ids(in, at, text, err);
	if (!in->strict && strcmp(at->key, rootfs_key) == 0)
		return strcmp(text, "host") == 0
			       ? 0
			       : json_fail(at, EINVAL, err, "'%.40s' is not host", text);
	if (!at->key[0] || strchr(at->key, '='))
		return json_fail(at, EINVAL, err, "a key cannot be empty or have a = in it");
	if (list->len >= SPEC_LINES_MAX)
		return json_fail(at, E2BIG, err, "more than %d annotations", SPEC_LINES_MAX);
	if (asprintf(&entry, "%s=%s", at->key, text) < 0 ||
	    strlist_add(list, entry, strlen(entry)) < 0)
		return json_fail(at, ENOMEM, err, "no memory");
	return 0;
}

int oci_take_annotations(struct oci_reader *in, const struct json_at *at, struct ctn_err *err)
{
	struct json_at member;
	int r = json_want_object(at, err);

	if (r == 0 && !spec_oci_edit(in->spec))
		return json_fail(at, ENOMEM, err, "no memory");
	for (size_t i = 0; r == 0 && json_member(at, i, &member); i++)
		r = take_annotation(in, &member, err);
	return r;
}

/* What a document says by not saying it. */
static int begin(struct spec *s, struct ctn_err *err)
{
	static const char bare[] = "-PATH\n-HOME\n-HOSTNAME\n-TERM\n";
	static const struct {
		const char *field, *text;
	} values[] = {
		{"env", bare},	     {"paths", ""},   {"no_new_privs", "0"},
		{"seccomp", "none"}, {"user", "0:0"},
	};
	struct spec_oci *oci = spec_oci_edit(s);
	int r = oci ? 0 : ctn_fail(err, ENOMEM, "no memory for a specification");

	for (size_t i = 0; r == 0 && i < CTN_COUNT(values); i++) {
		const struct spec_field *f = spec_field_find(values[i].field);

		r = f->store(s, f, values[i].text, SPEC_REPLACE, err);
	}
	for (int i = 0; r == 0 && i < NS_COUNT; i++) {
		free(s->ns[i]);
		s->ns[i] = strdup("host");
		if (!s->ns[i])
			r = ctn_fail(err, ENOMEM, "no memory for a specification");
	}
	if (r < 0)
		return r;
	strlist_free(&s->cgroup); /* no limit on processes */
	s->caps = 0;
	oci->has_groups = true;
	return 0;
}

static int check_needed(const struct oci_reader *in, const struct json_at *root,
			struct ctn_err *err)
{
	struct json_at at;
	int r = oci_need(root, "root", &at, err);

	if (r == 0 && !(in->listed & 1u << NS_MNT)) {
		if (!json_get(root, "linux", &at))
			at = *root;
		r = json_fail(&at, EINVAL, err,
			      "a root file system needs a mount namespace: add {\"type\": "
			      "\"mount\"} to linux.namespaces");
	}
	return r;
}

static bool says_pids(const struct spec *s)
{
	for (size_t i = 0; i < s->cgroup.len; i++) {
		if (strncmp(s->cgroup.items[i], "pids.max ", 9) == 0)
			return true;
	}
	return false;
}

static int finish(struct spec *s, struct ctn_err *err)
{
	if (!s->tty) /* a size means nothing without one, says config.md */
		s->oci->rows = s->oci->cols = 0;
	if (s->hostname && strcmp(s->hostname, s->name) == 0) { /* what it is anyhow */
		free(s->hostname);
		s->hostname = NULL;
	}
	/* Left out, the own form would have the limit of containers that say nothing. */
	return says_pids(s) ? 0 : spec_set_knob(s, "pids.max", "max", err);
}

static int read_document(struct oci_reader *in, const struct json_at *root, struct ctn_err *err)
{
	static const char hooks[] = "hooks are not run here; events and wait tell when to run them",
			  elsewhere[] = "is for another system; remove it";
	/* In the order in which the one needs the other. */
	static const struct oci_prop members[] = {
		{"root", take_root, NULL},
		{"linux", oci_take_linux, NULL},
		{"process", oci_take_process, NULL},
		{"hostname", take_hostname, NULL},
		{"domainname", oci_take_domainname, NULL},
		{"mounts", oci_take_mounts, NULL},
		{"annotations", oci_take_annotations, NULL},
		{"hooks", NULL, hooks},
		{"vm", NULL, elsewhere},
		{"windows", NULL, elsewhere},
		{"solaris", NULL, elsewhere},
		{"zos", NULL, elsewhere},
		{"freebsd", NULL, elsewhere},
		{NULL, NULL, NULL},
	};
	struct json_at section;
	int r = begin(in->spec, err);

	if (r == 0)
		r = oci_props(in, root, members, err);
	if (r == 0)
		r = check_needed(in, root, err);
	if (r == 0 && json_get(root, "linux", &section) && section.value)
		r = oci_take_seccomp(in, &section, err);
	if (r == 0)
		r = oci_remove_defaults(in, root, err);
	return r < 0 ? r : finish(in->spec, err);
}

int oci_import(const struct json_at *root, const char *bundle, struct spec **ret,
	       struct ctn_err *err)
{
	struct oci_reader in = {.bundle = bundle};
	int r = json_want_object(root, err);

	if (r == 0)
		r = check_version(root, err);
	if (r < 0)
		return r;
	in.spec = spec_new("");
	if (!in.spec)
		return ctn_fail(err, ENOMEM, "no memory for a specification");
	r = read_document(&in, root, err);
	if (r < 0) {
		spec_put(in.spec);
		return r;
	}
	*ret = in.spec;
	return 0;
}
