/* SPDX-License-Identifier: Apache-2.0 */
/* A document in the tree's own form as a spec: strict about its shape, and through the files' own
 * parsers for what is in it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cgroup.h"
#include "cleanup.h"
#include "io.h"
#include "oci.h"
#include "spec_json.h"
#include "spec_json_private.h"
#include "spec_private.h"

/* --- keys with a shape of their own --- */

static int read_name(struct spec_reading *r, const struct json_at *at)
{
	const char *name = NULL;
	char *copy;
	int n = json_want_string(at, &name, r->err);

	if (n < 0)
		return n;
	if (spec_name_check(name, r->err) < 0)
		return json_fail_context(at, r->err);
	copy = strdup(name);
	if (!copy)
		return ctn_fail(r->err, ENOMEM, "no memory for a name");
	free(r->spec->name);
	r->spec->name = copy;
	return 0;
}

static int read_cmd(struct spec_reading *r, const struct json_at *at)
{
	const struct spec_field *f = spec_field_find("cmd");
	const char *word;
	struct json_at item;

	if (json_object_is_type(at->value, json_type_string))
		return spec_json_text(r, at, f);
	if (!json_object_is_type(at->value, json_type_array))
		return json_fail_type(at, "an array of words, or a string,", r->err);
	for (size_t i = 0; json_item(at, i, &item); i++) {
		int n = json_want_string(&item, &word, r->err);

		if (n < 0)
			return n;
	}
	if (json_length(at) == 0) /* so it is shown while there is none */
		return 0;
	return spec_json_store(r, at, f,
			       json_object_to_json_string_ext(at->value, JSON_C_TO_STRING_PLAIN),
			       SPEC_REPLACE);
}

/* A member as the line that the file has for it. */
static int env_line(struct spec_reading *r, const struct json_at *at, struct strlist *lines)
{
	struct strlist entry = {0};
	const char *value = NULL;
	ctn_autofree char *said = NULL, *line = NULL;
	size_t len;
	FILE *out;
	int n = at->value ? json_want_string(at, &value, r->err) : 0;

	if (n < 0)
		return n;
	if (!at->key[0] || strpbrk(at->key, "= \t\r\n") || strchr("-#", at->key[0]))
		return json_fail(at, EINVAL, r->err,
				 "a variable's name is not empty, has no blank and no = in it, and "
				 "begins with neither - nor #");
	if ((value ? asprintf(&said, "%s=%s", at->key, value) : asprintf(&said, "-%s", at->key)) <
	    0)
		return ctn_fail(r->err, ENOMEM, "env: no memory");
	out = open_memstream(&line, &len);
	if (out && strlist_add(&entry, said, strlen(said)) == 0)
		spec_env_print(&entry, out);
	strlist_free(&entry);
	if (io_text_close(out, &line) < 0 || len == 0 || strlist_add(lines, line, len - 1) < 0)
		return ctn_fail(r->err, ENOMEM, "env: no memory");
	return 0;
}

static int read_env(struct spec_reading *r, const struct json_at *at)
{
	const struct spec_field *f = spec_field_find("env");
	struct strlist lines = {0};
	struct json_at member;
	int n = 0;

	if (!json_object_is_type(at->value, json_type_object))
		return spec_json_list(r, at, f);
	for (size_t i = 0; n == 0 && json_member(at, i, &member); i++)
		n = env_line(r, &member, &lines);
	if (n == 0)
		n = spec_json_store_lines(r, at, f, &lines, 0, SPEC_REPLACE);
	strlist_free(&lines);
	return n;
}

/* A name behind a profile would take its place. */
static int check_deltas(struct spec_reading *r, const struct json_at *at)
{
	struct json_at item;

	for (size_t i = 1; json_item(at, i, &item); i++) {
		const char *text = NULL;
		int n = json_want_string(&item, &text, r->err);

		if (n < 0)
			return n;
		if (text[0] != '+' && text[0] != '-')
			return json_fail(&item, EINVAL, r->err,
					 "behind a profile there can be +call and -call only");
	}
	return 0;
}

/* With a profile of one's own, as an object or in front of the deltas. */
static int read_seccomp(struct spec_reading *r, const struct json_at *at)
{
	const struct spec_field *f = spec_field_find("seccomp");
	struct json_at first;
	int n;

	if (json_object_is_type(at->value, json_type_object))
		return spec_seccomp_import(r->spec, at, !r->state, r->err);
	if (!json_item(at, 0, &first) || !json_object_is_type(first.value, json_type_object))
		return spec_json_list(r, at, f);
	n = check_deltas(r, at);
	if (n == 0)
		n = spec_seccomp_import(r->spec, &first, !r->state, r->err);
	return n < 0 ? n : spec_json_items(r, at, f, 1, SPEC_AMEND);
}

static int read_oci(struct spec_reading *r, const struct json_at *at)
{
	return oci_members_import(at, r->spec, r->err);
}

static int read_ns(struct spec_reading *r, const struct json_at *at)
{
	struct json_at member;
	int n = json_want_object(at, r->err);

	for (size_t i = 0; n == 0 && json_member(at, i, &member); i++) {
		char name[32];
		int kind = ns_find(member.key);

		if (kind < 0)
			return json_fail(&member, EINVAL, r->err,
					 "there is no such kind of namespace: cgroup ipc mnt net "
					 "pid time user uts");
		snprintf(name, sizeof(name), "ns/%s", ns_types[kind].name);
		n = spec_json_text(r, &member, spec_field_find(name));
	}
	return n;
}

/* @late: it depends on what other keys say, so it is read behind them. */
static const struct {
	const char *key;
	int (*read)(struct spec_reading *r, const struct json_at *at);
	bool late;
} shapes[] = {
	{"name", read_name, false}, {"cmd", read_cmd, false},
	{"env", read_env, false},   {"seccomp", read_seccomp, true},
	{"ns", read_ns, false},	    {"cgroup", spec_json_limits, false},
	{"oci", read_oci, true},
};

void spec_nearest(struct spec_nearest *n, const char *candidate)
{
	enum { WRONG_MAX = 3 };
	unsigned d = ctn_distance(n->wanted, candidate);

	/* A word of which every letter would have to change resembles nothing. */
	if (d > WRONG_MAX || d >= strlen(candidate) || (n->best && d >= n->distance))
		return;
	n->best = candidate;
	n->distance = d;
}

static int refuse_key(struct spec_reading *r, const struct json_at *at)
{
	enum { KNOB_WRONG = 2 };
	struct spec_nearest n = {.wanted = at->key};

	if (strncmp(at->key, "ns/", 3) == 0)
		return json_fail(at, EINVAL, r->err, "write \"ns\": { \"%.20s\": … }", at->key + 3);
	if (strncmp(at->key, "cgroup/", 7) == 0 || cgroup_knob_find(at->key))
		return json_fail(at, EINVAL, r->err, "write \"cgroup\": { \"%.40s\": … }",
				 at->key + (strncmp(at->key, "cgroup/", 7) == 0 ? 7 : 0));
	for (const struct spec_field *f = spec_fields; f->name; f++) {
		if (!strchr(f->name, '/'))
			spec_nearest(&n, f->name);
	}
	for (size_t i = 0; i < CTN_COUNT(shapes); i++)
		spec_nearest(&n, shapes[i].key);
	for (const struct cgroup_knob *k = cgroup_knobs; !n.best && k->name; k++) {
		if (ctn_distance(at->key, k->name) <= KNOB_WRONG)
			return json_fail(at, EINVAL, r->err,
					 "no setting has this name; did you mean \"cgroup\": { "
					 "\"%s\": … }?",
					 k->name);
	}
	if (n.best)
		return json_fail(at, EINVAL, r->err, "no setting has this name; did you mean %s?",
				 n.best);
	return json_fail(at, EINVAL, r->err,
			 "no setting has this name; reading new shows some that there are");
}

static int read_key(struct spec_reading *r, const struct json_at *at, bool late)
{
	const struct spec_field *f = spec_field_find(at->key);

	for (size_t i = 0; i < CTN_COUNT(shapes); i++) {
		if (strcmp(shapes[i].key, at->key) == 0)
			return shapes[i].late == late ? shapes[i].read(r, at) : 0;
	}
	if (late)
		return 0;
	if (!f || strchr(f->name, '/'))
		return refuse_key(r, at);
	return f->list ? spec_json_list(r, at, f) : spec_json_value(r, at, f);
}

static int read_keys(struct spec_reading *r, const struct json_at *root)
{
	struct json_at member;
	int n = json_want_object(root, r->err);

	if (n == 0 && json_get(root, "ns", &member) && json_get(root, "ns.list", &member))
		n = json_fail(&member, EINVAL, r->err,
			      "the key ns says the same; keep one of them");
	for (size_t i = 0; n == 0 && json_member(root, i, &member); i++)
		n = read_key(r, &member, false);
	for (size_t i = 0; n == 0 && json_member(root, i, &member); i++)
		n = read_key(r, &member, true);
	return n;
}

static int read_spec(const struct json_at *root, bool state, struct spec **ret, struct ctn_err *err)
{
	struct ctn_err why = {0};
	struct spec_reading r = {.spec = spec_new(""), .state = state, .err = &why};
	int n = r.spec ? read_keys(&r, root)
		       : ctn_fail(&why, ENOMEM, "no memory for a specification");

	if (n == 0 && state && !r.spec->name[0])
		n = ctn_fail(&why, EINVAL, "not a specification: no name");
	if (n == 0) {
		*ret = r.spec;
		return 0;
	}
	spec_put(r.spec);
	if (why.code == ERANGE) /* a document with a number out of range is a wrong document */
		why.code = EINVAL;
	if (err)
		*err = why;
	return -why.code;
}

int spec_from_at(const struct json_at *root, struct spec **ret, struct ctn_err *err)
{
	return read_spec(root, false, ret, err);
}

/* Older versions wrote every kind, also the default; joining another container needs to know that
 * nothing was said. */
static void forget_defaults(struct spec *s)
{
	for (int i = 0; i < NS_COUNT; i++) {
		if (s->ns[i] && strcmp(s->ns[i], ns_types[i].fallback) == 0) {
			free(s->ns[i]);
			s->ns[i] = NULL;
		}
	}
}

int spec_from_json(struct json_object *object, struct spec **ret, struct ctn_err *err)
{
	struct json_at root = json_loose(object), old;
	struct spec *s = NULL;
	int r = read_spec(&root, true, &s, err);

	if (r < 0)
		return r;
	if (json_get(&root, "ns.list", &old))
		forget_defaults(s);
	*ret = s;
	return 0;
}
