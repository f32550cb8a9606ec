/* SPDX-License-Identifier: Apache-2.0 */
/* The options of a line of `mounts`: mount(8), mount_setattr(2), and the runtime-spec's. */
#include <errno.h>
#include <linux/mount.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>

#include "cleanup.h"
#include "spec_lines_private.h"

enum { DATA_MAX = 4096 };

enum { OPT_ATTR, OPT_FLAG, OPT_SPREAD, OPT_NOTHING, OPT_SUPER, OPT_NEVER };

#define ATIME MOUNT_ATTR__ATIME

/* OPT_ATTR: @set and @clear, and below with an r in front of the name. OPT_FLAG: @set are flags of
 * ours, @clear those that it takes back. OPT_SPREAD: @set is a propagation. OPT_NOTHING: asks for
 * what is so anyhow. OPT_SUPER: of a whole file system, so not of a bind. OPT_NEVER: known, and
 * never possible here. */
static const struct option {
	const char *name;
	int kind;
	uint64_t set, clear;
} options[] = {
	{"ro", OPT_ATTR, MOUNT_ATTR_RDONLY, 0},
	{"rw", OPT_ATTR, 0, MOUNT_ATTR_RDONLY},
	{"nosuid", OPT_ATTR, MOUNT_ATTR_NOSUID, 0},
	{"suid", OPT_ATTR, 0, MOUNT_ATTR_NOSUID},
	{"nodev", OPT_ATTR, MOUNT_ATTR_NODEV, 0},
	{"dev", OPT_ATTR, 0, MOUNT_ATTR_NODEV},
	{"noexec", OPT_ATTR, MOUNT_ATTR_NOEXEC, 0},
	{"exec", OPT_ATTR, 0, MOUNT_ATTR_NOEXEC},
	{"noatime", OPT_ATTR, MOUNT_ATTR_NOATIME, ATIME},
	{"atime", OPT_ATTR, MOUNT_ATTR_RELATIME, ATIME},
	{"relatime", OPT_ATTR, MOUNT_ATTR_RELATIME, ATIME},
	{"norelatime", OPT_ATTR, MOUNT_ATTR_STRICTATIME, ATIME},
	{"strictatime", OPT_ATTR, MOUNT_ATTR_STRICTATIME, ATIME},
	{"nostrictatime", OPT_ATTR, MOUNT_ATTR_RELATIME, ATIME},
	{"nodiratime", OPT_ATTR, MOUNT_ATTR_NODIRATIME, 0},
	{"diratime", OPT_ATTR, 0, MOUNT_ATTR_NODIRATIME},
	{"nosymfollow", OPT_ATTR, MOUNT_ATTR_NOSYMFOLLOW, 0},
	{"symfollow", OPT_ATTR, 0, MOUNT_ATTR_NOSYMFOLLOW},
	{"bind", OPT_FLAG, MOUNT_BIND, 0},
	{"rbind", OPT_FLAG, MOUNT_BIND | MOUNT_REC, 0},
	{"idmap", OPT_FLAG, MOUNT_IDMAP, 0},
	{"ridmap", OPT_FLAG, MOUNT_IDMAP | MOUNT_RIDMAP, 0},
	{"noidmap", OPT_FLAG, 0, MOUNT_IDMAP | MOUNT_RIDMAP},
	{"tmpcopyup", OPT_FLAG, MOUNT_TMPCOPYUP, 0},
	{"private", OPT_SPREAD, MS_PRIVATE, 0},
	{"rprivate", OPT_SPREAD, MS_PRIVATE | MS_REC, 0},
	{"slave", OPT_SPREAD, MS_SLAVE, 0},
	{"rslave", OPT_SPREAD, MS_SLAVE | MS_REC, 0},
	{"shared", OPT_SPREAD, MS_SHARED, 0},
	{"rshared", OPT_SPREAD, MS_SHARED | MS_REC, 0},
	{"unbindable", OPT_SPREAD, MS_UNBINDABLE, 0},
	{"runbindable", OPT_SPREAD, MS_UNBINDABLE | MS_REC, 0},
	{"defaults", OPT_NOTHING, 0, 0},
	{"async", OPT_NOTHING, 0, 0},
	{"nomand", OPT_NOTHING, 0, 0},
	{"nolazytime", OPT_NOTHING, 0, 0},
	{"noiversion", OPT_NOTHING, 0, 0},
	{"loud", OPT_NOTHING, 0, 0},
	{"silent", OPT_NOTHING, 0, 0},
	{"acl", OPT_NOTHING, 0, 0},
	{"sync", OPT_SUPER, 0, 0},
	{"dirsync", OPT_SUPER, 0, 0},
	{"lazytime", OPT_SUPER, 0, 0},
	{"mand", OPT_NEVER, 0, 0},
	{"iversion", OPT_NEVER, 0, 0},
	{"noacl", OPT_NEVER, 0, 0},
	{"remount", OPT_NEVER, 0, 0},
};

static const struct option *option_find(const char *name, size_t n)
{
	for (size_t i = 0; i < CTN_COUNT(options); i++) {
		if (strlen(options[i].name) == n && memcmp(options[i].name, name, n) == 0)
			return &options[i];
	}
	return NULL;
}

/* The option without its r, when it is about mount attributes. */
static const struct option *option_rec(const char *name, size_t n)
{
	const struct option *o = n > 1 && name[0] == 'r' ? option_find(name + 1, n - 1) : NULL;

	return o && o->kind == OPT_ATTR ? o : NULL;
}

/* The later of two that contradict each other counts. */
static void attr_apply(uint64_t *set, uint64_t *clear, const struct option *o)
{
	*set = (*set & ~o->clear) | o->set;
	*clear = (*clear & ~(o->set & ~ATIME)) | o->clear;
}

static int data_add(struct spec_mount *m, const char *name, size_t n, struct ctn_err *err)
{
	size_t len = strlen(m->data);
	char *bigger = realloc(m->data, len + n + 2);

	if (!bigger)
		return ctn_fail(err, ENOMEM, "mounts: no memory for options");
	m->data = bigger;
	snprintf(bigger + len, n + 2, "%s%.*s", len ? "," : "", (int)n, name);
	return 0;
}

static int option_apply(struct spec_mount *m, const char *name, size_t n, bool *idmap_said,
			struct ctn_err *err)
{
	const struct option *o = option_find(name, n);
	const struct option *rec = o ? NULL : option_rec(name, n);

	if (rec) {
		attr_apply(&m->set_rec, &m->clear_rec, rec);
		return 0;
	}
	if (!o)
		return data_add(m, name, n, err);
	switch (o->kind) {
	case OPT_ATTR:
		attr_apply(&m->set, &m->clear, o);
		break;
	case OPT_FLAG:
		m->flags = (m->flags & ~(unsigned)o->clear) | (unsigned)o->set;
		*idmap_said |= (o->set | o->clear) & MOUNT_IDMAP;
		break;
	case OPT_SPREAD:
		m->propagation = (unsigned long)o->set;
		break;
	case OPT_SUPER:
		return data_add(m, name, n, err);
	case OPT_NEVER:
		return ctn_fail(err, EOPNOTSUPP, "mounts: %s: the option %s cannot be had here",
				m->target, o->name);
	default:
		break;
	}
	return 0;
}

int spec_mount_options(struct spec_mount *m, const char *text, struct ctn_err *err)
{
	bool idmap_said = false;

	if (strlen(text) > DATA_MAX)
		return ctn_fail(err, EINVAL, "mounts: %s: more than %d bytes of options", m->target,
				DATA_MAX);
	while (*text) {
		size_t n = strcspn(text, ",");
		int r = n ? option_apply(m, text, n, &idmap_said, err) : 0;

		if (r < 0)
			return r;
		text += n + (text[n] == ',');
	}
	if (strcmp(m->type, "bind") == 0)
		m->flags |= MOUNT_BIND;
	if (m->flags & MOUNT_BIND && !idmap_said)
		m->flags |= MOUNT_IDMAP;
	return 0;
}
