#include "sink_helper.h"

#include "flowlane/fields.h"

/* The user's keys; the order is part of the interface. */
static const char *const base_names[FIELDS_BASE] = { "protocol", "endpoint_a", "endpoint_b", "first_seen", "last_seen",
	"duration_secs", "packets_a_to_b", "packets_b_to_a", "bytes_a_to_b", "bytes_b_to_a", "packets_total", "bytes_total",
	"avg_bps", "tcp_state", "client", "retransmissions", "out_of_order", "rtt_last_ms", "rtt_min_ms", "rtt_ewma_ms",
	"rtt_samples" };

static const unsigned sizes[FIELD_TYPE_COUNT] = {
	[FIELD_PROTOCOL] = 1,
	[FIELD_ENDPOINT] = 16,
	[FIELD_TIME] = 8,
	[FIELD_DURATION] = 8,
	[FIELD_U64] = 8,
	[FIELD_U32] = 4,
	[FIELD_U16] = 2,
	[FIELD_U8] = 1,
	[FIELD_SUM] = 16,
	[FIELD_RATE] = 16,
	[FIELD_TCP_STATE] = 1,
	[FIELD_CLIENT] = 1,
	[FIELD_DIRECTION] = 1,
	[FIELD_RTT] = 4,
	[FIELD_VLAN] = 2,
	[FIELD_TUNNEL] = 4,
	[FIELD_END] = 1,
	[FIELD_BOOL] = 1,
};

static void flow_fields__when_read_in_order__then_the_users_come_first(void **state)
{
	(void)state;
	for (unsigned i = 0; i < FIELDS_BASE; i++)
		assert_string_equal(flow_fields[i].name, base_names[i]);
	assert_true(flow_fields_count > FIELDS_BASE && flow_fields_count <= FIELDS_MAX);
}

static void flow_fields__when_any_row__then_it_lies_in_the_record_and_its_name_is_its_own(void **state)
{
	(void)state;
	for (unsigned i = 0; i < flow_fields_count; i++) {
		const struct field *field = &flow_fields[i];
		assert_true(field->type < FIELD_TYPE_COUNT && sizes[field->type] > 0);
		assert_true(field->offset + sizes[field->type] <= sizeof(struct flow_record));
		assert_true(field->companion + 8u <= sizeof(struct flow_record));
		assert_non_null(field->unit);
		assert_true(strlen(field->name) <= 24); /* layouts hold a key and what stands around it in 46 */
		for (unsigned j = 0; j < i; j++)
			assert_string_not_equal(field->name, flow_fields[j].name);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(flow_fields__when_read_in_order__then_the_users_come_first),
		cmocka_unit_test(flow_fields__when_any_row__then_it_lies_in_the_record_and_its_name_is_its_own),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
