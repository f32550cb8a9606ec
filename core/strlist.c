/* SPDX-License-Identifier: Apache-2.0 */
#include "strlist.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void strlist_free(struct strlist *list)
{
	for (size_t i = 0; i < list->len; i++)
		free(list->items[i]);
	free(list->items);
	*list = (struct strlist){0};
}

int strlist_add(struct strlist *list, const char *text, size_t len)
{
	char **bigger = realloc(list->items, (list->len + 2) * sizeof(*bigger));
	char *copy;

	if (!bigger)
		return -ENOMEM;
	list->items = bigger;
	copy = strndup(text, len);
	if (!copy)
		return -ENOMEM;
	list->items[list->len++] = copy;
	list->items[list->len] = NULL;
	return 0;
}

int strlist_copy(struct strlist *dst, const struct strlist *src)
{
	for (size_t i = 0; i < src->len; i++) {
		if (strlist_add(dst, src->items[i], strlen(src->items[i])) < 0)
			return -ENOMEM;
	}
	return 0;
}
