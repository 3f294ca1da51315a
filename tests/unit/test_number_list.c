/* Lists like "0-3,6". */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "number_list.h"

#define ROOM       4
#define LIMIT      9
#define ROWS(rows) (sizeof(rows) / sizeof((rows)[0]))

static void text__when_a_list__then_its_numbers_in_order(void **context)
{
	(void)context;
	static const struct {
		const char *text;
		int count;
		unsigned numbers[ROOM];
	} rows[] = {
		{ "0", 1, { 0 } },
		{ "0-3", 4, { 0, 1, 2, 3 } },
		{ "6,0-2", 4, { 6, 0, 1, 2 } },
		{ "3-3", 1, { 3 } },
		{ " 1 , 2 - 3 ", 3, { 1, 2, 3 } },
		{ "9,8,7", 3, { 9, 8, 7 } },
		{ "007", 1, { 7 } },
	};

	for (unsigned i = 0; i < ROWS(rows); i++) {
		/* Exact sizes: one number or character too far is seen. */
		unsigned *numbers = malloc(ROOM * sizeof(*numbers)), bad = 77;
		char *text = strdup(rows[i].text);
		assert_int_equal(number_list_parse(text, LIMIT, numbers, ROOM, &bad), rows[i].count);
		assert_memory_equal(numbers, rows[i].numbers, (size_t)rows[i].count * sizeof(*numbers));
		free(text);
		free(numbers);
	}
}

static void text__when_wrong__then_what_is_wrong(void **context)
{
	(void)context;
	static const struct {
		const char *text;
		int error;
		unsigned bad;
	} rows[] = {
		{ "", -EINVAL, 0 },
		{ " ", -EINVAL, 0 },
		{ ",", -EINVAL, 0 },
		{ "1,", -EINVAL, 0 },
		{ ",1", -EINVAL, 0 },
		{ "1,,2", -EINVAL, 0 },
		{ "1-", -EINVAL, 0 },
		{ "-1", -EINVAL, 0 },
		{ "3-1", -EINVAL, 0 },
		{ "1-2-3", -EINVAL, 0 },
		{ "a", -EINVAL, 0 },
		{ "1a", -EINVAL, 0 },
		{ "0x1", -EINVAL, 0 },
		{ "1 2", -EINVAL, 0 },
		{ "1000000000", -EINVAL, 0 }, /* would not fit */
		{ "99999999999999999999", -EINVAL, 0 },
		{ "10", -ERANGE, 10 },
		{ "8-12", -ERANGE, 10 },
		{ "0,999999999", -ERANGE, 999999999 },
		{ "1,1", -EEXIST, 1 },
		{ "0-3,2", -EEXIST, 2 },
		{ "0-4", -ENOSPC, 4 },
		{ "0,1,2,3,4", -ENOSPC, 4 },
	};

	for (unsigned i = 0; i < ROWS(rows); i++) {
		unsigned *numbers = malloc(ROOM * sizeof(*numbers)), bad = 77;
		char *text = strdup(rows[i].text);
		assert_int_equal(number_list_parse(text, LIMIT, numbers, ROOM, &bad), rows[i].error);
		if (rows[i].error != -EINVAL)
			assert_int_equal(bad, rows[i].bad);
		free(text);
		free(numbers);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text__when_a_list__then_its_numbers_in_order),
		cmocka_unit_test(text__when_wrong__then_what_is_wrong),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
