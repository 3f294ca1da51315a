/* Rows of the one-way formats, and the two text formats' lines. The expected lines are nfdump's and flow-models'. */
#include "way_helper.h"

static void line_is(char *(*line)(char *, const struct way_row *), const struct flow_way *way, bool wire, const char *want)
{
	char *text = malloc(WAY_LINE_MAX + 1);
	struct way_row row;

	way_row_fill(&row, way, wire);
	*line(text, &row) = '\0';
	assert_string_equal(text, want);
	free(text);
}

static void line__when_ipv4__then_as_the_owners_write_it(void **state)
{
	(void)state;
	struct flow_way way = way_sample();

	line_is(pipe_line, &way, false,
		"2|1700000000124|1700000000691|6|0|0|0|3232235818|54321|0|0|0|1572395042|443|0|0|3|0|27|4|6|340\n");
	line_is(csv_flow_line, &way, false,
		"2, 6, 3, 0, 0, 0, 0, 3232235818, 0, 0, 0, 1572395042, 54321, 443, 1700000000, 124, 1700000000, 691, 6, 340, 2\n");
	line_is(csv_flow_line, &way, true,
		"2, 6, 3, 0, 0, 0, 0, 3232235818, 0, 0, 0, 1572395042, 54321, 443, 1700000000, 124, 1700000000, 691, 6, 424, 2\n");
	way.dir = 0;
	line_is(pipe_line, &way, false,
		"2|1700000000124|1700000000691|6|0|0|0|1572395042|443|0|0|0|3232235818|54321|0|0|3|0|27|4|6|340\n");
}

static void line__when_ipv6__then_four_words(void **state)
{
	(void)state;
	struct flow_way way = way_sample_v6();

	line_is(csv_flow_line, &way, false,
		"10, 6, 3, 0, 536939960, 0, 0, 65538, 4269801472, 0, 0, 1, 54321, 443, 1700000000, 124, 1700000000, 691, 6, 340, "
		"2\n");
}

static void ports__when_icmp__then_type_and_code(void **state)
{
	(void)state;
	struct flow_way way = way_sample();
	struct way_row row;

	way.key.a_port = way.key.b_port = 77; /* the echo identifier */
	way.icmp = 0x0301;
	for (unsigned i = 0; i < 2; i++) {
		way.key.proto = i ? 58 : 1;
		way_row_fill(&row, &way, false);
		assert_int_equal(row.sp, 0);
		assert_int_equal(row.dp, 0x0301);
	}
	way.key.proto = 132;
	way_row_fill(&row, &way, false);
	assert_int_equal(row.sp, 77);
}

static void line__when_all_numbers_are_the_largest__then_it_fits(void **state)
{
	(void)state;
	struct way_row row;
	char *text = malloc(WAY_LINE_MAX);

	memset(&row, 0xff, sizeof(row));
	assert_true(pipe_line(text, &row) <= text + WAY_LINE_MAX);
	assert_true(csv_flow_line(text, &row) <= text + WAY_LINE_MAX);
	free(text);
}

static void fields__when_listed__then_the_names_and_types_of_flow_models(void **state)
{
	(void)state;
	static const char want[] = "af.B prot.B inif.H outif.H sa0.I sa1.I sa2.I sa3.I da0.I da1.I da2.I da3.I sp.H dp.H first.I "
				   "first_ms.H last.I last_ms.H packets.Q octets.Q aggs.I ";
	char got[sizeof(want) + 64] = "";

	for (unsigned i = 0; i < WAY_FIELDS; i++)
		snprintf(got + strlen(got), sizeof(got) - strlen(got), "%s.%c ", way_fields[i].name, way_fields[i].code);
	assert_string_equal(got, want);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(line__when_ipv4__then_as_the_owners_write_it),
		cmocka_unit_test(line__when_ipv6__then_four_words),
		cmocka_unit_test(ports__when_icmp__then_type_and_code),
		cmocka_unit_test(line__when_all_numbers_are_the_largest__then_it_fits),
		cmocka_unit_test(fields__when_listed__then_the_names_and_types_of_flow_models),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
