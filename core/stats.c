/* SPDX-License-Identifier: Apache-2.0 */
#include "stats.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "container_private.h"
#include "io.h"

enum { ROUNDS_MAX = 8 }; /* to find a container in one state for as long as that takes */

enum { COL_NAME, COL_STATE, COL_PID, COL_CPU, COL_MEMORY, COL_LIMIT, COL_PIDS, COL_COUNT };

/* The sign makes it a comment, as in every file here. As a number it is 0, so where rows are sorted
 * by a figure, the greatest first, it comes behind all that have any. */
static const char *const header[COL_COUNT] = {"#NAME",	"STATE", "PID", "CPU",
					      "MEMORY", "LIMIT", "PIDS"};

void stats_free(struct stats *stats)
{
	for (size_t i = 0; i < stats->n; i++)
		container_view_put(&stats->rows[i].view);
	free(stats->rows);
	*stats = (struct stats){0};
}

/* Its state, and its figures while it is in that. Return: whether it is there: its control group
 * goes before its name does. */
static bool collect_one(struct container *c, size_t n_figures, struct stats_row *row)
{
	struct container_view after;
	struct log_range log = {0};
	bool same = false;

	container_view_get(c, &row->view);
	for (int i = 0; !same && i < ROUNDS_MAX; i++) {
		if (cgroup_leaf_figures(c->cgroup, n_figures, row->figures) == -ENOENT) {
			container_view_put(&row->view);
			return false;
		}
		container_view_get(c, &after);
		same = after.moved == row->view.moved;
		container_view_put(&row->view);
		row->view = after;
	}
	if (n_figures == CGF_COUNT && container_log_range(c, LOG_ALL, &log, NULL) == 0)
		row->log_dropped = log.dropped;
	return true;
}

int stats_collect(struct engine *e, size_t n_figures, struct stats *ret, struct ctn_err *err)
{
	struct container **list = NULL;
	struct stats stats = {0};
	size_t n = 0;
	int r = container_list(e, &list, &n);

	if (r == 0)
		stats.rows = calloc(n + 1, sizeof(*stats.rows));
	for (size_t i = 0; i < n; i++) {
		if (stats.rows)
			stats.n += collect_one(list[i], n_figures, &stats.rows[stats.n]);
		container_put(list[i]);
	}
	free(list);
	if (!stats.rows)
		return ctn_fail(err, ENOMEM, "no memory to list containers");
	*ret = stats;
	return 0;
}

struct cells {
	char text[COL_COUNT][SPEC_NAME_MAX + 1];
};

static void format_figure(uint64_t value, char *out, size_t room)
{
	if (value == CGROUP_UNKNOWN)
		snprintf(out, room, "-");
	else if (value == CTN_MAX)
		snprintf(out, room, "max");
	else
		snprintf(out, room, "%" PRIu64, value);
}

static void format_row(const struct stats_row *row, struct cells *cells)
{
	const struct container_view *v = &row->view;
	const size_t room = sizeof(cells->text[0]);
	uint64_t cpu = row->figures[CGF_CPU];

	snprintf(cells->text[COL_NAME], room, "%s", v->spec->name);
	snprintf(cells->text[COL_STATE], room, "%s", ctn_state_name(v->state));
	snprintf(cells->text[COL_PID], room, "-");
	if (v->init)
		snprintf(cells->text[COL_PID], room, "%d", v->init->pid);
	snprintf(cells->text[COL_CPU], room, "-");
	if (cpu != CGROUP_UNKNOWN)
		snprintf(cells->text[COL_CPU], room, "%" PRIu64 ".%03" PRIu64, cpu / 1000000,
			 cpu / 1000 % 1000);
	format_figure(row->figures[CGF_MEMORY], cells->text[COL_MEMORY], room);
	format_figure(row->figures[CGF_MEMORY_LIMIT], cells->text[COL_LIMIT], room);
	format_figure(row->figures[CGF_PIDS], cells->text[COL_PIDS], room);
}

/* Words to the left, figures to the right. */
static void print_line(const struct cells *cells, const int width[COL_COUNT], FILE *out)
{
	for (int c = 0; c < COL_COUNT; c++)
		fprintf(out, "%*s%s", c <= COL_STATE ? -width[c] : width[c], cells->text[c],
			c + 1 < COL_COUNT ? " " : "\n");
}

int stats_print(struct engine *e, FILE *out, struct ctn_err *err)
{
	__attribute__((cleanup(stats_free))) struct stats stats = {0};
	ctn_autofree struct cells *lines = NULL;
	int width[COL_COUNT] = {0};
	int r = stats_collect(e, CGF_PIDS + 1, &stats, err);

	if (r < 0)
		return r;
	lines = calloc(stats.n + 1, sizeof(*lines));
	if (!lines)
		return ctn_fail(err, ENOMEM, "no memory to list containers");
	for (int c = 0; c < COL_COUNT; c++)
		snprintf(lines[0].text[c], sizeof(lines[0].text[c]), "%s", header[c]);
	for (size_t i = 0; i < stats.n; i++)
		format_row(&stats.rows[i], &lines[i + 1]);
	for (size_t i = 0; i <= stats.n; i++) {
		for (int c = 0; c < COL_COUNT; c++) {
			int len = (int)strlen(lines[i].text[c]);

			width[c] = len > width[c] ? len : width[c];
		}
	}
	for (size_t i = 0; i <= stats.n; i++)
		print_line(&lines[i], width, out);
	return 0;
}
