/* SPDX-License-Identifier: Apache-2.0 */
#include "park.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../cleanup.h"
#include "../io.h"
#include "../weaken.h"
#include "notify.h"

/* --- does it fit? --- */

/* What the stage, and the monitor, look at only when they have the start message. */
enum { LATER = WIRE_NO_NEW_PRIVS | WIRE_INIT | WIRE_CAP_SETS | WIRE_NOTIFY | WIRE_PARK };

/* The rest of the header. Lists and arrays are compared by what is in them. */
static struct wire_start used_before(const struct wire_start *m)
{
	struct wire_start k = *m;
	struct wire_list *const lists[] = {
		&k.argv,  &k.envp,   &k.cwd,	  &k.hostname,	 &k.lower,   &k.state,	 &k.run,
		&k.binds, &k.masked, &k.readonly, &k.domainname, &k.sysctls, &k.removed,
	};
	struct wire_array *const arrays[] = {&k.uid_map, &k.gid_map, &k.rlimits, &k.mounts,
					     &k.nodes};

	for (size_t i = 0; i < CTN_COUNT(lists); i++)
		*lists[i] = (struct wire_list){0};
	for (size_t i = 0; i < CTN_COUNT(arrays); i++)
		arrays[i]->off = 0;
	k.flags &= ~(uint32_t)LATER;
	k.size = 0;
	k.caps = k.log_max = 0;
	k.uid = k.gid = k.host_uid = k.host_gid = k.n_groups = 0;
	memset(k.groups, 0, sizeof(k.groups));
	k.filter_off = k.filter_len = k.filter_flags = 0;
	memset(k.cap_sets, 0, sizeof(k.cap_sets));
	k.personality = 0;
	k.umask = 0;
	return k;
}

static bool same_list(char **a, char **b)
{
	while (*a && *b && strcmp(*a, *b) == 0) {
		a++;
		b++;
	}
	return !*a && !*b;
}

/* Their counts are the same. */
static bool same_mounts(const struct plan *a, const struct plan *b)
{
	const size_t lists = offsetof(struct wire_mount, set);

	for (uint32_t i = 0; i < a->msg->mounts.count; i++) {
		const struct plan_mount *x = &a->mounts[i], *y = &b->mounts[i];

		if (strcmp(x->source, y->source) != 0 || strcmp(x->target, y->target) != 0 ||
		    strcmp(x->type, y->type) != 0 || strcmp(x->data, y->data) != 0 ||
		    memcmp((const char *)x->wire + lists, (const char *)y->wire + lists,
			   sizeof(*x->wire) - lists) != 0)
			return false;
	}
	return true;
}

static bool same_nodes(const struct plan *a, const struct plan *b)
{
	const size_t lists = offsetof(struct wire_node, mode);

	for (uint32_t i = 0; i < a->msg->nodes.count; i++) {
		const struct plan_node *x = &a->nodes[i], *y = &b->nodes[i];

		if (strcmp(x->path, y->path) != 0 ||
		    memcmp((const char *)x->wire + lists, (const char *)y->wire + lists,
			   sizeof(*x->wire) - lists) != 0)
			return false;
	}
	return true;
}

static bool same_arrays(const struct plan *a, const struct plan *b)
{
	const struct wire_start *m = a->msg;

	return memcmp(a->uid_map, b->uid_map, m->uid_map.count * sizeof(*a->uid_map)) == 0 &&
	       memcmp(a->gid_map, b->gid_map, m->gid_map.count * sizeof(*a->gid_map)) == 0 &&
	       memcmp(a->rlimits, b->rlimits, m->rlimits.count * sizeof(*a->rlimits)) == 0 &&
	       same_mounts(a, b) && same_nodes(a, b);
}

/* The directories are the same by their descriptors: a container's own never change. */
bool plan_fits(const struct plan *a, const struct plan *b)
{
	const struct wire_start x = used_before(a->msg), y = used_before(b->msg);

	return memcmp(&x, &y, sizeof(x)) == 0 && strcmp(a->lower, b->lower) == 0 &&
	       same_list(a->binds, b->binds) && same_list(a->masked, b->masked) &&
	       same_list(a->readonly, b->readonly) && same_list(a->sysctls, b->sysctls) &&
	       same_list(a->removed, b->removed) && same_arrays(a, b);
}

/* --- the layer --- */

/* An overlay does not see what is changed below it. What it was made with is empty, so any change
 * begins with the directory itself. */
static bool layer_untouched(const struct monitor *m, const struct stat *before)
{
	struct stat now;

	if (fstatat(m->plan.state_fd, WIRE_LAYER_NAME, &now, AT_SYMLINK_NOFOLLOW) < 0)
		return false;
	return now.st_dev == before->st_dev && now.st_ino == before->st_ino &&
	       now.st_mode == before->st_mode && now.st_uid == before->st_uid &&
	       now.st_gid == before->st_gid && now.st_nlink == before->st_nlink &&
	       now.st_ctim.tv_sec == before->st_ctim.tv_sec &&
	       now.st_ctim.tv_nsec == before->st_ctim.tv_nsec;
}

/* --- the monitor's side --- */

/* It has failed, or was killed, where its channel has anything to say. */
static bool stage_waits(const struct spawned *s)
{
	struct pollfd p[] = {{.fd = s->report, .events = POLLIN},
			     {.fd = s->pidfd, .events = POLLIN}};

	return s->pid > 0 && poll(p, CTN_COUNT(p), 0) == 0;
}

/* The directories' descriptors came once more; the stage has those of before. */
static void keep_own(struct plan *next, const struct plan *own)
{
	close(next->run_fd);
	close(next->state_fd);
	close(next->host_mnt_fd);
	for (uint32_t i = 0; i < next->msg->n_attach; i++)
		close(next->attach_fds[i]);
	next->run_fd = own->run_fd;
	next->state_fd = own->state_fd;
	next->host_mnt_fd = own->host_mnt_fd;
	memcpy(next->attach_fds, own->attach_fds, sizeof(own->attach_fds));
}

/* Its streams belong to whom the program runs as. */
static int release(struct monitor *m, const struct plan *next, int message, struct ctn_err *err)
{
	ctn_autoclose int go = ctn_take_fd(m->first.go);
	const struct wire_start *had = m->plan.msg, *has = next->msg;
	ssize_t n;
	int r = 0;

	if (had->host_uid != has->host_uid || had->host_gid != has->host_gid)
		r = stdio_give(next, err);
	if (r < 0)
		return r;
	n = wire_send(go, "", 1, &message, 1);
	return n < 0 ? ctn_fail(err, (int)-n, "release the prepared process") : 0;
}

static void replace_plan(struct monitor *m, const struct plan *next, int message)
{
	plan_free(&m->plan); /* its message stays mapped */
	close(m->message);
	m->plan = *next;
	m->message = message;
}

/* The start is made from the beginning. */
static void give_up(struct monitor *m, const struct plan *next, int message)
{
	spawn_undo(&m->first);
	handover_free(m->plan.handover);
	close(m->plan.run_fd);
	close(m->plan.state_fd);
	close(m->plan.host_mnt_fd);
	for (uint32_t i = 0; i < m->plan.msg->n_attach; i++)
		close(m->plan.attach_fds[i]);
	replace_plan(m, next, message);
}

static bool prepare(struct monitor *m, struct stat *layer)
{
	char byte;

	if (log_open(m->plan.state_fd, m->plan.msg->log_max, &m->log, NULL) < 0) {
		ctn_close_fd(&m->log.fd);
		m->log.fd = -1;
		return false;
	}
	return handover_new(&m->plan.handover, NULL) == 0 &&
	       spawn(&m->plan, &m->first, NULL) == 0 &&
	       wire_receive(m->first.go, &byte, 1, NULL, 0, NULL) == 1 &&
	       fstatat(m->plan.state_fd, WIRE_LAYER_NAME, layer, AT_SYMLINK_NOFOLLOW) == 0;
}

/* Where nothing could be prepared the server need not keep us; if it does, we start it as ever. */
static void tell_server(bool prepared)
{
	const struct wire_msg msg = {.magic = WIRE_MAGIC,
				     .version = WIRE_VERSION,
				     .type = WIRE_MSG_PARKED,
				     .value = prepared};

	(void)wire_send(WIRE_SOCKET_FD, &msg, sizeof(msg), NULL, 0);
}

int park(struct monitor *m, struct ctn_err *err)
{
	struct plan next = {0};
	struct stat layer = {0};
	const bool prepared = prepare(m, &layer);
	int message = -1, r;

	tell_server(prepared);
	r = plan_receive(&next, &message, err);
	if (r < 0) {
		spawn_undo(&m->first);
		return r;
	}
	m->log.max = next.msg->log_max;
	if (!prepared || !stage_waits(&m->first) || !plan_fits(&m->plan, &next) ||
	    !layer_untouched(m, &layer) || !io_dir_is_empty_at(m->plan.state_fd, WIRE_LAYER_NAME)) {
		give_up(m, &next, message);
		return 0;
	}
	next.handover = m->plan.handover;
	r = release(m, &next, message, err); /* before all else: it is waited for */
	keep_own(&next, &m->plan);
	replace_plan(m, &next, message);
	return r < 0 ? r : 1;
}

/* --- the stage's --- */

int stage_park(struct stage *s, struct ctn_err *err)
{
	struct plan *next = calloc(1, sizeof(*next));
	int message = -1, r;
	size_t n = 0;
	char byte;

	if (!next)
		return ctn_fail(err, ENOMEM, "no memory for the start message");
	/* Becoming root of the user namespace could have made us dumpable (fs.suid_dumpable). */
	if (!WEAKEN_DUMPABLE && prctl(PR_SET_DUMPABLE, 0) < 0)
		return ctn_fail_errno(err, "hide from others");
	if (wire_send(s->go, "", 1, NULL, 0) != 1 ||
	    wire_receive(s->go, &byte, 1, &message, 1, &n) != 1 || n != 1)
		_exit(0); /* nobody will start it any more */
	r = plan_map(message, next, err);
	if (r < 0)
		return r;
	memcpy(next->attach_fds, s->plan->attach_fds, sizeof(next->attach_fds));
	next->handover = s->plan->handover;
	s->plan = next;
	return 0;
}
