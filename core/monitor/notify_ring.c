/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <unistd.h>

#include "../cleanup.h"
#include "notify.h"

enum { READ_AT_ONCE = 16, X32_BIT = 0x40000000 };

/* It goes on where another monitor has left off. What makes no sense is as if it were not there. */
static uint64_t find_newest(int fd)
{
	uint64_t newest = 0;

	for (size_t at = 0; at < WIRE_DENIED_KEPT; at += READ_AT_ONCE) {
		struct wire_denied some[READ_AT_ONCE] = {0};
		ssize_t n = pread(fd, some, sizeof(some), (off_t)(at * sizeof(some[0])));

		/* One that is cut may be whole once there is something behind it. */
		for (size_t i = 0; n > 0 && i * sizeof(some[0]) < (size_t)n; i++) {
			if (some[i].number > newest && some[i].again == some[i].number &&
			    some[i].number % WIRE_DENIED_KEPT == at + i)
				newest = some[i].number;
		}
	}
	return newest;
}

static int ring_open(struct ring *ring)
{
	uint64_t newest;

	if (ring->fd < 0)
		ring->fd = openat(ring->state_fd, WIRE_DENIED_NAME,
				  O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	else
		return 0;
	if (ring->fd < 0)
		return -errno;
	newest = find_newest(ring->fd);
	ring->newest = newest > ring->newest ? newest : ring->newest;
	return 0;
}

/* Numbers that no call has are one call: a program can think of any number of them. */
static bool is_first(struct ring *ring, const struct wire_denied *d)
{
	const bool native = d->arch == AUDIT_ARCH_X86_64, x32 = native && d->nr & X32_BIT;
	uint32_t nr = (uint32_t)d->nr & ~(x32 ? (uint32_t)X32_BIT : 0);
	uint8_t *row = ring->seen[!native ? 2 : x32 ? 1 : 0], bit;

	nr = nr < RING_CALLS ? nr : RING_CALLS - 1;
	bit = (uint8_t)(1U << nr % 8);
	if (row[nr / 8] & bit)
		return false;
	row[nr / 8] |= bit;
	return ring->firsts++ < RING_FIRSTS_MAX;
}

void ring_add(struct ring *ring, struct wire_denied *d)
{
	const int r = ring_open(ring);

	d->number = d->again = ++ring->newest;
	d->flags = is_first(ring, d) ? WIRE_DENIED_FIRST : 0;
	if (r == 0)
		(void)pwrite(ring->fd, d, sizeof(*d),
			     (off_t)(d->number % WIRE_DENIED_KEPT * sizeof(*d)));
}
