/* SPDX-License-Identifier: Apache-2.0 */
/* A specification as JSON, there and back. */
#include "spec_json.h"

#include "spec_fixture.h"

static int parse(const char *text, struct spec **ret, struct ctn_err *err)
{
	struct json_object *o = json_tokener_parse(text);
	int r = spec_from_json(o, ret, err);

	json_object_put(o);
	return r;
}

/* Through text, as it goes to the disk. */
static struct spec *there_and_back(const struct spec *s)
{
	struct json_object *o = spec_to_json(s);
	struct spec *back = NULL;

	CHECK_ERR(parse(json_object_to_json_string(o), &back, &check_err), 0, "");
	json_object_put(o);
	return back;
}

static void check_same(const struct spec *a, const struct spec *b)
{
	CHECK_STR(b->name, a->name);
	for (const struct spec_field *f = spec_fields; f->name; f++)
		CHECK_STR(text_of(b, f->name), text_of(a, f->name));
	CHECK(b->cgroup.len == a->cgroup.len);
	for (size_t i = 0; i < a->cgroup.len && i < b->cgroup.len; i++)
		CHECK_STR(b->cgroup.items[i], a->cgroup.items[i]);
}

static void test_defaults(void)
{
	struct spec *a = spec_new("db"), *b = there_and_back(a), *c = NULL;

	if (b)
		check_same(a, b);
	CHECK(b && b->hostname == NULL);
	CHECK(parse("{\"name\": \"db\"}", &c, NULL) == 0);
	if (c)
		check_same(a, c);
	spec_put(a);
	spec_put(b);
	spec_put(c);
}

static void test_everything(void)
{
	struct spec *a = spec_new("db"), *b;

	CHECK(put(&a, "cmd", "[\"sh\", \"-c\", \"a\\nb\", \"\", \"#\"]", NULL) == 0);
	CHECK(put(&a, "start", "0", NULL) == 0 && put(&a, "init", "1", NULL) == 0);
	CHECK(put(&a, "no_new_privs", "0", NULL) == 0);
	CHECK(put(&a, "env", "A=1\n-TERM\nB=x\\ny\\\\n \nC=#\nD=\"\xff\x01\"\n", NULL) == 0);
	CHECK(put(&a, "cwd", "/srv/\xc3\xa4 \"b\"", NULL) == 0);
	CHECK(put(&a, "user", "1:2", NULL) == 0 && put(&a, "hostname", "h", NULL) == 0);
	CHECK(put(&a, "caps", "kill", NULL) == 0 && put(&a, "seccomp", "none", NULL) == 0);
	CHECK(put(&a, "log.max", "max", NULL) == 0 && put(&a, "ns/net", "host", NULL) == 0);
	CHECK(spec_set_knob(a, "cpu.max", "50000 100000", NULL) == 0);
	b = there_and_back(a);
	if (b)
		check_same(a, b);
	spec_put(a);
	spec_put(b);
}

/* Arguments are bytes; a container must not be lost because one is not UTF-8. */
static void test_bytes(void)
{
	static const char *const cmds[] = {"echo \xff\xfe", "'[' '\xff'", "'#\xc3' \x80"};

	for (size_t i = 0; i < CTN_COUNT(cmds); i++) {
		struct spec *a = spec_new("db"), *b;

		CHECK(put(&a, "cmd", cmds[i], NULL) == 0);
		b = there_and_back(a);
		if (b)
			check_same(a, b);
		spec_put(a);
		spec_put(b);
	}
}

static void test_order(void)
{
	struct spec *s = spec_new("db");
	struct json_object *o = spec_to_json(s);
	const char *text = json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN);

	CHECK(strncmp(text, "{\"name\":\"db\",\"cmd\":[],\"start\":\"1\",\"env\":[],", 43) == 0);
	CHECK(strstr(text, "\"log.max\":\"16777216\",\"cgroup\":[\"pids.max 4096\"]}"));
	CHECK(!strstr(text, "ns/") && !strstr(text, "hostname"));
	json_object_put(o);
	spec_put(s);
}

static void test_refused(void)
{
	static const char *const bad[][2] = {
		{"[]", "no name"},
		{"\"db\"", "no name"},
		{"{}", "no name"},
		{"{\"name\": 1}", "no name"},
		{"{\"name\": \"\"}", "1 to 64"},
		{"{\"name\": \"a/b\"}", "cannot be"},
		{"{\"name\": \"new\"}", "tree itself"},
		{"{\"name\": \"a\\u0000b\"}", "NUL"},
		{"{\"name\": \"a\", \"memory.limt\": \"1\"}", "'memory.limt' is no file"},
		{"{\"name\": \"a\", \"\": \"1\"}", "no file of the tree"},
		{"{\"name\": \"a\", \"cmd\": \"ls\"}", "cmd: not an array"},
		{"{\"name\": \"a\", \"cmd\": [1]}", "element 0"},
		{"{\"name\": \"a\", \"cmd\": [\"a\\u0000\"]}", "NUL"},
		{"{\"name\": \"a\", \"env\": {\"A\": \"1\"}}", "env: neither"},
		{"{\"name\": \"a\", \"env\": [\"A\"]}", "KEY=value"},
		{"{\"name\": \"a\", \"env\": [1]}", "env: neither"},
		{"{\"name\": \"a\", \"env\": [\"A=1\", null]}", "env: neither"},
		{"{\"name\": \"a\", \"start\": true}", "start: neither"},
		{"{\"name\": \"a\", \"start\": null}", "start: neither"},
		{"{\"name\": \"a\", \"cwd\": \"/a\\u0000b\"}", "cwd: there is a NUL"},
		{"{\"name\": \"a\", \"cwd\": \"a\"}", "absolute"},
		{"{\"name\": \"a\", \"caps\": [\"sys_admn\"]}", "sys_admin"},
		{"{\"name\": \"a\", \"cgroup\": \"pids.max 1\"}", "cgroup: not an array"},
		{"{\"name\": \"a\", \"cgroup\": [\"pids.max\"]}", "element 0"},
		{"{\"name\": \"a\", \"cgroup\": [{\"a\": 1}]}", "cgroup: neither"},
	};
	struct spec *untouched = NULL;

	for (size_t i = 0; i < CTN_COUNT(bad); i++)
		CHECK_ERR(parse(bad[i][0], &untouched, &check_err), EINVAL, bad[i][1]);
	CHECK(!untouched);
}

static const struct check_test tests[] = {
	{"defaults", test_defaults}, {"everything", test_everything}, {"bytes", test_bytes},
	{"order", test_order},	     {"refused", test_refused},
};

int main(void)
{
	return check_run(tests, CTN_COUNT(tests));
}
