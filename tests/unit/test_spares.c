/* SPDX-License-Identifier: Apache-2.0 */
/* Containers that are made ahead: how many, for how long, and who gets out of whose way. */
#include "container_create.h"
#include "engine_fixture.h"

enum { IDLE_MS = 2000, KEPT = 3, WAIT_MAX = 16 };

/* What waits: our monitors have a child each, whoever has been started or not. */
static unsigned count_children(pid_t pid)
{
	ctn_autofree char *path = NULL;
	ctn_autoclosedir DIR *dir = NULL;
	const struct dirent *d;
	unsigned n = 0;

	CHECK(asprintf(&path, "/proc/%d/task", pid) > 0);
	dir = opendir(path);
	while (dir && (d = readdir(dir))) {
		ctn_autofree char *file = NULL, *text = NULL;

		CHECK(asprintf(&file, "%s/%s/children", path, d->d_name) > 0);
		if (d->d_name[0] == '.' || io_read_at(AT_FDCWD, file, 65536, &text, NULL, NULL) < 0)
			continue;
		for (const char *p = text; *p; p++)
			n += *p == ' ';
	}
	return n;
}

static unsigned count_spares(void)
{
	ctn_autoclosedir DIR *dir = opendir(options.state);
	const struct dirent *d;
	unsigned n = 0;

	while (dir && (d = readdir(dir)))
		n += strncmp(d->d_name, "new-", 4) == 0;
	return n;
}

static bool becomes(unsigned (*count)(void), unsigned what)
{
	for (int i = 0; i < PATIENCE_SECS * 100; i++) {
		if (count() == what)
			return true;
		sleep_ms(10);
	}
	printf("# %u instead of %u\n", count(), what);
	return false;
}

/* The nursery, from which they come, is none, and there as long as the engine. */
static unsigned count_monitors(void)
{
	return count_children(getpid()) - 1;
}

/* The first of them asks for the others. */
static void fill(void)
{
	struct container *c = make("first", NULL);

	unmake(c);
	CHECK(becomes(count_spares, KEPT) && becomes(count_monitors, KEPT));
}

static void start_one(struct container *c, int code)
{
	CHECK_ERR(do_start(c, 0, &check_err), 0, "");
	CHECK_ERR(do_wait(c, 0, &check_err), 0, "");
	CHECK(exit_of(c) == code);
}

static void test_none_before_the_first(void)
{
	sleep_ms(50);
	CHECK(count_spares() == 0 && count_monitors() == 0);
	fill();
}

static void test_they_go_when_nobody_asks(void)
{
	struct container *c;

	fill();
	c = make("db", "true");
	CHECK(becomes(count_spares, KEPT) && becomes(count_monitors, KEPT + 1));
	CHECK(becomes(count_spares, 0) && becomes(count_monitors, 0));
	start_one(c, 0);
	unmake(c);
}

static void test_it_is_the_same_container(void)
{
	struct container *c, *found;
	struct container_view v;
	uid_t base;

	fill();
	c = make("db", "sh -c 'exit 3'");
	container_view_get(c, &v);
	base = v.uid_base;
	CHECK(v.state == CTN_CREATED && strcmp(v.spec->name, "db") == 0 && v.created > 0);
	container_view_put(&v);
	found = container_find(engine, "db");
	CHECK(found == c);
	container_put(found);
	start_one(c, 3);
	start_one(c, 3);
	container_view_get(c, &v);
	CHECK(v.uid_base == base);
	container_view_put(&v);
	unmake(c);
}

static void test_so_many_may_wait(void)
{
	struct container *made[WAIT_MAX + 2];
	char name[16];

	for (size_t i = 0; i < CTN_COUNT(made); i++) {
		snprintf(name, sizeof(name), "c%zu", i);
		made[i] = make(name, "true");
		CHECK(count_monitors() <= WAIT_MAX);
	}
	for (size_t i = 0; i < CTN_COUNT(made); i++) {
		start_one(made[i], 0);
		unmake(made[i]);
	}
	CHECK(becomes(count_monitors, 0)); /* nothing is remembered of who was started */
}

/* Ids that a document asks for may be a spare's. */
static void test_out_of_the_way(void)
{
	struct spec *spec = spec_new("mapped");
	struct container *c = NULL;
	struct spec_oci *oci = spec_oci_edit(spec);

	fill();
	oci->uids.len = oci->gids.len = 1;
	oci->uids.items[0] = oci->gids.items[0] = (struct spec_map){
		.inside = 0, .outside = IDS_BASE, .count = (KEPT + 1) * 65536};
	spec->start = false;
	CHECK_ERR(container_create_spec(engine, spec, NULL, &c, &check_err), 0, "");
	CHECK(count_spares() == 0);
	spec_put(spec);
	unmake(c);
}

static void test_another_server(void)
{
	struct container *c;

	fill();
	c = make("db", "sh -c 'exit 4'");
	container_put(c);
	engine_again();
	CHECK(count_spares() == 0 && count_monitors() == 0);
	c = container_find(engine, "db");
	CHECK(c && state_of(c) == CTN_CREATED);
	start_one(c, 4);
	unmake(c);
}

static const struct check_test tests[] = {
	{"none before the first", test_none_before_the_first},
	{"they go when nobody asks", test_they_go_when_nobody_asks},
	{"it is the same container", test_it_is_the_same_container},
	{"so many may wait", test_so_many_may_wait},
	{"out of the way", test_out_of_the_way},
	{"another server", test_another_server},
};

int main(void)
{
	options.spares = KEPT;
	options.spare_ms = IDLE_MS;
	fixture_begin();
	return fixture_end(check_run(tests, CTN_COUNT(tests)));
}
