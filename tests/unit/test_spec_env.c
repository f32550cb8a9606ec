/* SPDX-License-Identifier: Apache-2.0 */
/* The environment: what was written, and what follows from it. */
#include "spec_fixture.h"

enum { ROUNDS = 400 };

static void test_write(void)
{
	struct spec *s = spec_new("db");

	CHECK(put(&s, "env", "A=1\n# B=2\n\nC=x=y\nD=\n", NULL) == 0);
	CHECK_STR(text_of(s, "env"), "A=1\nC=x=y\nD=\n");
	CHECK(add(&s, "env", "B=2\nA=one") == 0);
	CHECK_STR(text_of(s, "env"), "A=one\nC=x=y\nD=\nB=2\n");
	CHECK(add(&s, "env", "-C\n-NEVER\n-A") == 0);
	CHECK_STR(text_of(s, "env"), "D=\nB=2\n");
	CHECK(add(&s, "env", "-D\n-B\nX=1\n") == 0);
	CHECK_STR(text_of(s, "env"), "X=1\n");
	CHECK(put(&s, "env", "Y=1\n", NULL) == 0);
	CHECK_STR(text_of(s, "env"), "Y=1\n");
	CHECK(put(&s, "env", "", NULL) == 0);
	CHECK_STR(text_of(s, "env"), "");
	CHECK(put(&s, "env", "AB=1\nA=2\nABC=3\n-AB", NULL) == 0);
	CHECK_STR(text_of(s, "env"), "A=2\nABC=3\n");
	spec_put(s);
}

static void test_refused(void)
{
	static const char *const bad[] = {"A",	    "=1",      "-A=1", "-",	     "A B=1",
					  "A\tB=1", "A\x01=2", "-A B", "{\"A\": 1}", "A\\nB=1"};
	struct spec *s = spec_new("db");

	CHECK(put(&s, "env", "A=kept\n", NULL) == 0);
	for (size_t i = 0; i < CTN_COUNT(bad); i++)
		CHECK_ERR(put(&s, "env", bad[i], &check_err), EINVAL, "neither KEY=value nor -KEY");
	CHECK_STR(text_of(s, "env"), "A=kept\n");
	spec_put(s);
}

static void test_escapes(void)
{
	struct spec *s = spec_new("db");

	CHECK(put(&s, "env", "A=one\\ntwo\\\\n\\t\\", NULL) == 0);
	CHECK_STR(s->env.items[0], "A=one\ntwo\\n\\t\\");
	CHECK_STR(text_of(s, "env"), "A=one\\ntwo\\\\n\\\\t\\\\\n");
	check_echo(s, "env");
	/* A prompt ends in a space; blanks are part of a value, not of the line. */
	CHECK(put(&s, "env", "PS1=$ \nTAB=\t\n  IND= x", NULL) == 0);
	CHECK_STR(s->env.items[0], "PS1=$ ");
	CHECK_STR(s->env.items[1], "TAB=\t");
	CHECK_STR(s->env.items[2], "IND= x");
	check_echo(s, "env");
	spec_put(s);
}

static void test_limit(void)
{
	struct spec *s = spec_new("db");
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	for (int i = 0; i < SPEC_ENV_MAX; i++)
		fprintf(out, "K%d=v\n", i);
	fclose(out);
	CHECK(put(&s, "env", text, NULL) == 0 && s->env.len == SPEC_ENV_MAX);
	CHECK_ERR(put_as(&s, "env", "MORE=1", SPEC_AMEND, &check_err), E2BIG, "4096 variables");
	CHECK(add(&s, "env", "K7=other\n") == 0 && s->env.len == SPEC_ENV_MAX);
	free(text);
	spec_put(s);
}

/* What execve gets, a line each. */
static const char *execve_env(const struct spec *s, const char *home)
{
	static char text[1024];
	struct strlist env = {0};
	FILE *out = fmemopen(text, sizeof(text), "w");

	text[0] = '\0'; /* where nothing is printed, nothing is written */
	CHECK(spec_env(s, home, &env, NULL) == 0);
	CHECK(env.len == 0 || env.items[env.len] == NULL);
	spec_env_print(&env, out);
	fclose(out);
	strlist_free(&env);
	return text;
}

#define PATH_LINE "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n"

static void test_defaults(void)
{
	struct spec *s = spec_new("db");

	CHECK_STR(execve_env(s, "/root"), PATH_LINE "HOME=/root\nHOSTNAME=db\nTERM=xterm\n");
	CHECK(put(&s, "hostname", "h", NULL) == 0);
	CHECK(put(&s, "env", "LEVEL=high\nTERM=dumb\n-HOME\n", NULL) == 0);
	CHECK_STR(execve_env(s, "/root"), PATH_LINE "HOSTNAME=h\nTERM=dumb\nLEVEL=high\n");
	CHECK_STR(text_of(s, "env"), "LEVEL=high\nTERM=dumb\n-HOME\n");
	check_echo(s, "env");
	CHECK(add(&s, "env", "HOME=/h\n-TERM\n-TERM\n") == 0);
	CHECK_STR(execve_env(s, "/root"), PATH_LINE "HOME=/h\nHOSTNAME=h\nLEVEL=high\n");
	CHECK_STR(text_of(s, "env"), "LEVEL=high\n-TERM\nHOME=/h\n");
	CHECK(put(&s, "env", "-PATH\n-HOME\n-HOSTNAME\n-TERM\n", NULL) == 0);
	CHECK_STR(execve_env(s, "/root"), "");
	CHECK(put(&s, "env", "\n", NULL) == 0);
	CHECK_STR(execve_env(s, "/"), PATH_LINE "HOME=/\nHOSTNAME=h\nTERM=xterm\n");
	spec_put(s);
}

/* Any value, shown and read again, is the same value. */
static void test_round_trip(void)
{
	static const char nasty[] = "\\n\n\\ =\t#-'\"\r\xff";
	unsigned random = 4711;

	for (int i = 0; i < ROUNDS; i++) {
		struct spec *a = spec_new("db"), *b = spec_new("db");
		char entry[24] = "K=";

		for (size_t j = 2; j < 2 + random % 20; j++) {
			random = random * 1664525u + 1013904223u;
			entry[j] = nasty[(random >> 16) % (sizeof(nasty) - 1)];
		}
		random = random * 1664525u + 1013904223u;
		CHECK(strlist_add(&a->env, entry, strlen(entry)) == 0);
		CHECK(put(&b, "env", text_of(a, "env"), NULL) == 0 && b->env.len == 1);
		CHECK_STR(b->env.len ? b->env.items[0] : NULL, entry);
		spec_put(a);
		spec_put(b);
	}
}

static const struct check_test tests[] = {
	{"replace, merge, remove", test_write},	      {"refused", test_refused},
	{"escapes and blanks", test_escapes},	      {"limit", test_limit},
	{"defaults and removed ones", test_defaults}, {"any value comes back", test_round_trip},
};

int main(void)
{
	return check_run(tests, CTN_COUNT(tests));
}
