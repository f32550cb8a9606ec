/* SPDX-License-Identifier: Apache-2.0 */
#include "procfs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "io.h"

enum {
	STAT_BYTES_MAX = 4096,
	STATUS_BYTES_MAX = 1 << 20, /* its Groups line alone may have 65536 numbers */
	CMDLINE_BYTES_MAX = 4096,   /* what is shown of a command */
	INDENT_MAX = 32,	    /* levels: a chain of processes may be as deep as pids.max */
};

const char *const procfs_caps_labels[5] = {"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"};

/* Fields of stat after comm, numbered as in proc(5). */
enum { STAT_STATE = 3, STAT_PPID = 4, STAT_UTIME = 14, STAT_STIME = 15, STAT_START = 22 };

int procfs_open(pid_t pid, int *ret, struct ctn_err *err)
{
	char path[32];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d", pid);
	fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return ctn_fail(err, ESRCH, "there is no process %d", pid);
	if (fd < 0)
		return ctn_fail_errno(err, "open %s", path);
	*ret = fd;
	return 0;
}

/* A process that has gone is ENOENT to open(2) and ESRCH to read(2). */
static int read_file(int procfd, const char *name, size_t max, char **ret, struct ctn_err *err)
{
	int r = io_read_at(procfd, name, max, ret, NULL, err);

	if (r == -ENOENT || r == -ESRCH)
		return ctn_fail(err, ESRCH, "the process has ended");
	return r;
}

/* comm comes second, in parentheses, and may hold spaces, newlines and parentheses of its own. */
static int parse_stat(char *text, struct procfs_status *st, struct ctn_err *err)
{
	uint64_t tick = UINT64_C(1000000000) / (uint64_t)sysconf(_SC_CLK_TCK);
	char *open = strchr(text, '('), *close = strrchr(text, ')');
	char *rest = NULL, *word = NULL;
	size_t len;

	if (!open || !close || close < open)
		return ctn_fail(err, EPROTO, "stat has no command name");
	len = (size_t)(close - open - 1);
	if (len >= sizeof(st->comm))
		len = sizeof(st->comm) - 1;
	memcpy(st->comm, open + 1, len);
	st->comm[len] = '\0';
	st->pid = atoi(text);
	word = strtok_r(close + 1, " \n", &rest);
	for (int field = STAT_STATE; word && field <= STAT_START; field++) {
		if (field == STAT_STATE)
			st->state = word[0];
		else if (field == STAT_PPID)
			st->ppid = atoi(word);
		else if (field == STAT_UTIME || field == STAT_STIME)
			st->cpu += strtoull(word, NULL, 10) * tick;
		else if (field == STAT_START) {
			st->start = strtoull(word, NULL, 10);
			return 0;
		}
		word = strtok_r(NULL, " \n", &rest);
	}
	return ctn_fail(err, EPROTO, "stat has fewer than %d fields", STAT_START);
}

/* What follows "label:" up to the end of its line, or NULL. The kernel escapes newlines in Name,
 * so a line of the file is a line. */
static char *find_value(char *text, const char *label)
{
	size_t len = strlen(label);

	for (char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, label, len) == 0 && line[len] == ':')
			return line + len + 1;
	}
	return NULL;
}

static uint64_t find_number(char *text, const char *label, int base)
{
	char *value = find_value(text, label);

	return value ? strtoull(value, NULL, base) : 0;
}

static pid_t parse_own_pid(char *text)
{
	char *value = find_value(text, "NSpid");
	long pid = 0;

	while (value && *value != '\n' && *value) {
		char *end = value;
		long n = strtol(value, &end, 10);

		if (end == value)
			break;
		pid = n;
		value = end;
	}
	return (pid_t)pid;
}

static void parse_status(char *text, struct procfs_status *st)
{
	char *uid = find_value(text, "Uid");

	if (uid) { /* real, effective, saved, file system */
		(void)strtoul(uid, &uid, 10);
		st->uid = (uid_t)strtoul(uid, NULL, 10);
	}
	st->own_pid = parse_own_pid(text);
	st->rss = find_number(text, "VmRSS", 10) * 1024;
	st->caught = find_number(text, "SigCgt", 16);
	st->blocked = find_number(text, "SigBlk", 16);
	st->ignored = find_number(text, "SigIgn", 16);
	for (size_t i = 0; i < CTN_COUNT(procfs_caps_labels); i++)
		st->caps[i] = find_number(text, procfs_caps_labels[i], 16);
}

int procfs_read_status(int procfd, struct procfs_status *ret, struct ctn_err *err)
{
	ctn_autofree char *stat = NULL, *status = NULL;
	struct procfs_status st = {0};
	int r = read_file(procfd, "stat", STAT_BYTES_MAX, &stat, err);

	if (r < 0)
		return r;
	r = read_file(procfd, "status", STATUS_BYTES_MAX, &status, err);
	if (r < 0)
		return r;
	r = parse_stat(stat, &st, err);
	if (r < 0)
		return r;
	parse_status(status, &st);
	*ret = st;
	return 0;
}

/* The five lines follow each other. */
int procfs_read_caps(int procfd, uint64_t ret[5], struct ctn_err *err)
{
	ctn_autofree char *status = NULL;
	char *at;
	int r = read_file(procfd, "status", STATUS_BYTES_MAX, &status, err);

	if (r < 0)
		return r;
	at = strstr(status, "\nCapInh:");
	for (size_t i = 0; i < CTN_COUNT(procfs_caps_labels); i++) {
		at = at ? find_value(at, procfs_caps_labels[i]) : NULL;
		ret[i] = at ? strtoull(at, &at, 16) : 0;
	}
	return 0;
}

int procfs_own_pid(pid_t pid, pid_t *ret, struct ctn_err *err)
{
	ctn_autofree char *status = NULL;
	ctn_autoclose int procfd = -1;
	pid_t own;
	int r = procfs_open(pid, &procfd, err);

	if (r < 0)
		return r;
	r = read_file(procfd, "status", STATUS_BYTES_MAX, &status, err);
	if (r < 0)
		return r;
	own = parse_own_pid(status);
	if (own <= 0)
		return ctn_fail(err, EPROTO, "process %d has no NSpid", pid);
	*ret = own;
	return 0;
}

/* --- ps --- */

/* The columns before COMMAND. */
enum { COL_PID, COL_OWN, COL_USER, COL_STATE, COL_RSS, COL_TIME, COL_COUNT };
static const char *const columns[COL_COUNT] = {"PID", "OWN", "USER", "STATE", "RSS", "TIME"};

/* @parent, @child, @next: indices of rows, -1 for none. */
struct ps_row {
	pid_t pid, ppid;
	char cell[COL_COUNT][24];
	char *command; /* raw */
	size_t command_len;
	ssize_t parent, child, next;
	bool bracketed, printed;
};

struct ps {
	struct ps_row *rows;
	size_t n;
	int width[COL_COUNT];
};

static void ps_free(struct ps *ps)
{
	for (size_t i = 0; i < ps->n; i++)
		free(ps->rows[i].command);
	free(ps->rows);
}

static void format_size(char *out, size_t room, uint64_t bytes)
{
	uint64_t unit = UINT64_C(1) << 10;
	const char *letter = "KMGT";

	for (; bytes >= unit << 10 && letter[1]; letter++)
		unit <<= 10;
	if (*letter == 'K')
		snprintf(out, room, "%lluK", (unsigned long long)(bytes / unit));
	else
		snprintf(out, room, "%llu.%llu%c", (unsigned long long)(bytes / unit),
			 (unsigned long long)(bytes % unit * 10 / unit), *letter);
}

static void format_cells(struct ps_row *row, const struct procfs_status *st, uid_t uid_base,
			 uid_t uid_count)
{
	unsigned long long cs = st->cpu / 10000000;
	char(*cell)[sizeof(row->cell[0])] = row->cell;
	const size_t room = sizeof(row->cell[0]);

	snprintf(cell[COL_PID], room, "%d", st->pid);
	snprintf(cell[COL_OWN], room, "%d", st->own_pid);
	if (uid_count == 0)
		snprintf(cell[COL_USER], room, "%u", st->uid);
	else if (st->uid >= uid_base && st->uid - uid_base < uid_count)
		snprintf(cell[COL_USER], room, "%u", st->uid - uid_base);
	else
		snprintf(cell[COL_USER], room, "-");
	snprintf(cell[COL_STATE], room, "%c", st->state);
	format_size(cell[COL_RSS], room, st->rss);
	snprintf(cell[COL_TIME], room, "%llu:%02llu.%02llu", cs / 6000, cs / 100 % 60, cs % 100);
}

/* The first bytes of cmdline, with blanks for the NULs between arguments; 0 bytes for a zombie or
 * kernel thread, and where it cannot be read. */
static size_t read_cmdline(int procfd, char *buf, size_t room)
{
	ctn_autoclose int fd = openat(procfd, "cmdline", O_RDONLY | O_CLOEXEC);
	size_t len = 0;

	while (fd >= 0 && len < room) {
		ssize_t n = read(fd, buf + len, room - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		len += (size_t)n;
	}
	while (len > 0 && buf[len - 1] == '\0')
		len--;
	for (size_t i = 0; i < len; i++) {
		if (buf[i] == '\0')
			buf[i] = ' ';
	}
	return len;
}

static int read_row(pid_t pid, uid_t uid_base, uid_t uid_count, struct ps_row *row,
		    struct ctn_err *err)
{
	ctn_autoclose int procfd = -1;
	struct procfs_status st = {0};
	char cmdline[CMDLINE_BYTES_MAX];
	int r = procfs_open(pid, &procfd, err);

	if (r < 0)
		return r;
	r = procfs_read_status(procfd, &st, err);
	if (r < 0)
		return r;
	*row = (struct ps_row){.pid = pid, .ppid = st.ppid, .parent = -1, .child = -1, .next = -1};
	format_cells(row, &st, uid_base, uid_count);
	row->command_len = read_cmdline(procfd, cmdline, sizeof(cmdline));
	row->bracketed = row->command_len == 0 || st.state == 'Z';
	if (row->bracketed) {
		row->command_len = strlen(st.comm);
		memcpy(cmdline, st.comm, row->command_len);
	}
	row->command = malloc(row->command_len + 1);
	if (!row->command)
		return ctn_fail(err, ENOMEM, "no memory to list processes");
	memcpy(row->command, cmdline, row->command_len);
	return 0;
}

static int compare_rows(const void *a, const void *b)
{
	const struct ps_row *x = a, *y = b;

	return (x->pid > y->pid) - (x->pid < y->pid);
}

static int compare_pids(const void *a, const void *b)
{
	const pid_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static int ps_read(struct ps *ps, const pid_t *pids, size_t n, uid_t uid_base, uid_t uid_count,
		   struct ctn_err *err)
{
	ctn_autofree pid_t *sorted = calloc(n + 1, sizeof(*sorted));

	ps->rows = calloc(n + 1, sizeof(*ps->rows));
	if (!sorted || !ps->rows)
		return ctn_fail(err, ENOMEM, "no memory to list processes");
	if (n > 0)
		memcpy(sorted, pids, n * sizeof(*sorted));
	qsort(sorted, n, sizeof(*sorted), compare_pids);
	for (size_t i = 0; i < n; i++) {
		int r;

		if (i > 0 && sorted[i] == sorted[i - 1]) /* cgroup v1 may name one twice */
			continue;
		r = read_row(sorted[i], uid_base, uid_count, &ps->rows[ps->n], err);
		if (r < 0 && r != -ESRCH)
			return r;
		ps->n += r == 0;
	}
	return 0;
}

/* Backwards, so that each list of children comes out ascending. */
static void ps_link(struct ps *ps)
{
	for (size_t i = ps->n; i-- > 0;) {
		struct ps_row *row = &ps->rows[i], key = {.pid = row->ppid};
		struct ps_row *parent = bsearch(&key, ps->rows, ps->n, sizeof(key), compare_rows);

		if (!parent || parent == row)
			continue;
		row->parent = parent - ps->rows;
		row->next = parent->child;
		parent->child = (ssize_t)i;
	}
}

static void ps_measure(struct ps *ps)
{
	for (int c = 0; c < COL_COUNT; c++) {
		ps->width[c] = (int)strlen(columns[c]);
		for (size_t i = 0; i < ps->n; i++) {
			int len = (int)strlen(ps->rows[i].cell[c]);

			if (len > ps->width[c])
				ps->width[c] = len;
		}
	}
}

static void print_row(const struct ps *ps, FILE *out, struct ps_row *row, int depth)
{
	row->printed = true;
	for (int c = 0; c < COL_COUNT; c++)
		fprintf(out, "%*s ", ps->width[c], row->cell[c]);
	fprintf(out, "%*s%s", (depth < INDENT_MAX ? depth : INDENT_MAX) * 2, "",
		row->bracketed ? "[" : "");
	io_escape(out, row->command, row->command_len);
	fputs(row->bracketed ? "]\n" : "\n", out);
}

static ssize_t skip_printed(const struct ps *ps, ssize_t i)
{
	while (i >= 0 && ps->rows[i].printed)
		i = ps->rows[i].next;
	return i;
}

/* Without recursion: the container chooses the depth. Rows that were printed are passed over, so
 * this ends even if what was read at different moments makes a circle. */
static void print_tree(const struct ps *ps, FILE *out, ssize_t top)
{
	ssize_t i = top;
	int depth = 0;

	for (;;) {
		ssize_t to;

		if (!ps->rows[i].printed)
			print_row(ps, out, &ps->rows[i], depth);
		to = skip_printed(ps, ps->rows[i].child);
		if (to >= 0) {
			depth++;
		} else {
			if (i == top)
				return;
			to = skip_printed(ps, ps->rows[i].next);
			if (to < 0) {
				to = ps->rows[i].parent;
				depth--;
			}
		}
		i = to;
	}
}

int procfs_print_ps(FILE *out, const pid_t *pids, size_t n, uid_t uid_base, uid_t uid_count,
		    struct ctn_err *err)
{
	__attribute__((cleanup(ps_free))) struct ps ps = {0};
	int r = ps_read(&ps, pids, n, uid_base, uid_count, err);

	if (r < 0)
		return r;
	ps_link(&ps);
	ps_measure(&ps);
	for (int c = 0; c < COL_COUNT; c++)
		fprintf(out, "%*s ", ps.width[c], columns[c]);
	fputs("COMMAND\n", out);
	for (size_t i = 0; i < ps.n; i++) {
		if (ps.rows[i].parent < 0)
			print_tree(&ps, out, (ssize_t)i);
	}
	for (size_t i = 0; i < ps.n; i++) { /* a circle has no root */
		if (!ps.rows[i].printed)
			print_tree(&ps, out, (ssize_t)i);
	}
	return ferror(out) ? ctn_fail(err, EIO, "the list of processes could not be written") : 0;
}
