/* SPDX-License-Identifier: Apache-2.0 */
/* Specifications as users write them: the tree's own form. */
#include "spec_json.h"

#include "spec_fixture.h"

static int read_spec(const char *text, struct spec **ret, struct ctn_err *err)
{
	struct json_doc *doc = NULL;
	struct json_at root;
	int r = json_doc_parse(text, strlen(text), &doc, err);

	if (r < 0)
		return r;
	root = json_root(doc);
	r = spec_from_at(&root, ret, err);
	json_doc_free(doc);
	return r;
}

/* The text of a spec, in one of two buffers. */
static const char *shown(const struct spec *s)
{
	static char *kept[2];
	static size_t next;
	char **slot = &kept[next++ % CTN_COUNT(kept)];

	free(*slot);
	*slot = NULL;
	CHECK(spec_to_text(s, slot, NULL) == 0);
	return *slot;
}

/* --- what is taken --- */

static const struct {
	const char *doc, *field, *text;
} taken[] = {
	{"{\"cmd\": [\"a\", \"b c\", \"\"]}", "cmd", "a 'b c' ''\n"},
	{"{\"cmd\": \"a 'b c'\"}", "cmd", "a 'b c'\n"},
	{"{\"cmd\": []}", "cmd", "\n"},
	{"{\"cmd\": [\"sh\", \"-c\", \"a\\nb\"]}", "cmd", "[\"sh\",\"-c\",\"a\\nb\"]\n"},
	{"{\"start\": 0}", "start", "0\n"},
	{"{\"start\": \"0\"}", "start", "0\n"},
	{"{\"start\": false}", "start", "0\n"},
	{"{\"tty\": true, \"init\": 1, \"no_new_privs\": false}", "no_new_privs", "0\n"},
	{"{\"tty\": true}", "tty", "1\n"},
	{"{\"env\": {\"A\": \"1\", \"B\": \"x\\ny\\\\n\", \"C\": \"\", \"TERM\": null}}", "env",
	 "A=1\nB=x\\ny\\\\n\nC=\n-TERM\n"},
	{"{\"env\": {\"A\\\\nB\": \"=\"}}", "env", "A\\\\nB==\n"},
	{"{\"env\": [\"A=1\", \"# no\", \"\", \"B=x\\\\ny\"]}", "env", "A=1\nB=x\\ny\n"},
	{"{\"env\": \"A=1\\nB=2\\n\"}", "env", "A=1\nB=2\n"},
	{"{\"env\": {}}", "env", ""},
	{"{\"cwd\": \"/tmp\"}", "cwd", "/tmp\n"},
	{"{\"user\": \"1:2\"}", "user", "1:2\n"},
	{"{\"user\": \"\"}", "user", "root\n"},
	{"{\"hostname\": \"h\"}", "hostname", "h\n"},
	{"{\"rootfs\": \"/srv/alpine ro\"}", "rootfs", "/srv/alpine ro\n"},
	{"{\"mounts\": [\"/a /b none bind 0 0\", \"-/tmp\"]}", "mounts",
	 "/a /b none bind 0 0\n-/tmp\n"},
	{"{\"rlimits\": [\"nofile 1024 4096\"]}", "rlimits", "nofile 1024 4096\n"},
	{"{\"sysctl\": [\"net.core.somaxconn = 1024\"]}", "sysctl", "net.core.somaxconn = 1024\n"},
	{"{\"devices\": []}", "devices", "\n"},
	{"{\"paths\": [\"masked /a\"]}", "paths", "masked /a\n"},
	{"{\"oom_score_adj\": -7}", "oom_score_adj", "-7\n"},
	{"{\"oom_score_adj\": \"7\"}", "oom_score_adj", "7\n"},
	{"{\"log.max\": 8192}", "log.max", "8192\n"},
	{"{\"log.max\": \"1M\"}", "log.max", "1048576\n"},
	{"{\"log.max\": \"max\"}", "log.max", "max\n"},
	{"{\"restart\": \"always\"}", "restart", "always\n"},
	{"{\"caps\": [\"none\", \"+kill\"]}", "caps", "cap_kill\n"},
	{"{\"caps\": \"chown\\nkill\"}", "caps", "cap_chown\ncap_kill\n"},
	/* as in the file: where a name stands alone, it is not the default that is amended */
	{"{\"caps\": [\"-mknod\", \"kill\"]}", "caps", "cap_kill\n"},
	{"{\"seccomp\": [\"none\"]}", "seccomp", "none\n"},
	{"{\"seccomp\": \"none\"}", "seccomp", "none\n"},
	{"{\"ns\": {\"net\": \"host\"}}", "ns/net", "host\n"},
	{"{\"ns.list\": [\"net host\", \"uts host\"]}", "ns/uts", "host\n"},
};

static void test_taken(void)
{
	for (size_t i = 0; i < CTN_COUNT(taken); i++) {
		struct spec *s = NULL, *again = NULL;

		CHECK_ERR(read_spec(taken[i].doc, &s, &check_err), 0, "");
		if (!s)
			continue;
		CHECK_STR(s->name, "");
		if (strcmp(taken[i].field, "env") != 0 || *taken[i].text)
			CHECK(strstr(text_of(s, taken[i].field), taken[i].text));
		else
			CHECK(s->env.len == 0);
		free(s->name);
		s->name = strdup("db");
		CHECK_ERR(read_spec(shown(s), &again, &check_err), 0, "");
		if (again)
			CHECK_STR(shown(again), shown(s));
		spec_put(s);
		spec_put(again);
	}
}

/* Everything said: as it is shown, so that it is its own text. */
static const char everything[] = "{\n"
				 "  \"name\": \"db\",\n"
				 "  \"cmd\": [\n"
				 "    \"sh\",\n"
				 "    \"-c\",\n"
				 "    \"a\\n/b \\\"é\\\" \\\\ []\"\n"
				 "  ],\n"
				 "  \"start\": 0,\n"
				 "  \"env\": {\n"
				 "    \"A\": \"1/2\\n\",\n"
				 "    \"TERM\": null,\n"
				 "    \"B\": \"[\\n ]\"\n"
				 "  },\n"
				 "  \"cwd\": \"/tmp\",\n"
				 "  \"user\": \"1:2\",\n"
				 "  \"hostname\": \"h\",\n"
				 "  \"rootfs\": \"/srv/a b rw\",\n"
				 "  \"mounts\": [\n"
				 "    \"/srv/a\\\\040b /b none bind,rw 0 0\",\n"
				 "    \"-/tmp\"\n"
				 "  ],\n"
				 "  \"rlimits\": [\n"
				 "    \"nofile 1024 max\"\n"
				 "  ],\n"
				 "  \"sysctl\": [\n"
				 "    \"kernel.sem = 250 32000 32 128\"\n"
				 "  ],\n"
				 "  \"devices\": [\n"
				 "    \"c 10:200 rwm /dev/net/tun 0660 0:5\"\n"
				 "  ],\n"
				 "  \"paths\": [],\n"
				 "  \"oom_score_adj\": -7,\n"
				 "  \"tty\": 1,\n"
				 "  \"caps\": [\n"
				 "    \"cap_chown\",\n"
				 "    \"cap_kill\"\n"
				 "  ],\n"
				 "  \"seccomp\": [\n"
				 "    \"none\"\n"
				 "  ],\n"
				 "  \"seccomp.notify\": 0,\n"
				 "  \"no_new_privs\": 0,\n"
				 "  \"init\": 1,\n"
				 "  \"ns\": {\n"
				 "    \"net\": \"host\",\n"
				 "    \"uts\": \"new\"\n"
				 "  },\n"
				 "  \"log.max\": \"max\",\n"
				 "  \"restart\": \"on-failure:5\",\n"
				 "  \"cgroup\": {\n"
				 "    \"memory.limit\": \"64M\",\n"
				 "    \"cpu.max\": \"50000 100000\",\n"
				 "    \"pids.max\": 100,\n"
				 "    \"io.max\": [\n"
				 "      \"8:0 rbps=1\",\n"
				 "      \"8:16 wiops=max\"\n"
				 "    ]\n"
				 "  }\n"
				 "}\n";

static void test_everything(void)
{
	struct spec *s = NULL, *copy;

	CHECK_ERR(read_spec(everything, &s, &check_err), 0, "");
	if (!s)
		return;
	CHECK_STR(shown(s), everything);
	copy = spec_dup(s);
	CHECK_STR(shown(copy), everything);
	CHECK_STR(s->cmd.items[2], "a\n/b \"é\" \\ []");
	CHECK(!s->start && s->tty && s->init && !s->no_new_privs && !s->notify &&
	      s->oom_score_adj == -7);
	CHECK(s->paths.len == 0 && s->devices.len == 1 && s->mounts.len == 2);
	CHECK(s->cgroup.len == 5 && s->root_mode == SPEC_ROOT_RW);
	spec_put(s);
	spec_put(copy);
}

static void test_template(void)
{
	struct spec *s = NULL, *again = NULL;

	CHECK_ERR(read_spec(spec_template(), &s, &check_err), 0, "");
	if (!s)
		return;
	CHECK(s->cmd.len > 0 && s->start);
	CHECK_ERR(read_spec(shown(s), &again, &check_err), 0, "");
	CHECK_STR(shown(again), shown(s));
	spec_put(s);
	spec_put(again);
}

/* --- limits --- */

static void check_limits(const char *doc, const char *limits)
{
	char have[512] = "", *p = have;
	struct spec *s = NULL;

	CHECK_ERR(read_spec(doc, &s, &check_err), 0, "");
	for (size_t i = 0; s && i < s->cgroup.len; i++)
		p += snprintf(p, sizeof(have) - (size_t)(p - have), "%s\n", s->cgroup.items[i]);
	CHECK_STR(have, limits);
	spec_put(s);
}

static void test_limits(void)
{
	check_limits("{}", "pids.max 4096\n");
	check_limits("{\"cgroup\": {}}", "pids.max 4096\n");
	check_limits("{\"cgroup\": {\"pids.max\": 7}}", "pids.max 7\n");
	check_limits("{\"cgroup\": {\"pids.max\": \"max\"}}", "pids.max max\n");
	/* the names that v2 has for them */
	check_limits("{\"cgroup\": {\"memory.max\": \"64M\"}}",
		     "memory.limit 64M\npids.max 4096\n");
	/* swap stands upon memory, whatever comes first in the document */
	check_limits("{\"cgroup\": {\"memory.swap.limit\": 1, \"memory.limit\": 67108864}}",
		     "memory.limit 67108864\nmemory.swap.limit 1\npids.max 4096\n");
	check_limits("{\"cgroup\": {\"io.max\": [\"8:0 rbps=1\", \"8:16 rbps=1\"]}}",
		     "io.max 8:0 rbps=1\nio.max 8:16 rbps=1\npids.max 4096\n");
	check_limits("{\"cgroup\": {\"cpu.weight\": 18446744073709551615}}",
		     "cpu.weight 18446744073709551615\npids.max 4096\n");
}

/* --- what is refused --- */

static const struct {
	const char *doc;
	int code;
	const char *sentence;
} bad[] = {
	/* keys */
	{"{\"cmdd\": []}", EINVAL,
	 "cmdd (line 1, column 10): no setting has this name; did you "
	 "mean cmd?"},
	{"{\n \"cgroups\": {}}", EINVAL,
	 "cgroups (line 2, column 13): no setting has this name; "
	 "did you mean cgroup?"},
	{"{\"Env\": {}}", EINVAL, "did you mean env?"},
	{"{\"mount\": []}", EINVAL, "did you mean mounts?"},
	{"{\"names\": \"a\"}", EINVAL, "did you mean name?"},
	{"{\"entrypoint\": []}", EINVAL,
	 "entrypoint (line 1, column 16): no setting has this name; "
	 "reading new shows"},
	{"{\"memory.limit\": 1}", EINVAL, "write \"cgroup\": { \"memory.limit\": … }"},
	{"{\"memory.max\": 1}", EINVAL, "write \"cgroup\": { \"memory.max\": … }"},
	{"{\"memory.limt\": 1}", EINVAL, "did you mean \"cgroup\": { \"memory.limit\": … }?"},
	{"{\"cgroup/pids.max\": 1}", EINVAL, "write \"cgroup\": { \"pids.max\": … }"},
	{"{\"ns/net\": \"host\"}", EINVAL, "ns/net (line 1, column 12): write \"ns\": { \"net\""},
	{"{\"\": 1}", EINVAL, "'' (line 1, column 6): no setting has this name"},
	{"{\"state\": \"running\"}", EINVAL, "state (line 1, column 11): no setting"},
	{"{\"cmd\": [], \"cmd\": []}", EINVAL, "cmd (line 1, column 13): this key is there twice"},
	{"{\"ns\": {}, \"ns.list\": []}", EINVAL, "ns.list (line 1, column 23): the key ns says"},
	/* names */
	{"{\"name\": \"\"}", EINVAL, "name (line 1, column 10): a container's name has 1 to 64"},
	{"{\"name\": \"a/b\"}", EINVAL, "name (line 1, column 10): 'a/b' cannot be"},
	{"{\"name\": \"..\"}", EINVAL, "name (line 1, column 10): '..' cannot be"},
	{"{\"name\": \"new\"}", EINVAL, "name (line 1, column 10): 'new' is a name of the tree"},
	{"{\"name\": null}", EINVAL, "name (line 1, column 10): a string is expected, not null"},
	{"{\"name\": [\"a\"]}", EINVAL, "a string is expected, not an array"},
	/* cmd */
	{"{\"cmd\": 1}", EINVAL, "cmd (line 1, column 9): an array of words, or a string, is exp"},
	{"{\"cmd\": null}", EINVAL, "or a string, is expected, not null"},
	{"{\"cmd\": [\"a\", 1]}", EINVAL, "cmd[1] (line 1, column 15): a string is expected"},
	{"{\"cmd\": [\"\"]}", EINVAL, "cmd (line 1, column 9): cmd: the program's name is empty"},
	{"{\"cmd\": \"a | b\"}", EINVAL, "cmd (line 1, column 9): cmd: '|' means something to a"},
	{"{\"cmd\": \"a\\nb\"}", EINVAL, "cmd (line 1, column 9): one line is expected"},
	{"{\"cmd\": \"# a\"}", EINVAL, "cmd (line 1, column 9): a line that begins with # says"},
	/* flags and numbers */
	{"{\"start\": 2}", EINVAL, "start (line 1, column 11): 2 is out of range: 0 to 1"},
	{"{\"start\": -1}", EINVAL, "start (line 1, column 11): -1 is out of range: 0 to 1"},
	{"{\"start\": 1.0}", EINVAL, "start (line 1, column 11): a whole number is expected"},
	{"{\"start\": \"yes\"}", EINVAL, "start (line 1, column 11): start: 'yes'"},
	{"{\"start\": []}", EINVAL, "start (line 1, column 11): 0 or 1 is expected, not an array"},
	{"{\"tty\": null}", EINVAL, "tty (line 1, column 9): 0 or 1 is expected, not null"},
	{"{\"oom_score_adj\": 1001}", EINVAL, "oom_score_adj (line 1, column 19): "},
	{"{\"oom_score_adj\": true}", EINVAL, "a number or a string is expected, not true"},
	{"{\"oom_score_adj\": 1e2}", EINVAL, "a whole number is expected"},
	{"{\"oom_score_adj\": 9223372036854775808}", EINVAL, "out of range"},
	{"{\"log.max\": 1}", EINVAL, "log.max (line 1, column 13): log.max: at least 4096"},
	{"{\"restart\": \"maybe\"}", EINVAL, "restart (line 1, column 13): restart: 'maybe'"},
	{"{\"restart\": true}", EINVAL, "restart (line 1, column 13): "},
	{"{\"log.max\": -1}", EINVAL, "log.max (line 1, column 13): log.max: '-1'"},
	{"{\"log.max\": \"64X\"}", EINVAL, "log.max (line 1, column 13): log.max: '64X'"},
	/* texts */
	{"{\"cwd\": 1}", EINVAL, "cwd (line 1, column 9): a string is expected, not a number"},
	{"{\"cwd\": \"a\"}", EINVAL, "cwd (line 1, column 9): cwd: 'a' is not an absolute path"},
	{"{\"cwd\": \"/a\\n/b\"}", EINVAL, "cwd (line 1, column 9): one line is expected"},
	{"{\"hostname\": \"#h\"}", EINVAL, "hostname (line 1, column 14): a line that begins with"},
	{"{\"hostname\": \"a b\"}", EINVAL, "hostname (line 1, column 14): hostname: 'a b'"},
	{"{\"hostname\": null}", EINVAL, "hostname (line 1, column 14): a string is expected"},
	{"{\"user\": 1000}", EINVAL, "user (line 1, column 10): a string is expected"},
	{"{\"user\": \"a:b:c\"}", EINVAL, "user (line 1, column 10): "},
	{"{\"rootfs\": \"srv\"}", EINVAL, "rootfs (line 1, column 12): rootfs: 'srv'"},
	{"{\"rootfs\": \"oci:/a\"}", EOPNOTSUPP, "rootfs (line 1, column 12): rootfs: images"},
	/* lists */
	{"{\"env\": 1}", EINVAL, "env (line 1, column 9): an array of lines, or a string with"},
	{"{\"env\": [\"A=1\", \"B\"]}", EINVAL, "env[1] (line 1, column 17): env: 'B' is neither"},
	{"{\"env\": [\"A=1\\nB=2\"]}", EINVAL, "env[0] (line 1, column 10): one line is expected"},
	{"{\"env\": [1]}", EINVAL, "env[0] (line 1, column 10): a string is expected"},
	{"{\"env\": \"A\"}", EINVAL, "env (line 1, column 9): env: 'A' is neither"},
	{"{\"env\": {\"A\": 1}}", EINVAL, "env.A (line 1, column 15): a string is expected, not a"},
	{"{\"env\": {\"\": \"1\"}}", EINVAL,
	 "env.'' (line 1, column 14): a variable's name is not"},
	{"{\"env\": {\"A=B\": \"1\"}}", EINVAL, "env.'A=B' (line 1, column 17): a variable's name"},
	{"{\"env\": {\"-A\": \"1\"}}", EINVAL, "env.-A (line 1, column 16): a variable's name"},
	{"{\"env\": {\"#A\": \"1\"}}", EINVAL, "env.'#A' (line 1, column 16): a variable's name"},
	{"{\"env\": {\"A B\": \"1\"}}", EINVAL, "env.'A B' (line 1, column 17): a variable's name"},
	{"{\"env\": {\"A\": \"1\", \"B\\u007f\": \"\"}}", EINVAL, "line 1, column 31): env: 'B?="},
	{"{\"mounts\": [\"/a /b none bind 0 0\",\n \"/srv\"]}", EINVAL,
	 "mounts[1] (line 2, column 2): mounts: "},
	{"{\"mounts\": {}}", EINVAL, "mounts (line 1, column 12): an array of lines"},
	{"{\"mounts\": [\"-/nothing\"]}", EINVAL,
	 "mounts[0] (line 1, column 13): mounts: there is"},
	{"{\"rlimits\": [\"nofile 2 1\"]}", EINVAL, "rlimits[0] (line 1, column 14): rlimits: "},
	{"{\"rlimits\": [\"core 0\", \"open 2\"]}", EINVAL, "rlimits[1] (line 1, column 24): rlim"},
	{"{\"sysctl\": [\"kernel.panic = 1\"]}", EINVAL, "sysctl[0] (line 1, column 13): sysctl: "},
	{"{\"devices\": [\"c 1 rw\"]}", EINVAL, "devices[0] (line 1, column 14): devices: "},
	{"{\"paths\": [\"hidden /a\"]}", EINVAL, "paths[0] (line 1, column 12): paths: "},
	{"{\"caps\": [\"default\", \"-sys_admn\"]}", EINVAL,
	 "caps[1] (line 1, column 22): no capab"},
	{"{\"caps\": []}", EINVAL, "caps (line 1, column 10): an empty list changes nothing"},
	{"{\"caps\": [\"\", \"# a\"]}", EINVAL, "caps (line 1, column 10): an empty list changes"},
	{"{\"caps\": \" \"}", EINVAL, "caps (line 1, column 10): an empty list changes nothing"},
	{"{\"seccomp\": []}", EINVAL, "seccomp (line 1, column 13): an empty list changes nothing"},
	{"{\"seccomp\": [\"strict\"]}", EINVAL, "seccomp[0] (line 1, column 14): "},
	{"{\"seccomp\": {\"defaultAction\": \"x\"}}", EINVAL,
	 "seccomp.defaultAction (line 1, column 31): 'x'"},
	{"{\"seccomp\": [{}, \"+ptrace\"]}", EINVAL,
	 "seccomp[0] (line 1, column 14): defaultAction"},
	{"{\"seccomp\": [\"none\", \"+ptrace\"]}", EINVAL, "filters nothing"},
	{"{\"seccomp\": 1}", EINVAL, "seccomp (line 1, column 13): an array of lines"},
	/* namespaces */
	{"{\"ns\": []}", EINVAL, "ns (line 1, column 8): an object is expected, not an array"},
	{"{\"ns\": {\"network\": \"host\"}}", EINVAL,
	 "ns.network (line 1, column 20): there is no"},
	{"{\"ns\": {\"net\": \"hots\"}}", EINVAL, "ns.net (line 1, column 16): ns/net: 'hots'"},
	{"{\"ns\": {\"net\": null}}", EINVAL, "ns.net (line 1, column 16): a string is expected"},
	{"{\"ns.list\": [\"net host\", \"nat host\"]}", EINVAL, "ns.list[1] (line 1, column 26): "},
	/* limits */
	{"{\"cgroup\": []}", EINVAL, "cgroup (line 1, column 12): an object is expected"},
	{"{\"cgroup\": {\"memory.limt\": 1}}", EINVAL,
	 "cgroup.memory.limt (line 1, column 28): no "
	 "file of cgroup/ has this name; did you mean "
	 "memory.limit?"},
	{"{\"cgroup\": {\"memory.mx\": 1}}", EINVAL, "did you mean memory.max?"},
	{"{\"cgroup\": {\"cores\": 1}}", EINVAL, "cgroup.cores (line 1, column 22): no file"},
	{"{\"cgroup\": {\"memory.usage\": 1}}", EINVAL, "this can only be read"},
	{"{\"cgroup\": {\"memory.current\": 1}}", EINVAL, "this can only be read"},
	{"{\"cgroup\": {\"freeze\": 1}}", EINVAL, "it is no setting of one"},
	{"{\"cgroup\": {\"procs\": 1}}", EINVAL, "it is no setting of one"},
	{"{\"cgroup\": {\"pids.max\": -1}}", EINVAL,
	 "cgroup.pids.max (line 1, column 25): -1 is out"},
	{"{\"cgroup\": {\"pids.max\": 1.5}}", EINVAL, "a whole number is expected"},
	{"{\"cgroup\": {\"pids.max\": true}}", EINVAL,
	 "a number or a string is expected, not true"},
	{"{\"cgroup\": {\"pids.max\": \"\"}}", EINVAL, "not an empty text"},
	{"{\"cgroup\": {\"pids.max\": \"1\\n2\"}}", EINVAL, "one line is expected"},
	{"{\"cgroup\": {\"pids.max\": []}}", EINVAL, "not an empty array"},
	{"{\"cgroup\": {\"pids.max\": [1, 2]}}", EINVAL,
	 "cgroup.pids.max[1] (line 1, column 29): an"},
	{"{\"cgroup\": {\"memory.max\": 1, \"memory.limit\": 2}}", EINVAL,
	 "another value in this document is for the same memory.limit"},
	{"{\"cgroup\": {\"cpu.shares\": 1024, \"cpu.weight\": 2}}", EINVAL,
	 "another value in this"},
	{"{\"cgroup\": {\"io.max\": [\"8:0 rbps=1\", \"8:0 rbps=2\"]}}", EINVAL,
	 "cgroup.io.max[1] (line 1, column 38): another value"},
};

static void test_refused(void)
{
	struct spec *untouched = NULL;

	for (size_t i = 0; i < CTN_COUNT(bad); i++) {
		CHECK_ERR(read_spec(bad[i].doc, &untouched, &check_err), bad[i].code,
			  bad[i].sentence);
		CHECK(read_spec(bad[i].doc, &untouched, NULL) == -bad[i].code);
	}
	CHECK(!untouched);
}

static const struct check_test tests[] = {
	{"taken", test_taken},	 {"everything", test_everything}, {"template", test_template},
	{"limits", test_limits}, {"refused", test_refused},
};

int main(void)
{
	return check_run(tests, CTN_COUNT(tests));
}
