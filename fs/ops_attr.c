/* SPDX-License-Identifier: Apache-2.0 */
/* SETATTR. */
#include <errno.h>
#include <sys/stat.h>

#include "ops.h"

enum { MODE_BITS = 07777 };

/* Modes and owners are the table's; what asks for what is so already succeeds. */
static int check_fixed(const struct node_ref *ref, const struct stat *attr, int to_set,
		       struct ctn_err *err)
{
	const char *what = ref->node->path[0] ? ref->node->path : "the directory";
	struct stat st;
	int r = node_stat(ref, &st, err);

	if (r < 0)
		return r;
	if (to_set & FUSE_SET_ATTR_MODE && (attr->st_mode & MODE_BITS) != (st.st_mode & MODE_BITS))
		return ctn_fail(err, EPERM, "%s: its mode is always %03o", what,
				st.st_mode & MODE_BITS);
	if ((to_set & FUSE_SET_ATTR_UID && attr->st_uid != st.st_uid) ||
	    (to_set & FUSE_SET_ATTR_GID && attr->st_gid != st.st_gid))
		return ctn_fail(err, EPERM, "%s: its owner is always %u:%u", what, st.st_uid,
				st.st_gid);
	return 0;
}

static int set_size(const struct node_ref *ref, struct handle *h, off_t size, struct ctn_err *err)
{
	if (!(ref->node->mode & 0222))
		return ctn_fail(err, EACCES, "%s can only be read", ref->node->path);
	if (size != 0)
		return ctn_fail(err, EINVAL, "%s can be emptied, and not given another size",
				ref->node->path);
	return write_truncate(h ? &h->ref : ref, h, err);
}

static int set_attributes(const struct node_ref *ref, struct handle *h, const struct stat *attr,
			  int to_set, struct stat *ret, struct ctn_err *err)
{
	bool scratch = ref->node->flags & N_SCRATCH;
	int r = check_fixed(ref, attr, scratch ? to_set & ~FUSE_SET_ATTR_MODE : to_set, err);

	if (r == 0 && scratch)
		r = scratch_set(ref, attr, to_set, err);
	else if (r == 0 && to_set & FUSE_SET_ATTR_SIZE)
		r = set_size(ref, h, attr->st_size, err);
	return r < 0 ? r : node_stat(ref, ret, err); /* times are accepted, and not kept */
}

void op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set,
		struct fuse_file_info *fi)
{
	struct handle *h = fi ? (struct handle *)(uintptr_t)fi->fh : NULL;
	struct ctn_err err = {0};
	struct node_ref ref;
	struct stat st;
	int r = node_ref_get(req_fs(req), ino, &ref);

	if (r < 0) {
		fuse_reply_err(req, -r);
		return;
	}
	r = set_attributes(&ref, h, attr, to_set, &st, &err);
	if (r < 0)
		fuse_reply_err(req, node_refuse(&ref, &err));
	else
		fuse_reply_attr(req, &st, node_attr_timeout(ref.node));
	node_ref_put(&ref);
}
