/* SPDX-License-Identifier: Apache-2.0 */
/* rootfs, rlimits, sysctl, devices, paths, mounts as lists, oom_score_adj, tty. */
#include <stdlib.h>

#include "check.h"
#include "cleanup.h"
#include "spec.h"
#include "spec_lines.h"

/* The field's text after @text was written to a fresh spec, or after @before was. */
static char *after(const char *field, const char *before, const char *text, enum spec_write how)
{
	const struct spec_field *f = spec_field_find(field);
	struct spec *s = spec_new("db");
	static char *kept;
	char *shown = NULL;

	CHECK(!before || f->store(s, f, before, SPEC_REPLACE, NULL) == 0);
	CHECK(f->store(s, f, text, how, NULL) == 0);
	CHECK(spec_field_text(s, f, &shown, NULL) == 0);
	spec_put(s);
	free(kept);
	kept = shown;
	return shown;
}

static const struct {
	const char *field, *before, *text, *shown;
} amended[] = {
	{"rlimits", NULL, "nofile 1024 4096\nRLIMIT_CORE 0\n", "nofile 1024 4096\ncore 0 0\n"},
	{"rlimits", "nofile 1 2\ncore 0 0\n", "nofile 3 max\n", "core 0 0\nnofile 3 max\n"},
	{"rlimits", "nofile 1 2\ncore 0 0\n", "-nofile\n", "core 0 0\n"},
	{"rlimits", "nofile 1 2\n", "-nofile", "\n"},
	{"rlimits", NULL, "STACK unlimited\n", "stack max max\n"},
	{"sysctl", NULL, "net.core.somaxconn=1024", "net.core.somaxconn = 1024\n"},
	{"sysctl", NULL, "net/ipv4/conf/eth0.1/forwarding = 1",
	 "net/ipv4/conf/eth0.1/forwarding = 1\n"},
	{"sysctl", "kernel.shmmax = 1\n", "kernel.sem = 250  32000 32 128\nkernel.shmmax = 2",
	 "kernel.sem = 250  32000 32 128\nkernel.shmmax = 2\n"},
	{"sysctl", "kernel.shmmax = 1\n", "-kernel.shmmax", "\n"},
	{"mounts", NULL, "/a /b none bind\n# no\n\n-/tmp\n", "/a /b none bind 0 0\n-/tmp\n"},
	{"mounts", "-/tmp\n", "tmpfs /tmp tmpfs size=1m", "tmpfs /tmp tmpfs size=1m 0 0\n"},
	{"mounts", "/a /tmp none bind\n", "-/tmp", "-/tmp\n"},
	{"mounts", "/a /b none bind\n", "-/b", "\n"},
	{"mounts", "/a /b none bind\n", "/c /b none bind", "/c /b none bind 0 0\n"},
	{"mounts", "-/tmp\n", "-/tmp", "-/tmp\n"},
	{"devices", "c 1:3 rw /dev/null\n", "c 10:200 rwm /dev/net/tun 0660 0:5\nb 7:* r",
	 "c 1:3 rw /dev/null\nc 10:200 rwm /dev/net/tun 0660 0:5\nb 7:* r\n"},
	{"devices", "c 1:3 rw /dev/null\nc 136:* rw\n", "-/dev/null\n-c 136:*", "\n"},
	{"devices", "c 1:3 rw /dev/null\n", "c 1:3 r /dev/null", "c 1:3 r /dev/null\n"},
	{"devices", "c 1:3 rw /dev/null\n", "c 1:3 m", "c 1:3 rw /dev/null\nc 1:3 m\n"},
	{"devices", "c 1:3 rw\n", "a *:* wmr", "c 1:3 rw\na *:* rwm\n"},
	{"paths", "masked /a\nreadonly /b c\n", "readonly /a", "readonly /b c\nreadonly /a\n"},
	{"paths", "masked /a\n", "-/a", "\n"},
	{"paths", "masked /a b\nmasked /a c\nmasked /a\n", "-/a b", "masked /a c\nmasked /a\n"},
	{"paths", "masked /a b\nmasked /a\n", "-/a", "masked /a b\n"},
};

static void test_amended(void)
{
	for (size_t i = 0; i < CTN_COUNT(amended); i++) {
		CHECK_STR(after(amended[i].field, amended[i].before, amended[i].text, SPEC_AMEND),
			  amended[i].shown);
		/* What is read may be written. */
		CHECK_STR(after(amended[i].field, NULL, amended[i].shown, SPEC_REPLACE),
			  amended[i].shown);
	}
}

static const struct {
	const char *field, *text, *shown;
} replaced[] = {
	{"rootfs", "/srv/alpine ro", "/srv/alpine ro\n"},
	{"rootfs", "/srv/alpine", "/srv/alpine overlay\n"},
	{"rootfs", "/srv/al pine  rw", "/srv/al pine rw\n"},
	{"rootfs", "/srv/al ro ro", "/srv/al ro ro\n"},
	{"rootfs", "host", "host overlay\n"},
	{"rootfs", "", "host overlay\n"},
	{"oom_score_adj", "-1000", "-1000\n"},
	{"oom_score_adj", "1000", "1000\n"},
	{"tty", "1", "1\n"},
	{"paths", "", "\n"},
	{"devices", "# none\n", "\n"},
};

static void test_replaced(void)
{
	for (size_t i = 0; i < CTN_COUNT(replaced); i++) {
		CHECK_STR(after(replaced[i].field, NULL, replaced[i].text, SPEC_REPLACE),
			  replaced[i].shown);
		CHECK_STR(after(replaced[i].field, NULL, replaced[i].shown, SPEC_REPLACE),
			  replaced[i].shown);
	}
}

/* The lists that begin with something are in their own canonical form. */
static void test_defaults(void)
{
	static const char *const lists[] = {"devices", "paths", "mounts", "rlimits", "sysctl"};

	for (size_t i = 0; i < CTN_COUNT(lists); i++) {
		const struct spec_field *f = spec_field_find(lists[i]);
		struct spec *s = spec_new("db");
		ctn_autofree char *text = NULL;

		CHECK(spec_field_text(s, f, &text, NULL) == 0);
		CHECK_STR(after(lists[i], NULL, text, SPEC_REPLACE), text);
		spec_put(s);
	}
}

static const struct {
	const char *field, *text;
	int code;
	const char *sentence;
} bad[] = {
	{"rootfs", "srv/alpine", EINVAL, "'srv/alpine' is not an absolute path"},
	{"rootfs", "/", EINVAL, "absolute path"},
	{"rootfs", "/a/../b", EINVAL, ". or .."},
	{"rootfs", "/a//b", EINVAL, "absolute path"},
	{"rootfs", "host rw", EINVAL, "host is always an overlay"},
	{"rootfs", "host ro", EINVAL, "host is always an overlay"},
	{"rootfs", "oci:/srv/layout:latest", EOPNOTSUPP, "unpack it"},
	{"oom_score_adj", "", EINVAL, "oom_score_adj"},
	{"oom_score_adj", "1001", ERANGE, "oom_score_adj"},
	{"oom_score_adj", "-1001", ERANGE, "oom_score_adj"},
	{"oom_score_adj", "+5", EINVAL, "oom_score_adj"},
	{"oom_score_adj", "1.5", EINVAL, "oom_score_adj"},
	{"tty", "2", EINVAL, "tty"},
	{"tty", "yes", EINVAL, "tty"},
	{"rlimits", "nofile", EINVAL, "a name, a soft and a hard limit"},
	{"rlimits", "nofile 1 2 3", EINVAL, "a name, a soft and a hard limit"},
	{"rlimits", "files 1 2", EINVAL, "'files' is no limit"},
	{"rlimits", "nofile 2 1", EINVAL, "soft limit 2 is above the hard limit 1"},
	{"rlimits", "nofile max 1", EINVAL, "above the hard limit"},
	{"rlimits", "nofile -1 1", EINVAL, "nofile"},
	{"rlimits", "nofile 1k 1k", EINVAL, "nofile"},
	{"rlimits", "nofile 18446744073709551616 max", ERANGE, "nofile"},
	{"rlimits", "-nofile", EINVAL, "no line for 'nofile'"},
	{"rlimits", "-", EINVAL, "no line for ''"},
	{"sysctl", "net.core.somaxconn", EINVAL, "a name and a value"},
	{"sysctl", "= 1", EINVAL, "a name and a value"},
	{"sysctl", "net.core.somaxconn =", EINVAL, "needs a value"},
	{"sysctl", "net..x = 1", EINVAL, "empty part"},
	{"sysctl", "net/../kernel/core_pattern = x", EINVAL, "dots"},
	{"sysctl", "net.x/../../kernel.core_pattern = x", EINVAL, ""},
	{"sysctl", "/net/core/somaxconn = 1", EINVAL, "empty part"},
	{"sysctl", "net.core.some conn = 1", EINVAL, "no name of a setting"},
	{"sysctl", "net.core.\xff = 1", EINVAL, "no name of a setting"},
	{"sysctl", "kernel.core_pattern = x", EINVAL, "belongs to no namespace"},
	{"sysctl", "vm.swappiness = 1", EINVAL, "belongs to no namespace"},
	{"sysctl", "netx.y = 1", EINVAL, "belongs to no namespace"},
	{"sysctl", "kernel.shmmaxi = 1", EINVAL, "belongs to no namespace"},
	{"sysctl", "fs.mqueue = 1", EINVAL, "belongs to no namespace"},
	{"devices", "c", EINVAL, "c 1:3 rwm /dev/null"},
	{"devices", "c 1:3", EINVAL, "c 1:3 rwm /dev/null"},
	{"devices", "d 1:3 rwm", EINVAL, "c 1:3 rwm /dev/null"},
	{"devices", "cc 1:3 rwm", EINVAL, "c 1:3 rwm /dev/null"},
	{"devices", "c 13 rwm", EINVAL, "'13' is no MAJOR:MINOR"},
	{"devices", "c 1:x rwm", EINVAL, "number"},
	{"devices", "c -1:3 rwm", ERANGE, "number"},
	{"devices", "c 4096:3 rwm", ERANGE, "number"},
	{"devices", "c 1:1048576 rwm", ERANGE, "number"},
	{"devices", "c 1:3 rwx", EINVAL, "not r, w and m"},
	{"devices", "c 1:3 rr", EINVAL, "not r, w and m"},
	{"devices", "c 1:* rw /dev/x", EINVAL, "a type and two numbers"},
	{"devices", "a 1:3 rw /dev/x", EINVAL, "a type and two numbers"},
	{"devices", "c 1:3 rw dev/null", EINVAL, "not an absolute path"},
	{"devices", "c 1:3 rw /etc/null", EINVAL, "not below /dev"},
	{"devices", "c 1:3 rw /dev/../etc/x", EINVAL, ". or .."},
	{"devices", "c 1:3 rw /dev/x 0999", EINVAL, "no octal mode"},
	{"devices", "c 1:3 rw /dev/x 4755", EINVAL, "no octal mode"},
	{"devices", "c 1:3 rw /dev/x 0666 root", EINVAL, "no UID:GID"},
	{"devices", "c 1:3 rw /dev/x 0666 4294967295:0", ERANGE, "uid"},
	{"devices", "c 1:3 rw /dev/x 0666 0:0 x", EINVAL, "c 1:3 rwm"},
	{"devices", "c 1:3 rw /dev/x 1 2 3 4 5 6", EINVAL, "too many words"},
	{"devices", "-/dev/none", EINVAL, "no line for '/dev/none'"},
	{"paths", "/proc/kcore", EINVAL, "neither with masked"},
	{"paths", "hidden /proc/kcore", EINVAL, "neither with masked"},
	{"paths", "masked", EINVAL, "not an absolute path"},
	{"paths", "masked proc", EINVAL, "not an absolute path"},
	{"paths", "masked /", EINVAL, "not an absolute path"},
	{"paths", "masked /a/", EINVAL, "not an absolute path"},
	{"paths", "masked /a/./b", EINVAL, ". or .."},
	{"paths", "readonly /a//b", EINVAL, "not an absolute path"},
	{"mounts", "-/data", EINVAL, "no line for '/data'"},
	{"mounts", "/a /b", EINVAL, "fstab(5)"},
};

static void test_bad(void)
{
	for (size_t i = 0; i < CTN_COUNT(bad); i++) {
		const struct spec_field *f = spec_field_find(bad[i].field);
		struct spec *s = spec_new("db");

		CHECK_ERR(f->store(s, f, bad[i].text, SPEC_AMEND, &check_err), bad[i].code,
			  bad[i].sentence);
		CHECK(strstr(check_err.text, bad[i].field)); /* the subject */
		spec_put(s);
	}
}

static void test_many(void)
{
	const struct spec_field *f = spec_field_find("paths");
	struct spec *s = spec_new("db");
	int r = 0;

	for (int i = 0; i <= SPEC_LINES_MAX; i++) {
		char line[32];

		snprintf(line, sizeof(line), "masked /a%d", i);
		r = f->store(s, f, line, i ? SPEC_AMEND : SPEC_REPLACE, &check_err);
	}
	CHECK(r == -E2BIG && strstr(check_err.text, "512 lines"));
	spec_put(s);
}

static void test_sysctl_kinds(void)
{
	static const struct {
		const char *line, *path;
		enum ns_kind kind;
	} rows[] = {
		{"net.ipv4.ip_forward = 1", "net/ipv4/ip_forward", NS_NET},
		{"net.ipv4.conf.eth0/1.mtu = 1", "net/ipv4/conf/eth0.1/mtu", NS_NET},
		{"net/ipv4/conf/eth0.1/mtu = 1", "net/ipv4/conf/eth0.1/mtu", NS_NET},
		{"fs.mqueue.msg_max = 1", "fs/mqueue/msg_max", NS_IPC},
		{"kernel.msgmax = 1", "kernel/msgmax", NS_IPC},
		{"kernel.domainname = x", "kernel/domainname", NS_UTS},
	};

	for (size_t i = 0; i < CTN_COUNT(rows); i++) {
		struct spec_sysctl s = {0};

		CHECK(spec_sysctl_parse(rows[i].line, &s, NULL) == 0);
		CHECK_STR(s.path, rows[i].path);
		CHECK(s.kind == rows[i].kind);
	}
}

static const struct check_test tests[] = {
	{"amended", test_amended}, {"replaced", test_replaced}, {"defaults", test_defaults},
	{"refused", test_bad},	   {"too many", test_many},	{"sysctl", test_sysctl_kinds},
};

int main(void)
{
	return check_run(tests, CTN_COUNT(tests));
}
