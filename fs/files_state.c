/* SPDX-License-Identifier: Apache-2.0 */
/* Files about what is so now: of a container, of its first process, of the server. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../core/cleanup.h"
#include "../core/io.h"
#include "files.h"

static const uint64_t ns_per_sec = 1000000000;

int show_state(const struct node_ref *ref, FILE *out, struct ctn_err *err)
{
	struct container_view view;

	(void)err;
	container_view_get(ref->c, &view);
	fprintf(out, "%s\n", ctn_state_name(view.state));
	container_view_put(&view);
	return 0;
}

int show_id(const struct node_ref *ref, FILE *out, struct ctn_err *err)
{
	struct container_view view;

	(void)err;
	container_view_get(ref->c, &view);
	fprintf(out, "%s\n", view.id);
	container_view_put(&view);
	return 0;
}

static void print_pid(const struct container_view *view, FILE *out)
{
	if (view->init)
		fprintf(out, "%d", view->init->pid);
}

int show_pid(const struct node_ref *ref, FILE *out, struct ctn_err *err)
{
	struct container_view view;

	(void)err;
	container_view_get(ref->c, &view);
	print_pid(&view, out);
	putc('\n', out);
	container_view_put(&view);
	return 0;
}

static void print_exit(const struct container_view *view, FILE *out)
{
	if (view->has_exit)
		fprintf(out, "%d", view->exit_code);
}

int show_exit(const struct node_ref *ref, FILE *out, struct ctn_err *err)
{
	struct container_view view;

	(void)err;
	container_view_get(ref->c, &view);
	print_exit(&view, out);
	putc('\n', out);
	container_view_put(&view);
	return 0;
}

int show_pending(const struct node_ref *ref, FILE *out, struct ctn_err *err)
{
	return container_print_pending(ref->c, out, err);
}

int show_error(const struct node_ref *ref, FILE *out, struct ctn_err *err)
{
	(void)err;
	container_print_errors(ref->c, out);
	return 0;
}

int show_ps(const struct node_ref *ref, FILE *out, struct ctn_err *err)
{
	return container_print_ps(ref->c, out, err);
}

/* --- status --- */

/* RFC 3339, or "-" for never. */
static void print_time(uint64_t ns, FILE *out)
{
	time_t secs = (time_t)(ns / ns_per_sec);
	struct tm tm;
	char text[32];

	if (!ns) {
		putc('-', out);
		return;
	}
	gmtime_r(&secs, &tm);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	fprintf(out, "%s.%09" PRIu64 "Z", text, ns % ns_per_sec);
}

static void print_pending_count(const struct node_ref *ref, FILE *out)
{
	ctn_autofree char *text = NULL;
	size_t len = 0, lines = 0;
	FILE *pending = open_memstream(&text, &len);
	int r;

	if (!pending)
		return;
	r = container_print_pending(ref->c, pending, NULL);
	if (io_text_close(pending, &text) < 0 || r < 0)
		return;
	for (size_t i = 0; i < len; i++)
		lines += text[i] == '\n';
	fprintf(out, "%zu", lines);
}

/* Only root's, as `cmd` is: where a group may read `status`, it has no command line. */
static void print_cmd(const struct node_ref *ref, const struct container_view *view, FILE *out)
{
	const struct strlist *cmd = view->running ? &view->running->cmd : &view->spec->cmd;

	if (ref->fs->group != (gid_t)-1)
		return;
	fputs("Cmd:\t", out);
	for (size_t i = 0; i < cmd->len; i++) {
		if (i)
			putc(' ', out);
		io_escape(out, cmd->items[i], strlen(cmd->items[i]));
	}
	putc('\n', out);
}

/* Which runs, ended, when, how. */
static void print_life(struct container *c, const struct container_view *view, FILE *out)
{
	fprintf(out, "Name:\t%s\nId:\t%s\nState:\t%s\nPid:\t", view->spec->name, view->id,
		ctn_state_name(view->state));
	print_pid(view, out);
	fputs("\nCreated:\t", out);
	print_time(view->created, out);
	fputs("\nStarted:\t", out);
	print_time(view->started, out);
	fputs("\nFinished:\t", out);
	print_time(view->finished, out);
	fputs("\nExit:\t", out);
	print_exit(view, out);
	/* 0: nobody was there to see it, and 255 stands for that. */
	fprintf(out, "\nExitSeen:\t%s", !view->has_exit ? "" : view->exit_unknown ? "0" : "1");
	fputs("\nOomKilled:\t", out);
	if (!container_of_session(c)) /* the memory is its container's */
		fprintf(out, "%d", container_oom_killed(c));
	fprintf(out, "\nRestarts:\t%" PRIu64 "\n", view->restarts);
}

int show_status(const struct node_ref *ref, FILE *out, struct ctn_err *err)
{
	struct container_view view;
	uint64_t dropped = 0;

	(void)err;
	container_view_get(ref->c, &view);
	print_life(ref->c, &view, out);
	(void)container_log_dropped(ref->c, &dropped, NULL);
	fprintf(out, "LogDropped:\t%" PRIu64 "\nPending:\t", dropped);
	print_pending_count(ref, out);
	fprintf(out, "\nUids:\t%u\nMonitor:\t%d\nNsForeign:\t", view.uid_base, view.monitored);
	container_print_ns_foreign(ref->c, out);
	putc('\n', out);
	print_cmd(ref, &view, out);
	container_view_put(&view);
	return 0;
}

/* --- the root's --- */

int show_root_error(const struct node_ref *ref, FILE *out, struct ctn_err *err)
{
	(void)err;
	engine_print_errors(ref->fs->engine, out);
	return 0;
}

int show_root_status(const struct node_ref *ref, FILE *out, struct ctn_err *err)
{
	fprintf(out, "Version:\t%s\nMountpoint:\t%s\n", CTNFS_VERSION, ref->fs->mountpoint);
	return engine_print_status(ref->fs->engine, out, err);
}
