/* SPDX-License-Identifier: Apache-2.0 */
/* Programs started in a container that runs. test_session_end.c has what ends around them. */
#include <sys/resource.h>

#include "container_create.h"
#include "session_fixture.h"

static struct container *db; /* running */

static void test_make(void)
{
	struct container *c = make("web", NULL), *s = NULL, *again = NULL, **list = NULL;
	struct container_view v;
	size_t n = 0;

	CHECK_ERR(container_session_create(c, "b", &s, &check_err), 0, "");
	container_view_get(s, &v);
	CHECK(v.state == CTN_CREATED && strcmp(v.spec->name, "b") == 0 && v.spec->cmd.len == 0);
	CHECK(v.spec->start && !v.has_exit && v.serial != container_serial(c));
	container_view_put(&v);
	CHECK(container_of_session(s) == c && !container_of_session(c));
	CHECK_ERR(container_session_create(c, "b", &again, &check_err), EEXIST, "session called b");
	CHECK_ERR(container_session_create(s, "x", &again, &check_err), EINVAL, "of its own");
	CHECK(!again);
	CHECK(container_session_create(c, "a", &again, NULL) == 0);
	container_put(again);
	CHECK(container_session_list(c, &list, &n) == 0 && n == 2);
	CHECK(n == 2 && strcmp(list[0]->spec->name, "a") == 0 && list[1] == s);
	list_free(list, n);
	CHECK(container_list(engine, &list, &n) == 0 && n == 2);
	list_free(list, n);
	again = container_session_find(c, "b");
	CHECK(again == s);
	container_put(again);
	again = container_find_serial(engine, container_serial(s));
	CHECK(again == s);
	container_put(again);
	CHECK(!container_session_find(c, "c") && !container_session_find(db, "b"));
	CHECK(!container_find(engine, s->name) && !container_find_id(engine, s->id));
	CHECK_ERR(end(c, "c"), ENOENT, "no session called c");
	CHECK_ERR(end(c, "b"), 0, "");
	CHECK(!container_session_find(c, "b"));
	container_put(s);
	CHECK(container_session_create(c, "b", &s, NULL) == 0); /* the name is free again */
	container_put(s);
	unmake(c);
}

static void test_names(void)
{
	static const char *const bad[] = {"",	 ".",	     "..",	    "a/b",   "-x",
					  "a b", "\xc3\xa4", "../../etc/x", "status"};
	char longest[SPEC_NAME_MAX + 2];
	struct container *s = NULL;

	for (size_t i = 0; i < CTN_COUNT(bad); i++)
		CHECK_ERR(container_session_create(db, bad[i], &s, &check_err), EINVAL, "");
	memset(longest, 'a', sizeof(longest));
	longest[SPEC_NAME_MAX + 1] = '\0';
	CHECK_ERR(container_session_create(db, longest, &s, &check_err), EINVAL, "");
	CHECK(!s && !container_session_find(db, longest));
	longest[SPEC_NAME_MAX] = '\0';
	s = session(db, longest, NULL);
	CHECK(end(db, longest) == 0);
	container_put(s);
}

static void test_run(void)
{
	struct container *s = session(db, "s", "sh -c 'echo out; echo err >&2; exit 42'");
	struct container_view v;

	CHECK_ERR(do_wait(s, 0, &check_err), ESRCH, "never started");
	for (int i = 0; i < 20; i++) {
		CHECK_ERR(do_start(s, 0, &check_err), 0, "");
		CHECK_ERR(do_wait(s, 0, &check_err), 0, "");
		CHECK(exit_of(s) == 42);
	}
	CHECK(log_shows(s, "out\n") && log_shows(s, "err\n") && !strstr(log_of(db), "err"));
	container_view_get(s, &v);
	CHECK(v.state == CTN_EXITED && !v.running && !v.init && v.started && !v.exit_unknown);
	container_view_put(&v);
	CHECK(store(s, "cmd", "sh -c 'kill -9 $$'", NULL) == 0);
	CHECK(do_start(s, 0, NULL) == 0 && do_wait(s, 0, NULL) == 0 && exit_of(s) == 137);
	CHECK(store(s, "cmd", "no-such-program", NULL) == 0);
	CHECK_ERR(do_start(s, 0, &check_err), ENOENT, "no-such-program");
	CHECK(state_of(s) == CTN_EXITED && exit_of(s) == 137);
	CHECK(state_of(db) == CTN_RUNNING);
	session_end(db, s);
}

/* It is in the container as any program of that: seen, limited and held as they are. */
static void test_inside(void)
{
	static const char *const shared[] = {"cgroup", "ipc", "mnt", "net", "pid", "user", "uts"};
	struct container *s = session(db, "s", "sleep 1000");
	ctn_autofree struct pid_pair *pairs = NULL;
	ctn_autofree char *a = NULL, *b = NULL;
	size_t n = 0;
	pid_t own = 0;

	CHECK_ERR(do_start(s, 0, &check_err), 0, "");
	for (size_t i = 0; i < CTN_COUNT(shared); i++)
		CHECK(same_ns(init_of(s), init_of(db), shared[i]));
	CHECK(container_procs(db, &pairs, &n, NULL) == 0 && n == 2);
	CHECK(n == 2 && (pairs[0].host == init_of(s) || pairs[1].host == init_of(s)));
	for (size_t i = 0; i < n; i++)
		own = pairs[i].host == init_of(s) ? pairs[i].own : own;
	CHECK(own > 1);
	a = grep_status(init_of(s));
	b = grep_status(init_of(db));
	CHECK_STR(a, b);
	CHECK(do_kill(s, SIGKILL, NULL) == 0 && exit_of(s) == 137);
	CHECK(state_of(db) == CTN_RUNNING);
	session_end(db, s);
}

/* Namespaces and ids that are not those of a plain container. */
static void test_clock(void)
{
	struct container *c = make("web", "sleep 1000"), *s = session(c, "s", "sleep 1000");
	struct spec *spec;
	struct spec_oci *oci;
	char path[64];
	struct stat st;

	CHECK(store(c, "ns/time", "new", NULL) == 0);
	spec = spec_dup(c->spec);
	oci = spec_oci_edit(spec);
	oci->uids = oci->gids = (struct spec_maps){
		.items = {{0, c->uid_base + 7, 1000}, {2000, c->uid_base + 5000, 10}}, .len = 2};
	CHECK_ERR(container_replace_spec(c, spec, &check_err), 0, "");
	spec_put(spec);
	CHECK_ERR(do_start(c, 0, &check_err), 0, "");
	CHECK(store(s, "user", "2003", NULL) == 0);
	CHECK_ERR(do_start(s, 0, &check_err), 0, "");
	CHECK(same_ns(init_of(s), init_of(c), "time") && !same_ns(init_of(s), getpid(), "time"));
	snprintf(path, sizeof(path), "/proc/%d", init_of(s));
	CHECK(stat(path, &st) == 0 && st.st_uid == c->uid_base + 5003);
	CHECK(store(s, "user", "1500", NULL) == 0 && do_kill(s, SIGKILL, NULL) == 0);
	CHECK_ERR(do_start(s, 0, &check_err), EINVAL, "id map");
	container_put(s);
	unmake(c);
}

static const char *run(struct container *s, const char *cmd)
{
	CHECK(container_log_clear(s, NULL, NULL) == 0 && store(s, "cmd", cmd, NULL) == 0);
	CHECK_ERR(do_start(s, 0, &check_err), 0, "");
	CHECK(do_wait(s, 0, NULL) == 0);
	return log_of(s);
}

static void test_settings(void)
{
	struct container *c = make("web", "sleep 1000"), *s;
	ctn_autofree char *shown = NULL;

	CHECK(store(c, "env", "A=1\nB=2\n", NULL) == 0 && store(c, "cwd", "/usr", NULL) == 0);
	CHECK(store(c, "user", "daemon", NULL) == 0 && do_start(c, 0, NULL) == 0);
	CHECK(store(c, "env", "A=next\n", NULL) == 0); /* not that of what runs */
	s = session(c, "s", NULL);
	shown = show(s, "env");
	CHECK(shown && strstr(shown, "A=1\n") && strstr(shown, "HOSTNAME=web\n"));
	CHECK_STR(run(s, "sh -c 'echo $A$B $PWD $(id -un) $HOSTNAME'"), "12 /usr daemon web\n");
	CHECK(store(s, "env", "A=3\n", NULL) == 0 && store(s, "cwd", "/tmp", NULL) == 0);
	CHECK(store(s, "user", "root", NULL) == 0);
	CHECK_STR(run(s, "sh -c 'echo $A$B $PWD $(id -un)'"), "3 /tmp root\n");
	CHECK(store(s, "user", "nobody-knows", NULL) == 0);
	CHECK_ERR(do_start(s, 0, &check_err), ENOENT, "nobody-knows");
	CHECK(store(s, "user", "70000", NULL) == 0);
	CHECK_ERR(do_start(s, 0, &check_err), EINVAL, "id map");
	/* Users of the container itself, made while it runs. */
	CHECK(store(s, "user", "root", NULL) == 0);
	run(s, "sh -c 'echo eve:x:77:77::/srv:/bin/sh >> /etc/passwd'");
	CHECK(store(s, "user", "eve", NULL) == 0);
	CHECK_STR(run(s, "sh -c 'echo $(id -u) $HOME'"), "77 /srv\n");
	container_put(s);
	unmake(c); /* and the session with it */
}

static void test_not_running(void)
{
	struct container *c = make("web", "sleep 1000"), *s = session(c, "s", "true");

	CHECK_ERR(do_start(s, 0, &check_err), ESRCH, "web does not run");
	CHECK(state_of(s) == CTN_CREATED);
	CHECK(do_start(c, 0, NULL) == 0 && do_start(s, 0, NULL) == 0 && do_wait(s, 0, NULL) == 0);
	CHECK(life_pause(c, NULL, NULL) == 0);
	CHECK_ERR(do_start(s, 0, &check_err), EBUSY, "paused");
	CHECK(state_of(s) == CTN_EXITED && exit_of(s) == 0);
	CHECK(life_resume(c, NULL, NULL) == 0 && do_start(s, 0, NULL) == 0);
	CHECK(do_kill(c, SIGKILL, NULL) == 0 && do_wait(s, 0, NULL) == 0);
	CHECK_ERR(do_start(s, 0, &check_err), ESRCH, "web does not run");
	container_put(s);
	unmake(c);
}

static void test_pause(void)
{
	struct container *s = session(db, "s", "sh -c 'while echo x; do sleep 0.01; done'");
	struct log_range a, b = {0};

	CHECK(do_start(s, 0, NULL) == 0 && log_shows(s, "x"));
	CHECK_ERR(life_pause(s, NULL, &check_err), 0, "");
	CHECK(state_of(s) == CTN_PAUSED && state_of(db) == CTN_RUNNING);
	CHECK(life_pause(db, NULL, NULL) == 0 && life_resume(db, NULL, NULL) == 0);
	sleep_ms(50); /* what was in the pipe is in the log */
	CHECK(container_log_range(s, LOG_ALL, &a, NULL) == 0);
	sleep_ms(100);
	CHECK(container_log_range(s, LOG_ALL, &b, NULL) == 0 && a.end == b.end);
	CHECK(life_resume(s, NULL, NULL) == 0 && state_of(s) == CTN_RUNNING);
	for (int i = 0; i < PATIENCE_SECS * 50 && a.end == b.end; i++) {
		sleep_ms(20);
		CHECK(container_log_range(s, LOG_ALL, &b, NULL) == 0);
	}
	CHECK(b.end > a.end);
	/* Standing still with its container is no pause of its own; but it cannot end then. */
	CHECK(life_pause(db, NULL, NULL) == 0 && state_of(s) == CTN_RUNNING);
	CHECK_ERR(do_kill(s, SIGKILL, &check_err), EBUSY, "its container is paused");
	CHECK_ERR(do_stop(s, 1, &check_err), EBUSY, "its container is paused");
	CHECK_ERR(end(db, "s"), EBUSY, "its container is paused");
	CHECK(life_resume(db, NULL, NULL) == 0);
	CHECK(life_pause(s, NULL, NULL) == 0 && do_kill(s, SIGKILL, NULL) == 0);
	CHECK(exit_of(s) == 137);
	session_end(db, s);
}

static void test_restart(void)
{
	struct container *s = session(db, "s", "sh -c 'sleep 1000 & echo ready; wait'");
	pid_t first;

	CHECK(do_start(s, 0, NULL) == 0 && log_shows(s, "ready"));
	first = init_of(s);
	CHECK_ERR(do_restart(s, 0, &check_err), 0, "");
	CHECK(state_of(s) == CTN_RUNNING && init_of(s) != first);
	CHECK(do_stop(s, 10, NULL) == 0 && exit_of(s) == 143);
	CHECK(count_procs(db) == 1);
	session_end(db, s);
}

enum { MANY = 50 };

static void test_many(void)
{
	struct container *s[MANY];
	struct waiter w[MANY];
	int r[MANY];
	char name[16], cmd[64];

	for (int i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "s%d", i);
		snprintf(cmd, sizeof(cmd), "sh -c 'echo I am %d; exit %d'", i, i);
		s[i] = session(db, name, cmd);
	}
	for (int i = 0; i < MANY; i++) {
		waiter_init(&w[i]);
		r[i] = life_start(s[i], &w[i].w, NULL);
	}
	for (int i = 0; i < MANY; i++) {
		CHECK_ERR(waiter_result(&w[i], r[i], &check_err), 0, "");
		CHECK(do_wait(s[i], 0, NULL) == 0 && exit_of(s[i]) == i);
		snprintf(cmd, sizeof(cmd), "I am %d\n", i);
		CHECK_STR(log_of(s[i]), cmd);
	}
	CHECK(count_procs(db) == 1 && count_children(db) == 0);
	for (int i = 0; i < MANY; i++)
		session_end(db, s[i]);
}

static void test_limit(void)
{
	struct container *c = make("web", NULL), *s = NULL;
	struct rlimit files, raised;
	char name[16];

	CHECK(getrlimit(RLIMIT_NOFILE, &files) == 0);
	raised = files;
	raised.rlim_cur = files.rlim_max;
	CHECK(setrlimit(RLIMIT_NOFILE, &raised) == 0);
	for (int i = 0; i < SESSIONS_MAX; i++) {
		snprintf(name, sizeof(name), "s%d", i);
		CHECK(container_session_create(c, name, &s, NULL) == 0);
		container_put(s);
	}
	CHECK_ERR(container_session_create(c, "one-more", &s, &check_err), ENOSPC, "rmdir one");
	CHECK_ERR(end(c, "s7"), 0, "");
	CHECK_ERR(container_session_create(c, "one-more", &s, &check_err), 0, "");
	container_put(s);
	unmake(c);
	CHECK(setrlimit(RLIMIT_NOFILE, &files) == 0);
}

static const struct check_test tests[] = {
	{"made, found, listed, removed", test_make},
	{"names", test_names},
	{"a run", test_run},
	{"inside", test_inside},
	{"with clocks and id maps of its own", test_clock},
	{"env, cwd, user", test_settings},
	{"of a container that does not run", test_not_running},
	{"pause", test_pause},
	{"restart", test_restart},
	{"many at once", test_many},
	{"how many", test_limit},
};

int main(void)
{
	int r;

	fixture_begin();
	db = make("db", "sleep 1000");
	CHECK_ERR(do_start(db, 0, &check_err), 0, "");
	r = check_run(tests, CTN_COUNT(tests));
	unmake(db);
	return fixture_end(r);
}
