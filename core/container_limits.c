/* SPDX-License-Identifier: Apache-2.0 */
/* Which limits of a container have another value than before, as the kernel has them: for the
 * journal, and for the record, from which a later server sees what the journal lacks. */
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "container_limits.h"
#include "io.h"

/* As the tree shows it, without the last newline; NULL: it cannot be read. */
static char *read_knob(const struct container *c, const struct cgroup_knob *knob)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);
	int r;

	if (!out)
		return NULL;
	r = knob->read(c->cgroup, out, NULL);
	if (io_text_close(out, &text) < 0 || r < 0) {
		free(text);
		return NULL;
	}
	if (len && text[len - 1] == '\n')
		text[len - 1] = '\0';
	return text;
}

static bool is_meant(const struct cgroup_knob *knob, const struct cgroup_knob *one)
{
	return knob->flags & KNOB_KEPT && (!one || knob == one);
}

void limits_see(const struct container *c, const struct cgroup_knob *one, struct limits *ret)
{
	*ret = (struct limits){0};
	for (size_t i = 0; cgroup_knobs[i].name && i < LIMITS_MAX; i++) {
		if (is_meant(&cgroup_knobs[i], one))
			ret->text[i] = read_knob(c, &cgroup_knobs[i]);
	}
}

void limits_compare(struct container *c, struct limits *l)
{
	l->changed = 0;
	for (size_t i = 0; i < LIMITS_MAX; i++) {
		char *now = l->text[i] ? read_knob(c, &cgroup_knobs[i]) : NULL;

		if (now && strcmp(now, l->text[i]) != 0)
			l->changed |= UINT64_C(1) << i;
		free(l->text[i]);
		l->text[i] = now;
	}
	if (l->changed) {
		c->limits = l->changed;
		c->limits_at = ctn_now();
	}
}

static void describe(char *ret, size_t size, const struct cgroup_knob *knob, const char *text)
{
	char value[JOURNAL_VALUE_MAX];

	snprintf(ret, size, "%s=%s", knob->name,
		 journal_word(value, sizeof(value), text, strlen(text)));
}

void limits_note(struct container *c, const struct limits *l)
{
	for (size_t i = 0; i < LIMITS_MAX; i++) {
		char detail[JOURNAL_VALUE_MAX + 64];

		if (!(l->changed >> i & 1))
			continue;
		describe(detail, sizeof(detail), &cgroup_knobs[i], l->text[i]);
		journal_note(c->engine, c, JOURNAL_LIMIT_CHANGED, c->limits_at, "%s", detail);
	}
}

void limits_free(struct limits *l)
{
	for (size_t i = 0; i < LIMITS_MAX; i++)
		free(l->text[i]);
}

bool limits_describe(const struct container *c, const struct cgroup_knob *knob, char *ret,
		     size_t size)
{
	ctn_autofree char *text = read_knob(c, knob);

	if (text)
		describe(ret, size, knob, text);
	return text;
}
