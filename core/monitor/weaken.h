/* SPDX-License-Identifier: Apache-2.0 */
/* Protections that a build for tests can leave out, so that tests/security can show that each of
 * its attacks succeeds without them. CTNFS_WEAKEN is given in tests/meson.build, to programs that
 * are never installed, and nowhere else. */
#ifndef CTNFS_CORE_MONITOR_WEAKEN_H
#define CTNFS_CORE_MONITOR_WEAKEN_H

#ifndef CTNFS_WEAKEN
#define CTNFS_WEAKEN 0
#endif

enum {
	WEAKEN_DUMPABLE = CTNFS_WEAKEN & 1,    /* what is on its way in can be looked into */
	WEAKEN_DESCRIPTORS = CTNFS_WEAKEN & 2, /* it keeps all that it was started with */
	WEAKEN_CWD = CTNFS_WEAKEN & 4,	       /* its directory may be anywhere */
	WEAKEN_PROGRAM = CTNFS_WEAKEN & 8, /* it is the file `program` in the run directory, not the
					      monitor's sealed memory */
};

#endif
