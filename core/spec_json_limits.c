/* SPDX-License-Identifier: Apache-2.0 */
/* The key `cgroup` of a document. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cgroup.h"
#include "cleanup.h"
#include "spec_json_private.h"

static int refuse_knob(const struct spec_reading *r, const struct json_at *at)
{
	struct spec_nearest n = {.wanted = at->key};

	for (const struct cgroup_knob *k = cgroup_knobs; k->name; k++) {
		if (!(k->flags & KNOB_KEPT))
			continue;
		spec_nearest(&n, k->name);
		if (k->v2)
			spec_nearest(&n, k->v2);
	}
	if (n.best)
		return json_fail(at, EINVAL, r->err,
				 "no file of cgroup/ has this name; did you mean %s?", n.best);
	return json_fail(at, EINVAL, r->err,
			 "no file of cgroup/ has this name; ls cgroup/ shows which there are");
}

static int check_knob(const struct spec_reading *r, const struct json_at *at)
{
	const struct cgroup_knob *k = cgroup_knob_find(at->key);

	if (!k)
		return refuse_knob(r, at);
	if (!(k->flags & KNOB_WRITABLE))
		return json_fail(at, EINVAL, r->err, "this can only be read");
	if (!(k->flags & KNOB_KEPT))
		return json_fail(at, EINVAL, r->err,
				 "this is done to a container that runs; it is no setting of one");
	return 0;
}

/* @ret: as it would be written, to be freed. */
static int value_text(const struct spec_reading *r, const struct json_at *at, char **ret)
{
	const char *line = NULL;
	uint64_t number = 0;
	char *text = NULL;
	int n;

	if (json_object_is_type(at->value, json_type_string)) {
		n = spec_json_line(r, at, &line);
		if (n == 0 && !line[strspn(line, " \t\r")])
			n = json_fail(at, EINVAL, r->err, "a value is expected, not an empty text");
		text = n == 0 ? strdup(line) : NULL;
	} else if (json_object_is_type(at->value, json_type_int) ||
		   json_object_is_type(at->value, json_type_double)) {
		n = json_want_uint(at, UINT64_MAX, &number, r->err);
		if (n == 0 && asprintf(&text, "%" PRIu64, number) < 0)
			text = NULL;
	} else {
		n = json_fail_type(at, "a number or a string", r->err);
	}
	if (n < 0)
		return n;
	if (!text)
		return ctn_fail(r->err, ENOMEM, "cgroup: no memory");
	*ret = text;
	return 0;
}

/* What was said before must stay: a value that takes the place of another is one too many. */
static int put_value(struct spec_reading *r, const struct json_at *at, const char *knob)
{
	size_t before = r->spec->cgroup.len;
	ctn_autofree char *text = NULL;
	int n = value_text(r, at, &text);

	if (n == 0)
		n = spec_set_knob(r->spec, knob, text, r->err);
	if (n == 0 && r->spec->cgroup.len <= before)
		n = json_fail(at, EINVAL, r->err,
			      "another value in this document is for the same %s", knob);
	return n;
}

static int put_knob(struct spec_reading *r, const struct json_at *at, const char *knob)
{
	struct json_at item;
	int n = 0;

	if (!json_object_is_type(at->value, json_type_array))
		return put_value(r, at, knob);
	if (json_length(at) == 0)
		return json_fail(at, EINVAL, r->err, "a value is expected, not an empty array");
	for (size_t i = 0; n == 0 && json_item(at, i, &item); i++)
		n = put_value(r, &item, knob);
	return n;
}

/* In the order in which limits may be applied. */
static int put_knobs(struct spec_reading *r, const struct json_at *at)
{
	struct json_at member;
	int n = 0;

	for (const struct cgroup_knob *k = cgroup_knobs; n == 0 && k->name; k++) {
		for (size_t i = 0; n == 0 && json_member(at, i, &member); i++) {
			if (cgroup_knob_find(member.key) == k)
				n = put_knob(r, &member, k->name);
		}
	}
	return n;
}

/* The defaults of which the document says nothing. */
static int put_defaults(struct spec_reading *r, const struct strlist *defaults)
{
	int n = 0;

	for (size_t i = 0; n == 0 && i < defaults->len; i++) {
		size_t len = strcspn(defaults->items[i], " ") + 1;
		bool said = false;

		for (size_t j = 0; j < r->spec->cgroup.len; j++)
			said = said ||
			       strncmp(r->spec->cgroup.items[j], defaults->items[i], len) == 0;
		if (!said)
			n = strlist_add(&r->spec->cgroup, defaults->items[i],
					strlen(defaults->items[i]));
	}
	return n < 0 ? ctn_fail(r->err, ENOMEM, "cgroup: no memory") : 0;
}

/* "knob value" lines, as older versions wrote them. */
static int read_old(struct spec_reading *r, const struct json_at *at)
{
	struct json_at item;
	int n = 0;

	for (size_t i = 0; n == 0 && json_item(at, i, &item); i++) {
		const char *line = NULL;
		size_t len;
		ctn_autofree char *knob = NULL;

		n = spec_json_line(r, &item, &line);
		if (n < 0)
			return n;
		len = strcspn(line, " ");
		if (!line[len])
			return json_fail(&item, EINVAL, r->err, "this is no knob and value");
		knob = strndup(line, len);
		n = knob ? spec_set_knob(r->spec, knob, line + len + 1, r->err) : -ENOMEM;
	}
	return n == -ENOMEM ? ctn_fail(r->err, ENOMEM, "cgroup: no memory") : n;
}

int spec_json_limits(struct spec_reading *r, const struct json_at *at)
{
	struct strlist defaults = r->spec->cgroup;
	struct json_at member;
	int n;

	if (r->state && json_object_is_type(at->value, json_type_array))
		return read_old(r, at);
	n = json_want_object(at, r->err);
	for (size_t i = 0; n == 0 && json_member(at, i, &member); i++)
		n = check_knob(r, &member);
	if (n < 0)
		return n;
	r->spec->cgroup = (struct strlist){0};
	n = put_knobs(r, at);
	if (n == 0)
		n = put_defaults(r, &defaults);
	strlist_free(&defaults);
	return n;
}
