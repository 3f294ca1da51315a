/* CRC-32C: the examples of RFC 3720, B.4, and the CPU's instruction against the table. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "crc32c.h"

static void examples__when_summed__then_as_the_rfc_has_them(void **context)
{
	(void)context;
	uint8_t zeros[32] = { 0 }, ones[32], ascending[32];

	memset(ones, 0xff, sizeof(ones));
	for (unsigned i = 0; i < 32; i++)
		ascending[i] = (uint8_t)i;
	const struct {
		const void *data;
		size_t bytes;
		uint32_t crc;
	} rows[] = {
		{ "", 0, 0 },
		{ "123456789", 9, 0xe3069283 },
		{ zeros, 32, 0x8a9136aa },
		{ ones, 32, 0x62a8ab43 },
		{ ascending, 32, 0x46dd794e },
	};
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(crc32c(0, rows[i].data, rows[i].bytes), rows[i].crc);
		assert_int_equal(crc32c_plain(0, rows[i].data, rows[i].bytes), rows[i].crc);
	}
}

static void pieces__when_of_any_length__then_as_the_whole(void **context)
{
	(void)context;
	enum { BYTES = 100 };
	uint8_t *data = malloc(BYTES); /* exact: ASan sees one too many */

	for (unsigned i = 0; i < BYTES; i++)
		data[i] = (uint8_t)(i * i + 7);
	uint32_t whole = crc32c_plain(0, data, BYTES);
	for (unsigned at = 0; at <= BYTES; at++)
		assert_int_equal(crc32c(crc32c(0, data, at), data + at, BYTES - at), whole);
	free(data);
}

/* Long ones are summed in stretches of 7,680 bytes. */
static void long_data__when_of_any_length__then_as_without_the_instruction(void **context)
{
	(void)context;
	static const size_t rows[] = { 7679, 7680, 7681, 15359, 15360, 16384, 30727 };

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint8_t *data = malloc(rows[i]);
		for (size_t at = 0; at < rows[i]; at++)
			data[at] = (uint8_t)(at * at >> 3 ^ at);
		assert_int_equal(crc32c(i * 77777, data, rows[i]), crc32c_plain(i * 77777, data, rows[i]));
		free(data);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(examples__when_summed__then_as_the_rfc_has_them),
		cmocka_unit_test(pieces__when_of_any_length__then_as_the_whole),
		cmocka_unit_test(long_data__when_of_any_length__then_as_without_the_instruction),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
