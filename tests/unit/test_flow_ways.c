/* One-way records: where directions end and pieces are cut. Real frames through the core, and a model that knows only the rule. */
#include "core_rig.h"

#define WAYS_MAX 20000

struct ways_result {
	unsigned ways_count, pieces_count;
	uint64_t packets; /* handed to on_packets */
	struct flow_way ways[WAYS_MAX];
	struct flow_way pieces[WAYS_MAX];
};

struct ways_run {
	unsigned lanes, batch;
	uint64_t idle_ns, active_ns;
	uint32_t max_flows;
};

static void keep_ways(void *context, const struct flow_way *ways, unsigned n)
{
	struct ways_result *result = context;

	assert_in_range(n, 1, FLOW_WAYS_BATCH);
	assert_true(result->ways_count + n <= WAYS_MAX);
	memcpy(result->ways + result->ways_count, ways, n * sizeof(*ways));
	result->ways_count += n;
}

static void keep_pieces(void *context, const struct flow_way *pieces, unsigned n)
{
	struct ways_result *result = context;

	assert_in_range(n, 1, FLOW_WAYS_BATCH);
	assert_true(result->pieces_count + n <= WAYS_MAX);
	memcpy(result->pieces + result->pieces_count, pieces, n * sizeof(*pieces));
	result->pieces_count += n;
}

static void keep_packets(void *context, const struct packet *const *packets, unsigned n)
{
	struct ways_result *result = context;

	for (unsigned i = 0; i < n; i++)
		assert_int_equal(packets[i]->verdict, VERDICT_FLOW);
	result->packets += n;
}

static void no_records(void *context, const struct flow_record *records, unsigned n)
{
	(void)context;
	(void)records;
	(void)n;
}

static int way_compare(const void *x, const void *y)
{
	const struct flow_way *a = x, *b = y;
	int diff = flow_key_compare(&a->key, &b->key);

	if (!diff)
		diff = a->dir - b->dir;
	if (!diff)
		diff = (a->first_ns > b->first_ns) - (a->first_ns < b->first_ns);
	return diff ? diff : memcmp(a, b, sizeof(*a));
}

static void ways_get(struct ways_result *result, const struct trace *trace, const struct ways_run *run)
{
	result->ways_count = result->pieces_count = 0;
	result->packets = 0;
	for (unsigned lane = 0; lane < run->lanes; lane++) {
		struct core_options options = {
			.seed = HASH_SEED_FIXED,
			.max_flows = run->max_flows ? run->max_flows : 1000,
			.flow_timeout_ns = run->idle_ns,
			.active_timeout_ns = run->active_ns,
			.ifindex = 7,
			.lane = lane,
			.lanes = run->lanes,
			.on_records = no_records,
			.on_ways = keep_ways,
			.on_pieces = keep_pieces,
			.on_packets = keep_packets,
			.context = result,
		};
		struct core *core;
		assert_int_equal(core_create(&options, &core), 0);
		for (unsigned done = 0, n; done < trace->count; done += n) {
			n = run->batch < trace->count - done ? run->batch : trace->count - done;
			core_run(core, trace->frames + done, n);
		}
		core_drain(core);
		core_destroy(core);
	}
	qsort(result->ways, result->ways_count, sizeof(struct flow_way), way_compare);
	qsort(result->pieces, result->pieces_count, sizeof(struct flow_way), way_compare);
}

static struct ways_result result, other;

static void trace_udp(struct trace *trace, uint64_t ts_ns, unsigned src, unsigned dst, uint32_t len)
{
	struct packet_builder b = pb_new();
	char from[32], to[32];

	snprintf(from, sizeof(from), "10.0.0.%u", src);
	snprintf(to, sizeof(to), "10.0.0.%u", dst);
	pb_ethernet(&b, 0x0800);
	pb_ipv4(&b, from, to, PROTO_UDP);
	pb_udp(&b, src < dst ? 1000 : 2000, src < dst ? 2000 : 1000);
	pb_fill(&b, len);
	trace_add(trace, &b, ts_ns);
}

/* --- cuts ------------------------------------------------------------------------------------------------------------ */

#define PACKETS_MAX 8

/* Packets of A to B, and of B to A in `back`; times in ms from T0. What comes out of A's direction. */
static void direction__when_cut__then_pieces(void **context)
{
	(void)context;
	static const struct {
		const char *name;
		int packets[PACKETS_MAX]; /* -1 ends */
		int back[PACKETS_MAX];
		unsigned ways, pieces;
		int piece_end[4]; /* of each piece: ms from T0 */
		unsigned in_piece[4];
		unsigned way_pieces[2];
	} rows[] = {
		{ "one packet", { 0, -1 }, { -1 }, 1, 1, { 0 }, { 1 }, { 1 } },
		{ "exactly the active timeout: not cut", { 0, 5000, 10000, -1 }, { -1 }, 1, 1, { 10000 }, { 3 }, { 1 } },
		{ "a millisecond more: cut", { 0, 5000, 10001, -1 }, { -1 }, 1, 2, { 10000, 10001 }, { 2, 1 }, { 2 } },
		{ "three pieces", { 0, 6000, 11000, 16000, 21500, -1 }, { -1 }, 1, 3, { 10000, 21000, 21500 }, { 2, 2, 1 }, { 3 } },
		{ "silent for exactly the idle timeout", { 0, 6000, -1 }, { 3000, 9000, -1 }, 1, 1, { 9000 }, { 2 }, { 1 } },
		{ "longer, while the other talks on", { 0, 6001, -1 }, { 3000, 9000, -1 }, 2, 2, { 6000, 9000 }, { 1, 1 },
			{ 1, 1 } },
		{ "longer, at the end", { 0, -1 }, { 3000, 9000, -1 }, 1, 1, { 6000 }, { 1 }, { 1 } },
		{ "cut, then silent", { 0, 5000, 10001, 16002, -1 }, { 4000, 9000, 14000, -1 }, 2, 3, { 10000, 16001, 16002 },
			{ 2, 1, 1 }, { 2, 1 } },
	};
	const struct ways_run run = { .lanes = 1, .batch = 64, .idle_ns = 6 * SEC, .active_ns = 10 * SEC };

	for (size_t r = 0; r < ROWS(rows); r++) {
		struct trace trace = { 0 };
		unsigned a = 0, b = 0, ways = 0, pieces = 0;
		while (rows[r].packets[a] >= 0 || rows[r].back[b] >= 0) {
			bool from_a = rows[r].back[b] < 0 || (rows[r].packets[a] >= 0 && rows[r].packets[a] < rows[r].back[b]);
			int ms = from_a ? rows[r].packets[a++] : rows[r].back[b++];
			trace_udp(&trace, T0 + (uint64_t)ms * MS, from_a ? 1 : 2, from_a ? 2 : 1, 10);
		}
		ways_get(&result, &trace, &run);
		for (unsigned i = 0; i < result.pieces_count; i++) {
			const struct flow_way *piece = &result.pieces[i];
			if (piece->dir)
				continue;
			if (piece->packets != rows[r].in_piece[pieces] ||
				piece->end_ns != T0 + (uint64_t)rows[r].piece_end[pieces] * MS)
				fail_msg("%s: piece %u has %u packets and ends at %lld ms", rows[r].name, pieces + 1,
					(unsigned)piece->packets, (long long)((int64_t)(piece->end_ns - T0) / (int64_t)MS));
			pieces++;
		}
		for (unsigned i = 0; i < result.ways_count; i++) {
			if (result.ways[i].dir)
				continue;
			if (result.ways[i].pieces != rows[r].way_pieces[ways])
				fail_msg("%s: direction %u has %u pieces", rows[r].name, ways + 1, result.ways[i].pieces);
			ways++;
		}
		if (ways != rows[r].ways || pieces != rows[r].pieces)
			fail_msg("%s: %u directions, %u pieces", rows[r].name, ways, pieces);
		trace_free(&trace);
	}
}

static void connection__when_whole__then_each_direction_has_its_own(void **context)
{
	(void)context;
	struct trace trace = { 0 };
	const struct ways_run run = { .lanes = 1, .batch = 3, .idle_ns = 60 * SEC, .active_ns = 300 * SEC };

	trace_tcp(&trace, T0, 2, 1, TCP_SYN, 100, 0, 0);
	trace_tcp(&trace, T0 + 10 * MS, 1, 2, TCP_SYN | TCP_ACK, 500, 101, 0);
	trace_tcp(&trace, T0 + 14 * MS, 2, 1, TCP_ACK, 101, 501, 0);
	trace_tcp(&trace, T0 + 20 * MS, 2, 1, TCP_PSH | TCP_ACK, 101, 501, 100);
	ways_get(&result, &trace, &run);
	assert_int_equal(result.ways_count, 2);
	assert_int_equal(result.pieces_count, 2);
	const struct flow_way *a = &result.ways[0], *b = &result.ways[1];
	assert_int_equal(a->dir, 0);
	assert_int_equal(a->first_ns, T0 + 10 * MS);
	assert_int_equal(a->last_ns, T0 + 10 * MS);
	assert_int_equal(a->tcp_flags, TCP_SYN | TCP_ACK);
	assert_int_equal(a->packets, 1);
	assert_false(a->initiator);
	assert_int_equal(b->dir, 1);
	assert_int_equal(b->first_ns, T0);
	assert_int_equal(b->last_ns, T0 + 20 * MS);
	assert_int_equal(b->tcp_flags, TCP_SYN | TCP_ACK | TCP_PSH);
	assert_int_equal(b->packets, 3);
	assert_int_equal(b->l3_bytes, 3 * 40 + 100);
	assert_int_equal(b->bytes, 3 * 54 + 100);
	assert_true(b->initiator);
	assert_int_equal(b->input, 7);
	assert_int_equal(b->server_us, 10000);
	assert_int_equal(b->client_us, 4000);
	assert_int_equal(b->end, FLOW_ALIVE);
	assert_true(b->has_mac);
	assert_memory_equal(b->src_mac, trace.frames[0].data + 6, 6);
	assert_memory_equal(b->dst_mac, trace.frames[0].data, 6);
	assert_int_equal(result.packets, 4);
	trace_free(&trace);
}

/* A SYN on the same ports begins a new connection in the old one's place: nothing of that one may remain. */
static void connection__when_ports_are_reused__then_two_of_each(void **context)
{
	(void)context;
	struct trace trace = { 0 };
	const struct ways_run run = { .lanes = 1, .batch = 64, .idle_ns = 60 * SEC, .active_ns = 300 * SEC };

	for (unsigned i = 0; i < 2; i++) {
		uint64_t t = T0 + i * SEC;
		uint32_t isn = 1000 + i * 1000000;
		trace_tcp(&trace, t, 1, 2, TCP_SYN, isn, 0, 0);
		trace_tcp(&trace, t + 1 * MS, 2, 1, TCP_SYN | TCP_ACK, 5000, isn + 1, 0);
		trace_tcp(&trace, t + 2 * MS, 1, 2, TCP_ACK, isn + 1, 5001, 0);
		trace_tcp(&trace, t + 3 * MS, 1, 2, TCP_FIN | TCP_ACK, isn + 1, 5001, 0);
		trace_tcp(&trace, t + 4 * MS, 2, 1, TCP_FIN | TCP_ACK, 5001, isn + 2, 0);
		trace_tcp(&trace, t + 5 * MS, 1, 2, TCP_ACK, isn + 2, 5002, 0);
	}
	ways_get(&result, &trace, &run);
	assert_int_equal(result.ways_count, 4);
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(result.ways[i].packets, i < 2 ? 4 : 2);
		assert_int_equal(result.ways[i].pieces, 1);
	}
	assert_int_equal(result.ways[0].end, FLOW_END_REUSE);
	assert_int_equal(result.ways[1].first_ns, T0 + SEC);
	trace_free(&trace);
}

/* --- a model --------------------------------------------------------------------------------------------------------- */

struct model_packet {
	uint64_t ts_ns;
	uint32_t len;
};

#define HOSTS 6

/* The rule, told again: pieces and directions of one direction's packets, appended to `want`. */
static void model_direction(struct ways_result *want, const struct model_packet *packets, unsigned n, const struct ways_run *run)
{
	unsigned way_from = 0, piece_from = 0;

	for (unsigned i = 1; i <= n; i++) {
		bool idle = i < n && packets[i].ts_ns - packets[i - 1].ts_ns > run->idle_ns;
		bool active = i < n && packets[i].ts_ns - packets[piece_from].ts_ns > run->active_ns;
		if (i < n && !idle && !active)
			continue;
		struct flow_way *piece = &want->pieces[want->pieces_count++];
		*piece = (struct flow_way){
			.first_ns = packets[piece_from].ts_ns, .last_ns = packets[i - 1].ts_ns, .packets = i - piece_from
		};
		for (unsigned k = piece_from; k < i; k++)
			piece->l3_bytes += packets[k].len;
		piece_from = i;
		if (i < n && !idle)
			continue;
		struct flow_way *way = &want->ways[want->ways_count++];
		*way = (struct flow_way){
			.first_ns = packets[way_from].ts_ns, .last_ns = packets[i - 1].ts_ns, .packets = i - way_from
		};
		for (unsigned k = way_from; k < i; k++)
			way->l3_bytes += packets[k].len;
		way_from = i;
	}
}

static bool way_is(const struct flow_way *got, const struct flow_way *want)
{
	return got->first_ns == want->first_ns && got->last_ns == want->last_ns && got->packets == want->packets &&
	       got->l3_bytes == want->l3_bytes;
}

static unsigned ways_missing(const struct flow_way *got, unsigned got_count, const struct flow_way *want, unsigned want_count)
{
	unsigned missing = 0;

	for (unsigned i = 0; i < want_count; i++) {
		unsigned k = 0;
		while (k < got_count && !way_is(&got[k], &want[i]))
			k++;
		missing += k == got_count;
	}
	return missing + (got_count != want_count);
}

static void trace__when_random__then_as_the_model_says(void **context)
{
	(void)context;
	static struct model_packet packets[HOSTS][HOSTS][4000];
	static const struct ways_run runs[] = {
		{ 1, 64, 2 * SEC, 5 * SEC, 0 },
		{ 1, 1, 2 * SEC, 5 * SEC, 0 },
		{ 2, 64, 2 * SEC, 5 * SEC, 0 },
		{ 3, 7, 2 * SEC, 5 * SEC, 0 },
		{ 1, 64, 2 * SEC, FLOW_NO_TIMEOUT, 0 },
		{ 1, 64, FLOW_NO_TIMEOUT, 5 * SEC, 0 },
	};
	unsigned counts[HOSTS][HOSTS] = { 0 };
	uint64_t random = 5, ts_ns = T0;
	struct trace trace = { 0 };

	for (unsigned i = 0; i < 4000; i++) {
		unsigned src = random_below(&random, HOSTS), dst = random_below(&random, HOSTS), len = random_below(&random, 500);
		ts_ns += random_below(&random, 10) ? random_below(&random, 60) * MS : random_below(&random, 800) * MS;
		if (src == dst)
			dst = (src + 1) % HOSTS;
		trace_udp(&trace, ts_ns, src + 1, dst + 1, len);
		packets[src][dst][counts[src][dst]++] = (struct model_packet){ ts_ns, len + 28 };
	}
	for (size_t r = 0; r < ROWS(runs); r++) {
		other.ways_count = other.pieces_count = 0;
		for (unsigned src = 0; src < HOSTS; src++)
			for (unsigned dst = 0; dst < HOSTS; dst++)
				if (counts[src][dst])
					model_direction(&other, packets[src][dst], counts[src][dst], &runs[r]);
		ways_get(&result, &trace, &runs[r]);
		assert_int_equal(result.packets, trace.count);
		if (ways_missing(result.ways, result.ways_count, other.ways, other.ways_count) ||
			ways_missing(result.pieces, result.pieces_count, other.pieces, other.pieces_count))
			fail_msg("run %zu: %u directions and %u pieces, the model has %u and %u", r, result.ways_count,
				result.pieces_count, other.ways_count, other.pieces_count);
	}
	trace_free(&trace);
}

/* Evictions and all: whatever happens to flows, each packet is in one piece and in one direction. */
static void trace__when_the_table_is_full__then_no_packet_is_lost(void **context)
{
	(void)context;
	const struct ways_run run = { .lanes = 1, .batch = 64, .idle_ns = 60 * SEC, .active_ns = 1 * SEC, .max_flows = 3 };
	struct trace trace = { 0 };
	uint64_t random = 9, in_ways = 0, in_pieces = 0;

	for (unsigned i = 0; i < 3000; i++) {
		unsigned src = 1 + random_below(&random, 8);
		trace_tcp(&trace, T0 + i * 10 * MS, src, src + 1 + random_below(&random, 8), TCP_ACK, i, 1, 10);
	}
	ways_get(&result, &trace, &run);
	for (unsigned i = 0; i < result.ways_count; i++)
		in_ways += result.ways[i].packets;
	for (unsigned i = 0; i < result.pieces_count; i++)
		in_pieces += result.pieces[i].packets;
	assert_int_equal(in_ways, trace.count);
	assert_int_equal(in_pieces, trace.count);
	assert_true(result.ways_count > 1000);
	trace_free(&trace);
}

/* Captures are not always in order. */
static void packet__when_earlier_than_the_first__then_the_direction_begins_there(void **context)
{
	(void)context;
	const struct ways_run run = { .lanes = 1, .batch = 64, .idle_ns = 60 * SEC, .active_ns = 300 * SEC };
	struct trace trace = { 0 };

	trace_udp(&trace, T0 + 5 * MS, 1, 2, 10);
	trace_udp(&trace, T0, 1, 2, 10);
	trace_udp(&trace, T0 + 3 * MS, 1, 2, 10);
	ways_get(&result, &trace, &run);
	assert_int_equal(result.ways_count, 1);
	assert_int_equal(result.ways[0].first_ns, T0);
	assert_int_equal(result.ways[0].last_ns, T0 + 5 * MS);
	assert_int_equal(result.ways[0].packets, 3);
	trace_free(&trace);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(direction__when_cut__then_pieces),
		cmocka_unit_test(connection__when_whole__then_each_direction_has_its_own),
		cmocka_unit_test(connection__when_ports_are_reused__then_two_of_each),
		cmocka_unit_test(trace__when_random__then_as_the_model_says),
		cmocka_unit_test(trace__when_the_table_is_full__then_no_packet_is_lost),
		cmocka_unit_test(packet__when_earlier_than_the_first__then_the_direction_begins_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
