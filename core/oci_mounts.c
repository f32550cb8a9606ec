/* SPDX-License-Identifier: Apache-2.0 */
/* The runtime-spec's mounts, as lines of the file `mounts`. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "oci_private.h"
#include "spec_idmap.h"
#include "spec_mounts.h"

/* One entry, taken apart. @options: joined by commas. @maps: one of them says how ids are mapped;
 * @idmap: by a plain `idmap`, which a line of ours has no need to say. */
struct entry {
	char *source, *target, *options;
	const char *type;
	bool bind, maps, idmap;
};

static void entry_free(struct entry *e)
{
	free(e->source);
	free(e->target);
	free(e->options);
}

#define autoentry __attribute__((cleanup(entry_free)))

static bool is_one_of(const char *text, const char *const *names)
{
	for (; *names; names++) {
		if (strcmp(*names, text) == 0)
			return true;
	}
	return false;
}

/* Appends ",option". */
static int add_option(const struct json_at *at, struct entry *e, const char *option,
		      struct ctn_err *err)
{
	static const char *const binds[] = {"bind", "rbind", NULL};
	static const char *const idmaps[] = {"idmap", "ridmap", "noidmap", NULL};
	char *longer;

	if (strcmp(option, "idmap") == 0 && !e->maps) {
		e->maps = e->idmap = true;
		return 0;
	}
	if (asprintf(&longer, "%s%s%s", e->options, e->options[0] ? "," : "", option) < 0)
		return json_fail(at, ENOMEM, err, "no memory");
	free(e->options);
	e->options = longer;
	e->bind |= is_one_of(option, binds);
	e->maps |= is_one_of(option, idmaps);
	return 0;
}

static int want_options(const struct json_at *at, struct entry *e, struct ctn_err *err)
{
	struct json_at options, item;
	int r;

	e->options = strdup("");
	if (!e->options)
		return json_fail(at, ENOMEM, err, "no memory");
	if (!json_get(at, "options", &options) || !options.value)
		return 0;
	r = json_want_array(&options, err);
	for (size_t i = 0; r == 0 && json_item(&options, i, &item); i++) {
		const char *option = NULL;

		r = json_want_string(&item, &option, err);
		if (r == 0 && option[0])
			r = add_option(&item, e, option, err);
	}
	return r;
}

/* A mount's own mappings: the container's are what `idmap` means, others cannot be said. */
static int want_mappings(const struct oci_reader *in, const struct json_at *at, struct entry *e,
			 struct ctn_err *err)
{
	const struct spec_oci *oci = in->spec->oci;
	const struct {
		const char *key;
		const struct spec_maps *own;
	} maps[] = {{"uidMappings", oci ? &oci->uids : NULL},
		    {"gidMappings", oci ? &oci->gids : NULL}};
	int r = 0, given = 0;

	for (size_t i = 0; r == 0 && i < CTN_COUNT(maps); i++) {
		struct spec_maps mine;
		struct json_at member;

		if (!json_get(at, maps[i].key, &member) || oci_says_nothing(&member))
			continue;
		r = oci_take_maps(in, &member, &mine, err);
		if (r == 0 && (!e->bind || !maps[i].own || !spec_maps_same(&mine, maps[i].own)))
			r = json_fail(&member, EOPNOTSUPP, err,
				      "a bind can only be mapped as the container is: by "
				      "linux.%s",
				      maps[i].key);
		given++;
	}
	if (r == 0 && given == 1)
		r = json_fail(at, EINVAL, err,
			      "uidMappings and gidMappings belong together; one is missing");
	if (r == 0 && given && !e->maps)
		r = add_option(at, e, "idmap", err);
	return r;
}

/* Files of the kernel that show a namespace can only be bound from the host where the container is
 * in the host's; then the monitor does just that. */
static int bind_to_kernel(const struct oci_reader *in, const struct json_at *at, struct entry *e,
			  struct ctn_err *err)
{
	static const char *const dropped[] = {"bind",	"rbind",  "private", "rprivate", "slave",
					      "rslave", "shared", "rshared", "noidmap",	 NULL};
	ctn_autofree char *old = ctn_take_ptr(e->options);
	char *save = NULL;
	int r = 0;

	if (!e->bind || strcmp(e->target, "/proc") != 0 || strcmp(e->source, "/proc") != 0 ||
	    !spec_ns_is_host(in->spec, NS_PID)) {
		e->options = ctn_take_ptr(old);
		return 0;
	}
	e->options = strdup("");
	e->type = "proc";
	e->bind = false;
	for (char *o = strtok_r(old, ",", &save); o && r == 0; o = strtok_r(NULL, ",", &save)) {
		if (!is_one_of(o, dropped))
			r = e->options ? add_option(at, e, o, err) : -ENOMEM;
	}
	e->bind = e->maps = false;
	return e->options ? r : json_fail(at, ENOMEM, err, "no memory");
}

static int want_source(const struct oci_reader *in, const struct json_at *at, struct entry *e,
		       struct ctn_err *err)
{
	struct json_at member;
	const char *text = "";
	int r = 0;

	if (json_get(at, "source", &member) && member.value)
		r = json_want_string(&member, &text, err);
	else if (e->bind)
		r = json_fail(at, EINVAL, err, "source is missing: what is to be bound");
	if (r == 0 && e->bind)
		return oci_path(&member, in->bundle, text, &e->source, err);
	e->source = r == 0 ? strdup(text[0] ? text : e->type) : NULL;
	if (r == 0 && !e->source)
		r = json_fail(at, ENOMEM, err, "no memory");
	return r;
}

static int want_target(const struct json_at *at, char **ret, struct ctn_err *err)
{
	struct json_at member;
	const char *text = NULL;
	int r = json_want_object(at, err);

	if (r == 0)
		r = oci_need(at, "destination", &member, err);
	if (r == 0)
		r = json_want_string(&member, &text, err);
	return r < 0 ? r : oci_path(&member, "/", text, ret, err);
}

static int want_entry(const struct oci_reader *in, const struct json_at *at, struct entry *e,
		      struct ctn_err *err)
{
	struct json_at type;
	int r = want_target(at, &e->target, err);

	e->type = "none";
	if (r == 0)
		r = want_options(at, e, err);
	if (r == 0 && json_get(at, "type", &type) && type.value)
		r = json_want_string(&type, &e->type, err);
	if (r == 0 && strcmp(e->type, "bind") == 0 && !e->bind)
		r = add_option(at, e, "rbind", err);
	if (r == 0)
		r = want_source(in, at, e, err);
	if (r == 0)
		r = want_mappings(in, at, e, err);
	/* Where the runtime-spec has no mapping, there is none. */
	if (r == 0 && e->bind && !e->maps)
		r = add_option(at, e, "noidmap", err);
	if (r == 0 && !e->bind && e->idmap)
		r = add_option(at, e, "idmap", err); /* refused in the words of the file */
	if (e->bind)
		e->type = "none";
	return r;
}

static ssize_t default_find(const char *target)
{
	for (size_t i = 0; oci_default_mounts[i].target; i++) {
		if (strcmp(oci_default_mounts[i].target, target) == 0)
			return (ssize_t)i;
	}
	return -1;
}

/* Is that entry what the container would have at @i without being told? */
static bool is_default(const struct oci_reader *in, const struct entry *e, size_t i)
{
	const struct oci_default_mount *d = &oci_default_mounts[i];
	ctn_autofree char *bind = NULL;

	if (oci_default_absent(in->spec, d))
		return false;
	if (!oci_default_bound(in->spec, d))
		return strcmp(e->type, d->type) == 0 && strcmp(e->source, d->source) == 0 &&
		       strcmp(e->options, d->options) == 0;
	return e->bind && strcmp(e->source, d->target) == 0 &&
	       asprintf(&bind, "rbind,%s,noidmap", d->options) > 0 && strcmp(e->options, bind) == 0;
}

/* What our own documents bind where the root is ours, and every such container has anyhow. */
static bool is_of_own_root(const struct json_at *at, const struct entry *e)
{
	return e->bind && oci_has_own_root(at) &&
	       (strcmp(e->target, "/") == 0 ||
		(strcmp(e->source, e->target) == 0 &&
		 strcmp(e->options, "rbind,ro,nosuid,nodev,noidmap") == 0));
}

static int take_mount(struct oci_reader *in, const struct json_at *at, struct ctn_err *err)
{
	autoentry struct entry e = {0};
	ctn_autofree char *line = NULL;
	ssize_t i;
	int r = want_entry(in, at, &e, err);

	if (r < 0 || is_of_own_root(at, &e))
		return r;
	i = default_find(e.target);
	if (i >= 0) {
		bool first = !(in->mounted & 1u << i);

		in->mounted |= 1u << i;
		if (first && is_default(in, &e, (size_t)i))
			return 0;
	}
	r = bind_to_kernel(in, at, &e, err);
	if (r < 0)
		return r;
	if (e.source[0] == '-') /* in the file, such a line removes a mount */
		return json_fail(at, EINVAL, err, "the source '%.80s' begins with -", e.source);
	r = spec_mount_line(e.source, e.target, e.type, e.options, &line, err);
	return r < 0 ? r : oci_add(in, at, "mounts", line, err);
}

int oci_take_mounts(struct oci_reader *in, const struct json_at *at, struct ctn_err *err)
{
	return oci_each(in, at, take_mount, err);
}

/* In front of the others: where the document has no mount, there is none. */
int oci_remove_defaults(struct oci_reader *in, const struct json_at *root, struct ctn_err *err)
{
	struct strlist lines = in->spec->mounts;
	int r = 0;

	in->spec->mounts = (struct strlist){0};
	for (size_t i = 0; r == 0 && oci_default_mounts[i].target; i++) {
		char line[32];

		snprintf(line, sizeof(line), "-%s", oci_default_mounts[i].target);
		if (!(in->mounted & 1u << i) &&
		    !oci_default_absent(in->spec, &oci_default_mounts[i]))
			r = oci_add(in, root, "mounts", line, err);
	}
	if (r == 0 && strlist_copy(&in->spec->mounts, &lines) < 0)
		r = json_fail(root, ENOMEM, err, "no memory");
	if (r == 0 && in->spec->mounts.len > SPEC_LINES_MAX)
		r = json_fail(root, E2BIG, err, "mounts: more than %d lines", SPEC_LINES_MAX);
	strlist_free(&lines);
	return r;
}
