/* SPDX-License-Identifier: Apache-2.0 */
/* Store functions of rows: what a line written to a file does. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../core/cleanup.h"
#include "../core/io.h"
#include "../core/pidref.h"
#include "write.h"

enum { STOP_SECS_MAX = 86400, WORDS_MAX = 3, NAMES_MAX = 128 };

/* --- ctl --- */

typedef int verb_run(struct container *c, const char *arg, struct life_waiter *w,
		     struct ctn_err *err);

static int run_start(struct container *c, const char *arg, struct life_waiter *w,
		     struct ctn_err *err)
{
	(void)arg;
	return life_start(c, w, err);
}

static int parse_secs(const char *arg, unsigned *ret, struct ctn_err *err)
{
	uint64_t secs = LIFE_STOP_SECS;
	int r = arg ? parse_u64("seconds", arg, STOP_SECS_MAX, &secs, err) : 0;

	if (r == 0)
		*ret = (unsigned)secs;
	return r;
}

static int run_stop(struct container *c, const char *arg, struct life_waiter *w,
		    struct ctn_err *err)
{
	unsigned secs = 0;
	int r = parse_secs(arg, &secs, err);

	return r < 0 ? r : life_stop(c, secs, w, err);
}

static int run_restart(struct container *c, const char *arg, struct life_waiter *w,
		       struct ctn_err *err)
{
	unsigned secs = 0;
	int r = parse_secs(arg, &secs, err);

	return r < 0 ? r : life_restart(c, secs, w, err);
}

static int run_kill(struct container *c, const char *arg, struct life_waiter *w,
		    struct ctn_err *err)
{
	int sig = 0;
	int r = signal_parse(arg ?: "KILL", &sig, err);

	return r < 0 ? r : life_kill(c, sig, w, err);
}

static int run_pause(struct container *c, const char *arg, struct life_waiter *w,
		     struct ctn_err *err)
{
	(void)arg;
	return life_pause(c, w, err);
}

static int run_resume(struct container *c, const char *arg, struct life_waiter *w,
		      struct ctn_err *err)
{
	(void)arg;
	return life_resume(c, w, err);
}

static const struct verb {
	const char *name;
	const char *arg; /* what it may be given, or NULL */
	verb_run *run;
} verbs[] = {
	{"start", NULL, run_start}, {"stop", "secs", run_stop},	  {"kill", "SIG", run_kill},
	{"pause", NULL, run_pause}, {"resume", NULL, run_resume}, {"restart", "secs", run_restart},
};

static const struct verb *verb_find(const char *name)
{
	for (size_t i = 0; i < CTN_COUNT(verbs); i++) {
		if (strcmp(verbs[i].name, name) == 0)
			return &verbs[i];
	}
	return NULL;
}

static void print_usage(const struct verb *verb, FILE *out)
{
	fprintf(out, "%s%s%s%s\n", verb->name, verb->arg ? " [" : "", verb->arg ?: "",
		verb->arg ? "]" : "");
}

static int fail_unknown(const char *name, struct ctn_err *err)
{
	char names[NAMES_MAX] = "";

	for (size_t i = 0; i < CTN_COUNT(verbs); i++) {
		size_t used = strlen(names);

		snprintf(names + used, sizeof(names) - used, "%s%s", i ? " " : "", verbs[i].name);
	}
	return ctn_fail(err, EINVAL, "ctl: there is no verb '%.60s'; these there are: %s", name,
			names);
}

int show_ctl(const struct node_ref *ref, FILE *out, struct ctn_err *err)
{
	(void)ref;
	(void)err;
	for (size_t i = 0; i < CTN_COUNT(verbs); i++)
		print_usage(&verbs[i], out);
	return 0;
}

int store_ctl(const struct node_ref *ref, struct write_op *op, const char *line,
	      struct ctn_err *err)
{
	ctn_autofree char *copy = strdup(line);
	char *words[WORDS_MAX] = {NULL}, *save = NULL;
	const struct verb *verb;
	int r;

	if (!copy)
		return ctn_fail(err, ENOMEM, "ctl: no memory");
	words[0] = strtok_r(copy, " \t", &save);
	for (int i = 1; i < WORDS_MAX && words[i - 1]; i++)
		words[i] = strtok_r(NULL, " \t", &save);
	verb = words[0] ? verb_find(words[0]) : NULL;
	if (!verb)
		return fail_unknown(words[0] ?: line, err);
	if (words[2] || (words[1] && !verb->arg))
		return ctn_fail(err, EINVAL, "ctl: %s: '%.60s' is too much; write %s%s%s%s",
				verb->name, words[verb->arg ? 2 : 1], verb->name,
				verb->arg ? " [" : "", verb->arg ?: "", verb->arg ? "]" : "");
	r = verb->run(ref->c, words[1], write_waiter(op), err);
	return r < 0 ? ctn_fail_context(err, "ctl: %s", verb->name) : r;
}

/* --- configuration --- */

static bool may_take_cmd(enum ctn_state state)
{
	return state == CTN_CREATED || state == CTN_EXITED;
}

static int write_cmd(const struct node_ref *ref, const struct container_view *view,
		     struct write_op *op, const char *line, struct ctn_err *err)
{
	int r;

	if (!may_take_cmd(view->state))
		return ctn_fail(err, EBUSY,
				"cmd: it is %s; stop it first (echo stop > ctl), or make another",
				ctn_state_name(view->state));
	write_undo(op, spec_field_find("cmd"), view->spec);
	r = life_run(ref->c, line, strlen(line), write_waiter(op), err);
	if (r < 0 && strncmp(err->text, "cmd", 3) != 0)
		ctn_fail_context(err, "cmd");
	return r;
}

int store_cmd(const struct node_ref *ref, struct write_op *op, const char *line,
	      struct ctn_err *err)
{
	struct container_view view;
	int r;

	list_lock(ref->c); /* of two writers, one starts its command and the other is refused */
	container_view_get(ref->c, &view);
	r = write_cmd(ref, &view, op, line, err);
	container_view_put(&view);
	list_unlock(ref->c);
	return r;
}

int store_field(const struct node_ref *ref, struct write_op *op, const char *line,
		struct ctn_err *err)
{
	int r;

	(void)op;
	list_lock(ref->c); /* a list may be about the same (ns.list) */
	r = container_store(ref->c, spec_field_find(ref->node->arg), NULL, line, strlen(line),
			    SPEC_REPLACE, NULL, err);
	list_unlock(ref->c);
	return r;
}

int store_knob(const struct node_ref *ref, struct write_op *op, const char *line,
	       struct ctn_err *err)
{
	(void)op;
	return container_set_knob(ref->c, cgroup_knob_find(ref->node->arg), line, err);
}
