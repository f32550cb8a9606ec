/* SPDX-License-Identifier: Apache-2.0 */
/* The runtime-spec's process, of which execve(2) is made. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "io.h"
#include "oci_private.h"
#include "spec_lines.h"

enum { ID_MAX = UINT32_MAX - 1, PRIORITY_MAX = 99 };

static int take_args(struct oci_reader *in, const struct json_at *at, struct ctn_err *err)
{
	const struct spec_field *f = spec_field_find("cmd");
	int r = json_want_array(at, err);

	if (r < 0 || json_length(at) == 0)
		return r;
	r = f->store(in->spec, f, json_object_to_json_string_ext(at->value, JSON_C_TO_STRING_PLAIN),
		     SPEC_REPLACE, err);
	return r < 0 ? json_fail_context(at, err) : 0;
}

/* As a line of the file `env`, which has an escape for a newline. */
static int env_line(const char *variable, char **ret)
{
	struct strlist one = {0};
	char *line = NULL;
	size_t len;
	FILE *out = open_memstream(&line, &len);
	int r;

	if (!out)
		return -ENOMEM;
	r = strlist_add(&one, variable, strlen(variable));
	if (r == 0)
		spec_env_print(&one, out);
	strlist_free(&one);
	if (io_text_close(out, &line) < 0 || r < 0) {
		free(line);
		return -ENOMEM;
	}
	*ret = line;
	return 0;
}

/* The file would take some for a comment or a removal, and lose blanks in front. */
static bool is_variable(const char *text)
{
	if (strchr("#-=", text[0]))
		return false;
	for (; *text != '='; text++) {
		if ((unsigned char)*text <= ' ') /* or at its end */
			return false;
	}
	return true;
}

static int take_variable(struct oci_reader *in, const struct json_at *at, struct ctn_err *err)
{
	const struct spec_field *f = spec_field_find("env");
	ctn_autofree char *line = NULL;
	const char *text = NULL;
	int r = json_want_string(at, &text, err);

	if (r < 0)
		return r;
	if (!is_variable(text))
		return json_fail(
			at, EINVAL, err,
			"'%.60s' is not KEY=value with a key that has no blanks and begins "
			"with neither # nor -",
			text);
	if (env_line(text, &line) < 0)
		return json_fail(at, ENOMEM, err, "no memory");
	r = f->store(in->spec, f, line, SPEC_AMEND, err);
	return r < 0 ? json_fail_context(at, err) : 0;
}

/* It replaces what oci_import() put there: the removal of each default. */
static int take_env(struct oci_reader *in, const struct json_at *at, struct ctn_err *err)
{
	return oci_each(in, at, take_variable, err);
}

static int take_cwd(struct oci_reader *in, const struct json_at *at, struct ctn_err *err)
{
	const char *text = NULL;
	int r = json_want_string(at, &text, err);

	return r < 0 ? r : oci_field(in, at, "cwd", text, err);
}

static int take_terminal(struct oci_reader *in, const struct json_at *at, struct ctn_err *err)
{
	return json_want_bool(at, &in->spec->tty, err);
}

static int take_no_new_privs(struct oci_reader *in, const struct json_at *at, struct ctn_err *err)
{
	return json_want_bool(at, &in->spec->no_new_privs, err);
}

static int take_oom_score(struct oci_reader *in, const struct json_at *at, struct ctn_err *err)
{
	int64_t value = 0;
	int r = json_want_int(at, -1000, 1000, &value, err);

	if (r == 0)
		in->spec->oom_score_adj = (int)value;
	return r;
}

/* --- user --- */

int oci_take_umask(struct oci_reader *in, const struct json_at *at, struct ctn_err *err)
{
	struct spec_oci *oci = spec_oci_edit(in->spec);
	uint64_t mask = 0;
	int r = json_want_uint(at, 0777, &mask, err);

	if (r < 0)
		return r;
	if (!oci)
		return json_fail(at, ENOMEM, err, "no memory");
	oci->umask = (int32_t)mask;
	return 0;
}

static int take_gid(struct oci_reader *in, const struct json_at *at, struct ctn_err *err)
{
	struct spec_oci *oci = in->spec->oci;
	uint64_t gid = 0;
	int r = json_want_uint(at, ID_MAX, &gid, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < oci->n_groups; i++) {
		if (oci->groups[i] == gid)
			return 0;
	}
	if (oci->n_groups == SPEC_GROUPS_MAX)
		return json_fail(at, EINVAL, err, "more than %d groups", SPEC_GROUPS_MAX);
	oci->groups[oci->n_groups++] = (uint32_t)gid;
	return 0;
}

int oci_take_gids(struct oci_reader *in, const struct json_at *at, struct ctn_err *err)
{
	struct spec_oci *oci = spec_oci_edit(in->spec);

	if (!oci)
		return json_fail(at, ENOMEM, err, "no memory");
	oci->has_groups = true;
	return oci_each(in, at, take_gid, err);
}

static int want_id(const struct json_at *user, const char *key, uint64_t *ret, struct ctn_err *err)
{
	struct json_at at;

	if (!json_get(user, key, &at) || !at.value)
		return 0;
	return json_want_uint(&at, ID_MAX, ret, err);
}

static int take_user(struct oci_reader *in, const struct json_at *at, struct ctn_err *err)
{
	/* username is Windows'; here the numbers count. */
	static const struct oci_prop members[] = {
		{"umask", oci_take_umask, NULL},
		{"additionalGids", oci_take_gids, NULL},
		{"username", NULL, NULL},
		{NULL, NULL, NULL},
	};
	uint64_t uid = 0, gid = 0;
	char text[32];
	int r = json_want_object(at, err);

	if (r == 0)
		r = want_id(at, "uid", &uid, err);
	if (r == 0)
		r = want_id(at, "gid", &gid, err);
	if (r == 0)
		r = oci_props(in, at, members, err);
	if (r < 0)
		return r;
	in->uid = (uint32_t)uid;
	snprintf(text, sizeof(text), "%" PRIu64 ":%" PRIu64, uid, gid);
	return oci_field(in, at, "user", text, err);
}

/* --- limits --- */

static int limit_line(const struct json_at *at, struct spec_rlimit *limit, struct ctn_err *err)
{
	struct json_at type, soft, hard;
	const char *name = NULL;
	char line[LINE_NAME_MAX];
	uint64_t s = 0, h = 0;
	int r = oci_need(at, "type", &type, err);

	if (r == 0)
		r = oci_need(at, "soft", &soft, err);
	if (r == 0)
		r = oci_need(at, "hard", &hard, err);
	if (r == 0)
		r = json_want_string(&type, &name, err);
	if (r == 0)
		r = json_want_uint(&soft, UINT64_MAX, &s, err);
	if (r == 0)
		r = json_want_uint(&hard, UINT64_MAX, &h, err);
	if (r < 0)
		return r;
	if (strncmp(name, "RLIMIT_", 7) != 0 || strcspn(name, " \t\r\n") != strlen(name))
		return json_fail(&type, EINVAL, err,
				 "'%.40s' is no limit of getrlimit(2): RLIMIT_NOFILE, "
				 "RLIMIT_NPROC …",
				 name);
	snprintf(line, sizeof(line), "%.40s %" PRIu64 " %" PRIu64, name, s, h);
	r = spec_rlimit_parse(line, limit, err);
	return r < 0 ? json_fail_context(at, err) : 0;
}

static int take_limit(struct oci_reader *in, const struct json_at *at, struct ctn_err *err)
{
	const struct strlist *list = &in->spec->rlimits;
	struct spec_rlimit limit, other;
	ctn_autofree char *line = NULL;
	int r = json_want_object(at, err);

	if (r == 0)
		r = limit_line(at, &limit, err);
	for (size_t i = 0; r == 0 && i < list->len; i++) {
		r = spec_rlimit_parse(list->items[i], &other, err);
		if (r == 0 && other.resource == limit.resource)
			return json_fail(at, EINVAL, err, "%s has a limit already",
					 spec_rlimit_name(limit.resource));
	}
	if (r == 0)
		r = spec_rlimit_line(&limit, &line, err);
	return r < 0 ? r : oci_add(in, at, "rlimits", line, err);
}

static int take_limits(struct oci_reader *in, const struct json_at *at, struct ctn_err *err)
{
	return oci_each(in, at, take_limit, err);
}

/* --- terminal --- */

int oci_take_console(struct oci_reader *in, const struct json_at *at, struct ctn_err *err)
{
	struct spec_oci *oci = spec_oci_edit(in->spec);
	static const char *const names[] = {"height", "width", NULL};
	struct json_at height, width;
	uint64_t rows = 0, cols = 0;
	int r = oci_object(in, at, names, err);

	if (r == 0)
		r = oci_need(at, "height", &height, err);
	if (r == 0)
		r = oci_need(at, "width", &width, err);
	if (r == 0)
		r = json_want_uint(&height, UINT16_MAX, &rows, err);
	if (r == 0)
		r = json_want_uint(&width, UINT16_MAX, &cols, err);
	if (r < 0)
		return r;
	if (!oci)
		return json_fail(at, ENOMEM, err, "no memory");
	oci->rows = (uint16_t)rows;
	oci->cols = (uint16_t)cols;
	return 0;
}

/* --- scheduler --- */

static int take_flag(struct oci_reader *in, const struct json_at *at, struct ctn_err *err)
{
	const char *name = NULL;
	uint64_t flag = 0;
	int r = json_want_string(at, &name, err);

	if (r == 0 && strncmp(name, "SCHED_FLAG_UTIL_CLAMP_", 22) == 0)
		return json_fail(at, EOPNOTSUPP, err,
				 "%.40s needs a value, which the document has no place for", name);
	if (r == 0)
		r = oci_number(at, oci_sched_flags, &flag, err);
	if (r == 0)
		in->spec->oci->scheduler.flags |= flag;
	return r;
}

/* The numbers of @object, where they are given. */
static int sched_numbers(const struct json_at *object, struct spec_scheduler *s,
			 struct ctn_err *err)
{
	const struct {
		const char *name;
		uint64_t *value;
	} times[] = {{"runtime", &s->runtime}, {"deadline", &s->deadline}, {"period", &s->period}};
	int64_t nice = 0, priority = 0;
	struct json_at at;
	int r = 0;

	if (json_get(object, "nice", &at) && at.value)
		r = json_want_int(&at, -20, 19, &nice, err);
	if (r == 0 && json_get(object, "priority", &at) && at.value)
		r = json_want_int(&at, 0, PRIORITY_MAX, &priority, err);
	for (size_t i = 0; r == 0 && i < CTN_COUNT(times); i++) {
		if (json_get(object, times[i].name, &at) && at.value)
			r = json_want_uint(&at, INT64_MAX, times[i].value, err);
	}
	s->nice = (int32_t)nice;
	s->priority = (uint32_t)priority;
	return r;
}

/* sched(7): what the kernel refuses or would overlook. */
static int sched_check(const struct json_at *at, const char *policy, const struct spec_scheduler *s,
		       struct ctn_err *err)
{
	bool real_time = strcmp(policy, "SCHED_FIFO") == 0 || strcmp(policy, "SCHED_RR") == 0;
	bool fair = strcmp(policy, "SCHED_OTHER") == 0 || strcmp(policy, "SCHED_BATCH") == 0;
	bool deadline = strcmp(policy, "SCHED_DEADLINE") == 0;

	if (real_time != (s->priority > 0))
		return json_fail(at, EINVAL, err,
				 "SCHED_FIFO and SCHED_RR need a priority of 1 to 99, the others "
				 "none");
	if (s->nice && !fair)
		return json_fail(at, EINVAL, err,
				 "only SCHED_OTHER and SCHED_BATCH have a nice value");
	if (deadline ? !s->runtime || s->deadline < s->runtime ||
			       (s->period && s->period < s->deadline)
		     : s->runtime || s->deadline || s->period)
		return json_fail(at, EINVAL, err,
				 "SCHED_DEADLINE needs runtime <= deadline <= period, the others "
				 "none of them");
	return 0;
}

int oci_take_scheduler(struct oci_reader *in, const struct json_at *at, struct ctn_err *err)
{
	static const char *const names[] = {"policy",  "nice",	   "priority", "flags",
					    "runtime", "deadline", "period",   NULL};
	struct spec_oci *oci = spec_oci_edit(in->spec);
	struct spec_scheduler s = {.set = true};
	struct json_at policy, flags;
	const char *name = NULL;
	uint64_t number = 0;
	int r = oci_object(in, at, names, err);

	if (!oci)
		return json_fail(at, ENOMEM, err, "no memory");
	if (r == 0)
		r = oci_need(at, "policy", &policy, err);
	if (r == 0)
		r = json_want_string(&policy, &name, err);
	if (r == 0 && strcmp(name, "SCHED_ISO") == 0)
		return json_fail(&policy, EOPNOTSUPP, err, "Linux has no SCHED_ISO");
	if (r == 0)
		r = oci_number(&policy, oci_policies, &number, err);
	if (r == 0)
		r = sched_numbers(at, &s, err);
	if (r == 0)
		r = sched_check(at, name, &s, err);
	if (r < 0)
		return r;
	s.policy = (uint32_t)number;
	oci->scheduler = s;
	return json_get(at, "flags", &flags) && flags.value ? oci_each(in, &flags, take_flag, err)
							    : 0;
}

int oci_take_ioprio(struct oci_reader *in, const struct json_at *at, struct ctn_err *err)
{
	struct spec_oci *oci = spec_oci_edit(in->spec);
	static const char *const names[] = {"class", "priority", NULL};
	struct json_at class, level;
	uint64_t number = 0, priority = 0;
	int r = oci_object(in, at, names, err);

	if (r == 0)
		r = oci_need(at, "class", &class, err);
	if (r == 0)
		r = oci_number(&class, oci_ioprio_classes, &number, err);
	if (r == 0 && json_get(at, "priority", &level) && level.value)
		r = json_want_uint(&level, 7, &priority, err);
	if (r < 0)
		return r;
	if (!oci)
		return json_fail(at, ENOMEM, err, "no memory");
	oci->ioprio = (int32_t)(number << OCI_IOPRIO_SHIFT | priority);
	return 0;
}

static const char apparmor[] = "AppArmor profiles are not applied here; remove it",
		  selinux[] = "SELinux labels are not applied here; remove it",
		  affinity[] = "is not supported; linux.resources.cpu.cpus says which processors",
		  windows[] = "is Windows'; give args";

int oci_take_process(struct oci_reader *in, const struct json_at *at, struct ctn_err *err)
{
	static const struct oci_prop members[] = {
		{"user", take_user, NULL},
		{"args", take_args, NULL},
		{"env", take_env, NULL},
		{"cwd", take_cwd, NULL},
		{"terminal", take_terminal, NULL},
		{"consoleSize", oci_take_console, NULL},
		{"capabilities", oci_take_caps, NULL},
		{"rlimits", take_limits, NULL},
		{"noNewPrivileges", take_no_new_privs, NULL},
		{"oomScoreAdj", take_oom_score, NULL},
		{"scheduler", oci_take_scheduler, NULL},
		{"ioPriority", oci_take_ioprio, NULL},
		{"apparmorProfile", NULL, apparmor},
		{"selinuxLabel", NULL, selinux},
		{"execCPUAffinity", NULL, affinity},
		{"commandLine", NULL, windows},
		{NULL, NULL, NULL},
	};
	struct json_at cwd;
	int r = oci_props(in, at, members, err);

	return r < 0 ? r : oci_need(at, "cwd", &cwd, err);
}
