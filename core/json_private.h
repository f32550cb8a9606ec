/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by json_doc.c, json_scan.c and json_at.c. */
#ifndef CTNFS_CORE_JSON_PRIVATE_H
#define CTNFS_CORE_JSON_PRIVATE_H

#include "json_doc.h"

/**
 * struct json_node - a value in the text. Nodes are numbered in the order in which their values
 * begin, so that of the whole document is 0.
 * @at:    where it begins. @key: where the quote of its key is; 0 in an array.
 * @next:  the first node behind it and all that is in it.
 * @count: its members or elements. @kids: where their numbers begin in struct json_doc's kids.
 * @entry: json-c's entry of a member.
 */
struct json_node {
	uint32_t at, key, next, count, kids;
	struct lh_entry *entry;
};

struct json_nodes {
	struct json_node *items;
	size_t len, room;
};

struct json_doc {
	char *text;
	size_t len;
	struct json_object *root;
	struct json_nodes nodes;
	uint32_t *kids; /* the nodes' numbers, those of one object or array side by side */
};

/** json_scan() - check a text by the rules of json_doc_parse(), duplicate keys apart, and find its
 * values. @ret: items to be freed, also after a failure. */
int json_scan(const char *text, size_t len, struct json_nodes *ret, struct ctn_err *err);

/** json_string_end() - where the string that begins with the quote @at ends: behind its other
 * quote. */
size_t json_string_end(const char *text, size_t len, size_t at);

/** struct json_place - the words in front of a sentence: "ns.net (line 3, column 7)". Zero it, add
 * the way to the value, then json_place_end(). */
struct json_place {
	char text[256];
	size_t len;
};

void json_place_key(struct json_place *place, const char *key, size_t len);
void json_place_index(struct json_place *place, size_t index);
/** @text: NULL: there is none, so no line and column. */
void json_place_end(struct json_place *place, const char *text, size_t at);

#endif
