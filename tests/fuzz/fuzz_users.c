/* SPDX-License-Identifier: Apache-2.0 */
/* Users and id maps. Four parts between lines "%%": what is written to `user`, the container's
 * passwd(5), its group(5), and a map as in /proc/PID/uid_map. */
#include <errno.h>
#include <sys/stat.h>

#include "fuzz_dir.h"
#include "spec_idmap.h"
#include "users.h"

#define ID_MAX UINT32_C(4294967294)

static int root = -1, etc = -1;

static void make_root(void)
{
	root = fuzz_dir_make();
	FUZZ_CHECK(mkdirat(root, "etc", 0755) == 0);
	etc = openat(root, "etc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	FUZZ_CHECK(etc >= 0);
}

static void check_ids(const char *text, const struct users_ids *ids)
{
	char *rest = NULL;
	unsigned long long number = strtoull(text, &rest, 10);

	FUZZ_CHECK(ids->uid <= ID_MAX && ids->gid <= ID_MAX && ids->n_groups <= USERS_GROUPS_MAX);
	FUZZ_CHECK(ids->home[0] == '/' && memchr(ids->home, '\0', sizeof(ids->home)));
	for (size_t i = 0; i < ids->n_groups; i++) {
		FUZZ_CHECK(ids->groups[i] <= ID_MAX);
		for (size_t k = 0; k < i; k++)
			FUZZ_CHECK(ids->groups[i] != ids->groups[k]);
	}
	/* Numbers are what they say, whatever the files say. */
	if (rest == text)
		return;
	FUZZ_CHECK(ids->uid == number);
	if (*rest == ':' && rest[1] >= '0' && rest[1] <= '9')
		FUZZ_CHECK(ids->gid == strtoull(rest + 1, NULL, 10) && ids->n_groups == 0);
}

static void check_user(const char *text)
{
	struct users_ids ids, untouched;
	struct ctn_err err = {0};
	int syntax = users_check(text, &err), r;

	FUZZ_CHECK(syntax == 0 || (syntax == -EINVAL && err.code == EINVAL && err.text[0]));
	memset(&ids, 0x5a, sizeof(ids));
	memset(&untouched, 0x5a, sizeof(untouched));
	err = (struct ctn_err){0};
	r = users_resolve(&root, 1, text, &ids, &err);
	if (r == 0) {
		FUZZ_CHECK(syntax == 0);
		check_ids(text, &ids);
		return;
	}
	FUZZ_CHECK((r == -EINVAL || r == -ENOENT) && r == -err.code && err.text[0]);
	FUZZ_CHECK(memcmp(&ids, &untouched, sizeof(ids)) == 0);
}

static char *print_map(const struct spec_maps *maps)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	FUZZ_CHECK(out);
	spec_maps_print(maps, out);
	FUZZ_CHECK(fclose(out) == 0);
	return text;
}

/* In a sound map an id has at most one counterpart, whose counterpart it is. */
static void check_counterparts(const struct spec_maps *maps)
{
	uint32_t there = 0, back = 0;

	for (size_t i = 0; i < maps->len; i++) {
		const struct spec_map *m = &maps->items[i];
		const uint32_t ends[] = {m->inside, m->inside + (m->count - 1)};

		for (size_t k = 0; k < CTN_COUNT(ends); k++) {
			FUZZ_CHECK(spec_maps_outside(maps, ends[k], &there) && there <= ID_MAX);
			FUZZ_CHECK(there - m->outside == ends[k] - m->inside);
			FUZZ_CHECK(spec_maps_inside(maps, there, &back) && back == ends[k]);
		}
	}
	FUZZ_CHECK(!spec_maps_outside(maps, UINT32_MAX, &there));
	FUZZ_CHECK(!spec_maps_inside(maps, UINT32_MAX, &there));
}

static void check_map(const char *text)
{
	struct spec_maps maps = {0}, again = {0};
	ctn_autofree char *printed = NULL;
	struct ctn_err err = {0};
	int r = spec_maps_parse("uid map", text, &maps, &err);

	FUZZ_CHECK(r == 0 || (r == -EINVAL && err.code == EINVAL && strstr(err.text, "uid map")));
	if (r < 0)
		return;
	printed = print_map(&maps);
	FUZZ_CHECK(spec_maps_parse("uid map", printed, &again, NULL) == 0);
	FUZZ_CHECK(spec_maps_same(&maps, &again));
	r = spec_maps_check("uid map", &maps, &err);
	FUZZ_CHECK(r == 0 || (r == -EINVAL && err.code == EINVAL && strstr(err.text, "uid map")));
	if (r == 0)
		check_counterparts(&maps);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *rest = (const char *)data, *end = rest + size, *user, *passwd, *group, *maps;
	ctn_autofree char *user_text = NULL, *maps_text = NULL;
	size_t user_len, passwd_len, group_len, maps_len;

	if (root < 0)
		make_root();
	user = fuzz_part(&rest, end, &user_len);
	passwd = fuzz_part(&rest, end, &passwd_len);
	group = fuzz_part(&rest, end, &group_len);
	maps = fuzz_part(&rest, end, &maps_len);
	user_text = strndup(user, user_len);
	maps_text = strndup(maps, maps_len);
	FUZZ_CHECK(user_text && maps_text);
	fuzz_put(etc, "passwd", passwd, passwd_len);
	fuzz_put(etc, "group", group, group_len);
	check_user(user_text);
	check_map(maps_text);
	return 0;
}
