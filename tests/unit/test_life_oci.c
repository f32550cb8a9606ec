/* SPDX-License-Identifier: Apache-2.0 */
/* What the runtime-spec can say and no file does, as the program inside has it. */
#include <linux/ioprio.h>
#include <sched.h>
#include <sys/personality.h>
#include <sys/resource.h>

#include "caps.h"
#include "container_private.h"
#include "engine_fixture.h"

#define CAP(n) (UINT64_C(1) << (n))
enum { CHOWN = 0, DAC_OVERRIDE = 1, KILL = 5, NET_BIND = 10, AUDIT_WRITE = 29 };

/* Its spec, to be changed before it is started; nobody else looks at it meanwhile. */
static struct spec *edit(struct container *c)
{
	struct spec *copy = spec_dup(c->spec);

	pthread_mutex_lock(&c->lock);
	spec_put(c->spec);
	c->spec = copy;
	pthread_mutex_unlock(&c->lock);
	CHECK(copy && spec_oci_edit(copy));
	return copy;
}

static struct spec_oci *oci(struct container *c)
{
	return edit(c)->oci;
}

/* All that this run has printed. */
static const char *run(struct container *c)
{
	CHECK(container_log_clear(c, NULL, NULL) == 0);
	CHECK_ERR(do_start(c, 0, &check_err), 0, "");
	CHECK(do_wait(c, 0, NULL) == 0);
	if (exit_of(c) != 0)
		printf("# exit %d: %s\n", exit_of(c), log_of(c));
	CHECK(exit_of(c) == 0);
	return log_of(c);
}

static const char *run_sh(struct container *c, const char *script)
{
	ctn_autofree char *cmd = NULL;

	CHECK(asprintf(&cmd, "sh -c \"%s\"", script) > 0);
	CHECK_ERR(store(c, "cmd", cmd, &check_err), 0, "");
	return run(c);
}

static void test_umask(void)
{
	struct container *c = make("db", NULL);

	CHECK_STR(run_sh(c, "umask"), "0022\n");
	oci(c)->umask = 077;
	CHECK_STR(run_sh(c, "umask"), "0077\n");
	oci(c)->umask = 0;
	CHECK_STR(run_sh(c, "umask; touch /tmp/x; stat -c %a /tmp/x"), "0000\n666\n");
	unmake(c);
}

static void test_groups(void)
{
	struct container *c = make("db", NULL);
	struct spec_oci *o = oci(c);

	o->groups[0] = 5000;
	o->groups[1] = 65535;
	o->groups[2] = 5000;
	o->n_groups = 3;
	CHECK_STR(run_sh(c, "id -G"), "0 5000 65535\n");
	CHECK(store(c, "user", "7:8", NULL) == 0);
	CHECK_STR(run_sh(c, "id -u; id -G"), "7\n8 5000 65535\n");
	o = oci(c);
	o->has_groups = true;
	o->n_groups = 0;
	CHECK(store(c, "user", "daemon", NULL) == 0);
	CHECK_STR(run_sh(c, "id -G"), "1\n");
	o = oci(c);
	o->groups[0] = 65536;
	o->n_groups = 1;
	CHECK_ERR(do_start(c, 0, &check_err), EINVAL, "gid 65536 is not in the container's id map");
	unmake(c);
}

static void test_unmapped_user(void)
{
	struct container *c = make("db", "id");

	CHECK(store(c, "user", "65536", NULL) == 0);
	CHECK_ERR(do_start(c, 0, &check_err), EINVAL, "uid 65536 is not in the container's id map");
	CHECK(store(c, "user", "0:4294967294", NULL) == 0);
	CHECK_ERR(do_start(c, 0, &check_err), EINVAL, "gid 4294967294");
	CHECK(store(c, "user", "65535:65535", NULL) == 0);
	CHECK_STR(run_sh(c, "id -u; id -g"), "65535\n65535\n");
	unmake(c);
}

/* CapInh CapPrm CapEff CapBnd CapAmb of the program itself: execve has been at them. */
static void check_caps(struct container *c, const char *user, uint64_t inh, uint64_t prm,
		       uint64_t eff, uint64_t amb)
{
	const uint64_t sets[] = {inh, prm, eff, c->spec->caps, amb};
	char want[256] = "";

	for (size_t i = 0; i < CTN_COUNT(sets); i++)
		snprintf(want + strlen(want), sizeof(want) - strlen(want), "%016llx\n",
			 (unsigned long long)sets[i]);
	CHECK_ERR(store(c, "user", user, &check_err), 0, "");
	CHECK_STR(run_sh(c, "sed -n 's/^Cap.*:.//p' /proc/self/status"), want);
}

static void test_caps(void)
{
	struct container *c = make("db", NULL);
	const uint64_t some = CAP(KILL) | CAP(NET_BIND) | CAP(AUDIT_WRITE);
	uint64_t *sets;
	struct spec *s;

	check_caps(c, "0", 0, c->spec->caps, c->spec->caps, 0);
	check_caps(c, "1000:1000", 0, 0, 0, 0);
	/* the example of the runtime-spec's text */
	s = edit(c);
	s->caps = some;
	s->oci->has_caps = true;
	sets = s->oci->caps;
	sets[SPEC_CAP_PERMITTED] = sets[SPEC_CAP_INHERITABLE] = some;
	sets[SPEC_CAP_EFFECTIVE] = CAP(AUDIT_WRITE) | CAP(KILL);
	sets[SPEC_CAP_AMBIENT] = CAP(NET_BIND);
	check_caps(c, "1000:1000", some, CAP(NET_BIND), CAP(NET_BIND), CAP(NET_BIND));
	check_caps(c, "0", some, some, some, CAP(NET_BIND));
	/* what root has not, execve does not give it: no_new_privs */
	sets = oci(c)->caps;
	memset(sets, 0, sizeof(c->spec->oci->caps));
	sets[SPEC_CAP_PERMITTED] = sets[SPEC_CAP_EFFECTIVE] = CAP(KILL);
	check_caps(c, "0", 0, CAP(KILL), CAP(KILL), 0);
	check_caps(c, "1000:1000", 0, 0, 0, 0);
	/* taken out of the bounding set later: out of all */
	sets = oci(c)->caps;
	sets[SPEC_CAP_PERMITTED] = sets[SPEC_CAP_EFFECTIVE] = sets[SPEC_CAP_INHERITABLE] =
		sets[SPEC_CAP_AMBIENT] = some;
	CHECK(store(c, "caps", "cap_kill", NULL) == 0);
	check_caps(c, "1000:1000", CAP(KILL), CAP(KILL), CAP(KILL), CAP(KILL));
	unmake(c);
}

static void test_caps_of_the_last(void)
{
	struct container *c = make("db", NULL);
	struct spec *s = edit(c);
	const uint64_t all = caps_all();

	s->caps = all;
	s->oci->has_caps = true;
	for (int i = 0; i < SPEC_CAP_SETS; i++)
		s->oci->caps[i] = all;
	check_caps(c, "1000:1000", all, all, all, all);
	unmake(c);
}

static void test_caps_check(void)
{
	static const struct {
		uint64_t sets[SPEC_CAP_SETS], bounding;
		const char *says;
	} rows[] = {
		{{CAP(0), 0, 0, 0}, CAP(0), "effective has cap_chown, which is not in permitted"},
		{{0, CAP(5), 0, 0}, CAP(0), "permitted has cap_kill, which is not in bounding"},
		{{0, 0, CAP(5), 0}, CAP(0), "inheritable has cap_kill, which is not in bounding"},
		{{0, 0, CAP(5), CAP(5)}, CAP(5), "ambient has cap_kill, which is not in permitted"},
		{{0, CAP(5), 0, CAP(5)},
		 CAP(5),
		 "ambient has cap_kill, which is not in inheritable"},
	};
	struct spec_oci o = {.has_caps = true};
	struct container *c;

	for (size_t i = 0; i < CTN_COUNT(rows); i++) {
		memcpy(o.caps, rows[i].sets, sizeof(o.caps));
		CHECK_ERR(spec_caps_check(&o, rows[i].bounding, &check_err), EINVAL, rows[i].says);
	}
	memset(o.caps, 0xff, sizeof(o.caps));
	CHECK(spec_caps_check(&o, UINT64_MAX, NULL) == 0);
	o.has_caps = false;
	CHECK(spec_caps_check(&o, 0, NULL) == 0);
	c = make("db", "true");
	oci(c)->has_caps = true;
	c->spec->oci->caps[SPEC_CAP_EFFECTIVE] = CAP(0);
	CHECK_ERR(do_start(c, 0, &check_err), EINVAL, "not in permitted");
	unmake(c);
}

static void test_personality(void)
{
	struct container *c = make("db", NULL);

	CHECK_STR(run_sh(c, "cat /proc/self/personality"), "00000000\n");
	oci(c)->personality = PER_LINUX32;
	CHECK_STR(run_sh(c, "cat /proc/self/personality"), "00000008\n");
	CHECK(strncmp(run_sh(c, "uname -m"), "x86_64", 6) != 0);
	oci(c)->personality = PER_LINUX;
	CHECK_STR(run_sh(c, "cat /proc/self/personality"), "00000000\n");
	unmake(c);
}

static void test_domainname(void)
{
	struct container *c = make("db", NULL);
	ctn_autofree char *before = NULL, *after = NULL;
	const char *path = "/proc/sys/kernel/domainname";

	CHECK(io_read_at(AT_FDCWD, path, 99, &before, NULL, NULL) == 0);
	oci(c)->domainname = strdup("inner.test");
	CHECK_STR(run_sh(c, "cat /proc/sys/kernel/domainname; uname -n"), "inner.test\ndb\n");
	CHECK(store(c, "ns/uts", "host", NULL) == 0);
	CHECK_ERR(do_start(c, 0, &check_err), EINVAL, "domainname: needs its own uts namespace");
	CHECK(io_read_at(AT_FDCWD, path, 99, &after, NULL, NULL) == 0);
	CHECK_STR(after, before);
	unmake(c);
}

static const char *const show_scheduler =
	"exec python3 -c 'import os; print(os.sched_getscheduler(0), os.sched_getparam(0)."
	"sched_priority, os.nice(0))'";

static void test_scheduler(void)
{
	static const struct {
		struct spec_scheduler s;
		const char *shows;
	} rows[] = {
		{{.set = true, .policy = SCHED_OTHER, .nice = 7}, "0 0 7\n"},
		{{.set = true, .policy = SCHED_BATCH, .nice = 3}, "3 0 3\n"},
		{{.set = true, .policy = SCHED_IDLE}, "5 0 0\n"},
		{{.set = true, .policy = SCHED_OTHER, .nice = -5}, "0 0 -5\n"},
		{{.set = true, .policy = SCHED_BATCH, .flags = 1}, "1073741827 0 0\n"},
	};
	struct container *c = make("db", NULL);

	(void)setpriority(PRIO_PROCESS, 0, 0); /* the test may be run by nice(1) */
	CHECK_STR(run_sh(c, show_scheduler), "0 0 0\n");
	for (size_t i = 0; i < CTN_COUNT(rows); i++) {
		oci(c)->scheduler = rows[i].s;
		CHECK_STR(run_sh(c, show_scheduler), rows[i].shows);
	}
	oci(c)->scheduler = (struct spec_scheduler){.set = true, .policy = 77};
	CHECK_ERR(do_start(c, 0, &check_err), EINVAL, "scheduler: policy 77");
	oci(c)->scheduler = (struct spec_scheduler){
		.set = true, .policy = SCHED_OTHER, .priority = 9};
	CHECK_ERR(do_start(c, 0, &check_err), EINVAL, "priority 9");
	unmake(c);
}

/* Given, or refused with a sentence, where the cpu cgroup has no time for it. */
static void test_real_time(void)
{
	struct container *c = make("db", NULL);
	int r;

	oci(c)->scheduler = (struct spec_scheduler){
		.set = true, .policy = SCHED_FIFO, .priority = 10};
	CHECK(store(c, "cmd", "sh -c 'exit 0'", NULL) == 0);
	memset(&check_err, 0, sizeof(check_err));
	r = do_start(c, 0, &check_err);
	if (r < 0) {
		CHECK(r == -EPERM && strstr(check_err.text, "scheduler: policy 1, priority 10"));
	} else {
		CHECK(do_wait(c, 0, NULL) == 0);
		CHECK_STR(run_sh(c, show_scheduler), "1 10 0\n");
	}
	unmake(c);
}

static void test_ioprio(void)
{
	struct container *c = make("db", NULL);

	oci(c)->ioprio = IOPRIO_PRIO_VALUE(IOPRIO_CLASS_BE, 6);
	CHECK_STR(run_sh(c, "ionice"), "best-effort: prio 6\n");
	oci(c)->ioprio = IOPRIO_PRIO_VALUE(IOPRIO_CLASS_IDLE, 0);
	CHECK_STR(run_sh(c, "ionice"), "idle\n");
	oci(c)->ioprio = IOPRIO_PRIO_VALUE(IOPRIO_CLASS_RT, 2);
	CHECK_STR(run_sh(c, "ionice"), "realtime: prio 2\n");
	oci(c)->ioprio = IOPRIO_PRIO_VALUE(5, 0);
	CHECK_ERR(do_start(c, 0, &check_err), EINVAL, "ioPriority: class 5");
	unmake(c);
}

static void test_terminal_size(void)
{
	struct container *c = make("db", NULL);
	struct spec_oci *o = oci(c);

	o->rows = 33;
	o->cols = 99;
	CHECK(store(c, "tty", "1", NULL) == 0);
	CHECK_STR(run_sh(c, "stty size"), "33 99\r\n");
	o = oci(c);
	o->rows = o->cols = 0;
	CHECK_STR(run_sh(c, "stty size"), "0 0\r\n");
	unmake(c);
}

static const struct check_test tests[] = {
	{"umask", test_umask},
	{"supplementary groups", test_groups},
	{"users outside of the id map", test_unmapped_user},
	{"capabilities by set", test_caps},
	{"all capabilities", test_caps_of_the_last},
	{"sets that do not fit together", test_caps_check},
	{"personality", test_personality},
	{"domain name", test_domainname},
	{"scheduler", test_scheduler},
	{"real-time scheduler", test_real_time},
	{"I/O priority", test_ioprio},
	{"size of the terminal", test_terminal_size},
};

int main(void)
{
	fixture_begin();
	return fixture_end(check_run(tests, CTN_COUNT(tests)));
}
