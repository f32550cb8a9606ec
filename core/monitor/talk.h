/* SPDX-License-Identifier: Apache-2.0 */
/* What the monitor's loop knows, and its connections: the server, and those who want to enter or
 * attach. */
#ifndef CTNFS_CORE_MONITOR_TALK_H
#define CTNFS_CORE_MONITOR_TALK_H

#include "execed.h"
#include "notify.h"
#include "spawn.h"

enum {
	CONNECTIONS_MAX = 64, /* at once; who comes after waits in the listener's queue */
	ATTACHED_MAX = 32,    /* of those that stay; the next server must find room */
};

/**
 * struct monitor - one container's.
 * @listener, @message: the socket in the run directory; the start message.
 * @peers:   connections, -1 where there is none; the first is that of the server that started us.
 * @attached: those that asked for the terminal. @servers: those that are told of what happens.
 * @given:   the descriptor that came with the message that is being looked at; -1.
 */
struct monitor {
	struct plan plan;
	struct spawned first;
	struct log log;
	struct wire_status status;
	int listener, message;
	int peers[CONNECTIONS_MAX];
	bool attached[CONNECTIONS_MAX], servers[CONNECTIONS_MAX];
	struct execed execed;
	int given;
	int mounts; /* its mount namespace, or -1 */
	struct notify notify;
	uint64_t reported_drops;
};

/** talk_announce() - take the container's lock, which says that we live, and make the socket. */
int talk_announce(struct monitor *m, struct ctn_err *err);

/** talk_tell_all() - the status, to whoever is connected. talk_fail_all() - why it never ran. */
void talk_tell_all(struct monitor *m);
void talk_fail_all(const struct monitor *m, const struct wire_error *e);

/** talk_tell_denied() - that calls were denied, to the servers. Return: whether each could be told.
 * Does not block. */
bool talk_tell_denied(const struct monitor *m, uint64_t newest);

/** talk_accept() - a new connection. talk_full() - there is no room for one now. talk_receive() - a
 * message, or the end, of peer @i. None of them blocks. */
void talk_accept(struct monitor *m);
bool talk_full(const struct monitor *m);
void talk_receive(struct monitor *m, int i);

#endif
