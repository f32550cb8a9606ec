/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the FUSE operations share: node.c, handle.c, dir.c, ops.c, ops_change.c. */
#ifndef CTNFS_FS_OPS_H
#define CTNFS_FS_OPS_H

#include "node.h"

/** node_root_touch() - a container was made, removed or renamed: the root directory's mtime. */
void node_root_touch(void);

/** timespec_of() - nanoseconds since the epoch, as stat(2) has them. */
struct timespec timespec_of(uint64_t ns);

/** mtime_of_content() - when the content of a file became @text, as far as anybody has looked.
 * mtime_touch() - it has changed just now, mtime_touched() - when that was, 0: never; of a
 * container's file without content. mtime_forget() - the container is gone. mtime_now() -
 * nanoseconds since the epoch. */
uint64_t mtime_of_content(const struct node_ref *ref, const char *text, size_t len);
/** mtime_lately() - the length of what mtime_of_content() was told last, and its answer: where that
 * was within a second, and no container has become another since (mtime_stale()). */
bool mtime_lately(const struct node_ref *ref, size_t *ret_len, uint64_t *ret_mtime);
void mtime_stale(void);
void mtime_touch(const struct node_ref *ref);
uint64_t mtime_touched(const struct node_ref *ref);
void mtime_forget(uint32_t serial);
uint64_t mtime_now(void);

/** node_ino_of() - st_ino of a row beside or below @ref's, for listings. */
fuse_ino_t node_ino_of(const struct node_ref *ref, const struct node *node, uint32_t extra);

/** node_attr_timeout() - seconds for which the kernel may believe the attributes it was told. */
double node_attr_timeout(const struct node *node);

/** entry_fill() - what a LOOKUP of @ref answers. @ref's extra is kept in the node id; a fresh node
 * gets a number of its own. 0; -errno: it is not there now. */
int entry_fill(const struct node_ref *ref, struct fuse_entry_param *ret, struct ctn_err *err);

/** opened_add(), opened_remove() - the list of what the kernel has open. @uid: for whom. -EMFILE,
 * -ENOMEM: it is not on it. */
int opened_add(struct opened *o, uid_t uid, struct ctn_err *err);
void opened_remove(struct opened *o);

/* links_ns.c: symbolic links that are made in ns/ */

/** ns_link_create() - -EPERM elsewhere; -EEXIST; -ENOSPC. ns_link_find(): whether there is one.
 * ns_link_unlink(): -ENOENT: there is none. ns_link_forget(): the container is gone. @ret borrows
 * @dir's reference. */
int ns_link_create(const struct node_ref *dir, const char *name, const char *target,
		   struct node_ref *ret, struct ctn_err *err);
bool ns_link_find(const struct node_ref *dir, const char *name, struct node_ref *ret);
int ns_link_unlink(const struct node_ref *dir, const char *name);
void ns_link_forget(uint32_t serial);
/** ns_link_list() - call @fn for each in that container's ns/, with a lock held; stops where it
 * fails. */
int ns_link_list(const struct node_ref *dir, int (*fn)(void *arg, const char *name, uint32_t slot),
		 void *arg);
/** ns_link_rename() - over ns/<kind>: a write of where it leads. 0; -errno with a sentence. */
int ns_link_rename(const struct node_ref *dir, const char *name, const struct node_ref *newdir,
		   const char *newname, unsigned flags, struct ctn_err *err);

static inline struct fs *req_fs(fuse_req_t req)
{
	return fuse_req_userdata(req);
}

/* scratch.c: files that editors and sed -i make beside the real ones; in memory, gone with the
 * server or the container. Each of these takes a struct node_ref of the row N_SCRATCH, or of a
 * directory.
 */
enum { SCRATCH_MAX = 16, SCRATCH_NAME_ROOM = 256 };

/** scratch_may() - whether a file called @name may be made in @dir: @exclusive (it must not exist),
 * or by a name that editors use; not where a row has that name, or nothing can be written. */
bool scratch_may(const struct node_ref *dir, const char *name, bool exclusive);
/** scratch_create() - @ret borrows @dir's container. -EEXIST, -ENOSPC, -ENAMETOOLONG, -ENOMEM. */
int scratch_create(const struct node_ref *dir, const char *name, struct node_ref *ret,
		   struct ctn_err *err);
/** scratch_find() - @ret borrows @dir's container. scratch_list() - all in @dir; their number. */
bool scratch_find(const struct node_ref *dir, const char *name, struct node_ref *ret);
size_t scratch_list(const struct node_ref *dir, char names[][SCRATCH_NAME_ROOM],
		    struct node_ref *ret);
/** scratch_exists() - true of any other row, too. */
bool scratch_exists(const struct node_ref *ref);
int scratch_stat(const struct node_ref *ref, struct stat *st);
/** scratch_opened(), scratch_closed() - it stays while a descriptor has it. -ENOENT. */
int scratch_opened(const struct node_ref *ref);
void scratch_closed(const struct node_ref *ref);
ssize_t scratch_read(const struct node_ref *ref, void *buf, size_t size, off_t off);
int scratch_write(const struct node_ref *ref, const char *buf, size_t size, off_t off, bool append,
		  struct ctn_err *err);
/** scratch_set() - size, mode, times as SETATTR asks. The owner is fixed. */
int scratch_set(const struct node_ref *ref, const struct stat *attr, int to_set,
		struct ctn_err *err);
/** scratch_unlink() - -ENOENT. scratch_forget() - a container is gone. */
int scratch_unlink(const struct node_ref *dir, const char *name);
void scratch_forget(uint32_t serial);
/** scratch_rename() - answers @req where @name in @dir is a scratch file; false where it is none.
 */
bool scratch_rename(fuse_req_t req, const struct node_ref *dir, const char *name,
		    const struct node_ref *newdir, const char *newname, unsigned flags);

/* handle.c */
/** handle_new() - for @uid; takes @ref's reference over on success. */
int handle_new(const struct node_ref *ref, uid_t uid, int flags, struct handle **ret,
	       struct ctn_err *err);
void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi);
void op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_lseek(fuse_req_t req, fuse_ino_t ino, off_t off, int whence, struct fuse_file_info *fi);

/* dir.c */
void op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi);
void op_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		    struct fuse_file_info *fi);
void op_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);

/* ops_change.c */
/** refuse_name() - put a refusal about @name in @dir into the `error` files, and reply it. */
void refuse_name(fuse_req_t req, const struct node_ref *dir, const char *name,
		 const struct ctn_err *err);
/** explain_absence() - why there is no file called @name in @dir, and what was meant. Return:
 * -ENOENT. */
int explain_absence(const struct node_ref *dir, const char *name, struct ctn_err *err);
void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode);
void op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name);
void op_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t newparent,
	       const char *newname, unsigned flags);
void op_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
	       struct fuse_file_info *fi);
void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev);
void op_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t newparent, const char *newname);
void op_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name);
void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name);
void op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set,
		struct fuse_file_info *fi);

#endif
