/* SPDX-License-Identifier: Apache-2.0 */
/* Tables of documents of the runtime-spec that are refused: errno, path and subject of each. */
#ifndef CTNFS_TESTS_UNIT_OCI_BAD_H
#define CTNFS_TESTS_UNIT_OCI_BAD_H

#include "oci_fixture.h"

/* Where in an otherwise good document a row's text goes. */
enum place { ROOT, PROCESS, LINUX, NAMESPACES, RESOURCES, MOUNTS, WHOLE };

/* One row: the errno, the path in front of the sentence, and words in it. */
struct bad {
	enum place place;
	const char *text;
	int code;
	const char *path, *words;
};

/* A good document with @text in @place. */
static inline char *document(enum place place, const char *text)
{
	const char *at[] = {[ROOT] = "",       [PROCESS] = "",	 [LINUX] = "",
			    [NAMESPACES] = "", [RESOURCES] = "", [MOUNTS] = ""};
	bool cwd = place == PROCESS && strstr(text, "\"cwd\"");
	char *whole = NULL;
	int n;

	if (place == WHOLE)
		return strdup(text);
	at[place] = text;
	n = asprintf(&whole,
		     "{\"ociVersion\": \"1.2.0\", \"root\": {\"path\": \"/srv/r\"},\n"
		     "\"process\": {%s%s%s},\n"
		     "\"linux\": {\"namespaces\": [{\"type\": \"mount\"}, {\"type\": \"pid\"}, "
		     "{\"type\": \"uts\"}, {\"type\": \"ipc\"}, {\"type\": \"network\"}%s%s]"
		     "%s%s%s%s%s},\n\"mounts\": [%s]%s%s}",
		     at[PROCESS], cwd || !at[PROCESS][0] ? "" : ", ", cwd ? "" : "\"cwd\": \"/\"",
		     at[NAMESPACES][0] ? ", " : "", at[NAMESPACES], at[LINUX][0] ? ", " : "",
		     at[LINUX], at[RESOURCES][0] ? ", \"resources\": {" : "", at[RESOURCES],
		     at[RESOURCES][0] ? "}" : "", at[MOUNTS], at[ROOT][0] ? ", " : "", at[ROOT]);
	return n < 0 ? NULL : whole;
}

static inline void check_rows(const struct bad *rows, size_t count)
{
	struct spec *untouched = NULL;

	for (size_t i = 0; i < count; i++) {
		const struct bad *b = &rows[i];
		ctn_autofree char *text = document(b->place, b->text);
		unsigned before = check_failures;

		CHECK_ERR(import_text(text, NULL, &untouched, &check_err), b->code, b->words);
		/* The path stands in front. */
		CHECK(strncmp(check_err.text, b->path, strcspn(b->path, "\"")) == 0 ||
		      strstr(check_err.text, b->path));
		CHECK(strstr(check_err.text, "line "));
		if (check_failures > before)
			printf("# row %zu: %s: %s\n", i, b->text, check_err.text);
	}
	CHECK(untouched == NULL);
	printf("# %zu documents\n", count);
}

#endif
