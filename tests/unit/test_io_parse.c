/* SPDX-License-Identifier: Apache-2.0 */
#include "io.h"

#include <stdlib.h>

#include "check.h"
#include "cleanup.h"

static void test_parse_u64(void)
{
	static const struct {
		const char *text;
		uint64_t max, value;
		int code;
	} rows[] = {
		{"0", 0, 0, 0},
		{"7", 7, 7, 0},
		{"007", 7, 7, 0},
		{"18446744073709551615", UINT64_MAX, UINT64_MAX, 0},
		{"00000000000000000000000000000000001", 1, 1, 0},
		{"8", 7, 0, ERANGE},
		{"18446744073709551616", UINT64_MAX, 0, ERANGE},
		{"184467440737095516150", UINT64_MAX, 0, ERANGE},
		{"99999999999999999999999999999", UINT64_MAX, 0, ERANGE},
		{"", 9, 0, EINVAL},
		{"-0", 9, 0, EINVAL},
		{"-1", 9, 0, EINVAL},
		{"+1", 9, 0, EINVAL},
		{" 1", 9, 0, EINVAL},
		{"1 ", 9, 0, EINVAL},
		{"1\n", 9, 0, EINVAL},
		{"1.0", 9, 0, EINVAL},
		{"1,0", 9, 0, EINVAL},
		{"1e3", 9, 0, EINVAL},
		{"0x1", 9, 0, EINVAL},
		{"max", 9, 0, EINVAL},
		{"1K", 9, 0, EINVAL},
		{"\xd9\xa1", 9, 0, EINVAL}, /* a digit, but not one of ours */
	};

	for (size_t i = 0; i < CTN_COUNT(rows); i++) {
		uint64_t value = 77;

		if (rows[i].code)
			CHECK_ERR(parse_u64("the knob", rows[i].text, rows[i].max, &value,
					    &check_err),
				  rows[i].code, "the knob");
		else
			CHECK(parse_u64("the knob", rows[i].text, rows[i].max, &value, NULL) == 0);
		CHECK(value == (rows[i].code ? 77 : rows[i].value));
	}
}

static void test_parse_i64(void)
{
	static const struct {
		const char *text;
		int64_t min, max, value;
		int code;
	} rows[] = {
		{"0", 0, 0, 0, 0},
		{"-0", 0, 0, 0, 0},
		{"-1000", -1000, 1000, -1000, 0},
		{"1000", -1000, 1000, 1000, 0},
		{"9223372036854775807", INT64_MIN, INT64_MAX, INT64_MAX, 0},
		{"-9223372036854775807", INT64_MIN, INT64_MAX, -INT64_MAX, 0},
		{"-1001", -1000, 1000, 0, ERANGE},
		{"1001", -1000, 1000, 0, ERANGE},
		{"-1", 0, 5, 0, ERANGE},
		{"9223372036854775808", INT64_MIN, INT64_MAX, 0, ERANGE},
		{"-9223372036854775809", INT64_MIN, INT64_MAX, 0, ERANGE},
		{"-18446744073709551616", INT64_MIN, INT64_MAX, 0, ERANGE},
		{"", 0, 9, 0, EINVAL},
		{"-", -9, 9, 0, EINVAL},
		{"--1", -9, 9, 0, EINVAL},
		{"+1", -9, 9, 0, EINVAL},
		{"- 1", -9, 9, 0, EINVAL},
		{"-1 ", -9, 9, 0, EINVAL},
		{"1.5", -9, 9, 0, EINVAL},
	};

	for (size_t i = 0; i < CTN_COUNT(rows); i++) {
		int64_t value = 77;

		if (rows[i].code)
			CHECK_ERR(parse_i64("the knob", rows[i].text, rows[i].min, rows[i].max,
					    &value, &check_err),
				  rows[i].code, "the knob");
		else
			CHECK(parse_i64("the knob", rows[i].text, rows[i].min, rows[i].max, &value,
					NULL) == 0);
		CHECK(value == (rows[i].code ? 77 : rows[i].value));
	}
}

static const struct {
	const char *text;
	uint64_t value;
	int code;
} sizes[] = {
	{"0", 0, 0},
	{"8000000", 8000000, 0},
	{"64M", UINT64_C(64) << 20, 0},
	{"64m", UINT64_C(64) << 20, 0},
	{"1K", 1024, 0},
	{"1g", UINT64_C(1) << 30, 0},
	{"1T", UINT64_C(1) << 40, 0},
	{"0T", 0, 0},
	{"max", CTN_MAX, 0},
	{"9223372036854775807", INT64_MAX, 0},
	{"8388607T", UINT64_C(8388607) << 40, 0},
	{"9007199254740991K", UINT64_C(9007199254740991) << 10, 0},
	{"9223372036854775808", 0, ERANGE},
	{"8388608T", 0, ERANGE},
	{"9007199254740992K", 0, ERANGE},
	{"18446744073709551615", 0, ERANGE},
	{"99999999999999999999", 0, ERANGE},
	{"", 0, EINVAL},
	{"M", 0, EINVAL},
	{"-1", 0, EINVAL},
	{"+1", 0, EINVAL},
	{"1 M", 0, EINVAL},
	{"1MB", 0, EINVAL},
	{"1KK", 0, EINVAL},
	{"1P", 0, EINVAL},
	{"1.5M", 0, EINVAL},
	{"1e6", 0, EINVAL},
	{"0x10", 0, EINVAL},
	{"MAX", 0, EINVAL},
	{"max ", 0, EINVAL},
	{"64M\n", 0, EINVAL},
	{" 64M", 0, EINVAL},
};

static void test_parse_size(void)
{

	for (size_t i = 0; i < CTN_COUNT(sizes); i++) {
		uint64_t value = 77;

		if (sizes[i].code)
			CHECK_ERR(parse_size("memory.limit", sizes[i].text, &value, &check_err),
				  sizes[i].code, "memory.limit");
		else
			CHECK(parse_size("memory.limit", sizes[i].text, &value, NULL) == 0);
		CHECK(value == (sizes[i].code ? 77 : sizes[i].value));
	}
}

static void test_parse_bool(void)
{
	static const char *const bad[] = {"",	 "2",  "01", "00",  "true",
					  "yes", "1 ", " 1", "1\n", "-1"};
	bool value = false;

	CHECK(parse_bool("tty", "1", &value, NULL) == 0 && value);
	CHECK(parse_bool("tty", "0", &value, NULL) == 0 && !value);
	value = true;
	for (size_t i = 0; i < CTN_COUNT(bad); i++)
		CHECK_ERR(parse_bool("tty", bad[i], &value, &check_err), EINVAL, "tty");
	CHECK(value);
}

static void test_long_text(void)
{
	char text[5000];
	uint64_t value = 0;

	memset(text, '9', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	CHECK_ERR(parse_u64("n", text, UINT64_MAX, &value, &check_err), ERANGE, "n: 999");
	CHECK(strlen(check_err.text) < 120);
	CHECK_ERR(parse_size("n", text, &value, &check_err), ERANGE, "n: 999");
	text[0] = '\x1b';
	CHECK_ERR(parse_u64("n", text, UINT64_MAX, &value, &check_err), EINVAL, "'?999");
	CHECK(strlen(check_err.text) < 120);
}

static void test_escape(void)
{
	static const char raw[] = "a\\b\nc\td\r\x1b[0m\x7f\x80\x9b\x9f\xa0\xc3\xa9\0z";
	ctn_autofree char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	io_escape(f, raw, sizeof(raw) - 1);
	fclose(f);
	CHECK_STR(text, "a\\\\b\\nc\\td\\x0d\\x1b[0m\\x7f\\x80\\x9b\\x9f\xa0\xc3\xa9\\x00z");
}

static const struct check_test tests[] = {
	{"parse_u64", test_parse_u64},
	{"parse_i64", test_parse_i64},
	{"parse_size", test_parse_size},
	{"parse_bool", test_parse_bool},
	{"long texts are cut in sentences", test_long_text},
	{"io_escape", test_escape},
};

int main(void)
{
	return check_run(tests, CTN_COUNT(tests));
}
