/* SPDX-License-Identifier: Apache-2.0 */
#include "options.h"

#include <errno.h>
#include <grp.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FUSE_USE_VERSION 314
#include <fuse_opt.h>

#include "../core/cleanup.h"
#include "../core/engine.h"
#include "../core/io.h"

/* 8191 ranges of 65536, above what useradd(8) gives to users and below 2^31, where some programs'
 * numbers end. */
enum { ID_RANGE = 65536, WATCHDOG_MAX = 86400 };
#define SUBID_DEFAULT	 "1342177280:536805376"
#define SPARES_DEFAULT	 "2"
#define WATCHDOG_DEFAULT "120" /* as the kernel's own for hung tasks */
#define STATE_DEFAULT	 "/var/lib/ctnfs"
#define RUN_DEFAULT	 "/run/ctnfs"
#define SUBID_LAST	 UINT64_C(0xfffeffff) /* above: 65534, -1 and their like */

static const char usage[] =
	"usage: ctnfs [SOURCE] MOUNTPOINT [options]\n"
	"Linux containers as directories: mkdir makes one, echo COMMAND > cmd starts it.\n"
	"\n"
	"    -h             this text\n"
	"    -V             the version\n"
	"    --tree         every file of the tree, with its meaning\n"
	"    -f             stay in the foreground\n"
	"    -d             print each request to standard error (implies -f)\n"
	"    -s             one thread for all requests\n"
	"    -o state=DIR   where containers are kept (" STATE_DEFAULT ")\n"
	"    -o run=DIR     where running ones are kept track of (" RUN_DEFAULT ")\n"
	"    -o cgroup=PATH cgroup of all containers, below each hierarchy's mount point\n"
	"                   (ctnfs below the server's own)\n"
	"    -o group=NAME  that group may look: state, counters, processes\n"
	"    -o subid=BASE:COUNT\n"
	"                   host ids that containers may use (" SUBID_DEFAULT ")\n"
	"    -o spares=N    containers kept ready while some are being made (" SPARES_DEFAULT ")\n"
	"    -o watchdog=SECONDS\n"
	"                   how long one request may hang before the server ends (" WATCHDOG_DEFAULT
	")\n"
	"    -o filter=on|off|kill\n"
	"                   what becomes of system calls that the server has no use for (on)\n"
	"Options of mount(8) that mean nothing here are accepted; ro is not.\n";

enum { KEY_READ_ONLY = 1 };

#define OPTION(template, field, value)                           \
	{                                                        \
		template, offsetof(struct options, field), value \
	}

static const struct fuse_opt table[] = {
	OPTION("-h", help, 1),
	OPTION("--help", help, 1),
	OPTION("-V", version, 1),
	OPTION("--version", version, 1),
	OPTION("--tree", tree, 1),
	OPTION("-f", foreground, 1),
	OPTION("-d", debug, 1),
	OPTION("debug", debug, 1),
	OPTION("-s", single, 1),
	OPTION("state=%s", state, 0),
	OPTION("run=%s", run, 0),
	OPTION("cgroup=%s", cgroup, 0),
	OPTION("group=%s", group_name, 0),
	OPTION("subid=%s", subid, 0),
	OPTION("spares=%s", spares_text, 0),
	OPTION("watchdog=%s", watchdog_text, 0),
	OPTION("filter=%s", filter_text, 0),
	FUSE_OPT_KEY("ro", KEY_READ_ONLY),
	FUSE_OPT_END,
};

/* What mount(8), mount.fuse3(8) and fstab(5) pass to every file system. */
static const char *const ignored[] = {
	"rw",	 "suid",    "nosuid",	"dev",	   "nodev",  "exec",	 "noexec",
	"atime", "noatime", "relatime", "sync",	   "async",  "auto",	 "noauto",
	"user",	 "nouser",  "users",	"_netdev", "nofail", "defaults",
};

static bool is_ignored(const char *arg)
{
	for (size_t i = 0; i < CTN_COUNT(ignored); i++) {
		if (strcmp(arg, ignored[i]) == 0)
			return true;
	}
	return strncmp(arg, "x-", 2) == 0 || strncmp(arg, "comment=", 8) == 0;
}

/* What one call of fuse_opt_parse() works on. */
struct parse {
	struct options o; /* first: the table's offsets count from here */
	struct ctn_err *err;
};

static int take_operand(struct parse *p, const char *arg)
{
	char *copy;

	if (p->o.source)
		return ctn_fail(p->err, EINVAL, "one SOURCE and one MOUNTPOINT, not also '%s'",
				arg);
	copy = strdup(arg);
	if (!copy)
		return ctn_fail(p->err, ENOMEM, "no memory");
	p->o.source = p->o.mountpoint; /* the last one is the mount point */
	p->o.mountpoint = copy;
	return 0;
}

static int take_other(struct parse *p, const char *arg, int key)
{
	if (key == FUSE_OPT_KEY_NONOPT)
		return take_operand(p, arg);
	if (key == KEY_READ_ONLY)
		return ctn_fail(p->err, EINVAL,
				"ro: containers are made and run by writing; leave it out");
	if (is_ignored(arg))
		return 0;
	return ctn_fail(p->err, EINVAL, "unknown option '%s'; ctnfs -h lists them", arg);
}

static int take(void *data, const char *arg, int key, struct fuse_args *rest)
{
	(void)rest;
	return take_other(data, arg, key) < 0 ? -1
					      : 0; /* no other negative number ends the parsing */
}

static int make_absolute(char **path, const char *fallback, struct ctn_err *err)
{
	ctn_autofree char *cwd = NULL;
	char *whole;

	if (*path && **path == '/')
		return 0;
	if (*path && !**path)
		return ctn_fail(err, EINVAL, "an empty path for state or run");
	if (*path)
		cwd = getcwd(NULL, 0);
	if (*path && !cwd)
		return ctn_fail_errno(err, "find the working directory");
	if (asprintf(&whole, "%s%s%s", cwd ?: "", *path ? "/" : "", *path ?: fallback) < 0)
		return ctn_fail(err, ENOMEM, "no memory");
	free(*path);
	*path = whole;
	return 0;
}

static int parse_group(struct options *o, struct ctn_err *err)
{
	struct group *group;

	o->group = (gid_t)-1;
	if (!o->group_name)
		return 0;
	group = getgrnam(o->group_name);
	if (!group)
		return ctn_fail(err, EINVAL, "group=%s: no such group", o->group_name);
	o->group = group->gr_gid;
	return 0;
}

static int parse_number(const char *name, const char *text, uint64_t most, unsigned *ret,
			struct ctn_err *err)
{
	uint64_t n = 0;
	int r = parse_u64(name, text, most, &n, err);

	if (r == 0)
		*ret = (unsigned)n;
	return r;
}

static int parse_filter(struct options *o, struct ctn_err *err)
{
	static const char *const names[] = {
		[SHIELD_ON] = "on", [SHIELD_OFF] = "off", [SHIELD_KILL] = "kill"};

	for (size_t i = 0; i < CTN_COUNT(names); i++) {
		if (strcmp(o->filter_text ?: names[SHIELD_ON], names[i]) == 0) {
			o->filter = (enum shield_filter)i;
			return 0;
		}
	}
	return ctn_fail(err, EINVAL, "filter=%s: write on, off or kill", o->filter_text);
}

static int parse_subid(struct options *o, struct ctn_err *err)
{
	ctn_autofree char *text = strdup(o->subid ?: SUBID_DEFAULT);
	char *colon = text ? strchr(text, ':') : NULL;
	uint64_t base = 0, count = 0;
	int r;

	if (!text)
		return ctn_fail(err, ENOMEM, "no memory");
	if (!colon)
		return ctn_fail(err, EINVAL, "subid=%s: write BASE:COUNT", text);
	*colon = '\0';
	r = parse_u64("subid: BASE", text, UINT32_MAX, &base, err);
	if (r == 0)
		r = parse_u64("subid: COUNT", colon + 1, UINT32_MAX, &count, err);
	if (r < 0)
		return r;
	if (count < ID_RANGE || base < ID_RANGE || base + count - 1 > SUBID_LAST)
		return ctn_fail(err, EINVAL,
				"subid=%s:%s: each container needs %d ids, between %d and %llu",
				text, colon + 1, ID_RANGE, ID_RANGE,
				(unsigned long long)SUBID_LAST);
	o->subid_base = (uint32_t)base;
	o->subid_count = (uint32_t)count;
	return 0;
}

static int complete(struct options *o, struct ctn_err *err)
{
	int r;

	if (o->help || o->version || o->tree)
		return 0;
	if (!o->mountpoint)
		return ctn_fail(err, EINVAL, "no mount point; ctnfs -h tells the usage");
	if (!o->source)
		o->source = strdup("ctnfs");
	if (!o->source)
		return ctn_fail(err, ENOMEM, "no memory");
	o->foreground |= o->debug;
	r = make_absolute(&o->state, STATE_DEFAULT, err);
	if (r == 0)
		r = make_absolute(&o->run, RUN_DEFAULT, err);
	if (r == 0)
		r = parse_group(o, err);
	if (r == 0)
		r = parse_subid(o, err);
	if (r == 0)
		r = parse_number("watchdog", o->watchdog_text ?: WATCHDOG_DEFAULT, WATCHDOG_MAX,
				 &o->watchdog, err);
	if (r == 0)
		r = parse_filter(o, err);
	if (r == 0)
		r = parse_number("spares", o->spares_text ?: SPARES_DEFAULT, SPARES_MAX, &o->spares,
				 err);
	return r;
}

int options_parse(int argc, char **argv, struct options *ret, struct ctn_err *err)
{
	struct fuse_args args = FUSE_ARGS_INIT(argc, argv);
	struct ctn_err own = {0};
	struct parse p = {.err = &own};
	int r = 0;

	/* Of what it refuses by itself (a missing value) it tells standard error. */
	if (fuse_opt_parse(&args, &p, table, take) < 0)
		r = own.code ? -own.code : ctn_fail(&own, EINVAL, "ctnfs -h tells the usage");
	fuse_opt_free_args(&args);
	if (r == 0)
		r = complete(&p.o, &own);
	if (r < 0 && err)
		*err = own;
	*ret = p.o;
	return r;
}

void options_free(struct options *o)
{
	free(o->source);
	free(o->mountpoint);
	free(o->state);
	free(o->run);
	free(o->cgroup);
	free(o->group_name);
	free(o->subid);
	free(o->spares_text);
	free(o->watchdog_text);
	free(o->filter_text);
}

const char *options_usage(void)
{
	return usage;
}
