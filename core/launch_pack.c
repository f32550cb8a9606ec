/* SPDX-License-Identifier: Apache-2.0 */
#include "launch_pack.h"

#include <errno.h>
#include <linux/sched.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "seccomp.h"
#include "spec_idmap.h"
#include "users.h"

const char *const launch_host_binds[] = {"/usr",   "/opt",   "/bin",	"/sbin", "/lib",
					 "/lib32", "/lib64", "/libx32", NULL};

uint32_t pack_bytes(struct packer *p, const void *bytes, size_t len)
{
	size_t at = p->len, need = at + len;

	if (p->failed || need > WIRE_START_MAX) {
		p->failed = true;
		return 0;
	}
	if (need > p->room) {
		size_t room = need * 2;
		char *bigger = realloc(p->data, room);

		if (!bigger) {
			p->failed = true;
			return 0;
		}
		p->data = bigger;
		p->room = room;
	}
	if (len > 0)
		memcpy(p->data + at, bytes, len);
	p->len = need;
	return (uint32_t)at;
}

struct wire_array pack_array(struct packer *p, const void *items, size_t size, size_t n)
{
	static const char zeros[8];
	struct wire_array array = {.count = (uint32_t)n};

	pack_bytes(p, zeros, -p->len % 8);
	array.off = pack_bytes(p, items, size * n);
	return array;
}

struct wire_list pack_list(struct packer *p, const char *const *items)
{
	struct wire_list list = {.off = (uint32_t)p->len};

	for (; items && items[list.count]; list.count++)
		pack_bytes(p, items[list.count], strlen(items[list.count]) + 1);
	return list;
}

struct wire_list pack_string(struct packer *p, const char *text)
{
	const char *const one[] = {text, NULL};

	return pack_list(p, one);
}

static uint64_t new_namespaces(const struct spec *spec, const struct launch_joins *joins)
{
	uint64_t flags = 0;

	for (int i = 0; i < NS_COUNT; i++) {
		if (!spec_ns_is_host(spec, (enum ns_kind)i))
			flags |= ns_types[i].clone_flag;
	}
	return flags & ~(joins->flags | joins->host);
}

/* Compiled when it was written, so that this is a look-up. */
static int pack_filter(struct packer *p, struct wire_start *m, const struct spec *spec,
		       struct ctn_err *err)
{
	struct seccomp_profile *profile = NULL;
	struct seccomp_program filter;
	int r = seccomp_profile_get(spec->seccomp, &spec->seccomp_deltas, spec->caps, &profile,
				    err);

	if (r < 0)
		return r;
	filter = seccomp_program(profile);
	m->filter_off = pack_array(p, filter.filter, sizeof(*filter.filter), filter.len).off;
	m->filter_len = (uint32_t)filter.len;
	m->filter_flags = filter.flags;
	seccomp_profile_put(profile);
	return 0;
}

static void pack_paths(struct packer *p, struct wire_start *m, const struct container *c,
		       const struct spec *spec)
{
	static const char *const none[] = {NULL};
	const struct engine *e = c->engine;
	ctn_autofree char *lower = NULL, *state = NULL, *run = NULL;

	if (asprintf(&lower, "%s/%s", e->state_path, e->skeleton) < 0 ||
	    asprintf(&state, "%s/%s%s", e->state_path, c->is_new ? CONTAINER_NEW_PREFIX : "",
		     c->id) < 0 ||
	    asprintf(&run, "%s/%s", e->run_path, c->id) < 0) {
		p->failed = true;
		return;
	}
	m->lower = pack_string(p, spec->rootfs ? spec->rootfs : lower);
	m->state = pack_string(p, state);
	m->run = pack_string(p, run);
	m->binds = pack_list(p, spec->rootfs ? none : launch_host_binds);
}

static struct wire_array pack_map(struct packer *p, const struct spec_maps *maps)
{
	struct wire_map wire[SPEC_MAPS_MAX];

	for (size_t i = 0; i < maps->len; i++)
		wire[i] = (struct wire_map){.inside = maps->items[i].inside,
					    .outside = maps->items[i].outside,
					    .count = maps->items[i].count};
	return pack_array(p, wire, sizeof(wire[0]), maps->len);
}

/* Whose id on the host is @id inside. */
static int map_id(const char *what, const struct spec_maps *maps, uint32_t id, uint32_t *ret,
		  struct ctn_err *err)
{
	if (spec_maps_outside(maps, id, ret))
		return 0;
	return ctn_fail(err, EINVAL,
			"user: %s %u is not in the container's id map, which has %u ids from %u on",
			what, id, maps->len ? maps->items[0].count : 0,
			maps->len ? maps->items[0].inside : 0);
}

int launch_ids_joined(const struct container *c, const struct spec *spec,
		      const struct launch_joins *joins, struct launch_ids *ret, struct ctn_err *err)
{
	static const struct spec_maps host = {.items = {{0, 0, UINT32_MAX}}, .len = 1};
	const struct spec_maps own = {
		.items = {{.inside = 0, .outside = c->uid_base, .count = IDS_PER_CONTAINER}},
		.len = 1,
	};
	int r;

	if (joins->has_ids) {
		ret->uids = joins->uids;
		ret->gids = joins->gids;
	} else if (spec_ns_is_host(spec, NS_USER) || joins->host & CLONE_NEWUSER) {
		ret->uids = ret->gids = host;
	} else {
		ret->uids = spec->oci && spec->oci->uids.len > 0 ? spec->oci->uids : own;
		ret->gids = spec->oci && spec->oci->gids.len > 0 ? spec->oci->gids : own;
	}
	r = spec_maps_check("uid map", &ret->uids, err);
	if (r == 0)
		r = spec_maps_check("gid map", &ret->gids, err);
	if (r == 0)
		r = map_id("uid", &ret->uids, 0, &ret->root_uid, err);
	return r < 0 ? r : map_id("gid", &ret->gids, 0, &ret->root_gid, err);
}

int launch_ids(const struct container *c, const struct spec *spec, struct launch_ids *ret,
	       struct ctn_err *err)
{
	const struct launch_joins none = {.flags = 0};

	return launch_ids_joined(c, spec, &none, ret, err);
}

static int add_group(struct wire_start *m, uint32_t gid, const struct spec_maps *map,
		     struct ctn_err *err)
{
	uint32_t on_host;
	int r = map_id("gid", map, gid, &on_host, err);

	for (uint32_t i = 0; r == 0 && i < m->n_groups; i++) {
		if (m->groups[i] == gid)
			return 0;
	}
	if (r == 0 && m->n_groups == WIRE_GROUPS_MAX)
		r = ctn_fail(err, EINVAL, "user: more than %d supplementary groups",
			     WIRE_GROUPS_MAX);
	if (r == 0)
		m->groups[m->n_groups++] = gid;
	return r;
}

/* Those of group(5), and those that are given beside or instead of them. */
static int fill_groups(struct wire_start *m, const struct spec *spec, const struct users_ids *ids,
		       const struct spec_maps *map, struct ctn_err *err)
{
	bool instead = spec->oci && spec->oci->has_groups;
	int r = 0;

	for (size_t i = 0; r == 0 && !instead && i < ids->n_groups; i++)
		r = add_group(m, ids->groups[i], map, err);
	for (size_t i = 0; r == 0 && spec->oci && i < spec->oci->n_groups; i++)
		r = add_group(m, spec->oci->groups[i], map, err);
	return r;
}

static int fill_ids(struct packer *p, struct wire_start *m, const struct container *c,
		    const struct spec *spec, const struct launch_joins *joins,
		    const struct users_ids *ids, struct ctn_err *err)
{
	struct launch_ids map;
	int r = launch_ids_joined(c, spec, joins, &map, err);

	if (r == 0)
		r = map_id("uid", &map.uids, ids->uid, &m->host_uid, err);
	if (r == 0)
		r = map_id("gid", &map.gids, ids->gid, &m->host_gid, err);
	if (r < 0)
		return r;
	m->uid_map = pack_map(p, &map.uids);
	m->gid_map = pack_map(p, &map.gids);
	m->root_uid = map.root_uid;
	m->root_gid = map.root_gid;
	m->uid = ids->uid;
	m->gid = ids->gid;
	return fill_groups(m, spec, ids, &map.gids, err);
}

static void fill_offset(struct wire_start *m, int i, uint32_t flag,
			const struct spec_time_offset *offset)
{
	if (!offset->set)
		return;
	m->flags |= flag;
	m->offsets[i] = (struct wire_offset){.secs = offset->secs, .nanosecs = offset->nanosecs};
}

static void fill_scheduler(struct wire_start *m, const struct spec_scheduler *s)
{
	if (!s->set)
		return;
	m->flags |= WIRE_SCHEDULER;
	m->sched = (struct wire_scheduler){
		.policy = s->policy,
		.nice = s->nice,
		.priority = s->priority,
		.flags = s->flags,
		.runtime = s->runtime,
		.deadline = s->deadline,
		.period = s->period,
	};
}

/* A capability that was taken out of `caps` later is gone from every set. */
static void fill_caps(struct wire_start *m, const struct spec_oci *oci)
{
	if (oci->has_caps)
		m->flags |= WIRE_CAP_SETS;
	for (int i = 0; i < SPEC_CAP_SETS; i++)
		m->cap_sets[i] = oci->caps[i] & m->caps;
}

/* Sets that fit together, and a domain name that is not the host's or another container's. */
static int check_oci(const struct spec *spec, struct ctn_err *err)
{
	const char *uts = spec->ns[NS_UTS];
	int r = spec->oci ? spec_caps_check(spec->oci, UINT64_MAX, err) : 0;

	if (r < 0 || !spec->oci || !spec->oci->domainname || !uts || strcmp(uts, "new") == 0)
		return r;
	return ctn_fail(err, EINVAL, "domainname: needs its own uts namespace: ns/uts is %.80s",
			uts);
}

/* What has no file of the tree. */
static void fill_oci(struct wire_start *m, const struct spec_oci *oci)
{
	fill_caps(m, oci);
	fill_scheduler(m, &oci->scheduler);
	fill_offset(m, 0, WIRE_MONOTONIC, &oci->monotonic);
	fill_offset(m, 1, WIRE_BOOTTIME, &oci->boottime);
	if (oci->umask >= 0)
		m->umask = (uint32_t)oci->umask;
	m->ioprio = oci->ioprio;
	m->personality = oci->personality;
	m->propagation = oci->propagation;
	m->rows = oci->rows;
	m->cols = oci->cols;
}

static uint32_t start_flags(const struct container *c, const struct spec *spec, bool into)
{
	uint32_t flags = into ? WIRE_CLONE_INTO : 0;

	flags |= c->parent ? WIRE_ENTER : 0u;
	flags |= spec->no_new_privs ? WIRE_NO_NEW_PRIVS : 0u;
	flags |= spec->init ? WIRE_INIT : 0u;
	flags |= spec->notify ? WIRE_NOTIFY : 0u;
	flags |= spec->tty ? WIRE_TTY : 0u;
	flags |= spec->rootfs ? WIRE_ROOT_OWN : 0u;
	flags |= spec->oci && spec->oci->uids.len > 0 ? WIRE_MAPS_GIVEN : 0u;
	flags |= spec->root_mode == SPEC_ROOT_RO ? WIRE_ROOT_RO : 0u;
	flags |= spec->root_mode == SPEC_ROOT_RW ? WIRE_ROOT_RW : 0u;
	return flags;
}

int launch_pack(const struct container *c, const struct spec *spec, uint32_t n_attach, bool into,
		const struct launch_joins *joins, struct packer *p, struct ctn_err *err)
{
	struct wire_start m = {.magic = WIRE_MAGIC, .version = WIRE_VERSION, .umask = 022};
	const char *domainname = spec->oci ? spec->oci->domainname : NULL;
	struct users_ids ids = {0};
	struct strlist env = {0};
	int r = check_oci(spec, err);

	if (r == 0)
		r = container_user(c, spec, &ids, err);
	if (r == 0)
		r = spec_env(spec, ids.home, &env, err);
	if (r < 0)
		return r;
	pack_bytes(p, &m, sizeof(m));
	m.flags = start_flags(c, spec, into);
	m.ns_new = new_namespaces(spec, joins);
	m.ns_join = joins->flags;
	m.caps = spec->caps;
	m.log_max = spec->log_max;
	m.n_attach = n_attach;
	m.oom_score_adj = spec->oom_score_adj;
	if (spec->oom_score_adj != c->engine->oom_score_adj)
		m.flags |= WIRE_OOM_ADJ;
	m.ioprio = -1;
	m.personality = -1;
	r = fill_ids(p, &m, c, spec, joins, &ids, err);
	if (spec->oci)
		fill_oci(&m, spec->oci);
	if (r == 0)
		r = pack_filter(p, &m, spec, err);
	m.argv = pack_list(p, (const char *const *)spec->cmd.items);
	m.envp = pack_list(p, (const char *const *)env.items);
	m.cwd = pack_string(p, spec->cwd);
	m.hostname = pack_string(p, spec_hostname(spec));
	m.domainname = pack_string(p, domainname ? domainname : "");
	pack_paths(p, &m, c, spec);
	strlist_free(&env);
	if (r == 0)
		r = launch_pack_lines(p, spec, &m, err);
	if (r < 0)
		return r;
	if (p->failed)
		return ctn_fail(err, E2BIG, "cmd, env and the lists together are too long");
	m.size = (uint32_t)p->len;
	memcpy(p->data, &m, sizeof(m));
	return 0;
}

int launch_pack_adopt(const struct container *c, const struct spec *spec,
		      const struct wire_status *status, struct packer *p, struct ctn_err *err)
{
	struct wire_start m = {.magic = WIRE_MAGIC, .version = WIRE_VERSION, .flags = WIRE_ADOPT};

	if (spec->tty)
		m.flags |= WIRE_TTY;
	m.flags |= WIRE_NO_ENTER | (c->tty >= 0 ? WIRE_TTY_GIVEN : 0u);
	pack_bytes(p, &m, sizeof(m));
	m.adopt_pid = status->init_pid;
	m.adopt_start = status->init_start;
	m.adopt_started = status->started;
	m.log_max = spec->log_max;
	m.filter_off = m.envp.off = 0;
	m.argv = pack_list(p, (const char *const *)spec->cmd.items);
	m.cwd = m.hostname = m.domainname = pack_string(p, "");
	pack_paths(p, &m, c, spec);
	if (p->failed)
		return ctn_fail(err, E2BIG, "cmd is too long");
	m.size = (uint32_t)p->len;
	memcpy(p->data, &m, sizeof(m));
	return 0;
}
