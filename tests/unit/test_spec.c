/* SPDX-License-Identifier: Apache-2.0 */
/* Fields with one value, capabilities, namespaces, names, copies. test_spec_cmd.c and
 * test_spec_env.c have the two that have a grammar of their own. */
#include "spec.h"

#include "caps.h"
#include "io.h"
#include "spec_fixture.h"

static void test_defaults(void)
{
	static const char *const shown[][2] = {
		{"cmd", "\n"},
		{"start", "1\n"},
		{"env", ""},
		{"cwd", "/\n"},
		{"user", "root\n"},
		{"hostname", "db\n"},
		{"seccomp", "default\n"},
		{"seccomp.notify", "1\n"},
		{"no_new_privs", "1\n"},
		{"init", "0\n"},
		{"ns/net", "new\n"},
		{"ns/time", "host\n"},
		{"ns.list",
		 "cgroup new\nipc new\nmnt new\nnet new\npid new\ntime host\nuser new\nuts new\n"},
		{"log.max", "16777216\n"},
		{"restart", "no\n"},
	};
	struct spec *s = spec_new("db");

	for (size_t i = 0; i < CTN_COUNT(shown); i++)
		CHECK_STR(text_of(s, shown[i][0]), shown[i][1]);
	CHECK(s->caps == CAPS_DEFAULT);
	CHECK(s->cgroup.len == 1 && strcmp(s->cgroup.items[0], "pids.max 4096") == 0);
	CHECK(strncmp(text_of(s, "caps"), "cap_chown\ncap_dac_override\n", 27) == 0);
	CHECK(!spec_ns_is_host(s, NS_NET) && spec_ns_is_host(s, NS_TIME));
	spec_put(s);
	spec_put(NULL);
	CHECK(spec_get(NULL) == NULL);
}

static void test_table(void)
{
	size_t n = 0;

	for (const struct spec_field *f = spec_fields; f->name; f++, n++) {
		CHECK(spec_field_find(f->name) == f);
		CHECK(f->show && f->store);
	}
	CHECK(n == 30);
	CHECK(!spec_field_find("memory.limit") && !spec_field_find("") && !spec_field_find("ns/"));
}

static void test_names(void)
{
	static const char *const good[] = {"db",   "0",	   "A-b_c.d", "9.9",
					   "new2", "News", "a..",     "readme"};
	static const char *const bad[] = {
		"",	   ".",	     "..",     "-a",	   "_a",    ".hidden", "a/b",	 "a b",
		"a\n",	   "ä",	     "a\x7f",  "new",	   "error", "status",  "events", "stats",
		"metrics", "README", "images", "networks", "a:b",   "a~",      "a\xff",
	};
	char name[70] = "";

	for (size_t i = 0; i < CTN_COUNT(good); i++)
		CHECK(spec_name_check(good[i], NULL) == 0);
	for (size_t i = 0; i < CTN_COUNT(bad); i++)
		CHECK_ERR(spec_name_check(bad[i], &check_err), EINVAL, "name");
	memset(name, 'a', 64);
	CHECK(spec_name_check(name, NULL) == 0);
	name[64] = 'a';
	CHECK_ERR(spec_name_check(name, &check_err), EINVAL, "1 to 64");
}

static void test_cwd(void)
{
	struct spec *s = spec_new("db");
	char path[4098] = "/";

	CHECK(put(&s, "cwd", "  /srv/a b \n", NULL) == 0);
	CHECK_STR(s->cwd, "/srv/a b");
	CHECK(put(&s, "cwd", "# not this\n/one\n\n/two\n# nor that\n", NULL) == 0);
	CHECK_STR(s->cwd, "/two");
	CHECK_ERR(put(&s, "cwd", "srv\n", &check_err), EINVAL, "'srv' is not an absolute path");
	CHECK_ERR(put(&s, "cwd", "", &check_err), EINVAL, "absolute");
	CHECK_ERR(put(&s, "cwd", "\n \n", &check_err), EINVAL, "absolute");
	memset(path + 1, 'x', 4094);
	CHECK(put(&s, "cwd", path, NULL) == 0);
	path[4095] = 'x';
	CHECK_ERR(put(&s, "cwd", path, &check_err), ENAMETOOLONG, "4095");
	check_echo(s, "cwd");
	spec_put(s);
}

static void test_user(void)
{
	static const char *const good[] = {"redis",    "1000",	    "0",
					   "1000:100", "redis:adm", "4294967294"};
	static const char *const bad[] = {"-1", "1:", ":1", "00", "0x0", "4294967295", "1:2:3"};
	struct spec *s = spec_new("db");

	for (size_t i = 0; i < CTN_COUNT(good); i++) {
		CHECK(put(&s, "user", good[i], NULL) == 0);
		CHECK_STR(s->user, good[i]);
		check_echo(s, "user");
	}
	for (size_t i = 0; i < CTN_COUNT(bad); i++)
		CHECK_ERR(put(&s, "user", bad[i], &check_err), EINVAL, "");
	CHECK(put(&s, "user", "root\n", NULL) == 0);
	CHECK_STR(s->user, "");
	CHECK(put(&s, "user", "redis", NULL) == 0 && put(&s, "user", "\n", NULL) == 0);
	CHECK_STR(text_of(s, "user"), "root\n");
	spec_put(s);
}

static void test_hostname(void)
{
	static const char *const bad[] = {"a b", "-a", ".a", "a/b", "ä", "a,b", "a\tb"};
	struct spec *s = spec_new("db");
	char name[66] = "";

	CHECK(put(&s, "hostname", "web-1.example_x\n", NULL) == 0);
	CHECK_STR(spec_hostname(s), "web-1.example_x");
	for (size_t i = 0; i < CTN_COUNT(bad); i++)
		CHECK_ERR(put(&s, "hostname", bad[i], &check_err), EINVAL, "hostname");
	memset(name, 'h', 64);
	CHECK(put(&s, "hostname", name, NULL) == 0);
	name[64] = 'h';
	CHECK_ERR(put(&s, "hostname", name, &check_err), EINVAL, "64");
	CHECK(put(&s, "hostname", "\n", NULL) == 0);
	CHECK(s->hostname == NULL);
	CHECK_STR(spec_hostname(s), "db");
	spec_put(s);
}

static void test_flags(void)
{
	static const char *const flags[] = {"start", "no_new_privs", "init", "seccomp.notify"};
	static const char *const bad[] = {"", "2", "yes", "-1", "01", "true", "1 0"};
	struct spec *s = spec_new("db");

	for (size_t i = 0; i < CTN_COUNT(flags); i++) {
		CHECK(put(&s, flags[i], "0\n", NULL) == 0);
		CHECK_STR(text_of(s, flags[i]), "0\n");
		CHECK(put(&s, flags[i], " 1 \n", NULL) == 0);
		CHECK_STR(text_of(s, flags[i]), "1\n");
		for (size_t j = 0; j < CTN_COUNT(bad); j++)
			CHECK_ERR(put(&s, flags[i], bad[j], &check_err), EINVAL, flags[i]);
	}
	spec_put(s);
}

static void test_log_max(void)
{
	struct spec *s = spec_new("db");

	CHECK(put(&s, "log.max", "4096", NULL) == 0 && s->log_max == 4096);
	CHECK(put(&s, "log.max", "1m\n", NULL) == 0 && s->log_max == 1 << 20);
	CHECK(put(&s, "log.max", "max\n", NULL) == 0 && s->log_max == CTN_MAX);
	CHECK_STR(text_of(s, "log.max"), "max\n");
	check_echo(s, "log.max");
	CHECK_ERR(put(&s, "log.max", "4095", &check_err), ERANGE, "at least 4096");
	CHECK_ERR(put(&s, "log.max", "0", &check_err), ERANGE, "at least");
	CHECK_ERR(put(&s, "log.max", "-1", &check_err), EINVAL, "not a size");
	CHECK_ERR(put(&s, "log.max", "", &check_err), EINVAL, "not a size");
	CHECK_ERR(put(&s, "log.max", "9223372036854775808", &check_err), ERANGE, "too large");
	CHECK_ERR(put(&s, "log.max", "8388608T", &check_err), ERANGE, "too large");
	spec_put(s);
}

static void test_restart(void)
{
	static const char *const words[] = {
		"no\n",		 "on-failure\n",     "on-failure:1\n",
		"always\n",	 "unless-stopped\n", "on-failure:1000000\n",
		"on-failure:2\n"};
	static const char *const bad[] = {"",
					  "yes",
					  "on-failure:",
					  "on-failure:0",
					  "always:1",
					  "on-failure:-1",
					  "on-failure:+1",
					  "on-failure:1 "
					  "2"};
	struct spec *s = spec_new("db"), *copy;

	CHECK(!spec_restarts(s, 1, 0));
	for (size_t i = 0; i < CTN_COUNT(words); i++) {
		CHECK(put(&s, "restart", words[i], NULL) == 0);
		CHECK_STR(text_of(s, "restart"), words[i]);
		check_echo(s, "restart");
	}
	for (size_t i = 0; i < CTN_COUNT(bad); i++)
		CHECK_ERR(put(&s, "restart", bad[i], &check_err), EINVAL, "restart: ");
	CHECK_ERR(put(&s, "restart", "on-failure:1000001", &check_err), ERANGE, "restart: ");
	copy = spec_dup(s);
	CHECK_STR(text_of(copy, "restart"), "on-failure:2\n");
	CHECK(spec_restarts(copy, 1, 1) && !spec_restarts(copy, 1, 2) &&
	      !spec_restarts(copy, 0, 0));
	CHECK(put(&s, "restart", "on-failure", NULL) == 0 && spec_restarts(s, 255, 1000000));
	CHECK(put(&s, "restart", "always", NULL) == 0 && spec_restarts(s, 0, 1000000));
	CHECK(put(&s, "restart", "unless-stopped", NULL) == 0 && spec_restarts(s, 0, 0));
	spec_put(s);
	spec_put(copy);
}

static void test_caps(void)
{
	const uint64_t chown = 1, kill = 1 << 5, mknod = 1 << 27;
	struct spec *s = spec_new("db");

	CHECK(put(&s, "caps", "cap_chown\nKILL\n", NULL) == 0 && s->caps == (chown | kill));
	CHECK_STR(text_of(s, "caps"), "cap_chown\ncap_kill\n");
	CHECK(add(&s, "caps", "mknod\n") == 0 && s->caps == (chown | kill | mknod));
	CHECK(put(&s, "caps", "-chown\n", NULL) == 0 && s->caps == (kill | mknod));
	CHECK(put(&s, "caps", "+cap_chown\n-cap_kill\n", NULL) == 0 && s->caps == (chown | mknod));
	CHECK(put(&s, "caps", "default\n-mknod\n", NULL) == 0 &&
	      s->caps == (CAPS_DEFAULT & ~mknod));
	CHECK(put(&s, "caps", "", NULL) == 0 && s->caps == (CAPS_DEFAULT & ~mknod));
	CHECK(put(&s, "caps", "# nothing\n\n", NULL) == 0 && s->caps == (CAPS_DEFAULT & ~mknod));
	CHECK(put(&s, "caps", "none\n", NULL) == 0 && s->caps == 0);
	CHECK_STR(text_of(s, "caps"), "none\n");
	check_echo(s, "caps");
	CHECK(put(&s, "caps", "0x21\n", NULL) == 0 && s->caps == (chown | kill));
	CHECK(add(&s, "caps", "00000000a80425fb\n") == 0 && s->caps == CAPS_DEFAULT);
	CHECK(put(&s, "caps", "chown, kill mknod\r\n", NULL) == 0 &&
	      s->caps == (chown | kill | mknod));
	CHECK(put(&s, "caps", "all\n", NULL) == 0 && s->caps == caps_all());
	check_echo(s, "caps");
	CHECK_ERR(put(&s, "caps", "chown\nsys_admn\n", &check_err), EINVAL, "sys_admin");
	CHECK_ERR(put(&s, "caps", "-what\n", &check_err), EINVAL, "what");
	CHECK(s->caps == caps_all());
	spec_put(s);
}

static void test_seccomp(void)
{
	struct spec *s = spec_new("db");

	CHECK(put(&s, "seccomp", " none \r\n", NULL) == 0);
	CHECK_STR(text_of(s, "seccomp"), "none\n");
	CHECK(put(&s, "seccomp", "", NULL) == 0 && add(&s, "seccomp", "# x\n") == 0);
	CHECK_STR(text_of(s, "seccomp"), "none\n");
	check_echo(s, "seccomp");
	CHECK_ERR(put(&s, "seccomp", "strict\n", &check_err), EINVAL, "strict");
	spec_put(s);
}

static void test_seccomp_deltas(void)
{
	struct spec *s = spec_new("db");

	CHECK(put(&s, "seccomp", "+ptrace\n", NULL) == 0);
	CHECK(add(&s, "seccomp", "-keyctl, +mount\n") == 0);
	CHECK_STR(text_of(s, "seccomp"), "default\n+ptrace\n-keyctl\n+mount\n");
	check_echo(s, "seccomp");
	CHECK(put(&s, "seccomp", "-ptrace", NULL) == 0);
	CHECK_STR(text_of(s, "seccomp"), "default\n-keyctl\n+mount\n-ptrace\n");
	CHECK(add(&s, "seccomp", "default\n") == 0);
	CHECK_STR(text_of(s, "seccomp"), "default\n");
	CHECK(put(&s, "seccomp", "none\n-mount -umount2\n", NULL) == 0);
	CHECK_STR(text_of(s, "seccomp"), "none\n-mount\n-umount2\n");
	check_echo(s, "seccomp");
	CHECK(put(&s, "seccomp", "+mount\n", NULL) == 0); /* what it took */
	CHECK_STR(text_of(s, "seccomp"), "none\n-umount2\n");
	CHECK_ERR(put(&s, "seccomp", "+mount\n", &check_err), EINVAL, "filters nothing");
	CHECK_ERR(put(&s, "seccomp", "-mouunt\n", &check_err), EINVAL, "did you mean mount");
	CHECK_ERR(put(&s, "seccomp", "-mount umount\n", &check_err), EINVAL, "neither");
	CHECK_ERR(put(&s, "seccomp", "strict\n+mount\n", &check_err), EINVAL, "strict");
	CHECK_STR(text_of(s, "seccomp"), "none\n-umount2\n");
	spec_put(s);
}

static void test_seccomp_json(void)
{
	struct spec *s = spec_new("db");

	CHECK(put(&s, "seccomp",
		  "# mine\n\n {\n\"defaultAction\":\n \"SCMP_ACT_LOG\" } \n# and\n+mount\n",
		  NULL) == 0);
	CHECK_STR(text_of(s, "seccomp"), "{\"defaultAction\":\"SCMP_ACT_LOG\"}\n+mount\n");
	check_echo(s, "seccomp");
	CHECK(put(&s, "seccomp", "{\"defaultAction\":\"SCMP_ACT_TRAP\"}", NULL) == 0);
	CHECK_STR(text_of(s, "seccomp"), "{\"defaultAction\":\"SCMP_ACT_TRAP\"}\n");
	CHECK_ERR(put(&s, "seccomp", "{\"defaultAction\":\n\"SCMP\"}", &check_err), EINVAL,
		  "line 2, column 1");
	CHECK_ERR(put(&s, "seccomp", "{\"defaultAction\":", &check_err), EINVAL, "complete");
	CHECK_ERR(put(&s, "seccomp", "{\"defaultAction\":1,}", &check_err), EINVAL, "line 1");
	CHECK_ERR(put(&s, "seccomp", "{\"defaultAction\":\"SCMP_ACT_LOG\"} x", &check_err), EINVAL,
		  "'x'");
	CHECK_ERR(put(&s, "seccomp", "{}\n", &check_err), EINVAL, "defaultAction");
	CHECK_STR(text_of(s, "seccomp"), "{\"defaultAction\":\"SCMP_ACT_TRAP\"}\n");
	spec_put(s);
}

static void test_ns(void)
{
	struct spec *s = spec_new("db");

	CHECK(put(&s, "ns/net", "host\n", NULL) == 0 && spec_ns_is_host(s, NS_NET));
	check_echo(s, "ns/net");
	CHECK(put(&s, "ns/net", "new\n", NULL) == 0 && !spec_ns_is_host(s, NS_NET));
	CHECK_ERR(put(&s, "ns/net", "other\n", &check_err), EINVAL, "ns/net: 'other'");
	CHECK_ERR(put(&s, "ns/net", "", &check_err), EINVAL, "neither new nor host");
	CHECK(put(&s, "ns.list", "net host\n# pid host\n\n\tuts \t host 4026531838 web db\n",
		  NULL) == 0);
	CHECK(spec_ns_is_host(s, NS_NET) && spec_ns_is_host(s, NS_UTS) &&
	      !spec_ns_is_host(s, NS_PID));
	check_echo(s, "ns.list");
	CHECK(put(&s, "ns.list", "uts new", NULL) == 0);
	CHECK(spec_ns_is_host(s, NS_NET) && !spec_ns_is_host(s, NS_UTS));
	CHECK_ERR(put(&s, "ns.list", "network host\n", &check_err), EINVAL, "'network'");
	CHECK_ERR(put(&s, "ns.list", "net\n", &check_err), EINVAL, "setting is missing");
	spec_put(s);
}

static void test_ns_of_others(void)
{
	static const char *const bad[] = {"container:",	  "container:a/b", "container:-",
					  "Container:db", "net",	   "./x",
					  "newer",	  "/run/net ns",   "/run/\001"};
	struct spec *s = spec_new("web");

	CHECK(spec_ns_implied_user(s) == -1);
	CHECK(put(&s, "ns.list", "pid container:db 12 db\nnet /run/netns/blue", NULL) == 0);
	CHECK_STR(spec_ns_container(s, NS_PID), "db");
	CHECK_STR(spec_ns_path(s, NS_NET), "/run/netns/blue");
	CHECK(!spec_ns_container(s, NS_NET) && !spec_ns_path(s, NS_PID));
	CHECK(!spec_ns_is_host(s, NS_PID) && !spec_ns_is_new(s, NS_PID) &&
	      spec_ns_is_new(s, NS_IPC));
	CHECK(spec_ns_implied_user(s) == NS_PID);
	check_echo(s, "ns.list");
	check_echo(s, "ns/pid");
	CHECK(put(&s, "ns/user", "container:db", NULL) == 0 && spec_ns_implied_user(s) == -1);
	for (size_t i = 0; i < CTN_COUNT(bad); i++)
		CHECK_ERR(put(&s, "ns/net", bad[i], &check_err), EINVAL, "ns/net: ");
	CHECK_ERR(put(&s, "ns/mnt", "container:db", &check_err), EOPNOTSUPP, "ns/mnt");
	CHECK_ERR(put(&s, "ns/mnt", "/proc/1/ns/mnt", &check_err), EOPNOTSUPP, "ns/mnt");
	CHECK(put(&s, "ns/uts", "container:db", NULL) == 0 && !spec_ns_names_host(s));
	CHECK(put(&s, "hostname", "web", NULL) == 0 && !spec_ns_names_host(s));
	CHECK(put(&s, "hostname", "other", NULL) == 0 && spec_ns_names_host(s));
	CHECK(put(&s, "ns/uts", "new", NULL) == 0 && !spec_ns_names_host(s));
	spec_put(s);
}

/* A spec of which no field is the default. */
static struct spec *busy_spec(void)
{
	struct spec *s = spec_new("db");

	CHECK(put(&s, "cmd", "redis-server --port '6 379'", NULL) == 0);
	CHECK(put(&s, "start", "0", NULL) == 0 && put(&s, "init", "1", NULL) == 0);
	CHECK(put(&s, "no_new_privs", "0", NULL) == 0);
	CHECK(put(&s, "env", "A=1\n-TERM\nB=x\\ny\\\\\n", NULL) == 0);
	CHECK(put(&s, "cwd", "/srv", NULL) == 0 && put(&s, "user", "1:2", NULL) == 0);
	CHECK(put(&s, "hostname", "h", NULL) == 0 && put(&s, "caps", "kill", NULL) == 0);
	CHECK(put(&s, "seccomp", "none", NULL) == 0 && put(&s, "log.max", "max", NULL) == 0);
	CHECK(put(&s, "ns.list", "cgroup host\nipc host\nmnt host\nnet host\npid host\n", NULL) ==
	      0);
	CHECK(put(&s, "ns.list", "time new\nuser host\nuts host\n", NULL) == 0);
	CHECK(spec_set_knob(s, "memory.limit", "64M", NULL) == 0);
	return s;
}

static void test_dup(void)
{
	struct spec *a = busy_spec(), *b = spec_dup(a), *c;

	CHECK_STR(b->name, a->name);
	CHECK(b->refs == 1 && b->cgroup.len == a->cgroup.len);
	for (const struct spec_field *f = spec_fields; f->name; f++)
		CHECK_STR(text_of(b, f->name), text_of(a, f->name));
	CHECK(spec_set_knob(b, "memory.limit", "1M", NULL) == 0);
	CHECK_STR(a->cgroup.items[1], "memory.limit 64M");
	c = spec_get(b);
	CHECK(c == b);
	spec_put(b);
	spec_put(a); /* nothing of the copy is the original's */
	CHECK_STR(c->cwd, "/srv");
	CHECK_STR(c->cmd.items[2], "6 379");
	CHECK(c->cmd.items[3] == NULL);
	spec_put(c);
}

static void test_field_copy(void)
{
	struct spec *busy = busy_spec(), *plain = spec_new("db");

	for (const struct spec_field *f = spec_fields; f->name; f++) {
		struct spec *to_busy = spec_dup(plain), *to_plain = spec_dup(busy);

		CHECK(spec_field_copy(to_busy, busy, f, NULL) == 0);
		CHECK_STR(text_of(to_busy, f->name), text_of(busy, f->name));
		CHECK(spec_field_copy(to_plain, plain, f, NULL) == 0);
		CHECK_STR(text_of(to_plain, f->name), text_of(plain, f->name));
		for (const struct spec_field *g = spec_fields; g->name; g++) {
			if (g != f && strncmp(f->name, "ns", 2) != 0)
				CHECK_STR(text_of(to_plain, g->name), text_of(busy, g->name));
		}
		spec_put(to_busy);
		spec_put(to_plain);
	}
	/* A host name that follows the name is copied as that. */
	CHECK(spec_field_copy(busy, plain, spec_field_find("hostname"), NULL) == 0);
	CHECK(busy->hostname == NULL);
	spec_put(busy);
	spec_put(plain);
}

static void test_knobs(void)
{
	struct spec *s = spec_new("db");

	CHECK(spec_set_knob(s, "pids.max", "5", NULL) == 0 && s->cgroup.len == 1);
	CHECK_STR(s->cgroup.items[0], "pids.max 5");
	CHECK(spec_set_knob(s, "pids", "6", NULL) == 0 && s->cgroup.len == 2);
	CHECK(spec_set_knob(s, "cpu.max", "50000 100000", NULL) == 0 && s->cgroup.len == 3);
	CHECK_STR(s->cgroup.items[2], "cpu.max 50000 100000");
	CHECK(s->cgroup.items[3] == NULL);
	spec_put(s);
}

static const struct check_test tests[] = {
	{"defaults", test_defaults},
	{"table of fields", test_table},
	{"names", test_names},
	{"cwd", test_cwd},
	{"user", test_user},
	{"hostname", test_hostname},
	{"flags", test_flags},
	{"log.max", test_log_max},
	{"restart", test_restart},
	{"caps", test_caps},
	{"seccomp", test_seccomp},
	{"seccomp: deltas", test_seccomp_deltas},
	{"seccomp: documents", test_seccomp_json},
	{"namespaces", test_ns},
	{"namespaces of others", test_ns_of_others},
	{"a copy is independent", test_dup},
	{"copying one field", test_field_copy},
	{"cgroup values", test_knobs},
};

int main(void)
{
	return check_run(tests, CTN_COUNT(tests));
}
