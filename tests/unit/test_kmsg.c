/* SPDX-License-Identifier: Apache-2.0 */
/* What the kernel's log tells of the OOM killer, also where programs try to lie in it. */
#include "check.h"
#include "cleanup.h"
#include "kmsg.h"

#include <poll.h>
#include <unistd.h>

#define HEAD "6,42,1000,-;"
#define ANNOUNCED \
	HEAD "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=x,mems_allowed=0,"

/* @records: parsed one after the other, by the same parser; the last one tells, or none. */
static const struct {
	const char *records[4];
	pid_t pid;
	const char *program, *cgroup;
	bool done;
} cases[] = {
	{{ANNOUNCED "oom_memcg=/a/b,task_memcg=/a/b,task=tail,pid=12,uid=70000\n SUBSYSTEM=x\n"},
	 12,
	 "tail",
	 "/a/b",
	 false},
	{{ANNOUNCED "oom_memcg=/a,task_memcg=/a/b,task=tail,pid=12,uid=0"},
	 12,
	 "tail",
	 "/a/b",
	 false},
	{{ANNOUNCED "oom_memcg=/,task_memcg=/a/b,task=tail,pid=12,uid=0"},
	 12,
	 "tail",
	 "/a/b",
	 false},
	{{HEAD "oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=/,mems_allowed=0,"
	       "global_oom,task_memcg=/a/b,task=x,pid=9,uid=0"},
	 9,
	 "x",
	 "/a/b",
	 false},
	/* names of programs */
	{{ANNOUNCED "oom_memcg=/a,task_memcg=/a,task=a b,pid=3,uid=0"}, 3, "a\\x20b", "/a", false},
	{{ANNOUNCED "oom_memcg=/a,task_memcg=/a,task=,pid=1,uid=0,pid=3,uid=0"},
	 3,
	 ",pid=1,uid=0",
	 "/a",
	 false},
	{{ANNOUNCED "oom_memcg=/a,task_memcg=/a,task=,task=x,uid=7,pid=3,uid=0"},
	 3,
	 ",task=x,uid=7",
	 "/a",
	 false},
	{{ANNOUNCED "oom_memcg=/a,task_memcg=/a,task=,pid=3,uid=0"}, 3, "", "/a", false},
	{{ANNOUNCED "oom_memcg=/a,task_memcg=/a,task=\\x1b[31m\\x0a\\x5c\\x9b,pid=3,uid=0"},
	 3,
	 "\\x1b[31m\\x0a\\x5c\\x9b",
	 "/a",
	 false},
	/* names of cgroups that a program has made */
	{{ANNOUNCED "oom_memcg=/a,task_memcg=/a/x,task=y,task=tail,pid=3,uid=0"},
	 3,
	 "y,task=tail",
	 "/a/x",
	 false},
	{{ANNOUNCED "oom_memcg=/a,task_memcg=/a/x,task=0123456789,task=tail,pid=3,uid=0"},
	 3,
	 "tail",
	 "/a/x",
	 false},
	{{ANNOUNCED
	  "oom_memcg=/a/x,task_memcg=/b,task_memcg=/a/x,task_memcg=/b,task=t,pid=3,uid=0"},
	 3,
	 "t",
	 "",
	 false},
	{{ANNOUNCED "oom_memcg=/a,task_memcg=/a/x,task_memcg=/b,task=t,pid=3,uid=0"},
	 3,
	 "t",
	 "/a/x,task_memcg=/b",
	 false},
	{{ANNOUNCED "oom_memcg=/a,task_memcg=/a/\\x0a,task=t,pid=3,uid=0"}, 3, "t", "", false},
	/* in pieces, with another between them */
	{{HEAD "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null)", "6,43,1000,-;something else",
	  "6,44,1000,c;,cpuset=x,mems_allowed=0,oom_memcg=/a,task_memcg=/a",
	  "6,45,1000,c;,task=t,pid=5,uid=6"},
	 5,
	 "t",
	 "/a",
	 false},
	{{"6,44,1000,c;,cpuset=x,oom_memcg=/a,task_memcg=/a,task=t,pid=5,uid=6"},
	 0,
	 NULL,
	 NULL,
	 false},
	/* done */
	{{"3,1,2,-;Memory cgroup out of memory: Killed process 7 (a) b) total-vm:1kB, "
	  "anon-rss:1kB, file-rss:1kB, shmem-rss:0kB, UID:5 pgtables:7kB oom_score_adj:0"},
	 7,
	 "a)\\x20b",
	 "",
	 true},
	{{"3,1,2,-;Out of memory: Killed process 7 (x) total-vm:1kB, UID:5 pgtables:7kB"},
	 7,
	 "x",
	 "",
	 true},
	{{ANNOUNCED "oom_memcg=/a,task_memcg=/a,task=old,pid=7,uid=5",
	  "3,1,2,-;Memory cgroup out of memory: Killed process 7 (new) total-vm:1kB, UID:5 pgtab"},
	 7,
	 "new",
	 "/a",
	 true},
	{{ANNOUNCED "oom_memcg=/a,task_memcg=/a,task=old,pid=7,uid=5",
	  "3,1,2,-;Memory cgroup out of memory: Killed process 8 (new) total-vm:1kB, UID:5 pgtab"},
	 8,
	 "new",
	 "",
	 true},
	/* not the kernel, or not that message */
	{{"14,1,2,-;Out of memory: Killed process 7 (x) total-vm:1kB, UID:5 pgtables:7kB"},
	 0,
	 NULL,
	 NULL,
	 false},
	{{"6,1,2,-;Out of memory: [7]: segfault in : Killed process 1 (x) total-vm:1kB, UID:0"},
	 0,
	 NULL,
	 NULL,
	 false},
	{{"3,1,2,-;Out of memory: Killed process -7 (x) total-vm:1kB, UID:5 pgtables:7kB"},
	 0,
	 NULL,
	 NULL,
	 false},
	{{"3,1,2,-;Out of memory: Killed process 7 (x total-vm:1kB, UID:5 pgtables:7kB"},
	 0,
	 NULL,
	 NULL,
	 false},
	{{HEAD "oom-kill:constraint=CONSTRAINT_MEMCG,task=x"}, 0, NULL, NULL, false},
	{{"6,1,2,-"}, 0, NULL, NULL, false},
	{{""}, 0, NULL, NULL, false},
};

static void test_records(void)
{
	for (size_t i = 0; i < CTN_COUNT(cases); i++) {
		struct kmsg_parser parser = {0};
		struct kmsg_kill kill = {.pid = -1};
		bool told = false;

		for (size_t k = 0; k < 4 && cases[i].records[k]; k++)
			told = kmsg_parse(&parser, cases[i].records[k], &kill);
		if (told != !!cases[i].pid)
			printf("# case %zu: %s\n", i, told ? "told" : "not told");
		CHECK(told == !!cases[i].pid);
		if (!told || !cases[i].pid)
			continue;
		CHECK(kill.pid == cases[i].pid && kill.done == cases[i].done);
		CHECK_STR(kill.program, cases[i].program);
		CHECK_STR(kill.cgroup, cases[i].cgroup);
	}
}

static void test_numbers(void)
{
	struct kmsg_parser parser = {0};
	struct kmsg_kill kill = {0};

	CHECK(kmsg_parse(&parser, ANNOUNCED "task_memcg=/a,task=t,pid=12,uid=1191182336", &kill));
	CHECK(kill.seq == 42 && kill.time == 1000 && kill.uid == 1191182336);
}

/* Lines that are too long say nothing, and the next one is understood. */
static void test_long(void)
{
	static char text[4 * KMSG_CGROUP_MAX];
	struct kmsg_parser parser = {0};
	struct kmsg_kill kill = {0};

	snprintf(text, sizeof(text), "%soom_memcg=/", ANNOUNCED);
	memset(text + strlen(text), 'x', 2 * KMSG_CGROUP_MAX);
	strcat(text, ",task_memcg=/x,task=t,pid=1,uid=0");
	CHECK(!kmsg_parse(&parser, text, &kill));
	for (int i = 0; i < 100; i++) {
		CHECK(!kmsg_parse(&parser, HEAD "oom-kill:constraint=CONSTRAINT_MEMCG", &kill));
		CHECK(!kmsg_parse(&parser, "6,1,1,c;,task_memcg=/0123456789/0123456789", &kill));
	}
	CHECK(kmsg_parse(&parser, "6,1,1,c;,task=t,pid=1,uid=0", &kill));
	for (int i = 0; i < 100; i++)
		(void)kmsg_parse(&parser, "6,1,1,c;,task_memcg=/0123456789/0123456789", &kill);
	CHECK(kmsg_parse(&parser, ANNOUNCED "task_memcg=/a,task=t,pid=12,uid=1", &kill));
	CHECK(kill.pid == 12);
}

/* The real one can be read to its end, without waiting. */
static void test_device(void)
{
	struct kmsg_parser parser = {0};
	struct kmsg_kill kill;
	ctn_autoclose int fd = -1;
	int r = kmsg_open(&fd, NULL);

	if (r < 0) {
		printf("# /dev/kmsg: %s\n", strerrorname_np(-r));
		return;
	}
	for (int i = 0; r != 0 && i < 100000; i++)
		r = kmsg_next(fd, &parser, &kill);
	CHECK(r == 0);
	kmsg_skip(fd);
	CHECK(kmsg_next(fd, &parser, &kill) <= 1);
}

static const struct check_test tests[] = {
	{"records", test_records},
	{"numbers", test_numbers},
	{"long lines", test_long},
	{"the device", test_device},
};

int main(void)
{
	return check_run(tests, CTN_COUNT(tests));
}
