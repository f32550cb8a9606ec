/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions as directories: execs.c. */
#ifndef CTNFS_FS_EXECS_H
#define CTNFS_FS_EXECS_H

#include "ops.h"

/** execs_is() - whether @dir is the row whose entries are sessions. execs_has() - whether @ref is a
 * file of a session. */
bool execs_is(const struct node *dir);
bool execs_has(const struct node_ref *ref);

/** execs_find() - @ret gets a reference. execs_list() - as container_list(). execs_mtime() - when a
 * session came or went. @dir: of execs_is(). */
bool execs_find(const struct node_ref *dir, const char *name, struct node_ref *ret);
int execs_list(const struct node_ref *dir, struct container ***ret, size_t *ret_n);
uint64_t execs_mtime(const struct node_ref *dir);

/** execs_ino() - st_ino of the execs/ that has the session of @session. */
fuse_ino_t execs_ino(const struct node_ref *session);

/** execs_mkdir(), execs_rmdir() - answer @req, rmdir when all of it has ended. */
void execs_mkdir(fuse_req_t req, const struct node_ref *dir, const char *name);
void execs_rmdir(fuse_req_t req, const struct node_ref *dir, const char *name);

#endif
