/* SPDX-License-Identifier: Apache-2.0 */
#include "kmsg.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "cleanup.h"

enum { RECORDS_AT_ONCE = 4096, COMM_MAX = 15 };

/* The head of a record: "6,1234,5678901,-[,more];text". */
struct head {
	uint64_t seq, time;
	bool kernel; /* not written by a program */
	bool piece;  /* goes on with a line that was cut into pieces */
};

/* Return: the text, or NULL. */
static const char *parse_head(const char *record, struct head *ret)
{
	char *end = NULL;
	unsigned long priority = strtoul(record, &end, 10);

	if (end == record || *end != ',')
		return NULL;
	ret->seq = strtoull(end + 1, &end, 10);
	if (*end != ',')
		return NULL;
	ret->time = strtoull(end + 1, &end, 10);
	if (*end != ',')
		return NULL;
	ret->kernel = priority >> 3 == 0;
	ret->piece = end[1] == 'c';
	end = strchr(end, ';');
	return end ? end + 1 : NULL;
}

/* What follows the last @key in @text, or NULL. */
static const char *last_of(const char *text, const char *key)
{
	const char *found = NULL;

	for (const char *p = text; (p = strstr(p, key)); p++)
		found = p + strlen(key);
	return found;
}

/* The kernel has escaped all but printable ASCII and the backslash; blanks part words here. */
static void copy_word(char *out, size_t room, const char *text, size_t len)
{
	size_t n = 0;

	for (size_t i = 0; i < len && n + 4 < room; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c > ' ' && c < 0x7f)
			out[n++] = (char)c;
		else
			n += (size_t)snprintf(out + n, room - n, "\\x%02x", c);
	}
	out[n] = '\0';
}

/* How many bytes an escaped name stands for. */
static size_t raw_length(const char *text, const char *end)
{
	size_t n = 0;

	for (; text < end; n++)
		text += text[0] == '\\' && text[1] == 'x' ? 4 : 1;
	return n;
}

/* The memory cgroup of the process. A cgroup that a program has made may be called
 * "x,task_memcg=", and hold others; but what was over its limit is the process's group or above it,
 * so within its path all remains its own. Return: where what follows begins. */
static const char *parse_cgroup(const char *line, struct kmsg_kill *kill)
{
	static const char of_task[] = ",task_memcg=", of_limit[] = ",oom_memcg=", task[] = ",task=";
	const char *limit = strstr(line, of_limit), *path = strstr(line, of_task), *end;
	size_t len;

	if (!path)
		return NULL;
	if (limit > path)
		limit = NULL;
	len = limit ? (size_t)(path - limit) - strlen(of_limit) : 0;
	path += strlen(of_task);
	end = strstr(path, task);
	if (!end)
		return NULL;
	if (limit && len > 1 && strncmp(limit + strlen(of_limit), path, len) != 0)
		return end + strlen(task);
	/* What is escaped here is not so in a path of the file system: it counts as not told. */
	if (end - path <= KMSG_CGROUP_MAX && !memchr(path, '\\', (size_t)(end - path))) {
		memcpy(kill->cgroup, path, (size_t)(end - path));
		kill->cgroup[end - path] = '\0';
	}
	return end + strlen(task);
}

/* "oom-kill:constraint=…,oom_memcg=PATH,task_memcg=PATH,task=COMM,pid=N,uid=N", or in place of
 * oom_memcg just global_oom. What programs chose cannot follow the last pid. Return: whether all of
 * it is there. */
static bool parse_announced(const char *line, struct kmsg_kill *ret)
{
	const char *pid = last_of(line, ",pid="), *uid = pid ? strstr(pid, ",uid=") : NULL, *name;
	struct kmsg_kill kill = {0};

	if (!uid)
		return false;
	kill.pid = (pid_t)strtol(pid, NULL, 10);
	kill.uid = (uint32_t)strtoul(uid + strlen(",uid="), NULL, 10);
	pid -= strlen(",pid=");
	name = parse_cgroup(line, &kill);
	if (name && name < pid && raw_length(name, pid) > COMM_MAX)
		name = last_of(name, ",task="); /* the path has such a word in it */
	if (name && name < pid)
		copy_word(kill.program, sizeof(kill.program), name, (size_t)(pid - name));
	*ret = kill;
	return kill.pid > 0;
}

/* "Memory cgroup out of memory: Killed process N (COMM) total-vm:…, UID:N pgtables:…". */
static bool parse_killed(const char *line, struct kmsg_kill *ret)
{
	/* Longer than any name, with which other messages begin. */
	static const char *const heads[] = {
		"Memory cgroup out of memory: Killed process ",
		"Out of memory: Killed process ",
		"Out of memory (oom_kill_allocating_task): Killed process ",
	};
	const char *close = last_of(line, ") total-vm:"), *uid = last_of(line, " UID:");
	char *open = NULL;
	struct kmsg_kill kill = {.done = true};

	for (size_t i = 0; !open && i < sizeof(heads) / sizeof(heads[0]); i++) {
		if (strncmp(line, heads[i], strlen(heads[i])) == 0)
			kill.pid = (pid_t)strtol(line + strlen(heads[i]), &open, 10);
	}
	if (!open || !close || !uid || kill.pid <= 0 || strncmp(open, " (", 2) != 0)
		return false;
	close -= strlen(") total-vm:");
	if (close < open + 2)
		return false;
	copy_word(kill.program, sizeof(kill.program), open + 2, (size_t)(close - open - 2));
	kill.uid = (uint32_t)strtoul(uid, NULL, 10);
	*ret = kill;
	return true;
}

/* A line that is printed in pieces can have others between them. Return: it, as far as it is here;
 * NULL: this record is none of it. */
static const char *join(struct kmsg_parser *p, const struct head *head, const char *text,
			size_t len)
{
	static const char begin[] = "oom-kill:constraint=";
	size_t have = head->piece ? strlen(p->line) : 0;

	if (head->piece ? !have : strncmp(text, begin, strlen(begin)) != 0)
		return NULL;
	if (have + len > KMSG_CGROUP_MAX) {
		p->line[0] = '\0';
		return NULL;
	}
	memcpy(p->line + have, text, len);
	p->line[have + len] = '\0';
	if (!head->piece) {
		p->line_seq = head->seq;
		p->line_time = head->time;
	}
	return p->line;
}

bool kmsg_parse(struct kmsg_parser *p, const char *record, struct kmsg_kill *ret)
{
	struct head head = {0};
	const char *text = parse_head(record, &head), *line;
	char whole[KMSG_CGROUP_MAX + 1];
	struct kmsg_kill kill;
	size_t len = text ? strcspn(text, "\n") : 0; /* a dictionary follows */

	if (!text || !head.kernel || len > KMSG_CGROUP_MAX)
		return false;
	line = join(p, &head, text, len);
	if (line && parse_announced(line, &kill)) {
		kill.seq = p->line_seq;
		kill.time = p->line_time;
		p->line[0] = '\0';
		p->kill = *ret = kill;
		return true;
	}
	if (line)
		return false;
	memcpy(whole, text, len);
	whole[len] = '\0';
	if (!parse_killed(whole, &kill))
		return false;
	if (p->kill.pid == kill.pid && p->kill.uid == kill.uid)
		memcpy(kill.cgroup, p->kill.cgroup, sizeof(kill.cgroup));
	kill.seq = head.seq;
	kill.time = head.time;
	p->kill.pid = 0; /* it is told once */
	*ret = kill;
	return true;
}

int kmsg_open(int *ret, struct ctn_err *err)
{
	ctn_autoclose int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return ctn_fail_errno(err, "open /dev/kmsg");
	/* Containers that servers run in often have another thing there. */
	if (!S_ISCHR(st.st_mode) || st.st_rdev != makedev(1, 11))
		return ctn_fail(err, ENODEV, "/dev/kmsg is not the kernel's log");
	*ret = ctn_take_fd(fd);
	return 0;
}

void kmsg_skip(int fd)
{
	(void)lseek(fd, 0, SEEK_END);
}

int kmsg_next(int fd, struct kmsg_parser *p, struct kmsg_kill *ret)
{
	char record[KMSG_RECORD_MAX + 1];

	for (int i = 0; i < RECORDS_AT_ONCE; i++) {
		ssize_t n = read(fd, record, KMSG_RECORD_MAX);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EPIPE)
			return -EPIPE;
		if (n < 0 &&
		    errno == EINVAL) /* longer than any of ours; the next read is behind it */
			continue;
		if (n <= 0)
			return 0;
		record[n] = '\0';
		if (kmsg_parse(p, record, ret))
			return 1;
	}
	return -EAGAIN;
}
