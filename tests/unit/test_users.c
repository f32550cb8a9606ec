/* SPDX-License-Identifier: Apache-2.0 */
#include "users.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "check.h"
#include "cleanup.h"
#include "io.h"

static const char passwd_text[] = "root:x:0:0:root:/root:/bin/sh\n"
				  "daemon:x:1:1::/usr/sbin:/x\n"
				  "redis:x:102:103::/var/lib/redis:/x\n"
				  "4294967296:x:0:0::/evil:/x\n"
				  "1000:x:0:0::/evil:/x\n"
				  "+:x:0:0::/evil:/x\n"
				  "\n"
				  "garbage\n"
				  "minus:x:-1:0::/:/x\n"
				  "hex:x:0x0:0::/:/x\n"
				  "octal:x:00:0::/:/x\n"
				  "none::::::\n"
				  "last:x:4294967294:4294967294::/:/x\n"
				  "max:x:4294967295:0::/:/x\n"
				  "badgid:x:5:huge::/:/x\n"
				  "relative:x:6:6::home:/x\n"
				  "short:x:7:7\n"
				  "twice:x:8:8::/first:/x\n"
				  "twice:x:0:0::/second:/x\n"
				  "web-1.x:x:9:9::/w:/x";

static const char group_text[] = "root:x:0:\n"
				 "redis:x:103:\n"
				 "adm:x:4:root,redis,daemon\n"
				 "tape:x:26:redis\n"
				 "again:x:26:redis\n"
				 "near:x:27:redis2,xredis,redi\n"
				 "www-data:x:33:redis\n"
				 "badnum:x:-1:short\n"
				 "noend:x:50:twice";

static int scratch = -1;

static void put(const char *path, const void *data, size_t len)
{
	ctn_autoclose int fd = openat(scratch, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC,
				      0644);

	CHECK(fd >= 0 && io_write_all(fd, data, len) == 0);
}

static void put_text(const char *path, const char *text)
{
	put(path, text, strlen(text));
}

/* Empty the scratch directory and make a root called @name with an etc. */
static int fresh_root(const char *name)
{
	char path[64];

	CHECK(io_remove_tree_at(scratch, name, NULL) == 0);
	CHECK(mkdirat(scratch, name, 0755) == 0);
	snprintf(path, sizeof(path), "%s/etc", name);
	CHECK(mkdirat(scratch, path, 0755) == 0);
	return openat(scratch, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

static int usual_root(void)
{
	int root = fresh_root("a");

	put_text("a/etc/passwd", passwd_text);
	put_text("a/etc/group", group_text);
	return root;
}

static void check_ids(const int *roots, size_t n, const char *text, uint32_t uid, uint32_t gid,
		      const char *groups, const char *home)
{
	struct users_ids ids = {0};
	char have[1024] = "";
	int r = users_resolve(roots, n, text, &ids, &check_err);

	for (size_t i = 0; i < ids.n_groups && i < USERS_GROUPS_MAX; i++)
		snprintf(have + strlen(have), sizeof(have) - strlen(have), "%s%u", i ? "," : "",
			 ids.groups[i]);
	if (r == 0 && ids.uid == uid && ids.gid == gid && strcmp(have, groups) == 0 &&
	    strcmp(ids.home, home) == 0)
		return;
	printf("# '%s': returned %d, %u:%u, groups %s, home %s\n", text, r, ids.uid, ids.gid, have,
	       ids.home);
	check_failures++;
}

static void check_refusal(const int *roots, size_t n, const char *text, int code)
{
	struct users_ids ids, before;

	memset(&ids, 0x5a, sizeof(ids));
	before = ids;
	CHECK_ERR(users_resolve(roots, n, text, &ids, &check_err), code, "");
	CHECK(strlen(check_err.text) > 10);
	CHECK(memcmp(&ids, &before, sizeof(ids)) == 0);
}

static void test_accepted(void)
{
	static const struct {
		const char *text;
		uint32_t uid, gid;
		const char *groups, *home;
	} rows[] = {
		{"", 0, 0, "4", "/root"},
		{"0", 0, 0, "4", "/root"},
		{"root", 0, 0, "4", "/root"},
		{"root:0", 0, 0, "", "/root"},
		{"1", 1, 1, "4", "/usr/sbin"},
		{"redis", 102, 103, "4,26,33", "/var/lib/redis"},
		{"102", 102, 103, "4,26,33", "/var/lib/redis"},
		{"redis:redis", 102, 103, "", "/var/lib/redis"},
		{"redis:33", 102, 33, "", "/var/lib/redis"},
		{"102:tape", 102, 26, "", "/var/lib/redis"},
		{"1000", 1000, 0, "", "/"}, /* never the line of that name */
		{"1000:1000", 1000, 1000, "", "/"},
		{"4294967294", 4294967294U, 4294967294U, "", "/"},
		{"4294967293:4294967294", 4294967293U, 4294967294U, "", "/"},
		{"last", 4294967294U, 4294967294U, "", "/"},
		{"relative", 6, 6, "", "/"},
		{"twice", 8, 8, "50", "/first"},
		{"web-1.x", 9, 9, "", "/w"},
		{"0:4294967294", 0, 4294967294U, "", "/root"},
	};
	ctn_autoclose int root = usual_root();

	for (size_t i = 0; i < CTN_COUNT(rows); i++) {
		check_ids(&root, 1, rows[i].text, rows[i].uid, rows[i].gid, rows[i].groups,
			  rows[i].home);
		CHECK(users_check(rows[i].text, NULL) == 0);
	}
}

static const char *const no_users[] = {
	"00",
	"01",
	"+1",
	"-1",
	" 1",
	"1 ",
	"4294967295",
	"1<<62",
	"4294967296",
	"0x0",
	"1:",
	":0",
	":",
	"root:",
	"::",
	"1:2:3",
	"root:0:",
	"1.0",
	"1e3",
	"4611686018427387904",
	"18446744073709551616",
	"-0",
	"0:-1",
	"0:00",
	"0:4294967295",
	"0: 1",
	"0:+1",
	"root\n",
	"\nroot",
	"ro ot",
	"../x",
	"a/b",
	"1x",
	"\xc3\xa9",
	"root,x",
	"0:0x0",
	"-root",
	".root",
	"root: x",
	"\t0",
	"00000000000",
	"0:0:",
	"0\n",
};

static void test_syntax(void)
{
	ctn_autoclose int root = usual_root();
	char long_name[400];

	for (size_t i = 0; i < CTN_COUNT(no_users); i++) {
		check_refusal(&root, 1, no_users[i], EINVAL);
		CHECK_ERR(users_check(no_users[i], &check_err), EINVAL, "user '");
	}
	memset(long_name, 'a', sizeof(long_name));
	long_name[256] = '\0';
	check_refusal(&root, 1, long_name, EINVAL);
	long_name[255] = '\0';
	check_refusal(&root, 1, long_name, ENOENT);
}

static void test_unknown(void)
{
	static const char *const names[] = {"nobody",	    "nobody:0", "0:nogroup",
					    "root:nogroup", "1:x",	"redi",
					    "redisx",	    "rEdis",	"garbag"};
	ctn_autoclose int root = usual_root();

	for (size_t i = 0; i < CTN_COUNT(names); i++) {
		check_refusal(&root, 1, names[i], ENOENT);
		CHECK(strstr(check_err.text, "1000:1000"));
		CHECK(users_check(names[i], NULL) == 0);
	}
}

static void test_bad_entries(void)
{
	static const char *const names[] = {"minus",  "hex",	  "octal",   "none",  "max",
					    "badgid", "badgid:1", "garbage", "short", "0:badnum"};
	ctn_autoclose int root = usual_root();

	for (size_t i = 0; i < CTN_COUNT(names); i++) {
		check_refusal(&root, 1, names[i], EINVAL);
		CHECK(strstr(check_err.text, "the entry of"));
	}
}

static void test_limits(void)
{
	ctn_autoclose int root = fresh_root("a");
	ctn_autofree char *text = NULL;
	char line[USERS_HOME_MAX + 64], home[USERS_HOME_MAX + 1];
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	memset(home, 'h', sizeof(home));
	home[0] = '/';
	home[USERS_HOME_MAX] = '\0';
	snprintf(line, sizeof(line), "u:x:1:1::%s:/x\n", home);
	put_text("a/etc/passwd", line);
	check_refusal(&root, 1, "u", EINVAL);
	CHECK(strstr(check_err.text, "home"));
	home[USERS_HOME_MAX - 1] = '\0';
	snprintf(line, sizeof(line), "u:x:1:1::%s:/x\n", home);
	put_text("a/etc/passwd", line);
	check_ids(&root, 1, "u", 1, 1, "", home);

	put_text("a/etc/passwd", "u:x:1:1::/:/x\n");
	for (int i = 0; i < USERS_GROUPS_MAX; i++)
		fprintf(f, "g%d:x:%d:u\n", i, 100 + i);
	fflush(f);
	put("a/etc/group", text, len);
	{
		struct users_ids ids = {0};

		CHECK(users_resolve(&root, 1, "u", &ids, NULL) == 0);
		CHECK(ids.n_groups == USERS_GROUPS_MAX && ids.groups[63] == 163);
	}
	fputs("more:x:999:v,u\n", f);
	fclose(f);
	put("a/etc/group", text, len);
	check_refusal(&root, 1, "u", EINVAL);
	CHECK(strstr(check_err.text, "user:group"));
	check_ids(&root, 1, "u:7", 1, 7, "", "/");
}

static void test_layers(void)
{
	int roots[3] = {fresh_root("a"), fresh_root("b"), usual_root()};

	/* usual_root() made "a" anew */
	close(roots[0]);
	roots[0] = fresh_root("c");
	check_ids(roots, 3, "redis", 102, 103, "4,26,33", "/var/lib/redis");
	put_text("b/etc/passwd", "redis:x:7:8::/b:/x\n");
	check_ids(roots, 3, "redis", 7, 8, "4,26,33", "/b"); /* each file from its own layer */
	put_text("c/etc/group", "x:x:77:redis\n");
	check_ids(roots, 3, "redis", 7, 8, "77", "/b");
	check_refusal(roots, 3, "daemon", ENOENT); /* layers are not merged */
	check_ids(roots, 0, "5", 5, 0, "", "/");
	check_refusal(roots, 0, "root", ENOENT);
	for (size_t i = 0; i < CTN_COUNT(roots); i++)
		close(roots[i]);
}

static void test_hidden(void)
{
	int roots[2] = {usual_root(), fresh_root("b")};
	int order[2] = {roots[1], roots[0]}; /* "b" is the upper one */

	check_ids(order, 2, "redis", 102, 103, "4,26,33", "/var/lib/redis");
	if (mknodat(scratch, "b/etc/passwd", S_IFCHR, makedev(0, 0)) == 0) {
		check_refusal(order, 2, "redis", ENOENT); /* deleted in the upper layer */
		check_ids(order, 2, "0", 0, 0, "", "/");
		unlinkat(scratch, "b/etc/passwd", 0);
		unlinkat(scratch, "b/etc", AT_REMOVEDIR);
		CHECK(mknodat(scratch, "b/etc", S_IFCHR, makedev(0, 0)) == 0);
		check_refusal(order, 2, "redis", ENOENT);
		unlinkat(scratch, "b/etc", 0);
	} else {
		puts("# skipped: no whiteouts can be made here");
		unlinkat(scratch, "b/etc", AT_REMOVEDIR);
	}
	check_ids(order, 2, "102", 102, 103, "4,26,33", "/var/lib/redis");
	put_text("b/etc", "a file");
	check_refusal(order, 2, "redis", ENOENT);
	unlinkat(scratch, "b/etc", 0);
	CHECK(mkdirat(scratch, "b/etc", 0755) == 0);
	{
		ctn_autoclose int etc = openat(scratch, "b/etc",
					       O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		if (fsetxattr(etc, "trusted.overlay.opaque", "y", 1, 0) == 0)
			check_refusal(order, 2, "redis", ENOENT);
		else
			puts("# skipped: no trusted attributes here");
	}
	close(roots[0]);
	close(roots[1]);
}

static void test_links(void)
{
	ctn_autoclose int root = fresh_root("a");

	put_text("secret", "host:x:5:5::/:/x\n");
	CHECK(symlinkat("../../../../../../../etc/passwd", scratch, "a/etc/passwd") == 0);
	check_refusal(&root, 1, "root", EINVAL); /* itself, seen from inside: a loop */
	unlinkat(scratch, "a/etc/passwd", 0);
	CHECK(symlinkat("../../secret", scratch, "a/etc/passwd") == 0);
	check_refusal(&root, 1, "host", EINVAL);
	unlinkat(scratch, "a/etc/passwd", 0);
	CHECK(symlinkat("/proc/self/exe", scratch, "a/etc/passwd") == 0);
	check_refusal(&root, 1, "0", EINVAL);
	unlinkat(scratch, "a/etc/passwd", 0);
	CHECK(symlinkat("/etc/real", scratch, "a/etc/passwd") == 0);
	put_text("a/etc/real", "inside:x:5:6::/:/x\n");
	check_ids(&root, 1, "inside", 5, 6, "", "/");
}

static void test_not_regular(void)
{
	static const struct {
		const char *what;
		mode_t mode;
		unsigned maj, min;
	} rows[] = {
		{"fifo", S_IFIFO | 0666, 0, 0},	    {"socket", S_IFSOCK | 0666, 0, 0},
		{"null", S_IFCHR | 0666, 1, 3},	    {"zero", S_IFCHR | 0666, 1, 5},
		{"terminal", S_IFCHR | 0666, 5, 0}, {"disk", S_IFBLK | 0666, 254, 0},
	};
	ctn_autoclose int root = fresh_root("a");

	alarm(10); /* opening a fifo would wait for ever */
	for (size_t i = 0; i < CTN_COUNT(rows); i++) {
		if (mknodat(scratch, "a/etc/passwd", rows[i].mode,
			    makedev(rows[i].maj, rows[i].min)) < 0) {
			printf("# skipped: %s: %s\n", rows[i].what, strerror(errno));
			continue;
		}
		check_refusal(&root, 1, "root", EINVAL);
		CHECK(strstr(check_err.text, "regular file"));
		check_refusal(&root, 1, "0", EINVAL);
		unlinkat(scratch, "a/etc/passwd", 0);
	}
	CHECK(mkdirat(scratch, "a/etc/passwd", 0755) == 0);
	check_refusal(&root, 1, "root", EINVAL);
	alarm(0);
}

static void test_sizes(void)
{
	ctn_autoclose int root = fresh_root("a");
	ctn_autoclose int fd = openat(scratch, "a/etc/passwd", O_RDWR | O_CREAT | O_CLOEXEC, 0644);

	CHECK(ftruncate(fd, INT64_C(10) << 30) == 0);
	check_refusal(&root, 1, "root", EINVAL);
	CHECK(ftruncate(fd, (10 << 20) + 1) == 0);
	check_refusal(&root, 1, "root", EINVAL);
	CHECK(ftruncate(fd, 10 << 20) == 0); /* one line of NULs */
	check_refusal(&root, 1, "root", ENOENT);
	CHECK(ftruncate(fd, 0) == 0);
	check_refusal(&root, 1, "root", ENOENT);
	check_ids(&root, 1, "", 0, 0, "", "/");
}

static void test_bytes(void)
{
	static const char text[] = "ro\0ot:x:1:1::/:/x\nroot\0:x:2:2::/:/x\nroot:x:3:3::/a\0b:/x\n"
				   "nul:x:4\0:4::/:/x\ncr:x:5:5::/h\x1b[2J:/x\r\n";
	ctn_autoclose int root = fresh_root("a");

	put("a/etc/passwd", text, sizeof(text) - 1);
	check_ids(&root, 1, "root", 3, 3, "", "/");
	check_refusal(&root, 1, "nul", EINVAL);
	check_ids(&root, 1, "cr", 5, 5, "", "/h\x1b[2J");
}

static const struct check_test tests[] = {
	{"what each form means", test_accepted},
	{"what is no user", test_syntax},
	{"unknown names", test_unknown},
	{"entries without valid numbers", test_bad_entries},
	{"limits of homes and groups", test_limits},
	{"layers", test_layers},
	{"what an upper layer hides", test_hidden},
	{"links do not lead out", test_links},
	{"not regular files", test_not_regular},
	{"sizes", test_sizes},
	{"odd bytes", test_bytes},
};

int main(void)
{
	char path[] = "/tmp/ctnfs-test-XXXXXX";
	int r;

	if (!mkdtemp(path) || (scratch = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0) {
		perror(path);
		return 1;
	}
	r = check_run(tests, CTN_COUNT(tests));
	close(scratch);
	return io_remove_tree_at(AT_FDCWD, path, NULL) < 0 ? 1 : r;
}
