/* SPDX-License-Identifier: Apache-2.0 */
/* Records on disk: what was saved is loaded; what is damaged is refused, and left as it is. */
#include <limits.h>
#include <sys/stat.h>

#include "state_fixture.h"

static void save_record(const char *cmd)
{
	struct state_record rec = {.uid_base = 1342177280, .created = 1700000000123456789};

	rec.spec = spec_new("db");
	CHECK(put(&rec.spec, "cmd", cmd, NULL) == 0);
	CHECK(put(&rec.spec, "env", "A=x\\ny\n", NULL) == 0);
	CHECK(state_save(dir, &rec, &rec.end, NULL) == 0);
	spec_put(rec.spec);
}

static void test_record(void)
{
	struct state_record rec = {0};
	struct stat st;

	CHECK_ERR(state_load(dir, &rec, &check_err), ENOENT, "spec");
	save_record("redis-server '\xff'");
	CHECK(fstatat(dir, "spec", &st, 0) == 0 && (st.st_mode & 07777) == 0600);
	CHECK_ERR(state_load(dir, &rec, &check_err), 0, "");
	CHECK(rec.uid_base == 1342177280 && rec.created == 1700000000123456789);
	CHECK_STR(rec.spec ? rec.spec->name : NULL, "db");
	CHECK_STR(rec.spec ? text_of(rec.spec, "cmd") : NULL, "redis-server '\xff'\n");
	CHECK_STR(rec.spec ? text_of(rec.spec, "env") : NULL, "A=x\\ny\n");
	CHECK_STR(rec.parent, "");
	spec_put(rec.spec);
}

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void test_session(void)
{
	static const char *const bad[] = {"7",	    "null",	     "\"\"",
					  "\"db\"", "\"../" ID "\"", "\"" ID "0\""};
	struct state_record rec = {.uid_base = 65536, .parent = ID}, have = {0};

	rec.spec = spec_new("s");
	CHECK(state_save(dir, &rec, &rec.end, NULL) == 0 && state_load(dir, &have, NULL) == 0);
	CHECK_STR(have.parent, ID);
	spec_put(rec.spec);
	spec_put(have.spec);
	for (size_t i = 0; i < CTN_COUNT(bad); i++) {
		char text[256];

		snprintf(text, sizeof(text),
			 "{\"version\": 1, \"uid_base\": 65536, \"parent\": %s, \"spec\": "
			 "{\"name\": \"s\"}}",
			 bad[i]);
		write_text("spec", text);
		CHECK_ERR(state_load(dir, &have, &check_err), EINVAL, "its container is no id");
	}
}

static void test_exit(void)
{
	const struct state_exit ends[] = {
		{.code = 0, .started = 1, .finished = UINT64_MAX / 2},
		{.code = 137, .oom_killed = true, .started = 5},
		{.code = 255, .unknown = true},
	};
	struct state_exit e;

	CHECK_ERR(state_load_exit(dir, &e, &check_err), ENOENT, "exit");
	for (size_t i = 0; i < CTN_COUNT(ends); i++) {
		CHECK(state_save_exit(dir, &ends[i], NULL) == 0);
		CHECK(state_load_exit(dir, &e, NULL) == 0);
		CHECK(e.code == ends[i].code && e.unknown == ends[i].unknown);
		CHECK(e.oom_killed == ends[i].oom_killed && e.started == ends[i].started);
		CHECK(e.finished == ends[i].finished);
	}
}

static void test_restart(void)
{
	const struct state_restart rows[] = {
		{.up = true},
		{.up = true,
		 .tries = UINT_MAX,
		 .failures = 1000000,
		 .restarts = UINT64_MAX / 2,
		 .counted = 1700000000123456789},
		{.restarts = 7},
	};
	struct state_restart r;
	struct stat st;

	CHECK_ERR(state_load_restart(dir, &r, &check_err), ENOENT, "restart");
	for (size_t i = 0; i < CTN_COUNT(rows); i++) {
		CHECK(state_save_restart(dir, &rows[i], i % 2, NULL) == 0);
		CHECK(state_load_restart(dir, &r, NULL) == 0);
		CHECK(r.up == rows[i].up && r.tries == rows[i].tries);
		CHECK(r.failures == rows[i].failures && r.restarts == rows[i].restarts);
		CHECK(r.counted == rows[i].counted);
		CHECK(fstatat(dir, "restart", &st, 0) == 0 && st.st_size == 512);
	}
}

static void test_run(void)
{
	struct spec *a = spec_new("db"), *b = NULL;
	char *skeleton = NULL;
	uint64_t kills = 0;

	CHECK(put(&a, "cmd", "sleep 1", NULL) == 0);
	CHECK(state_save_run(dir, a, "skeleton-1", 7, NULL) == 0);
	CHECK(state_load_run(dir, &b, &skeleton, &kills, NULL) == 0);
	CHECK_STR(skeleton, "skeleton-1");
	CHECK_STR(b ? text_of(b, "cmd") : NULL, "sleep 1\n");
	CHECK(kills == 7);
	spec_put(a);
	spec_put(b);
	free(skeleton);
}

static void test_status(void)
{
	struct wire_status have, s = {.magic = WIRE_MAGIC,
				      .version = WIRE_VERSION,
				      .phase = WIRE_EXITED,
				      .code = 137,
				      .init_start = UINT64_MAX};

	CHECK_ERR(state_load_status(dir, &have, &check_err), ENOENT, WIRE_STATUS_NAME);
	write_file(WIRE_STATUS_NAME, &s, sizeof(s));
	CHECK(state_load_status(dir, &have, NULL) == 0 && memcmp(&have, &s, sizeof(s)) == 0);
	for (size_t len = 0; len < sizeof(s); len += 19) {
		write_file(WIRE_STATUS_NAME, &s, len);
		CHECK_ERR(state_load_status(dir, &have, &check_err), EBADMSG, "too short");
	}
	s.version = WIRE_VERSION + 1;
	write_file(WIRE_STATUS_NAME, &s, sizeof(s));
	CHECK_ERR(state_load_status(dir, &have, &check_err), EBADMSG, "not one of ours");
	s.version = WIRE_VERSION;
	s.magic++;
	write_file(WIRE_STATUS_NAME, &s, sizeof(s));
	CHECK_ERR(state_load_status(dir, &have, &check_err), EBADMSG, "not one of ours");
	CHECK(have.magic == WIRE_MAGIC);
}

static void test_log_start(void)
{
	static const uint64_t positions[] = {0, 1, 1048576, UINT64_MAX};
	static const char *const bad[] = {
		"", "-1", "1 ", "1 x", "1 2 ", "x", "18446744073709551616"};
	uint64_t start = 99, uncounted = 99;

	CHECK(state_load_log_start(dir, &start, &uncounted, NULL) == 0 && start == 0 &&
	      uncounted == 0);
	for (size_t i = 0; i < CTN_COUNT(positions); i++) {
		CHECK(state_save_log_start(dir, positions[i], i, NULL) == 0);
		CHECK(state_load_log_start(dir, &start, &uncounted, NULL) == 0);
		CHECK(start == positions[i] && uncounted == i);
	}
	write_text("log.start", "77"); /* an older server's */
	CHECK(state_load_log_start(dir, &start, &uncounted, NULL) == 0 && start == 77 &&
	      uncounted == 77);
	for (size_t i = 0; i < CTN_COUNT(bad); i++) {
		write_text("log.start", bad[i]);
		CHECK(state_load_log_start(dir, &start, &uncounted, &check_err) < 0);
		CHECK(strstr(check_err.text, "log.start"));
	}
}

/* Load all records from files with this text: none may be accepted, or be changed. */
static void check_all_refused(const char *text, const char *sentence)
{
	struct state_record rec = {.created = 5};
	struct state_exit e = {.code = 5};
	struct spec *spec = NULL;
	char *skeleton = NULL;
	uint64_t kills = 5;

	write_text("spec", text);
	write_text("exit", text);
	write_text("restart", text);
	CHECK_ERR(state_load_restart(dir, &(struct state_restart){0}, &check_err), EINVAL,
		  sentence);
	CHECK_ERR(state_load(dir, &rec, &check_err), EINVAL, sentence);
	CHECK_ERR(state_load_exit(dir, &e, &check_err), EINVAL, sentence);
	CHECK_ERR(state_load_run(dir, &spec, &skeleton, &kills, &check_err), EINVAL, sentence);
	CHECK(rec.created == 5 && !rec.spec && e.code == 5 && !spec && !skeleton && kills == 5);
	for (int i = 0; i < 2; i++) {
		ctn_autofree char *now = read_file(i ? "exit" : "spec");

		CHECK_STR(now, text);
	}
}

static void test_damaged(void)
{
	static const char *const bad[] = {
		"",
		"\n",
		"{",
		"[]",
		"null",
		"7",
		"{}",
		"{\"versio\": 1}",
		"{\"version\": \"x\"}",
		"{\"version\": 0}",
		"{\"version\": -1}",
		"{\"version\": 1.5}",
		"{\"version\": null}",
		"{\"version\": 1} tail",
		"{\"version\": 1}{}",
		"{\"version\": 1, \"a\": "
		"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["
		"[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]"
		"]"
		"]]]]}",
		"\x7f"
		"ELF",
	};

	for (size_t i = 0; i < CTN_COUNT(bad); i++)
		check_all_refused(bad[i], "is damaged: it is not what ctnfs wrote");
	check_all_refused("{\"version\": 2, \"spec\": {\"name\": \"db\"}}",
			  "was written by a newer ctnfs (version 2)");
	check_all_refused("{\"version\": 99999999999}", "written by a newer ctnfs");
}

static void test_damaged_spec(void)
{
	static const char *const bad[][2] = {
		{"{\"version\": 1, \"uid_base\": 65536}", "no specification"},
		{"{\"version\": 1, \"uid_base\": 65536, \"spec\": 1}", "an object is expected"},
		{"{\"version\": 1, \"uid_base\": 65536, \"spec\": {\"name\": \"..\"}}", "cannot"},
		{"{\"version\": 1, \"uid_base\": 65536, \"spec\": {\"name\": \"a\", \"x\": []}}",
		 "x: no setting has this name"},
		{"{\"version\": 1, \"spec\": {\"name\": \"a\"}}", "host ids"},
		{"{\"version\": 1, \"uid_base\": 0, \"spec\": {\"name\": \"a\"}}", "host ids"},
		{"{\"version\": 1, \"uid_base\": -1, \"spec\": {\"name\": \"a\"}}", "host ids"},
		{"{\"version\": 1, \"uid_base\": 4294967296, \"spec\": {\"name\": \"a\"}}",
		 "host ids"},
	};
	struct state_record rec = {.created = 5};

	for (size_t i = 0; i < CTN_COUNT(bad); i++) {
		ctn_autofree char *now = NULL;

		write_text("spec", bad[i][0]);
		CHECK_ERR(state_load(dir, &rec, &check_err), EINVAL, bad[i][1]);
		now = read_file("spec");
		CHECK_STR(now, bad[i][0]);
	}
	CHECK(rec.created == 5 && !rec.spec);
}

/* Wherever a crash of something else may have cut it. */
static void test_truncated(void)
{
	struct state_record rec = {0};
	ctn_autofree char *whole = NULL;

	save_record("redis-server");
	whole = read_file("spec");
	for (size_t len = 0; len + 1 < strlen(whole); len++) {
		write_file("spec", whole, len);
		CHECK_ERR(state_load(dir, &rec, &check_err), EINVAL, "spec is damaged");
	}
}

static void test_too_large(void)
{
	struct state_record rec;

	write_text("spec", "{\"version\": 1}");
	CHECK(faccessat(dir, "spec", W_OK, 0) == 0);
	{
		ctn_autoclose int fd = openat(dir, "spec", O_WRONLY | O_CLOEXEC);

		CHECK(ftruncate(fd, (off_t)1 << 40) == 0);
	}
	CHECK_ERR(state_load(dir, &rec, &check_err), EFBIG, "spec");
}

static void test_save_fails(void)
{
	ctn_autoclose int real = dir;

	dir = open("/proc/self", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CHECK(state_save_log_start(dir, 1, 1, &check_err) < 0 && check_err.text[0]);
	close(dir);
	dir = ctn_take_fd(real);
}

static const struct check_test tests[] = {
	{"record", test_record},
	{"record of a session", test_session},
	{"exit", test_exit},
	{"restart", test_restart},
	{"run", test_run},
	{"monitor's status", test_status},
	{"start of the log", test_log_start},
	{"damaged files", test_damaged},
	{"damaged specification", test_damaged_spec},
	{"truncated files", test_truncated},
	{"too large a file", test_too_large},
	{"a save that fails", test_save_fails},
};

/* Every save leaves the file itself and nothing beside it. */
static void remove_known(void)
{
	static const char *const names[] = {"spec", "exit", "restart", "log.start",
					    WIRE_STATUS_NAME};

	for (size_t i = 0; i < CTN_COUNT(names); i++)
		(void)unlinkat(dir, names[i], 0);
}

int main(void)
{
	char path[] = "/tmp/ctnfs-test-state.XXXXXX";
	int r;

	if (!mkdtemp(path))
		return 99;
	dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	r = check_run(tests, CTN_COUNT(tests));
	remove_known();
	if (rmdir(path) < 0) {
		printf("# %s: not empty: a temporary file was left\n", path);
		r = 1;
	}
	close(dir);
	return r;
}
