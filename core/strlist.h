/* SPDX-License-Identifier: Apache-2.0 */
/* A growing list of strings. */
#ifndef CTNFS_CORE_STRLIST_H
#define CTNFS_CORE_STRLIST_H

#include <stddef.h>

/** struct strlist - all zero when empty; otherwise NULL-terminated. */
struct strlist {
	char **items;
	size_t len;
};

void strlist_free(struct strlist *list); /* empty afterwards */

/** strlist_add() - append a copy of @len bytes of @text. strlist_copy() - append copies of all of
 * @src. 0 or -ENOMEM. */
int strlist_add(struct strlist *list, const char *text, size_t len);
int strlist_copy(struct strlist *dst, const struct strlist *src);

#endif
