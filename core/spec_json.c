/* SPDX-License-Identifier: Apache-2.0 */
/* A spec as a document in the tree's own form. spec_json_read.c has the way back. */
#include "spec_json.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cgroup.h"
#include "cleanup.h"
#include "io.h"
#include "oci.h"
#include "spec_json_private.h"

static struct json_object *text_to_json(const char *text, size_t len)
{
	return json_object_new_string_len(text, (int)len);
}

/* A decimal number that would be printed just so is one; anything else stays a text. */
static struct json_object *number_to_json(const char *text)
{
	char again[32];
	int64_t number = 0;

	if (parse_i64("", text, INT64_MIN, INT64_MAX, &number, NULL) == 0) {
		snprintf(again, sizeof(again), "%" PRId64, number);
		if (strcmp(again, text) == 0)
			return json_object_new_int64(number);
	}
	return text_to_json(text, strlen(text));
}

static struct json_object *lines_to_json(const char *text)
{
	struct json_object *array = json_object_new_array();

	while (*text) {
		size_t len = strcspn(text, "\n");

		if (len > 0)
			json_object_array_add(array, text_to_json(text, len));
		text += len + (text[len] == '\n');
	}
	return array;
}

/* --- fields that are no line and no list of lines --- */

static struct json_object *cmd_to_json(const struct spec *s)
{
	struct json_object *array = json_object_new_array();

	for (size_t i = 0; i < s->cmd.len; i++)
		json_object_array_add(array, json_object_new_string(s->cmd.items[i]));
	return array;
}

/* A default variable that was removed is null. */
static struct json_object *env_to_json(const struct spec *s)
{
	struct json_object *o = json_object_new_object();

	for (size_t i = 0; i < s->env.len; i++) {
		const char *e = s->env.items[i];
		size_t len = strcspn(e, "=");
		ctn_autofree char *key = e[0] == '-' ? strdup(e + 1) : strndup(e, len);

		if (key)
			json_object_object_add(
				o, key, e[0] == '-' ? NULL : json_object_new_string(e + len + 1));
	}
	return o;
}

/* What follows the name is not said. */
static struct json_object *hostname_to_json(const struct spec *s)
{
	return s->hostname ? json_object_new_string(s->hostname) : NULL;
}

/* A profile of one's own is an object in front of the deltas. */
static struct json_object *seccomp_to_json(const struct spec *s)
{
	struct json_object *array = json_object_new_array();
	struct json_object *profile = s->seccomp[0] == '{' ? json_tokener_parse(s->seccomp) : NULL;

	json_object_array_add(array, profile ?: json_object_new_string(s->seccomp));
	for (size_t i = 0; i < s->seccomp_deltas.len; i++)
		json_object_array_add(array, json_object_new_string(s->seccomp_deltas.items[i]));
	return array;
}

/* Only what was said: a container that joins another has that one's user namespace by default. */
static struct json_object *ns_to_json(const struct spec *s)
{
	struct json_object *o = NULL;

	for (int i = 0; i < NS_COUNT; i++) {
		if (!s->ns[i])
			continue;
		o = o ?: json_object_new_object();
		json_object_object_add(o, ns_types[i].name, json_object_new_string(s->ns[i]));
	}
	return o;
}

static const struct {
	const char *field, *key;
	struct json_object *(*show)(const struct spec *s); /* NULL: it is left out */
} shapes[] = {
	{"cmd", "cmd", cmd_to_json},
	{"env", "env", env_to_json},
	{"hostname", "hostname", hostname_to_json},
	{"seccomp", "seccomp", seccomp_to_json},
	{"ns.list", "ns", ns_to_json},
};

static void add_field(struct json_object *o, const struct spec *s, const struct spec_field *f)
{
	ctn_autofree char *text = NULL;

	for (size_t i = 0; i < CTN_COUNT(shapes); i++) {
		if (strcmp(shapes[i].field, f->name) == 0) {
			struct json_object *value = shapes[i].show(s);

			if (value)
				json_object_object_add(o, shapes[i].key, value);
			return;
		}
	}
	if (strchr(f->name, '/') || spec_field_text(s, f, &text, NULL) < 0)
		return; /* ns/net is in ns */
	if (f->list) {
		json_object_object_add(o, f->name, lines_to_json(text));
		return;
	}
	text[strcspn(text, "\n")] = '\0';
	json_object_object_add(o, f->name,
			       spec_json_kind(f) == SPEC_JSON_TEXT
				       ? text_to_json(text, strlen(text))
				       : number_to_json(text));
}

/* --- limits --- */

/* All that is said about a knob: one value, or an array where there is one for each device. */
static struct json_object *knob_to_json(const struct spec *s, const char *knob)
{
	struct json_object *value = NULL, *array = NULL;
	size_t len = strlen(knob);

	for (size_t i = 0; i < s->cgroup.len; i++) {
		const char *entry = s->cgroup.items[i];

		if (strncmp(entry, knob, len) != 0 || entry[len] != ' ')
			continue;
		if (value && !array) {
			array = json_object_new_array();
			json_object_array_add(array, value);
		}
		value = number_to_json(entry + len + 1);
		if (array)
			json_object_array_add(array, value);
	}
	return array ?: value;
}

/* In the table's order, so that equal limits read the same whenever they were written. */
static struct json_object *cgroup_to_json(const struct spec *s)
{
	struct json_object *o = json_object_new_object();

	for (const struct cgroup_knob *k = cgroup_knobs; k->name; k++) {
		struct json_object *value = knob_to_json(s, k->name);

		if (value)
			json_object_object_add(o, k->name, value);
	}
	return o;
}

struct json_object *spec_to_json(const struct spec *s)
{
	struct json_object *o = json_object_new_object(), *oci = NULL;

	json_object_object_add(o, "name", json_object_new_string(s->name));
	for (const struct spec_field *f = spec_fields; f->name; f++)
		add_field(o, s, f);
	json_object_object_add(o, "cgroup", cgroup_to_json(s));
	if (oci_members_export(s, &oci, NULL) == 0 && oci)
		json_object_object_add(o, "oci", oci);
	return o;
}

/* --- the text --- */

/* json-c breaks the line in an empty object or array; there is no such line break in a string. */
static void close_empty(char *text)
{
	char *to = text;

	for (const char *from = text; *from; from++) {
		const char *close = from + 1 + strspn(from + 1, "\n ");

		*to++ = *from;
		if ((*from == '{' || *from == '[') && from[1] == '\n' &&
		    *close == (*from == '{' ? '}' : ']'))
			from = close - 1;
	}
	*to = '\0';
}

int spec_to_text(const struct spec *s, char **ret, struct ctn_err *err)
{
	struct json_object *o = spec_to_json(s);
	const char *json = json_object_to_json_string_ext(
		o,
		JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED | JSON_C_TO_STRING_NOSLASHESCAPE);
	char *text = NULL;

	if (!json || asprintf(&text, "%s\n", json) < 0)
		text = NULL;
	json_object_put(o);
	if (!text)
		return ctn_fail(err, ENOMEM, "no memory for a specification's text");
	close_empty(text);
	*ret = text;
	return 0;
}

const char *spec_template(void)
{
	return "{\n"
	       "  \"name\": \"example\",\n"
	       "  \"cmd\": [\"sh\", \"-c\", \"echo $GREETING; id; cat /proc/self/limits\"],\n"
	       "  \"start\": 1,\n"
	       "  \"env\": { \"GREETING\": \"hello\", \"TERM\": null },\n"
	       "  \"cwd\": \"/tmp\",\n"
	       "  \"user\": \"65534:65534\",\n"
	       "  \"hostname\": \"example\",\n"
	       "  \"rootfs\": \"host\",\n"
	       "  \"mounts\": [\"tmpfs /scratch tmpfs size=16m,mode=1777 0 0\"],\n"
	       "  \"rlimits\": [\"nofile 1024 4096\", \"core 0\"],\n"
	       "  \"sysctl\": [\"net.ipv4.ip_unprivileged_port_start = 80\"],\n"
	       "  \"oom_score_adj\": 100,\n"
	       "  \"tty\": 0,\n"
	       "  \"init\": 0,\n"
	       "  \"no_new_privs\": 1,\n"
	       "  \"caps\": [\"default\", \"-mknod\"],\n"
	       "  \"seccomp\": [\"default\", \"-ptrace\"],\n"
	       "  \"seccomp.notify\": 1,\n"
	       "  \"ns\": { \"net\": \"new\" },\n"
	       "  \"log.max\": \"1M\",\n"
	       "  \"restart\": \"on-failure:3\",\n"
	       "  \"cgroup\": { \"memory.limit\": \"64M\", \"pids.max\": 100, \"cpu.max\": "
	       "\"50000 100000\" },\n"
	       "  \"oci\": { \"annotations\": { \"org.example.note\": \"what has no file\" } }\n"
	       "}\n";
}
