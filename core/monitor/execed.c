/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../cleanup.h"
#include "execed.h"

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000000000U + (uint64_t)t.tv_nsec;
}

static off_t place(uint64_t number)
{
	return (off_t)(number % WIRE_EXECED_KEPT * sizeof(struct wire_execed));
}

/* Another monitor of this run may have been killed. */
static void look(struct execed *x, int fd, uint64_t started)
{
	struct wire_execed e;

	for (uint64_t i = 0; i < WIRE_EXECED_KEPT; i++) {
		if (pread(fd, &e, sizeof(e), place(i)) != (ssize_t)sizeof(e))
			break;
		if (e.run == started && e.number > x->n)
			x->n = e.number;
	}
	x->looked = true;
}

void execed_note(struct execed *x, int run_fd, uint64_t started, const struct wire_execed *new)
{
	ctn_autoclose int fd = openat(run_fd, WIRE_EXECED_NAME,
				      O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	struct wire_execed e = *new;

	if (fd < 0)
		return;
	if (!x->looked)
		look(x, fd, started);
	e.number = x->n + 1;
	e.time = now_ns();
	e.run = started;
	if (pwrite(fd, &e, sizeof(e), place(e.number)) == (ssize_t)sizeof(e))
		x->n = e.number;
}
