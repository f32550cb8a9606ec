/* SPDX-License-Identifier: Apache-2.0 */
/* Clocks and id maps of a container's own, which no file of the tree sets. */
#include "container_private.h"
#include "engine_fixture.h"

static struct spec_oci *edit(struct container *c, struct spec **ret)
{
	pthread_mutex_lock(&c->lock);
	*ret = spec_dup(c->spec);
	pthread_mutex_unlock(&c->lock);
	return spec_oci_edit(*ret);
}

static void publish(struct container *c, struct spec *spec)
{
	struct spec *old;

	pthread_mutex_lock(&c->lock);
	old = c->spec;
	c->spec = spec;
	pthread_mutex_unlock(&c->lock);
	spec_put(old);
}

static void set_maps(struct container *c, const struct spec_maps *uids,
		     const struct spec_maps *gids)
{
	struct spec *spec = NULL;
	struct spec_oci *oci = edit(c, &spec);

	oci->uids = *uids;
	oci->gids = *gids;
	publish(c, spec);
}

static void set_clock(struct container *c, int64_t monotonic, int64_t boottime)
{
	struct spec *spec = NULL;
	struct spec_oci *oci = edit(c, &spec);

	oci->monotonic = (struct spec_time_offset){.set = true, .secs = monotonic, .nanosecs = 5};
	oci->boottime = (struct spec_time_offset){.set = true, .secs = boottime};
	publish(c, spec);
}

/* What a run printed; "" where it failed. */
static const char *run(struct container *c, const char *cmd)
{
	CHECK(container_log_clear(c, NULL, NULL) == 0 && store(c, "cmd", cmd, NULL) == 0);
	CHECK_ERR(do_start(c, 0, &check_err), 0, "");
	CHECK(do_wait(c, 0, NULL) == 0 && exit_of(c) == 0);
	return log_of(c);
}

static void test_clocks(void)
{
	static const long days = 86400;
	struct container *c = make("db", NULL);
	double uptime;

	CHECK(store(c, "ns/time", "new", NULL) == 0);
	set_clock(c, 1000, 400 * days);
	uptime = strtod(run(c, "cat /proc/uptime"), NULL);
	CHECK(uptime > 400.0 * (double)days);
	CHECK(strstr(run(c, "cat /proc/self/timens_offsets"), "1000         5"));
	run(c, "sh -c '[ /proc/self/ns/time -ef /proc/self/ns/time_for_children ]'");
	set_clock(c, 0, -1000 * days);
	CHECK_ERR(do_start(c, 0, &check_err), ERANGE, "boottime -86400000 0");
	set_clock(c, 1, 1);
	CHECK(store(c, "ns/time", "host", NULL) == 0);
	CHECK_ERR(do_start(c, 0, &check_err), EINVAL, "clocks are not its own");
	CHECK(state_of(c) == CTN_EXITED);
	unmake(c);
}

static void test_maps(void)
{
	struct container *c = make("db", NULL);
	const uint32_t base = c->uid_base;
	const struct spec_maps uids = {.items = {{0, base + 7, 1000}, {1000, base + 5000, 10}},
				       .len = 2},
			       gids = {.items = {{0, base + 9, 2000}}, .len = 1};
	char layer[256];
	struct stat st;

	snprintf(layer, sizeof(layer), "%s/%s/layer", options.state, c->id);
	set_maps(c, &uids, &gids);
	CHECK(strstr(run(c, "sh -c 'echo $(cat /proc/self/uid_map)'"), "1000 "));
	run(c,
	    "sh -c 'mkdir /srv/a; touch /srv/a/f; chown 1005:8 /srv/a/f; [ -u /srv/a ] || true'");
	CHECK(stat(layer, &st) == 0 && st.st_uid == base + 7 && st.st_gid == base + 9);
	strcat(layer, "/srv/a/f");
	CHECK(stat(layer, &st) == 0 && st.st_uid == base + 5005 && st.st_gid == base + 17);
	/* These overlap with the ids that it has: whose is base + 7 then? */
	set_maps(c, &(struct spec_maps){.items = {{0, base, 4000}}, .len = 1}, &gids);
	CHECK_ERR(do_start(c, 0, &check_err), EINVAL, "overlap");
	set_maps(c, &(struct spec_maps){.items = {{0, base + 20000, 4000}}, .len = 1}, &gids);
	CHECK_STR(run(c, "stat -c %u:%g /srv/a/f"), "1005:8\n");
	CHECK(stat(layer, &st) == 0 && st.st_uid == base + 21005 && st.st_gid == base + 17);
	unmake(c);
}

static void test_bad_maps(void)
{
	struct container *c = make("db", "true");
	const uint32_t base = c->uid_base;
	const struct spec_maps good = {.items = {{0, base, 10}}, .len = 1};
	const struct {
		struct spec_maps maps;
		const char *says;
	} bad[] = {
		{{.items = {{1, base, 10}}, .len = 1}, "nobody is 0 inside"},
		{{.items = {{0, base, 0}}, .len = 1}, "has no ids"},
		{{.items = {{0, base, UINT32_MAX - 1}}, .len = 1}, "beyond the last id"},
		{{.items = {{0, base, 10}, {5, base + 50, 10}}, .len = 2}, "overlap"},
	};

	for (size_t i = 0; i < CTN_COUNT(bad); i++) {
		set_maps(c, &bad[i].maps, &good);
		CHECK_ERR(do_start(c, 0, &check_err), EINVAL, bad[i].says);
		set_maps(c, &good, &bad[i].maps);
		CHECK_ERR(do_start(c, 0, &check_err), EINVAL, bad[i].says);
	}
	set_maps(c, &good, &good);
	CHECK(store(c, "user", "11", NULL) == 0);
	CHECK_ERR(do_start(c, 0, &check_err), EINVAL, "uid 11 is not in the container's id map");
	CHECK(store(c, "user", "9", NULL) == 0);
	run(c, "true");
	CHECK(store(c, "ns/user", "host", NULL) == 0);
	CHECK_ERR(do_start(c, 0, &check_err), EINVAL, "user namespace is not its own");
	unmake(c);
}

/* Its map is that of whoever it joins. */
static void test_joined(void)
{
	struct container *db = make("db", "sleep 1000"), *web = make("web", NULL);
	const uint32_t base = db->uid_base;
	const struct spec_maps maps = {.items = {{0, base + 3, 10}}, .len = 1};
	struct stat st;
	char path[64];

	set_maps(db, &maps, &maps);
	CHECK_ERR(do_start(db, 0, &check_err), 0, "");
	CHECK_ERR(store(web, "ns/net", "container:db", &check_err), 0, "");
	CHECK(store(web, "cmd", "sleep 1000", NULL) == 0);
	CHECK_ERR(do_start(web, 0, &check_err), 0, "");
	snprintf(path, sizeof(path), "/proc/%d", init_of(web));
	CHECK(stat(path, &st) == 0 && st.st_uid == base + 3);
	CHECK(do_kill(web, SIGKILL, NULL) == 0);
	set_maps(web, &maps, &maps);
	CHECK_ERR(do_start(web, 0, &check_err), EINVAL, "user namespace is not its own");
	unmake(web);
	unmake(db);
}

static const struct check_test tests[] = {
	{"clocks", test_clocks},
	{"id maps", test_maps},
	{"maps that are none", test_bad_maps},
	{"the map of another", test_joined},
};

int main(void)
{
	fixture_begin();
	return fixture_end(check_run(tests, CTN_COUNT(tests)));
}
