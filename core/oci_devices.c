/* SPDX-License-Identifier: Apache-2.0 */
/* The runtime-spec's linux.devices, which are nodes, and linux.resources.devices, which say what
 * may be used: both are lines of the file `devices`. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cleanup.h"
#include "oci_private.h"
#include "spec_lines.h"

enum { ACCESS_ALL = 7, MAJOR_MOST = 4095, MINOR_MOST = 1048575 };

/* As in struct spec_device. @used: a node's line says the same. */
struct rule {
	char type;
	bool used;
	unsigned access;
	int64_t major, minor;
};

/* What may be used after the rules seen so far. */
struct rules {
	struct rule items[SPEC_LINES_MAX];
	size_t n;
};

static struct rule rule_of(const struct spec_device *d)
{
	return (struct rule){
		.type = d->type, .access = d->access, .major = d->major, .minor = d->minor};
}

static bool covers(const struct rule *a, const struct rule *b)
{
	return (a->type == 'a' || a->type == b->type) && (a->major < 0 || a->major == b->major) &&
	       (a->minor < 0 || a->minor == b->minor);
}

static bool touches(const struct rule *a, const struct rule *b)
{
	return (a->type == 'a' || b->type == 'a' || a->type == b->type) &&
	       (a->major < 0 || b->major < 0 || a->major == b->major) &&
	       (a->minor < 0 || b->minor < 0 || a->minor == b->minor);
}

static bool same_numbers(const struct rule *a, const struct rule *b)
{
	return a->type == b->type && a->major == b->major && a->minor == b->minor;
}

static int want_number(const struct json_at *object, const char *key, int64_t max, int64_t *ret,
		       struct ctn_err *err)
{
	struct json_at at;

	*ret = -1;
	if (!json_get(object, key, &at) || !at.value)
		return 0;
	return json_want_int(&at, -1, max, ret, err);
}

static int want_access(const struct json_at *object, unsigned *ret, struct ctn_err *err)
{
	struct json_at at;
	const char *text = NULL;
	unsigned mask = 0;
	int r;

	*ret = ACCESS_ALL;
	if (!json_get(object, "access", &at) || oci_says_nothing(&at))
		return 0;
	r = json_want_string(&at, &text, err);
	if (r < 0)
		return r;
	for (; *text; text++) {
		unsigned bit = *text == 'r' ? 4 : *text == 'w' ? 2 : *text == 'm' ? 1 : 0;

		if (!bit)
			return json_fail(&at, EINVAL, err, "has more than r, w and m");
		mask |= bit;
	}
	*ret = mask;
	return 0;
}

static int want_rule(const struct json_at *at, bool *allow, struct rule *d, struct ctn_err *err)
{
	struct json_at member;
	const char *type = "a";
	int r = json_want_object(at, err);

	*d = (struct rule){0};
	if (r == 0)
		r = oci_need(at, "allow", &member, err);
	if (r == 0)
		r = json_want_bool(&member, allow, err);
	if (r == 0 && json_get(at, "type", &member) && !oci_says_nothing(&member)) {
		r = json_want_string(&member, &type, err);
		if (r == 0 && (strlen(type) != 1 || !strchr("abc", type[0])))
			return json_fail(&member, EINVAL, err, "'%.40s' is none of a, b and c",
					 type);
	}
	if (r == 0)
		r = want_number(at, "major", MAJOR_MOST, &d->major, err);
	if (r == 0)
		r = want_number(at, "minor", MINOR_MOST, &d->minor, err);
	if (r == 0)
		r = want_access(at, &d->access, err);
	d->type = type[0];
	return r;
}

static int rules_allow(const struct json_at *at, struct rules *rules, const struct rule *d,
		       struct ctn_err *err)
{
	for (size_t i = 0; i < rules->n; i++) {
		if (same_numbers(&rules->items[i], d)) {
			rules->items[i].access |= d->access;
			return 0;
		}
	}
	if (rules->n == SPEC_LINES_MAX)
		return json_fail(at, E2BIG, err, "more than %d rules", SPEC_LINES_MAX);
	rules->items[rules->n++] = *d;
	return 0;
}

/* There are no exceptions in the list of what may be used: a denial can only take whole entries
 * away, or some accesses of whole entries. */
static int rules_deny(const struct json_at *at, struct rules *rules, const struct rule *d,
		      struct ctn_err *err)
{
	size_t kept = 0;

	for (size_t i = 0; i < rules->n; i++) {
		struct rule *rule = &rules->items[i];

		if (!covers(d, rule) && touches(d, rule) && d->access & rule->access)
			return json_fail(at, EOPNOTSUPP, err,
					 "denies a part of what an earlier rule allows; allow only "
					 "what may be used");
		if (covers(d, rule))
			rule->access &= ~d->access;
		if (rule->access)
			rules->items[kept++] = *rule;
	}
	rules->n = kept;
	return 0;
}

static int rules_read(const struct json_at *linux_at, struct rules *rules, struct ctn_err *err)
{
	struct json_at resources, list, item;
	int r;

	if (!json_get(linux_at, "resources", &resources) || !resources.value ||
	    !json_get(&resources, "devices", &list) || !list.value)
		return 0;
	r = json_want_array(&list, err);
	for (size_t i = 0; r == 0 && json_item(&list, i, &item); i++) {
		struct rule d;
		bool allow = false;

		r = want_rule(&item, &allow, &d, err);
		if (r == 0)
			r = allow ? rules_allow(&item, rules, &d, err)
				  : rules_deny(&item, rules, &d, err);
	}
	return r;
}

/* --- nodes --- */

/* docker writes the file type's bits, too. */
static int want_mode(const struct json_at *at, struct spec_device *d, struct ctn_err *err)
{
	struct json_at member;
	uint64_t mode = 0666, type = d->type == 'b' ? S_IFBLK : S_IFCHR;
	int r = 0;

	if (json_get(at, "fileMode", &member) && member.value)
		r = json_want_uint(&member, UINT32_MAX, &mode, err);
	if (r == 0 && (mode & S_IFMT) == type)
		mode &= ~(uint64_t)S_IFMT;
	if (r == 0 && mode > 0777)
		return json_fail(&member, EINVAL, err,
				 "%#llo has more than permission bits, which are written as a "
				 "decimal number: 438 is 0666",
				 (unsigned long long)mode);
	d->mode = (mode_t)mode;
	return r;
}

static int want_owner(const struct json_at *at, const char *key, uint32_t *ret, struct ctn_err *err)
{
	struct json_at member;
	uint64_t id = 0;
	int r = 0;

	if (json_get(at, key, &member) && member.value)
		r = json_want_uint(&member, UINT32_MAX - 1, &id, err);
	*ret = (uint32_t)id;
	return r;
}

static int want_type(const struct json_at *at, char *ret, struct ctn_err *err)
{
	struct json_at member;
	const char *type = NULL;
	int r = oci_need(at, "type", &member, err);

	if (r == 0)
		r = json_want_string(&member, &type, err);
	if (r < 0)
		return r;
	if (strcmp(type, "p") == 0)
		return json_fail(&member, EOPNOTSUPP, err,
				 "fifos are not made; a program inside can: mkfifo(1)");
	if (strlen(type) != 1 || !strchr("bcu", type[0]))
		return json_fail(&member, EINVAL, err, "'%.40s' is none of b, c, u and p", type);
	*ret = type[0] == 'u' ? 'c' : type[0];
	return 0;
}

static int want_node(const struct json_at *at, struct spec_device *d, struct ctn_err *err)
{
	ctn_autofree char *clean = NULL;
	struct json_at path, major, minor;
	const char *text = NULL;
	int r = json_want_object(at, err);

	*d = (struct spec_device){.mode = 0666};
	if (r == 0)
		r = oci_need(at, "path", &path, err);
	if (r == 0)
		r = json_want_string(&path, &text, err);
	if (r == 0)
		r = oci_path(&path, NULL, text, &clean, err);
	if (r == 0)
		r = want_type(at, &d->type, err);
	if (r == 0)
		r = oci_need(at, "major", &major, err);
	if (r == 0)
		r = oci_need(at, "minor", &minor, err);
	if (r == 0)
		r = json_want_int(&major, 0, MAJOR_MOST, &d->major, err);
	if (r == 0)
		r = json_want_int(&minor, 0, MINOR_MOST, &d->minor, err);
	if (r == 0)
		r = want_mode(at, d, err);
	if (r == 0)
		r = want_owner(at, "uid", &d->uid, err);
	if (r == 0)
		r = want_owner(at, "gid", &d->gid, err);
	if (r < 0)
		return r;
	if (strpbrk(clean, " \t\n\r")) /* a line's words end there */
		return json_fail(&path, EINVAL, err, "has a blank in it");
	strcpy(d->path, clean);
	return 0;
}

/* The default devices' line number @i as a rule; @node: whether it makes one. */
static bool default_rule(size_t i, struct rule *ret, bool *node)
{
	struct spec_device d;

	if (!spec_default_devices[i] || spec_device_parse(spec_default_devices[i], &d, NULL) < 0)
		return false;
	*ret = rule_of(&d);
	*node = d.path[0];
	return true;
}

/* What may be done with it. A rule for just this device becomes part of its line. */
static unsigned node_access(struct rules *rules, const struct rule *node)
{
	unsigned access = 0;
	struct rule d;
	bool made;

	for (size_t i = 0; i < rules->n; i++) {
		if (covers(&rules->items[i], node))
			access |= rules->items[i].access;
		rules->items[i].used |= same_numbers(&rules->items[i], node);
	}
	for (size_t i = 0; default_rule(i, &d, &made); i++) {
		if (covers(&d, node))
			access |= d.access;
	}
	return access;
}

static int add_device(struct oci_reader *in, const struct json_at *at, const struct spec_device *d,
		      struct ctn_err *err)
{
	ctn_autofree char *line = NULL;
	int r = spec_device_line(d, &line, err);

	return r < 0 ? r : oci_add(in, at, "devices", line, err);
}

static int add_nodes(struct oci_reader *in, const struct json_at *linux_at, struct rules *rules,
		     struct ctn_err *err)
{
	struct json_at list, item;
	int r;

	if (!json_get(linux_at, "devices", &list) || !list.value)
		return 0;
	r = json_want_array(&list, err);
	for (size_t i = 0; r == 0 && json_item(&list, i, &item); i++) {
		struct spec_device d;
		struct rule rule;

		r = want_node(&item, &d, err);
		if (r < 0)
			return r;
		rule = rule_of(&d);
		d.access = node_access(rules, &rule);
		if (!d.access)
			return json_fail(&item, EOPNOTSUPP, err,
					 "no rule of linux.resources.devices lets %s be used; add "
					 "one that allows %c %lld:%lld",
					 d.path, d.type, (long long)d.major, (long long)d.minor);
		r = add_device(in, &item, &d, err);
	}
	return r;
}

/* Adds what the default devices' lines for just this rule's numbers say; one of a rule without a
 * node would be replaced. Return: whether they say it all. */
static bool merge_defaults(struct rule *rule)
{
	bool all = false, node;
	struct rule d;

	for (size_t i = 0; default_rule(i, &d, &node); i++) {
		if (!same_numbers(&d, rule))
			continue;
		all |= !(rule->access & ~d.access);
		if (!node)
			rule->access |= d.access;
	}
	return all;
}

static int add_rule(struct oci_reader *in, const struct json_at *at, struct rule *rule,
		    struct ctn_err *err)
{
	struct spec_device d = {
		.type = rule->type,
		.major = rule->major,
		.minor = rule->minor,
		.mode = 0666,
	};

	if (rule->used || merge_defaults(rule))
		return 0;
	d.access = rule->access;
	return add_device(in, at, &d, err);
}

int oci_take_devices(struct oci_reader *in, const struct json_at *linux_at, struct ctn_err *err)
{
	ctn_autofree struct rules *rules = calloc(1, sizeof(*rules));
	int r;

	if (!rules)
		return json_fail(linux_at, ENOMEM, err, "no memory");
	r = rules_read(linux_at, rules, err);
	if (r == 0)
		r = add_nodes(in, linux_at, rules, err);
	for (size_t i = 0; r == 0 && i < rules->n; i++)
		r = add_rule(in, linux_at, &rules->items[i], err);
	return r;
}
