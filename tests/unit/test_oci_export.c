/* SPDX-License-Identifier: Apache-2.0 */
/* A spec as a runtime-spec document, there and back; and the own form's `oci`. */
#include "oci_fixture.h"

/* Everything that either form says, as text: to compare specs as a whole. */
static char *all_of(const struct spec *s)
{
	ctn_autofree char *members = members_text(s);
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	fprintf(out, "name %s\n", s->name);
	for (const struct spec_field *f = spec_fields; f->name; f++)
		fprintf(out, "%s: %s", f->name, text_of(s, f->name));
	fprintf(out, "cgroup: %soci: %s\n", knobs_of(s), members ? members : "");
	fclose(out);
	return text;
}

/* Long texts, of which only the place where they part is of interest. */
static void check_same(const char *have, const char *want)
{
	size_t n = 0;

	while (have && want && have[n] && have[n] == want[n])
		n++;
	if (have && want && have[n] == want[n])
		return;
	n = n > 40 ? n - 40 : 0;
	printf("# \"%.100s\" is not \"%.100s\"\n", have ? have + n : "", want ? want + n : "");
	check_failures++;
}

static struct spec *import_again(const char *text)
{
	struct spec *s = NULL;

	CHECK_ERR(import_text(text, NULL, &s, &check_err), 0, "");
	return s;
}

/* Spec to document to spec to document: the second pair is the first. */
static void check_fixed(const struct spec *a)
{
	ctn_autofree char *first = export_text(a, &check_err), *second = NULL, *one = all_of(a),
			  *two = NULL;
	struct spec *b = first ? import_again(first) : NULL;

	CHECK(b);
	if (!b)
		return;
	second = export_text(b, &check_err);
	check_same(second, first);
	two = all_of(b);
	check_same(two, one);
	spec_put(b);
}

/* The same of a document made by others, whose order of rules and mounts and manner of writing a
 * seccomp profile are not kept; all else is. */
static void check_document(const char *name)
{
	static const char *const loose[][2] = {
		{"seccomp", "none"}, {"devices", ""}, {"mounts", ""}};
	struct spec *a = import_file(name), *b;
	ctn_autofree char *text = a ? export_text(a, &check_err) : NULL, *one = NULL, *two = NULL;

	CHECK(text);
	b = text ? import_again(text) : NULL;
	if (b) {
		check_fixed(b);
		CHECK(a->mounts.len == b->mounts.len && a->devices.len == b->devices.len);
		for (size_t i = 0; i < CTN_COUNT(loose); i++) {
			CHECK(put(&a, loose[i][0], loose[i][1], NULL) == 0);
			CHECK(put(&b, loose[i][0], loose[i][1], NULL) == 0);
		}
		one = all_of(a);
		two = all_of(b);
		check_same(two, one);
	}
	spec_put(a);
	spec_put(b);
}

static void test_others(void)
{
	static const char *const names[] = {"runc.json", "runc-rootless.json", "docker.json",
					    "podman.json", "containerd.json"};

	for (size_t i = 0; i < CTN_COUNT(names); i++)
		check_document(names[i]);
}

/* Knobs and mounts come back in another order or under another name: only documents are compared.
 */
static void test_every_field(void)
{
	struct spec *a = import_file("every.json"), *b = NULL;
	ctn_autofree char *first = NULL, *second = NULL;

	if (!a)
		return;
	first = export_text(a, &check_err);
	CHECK(first && strstr(first, "\"ociVersion\":\"1.2.0\""));
	b = first ? import_again(first) : NULL;
	if (b) {
		second = export_text(b, &check_err);
		check_same(second, first);
		check_fixed(b);
	}
	spec_put(a);
	spec_put(b);
}

/* A spec of ours, whose values the runtime-spec can all say. */
static struct spec *spec_of_ours(void)
{
	static const struct {
		const char *field, *text;
	} values[] = {
		{"cmd", "sh -c 'echo \"a  b\"'"},
		{"env", "A=b\\nc\n-TERM\nPATH=/bin"},
		{"cwd", "/srv/x y"},
		{"user", "5:6"},
		{"hostname", "h.example"},
		{"rootfs", "/srv/al pine ro"},
		{"mounts", "-/run\n/srv/redis /data none bind,rw 0 0\n/a /b none "
			   "rbind,noidmap,rro 0 0\ntmpfs /tmp tmpfs size=5m 0 0"},
		{"rlimits", "nofile 1024 4096\ncore max max"},
		{"sysctl", "net.core.somaxconn = 1024"},
		{"devices", "c 1:3 rw /dev/null\nc 1:5 rw /dev/zero\nc 1:7 rw /dev/full\n"
			    "c 1:8 rw /dev/random\nc 1:9 rw /dev/urandom\nc 5:0 rw /dev/tty\n"
			    "c 5:1 rw\nc 5:2 rw\nc 136:* rw\nc 10:229 rwm /dev/fuse 0600 0:9\n"
			    "b 8:* rm\n"},
		{"paths", "masked /proc/kcore\nreadonly /proc/sys"},
		{"oom_score_adj", "7"},
		{"tty", "1"},
		{"caps", "cap_chown\ncap_kill"},
		{"no_new_privs", "0"},
		{"seccomp", "none"},
		{"ns/net", "host"},
		{"ns/cgroup", "host"},
	};
	static const char *const knobs[][2] = {
		{"pids.max", "50"},
		{"memory.limit", "64M"},
		{"memory.swap.limit", "1M"},
		{"cpu.max", "50000 100000"},
		{"cpu.shares", "512"},
		{"cpuset.cpus", "0-1"},
		{"io.max", "8:0 rbps=1048576 wiops=90"},
	};
	struct spec *s = spec_new("db");

	for (size_t i = 0; i < CTN_COUNT(values); i++)
		CHECK_ERR(put(&s, values[i].field, values[i].text, &check_err), 0, "");
	for (size_t i = 0; i < CTN_COUNT(knobs); i++)
		CHECK(spec_set_knob(s, knobs[i][0], knobs[i][1], NULL) == 0);
	return s;
}

static void test_ours(void)
{
	struct spec *a = spec_of_ours(), *b;
	ctn_autofree char *text = export_text(a, &check_err);

	CHECK(text);
	b = text ? import_again(text) : NULL;
	for (const struct spec_field *f = spec_fields; b && f->name; f++) {
		if (strcmp(f->name, "env") != 0 && strcmp(f->name, "mounts") != 0)
			CHECK_STR(text_of(b, f->name), text_of(a, f->name));
	}
	if (b) {
		CHECK_STR(b->name, "db");
		CHECK_STR(text_of(b, "env"),
			  "PATH=/bin\nHOME=/root\nHOSTNAME=h.example\n-TERM\nA=b\\nc\n");
		CHECK_STR(text_of(b, "mounts"), "-/run\n"
						"tmpfs /tmp tmpfs size=5m 0 0\n"
						"/srv/redis /data none bind,rw 0 0\n"
						"/a /b none rbind,rro,noidmap 0 0\n");
		CHECK_STR(knobs_of(b), "memory.limit 67108864\nmemory.swap.limit 1048576\n"
				       "cpu.shares 512\ncpuset.cpus 0-1\ncpu.max 50000 100000\n"
				       "pids.max 50\nio.max 8:0 rbps=1048576 wiops=90\n");
	}
	spec_put(a);
	spec_put(b);
}

/* What a container has that says nothing is all written out, and is understood to be just that. */
static void test_defaults(void)
{
	struct spec *a = spec_new("db"), *b;
	ctn_autofree char *text = export_text(a, &check_err);

	CHECK(text && strstr(text, "\"ociVersion\":\"1.0.2\""));
	CHECK(text && strstr(text, "\"destination\":\"/run\""));
	CHECK(text && strstr(text, "\"PATH=/usr/local/sbin:"));
	CHECK(text && strstr(text, "\"HOSTNAME=db\""));
	CHECK(text && strstr(text, "\"hostID\":1000000"));
	CHECK(text && strstr(text, "\"CAP_SETFCAP\""));
	CHECK(text && strstr(text, "\"SCMP_ACT_ALLOW\""));
	CHECK(text && strstr(text, "\"/proc/kcore\""));
	CHECK(text && !strstr(text, "CAP_SYS_ADMIN"));
	b = text ? import_again(text) : NULL;
	if (b) {
		static const char *const same[] = {"mounts",  "devices", "paths",    "caps",
						   "ns.list", "rlimits", "hostname", "sysctl",
						   "tty",     "cwd"};

		for (size_t i = 0; i < CTN_COUNT(same); i++)
			CHECK_STR(text_of(b, same[i]), text_of(a, same[i]));
		CHECK_STR(knobs_of(b), "pids.max 4096\n");
		CHECK(b->hostname == NULL && b->oci->uids.items[0].outside == 1000000);
	}
	spec_put(a);
	spec_put(b);
}

static void test_limits(void)
{
	struct spec *s = spec_new("db"), *back;
	ctn_autofree char *text = NULL;

	CHECK(spec_set_knob(s, "memory.swap.limit", "5", NULL) == 0);
	CHECK(spec_set_knob(s, "cpu.weight", "50", NULL) == 0);
	CHECK(spec_set_knob(s, "cpu.max", "max 50000", NULL) == 0);
	CHECK(spec_set_knob(s, "pids.max", "max", NULL) == 0);
	CHECK(spec_set_knob(s, "io.max", "8:0 rbps=max", NULL) == 0);
	CHECK(spec_set_knob(s, "memory.high", "max", NULL) == 0);
	text = export_text(s, &check_err);
	CHECK(text && strstr(text, "\"memory.swap.max\":\"5\""));
	back = text ? import_again(text) : NULL;
	if (back)
		CHECK_STR(knobs_of(back), "cpu.shares 512\ncpu.max max 50000\n"
					  "memory.swap.limit 5\npids.max max\n");
	spec_put(s);
	spec_put(back);
}

/* With the host's network its /sys is what can be shown, and so on: as runc wants it. */
static void test_shared(void)
{
	struct spec *s = spec_new("db"), *back;
	ctn_autofree char *text = NULL;

	CHECK(put(&s, "ns.list", "net host\npid host\nipc host\nuts host", NULL) == 0);
	text = export_text(s, &check_err);
	CHECK(text && strstr(text, "\"source\":\"/sys\"") && strstr(text, "\"rbind\""));
	CHECK(text && !strstr(text, "\"network\"") && !strstr(text, "\"hostname\""));
	CHECK(text && !strstr(text, "mqueue"));
	back = text ? import_again(text) : NULL;
	if (back)
		CHECK_STR(text_of(back, "mounts"), "\n");
	spec_put(s);
	spec_put(back);
}

static void test_joined(void)
{
	struct spec *s = spec_new("web");
	struct json_object *o = NULL;
	struct users_ids user;
	struct oci_where where = where_of(s, &user);

	s->ns[NS_NET] = strdup("container:"
			       "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef");
	CHECK_ERR(oci_export(s, &where, &o, &check_err), ESRCH, "ns/net");
	CHECK(o == NULL);
	where.ns_paths[NS_NET] = "/proc/77/ns/net";
	where.ns_paths[NS_USER] = "/proc/77/ns/user";
	where.ns_paths[NS_UTS] = "/proc/77/ns/uts";
	CHECK(oci_export(s, &where, &o, NULL) == 0);
	if (o) {
		const char *text = json_object_to_json_string_ext(
			o, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);

		CHECK(strstr(text, "{\"type\":\"network\",\"path\":\"/proc/77/ns/net\"}"));
		CHECK(strstr(text, "{\"type\":\"user\",\"path\":\"/proc/77/ns/user\"}"));
		CHECK(!strstr(text, "uidMappings") && !strstr(text, "\"hostname\""));
	}
	json_object_put(o);
	spec_put(s);
}

static void test_host_root(void)
{
	static const char *const binds[] = {"/usr", "/opt", NULL};
	struct spec *s = spec_new("db");
	struct json_object *o = NULL;
	struct users_ids user;
	struct oci_where where = where_of(s, &user);

	user.n_groups = 2;
	user.groups[0] = 5;
	user.groups[1] = 6;
	where.binds = binds;
	where.root_path = "/var/lib/ctnfs/skeleton";
	CHECK(oci_export(s, &where, &o, NULL) == 0);
	if (o) {
		const char *text = json_object_to_json_string_ext(
			o, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);

		CHECK(strstr(text,
			     "{\"destination\":\"/opt\",\"type\":\"none\",\"source\":\"/opt\","
			     "\"options\":[\"rbind\",\"ro\",\"nosuid\",\"nodev\"]}"));
		CHECK(strstr(text, "\"path\":\"/var/lib/ctnfs/skeleton\""));
		CHECK(strstr(text, "\"additionalGids\":[5,6]"));
	}
	json_object_put(o);
	spec_put(s);
}

/* --- the own form's `oci` --- */

static int members_import(const char *text, struct spec *s, struct ctn_err *err)
{
	struct json_doc *doc = NULL;
	int r = json_doc_parse(text, strlen(text), &doc, err);

	if (r == 0) {
		struct json_at root = json_root(doc);

		r = oci_members_import(&root, s, err);
	}
	json_doc_free(doc);
	return r;
}

static void test_members(void)
{
	struct spec *full = import_file("every.json"), *s = spec_new("x");
	ctn_autofree char *text = full ? members_text(full) : NULL, *again = NULL;

	CHECK(text);
	if (text) {
		CHECK_ERR(members_import(text, s, &check_err), 0, "");
		again = members_text(s);
		CHECK_STR(again, text);
	}
	/* It replaces all of it. */
	CHECK_ERR(members_import("{}", s, &check_err), 0, "");
	CHECK(s->oci == NULL);
	spec_put(full);
	spec_put(s);
}

static void test_members_bad(void)
{
	static const struct {
		const char *text;
		const char *path, *words;
	} bad[] = {
		{"{\"ociVersion\": \"1.0.0\"}", "ociVersion", "no member"},
		{"{\"process\": {\"args\": []}}", "process.args", "no member"},
		{"{\"process\": {\"user\": {\"uid\": 0}}}", "process.user.uid", "no member"},
		{"{\"process\": {\"capabilities\": {\"bounding\": []}}}",
		 "process.capabilities.bounding", "no member"},
		{"{\"process\": {\"capabilities\": {\"ambient\": [\"CAP_KILL\"]}}}",
		 "process.capabilities", "ambient has cap_kill"},
		{"{\"process\": {\"scheduler\": {\"policy\": \"SCHED_IDLE\", \"x\": 1}}}",
		 "process.scheduler.x", "no member"},
		{"{\"process\": {\"consoleSize\": {\"height\": 1, \"width\": 1, \"x\": 1}}}",
		 "process.consoleSize.x", "no member"},
		{"{\"process\": {\"ioPriority\": null}}", "process.ioPriority", "object"},
		{"{\"linux\": {\"sysctl\": {}}}", "linux.sysctl", "no member"},
		{"{\"linux\": {\"uidMappings\": [{\"containerID\": 0, \"hostID\": 0, \"size\": 1, "
		 "\"x\": 1}]}}",
		 "linux.uidMappings[0].x", "no member"},
		{"{\"linux\": {\"timeOffsets\": {\"boottime\": {\"x\": 1}}}}",
		 "linux.timeOffsets.boottime.x", "no member"},
		{"{\"linux\": {\"rootfsPropagation\": \"\"}}", "linux.rootfsPropagation",
		 "none of"},
		{"{\"annotations\": {\"org.ctnfs.name\": \"x\"}}", "annotations", "key name"},
		{"{\"annotations\": null}", "annotations", "object"},
	};
	struct spec *s = spec_new("x");

	for (size_t i = 0; i < CTN_COUNT(bad); i++) {
		CHECK_ERR(members_import(bad[i].text, s, &check_err), EINVAL, bad[i].words);
		CHECK(strncmp(check_err.text, bad[i].path, strlen(bad[i].path)) == 0);
	}
	spec_put(s);
}

static const struct check_test tests[] = {
	{"documents of others", test_others},
	{"every field", test_every_field},
	{"a spec of ours", test_ours},
	{"the defaults", test_defaults},
	{"limits", test_limits},
	{"namespaces of the host", test_shared},
	{"namespaces of another container", test_joined},
	{"the host's root", test_host_root},
	{"the key oci", test_members},
	{"the key oci, refused", test_members_bad},
};

int main(void)
{
	return check_run(tests, CTN_COUNT(tests));
}
