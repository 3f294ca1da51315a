/*
 * Packets made by hand for the tests of flow/ and tcp/: no decoder, each member is what the test says.
 *
 * TCP tests are scripts: a table of steps {dir, flags, seq, ack, len, window, t_us}, fed to one flow, and what must come out. Each
 * script is played in several settings that must not matter: the two ends exchanged, the sequence numbers of each end moved
 * (so that 2^31 and 2^32 lie in the middle of the script), and the start moved (so that the 32-bit tick wraps in the script).
 */
#ifndef FLOW_BUILDER_H
#define FLOW_BUILDER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "flowlane/ledger.h"
#include "flowlane/live.h"
#include "flowlane/packet.h"
#include "flow_identity.h"
#include "flow_record.h"
#include "flow_update.h"
#include "hash.h"
#include "tcp.h"

#define ROWS(table)  (sizeof(table) / sizeof((table)[0]))
#define NS_PER_SEC   ((uint64_t)1000000000)
#define TICKS_US(us) ((uint32_t)(us)*125u)

enum { PROTO_ICMP = 1, PROTO_TCP = 6, PROTO_UDP = 17, PROTO_ICMP6 = 58 };

/* --- one packet ------------------------------------------------------------------------------------------------------ */

struct made {
	struct frame frame;
	struct packet packet; /* points to the frame: do not move */
};

/* The splitmix64 step: numbers that are the same in each run. */
static inline uint64_t random_u64(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

static inline uint32_t random_below(uint64_t *state, uint32_t bound)
{
	return (uint32_t)((random_u64(state) >> 32) * bound >> 32);
}

/* Canonical if a < b, or a == b and a_port <= b_port. */
static inline struct flow_key key_v4(uint8_t proto, uint32_t a, uint16_t a_port, uint32_t b, uint16_t b_port)
{
	struct flow_key key = { .a_port = a_port, .b_port = b_port, .proto = proto, .ip_version = 4, .vlan = FLOW_VLAN_NONE };

	a = __builtin_bswap32(a);
	b = __builtin_bswap32(b);
	memcpy(key.a_ip + FLOW_KEY_V4_OFFSET, &a, sizeof(a));
	memcpy(key.b_ip + FLOW_KEY_V4_OFFSET, &b, sizeof(b));
	return key;
}

/* In 2001:db8::/32. */
static inline struct flow_key key_v6(uint8_t proto, uint32_t a, uint16_t a_port, uint32_t b, uint16_t b_port)
{
	struct flow_key key = key_v4(proto, a, a_port, b, b_port);

	key.ip_version = 6;
	memcpy(key.a_ip, "\x20\x01\x0d\xb8", 4);
	memcpy(key.b_ip, "\x20\x01\x0d\xb8", 4);
	return key;
}

/* A packet of 100 bytes on the wire, 86 of them IP, without captured bytes. */
static inline void made_set(struct made *made, const struct flow_key *key, unsigned dir, uint64_t ts_ns)
{
	memset(made, 0, sizeof(*made));
	made->frame = (struct frame){ .ts_ns = ts_ns, .wire_len = 100, .link = LINK_ETHERNET };
	made->packet = (struct packet){
		.key = *key,
		.verdict = VERDICT_FLOW,
		.dir = (uint8_t)dir,
		.hash = flow_key_hash(&HASH_SEED_FIXED, key),
		.addresses = key->ip_version == 4 ? flow_key_addresses_v4(key) : flow_key_hash(&HASH_SEED_FIXED, key),
		.tail = flow_key_tail(key) ^ (key->tunnel ? FLOW_TAIL_TUNNEL : 0),
		.frame = &made->frame,
		.l3_len = 86,
		.vlan = 0xffff,
	};
}

/* Gives the packet captured bytes, in an allocation of just that size, which the caller frees: the transport header starts at
 * l4, its payload at payload. */
static inline uint8_t *made_bytes(struct made *made, const void *bytes, uint32_t n, uint32_t l4, uint32_t payload)
{
	uint8_t *data = malloc(n);

	if (n)
		memcpy(data, bytes, n);
	made->frame.data = data;
	made->frame.cap_len = n;
	made->packet.l4_off = (uint16_t)l4;
	made->packet.payload_off = (uint16_t)payload;
	return data;
}

/* --- flows in a block ------------------------------------------------------------------------------------------------ */

/* The n-th TCP flow of a block that is there until the end: its cold part is somewhere else in it. */
static inline struct tcp_flow *tcp_flow_at(unsigned n)
{
	static struct tcp_block *block;

	if (!block)
		block = aligned_alloc(FLOW_BLOCK_BYTES, FLOW_BLOCK_BYTES);
	return &block->flows[n];
}

/* The same; another flow was there, which is not in the wheel. */
static inline struct tcp_flow *tcp_flow_used(unsigned n)
{
	struct tcp_flow *tcp = tcp_flow_at(n);

	memset(tcp, 0xff, sizeof(*tcp));
	memset(tcp_cold(tcp), 0xff, sizeof(struct tcp_cold));
	tcp->flow.flags &= (uint8_t)~FLOW_ARMED;
	return tcp;
}

static inline struct flow *other_flow_at(unsigned n)
{
	static struct other_block *block;

	if (!block)
		block = aligned_alloc(FLOW_BLOCK_BYTES, FLOW_BLOCK_BYTES);
	return &block->flows[n];
}

/* Of the kind that the protocol needs. */
static inline struct flow *flow_at_for(uint8_t proto, unsigned n)
{
	return proto == PROTO_TCP ? &tcp_flow_at(n)->flow : other_flow_at(n);
}

/* --- one TCP flow ---------------------------------------------------------------------------------------------------- */

enum { A, B };
enum {
	NOFLAG = 0,
	ACK = TCP_ACK,
	PSH = TCP_ACK | TCP_PSH,
	SYN = TCP_SYN,
	SYNACK = TCP_SYN | TCP_ACK,
	FIN = TCP_FIN | TCP_ACK,
	RST = TCP_RST,
	RSTACK = TCP_RST | TCP_ACK,
};

struct tcp_step {
	uint8_t dir;
	uint8_t flags;
	uint32_t seq;
	uint32_t ack;
	uint32_t len; /* payload */
	uint16_t window;
	int64_t t_us;
};

struct tcp_setting {
	bool mirror;
	uint32_t seq_shift[2]; /* of the side that the script calls A, B */
	uint64_t base_ns;
};

struct tcp_rig {
	struct tcp_flow *tcp;
	struct ledger ledger;
	struct tcp_setting setting;
	bool started;
	unsigned reuses;
};

#define TCP_BASE_NS (1706123400 * NS_PER_SEC + 123)
/* So long before the 32-bit tick of 8 ns is 0 again. */
#define TCP_BASE_BEFORE_WRAP(us) ((((uint64_t)50000000 << 32) - TICKS_US(us)) * RTT_TICK_NS)

static const struct tcp_setting tcp_settings[] = {
	{ false, { 0, 0 }, TCP_BASE_NS },
	{ true, { 0, 0 }, TCP_BASE_NS },
	/* Scripts count from 1000 (A) and 5000 (B): 2^32, then 2^31, comes early in them. */
	{ false, { 0u - 1050, 0u - 5050 }, TCP_BASE_NS },
	{ true, { 0u - 1150, 0u - 5150 }, TCP_BASE_NS },
	{ false, { 0x80000000u - 1050, 0x80000000u - 5050 }, TCP_BASE_NS },
	{ false, { 0x12345678, 0u - 5021 }, TCP_BASE_NS },
	{ false, { 0, 0 }, TCP_BASE_BEFORE_WRAP(35000) },
	{ true, { 77, 99 }, TCP_BASE_BEFORE_WRAP(500) + 5 },
};

static inline void tcp_rig_start(struct tcp_rig *rig, const struct tcp_setting *setting)
{
	memset(rig, 0, sizeof(*rig));
	rig->tcp = tcp_flow_used(0);
	rig->setting = *setting;
}

static inline void tcp_packet(const struct tcp_rig *rig, const struct tcp_step *step, struct made *made)
{
	struct flow_key key = key_v4(PROTO_TCP, 0x0a000001, 40000, 0x0a000002, 443);
	const struct tcp_setting *setting = &rig->setting;

	made_set(made, &key, step->dir ^ setting->mirror, setting->base_ns + (uint64_t)(step->t_us * 1000));
	made->packet.tcp_flags = step->flags;
	made->packet.tcp_seq = step->seq + setting->seq_shift[step->dir];
	made->packet.tcp_ack = step->flags & TCP_ACK ? step->ack + setting->seq_shift[!step->dir] : step->ack;
	made->packet.tcp_window = step->window;
	made->packet.payload_len = step->len;
	made->packet.l3_len = 40 + step->len;
	made->frame.wire_len = 54 + step->len;
}

/* As the lane's core does it. */
static inline void tcp_feed_packet(struct tcp_rig *rig, const struct packet *packet)
{
	struct flow *flow = &rig->tcp->flow;

	if (!rig->started)
		flow_init(flow, packet);
	rig->started = true;
	if (tcp_is_reuse(rig->tcp, packet)) {
		rig->reuses++;
		flow_init(flow, packet);
	}
	struct tcp_work work = { rig->tcp, packet };
	if (rtt_is_void(flow->last_ns, packet->frame->ts_ns))
		tcp_forget(rig->tcp);
	flow_update(flow, packet);
	tcp_update(&work, 1, &(struct rtt_results){ .ledger = &rig->ledger });
}

/* With TCP options, of which all n bytes were captured, and nothing behind them. */
static inline void tcp_feed_options(struct tcp_rig *rig, const struct tcp_step *step, const uint8_t *options, uint32_t n)
{
	uint8_t bytes[60] = { 0 };
	struct made made;

	assert_true(n <= 40);
	if (n)
		memcpy(bytes + 20, options, n);
	tcp_packet(rig, step, &made);
	uint8_t *data = made_bytes(&made, bytes, 20 + n, 0, 20 + n);
	tcp_feed_packet(rig, &made.packet);
	free(data);
}

static inline void tcp_feed(struct tcp_rig *rig, const struct tcp_step *step)
{
	tcp_feed_options(rig, step, NULL, 0);
}

/* The room for a script; rows that are all zero end it. */
#define TCP_STEPS 28

static inline bool tcp_step_is_end(const struct tcp_step *step)
{
	return !step->flags && !step->seq && !step->window;
}

static inline void tcp_play(struct tcp_rig *rig, const struct tcp_step *steps)
{
	for (unsigned i = 0; i < TCP_STEPS && !tcp_step_is_end(&steps[i]); i++)
		tcp_feed(rig, &steps[i]);
}

/* What the flow came to, as sinks get it. */
static inline struct flow_record tcp_result(const struct tcp_rig *rig)
{
	struct flow_record record;

	flow_record_fill(&record, &rig->tcp->flow, FLOW_ALIVE, rig->tcp->flow.last_ns);
	return record;
}

/* --- scripts with what must come out --------------------------------------------------------------------------------- */

enum { NO_CLIENT, A_IS_CLIENT, B_IS_CLIENT };

struct tcp_case {
	const char *name;
	struct {
		uint8_t state;
		uint8_t client; /* as the script calls them */
		uint32_t retransmissions;
		uint32_t out_of_order;
		uint32_t samples;
		uint32_t last_us; /* of the last sample */
		unsigned reuses;
	} want;
	struct tcp_step steps[TCP_STEPS];
};

static inline bool tcp_same(const char *name, unsigned setting, const char *what, uint64_t got, uint64_t want)
{
	if (got != want)
		print_error("'%s' (setting %u): %s is %llu, must be %llu\n", name, setting, what, (unsigned long long)got,
			(unsigned long long)want);
	return got == want;
}

/* Plays one script in one setting; false, and said, if the outcome is another one. */
static inline bool tcp_case_holds(const struct tcp_case *row, unsigned setting)
{
	static const enum flow_client clients[2][3] = { { CLIENT_UNKNOWN, CLIENT_A_TO_B, CLIENT_B_TO_A },
		{ CLIENT_UNKNOWN, CLIENT_B_TO_A, CLIENT_A_TO_B } };
	struct tcp_rig rig;

	tcp_rig_start(&rig, &tcp_settings[setting]);
	tcp_play(&rig, row->steps);
	struct flow_record result = tcp_result(&rig);
	bool good = tcp_same(row->name, setting, "state", result.tcp_state, row->want.state);
	good &= tcp_same(row->name, setting, "client", result.client, clients[rig.setting.mirror][row->want.client]);
	good &= tcp_same(row->name, setting, "retransmissions", result.retransmissions, row->want.retransmissions);
	good &= tcp_same(row->name, setting, "out of order", result.out_of_order, row->want.out_of_order);
	good &= tcp_same(row->name, setting, "RTT samples", result.rtt.samples, row->want.samples);
	good &= tcp_same(row->name, setting, "last RTT (8 ns)", result.rtt.last, TICKS_US(row->want.last_us));
	good &= tcp_same(row->name, setting, "port reuses", rig.reuses, row->want.reuses);
	return good;
}

static inline void tcp_cases_check(const struct tcp_case *rows, size_t n)
{
	unsigned wrong = 0;

	for (size_t i = 0; i < n; i++) {
		unsigned setting = 0;
		while (setting < ROWS(tcp_settings) && tcp_case_holds(&rows[i], setting))
			setting++;
		wrong += setting < ROWS(tcp_settings);
	}
	if (wrong)
		fail_msg("%u of %zu scripts played wrong", wrong, n);
}

/* The window of nearly all segments, and the usual beginning: A is the client, 1000 and 5000 are the ISNs, 15 ms to the server
 * and back, 5 ms to the client; established at 20 ms with two samples, the last of 5000 us. */
#define WIN 500
/* clang-format off */
#define HANDSHAKE \
	{ A, SYN, 1000, 0, 0, WIN, 0 }, { B, SYNACK, 5000, 1001, 0, WIN, 15000 }, { A, ACK, 1001, 5001, 0, WIN, 20000 }
/* clang-format on */

#endif
