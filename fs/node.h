/* SPDX-License-Identifier: Apache-2.0 */
/* The table of files and what its rows are made of. Everything about a file of the tree comes from
 * its row. */
#ifndef CTNFS_FS_NODE_H
#define CTNFS_FS_NODE_H

#define FUSE_USE_VERSION 314

#include <fuse_lowlevel.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "../core/container.h"
#include "../core/container_stdin.h"
#include "../core/engine.h"
#include "../core/err.h"
#include "../core/life.h"
#include "quota.h"

/**
 * struct fs - one mounted server; the userdata of the FUSE session. Immutable once mounted.
 * @group: who may read the observation files; -1 without -o group.
 */
struct fs {
	struct engine *engine;
	struct fuse_session *session;
	const char *mountpoint;
	const char *programs; /* the directory of ctnfs-monitor and the others */
	gid_t group;
	uint64_t mounted; /* nanoseconds since the epoch */
};

enum node_flags {
	N_ROOT = 1 << 0,     /* in the root directory; all others are in every container */
	N_OBS = 1 << 1,	     /* observation: the group of -o group may read it */
	N_FRESH = 1 << 2,    /* a fresh node at each lookup, so that two writers never share the
				kernel's inode lock */
	N_RUNNING = 1 << 3,  /* exists only while the container runs */
	N_STOPPED = 1 << 4,  /* exists only while it does not */
	N_UNLISTED = 1 << 5, /* can be looked up, is not listed */
	N_MULTI = 1 << 6,    /* a list: one entry a line (container_store() with the field @arg) */
	N_CONFIG = 1 << 7,   /* mtime: last change of configuration */
	N_STATE = 1 << 8,    /* mtime: last change of state; neither: of the
				content, as far as anybody has looked */
	N_CONST = 1 << 9,    /* never changes while mounted */
	N_LOG = 1 << 10,     /* offsets are positions in the view @arg of the log, or the journal
				(log.c of fs/) */
	N_WAIT = 1 << 11,    /* reading parks until the container has exited */
	N_OWN = 1 << 12,     /* stands for one entry a process, named by its own pid (@extra) */
	N_DOC = 1 << 13,     /* takes JSON documents: @store gets a whole one */
	N_SCRATCH = 1 << 14, /* stands for the scratch files (@extra: which) of all directories */
	N_JSON = 1 << 15,    /* a list of which an entry can be a JSON document of many lines */
	N_LINKS = 1 << 16,   /* stands for the links that users make here (@extra: which) */
	N_STDIN = 1 << 17,   /* writes go to the program's standard input (stdin.c) */
	N_SESSION = 1 << 18, /* also there in execs/<name>/, about that session */
	N_EXECS = 1 << 19,   /* stands for the sessions, each of which is of ROW_CONTAINER */
	N_POLL = 1 << 21,    /* its content changes with the state, or (without N_STATE) with
				what the OOM killer does, which wakes poll(2) */
	N_EVENTS = 1 << 20,  /* with N_LOG: the journal */
	N_ALL = 1 << 20,     /* about all containers: size and mtime are those of the last time that
				it was read or looked at, for a second */
	N_MANY = N_OWN | N_LINKS | N_SCRATCH | N_EXECS,
};

struct node;
struct handle;
struct write_op;

/* A file of one container (or of the root: @c NULL), for the time of one request. */
struct node_ref {
	struct fs *fs;
	const struct node *node;
	struct container *c; /* a reference, or borrowed from a handle: the callee never puts it */
	uint32_t extra;	     /* procs/<own pid>: that pid; of a scratch file: which */
};

/**
 * struct node - one row.
 * @path:  below the container (or the root): "cgroup/memory.limit"; "" is the directory itself.
 * @mode:  with the file type; permissions as without -o group.
 * @when:  when a write takes effect: "live", "next", "stopped", or NULL.
 * @show:  file: print the content. Symlink: print the target, without a newline. NULL: directory,
 * or write-only. 0; -errno with a sentence: the read, readlink or lookup fails so (a symlink's
 * -ENOENT: it is not there now).
 * @store: act on one line, or of N_DOC on one document (NUL-terminated, blanks around it removed,
 * neither blank nor a comment). 0; LIFE_PENDING: the operation's waiter was queued (write.h);
 * -errno with a sentence and nothing changed. NULL: read-only, or N_MULTI.
 * @arg:   for both: a field, knob, kind or controller name.
 * @doc:   one line of documentation.
 */
struct node {
	const char *path;
	mode_t mode;
	unsigned flags;
	const char *when;
	int (*show)(const struct node_ref *ref, FILE *out, struct ctn_err *err);
	int (*store)(const struct node_ref *ref, struct write_op *op, const char *line,
		     struct ctn_err *err);
	const char *arg;
	const char *doc;
};

/* --- tree.c --- */

/** node_at() - the row with that number (1 is the root directory, 2 a container's), or NULL.
 * node_row() is the reverse. */
const struct node *node_at(unsigned row);
unsigned node_row(const struct node *node);
enum { ROW_ROOT = 1, ROW_CONTAINER = 2 };

/** node_parent() - the directory row that holds it; NULL for the root. node_name() - the last part
 * of its path. */
const struct node *node_parent(const struct node *node);
const char *node_name(const struct node *node);

/** node_child() - rows called @name in directory @dir, the @nth of them (a name can have two rows,
 * N_RUNNING and N_STOPPED); NULL. */
const struct node *node_child(const struct node *dir, const char *name, unsigned nth);

/** node_next() - the next row in @dir after @previous (NULL: the first), in table order; NULL at
 * the end. */
const struct node *node_next(const struct node *dir, const struct node *previous);

/** node_nearest() - for "did you mean": of the rows in @dir with all of @flags the name that is
 * most like @name, or NULL. */
const char *node_nearest(const struct node *dir, const char *name, unsigned flags);

/** tree_init() - work out parents; once, before anything else. tree_print() - `ctnfs --tree`.
 * tree_print_readme() - the root README. */
void tree_init(void);
void tree_print(FILE *out);
void tree_print_readme(FILE *out);

/* --- Node ids: serial << 32 | extra << 10 | row. The root directory is FUSE_ROOT_ID. --- */
enum { NODE_ROW_BITS = 10, NODE_EXTRA_BITS = 22 };

/** node_ref_get() - what @ino means now. 0; -ENOENT or -ESTALE when that is gone. Free with
 * node_ref_put(). */
int node_ref_get(struct fs *fs, fuse_ino_t ino, struct node_ref *ret);
void node_ref_put(struct node_ref *ref);
fuse_ino_t node_ino(const struct node_ref *ref); /* st_ino: without the counter of fresh nodes */

/** node_visible() - whether the row exists now for that container or session. */
bool node_visible(const struct node *node, struct container *c);

/** node_render() - the content of a file (or target of a link) now, to be freed. */
int node_render(const struct node_ref *ref, char **ret, size_t *ret_len, struct ctn_err *err);

/** node_stat() - its attributes now, true size included. */
int node_stat(const struct node_ref *ref, struct stat *ret, struct ctn_err *err);

/** node_changed() - for engine_on_change(): wake who polls; of one that is gone forget what was
 * kept about its files. @arg: struct fs. */
void node_changed(void *arg, uint32_t serial);

/** node_refuse() - put a refusal into the `error` files: the container's under the file's path, and
 * the root's. Return: @err->code (positive). */
int node_refuse(const struct node_ref *ref, const struct ctn_err *err);

/* --- handle.c --- */

/** struct opened - what the kernel has open: on one list, for handle_end(). @quota: whose it is;
 * @held: bytes that are kept for it (quota.h). */
struct opened {
	struct opened *prev, *next;
	struct quota *quota;
	size_t held;
	void (*drop)(struct opened *o);
};

/**
 * struct handle - an open file; fuse_file_info.fh. Holds a reference to its container.
 * @open: first, so that it can be turned into the handle.
 * @refs:  atomic; a parked request holds one.
 * @flags: of open(2).
 * @lock:  all below it. Requests on one descriptor may come on several threads.
 * @snapshot: what reads return: rendered by a read at offset @base (0, or where the last write on
 * it ended).
 * @result: the snapshot is a write's own result, which is not rendered again.
 * @log_next, @log_pos: log.c's; the offset at which a sequential reader goes on, and what position
 * in the log, or journal, that is.
 * @run, @ends: stdin.c's; the run of the container that it writes to, never changed, and whether it
 * is the whole input.
 * @seen: watch.c's; the last change of state that a read has told.
 * @watcher: watch.c's, under its lock; NULL while nobody polls. @told_end: atomic; the last read
 * was at the end.
 * @writer: the write engine's part (write.c), made at the first write or truncation.
 */
struct handle {
	struct opened open;
	struct node_ref ref;
	unsigned refs;
	int flags;
	uint64_t run;
	pthread_mutex_t lock;
	bool ends;
	char *snapshot;
	size_t snapshot_len;
	uint64_t base;
	bool result;
	uint64_t log_next, log_pos;
	uint64_t seen;
	struct watcher *watcher;
	bool told_end;
	struct writer *writer;
};

struct handle *handle_get(struct handle *h);
/** handle_put() - RELEASE drops the first reference; the last one frees it, watch_forget() and
 * write_release() first. NULL is fine. */
void handle_put(struct handle *h);
/** handle_end() - the server ends: drop what is still open. Between engine_stop() and
 * engine_free(), when no request is under way or parked. */
void handle_end(void);

/** handle_set_result() - the next read (from @offset on) returns @text: a write's own result. Takes
 * @text over. Thread: with h->lock held. */
void handle_set_result(struct handle *h, char *text, size_t len, uint64_t offset);

/* --- FUSE operations, in the files of that name --- */
void op_init(void *userdata, struct fuse_conn_info *conn);
void op_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size, off_t off,
	      struct fuse_file_info *fi);
void op_poll(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, struct fuse_pollhandle *ph);
extern const struct fuse_lowlevel_ops ctnfs_ops;

/* --- write.c --- */

/** write_truncate() - O_TRUNC at open or a size of 0 (with @h), or SETATTR without a handle (@h
 * NULL: acts at once on @ref). */
int write_truncate(const struct node_ref *ref, struct handle *h, struct ctn_err *err);
/** write_release() - refuse what was left incomplete into `error`; free the writer. */
void write_release(struct handle *h);
/** write_end() - the server ends: begin no document any more, wait for those under way. Before
 * park_abort_all(). */
void write_end(void);
/** write_waiter() - the waiter that a row's store function gives to a verb of life.h. */
struct life_waiter *write_waiter(struct write_op *op);
/** show_ctl() - the verbs, one a line. */
int show_ctl(const struct node_ref *ref, FILE *out, struct ctn_err *err);
/** store functions of rows */
int store_ctl(const struct node_ref *ref, struct write_op *op, const char *line,
	      struct ctn_err *err);
int store_cmd(const struct node_ref *ref, struct write_op *op, const char *line,
	      struct ctn_err *err);
int store_field(const struct node_ref *ref, struct write_op *op, const char *line,
		struct ctn_err *err);
int store_knob(const struct node_ref *ref, struct write_op *op, const char *line,
	       struct ctn_err *err);

/** store_new(), store_spec() - documents.c: act on one document. */
int store_new(const struct node_ref *ref, struct write_op *op, const char *text,
	      struct ctn_err *err);
int store_spec(const struct node_ref *ref, struct write_op *op, const char *text,
	       struct ctn_err *err);

/* --- wait.c --- */

/** wait_read() - answer a read of `wait`: at once, EAGAIN, or parked until the container has
 * exited; then "N\n" from @off. */
void wait_read(fuse_req_t req, struct handle *h, size_t size, off_t off);

/* --- watch.c --- */

/** watch_changed() - wake the poll(2)ers of that container; 0: of the root's `events`. */
void watch_changed(uint32_t serial);
/** watch_reads() - a read is about to tell what is so now. Under h->lock. */
void watch_reads(struct handle *h);
/** watch_forget() - a handle is being released: drop its poll handle. */
void watch_forget(struct handle *h);

/* --- stdin.c --- */

/** stdin_opened(), stdin_closed() - a descriptor for writing. -ESRCH with a sentence. stdin_write()
 * - answer a write, at once or when the program has taken it; @flags: of the descriptor now.
 * stdin_truncate() - the end of file: when @h is released, or at once. */
int stdin_opened(struct handle *h, struct ctn_err *err);
void stdin_closed(struct handle *h);
void stdin_write(fuse_req_t req, struct handle *h, const char *text, size_t size, int flags);
int stdin_truncate(const struct node_ref *ref, struct handle *h, struct ctn_err *err);

/* --- log.c --- */

/** log_opened(), log_closed() - a descriptor on `log` or a view of it: the file's offset 0 stays
 * where it is from the first open to the last close. */
int log_opened(const struct node_ref *ref);
void log_closed(const struct node_ref *ref);
/** log_size() - st_size and mtime for getattr. log_read() - as container_log_read() in the file's
 * offsets, under h->lock. log_seek() - SEEK_DATA, SEEK_HOLE. log_truncate() - empty it; @opened: by
 * a descriptor on it. Unless others have it open, offset 0 is the present end from now on. */
int log_size(const struct node_ref *ref, uint64_t *ret_size, uint64_t *ret_mtime,
	     struct ctn_err *err);
ssize_t log_read(struct handle *h, void *buf, size_t size, off_t off, struct ctn_err *err);
/** log_more() - whether there is something behind what was read last. log_source() -
 * the file that grows when it does, for inotify; -ENOENT before the first start, and of the
 * journal. */
bool log_more(struct handle *h);
int log_source(const struct node_ref *ref, int *ret_fd);
off_t log_seek(const struct node_ref *ref, off_t off, int whence);
int log_truncate(const struct node_ref *ref, bool opened, struct ctn_err *err);

#endif
