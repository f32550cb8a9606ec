/* SPDX-License-Identifier: Apache-2.0 */
/* `ctnfs-attach RUNDIR SCRIPT [OPTION]…` */
#include "attach.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../cleanup.h"

#define KEYS_DEFAULT "ctrl-p,ctrl-q"

static const char usage[] = "usage: attach [-k KEYS]\n"
			    "Connects this terminal with the one of the container (tty 1). Exits "
			    "as the container does.\n"
			    "\n"
			    "    -k KEYS   what to type to leave, " KEYS_DEFAULT
			    " by default: characters or ctrl-X,\n"
			    "              with a comma between; '' for none\n"
			    "\n"
			    "Standard input that is no terminal is passed on until its end.\n";

/* The container's name: of the directory that the script is in. */
static const char *name_of(const char *script)
{
	static char path[PATH_MAX];
	char *slash = realpath(script, path) ? strrchr(path, '/') : NULL;

	if (!slash || slash == path)
		return "the container";
	*slash = '\0';
	return strrchr(path, '/') + 1;
}

static int complain(const char *script, const struct ctn_err *err)
{
	if (err->code == ESRCH)
		fprintf(stderr, "attach: %s does not run; echo start > ctl\n", name_of(script));
	else
		fprintf(stderr, "attach: %s: %s\n", name_of(script), err->text);
	return EXIT_ATTACH;
}

/* Descriptors of ours must not become standard ones. */
static int fill_streams(struct ctn_err *err)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	} while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd < 0)
		return ctn_fail_errno(err, "open /dev/null");
	close(fd);
	return 0;
}

/* Return: -1: go on; else the exit status. */
static int parse(int argc, char **argv, struct keys *ret)
{
	static const struct option options[] = {{"help", no_argument, NULL, 'h'}, {0}};
	const char *keys = KEYS_DEFAULT;
	struct ctn_err err = {0};
	int c;

	while ((c = getopt_long(argc, argv, "hk:", options, NULL)) != -1) {
		switch (c) {
		case 'h':
			fputs(usage, stdout);
			return 0;
		case 'k':
			keys = optarg;
			break;
		default:
			fputs(usage, stderr);
			return EXIT_ATTACH;
		}
	}
	if (optind < argc) {
		fputs(usage, stderr);
		return EXIT_ATTACH;
	}
	if (keys_parse(keys, ret, &err) < 0) {
		fprintf(stderr, "attach: %s\n", err.text);
		return EXIT_ATTACH;
	}
	return -1;
}

static int run(const char *rundir, const char *script, const struct keys *keys)
{
	static struct relay relay;
	struct ctn_err err = {0};
	int log = -1, r;

	r = link_open(rundir, &relay.link, &log, &err);
	if (r < 0)
		return complain(script, &err);
	follow_begin(&relay.log, log);
	relay.code = -1;
	relay.out_is_terminal = isatty(STDOUT_FILENO);
	r = tty_init(&err);
	if (r == 0)
		r = tty_raw(&err);
	if (tty_is_raw())
		relay.keys = *keys;
	if (r == 0)
		r = relay_run(&relay, &err);
	tty_restore();
	if (r < 0)
		return complain(script, &err);
	if (!relay.detach)
		return relay.code;
	fputs("\ndetached\n", stderr);
	return EXIT_DETACHED;
}

int main(int argc, char **argv)
{
	struct ctn_err err = {0};
	struct keys keys;
	int status;

	if (argc < 3 || fill_streams(&err) < 0) {
		fputs("ctnfs-attach is what the file attach of a container calls; run that\n",
		      stderr);
		return EXIT_ATTACH;
	}
	status = parse(argc - 2, argv + 2, &keys);
	return status >= 0 ? status : run(argv[1], argv[2], &keys);
}
