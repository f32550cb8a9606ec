/* SPDX-License-Identifier: Apache-2.0 */
/* One server's engine: its directories, its registry, its event thread. */
#ifndef CTNFS_CORE_ENGINE_H
#define CTNFS_CORE_ENGINE_H

#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "err.h"

struct engine;

/**
 * struct engine_options - what `-o` gave. Strings are borrowed for the call.
 * @state, @run: absolute paths; made if missing, 0700. No comma, colon or backslash in @state
 * (overlay options).
 * @cgroup:      NULL or a path below each hierarchy's mount point.
 * @subid_base, @subid_count: host ids that containers may use; whole ranges of 65536.
 * @spares:      how many containers are kept prepared, once one was made; at most SPARES_MAX.
 * @spare_ms:    how long they, and what waits for a start, are kept without another being made; 0:
 * 30 seconds.
 * @monitor:     path of the ctnfs-monitor program; it is copied into a sealed memfd here and never
 * opened again.
 * @version:     of the program, for the journal; NULL: not known. Borrowed for the engine's life.
 * @mountpoint:  the server's own, so that nothing of it is ever handed to a container.
 * @host_mntns:  descriptor of the host's mount namespace, borrowed for the engine's life.
 */
struct engine_options {
	const char *state, *run, *cgroup, *monitor, *mountpoint, *version;
	uint32_t subid_base, subid_count;
	unsigned spares, spare_ms;
	int host_mntns;
};

enum { SPARES_MAX = 8 };

/** engine_new() - open everything; -EBUSY when another server has the state directory. No thread is
 * started. Thread: main. */
int engine_new(const struct engine_options *options, struct engine **ret, struct ctn_err *err);

/** engine_begin() - start the process from which monitors will come, with the rights that the
 * caller has now: it may give up its own after that. engine_start() does it where nobody has. Call
 * it after the last fork. */
int engine_begin(struct engine *e, struct ctn_err *err);

/** engine_start() - start the event thread, then adopt or account for every container that is on
 * disk. Call it after the last fork. */
int engine_start(struct engine *e, struct ctn_err *err);

/** engine_stop() - end the event threads: no waiter is called any more. NULL is fine.
 * engine_free() - that, and close everything; containers go on. NULL is fine. */
void engine_stop(struct engine *e);
void engine_free(struct engine *e);

/** engine_on_change() - @fn is called with no lock held whenever a container's state changed, and
 * when it was removed: then its serial is nobody's; with 0 when the journal has more lines. Set it
 * before engine_start(). */
void engine_on_change(struct engine *e, void (*fn)(void *arg, uint32_t serial), void *arg);

/** engine_on_loss() - @fn is called once, by the event thread, when the process from which monitors
 * come was killed: nothing can be started any more. Set it before engine_start(). */
void engine_on_loss(struct engine *e, void (*fn)(void *arg), void *arg);

/** engine_print_status() - the root `status` file's engine lines: Key:<tab>value. */
int engine_print_status(struct engine *e, FILE *out, struct ctn_err *err);

/** engine_print_errors() - the root `error` file: `<time> <ERRNO> <name>: <sentence>`. */
void engine_print_errors(struct engine *e, FILE *out);

#endif
