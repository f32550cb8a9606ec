/* SPDX-License-Identifier: Apache-2.0 */
/* Opens devices again and again (N26): makes a node in /dev for each that is named, and tries it a
 * thousand times a second until SIGTERM.
 *
 *     opener [once] b:254:0 +c:1:3 …
 *
 * "SAID b:254:0 EPERM" for each answer that was not there before, "ok" where it was opened; a name
 * with a + must be opened, each time. "END tries=N opened=N lost=N": of those without a +, how
 * often one was opened; of those with one, how often not. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

enum { DEVICES_MAX = 16, ERRNO_MAX = 134 };

struct device {
	const char *name;
	char path[64];
	bool wanted;
	bool said[ERRNO_MAX];
};

static volatile sig_atomic_t ended;

static void on_term(int sig)
{
	(void)sig;
	ended = 1;
}

static void say(struct device *d, int code)
{
	if (code < 0 || code >= ERRNO_MAX || d->said[code])
		return;
	d->said[code] = true;
	printf("SAID %s %s\n", d->name, code ? strerrorname_np(code) : "ok");
	fflush(stdout);
}

static void make(struct device *d, const char *word)
{
	unsigned major = 0, minor = 0;
	char kind = 'c';

	d->name = word;
	d->wanted = *word == '+';
	(void)sscanf(word + d->wanted, "%c:%u:%u", &kind, &major, &minor);
	snprintf(d->path, sizeof(d->path), "/dev/test-%c-%u-%u", kind, major, minor);
	if (mknod(d->path, (kind == 'b' ? S_IFBLK : S_IFCHR) | 0666, makedev(major, minor)) < 0 &&
	    errno != EEXIST)
		printf("SAID mknod %s\n", strerrorname_np(errno));
}

int main(int argc, char **argv)
{
	const struct timespec pause = {.tv_nsec = 1000000};
	bool once = argc > 1 && strcmp(argv[1], "once") == 0;
	static struct device devices[DEVICES_MAX];
	unsigned long tries = 0, opened = 0, lost = 0;
	int n = 0;

	signal(SIGTERM, on_term);
	for (int i = 1 + once; i < argc && n < DEVICES_MAX; i++)
		make(&devices[n++], argv[i]);
	do {
		for (int i = 0; i < n; i++) {
			struct device *d = &devices[i];
			int fd = open(d->path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

			say(d, fd < 0 ? errno : 0);
			opened += fd >= 0 && !d->wanted;
			lost += fd < 0 && d->wanted;
			if (fd >= 0)
				close(fd);
		}
		if (tries++ == 0)
			printf("READY\n");
		fflush(stdout);
		(void)nanosleep(&pause, NULL);
	} while (!ended && !once);
	printf("END tries=%lu opened=%lu lost=%lu\n", tries, opened, lost);
	return 0;
}
