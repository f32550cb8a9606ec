/* SPDX-License-Identifier: Apache-2.0 */
/* How much a user of the mount can make the server keep. With -o group that is not only root. */
#ifndef CTNFS_FS_QUOTA_H
#define CTNFS_FS_QUOTA_H

#include <stddef.h>
#include <sys/types.h>

#include "../core/err.h"

struct quota;

/**
 * quota_take() - @uid makes the server keep one more thing: something open, or a read that waits.
 * @ret: to be given back with quota_give(), which takes what is held for it along.
 * Return: 0; -EMFILE with a sentence; -ENOMEM. Thread: any.
 */
int quota_take(uid_t uid, struct quota **ret, struct ctn_err *err);
void quota_give(struct quota *q, size_t held);

/** quota_hold() - for one of its things it is @now bytes instead of @before. -EMFILE with a
 * sentence: then it is @before still. Less is always 0. */
int quota_hold(struct quota *q, size_t before, size_t now, struct ctn_err *err);

#endif
