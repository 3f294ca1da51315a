/* The table of an index: what comes out is what went in, by key and in order, whatever the memory and the rounds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "index_table.h"

#define MIB ((uint64_t)1 << 20)

static struct index_entry entry_of(unsigned flow, uint32_t number, uint64_t time_ms)
{
	struct index_entry entry = { .key = { .protocol = flow % 2 ? 17 : 6,
					     .family = flow % 3 ? INDEX_FAMILY_IPV4 : INDEX_FAMILY_IPV6 } };

	memcpy(entry.key.source, &flow, sizeof(flow));
	if (entry.key.family == INDEX_FAMILY_IPV6)
		memset(entry.key.source + 4, (int)(flow % 7), 12);
	entry.key.source_port = (uint16_t)(flow * 7);
	entry.item = (struct index_item){ .number = number,
		.offset_low = 1000 + number,
		.length = 60 + flow % 5,
		.time_low = (uint32_t)time_ms,
		.network = 14,
		.network_count = 46 };
	return entry;
}

static struct index_table *table_make(uint64_t bytes, uint64_t idle_ms, uint64_t active_ms)
{
	struct index_table_options options = { .bytes = bytes, .idle_ms = idle_ms, .active_ms = active_ms };
	struct index_table *table = index_table_create(&options);

	assert_non_null(table);
	return table;
}

static void add(struct index_table *table, unsigned flow, uint32_t number, uint64_t time_ms)
{
	struct index_entry entry = entry_of(flow, number, time_ms);

	assert_int_equal(index_table_add(table, &entry, 1), 1);
}

/* The packets of the i-th flow; the caller frees them. */
static struct index_packet *packets_of(struct index_table *table, uint64_t i, struct index_round_flow *flow)
{
	index_round_flow(table, i, flow);
	struct index_packet *packets = malloc(flow->record.packets * sizeof(*packets)); /* exact: ASan sees one too many */
	const struct index_item *items;
	struct index_round_walk walk;
	unsigned n, at = 0;
	index_round_walk(table, flow, &walk);
	while ((items = index_round_walk_next(&walk, &n))) {
		for (unsigned k = 0; k < n; k++)
			index_item_expand(&items[k], &packets[at++]);
	}
	assert_int_equal(at, flow->record.packets);
	return packets;
}

static void flows__when_many_in_turn__then_each_has_its_packets_and_keys_ascend(void **context)
{
	(void)context;
	enum { FLOWS = 3000, TURNS = 11 };
	struct index_table *table = table_make(16 * MIB, 60000, 300000);
	struct index_entry *entries = malloc(FLOWS * sizeof(*entries));
	struct index_round_flow flow;
	struct index_key last = { 0 };

	for (unsigned turn = 0; turn < TURNS; turn++) {
		for (unsigned i = 0; i < FLOWS; i++)
			entries[i] = entry_of(i, turn * FLOWS + i + 1, 1000 + turn);
		assert_int_equal(index_table_add(table, entries, FLOWS), FLOWS);
	}
	assert_int_equal(index_round_begin(table, true), FLOWS);
	for (unsigned i = 0; i < FLOWS; i++) {
		struct index_packet *packets = packets_of(table, i, &flow);
		assert_true(i == 0 || memcmp(&last, flow.key, sizeof(last)) < 0);
		last = *flow.key;
		assert_int_equal(flow.record.packets, TURNS);
		assert_int_equal(flow.record.octets, TURNS * packets[0].length);
		assert_int_equal(flow.record.first_ms, 1000);
		assert_int_equal(flow.record.last_ms, 1000 + TURNS - 1);
		assert_int_equal(flow.record.blocks, 1);
		for (unsigned turn = 0; turn < TURNS; turn++) {
			assert_int_equal(packets[turn].number, packets[0].number + turn * FLOWS);
			assert_int_equal(packets[turn].offset, 1000 + packets[turn].number);
		}
		free(packets);
	}
	index_round_end(table);
	assert_int_equal(index_round_begin(table, true), 0);
	index_round_end(table);
	free(entries);
	index_table_destroy(table);
}

/* Touched ahead: as much again as is used, at most 16 MiB and a page; what is there stays. */
static void memory__when_touched_ahead__then_not_much_and_nothing_is_lost(void **context)
{
	(void)context;
	enum { FLOWS = 200000, STEP = 1000 };
	struct index_table *table = table_make(64 * MIB, 60000, 300000);
	struct index_round_flow flow;
	size_t done = 0;

	index_touch_slots(table);
	for (unsigned i = 0; i < FLOWS; i++) {
		add(table, i, i + 1, 1000);
		if (i % STEP)
			continue;
		size_t used = ((size_t)i + 2) * 128, ahead = used < 16 * MIB ? used : 16 * MIB;
		while (index_touch_cells(table, &done))
			assert_true(done < used + ahead + 2 * MIB && done <= 64 * MIB);
	}
	if (done == 0)
		print_message("SKIPPED: this kernel cannot touch memory so, before 5.14\n");
	else
		assert_true(done >= (size_t)FLOWS * 128);
	assert_int_equal(index_round_begin(table, true), FLOWS);
	for (unsigned i = 0; i < FLOWS; i++) {
		struct index_packet *packets = packets_of(table, i, &flow);
		struct index_entry entry = entry_of(packets[0].number - 1, packets[0].number, 1000);
		assert_memory_equal(flow.key, &entry.key, sizeof(entry.key));
		free(packets);
	}
	index_round_end(table);
	index_table_destroy(table);
}

/* Frames of more different lengths than a small table keeps: a round makes room for others. */
static void shapes__when_too_many__then_a_round_makes_room(void **context)
{
	(void)context;
	enum { PACKETS = 5000, FLOWS = 10 };
	struct index_table *table = table_make(1 * MIB, 60000, 300000);
	struct index_round_flow flow;
	unsigned next = 0, rounds = 0;

	while (next < PACKETS) {
		unsigned first = next;
		for (; next < PACKETS; next++) {
			struct index_entry entry = entry_of(next % FLOWS, next + 1, 1000);
			entry.item.length = 60 + next;
			if (index_table_add(table, &entry, 1) == 0)
				break;
		}
		assert_true(next > first);
		int64_t flows = index_round_begin(table, true);
		assert_int_equal(flows, FLOWS);
		for (unsigned i = 0; i < FLOWS; i++) {
			struct index_packet *packets = packets_of(table, i, &flow);
			for (unsigned k = 0; k < flow.record.packets; k++)
				assert_int_equal(packets[k].length, 59 + packets[k].number);
			free(packets);
		}
		index_round_end(table);
		rounds++;
	}
	assert_true(rounds > 1);
	index_table_destroy(table);
}

/* A key that differs from others in one byte, anywhere: also where all before and 16 bytes of difference are the same. */
static struct index_entry entry_at(unsigned byte, uint8_t value, uint8_t other)
{
	struct index_entry entry = { .item = { .number = 1, .length = 60, .time_low = 1 } };

	memset(&entry.key, other, sizeof(entry.key));
	((uint8_t *)&entry.key)[byte] = value;
	return entry;
}

static void keys__when_alike_but_for_a_byte__then_ascend(void **context)
{
	(void)context;
	struct index_table *table = table_make(16 * MIB, 60000, 300000);
	struct index_round_flow flow;
	struct index_key last = { 0 };
	int64_t flows = 0;

	for (unsigned byte = 0; byte < sizeof(struct index_key); byte++) {
		for (unsigned value = 0; value < 200; value++) {
			unsigned mixed = value * 77 % 200;
			struct index_entry entry = entry_at(byte, (uint8_t)mixed, (uint8_t)(byte % 3 ? 100 : 150));
			assert_int_equal(index_table_add(table, &entry, 1), 1);
		}
	}
	flows = index_round_begin(table, true);
	assert_int_equal(flows, 40 * 199 + 2); /* those of 100 and 150 throughout are there once */
	for (int64_t i = 0; i < flows; i++) {
		index_round_flow(table, (uint64_t)i, &flow);
		assert_true(i == 0 || memcmp(&last, flow.key, sizeof(last)) < 0);
		last = *flow.key;
	}
	index_round_end(table);
	index_table_destroy(table);
}

static uint32_t random_next(uint32_t *state)
{
	*state = *state * 1664525 + 1013904223;
	return *state >> 16;
}

/* Groups of keys that are the same but for the last of 40 bytes that differ: each group is sorted in the third window of 16 bytes, by
 * comparing if it is small. */
static unsigned groups_add(struct index_table *table, unsigned groups, unsigned members)
{
	uint32_t state = groups * 1000 + members;

	for (unsigned group = 0; group < groups; group++) {
		struct index_entry entry = { .item = { .number = 1, .length = 60, .time_low = 1 } };
		uint8_t *key = (uint8_t *)&entry.key;
		for (unsigned at = 0; at < sizeof(entry.key); at++)
			key[at] = (uint8_t)random_next(&state);
		for (unsigned member = 0; member < members; member++) {
			unsigned number = member * 7919 % members; /* each once, in no order */
			key[34] = (uint8_t)(number >> 9);
			key[37] = (uint8_t)(number >> 1);
			key[39] = number & 1 ? 100 : 150;
			assert_int_equal(index_table_add(table, &entry, 1), 1);
		}
	}
	return groups * members;
}

static void keys__when_alike_but_for_the_last_bytes__then_ascend(void **context)
{
	(void)context;
	static const struct {
		unsigned groups, members;
	} rows[] = { { 200, 2 }, { 500, 20 }, { 50, 100 }, { 1, 3000 }, { 3000, 20 }, { 20, 3000 }, { 1, 60000 } };
	struct index_round_flow flow;

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct index_table *table = table_make(20 * MIB, 60000, 300000);
		unsigned flows = groups_add(table, 300, 1) + groups_add(table, rows[i].groups, rows[i].members);
		struct index_key last = { 0 };
		assert_int_equal(index_round_begin(table, true), flows);
		for (unsigned n = 0; n < flows; n++) {
			index_round_flow(table, n, &flow);
			assert_true(n == 0 || memcmp(&last, flow.key, sizeof(last)) < 0);
			last = *flow.key;
		}
		index_round_end(table);
		index_table_destroy(table);
	}
}

/* Memory for sorting may be touched before, at any time; also again after a round. */
static void rounds__when_prepared__then_as_without(void **context)
{
	(void)context;
	struct index_table *table = table_make(20 * MIB, 60000, 300000);
	struct index_round_flow flow;

	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < 60000; i++) {
			add(table, i, i + 1, 1000);
			if (i % 10000 == 17 * round)
				index_table_prepare(table);
		}
		for (unsigned i = 0; i < 100 && index_table_prepare(table); i++)
			assert_true(i < 99);
		assert_int_equal(index_table_flows(table), 60000);
		assert_int_equal(index_round_begin(table, true), 60000);
		for (unsigned i = 0; i < 60000; i++) {
			index_round_flow(table, i, &flow);
			assert_int_equal(flow.record.packets, 1);
		}
		index_round_end(table);
	}
	index_table_destroy(table);
}

static void memory__when_used_up__then_says_so_and_goes_on_after_a_round(void **context)
{
	(void)context;
	struct index_table *table = table_make(1, 60000, 300000); /* the least there is */
	struct index_entry entries[64];
	uint32_t number = 0;

	for (unsigned round = 0; round < 3; round++) {
		uint32_t in_round = 0;
		unsigned added;
		do {
			for (unsigned i = 0; i < 64; i++)
				entries[i] = entry_of((number + i) % 500, number + i + 1, 1000);
			added = index_table_add(table, entries, 64);
			number += added;
			in_round += added;
		} while (added == 64);
		int64_t count = index_round_begin(table, true);
		struct index_round_flow flow;
		uint64_t packets = 0;
		for (int64_t i = 0; i < count; i++) {
			index_round_flow(table, (uint64_t)i, &flow);
			packets += flow.record.packets;
		}
		assert_int_equal(packets, in_round);
		assert_int_equal(index_round_packets(table), in_round);
		assert_true(in_round > 1000);
		index_round_end(table);
	}
	index_table_destroy(table);
}

static void partial_round__when_some_flows_are_over__then_those_leave_and_the_others_stay(void **context)
{
	(void)context;
	enum { FLOWS = 1000 };
	struct index_table *table = table_make(16 * MIB, 60000, 300000);
	struct index_round_flow flow;

	for (unsigned i = 0; i < FLOWS; i++)
		add(table, i, i + 1, 1000);
	for (unsigned i = 0; i < FLOWS; i += 2)
		add(table, i, FLOWS + i + 1, 61001); /* the odd ones have been silent for longer than a minute */
	assert_int_equal(index_round_begin(table, false), FLOWS / 2);
	for (unsigned i = 0; i < FLOWS / 2; i++) {
		index_round_flow(table, i, &flow);
		assert_int_equal(flow.record.packets, 1);
	}
	index_round_end(table);
	/* What stayed is found again, what left begins anew. */
	for (unsigned i = 0; i < FLOWS; i++)
		add(table, i, 3 * FLOWS + i + 1, 61002);
	assert_int_equal(index_round_begin(table, true), FLOWS);
	uint64_t packets = 0, blocks = 0;
	for (unsigned i = 0; i < FLOWS; i++) {
		index_round_flow(table, i, &flow);
		packets += flow.record.packets;
		blocks += flow.record.blocks;
	}
	assert_int_equal(packets, FLOWS + 2 * FLOWS / 2);
	assert_int_equal(blocks, FLOWS + FLOWS / 2); /* the even ones were silent for a minute and a millisecond, too */
	index_round_end(table);
	index_table_destroy(table);
}

static void blocks__when_silent_or_long__then_one_more(void **context)
{
	(void)context;
	static const struct {
		uint64_t times[5]; /* 0: no more */
		uint32_t blocks;
		uint64_t first, last;
	} rows[] = {
		{ { 1000 }, 1, 1000, 1000 },
		{ { 1000, 61000 }, 1, 1000, 61000 },
		{ { 1000, 61001 }, 2, 1000, 61001 },
		{ { 1000, 900, 60950 }, 1, 900, 60950 }, /* times that step back */
		{ { 1000, 51000, 101000, 151000, 200999 }, 1, 1000, 200999 },
		{ { 1000, 51000, 101000, 151000, 201001 }, 2, 1000, 201001 },
	};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct index_table *table = table_make(MIB, 60000, 200000);
		struct index_round_flow flow;
		for (unsigned n = 0; n < 5 && rows[i].times[n]; n++)
			add(table, 1, n + 1, rows[i].times[n]);
		assert_int_equal(index_round_begin(table, true), 1);
		index_round_flow(table, 0, &flow);
		assert_int_equal(flow.record.blocks, rows[i].blocks);
		assert_int_equal(flow.record.first_ms, rows[i].first);
		assert_int_equal(flow.record.last_ms, rows[i].last);
		index_round_end(table);
		index_table_destroy(table);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(flows__when_many_in_turn__then_each_has_its_packets_and_keys_ascend),
		cmocka_unit_test(memory__when_touched_ahead__then_not_much_and_nothing_is_lost),
		cmocka_unit_test(shapes__when_too_many__then_a_round_makes_room),
		cmocka_unit_test(keys__when_alike_but_for_a_byte__then_ascend),
		cmocka_unit_test(keys__when_alike_but_for_the_last_bytes__then_ascend),
		cmocka_unit_test(rounds__when_prepared__then_as_without),
		cmocka_unit_test(memory__when_used_up__then_says_so_and_goes_on_after_a_round),
		cmocka_unit_test(partial_round__when_some_flows_are_over__then_those_leave_and_the_others_stay),
		cmocka_unit_test(blocks__when_silent_or_long__then_one_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
