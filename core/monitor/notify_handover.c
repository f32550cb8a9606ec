/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "../cleanup.h"
#include "../io.h"
#include "notify.h"

/* A turn takes 20 to 50 ns: no clock can be asked here. */
enum { NAP_MS = 250, NAPS_MAX = 120, TURNS_MAX = 1 << 28 };

int handover_new(struct handover **ret, struct ctn_err *err)
{
	void *at = mmap(NULL, sizeof(struct handover), PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED)
		return ctn_fail_errno(err, "share memory with the new process");
	*ret = at;
	return 0;
}

void handover_free(struct handover *h)
{
	if (h)
		(void)munmap(h, sizeof(*h));
}

static long futex(_Atomic uint32_t *word, int op, uint32_t value, const struct timespec *patience)
{
	return syscall(SYS_futex, word, op, value, patience, NULL, 0);
}

static bool is_allowed(const struct handover_given *g, int nr, uint64_t first, uint64_t second)
{
	const struct seccomp_data call = {
		.nr = nr, .arch = AUDIT_ARCH_X86_64, .args = {first, second}};

	return notify_decision(g->insns, g->n, &call) == SECCOMP_RET_ALLOW;
}

/* Return: whether there is still somebody who could hear it. */
static bool wake_parent(const struct handover_given *g)
{
	const struct wire_error wake = {.step = HANDOVER_STEP};

	return io_write_all(g->report, &wake, sizeof(wake)) != -EPIPE;
}

/* Asleep, where the filter allows that: on a busy machine, the parent has the processor then. One
 * that was killed meanwhile does not leave us behind. */
static bool sleep_until_taken(struct handover *h, const struct handover_given *g)
{
	const struct timespec nap = {.tv_nsec = NAP_MS * 1000000};
	const bool asks = is_allowed(g, SYS_write, (uint64_t)g->report, 0);
	bool alive = true;

	if (!is_allowed(g, SYS_futex, (uintptr_t)&h->taken, FUTEX_WAIT))
		return true;
	for (int i = 0; alive && i < NAPS_MAX && !atomic_load(&h->taken); i++) {
		if (futex(&h->taken, FUTEX_WAIT, 0, &nap) < 0 && errno == ETIMEDOUT && asks)
			alive = wake_parent(g);
	}
	return alive;
}

int handover_give(struct handover *h, const struct handover_given *g, struct ctn_err *err)
{
	atomic_store(&h->killable, g->killable);
	atomic_store(&h->listener, g->fd + 1);
	/* Where this is refused, too, it waits for its answer: from who has taken the listener. */
	if (!wake_parent(g) || !sleep_until_taken(h, g))
		return ctn_fail(err, EPIPE, "its monitor has ended");
	for (int i = 0; i < TURNS_MAX; i++) {
		if (atomic_load(&h->taken))
			return 0;
		__builtin_ia32_pause();
	}
	return ctn_fail(err, ETIMEDOUT, "nobody has taken the listener for denied calls");
}

bool handover_pending(const struct handover *h)
{
	return h && !atomic_load(&h->taken) && atomic_load(&h->listener);
}

static bool has_ended(int pidfd)
{
	const int why = errno;
	struct pollfd p = {.fd = pidfd, .events = POLLIN};
	const bool ended = poll(&p, 1, 0) > 0;

	errno = why;
	return ended;
}

int handover_take(struct handover *h, int pidfd, int *ret, struct ctn_err *err)
{
	const uint64_t none = 0;
	int fd = (int)syscall(SYS_pidfd_getfd, pidfd, atomic_load(&h->listener) - 1, 0);

	if (fd < 0 && has_ended(pidfd))
		return ctn_fail(err, ESRCH, "it was killed before it could run");
	if (fd < 0)
		return ctn_fail(err, errno,
				"its listener for denied calls cannot be taken over (%s); echo 0 > "
				"seccomp.notify does without",
				errno == EPERM ? "needs CAP_SYS_PTRACE" : strerror(errno));
	if (ioctl(fd, SECCOMP_IOCTL_NOTIF_ID_VALID, &none) == 0 || errno != ENOENT) {
		close(fd);
		return ctn_fail(err, EBADMSG, "that is no listener for denied calls");
	}
	*ret = fd;
	atomic_store(&h->taken, 1);
	(void)futex(&h->taken, FUTEX_WAKE, 1, NULL);
	return 0;
}
