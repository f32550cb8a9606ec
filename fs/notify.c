/* SPDX-License-Identifier: Apache-2.0 */
#include "notify.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include "../core/cleanup.h"

enum { NOTIFY_MAX = 512, NOTIFY_SECS = 5 };

/* A path, or after an @ a name that is none. Return: the address's length; -EINVAL. */
static int address(const char *name, struct sockaddr_un *ret, struct ctn_err *err)
{
	size_t len = strlen(name);

	if ((name[0] != '/' && name[0] != '@') || len < 2 || len >= sizeof(ret->sun_path))
		return ctn_fail(err, EINVAL, "NOTIFY_SOCKET is '%.120s', which is no socket", name);
	*ret = (struct sockaddr_un){.sun_family = AF_UNIX};
	memcpy(ret->sun_path, name, len);
	if (name[0] == '@')
		ret->sun_path[0] = '\0';
	return (int)(offsetof(struct sockaddr_un, sun_path) + len);
}

int notify_send(struct ctn_err *err, const char *fmt, ...)
{
	const struct timeval patience = {.tv_sec = NOTIFY_SECS};
	const char *name = getenv("NOTIFY_SOCKET");
	ctn_autoclose int fd = -1;
	char text[NOTIFY_MAX];
	struct sockaddr_un to;
	va_list ap;
	int len;

	if (!name || !*name)
		return 0;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	len = address(name, &to, err);
	if (len < 0)
		return len;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) < 0 ||
	    sendto(fd, text, strlen(text), MSG_NOSIGNAL, (struct sockaddr *)&to, (socklen_t)len) <
		    0)
		return ctn_fail_errno(err, "tell NOTIFY_SOCKET (%.120s)", name);
	return 0;
}
