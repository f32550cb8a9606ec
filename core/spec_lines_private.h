/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the files that implement spec_lines.h. */
#ifndef CTNFS_CORE_SPEC_LINES_PRIVATE_H
#define CTNFS_CORE_SPEC_LINES_PRIVATE_H

#include "spec_lines.h"
#include "spec_mounts.h"

enum { LINE_WORDS_MAX = 8 };

/** struct line_words - a line's words, in a copy of it. */
struct line_words {
	char *copy;
	char *item[LINE_WORDS_MAX];
	size_t n;
};

#define line_autowords __attribute__((cleanup(line_words_free)))

/** line_split() - at blanks. @what: the file, for the sentence. -EINVAL for more than
 * LINE_WORDS_MAX. */
int line_split(const char *what, const char *line, struct line_words *ret, struct ctn_err *err);
void line_words_free(struct line_words *words);

/** line_print() - asprintf(3) with our way of failing. */
int line_print(const char *what, char **ret, struct ctn_err *err, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/** line_check_path() - absolute, not "/", no empty part, no "." and "..": 0 or -EINVAL. */
int line_check_path(const char *what, const char *path, struct ctn_err *err);

/** spec_mount_options() - what comma-separated @text says, into @mount, which has its target and
 * type. What is no option of a mount is kept as @data. -EINVAL; -EOPNOTSUPP; -ENOMEM. */
int spec_mount_options(struct spec_mount *mount, const char *text, struct ctn_err *err);

#endif
