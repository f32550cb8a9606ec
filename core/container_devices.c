/* SPDX-License-Identifier: Apache-2.0 */
/* The devices that a container may use: from the lines of its `devices` into its control group. */
#include <errno.h>
#include <string.h>

#include "cleanup.h"
#include "container_private.h"
#include "spec_lines.h"

static bool holds(const struct container *c, const struct spec *spec)
{
	if (c->devices.len == 0 || c->devices.len != spec->devices.len)
		return false;
	for (size_t i = 0; i < spec->devices.len; i++) {
		if (strcmp(c->devices.items[i], spec->devices.items[i]) != 0)
			return false;
	}
	return true;
}

static bool is_default(const struct spec *spec)
{
	size_t n = 0;

	for (; n < spec->devices.len && spec_default_devices[n]; n++) {
		if (strcmp(spec->devices.items[n], spec_default_devices[n]) != 0)
			return false;
	}
	return n == spec->devices.len && !spec_default_devices[n];
}

static int rules(const struct spec *spec, struct cgroup_device *list, struct ctn_err *err)
{
	for (size_t i = 0; i < spec->devices.len; i++) {
		struct spec_device d;
		int r = spec_device_parse(spec->devices.items[i], &d, err);

		if (r < 0)
			return r;
		list[i] = (struct cgroup_device){
			.type = d.type, .major = d.major, .minor = d.minor, .access = d.access};
	}
	return 0;
}

void container_devices_fresh(struct container *c)
{
	for (const char *const *line = spec_default_devices; *line; line++) {
		if (strlist_add(&c->devices, *line, strlen(*line)) < 0) {
			strlist_free(&c->devices); /* not known: the start sets them once more */
			return;
		}
	}
}

int container_set_devices(struct container *c, const struct spec *spec, struct ctn_err *err)
{
	ctn_autofree struct cgroup_device *list = NULL;
	int r;

	if (holds(c, spec))
		return 0;
	list = calloc(spec->devices.len + 1, sizeof(*list));
	if (!list)
		return ctn_fail(err, ENOMEM, "devices: no memory");
	strlist_free(&c->devices);
	r = rules(spec, list, err);
	if (r == 0)
		r = cgroup_leaf_set_devices(c->cgroup, list, spec->devices.len, err);
	if (r == -EOPNOTSUPP && is_default(spec)) {
		/* A host without the controller holds nobody to the defaults. */
		if (err)
			*err = (struct ctn_err){0};
		return 0;
	}
	if (r < 0)
		return r;
	if (strlist_copy(&c->devices, &spec->devices) < 0)
		strlist_free(&c->devices);
	return 0;
}
