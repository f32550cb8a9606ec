/* SPDX-License-Identifier: Apache-2.0 */
/* Records of a spec, one behind the other in its file: the last that is whole counts. */
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "state_fixture.h"

/* Return: what state_load() gives, with the name that its record has in @name, "" for none. */
static int load_name(char name[64], struct state_end *end)
{
	struct state_record rec = {0};
	int r = state_load(dir, &rec, &check_err);

	snprintf(name, 64, "%s", r == 0 ? rec.spec->name : "");
	if (end)
		*end = rec.end;
	spec_put(rec.spec);
	return r;
}

static int save_name(const char *name, struct state_end *end)
{
	struct state_record rec = {.uid_base = 65536, .spec = spec_new(name)};
	int r = state_save(dir, &rec, end, &check_err);

	spec_put(rec.spec);
	return r;
}

/* A first record in a new file, of so many bytes. */
static struct state_end begin_lines(void)
{
	struct state_end end = {0};

	CHECK(save_name("one", &end) == 0 && end.at > 0 && end.named);
	return end;
}

static void test_last_counts(void)
{
	struct state_end end = begin_lines(), loaded = {0};
	const off_t first = end.at;
	char name[64];
	struct stat st, same;

	CHECK(fstatat(dir, "spec", &st, 0) == 0);
	for (int i = 0; i < 2000; i++) {
		snprintf(name, sizeof(name), "c%d", i);
		CHECK(save_name(name, &end) == 0 && end.at <= 64 << 10);
		CHECK(i > 0 || end.at > first);
	}
	CHECK(fstatat(dir, "spec", &same, 0) == 0 && same.st_size == end.at);
	CHECK(same.st_ino != st.st_ino && same.st_size > first); /* it has been made anew */
	CHECK(load_name(name, &loaded) == 0 && loaded.at == end.at);
	CHECK_STR(name, "c1999");
}

/* A server, or the power, that has gone in the middle of it; NUL bytes are what has not been
 * written. */
static void test_last_is_torn(void)
{
	struct state_end end = begin_lines(), loaded;
	const size_t first = (size_t)end.at;
	ctn_autofree char *whole = NULL;
	char name[64];
	size_t len;

	CHECK(save_name("two", &end) == 0);
	whole = read_file("spec");
	len = strlen(whole);
	for (size_t cut = first + 1; cut < len; cut++) {
		ctn_autofree char *hole = strdup(whole);

		write_file("spec", whole, cut);
		CHECK(load_name(name, &loaded) == 0 && loaded.at == 0);
		CHECK_STR(name, cut == len - 1 ? "two" : "one");
		memset(hole + cut - 1, 0, len - cut);
		write_file("spec", hole, len);
		CHECK(load_name(name, &loaded) == 0 && loaded.at == 0);
		CHECK_STR(name, "one");
	}
	CHECK(save_name("three", &loaded) == 0 && load_name(name, NULL) == 0);
	CHECK_STR(name, "three");
}

/* Not by a write that was cut short: the one before is not what it was. */
static void test_last_is_damaged(void)
{
	struct state_end end = begin_lines();
	ctn_autofree char *first = read_file("spec"), *text = NULL;
	char name[64];

	CHECK(asprintf(&text, "%s{\"version\": 1, x\n", first) > 0);
	write_text("spec", text);
	CHECK_ERR(load_name(name, &end), EINVAL, "is damaged");
	free(text);
	CHECK(asprintf(&text, "%s{\"version\": 2}\n", first) > 0);
	write_text("spec", text);
	CHECK_ERR(load_name(name, &end), EINVAL, "newer ctnfs");
	write_text("spec", "{\"version\":\n\n 1}{");
	CHECK_ERR(load_name(name, &end), EINVAL, "is damaged");
}

/* As they were written before there could be several: in more than one line, without an end. */
static void test_one_in_many_lines(void)
{
	struct state_end end;
	char name[64];

	write_text("spec", "{\n  \"version\": 1,\n  \"uid_base\": 65536,\n  \"spec\": {\n"
			   "    \"name\": \"old\"\n  }\n}");
	CHECK(load_name(name, &end) == 0 && end.at == 0);
	CHECK_STR(name, "old");
	CHECK(save_name("now", &end) == 0 && load_name(name, &end) == 0 && end.at > 0);
	CHECK_STR(name, "now");
}

/* Somebody has written to it, or has taken it away. */
static void test_end_is_not_there(void)
{
	struct state_end end = begin_lines();
	char name[64];

	write_text("spec", "what is that");
	CHECK(save_name("two", &end) == 0 && load_name(name, NULL) == 0);
	CHECK_STR(name, "two");
	CHECK(unlinkat(dir, "spec", 0) == 0);
	CHECK(save_name("three", &end) == 0 && load_name(name, NULL) == 0);
	CHECK_STR(name, "three");
}

/* What was refused is not there. */
static void test_no_room_behind(void)
{
	struct state_end end = begin_lines(), same = end;
	struct rlimit old, small = {0};
	char name[64];

	CHECK(getrlimit(RLIMIT_FSIZE, &old) == 0);
	small.rlim_cur = (rlim_t)end.at + 20;
	small.rlim_max = old.rlim_max;
	signal(SIGXFSZ, SIG_IGN);
	CHECK(setrlimit(RLIMIT_FSIZE, &small) == 0);
	CHECK_ERR(save_name("two", &end), ENOSPC, "write spec to the disk");
	CHECK(setrlimit(RLIMIT_FSIZE, &old) == 0);
	CHECK(end.at == same.at && load_name(name, &end) == 0 && end.at == same.at);
	CHECK_STR(name, "one");
	CHECK(save_name("three", &end) == 0 && load_name(name, NULL) == 0);
	CHECK_STR(name, "three");
}

static const struct check_test tests[] = {
	{"the last counts", test_last_counts},	     {"a torn one does not", test_last_is_torn},
	{"damage is no tear", test_last_is_damaged}, {"one in many lines", test_one_in_many_lines},
	{"another file", test_end_is_not_there},     {"no room", test_no_room_behind},
};

int main(void)
{
	char path[] = "/tmp/ctnfs-test-state.XXXXXX";
	int r;

	if (!mkdtemp(path))
		return 99;
	dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	r = check_run(tests, CTN_COUNT(tests));
	(void)unlinkat(dir, "spec", 0);
	if (rmdir(path) < 0) {
		printf("# %s: not empty: a temporary file was left\n", path);
		r = 1;
	}
	close(dir);
	return r;
}
