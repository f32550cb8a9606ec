/* SPDX-License-Identifier: Apache-2.0 */
#include "launch_park.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cleanup.h"
#include "spares.h"
#include "wire_io.h"

enum { PARK_MS = 10000 }; /* for a process to be made that far */
enum { END_MS = 1000 };	  /* for a monitor to end what it has prepared, and itself */

/* Who starts it says what is to run; the message has to have something there. */
static struct spec *any_command(const struct spec *spec)
{
	struct spec *copy = spec_dup(spec);

	if (copy && copy->cmd.len == 0 && strlist_add(&copy->cmd, "/", 1) < 0) {
		spec_put(copy);
		return NULL;
	}
	return copy;
}

/* Until then its directories have to stay where they are. */
static int wait_parked(struct launch_parked *p, struct ctn_err *err)
{
	struct pollfd ready = {.fd = p->sock, .events = POLLIN};
	struct wire_msg msg = {0};

	if (poll(&ready, 1, PARK_MS) > 0 &&
	    wire_receive(p->sock, &msg, sizeof(msg), NULL, 0, NULL) == (ssize_t)sizeof(msg) &&
	    msg.type == WIRE_MSG_PARKED && msg.value)
		return 0;
	launch_parked_end(p);
	return ctn_fail(err, EAGAIN, "its process could not be prepared");
}

static int park_with(struct container *c, struct spec *spec, const struct launch_joins *joins,
		     struct ctn_err *err)
{
	struct launch_parked parked = {.sock = -1};
	int fds[CG_CONTROLLERS] = {-1}, n = 0;
	struct packer p = {0};
	bool into = false;
	int r = launch_own_layer(c, spec, joins, err);

	if (r == 0)
		r = n = launch_attach_open(c, fds, &into, err);
	if (r >= 0)
		r = launch_pack(c, spec, (uint32_t)n, into, joins, &p, err);
	if (r == 0) {
		((struct wire_start *)p.data)->flags |= WIRE_PARK;
		r = launch_monitor(c, &p, fds, (size_t)n, &parked.monitor, &parked.sock, err);
	}
	free(p.data);
	if (r == 0)
		r = wait_parked(&parked, err);
	if (r < 0) {
		launch_attach_close(fds, n);
		return r;
	}
	pthread_mutex_lock(&c->lock);
	c->parked = parked.monitor;
	c->parked_sock = parked.sock;
	memcpy(c->parked_attach, fds, sizeof(fds));
	c->n_parked_attach = n;
	pthread_mutex_unlock(&c->lock);
	return 0;
}

int launch_park(struct container *c, struct ctn_err *err)
{
	struct spec *spec = any_command(c->spec);
	struct launch_joins joins;
	int r = spec ? 0 : ctn_fail(err, ENOMEM, "no memory to prepare a container");

	if (r < 0)
		return r;
	r = launch_joins_open(c, spec, &joins, err);
	if (r == 0)
		r = park_with(c, spec, &joins, err);
	launch_joins_close(&joins);
	spec_put(spec);
	return r;
}

int launch_parked_attach(struct container *c, int *ret)
{
	int n;

	pthread_mutex_lock(&c->lock);
	n = c->n_parked_attach;
	memcpy(ret, c->parked_attach, (size_t)n * sizeof(*ret));
	c->n_parked_attach = 0;
	pthread_mutex_unlock(&c->lock);
	return n;
}

bool launch_parked_take(struct container *c, struct launch_parked *ret)
{
	int fds[CG_CONTROLLERS];

	launch_attach_close(fds, launch_parked_attach(c, fds));
	pthread_mutex_lock(&c->lock);
	ret->monitor = c->parked;
	ret->sock = c->parked_sock;
	c->parked = NULL;
	c->parked_sock = -1;
	pthread_mutex_unlock(&c->lock);
	if (ret->monitor)
		spares_forget(c->engine->spares, c);
	return ret->monitor;
}

void launch_parked_end(struct launch_parked *parked)
{
	struct pollfd p = {.fd = parked->monitor->pidfd, .events = POLLIN};
	siginfo_t info;

	ctn_close_fd(&parked->sock);
	if (poll(&p, 1, END_MS) <= 0) {
		(void)pidref_kill(parked->monitor, SIGKILL, NULL);
		(void)poll(&p, 1, END_MS);
	}
	/* One that hangs in the kernel for longer is nothing to wait for. */
	(void)waitid(P_PIDFD, (id_t)parked->monitor->pidfd, &info, WEXITED | WNOHANG);
	pidref_put(parked->monitor);
}

void launch_unpark(struct container *c)
{
	struct launch_parked parked;

	if (launch_parked_take(c, &parked))
		launch_parked_end(&parked);
}
