/* SPDX-License-Identifier: Apache-2.0 */
/* Loading the seccomp filter, and giving its listener to whoever answers denied calls. */
#include <errno.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../cleanup.h"
#include "monitor.h"
#include "notify.h"

static int load(unsigned flags, const struct sock_filter *insns, uint32_t len)
{
	const struct sock_fprog prog = {(unsigned short)len, (struct sock_filter *)insns};

	return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &prog);
}

/* Our init does not execute anything, and so has to close its own: if it kept it, calls would wait
 * for ever once we are gone. */
static bool can_close(const struct sock_filter *insns, uint32_t len)
{
	const struct seccomp_data call = {.nr = SYS_close, .arch = AUDIT_ARCH_X86_64};

	return notify_decision(insns, len, &call) == SECCOMP_RET_ALLOW;
}

/* No descriptor: none is wanted, or can be had, since ctnfs itself runs under a listener (EBUSY);
 * then the plain filter is the next to be tried. */
static void load_asking(const struct wire_start *m, const struct sock_filter *insns,
			struct handover_given *ret)
{
	const unsigned flags = m->filter_flags | SECCOMP_FILTER_FLAG_NEW_LISTENER;
	struct sock_filter *copy = malloc(m->filter_len * sizeof(*copy)); /* execve frees it */
	int fd = -1;

	if (!copy)
		return;
	memcpy(copy, insns, m->filter_len * sizeof(*copy));
	if (notify_filter(copy, m->filter_len) == 0 ||
	    (m->flags & WIRE_INIT && !can_close(insns, m->filter_len)))
		return;
	fd = load(flags | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, copy, m->filter_len);
	ret->killable = fd >= 0;
	if (fd < 0 && errno == EINVAL) /* before 5.19 */
		fd = load(flags, copy, m->filter_len);
	ret->fd = fd;
	ret->insns = copy;
	ret->n = m->filter_len;
}

static int filter_load(const struct stage *s, struct ctn_err *err)
{
	const struct wire_start *m = s->plan->msg;
	struct handover_given given = {.fd = -1, .report = s->report};
	int r;

	if (m->filter_len == 0)
		return 0;
	if (m->flags & WIRE_NOTIFY && s->plan->handover)
		load_asking(m, s->plan->filter, &given);
	if (given.fd < 0)
		return load(m->filter_flags, s->plan->filter, m->filter_len) < 0
			       ? ctn_fail_errno(err, "load the seccomp filter")
			       : 0;
	r = handover_give(s->plan->handover, &given, err);
	if (m->flags & WIRE_INIT)
		close(given.fd);
	return r;
}

static bool wants_nnp(const struct stage *s)
{
	return s->plan->msg->flags & WIRE_NO_NEW_PRIVS;
}

/* Without no_new_privs the kernel asks for CAP_SYS_ADMIN, which is about to go. */
int stage_filter_early(struct stage *s, struct ctn_err *err)
{
	return wants_nnp(s) ? 0 : filter_load(s, err);
}

int stage_filter(struct stage *s, struct ctn_err *err)
{
	if (!wants_nnp(s))
		return 0;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return ctn_fail_errno(err, "set no_new_privs");
	return filter_load(s, err);
}
