/* SPDX-License-Identifier: Apache-2.0 */
/* linux.devices and linux.resources of a runtime-spec document: the file `devices`, and the knobs
 * of cgroup/. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cgroup.h"
#include "cleanup.h"
#include "io.h"
#include "oci_export.h"
#include "oci_private.h"
#include "spec_lines.h"

/* --- devices --- */

static void append_node(struct oci_writer *w, struct json_object *nodes,
			const struct spec_device *d)
{
	struct json_object *to = json_object_new_object();

	oci_put_text(w, to, "path", d->path);
	oci_put_text(w, to, "type", d->type == 'b' ? "b" : "c");
	oci_put_int(w, to, "major", d->major);
	oci_put_int(w, to, "minor", d->minor);
	oci_put_int(w, to, "fileMode", d->mode);
	oci_put_int(w, to, "uid", d->uid);
	oci_put_int(w, to, "gid", d->gid);
	oci_append(w, nodes, to);
}

static struct json_object *new_rule(struct oci_writer *w, bool allow)
{
	struct json_object *to = json_object_new_object();

	oci_put_bool(w, to, "allow", allow);
	return to;
}

static void append_rule(struct oci_writer *w, struct json_object *rules,
			const struct spec_device *d)
{
	const char type[] = {d->type, '\0'};
	const char access[] = {d->access & 4   ? 'r'
			       : d->access & 2 ? 'w'
					       : 'm',
			       d->access & 4			? d->access & 2	  ? 'w'
								  : d->access & 1 ? 'm'
										  : '\0'
			       : d->access & 2 && d->access & 1 ? 'm'
								: '\0',
			       (d->access & 7) == 7 ? 'm' : '\0', '\0'};
	struct json_object *to = new_rule(w, true);

	oci_put_text(w, to, "type", type);
	if (d->major >= 0)
		oci_put_int(w, to, "major", d->major);
	if (d->minor >= 0)
		oci_put_int(w, to, "minor", d->minor);
	oci_put_text(w, to, "access", access);
	oci_append(w, rules, to);
}

/* Those of every container are made without being asked for. */
static bool is_default(const char *line)
{
	for (const char *const *d = spec_default_devices; *d; d++) {
		if (strcmp(*d, line) == 0)
			return true;
	}
	return false;
}

int oci_put_devices(struct oci_writer *w, struct json_object *to, struct json_object *resources,
		    struct ctn_err *err)
{
	struct json_object *nodes = json_object_new_array(), *rules = json_object_new_array();
	struct json_object *first = new_rule(w, false);
	const struct strlist *lines = &w->spec->devices;
	int r = 0;

	oci_put_text(w, first, "access", "rwm");
	oci_append(w, rules, first);
	for (size_t i = 0; r == 0 && i < lines->len; i++) {
		struct spec_device d;

		r = spec_device_parse(lines->items[i], &d, err);
		if (r < 0)
			break;
		append_rule(w, rules, &d);
		if (d.path[0] && !is_default(lines->items[i]))
			append_node(w, nodes, &d);
	}
	oci_put_some(w, to, "devices", nodes);
	oci_put(w, resources, "devices", rules);
	return r;
}

/* --- limits --- */

/* Limits on their way out; each NULL where nothing is said. */
struct limits {
	const char *memory, *swap, *shares, *weight, *cpu_max, *cpus, *mems, *pids, *high;
};

static void sort_knobs(const struct spec *s, struct limits *l)
{
	const struct {
		const char *knob;
		const char **value;
	} all[] = {
		{"memory.limit", &l->memory}, {"memory.swap.limit", &l->swap},
		{"cpu.shares", &l->shares},   {"cpu.weight", &l->weight},
		{"cpu.max", &l->cpu_max},     {"cpuset.cpus", &l->cpus},
		{"cpuset.mems", &l->mems},    {"pids.max", &l->pids},
		{"memory.high", &l->high},
	};

	for (size_t i = 0; i < s->cgroup.len; i++) {
		const char *entry = s->cgroup.items[i];
		size_t n = strcspn(entry, " ");

		for (size_t k = 0; k < CTN_COUNT(all); k++) {
			if (strlen(all[k].knob) == n && memcmp(all[k].knob, entry, n) == 0 &&
			    entry[n])
				*all[k].value = entry + n + 1;
		}
	}
}

static int put_size(struct oci_writer *w, struct json_object *to, const char *key, const char *what,
		    const char *text, uint64_t more, struct ctn_err *err)
{
	uint64_t value = 0;
	int r = parse_size(what, text, &value, err);

	if (r == 0)
		oci_put_int(w, to, key, value == CTN_MAX ? -1 : (int64_t)(value + more));
	return r;
}

/* The document counts memory and swap together, so swap alone goes by cgroup v2's name. */
static int put_memory(struct oci_writer *w, struct json_object *resources,
		      struct json_object *unified, const struct limits *l, struct ctn_err *err)
{
	struct json_object *to = json_object_new_object();
	uint64_t memory = CTN_MAX;
	int r = 0;

	if (l->memory) {
		r = parse_size("memory.limit", l->memory, &memory, err);
		if (r == 0)
			r = put_size(w, to, "limit", "memory.limit", l->memory, 0, err);
	}
	if (r == 0 && l->swap && (memory != CTN_MAX || strcmp(l->swap, "max") == 0))
		r = put_size(w, to, "swap", "memory.swap.limit", l->swap, memory, err);
	else if (l->swap)
		oci_put_text(w, unified, "memory.swap.max", l->swap);
	if (l->high && strcmp(l->high, "max") != 0)
		oci_put_text(w, unified, "memory.high", l->high);
	oci_put_some(w, resources, "memory", to);
	return r;
}

static int put_cpu_max(struct oci_writer *w, struct json_object *to, const char *text,
		       struct ctn_err *err)
{
	ctn_autofree char *quota = strndup(text, strcspn(text, " "));
	const char *period = text[strcspn(text, " ")] ? text + strcspn(text, " ") + 1 : NULL;
	uint64_t value = 0;
	int r = 0;

	if (!quota) {
		w->failed = true;
		return 0;
	}
	if (strcmp(quota, "max") != 0) {
		r = parse_u64("cpu.max", quota, INT64_MAX, &value, err);
		if (r == 0)
			oci_put_uint(w, to, "quota", value);
	} else {
		oci_put_int(w, to, "quota", -1);
	}
	if (r == 0 && period) {
		r = parse_u64("cpu.max", period, INT64_MAX, &value, err);
		if (r == 0)
			oci_put_uint(w, to, "period", value);
	}
	return r;
}

static int put_cpu(struct oci_writer *w, struct json_object *resources, const struct limits *l,
		   struct ctn_err *err)
{
	struct json_object *to = json_object_new_object();
	const char *share = l->shares ? l->shares : l->weight;
	uint64_t value = 0;
	int r = 0;

	/* "max" is what both read, and accept, where there is no such controller. */
	if (share && strcmp(share, "max") != 0) {
		r = parse_u64("cpu.shares", share, INT32_MAX, &value, err);
		if (r == 0)
			oci_put_uint(w, to, "shares",
				     l->shares ? value : cgroup_shares_from_weight(value));
	}
	if (r == 0 && l->cpu_max)
		r = put_cpu_max(w, to, l->cpu_max, err);
	if (l->cpus && strcmp(l->cpus, "max") != 0)
		oci_put_text(w, to, "cpus", l->cpus);
	if (l->mems && strcmp(l->mems, "max") != 0)
		oci_put_text(w, to, "mems", l->mems);
	oci_put_some(w, resources, "cpu", to);
	return r;
}

/* --- block devices --- */

/* One pair of an io.max line, "rbps=1M". */
static int append_throttle(struct oci_writer *w, struct json_object *lists[OCI_THROTTLES],
			   uint64_t major, uint64_t minor, const char *pair, struct ctn_err *err)
{
	const char *equals = strchr(pair, '=');
	uint64_t rate = 0;
	int r = equals ? parse_size("io.max", equals + 1, &rate, err) : 0;

	for (int i = 0; r == 0 && equals && rate != CTN_MAX && i < OCI_THROTTLES; i++) {
		struct json_object *to;

		if (strncmp(pair, oci_throttle_keys[i], (size_t)(equals - pair)) != 0)
			continue;
		to = json_object_new_object();
		oci_put_uint(w, to, "major", major);
		oci_put_uint(w, to, "minor", minor);
		oci_put_uint(w, to, "rate", rate);
		oci_append(w, lists[i], to);
	}
	return r;
}

static int append_throttles(struct oci_writer *w, struct json_object *lists[OCI_THROTTLES],
			    const char *line, struct ctn_err *err)
{
	ctn_autofree char *copy = strdup(line);
	char *save = NULL, *word = copy ? strtok_r(copy, " ", &save) : NULL;
	char *colon = word ? strchr(word, ':') : NULL;
	uint64_t major = 0, minor = 0;
	int r;

	w->failed |= !copy;
	if (!colon) /* max: of all devices */
		return 0;
	*colon = '\0';
	r = parse_u64("io.max", word, UINT32_MAX, &major, err);
	if (r == 0)
		r = parse_u64("io.max", colon + 1, UINT32_MAX, &minor, err);
	while (r == 0 && (word = strtok_r(NULL, " ", &save)))
		r = append_throttle(w, lists, major, minor, word, err);
	return r;
}

static int put_block_io(struct oci_writer *w, struct json_object *resources, struct ctn_err *err)
{
	struct json_object *to = json_object_new_object(), *lists[OCI_THROTTLES];
	int r = 0;

	for (int i = 0; i < OCI_THROTTLES; i++)
		lists[i] = json_object_new_array();
	for (size_t i = 0; r == 0 && i < w->spec->cgroup.len; i++) {
		const char *entry = w->spec->cgroup.items[i];

		if (strncmp(entry, "io.max ", 7) == 0)
			r = append_throttles(w, lists, entry + 7, err);
	}
	for (const struct oci_name *t = oci_throttles; t->name; t++)
		oci_put_some(w, to, t->name, lists[t->value]);
	oci_put_some(w, resources, "blockIO", to);
	return r;
}

int oci_put_resources(struct oci_writer *w, struct json_object *resources, struct ctn_err *err)
{
	struct json_object *unified = json_object_new_object();
	struct json_object *pids = json_object_new_object();
	struct limits l = {0};
	int r;

	sort_knobs(w->spec, &l);
	r = put_memory(w, resources, unified, &l, err);
	if (r == 0)
		r = put_cpu(w, resources, &l, err);
	if (r == 0 && l.pids && strcmp(l.pids, "max") != 0)
		r = put_size(w, pids, "limit", "pids.max", l.pids, 0, err);
	oci_put_some(w, resources, "pids", pids);
	if (r == 0)
		r = put_block_io(w, resources, err);
	oci_put_some(w, resources, "unified", unified);
	return r;
}
