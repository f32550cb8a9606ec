/* SPDX-License-Identifier: Apache-2.0 */
#include "json_doc.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "json_private.h"

enum { KEY_SHOWN = 64 };

/* --- where one ends --- */

/* At the first byte that is too many. */
static int fail_size(const char *text, struct ctn_err *err)
{
	struct json_place place = {0};

	json_place_end(&place, text, JSON_DOC_MAX);
	return ctn_fail(err, EINVAL, "%s: a document has at most %d bytes", place.text,
			JSON_DOC_MAX);
}

ssize_t json_doc_end(const char *text, size_t len, struct ctn_err *err)
{
	struct json_place place = {0};
	size_t depth = 0, at = 0;

	while (at < len && text[at] && strchr(" \t\r\n", text[at]))
		at++;
	if (at < len && text[at] != '{') {
		json_place_end(&place, text, at);
		return ctn_fail(err, EINVAL, "%s: a document begins with '{', not with '%.1s'",
				place.text, text + at);
	}
	while (at < len && at < JSON_DOC_MAX) {
		char c = text[at];

		at = c == '"' ? json_string_end(text, len, at) : at + 1;
		if (c == '{' || c == '[')
			depth++;
		if ((c == '}' || c == ']') && --depth == 0)
			return (ssize_t)at;
	}
	return len > JSON_DOC_MAX ? fail_size(text, err) : 0;
}

/* --- places --- */

static void place_add(struct json_place *p, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* What is too long is cut. */
static void place_add(struct json_place *p, const char *fmt, ...)
{
	size_t room = sizeof(p->text) - p->len;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(p->text + p->len, room, fmt, ap);
	va_end(ap);
	if (n > 0)
		p->len += (size_t)n < room ? (size_t)n : room - 1;
}

void json_place_key(struct json_place *p, const char *key, size_t len)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				    "0123456789_-./:@+$";
	bool quote = len == 0;

	for (size_t i = 0; i < len; i++)
		quote = quote || !key[i] || !strchr(plain, key[i]);
	place_add(p, quote ? "%s'%.*s%s'" : "%s%.*s%s", p->len > 0 ? "." : "",
		  (int)(len < KEY_SHOWN ? len : KEY_SHOWN), key, len > KEY_SHOWN ? "…" : "");
}

void json_place_index(struct json_place *p, size_t index)
{
	place_add(p, "[%zu]", index);
}

void json_place_end(struct json_place *p, const char *text, size_t at)
{
	enum { POSITION_MAX = 48 };
	size_t line = 1, column = 1;

	if (!text) {
		if (p->len == 0)
			place_add(p, "the document");
		return;
	}
	for (size_t i = 0; i < at; i++) {
		if (text[i] == '\n')
			line++, column = 1;
		else /* one for each character, as editors count */
			column += ((unsigned char)text[i] & 0xc0) != 0x80;
	}
	if (p->len > sizeof(p->text) - POSITION_MAX) {
		p->len = sizeof(p->text) - POSITION_MAX;
		place_add(p, "…");
	}
	place_add(p, p->len > 0 ? " (line %zu, column %zu)" : "line %zu, column %zu", line, column);
}

/* From the top of the text down to a node. */
static void place_node(struct json_place *p, const struct json_doc *doc, uint32_t target)
{
	const struct json_node *nodes = doc->nodes.items;

	for (uint32_t n = 0; n != target;) {
		uint32_t i = 0, kid = n + 1;

		while (nodes[kid].next <= target)
			kid = nodes[kid].next, i++;
		if (nodes[kid].entry)
			json_place_key(p, lh_entry_k(nodes[kid].entry),
				       strlen(lh_entry_k(nodes[kid].entry)));
		else
			json_place_index(p, i);
		n = kid;
	}
}

/* Without a text there are only the parents to say it. */
static void place_parents(struct json_place *p, const struct json_at *at)
{
	if (!at->parent)
		return;
	place_parents(p, at->parent);
	if (at->key)
		json_place_key(p, at->key, strlen(at->key));
	else
		json_place_index(p, at->index);
}

static void place_of(struct json_place *p, const struct json_at *at)
{
	if (at->doc) {
		place_node(p, at->doc, at->node);
		json_place_end(p, at->doc->text, at->doc->nodes.items[at->node].at);
	} else {
		place_parents(p, at);
		json_place_end(p, NULL, 0);
	}
}

int json_fail(const struct json_at *at, int code, struct ctn_err *err, const char *fmt, ...)
{
	char sentence[CTN_ERR_TEXT];
	struct json_place place = {0};
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(sentence, sizeof(sentence), fmt, ap);
	va_end(ap);
	place_of(&place, at);
	return ctn_fail(err, code, "%s: %s", place.text, sentence);
}

int json_fail_context(const struct json_at *at, struct ctn_err *err)
{
	struct json_place place = {0};

	place_of(&place, at);
	return ctn_fail_context(err, "%s", place.text);
}

/* --- parsing --- */

/* Each node knows what is next to it; now each object and array finds its values by number. */
static int number_kids(struct json_doc *doc, struct ctn_err *err)
{
	uint32_t used = 0;

	doc->kids = calloc(doc->nodes.len, sizeof(*doc->kids));
	if (!doc->kids)
		return ctn_fail(err, ENOMEM, "no memory for a document");
	for (uint32_t n = 0; n < doc->nodes.len; n++) {
		struct json_node *node = &doc->nodes.items[n];
		uint32_t kid = n + 1;

		node->kids = used;
		for (uint32_t i = 0; i < node->count; i++) {
			doc->kids[used++] = kid;
			kid = doc->nodes.items[kid].next;
		}
	}
	return 0;
}

/* Member number @i's key as a value, to be put; NULL without memory. */
static struct json_object *key_of(const struct json_doc *doc, const struct json_node *node,
				  uint32_t i, size_t *ret_at)
{
	size_t from = doc->nodes.items[doc->kids[node->kids + i]].key;
	size_t end = json_string_end(doc->text, doc->len, from);
	struct json_tokener *tok = json_tokener_new();
	struct json_object *key = NULL;

	if (tok) {
		key = json_tokener_parse_ex(tok, doc->text + from, (int)(end - from));
		json_tokener_free(tok);
	}
	*ret_at = from;
	return key;
}

/* json-c has let the last of two win; the text has both. */
static int refuse_duplicate(const struct json_doc *doc, const struct json_at *at,
			    struct ctn_err *err)
{
	const struct json_node *node = &doc->nodes.items[at->node];
	struct json_object *seen = json_object_new_object();
	bool twice = false;

	for (uint32_t i = 0; seen && !twice && i < node->count; i++) {
		struct json_place place = {0};
		size_t from;
		struct json_object *key = key_of(doc, node, i, &from);
		const char *name = json_object_get_string(key);

		if (!name)
			break;
		twice = json_object_object_get_ex(seen, name, NULL);
		if (twice) {
			place_node(&place, doc, at->node);
			json_place_key(&place, name, strlen(name));
			json_place_end(&place, doc->text, from);
			ctn_fail(err, EINVAL, "%s: this key is there twice", place.text);
		}
		json_object_object_add(seen, name, NULL);
		json_object_put(key);
	}
	json_object_put(seen);
	return twice ? -EINVAL : ctn_fail(err, ENOMEM, "no memory for a document");
}

/* Both trees are in the order of the text, once no key is there twice. */
static int join_trees(struct json_doc *doc, const struct json_at *at, struct ctn_err *err)
{
	const struct json_node *node = &doc->nodes.items[at->node];
	bool object = json_object_is_type(at->value, json_type_object);
	struct lh_entry *entry = object ? lh_table_head(json_object_get_object(at->value)) : NULL;
	struct json_at kid = {0};

	if (object && (size_t)json_object_object_length(at->value) != node->count)
		return refuse_duplicate(doc, at, err);
	for (uint32_t i = 0; i < node->count; i++) {
		int r;

		doc->nodes.items[doc->kids[node->kids + i]].entry = entry;
		entry = entry ? entry->next : NULL;
		if (!(object ? json_member(at, i, &kid) : json_item(at, i, &kid)))
			continue;
		r = join_trees(doc, &kid, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int parse_values(struct json_doc *doc, struct ctn_err *err)
{
	/* one level for the values in the innermost array, one that json-c keeps free */
	struct json_tokener *tok = json_tokener_new_ex(JSON_DOC_DEPTH + 2);
	int r = 0;

	if (!tok)
		return ctn_fail(err, ENOMEM, "no memory for a document");
	json_tokener_set_flags(tok, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8 |
					    JSON_TOKENER_ALLOW_TRAILING_CHARS);
	doc->root = json_tokener_parse_ex(tok, doc->text, (int)doc->len);
	if (!doc->root) {
		struct json_place place = {0};

		json_place_end(&place, doc->text, json_tokener_get_parse_end(tok));
		r = ctn_fail(err, EINVAL, "%s: %s", place.text,
			     json_tokener_error_desc(json_tokener_get_error(tok)));
	}
	json_tokener_free(tok);
	return r;
}

int json_doc_parse(const char *text, size_t len, struct json_doc **ret, struct ctn_err *err)
{
	struct json_doc *doc;
	struct json_at root;
	int r;

	if (len > JSON_DOC_MAX)
		return fail_size(text, err);
	doc = calloc(1, sizeof(*doc));
	if (doc)
		doc->text = malloc(len + 1);
	if (!doc || !doc->text) {
		json_doc_free(doc);
		return ctn_fail(err, ENOMEM, "no memory for a document");
	}
	memcpy(doc->text, text, len);
	doc->text[len] = '\0';
	doc->len = len;
	r = json_scan(doc->text, len, &doc->nodes, err);
	if (r == 0)
		r = number_kids(doc, err);
	if (r == 0)
		r = parse_values(doc, err);
	root = json_root(doc);
	if (r == 0)
		r = join_trees(doc, &root, err);
	if (r < 0) {
		json_doc_free(doc);
		return r;
	}
	*ret = doc;
	return 0;
}

void json_doc_free(struct json_doc *doc)
{
	if (!doc)
		return;
	json_object_put(doc->root);
	free(doc->nodes.items);
	free(doc->kids);
	free(doc->text);
	free(doc);
}
