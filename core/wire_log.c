/* SPDX-License-Identifier: Apache-2.0 */
#include "wire_log.h"

#include <string.h>

enum { ROOM_LEAST = 64 << 10, ROOM_SHARE = 4, TEXT_MOST = WIRE_LOG_PREFIX + 2 };

uint64_t wire_log_room(uint64_t max)
{
	return (max / ROOM_SHARE + ROOM_LEAST) / sizeof(struct wire_log_entry);
}

typedef uint8_t bytes __attribute__((vector_size(16)));

/* The monitor looks at every byte that its container puts out: sixteen at a time, with as many
 * sums, which must not overflow. */
static size_t count_newlines(const char *data, size_t len)
{
	size_t n = 0;

	while (len >= sizeof(bytes)) {
		bytes sums = {0}, part;

		for (int i = 0; i < UINT8_MAX && len >= sizeof(part); i++) {
			memcpy(&part, data, sizeof(part));
			sums -= (bytes)(part == '\n'); /* true is all bits: -1 */
			data += sizeof(part);
			len -= sizeof(part);
		}
		for (size_t i = 0; i < sizeof(sums); i++)
			n += sums[i];
	}
	while (len-- > 0)
		n += *data++ == '\n';
	return n;
}

uint64_t wire_log_text(const char *data, size_t len, bool middle)
{
	/* The prefix behind a last newline is that of the next entry. */
	return len + (count_newlines(data, len - 1) + !middle) * WIRE_LOG_PREFIX;
}

struct wire_log_entry wire_log_begin(const struct wire_log_entry *before, bool ended,
				     enum wire_stream stream, uint64_t time)
{
	struct wire_log_entry e = *before;

	e.time = time;
	e.flags = 0;
	if (!ended)
		e.flags = before->stream == stream ? WIRE_LOG_MIDDLE : WIRE_LOG_BREAK;
	if (e.flags & WIRE_LOG_BREAK)
		e.times_end++;
	e.stream = stream;
	return e;
}

void wire_log_grow(struct wire_log_entry *e, bool middle, const char *data, size_t len)
{
	e->log_end += len;
	e->stream_end[e->stream] += len;
	e->times_end += wire_log_text(data, len, middle);
}

bool wire_log_sound(const struct wire_log_entry *e, uint64_t end)
{
	return e->log_end > 0 && e->log_end <= end && e->stream < WIRE_STREAMS &&
	       (e->flags == 0 || e->flags == WIRE_LOG_MIDDLE || e->flags == WIRE_LOG_BREAK) &&
	       e->stream_end[WIRE_STDOUT] <= e->log_end &&
	       e->stream_end[WIRE_STDERR] == e->log_end - e->stream_end[WIRE_STDOUT] &&
	       e->times_end >= e->log_end && e->times_end / TEXT_MOST <= e->log_end;
}

bool wire_log_follows(const struct wire_log_entry *before, const struct wire_log_entry *e)
{
	const enum wire_stream other = e->stream == WIRE_STDOUT ? WIRE_STDERR : WIRE_STDOUT;
	uint64_t len = e->log_end - before->log_end, text = e->times_end - before->times_end;

	return e->log_end > before->log_end && e->times_end > before->times_end &&
	       e->stream_end[other] == before->stream_end[other] && text >= len &&
	       text / TEXT_MOST <= len;
}
