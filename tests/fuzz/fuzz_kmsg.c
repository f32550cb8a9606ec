/* SPDX-License-Identifier: Apache-2.0 */
/* Records of the kernel's log, one a line; "\f" stands for a newline in one. */
#include <string.h>

#include "fuzz.h"
#include "kmsg.h"

static void check_word(const char *text, size_t room)
{
	FUZZ_CHECK(memchr(text, '\0', room));
	for (; *text; text++)
		FUZZ_CHECK(*text > ' ' && *text < 0x7f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1), *save = NULL;
	struct kmsg_parser parser = {0};
	struct kmsg_kill kill = {0};

	FUZZ_CHECK(text);
	memcpy(text, data, size);
	text[size] = '\0';
	for (char *p = text; *p; p++)
		*p = *p == '\f' ? '\n' : *p == '\n' ? '\v' : *p;
	for (char *line = strtok_r(text, "\v", &save); line; line = strtok_r(NULL, "\v", &save)) {
		if (!kmsg_parse(&parser, line, &kill))
			continue;
		FUZZ_CHECK(kill.pid > 0);
		check_word(kill.program, sizeof(kill.program));
		FUZZ_CHECK(memchr(kill.cgroup, '\0', sizeof(kill.cgroup)));
	}
	free(text);
	return 0;
}
