/* SPDX-License-Identifier: Apache-2.0 */
/* The attacker of N01 and N30. As a container's first program it looks, as fast as it can, into
 * each new process of its pid namespace, until that has become a program of the container; what it
 * gets into before is a line on standard output, and so is the first that it is kept out of. Ends
 * on SIGTERM with a line of counts.
 *
 *     sampler look|stop|kill|hold PROGRAM
 *
 * PROGRAM: the only one that is executed here: a process with another executable is one of ctnfs.
 * stop: each new process is stopped while it is looked into. kill: it is killed. hold: it is
 * stopped and left so, for the host to look into. */
#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	STOPPED_ROUNDS = 20, /* looks into a process that stands still */
	OVERFLOW = 65534,    /* who owns what belongs to nobody in here */
	FD_GUESS = 24,
	REPORTS_MAX = 200,
};

#define IMAGE 0x400000UL /* where programs without position independence begin */

static volatile sig_atomic_t over;
static const char *program;
static Elf64_Ehdr program_head;
static bool mapped; /* ids in here are others than on the host */
static struct {
	unsigned pids, denied, looks, reports;
} count;

static void on_term(int sig)
{
	(void)sig;
	over = 1;
}

static void report(pid_t pid, const char *what, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void report(pid_t pid, const char *what, const char *format, ...)
{
	char text[300];
	va_list ap;

	if (count.reports++ >= REPORTS_MAX)
		return;
	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	dprintf(1, "GOT %s pid=%d %s\n", what, pid, text);
}

static const char *proc(pid_t pid, const char *name)
{
	static char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	return path;
}

enum what { GONE, OURS, HIDDEN, SEEN };

/* What can be said of it by its executable; @ret: its name. */
static enum what look_exe(pid_t pid, char *ret, size_t room)
{
	ssize_t n = readlink(proc(pid, "exe"), ret, room - 1);

	if (n < 0)
		return errno == EACCES || errno == EPERM ? HIDDEN : GONE;
	ret[n] = '\0';
	return strcmp(ret, program) == 0 ? OURS : SEEN;
}

/* Something was reached. It is the container's own affair where the process has become its program
 * by now: an execve leaves no way back, and none of ours is between. */
static bool became_ours(pid_t pid)
{
	char exe[256];
	enum what now = look_exe(pid, exe, sizeof(exe));

	return now == OURS || now == GONE;
}

/* Whether the directory is one that the root of this process does not reach. Back to / after it. */
static bool is_outside(int fd, char *ret, size_t room)
{
	/* The kernel's own word, "(unreachable)…": libc's looks for another way down from /. */
	bool outside = fchdir(fd) == 0 && syscall(SYS_getcwd, ret, room) > 0 && ret[0] != '/';

	(void)chdir("/");
	return outside;
}

static void try_directory(pid_t pid, const char *name)
{
	int fd = open(proc(pid, name), O_PATH | O_DIRECTORY | O_CLOEXEC);
	char where[256] = "";

	if (fd < 0)
		return;
	if (!became_ours(pid)) {
		bool outside = is_outside(fd, where, sizeof(where));

		report(pid, outside ? "outside" : "look", "%s is %s", name, where);
	}
	close(fd);
}

/* Descriptors 0 to 2 are the caller's gift to the program; what else there is, is of the host. The
 * kernel closes what is close-on-exec before it lets anyone look in. */
static void try_descriptor(pid_t pid, const char *number)
{
	char path[64], name[256] = "", where[256] = "";
	int fd;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/fd/%.16s", pid, number);
	fd = open(path, O_PATH | O_CLOEXEC);
	if (fd < 0)
		return;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	n = readlink(path, name, sizeof(name) - 1);
	name[n < 0 ? 0 : n] = '\0';
	if (is_outside(fd, where, sizeof(where)) && atoi(number) > 2)
		report(pid, "outside", "fd %s is %s", number, where);
	else if (atoi(number) > 2)
		report(pid, "look", "fd %s is %s", number, name);
	else if (!became_ours(pid))
		report(pid, "look", "fd %s is %s", number, name);
	close(fd);
}

static void try_descriptors(pid_t pid)
{
	DIR *dir = opendir(proc(pid, "fd"));
	char number[12];

	for (struct dirent *d; dir && (d = readdir(dir));) {
		if (d->d_name[0] != '.')
			try_descriptor(pid, d->d_name);
	}
	if (dir)
		closedir(dir);
	for (int i = 0; !dir && i < FD_GUESS; i++) {
		snprintf(number, sizeof(number), "%d", i);
		try_descriptor(pid, number);
	}
}

/* Of the memory that the process has at the moment of open(2), even when it executes another
 * program later. */
static void try_text(pid_t pid, const char *name)
{
	int fd = open(proc(pid, name), O_RDONLY | O_CLOEXEC);
	char text[4096];
	ssize_t n;

	if (fd < 0)
		return;
	n = read(fd, text, sizeof(text) - 1);
	text[n < 0 ? 0 : n] = '\0';
	if (!became_ours(pid) || strstr(text, "memfd:"))
		report(pid, "look", "%s, %.60s", name, text);
	close(fd);
}

static void try_memory(pid_t pid)
{
	int fd = open(proc(pid, "mem"), O_RDWR | O_CLOEXEC);
	Elf64_Ehdr head = {0};
	struct iovec to = {&head, sizeof(head)}, from = {(void *)IMAGE, sizeof(head)};

	if (fd >= 0 && pread(fd, &head, sizeof(head), (off_t)IMAGE) == (ssize_t)sizeof(head) &&
	    memcmp(&head, &program_head, sizeof(head)) != 0)
		report(pid, "look", "mem");
	if (fd >= 0)
		close(fd);
	if (process_vm_readv(pid, &to, 1, &from, 1, 0) == (ssize_t)sizeof(head) &&
	    memcmp(&head, &program_head, sizeof(head)) != 0)
		report(pid, "look", "process_vm_readv");
}

/* The new program can be attached to a moment before the kernel tells its tracers of the execve, so
 * that is no sign of having come before it. */
static void try_attach(pid_t pid)
{
	int status = 0;

	if (ptrace(PTRACE_SEIZE, pid, NULL, NULL) < 0)
		return;
	if (!became_ours(pid))
		report(pid, "attach", "before its execve");
	(void)ptrace(PTRACE_INTERRUPT, pid, NULL, NULL);
	if (waitpid(pid, &status, __WALL) == pid && WIFSTOPPED(status))
		(void)ptrace(PTRACE_DETACH, pid, NULL, NULL);
}

/* The kernel's word on whether it can be looked into: who cannot has files that belong to root of
 * the user namespace that its program was executed in, the host's. */
static void try_owner(pid_t pid)
{
	struct stat st;
	uid_t want = mapped ? OVERFLOW : 0;

	if (stat(proc(pid, "environ"), &st) == 0 && st.st_uid != want && !became_ours(pid))
		report(pid, "owner", "%u instead of %u", st.st_uid, want);
}

/* Return: whether it is of interest any more. */
static bool look(pid_t pid)
{
	char exe[256] = "";

	count.looks++;
	switch (look_exe(pid, exe, sizeof(exe))) {
	case GONE:
	case OURS:
		return false;
	case SEEN:
		report(pid, "exe", "%s", exe);
		break;
	case HIDDEN:
		if (count.denied++ == 0)
			dprintf(1, "DENIED pid=%d\n", pid);
		break;
	}
	try_owner(pid);
	try_directory(pid, "root");
	try_directory(pid, "cwd");
	try_descriptors(pid);
	try_text(pid, "maps");
	try_text(pid, "environ");
	try_memory(pid);
	try_attach(pid);
	return true;
}

static void attack(pid_t pid, const char *how)
{
	bool stopped = false;

	count.pids++;
	if (strcmp(how, "kill") == 0) {
		(void)kill(pid, SIGKILL);
		return;
	}
	if (strcmp(how, "look") != 0)
		stopped = kill(pid, SIGSTOP) == 0;
	if (strcmp(how, "hold") == 0)
		return;
	for (int i = 0; stopped && i < STOPPED_ROUNDS && look(pid); i++)
		continue;
	if (stopped)
		(void)kill(pid, SIGCONT);
	while (!over && look(pid))
		continue;
}

/* The newest pid of this namespace: the last word of /proc/loadavg. */
static pid_t last_pid(int loadavg)
{
	char text[128];
	ssize_t n = pread(loadavg, text, sizeof(text) - 1, 0);
	const char *blank;

	text[n < 0 ? 0 : n] = '\0';
	blank = strrchr(text, ' ');
	return blank ? atoi(blank) : 0;
}

static void begin(void)
{
	struct sigaction term = {.sa_handler = on_term};
	unsigned inside = 1, outside = 1;
	FILE *map = fopen("/proc/self/uid_map", "re");
	int fd = open(program, O_RDONLY | O_CLOEXEC);

	if (!map || fscanf(map, "%u %u", &inside, &outside) != 2 || fd < 0 ||
	    read(fd, &program_head, sizeof(program_head)) != (ssize_t)sizeof(program_head)) {
		dprintf(1, "FAILED to begin\n");
		exit(1);
	}
	fclose(map);
	close(fd);
	mapped = inside != outside;
	sigaction(SIGTERM, &term, NULL);
	(void)chdir("/");
}

int main(int argc, char **argv)
{
	int loadavg = open("/proc/loadavg", O_RDONLY | O_CLOEXEC);
	pid_t seen, last;

	if (argc != 3 || loadavg < 0)
		return 2;
	program = argv[2];
	begin();
	seen = last_pid(loadavg);
	dprintf(1, "READY\n");
	while (!over) {
		last = last_pid(loadavg);
		if (last < seen)
			seen = last; /* the numbers have begun again */
		while (seen < last && !over)
			attack(++seen, argv[1]);
	}
	dprintf(1, "END pids=%u looks=%u denied=%u got=%u\n", count.pids, count.looks, count.denied,
		count.reports);
	return 0;
}
