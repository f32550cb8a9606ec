/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "io.h"
#include "spec_json.h"
#include "state_private.h"
#include "wire.h"

enum { STATE_VERSION = 1 };

/* A seccomp profile can be in it, as deep as it came. */
enum { STATE_DEPTH = JSON_DOC_DEPTH + 8 };

enum save { SAVE_REPLACE, SAVE_IN_PLACE, SAVE_IN_PLACE_DURABLE };

enum { IN_PLACE_SIZE = 512 };

/* Twice in each run, so without a new file: always the same number of bytes, by one write. */
static int write_in_place(int dirfd, const char *name, const char *text, bool durable,
			  struct ctn_err *err)
{
	ctn_autoclose int fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC,
				      0600);
	char padded[IN_PLACE_SIZE];
	size_t len = strlen(text);

	if (fd < 0)
		return ctn_fail_errno(err, "open %s", name);
	if (len >= sizeof(padded))
		return ctn_fail(err, EFBIG, "%s is too long", name);
	memset(padded, ' ', sizeof(padded));
	memcpy(padded, text, len);
	padded[sizeof(padded) - 1] = '\n';
	if (pwrite(fd, padded, sizeof(padded), 0) != (ssize_t)sizeof(padded))
		return ctn_fail_errno(err, "write %s", name);
	/* The directory, too: the file may be new. */
	if (durable && (fsync(fd) < 0 || fsync(dirfd) < 0))
		return ctn_fail_errno(err, "write %s to the disk", name);
	return 0;
}

static int write_file(int dirfd, const char *name, const char *text, enum save how,
		      struct ctn_err *err)
{
	if (how == SAVE_IN_PLACE || how == SAVE_IN_PLACE_DURABLE)
		return write_in_place(dirfd, name, text, how == SAVE_IN_PLACE_DURABLE, err);
	return io_replace_at(dirfd, name, text, strlen(text), 0600, false, err);
}

static int save(int dirfd, const char *name, struct json_object *o, enum save how,
		struct ctn_err *err)
{
	const char *text = json_object_to_json_string_ext(
		o, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE);
	int r = text ? write_file(dirfd, name, text, how, err)
		     : ctn_fail(err, ENOMEM, "no memory to save %s", name);

	json_object_put(o);
	return r;
}

struct json_object *state_versioned(void)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "version", json_object_new_int(STATE_VERSION));
	return o;
}

struct json_object *state_parse(const char *text, size_t len)
{
	struct json_tokener *tok = json_tokener_new_ex(STATE_DEPTH);
	struct json_object *o = NULL;

	if (!tok)
		return NULL;
	json_tokener_set_flags(tok, JSON_TOKENER_STRICT);
	o = json_tokener_parse_ex(tok, text, (int)len + 1);
	if (json_tokener_get_error(tok) != json_tokener_success || strlen(text) != len) {
		json_object_put(o);
		o = NULL;
	}
	json_tokener_free(tok);
	return o;
}

int state_check(const char *name, struct json_object *o, struct json_object **ret,
		struct ctn_err *err)
{
	struct json_object *version = NULL;
	int r;

	if (!json_object_object_get_ex(o, "version", &version) ||
	    !json_object_is_type(version, json_type_int) || json_object_get_int(version) < 1) {
		json_object_put(o);
		return ctn_fail(err, EINVAL, "%s is damaged: it is not what ctnfs wrote", name);
	}
	if (json_object_get_int(version) > STATE_VERSION) {
		r = ctn_fail(err, EINVAL, "%s was written by a newer ctnfs (version %d)", name,
			     json_object_get_int(version));
		json_object_put(o);
		return r;
	}
	*ret = o;
	return 0;
}

static int load(int dirfd, const char *name, struct json_object **ret, struct ctn_err *err)
{
	ctn_autofree char *text = NULL;
	size_t len = 0;
	int r = io_read_at(dirfd, name, STATE_FILE_MAX, &text, &len, err);

	return r < 0 ? r : state_check(name, state_parse(text, len), ret, err);
}

uint64_t state_u64(struct json_object *o, const char *key)
{
	struct json_object *v = NULL;

	return json_object_object_get_ex(o, key, &v) ? json_object_get_uint64(v) : 0;
}

int state_get_spec(struct json_object *o, struct spec **ret, struct ctn_err *err)
{
	struct json_object *spec = NULL;

	if (!json_object_object_get_ex(o, "spec", &spec))
		return ctn_fail(err, EINVAL, "spec is damaged: it has no specification");
	return spec_from_json(spec, ret, err);
}

int state_save_exit(int dirfd, const struct state_exit *e, struct ctn_err *err)
{
	struct json_object *o = state_versioned();

	json_object_object_add(o, "code", json_object_new_int(e->code));
	json_object_object_add(o, "unknown", json_object_new_boolean(e->unknown));
	json_object_object_add(o, "oom_killed", json_object_new_boolean(e->oom_killed));
	json_object_object_add(o, "started", json_object_new_uint64(e->started));
	json_object_object_add(o, "finished", json_object_new_uint64(e->finished));
	return save(dirfd, STATE_EXIT_NAME, o, SAVE_IN_PLACE, err);
}

int state_load_exit(int dirfd, struct state_exit *ret, struct ctn_err *err)
{
	struct json_object *o = NULL;
	int r = load(dirfd, STATE_EXIT_NAME, &o, err);

	if (r < 0)
		return r;
	*ret = (struct state_exit){
		.code = (int)state_u64(o, "code"),
		.unknown = json_object_get_boolean(json_object_object_get(o, "unknown")),
		.oom_killed = json_object_get_boolean(json_object_object_get(o, "oom_killed")),
		.started = state_u64(o, "started"),
		.finished = state_u64(o, "finished"),
	};
	json_object_put(o);
	return 0;
}

int state_save_restart(int dirfd, const struct state_restart *restart, bool durable,
		       struct ctn_err *err)
{
	struct json_object *o = state_versioned();

	json_object_object_add(o, "up", json_object_new_boolean(restart->up));
	json_object_object_add(o, "tries", json_object_new_uint64(restart->tries));
	json_object_object_add(o, "failures", json_object_new_uint64(restart->failures));
	json_object_object_add(o, "restarts", json_object_new_uint64(restart->restarts));
	json_object_object_add(o, "counted", json_object_new_uint64(restart->counted));
	return save(dirfd, "restart", o, durable ? SAVE_IN_PLACE_DURABLE : SAVE_IN_PLACE, err);
}

int state_load_restart(int dirfd, struct state_restart *ret, struct ctn_err *err)
{
	struct json_object *o = NULL;
	int r = load(dirfd, "restart", &o, err);

	if (r < 0)
		return r;
	*ret = (struct state_restart){
		.up = json_object_get_boolean(json_object_object_get(o, "up")),
		.tries = (unsigned)state_u64(o, "tries"),
		.failures = (unsigned)state_u64(o, "failures"),
		.restarts = state_u64(o, "restarts"),
		.counted = state_u64(o, "counted"),
	};
	json_object_put(o);
	return 0;
}

int state_save_run(int run_dirfd, const struct spec *spec, const char *skeleton, uint64_t oom_kills,
		   struct ctn_err *err)
{
	struct json_object *o = state_versioned();

	json_object_object_add(o, "skeleton", json_object_new_string(skeleton));
	json_object_object_add(o, "oom_kills", json_object_new_uint64(oom_kills));
	json_object_object_add(o, "spec", spec_to_json(spec));
	return save(run_dirfd, "spec", o, SAVE_REPLACE, err);
}

int state_load_run(int run_dirfd, struct spec **ret, char **ret_skeleton, uint64_t *ret_oom_kills,
		   struct ctn_err *err)
{
	struct json_object *o = NULL, *name = NULL;
	ctn_autofree char *skeleton = NULL;
	struct spec *spec = NULL;
	int r = load(run_dirfd, "spec", &o, err);

	if (r < 0)
		return r;
	if (json_object_object_get_ex(o, "skeleton", &name))
		skeleton = strdup(json_object_get_string(name) ?: "");
	r = state_get_spec(o, &spec, err);
	if (r == 0) {
		*ret = spec;
		*ret_skeleton = ctn_take_ptr(skeleton);
		*ret_oom_kills = state_u64(o, "oom_kills");
	}
	json_object_put(o);
	return r;
}

int state_save_oom(int run_dirfd, const struct state_oom *oom, struct ctn_err *err)
{
	struct json_object *o = state_versioned();

	json_object_object_add(o, "kills", json_object_new_uint64(oom->kills));
	json_object_object_add(o, "base", json_object_new_uint64(oom->base));
	json_object_object_add(o, "time", json_object_new_uint64(oom->time));
	json_object_object_add(o, "seq", json_object_new_uint64(oom->seq));
	json_object_object_add(o, "pid", json_object_new_int(oom->pid));
	json_object_object_add(o, "program", json_object_new_string(oom->program));
	return save(run_dirfd, "oom", o, SAVE_IN_PLACE, err);
}

int state_load_oom(int run_dirfd, struct state_oom *ret, struct ctn_err *err)
{
	struct json_object *o = NULL;
	const char *word;
	int r = load(run_dirfd, "oom", &o, err);

	if (r < 0)
		return r;
	*ret = (struct state_oom){
		.kills = state_u64(o, "kills"),
		.base = state_u64(o, "base"),
		.time = state_u64(o, "time"),
		.seq = state_u64(o, "seq"),
		.pid = (pid_t)state_u64(o, "pid"),
	};
	word = json_object_get_string(json_object_object_get(o, "program"));
	snprintf(ret->program, sizeof(ret->program), "%s", word && io_is_word(word) ? word : "");
	json_object_put(o);
	return 0;
}

int state_load_status(int run_dirfd, struct wire_status *ret, struct ctn_err *err)
{
	ctn_autofree char *data = NULL;
	struct wire_status status;
	size_t len = 0;
	int r = io_read_at(run_dirfd, WIRE_STATUS_NAME, 4096, &data, &len, err);

	if (r < 0)
		return r;
	if (len < sizeof(status))
		return ctn_fail(err, EBADMSG, "the monitor's record is too short");
	memcpy(&status, data, sizeof(status));
	if (status.magic != WIRE_MAGIC || status.version > WIRE_VERSION)
		return ctn_fail(err, EBADMSG, "the monitor's record is not one of ours");
	*ret = status;
	return 0;
}

int state_load_log_start(int dirfd, uint64_t *ret, uint64_t *ret_uncounted, struct ctn_err *err)
{
	ctn_autofree char *text = NULL;
	uint64_t start, uncounted;
	char *second;
	int r = io_read_at(dirfd, "log.start", 64, &text, NULL, err);

	if (r == -ENOENT) {
		*ret = *ret_uncounted = 0;
		return 0;
	}
	if (r < 0)
		return r;
	second = strchr(text, ' ');
	if (second)
		*second++ = '\0';
	r = parse_u64("log.start", text, UINT64_MAX, &start, err);
	uncounted = start; /* of an older server */
	if (r == 0 && second)
		r = parse_u64("log.start", second, UINT64_MAX, &uncounted, err);
	if (r < 0)
		return r;
	*ret = start;
	*ret_uncounted = uncounted;
	return 0;
}

int state_save_log_start(int dirfd, uint64_t start, uint64_t uncounted, struct ctn_err *err)
{
	char text[48];
	int n = snprintf(text, sizeof(text), "%" PRIu64 " %" PRIu64, start, uncounted);

	return io_replace_at(dirfd, "log.start", text, (size_t)n, 0600, true, err);
}
