/* SPDX-License-Identifier: Apache-2.0 */
/* Id maps: what the kernel would refuse, and what would not be a container. */
#include "spec_idmap.h"

#include <fcntl.h>

#include "spec_fixture.h"

static struct spec_maps parse(const char *text)
{
	struct spec_maps maps = {.len = 0};

	CHECK_ERR(spec_maps_parse("map", text, &maps, &check_err), 0, "");
	return maps;
}

static void test_check(void)
{
	static const char *const good[] = {
		"0 100000 65536", "0 0 4294967295",	     "1 5 1\n0 1000 1\n2 100000 1000",
		"0 4294967294 1", "4294967294 7 1\n0 8 2\n", "0 10 5\n5 15 5\n10 0 10",
	};
	static const struct {
		const char *map, *says;
	} bad[] = {
		{"0 100000 0", "no ids"},	   {"0 4294967295 1", "beyond the last id"},
		{"4294967295 0 1", "beyond"},	   {"0 1 4294967295", "beyond"},
		{"0 4294901761 65535", "beyond"},  {"0 0 10\n9 100 1", "overlap"},
		{"0 0 10\n10 9 1", "overlap"},	   {"5 0 1\n0 100 10", "overlap"},
		{"0 100 10\n20 50 51", "overlap"}, {"0 0 1\n0 0 1", "overlap"},
		{"1 100000 65535", "nobody is 0"}, {"", "nobody is 0"},
	};

	for (size_t i = 0; i < CTN_COUNT(good); i++) {
		struct spec_maps maps = parse(good[i]);

		CHECK_ERR(spec_maps_check("uid map", &maps, &check_err), 0, "");
	}
	for (size_t i = 0; i < CTN_COUNT(bad); i++) {
		struct spec_maps maps = parse(bad[i].map);

		CHECK_ERR(spec_maps_check("uid map", &maps, &check_err), EINVAL, bad[i].says);
		CHECK(strncmp(check_err.text, "uid map: ", 9) == 0);
	}
}

static void test_many(void)
{
	ctn_autofree char *text = NULL;
	struct spec_maps maps = {.len = 0}, other = {.len = 0};
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	for (unsigned i = 0; i < SPEC_MAPS_MAX; i++)
		fprintf(out, "%u %u 1\n", i, 1000 + 2 * i);
	fflush(out);
	CHECK_ERR(spec_maps_parse("map", text, &maps, &check_err), 0, "");
	CHECK(maps.len == SPEC_MAPS_MAX && spec_maps_check("map", &maps, NULL) == 0);
	fputs("5000 5000 1\n", out);
	fclose(out);
	CHECK_ERR(spec_maps_parse("map", text, &other, &check_err), EINVAL, "more than 340");
	CHECK(other.len == 0);
}

static void test_parse(void)
{
	static const char *const bad[] = {"0 1",
					  "0 1 2 3",
					  "a b c",
					  "0 1 4294967296",
					  "0 1 2 x",
					  "0 1 2\n3",
					  "0 1 18446744073709551616"};
	struct spec_maps maps = parse("         0     100000      65536\n 65536 0 1\n"), again;
	ctn_autofree char *text = NULL;
	size_t len = 0;
	FILE *out;

	CHECK(maps.len == 2 && maps.items[0].outside == 100000 && maps.items[1].inside == 65536);
	out = open_memstream(&text, &len);
	spec_maps_print(&maps, out);
	fclose(out);
	CHECK_STR(text, "0 100000 65536\n65536 0 1\n");
	again = parse(text);
	CHECK(spec_maps_same(&maps, &again));
	again.items[1].count = 2;
	CHECK(!spec_maps_same(&maps, &again));
	for (size_t i = 0; i < CTN_COUNT(bad); i++)
		CHECK_ERR(spec_maps_parse("map", bad[i], &maps, &check_err), EINVAL, "map: ");
	CHECK(maps.len == 2);
}

static void test_there_and_back(void)
{
	struct spec_maps maps = parse("0 100000 1000\n1000 50 2\n4294967294 7 1");
	static const uint32_t pairs[][2] = {
		{0, 100000}, {999, 100999}, {1000, 50}, {1001, 51}, {4294967294, 7}};
	uint32_t id = 42;

	for (size_t i = 0; i < CTN_COUNT(pairs); i++) {
		CHECK(spec_maps_outside(&maps, pairs[i][0], &id) && id == pairs[i][1]);
		CHECK(spec_maps_inside(&maps, pairs[i][1], &id) && id == pairs[i][0]);
	}
	id = 42;
	CHECK(!spec_maps_outside(&maps, 1002, &id) && !spec_maps_inside(&maps, 52, &id));
	CHECK(!spec_maps_outside(&maps, UINT32_MAX, &id) && !spec_maps_inside(&maps, 0, &id));
	CHECK(id == 42);
}

static void test_of_a_process(void)
{
	struct spec_maps uids = {.len = 0}, gids = {.len = 0};
	int self = open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC);
	uint32_t id;

	CHECK_ERR(spec_maps_read(self, &uids, &gids, &check_err), 0, "");
	CHECK(uids.len > 0 && spec_maps_outside(&uids, getuid(), &id));
	CHECK(gids.len > 0 && spec_maps_outside(&gids, getgid(), &id));
	close(self);
}

int main(void)
{
	static const struct check_test tests[] = {
		{"what a map must be", test_check},
		{"340 extents", test_many},
		{"as text", test_parse},
		{"there and back", test_there_and_back},
		{"of a process", test_of_a_process},
	};

	return check_run(tests, CTN_COUNT(tests));
}
