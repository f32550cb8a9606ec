/* SPDX-License-Identifier: Apache-2.0 */
/* `attach`, between a monitor that says whatever it likes (fuzz_frames.h), a log, and keys. The
 * first 64 bytes are those of the run directory's record; then 16 of what is typed, behind which
 * the messages are. Built with the program's parts. */
#include "fuzz_frames.h"
#include "monitor/attach.h"

enum { TYPED = 16, RECORD = 64, LOG_EACH = 16 /* an inotify takes long to go */ };

static int dir = -1;

/* All that is typed arrives, but for the keys that detach. */
static void check_keys(const unsigned char *typed, size_t n)
{
	char text[TYPED + 1] = "";
	unsigned char out[KEYS_MAX + 1];
	struct keys k = {.len = 0};
	struct ctn_err err = {0};
	size_t kept = 0, got = 0;

	memcpy(text, typed, n);
	if (fuzz_result(keys_parse(text, &k, &err), &err) < 0)
		FUZZ_CHECK(keys_parse("ctrl-p,ctrl-q", &k, NULL) == 0);
	for (size_t i = 0; i < n; i++) {
		const bool done = keys_feed(&k, typed[i], out, &got);

		FUZZ_CHECK(got <= KEYS_MAX + 1 && k.held <= k.len);
		kept += got;
		if (done)
			return;
		FUZZ_CHECK(kept + k.held == i + 1);
	}
}

static void check_log(const unsigned char *data, size_t size)
{
	struct follow f;
	char buf[128];
	ssize_t n;
	off_t end = 0;

	fuzz_put(dir, WIRE_LOG_NAME, data, size);
	follow_begin(&f, openat(dir, WIRE_LOG_NAME, O_RDONLY | O_CLOEXEC));
	FUZZ_CHECK(f.pos <= (off_t)size && follow_end(&f) == (off_t)size);
	for (end = f.pos; (n = follow_read(&f, buf, sizeof(buf))) > 0; end += n)
		FUZZ_CHECK(memcmp(buf, data + end, (size_t)n) == 0);
	FUZZ_CHECK(n == 0 && end == (off_t)size);
	follow_woken(&f);
	close(f.fd);
	ctn_close_fd(&f.watch);
}

static void check_link(const uint8_t *data, size_t size)
{
	struct link l = {.run = dir, .sock = -1, .master = -1, .code = -1};
	struct wire_msg msg;
	struct frame f;
	int pair[2];
	size_t len;

	frame_pair(pair);
	l.sock = pair[0];
	for (int i = 0; i < FRAMES_MAX && frame_next(&data, &size, &f, &msg, &len); i++) {
		if (len > 0)
			(void)frame_send(pair[1], &f, &msg, len);
		if (f.to & 64)
			(void)shutdown(pair[1], SHUT_WR);
		if (!link_receive(&l)) {
			FUZZ_CHECK(l.sock < 0);
			break;
		}
	}
	(void)link_code(&l);
	ctn_close_fd(&l.sock);
	close(pair[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct wire_status record = {.magic = WIRE_MAGIC, .version = WIRE_VERSION};
	int fd;

	if (dir < 0)
		dir = fuzz_dir_make();
	if (size < RECORD + TYPED)
		return 0;
	fd = fuzz_free_fd();
	memcpy((char *)&record + 2 * sizeof(uint32_t), data, RECORD);
	fuzz_put(dir, WIRE_STATUS_NAME, &record, sizeof(record) - data[0] % 2U);
	check_keys(data + RECORD, TYPED);
	if (size % LOG_EACH == 0)
		check_log(data, size);
	check_link(data + RECORD + TYPED, size - RECORD - TYPED);
	FUZZ_CHECK(fuzz_free_fd() == fd);
	return 0;
}
