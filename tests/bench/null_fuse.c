/* SPDX-License-Identifier: Apache-2.0 */
/* The least that a FUSE server can do: one file, `null`, whose reads cost an open, a read and a
 *close of nothing. It has the library, the worker threads and the open flags of ctnfs, and no
 *content.
 *
 *	null_fuse MOUNTPOINT	until it is unmounted, or told to end by SIGTERM */
#define FUSE_USE_VERSION 314

#include <errno.h>
#include <fuse_lowlevel.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NULL_INO = 2, FOREVER = 3600, WORKERS_IDLE = 16, WORKERS_MAX = 64 };

static const char name[] = "null", content[] = "0\n";

static void attr_of(fuse_ino_t ino, struct stat *ret)
{
	*ret = (struct stat){.st_ino = ino, .st_mode = S_IFDIR | 0700, .st_nlink = 2};
	if (ino == NULL_INO)
		*ret = (struct stat){.st_ino = ino,
				     .st_mode = S_IFREG | 0400,
				     .st_nlink = 1,
				     .st_size = sizeof(content) - 1};
}

static void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *what)
{
	struct fuse_entry_param e = {
		.ino = NULL_INO, .attr_timeout = FOREVER, .entry_timeout = FOREVER};

	if (parent != FUSE_ROOT_ID || strcmp(what, name) != 0) {
		fuse_reply_err(req, ENOENT);
		return;
	}
	attr_of(NULL_INO, &e.attr);
	fuse_reply_entry(req, &e);
}

static void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct stat st;

	(void)fi;
	attr_of(ino, &st);
	fuse_reply_attr(req, &st, FOREVER);
}

static void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino;
	fi->direct_io = 1;
	fi->noflush = 1;
	fuse_reply_open(req, fi);
}

static void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		    struct fuse_file_info *fi)
{
	size_t len = sizeof(content) - 1;

	(void)ino;
	(void)fi;
	len = off < (off_t)len ? len - (size_t)off : 0;
	fuse_reply_buf(req, content + off, len < size ? len : size);
}

static void op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino;
	(void)fi;
	fuse_reply_err(req, 0);
}

static const struct fuse_lowlevel_ops ops = {
	.lookup = op_lookup,
	.getattr = op_getattr,
	.open = op_open,
	.read = op_read,
	.release = op_release,
};

static int serve(struct fuse_session *session)
{
	struct fuse_loop_config *config = fuse_loop_cfg_create();
	int r;

	if (!config)
		return 1;
	fuse_loop_cfg_set_clone_fd(config, 0);
	fuse_loop_cfg_set_idle_threads(config, WORKERS_IDLE);
	fuse_loop_cfg_set_max_threads(config, WORKERS_MAX);
	r = fuse_session_loop_mt(session, config);
	fuse_loop_cfg_destroy(config);
	return r < 0;
}

int main(int argc, char **argv)
{
	struct fuse_args args = FUSE_ARGS_INIT(1, argv);
	struct fuse_session *session;
	int status = 1;

	if (argc != 2) {
		fprintf(stderr, "usage: null_fuse MOUNTPOINT\n");
		return 2;
	}
	session = fuse_session_new(&args, &ops, sizeof(ops), NULL);
	if (!session || fuse_set_signal_handlers(session) < 0)
		return 1;
	if (fuse_session_mount(session, argv[1]) == 0) {
		status = serve(session);
		fuse_session_unmount(session);
	}
	fuse_remove_signal_handlers(session);
	fuse_session_destroy(session);
	return status;
}
