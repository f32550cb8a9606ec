/* SPDX-License-Identifier: Apache-2.0 */
/* What the cgroup files share among themselves; nobody else includes this. */
#ifndef CTNFS_CORE_CGROUP_PRIVATE_H
#define CTNFS_CORE_CGROUP_PRIVATE_H

#include "cgroup.h"

#define CG_BIT(c)	      (1u << (c))

/* What v1 calls "no CPU limit", and the kernel's own bounds (kernel/sched/core.c). */
#define CGROUP_PERIOD_DEFAULT 100000
#define CGROUP_PERIOD_MIN     1000
#define CGROUP_PERIOD_MAX     1000000
#define CGROUP_QUOTA_MIN      1000
#define CGROUP_QUOTA_MAX      17592186044415ull

enum {
	CGROUP_FILE_MAX = 16 << 20, /* bytes of one cgroupfs file; a process list is the longest */
	CGROUP_DEPTH_MAX = 64,	    /* nested directories in a leaf that we walk */
	CGROUP_RETRIES = 64,	    /* while other servers remove the shared directory under us */
};

/* The directory in the v2 server directory which holds the server itself: v2 allows processes only
 * in leaves once controllers are enabled. No container may be called so. */
#define CGROUP_SERVER_LEAF "server"

/**
 * struct cgroup_hierarchy - one mounted hierarchy.
 * @mountfd: O_PATH descriptor of the mount point, from which all else is opened.
 * @mount: its path.
 * @own: this process's own cgroup below it, without a leading '/'; "" for the top.
 * @rel: the server's directory below it, likewise.
 * @controllers: CG_BIT()s.
 * @made: how many trailing components of @rel were made by us.
 * @enable_from: v2: from which prefix of @rel down controllers are enabled, in bytes.
 */
struct cgroup_hierarchy {
	int mountfd;
	char *mount;
	char *own;
	char *rel;
	unsigned controllers;
	unsigned made;
	size_t enable_from;
};

/* @devices_prog: v2: the loaded device program, or -1. */
struct cgroup_root {
	int version;
	const struct cgroup_ops *ops;
	size_t n;
	struct cgroup_hierarchy hier[CG_CONTROLLERS];
	int devices_prog;
};

/* No descriptor of it is kept: there may be thousands of leaves, and eight hierarchies. @base: what
 * it is opened from, borrowed. @path: to tell people; from @at on what is below @base. @depth: how
 * many directories below the mount point. @ino: never given to another group, so it tells this one
 * from a later one of that name; 0: there will be none. */
struct cgroup_dir {
	int base;
	char *path;
	size_t at;
	unsigned controllers;
	unsigned depth;
	_Atomic uint64_t ino;
};

/* @figures: cgroup_figures.c's. */
enum { CGF_KEPT = CGF_PIDS + 1 };
struct cgroup_leaf {
	int version;
	const struct cgroup_ops *ops;
	size_t n;
	struct cgroup_dir dirs[CG_CONTROLLERS];
	_Atomic int figures[CGF_KEPT];
};

struct cgroup_cpu_stat {
	uint64_t usage, user, system, periods, throttled, throttled_time; /* times in µs */
};

/* In the order in which they are printed. */
enum { CG_EV_LOW, CG_EV_HIGH, CG_EV_MAX, CG_EV_OOM, CG_EV_OOM_KILL, CG_EV_PIDS, CG_EVENTS };

enum { CG_IO_RBPS, CG_IO_WBPS, CG_IO_RIOPS, CG_IO_WIOPS, CG_IO_KEYS };
extern const char *const cgroup_io_keys[CG_IO_KEYS];

/* One line of io.max; a key that is not @given keeps its present value. */
struct cgroup_io_limit {
	unsigned major, minor;
	uint64_t value[CG_IO_KEYS]; /* CTN_MAX: none */
	bool given[CG_IO_KEYS];
};

/* One line of io.stat: rbytes wbytes rios wios dbytes dios. */
enum { CG_IO_STATS = 6 };
struct cgroup_io_stat {
	unsigned major, minor;
	uint64_t value[CG_IO_STATS];
};

/**
 * struct cgroup_ops - what differs between the versions, in values: texts are parsed and printed
 * once, in cgroup_knobs.c and cgroup_io.c, so both versions read and accept the same.
 *
 * A function whose controller or kernel file is missing returns -EOPNOTSUPP with a sentence.
 * @server_make: make and prepare the server's directory in hierarchy @i; again where another server
 * removed it. @ret_made: components of its path that were not there.
 * @server_ready: once, at opening: find out what the directory @fd offers.
 * @server_leave: undo, as far as possible, what @server_make did beside making directories.
 * @leaf_init: give the directory @fd below @parentfd what every container starts with.
 * @child_init: the same for a directory below a leaf's, which has all else from there; NULL: there
 * is nothing to give.
 * @memory_limit_set, @swap_set: -EBUSY with the use in the sentence when it cannot be met.
 * @cpu_max_set: @quota may be CTN_MAX.
 * @procs_add: move one process in; after a failure it is where it was.
 */
struct cgroup_ops {
	int (*server_make)(const struct cgroup_root *root, size_t i, int *ret_fd,
			   unsigned *ret_made, struct ctn_err *err);
	int (*server_ready)(struct cgroup_root *root, int fd, struct ctn_err *err);
	void (*server_leave)(struct cgroup_root *root);
	int (*leaf_init)(const struct cgroup_root *root, unsigned controllers, int parentfd, int fd,
			 bool fresh, struct ctn_err *err);
	int (*child_init)(unsigned controllers, int parentfd, int fd, struct ctn_err *err);
	int (*freeze)(const struct cgroup_leaf *leaf, bool freeze, struct ctn_err *err);
	int (*frozen)(const struct cgroup_leaf *leaf, struct ctn_err *err);
	int (*procs_add)(const struct cgroup_leaf *leaf, pid_t pid, struct ctn_err *err);
	int (*memory_limit_set)(const struct cgroup_leaf *leaf, uint64_t bytes,
				struct ctn_err *err);
	int (*swap_get)(const struct cgroup_leaf *leaf, uint64_t *ret, struct ctn_err *err);
	int (*swap_set)(const struct cgroup_leaf *leaf, uint64_t bytes, struct ctn_err *err);
	int (*memory_stat)(const struct cgroup_leaf *leaf, FILE *out, struct ctn_err *err);
	int (*cpu_max_get)(const struct cgroup_leaf *leaf, uint64_t *ret_quota,
			   uint64_t *ret_period, struct ctn_err *err);
	int (*cpu_max_set)(const struct cgroup_leaf *leaf, uint64_t quota, uint64_t period,
			   struct ctn_err *err);
	int (*cpu_stat)(const struct cgroup_leaf *leaf, struct cgroup_cpu_stat *ret,
			struct ctn_err *err);
	int (*cpuset_get)(const struct cgroup_leaf *leaf, const char *file, char **ret,
			  struct ctn_err *err);
	int (*cpuset_set)(const struct cgroup_leaf *leaf, const char *file, const char *list,
			  struct ctn_err *err);
	int (*events)(const struct cgroup_leaf *leaf, uint64_t ret[CG_EVENTS], struct ctn_err *err);
	int (*oom_kills)(const struct cgroup_leaf *leaf, uint64_t *ret, struct ctn_err *err);
	int (*io_max_list)(const struct cgroup_leaf *leaf, struct cgroup_io_limit **ret,
			   size_t *ret_n, struct ctn_err *err);
	int (*io_max_set)(const struct cgroup_leaf *leaf, const struct cgroup_io_limit *limit,
			  struct ctn_err *err);
	int (*io_stat_list)(const struct cgroup_leaf *leaf, struct cgroup_io_stat **ret,
			    size_t *ret_n, struct ctn_err *err);
};

extern const struct cgroup_ops cgroup_v1_ops, cgroup_v2_ops;

/* cgroup_mounts.c */

/** cgroup_discover() - fill version, ops and hierarchies (all but @rel) from the texts of
 * /proc/self/mountinfo and /proc/self/cgroup. -EOPNOTSUPP when there is nothing to use. */
int cgroup_discover(struct cgroup_root *root, const char *mountinfo, const char *cgroups,
		    struct ctn_err *err);

/* cgroup.c */

/** cgroup_root_open_texts() - cgroup_root_open() on given texts: lets a test use the
 * controller-less v2 mount of a hybrid host as a v2 host. */
int cgroup_root_open_texts(const char *mountinfo, const char *cgroups, const char *path,
			   struct cgroup_root **ret, struct ctn_err *err);

/** cgroup_path_make() - mkdir -p @rel in @h. @init, when given, prepares each directory on the way.
 * @ret_made: trailing components that were not there. */
int cgroup_path_make(const struct cgroup_hierarchy *h, const char *rel,
		     int (*init)(unsigned controllers, int parentfd, int fd, struct ctn_err *err),
		     int *ret_fd, unsigned *ret_made, struct ctn_err *err);

/* cgroup_leaf.c */

/** cgroup_name_check() - -EINVAL where no directory of ours can be called so. */
int cgroup_name_check(const char *name, struct ctn_err *err);

/** cgroup_remove_at() - rmdir @name and what is below it, in the directory @parent, which sentences
 * call @path; again until @deadline (cgroup_now()) while processes are in it. */
int cgroup_remove_at(int parent, const char *path, const char *name, uint64_t deadline,
		     struct ctn_err *err);

/* cgroup_figures.c */
void cgroup_figures_close(struct cgroup_leaf *leaf);

/* cgroup_file.c: small files of a leaf. A missing controller or file is -EOPNOTSUPP, a group that
 * is gone -ENOENT. */
/** cgroup_dir_open() - an O_PATH descriptor, the caller's. cgroup_leaf_fd() - of the one that has
 * @c. cgroup_leaf_dir() - that itself, or NULL. */
int cgroup_dir_open(const struct cgroup_dir *dir, int *ret, struct ctn_err *err);
int cgroup_leaf_fd(const struct cgroup_leaf *leaf, enum cgroup_controller c, int *ret,
		   struct ctn_err *err);
/** cgroup_open_below() - a file of it, to be read; it may be in a later group of that name. -1. */
int cgroup_open_below(const struct cgroup_dir *dir, const char *file);
const struct cgroup_dir *cgroup_leaf_dir(const struct cgroup_leaf *leaf, enum cgroup_controller c);
/** cgroup_lacks() - -EOPNOTSUPP, with the sentence about it. */
int cgroup_lacks(const struct cgroup_leaf *leaf, enum cgroup_controller c, struct ctn_err *err);
int cgroup_file_read(const struct cgroup_leaf *leaf, enum cgroup_controller c, const char *file,
		     char **ret, struct ctn_err *err);
int cgroup_file_write(const struct cgroup_leaf *leaf, enum cgroup_controller c, const char *file,
		      const char *text, struct ctn_err *err);
/* One number; "max", "-1" and v1's largest page count are CTN_MAX. */
int cgroup_file_read_u64(const struct cgroup_leaf *leaf, enum cgroup_controller c, const char *file,
			 uint64_t *ret, struct ctn_err *err);
/* CTN_MAX is written as @none. */
int cgroup_file_write_u64(const struct cgroup_leaf *leaf, enum cgroup_controller c,
			  const char *file, uint64_t value, const char *none, struct ctn_err *err);
/** cgroup_key() - the number after "@key " at the start of a line of @text, 0 when there is none.
 */
uint64_t cgroup_key(const char *text, const char *key);

/** cgroup_below() - call @act for each directory in @fd, with an O_PATH descriptor of it and its
 * name, until it fails; one that goes meanwhile is passed over. -errno of reading, or of @act. */
int cgroup_below(int fd, int (*act)(int sub, const char *name, void *arg, struct ctn_err *err),
		 void *arg, struct ctn_err *err);

/** cgroup_forgive() - empty @err after a failure that turned out to be none. Return: 0. */
int cgroup_forgive(struct ctn_err *err);

/** cgroup_sleep() - @ms milliseconds; cgroup_now(): milliseconds of the monotonic clock. */
void cgroup_sleep(unsigned ms);
uint64_t cgroup_now(void);

/* cgroup_v2_server.c */
int cgroup_v2_server_make(const struct cgroup_root *root, size_t i, int *ret_fd, unsigned *ret_made,
			  struct ctn_err *err);
int cgroup_v2_server_ready(struct cgroup_root *root, int fd, struct ctn_err *err);
void cgroup_v2_server_leave(struct cgroup_root *root);

/* cgroup_v1_io.c */
int cgroup_v1_io_max_list(const struct cgroup_leaf *leaf, struct cgroup_io_limit **ret,
			  size_t *ret_n, struct ctn_err *err);
int cgroup_v1_io_max_set(const struct cgroup_leaf *leaf, const struct cgroup_io_limit *limit,
			 struct ctn_err *err);
int cgroup_v1_io_stat_list(const struct cgroup_leaf *leaf, struct cgroup_io_stat **ret,
			   size_t *ret_n, struct ctn_err *err);

/* cgroup_v1_move.c */
int cgroup_v1_procs_add(const struct cgroup_leaf *leaf, pid_t pid, struct ctn_err *err);

/* cgroup_knobs.c: what rows are made of. @k: the row's place in the table. */
enum {
	K_MEMORY_LIMIT,
	K_MEMORY_HIGH,
	K_SWAP_LIMIT,
	K_MEMORY_USAGE,
	K_MEMORY_PEAK,
	K_MEMORY_STAT,
	K_CPUSET_CPUS,
	K_CPUSET_MEMS,
	K_CPU_MAX,
	K_CPU_WEIGHT,
	K_CPU_SHARES,
	K_CPU_STAT,
	K_PIDS_MAX,
	K_PIDS_CURRENT,
	K_IO_MAX,
	K_IO_STAT,
	K_EVENTS,
	K_FREEZE,
	K_PROCS,
	K_COUNT,
};

int cgroup_number_get(const struct cgroup_leaf *leaf, int k, uint64_t *ret, struct ctn_err *err);
/* CTN_MAX is written as @none. */
int cgroup_number_set(const struct cgroup_leaf *leaf, int k, uint64_t value, const char *none,
		      struct ctn_err *err);
int cgroup_number_show(int r, uint64_t value, bool writable, FILE *out, struct ctn_err *err);
int cgroup_number_read(const struct cgroup_leaf *leaf, int k, FILE *out, struct ctn_err *err);
int cgroup_number_parse(int k, const char *text, uint64_t min, uint64_t max, bool none,
			const char *accepted, uint64_t *ret, struct ctn_err *err);
int cgroup_finish(int r, bool none, int k, struct ctn_err *err);

/* cgroup_memory.c: rows of the table. */
int cgroup_memory_limit_read(const struct cgroup_leaf *leaf, FILE *out, struct ctn_err *err);
int cgroup_memory_limit_write(const struct cgroup_leaf *leaf, const char *text,
			      struct ctn_err *err);
int cgroup_memory_high_read(const struct cgroup_leaf *leaf, FILE *out, struct ctn_err *err);
int cgroup_memory_high_write(const struct cgroup_leaf *leaf, const char *text, struct ctn_err *err);
int cgroup_swap_limit_read(const struct cgroup_leaf *leaf, FILE *out, struct ctn_err *err);
int cgroup_swap_limit_write(const struct cgroup_leaf *leaf, const char *text, struct ctn_err *err);
int cgroup_memory_usage_read(const struct cgroup_leaf *leaf, FILE *out, struct ctn_err *err);
int cgroup_memory_peak_read(const struct cgroup_leaf *leaf, FILE *out, struct ctn_err *err);
int cgroup_memory_stat_read(const struct cgroup_leaf *leaf, FILE *out, struct ctn_err *err);

/* cgroup_cpu.c: rows of the table. */
int cgroup_cpu_max_read(const struct cgroup_leaf *leaf, FILE *out, struct ctn_err *err);
int cgroup_cpu_max_write(const struct cgroup_leaf *leaf, const char *text, struct ctn_err *err);
int cgroup_cpu_weight_read(const struct cgroup_leaf *leaf, FILE *out, struct ctn_err *err);
int cgroup_cpu_shares_read(const struct cgroup_leaf *leaf, FILE *out, struct ctn_err *err);
int cgroup_cpu_weight_write(const struct cgroup_leaf *leaf, const char *text, struct ctn_err *err);
int cgroup_cpu_shares_write(const struct cgroup_leaf *leaf, const char *text, struct ctn_err *err);
int cgroup_cpu_stat_read(const struct cgroup_leaf *leaf, FILE *out, struct ctn_err *err);

/* cgroup_io.c: rows of the table. */
int cgroup_io_max_read(const struct cgroup_leaf *leaf, FILE *out, struct ctn_err *err);
int cgroup_io_max_write(const struct cgroup_leaf *leaf, const char *text, struct ctn_err *err);
int cgroup_io_stat_read(const struct cgroup_leaf *leaf, FILE *out, struct ctn_err *err);

/* cgroup_cpuset.c: rows of the table. */
int cgroup_cpus_read(const struct cgroup_leaf *leaf, FILE *out, struct ctn_err *err);
int cgroup_cpus_write(const struct cgroup_leaf *leaf, const char *text, struct ctn_err *err);
int cgroup_mems_read(const struct cgroup_leaf *leaf, FILE *out, struct ctn_err *err);
int cgroup_mems_write(const struct cgroup_leaf *leaf, const char *text, struct ctn_err *err);

/** cgroup_refuse() - "KNOB: 'TEXT' is not accepted; write ACCEPTED". */
int cgroup_refuse(struct ctn_err *err, int code, const char *knob, const char *text,
		  const char *accepted);

/** cgroup_io_row() - the row for MAJ:MIN in a growing array, added when new; NULL: no memory. Rows
 * are @size bytes and begin with the two numbers. */
void *cgroup_io_row(void **rows, size_t *n, size_t size, unsigned major, unsigned minor);

/* cgroup_devices.c */

/** cgroup_devices_v1() - make @list, and nothing else, what processes in the directory may use. */
int cgroup_devices_v1(int dirfd, const struct cgroup_device *list, size_t n, struct ctn_err *err);

/** cgroup_devices_program() - the same as instructions for v2, to be freed. Return: how many, or
 * -errno. */
struct bpf_insn;
int cgroup_devices_program(const struct cgroup_device *list, size_t n, struct bpf_insn **ret,
			   struct ctn_err *err);

/** cgroup_devices_load() - that program, loaded. Return: a descriptor or -errno. */
int cgroup_devices_load(const struct cgroup_device *list, size_t n, struct ctn_err *err);

/** cgroup_devices_attach() - attach @prog to the v2 directory. Where it has a program of ours
 * already: in one step in its place with @replace, else not at all. */
int cgroup_devices_attach(int dirfd, int prog, bool replace, struct ctn_err *err);

#endif
