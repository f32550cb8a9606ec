/* SPDX-License-Identifier: Apache-2.0 */
/* A specification as our own JSON, there and back: the state files. test_spec_at.c has what users
 * write. */
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
	for (size_t i = 0; i < a->cgroup.len; i++) {
		size_t j = 0;

		while (j < b->cgroup.len && strcmp(a->cgroup.items[i], b->cgroup.items[j]) != 0)
			j++;
		if (j == b->cgroup.len)
			CHECK_STR("nothing", a->cgroup.items[i]);
	}
	for (int i = 0; i < NS_COUNT; i++)
		CHECK(!a->ns[i] == !b->ns[i]);
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
	CHECK(put(&a, "caps", "kill", NULL) == 0);
	CHECK(put(&a, "seccomp", "{\"defaultAction\": \"SCMP_ACT_LOG\"}\n-mount\n", NULL) == 0);
	CHECK(put(&a, "restart", "on-failure:3", NULL) == 0);
	CHECK(put(&a, "log.max", "max", NULL) == 0 && put(&a, "ns/net", "host", NULL) == 0);
	CHECK(spec_set_knob(a, "cpu.max", "50000 100000", NULL) == 0);
	CHECK(spec_set_knob(a, "io.max", "8:0 rbps=1", NULL) == 0);
	CHECK(spec_set_knob(a, "io.max", "8:16 rbps=2 wiops=max", NULL) == 0);
	CHECK(put(&a, "rootfs", "/srv/a b ro", NULL) == 0);
	CHECK(put(&a, "mounts", "/srv/a\\040b /b none bind,ro\n-/tmp\n", NULL) == 0);
	CHECK(put(&a, "rlimits", "nofile 1024 max\ncore 0\n", NULL) == 0);
	CHECK(put(&a, "sysctl", "kernel.sem = 250 32000 32 128\n", NULL) == 0);
	CHECK(put(&a, "devices", "c 10:200 rwm /dev/net/tun 0660 0:5\n", NULL) == 0);
	CHECK(put(&a, "paths", "", NULL) == 0 && put(&a, "oom_score_adj", "-7", NULL) == 0);
	CHECK(put(&a, "tty", "1", NULL) == 0);
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

	CHECK(strncmp(text, "{\"name\":\"db\",\"cmd\":[],\"start\":1,\"env\":{},", 41) == 0);
	CHECK(strstr(text,
		     "\"log.max\":16777216,\"restart\":\"no\",\"cgroup\":{\"pids.max\":4096}}"));
	CHECK(!strstr(text, "\"ns") && !strstr(text, "hostname"));
	json_object_put(o);
	spec_put(s);
}

/* What the first version wrote to the disk, unchanged. */
static void test_first_version(void)
{
	static const char text[] =
		"{ \"name\":\"db\", \"cmd\":[ \"sleep\", \"1\" ], \"start\":\"0\", \"env\":[ "
		"\"A=1\\\\"
		"n2\", \"-TERM\" ], \"cwd\":\"/\", \"user\":\"root\", \"caps\":[ \"cap_chown\" ], "
		"\"seccomp\":[ \"default\" ], \"no_new_privs\":\"1\", \"init\":\"0\", "
		"\"ns.list\":[ "
		"\"cgroup new\", \"ipc new\", \"mnt new\", \"net host\", \"pid new\", \"time "
		"host\", "
		"\"user new\", \"uts new\" ], \"log.max\":\"16777216\", \"cgroup\":[ \"pids.max "
		"4096\", "
		"\"memory.limit 64M\", \"io.max 8:0 rbps=1\", \"io.max 8:16 rbps=2\" ] }";
	struct spec *s = NULL;

	CHECK_ERR(parse(text, &s, &check_err), 0, "");
	if (!s)
		return;
	CHECK_STR(text_of(s, "cmd"), "sleep 1\n");
	CHECK_STR(text_of(s, "env"), "A=1\\n2\n-TERM\n");
	CHECK_STR(s->env.items[0], "A=1\n2");
	CHECK_STR(text_of(s, "caps"), "cap_chown\n");
	CHECK(!s->start && s->cgroup.len == 4);
	CHECK_STR(s->cgroup.items[1], "memory.limit 64M");
	/* nobody said that the user namespace was to be its own: the net it joins may decide */
	for (int i = 0; i < NS_COUNT; i++)
		CHECK(i == NS_NET ? strcmp(s->ns[i], "host") == 0 : !s->ns[i]);
	spec_put(s);
}

static void test_refused(void)
{
	static const char *const bad[][2] = {
		{"[]", "the document: an object is expected, not an array"},
		{"\"db\"", "the document: an object is expected, not a string"},
		{"{}", "no name"},
		{"{\"name\": 1}", "name: a string is expected, not a number"},
		{"{\"name\": \"\"}", "name: a container's name has 1 to 64"},
		{"{\"name\": \"a/b\"}", "cannot be"},
		{"{\"name\": \"new\"}", "tree itself"},
		{"{\"name\": \"a\\u0000b\"}", "NUL"},
		{"{\"name\": \"a\", \"\": \"1\"}", "'': no setting has this name"},
		{"{\"name\": \"a\", \"cmd\": [1]}", "cmd[0]: a string is expected"},
		{"{\"name\": \"a\", \"cmd\": [\"a\\u0000\"]}", "cmd[0]: a NUL"},
		{"{\"name\": \"a\", \"env\": [\"A\"]}", "env[0]: env: 'A' is neither KEY=value"},
		{"{\"name\": \"a\", \"env\": [\"A=1\", null]}", "env[1]: a string is expected"},
		{"{\"name\": \"a\", \"start\": null}", "start: 0 or 1 is expected, not null"},
		{"{\"name\": \"a\", \"cwd\": \"/a\\u0000b\"}", "cwd: a NUL"},
		{"{\"name\": \"a\", \"cwd\": \"a\"}", "absolute"},
		{"{\"name\": \"a\", \"cgroup\": \"pids.max 1\"}", "cgroup: an object is expected"},
		{"{\"name\": \"a\", \"cgroup\": [\"pids.max\"]}", "cgroup[0]: this is no knob"},
		{"{\"name\": \"a\", \"cgroup\": [{\"a\": 1}]}", "cgroup[0]: a string is expected"},
	};
	struct spec *untouched = NULL;

	for (size_t i = 0; i < CTN_COUNT(bad); i++)
		CHECK_ERR(parse(bad[i][0], &untouched, &check_err), EINVAL, bad[i][1]);
	CHECK(!untouched && parse("{}", &untouched, NULL) == -EINVAL);
}

static const struct check_test tests[] = {
	{"defaults", test_defaults},
	{"everything", test_everything},
	{"bytes", test_bytes},
	{"order", test_order},
	{"first version", test_first_version},
	{"refused", test_refused},
};

int main(void)
{
	return check_run(tests, CTN_COUNT(tests));
}
