/* SPDX-License-Identifier: Apache-2.0 */
/* A container's whole spec as text. */
#include <errno.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cleanup.h"
#include "launch_pack.h"
#include "oci.h"
#include "spec_json.h"
#include "users.h"

enum { BINDS_MAX = 16 };

/* What it runs with, as the files show it: the name and what of the cgroup and of `start` was
 * written since are in the next spec alone. */
static int present_spec(struct container *c, struct spec **ret, struct ctn_err *err)
{
	struct container_view v;
	struct spec *spec;
	bool ok = true;

	container_view_get(c, &v);
	spec = v.running ? spec_dup(v.running) : spec_get(v.spec);
	if (v.running && spec) {
		char *name = strdup(v.spec->name);

		strlist_free(&spec->cgroup);
		ok = name && strlist_copy(&spec->cgroup, &v.spec->cgroup) == 0;
		if (name) {
			free(spec->name);
			spec->name = name;
		}
		spec->start = v.spec->start;
	}
	container_view_put(&v);
	if (!spec || !ok) {
		spec_put(spec);
		return ctn_fail(err, ENOMEM, "no memory for its spec");
	}
	*ret = spec;
	return 0;
}

int container_print_spec(struct container *c, FILE *out, struct ctn_err *err)
{
	ctn_autofree char *text = NULL;
	struct spec *spec = NULL, *named;
	int r = present_spec(c, &spec, err);

	if (r < 0)
		return r;
	named = container_spec_named(c->engine, spec);
	r = named ? spec_to_text(named, &text, err) : ctn_fail(err, ENOMEM, "no memory for a spec");
	if (r == 0)
		fputs(text, out);
	spec_put(named);
	spec_put(spec);
	return r;
}

/* --- as an OCI document --- */

/* What the document of one container needs, alive while it is made. */
struct export
{
	struct launch_ids ids;
	struct users_ids user;
	char *skeleton; /* NULL: the spec has a root file system of its own */
	const char *binds[BINDS_MAX + 1];
	char ns_paths[NS_COUNT][64];
	struct oci_where where;
};

static bool is_directory(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/*
 * A root of ours cannot be named as it is: no id of the container reaches into the state directory,
 * and who enters a user namespace before he looks at the root is refused. But what is bound he is
 * given by the host's root. So the skeleton is bound over a directory that everybody reaches.
 */
static int find_root(const struct container *c, const struct spec *spec, struct export *x,
		     struct ctn_err *err)
{
	static const char *const reachable[] = {"/srv", "/mnt", "/media", "/home", "/tmp"};
	size_t n = 0;

	x->where.root_path = spec->rootfs;
	if (spec->rootfs)
		return 0;
	if (asprintf(&x->skeleton, "%s/%s", c->engine->state_path, c->engine->skeleton) < 0)
		return ctn_fail(err, ENOMEM, "config.json: no memory");
	x->where.root_path = reachable[CTN_COUNT(reachable) - 1];
	for (size_t i = CTN_COUNT(reachable); i-- > 0;) {
		if (is_directory(reachable[i]))
			x->where.root_path = reachable[i];
	}
	for (size_t i = 0; launch_host_binds[i] && n < BINDS_MAX; i++) {
		if (is_directory(launch_host_binds[i]))
			x->binds[n++] = launch_host_binds[i];
	}
	x->where.binds = x->binds;
	return 0;
}

/* Whose namespace of that kind it shares: an id, or NULL. ns/user follows from the others. */
static const char *shared_with(const struct spec *spec, enum ns_kind kind)
{
	int implied = kind == NS_USER ? spec_ns_implied_user(spec) : -1;

	return spec_ns_container(spec, implied >= 0 ? (enum ns_kind)implied : kind);
}

/* Those of others are the ones that it is in itself, while it runs; else the ones that it is going
 * to join, as long as the others run. */
static int find_namespaces(struct container *c, const struct spec *spec, struct export *x,
			   struct ctn_err *err)
{
	struct container_view v;
	int r = 0;

	container_view_get(c, &v);
	for (int i = 0; r == 0 && i < NS_COUNT; i++) {
		const char *id = shared_with(spec, (enum ns_kind)i);
		struct pidref *init = NULL;
		ctn_autoclose int fd = -1;

		if (!id)
			continue;
		if (v.init)
			init = pidref_get(v.init);
		else
			r = container_ns_open(c->engine, id, (enum ns_kind)i, &fd, &init, err);
		if (r < 0)
			continue;
		snprintf(x->ns_paths[i], sizeof(x->ns_paths[i]), "/proc/%d/ns/%s", init->pid,
			 ns_types[i].name);
		x->where.ns_paths[i] = x->ns_paths[i];
		pidref_put(init);
	}
	container_view_put(&v);
	return r < 0 && err ? ctn_fail_context(err, "config.json") : r;
}

static int annotate(struct json_object *doc, const char *key, const char *value,
		    struct ctn_err *err)
{
	struct json_object *annotations = NULL;

	if (!json_object_object_get_ex(doc, "annotations", &annotations)) {
		annotations = json_object_new_object();
		json_object_object_add(doc, "annotations", annotations);
	}
	return json_object_object_add(annotations, key, json_object_new_string(value)) == 0
		       ? 0
		       : ctn_fail(err, ENOMEM, "config.json: no memory");
}

/* So that new gives who is made of it a range of its own. */
static int annotate_ids(const struct container *c, const struct spec *spec, const struct export *x,
			struct json_object *doc, struct ctn_err *err)
{
	char text[64];

	if (!spec_ns_is_new(spec, NS_USER) || x->where.ns_paths[NS_USER] ||
	    (spec->oci && spec->oci->uids.len > 0))
		return 0;
	snprintf(text, sizeof(text), "0 %u %u", c->uid_base, (unsigned)IDS_PER_CONTAINER);
	return annotate(doc, OCI_IDS_KEY, text, err);
}

/* The root first, everything else upon it. The annotation says what it is, to new. */
static int bind_root(struct json_object *doc, const char *skeleton, struct ctn_err *err)
{
	static const char *const options[] = {"bind", "ro", "nosuid", "nodev"};
	struct json_object *mounts = json_object_new_array(), *first = json_object_new_object(),
			   *array = json_object_new_array(), *rest = NULL;

	for (size_t i = 0; i < CTN_COUNT(options); i++)
		json_object_array_add(array, json_object_new_string(options[i]));
	json_object_object_add(first, "destination", json_object_new_string("/"));
	json_object_object_add(first, "type", json_object_new_string("none"));
	json_object_object_add(first, "source", json_object_new_string(skeleton));
	json_object_object_add(first, "options", array);
	json_object_array_add(mounts, first);
	(void)json_object_object_get_ex(doc, "mounts", &rest);
	for (size_t i = 0; rest && i < json_object_array_length(rest); i++)
		json_object_array_add(mounts, json_object_get(json_object_array_get_idx(rest, i)));
	if (annotate(doc, "org.ctnfs.rootfs", "host", err) < 0) {
		json_object_put(mounts);
		return -ENOMEM;
	}
	return json_object_object_add(doc, "mounts", mounts) == 0
		       ? 0
		       : ctn_fail(err, ENOMEM, "config.json: no memory");
}

static int export(struct container *c, const struct spec *spec, struct json_object **ret,
		  struct ctn_err *err)
{
	struct export *x = calloc(1, sizeof(*x)); /* id maps are long */
	struct json_object *doc = NULL;
	int r = x ? find_root(c, spec, x, err) : ctn_fail(err, ENOMEM, "config.json: no memory");

	if (r == 0) {
		(void)launch_ids(c, spec, &x->ids, NULL); /* filled in any case */
		snprintf(x->user.home, sizeof(x->user.home), "/");
		(void)container_user(c, spec, &x->user, NULL); /* refused at the start */
		r = find_namespaces(c, spec, x, err);
	}
	if (r == 0) {
		x->where.uids = &x->ids.uids;
		x->where.gids = &x->ids.gids;
		x->where.user = &x->user;
		r = oci_export(spec, &x->where, &doc, err);
	}
	if (r == 0)
		r = annotate_ids(c, spec, x, doc, err);
	if (r == 0 && x->skeleton)
		r = bind_root(doc, x->skeleton, err);
	if (x)
		free(x->skeleton);
	free(x);
	if (r < 0)
		json_object_put(doc);
	else
		*ret = doc;
	return r;
}

int container_print_oci(struct container *c, FILE *out, struct ctn_err *err)
{
	struct json_object *doc = NULL;
	struct spec *spec = NULL;
	const char *text;
	int r = present_spec(c, &spec, err);

	if (r < 0)
		return r;
	r = export(c, spec, &doc, err);
	spec_put(spec);
	if (r < 0)
		return r;
	text = json_object_to_json_string_ext(doc, JSON_C_TO_STRING_PRETTY |
							   JSON_C_TO_STRING_NOSLASHESCAPE);
	if (text)
		fprintf(out, "%s\n", text);
	json_object_put(doc);
	return text ? 0 : ctn_fail(err, ENOMEM, "no memory for a document");
}
