/* SPDX-License-Identifier: Apache-2.0 */
#include "engine.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "adopt.h"
#include "cleanup.h"
#include "container_private.h"
#include "io.h"
#include "journal_private.h"
#include "launch_spawn.h"
#include "oom.h"
#include "rootfs.h"
#include "spares.h"

enum { MONITOR_SIZE_MAX = 64 << 20, LOCK_TRIES = 200 };

/* mkdir -p, 0700, and open it. */
static int open_dir_path(const char *path, int *ret, struct ctn_err *err)
{
	ctn_autofree char *copy = strdup(path);
	struct stat st;
	int fd;

	if (!copy || path[0] != '/')
		return ctn_fail(err, EINVAL, "%s is not an absolute path", path);
	for (char *p = copy + 1; (p = strchr(p, '/')); p++) {
		*p = '\0';
		if (mkdir(copy, 0755) < 0 && errno != EEXIST)
			return ctn_fail_errno(err, "make the directory %s", copy);
		*p = '/';
	}
	if (mkdir(copy, 0700) < 0 && errno != EEXIST)
		return ctn_fail_errno(err, "make the directory %s", copy);
	fd = open(copy, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return ctn_fail_errno(err, "open the directory %s", copy);
	if (st.st_uid != 0 || (st.st_mode & 077)) {
		close(fd);
		return ctn_fail(err, EPERM, "%s must be root's alone: chown root, chmod 700", copy);
	}
	*ret = fd;
	return 0;
}

/* The lock ends with the process, and with a child of it that was about to become a monitor when it
 * was killed: for a moment that has its descriptors. */
static int lock_soon(int fd)
{
	const struct timespec pause = {.tv_nsec = 10 * 1000000};
	int r = -1;

	for (int i = 0; i < LOCK_TRIES && r < 0; i++) {
		if (i > 0)
			(void)nanosleep(&pause, NULL);
		r = flock(fd, LOCK_EX | LOCK_NB);
		if (r < 0 && errno != EWOULDBLOCK && errno != EINTR)
			return r;
	}
	return r;
}

/* One server for each state directory. */
static int take_lock(struct engine *e, struct ctn_err *err)
{
	e->lock_fd = openat(e->state_fd, "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (e->lock_fd < 0)
		return ctn_fail_errno(err, "open %s/lock", e->state_path);
	if (lock_soon(e->lock_fd) < 0)
		return ctn_fail(
			err, EBUSY,
			"another ctnfs uses the state directory %s; give this one its own with "
			"-o state=DIR,run=DIR",
			e->state_path);
	return 0;
}

/* The log needs holes, the layers need an upper directory for overlayfs: better refused now than at
 * the first start. */
static int check_state_fs(const struct engine *e, struct ctn_err *err)
{
	ctn_autoclose int fd = openat(e->state_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	int r = fd < 0 ? -1 : ftruncate(fd, 8192);

	if (r == 0)
		r = fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096);
	if (r < 0)
		return ctn_fail_errno(
			err,
			"the file system of %s cannot hold containers (O_TMPFILE, holes): "
			"use ext4, xfs, btrfs or tmpfs",
			e->state_path);
	if (strpbrk(e->state_path, ",:\\") || strpbrk(e->run_path, ",:\\"))
		return ctn_fail(
			err, EINVAL,
			"no comma, colon or backslash can be in the paths of state and run");
	return 0;
}

/* A memfd that is open for writing is "text file busy"; once it is sealed, it can be opened anew,
 * for reading alone. */
static int reopen_readonly(int fd, int *ret, struct ctn_err *err)
{
	char path[32];
	int again;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	again = open(path, O_RDONLY | O_CLOEXEC);
	if (again < 0)
		return ctn_fail_errno(err, "open the monitor program's copy");
	*ret = again;
	return 0;
}

/* A copy that nobody can change or reach by a path: what runs as a monitor is what was started with
 * (CVE-2019-5736). */
static int copy_monitor(const char *path, int *ret, struct ctn_err *err)
{
	ctn_autoclose int copy = memfd_create("ctnfs-monitor", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	ctn_autofree char *data = NULL;
	size_t len = 0;
	int r = io_read_at(AT_FDCWD, path, MONITOR_SIZE_MAX, &data, &len, err);

	if (r < 0)
		return ctn_fail_context(err, "the monitor program");
	if (copy < 0)
		return ctn_fail_errno(err, "make a copy of the monitor program");
	r = io_write_all(copy, data, len);
	if (r < 0)
		return ctn_fail(err, -r, "copy the monitor program: %s", strerrordesc_np(-r));
	if (fchmod(copy, 0500) < 0 ||
	    fcntl(copy, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
		return ctn_fail_errno(err, "seal the monitor program");
	return reopen_readonly(copy, ret, err);
}

static bool has_containers(const struct engine *e)
{
	ctn_autoclosedir DIR *dir = NULL;
	const struct dirent *d;
	int fd = openat(e->state_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || !(dir = fdopendir(fd)))
		return false;
	while ((d = readdir(dir))) {
		if (strlen(d->d_name) == CTN_ID_LEN)
			return true;
	}
	return false;
}

/* Where they were, unless they are wanted elsewhere and nobody is there. Return: 1, or 0: there is
 * no such place. */
static int open_recorded_cgroup(struct engine *e, const char *lines, const char *path,
				struct ctn_err *err)
{
	struct cgroup_root *root = NULL;
	const char *other;
	int r = 0;

	if (cgroup_root_open_described(lines, &root, NULL) < 0)
		return 0;
	other = path ? cgroup_root_elsewhere(root, path) : NULL;
	if (!other) {
		e->cgroup = root;
		return 1;
	}
	if (has_containers(e))
		r = ctn_fail(err, EBUSY,
			     "-o cgroup=%.200s: the containers that are there have their control "
			     "groups in /%.200s; mount without it, or rmdir them first",
			     path, other);
	cgroup_root_free(root);
	return r;
}

/* Containers that live have their cgroups where the server of that time made them. */
static int open_cgroup(struct engine *e, const char *path, struct ctn_err *err)
{
	ctn_autofree char *lines = NULL, *text = NULL;
	size_t len = 0;
	FILE *out;
	int r = io_read_at(e->run_fd, "cgroup", 65536, &lines, NULL, NULL);

	r = r == 0 ? open_recorded_cgroup(e, lines, path, err) : 0;
	if (r != 0)
		return r < 0 ? r : 0;
	r = cgroup_root_open(path, &e->cgroup, err);
	if (r < 0)
		return r;
	out = open_memstream(&text, &len);
	r = out ? cgroup_root_describe(e->cgroup, out) : -ENOMEM;
	if (io_text_close(out, &text) < 0 || r < 0)
		return ctn_fail(err, ENOMEM, "no memory to describe the cgroups");
	return io_replace_at(e->run_fd, "cgroup", text, len, 0600, false, err);
}

static int open_all(struct engine *e, const struct engine_options *o, struct ctn_err *err)
{
	const char *exclude[] = {o->state, o->run, o->mountpoint, NULL};
	ctn_autofree char *adj = NULL;
	int r = open_dir_path(o->state, &e->state_fd, err);

	if (r == 0)
		r = take_lock(e, err);
	if (r == 0)
		r = open_dir_path(o->run, &e->run_fd, err);
	if (r == 0)
		r = check_state_fs(e, err);
	if (r == 0)
		r = journal_open(e->state_fd, JOURNAL_KEEP, &e->journal, err);
	if (r == 0)
		r = copy_monitor(o->monitor, &e->monitor_fd, err);
	if (r == 0)
		r = open_cgroup(e, o->cgroup, err);
	if (r == 0)
		r = rootfs_skeleton_open(e->state_fd, exclude, &e->skeleton, err);
	if (r == 0)
		r = oom_open(&e->oom, err);
	if (r < 0)
		return r;
	e->null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (io_read_at(AT_FDCWD, "/proc/self/oom_score_adj", 16, &adj, NULL, NULL) == 0)
		e->oom_score_adj = atoi(adj);
	e->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	e->stdin_epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	e->stop_fd = eventfd(0, EFD_CLOEXEC);
	e->ids_used = calloc(e->subid_ranges / 8 + 1, 1);
	if (e->null_fd < 0 || e->epoll_fd < 0 || e->stdin_epoll_fd < 0 || e->stop_fd < 0 ||
	    !e->ids_used)
		return ctn_fail_errno(err, "prepare the engine");
	return spawner_new(e->null_fd, e->monitor_fd, &e->spawner, err);
}

int engine_new(const struct engine_options *o, struct engine **ret, struct ctn_err *err)
{
	struct engine *e = calloc(1, sizeof(*e));
	int r;

	if (!e)
		return ctn_fail(err, ENOMEM, "no memory for the engine");
	e->state_fd = e->run_fd = e->lock_fd = e->monitor_fd = e->null_fd = -1;
	e->epoll_fd = e->stdin_epoll_fd = e->stop_fd = e->nursery_pidfd = -1;
	e->host_mntns = o->host_mntns;
	e->version = o->version;
	e->subid_base = o->subid_base;
	e->spares_max = o->spares;
	e->spare_ms = o->spare_ms;
	e->subid_ranges = o->subid_count / IDS_PER_CONTAINER;
	e->state_path = strdup(o->state);
	e->run_path = strdup(o->run);
	e->mountpoint = o->mountpoint ? strdup(o->mountpoint) : NULL;
	pthread_rwlock_init(&e->lock, NULL);
	pthread_mutex_init(&e->errors.lock, NULL);
	if (!e->state_path || !e->run_path)
		r = ctn_fail(err, ENOMEM, "no memory for the engine");
	else if (e->subid_ranges == 0 || e->subid_base == 0)
		r = ctn_fail(err, EINVAL,
			     "subid: the base must not be 0, and there must be at least %d ids",
			     IDS_PER_CONTAINER);
	else
		r = open_all(e, o, err);
	if (r < 0) {
		engine_free(e);
		return r;
	}
	*ret = e;
	return 0;
}

/* It is gone for the user; the rest goes at the next start of the server. */
static void note_debris(void *arg, const struct ctn_err *err)
{
	container_note_error(arg, NULL, "rmdir", err);
}

static int start_thread(pthread_t *thread, bool *started, void *(*run)(void *engine),
			struct engine *e, struct ctn_err *err)
{
	int r = pthread_create(thread, NULL, run, e);

	*started = r == 0;
	return r ? ctn_fail(err, r, "start an event thread") : 0;
}

static void note_server(struct engine *e, bool starts)
{
	const char *key = e->version && starts ? "version=" : "";

	if (starts == e->noted)
		return;
	journal_note(e, NULL, starts ? JOURNAL_SERVER_STARTED : JOURNAL_SERVER_STOPPED, ctn_now(),
		     "%s%s", key, *key ? e->version : "");
	e->noted = starts;
	journal_flush(e);
}

int engine_start(struct engine *e, struct ctn_err *err)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.u64 = UINT64_MAX};
	sigset_t all, old;
	int r = engine_begin(e, err);

	if (r == 0)
		r = adopt_all(e, err); /* before there are events: nobody else looks at them yet */

	if (r == 0)
		r = journal_settle(e, err);
	if (r < 0)
		return r;
	note_server(e, true);
	if (epoll_ctl(e->epoll_fd, EPOLL_CTL_ADD, e->stop_fd, &ev) < 0 ||
	    epoll_ctl(e->stdin_epoll_fd, EPOLL_CTL_ADD, e->stop_fd, &ev) < 0)
		return ctn_fail_errno(err, "prepare the event thread");
	r = oom_start(e, err);
	if (r < 0)
		return r;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old); /* signals are the main thread's */
	r = sweeper_new(e->state_fd, e->run_fd, e->cgroup, note_debris, e, &e->sweeper, err);
	if (r == 0)
		r = start_thread(&e->thread, &e->threaded, loop_run, e, err);
	if (r == 0)
		r = start_thread(&e->stdin_thread, &e->stdin_threaded, loop_run_stdin, e, err);
	if (r == 0 && e->spares_max > 0)
		r = spares_new(e, &e->spares, err);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return r;
}

void engine_stop(struct engine *e)
{
	uint64_t one = 1;

	if (!e || !e->threaded || write(e->stop_fd, &one, sizeof(one)) != sizeof(one))
		return;
	pthread_join(e->thread, NULL);
	if (e->stdin_threaded)
		pthread_join(e->stdin_thread, NULL);
	e->threaded = e->stdin_threaded = false;
}

void engine_free(struct engine *e)
{
	if (!e)
		return;
	engine_stop(e);
	spares_free(e->spares);
	e->spares = NULL;
	sweeper_free(e->sweeper);
	e->changed = NULL;
	note_server(e, false);
	registry_free(e);
	if (e->cgroup)
		cgroup_root_free(e->cgroup);
	oom_close(e->oom);
	journal_close(e->journal);
	ctn_close_fd(&e->epoll_fd);
	ctn_close_fd(&e->stdin_epoll_fd);
	ctn_close_fd(&e->stop_fd);
	spawner_free(e->spawner);
	ctn_close_fd(&e->nursery_pidfd);
	ctn_close_fd(&e->null_fd);
	ctn_close_fd(&e->monitor_fd);
	ctn_close_fd(&e->run_fd);
	ctn_close_fd(&e->state_fd);
	ctn_close_fd(&e->lock_fd);
	free(e->errors.entries);
	pthread_mutex_destroy(&e->errors.lock);
	pthread_rwlock_destroy(&e->lock);
	free(e->skeleton);
	free(e->state_path);
	free(e->run_path);
	free(e->mountpoint);
	free(e);
}

void engine_on_change(struct engine *e, void (*fn)(void *arg, uint32_t serial), void *arg)
{
	e->changed = fn;
	e->changed_arg = arg;
}

static void print_counts(struct engine *e, FILE *out)
{
	size_t n = 0, running = 0;
	uint32_t ids = 0, spare = 0;

	pthread_rwlock_rdlock(&e->lock);
	for (size_t i = 0; i < e->n; i++) {
		struct container *c = e->by_name[i];

		if (c->parent)
			continue;
		if (container_is_spare(c)) {
			spare++;
			continue;
		}
		n++;
		pthread_mutex_lock(&c->lock);
		running += c->running != NULL;
		pthread_mutex_unlock(&c->lock);
	}
	for (uint32_t i = 0; i < e->subid_ranges; i++)
		ids += e->ids_used[i / 8] >> i % 8 & 1;
	pthread_rwlock_unlock(&e->lock);
	fprintf(out, "Containers:\t%zu\nRunning:\t%zu\n", n, running);
	fprintf(out, "Subids:\t%u:%u\nSubidsUsed:\t%u\n", e->subid_base,
		e->subid_ranges * IDS_PER_CONTAINER, (ids - spare) * IDS_PER_CONTAINER);
}

int engine_print_status(struct engine *e, FILE *out, struct ctn_err *err)
{
	const char *sep = "";

	(void)err;
	fprintf(out, "State:\t%s\nRun:\t%s\nSkeleton:\t%s/%s\n", e->state_path, e->run_path,
		e->state_path, e->skeleton);
	fprintf(out, "Cgroup:\tv%d\nControllers:\t", cgroup_root_version(e->cgroup));
	for (int i = 0; i < CG_CONTROLLERS; i++) {
		if (cgroup_root_has(e->cgroup, (enum cgroup_controller)i)) {
			fprintf(out, "%s%s", sep, cgroup_controller_names[i]);
			sep = " ";
		}
	}
	fputs("\nMissing:\t", out);
	sep = "";
	for (int i = 0; i < CG_CONTROLLERS; i++) {
		if (!cgroup_root_has(e->cgroup, (enum cgroup_controller)i)) {
			fprintf(out, "%s%s", sep, cgroup_controller_names[i]);
			sep = " ";
		}
	}
	putc('\n', out);
	print_counts(e, out);
	return 0;
}
