/* SPDX-License-Identifier: Apache-2.0 */
#include "pidref.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>

#include "cleanup.h"
#include "io.h"

enum {
	STAT_BYTES_MAX = 4096,
	STAT_START = 22,    /* proc(5): starttime */
	SIGNAL_NAME_MAX = 8 /* "RTMIN+10" */
};

/* Second names in use, beside those that sigabbrev_np() gives. */
static const struct {
	const char *name;
	int sig;
} signal_aliases[] = {
	{"CLD", SIGCHLD},
	{"IO", SIGIO},
	{"IOT", SIGABRT},
};

/* comm comes second, in parentheses, and may hold spaces and parentheses of its own. */
static int read_start(int procfd, uint64_t *ret, struct ctn_err *err)
{
	ctn_autofree char *text = NULL;
	char *p, *word = NULL, *rest = NULL;
	int r = io_read_at(procfd, "stat", STAT_BYTES_MAX, &text, NULL, err);

	if (r < 0)
		return r;
	p = strrchr(text, ')');
	if (p)
		word = strtok_r(p + 1, " \n", &rest);
	for (int field = 3; word && field < STAT_START; field++)
		word = strtok_r(NULL, " \n", &rest);
	if (!word)
		return ctn_fail(err, EPROTO, "stat has fewer than %d fields", STAT_START);
	return parse_u64("start time", word, UINT64_MAX, ret, err);
}

static int open_proc(pid_t pid, int *ret, struct ctn_err *err)
{
	char path[32];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d", pid);
	fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return ctn_fail_errno(err, "open %s", path);
	*ret = fd;
	return 0;
}

/* After its directory was opened: not reaped yet, so the number has meant this process all along,
 * in /proc too. */
static int check_same(pid_t pid, int pidfd, struct ctn_err *err)
{
	if (pidfd_send_signal(pidfd, 0, NULL, 0) < 0 && errno != EPERM)
		return ctn_fail_errno(err, "process %d", pid);
	return 0;
}

static int learn_start(pid_t pid, int pidfd, uint64_t *ret, struct ctn_err *err)
{
	ctn_autoclose int procfd = -1;
	int r = open_proc(pid, &procfd, err);

	if (r < 0)
		return r;
	if (read_start(procfd, ret, err) < 0)
		return ctn_fail_context(err, "process %d", pid);
	return check_same(pid, pidfd, err);
}

int pidref_open(const struct pidref *ref, int *ret, struct ctn_err *err)
{
	ctn_autoclose int procfd = -1;
	int r = open_proc(ref->pid, &procfd, err);

	if (r == 0)
		r = check_same(ref->pid, ref->pidfd, err);
	if (r == -ENOENT || r == -ESRCH)
		return ctn_fail(err, ESRCH, "process %d has ended", ref->pid);
	if (r == 0)
		*ret = ctn_take_fd(procfd);
	return r;
}

int pidref_new(pid_t pid, int pidfd, struct pidref **ret, struct ctn_err *err)
{
	ctn_autoclose int opened = -1;
	ctn_autofree struct pidref *ref = NULL;
	int r;

	if (pidfd < 0) {
		opened = pidfd_open(pid, 0);
		if (opened < 0)
			return ctn_fail_errno(err, "open process %d", pid);
	}
	ref = calloc(1, sizeof(*ref));
	if (!ref)
		return ctn_fail(err, ENOMEM, "no memory to follow process %d", pid);
	r = learn_start(pid, pidfd < 0 ? opened : pidfd, &ref->start, err);
	if (r == -ENOENT || r == -ESRCH) /* how procfs says it depends on the moment */
		return ctn_fail(err, ESRCH, "process %d has ended", pid);
	if (r < 0)
		return r;
	ref->pid = pid;
	ref->pidfd = pidfd < 0 ? ctn_take_fd(opened) : pidfd;
	ref->refs = 1;
	*ret = ctn_take_ptr(ref);
	return 0;
}

struct pidref *pidref_get(struct pidref *ref)
{
	if (ref)
		__atomic_add_fetch(&ref->refs, 1, __ATOMIC_RELAXED);
	return ref;
}

void pidref_put(struct pidref *ref)
{
	if (!ref || __atomic_sub_fetch(&ref->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	close(ref->pidfd);
	free(ref);
}

int pidref_kill(const struct pidref *ref, int sig, struct ctn_err *err)
{
	/* The kernel accepts signals for a zombie and drops them; we say so instead. */
	if (pidref_ended(ref))
		return ctn_fail(err, ESRCH, "process %d has ended", ref->pid);
	if (pidfd_send_signal(ref->pidfd, sig, NULL, 0) < 0)
		return ctn_fail_errno(err, "send SIG%s to process %d", signal_name(sig), ref->pid);
	return 0;
}

bool pidref_ended(const struct pidref *ref)
{
	struct pollfd p = {.fd = ref->pidfd, .events = POLLIN};
	int n;

	do {
		n = poll(&p, 1, 0);
	} while (n < 0 && errno == EINTR);
	return n > 0;
}

static int signal_by_name(const char *name)
{
	for (int sig = 1; sig < SIGRTMIN; sig++) {
		const char *known = sigabbrev_np(sig);

		if (known && strcmp(known, name) == 0)
			return sig;
	}
	for (size_t i = 0; i < CTN_COUNT(signal_aliases); i++) {
		if (strcmp(signal_aliases[i].name, name) == 0)
			return signal_aliases[i].sig;
	}
	return 0;
}

/* "RTMIN", "RTMIN+3", "RTMAX-2", "RTMAX"; 0 for anything else. */
static int signal_realtime(const char *name)
{
	bool up = strncmp(name, "RTMIN", 5) == 0;
	uint64_t n = 0;

	if (!up && strncmp(name, "RTMAX", 5) != 0)
		return 0;
	if (name[5]) {
		uint64_t max = (uint64_t)(SIGRTMAX - SIGRTMIN);

		if (name[5] != (up ? '+' : '-') || parse_u64("", name + 6, max, &n, NULL) < 0)
			return 0;
	}
	return up ? SIGRTMIN + (int)n : SIGRTMAX - (int)n;
}

int signal_parse(const char *text, int *ret, struct ctn_err *err)
{
	char name[3 + SIGNAL_NAME_MAX + 1] = "";
	const char *base = name;
	uint64_t number = 0;
	int sig = 0;

	if (isdigit((unsigned char)*text)) {
		if (parse_u64("signal", text, (uint64_t)SIGRTMAX, &number, NULL) == 0)
			sig = (int)number;
	} else if (strlen(text) < sizeof(name)) {
		for (size_t i = 0; text[i]; i++)
			name[i] = (char)toupper((unsigned char)text[i]);
		if (strncmp(name, "SIG", 3) == 0)
			base += 3;
		sig = signal_by_name(base) ?: signal_realtime(base);
	}
	if (sig == 0)
		return ctn_fail(err, EINVAL,
				"'%.40s' is no signal: a name such as TERM, or a number from 1 to "
				"%d",
				text, SIGRTMAX);
	*ret = sig;
	return 0;
}

const char *signal_name(int sig)
{
	static __thread char text[24];
	const char *known = sig > 0 && sig < SIGRTMIN ? sigabbrev_np(sig) : NULL;

	if (known)
		return known;
	if (sig == SIGRTMIN)
		return "RTMIN";
	if (sig > SIGRTMIN && sig <= SIGRTMAX)
		snprintf(text, sizeof(text), "RTMIN+%d", sig - SIGRTMIN);
	else
		snprintf(text, sizeof(text), "%d", sig);
	return text;
}
