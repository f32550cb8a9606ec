/* SPDX-License-Identifier: Apache-2.0 */
/* The section process of a runtime-spec document. */
#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "caps.h"
#include "oci_export.h"
#include "oci_private.h"
#include "spec_lines.h"
#include "users.h"

static void upper(char *text)
{
	for (; *text; text++)
		*text = (char)toupper((unsigned char)*text);
}

void oci_put_caps(struct oci_writer *w, struct json_object *caps, const char *key, uint64_t mask)
{
	struct json_object *names = json_object_new_array();
	char name[32];

	for (unsigned i = 0; i < 64; i++) {
		if (!(mask & UINT64_C(1) << i))
			continue;
		(void)caps_name(i, name, sizeof(name));
		upper(name);
		oci_append_text(w, names, name);
	}
	oci_put(w, caps, key, names);
}

void oci_put_cap_sets(struct oci_writer *w, struct json_object *caps, const uint64_t *sets)
{
	for (const struct oci_name *n = oci_cap_sets; n->name; n++)
		oci_put_caps(w, caps, n->name, sets[n->value]);
}

/* --- what the own form's `oci` has, too --- */

void oci_put_user_members(struct oci_writer *w, struct json_object *user)
{
	const struct spec_oci *oci = w->spec->oci;
	struct json_object *groups;

	if (!oci)
		return;
	if (oci->umask >= 0)
		oci_put_int(w, user, "umask", oci->umask);
	if (!oci->has_groups)
		return;
	groups = json_object_new_array();
	for (size_t i = 0; i < oci->n_groups; i++)
		oci_append(w, groups, json_object_new_int64(oci->groups[i]));
	oci_put(w, user, "additionalGids", groups);
}

static void put_scheduler(struct oci_writer *w, struct json_object *process)
{
	const struct spec_scheduler *s = &w->spec->oci->scheduler;
	struct json_object *to = json_object_new_object(), *flags = json_object_new_array();
	const char *policy = oci_name_of(oci_policies, s->policy);

	oci_put_text(w, to, "policy", policy ? policy : "SCHED_OTHER");
	if (s->nice)
		oci_put_int(w, to, "nice", s->nice);
	if (s->priority)
		oci_put_int(w, to, "priority", s->priority);
	for (const struct oci_name *n = oci_sched_flags; n->name; n++) {
		if (s->flags & n->value)
			oci_append_text(w, flags, n->name);
	}
	oci_put_some(w, to, "flags", flags);
	if (s->runtime) {
		oci_put_uint(w, to, "runtime", s->runtime);
		oci_put_uint(w, to, "deadline", s->deadline);
		oci_put_uint(w, to, "period", s->period);
	}
	oci_put(w, process, "scheduler", to);
}

static void put_ioprio(struct oci_writer *w, struct json_object *process)
{
	struct json_object *to = json_object_new_object();
	int32_t value = w->spec->oci->ioprio;
	const char *class = oci_name_of(oci_ioprio_classes, (uint64_t)value >> OCI_IOPRIO_SHIFT);

	oci_put_text(w, to, "class", class ? class : "IOPRIO_CLASS_BE");
	oci_put_int(w, to, "priority", value & ((1 << OCI_IOPRIO_SHIFT) - 1));
	oci_put(w, process, "ioPriority", to);
}

static void put_console(struct oci_writer *w, struct json_object *process)
{
	struct json_object *to = json_object_new_object();

	oci_put_int(w, to, "height", w->spec->oci->rows);
	oci_put_int(w, to, "width", w->spec->oci->cols);
	oci_put(w, process, "consoleSize", to);
}

void oci_put_process_members(struct oci_writer *w, struct json_object *process)
{
	const struct spec_oci *oci = w->spec->oci;

	if (!oci)
		return;
	if (oci->has_caps && !w->where) {
		struct json_object *caps = json_object_new_object();

		oci_put_cap_sets(w, caps, oci->caps);
		oci_put(w, process, "capabilities", caps);
	}
	if (oci->rows || oci->cols)
		put_console(w, process);
	if (oci->scheduler.set)
		put_scheduler(w, process);
	if (oci->ioprio >= 0)
		put_ioprio(w, process);
}

/* --- the whole section --- */

/* The groups of group(5) are not in the document's reach, so all are numbers. */
static void put_groups(struct oci_writer *w, struct json_object *user)
{
	const struct users_ids *ids = w->where->user;
	const struct spec_oci *oci = w->spec->oci;
	struct json_object *groups;

	if (oci && oci->has_groups)
		return; /* oci_put_user_members() has */
	groups = json_object_new_array();
	for (size_t i = 0; i < ids->n_groups; i++)
		oci_append(w, groups, json_object_new_int64(ids->groups[i]));
	for (size_t i = 0; oci && i < oci->n_groups; i++)
		oci_append(w, groups, json_object_new_int64(oci->groups[i]));
	oci_put_some(w, user, "additionalGids", groups);
}

static void put_user(struct oci_writer *w, struct json_object *process)
{
	struct json_object *user = json_object_new_object();

	oci_put_int(w, user, "uid", w->where->user->uid);
	oci_put_int(w, user, "gid", w->where->user->gid);
	oci_put_user_members(w, user);
	put_groups(w, user);
	oci_put(w, process, "user", user);
}

static void put_list(struct oci_writer *w, struct json_object *to, const char *key,
		     const struct strlist *list)
{
	struct json_object *array = json_object_new_array();

	for (size_t i = 0; i < list->len; i++)
		oci_append_text(w, array, list->items[i]);
	oci_put_some(w, to, key, array);
}

/* Without sets of their own they follow from the bounding set: root has all of it. */
static void put_capabilities(struct oci_writer *w, struct json_object *process)
{
	const struct spec *s = w->spec;
	uint64_t usual = w->where->user->uid == 0 ? s->caps : 0;
	const uint64_t sets[SPEC_CAP_SETS] = {
		[SPEC_CAP_EFFECTIVE] = usual,
		[SPEC_CAP_PERMITTED] = usual,
	};
	struct json_object *caps = json_object_new_object();

	oci_put_caps(w, caps, "bounding", s->caps);
	oci_put_cap_sets(w, caps, s->oci && s->oci->has_caps ? s->oci->caps : sets);
	oci_put(w, process, "capabilities", caps);
}

static int put_limits(struct oci_writer *w, struct json_object *process, struct ctn_err *err)
{
	struct json_object *limits = json_object_new_array();
	int r = 0;

	for (size_t i = 0; r == 0 && i < w->spec->rlimits.len; i++) {
		struct json_object *to;
		struct spec_rlimit limit;
		char name[32];

		r = spec_rlimit_parse(w->spec->rlimits.items[i], &limit, err);
		if (r < 0)
			break;
		to = json_object_new_object();
		snprintf(name, sizeof(name), "rlimit_%s", spec_rlimit_name(limit.resource));
		upper(name);
		oci_put_text(w, to, "type", name);
		oci_put_uint(w, to, "hard", limit.hard);
		oci_put_uint(w, to, "soft", limit.soft);
		oci_append(w, limits, to);
	}
	oci_put_some(w, process, "rlimits", limits);
	return r;
}

int oci_put_process(struct oci_writer *w, struct json_object *root, struct ctn_err *err)
{
	struct json_object *process = json_object_new_object();
	const struct spec *s = w->spec;
	struct strlist env = {0};
	int r = spec_env(s, w->where->user->home, &env, err);

	oci_put_bool(w, process, "terminal", s->tty);
	put_user(w, process);
	put_list(w, process, "args", &s->cmd);
	put_list(w, process, "env", &env);
	strlist_free(&env);
	oci_put_text(w, process, "cwd", s->cwd);
	put_capabilities(w, process);
	if (r == 0)
		r = put_limits(w, process, err);
	oci_put_bool(w, process, "noNewPrivileges", s->no_new_privs);
	if (s->oom_score_adj)
		oci_put_int(w, process, "oomScoreAdj", s->oom_score_adj);
	oci_put_process_members(w, process);
	oci_put(w, root, "process", process);
	return r;
}
