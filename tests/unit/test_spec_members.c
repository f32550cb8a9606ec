/* SPDX-License-Identifier: Apache-2.0 */
/* The keys of the own form that are documents of another kind: seccomp profiles, and `oci`. */
#include "spec_json.h"

#include <fcntl.h>
#include <sys/mount.h>

#include "io.h"
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

/* As a user would write it back, and as it comes from the disk. */
static void check_round(const char *text, const char *shown)
{
	ctn_autofree char *once = NULL, *twice = NULL, *disk = NULL;
	struct spec *a = NULL, *b = NULL, *c = NULL;
	struct json_object *o;

	CHECK_ERR(read_spec(text, &a, &check_err), 0, "");
	if (!a)
		return;
	CHECK(spec_to_text(a, &once, NULL) == 0);
	CHECK(strstr(once, shown));
	CHECK_ERR(read_spec(once, &b, &check_err), 0, "");
	CHECK(b && spec_to_text(b, &twice, NULL) == 0);
	CHECK_STR(twice, once);
	o = spec_to_json(a);
	CHECK_ERR(spec_from_json(o, &c, &check_err), 0, "");
	CHECK(c && spec_to_text(c, &disk, NULL) == 0);
	CHECK_STR(disk, once);
	json_object_put(o);
	spec_put(a);
	spec_put(b);
	spec_put(c);
}

#define PROFILE                                                                          \
	"{\"defaultAction\": \"SCMP_ACT_ERRNO\", \"syscalls\": [{\"names\": [\"read\", " \
	"\"write\"], \"action\": \"SCMP_ACT_ALLOW\"}]}"

static void test_profiles(void)
{
	static const struct {
		const char *doc, *sentence;
	} bad[] = {
		{"{\"seccomp\": {\n\"defaultAction\": \"SCMP_ACT_NO\"}}",
		 "seccomp.defaultAction (line 2, column 18): "},
		{"{\"seccomp\": [" PROFILE ", \"ptrace\"]}",
		 "seccomp[1] (line 1, column 123): behind "},
		{"{\"seccomp\": [" PROFILE ", " PROFILE "]}",
		 "seccomp[1] (line 1, column 123): a s"},
		{"{\"seccomp\": [\"default\", " PROFILE "]}",
		 "seccomp[1] (line 1, column 25): a s"},
		{"{\"seccomp\": [\"default\", \"+no_such_call\"]}",
		 "seccomp[1] (line 1, column 25): "},
		{"{\"seccomp\": {}}", "seccomp"},
		{"{\"seccomp\": [" PROFILE ", \"none\"]}",
		 "seccomp[1] (line 1, column 123): behind "},
	};
	struct spec *untouched = NULL;

	check_round("{\"name\": \"a\", \"seccomp\": " PROFILE "}", "\"SCMP_ACT_ALLOW\"");
	check_round("{\"name\": \"a\", \"seccomp\": [" PROFILE "]}", "\"SCMP_ACT_ALLOW\"");
	check_round("{\"name\": \"a\", \"seccomp\": [" PROFILE ", \"+ptrace\", \"-read\"]}",
		    "\"+ptrace\",\n    \"-read\"\n  ]");
	check_round("{\"name\": \"a\", \"seccomp\": [\"default\", \"+ptrace\"]}",
		    "\"seccomp\": [\n    \"default\",\n    \"+ptrace\"\n  ]");
	check_round("{\"name\": \"a\", \"seccomp\": \"default\\n+ptrace\\n\"}", "\"+ptrace\"");
	for (size_t i = 0; i < CTN_COUNT(bad); i++)
		CHECK_ERR(read_spec(bad[i].doc, &untouched, &check_err), EINVAL, bad[i].sentence);
	CHECK(!untouched);
}

/* A file that others wrote, as it is. */
static void test_moby(void)
{
	ctn_autofree char *profile = NULL, *doc = NULL;

	CHECK(io_read_at(AT_FDCWD, TEST_DATA "/moby-seccomp-default.json", JSON_DOC_MAX, &profile,
			 NULL, &check_err) == 0);
	CHECK(asprintf(&doc, "{\"name\": \"a\", \"seccomp\": %s}", profile) > 0);
	check_round(doc, "\"defaultAction\": \"SCMP_ACT_ERRNO\"");
}

static void test_oci(void)
{
	static const struct {
		const char *doc, *sentence;
	} bad[] = {
		{"{\"oci\": {\"hooks\": {}}}", "oci.hooks (line 1, column 19): "},
		{"{\"oci\": {\"process\": {\"cwd\": \"/\"}}}",
		 "oci.process.cwd (line 1, column 29): "},
		{"{\"oci\": []}", "oci (line 1, column 9): an object is expected, not an array"},
		{"{\"oci\": {\"process\": {\"user\": {\"umask\": \"022\"}}}}",
		 "oci.process.user.umask"},
	};
	struct spec *untouched = NULL;

	check_round(
		"{\"name\": \"a\", \"oci\": {\"process\": {\"user\": {\"umask\": 63, "
		"\"additionalGids\": [5, 6]}, \"ioPriority\": {\"class\": \"IOPRIO_CLASS_BE\", "
		"\"priority\": 4}}, \"domainname\": \"d\", \"annotations\": {\"a.b/c\": \"x\"}}}",
		"\"umask\": 63");
	check_round(
		"{\"name\": \"a\", \"oci\": {\"linux\": {\"uidMappings\": [{\"containerID\": 0, "
		"\"hostID\": 100000, \"size\": 1000}], \"gidMappings\": [{\"containerID\": 0, "
		"\"hostID\": 100000, \"size\": 1000}], \"timeOffsets\": {\"boottime\": "
		"{\"secs\": 5, \"nanosecs\": 6}}, \"personality\": {\"domain\": \"LINUX32\"}}}}",
		"\"containerID\": 0");
	check_round("{\"name\": \"a\", \"oci\": {}}", "\"cgroup\"");
	/* whichever comes first: what may be in a set hangs on the bounding one */
	check_round("{\"name\": \"a\", \"oci\": {\"process\": {\"capabilities\": {\"permitted\": "
		    "[\"CAP_KILL\"]}}}, \"caps\": [\"kill\"]}",
		    "\"CAP_KILL\"");
	for (size_t i = 0; i < CTN_COUNT(bad); i++)
		CHECK_ERR(read_spec(bad[i].doc, &untouched, &check_err), EINVAL, bad[i].sentence);
	CHECK(!untouched);
}

/* What the runtime-spec's form has put into a spec must come back from the disk. */
static void test_all_members(void)
{
	struct spec *s = spec_new("a"), *back = NULL;
	struct spec_oci *a = spec_oci_edit(s), *b;
	struct json_object *o;

	a->uids = a->gids = (struct spec_maps){{{0, 100000, 1000}, {1000, 5000, 1}}, 2};
	a->has_groups = a->has_caps = true;
	a->groups[0] = 5, a->groups[1] = 6, a->n_groups = 2;
	a->umask = 077, a->ioprio = 2 << 13 | 4, a->personality = 8;
	a->caps[SPEC_CAP_PERMITTED] = a->caps[SPEC_CAP_EFFECTIVE] = 1;
	a->scheduler = (struct spec_scheduler){.set = true, .policy = 3, .nice = 5};
	a->monotonic = (struct spec_time_offset){true, -5, 6};
	a->boottime = (struct spec_time_offset){true, 7, 8};
	a->propagation = MS_SHARED | MS_REC;
	a->domainname = strdup("d"), a->cgroups_path = strdup("/x/y");
	a->rows = 24, a->cols = 80;
	CHECK(strlist_add(&a->annotations, "k=v", 3) == 0);
	o = spec_to_json(s);
	CHECK_ERR(spec_from_json(o, &back, &check_err), 0, "");
	b = back ? back->oci : NULL;
	if (b) {
		CHECK(memcmp(&a->uids, &b->uids, sizeof(a->uids)) == 0);
		CHECK(memcmp(&a->gids, &b->gids, sizeof(a->gids)) == 0);
		CHECK(b->has_groups == a->has_groups && b->has_caps);
		CHECK(b->n_groups == 2 && b->groups[0] == 5 && b->groups[1] == 6);
		CHECK(a->umask == b->umask && a->ioprio == b->ioprio);
		CHECK(a->personality == b->personality && a->propagation == b->propagation);
		CHECK(memcmp(a->caps, b->caps, sizeof(a->caps)) == 0);
		CHECK(b->scheduler.set && b->scheduler.policy == 3 && b->scheduler.nice == 5);
		CHECK(b->monotonic.set && b->monotonic.secs == -5 && b->monotonic.nanosecs == 6);
		CHECK(b->boottime.set && b->boottime.secs == 7 && b->boottime.nanosecs == 8);
		CHECK_STR(b->domainname, "d");
		CHECK_STR(b->cgroups_path, "/x/y");
		CHECK(b->rows == 24 && b->cols == 80);
		CHECK(b->annotations.len == 1 && strcmp(b->annotations.items[0], "k=v") == 0);
	}
	CHECK(b);
	json_object_put(o);
	spec_put(s);
	spec_put(back);
}

static const struct check_test tests[] = {
	{"profiles", test_profiles},
	{"moby", test_moby},
	{"oci", test_oci},
	{"all members", test_all_members},
};

int main(void)
{
	return check_run(tests, CTN_COUNT(tests));
}
