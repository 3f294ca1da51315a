#include "talk.h"

#include <stdio.h>
#include <string.h>

#include "bytes.h"
#include "flowlane/packet.h"

#define WINDOW_SEGMENTS  8 /* at most this many in flight */
#define SEGMENT_GAP_NS   120000
#define REORDER_DELAY_NS 400000
#define REPEAT_DELAY_NS  5000000 /* the sender's pause: a repeat comes clearly later than a round trip */

static enum talk_side other(enum talk_side side)
{
	return side == TALK_CLIENT ? TALK_SERVER : TALK_CLIENT;
}

void talk_init(struct talk *talk, struct capture *capture, struct endpoint client, struct endpoint server, uint64_t start_ns)
{
	uint64_t random = start_ns ^ client.port;

	*talk = (struct talk){ .capture = capture, .end = { client, server }, .now_ns = start_ns, .rtt_ns = { 2000000, 20000000 } };
	talk->seq[TALK_CLIENT] = (uint32_t)random_next(&random);
	talk->seq[TALK_SERVER] = (uint32_t)random_next(&random);
	talk->ident = (uint32_t)random_next(&random);
}

static void talk_options(const struct talk *talk, enum talk_side side, uint64_t ts_ns, uint8_t flags, struct tcp_header *tcp)
{
	uint8_t *p = tcp->options;

	if (flags & TCP_SYN) {
		static const uint8_t syn[] = { 2, 4, 0x05, 0xb4, 1, 3, 3, 7, 1, 1, 4,
			2 }; /* MSS 1460, window scale 7, SACK permitted */
		memcpy(p, syn, sizeof(syn));
		p += sizeof(syn);
	}
	if (talk->timestamps) {
		uint64_t echo_ns = ts_ns - talk->rtt_ns[side]; /* what this side can have seen of the other one's clock */
		bool first = (flags & (TCP_SYN | TCP_ACK)) == TCP_SYN;
		p[0] = p[1] = 1;
		p[2] = 8;
		p[3] = 10;
		store_be32(p + 4, (uint32_t)(ts_ns / 1000000));
		store_be32(p + 8, first ? 0 : (uint32_t)(echo_ns / 1000000));
		p += 12;
	}
	tcp->options_len = (uint8_t)(p - tcp->options);
}

/* The one place where a segment becomes a frame. */
static void talk_segment(struct talk *talk, enum talk_side side, uint64_t ts_ns, uint8_t flags, uint32_t seq, uint32_t ack,
	const void *bytes, uint32_t len)
{
	const struct endpoint *src = &talk->end[side], *dst = &talk->end[other(side)];
	struct tcp_header tcp = { .seq = seq, .ack = flags & TCP_ACK ? ack : 0, .flags = flags, .window = 64240 };
	struct frame_builder f;

	if (flags & TCP_RST)
		tcp.window = 0;
	else
		talk_options(talk, side, ts_ns, flags, &tcp);
	frame_start(&f, bytes, len);
	frame_push_tcp(&f, src, dst, &tcp);
	frame_push_ip(&f, src, dst, TRAFFIC_TCP, talk->ident++, NULL);
	frame_push_type(&f, src->version == 6 ? ETHERTYPE_IPV6 : ETHERTYPE_IPV4);
	if (talk->vlan[1])
		frame_push_tag(&f, ETHERTYPE_VLAN, talk->vlan[1]);
	if (talk->vlan[0])
		frame_push_tag(&f, talk->vlan[1] ? ETHERTYPE_QINQ : ETHERTYPE_VLAN, talk->vlan[0]);
	frame_push_ethernet(&f, src, dst);
	capture_add_frame(talk->capture, ts_ns, &f);
}

void talk_open(struct talk *talk)
{
	talk_segment(talk, TALK_CLIENT, talk->now_ns, TCP_SYN, talk->seq[TALK_CLIENT]++, 0, NULL, 0);
	talk->now_ns += talk->rtt_ns[TALK_SERVER];
	talk_segment(talk, TALK_SERVER, talk->now_ns, TCP_SYN | TCP_ACK, talk->seq[TALK_SERVER]++, talk->seq[TALK_CLIENT], NULL, 0);
	talk->now_ns += talk->rtt_ns[TALK_CLIENT];
	talk_ack(talk, TALK_CLIENT);
}

void talk_send(struct talk *talk, enum talk_side side, const void *bytes, uint32_t len)
{
	talk_segment(talk, side, talk->now_ns, TCP_ACK | TCP_PSH, talk->seq[side], talk->seq[other(side)], bytes, len);
	talk->seq[side] += len;
}

void talk_ack(struct talk *talk, enum talk_side side)
{
	talk_segment(talk, side, talk->now_ns, TCP_ACK, talk->seq[side], talk->seq[other(side)], NULL, 0);
}

void talk_http(struct talk *talk, const char *host, const char *path, uint32_t response_len, uint64_t think_ns)
{
	char request[512];
	int len = snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: demo\r\n\r\n", path, host);
	struct bulk body = { .sender = TALK_SERVER, .segments = response_len / 1400, .segment_len = 1400 };
	char head[128];
	int head_len =
		snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\nContent-Length: %u\r\n\r\n", body.segments * body.segment_len);

	talk->now_ns += 100000;
	talk_send(talk, TALK_CLIENT, request, (uint32_t)len);
	talk->now_ns += talk->rtt_ns[TALK_SERVER];
	talk_ack(talk, TALK_SERVER);
	talk->now_ns += think_ns;
	talk_send(talk, TALK_SERVER, head, (uint32_t)head_len);
	talk->now_ns += talk->rtt_ns[TALK_CLIENT];
	talk_ack(talk, TALK_CLIENT);
	talk_bulk(talk, &body);
}

static bool every(uint32_t nth, uint32_t number)
{
	return nth && number % nth == nth - 1;
}

/*
 * One window: the receiver's ACKs follow each arrival by its own round trip. `missing` is the index of the segment that is
 * lost (or late); the sender repeats it one round trip, and its pause, after the third duplicate ACK has passed the tap.
 */
static void talk_window(struct talk *talk, const struct bulk *bulk, uint32_t first, uint32_t n)
{
	enum talk_side sender = bulk->sender, receiver = other(sender);
	uint32_t base = talk->seq[sender], len = bulk->segment_len, ack = talk->seq[receiver];
	uint64_t start_ns = talk->now_ns, last_ns = start_ns, third_duplicate_ns = 0, fills_ns = 0;
	uint32_t missing = n, duplicates = 0;
	bool lost_before = false, lost_after = false, late = false;

	for (uint32_t i = 0; i < n && n > 4 && missing == n; i++) {
		lost_before = every(bulk->lost_before_tap, first + i);
		lost_after = every(bulk->lost_after_tap, first + i);
		late = every(bulk->reordered, first + i);
		if (lost_before || lost_after || late)
			missing = i < n - 4 ? i
					    : n - 4; /* so that three others follow: a loss at the very end would take a timeout */
	}
	for (uint32_t i = 0; i < n; i++) {
		uint64_t seen_ns = start_ns + i * (uint64_t)SEGMENT_GAP_NS;
		uint64_t ack_ns = seen_ns + talk->rtt_ns[receiver];
		if (i != missing || lost_after)
			talk_segment(talk, sender, seen_ns, TCP_ACK, base + i * len, ack, NULL, len);
		if (i == missing)
			continue;
		/* In order: an ACK for every second segment and the last. Behind a hole: a duplicate ACK for each. */
		if (i < missing && (i % 2 || i + 1 == n || i + 1 == missing))
			talk_segment(talk, receiver, ack_ns, TCP_ACK, ack, base + (i + 1) * len, NULL, 0);
		if (i > missing && (!late || seen_ns < start_ns + missing * (uint64_t)SEGMENT_GAP_NS + REORDER_DELAY_NS)) {
			talk_segment(talk, receiver, ack_ns, TCP_ACK, ack, base + missing * len, NULL, 0);
			if (++duplicates == 3)
				third_duplicate_ns = ack_ns;
		}
		last_ns = ack_ns;
	}
	if (missing < n) {
		fills_ns = late ? start_ns + missing * (uint64_t)SEGMENT_GAP_NS + REORDER_DELAY_NS
				: third_duplicate_ns + talk->rtt_ns[sender] + REPEAT_DELAY_NS;
		talk_segment(talk, sender, fills_ns, TCP_ACK, base + missing * len, ack, NULL, len);
		fills_ns += talk->rtt_ns[receiver];
		last_ns = fills_ns > last_ns ? fills_ns : last_ns + 1000;
		talk_segment(talk, receiver, last_ns, TCP_ACK, ack, base + n * len, NULL, 0);
	}
	talk->seq[sender] += n * len;
	talk->now_ns = last_ns + talk->rtt_ns[sender];
}

void talk_bulk(struct talk *talk, const struct bulk *bulk)
{
	for (uint32_t done = 0; done < bulk->segments; done += WINDOW_SEGMENTS) {
		uint32_t left = bulk->segments - done;
		talk_window(talk, bulk, done, left < WINDOW_SEGMENTS ? left : WINDOW_SEGMENTS);
	}
}

void talk_close(struct talk *talk, enum talk_side first)
{
	enum talk_side second = other(first);

	talk->now_ns += 50000;
	talk_segment(talk, first, talk->now_ns, TCP_FIN | TCP_ACK, talk->seq[first], talk->seq[second], NULL, 0);
	talk->seq[first]++;
	talk->now_ns += talk->rtt_ns[second];
	talk_segment(talk, second, talk->now_ns, TCP_FIN | TCP_ACK, talk->seq[second], talk->seq[first], NULL, 0);
	talk->seq[second]++;
	talk->now_ns += talk->rtt_ns[first];
	talk_ack(talk, first);
}

void talk_reset(struct talk *talk, enum talk_side side)
{
	talk->now_ns += 50000;
	talk_segment(talk, side, talk->now_ns, TCP_RST | TCP_ACK, talk->seq[side], talk->seq[other(side)], NULL, 0);
}
