/* The flow table: which flow a packet belongs to, and when flows end by time. Eviction: test_flow_eviction.c. */
#include <sys/wait.h>
#include <unistd.h>

#include "flow_table_rig.h"
#include "timers.h"

#define TICK_NS ((uint64_t)1 << TIMER_TICK_SHIFT)

static struct flow_key udp_key(uint32_t n)
{
	return key_v4(PROTO_UDP, 0x0a000000 + n, 1000, 0x0b000000, 2000);
}

static struct flow_key tcp_key(uint32_t n)
{
	return key_v4(PROTO_TCP, 0x0a000000 + n, 1000, 0x0b000000, 2000);
}

/* --- identity -------------------------------------------------------------------------------------------------------- */

static void flow__when_one_member_of_the_key_differs__then_another_flow(void **context)
{
	(void)context;
	struct flow_key keys[40];
	struct flow *flows[40];
	unsigned n = 0;

	for (unsigned v6 = 0; v6 < 2; v6++) {
		const struct flow_key base = v6 ? key_v6(PROTO_UDP, 1, 2, 3, 4) : key_v4(PROTO_UDP, 1, 2, 3, 4);
		for (unsigned i = 0; i < 16; i++)
			keys[n + i] = base;
		keys[n + 1].a_ip[15] ^= 0x80;
		keys[n + 2].a_ip[12] ^= 1;
		keys[n + 3].b_ip[15] ^= 0x80;
		keys[n + 4].b_ip[12] ^= 1;
		keys[n + 5].a_port ^= 1;
		keys[n + 6].b_port ^= 0x8000;
		keys[n + 7].proto = PROTO_TCP;
		keys[n + 8].proto = 132;
		keys[n + 9].vlan = 0;
		keys[n + 10].vlan = 100;
		keys[n + 11].tunnel = 1;
		keys[n + 12].tunnel = 0x80000000;
		keys[n + 13] = v6 ? key_v6(PROTO_UDP, 3, 2, 1, 4) : key_v4(PROTO_UDP, 3, 2, 1, 4);
		keys[n + 14] = v6 ? key_v6(PROTO_UDP, 1, 4, 3, 2) : key_v4(PROTO_UDP, 1, 4, 3, 2);
		keys[n + 15].proto = 0;
		n += 16;
		if (v6) {
			keys[n++] = base;
			keys[n - 1].a_ip[0] ^= 1;
			keys[n++] = base;
			keys[n - 1].b_ip[7] ^= 0x80;
		}
	}

	struct table_rig rig;
	table_rig_open(&rig, 100, 60 * SEC);
	for (unsigned i = 0; i < n; i++)
		flows[i] = table_rig_touch(&rig, &keys[i], i & 1, T0 + i);
	assert_int_equal(rig.ledger.flows_created, n);
	for (unsigned i = 0; i < n; i++)
		assert_ptr_equal(table_rig_touch(&rig, &keys[i], 0, T0 + n + i), flows[i]);
	assert_int_equal(rig.ledger.flows_created, n);
	table_rig_drain(&rig);
	for (unsigned i = 0; i < n; i++) {
		const struct flow_record *record = table_rig_record(&rig, &keys[i]);
		assert_non_null(record);
		assert_memory_equal(&record->key, &keys[i], sizeof(keys[i]));
		assert_int_equal(record->packets[0], i & 1 ? 1 : 2);
		assert_int_equal(record->packets[1], i & 1);
		assert_int_equal(record->first_dir, i & 1);
		assert_int_equal(record->end, FLOW_ALIVE);
		assert_int_equal(record->first_ns, T0 + i);
		assert_int_equal(record->last_ns, T0 + n + i);
		assert_int_equal(record->end_ns, T0 + n + i);
	}
	table_rig_close(&rig);
}

/* All flows with the same 64-bit hash: same buckets, same tag; the addresses decide. */
static void flow__when_hashes_are_the_same__then_found_by_the_key(void **context)
{
	(void)context;
	enum { FLOWS = 16 }; /* what two buckets hold */

	for (unsigned v6 = 0; v6 < 2; v6++) {
		struct flow_key keys[FLOWS];
		struct flow *flows[FLOWS];
		struct table_rig rig;
		for (unsigned i = 0; i < FLOWS; i++)
			keys[i] = v6 ? key_v6(PROTO_UDP, i, 7, 1000, 9) : key_v4(PROTO_UDP, i, 7, 1000, 9);
		table_rig_open_seeded(&rig, 1000, 60 * SEC, seed_that_collides(&keys[0]));
		assert_true(flow_key_hash(&rig.seed, &keys[0]) == flow_key_hash(&rig.seed, &keys[1]));
		for (unsigned turn = 0; turn < 3; turn++) {
			uint64_t start_ns = T0 + turn * 1000 * SEC;
			for (unsigned i = 0; i < FLOWS; i++)
				flows[i] = table_rig_touch(&rig, &keys[i], 0, start_ns + i);
			for (unsigned i = FLOWS; i-- > 0;)
				assert_ptr_equal(table_rig_touch(&rig, &keys[i], 1, start_ns + 100), flows[i]);
			assert_int_equal(rig.ledger.flows_alive, FLOWS);
			/* Half of them go, which may free the first bucket; the others are found still. */
			for (unsigned i = 1; i < FLOWS; i += 2)
				table_rig_touch(&rig, &keys[i], 0, start_ns + 40 * SEC);
			table_rig_tick(&rig, start_ns + 70 * SEC);
			assert_int_equal(rig.ledger.flows_alive, FLOWS / 2);
			for (unsigned i = 1; i < FLOWS; i += 2)
				assert_ptr_equal(table_rig_touch(&rig, &keys[i], 0, start_ns + 71 * SEC), flows[i]);
			table_rig_tick(&rig, start_ns + 200 * SEC);
			assert_int_equal(rig.ledger.flows_alive, 0);
			assert_int_equal(rig.ledger.flows_created, (turn + 1) * FLOWS);
		}
		assert_int_equal(rig.ledger.flows_ended[FLOW_END_TIMEOUT], 3 * FLOWS);
		table_rig_drain(&rig);
		assert_int_equal(table_rig_packets(&rig), 3 * (FLOWS * 2 + FLOWS));
		table_rig_close(&rig);
	}
}

/* As above with only one member different, and packets that claim the same hash: bucket and tag decide nothing. */
static void flow__when_hashes_are_the_same_and_one_member_differs__then_another_flow(void **context)
{
	(void)context;
	for (unsigned kind = 0; kind < 8; kind++) {
		bool v6 = kind & 1;
		uint8_t proto = kind & 2 ? PROTO_TCP : PROTO_UDP;
		for (unsigned byte = 0; byte < sizeof(struct flow_key); byte++) {
			struct flow_key keys[2];
			struct flow *flows[2];
			struct table_rig rig;
			keys[0] = v6 ? key_v6(proto, 1, 2, 3, 4) : key_v4(proto, 1, 2, 3, 4);
			keys[0].tunnel = kind & 4 ? 77 : 0;
			keys[1] = keys[0];
			/* The bytes that are in the key of an IPv4 flow only as zeros; and the version, which says how to read the rest. */
			bool address = byte < offsetof(struct flow_key, a_port);
			if ((!v6 && address && byte % 16 < FLOW_KEY_V4_OFFSET) || byte == offsetof(struct flow_key, ip_version))
				continue;
			((uint8_t *)&keys[1])[byte] ^= 0x10;
			/* No timeout and room enough: nothing is looked up by the true hash. */
			table_rig_open(&rig, 100, FLOW_NO_TIMEOUT);
			for (unsigned i = 0; i < 4; i++) {
				struct made made;
				table_rig_packet(&rig, &made, &keys[i & 1], 0, T0 + i);
				made.packet.hash = 0x1234567812345678;
				if (made.packet.key.ip_version != 4)
					made.packet.addresses = made.packet.hash;
				struct flow *flow = table_rig_feed(&rig, &made);
				if (i < 2)
					flows[i] = flow;
				assert_ptr_equal(flow, flows[i & 1]);
			}
			if (flows[0] == flows[1])
				fail_msg("IPv%u, byte %u of the key", v6 ? 6 : 4, byte);
			assert_int_equal(rig.ledger.flows_created, 2);
			table_rig_close(&rig);
		}
	}
}

/* The tags are the same, and the buckets, but not the hash: what the match says is another flow, and flow_table_get() finds the one. */
static void flow__when_tags_are_the_same__then_found_by_the_key(void **context)
{
	(void)context;
	enum { FLOWS = 5 };
	const struct hash_seed seed = HASH_SEED_FIXED;
	struct flow_key keys[FLOWS];
	struct flow *flows[FLOWS];
	struct table_rig rig;
	unsigned found = 0;

	/* Bits 47..32 are the tag, those below the bucket: their first four must be 0. */
	for (uint32_t i = 0; found < FLOWS && i < 100000000; i++) {
		struct flow_key key = udp_key(i);
		uint64_t hash = flow_key_hash(&seed, &key);
		if ((hash >> 28 & 0xfffff) == 0xbeef0)
			keys[found++] = key;
	}
	assert_int_equal(found, FLOWS);
	table_rig_open(&rig, 7, 60 * SEC);
	for (unsigned i = 0; i < FLOWS; i++)
		flows[i] = table_rig_touch(&rig, &keys[i], 0, T0);
	unsigned wrong_matches = 0;
	for (unsigned i = 0; i < FLOWS; i++) {
		struct made made;
		struct flow *match;
		const struct packet *packet = &made.packet;
		table_rig_packet(&rig, &made, &keys[i], 0, T0 + 1);
		flow_table_match(rig.table, &packet, 1, &match);
		wrong_matches += match && match != flows[i];
		assert_ptr_equal(table_rig_touch(&rig, &keys[i], 0, T0 + 1), flows[i]);
	}
	assert_int_equal(wrong_matches, FLOWS - 1);
	assert_int_equal(rig.ledger.flows_created, FLOWS);
	table_rig_close(&rig);
}

/* Two packets of a new flow in one batch: neither has a match. */
static void batch__when_a_new_flow_has_two_packets__then_one_flow(void **context)
{
	(void)context;
	struct table_rig rig;
	struct made made[2];
	const struct packet *packets[2] = { &made[0].packet, &made[1].packet };
	struct flow *matches[2];
	struct flow_key key = tcp_key(1);

	table_rig_open(&rig, 10, 60 * SEC);
	table_rig_packet(&rig, &made[0], &key, 0, T0);
	table_rig_packet(&rig, &made[1], &key, 1, T0 + 1);
	flow_table_match(rig.table, packets, 2, matches);
	assert_null(matches[0]);
	assert_null(matches[1]);
	struct flow *first = flow_table_get(rig.table, packets[0]);
	assert_ptr_equal(flow_table_get(rig.table, packets[1]), first);
	assert_int_equal(rig.ledger.flows_created, 1);
	table_rig_close(&rig);
}

/* What was matched ends, and its slot becomes another flow, before the packet's turn. */
static void batch__when_the_match_has_become_another_flow__then_not_taken(void **context)
{
	(void)context;
	struct table_rig rig;
	struct made made;
	const struct packet *packet = &made.packet;
	struct flow *match;
	struct flow_key old = udp_key(1), new = udp_key(2);

	table_rig_open(&rig, 10, 60 * SEC);
	struct flow *first = table_rig_touch(&rig, &old, 0, T0);
	table_rig_packet(&rig, &made, &old, 0, T0 + 100 * SEC);
	flow_table_match(rig.table, &packet, 1, &match);
	assert_ptr_equal(match, first);
	table_rig_tick(&rig, T0 + 100 * SEC);
	assert_false(flow_table_hit(match, packet, rig.timeout_ns));
	assert_ptr_equal(table_rig_touch(&rig, &new, 0, T0 + 100 * SEC), first);
	assert_false(flow_table_hit(match, packet, rig.timeout_ns));
	assert_ptr_not_equal(flow_table_get(rig.table, packet), first);
	assert_int_equal(rig.ledger.flows_alive, 2);
	table_rig_close(&rig);
}

/* --- the end by time ------------------------------------------------------------------------------------------------- */

static void timeout__when_a_packet_comes_after_it__then_a_new_flow(void **context)
{
	(void)context;
	static const uint64_t timeouts_ns[] = { 1, 1000, TICK_NS - 1, TICK_NS, SEC, 60 * SEC, 275 * SEC, 600 * SEC, 86400 * SEC };

	for (unsigned i = 0; i < ROWS(timeouts_ns); i++) {
		for (unsigned tcp = 0; tcp < 2; tcp++) {
			uint64_t timeout_ns = timeouts_ns[i], at_ns = T0;
			struct flow_key key = tcp ? tcp_key(1) : udp_key(1);
			struct table_rig rig;
			table_rig_open(&rig, 10, timeout_ns);
			table_rig_touch(&rig, &key, 0, at_ns);
			/* Exactly the timeout is not too long. */
			at_ns += timeout_ns;
			table_rig_touch(&rig, &key, 1, at_ns);
			assert_int_equal(rig.ledger.flows_created, 1);
			uint64_t last_ns = at_ns;
			at_ns += timeout_ns + 1;
			table_rig_touch(&rig, &key, 1, at_ns);
			assert_int_equal(rig.ledger.flows_created, 2);
			assert_int_equal(rig.ledger.flows_ended[FLOW_END_TIMEOUT], 1);
			table_rig_drain(&rig);
			/* Drained: first the ended one, which is older. */
			qsort(rig.records, rig.count, sizeof(*rig.records), record_compare);
			assert_int_equal(rig.count, 2);
			assert_int_equal(rig.records[0].end, FLOW_END_TIMEOUT);
			assert_int_equal(rig.records[0].first_ns, T0);
			assert_int_equal(rig.records[0].last_ns, last_ns);
			assert_int_equal(rig.records[0].end_ns, last_ns + timeout_ns);
			assert_int_equal(record_packets(&rig.records[0]), 2);
			assert_int_equal(rig.records[1].end, FLOW_ALIVE);
			assert_int_equal(rig.records[1].first_ns, at_ns);
			assert_int_equal(rig.records[1].end_ns, at_ns);
			assert_int_equal(record_packets(&rig.records[1]), 1);
			assert_int_equal(rig.records[1].first_dir, 1);
			table_rig_close(&rig);
		}
	}
}

static void timeout__when_nothing_comes__then_ended_within_a_tick_after_it_but_not_before(void **context)
{
	(void)context;
	static const uint64_t timeouts_ns[] = { 1, SEC / 3, SEC, 60 * SEC, 274 * SEC, 300 * SEC, 3600 * SEC };

	for (unsigned i = 0; i < ROWS(timeouts_ns); i++) {
		struct flow_key udp = udp_key(1), tcp = tcp_key(1);
		struct table_rig rig;
		uint64_t last_ns = T0 + SEC, end_ns = last_ns + timeouts_ns[i];
		table_rig_open(&rig, 10, timeouts_ns[i]);
		table_rig_touch(&rig, &udp, 0, last_ns);
		table_rig_touch(&rig, &tcp, 0, last_ns);
		/* Some steps on the way: the wheel looks, and puts back. */
		for (unsigned step = 1; step < 50; step++) {
			table_rig_tick(&rig, last_ns + timeouts_ns[i] / 50 * step);
			assert_int_equal(rig.ledger.flows_alive, 2);
		}
		table_rig_tick(&rig, end_ns);
		assert_int_equal(rig.ledger.flows_alive, 2);
		table_rig_tick(&rig, end_ns + TICK_NS);
		assert_int_equal(rig.ledger.flows_alive, 0);
		assert_int_equal(rig.count, 2);
		for (unsigned k = 0; k < 2; k++) {
			assert_int_equal(rig.records[k].end, FLOW_END_TIMEOUT);
			assert_int_equal(rig.records[k].end_ns, end_ns);
		}
		table_rig_close(&rig);
	}
}

static void timeout__when_packets_keep_coming__then_one_flow(void **context)
{
	(void)context;
	struct flow_key key = tcp_key(1), other = udp_key(2);
	struct table_rig rig;
	uint64_t at_ns = T0;

	table_rig_open(&rig, 10, 60 * SEC);
	struct flow *flow = table_rig_touch(&rig, &key, 0, at_ns);
	for (unsigned i = 0; i < 100; i++) {
		at_ns += 31 * SEC;
		table_rig_touch(&rig, &other, 0, at_ns - 10);
		assert_ptr_equal(table_rig_touch(&rig, &key, 0, at_ns), flow);
	}
	assert_int_equal(rig.ledger.flows_created, 2);
	table_rig_tick(&rig, at_ns + 61 * SEC);
	assert_int_equal(rig.ledger.flows_alive, 0);
	const struct flow_record *record = table_rig_record(&rig, &key);
	assert_int_equal(record_packets(record), 101);
	assert_int_equal(record->end_ns, at_ns + 60 * SEC);
	table_rig_close(&rig);
}

static void timeout__when_never__then_flows_stay(void **context)
{
	(void)context;
	struct flow_key key = udp_key(1);
	struct table_rig rig;

	table_rig_open(&rig, 10, FLOW_NO_TIMEOUT);
	struct flow *flow = table_rig_touch(&rig, &key, 0, T0);
	table_rig_tick(&rig, T0 + 1000000000 * SEC);
	flow_table_expire(rig.table, T0 + 1000000000 * SEC);
	assert_ptr_equal(table_rig_touch(&rig, &key, 0, T0 + 1000000000 * SEC), flow);
	table_rig_drain(&rig);
	assert_int_equal(rig.count, 1);
	assert_int_equal(rig.records[0].end, FLOW_ALIVE);
	table_rig_close(&rig);
}

static void drain__when_the_wheel_has_not_come_yet__then_by_the_time_all_the_same(void **context)
{
	(void)context;
	struct flow_key over = udp_key(1), exact = udp_key(2), tcp = tcp_key(3), alive = tcp_key(4);
	struct table_rig rig;

	table_rig_open(&rig, 10, 60 * SEC);
	table_rig_touch(&rig, &over, 0, T0);
	table_rig_touch(&rig, &tcp, 0, T0);
	table_rig_touch(&rig, &exact, 0, T0 + 1);
	table_rig_touch(&rig, &alive, 0, T0 + 50 * SEC);
	/* Without a call of flow_table_expire(). */
	flow_table_drain(rig.table, T0 + 1 + 60 * SEC);
	assert_int_equal(rig.count, 4);
	assert_int_equal(table_rig_record(&rig, &over)->end, FLOW_END_TIMEOUT);
	assert_int_equal(table_rig_record(&rig, &over)->end_ns, T0 + 60 * SEC);
	assert_int_equal(table_rig_record(&rig, &tcp)->end, FLOW_END_TIMEOUT);
	assert_int_equal(table_rig_record(&rig, &exact)->end, FLOW_ALIVE);
	assert_int_equal(table_rig_record(&rig, &exact)->end_ns, T0 + 1);
	assert_int_equal(table_rig_record(&rig, &alive)->end, FLOW_ALIVE);
	assert_int_equal(rig.ledger.flows_ended[FLOW_END_TIMEOUT], 2);
	assert_int_equal(rig.ledger.flows_alive, 2);
	table_rig_audit(&rig);
	table_rig_close(&rig);
}

static void drain__when_many_flows__then_all_handed_out(void **context)
{
	(void)context;
	enum { FLOWS = 1000 };
	struct table_rig rig;

	table_rig_open(&rig, FLOWS, 60 * SEC);
	for (uint32_t i = 0; i < FLOWS; i++) {
		struct flow_key key = i & 1 ? udp_key(i) : tcp_key(i);
		table_rig_touch(&rig, &key, 0, T0 + i);
	}
	table_rig_drain(&rig);
	qsort(rig.records, rig.count, sizeof(*rig.records), record_compare);
	for (uint32_t i = 1; i < FLOWS; i++)
		assert_true(flow_key_compare(&rig.records[i - 1].key, &rig.records[i].key) < 0);
	table_rig_close(&rig);
}

static void restart__when_reused__then_the_old_record_and_a_fresh_flow(void **context)
{
	(void)context;
	struct flow_key key = tcp_key(1);
	struct table_rig rig;
	struct made made;

	table_rig_open(&rig, 10, 60 * SEC);
	table_rig_touch(&rig, &key, 0, T0);
	struct flow *flow = table_rig_touch(&rig, &key, 1, T0 + 10 * SEC);
	((struct tcp_flow *)flow)->state = TCP_STATE_CLOSED;
	table_rig_packet(&rig, &made, &key, 1, T0 + 20 * SEC);
	flow_table_restart(rig.table, flow, &made.packet, FLOW_END_REUSE);
	table_rig_audit(&rig);
	assert_int_equal(rig.ledger.flows_created, 2);
	assert_int_equal(rig.ledger.flows_alive, 1);
	assert_int_equal(rig.ledger.flows_ended[FLOW_END_REUSE], 1);
	/* It keeps its place in the wheel: not ended at the old flow's time, but at its own. */
	assert_ptr_equal(table_rig_touch(&rig, &key, 0, T0 + 20 * SEC), flow);
	table_rig_tick(&rig, T0 + 80 * SEC);
	assert_int_equal(rig.ledger.flows_alive, 1);
	table_rig_tick(&rig, T0 + 81 * SEC);
	assert_int_equal(rig.ledger.flows_alive, 0);
	assert_int_equal(rig.count, 2);
	assert_int_equal(rig.records[0].end, FLOW_END_REUSE);
	assert_int_equal(rig.records[0].end_ns, T0 + 20 * SEC);
	assert_int_equal(rig.records[0].last_ns, T0 + 10 * SEC);
	assert_int_equal(rig.records[0].tcp_state, TCP_STATE_CLOSED);
	assert_int_equal(record_packets(&rig.records[0]), 2);
	assert_int_equal(rig.records[1].end, FLOW_END_TIMEOUT);
	assert_int_equal(rig.records[1].first_ns, T0 + 20 * SEC);
	assert_int_equal(rig.records[1].end_ns, T0 + 80 * SEC);
	assert_int_equal(rig.records[1].tcp_state, TCP_STATE_UNKNOWN);
	assert_int_equal(rig.records[1].first_dir, 1);
	assert_int_equal(record_packets(&rig.records[1]), 1);
	table_rig_close(&rig);
}

static void time__when_it_goes_backwards__then_no_timeout_and_first_moves(void **context)
{
	(void)context;
	struct flow_key key = udp_key(1);
	struct table_rig rig;

	table_rig_open(&rig, 10, 60 * SEC);
	struct flow *flow = table_rig_touch(&rig, &key, 0, T0);
	assert_ptr_equal(table_rig_touch(&rig, &key, 0, T0 - 100 * SEC), flow);
	assert_ptr_equal(table_rig_touch(&rig, &key, 0, T0 + 60 * SEC), flow);
	table_rig_drain(&rig);
	assert_int_equal(rig.records[0].first_ns, T0 - 100 * SEC);
	assert_int_equal(rig.records[0].last_ns, T0 + 60 * SEC);
	table_rig_close(&rig);
}

/* A damaged pcapng can hold any 64-bit time. In a child, as it may hang. */
static void time__when_at_the_end_of_64_bits__then_the_table_goes_on(void **context)
{
	(void)context;
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0) {
		struct flow_key one = udp_key(1), two = udp_key(2);
		struct table_rig rig;
		alarm(3);
		table_rig_open(&rig, 10, 60 * SEC);
		table_rig_touch(&rig, &one, 0, UINT64_MAX - 100 * SEC);
		table_rig_touch(&rig, &two, 0, UINT64_MAX - 50 * SEC);
		table_rig_touch(&rig, &two, 0, UINT64_MAX - 49 * SEC);
		table_rig_touch(&rig, &two, 0, UINT64_MAX - 48 * SEC);
		table_rig_touch(&rig, &two, 0, UINT64_MAX);
		_exit(rig.ledger.flows_created == 2 ? 0 : 1);
	}
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	if (WIFSIGNALED(status))
		fail_msg("signal %d: it did not come to an end", WTERMSIG(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(flow__when_one_member_of_the_key_differs__then_another_flow),
		cmocka_unit_test(flow__when_hashes_are_the_same__then_found_by_the_key),
		cmocka_unit_test(flow__when_hashes_are_the_same_and_one_member_differs__then_another_flow),
		cmocka_unit_test(flow__when_tags_are_the_same__then_found_by_the_key),
		cmocka_unit_test(batch__when_a_new_flow_has_two_packets__then_one_flow),
		cmocka_unit_test(batch__when_the_match_has_become_another_flow__then_not_taken),
		cmocka_unit_test(timeout__when_a_packet_comes_after_it__then_a_new_flow),
		cmocka_unit_test(timeout__when_nothing_comes__then_ended_within_a_tick_after_it_but_not_before),
		cmocka_unit_test(timeout__when_packets_keep_coming__then_one_flow),
		cmocka_unit_test(timeout__when_never__then_flows_stay),
		cmocka_unit_test(drain__when_the_wheel_has_not_come_yet__then_by_the_time_all_the_same),
		cmocka_unit_test(drain__when_many_flows__then_all_handed_out),
		cmocka_unit_test(restart__when_reused__then_the_old_record_and_a_fresh_flow),
		cmocka_unit_test(time__when_it_goes_backwards__then_no_timeout_and_first_moves),
		cmocka_unit_test(time__when_at_the_end_of_64_bits__then_the_table_goes_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
