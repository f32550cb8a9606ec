/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "monitor.h"

const struct dev_link dev_links[] = {
	{"ptmx", "pts/ptmx"},	       {"fd", "/proc/self/fd"},	      {"stdin", "/proc/self/fd/0"},
	{"stdout", "/proc/self/fd/1"}, {"stderr", "/proc/self/fd/2"}, {0},
};

/* Where a message's bytes may lie. */
struct reader {
	const char *data;
	size_t len;
};

static int unpack_list(const struct reader *in, const char *what, struct wire_list list,
		       char ***ret, struct ctn_err *err)
{
	const char *p = in->data + list.off, *end = in->data + in->len;
	char **items;

	if (list.off > in->len || list.count > in->len)
		return ctn_fail(err, EBADMSG, "start message: %s lies outside of it", what);
	items = calloc(list.count + 1, sizeof(*items));
	if (!items)
		return ctn_fail(err, ENOMEM, "start message: no memory for %s", what);
	for (uint32_t i = 0; i < list.count; i++) {
		size_t n = strnlen(p, (size_t)(end - p));

		if (n == (size_t)(end - p)) {
			free(items);
			return ctn_fail(err, EBADMSG, "start message: %s is cut off", what);
		}
		items[i] = (char *)p;
		p += n + 1;
	}
	*ret = items;
	return 0;
}

static int unpack_string(const struct reader *in, const char *what, struct wire_list list,
			 const char **ret, struct ctn_err *err)
{
	char **items = NULL;
	int r;

	if (list.count != 1)
		return ctn_fail(err, EBADMSG, "start message: no %s", what);
	r = unpack_list(in, what, list, &items, err);
	if (r < 0)
		return r;
	*ret = items[0];
	free(items);
	return 0;
}

/* Where an array of structures begins. */
static int unpack_array(const struct reader *in, const char *what, struct wire_array array,
			size_t size, const void **ret, struct ctn_err *err)
{
	if (array.off % 8 || array.off > in->len || array.count > (in->len - array.off) / size)
		return ctn_fail(err, EBADMSG, "start message: %s lies outside of it", what);
	*ret = in->data + array.off;
	return 0;
}

static int unpack_mounts(const struct reader *in, const struct wire_start *m,
			 struct plan_mount **ret, struct ctn_err *err)
{
	const struct wire_mount *wire = NULL;
	struct plan_mount *mounts;
	int r = unpack_array(in, "mounts", m->mounts, sizeof(*wire), (const void **)&wire, err);

	if (r < 0)
		return r;
	mounts = calloc(m->mounts.count + 1, sizeof(*mounts));
	if (!mounts)
		return ctn_fail(err, ENOMEM, "start message: no memory for mounts");
	for (uint32_t i = 0; r == 0 && i < m->mounts.count; i++) {
		mounts[i].wire = &wire[i];
		r = unpack_string(in, "a mount's source", wire[i].source, &mounts[i].source, err);
		if (r == 0)
			r = unpack_string(in, "a mount's target", wire[i].target, &mounts[i].target,
					  err);
		if (r == 0)
			r = unpack_string(in, "a mount's type", wire[i].type, &mounts[i].type, err);
		if (r == 0)
			r = unpack_string(in, "a mount's data", wire[i].data, &mounts[i].data, err);
	}
	if (r == 0)
		*ret = mounts;
	else
		free(mounts);
	return r;
}

static int unpack_nodes(const struct reader *in, const struct wire_start *m, struct plan_node **ret,
			struct ctn_err *err)
{
	const struct wire_node *wire = NULL;
	struct plan_node *nodes;
	int r = unpack_array(in, "nodes", m->nodes, sizeof(*wire), (const void **)&wire, err);

	if (r < 0)
		return r;
	nodes = calloc(m->nodes.count + 1, sizeof(*nodes));
	if (!nodes)
		return ctn_fail(err, ENOMEM, "start message: no memory for nodes");
	for (uint32_t i = 0; r == 0 && i < m->nodes.count; i++) {
		nodes[i].wire = &wire[i];
		r = unpack_string(in, "a node's path", wire[i].path, &nodes[i].path, err);
	}
	if (r == 0)
		*ret = nodes;
	else
		free(nodes);
	return r;
}

static int check_header(const struct wire_start *m, size_t len, struct ctn_err *err)
{
	if (len < sizeof(*m) || m->magic != WIRE_MAGIC || m->version != WIRE_VERSION)
		return ctn_fail(err, EBADMSG, "start message: not one of version %d", WIRE_VERSION);
	if (m->size != len || m->n_groups > WIRE_GROUPS_MAX || m->n_attach > WIRE_ATTACH_MAX)
		return ctn_fail(err, EBADMSG, "start message: a count is out of range");
	if (m->filter_off % _Alignof(struct sock_filter) || m->filter_off > len ||
	    m->filter_len > BPF_MAXINSNS ||
	    m->filter_len > (len - m->filter_off) / sizeof(struct sock_filter))
		return ctn_fail(err, EBADMSG, "start message: the filter lies outside of it");
	if (m->argv.count == 0)
		return ctn_fail(err, EBADMSG, "start message: no command");
	if (__builtin_popcountll(m->ns_join) > WIRE_JOIN_MAX || m->ns_join & m->ns_new)
		return ctn_fail(err, EBADMSG,
				"start message: the namespaces to join are out of range");
	if (m->sysctls.count % 2)
		return ctn_fail(err, EBADMSG, "start message: a sysctl has no value");
	return 0;
}

static int unpack_arrays(const struct reader *in, const struct wire_start *m, struct plan *p,
			 struct ctn_err *err)
{
	const struct {
		const char *what;
		struct wire_array array;
		size_t size;
		const void **to;
	} arrays[] = {
		{"uid map", m->uid_map, sizeof(struct wire_map), (const void **)&p->uid_map},
		{"gid map", m->gid_map, sizeof(struct wire_map), (const void **)&p->gid_map},
		{"rlimits", m->rlimits, sizeof(struct wire_rlimit), (const void **)&p->rlimits},
	};
	int r = 0;

	for (size_t i = 0; r == 0 && i < sizeof(arrays) / sizeof(arrays[0]); i++)
		r = unpack_array(in, arrays[i].what, arrays[i].array, arrays[i].size, arrays[i].to,
				 err);
	if (r == 0)
		r = unpack_mounts(in, m, &p->mounts, err);
	return r < 0 ? r : unpack_nodes(in, m, &p->nodes, err);
}

/* The header was checked: its tables of offsets can be read. */
static int unpack_all(const struct reader *in, const struct wire_start *m, struct plan *ret,
		      struct ctn_err *err)
{
	struct plan p = {.msg = m};
	int r = 0;
	const struct {
		const char *what;
		struct wire_list list;
		char ***to;
	} lists[] = {
		{"argv", m->argv, &p.argv},
		{"envp", m->envp, &p.envp},
		{"binds", m->binds, &p.binds},
		{"masked", m->masked, &p.masked},
		{"readonly", m->readonly, &p.readonly},
		{"sysctls", m->sysctls, &p.sysctls},
		{"removed", m->removed, &p.removed},
	};
	const struct {
		const char *what;
		struct wire_list list;
		const char **to;
	} strings[] = {
		{"cwd", m->cwd, &p.cwd},
		{"hostname", m->hostname, &p.hostname},
		{"domainname", m->domainname, &p.domainname},
		{"lower", m->lower, &p.lower},
		{"state", m->state, &p.state},
		{"run", m->run, &p.run},
	};

	for (size_t i = 0; r == 0 && i < sizeof(lists) / sizeof(lists[0]); i++)
		r = unpack_list(in, lists[i].what, lists[i].list, lists[i].to, err);
	for (size_t i = 0; r == 0 && i < sizeof(strings) / sizeof(strings[0]); i++)
		r = unpack_string(in, strings[i].what, strings[i].list, strings[i].to, err);
	if (r == 0)
		r = unpack_arrays(in, m, &p, err);
	if (r < 0) {
		plan_free(&p);
		return r;
	}
	p.filter = (const void *)(in->data + m->filter_off);
	*ret = p;
	return 0;
}

void plan_free(struct plan *p)
{
	char **const lists[] = {p->argv,     p->envp,	 p->binds,  p->masked,
				p->readonly, p->sysctls, p->removed};

	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
		free(lists[i]);
	free(p->mounts);
	free(p->nodes);
}

int plan_unpack(const void *data, size_t len, struct plan *ret, struct ctn_err *err)
{
	const struct reader in = {.data = data, .len = len};
	int r = check_header(data, len, err);

	return r < 0 ? r : unpack_all(&in, data, ret, err);
}

const struct plan_mount *plan_mount_at(const struct plan *p, const char *target)
{
	for (uint32_t i = p->msg->mounts.count; i > 0; i--) {
		if (strcmp(p->mounts[i - 1].target, target) == 0)
			return &p->mounts[i - 1];
	}
	return NULL;
}

bool plan_removes(const struct plan *p, const char *target)
{
	for (char **path = p->removed; *path; path++) {
		if (strcmp(*path, target) == 0)
			return true;
	}
	return false;
}

int plan_map_id(const struct wire_map *map, uint32_t n, uint32_t id, uint32_t *ret)
{
	for (uint32_t i = 0; i < n; i++) {
		if (id >= map[i].inside && id - map[i].inside < map[i].count) {
			*ret = map[i].outside + (id - map[i].inside);
			return 0;
		}
	}
	return -EINVAL;
}
