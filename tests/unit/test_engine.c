/* SPDX-License-Identifier: Apache-2.0 */
/* The engine without a file system: its containers, their configuration, several at once, and what
 * the next server finds. test_life.c has the verbs. */
#include "engine.h"

#include <pthread.h>
#include <sys/mman.h>

#include "engine_fixture.h"

static void test_registry(void)
{
	struct container *a = make("b-one", NULL), *b = make("a.two", NULL), *other = NULL;
	struct container **list = NULL;
	struct container_view v;
	size_t n = 0;

	CHECK_ERR(container_create(engine, "b-one", &other, &check_err), EEXIST, "b-one");
	CHECK_ERR(container_create(engine, "new", &other, &check_err), EINVAL, "tree itself");
	CHECK_ERR(container_create(engine, "a/b", &other, &check_err), EINVAL, "cannot be");
	CHECK(!other && !container_find(engine, "none") && !container_find_serial(engine, 12345));
	other = container_find(engine, "b-one");
	CHECK(other == a);
	container_put(other);
	other = container_find_serial(engine, container_serial(b));
	CHECK(other == b && container_serial(a) && container_serial(a) != container_serial(b));
	container_put(other);
	CHECK(container_list(engine, &list, &n) == 0 && n == 2 && list[0] == b && list[1] == a);
	for (size_t i = 0; i < n; i++)
		container_put(list[i]);
	free(list);
	container_view_get(a, &v);
	CHECK(strlen(v.id) == CTN_ID_LEN && v.state == CTN_CREATED && !v.has_exit && !v.init);
	CHECK(v.uid_base >= IDS_BASE && v.uid_base < IDS_BASE + IDS_COUNT && !v.running);
	container_view_put(&v);
	unmake(a);
	unmake(b);
	CHECK_ERR(container_remove(engine, "b-one", &check_err), ENOENT, "b-one");
	container_put(NULL);
}

static void test_rename(void)
{
	struct container *a = make("a", NULL), *b = make("b", NULL), *c;
	ctn_autofree char *path = NULL, *again = NULL;

	CHECK(container_layer_path(a, &path, NULL) == 0);
	CHECK_ERR(container_rename(engine, "a", "b", &check_err), EEXIST, "b");
	CHECK_ERR(container_rename(engine, "none", "x", &check_err), ENOENT, "none");
	CHECK_ERR(container_rename(engine, "a", "stats", &check_err), EINVAL, "stats");
	CHECK(container_rename(engine, "a", "a", NULL) == 0);
	CHECK(container_rename(engine, "a", "z", NULL) == 0);
	CHECK(!container_find(engine, "a"));
	c = container_find(engine, "z");
	CHECK(c == a);
	container_put(c);
	CHECK(container_layer_path(a, &again, NULL) == 0);
	CHECK_STR(again, path);
	CHECK(container_rename(engine, "b", "a", NULL) == 0);
	unmake(a);
	unmake(b);
}

/* What container_show() prints. */
static char *shown(struct container *c, const char *field)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	CHECK(container_show(c, spec_field_find(field), out, NULL) == 0);
	fclose(out);
	return text;
}

static void check_shown(struct container *c, const char *field, const char *want)
{
	ctn_autofree char *text = shown(c, field);

	CHECK_STR(text, want);
}

static char *pending(struct container *c)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	CHECK(container_print_pending(c, out, NULL) == 0);
	fclose(out);
	return text;
}

static void test_store(void)
{
	const struct spec_field *env = spec_field_find("env"), *cwd = spec_field_find("cwd");
	struct container *c = make("db", "true");
	struct spec *base = NULL;
	ctn_autofree char *nothing = NULL;

	CHECK(container_store(c, env, NULL, "A=1\n", 4, SPEC_REPLACE, &base, NULL) == 0);
	CHECK(store(c, "cwd", "/tmp\n", NULL) == 0);
	CHECK(container_store(c, env, base, "B=2\n", 4, SPEC_AMEND, NULL, NULL) == 0);
	CHECK(container_store(c, env, base, "C=3\n", 4, SPEC_AMEND, NULL, NULL) == 0);
	check_shown(c, "cwd", "/tmp\n");
	check_shown(
		c, "env",
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\nHOME=/root\n"
		"HOSTNAME=db\nTERM=xterm\nA=1\nC=3\n");
	CHECK(store(c, "env", "D=4", NULL) == 0 && container_restore(c, env, base, NULL) == 0);
	CHECK_ERR(store(c, "env", "x", &check_err), EINVAL, "env:");
	CHECK_ERR(container_store(c, cwd, NULL, "/a\0b", 4, SPEC_REPLACE, NULL, &check_err), EINVAL,
		  "NUL");
	nothing = calloc(1, SPEC_TEXT_MAX + 2);
	memset(nothing, '\n', SPEC_TEXT_MAX + 1);
	CHECK_ERR(container_store(c, cwd, NULL, nothing, SPEC_TEXT_MAX + 1, SPEC_REPLACE, NULL,
				  &check_err),
		  EFBIG, "cwd: more than");
	check_shown(c, "cwd", "/tmp\n");
	spec_put(base);
	engine_again(); /* what was stored is there for the next server */
	container_put(c);
	c = container_find(engine, "db");
	check_shown(c, "cmd", "true\n");
	check_shown(c, "cwd", "/tmp\n");
	unmake(c);
}

static void test_restored_hostname(void)
{
	struct container *c = make("db", NULL);
	struct container_view v;

	container_view_get(c, &v);
	CHECK(store(c, "hostname", "other", NULL) == 0);
	CHECK(container_restore(c, spec_field_find("hostname"), v.spec, NULL) == 0);
	container_view_put(&v);
	CHECK(container_rename(engine, "db", "web", NULL) == 0);
	check_shown(c, "hostname", "web\n");
	unmake(c);
}

static void test_pending(void)
{
	struct container *c = make("db", "sleep 100");
	ctn_autofree char *before = NULL, *after = NULL;

	CHECK(do_start(c, 0, NULL) == 0);
	CHECK_ERR(store(c, "cmd", "true", &check_err), EBUSY, "running");
	CHECK_ERR(store(c, "ns/net", "host", &check_err), EBUSY, "ns/net");
	before = pending(c);
	CHECK_STR(before, "");
	CHECK(store(c, "cwd", "/tmp", NULL) == 0 && store(c, "log.max", "4096", NULL) == 0);
	check_shown(c, "cwd", "/\n");
	check_shown(c, "log.max", "4096\n");
	after = pending(c);
	CHECK_STR(after, "cwd /tmp\n");
	CHECK(do_kill(c, SIGKILL, NULL) == 0);
	check_shown(c, "cwd", "/tmp\n");
	CHECK(store(c, "cmd", "true", NULL) == 0);
	unmake(c);
}

static void test_second_engine(void)
{
	struct engine_options bad = options;
	struct engine *second = NULL;

	CHECK_ERR(engine_new(&options, &second, &check_err), EBUSY, "another ctnfs");
	bad.state = "relative";
	CHECK_ERR(engine_new(&bad, &second, &check_err), EINVAL, "absolute");
	bad = options;
	bad.subid_count = 65535;
	CHECK_ERR(engine_new(&bad, &second, &check_err), EINVAL, "subid");
	CHECK(!second);
	engine_free(NULL);
}

/* --- several at once --- */

enum { THREADS = 8, LIVES = 20 };

static void *live(void *arg)
{
	for (int i = 0; i < LIVES; i++) {
		struct container *c = NULL;
		struct ctn_err err = {0};
		char name[32];
		int r;

		snprintf(name, sizeof(name), "t%ld-%d", (long)(intptr_t)arg, i);
		r = container_create(engine, name, &c, &err);
		if (r == 0)
			r = store(c, "cmd", "true", &err);
		if (r == 0)
			r = do_start(c, 0, &err);
		if (r == 0)
			r = do_wait(c, 0, &err);
		if (r == 0 && exit_of(c) != 0)
			r = ctn_fail(&err, EIO, "exit %d", exit_of(c));
		if (c) {
			struct ctn_err why = {0};

			if (container_remove(engine, name, &why) < 0 && r == 0)
				r = ctn_fail(&err, why.code, "remove: %s", why.text);
		}
		container_put(c);
		if (r < 0) {
			printf("# %s: %s\n", name, err.text);
			return arg;
		}
	}
	return NULL;
}

static void test_many(void)
{
	pthread_t threads[THREADS];
	void *failed;

	for (long i = 0; i < THREADS; i++)
		CHECK(pthread_create(&threads[i], NULL, live, (void *)(intptr_t)(i + 1)) == 0);
	for (int i = 0; i < THREADS; i++) {
		pthread_join(threads[i], &failed);
		CHECK(!failed);
	}
}

static void *write_often(void *arg)
{
	for (int i = 0; i < 60; i++)
		(void)store(arg, i % 2 ? "start" : "init", i % 4 < 2 ? "0" : "1", NULL);
	return NULL;
}

/* Its configuration changes while others look for it and its neighbours. */
static void test_find_and_store(void)
{
	struct container *a = make("a", NULL), *b = make("b", NULL);
	pthread_t threads[2];
	unsigned missed = 0;

	CHECK(pthread_create(&threads[0], NULL, write_often, a) == 0);
	CHECK(pthread_create(&threads[1], NULL, write_often, b) == 0);
	for (int i = 0; i < 20000; i++) {
		struct container *c = container_find(engine, i % 2 ? "a" : "b");

		missed += !c;
		container_put(c);
	}
	pthread_join(threads[0], NULL);
	pthread_join(threads[1], NULL);
	CHECK(missed == 0);
	unmake(a);
	unmake(b);
}

/* --- the next server --- */

static void test_adopt(void)
{
	struct container *c = make("db", "sh -c 'echo one; read x; exit 7'");
	struct container *gone = make("gone", "sleep 0.3"), *fresh = make("fresh", "true");
	pid_t pid;

	CHECK(do_start(c, 0, NULL) == 0 && do_start(gone, 0, NULL) == 0);
	CHECK(log_shows(c, "one"));
	pid = init_of(c);
	container_put(c);
	container_put(gone);
	container_put(fresh);
	engine_free(engine);
	engine = NULL;
	sleep_ms(600);
	engine_up();
	c = container_find(engine, "db");
	gone = container_find(engine, "gone");
	fresh = container_find(engine, "fresh");
	CHECK(c && state_of(c) == CTN_RUNNING && init_of(c) == pid);
	CHECK_STR(log_of(c), "one\n");
	CHECK(gone && state_of(gone) == CTN_EXITED && exit_of(gone) == 0);
	CHECK(fresh && state_of(fresh) == CTN_CREATED);
	CHECK_ERR(store(c, "cmd", "true", &check_err), EBUSY, "running");
	CHECK(do_kill(c, SIGKILL, NULL) == 0 && exit_of(c) == 137);
	unmake(c);
	unmake(gone);
	unmake(fresh);
}

static void test_adopt_paused(void)
{
	struct container *c = make("db", "sleep 100");

	CHECK(do_start(c, 0, NULL) == 0 && life_pause(c, NULL, NULL) == LIFE_DONE);
	container_put(c);
	engine_again();
	c = container_find(engine, "db");
	CHECK(c && state_of(c) == CTN_PAUSED);
	CHECK(life_resume(c, NULL, NULL) == LIFE_DONE && state_of(c) == CTN_RUNNING);
	unmake(c);
}

/* A state directory that cannot be understood is left alone, and said. */
static void test_adopt_damaged(void)
{
	struct container *c = make("db", NULL);
	struct container_view v;
	ctn_autofree char *path = NULL, *kept = NULL, *errors = NULL;
	size_t len;
	FILE *out;

	container_view_get(c, &v);
	CHECK(asprintf(&path, "%s/%s/spec", options.state, v.id) > 0);
	container_view_put(&v);
	container_put(c);
	CHECK(io_read_at(AT_FDCWD, path, 65536, &kept, NULL, NULL) == 0);
	CHECK(truncate(path, 20) == 0);
	engine_again();
	CHECK(!container_find(engine, "db") && access(path, F_OK) == 0);
	out = open_memstream(&errors, &len);
	engine_print_errors(engine, out);
	fclose(out);
	CHECK(strstr(errors, "EINVAL") && strstr(errors, "damaged"));
	CHECK(truncate(path, 0) == 0 && io_write_at(AT_FDCWD, path, kept, NULL) == 0);
	engine_again();
	c = container_find(engine, "db");
	CHECK(c);
	if (c)
		unmake(c);
}

static const struct check_test tests[] = {
	{"names and serials", test_registry},
	{"rename", test_rename},
	{"store and show", test_store},
	{"a restored host name follows the name", test_restored_hostname},
	{"pending", test_pending},
	{"a second engine", test_second_engine},
	{"many lives at once", test_many},
	{"finding while others write", test_find_and_store},
	{"the next server adopts", test_adopt},
	{"the next server adopts a paused one", test_adopt_paused},
	{"the next server and a damaged record", test_adopt_damaged},
};

int main(void)
{
	fixture_begin();
	return fixture_end(check_run(tests, CTN_COUNT(tests)));
}
