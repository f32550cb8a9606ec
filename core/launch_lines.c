/* SPDX-License-Identifier: Apache-2.0 */
/* The lists of a spec, taken apart for the start message. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "cleanup.h"
#include "launch_pack.h"
#include "spec_lines.h"
#include "spec_mounts.h"

/* Of these only the host's own /sys has anything in it, which is what there is without a network
 * namespace: nothing is mounted in a new one. */
static const char *const host_sys_only[] = {
	"/sys/fs/selinux",   "/sys/fs/bpf",	    "/sys/fs/fuse",	    "/sys/fs/pstore",
	"/sys/kernel/debug", "/sys/kernel/tracing", "/sys/kernel/security",
};

static bool is_pointless(const struct spec *spec, const char *path)
{
	if (!spec_ns_is_new(spec, NS_NET)) /* what it joins may be the host's */
		return false;
	for (size_t i = 0; i < CTN_COUNT(host_sys_only); i++) {
		if (strcmp(host_sys_only[i], path) == 0)
			return true;
	}
	return false;
}

/* Two passes: a list's strings stand one behind the other. */
static int pack_path_kind(struct packer *p, const struct spec *spec, bool masked,
			  struct wire_list *ret, struct ctn_err *err)
{
	struct wire_list list = {.off = (uint32_t)p->len};

	for (size_t i = 0; i < spec->paths.len; i++) {
		struct spec_path path;
		int r = spec_path_parse(spec->paths.items[i], &path, err);

		if (r < 0)
			return r;
		if (path.masked != masked || is_pointless(spec, path.path))
			continue;
		pack_bytes(p, path.path, strlen(path.path) + 1);
		list.count++;
	}
	*ret = list;
	return 0;
}

static int pack_sysctls(struct packer *p, const struct spec *spec, struct wire_list *ret,
			struct ctn_err *err)
{
	struct wire_list list = {.off = (uint32_t)p->len};

	for (size_t i = 0; i < spec->sysctl.len; i++) {
		struct spec_sysctl s;
		int r = spec_sysctl_parse(spec->sysctl.items[i], &s, err);

		if (r < 0)
			return r;
		if (spec_ns_is_host(spec, s.kind))
			return ctn_fail(err, EINVAL,
					"sysctl: %s needs its own %s namespace: ns/%s is host",
					s.key, ns_types[s.kind].name, ns_types[s.kind].name);
		pack_bytes(p, s.path, strlen(s.path) + 1);
		pack_bytes(p, s.value, strlen(s.value) + 1);
		list.count += 2;
	}
	*ret = list;
	return 0;
}

static int pack_rlimits(struct packer *p, const struct spec *spec, struct wire_array *ret,
			struct ctn_err *err)
{
	struct wire_rlimit limits[RLIM_NLIMITS];

	if (spec->rlimits.len > RLIM_NLIMITS)
		return ctn_fail(err, EINVAL, "rlimits: more than %d entries", (int)RLIM_NLIMITS);
	for (size_t i = 0; i < spec->rlimits.len; i++) {
		struct spec_rlimit l;
		int r = spec_rlimit_parse(spec->rlimits.items[i], &l, err);

		if (r < 0)
			return r;
		limits[i] = (struct wire_rlimit){
			.resource = (uint32_t)l.resource, .soft = l.soft, .hard = l.hard};
	}
	*ret = pack_array(p, limits, sizeof(limits[0]), spec->rlimits.len);
	return 0;
}

static int pack_nodes(struct packer *p, const struct spec *spec, struct wire_array *ret,
		      struct ctn_err *err)
{
	ctn_autofree struct wire_node *nodes = calloc(spec->devices.len + 1, sizeof(*nodes));
	size_t n = 0;

	if (!nodes)
		return ctn_fail(err, ENOMEM, "devices: no memory");
	for (size_t i = 0; i < spec->devices.len; i++) {
		struct spec_device d;
		int r = spec_device_parse(spec->devices.items[i], &d, err);

		if (r < 0)
			return r;
		if (!d.path[0])
			continue;
		nodes[n++] = (struct wire_node){
			.path = pack_string(p, d.path),
			.mode = (uint32_t)((d.type == 'b' ? S_IFBLK : S_IFCHR) | d.mode),
			.major = (uint32_t)d.major,
			.minor = (uint32_t)d.minor,
			.uid = d.uid,
			.gid = d.gid,
		};
	}
	*ret = pack_array(p, nodes, sizeof(*nodes), n);
	return 0;
}

static struct wire_mount mount_to_wire(struct packer *p, const struct spec_mount *m)
{
	return (struct wire_mount){
		.source = pack_string(p, m->source),
		.target = pack_string(p, m->target),
		.type = pack_string(p, m->type),
		.data = pack_string(p, m->data),
		.set = m->set,
		.clear = m->clear,
		.set_rec = m->set_rec,
		.clear_rec = m->clear_rec,
		.propagation = m->propagation,
		.flags = m->flags,
	};
}

static int pack_mounts(struct packer *p, const struct spec *spec, struct wire_array *ret,
		       struct ctn_err *err)
{
	ctn_autofree struct wire_mount *mounts = calloc(spec->mounts.len + 1, sizeof(*mounts));
	size_t n = 0;

	if (!mounts)
		return ctn_fail(err, ENOMEM, "mounts: no memory");
	for (size_t i = 0; i < spec->mounts.len; i++) {
		struct spec_mount m = {0};
		int r;

		if (spec->mounts.items[i][0] == '-')
			continue;
		r = spec_mount_parse(spec->mounts.items[i], &m, err);
		if (r == 0)
			mounts[n++] = mount_to_wire(p, &m);
		spec_mount_free(&m);
		if (r < 0)
			return r;
	}
	*ret = pack_array(p, mounts, sizeof(*mounts), n);
	return 0;
}

/* Default mounts that a line has removed. */
static void pack_removed(struct packer *p, const struct spec *spec, struct wire_list *ret)
{
	struct wire_list list = {.off = (uint32_t)p->len};

	for (size_t i = 0; i < spec->mounts.len; i++) {
		const char *line = spec->mounts.items[i];

		if (line[0] != '-')
			continue;
		pack_bytes(p, line + 1, strlen(line));
		list.count++;
	}
	*ret = list;
}

int launch_pack_lines(struct packer *p, const struct spec *spec, struct wire_start *m,
		      struct ctn_err *err)
{
	int r = pack_path_kind(p, spec, true, &m->masked, err);

	if (r == 0)
		r = pack_path_kind(p, spec, false, &m->readonly, err);
	if (r == 0)
		r = pack_sysctls(p, spec, &m->sysctls, err);
	if (r == 0)
		r = pack_rlimits(p, spec, &m->rlimits, err);
	if (r == 0)
		r = pack_nodes(p, spec, &m->nodes, err);
	if (r == 0)
		r = pack_mounts(p, spec, &m->mounts, err);
	pack_removed(p, spec, &m->removed);
	return r;
}
