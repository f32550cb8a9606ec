/* SPDX-License-Identifier: Apache-2.0 */
/* Protections that a build for tests can leave out, so that tests/security can show that each of
 * its attacks succeeds without them. CTNFS_WEAKEN is given in tests/meson.build, to programs that
 * are never installed, and nowhere else. */
#ifndef CTNFS_CORE_WEAKEN_H
#define CTNFS_CORE_WEAKEN_H

#ifndef CTNFS_WEAKEN
#define CTNFS_WEAKEN 0
#endif

/* clang-format off */
enum {
	WEAKEN_DUMPABLE = CTNFS_WEAKEN & 1,      /* what is on its way in can be looked into */
	WEAKEN_DESCRIPTORS = CTNFS_WEAKEN & 2,   /* it keeps all that it was started with */
	WEAKEN_CWD = CTNFS_WEAKEN & 4,           /* its directory may be anywhere */
	WEAKEN_PROGRAM = CTNFS_WEAKEN & 8,       /* it is the file `program` in the run directory, not sealed memory */
	WEAKEN_TARGET = CTNFS_WEAKEN & 16,       /* where to mount is looked up as any path of the host's */
	WEAKEN_PLACE = CTNFS_WEAKEN & 32,        /* anything in the root may be mounted on */
	WEAKEN_TTY = CTNFS_WEAKEN & 64,          /* its terminal is had by names that are inside */
	WEAKEN_INHERITABLE = CTNFS_WEAKEN & 128, /* its capabilities are inheritable as well */
	WEAKEN_GROUPS = CTNFS_WEAKEN & 256,      /* it keeps the server's groups */
	WEAKEN_COPYUP = CTNFS_WEAKEN & 512,      /* what is copied may be a link */
	WEAKEN_MASKS = CTNFS_WEAKEN & 1024,      /* hidden by /dev/null, whatever that is inside */
	WEAKEN_USERS = CTNFS_WEAKEN & 2048,      /* users are those of any file that a link leads to */
	WEAKEN_KEYRING = CTNFS_WEAKEN & 4096,    /* it keeps its parent's session keyring */
	WEAKEN_REUSE = CTNFS_WEAKEN & 8192,      /* a process is known by its number alone */
};
/* clang-format on */

#endif
