/* SPDX-License-Identifier: Apache-2.0 */
/* THE table. Lookup, readdir, getattr, open, the rules of writing, `ctnfs --tree` and the README
 * all come from it. */
#include "node.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "../core/cleanup.h"
#include "files.h"

/* clang-format off */
#define ROW(p, m, f, w, sh, st, a, d) {.path = p, .mode = m, .flags = f, .when = w, .show = sh, .store = st, .arg = a, .doc = d}

#define DIR_ROW(path, flags, doc)                        ROW(path, S_IFDIR | 0700, flags | N_OBS, NULL, NULL, NULL, NULL, doc)
#define RO(path, flags, show, doc)                       ROW(path, S_IFREG | 0400, flags, NULL, show, NULL, NULL, doc)
#define RW(path, flags, when, show, store, arg, doc)     ROW(path, S_IFREG | 0600, flags, when, show, store, arg, doc)
#define VIEW(path, doc)                                  ROW(path, S_IFREG | 0400, N_LOG | N_SESSION, NULL, NULL, NULL, path, doc)
#define EVENTS(flags, doc)                               ROW("events", S_IFREG | 0400, flags | N_OBS | N_LOG | N_EVENTS, NULL, NULL, NULL, "events", doc)
#define LINK(path, flags, show, arg, doc)                ROW(path, S_IFLNK | 0777, flags, NULL, show, NULL, arg, doc)
#define PROGRAM(path, program, doc)                      ROW(path, S_IFREG | 0700, N_CONST, NULL, show_exec_script, NULL, program, doc)
#define FIELD(path, when, doc)                           RW(path, N_CONFIG, when, show_field, store_field, path, doc)
#define SFIELD(path, when, doc)                          RW(path, N_CONFIG | N_SESSION, when, show_field, store_field, path, doc)
#define LIST(path, show, when, doc)                      RW(path, N_MULTI | N_CONFIG, when, show, NULL, path, doc)
#define DOC(path, flags, when, show, store, doc)         RW(path, N_DOC | flags, when, show, store, NULL, doc)
#define KNOB_RO(name, doc)                               ROW("cgroup/" name, S_IFREG | 0400, N_OBS, NULL, show_knob, NULL, name, doc)
#define KNOB_RW(name, doc)                               RW("cgroup/" name, N_OBS, "live", show_knob, store_knob, name, doc)
#define NS_FILE(kind)                                    RW("ns/" kind, N_STOPPED | N_CONFIG, "stopped", show_field, store_field, "ns/" kind, "while it does not run: new, host, container:NAME, or a path")
#define NS_LINK(kind)                                    LINK("ns/" kind, N_RUNNING | N_STATE, show_ns_link, kind, "while it runs: to the kernel's own")
#define RAW(controller)                                  LINK("cgroup/raw/" controller, N_CONST, show_raw_link, controller, "to its directory in the kernel's cgroup tree")

/* The order is that of every listing. Rows 1 and 2 are ROW_ROOT and ROW_CONTAINER. */
static const struct node nodes[] = {
	DIR_ROW("",             N_ROOT,                                                       "the mount; a directory in it is a container: mkdir makes one, mv renames it, rmdir removes it"),
	DIR_ROW("",             N_SESSION,                                                    "a container"),

	/*      path            flags                 when       show            store, arg   one line of documentation */
	DOC(    "new",          N_ROOT | N_FRESH,     "live",    show_new,       store_new,   "makes containers from JSON documents, or from a line with an OCI bundle's path; read: a document to start from"),
	RO(     "README",       N_ROOT | N_OBS | N_CONST,        show_readme,                 "how to use this, on one page"),
	RO(     "error",        N_ROOT,                          show_root_error,             "the last refusals, a line each: time, errno, container, sentence"),
	EVENTS(                 N_ROOT,                                                       "what has happened, a line each: sequence, time, container, what, details; tail -n+1 -f follows"),
	RO(     "status",       N_ROOT | N_OBS,                  show_root_status,            "version, directories, cgroups, counts, as Key:<tab>value lines"),
	RO(     "stats",        N_ROOT | N_OBS | N_ALL,          show_stats,                  "a line a container: name, state, pid, processor seconds, memory, its limit, processes"),
	RO(     "metrics",      N_ROOT | N_OBS | N_ALL,          show_metrics,                "the same and more, in Prometheus' text format"),

	RW(     "cmd",          N_FRESH | N_CONFIG | N_SESSION, "stopped", show_field, store_cmd, "cmd", "the command: words quoted as for a shell, or a JSON array; writing it starts the container"),
	FIELD(  "start",                              "live",                                 "1: writing cmd starts it; 0: writing cmd only stores it"),
	RW(     "ctl",          N_FRESH | N_CONST | N_SESSION, "live", show_ctl,       store_ctl, NULL, "the verbs: write one and it is so when the write returns"),
	RO(     "state",        N_OBS | N_STATE | N_POLL | N_SESSION, show_state,                  "one of created running paused stopping restarting exited"),
	RO(     "status",       N_OBS | N_POLL | N_SESSION,      show_status,                 "all about it, as Key:<tab>value lines"),
	RO(     "pending",      N_SESSION,                       show_pending,                "what waits for the next start: file and value, a line each"),
	RO(     "pid",          N_OBS | N_STATE | N_POLL | N_SESSION, show_pid,                    "pid of its first process on the host; empty when there is none"),
	RO(     "id",           N_CONST | N_SESSION,             show_id,                     "64 hex digits"),
	RO(     "exit",         N_OBS | N_STATE | N_POLL | N_SESSION, show_exit,                   "exit code, 128+signal when killed; empty while it runs"),
	DOC(    "spec",         N_CONFIG,             "stopped", show_spec,      store_spec,  "its configuration as one JSON document, which new takes, too"),
	RO(     "config.json",  N_CONFIG,                        show_config_json,            "the same as an OCI runtime document"),
	RO(     "wait",         N_WAIT | N_UNLISTED | N_STATE | N_SESSION, show_exit,                   "not listed; a read ends when the container has, with its exit code"),
	RO(     "error",        N_SESSION,                       show_error,                  "its last refusals, a line each: time, errno, file, sentence"),
	RW(     "env",          N_MULTI | N_CONFIG | N_SESSION, "next", show_field, NULL, "env",                              "KEY=value a line; > replaces, >> adds, -KEY removes"),
	SFIELD( "cwd",                                "next",                                 "working directory inside"),
	SFIELD( "user",                               "next",                                 "whom it runs as inside: name, uid, or uid:gid"),
	FIELD(  "hostname",                           "live",                                 "host name inside"),
	FIELD(  "rootfs",                             "next",                                 "host, or a directory; then overlay (changes go to its layer), ro, or rw"),
	LIST(   "mounts",       show_field,           "next",                                 "fstab(5) lines: /srv/redis /data none bind,rw 0 0; -/tmp removes one, or a default"),
	LIST(   "rlimits",      show_field,           "next",                                 "getrlimit(2): nofile 1024 4096, a soft and a hard limit a line; -nofile removes"),
	LIST(   "sysctl",       show_field,           "next",                                 "settings of its own namespaces: net.core.somaxconn = 1024, one a line"),
	LIST(   "devices",      show_field,           "next",                                 "what it may use, and the node for it: c 1:3 rwm /dev/null, one a line"),
	LIST(   "paths",        show_field,           "next",                                 "masked /proc/kcore reads as empty, readonly /proc/sys cannot be written; one a line"),
	FIELD(  "oom_score_adj",                      "live",                                 "-1000 to 1000: how willingly the kernel kills it when memory is short"),
	FIELD(  "tty",                                "next",                                 "1: its standard streams are a terminal of its own"),
	LIST(   "caps",         show_field,           "next",                                 "capabilities it can ever have: names, a hex mask, all, none, default; +name and -name amend"),
	RO(     "caps.sets",    0,                               show_caps_sets,              "the five sets of its first process, from the kernel"),
	RW(     "seccomp",      N_MULTI | N_JSON | N_CONFIG, "next", show_seccomp, NULL, "seccomp", "system call filter: default, none or a JSON profile; +call and -call amend; the rules in force follow as comments"),
	FIELD(  "seccomp.notify",                     "next",                                 "1: denied calls are shown in seccomp.denied; 0: they are not, and programs inside may have seccomp listeners of their own"),
	RO(     "seccomp.denied", N_SESSION,                     show_denied,                 "calls that the filter has denied, the last 1024, a line each: time, pid, program, call(arguments)"),
	FIELD(  "no_new_privs",                       "next",                                 "1: set-user-id programs gain nothing inside"),
	FIELD(  "init",                               "next",                                 "1: its pid 1 is a small init that reaps orphans and passes signals on"),

	DIR_ROW("ns",           0,                                                            "namespaces"),
	NS_FILE("cgroup"), NS_FILE("ipc"), NS_FILE("mnt"), NS_FILE("net"),
	NS_FILE("pid"), NS_FILE("time"), NS_FILE("user"), NS_FILE("uts"),
	NS_LINK("cgroup"), NS_LINK("ipc"), NS_LINK("mnt"), NS_LINK("net"),
	NS_LINK("pid"), NS_LINK("time"), NS_LINK("user"), NS_LINK("uts"),
	LINK(   "ns/*",         N_LINKS,                         show_ns_scratch, NULL,       "a link on its way: ln -sf ../../db/ns/net web/ns/net makes one and renames it, which writes web/ns/net"),
	LIST(   "ns.list",      show_ns_list,         "next",                                 "kind, setting, inode, who shares it, a line each; kind and setting can be written"),

	DIR_ROW("cgroup",       0,                                                            "limits and counters, the same on cgroup v1 and v2; v2's names are found, too"),
	KNOB_RW("memory.limit",                                                               "bytes such as 64M, or max; less than is in use is refused"),
	KNOB_RW("memory.high",                                                                "bytes or max; above it processes are slowed down; cgroup v2 only"),
	KNOB_RW("memory.swap.limit",                                                          "bytes of swap, or max"),
	KNOB_RO("memory.usage",                                                               "bytes in use"),
	KNOB_RO("memory.peak",                                                                "the most bytes that were in use"),
	KNOB_RO("memory.stat",                                                                "what the memory is used for"),
	KNOB_RW("cpu.max",                                                                    "QUOTA PERIOD in microseconds; max PERIOD is no limit"),
	KNOB_RW("cpu.weight",                                                                 "1 to 10000; 100 is the default"),
	KNOB_RW("cpu.shares",                                                                 "the weight as 2 to 262144; 1024 is the default"),
	KNOB_RO("cpu.stat",                                                                   "times in microseconds, and how often cpu.max held it back"),
	KNOB_RW("cpuset.cpus",                                                                "processors it may use, such as 0-2,4; max is all"),
	KNOB_RW("cpuset.mems",                                                                "memory nodes it may use; max is all"),
	KNOB_RW("pids.max",                                                                   "how many processes and threads it may have, or max"),
	KNOB_RO("pids.current",                                                               "how many it has"),
	KNOB_RW("io.max",                                                                     "MAJ:MIN rbps=N wbps=N riops=N wiops=N, a device a line; max clears all"),
	KNOB_RO("io.stat",                                                                    "bytes and operations, a device a line"),
	KNOB_RW("freeze",                                                                     "1 while all its processes stand still"),
	ROW("cgroup/events", S_IFREG | 0400, N_OBS | N_POLL, NULL, show_events, NULL, "events",        "how often each limit was met and the OOM killer came, and whom it killed last"),
	KNOB_RW("procs",                                                                      "host pids, a line each; writing one moves that process in"),
	DIR_ROW("cgroup/raw",   0,                                                            "the kernel's own directories, one a controller"),
	RAW("cpu"), RAW("cpuacct"), RAW("cpuset"), RAW("memory"),
	RAW("pids"), RAW("freezer"), RAW("devices"), RAW("blkio"),
	LINK(   "memory.limit", N_CONST,                         show_target, "cgroup/memory.limit", "to cgroup/memory.limit"),

	RO(     "ps",           N_OBS | N_SESSION,               show_ps,                     "its processes as a tree: host pid, own pid, user, state, memory, cpu time, command"),
	LINK(   "proc",         N_RUNNING | N_STATE,             show_proc_link, "",          "while it runs: to /proc/PID of its first process"),
	LINK(   "root",         N_RUNNING | N_STATE,             show_proc_link, "/root",     "while it runs: to its root directory as it sees it"),
	LINK(   "layer",        N_CONST,                         show_layer_link, NULL,       "to its own writable layer: all that it has changed"),
	DIR_ROW("procs",        N_SESSION,                                                    "its processes, by their own pids"),
	LINK(   "procs/*",      N_OWN | N_STATE | N_SESSION,     show_own_link, NULL,         "to /proc/PID of that process on the host"),
	PROGRAM("exec",         "ctnfs-exec",                                                 "a program: db/exec PROGRAM ARG... runs one inside, with the caller's streams, terminal and exit status"),
	PROGRAM("attach",       "ctnfs-attach",                                               "a program: connects your terminal with the container's, where tty is 1; ctrl-p ctrl-q leaves it"),
	ROW(    "stdin", S_IFREG | 0200, N_FRESH | N_STDIN | N_STATE | N_SESSION, "live", NULL, NULL, NULL,  "the program's standard input: > is the whole of it, >> leaves it open, : > closes it"),
	RW(     "log",          N_LOG | N_SESSION,    "live",    NULL,           NULL, "log", "standard output and error as they came; : > log empties it"),
	VIEW(   "stdout",                                                                     "of the log, what came from standard output; of a terminal, all"),
	VIEW(   "stderr",                                                                     "of the log, what came from standard error"),
	VIEW(   "log.times",                                                                  "the log with the time and stdout or stderr before each line"),
	EVENTS(                 0,                                                            "of the root's events, those of it and its sessions"),
	SFIELD( "log.max",                            "live",                                 "how many bytes of it are kept; the oldest go first"),
	FIELD(  "restart",                            "live",                                 "started again when it has ended: no, on-failure[:N], always, unless-stopped"),
	DIR_ROW("execs",        0,                                                            "programs that are started in it while it runs: mkdir makes a session, rmdir ends and removes it"),
	DIR_ROW("execs/*",      N_EXECS,                                                      "a session: cmd ctl state status pending pid id exit wait error env cwd user seccomp.denied ps procs stdin log stdout stderr log.times log.max, each as above"),
	RW(     "*",            N_SCRATCH | N_SESSION, NULL,     show_scratch,   NULL, NULL,  "scratch files of editors and sed -i: made with O_EXCL or as .* *~ *.tmp *.sw?; renamed over a file, they are written to it as one"),
};
/* clang-format on */

static_assert(CTN_COUNT(nodes) < 1 << NODE_ROW_BITS, "a row's number must fit into a node id");

/* Worked out once by tree_init(), before there are threads. */
static const struct node *parents[CTN_COUNT(nodes)];

const struct node *node_at(unsigned row)
{
	return row >= 1 && row <= CTN_COUNT(nodes) ? &nodes[row - 1] : NULL;
}

unsigned node_row(const struct node *node)
{
	return (unsigned)(node - nodes) + 1;
}

const struct node *node_parent(const struct node *node)
{
	return parents[node - nodes];
}

const char *node_name(const struct node *node)
{
	const char *slash = strrchr(node->path, '/');

	return slash ? slash + 1 : node->path;
}

/* The directory row whose path is what is left of @node's last slash. */
static const struct node *find_parent(const struct node *node)
{
	const char *slash = strrchr(node->path, '/');
	size_t len = slash ? (size_t)(slash - node->path) : 0;

	if (!node->path[0])
		return node->flags & N_ROOT ? NULL : node_at(ROW_ROOT);
	for (size_t i = 0; i < CTN_COUNT(nodes); i++) {
		const struct node *dir = &nodes[i];

		if (S_ISDIR(dir->mode) && (dir->flags & N_ROOT) == (node->flags & N_ROOT) &&
		    strlen(dir->path) == len && strncmp(dir->path, node->path, len) == 0)
			return dir;
	}
	abort(); /* the table has a file in a directory that it has not */
}

void tree_init(void)
{
	for (size_t i = 0; i < CTN_COUNT(nodes); i++)
		parents[i] = find_parent(&nodes[i]);
}

const struct node *node_next(const struct node *dir, const struct node *previous)
{
	size_t i = previous ? (size_t)(previous - nodes) + 1 : 0;

	for (; i < CTN_COUNT(nodes); i++) {
		/* Containers are no rows, so the root's row for them is none of its entries. */
		if (parents[i] == dir && nodes[i].path[0])
			return &nodes[i];
	}
	return NULL;
}

const struct node *node_child(const struct node *dir, const char *name, unsigned nth)
{
	for (const struct node *n = node_next(dir, NULL); n; n = node_next(dir, n)) {
		if (!(n->flags & N_MANY) && strcmp(node_name(n), name) == 0 && nth-- == 0)
			return n;
	}
	return NULL;
}

/* --- what was meant --- */

enum { NAME_LOOKED_AT = 32 }; /* longer names allow no more wrong letters */

const char *node_nearest(const struct node *dir, const char *name, unsigned flags)
{
	const char *best = NULL;
	unsigned best_distance = 3 + (unsigned)strnlen(name, NAME_LOOKED_AT) / 8;

	for (const struct node *n = node_next(dir, NULL); n; n = node_next(dir, n)) {
		unsigned d = ctn_distance(name, node_name(n));

		/* Two wrong letters of three are no likeness. */
		if (n->flags & N_MANY || (n->flags & flags) != flags || d >= best_distance ||
		    d >= strlen(node_name(n)))
			continue;
		best = node_name(n);
		best_distance = d;
	}
	return best;
}
