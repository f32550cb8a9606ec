/* SPDX-License-Identifier: Apache-2.0 */
/* The start message on its arrival, with its descriptors. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "monitor.h"

int plan_map(int message, struct plan *ret, struct ctn_err *err)
{
	struct stat st;
	void *data;

	if (fstat(message, &st) < 0 || st.st_size <= 0 || st.st_size > WIRE_START_MAX)
		return ctn_fail(err, EBADMSG, "start message: its size is out of range");
	data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, message, 0);
	if (data == MAP_FAILED)
		return ctn_fail_errno(err, "map the start message");
	return plan_unpack(data, (size_t)st.st_size, ret, err);
}

int plan_receive(struct plan *ret, int *ret_message, struct ctn_err *err)
{
	int fds[WIRE_FD_FIXED + WIRE_ATTACH_MAX + WIRE_JOIN_MAX + 1];
	struct wire_msg msg = {0};
	size_t n = 0, attach, join, tty;
	ssize_t got = wire_receive(WIRE_SOCKET_FD, &msg, sizeof(msg), fds,
				   sizeof(fds) / sizeof(fds[0]), &n);
	int r;

	if (got == 0 || got == -ECONNRESET)
		return ctn_fail(err, ECONNRESET, "the server has gone");
	if (got != (ssize_t)sizeof(msg) || msg.type != WIRE_MSG_START || n < WIRE_FD_FIXED)
		return ctn_fail(err, EBADMSG, "no start message");
	r = plan_map(fds[WIRE_FD_START], ret, err);
	if (r < 0)
		return r;
	attach = ret->msg->n_attach;
	join = plan_n_joins(ret);
	tty = ret->msg->flags & WIRE_TTY_GIVEN ? 1 : 0;
	if (n != WIRE_FD_FIXED + attach + join + tty)
		return ctn_fail(err, EBADMSG, "start message: a descriptor is missing");
	ret->run_fd = fds[WIRE_FD_RUN];
	ret->state_fd = fds[WIRE_FD_STATE];
	ret->host_mnt_fd = fds[WIRE_FD_HOST_MNT];
	memcpy(ret->attach_fds, fds + WIRE_FD_FIXED, attach * sizeof(int));
	memcpy(ret->join_fds, fds + WIRE_FD_FIXED + attach, join * sizeof(int));
	ret->tty_fd = tty ? fds[n - 1] : -1;
	*ret_message = fds[WIRE_FD_START];
	return 0;
}
