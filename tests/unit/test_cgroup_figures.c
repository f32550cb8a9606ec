/* SPDX-License-Identifier: Apache-2.0 */
/* Figures for lists, and being told of the OOM killer. */
#include <inttypes.h>
#include <poll.h>
#include <sys/epoll.h>

#include "cgroup_fixture.h"

static char *text_of(const char *knob)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	if (cgroup_knob_find(knob)->read(leaf, out, NULL) < 0)
		fprintf(out, "-");
	fclose(out);
	text[strcspn(text, "\n")] = '\0';
	return text;
}

static void check_figure(const char *knob, uint64_t value)
{
	ctn_autofree char *want = text_of(knob);
	char have[32];

	snprintf(have, sizeof(have), "%" PRIu64, value);
	CHECK_STR(value == CGROUP_UNKNOWN ? "-" : value == CTN_MAX ? "max" : have, want);
}

/* In an empty group nothing moves, so both ways of reading say the same. */
static void test_as_knobs(void)
{
	uint64_t f[CGF_COUNT] = {0};

	(void)cgroup_knob_find("memory.limit")->write(leaf, "16M", NULL);
	(void)cgroup_knob_find("pids.max")->write(leaf, "17", NULL);
	CHECK(cgroup_leaf_figures(leaf, CGF_COUNT, f) == 0);
	check_figure("memory.usage", f[CGF_MEMORY]);
	check_figure("memory.limit", f[CGF_MEMORY_LIMIT]);
	check_figure("memory.peak", f[CGF_MEMORY_PEAK]);
	check_figure("pids.current", f[CGF_PIDS]);
	check_figure("pids.max", f[CGF_PIDS_LIMIT]);
	CHECK(f[CGF_PIDS_LIMIT] == 17 || !cgroup_root_has(root, CG_PIDS));
	(void)cgroup_knob_find("memory.limit")->write(leaf, "max", NULL);
	(void)cgroup_knob_find("pids.max")->write(leaf, "max", NULL);
	CHECK(cgroup_leaf_figures(leaf, CGF_COUNT, f) == 0);
	check_figure("memory.limit", f[CGF_MEMORY_LIMIT]);
	check_figure("pids.max", f[CGF_PIDS_LIMIT]);
	CHECK(f[CGF_OOM_KILLS] == 0 || f[CGF_OOM_KILLS] == CGROUP_UNKNOWN);
	CHECK(f[CGF_THROTTLED] == 0 || f[CGF_THROTTLED] == CGROUP_UNKNOWN);
}

static void spin(void)
{
	for (int i = 0; i < 200000; i++)
		(void)getppid();
	raise(SIGKILL);
}

static void test_processor_time(void)
{
	uint64_t before[CGF_COUNT] = {0}, after[CGF_COUNT] = {0};

	CHECK(cgroup_leaf_figures(leaf, CGF_CPU + 1, before) == 0);
	reap(run_inside(spin));
	CHECK(cgroup_leaf_figures(leaf, CGF_CPU + 1, after) == 0);
	CHECK(after[CGF_CPU] > before[CGF_CPU] && after[CGF_CPU] - before[CGF_CPU] < 60000000);
	CHECK(after[CGF_MEMORY] == 0); /* not asked for */
}

static void allocate(void)
{
	for (size_t i = 0; i < 64; i++)
		memset(malloc(1 << 20), 1, 1 << 20);
}

static bool has_told(int fd, uint32_t events, int ms)
{
	ctn_autoclose int ep = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event ev = {.events = events};

	CHECK(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev) == 0);
	return epoll_wait(ep, &ev, 1, ms) == 1;
}

static void test_told(void)
{
	ctn_autoclose int fd = -1;
	uint64_t f[CGF_COUNT] = {0};
	uint32_t events = 0;

	if (!cgroup_root_has(root, CG_MEMORY))
		return;
	(void)cgroup_knob_find("memory.limit")->write(leaf, "16M", NULL);
	(void)cgroup_knob_find("memory.swap.limit")->write(leaf, "0", NULL);
	CHECK(cgroup_leaf_oom_watch(leaf, &fd, &events, NULL) == 0);
	cgroup_leaf_oom_clear(fd);
	CHECK(!has_told(fd, events, 0));
	reap(run_inside(allocate));
	CHECK(has_told(fd, events, 10000));
	for (int i = 0; i < 100 && has_told(fd, events, 50); i++)
		cgroup_leaf_oom_clear(fd); /* v2 tells of limits that were met, some time later */
	CHECK(!has_told(fd, events, 50));
	CHECK(cgroup_leaf_figures(leaf, CGF_COUNT, f) == 0 && f[CGF_OOM_KILLS] == 1);
	(void)cgroup_knob_find("memory.swap.limit")->write(leaf, "max", NULL);
	(void)cgroup_knob_find("memory.limit")->write(leaf, "max", NULL);
}

/* As the kernel says it: its own tree is perhaps not mounted from the top. */
static void test_paths(void)
{
	static const char *const others[] = {"/leaf", "/leaf/ctnfs", "/a/b", "", "/"};
	const char *path = leaf->dirs[0].path;
	const struct cgroup_hierarchy *h = NULL;
	char text[8192];

	for (size_t i = 0; i < root->n; i++) {
		if (root->hier[i].controllers & CG_BIT(CG_PIDS))
			h = &root->hier[i];
	}
	if (!h)
		return;
	snprintf(text, sizeof(text), "/%s/leaf", h->rel);
	CHECK(cgroup_leaf_is_at(leaf, CG_PIDS, text));
	snprintf(text, sizeof(text), "/above/%s/leaf", h->rel);
	CHECK(cgroup_leaf_is_at(leaf, CG_PIDS, text));
	snprintf(text, sizeof(text), "/%s/leaf/below/more", h->rel);
	CHECK(cgroup_leaf_is_at(leaf, CG_PIDS, text));
	snprintf(text, sizeof(text), "/%s/leafy", h->rel);
	CHECK(!cgroup_leaf_is_at(leaf, CG_PIDS, text));
	snprintf(text, sizeof(text), "/%s/other/%s/leaf", h->rel, h->rel); /* another pretends */
	CHECK(!cgroup_leaf_is_at(leaf, CG_PIDS, text));
	snprintf(text, sizeof(text), "/%s", h->rel);
	CHECK(!cgroup_leaf_is_at(leaf, CG_PIDS, text));
	for (size_t i = 0; i < CTN_COUNT(others); i++)
		CHECK(!cgroup_leaf_is_at(leaf, CG_PIDS, others[i]));
	CHECK(path[0] == '/');
}

static void test_gone(void)
{
	uint64_t f[CGF_COUNT];
	int fd = -1;
	uint32_t events;

	CHECK(cgroup_leaf_remove(root, "leaf", 2000, NULL) == 0);
	CHECK(cgroup_leaf_figures(leaf, 1, f) == -ENOENT);
	CHECK(cgroup_leaf_figures(leaf, CGF_COUNT, f) == -ENOENT);
	CHECK(cgroup_leaf_oom_watch(leaf, &fd, &events, NULL) < 0 && fd == -1);
}

static const struct check_test tests[] = {
	{"figures are those of the knobs", test_as_knobs},
	{"processor time", test_processor_time},
	{"the OOM killer is told of", test_told},
	{"the kernel's paths", test_paths},
	{"a group that is gone", test_gone},
};

int main(void)
{
	return fixture_open() < 0 ? 1 : check_run(tests, CTN_COUNT(tests));
}
