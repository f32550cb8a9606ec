/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of level 3 (engine, registry, container, life, adopt) share. Not for anyone else.
 *
 * Locks, in this order: a container's `edit`, its `mark`, the registry's lock, a container's
 * `lock`. `edit` keeps the writers of one container's configuration apart, `mark` those of its
 * state file `restart`; these are the only ones that may be held over a disk write, and nothing
 * that a reader needs is behind them. */
#ifndef CTNFS_CORE_CONTAINER_PRIVATE_H
#define CTNFS_CORE_CONTAINER_PRIVATE_H

#include <pthread.h>
#include <sys/resource.h>

#include "container.h"
#include "container_dirs.h"
#include "container_stdin.h"
#include "engine.h"
#include "journal.h"
#include "life.h"
#include "state.h"
#include "sweeper.h"
#include "wire.h"

enum {
	IDS_PER_CONTAINER = 65536,
	ERRORS_KEPT = 64,
	REGISTRY_NAME_MAX = CTN_ID_LEN + 1 + SPEC_NAME_MAX,
};

/* One refusal. */
struct error_entry {
	uint64_t time; /* nanoseconds since the epoch */
	char where[96];
	struct ctn_err err;
};

/* The newest refusals, oldest overwritten. */
struct error_ring {
	pthread_mutex_t lock;	     /* innermost: nothing is taken under it */
	struct error_entry *entries; /* ERRORS_KEPT of them, made when first needed */
	uint64_t total;
};

void error_ring_add(struct error_ring *ring, const char *where, const struct ctn_err *err);
void error_ring_print(struct error_ring *ring, FILE *out);

struct container {
	/* Never changes after it is in the registry: */
	struct engine *engine;
	struct container *parent; /* NULL, or what it is a session of; counted */
	uint32_t serial;
	char id[CTN_ID_LEN + 1];
	char cgroup_name[SPEC_CGROUP_NAME_MAX + 1]; /* "": @id; see container_cgroup_name() */
	uid_t uid_base;
	uint64_t created;
	bool is_new; /* its state directory has not got its name yet (CONTAINER_NEW_PREFIX) */
	/* Of a session: below its container's, and only from its start to its end there
	 * (container_cgroup_renew()). */
	struct cgroup_leaf *cgroup;

	/* Lines of `devices` that @cgroup is known to hold it to; empty: not known. Only for
	 * whoever starts it. */
	struct strlist devices;
	bool oom_due; /* oom.c's, for its thread only */

	struct spec *mapped; /* under the registry's lock: NULL, or the spec whose id maps it has */
	/* Under the registry's lock; what @spec says is under ours. Of a session: its container's
	 * id, a slash, its own name. */
	char name[REGISTRY_NAME_MAX + 1];
	size_t n_sessions; /* under the registry's lock */
	unsigned refs;	   /* atomic */
	bool ready;	   /* under the registry's lock: made completely, so that it can be found */
	pthread_mutex_t edit;
	/* Under edit: struct state_record's. */
	uint64_t renamed_at, limits_at, limits;
	struct state_end saved;
	struct error_ring errors;

	pthread_mutex_t mark;	     /* the next three */
	struct state_restart marked; /* as it is on disk, where @has_mark */
	bool has_mark, mark_lazy;    /* @mark_lazy: not fsync'ed yet */

	pthread_mutex_t lock; /* all below */
	bool removed;	      /* rmdir has begun: no verb any more */
	enum ctn_state state;
	enum ctn_state rest; /* while STARTING: CREATED or EXITED, where it came from */
	struct spec *spec, *running;
	struct spec *launched; /* while it is being started: what with */
	struct pidref *init;
	struct pidref *monitor; /* NULL when none lives beside it */
	int sock;		/* to the monitor, or -1 */
	int sock_err;		/* errno with which that broke, or 0 */
	int tty; /* master of the program's terminal, or -1: with it the next monitor goes on */
	int in;	 /* writing end of its standard input, or the terminal's master; -1: there is none,
		    or it is opened when somebody writes */
	bool in_held;	     /* @in is one of stdin_held */
	const void *in_turn; /* whose turn it is to write to @in: its waiter, or another address of
				its own */
	bool in_midline;     /* the last byte that was typed ended no line */
	bool in_end_owed;    /* an end of file is to be typed as soon as there is room */
	bool in_polled;	     /* somebody wants to know when there is room */
	bool monitor_is_child; /* spawned by this process: reap it */
	struct pidref *parked; /* NULL, or a monitor that waits for its start (launch_park.h) */
	int parked_sock;
	int parked_attach[CG_CONTROLLERS], n_parked_attach; /* launch_attach_open()'s, kept for the
							       start */
	int timer;			    /* of a stop, or of the delay before a restart; or -1 */
	uint64_t run_since;		    /* life_clock() when it began to run */
	uint64_t stop_until;		    /* life_clock() at which a stop loses its patience */
	bool stop_at_birth;		    /* asked for while it was STARTING */
	bool term_sent, term_taken, killed; /* what that stop has sent */
	struct ctn_err start_err;	    /* what the monitor said about a start that failed */
	bool restart;			    /* start again when it has ended */
	bool wanted;		  /* somebody has started it, and nobody has stopped it since */
	bool delayed;		  /* in state RESTARTING: nothing is under way before @timer */
	unsigned tries, failures; /* as in struct state_restart; so is @counted */
	uint64_t counted;
	bool run_again; /* at a server's start: the last run that is known was begun by the policy
			 */
	char *skeleton; /* lower layer under the present run */
	uint64_t oom_base;    /* OOM kills before the present run */
	struct state_oom oom; /* the last that is known */
	int oom_fd;	      /* oom.c's, or -1 */
	uint64_t started, finished, changed, moved;
	struct state_exit exit;
	bool has_exit;
	uint64_t restarts;
	uint64_t log_lost;		   /* to a full disk, as far as its monitors have said */
	uint64_t log_start, log_uncounted; /* state_load_log_start() */
	uint64_t log_checked;		   /* entries of the log's index that were found sound */
	bool log_bad;			   /* one was not */
	uint64_t denied;		   /* number of the newest denied call looked at */
	struct life_waiter waiters;	   /* head of a ring */
	struct life_waiter
		maker; /* container_create.c's, while it is not ready because it must
			  start; container_session.c's, while it is removed and must end */
};

/* What an epoll event is about; its data is serial << 3 | kind. */
enum event_kind {
	EVENT_SOCKET,
	EVENT_MONITOR,
	EVENT_INIT,
	EVENT_TIMER,
	EVENT_STDIN,
	EVENT_OOM,
	EVENT_NURSERY
};

struct engine {
	char *state_path, *run_path;
	char *mountpoint; /* NULL: none */
	int state_fd, run_fd, lock_fd, monitor_fd, host_mntns, null_fd;
	struct spawner *spawner; /* launch_spawn.h */
	int nursery_pidfd;
	void (*lost)(void *arg); /* engine_on_loss() */
	void *lost_arg;
	struct cgroup_root *cgroup;
	int oom_score_adj; /* of the server at its start: what its children have by themselves */
	char *skeleton;	   /* name in state_fd */
	uint32_t subid_base, subid_ranges;
	void (*changed)(void *arg, uint32_t serial);
	void *changed_arg;
	struct error_ring errors;
	rlim_t stdin_held; /* atomic: pipes that are held open, used or not (container_stdin.c) */
	bool pid_shared;   /* atomic: some container has been in another's pid namespace */
	bool ns_shared;	   /* atomic: some container has had others than those made for it */

	int epoll_fd, stop_fd;
	int stdin_epoll_fd; /* EVENT_STDIN alone */
	pthread_t thread, stdin_thread;
	bool threaded, stdin_threaded;
	struct sweeper *sweeper; /* from engine_start() on */
	unsigned spares_max, spare_ms;
	struct spares *spares; /* from engine_start() on; NULL: none are kept */
	struct oom *oom;       /* see oom.h */
	struct journal *journal;
	const char *version; /* borrowed; NULL: not known */
	bool noted;	     /* the journal says that this server has started */

	pthread_rwlock_t lock;	      /* all below */
	struct container **by_name;   /* ascending */
	struct container **by_serial; /* ascending */
	size_t n, room;
	size_t n_ready; /* containers that can be found, without sessions */
	uint32_t last_serial;
	uint8_t *ids_used; /* a bit for each range */
	uint32_t ids_hint; /* no range below this one is free */
	size_t ids_odd;	   /* containers that do not have just one whole range */
};

/* registry_find.c */
/** registry_name_slot() - where @name is in by_name, or would be. registry_serial_slot(): in
 * by_serial. Both under the registry's lock. registry_session_key() - the name there of a session
 * (@parent NULL: of a container, which has no slash in it). */
size_t registry_name_slot(const struct engine *e, const char *name, bool *ret_found);
size_t registry_serial_slot(const struct engine *e, uint32_t serial);
void registry_session_key(const struct container *parent, const char *name,
			  char ret[REGISTRY_NAME_MAX + 1]);
/** registry_list() - as container_list(), of containers and sessions. */
int registry_list(struct engine *e, struct container ***ret, size_t *ret_n);
/** registry_find_serial() - also one that is not ready. */
struct container *registry_find_serial(struct engine *e, uint32_t serial);
struct container *container_find_id(struct engine *e, const char *id); /* a reference, or NULL */
bool registry_has_sessions(struct container *c);

/* registry.c */
struct container *container_get(struct container *c);
/** registry_add() - reserve @name, a serial and (where @uid_base is 0) an id range. -EEXIST,
 * -ENOSPC, -ENOMEM; -EINVAL: its id maps have ids of another, which is only asked where @uid_base
 * is 0: what is on disk stays. @ret: one reference for the registry and one for the caller; not
 * found by anybody until registry_publish(). */
int registry_add(struct engine *e, struct spec *spec, uid_t uid_base, struct container **ret,
		 struct ctn_err *err);
/** registry_add_session() - the same of a session, which has the ids of its container. @spec: its
 * own name is in it. -EEXIST, -ENOSPC (SESSIONS_MAX), -ENOMEM. */
int registry_add_session(struct container *parent, struct spec *spec, struct container **ret,
			 struct ctn_err *err);
void registry_publish(struct container *c);
void registry_drop(
	struct container *c); /* forget name, serial and ids; the registry's reference goes */
/** registry_replace() - publish another spec, unless @check (under c->lock) or the ids of others
 * are against it. @old: gets what it was. */
int registry_replace(struct container *c, struct spec *spec,
		     int (*check)(const struct container *c, struct ctn_err *err),
		     struct spec **old, struct ctn_err *err);
int registry_rename(struct container *c, struct spec *renamed, struct ctn_err *err);
void registry_free(struct engine *e);

/* registry_ids.c, all under the registry's lock: which host ids are whose. A container has a range,
 * and the ids of its own id maps. */
/** registry_ids_check() - nobody but @c may have ids that the maps of @spec have. -EINVAL. An
 * extent from the host's 0 on is not looked at: whoever has root's id can have any. */
int registry_ids_check(const struct engine *e, const struct container *c, const struct spec *spec,
		       struct ctn_err *err);
/** registry_ids_take() - the range from @uid_base on, or (0) any that is free, and those of
 * c->spec's maps, for @c, which is not in the registry yet. -ENOSPC; -EINVAL. */
int registry_ids_take(struct engine *e, struct container *c, uid_t uid_base, struct ctn_err *err);
/** registry_ids_give_back() - @c is out of the registry. registry_ids_remap() - it is in it, and
 * has the maps of @spec from now on. */
void registry_ids_give_back(struct engine *e, struct container *c);
void registry_ids_remap(struct engine *e, struct container *c, struct spec *spec);

/* container_create.c */
/* Before the id, while a state directory is not complete: the next server removes such. */
#define CONTAINER_NEW_PREFIX "new-"
/** container_is_spare() - whether it has been made ahead, and has no name yet (spares.h). Under the
 * registry's lock, or by its maker. */
bool container_is_spare(const struct container *c);
/** container_make_spare() - all that has no name in it, of one that is in the registry.
 * container_unmake_spare() - remove that again. */
int container_make_spare(struct container *c, const char *id, struct ctn_err *err);
void container_unmake_spare(struct container *c);
int container_make_id(char id[CTN_ID_LEN + 1], struct ctn_err *err);
/** container_make() - all of one that is in the registry but its id limits: directories, cgroup.
 * -errno with nothing left behind, the registry included. */
int container_make(struct container *c, const char *id, bool durable, struct ctn_err *err);

/* container.c */
const char *container_cgroup_name(const struct container *c); /* below the server's */
uint64_t ctn_now(void);					      /* nanoseconds since the epoch */
/** container_record() - as it is on disk, with that spec (borrowed). */
struct state_record container_record(const struct container *c, struct spec *spec);
/** container_apply_limits() - write all of @spec's cgroup knobs. @strict: one that this kernel
 * lacks is -EOPNOTSUPP, unless it is the default; otherwise it is passed over. */
int container_apply_limits(struct container *c, const struct spec *spec, bool strict,
			   struct ctn_err *err);
/** container_remove_resources() - all of it that is outside of this process. */
int container_remove_resources(struct container *c, struct ctn_err *err);
/** container_note_removed(), container_note_created() - for the journal. */
void container_note_removed(struct container *c);
void container_note_created(struct container *c);
int container_save(struct container *c, struct spec *spec, struct ctn_err *err);
bool container_is_up(
	const struct container *c); /* under its lock: a program of its exists, or is about to */

/* container_replace.c */
/** container_exchange_limits() - of @from in force, to those of @to. -errno with @from in force. */
int container_exchange_limits(struct container *c, const struct spec *from, const struct spec *to,
			      struct ctn_err *err);

/* container_show.c */
struct users_ids;
/** container_user() - whom @spec's `user` means in this container. */
int container_user(const struct container *c, const struct spec *spec, struct users_ids *ret,
		   struct ctn_err *err);

/* container_oom.c */
/** container_apply_oom_score_adj() - give it to every process that it has; none where one refuses
 * (-EACCES: lowering without the right). */
int container_apply_oom_score_adj(struct container *c, const struct spec *spec,
				  struct ctn_err *err);

/* container_ns.c */
/** container_ns_open() - the namespace of that kind that the container with @id is in.
 * @ret_init: NULL, or gets a reference to its first process. -ENOENT: it is gone; -ESRCH: it does
 * not run. */
int container_ns_open(struct engine *e, const char *id, enum ns_kind kind, int *ret,
		      struct pidref **ret_init, struct ctn_err *err);
/** container_ns_bind() - container_spec_bound() of what is another setting than in @before. */
int container_ns_bind(struct engine *e, struct spec *spec, const struct spec *before,
		      struct ctn_err *err);
/** container_ns_note() - a container runs with that spec. container_ns_resume() - @init is told to
 * end: those that share its pid namespace end with it, and it cannot before them. Paused ones must
 * go on for that (cgroup v1 keeps even SIGKILL from frozen processes). */
void container_ns_note(struct engine *e, const struct spec *running);
void container_ns_resume(struct container *c, const struct pidref *init);
/** container_host_ns() - the inode number of the host's namespace; 0: not known. */
uint64_t container_host_ns(const struct engine *e, enum ns_kind kind);
/** container_ns_setting() - as people write it: with a name; of ns/user what follows from the
 * others. To be freed; NULL without memory. */
char *container_ns_setting(struct engine *e, const struct spec *spec, enum ns_kind kind);

/* container_log.c */
/** container_log_keep_start() - from now on nothing before what is the start now. With c->edit
 * held. */
int container_log_keep_start(struct container *c, struct ctn_err *err);

/* container_cgroup.c: a session's control group is below that of its container, in one hierarchy,
 * and there only while something of it may run: one that has groups below it refuses new devices.
 */
int container_cgroup_open(struct container *c, struct ctn_err *err);
/** container_cgroup_renew() - before a session starts. container_cgroup_rest() - it does not run:
 * remove what nobody is in. */
int container_cgroup_renew(struct container *c, struct ctn_err *err);
void container_cgroup_rest(struct container *c);
/** container_cgroup_procs() - cgroup_leaf_procs(). container_cgroup_kill() - SIGKILL for all that
 * is in it; cgroup_leaf_kill(). */
int container_cgroup_procs(const struct container *c, pid_t **ret, size_t *ret_n,
			   struct ctn_err *err);
int container_cgroup_kill(const struct container *c, unsigned ms, struct ctn_err *err);
/** container_cgroup_remove() - -EBUSY with a sentence while a process is in it. */
int container_cgroup_remove(const struct container *c, struct ctn_err *err);

/* container_denied.c */
/** denied_note() - put into the journal which calls were denied for the first time since the last
 * look; the caller tells. No lock held.
 * denied_settle() - call @add with those that the journal lacks: after the one at @told (0: it has
 * none of the run that began at @since). Before there are events. */
enum { DENIED_DETAIL_LEN = 256 };
void denied_note(struct container *c);
void denied_settle(struct container *c, uint64_t told, uint64_t since,
		   void (*add)(void *arg, uint64_t time, const char *detail), void *arg);

/* container_devices.c */
/** container_devices_fresh() - its control group was just made, and has the default list. */
void container_devices_fresh(struct container *c);
/** container_set_devices() - let it use what @spec says and nothing else. No system call where that
 * is so already. Nobody may be in its control group. -EPERM, -EOPNOTSUPP: cgroup.h. */
int container_set_devices(struct container *c, const struct spec *spec, struct ctn_err *err);

/* container_stdin.c */
/** stdin_hold() - it runs: open its standard input for writing, and hold that as long as it runs,
 * so that the death of its monitor is no end of file. stdin_release() - it does not; under c->lock.
 */
void stdin_release(struct container *c);
void stdin_hold(struct container *c);
void stdin_on_room(struct container *c);

/* loop.c */
int loop_add(struct engine *e, struct container *c, int fd, enum event_kind kind);
/** loop_remove() - nothing more is to be heard of @fd. */
void loop_remove(struct engine *e, int fd);
/** loop_add_events() - for other events of epoll(7) than EPOLLIN; @c NULL: it is about none. */
int loop_add_events(struct engine *e, struct container *c, int fd, enum event_kind kind,
		    uint32_t events);
/** loop_ask() - to be told once that there is room in @fd. */
int loop_ask(struct engine *e, const struct container *c, int fd);
/** loop_run() - the event thread. loop_run_stdin() - another one, for EVENT_STDIN: the kernel holds
 * a pipe's lock while it copies to the reader's memory, and so a write may take long. */
void *loop_run(void *engine);
void *loop_run_stdin(void *engine);
void engine_tell(struct container *c); /* call the change listener; no lock held */

/* life.c */
void life_on_socket(struct container *c);
void life_on_monitor_end(struct container *c);
void life_on_exited(struct container *c, const struct wire_status *status);
void life_on_init_end(struct container *c);
void life_on_timer(struct container *c);
void life_send(struct container *c, uint32_t type,
	       uint64_t value); /* to the monitor, when there is one */
/** life_take_tty() - the master of its terminal, or -1; is taken over.
 * life_take_status() - under c->lock: the container runs as @status says. @pidfd is taken over. */
void life_take_tty(struct container *c, int tty);
int life_take_status(struct container *c, const struct wire_status *status, int pidfd,
		     struct ctn_err *err);
/** life_remonitor() - the running program has lost its monitor: give it another, or at least watch
 * for its end. */
bool life_remonitor(struct container *c, const struct wire_status *status);
void life_finish(struct container *c, int code, bool unknown, uint64_t finished);

/* life_stop.c */
uint64_t life_clock(void); /* nanoseconds of CLOCK_BOOTTIME */

/* life_restart.c */
/** restart_save() - put on disk whether it is to be up, and what came of it so far, where that has
 * changed; nothing without a restart policy. @durable: fsync'ed. No lock held. */
int restart_save(struct container *c, bool durable, struct ctn_err *err);
/** restart_changed() - its policy is another: that counts from now on. */
void restart_changed(struct container *c);

/* life_restart_adopt.c */
/** restart_adopt() - at the start of a server, once it is known what has become of it: is it to be
 * started again? restart_adopted() - then they are, one after the other, as soon as there are
 * events. */
void restart_adopt(struct container *c);
void restart_adopted(struct engine *e);

/* journal.c */
/** journal_exit_detail() - of JOURNAL_DIED. */
void journal_exit_detail(char *ret, size_t size, const struct state_exit *e);

/* container_session.c */
/** session_spec() - what a session starts with, or would: its container's running, or next, spec
 * with what is its own. */
int session_spec(struct container *c, struct spec **ret, struct ctn_err *err);
/** session_spec_in() - the same in a container with that spec. */
int session_spec_in(struct container *c, const struct spec *in, struct spec **ret,
		    struct ctn_err *err);
/** session_check_pause() - that what is done to a session is not to wait for its container's
 * resume. -EBUSY. */
int session_check_pause(const struct container *c, struct ctn_err *err);
/** sessions_settle() - its container has ended, and so have they: wait until they know. -EBUSY.
 * Blocks, not for long. sessions_discard() - remove them; it is gone itself. */
int sessions_settle(struct container *c, struct ctn_err *err);
void sessions_discard(struct container *c);
/** sessions_rest() - container_cgroup_rest() of each. */
void sessions_rest(struct container *c);

/* launch_session.c */
/** launch_session() - as launch(), of a session with what it starts with now. -ESRCH, -EBUSY where
 * its container does not run. */
int launch_session(struct container *c, struct ctn_err *err);

/* launch.c */
int launch(struct container *c, struct spec *spec, struct ctn_err *err);
/** launch_adopt() - a new monitor for a running program whose own was killed: its output is taken
 * on, its exit status is not known. */
int launch_adopt(struct container *c, const struct spec *spec, const struct wire_status *status,
		 struct ctn_err *err);

#endif
