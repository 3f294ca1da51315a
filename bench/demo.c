#include "demo.h"

#include <stdio.h>
#include <string.h>

#include "bytes.h"
#include "flowlane/packet.h"
#include "talk.h"

#define MS       ((uint64_t)1000000)
#define SECOND   ((uint64_t)1000000000)
#define START_NS ((uint64_t)1700000000 * SECOND) /* a fixed day: the capture is the same on every run */

static void demo_http(struct capture *c)
{
	static const char *const servers[] = { "203.0.113.10", "203.0.113.20", "198.51.100.80" };
	static const char *const names[] = { "www.example.com", "static.example.net", "api.example.org" };
	uint64_t random = 1;

	for (unsigned i = 0; i < 36; i++) {
		char client[32];
		struct talk talk;

		snprintf(client, sizeof(client), "192.0.2.%u", 10 + i % 12);
		talk_init(&talk, c, endpoint_make(client, (uint16_t)(40000 + i)), endpoint_make(servers[i % 3], 80),
			START_NS + i * 310 * MS);
		talk.rtt_ns[TALK_SERVER] = (10 + 5 * (i % 3)) * MS; /* 10, 15 and 20 ms: one per server */
		talk.rtt_ns[TALK_CLIENT] = 1 * MS;
		talk.timestamps = i % 2;
		talk_open(&talk);
		for (unsigned request = 0; request < 1 + i % 3; request++)
			talk_http(&talk, names[i % 3], "/index.html", 2800 + random_below(&random, 20000), 3 * MS);
		if (i % 9 == 8)
			talk_reset(&talk, TALK_SERVER);
		else
			talk_close(&talk, i % 2 ? TALK_CLIENT : TALK_SERVER);
	}
}

static void demo_bulk(struct capture *c)
{
	static const struct {
		struct bulk bulk;
		uint64_t rtt_ms[2]; /* client side, server side */
	} rows[] = {
		{ { TALK_SERVER, 400, 1448, .lost_before_tap = 61 }, { 4, 30 } },
		{ { TALK_SERVER, 320, 1448, .lost_after_tap = 53 }, { 8, 50 } },
		{ { TALK_SERVER, 320, 1448, .reordered = 43 }, { 5, 25 } },
		{ { TALK_CLIENT, 240, 1448, .lost_before_tap = 71, .reordered = 37 }, { 2, 40 } },
	};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct talk talk;

		talk_init(&talk, c, endpoint_make("192.0.2.77", (uint16_t)(51000 + i)), endpoint_make("198.51.100.7", 443),
			START_NS + 500 * MS + i * 100 * MS);
		talk.rtt_ns[TALK_CLIENT] = rows[i].rtt_ms[0] * MS;
		talk.rtt_ns[TALK_SERVER] = rows[i].rtt_ms[1] * MS;
		talk.timestamps = true;
		talk_open(&talk);
		talk_bulk(&talk, &rows[i].bulk);
		talk_close(&talk, TALK_CLIENT);
	}
}

static void demo_ipv6_and_vlan(struct capture *c)
{
	struct bulk body = { TALK_SERVER, 120, 1400, .lost_before_tap = 47 };
	struct talk talk;

	talk_init(&talk, c, endpoint_make("2001:db8:1::25", 52001), endpoint_make("2001:db8:2::80", 443), START_NS + 900 * MS);
	talk.rtt_ns[TALK_SERVER] = 35 * MS;
	talk.timestamps = true;
	talk_open(&talk);
	talk_bulk(&talk, &body);
	talk_close(&talk, TALK_CLIENT);

	talk_init(&talk, c, endpoint_make("192.0.2.131", 53001), endpoint_make("203.0.113.30", 8080), START_NS + 1200 * MS);
	talk.vlan[0] = 20;
	talk_open(&talk);
	talk_http(&talk, "vlan20.example.com", "/", 14000, 2 * MS);
	talk_close(&talk, TALK_CLIENT);

	talk_init(&talk, c, endpoint_make("192.0.2.132", 53002), endpoint_make("203.0.113.30", 8080), START_NS + 1400 * MS);
	talk.vlan[0] = 100;
	talk.vlan[1] = 30;
	talk_open(&talk);
	talk_http(&talk, "qinq.example.com", "/", 9800, 2 * MS);
	talk_close(&talk, TALK_CLIENT);
}

/* One IP packet of an untagged Ethernet frame. */
static void demo_add(struct capture *c, uint64_t ts_ns, struct frame_builder *f, const struct endpoint *src,
	const struct endpoint *dst, uint8_t protocol)
{
	frame_push_ip(f, src, dst, protocol, (uint32_t)(ts_ns / MS), NULL);
	frame_push_type(f, src->version == 6 ? ETHERTYPE_IPV6 : ETHERTYPE_IPV4);
	frame_push_ethernet(f, src, dst);
	capture_add_frame(c, ts_ns, f);
}

static void demo_udp(
	struct capture *c, uint64_t ts_ns, const struct endpoint *src, const struct endpoint *dst, const void *bytes, uint32_t len)
{
	struct frame_builder f;

	frame_start(&f, bytes, len);
	frame_push_udp(&f, src, dst);
	demo_add(c, ts_ns, &f, src, dst, TRAFFIC_UDP);
}

static void demo_dns(struct capture *c)
{
	struct endpoint server4 = endpoint_make("192.0.2.53", 53), server6 = endpoint_make("2001:db8::53", 53);
	uint64_t random = 2;

	for (unsigned i = 0; i < 160; i++) {
		uint64_t ts_ns = START_NS + i * 70 * MS;
		bool v6 = i % 8 == 7;
		struct endpoint server = v6 ? server6 : server4;
		struct endpoint client = endpoint_make(v6 ? "2001:db8:1::25" : "192.0.2.10", (uint16_t)(30000 + i));
		uint8_t message[512], address[4] = { 203, 0, 113, (uint8_t)(10 + i) };
		char name[64];

		snprintf(name, sizeof(name), "host%u.example.com", i);
		demo_udp(c, ts_ns, &client, &server, message, dns_message(message, (uint16_t)(i * 257), name, NULL));
		if (i % 20 == 19) /* some questions stay open */
			continue;
		ts_ns += 4 * MS + random_below(&random, 12) * MS;
		demo_udp(c, ts_ns, &server, &client, message, dns_message(message, (uint16_t)(i * 257), name, address));
	}
}

static void demo_icmp(struct capture *c)
{
	for (unsigned i = 0; i < 40; i++) {
		bool v6 = i % 4 == 3;
		struct endpoint client = endpoint_make(v6 ? "2001:db8:1::25" : "192.0.2.10", 0);
		struct endpoint server = endpoint_make(v6 ? "2001:db8:2::80" : "203.0.113.10", 0);
		uint64_t ts_ns = START_NS + i * 250 * MS + 7 * MS;
		uint8_t protocol = v6 ? TRAFFIC_ICMP6 : TRAFFIC_ICMP;
		struct frame_builder f;

		frame_start(&f, NULL, 48);
		frame_push_icmp(&f, &client, &server, v6 ? 128 : 8, 0, 0x4242u << 16 | i);
		demo_add(c, ts_ns, &f, &client, &server, protocol);
		frame_start(&f, NULL, 48);
		frame_push_icmp(&f, &server, &client, v6 ? 129 : 0, 0, 0x4242u << 16 | i);
		demo_add(c, ts_ns + 12 * MS, &f, &server, &client, protocol);
	}
}

static void demo_tcp_packet(struct capture *c, uint64_t ts_ns, const struct endpoint *src, const struct endpoint *dst,
	uint8_t flags, uint32_t seq, uint32_t ack)
{
	struct tcp_header tcp = { .seq = seq, .ack = ack, .flags = flags, .window = flags & TCP_RST ? 0 : 1024 };
	struct frame_builder f;

	frame_start(&f, NULL, 0);
	frame_push_tcp(&f, src, dst, &tcp);
	demo_add(c, ts_ns, &f, src, dst, TRAFFIC_TCP);
}

/* 60 ports of one host in three seconds; two of them are open. */
static void demo_port_scan(struct capture *c)
{
	for (unsigned i = 0; i < 60; i++) {
		struct endpoint scanner = endpoint_make("198.51.100.99", 45000);
		struct endpoint target = endpoint_make("192.0.2.10", (uint16_t)(20 + i));
		uint64_t ts_ns = START_NS + 3 * SECOND + i * 50 * MS;
		bool open = target.port == 22 || target.port == 25;

		demo_tcp_packet(c, ts_ns, &scanner, &target, TCP_SYN, 1000 + i, 0);
		demo_tcp_packet(
			c, ts_ns + MS, &target, &scanner, open ? TCP_SYN | TCP_ACK : TCP_RST | TCP_ACK, open ? 7000 : 0, 1001 + i);
		if (open)
			demo_tcp_packet(c, ts_ns + 21 * MS, &scanner, &target, TCP_RST, 1001 + i, 0);
	}
}

/* 300 SYNs from 120 sources within three seconds. */
static void demo_syn_flood(struct capture *c)
{
	struct endpoint target = endpoint_make("203.0.113.80", 443);
	uint64_t random = 3;

	for (unsigned i = 0; i < 300; i++) {
		char ip[32];
		struct endpoint source;

		snprintf(ip, sizeof(ip), "198.18.%u.%u", i % 120 / 40, 1 + i % 120 % 40);
		source = endpoint_make(ip, (uint16_t)(1024 + i));
		demo_tcp_packet(
			c, START_NS + 7 * SECOND + i * 10 * MS, &source, &target, TCP_SYN, (uint32_t)random_next(&random), 0);
	}
}

static void demo_fragments(struct capture *c, bool v6)
{
	struct endpoint src = endpoint_make(v6 ? "2001:db8:1::25" : "192.0.2.44", 5004);
	struct endpoint dst = endpoint_make(v6 ? "2001:db8:2::44" : "203.0.113.44", 5004);
	struct frame_builder whole, f;
	uint32_t total, piece = 1400;

	for (unsigned datagram = 0; datagram < 4; datagram++) {
		frame_start(&whole, NULL, 4000);
		frame_push_udp(&whole, &src, &dst);
		total = frame_len(&whole);
		for (uint32_t offset = 0; offset < total; offset += piece) {
			struct ip_fragment fragment = { .offset = (uint16_t)offset, .more = offset + piece < total };
			frame_start(&f, frame_bytes(&whole) + offset, fragment.more ? piece : total - offset);
			frame_push_ip(&f, &src, &dst, TRAFFIC_UDP, 900 + datagram, &fragment);
			frame_push_type(&f, v6 ? ETHERTYPE_IPV6 : ETHERTYPE_IPV4);
			frame_push_ethernet(&f, &src, &dst);
			capture_add_frame(c, START_NS + (5 + datagram) * SECOND + v6 * 5 * MS + offset * 100, &f);
		}
	}
}

static void demo_tunnels(struct capture *c)
{
	struct endpoint in_a = endpoint_make("10.1.0.1", 6000), in_b = endpoint_make("10.2.0.1", 6001);
	struct endpoint out_a = endpoint_make("192.0.2.250", 0), out_b = endpoint_make("203.0.113.250", 0);

	for (unsigned i = 0; i < 20; i++) {
		bool back = i & 1, vxlan = i % 4 > 1;
		struct endpoint *src = back ? &in_b : &in_a, *dst = back ? &in_a : &in_b;
		struct endpoint *from = back ? &out_b : &out_a, *to = back ? &out_a : &out_b;
		struct frame_builder f;

		frame_start(&f, NULL, 120);
		frame_push_udp(&f, src, dst);
		frame_push_ip(&f, src, dst, TRAFFIC_UDP, i, NULL);
		if (vxlan) {
			frame_push_type(&f, ETHERTYPE_IPV4);
			frame_push_ethernet(&f, src, dst);
			frame_push_vxlan(&f, 4242);
			from->port = 49152;
			to->port = 4789; /* in both directions (RFC 7348 section 5) */
			frame_push_udp(&f, from, to);
		} else {
			frame_push_gre(&f, ETHERTYPE_IPV4);
		}
		demo_add(c, START_NS + 2 * SECOND + i * 90 * MS, &f, from, to, vxlan ? TRAFFIC_UDP : TRAFFIC_GRE);
	}
}

static void demo_arp(struct capture *c)
{
	struct endpoint asks = endpoint_make("192.0.2.10", 0), answers = endpoint_make("192.0.2.1", 0);

	for (unsigned reply = 0; reply < 2; reply++) {
		const struct endpoint *src = reply ? &answers : &asks, *dst = reply ? &asks : &answers;
		uint8_t arp[28] = { 0, 1, 8, 0, 6, 4, 0, (uint8_t)(1 + reply), 0x02, 4 };
		struct frame_builder f;

		memcpy(arp + 10, src->ip, 4); /* the rest of the MAC address */
		memcpy(arp + 14, src->ip, 4);
		if (reply) {
			arp[18] = 0x02;
			arp[19] = 4;
			memcpy(arp + 20, dst->ip, 4);
		}
		memcpy(arp + 24, dst->ip, 4);
		frame_start(&f, arp, sizeof(arp));
		frame_push_type(&f, ETHERTYPE_ARP);
		frame_push_ethernet(&f, src, reply ? dst : NULL);
		capture_add_frame(c, START_NS + 1 * MS + reply * MS, &f);
	}
}

/* What a sensor must survive and count: a frame cut inside its IPv4 header, and a TCP header whose data offset is 8 bytes. */
static void demo_broken(struct capture *c)
{
	struct endpoint src = endpoint_make("192.0.2.66", 6666), dst = endpoint_make("203.0.113.66", 80);
	struct tcp_header tcp = { .seq = 1, .flags = TCP_SYN, .window = 1024 };
	struct frame_builder f;

	frame_start(&f, NULL, 100);
	frame_push_udp(&f, &src, &dst);
	frame_push_ip(&f, &src, &dst, TRAFFIC_UDP, 1, NULL);
	frame_push_type(&f, ETHERTYPE_IPV4);
	frame_push_ethernet(&f, &src, &dst);
	capture_add(c, START_NS + 6 * SECOND, frame_bytes(&f), 14 + 12, frame_len(&f));

	frame_start(&f, NULL, 0);
	frame_push_tcp(&f, &src, &dst, &tcp);
	f.bytes[f.start + 12] = 2 << 4;
	demo_add(c, START_NS + 6 * SECOND + 2 * MS, &f, &src, &dst, TRAFFIC_TCP);
}

struct capture *demo_make(void)
{
	struct capture *c = capture_create();

	demo_arp(c);
	demo_http(c);
	demo_bulk(c);
	demo_ipv6_and_vlan(c);
	demo_dns(c);
	demo_icmp(c);
	demo_port_scan(c);
	demo_syn_flood(c);
	demo_fragments(c, false);
	demo_fragments(c, true);
	demo_tunnels(c);
	demo_broken(c);
	return c;
}
