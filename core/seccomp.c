/* SPDX-License-Identifier: Apache-2.0 */
#include "seccomp.h"

#include <errno.h>
#include <linux/version.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/utsname.h>

#include "cleanup.h"
#include "seccomp_rules.h"

static uint32_t running_kernel(void)
{
	unsigned major = 0, minor = 0;
	struct utsname uts;

	if (uname(&uts) < 0 || sscanf(uts.release, "%u.%u", &major, &minor) != 2)
		return 0; /* an unknown kernel is an old one: less is allowed */
	return KERNEL_VERSION(major, minor, 0);
}

int seccomp_profile_get(const char *name, uint64_t caps, struct seccomp_profile **ret,
			struct ctn_err *err)
{
	bool none = strcmp(name, "none") == 0;
	struct seccomp_profile *profile;

	if (!none && strcmp(name, "default") != 0)
		return ctn_fail(err, EINVAL,
				"no seccomp profile is called '%.64s': there are 'default' and "
				"'none'",
				name);
	profile = calloc(1, sizeof(*profile));
	if (!profile)
		return ctn_fail(err, ENOMEM, "no memory for the seccomp profile '%s'", name);
	profile->refs = 1;
	profile->filter = !none;
	profile->rows = none ? 0 : seccomp_default_rows(caps, running_kernel());
	*ret = profile;
	return 0;
}

void seccomp_profile_put(struct seccomp_profile *profile)
{
	if (profile && atomic_fetch_sub(&profile->refs, 1) == 1)
		free(profile);
}

static int compare_rules(const void *a, const void *b)
{
	const struct seccomp_rule *x = a, *y = b;
	int r = strcmp(x->name, y->name);

	return r ? r : (x->row > y->row) - (x->row < y->row);
}

/* The rules of @rows by name, each unconditional one once. Return: NULL without memory. */
struct seccomp_rule *seccomp_list_rules(uint64_t rows, size_t *ret_count)
{
	size_t count = 0, kept = 0;
	struct seccomp_rule *rules;

	for (size_t i = 0; i < seccomp_row_count; i++) {
		for (const char *const *n = seccomp_rows[i].names; *n; n++)
			count += rows >> i & 1;
	}
	rules = calloc(count + 1, sizeof(*rules));
	if (!rules)
		return NULL;
	count = 0;
	for (size_t i = 0; i < seccomp_row_count; i++) {
		for (const char *const *n = seccomp_rows[i].names; *n && (rows >> i & 1); n++)
			rules[count++] = (struct seccomp_rule){*n, &seccomp_rows[i]};
	}
	qsort(rules, count, sizeof(*rules), compare_rules);
	for (size_t i = 0; i < count; i++) {
		if (kept && !rules[i].row->when && !rules[kept - 1].row->when &&
		    strcmp(rules[i].name, rules[kept - 1].name) == 0)
			continue;
		rules[kept++] = rules[i];
	}
	*ret_count = kept;
	return rules;
}

static void print_rule(FILE *out, const struct seccomp_rule *rule)
{
	const struct seccomp_row *row = rule->row;

	fprintf(out, "# %s %s", row->refuse ? "refuse" : "allow", rule->name);
	if (row->when)
		fprintf(out, " if %s", row->when->text);
	if (row->refuse)
		fprintf(out, " with %s", ctn_errno_name(row->refuse));
	if (row->needs) {
		char *cap = cap_to_name(__builtin_ctzll(row->needs));

		fprintf(out, " (it has %s)", cap ? cap : "the capability");
		cap_free(cap);
	}
	fputc('\n', out);
}

static void print_counts(FILE *out, const struct seccomp_rule *rules, size_t count)
{
	size_t allowed = 0, conditional = 0, refused = seccomp_refusal_count;

	for (size_t i = 0; i < count; i++) {
		bool again = i > 0 && strcmp(rules[i].name, rules[i - 1].name) == 0;

		if (rules[i].row->refuse)
			refused++;
		else if (!rules[i].row->when)
			allowed++;
		else if (!again)
			conditional++;
	}
	fprintf(out,
		"# default action: errno EPERM\n"
		"# %zu calls allowed, %zu on condition, %zu refusals by name\n"
		"# for x86_64 and its 32-bit sibling i386; x32 is refused with ENOSYS\n",
		allowed, conditional, refused);
}

static bool is_allowed(const char *name, const struct seccomp_rule *rules, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (strcmp(rules[i].name, name) == 0 && !rules[i].row->when &&
		    !rules[i].row->refuse)
			return true;
	}
	return false;
}

/* What one more capability would open: the answer to "why may it not?". */
static void print_lacking(FILE *out, const struct seccomp_rule *rules, size_t count)
{
	for (size_t i = 0; i < seccomp_row_count; i++) {
		const struct seccomp_row *row = &seccomp_rows[i];
		bool first = true;

		for (const char *const *name = row->names; row->needs && *name; name++) {
			char *cap;

			if (is_allowed(*name, rules, count))
				continue;
			cap = first ? cap_to_name(__builtin_ctzll(row->needs)) : NULL;
			if (first)
				fprintf(out, "# not without %s:", cap ? cap : "a capability");
			cap_free(cap);
			fprintf(out, " %s", *name);
			first = false;
		}
		if (!first)
			fputc('\n', out);
	}
}

void seccomp_print(FILE *out, const struct seccomp_profile *profile)
{
	ctn_autofree struct seccomp_rule *rules = NULL;
	size_t count = 0;

	if (!profile->filter) {
		fputs("# mode 0 (disabled)\nnone\n", out);
		return;
	}
	fputs("# mode 2 (filter)\ndefault\n", out);
	rules = seccomp_list_rules(profile->rows, &count);
	if (!rules) {
		fputs("# no memory to list the rules\n", out);
		return;
	}
	print_counts(out, rules, count);
	fputs("# these come first:\n", out);
	for (size_t i = 0; i < seccomp_refusal_count; i++) {
		const struct seccomp_refusal *refusal = &seccomp_refusals[i];

		fprintf(out, "# refuse %s %s with %s\n", refusal->name, refusal->text,
			ctn_errno_name(refusal->code));
	}
	fputs("# then these decide:\n", out);
	for (size_t i = 0; i < count; i++)
		print_rule(out, &rules[i]);
	print_lacking(out, rules, count);
}
