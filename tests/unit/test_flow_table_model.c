/*
 * The flow table against a naive model: 100,000 flows in an array, random packets, timeouts and long silences. Both must come to
 * the same records, byte for byte.
 */
#include "flow_table_rig.h"

enum { KEYS = 100000, PACKETS = 700000 };

struct model_flow {
	bool alive;
	struct flow_record record;
};

static struct flow_key model_key(uint32_t i, uint64_t *random)
{
	static const uint8_t protos[] = { PROTO_TCP, PROTO_TCP, PROTO_UDP, PROTO_ICMP, 132, 47 };
	uint8_t proto = protos[random_below(random, ROWS(protos))];
	uint16_t port = (uint16_t)random_u64(random);
	/* Few different addresses, so that keys resemble each other; i makes them different. */
	struct flow_key key = random_below(random, 3) ? key_v4(proto, i >> 8, (uint16_t)i, 0x7f000000, port)
						      : key_v6(proto, i >> 8, (uint16_t)i, 0x7f000000, port);

	if (random_below(random, 4) == 0)
		key.vlan = (uint16_t)random_below(random, 4096);
	if (random_below(random, 8) == 0)
		key.tunnel = random_below(random, 1 << 24);
	return key;
}

static void table__after_random_packets__then_the_same_records_as_a_model(void **context)
{
	(void)context;
	const uint64_t timeout_ns = 2 * SEC;
	struct model_flow *flows = calloc(KEYS, sizeof(*flows));
	struct table_rig rig, model = { 0 };
	uint64_t random = 42, now_ns = T0;

	for (uint32_t i = 0; i < KEYS; i++)
		flows[i].record.key = model_key(i, &random);
	/* Just room for all: nothing is evicted. */
	table_rig_open(&rig, KEYS, timeout_ns);
	for (unsigned i = 0; i < PACKETS; i++) {
		struct model_flow *flow = &flows[random_below(&random, KEYS)];
		struct flow_record *record = &flow->record;
		struct made made;
		unsigned dir = random_u64(&random) & 1;
		now_ns += random_below(&random, 20000);
		if (i % 60000 == 59999)
			now_ns += random_u64(&random) % (600 * SEC);
		table_rig_packet(&rig, &made, &record->key, dir, now_ns);
		made.frame.wire_len = 60 + random_below(&random, 1400);
		made.packet.l3_len = made.frame.wire_len - 14;
		made.packet.tos = (uint8_t)random_u64(&random);
		table_rig_feed(&rig, &made);

		if (flow->alive && now_ns - record->last_ns > timeout_ns) {
			record->end = FLOW_END_TIMEOUT;
			record->end_ns = record->last_ns + timeout_ns;
			table_rig_keep(&model, record, 1);
			flow->alive = false;
		}
		if (!flow->alive) {
			struct flow_key key = record->key;
			*record = (struct flow_record){
				.key = key, .first_ns = now_ns, .first_dir = (uint8_t)dir, .tos = made.packet.tos
			};
			record->tcp_state = key.proto == PROTO_TCP ? TCP_STATE_UNKNOWN : TCP_STATE_NONE;
			flow->alive = true;
		}
		record->last_ns = now_ns;
		record->packets[dir]++;
		record->bytes[dir] += made.frame.wire_len;
		record->l3_bytes[dir] += made.packet.l3_len;
	}
	for (uint32_t i = 0; i < KEYS; i++) {
		struct flow_record *record = &flows[i].record;
		bool over = now_ns - record->last_ns > timeout_ns;
		if (!flows[i].alive)
			continue;
		record->end = over ? FLOW_END_TIMEOUT : FLOW_ALIVE;
		record->end_ns = record->last_ns + (over ? timeout_ns : 0);
		table_rig_keep(&model, record, 1);
	}
	table_rig_drain(&rig);
	assert_int_equal(rig.ledger.flows_ended[FLOW_END_EVICTION], 0);
	assert_int_equal(rig.count, model.count);
	assert_true(rig.count > 2 * KEYS);
	qsort(rig.records, rig.count, sizeof(*rig.records), record_compare);
	qsort(model.records, model.count, sizeof(*model.records), record_compare);
	for (size_t i = 0; i < rig.count; i++)
		assert_memory_equal(&rig.records[i], &model.records[i], sizeof(*rig.records));
	table_rig_close(&rig);
	free(model.records);
	free(flows);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(table__after_random_packets__then_the_same_records_as_a_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
