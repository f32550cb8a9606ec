/* SPDX-License-Identifier: Apache-2.0 */
/* What is written to `seccomp`: documents and deltas, what is shown of them, the programs and the
 * OCI form that they come to. */
#include <errno.h>
#include <linux/filter.h>
#include <string.h>

#include "cleanup.h"
#include "fuzz.h"
#include "seccomp.h"
#include "spec.h"

static const uint64_t cap_sets[] = {0, UINT64_C(0xa80425fb), (UINT64_C(1) << 41) - 1};

/* As the kernel checks it: no jump out of the program, which ends with a return. */
static void check_program(struct seccomp_program program)
{
	FUZZ_CHECK(program.len <= BPF_MAXINSNS);
	for (size_t i = 0; i < program.len; i++) {
		const struct sock_filter *insn = &program.filter[i];
		size_t left = program.len - i - 1;

		if (BPF_CLASS(insn->code) == BPF_RET)
			continue;
		FUZZ_CHECK(left > 0);
		if (BPF_CLASS(insn->code) == BPF_JMP && BPF_OP(insn->code) == BPF_JA)
			FUZZ_CHECK(insn->k < left);
		else if (BPF_CLASS(insn->code) == BPF_JMP)
			FUZZ_CHECK(insn->jt < left && insn->jf < left);
	}
}

static struct spec *stored(const char *text, struct ctn_err *err)
{
	const struct spec_field *f = spec_field_find("seccomp");
	struct spec *s = spec_new("x");
	int r = s ? f->store(s, f, text, SPEC_REPLACE, err) : -ENOMEM;

	FUZZ_CHECK(r == 0 || (r == -err->code && err->text[0]));
	if (r == 0)
		return s;
	spec_put(s);
	return NULL;
}

/* The text means what it was made of. */
static void check_same(const char *text, const char *want)
{
	ctn_autofree char *have = NULL;
	struct ctn_err err = {0};
	struct spec *s = stored(text, &err);

	if (!s)
		fprintf(stderr, "%s\n%s", err.text, text);
	FUZZ_CHECK(s && spec_field_text(s, spec_field_find("seccomp"), &have, NULL) == 0);
	FUZZ_CHECK(strcmp(have, want) == 0);
	spec_put(s);
}

static void check_export(const struct seccomp_profile *profile)
{
	struct json_object *o = NULL;
	struct json_at at;

	FUZZ_CHECK(seccomp_export_json(profile, &o, NULL) == 0);
	if (!o)
		return;
	at = json_loose(o);
	FUZZ_CHECK(seccomp_check(&at, true, NULL, NULL) == 0);
	json_object_put(o);
}

static void check_profile(const struct spec *s, uint64_t caps, const char *kept)
{
	struct seccomp_profile *profile = NULL;
	ctn_autofree char *shown = NULL;
	size_t len = 0;
	FILE *out;
	int r = seccomp_profile_get(s->seccomp, &s->seccomp_deltas, caps, &profile, NULL);

	FUZZ_CHECK(r == 0 || r == -E2BIG);
	if (r < 0)
		return;
	check_program(seccomp_program(profile));
	check_export(profile);
	out = open_memstream(&shown, &len);
	FUZZ_CHECK(out);
	seccomp_print(out, profile, s->seccomp, &s->seccomp_deltas);
	FUZZ_CHECK(fclose(out) == 0);
	check_same(shown, kept);
	seccomp_profile_put(profile);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ctn_autofree char *text = strndup((const char *)data, size), *kept = NULL;
	struct ctn_err err = {0};
	struct spec *s = text ? stored(text, &err) : NULL;

	if (!s)
		return 0;
	FUZZ_CHECK(spec_field_text(s, spec_field_find("seccomp"), &kept, NULL) == 0);
	check_same(kept, kept);
	for (size_t i = 0; i < CTN_COUNT(cap_sets); i++)
		check_profile(s, cap_sets[i], kept);
	spec_put(s);
	return 0;
}
