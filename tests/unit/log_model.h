/* SPDX-License-Identifier: Apache-2.0 */
/* A log as the monitor writes it, and beside it what its views must show, worked out byte by byte.
 */
#ifndef CTNFS_TESTS_UNIT_LOG_MODEL_H
#define CTNFS_TESTS_UNIT_LOG_MODEL_H

#include "monitor/monitor.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "cleanup.h"
#include "io.h"
#include "state_log.h"

enum { VIEWS = LOG_TIMES + 1, MODEL_MAX = 48 << 20 };
#define MODEL_TIME UINT64_C(1791000000000000000)

/* @at: of each byte of the log, where it is in log.times; @of: whose it is. */
struct model {
	char dir[32];
	int dirfd;
	struct log log;
	char *text[VIEWS];
	size_t len[VIEWS];
	uint32_t *at;
	uint8_t *of;
	enum wire_stream last;
	uint64_t now, max, cleared;
};

static inline void model_begin(struct model *m, uint64_t max)
{
	*m = (struct model){.dir = "/tmp/test_log.XXXXXX", .now = MODEL_TIME, .max = max};
	CHECK(mkdtemp(m->dir) != NULL);
	m->dirfd = open(m->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (int i = 0; i < VIEWS; i++) {
		m->text[i] = malloc(MODEL_MAX);
		CHECK(m->text[i] != NULL);
	}
	m->at = malloc(MODEL_MAX * sizeof(*m->at));
	m->of = malloc(MODEL_MAX);
	CHECK_ERR(log_open(m->dirfd, max, &m->log, &check_err), 0, "");
}

static inline void model_close(struct model *m)
{
	close(m->log.fd);
	close(m->log.index);
}

static inline void model_end(struct model *m)
{
	model_close(m);
	close(m->dirfd);
	CHECK(io_remove_tree_at(AT_FDCWD, m->dir, NULL) == 0);
	for (int i = 0; i < VIEWS; i++)
		free(m->text[i]);
	free(m->at);
	free(m->of);
}

static inline void model_add(struct model *m, enum log_view view, const char *data, size_t len)
{
	memcpy(m->text[view] + m->len[view], data, len);
	m->len[view] += len;
}

static inline void model_prefix(struct model *m, enum wire_stream stream, uint64_t time)
{
	const time_t secs = (time_t)(time / 1000000000);
	const struct tm *tm = gmtime(&secs);
	char text[128];

	snprintf(text, sizeof(text), "%04d-%02d-%02dT%02d:%02d:%02d.%09dZ %s ", tm->tm_year + 1900,
		 tm->tm_mon + 1, tm->tm_mday, tm->tm_hour, tm->tm_min, tm->tm_sec,
		 (int)(time % 1000000000), stream == WIRE_STDOUT ? "stdout" : "stderr");
	CHECK(strlen(text) == WIRE_LOG_PREFIX);
	model_add(m, LOG_TIMES, text, strlen(text));
}

/* What readers must see once those bytes were put out. */
static inline void model_expect(struct model *m, enum wire_stream stream, uint64_t time,
				const char *data, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		size_t end = m->len[LOG_ALL];
		bool begins = end == 0 || m->text[LOG_ALL][end - 1] == '\n';

		if (!begins && m->last != stream) {
			model_add(m, LOG_TIMES, "\n", 1);
			begins = true;
		}
		if (begins)
			model_prefix(m, stream, time);
		m->at[end] = (uint32_t)m->len[LOG_TIMES];
		m->of[end] = (uint8_t)stream;
		model_add(m, LOG_TIMES, data + i, 1);
		model_add(m, LOG_ALL, data + i, 1);
		model_add(m, stream == WIRE_STDOUT ? LOG_STDOUT : LOG_STDERR, data + i, 1);
		m->last = stream;
	}
}

/* As the monitor does it. */
static inline void model_put(struct model *m, enum wire_stream stream, const char *data, size_t len)
{
	log_append(&m->log, stream, m->now, data, len);
	model_expect(m, stream, m->now, data, len);
}

/* A monitor that was killed before it could write the entry. */
static inline void model_put_tail(struct model *m, const char *data, size_t len)
{
	const struct timespec t = {(time_t)(m->now / 1000000000), (long)(m->now % 1000000000)};

	CHECK(write(m->log.fd, data, len) == (ssize_t)len);
	CHECK(futimens(m->log.fd, (struct timespec[]){t, t}) == 0);
	model_expect(m, WIRE_STDOUT, m->now, data, len);
}

static inline void model_again(struct model *m)
{
	model_close(m);
	CHECK_ERR(log_open(m->dirfd, m->max, &m->log, &check_err), 0, "");
}

static inline void model_look(struct model *m, bool tail, struct state_log *ret)
{
	CHECK_ERR(state_log_open(m->dirfd, O_RDWR, ret, &check_err), 0, "");
	ret->tail |= tail;
	state_log_bound(ret, m->cleared, m->max);
}

static inline void model_clear(struct model *m)
{
	struct state_log l;

	model_look(m, false, &l);
	m->cleared = l.end;
	state_log_drop(&l);
	state_log_close(&l);
}

/* Where a view must begin when the log does at @start. */
static inline void model_check_start(const struct model *m, const struct state_log *l,
				     enum log_view view, uint64_t start)
{
	uint64_t s = l->start, before = 0, line = s;

	if (view == LOG_ALL || s >= l->end) {
		CHECK(start == (view == LOG_ALL ? s : m->len[view]));
		return;
	}
	if (view != LOG_TIMES) {
		for (uint64_t i = 0; i < s; i++)
			before += m->of[i] == (view == LOG_STDOUT ? WIRE_STDOUT : WIRE_STDERR);
		CHECK(start == before);
		return;
	}
	while (line < l->end && line > 0 && m->text[LOG_ALL][line - 1] != '\n')
		line++;
	CHECK(start + WIRE_LOG_PREFIX >= m->at[s]);
	CHECK(start <= (line < l->end ? m->at[line] : m->len[view]));
	if (!l->cut)
		CHECK(start <= m->at[s]);
}

/* All of each view, as @l has it, in pieces of @size bytes. */
static inline void model_check_views(struct model *m, const struct state_log *l, size_t size)
{
	static char buf[1 << 20];
	uint64_t start = 0, end = 0, sum = 0;
	ssize_t n = 0;

	for (enum log_view view = LOG_ALL; view <= LOG_TIMES; view++) {
		CHECK(state_log_range(l, view, &start, &end) == 0);
		CHECK(end == m->len[view]);
		model_check_start(m, l, view, start);
		sum += view == LOG_STDOUT || view == LOG_STDERR ? end - start : 0;
		for (uint64_t pos = start; pos < end; pos += (uint64_t)n) {
			n = state_log_read(l, view, pos, buf, size);
			CHECK(n > 0 && (uint64_t)n <= end - pos);
			if (n <= 0 || memcmp(buf, m->text[view] + pos, (size_t)n) != 0) {
				printf("# view %d differs at %llu of %llu to %llu\n", view,
				       (unsigned long long)pos, (unsigned long long)start,
				       (unsigned long long)end);
				check_failures++;
				break;
			}
		}
		CHECK(state_log_read(l, view, end, buf, size) == 0);
	}
	CHECK(l->start > l->end || sum == l->end - l->start);
}

static inline void model_check(struct model *m, bool tail, size_t size)
{
	uint64_t checked = 0;
	struct state_log l;

	model_look(m, tail, &l);
	CHECK(state_log_check(&l, &checked) == 0 && !l.plain);
	model_check_views(m, &l, size);
	state_log_close(&l);
}

#endif
