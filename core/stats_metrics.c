/* SPDX-License-Identifier: Apache-2.0 */
/* The file `metrics`, for Prometheus. All lines of one metric stand together, so it is written
 * metric by metric, each from a row of a table. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "container_private.h"
#include "io.h"
#include "stats.h"

enum { VALUE_ROOM = 32, LABELS_ROOM = 128 };

/* A metric of containers. @print: the value of @figure, or of what it knows itself; false where
 * this one has none. */
struct metric {
	const char *name, *type, *help;
	bool (*print)(const struct stats_row *row, enum cgroup_figure figure, char *out);
	enum cgroup_figure figure;
};

/* As people see them. */
static const enum ctn_state states[] = {CTN_CREATED,  CTN_RUNNING,    CTN_PAUSED,
					CTN_STOPPING, CTN_RESTARTING, CTN_EXITED};

/* No limit is no line: a share of what is not limited is not asked for. */
static bool print_figure(const struct stats_row *row, enum cgroup_figure figure, char *out)
{
	uint64_t value = row->figures[figure];

	snprintf(out, VALUE_ROOM, "%" PRIu64, value);
	return value != CTN_MAX && value != CGROUP_UNKNOWN;
}

static bool print_seconds(const struct stats_row *row, enum cgroup_figure figure, char *out)
{
	uint64_t us = row->figures[figure];

	snprintf(out, VALUE_ROOM, "%" PRIu64 ".%06" PRIu64, us / 1000000, us % 1000000);
	return us != CGROUP_UNKNOWN;
}

static bool print_restarts(const struct stats_row *row, enum cgroup_figure figure, char *out)
{
	(void)figure;
	snprintf(out, VALUE_ROOM, "%" PRIu64, row->view.restarts);
	return true;
}

static bool print_start(const struct stats_row *row, enum cgroup_figure figure, char *out)
{
	uint64_t ns = row->view.started;

	(void)figure;
	snprintf(out, VALUE_ROOM, "%" PRIu64 ".%09" PRIu64, ns / 1000000000, ns % 1000000000);
	return ns;
}

static bool print_exit(const struct stats_row *row, enum cgroup_figure figure, char *out)
{
	(void)figure;
	snprintf(out, VALUE_ROOM, "%d", row->view.exit_code);
	return row->view.has_exit;
}

static bool print_dropped(const struct stats_row *row, enum cgroup_figure figure, char *out)
{
	(void)figure;
	snprintf(out, VALUE_ROOM, "%" PRIu64, row->log_dropped);
	return true;
}

/* clang-format off */
static const struct metric metrics[] = {
	{"cpu_seconds_total", "counter", "Processor time used.", print_seconds, CGF_CPU},
	{"cpu_throttled_seconds_total", "counter", "Time for which cpu.max held it back.", print_seconds, CGF_THROTTLED},
	{"memory_usage_bytes", "gauge", "Memory in use.", print_figure, CGF_MEMORY},
	{"memory_peak_bytes", "gauge", "The most memory that was in use.", print_figure, CGF_MEMORY_PEAK},
	{"memory_limit_bytes", "gauge", "Memory that it may use; nothing where there is no limit.", print_figure, CGF_MEMORY_LIMIT},
	{"pids", "gauge", "Processes and threads.", print_figure, CGF_PIDS},
	{"pids_limit", "gauge", "Processes and threads that it may have; nothing where there is no limit.", print_figure, CGF_PIDS_LIMIT},
	{"oom_kills_total", "counter", "Processes that the OOM killer has ended.", print_figure, CGF_OOM_KILLS},
	{"restarts_total", "counter", "Times that it was started again.", print_restarts, 0},
	{"start_time_seconds", "gauge", "When its present or last run began, since the epoch.", print_start, 0},
	{"exit_code", "gauge", "Exit code of its last run; nothing while it runs.", print_exit, 0},
	{"log_dropped_bytes_total", "counter", "Output that is no longer in its log.", print_dropped, 0},
};
/* clang-format on */

/* A value of a label may be anything, but for these three in their plain form. */
static void print_label(FILE *out, const char *value)
{
	for (const char *p = value; *p; p++) {
		if (*p == '\n')
			fputs("\\n", out);
		else if (*p == '"' || *p == '\\')
			fprintf(out, "\\%c", *p);
		else
			putc(*p, out);
	}
}

static void print_head(FILE *out, const char *name, const char *type, const char *help)
{
	fprintf(out, "# HELP ctnfs_%s %s\n# TYPE ctnfs_%s %s\n", name, help, name, type);
}

/* Of one container, without the closing brace. */
static void print_labels(FILE *out, const char *name, const struct stats_row *row)
{
	fprintf(out, "ctnfs_container_%s{name=\"", name);
	print_label(out, row->view.spec->name);
	fprintf(out, "\",id=\"%.12s\"", row->view.id);
}

static void print_metric(const struct stats *stats, const struct metric *m, FILE *out)
{
	char value[VALUE_ROOM], name[LABELS_ROOM];

	snprintf(name, sizeof(name), "container_%s", m->name);
	print_head(out, name, m->type, m->help);
	for (size_t i = 0; i < stats->n; i++) {
		if (!m->print(&stats->rows[i], m->figure, value))
			continue;
		print_labels(out, m->name, &stats->rows[i]);
		fprintf(out, "} %s\n", value);
	}
}

static void print_states(const struct stats *stats, FILE *out)
{
	size_t counts[CTN_EXITED + 1] = {0};

	print_head(out, "container_state", "gauge", "1 for the state that it is in, 0 for others.");
	for (size_t i = 0; i < stats->n; i++) {
		counts[stats->rows[i].view.state]++;
		for (size_t s = 0; s < CTN_COUNT(states); s++) {
			print_labels(out, "state", &stats->rows[i]);
			fprintf(out, ",state=\"%s\"} %d\n", ctn_state_name(states[s]),
				stats->rows[i].view.state == states[s]);
		}
	}
	print_head(out, "containers", "gauge", "Containers in each state.");
	for (size_t s = 0; s < CTN_COUNT(states); s++)
		fprintf(out, "ctnfs_containers{state=\"%s\"} %zu\n", ctn_state_name(states[s]),
			counts[states[s]]);
}

static void print_server(struct engine *e, const char *version, FILE *out)
{
	uint64_t errors;

	print_head(out, "build_info", "gauge", "Always 1; what the server is.");
	fputs("ctnfs_build_info{version=\"", out);
	print_label(out, version);
	fprintf(out, "\",cgroup=\"v%d\"} 1\n", cgroup_root_version(e->cgroup));
	pthread_mutex_lock(&e->errors.lock);
	errors = e->errors.total;
	pthread_mutex_unlock(&e->errors.lock);
	print_head(out, "errors_total", "counter", "Refusals, each a line of the file error.");
	fprintf(out, "ctnfs_errors_total %" PRIu64 "\n", errors);
}

int stats_print_metrics(struct engine *e, const char *version, FILE *out, struct ctn_err *err)
{
	__attribute__((cleanup(stats_free))) struct stats stats = {0};
	int r = stats_collect(e, CGF_COUNT, &stats, err);

	if (r < 0)
		return r;
	print_server(e, version, out);
	print_states(&stats, out);
	for (size_t i = 0; i < CTN_COUNT(metrics); i++)
		print_metric(&stats, &metrics[i], out);
	return 0;
}
