/* SPDX-License-Identifier: Apache-2.0 */
/* On which conditions a rule of moby's form is in force: `includes` and `excludes`. */
#include <ctype.h>
#include <errno.h>
#include <linux/version.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>

#include "cleanup.h"
#include "seccomp_rules.h"

enum { ENTRIES_MAX = 4096 };

/* Null says as little as nothing. */
bool seccomp_get(const struct json_at *object, const char *key, struct json_at *ret)
{
	return json_get(object, key, ret) && ret->value;
}

/* Call @fn with each element of the array under @key, if there is one. */
int seccomp_each(const struct json_at *object, const char *key, void *arg,
		 int (*fn)(const struct json_at *at, void *arg, struct ctn_err *err),
		 struct ctn_err *err)
{
	struct json_at array, item;
	int r;

	if (!seccomp_get(object, key, &array))
		return 0;
	r = json_want_array(&array, err);
	if (r == 0 && json_length(&array) > ENTRIES_MAX)
		return json_fail(&array, E2BIG, err, "more than %d elements", ENTRIES_MAX);
	for (size_t i = 0; r == 0 && json_item(&array, i, &item); i++)
		r = fn(&item, arg, err);
	return r;
}

/* The hosts that moby and its relatives have names for. */
static const char *const hosts[] = {
	"386",	  "amd64",    "arm",	 "arm64",	"loong64",     "loongarch64", "m68k",
	"mips",	  "mips64",   "mipsle",	 "mips64le",	"mips64n32",   "mips64p32",   "mips64p32le",
	"mipsel", "mipsel64", "mips3l",	 "mips3l64",	"mipsel64n32", "parisc",      "parisc64",
	"ppc",	  "ppc64",    "ppc64le", "riscv64",	"s390",	       "s390x",	      "sh",
	"sheb",	  "x32",      "x86",	 "mips3l64n32",
};

/* What `includes` or `excludes` asks about. */
struct asked {
	bool arches, arch_here;
	bool kernel;
	uint32_t kernel_min;
	uint64_t caps;
};

static int read_host(const struct json_at *at, struct asked *asked, struct ctn_err *err)
{
	const char *name = NULL;
	int r = json_want_string(at, &name, err);

	for (size_t i = 0; r == 0 && i < CTN_COUNT(hosts); i++) {
		if (strcmp(hosts[i], name) != 0)
			continue;
		asked->arches = true;
		asked->arch_here |= strcmp(name, "amd64") == 0;
		return 0;
	}
	return r < 0 ? r
		     : json_fail(at, EINVAL, err, "'%.64s' is no architecture, as amd64 is", name);
}

static int read_cap(const struct json_at *at, struct asked *asked, struct ctn_err *err)
{
	const char *name = NULL;
	cap_value_t cap;
	int r = json_want_string(at, &name, err);

	if (r < 0)
		return r;
	if (strncasecmp(name, "CAP_", 4) != 0 || isdigit((unsigned char)name[4]) ||
	    cap_from_name(name, &cap) < 0 || cap < 0 || cap > 63)
		return json_fail(at, EINVAL, err, "'%.64s' is no capability, as CAP_SYS_ADMIN is",
				 name);
	asked->caps |= UINT64_C(1) << cap;
	return 0;
}

static int read_kernel(const struct json_at *at, struct asked *asked, struct ctn_err *err)
{
	unsigned long major = 0, minor = 0;
	const char *text = NULL;
	char *end = NULL;
	int r = json_want_string(at, &text, err);

	if (r < 0)
		return r;
	if (isdigit((unsigned char)text[0]))
		major = strtoul(text, &end, 10);
	if (end && end[0] == '.' && isdigit((unsigned char)end[1]))
		minor = strtoul(end + 1, &end, 10);
	else
		end = NULL;
	if (!end || end[strspn(end, ".0123456789")] || major > 255 || minor > 255)
		return json_fail(at, EINVAL, err, "'%.64s' is no version of a kernel, as 4.8 is",
				 text);
	asked->kernel = true;
	asked->kernel_min = (uint32_t)KERNEL_VERSION(major, minor, 0);
	return 0;
}

static int each_host(const struct json_at *at, void *arg, struct ctn_err *err)
{
	return read_host(at, arg, err);
}

static int each_cap(const struct json_at *at, void *arg, struct ctn_err *err)
{
	return read_cap(at, arg, err);
}

static int read_asked(const struct json_at *rule, const char *key, struct asked *ret,
		      struct ctn_err *err)
{
	struct json_at at, kernel;
	int r;

	if (!seccomp_get(rule, key, &at))
		return 0;
	r = json_want_object(&at, err);
	if (r == 0)
		r = seccomp_each(&at, "arches", ret, each_host, err);
	if (r == 0)
		r = seccomp_each(&at, "caps", ret, each_cap, err);
	if (r == 0 && seccomp_get(&at, "minKernel", &kernel))
		r = read_kernel(&kernel, ret, err);
	return r;
}

int seccomp_asked(const struct json_at *rule, uint64_t caps, uint32_t kernel, bool *ret_applies,
		  uint64_t *ret_needs, struct ctn_err *err)
{
	struct asked in = {.caps = 0}, ex = {.caps = 0};
	int r = read_asked(rule, "includes", &in, err);

	if (r == 0)
		r = read_asked(rule, "excludes", &ex, err);
	if (r < 0)
		return r;
	*ret_needs = in.caps;
	*ret_applies = (in.caps & ~caps) == 0 && (!in.arches || in.arch_here) &&
		       (!in.kernel || kernel >= in.kernel_min) && !(ex.caps & caps) &&
		       !ex.arch_here && !(ex.kernel && kernel >= ex.kernel_min);
	return 0;
}
