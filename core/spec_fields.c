/* SPDX-License-Identifier: Apache-2.0 */
/* The table of configuration files: how each is shown and parsed, for the tree, the state on disk,
 * and `pending`. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "caps.h"
#include "cleanup.h"
#include "io.h"
#include "spec_private.h"
#include "users.h"

enum { LOG_MAX_LEAST = 4096, CWD_MAX = 4095, OOM_SCORE_MOST = 1000 };

int spec_each_line(struct spec *s, const char *text,
		   int (*fn)(struct spec *s, char *line, struct ctn_err *err), struct ctn_err *err)
{
	while (*text) {
		const char *end = text + strcspn(text, "\n"), *from = text, *p;
		ctn_autofree char *line = NULL;
		int r;

		text = end + (*end == '\n');
		while (from < end && isblank((unsigned char)*from))
			from++;
		for (p = from; p < end && isspace((unsigned char)*p);)
			p++;
		if (p == end || *from == '#')
			continue;
		line = strndup(from, (size_t)(end - from));
		if (!line)
			return ctn_fail(err, ENOMEM, "no memory for a line of %zu bytes",
					(size_t)(end - from));
		r = fn(s, line, err);
		if (r < 0)
			return r;
	}
	return 0;
}

int spec_one_value(const char *text, char **ret, struct ctn_err *err)
{
	const char *from = "";
	size_t n = 0;
	char *value;

	while (*text) {
		size_t len = strcspn(text, "\n");
		const char *p = text + strspn(text, " \t\r");

		if (p < text + len && *p != '#') {
			from = p;
			n = (size_t)(text + len - p);
		}
		text += len + (text[len] == '\n');
	}
	while (n > 0 && isspace((unsigned char)from[n - 1]))
		n--;
	value = strndup(from, n);
	if (!value)
		return ctn_fail(err, ENOMEM, "no memory for a value");
	*ret = value;
	return 0;
}

static void set_text(char **field, char **value)
{
	free(*field);
	*field = ctn_take_ptr(*value);
}

/* --- flags --- */

static bool *flag_of(struct spec *s, const struct spec_field *f)
{
	bool *const flags[] = {&s->start, &s->no_new_privs, &s->init, &s->tty, &s->notify};

	return flags[f->arg];
}

static void show_flag(const struct spec *s, const struct spec_field *f, FILE *out)
{
	fprintf(out, "%d\n", *flag_of((struct spec *)s, f));
}

static int store_flag(struct spec *s, const struct spec_field *f, const char *text,
		      enum spec_write how, struct ctn_err *err)
{
	ctn_autofree char *value = NULL;
	int r = spec_one_value(text, &value, err);

	(void)how;
	return r < 0 ? r : parse_bool(f->name, value, flag_of(s, f), err);
}

/* --- single texts --- */

static void show_cwd(const struct spec *s, const struct spec_field *f, FILE *out)
{
	(void)f;
	fprintf(out, "%s\n", s->cwd);
}

static int store_cwd(struct spec *s, const struct spec_field *f, const char *text,
		     enum spec_write how, struct ctn_err *err)
{
	ctn_autofree char *value = NULL;
	int r = spec_one_value(text, &value, err);

	(void)f;
	(void)how;
	if (r < 0)
		return r;
	if (value[0] != '/')
		return ctn_fail(err, EINVAL, "cwd: '%.80s' is not an absolute path", value);
	if (strlen(value) > CWD_MAX)
		return ctn_fail(err, ENAMETOOLONG, "cwd: longer than %d bytes", CWD_MAX);
	set_text(&s->cwd, &value);
	return 0;
}

static void show_user(const struct spec *s, const struct spec_field *f, FILE *out)
{
	(void)f;
	fprintf(out, "%s\n", s->user[0] ? s->user : "root");
}

static int store_user(struct spec *s, const struct spec_field *f, const char *text,
		      enum spec_write how, struct ctn_err *err)
{
	ctn_autofree char *value = NULL;
	int r = spec_one_value(text, &value, err);

	(void)f;
	(void)how;
	if (r == 0)
		r = users_check(value, err);
	if (r < 0)
		return r;
	if (strcmp(value, "root") == 0) /* also where no passwd(5) names it */
		value[0] = '\0';
	set_text(&s->user, &value);
	return 0;
}

static void show_hostname(const struct spec *s, const struct spec_field *f, FILE *out)
{
	(void)f;
	fprintf(out, "%s\n", spec_hostname(s));
}

static int store_hostname(struct spec *s, const struct spec_field *f, const char *text,
			  enum spec_write how, struct ctn_err *err)
{
	ctn_autofree char *value = NULL;
	int r = spec_one_value(text, &value, err);

	(void)f;
	(void)how;
	if (r < 0)
		return r;
	for (const char *p = value; *p; p++) {
		if (!isalnum((unsigned char)*p) && (p == value || !strchr("_.-", *p)))
			return ctn_fail(err, EINVAL,
					"hostname: '%.80s' has more than letters, digits and "
					"- . _, or begins with one of those",
					value);
	}
	if (strlen(value) > SPEC_HOSTNAME_MAX)
		return ctn_fail(err, EINVAL, "hostname: longer than %d characters",
				SPEC_HOSTNAME_MAX);
	if (!value[0]) { /* the default again */
		free(value);
		value = NULL;
	}
	set_text(&s->hostname, &value);
	return 0;
}

/* --- the OOM killer's preference --- */

static void show_oom(const struct spec *s, const struct spec_field *f, FILE *out)
{
	(void)f;
	fprintf(out, "%d\n", s->oom_score_adj);
}

static int store_oom(struct spec *s, const struct spec_field *f, const char *text,
		     enum spec_write how, struct ctn_err *err)
{
	ctn_autofree char *value = NULL;
	int64_t number = 0;
	int r = spec_one_value(text, &value, err);

	(void)how;
	if (r == 0)
		r = parse_i64(f->name, value, -OOM_SCORE_MOST, OOM_SCORE_MOST, &number, err);
	if (r == 0)
		s->oom_score_adj = (int)number;
	return r;
}

/* --- capabilities --- */

static void show_caps(const struct spec *s, const struct spec_field *f, FILE *out)
{
	(void)f;
	caps_print_lines(out, s->caps);
}

/* Is there a line that says more than +name or -name? Then it replaces. */
static int caps_note_plain(struct spec *s, char *line, struct ctn_err *err)
{
	(void)err;
	if (line[0] != '+' && line[0] != '-')
		s->caps = 0;
	return 0;
}

static int caps_line(struct spec *s, char *line, struct ctn_err *err)
{
	static const char between[] = " \t\r,";
	char *save = NULL;

	for (char *w = strtok_r(line, between, &save); w; w = strtok_r(NULL, between, &save)) {
		int r = caps_apply(w, &s->caps, err);

		if (r < 0)
			return r;
	}
	return 0;
}

static int store_caps(struct spec *s, const struct spec_field *f, const char *text,
		      enum spec_write how, struct ctn_err *err)
{
	int r = how == SPEC_REPLACE ? spec_each_line(s, text, caps_note_plain, err) : 0;

	(void)f;
	return r < 0 ? r : spec_each_line(s, text, caps_line, err);
}

/* --- the log's bound --- */

static void show_log_max(const struct spec *s, const struct spec_field *f, FILE *out)
{
	(void)f;
	if (s->log_max == CTN_MAX)
		fputs("max\n", out);
	else
		fprintf(out, "%llu\n", (unsigned long long)s->log_max);
}

static int store_log_max(struct spec *s, const struct spec_field *f, const char *text,
			 enum spec_write how, struct ctn_err *err)
{
	ctn_autofree char *value = NULL;
	uint64_t bytes = 0;
	int r = spec_one_value(text, &value, err);

	(void)how;
	if (r == 0)
		r = parse_size(f->name, value, &bytes, err);
	if (r < 0)
		return r;
	if (bytes < LOG_MAX_LEAST)
		return ctn_fail(err, ERANGE, "log.max: at least %d bytes", LOG_MAX_LEAST);
	s->log_max = bytes;
	return 0;
}

enum { FLAG_START, FLAG_NNP, FLAG_INIT, FLAG_TTY, FLAG_NOTIFY };

/* clang-format off */
const struct spec_field spec_fields[] = {
	/* name           when          list   keeps  show            store           arg */
	{"cmd",           SPEC_STOPPED, false, false, spec_cmd_show,  spec_cmd_store, 0},
	{"start",         SPEC_LIVE,    false, false, show_flag,      store_flag,     FLAG_START},
	{"env",           SPEC_NEXT,    true,  false, spec_env_show,  spec_env_store, 0},
	{"cwd",           SPEC_NEXT,    false, false, show_cwd,       store_cwd,      0},
	{"user",          SPEC_NEXT,    false, false, show_user,      store_user,     0},
	{"hostname",      SPEC_LIVE,    false, false, show_hostname,  store_hostname, 0},
	{"rootfs",        SPEC_NEXT,    false, false, spec_rootfs_show, spec_rootfs_store, 0},
	{"mounts",        SPEC_NEXT,    true,  false, spec_list_show, spec_list_store, LIST_MOUNTS},
	{"rlimits",       SPEC_NEXT,    true,  false, spec_list_show, spec_list_store, LIST_RLIMITS},
	{"sysctl",        SPEC_NEXT,    true,  false, spec_list_show, spec_list_store, LIST_SYSCTL},
	{"devices",       SPEC_NEXT,    true,  false, spec_list_show, spec_list_store, LIST_DEVICES},
	{"paths",         SPEC_NEXT,    true,  false, spec_list_show, spec_list_store, LIST_PATHS},
	{"oom_score_adj", SPEC_LIVE,    false, false, show_oom,       store_oom,      0},
	{"tty",           SPEC_NEXT,    false, false, show_flag,      store_flag,     FLAG_TTY},
	{"caps",          SPEC_NEXT,    true,  true,  show_caps,      store_caps,     0},
	{"seccomp",       SPEC_NEXT,    true,  true,  spec_seccomp_show, spec_seccomp_store, 0},
	{"seccomp.notify", SPEC_NEXT,   false, false, show_flag,      store_flag,     FLAG_NOTIFY},
	{"no_new_privs",  SPEC_NEXT,    false, false, show_flag,      store_flag,     FLAG_NNP},
	{"init",          SPEC_NEXT,    false, false, show_flag,      store_flag,     FLAG_INIT},
	{"ns/cgroup",     SPEC_STOPPED, false, false, spec_ns_show,   spec_ns_store,  NS_CGROUP},
	{"ns/ipc",        SPEC_STOPPED, false, false, spec_ns_show,   spec_ns_store,  NS_IPC},
	{"ns/mnt",        SPEC_STOPPED, false, false, spec_ns_show,   spec_ns_store,  NS_MNT},
	{"ns/net",        SPEC_STOPPED, false, false, spec_ns_show,   spec_ns_store,  NS_NET},
	{"ns/pid",        SPEC_STOPPED, false, false, spec_ns_show,   spec_ns_store,  NS_PID},
	{"ns/time",       SPEC_STOPPED, false, false, spec_ns_show,   spec_ns_store,  NS_TIME},
	{"ns/user",       SPEC_STOPPED, false, false, spec_ns_show,   spec_ns_store,  NS_USER},
	{"ns/uts",        SPEC_STOPPED, false, false, spec_ns_show,   spec_ns_store,  NS_UTS},
	{"ns.list",       SPEC_NEXT,    true,  true,  spec_ns_list_show, spec_ns_list_store,  0},
	{"log.max",       SPEC_LIVE,    false, false, show_log_max,   store_log_max,  0},
	{"restart",       SPEC_LIVE,    false, false, spec_restart_show, spec_restart_store, 0},
	{NULL,            SPEC_LIVE,    false, false, NULL,           NULL,           0},
};
/* clang-format on */

const struct spec_field *spec_field_find(const char *name)
{
	for (const struct spec_field *f = spec_fields; f->name; f++) {
		if (strcmp(f->name, name) == 0)
			return f;
	}
	return NULL;
}

int spec_field_text(const struct spec *s, const struct spec_field *f, char **ret,
		    struct ctn_err *err)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	if (!out)
		return ctn_fail(err, ENOMEM, "%s: no memory", f->name);
	f->show(s, f, out);
	if (io_text_close(out, &text) < 0)
		return ctn_fail(err, ENOMEM, "%s: no memory", f->name);

	*ret = text;
	return 0;
}

int spec_field_copy(struct spec *dst, const struct spec *src, const struct spec_field *f,
		    struct ctn_err *err)
{
	ctn_autofree char *text = NULL;
	int r = spec_field_text(src, f, &text, err);

	if (r < 0)
		return r;
	if (f->store == spec_cmd_store)
		strlist_free(&dst->cmd); /* an empty command cannot be written, but it can be had */
	if (f->store == store_hostname && !src->hostname)
		*text = '\0'; /* it follows the name, and shows that */
	return f->store(dst, f, text, SPEC_REPLACE, err);
}
