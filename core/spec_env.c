/* SPDX-License-Identifier: Apache-2.0 */
/* The `env` field: what was said about the environment, and the environment that follows from it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "spec.h"
#include "spec_private.h"

/* Variables that a container has unless something else was said. */
static const struct {
	const char *key;
	const char *value; /* NULL: depends on the container */
} defaults[] = {
	{"PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
	{"HOME", NULL},
	{"HOSTNAME", NULL},
	{"TERM", "xterm"},
};

static bool is_default(const char *key, size_t len)
{
	for (size_t i = 0; i < CTN_COUNT(defaults); i++) {
		if (strlen(defaults[i].key) == len && memcmp(defaults[i].key, key, len) == 0)
			return true;
	}
	return false;
}

/* The entry about @key: "KEY=value" or "-KEY". Return: its index, or -1. */
static ssize_t env_find(const struct strlist *env, const char *key, size_t len)
{
	for (size_t i = 0; i < env->len; i++) {
		const char *e = env->items[i];

		if (e[0] == '-' ? strlen(e + 1) == len && memcmp(e + 1, key, len) == 0
				: strncmp(e, key, len) == 0 && e[len] == '=')
			return (ssize_t)i;
	}
	return -1;
}

static void env_drop(struct strlist *env, size_t i)
{
	free(env->items[i]);
	env->len--;
	memmove(env->items + i, env->items + i + 1, (env->len - i + 1) * sizeof(*env->items));
}

static int env_put(struct strlist *env, const char *key, size_t key_len, const char *entry,
		   struct ctn_err *err)
{
	ssize_t i = env_find(env, key, key_len);
	char *copy;

	if (i < 0 && env->len >= SPEC_ENV_MAX)
		return ctn_fail(err, E2BIG, "env: more than %d variables", SPEC_ENV_MAX);
	if (i < 0)
		return strlist_add(env, entry, strlen(entry)) < 0
			       ? ctn_fail(err, ENOMEM, "env: no memory")
			       : 0;
	copy = strdup(entry);
	if (!copy)
		return ctn_fail(err, ENOMEM, "env: no memory");
	free(env->items[i]);
	env->items[i] = copy;
	return 0;
}

/* In the file a newline is \n and a backslash \\; any other backslash stands for itself. */
static void unescape(char *s)
{
	char *to = s;

	for (; *s; s++) {
		if (s[0] == '\\' && (s[1] == 'n' || s[1] == '\\'))
			*to++ = *++s == 'n' ? '\n' : '\\';
		else
			*to++ = *s;
	}
	*to = '\0';
}

static bool key_is_sound(const char *key, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if ((unsigned char)key[i] <= ' ' || key[i] == 0x7f)
			return false;
	}
	return len > 0;
}

static int env_line(struct spec *s, char *line, struct ctn_err *err)
{
	bool drop = line[0] == '-';
	const char *key = line + drop;
	size_t len;
	ssize_t i;

	if (!drop) /* before the key is looked at: no line break may come into it */
		unescape(line);
	len = strcspn(key, "=");
	if (!key_is_sound(key, len) || (drop ? key[len] != '\0' : key[len] != '='))
		return ctn_fail(
			err, EINVAL,
			"env: '%.60s' is neither KEY=value nor -KEY; a newline in a value is "
			"written as \\n",
			line);
	if (!drop || is_default(key, len))
		return env_put(&s->env, key, len, line, err);
	i = env_find(&s->env, key, len);
	if (i >= 0)
		env_drop(&s->env, (size_t)i);
	return 0;
}

int spec_env_store(struct spec *s, const struct spec_field *f, const char *text,
		   enum spec_write how, struct ctn_err *err)
{
	(void)f;
	if (how == SPEC_REPLACE)
		strlist_free(&s->env);
	return spec_each_line(s, text, env_line, err);
}

void spec_env_print(const struct strlist *env, FILE *out)
{
	for (size_t i = 0; i < env->len; i++) {
		for (const char *p = env->items[i]; *p; p++) {
			if (*p == '\n')
				fputs("\\n", out);
			else if (*p == '\\')
				fputs("\\\\", out);
			else
				putc(*p, out);
		}
		putc('\n', out);
	}
}

void spec_env_show(const struct spec *s, const struct spec_field *f, FILE *out)
{
	(void)f;
	spec_env_print(&s->env, out);
}

static int env_add_default(const struct spec *s, size_t which, const char *home,
			   struct strlist *env)
{
	const char *key = defaults[which].key, *value = defaults[which].value;
	ssize_t said = env_find(&s->env, key, strlen(key));
	ctn_autofree char *entry = NULL;

	if (said >= 0 && s->env.items[said][0] == '-')
		return 0;
	if (said >= 0)
		return strlist_add(env, s->env.items[said], strlen(s->env.items[said]));
	if (!value)
		value = strcmp(key, "HOME") == 0 ? home : spec_hostname(s);
	if (asprintf(&entry, "%s=%s", key, value) < 0)
		return -ENOMEM;
	return strlist_add(env, entry, strlen(entry));
}

int spec_env(const struct spec *s, const char *home, struct strlist *ret, struct ctn_err *err)
{
	struct strlist env = {0};
	int r = 0;

	for (size_t i = 0; r == 0 && i < CTN_COUNT(defaults); i++)
		r = env_add_default(s, i, home, &env);
	for (size_t i = 0; r == 0 && i < s->env.len; i++) {
		const char *e = s->env.items[i];

		if (e[0] != '-' && !is_default(e, strcspn(e, "=")))
			r = strlist_add(&env, e, strlen(e));
	}
	if (r < 0) {
		strlist_free(&env);
		return ctn_fail(err, ENOMEM, "env: no memory");
	}
	*ret = env;
	return 0;
}
