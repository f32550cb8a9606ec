/* SPDX-License-Identifier: Apache-2.0 */
/* JSON from strangers: what is taken, and what is said about the rest. */
#include "json_doc.h"

#include <stdlib.h>

#include "check.h"
#include "cleanup.h"

static int parse(const char *text, struct json_doc **ret, struct ctn_err *err)
{
	return json_doc_parse(text, strlen(text), ret, err);
}

static void test_values(void)
{
	static const char text[] =
		" {\"s\": \"a\\u00e4\\ud83d\\ude00\\n\", \"n\": null,\n \"o\": {\"a\": [1, [2, "
		"true], -9223372036854775808]},\r\n\t\"u\": 18446744073709551615, \"d\": 1.0}\n ";
	struct json_doc *doc = NULL;
	struct json_at root, at, inner, third;
	const char *string = NULL;
	int64_t n = 0;
	uint64_t u = 0;
	bool b = false;

	CHECK_ERR(parse(text, &doc, &check_err), 0, "");
	if (!doc)
		return;
	root = json_root(doc);
	CHECK(json_length(&root) == 5 && json_want_object(&root, NULL) == 0);
	CHECK(json_get(&root, "s", &at) && json_want_string(&at, &string, NULL) == 0);
	CHECK_STR(string, "aä😀\n");
	CHECK(json_get(&root, "n", &at) && !at.value && at.index == 1);
	CHECK(json_get(&root, "u", &at) && json_want_uint(&at, UINT64_MAX, &u, NULL) == 0);
	CHECK(u == UINT64_MAX);
	CHECK(json_member(&root, 2, &at) && strcmp(at.key, "o") == 0);
	CHECK(json_get(&at, "a", &inner) && json_want_array(&inner, NULL) == 0);
	CHECK(json_item(&inner, 2, &third) && json_want_int(&third, INT64_MIN, 0, &n, NULL) == 0);
	CHECK(n == INT64_MIN);
	CHECK(json_item(&inner, 1, &third) && json_item(&third, 1, &at));
	CHECK(json_want_bool(&at, &b, NULL) == 0 && b);
	json_fail(&at, EINVAL, &check_err, "no %s", "good");
	CHECK_STR(check_err.text, "o.a[1][1] (line 2, column 21): no good");
	json_doc_free(doc);
}

static const struct check_test tests[] = {
	{"values", test_values},
};

int main(void)
{
	return check_run(tests, CTN_COUNT(tests));
}
