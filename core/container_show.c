/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a container's configuration. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "cleanup.h"
#include "container_private.h"
#include "launch_pack.h"
#include "seccomp.h"
#include "users.h"

/* The lower layer of a session is that of its container's run, which has perhaps another below it
 * than the next start would. */
static int skeleton_open(const struct container *c, int flags)
{
	struct container *parent = c->parent;
	int fd = -1;

	if (parent) {
		pthread_mutex_lock(&parent->lock);
		if (parent->running && parent->skeleton)
			fd = openat(c->engine->state_fd, parent->skeleton, flags);
		pthread_mutex_unlock(&parent->lock);
	}
	return fd >= 0 ? fd : openat(c->engine->state_fd, c->engine->skeleton, flags);
}

/* The directories in which its etc/passwd is, topmost first. What is read there is looked for below
 * them, whatever links there are. */
static int root_layers(const struct container *c, const struct spec *spec, int fds[2], size_t *ret,
		       struct ctn_err *err)
{
	const int flags = O_PATH | O_DIRECTORY | O_CLOEXEC;
	size_t n = 0;

	if (spec->root_mode == SPEC_ROOT_OVERLAY) {
		fds[n] = container_open_state(c->parent ?: c, WIRE_LAYER_NAME, flags);
		n += fds[n] >= 0;
	}
	if (spec->rootfs) {
		int r = host_open_directory(c->engine, spec->rootfs, &fds[n], err);

		if (r < 0)
			return ctn_fail_context(err, "rootfs");
	} else {
		fds[n] = skeleton_open(c, flags);
	}
	n += fds[n] >= 0;
	*ret = n;
	return 0;
}

int container_user(const struct container *c, const struct spec *spec, struct users_ids *ret,
		   struct ctn_err *err)
{
	int fds[2] = {-1, -1}, host;
	size_t n = 0;
	int r;

	if (spec_ns_is_host(spec, NS_MNT)) {
		host = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
		r = users_resolve(&host, 1, spec->user, ret, err);
		ctn_close_fd(&host);
		return r;
	}
	r = root_layers(c, spec, fds, &n, err);
	if (r == 0)
		r = users_resolve(fds, n, spec->user, ret, err);
	ctn_close_fd(&fds[0]);
	ctn_close_fd(&fds[1]);
	return r;
}

static int show_env(const struct container *c, const struct spec *spec, FILE *out,
		    struct ctn_err *err)
{
	struct users_ids ids = {.home = "/"};
	struct strlist env = {0};
	int r;

	(void)container_user(c, spec, &ids, NULL); /* an unknown user is refused at the start */
	r = spec_env(spec, ids.home, &env, err);
	if (r < 0)
		return r;
	spec_env_print(&env, out);
	strlist_free(&env);
	for (size_t i = 0; i < spec->env.len;
	     i++) { /* a default that was removed is part of the value */
		if (spec->env.items[i][0] == '-')
			fprintf(out, "%s\n", spec->env.items[i]);
	}
	return 0;
}

static int show_ns(const struct container *c, const struct spec *spec, const struct spec_field *f,
		   FILE *out, struct ctn_err *err)
{
	ctn_autofree char *setting = container_ns_setting(c->engine, spec, (enum ns_kind)f->arg);

	if (!setting)
		return ctn_fail(err, ENOMEM, "%s: no memory", f->name);
	fprintf(out, "%s\n", setting);
	return 0;
}

/* A session's environment has something of its container in it. */
static int shown_spec(struct container *c, struct spec **ret, struct ctn_err *err)
{
	struct container_view v;
	int r = 0;

	container_view_get(c, &v);
	if (c->parent && !v.running)
		r = session_spec(c, ret, err);
	else
		*ret = spec_get(v.running ?: v.spec);
	container_view_put(&v);
	return r;
}

int container_show(struct container *c, const struct spec_field *f, FILE *out, struct ctn_err *err)
{
	struct spec *spec = NULL;
	int r = shown_spec(c, &spec, err);

	if (r < 0)
		return r;
	if (strcmp(f->name, "env") == 0)
		r = show_env(c, spec, out, err);
	else if (strncmp(f->name, "ns/", 3) == 0)
		r = show_ns(c, spec, f, out, err);
	else
		f->show(spec, f, out);
	spec_put(spec);
	return r;
}

/* Is @line, of @len bytes, a line of @text? With @key only up to and with its '='. */
static bool has_line(const char *text, const char *line, size_t len, bool key)
{
	size_t n = key ? strcspn(line, "=") + 1 : len;

	if (n > len)
		n = len;
	for (const char *p = text; *p; p += strcspn(p, "\n") + 1) {
		if (strncmp(p, line, n) == 0 && (n < len || p[n] == '\n'))
			return true;
		if (!p[strcspn(p, "\n")])
			break;
	}
	return false;
}

/* A list tells what comes and what goes, a line each; a value what it will be. */
static int print_difference(const struct spec_field *f, const struct spec *running,
			    const struct spec *spec, FILE *out, struct ctn_err *err)
{
	ctn_autofree char *now = NULL, *next = NULL;
	bool env = strcmp(f->name, "env") == 0, whole = false;
	int r = spec_field_text(running, f, &now, err);

	if (r == 0)
		r = spec_field_text(spec, f, &next, err);
	if (r == 0 && strcmp(f->name, "seccomp") == 0)
		whole = strcmp(now, next) != 0; /* a delta that goes has no line of its own */
	for (const char *p = next; r == 0 && *p; p += strcspn(p, "\n") + 1) {
		size_t len = strcspn(p, "\n");

		if (whole || !has_line(now, p, len, false))
			fprintf(out, "%s %.*s\n", f->name, (int)len, p);
	}
	for (const char *p = now; r == 0 && f->list && *p; p += strcspn(p, "\n") + 1) {
		size_t len = strcspn(p, "\n");

		if ((env || strcmp(f->name, "caps") == 0) && *p != '-' &&
		    !has_line(next, p, len, env))
			fprintf(out, "%s -%.*s\n", f->name, (int)(env ? strcspn(p, "=") : len), p);
	}
	return r;
}

int container_print_pending(struct container *c, FILE *out, struct ctn_err *err)
{
	struct spec *running = NULL, *spec = NULL, *next = NULL;
	struct container_view v;
	int r = 0;

	container_view_get(c, &v);
	if (v.running && c->parent) /* all but its own is its container's, and not kept */
		r = session_spec(c, &next, err);
	if (r == 0 && v.running) {
		running = container_spec_named(c->engine, v.running);
		spec = container_spec_named(c->engine, next ?: v.spec);
		if (!running || !spec)
			r = ctn_fail(err, ENOMEM, "pending: no memory");
	}
	for (const struct spec_field *f = spec_fields; r == 0 && running && f->name; f++) {
		if (f->when == SPEC_NEXT)
			r = print_difference(f, running, spec, out, err);
	}
	spec_put(running);
	spec_put(spec);
	spec_put(next);
	container_view_put(&v);
	return r;
}

int container_print_seccomp(struct container *c, FILE *out, struct ctn_err *err)
{
	struct seccomp_profile *profile = NULL;
	struct container_view v;
	const struct spec *spec;
	int r;

	container_view_get(c, &v);
	spec = v.running ?: v.spec;
	r = seccomp_profile_get(spec->seccomp, &spec->seccomp_deltas, spec->caps, &profile, err);
	if (r == 0)
		seccomp_print(out, profile, spec->seccomp, &spec->seccomp_deltas);
	seccomp_profile_put(profile);
	container_view_put(&v);
	return r;
}
