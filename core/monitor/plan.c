/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "monitor.h"

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
	return 0;
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
	};
	const struct {
		const char *what;
		struct wire_list list;
		const char **to;
	} strings[] = {
		{"cwd", m->cwd, &p.cwd},       {"hostname", m->hostname, &p.hostname},
		{"lower", m->lower, &p.lower}, {"state", m->state, &p.state},
		{"run", m->run, &p.run},
	};

	for (size_t i = 0; r == 0 && i < sizeof(lists) / sizeof(lists[0]); i++)
		r = unpack_list(in, lists[i].what, lists[i].list, lists[i].to, err);
	for (size_t i = 0; r == 0 && i < sizeof(strings) / sizeof(strings[0]); i++)
		r = unpack_string(in, strings[i].what, strings[i].list, strings[i].to, err);
	if (r < 0)
		return r; /* the monitor ends: nothing to free */
	p.filter = (const void *)(in->data + m->filter_off);
	*ret = p;
	return 0;
}

int plan_unpack(const void *data, size_t len, struct plan *ret, struct ctn_err *err)
{
	const struct reader in = {.data = data, .len = len};
	int r = check_header(data, len, err);

	return r < 0 ? r : unpack_all(&in, data, ret, err);
}
