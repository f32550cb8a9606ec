/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions of the engine's containers, and what of them the kernel has. */
#ifndef CTNFS_TESTS_UNIT_SESSION_FIXTURE_H
#define CTNFS_TESTS_UNIT_SESSION_FIXTURE_H

#include "container_private.h"
#include "engine_fixture.h"

static inline struct container *session(struct container *c, const char *name, const char *cmd)
{
	struct container *s = NULL;

	CHECK_ERR(container_session_create(c, name, &s, &check_err), 0, "");
	if (!s) {
		printf("Bail out! no session can be made\n");
		exit(1);
	}
	if (cmd)
		CHECK_ERR(store(s, "cmd", cmd, &check_err), 0, "");
	return s;
}

static inline struct container *running(const char *name)
{
	struct container *c = make(name, "sleep 1000");

	CHECK_ERR(do_start(c, 0, &check_err), 0, "");
	return c;
}

static inline struct container *started(struct container *c, const char *name, const char *cmd)
{
	struct container *s = session(c, name, cmd);

	CHECK_ERR(do_start(s, 0, &check_err), 0, "");
	return s;
}

/* What rmdir came to; the sentence is in check_err. */
static inline int end(struct container *c, const char *name)
{
	struct waiter w;

	waiter_init(&w);
	return waiter_result(&w, container_session_remove(c, name, &w.w, &check_err), &check_err);
}

/* Nothing of it is left then. */
static inline void session_end(struct container *c, struct container *s)
{
	char path[256];

	CHECK_ERR(end(c, s->spec->name), 0, "");
	snprintf(path, sizeof(path), "%s/%s", options.state, s->id);
	CHECK(access(path, F_OK) < 0);
	container_put(s);
}

static inline void list_free(struct container **list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		container_put(list[i]);
	free(list);
}

static inline bool same_ns(pid_t a, pid_t b, const char *kind)
{
	char path[2][64];
	struct stat st[2];

	snprintf(path[0], sizeof(path[0]), "/proc/%d/ns/%s", a, kind);
	snprintf(path[1], sizeof(path[1]), "/proc/%d/ns/%s", b, kind);
	return stat(path[0], &st[0]) == 0 && stat(path[1], &st[1]) == 0 &&
	       st[0].st_ino == st[1].st_ino;
}

/* Ids, capabilities and seccomp of a process, to be freed. */
static inline char *grep_status(pid_t pid)
{
	static const char *const keys[] = {
		"Uid:", "Gid:", "Groups:", "Cap", "NoNewPrivs:", "Seccomp"};
	ctn_autofree char *text = NULL;
	char path[48], *out = calloc(1, 4096), *save = NULL;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	CHECK_ERR(io_read_at(AT_FDCWD, path, 65536, &text, NULL, &check_err), 0, "");
	for (char *l = strtok_r(text, "\n", &save); l; l = strtok_r(NULL, "\n", &save)) {
		for (size_t i = 0; i < CTN_COUNT(keys); i++) {
			if (strncmp(l, keys[i], strlen(keys[i])) == 0)
				strcat(strcat(out, l), "\n");
		}
	}
	return out;
}

static inline char *show(struct container *c, const char *field)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	CHECK_ERR(container_show(c, spec_field_find(field), out, &check_err), 0, "");
	fclose(out);
	return text;
}

static inline size_t count_procs(struct container *c)
{
	ctn_autofree pid_t *pids = NULL;
	size_t n = 0;

	CHECK(cgroup_leaf_procs(c->cgroup, &pids, &n, NULL) == 0);
	return n;
}

static inline bool procs_reach(struct container *c, size_t n)
{
	for (int i = 0; i < PATIENCE_SECS * 50; i++) {
		if (count_procs(c) == n)
			return true;
		sleep_ms(20);
	}
	return false;
}

/* Control groups below the container's. */
static inline unsigned count_children(const struct container *c)
{
	ctn_autofree char *path = NULL;
	ctn_autoclosedir DIR *dir = NULL;
	const struct dirent *d;
	unsigned n = 0;

	if (cgroup_leaf_path(c->cgroup, CG_FREEZER, &path, NULL) == 0)
		dir = opendir(path);
	CHECK(dir);
	while (dir && (d = readdir(dir)))
		n += strlen(d->d_name) == CTN_ID_LEN;
	return n;
}

/* Whether the process is gone, soon. */
static inline bool gone(pid_t pid)
{
	for (int i = 0; i < PATIENCE_SECS * 50; i++) {
		if (kill(pid, 0) < 0 && errno == ESRCH)
			return true;
		sleep_ms(20);
	}
	return false;
}

/* To its standard input. */
/* Its standard input; needs no engine. */
static inline int open_input(const struct container *c)
{
	ctn_autofree char *path = NULL;

	CHECK(asprintf(&path, "%s/%s/in", options.run, c->id) > 0);
	return open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
}

static inline void send_line(const struct container *c, const char *line)
{
	ctn_autoclose int fd = open_input(c);

	CHECK(fd >= 0 && write(fd, line, strlen(line)) == (ssize_t)strlen(line));
}

/* State directories that no thread is about to remove. */
static inline unsigned count_states(void)
{
	ctn_autoclosedir DIR *dir = opendir(options.state);
	const struct dirent *d;
	unsigned n = 0;

	while (dir && (d = readdir(dir)))
		n += strlen(d->d_name) == CTN_ID_LEN;
	return n;
}

#endif
