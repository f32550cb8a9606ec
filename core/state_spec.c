/* SPDX-License-Identifier: Apache-2.0 */
/* STATE/<id>/spec. A record goes behind the one before, so that one flush makes it last; a file
 * that has become long is replaced by one with the last record alone. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cgroup.h"
#include "cleanup.h"
#include "io.h"
#include "spec_json.h"
#include "state_private.h"
#include "wire.h"

enum { LINES_MAX = 64 << 10 };

/* By name: another version's table may have another order. */
static struct json_object *limits_to_json(uint64_t limits)
{
	struct json_object *list = json_object_new_array();

	for (size_t i = 0; cgroup_knobs[i].name; i++) {
		if (limits >> i & 1)
			json_object_array_add(list, json_object_new_string(cgroup_knobs[i].name));
	}
	return list;
}

static uint64_t get_limits(struct json_object *o)
{
	struct json_object *list = NULL;
	uint64_t limits = 0;

	if (!json_object_object_get_ex(o, "limits", &list) ||
	    !json_object_is_type(list, json_type_array))
		return 0;
	for (size_t k = 0; k < json_object_array_length(list); k++) {
		const char *name = json_object_get_string(json_object_array_get_idx(list, k));

		for (size_t i = 0; name && cgroup_knobs[i].name; i++) {
			if (strcmp(cgroup_knobs[i].name, name) == 0)
				limits |= UINT64_C(1) << i;
		}
	}
	return limits;
}

static struct json_object *record_to_json(const struct state_record *rec)
{
	struct json_object *o = state_versioned();

	json_object_object_add(o, "uid_base", json_object_new_uint64(rec->uid_base));
	json_object_object_add(o, "created", json_object_new_uint64(rec->created));
	if (rec->parent[0])
		json_object_object_add(o, "parent", json_object_new_string(rec->parent));
	if (rec->renamed_at)
		json_object_object_add(o, "renamed_at", json_object_new_uint64(rec->renamed_at));
	if (rec->limits_at) {
		json_object_object_add(o, "limits_at", json_object_new_uint64(rec->limits_at));
		json_object_object_add(o, "limits", limits_to_json(rec->limits));
	}
	json_object_object_add(o, "spec", spec_to_json(rec->spec));
	return o;
}

/* --- the file --- */

/* A line for each record. */
static int record_text(const struct state_record *rec, char **ret, struct ctn_err *err)
{
	struct json_object *o = record_to_json(rec);
	const char *text = json_object_to_json_string_ext(
		o, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
	int r = text && asprintf(ret, "%s\n", text) >= 0
			? 0
			: ctn_fail(err, ENOMEM, "no memory to save " STATE_SPEC_NAME);

	json_object_put(o);
	return r;
}

/* Whether it is still the file that we know. */
static int open_end(int dirfd, const struct state_end *end, size_t len)
{
	ctn_autoclose int fd = -1;
	struct stat st;

	if (!end->at || end->at + (off_t)len > LINES_MAX)
		return -1;
	fd = openat(dirfd, STATE_SPEC_NAME, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
	return fd >= 0 && fstat(fd, &st) == 0 && st.st_size == end->at ? ctn_take_fd(fd) : -1;
}

/* One flush, and what is there already is not touched. */
static int append(int fd, int dirfd, const char *text, size_t len, struct state_end *end,
		  struct ctn_err *err)
{
	ssize_t n = pwrite(fd, text, len, end->at);
	int r;

	if (n == (ssize_t)len && fsync(fd) == 0 && (end->named || fsync(dirfd) == 0)) {
		end->at += n;
		end->named = true;
		return 0;
	}
	if (n >= 0 && n < (ssize_t)len)
		errno = ENOSPC;
	r = ctn_fail_errno(err, "write " STATE_SPEC_NAME " to the disk");
	if (ftruncate(fd, end->at) < 0)
		end->at = 0;
	return r;
}

int state_save(int dirfd, const struct state_record *rec, struct state_end *end,
	       struct ctn_err *err)
{
	ctn_autofree char *text = NULL;
	ctn_autoclose int fd = -1;
	int r = record_text(rec, &text, err);
	size_t len;

	if (r < 0)
		return r;
	len = strlen(text);
	fd = open_end(dirfd, end, len);
	if (fd >= 0)
		return append(fd, dirfd, text, len, end, err);
	r = io_replace_at(dirfd, STATE_SPEC_NAME, text, len, 0600, true, err);
	*end = r < 0 ? (struct state_end){0} : (struct state_end){.at = (off_t)len, .named = true};
	return r;
}

int state_save_new(int dirfd, const struct state_record *rec, bool durable, struct state_end *end,
		   struct ctn_err *err)
{
	ctn_autofree char *text = NULL;
	int r = record_text(rec, &text, err);

	if (r == 0)
		r = io_create_at(dirfd, STATE_SPEC_NAME, text, strlen(text), 0600, durable, err);
	*end = (struct state_end){.at = r < 0 ? 0 : (off_t)strlen(text)};
	return r;
}

/* Return: whether it is not there, or has nothing in it. */
static bool has_nothing(int dirfd, const char *name)
{
	struct stat st;

	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT;
	return S_ISDIR(st.st_mode) ? io_dir_is_empty_at(dirfd, name) : st.st_size == 0;
}

bool state_never_was(int dirfd)
{
	static const char *const names[] = {STATE_SPEC_NAME, STATE_EXIT_NAME, WIRE_LOG_NAME,
					    WIRE_LAYER_NAME};
	/* or somebody has taken it away */
	bool never = faccessat(dirfd, STATE_SPEC_NAME, F_OK, AT_SYMLINK_NOFOLLOW) == 0;

	for (size_t i = 0; never && i < CTN_COUNT(names); i++)
		never = has_nothing(dirfd, names[i]);
	return never;
}

static int get_parent(struct json_object *o, char ret[STATE_ID_LEN + 1], struct ctn_err *err)
{
	struct json_object *v = NULL;
	const char *id;

	if (!json_object_object_get_ex(o, "parent", &v))
		return 0;
	id = json_object_is_type(v, json_type_string) ? json_object_get_string(v) : "";
	if (strlen(id) != STATE_ID_LEN || strspn(id, "0123456789abcdef") != STATE_ID_LEN)
		return ctn_fail(err, EINVAL, "spec is damaged: its container is no id");
	memcpy(ret, id, STATE_ID_LEN + 1);
	return 0;
}

/* The last line, or the one before where a server or the power has gone while that was written: it
 * has no end then, or NUL bytes of a page that did not reach the disk. Anything else that cannot be
 * read is damage. @whole: there is none that was not finished. Return: NULL. */
static struct json_object *parse_last(char *text, size_t len, bool *whole)
{
	size_t end = len && text[len - 1] == '\n' ? len - 1 : len;
	const char *before = memrchr(text, '\n', end);
	struct json_object *o = state_parse(text, len); /* the only one; older servers wrote it in
							   several lines */

	*whole = end < len;
	if (o || !before)
		return o;
	o = state_parse(before + 1, (size_t)(text + len - (before + 1)));
	if (o || (*whole && !memchr(before, '\0', (size_t)(text + len - before))))
		return o;
	*whole = false;
	len = (size_t)(before + 1 - text);
	text[len] = '\0';
	before = memrchr(text, '\n', len - 1);
	before = before ? before + 1 : text;
	return state_parse(before, (size_t)(text + len - before));
}

static int load_last(int dirfd, struct json_object **ret, struct state_end *ret_end,
		     struct ctn_err *err)
{
	ctn_autofree char *text = NULL;
	bool whole = false;
	size_t len = 0;
	int r = io_read_at(dirfd, STATE_SPEC_NAME, STATE_FILE_MAX, &text, &len, err);

	if (r < 0)
		return r;
	r = state_check(STATE_SPEC_NAME, parse_last(text, len, &whole), ret, err);
	*ret_end = (struct state_end){.at = r == 0 && whole ? (off_t)len : 0};
	return r;
}

int state_load(int dirfd, struct state_record *ret, struct ctn_err *err)
{
	struct json_object *o = NULL;
	struct state_record rec = {0};
	uint64_t base;
	int r = load_last(dirfd, &o, &rec.end, err);

	if (r < 0)
		return r;
	base = state_u64(o, "uid_base");
	rec.uid_base = (uint32_t)base;
	rec.created = state_u64(o, "created");
	rec.renamed_at = state_u64(o, "renamed_at");
	rec.limits_at = state_u64(o, "limits_at");
	rec.limits = get_limits(o);
	if (base == 0 ||
	    base > UINT32_MAX) /* other ids than its layer's would be worse than none */
		r = ctn_fail(err, EINVAL, "spec is damaged: its host ids are missing");
	else
		r = get_parent(o, rec.parent, err);
	if (r == 0)
		r = state_get_spec(o, &rec.spec, err);
	json_object_put(o);
	if (r == 0)
		*ret = rec;
	return r;
}
