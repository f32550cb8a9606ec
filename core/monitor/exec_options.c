/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../io.h"
#include "exec.h"

static const char usage[] = "usage: %s [OPTION]... [--] PROGRAM [ARG]...\n";
static const char help[] =
	"Runs PROGRAM in the container, with the caller's standard streams and terminal.\n"
	"  -u, --user=USER      as USER, uid or uid:gid of the container\n"
	"  -w, --cwd=DIR        in the directory DIR of the container\n"
	"  -e, --env=KEY=VALUE  with this in its environment; KEY alone: the caller's value\n"
	"  -f, --fd=N           with descriptor N of the caller, beside 0, 1 and 2\n"
	"  -h, --help           show this\n"
	"Exit status: PROGRAM's; 128+n when signal n ended it; 127: not found; 126: it cannot be\n"
	"executed; 125: the container cannot be entered.\n";

static const struct option long_options[] = {
	{"user", required_argument, NULL, 'u'}, {"cwd", required_argument, NULL, 'w'},
	{"env", required_argument, NULL, 'e'},	{"fd", required_argument, NULL, 'f'},
	{"help", no_argument, NULL, 'h'},	{0},
};

static int fail(const char *name, const char *what, const char *value)
{
	fprintf(stderr, "%s: %s'%s'\n", name, what, value);
	return EXIT_EXEC;
}

static int add_env(struct exec_options *o, const char *name, char *text)
{
	char *value;

	if (!text[0] || text[0] == '=')
		return fail(name, "-e takes KEY=VALUE, not ", text);
	if (!strchr(text, '=')) {
		value = getenv(text);
		if (!value || asprintf(&text, "%s=%s", text, value) < 0)
			return -1; /* not set here: not set there */
	}
	o->env[o->n_env++] = text;
	return -1;
}

static int add_fd(struct exec_options *o, const char *name, const char *text)
{
	uint64_t fd = 0;

	if (parse_u64("-f", text, INT32_MAX, &fd, NULL) < 0 || fcntl((int)fd, F_GETFD) < 0)
		return fail(name, "-f takes an open descriptor, not ", text);
	if (fd <= STDERR_FILENO)
		return -1;
	if (o->n_fds == EXEC_FDS_MAX)
		return fail(name, "too many descriptors, at ", text);
	o->fds[o->n_fds++] = (int)fd;
	return -1;
}

static int take_option(struct exec_options *o, const char *name, int option)
{
	switch (option) {
	case 'u':
		o->user = optarg;
		return -1;
	case 'w':
		o->cwd = optarg;
		return optarg[0] == '/' ? -1
					: fail(name, "-w takes an absolute path, not ", optarg);
	case 'e':
		return add_env(o, name, optarg);
	case 'f':
		return add_fd(o, name, optarg);
	case 'h':
		printf(usage, name);
		fputs(help, stdout);
		return 0;
	default: /* getopt has said what is wrong */
		fprintf(stderr, usage, name);
		return EXIT_EXEC;
	}
}

int exec_options_parse(int argc, char **argv, struct exec_options *ret)
{
	struct exec_options o = {.env = calloc((size_t)argc + 1, sizeof(char *))};
	int option, status = -1;

	if (!o.env)
		return fail(argv[0], "no memory for ", "options");
	while (status < 0 &&
	       (option = getopt_long(argc, argv, "+u:w:e:f:h", long_options, NULL)) >= 0)
		status = take_option(&o, argv[0], option);
	if (status < 0 && optind == argc) {
		fprintf(stderr, usage, argv[0]);
		status = EXIT_EXEC;
	}
	if (status >= 0)
		return status;
	o.argv = argv + optind;
	*ret = o;
	return -1;
}
