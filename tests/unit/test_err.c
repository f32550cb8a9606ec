/* SPDX-License-Identifier: Apache-2.0 */
#include "err.h"

#include "check.h"
#include "cleanup.h"

static void test_fail(void)
{
	struct ctn_err err = {0};

	CHECK(ctn_fail(&err, EBUSY, "%s is %d", "x", 3) == -EBUSY);
	CHECK(err.code == EBUSY);
	CHECK_STR(err.text, "x is 3");
	CHECK(ctn_fail(NULL, EINVAL, "nobody listens") == -EINVAL);
	CHECK(ctn_fail(&err, EIO, "%s", "") == -EIO);
	CHECK_STR(err.text, "");
}

static void test_fail_errno(void)
{
	struct ctn_err err = {0};

	errno = ENOENT;
	CHECK(ctn_fail_errno(&err, "open %s", "/x") == -ENOENT);
	CHECK(err.code == ENOENT);
	CHECK_STR(err.text, "open /x: No such file or directory");
	errno = EPERM;
	CHECK(ctn_fail_errno(NULL, "x") == -EPERM);
	errno = 4000;
	CHECK(ctn_fail_errno(&err, "x") == -4000);
	CHECK_STR(err.text, "x: error");
}

static void test_context(void)
{
	struct ctn_err err = {0};

	CHECK(ctn_fail_context(NULL, "x") == -EIO);
	CHECK(ctn_fail_context(&err, "x") == -EIO);
	CHECK(err.code == 0);
	(void)ctn_fail(&err, EBUSY, "inner");
	CHECK(ctn_fail_context(&err, "outer %d", 1) == -EBUSY);
	CHECK_STR(err.text, "outer 1: inner");
	CHECK(ctn_fail_context(&err, "far") == -EBUSY);
	CHECK_STR(err.text, "far: outer 1: inner");
}

/* Names in a sentence come from users and containers. */
static void test_control_bytes(void)
{
	struct ctn_err err = {0};

	(void)ctn_fail(&err, EIO, "%s", "a\nb\tc\x1b[31m\x7f\x01 \xc3\xa9");
	CHECK_STR(err.text, "a?b?c?[31m?? \xc3\xa9");
	/* C1, as a byte, in UTF-8, and longer than it need be; a surrogate; above the last one */
	(void)ctn_fail(&err, EIO, "%s",
		       "\x9b"
		       "1\xc2\x9b"
		       "2\xe0\x82\x9b"
		       "3\xf0\x80\x82\x9b"
		       "4\xc1\x9b"
		       "5\xed\xa0\x80"
		       "6\xf4\x90\x80\x80"
		       "7\xe2\x80\xa6");
	CHECK_STR(err.text, "?1??2???3????4??5???6????7\xe2\x80\xa6");
	(void)ctn_fail_context(&err, "x\ny");
	CHECK(strchr(err.text, '\n') == NULL);
	errno = EIO;
	(void)ctn_fail_errno(&err, "\r\n");
	CHECK_STR(err.text, "??: Input/output error");
}

static void test_length(void)
{
	struct ctn_err err = {0};
	char text[2 * CTN_ERR_TEXT];

	memset(text, 'a', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	(void)ctn_fail(&err, EIO, "%s", text);
	CHECK(strlen(err.text) == CTN_ERR_TEXT - 1);
	CHECK(ctn_fail_context(&err, "outer") == -EIO);
	CHECK(strlen(err.text) == CTN_ERR_TEXT - 1 && strncmp(err.text, "outer: aa", 9) == 0);
	CHECK(ctn_fail_context(&err, "%s", text) == -EIO);
	CHECK(strlen(err.text) == CTN_ERR_TEXT - 1);
	errno = EIO;
	(void)ctn_fail_errno(&err, "%s", text);
	CHECK(strlen(err.text) == CTN_ERR_TEXT - 1);
	text[CTN_ERR_TEXT - 3] = '\0';
	errno = EIO;
	(void)ctn_fail_errno(&err, "%s", text);
	CHECK(strlen(err.text) == CTN_ERR_TEXT - 1);
}

static void test_names(void)
{
	CHECK_STR(ctn_errno_name(EBUSY), "EBUSY");
	CHECK_STR(ctn_errno_name(EOPNOTSUPP), "EOPNOTSUPP");
	CHECK_STR(ctn_errno_name(1234), "E1234");
	CHECK_STR(ctn_errno_name(-1), "E-1");
}

static void test_distance(void)
{
	static const char longer[] = "a234567890123456789012345678901234567890X";

	CHECK(ctn_distance("", "") == 0 && ctn_distance("", "abc") == 3);
	CHECK(ctn_distance("abc", "") == 3 && ctn_distance("Cap", "cAP") == 0);
	CHECK(ctn_distance("memory.limt", "memory.limit") == 1);
	CHECK(ctn_distance("kitten", "sitting") == 3);
	CHECK(ctn_distance(longer, "b234567890123456789012345678901234567890Y") == 1);
}

static const struct check_test tests[] = {
	{"ctn_fail", test_fail},
	{"ctn_fail_errno", test_fail_errno},
	{"ctn_fail_context", test_context},
	{"control bytes are not passed on", test_control_bytes},
	{"long sentences are cut", test_length},
	{"ctn_errno_name", test_names},
	{"ctn_distance", test_distance},
};

int main(void)
{
	return check_run(tests, CTN_COUNT(tests));
}
