/* SPDX-License-Identifier: Apache-2.0 */
/* A new file system from a line of `mounts`, made on either side of the id map. */
#include <errno.h>
#include <linux/mount.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>

#include "../cleanup.h"
#include "../io.h"
#include "monitor.h"

/* Options whose value is an id of the container's. */
static bool is_id(const char *key)
{
	return strcmp(key, "uid") == 0 || strcmp(key, "gid") == 0;
}

/* The value as whoever makes the file system has to say it. */
static int id_value(const struct plan *p, const struct fs_new *f, const char *key,
		    const char *value, char ret[16], struct ctn_err *err)
{
	bool user = key[0] == 'u';
	uint32_t outside = 0;
	uint64_t id = 0;
	int r = parse_u64(key, value, UINT32_MAX - 1, &id, err);

	if (r < 0)
		return r;
	if (plan_map_id(user ? p->uid_map : p->gid_map,
			user ? p->msg->uid_map.count : p->msg->gid_map.count, (uint32_t)id,
			&outside) < 0)
		return ctn_fail(err, EINVAL, "%s: %s is not in the container's id map", f->type,
				value);
	snprintf(ret, 16, "%u", f->outside ? outside : (uint32_t)id);
	return 0;
}

/* "key=value" or "key". */
static int option_give(const struct plan *p, const struct fs_new *f, int fs, char *option,
		       struct ctn_err *err)
{
	char *value = strchr(option, '='), id[16];
	int r;

	if (!value) {
		r = fsconfig(fs, FSCONFIG_SET_FLAG, option, NULL, 0);
		return r < 0 ? ctn_fail_errno(err, "%s does not take the option '%s'", f->type,
					      option)
			     : 0;
	}
	*value++ = '\0';
	if (is_id(option)) {
		r = id_value(p, f, option, value, id, err);
		if (r < 0)
			return ctn_fail_context(err, "the option %s=%s", option, value);
		value = id;
	}
	if (fsconfig(fs, FSCONFIG_SET_STRING, option, value, 0) < 0)
		return ctn_fail_errno(err, "%s does not take the option '%s=%s'", f->type, option,
				      value);
	return 0;
}

static int options_give(const struct plan *p, const struct fs_new *f, int fs, const char *data,
			struct ctn_err *err)
{
	ctn_autofree char *copy = NULL;
	char *save = NULL;
	int r = 0;

	if (!data || !data[0])
		return 0;
	copy = strdup(data);
	if (!copy)
		return ctn_fail(err, ENOMEM, "no memory for options");
	for (char *o = strtok_r(copy, ",", &save); r == 0 && o; o = strtok_r(NULL, ",", &save))
		r = option_give(p, f, fs, o, err);
	return r;
}

int fs_make(const struct plan *p, const struct fs_new *f, int *ret, struct ctn_err *err)
{
	ctn_autoclose int fs = fsopen(f->type, FSOPEN_CLOEXEC);
	int fd, r;

	if (fs < 0)
		return ctn_fail_errno(err, "open a %s file system", f->type);
	if (f->source && fsconfig(fs, FSCONFIG_SET_STRING, "source", f->source, 0) < 0)
		return ctn_fail_errno(err, "%s: the source '%s'", f->type, f->source);
	r = options_give(p, f, fs, f->first, err);
	if (r == 0)
		r = options_give(p, f, fs, f->data, err);
	if (r < 0)
		return r;
	if (fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		/* Some look at their options only now: devpts before Linux 6.14. */
		return ctn_fail_errno(err, "make a %s file system%s%s%s", f->type,
				      f->data && f->data[0] ? " with the options '" : "",
				      f->data ? f->data : "", f->data && f->data[0] ? "'" : "");
	fd = fsmount(fs, FSMOUNT_CLOEXEC, f->attr);
	if (fd < 0)
		return ctn_fail_errno(err, "mount a %s file system", f->type);
	*ret = fd;
	return 0;
}

unsigned fs_attr(const struct plan_mount *m)
{
	/* Nothing is set before: what is cleared does not matter, but by the second of the two. */
	return (unsigned)((m->wire->set & ~m->wire->clear_rec) | m->wire->set_rec);
}
