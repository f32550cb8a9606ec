/* SPDX-License-Identifier: Apache-2.0 */
/* The `cmd` field: a command line split as a shell splits quoted words, or a JSON array. */
#include <ctype.h>
#include <errno.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "spec_private.h"

static const char operators[] = "|&;<>$()*?`";

/* One word that is being read. */
struct word {
	char *text; /* as long as the whole line */
	size_t len;
	bool open; /* '' is a word, too */
};

static int word_end(struct word *w, struct strlist *words, struct ctn_err *err)
{
	if (!w->open)
		return 0;
	if (words->len >= SPEC_ARGS_MAX)
		return ctn_fail(err, E2BIG, "cmd: more than %d words", SPEC_ARGS_MAX);
	if (strlist_add(words, w->text, w->len) < 0)
		return ctn_fail(err, ENOMEM, "cmd: no memory");
	w->len = 0;
	w->open = false;
	return 0;
}

/* From an opening quote at *@p to the closing one. In double quotes a backslash protects " \ $ and
 * `. */
static int word_quoted(struct word *w, const char **p, struct ctn_err *err)
{
	char quote = **p;

	w->open = true;
	for ((*p)++; **p && **p != quote; (*p)++) {
		if (quote == '"' && **p == '\\' && (*p)[1] && strchr("\"\\$`", (*p)[1]))
			(*p)++;
		w->text[w->len++] = **p;
	}
	if (!**p)
		return ctn_fail(err, EINVAL, "cmd: a %c has no partner", quote);
	return 0;
}

static int word_char(struct word *w, const char **p, struct strlist *words, struct ctn_err *err)
{
	char c = **p;

	if (c == '\'' || c == '"')
		return word_quoted(w, p, err);
	if (isspace((unsigned char)c))
		return word_end(w, words, err);
	if (strchr(operators, c))
		return ctn_fail(
			err, EINVAL,
			"cmd: '%c' means something to a shell only, and no shell runs here: "
			"sh -c '…', or quote it",
			c);
	if (c == '\\' && !(*p)[1])
		return ctn_fail(err, EINVAL, "cmd: it ends in a backslash");
	if (c == '\\')
		c = *++*p;
	w->text[w->len++] = c;
	w->open = true;
	return 0;
}

static int split(const char *line, struct strlist *words, struct ctn_err *err)
{
	ctn_autofree char *text = malloc(strlen(line) + 1);
	struct word w = {.text = text};
	int r = 0;

	if (!text)
		return ctn_fail(err, ENOMEM, "cmd: no memory");
	for (const char *p = line; r == 0 && *p; p++)
		r = word_char(&w, &p, words, err);
	return r == 0 ? word_end(&w, words, err) : r;
}

static int from_json(struct json_object *array, struct strlist *words, struct ctn_err *err)
{
	size_t n = json_object_array_length(array);

	if (n > SPEC_ARGS_MAX)
		return ctn_fail(err, E2BIG, "cmd: more than %d words", SPEC_ARGS_MAX);
	for (size_t i = 0; i < n; i++) {
		struct json_object *o = json_object_array_get_idx(array, i);
		const char *text = json_object_get_string(o);

		if (!json_object_is_type(o, json_type_string))
			return ctn_fail(err, EINVAL, "cmd: element %zu of the array is no string",
					i);
		if (strlen(text) != (size_t)json_object_get_string_len(o))
			return ctn_fail(err, EINVAL,
					"cmd: element %zu of the array has a NUL in it", i);
		if (strlist_add(words, text, strlen(text)) < 0)
			return ctn_fail(err, ENOMEM, "cmd: no memory");
	}
	return 0;
}

/* `[ -e /x ]` is a command, `["ls", "-l"]` an array. */
static struct json_object *parse_array(const char *line)
{
	struct json_tokener *tok = line[0] == '[' ? json_tokener_new_ex(4) : NULL;
	struct json_object *o = NULL;

	if (!tok)
		return NULL;
	/* Arguments are bytes: what is not UTF-8 is as good, and must come back from the state. */
	json_tokener_set_flags(tok, JSON_TOKENER_STRICT);
	o = json_tokener_parse_ex(tok, line, (int)strlen(line) + 1);
	if (json_tokener_get_error(tok) != json_tokener_success ||
	    !json_object_is_type(o, json_type_array)) {
		json_object_put(o);
		o = NULL;
	}
	json_tokener_free(tok);
	return o;
}

static int cmd_line(struct spec *s, char *line, struct ctn_err *err)
{
	struct json_object *array = parse_array(line);
	struct strlist words = {0};
	int r;

	if (!array && line[0] == '[' && line[1] == '"')
		return ctn_fail(err, EINVAL, "cmd: '%.60s' is not a JSON array of strings", line);
	if (!array && line[strspn(line, "[ \t\r")] == '\0')
		return ctn_fail(err, EINVAL,
				"cmd: an array is to be on one line, as jq -c prints it");
	r = array ? from_json(array, &words, err) : split(line, &words, err);
	json_object_put(array);
	if (r == 0 && (words.len == 0 || words.items[0][0] == '\0'))
		r = ctn_fail(err, EINVAL, "cmd: the program's name is empty");
	if (r < 0) {
		strlist_free(&words);
		return r;
	}
	strlist_free(&s->cmd);
	s->cmd = words;
	return 0;
}

int spec_cmd_store(struct spec *s, const struct spec_field *f, const char *text,
		   enum spec_write how, struct ctn_err *err)
{
	(void)f;
	(void)how;
	return spec_each_line(s, text, cmd_line, err);
}

static bool needs_json(const struct strlist *cmd)
{
	for (size_t i = 0; i < cmd->len; i++) {
		if (strchr(cmd->items[i], '\n'))
			return true;
	}
	return cmd->len > 0 && (cmd->items[0][0] == '#' || cmd->items[0][0] == '[');
}

static void print_json(const struct strlist *cmd, FILE *out)
{
	struct json_object *array = json_object_new_array();

	for (size_t i = 0; i < cmd->len; i++)
		json_object_array_add(array, json_object_new_string(cmd->items[i]));
	fprintf(out, "%s\n", json_object_to_json_string_ext(array, JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(array);
}

static void print_word(const char *word, FILE *out)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				    "0123456789_@%+=:,./-[]{}~!^#";

	if (*word && word[strspn(word, plain)] == '\0') {
		fputs(word, out);
		return;
	}
	putc('\'', out);
	for (; *word; word++)
		*word == '\'' ? fputs("'\\''", out) : putc(*word, out);
	putc('\'', out);
}

void spec_cmd_show(const struct spec *s, const struct spec_field *f, FILE *out)
{
	(void)f;
	if (needs_json(&s->cmd)) {
		print_json(&s->cmd, out);
		return;
	}
	for (size_t i = 0; i < s->cmd.len; i++) {
		if (i > 0)
			putc(' ', out);
		print_word(s->cmd.items[i], out);
	}
	putc('\n', out);
}
