/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a fuzz target over the files of the directories given, where there is no libFuzzer. Each
 * input is its own allocation, so that a sanitizer sees a read beyond its end. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "fuzz.h"
#include "io.h"

enum { INPUT_MAX = 4 << 20 };

static int run_file(int dirfd, const char *name)
{
	ctn_autofree char *text = NULL, *exact = NULL;
	struct ctn_err err = {0};
	size_t len = 0;

	if (io_read_at(dirfd, name, INPUT_MAX, &text, &len, &err) < 0) {
		fprintf(stderr, "%s\n", err.text);
		return -1;
	}
	exact = malloc(len ?: 1);
	if (!exact)
		return -1;
	memcpy(exact, text, len);
	(void)LLVMFuzzerTestOneInput((const uint8_t *)exact, len);
	return 0;
}

/* Return: how many files were run; -1 when one could not be read. */
static int run_directory(const char *path)
{
	ctn_autoclosedir DIR *dir = opendir(path);
	int n = 0;

	if (!dir) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		return -1;
	}
	for (struct dirent *d; (d = readdir(dir));) {
		if (d->d_name[0] == '.')
			continue;
		if (run_file(dirfd(dir), d->d_name) < 0)
			return -1;
		n++;
	}
	return n;
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		int n = run_directory(argv[i]);

		if (n <= 0) {
			fprintf(stderr, "%s: nothing to run\n", argv[i]);
			return 1;
		}
		printf("%s: %d inputs\n", argv[i], n);
	}
	return argc > 1 ? 0 : 1;
}
