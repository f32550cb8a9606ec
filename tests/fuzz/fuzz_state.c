/* SPDX-License-Identifier: Apache-2.0 */
/* Records in the state and the run directory. The first line names the file (or any byte picks it);
 * what follows is in it. What can be read, can be written, and read again. */
#include <errno.h>

#include "fuzz_dir.h"
#include "spec_json.h"
#include "state.h"

static int dir = -1;

static void check_same_spec(struct spec *a, struct spec *b)
{
	struct json_object *of_a = spec_to_json(a), *of_b = spec_to_json(b);

	FUZZ_CHECK(of_a && of_b && json_object_equal(of_a, of_b));
	json_object_put(of_a);
	json_object_put(of_b);
}

static void check_id(const char *id)
{
	FUZZ_CHECK(strlen(id) == strspn(id, "0123456789abcdef"));
	FUZZ_CHECK(strlen(id) == 0 || strlen(id) == STATE_ID_LEN);
}

static int check_spec(struct ctn_err *err)
{
	struct state_record rec = {0}, again = {0};
	int r = state_load(dir, &rec, err);

	if (r < 0)
		return r;
	FUZZ_CHECK(rec.spec && rec.uid_base > 0);
	check_id(rec.parent);
	FUZZ_CHECK(state_save(dir, &rec, &rec.end, NULL) == 0 &&
		   state_load(dir, &again, NULL) == 0);
	FUZZ_CHECK(again.uid_base == rec.uid_base && again.created == rec.created);
	FUZZ_CHECK(!rec.limits_at ||
		   (again.limits == rec.limits && rec.limits_at == again.limits_at));
	FUZZ_CHECK(strcmp(again.parent, rec.parent) == 0);
	check_same_spec(rec.spec, again.spec);
	spec_put(rec.spec);
	spec_put(again.spec);
	return 0;
}

static int check_run(struct ctn_err *err)
{
	char *skeleton = NULL, *same = NULL;
	struct spec *spec = NULL, *back = NULL;
	uint64_t kills = 0, again = 0;
	int r = state_load_run(dir, &spec, &skeleton, &kills, err);

	if (r < 0) {
		FUZZ_CHECK(!spec && !skeleton);
		return r;
	}
	if (skeleton) {
		FUZZ_CHECK(state_save_run(dir, spec, skeleton, kills, NULL) == 0);
		FUZZ_CHECK(state_load_run(dir, &back, &same, &again, NULL) == 0);
		FUZZ_CHECK(again == kills && strcmp(skeleton, same) == 0);
		check_same_spec(spec, back);
	}
	free(skeleton);
	free(same);
	spec_put(spec);
	spec_put(back);
	return 0;
}

static int check_exit(struct ctn_err *err)
{
	struct state_exit e = {0}, again = {0};
	int r = state_load_exit(dir, &e, err);

	if (r < 0)
		return r;
	FUZZ_CHECK(state_save_exit(dir, &e, NULL) == 0 && state_load_exit(dir, &again, NULL) == 0);
	FUZZ_CHECK(e.unknown == again.unknown && e.oom_killed == again.oom_killed);
	FUZZ_CHECK(e.started == again.started && e.finished == again.finished);
	return 0;
}

static int check_restart(struct ctn_err *err)
{
	struct state_restart s = {0}, again = {0};
	int r = state_load_restart(dir, &s, err);

	if (r < 0)
		return r;
	FUZZ_CHECK(state_save_restart(dir, &s, false, NULL) == 0);
	FUZZ_CHECK(state_load_restart(dir, &again, NULL) == 0);
	FUZZ_CHECK(s.up == again.up && s.tries == again.tries && s.failures == again.failures);
	FUZZ_CHECK(s.restarts == again.restarts && s.counted == again.counted);
	return 0;
}

static int check_oom(struct ctn_err *err)
{
	struct state_oom o = {0}, again = {0};
	int r = state_load_oom(dir, &o, err);

	if (r < 0)
		return r;
	FUZZ_CHECK(memchr(o.program, '\0', sizeof(o.program)));
	for (const char *p = o.program; *p; p++)
		FUZZ_CHECK(*p > ' ' && *p < 0x7f);
	FUZZ_CHECK(state_save_oom(dir, &o, NULL) == 0 && state_load_oom(dir, &again, NULL) == 0);
	FUZZ_CHECK(o.kills == again.kills && o.base == again.base && o.seq == again.seq);
	FUZZ_CHECK(strcmp(o.program, again.program) == 0);
	return 0;
}

static int check_status(struct ctn_err *err)
{
	struct wire_status status = {0};
	int r = state_load_status(dir, &status, err);

	FUZZ_CHECK(r < 0 || (status.magic == WIRE_MAGIC && status.version <= WIRE_VERSION));
	return r;
}

static int check_log_start(struct ctn_err *err)
{
	uint64_t start = 0, uncounted = 0, again = 0, same = 0;
	int r = state_load_log_start(dir, &start, &uncounted, err);

	if (r < 0)
		return r;
	FUZZ_CHECK(state_save_log_start(dir, start, uncounted, NULL) == 0);
	FUZZ_CHECK(state_load_log_start(dir, &again, &same, NULL) == 0);
	FUZZ_CHECK(again == start && same == uncounted);
	return 0;
}

static const struct record {
	const char *name, *file;
	int (*check)(struct ctn_err *err);
} records[] = {
	{"spec", "spec", check_spec},
	{"run", "spec", check_run},
	{"exit", "exit", check_exit},
	{"restart", "restart", check_restart},
	{"oom", "oom", check_oom},
	{"status", WIRE_STATUS_NAME, check_status},
	{"log.start", "log.start", check_log_start},
};

static const struct record *pick(const char *name, size_t len)
{
	for (size_t i = 0; i < CTN_COUNT(records); i++) {
		if (strlen(records[i].name) == len && memcmp(records[i].name, name, len) == 0)
			return &records[i];
	}
	return &records[(len ? (unsigned char)name[0] : 0) % CTN_COUNT(records)];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data, *mark = memchr(text, '\n', size);
	const size_t head = mark ? (size_t)(mark - text) : size;
	const struct record *record = pick(text, head);
	struct ctn_err err = {0};
	int fd;

	if (dir < 0)
		dir = fuzz_dir_make();
	fd = fuzz_free_fd();
	fuzz_put(dir, record->file, mark ? mark + 1 : "", mark ? size - head - 1 : 0);
	(void)fuzz_result(record->check(&err), &err);
	FUZZ_CHECK(fuzz_free_fd() == fd);
	return 0;
}
