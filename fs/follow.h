/* SPDX-License-Identifier: Apache-2.0 */
/* Files that others write to, and that somebody waits for: inotify(7), which is asked only while
 * somebody does. */
#ifndef CTNFS_FS_FOLLOW_H
#define CTNFS_FS_FOLLOW_H

#include <stdint.h>

#include "../core/err.h"

/* What follow_begin() gives: a number of inotify's, which begin with 1; or the host has no more of
 * them, and the file is taken to have grown twice a second. */
enum { FOLLOW_NONE = -1, FOLLOW_BLIND = 0 };

/** follow_start() - begin, with a thread. @grew is called on it, with no lock held, when a file has
 * grown: with what follow_begin() was given and has given; serial 0: every file with that token,
 * FOLLOW_NONE: any file. -errno with a sentence: then nothing is followed, and nothing is to be
 * freed. */
int follow_start(void (*grew)(uint32_t serial, int token), struct ctn_err *err);
/** follow_stop() - end the thread; @grew is not called any more. Fine where there is none. What is
 * followed can still be given up. */
void follow_stop(void);

/** follow_begin() - @fd's file, of that container. Return: a token, the same one for the same file
 * as long as it is followed. follow_end() - with each token once; FOLLOW_NONE is fine. */
int follow_begin(int fd, uint32_t serial);
void follow_end(int token);

#endif
