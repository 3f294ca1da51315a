#include "tap.h"

#include "bytes.h"
#include "detectors.h"

#include "poison.h"

#define TCP_PROTO   6
#define UDP_PROTO   17
#define ICMP_PROTO  1
#define ICMP6_PROTO 58

#define TAKE_NS       ((uint64_t)100 * 1000 * 1000)
#define STEP          64  /* packets of a direction between two looks at its path */
#define UDP_EXACT     256 /* unanswered packets of a flow that are counted one by one; later ones by STEP */
#define SMALL_BYTES   512
#define DNS_PORT      53
#define NTP_PORT      123
#define SYSTEM_PORTS  1024
#define HEARD_PACKETS 3

_Static_assert(offsetof(struct flow_key, b_ip) == offsetof(struct flow_key, a_ip) + 16, "by direction");
_Static_assert(offsetof(struct flow_key, b_port) == offsetof(struct flow_key, a_port) + 2, "by direction");

enum { ICMP_ECHO = 8, ICMP6_ECHO = 128, ICMP6_MLD_FIRST = 130, ICMP6_ND_LAST = 137, ICMP6_MLD2 = 143 };

bool anomaly_wants_udp(const struct anomaly_tap *tap)
{
	return tap->compat;
}

/* Where the next event goes; NULL: live, and the ring is full. On files there is room: it was made at the end of the last batch. */
static struct anomaly_event *tap_place(struct anomaly_tap *tap)
{
	if (tap->written - tap->tail_seen > tap->mask) {
		tap->tail_seen = __atomic_load_n(&tap->tail, __ATOMIC_ACQUIRE);
		if (tap->written - tap->tail_seen > tap->mask) {
			__atomic_store_n(&tap->lost, tap->lost + 1, __ATOMIC_RELAXED);
			return NULL;
		}
	}
	return &tap->ring[tap->written++ & tap->mask];
}

static void tap_push(struct anomaly_tap *tap, const struct anomaly_event *event)
{
	struct anomaly_event *place = tap_place(tap);

	if (place)
		*place = *event;
}

static uint16_t packet_src_port(const struct packet *packet)
{
	return packet->dir ? packet->key.b_port : packet->key.a_port;
}

/* The event of a packet, from the one who sent it to the one who shall get it. */
static inline void event_write(struct anomaly_event *event, const struct packet *packet, uint64_t order)
{
	const struct flow_key *key = &packet->key;
	const uint8_t *ips = (const uint8_t *)key + offsetof(struct flow_key, a_ip); /* A's and B's, one behind the other */
	const uint8_t *ports = (const uint8_t *)key + offsetof(struct flow_key, a_port);
	unsigned dir = packet->dir; /* no branch: under a flood of forged sources it is a coin toss */

	event->order = order;
	event->ts_ns = packet->frame->ts_ns;
	event->packets = 1;
	event->bytes = packet->frame->wire_len;
	event->service = 0; /* no RTT, no retransmissions */
	memcpy(&event->src_port, ports + dir * sizeof(key->a_port), sizeof(event->src_port));
	memcpy(&event->port, ports + !dir * sizeof(key->a_port), sizeof(event->port));
	event->ip_version = key->ip_version;
	event->proto = key->proto;
	memcpy(event->src, ips + dir * sizeof(key->a_ip), sizeof(event->src));
	memcpy(event->dst, ips + !dir * sizeof(key->a_ip), sizeof(event->dst));
}

static struct anomaly_event event_of(const struct packet *packet, uint64_t order)
{
	struct anomaly_event event = { .bits = 0 };

	event_write(&event, packet, order);
	return event;
}

/* For nobody in particular. 255 at the end is a guess at the broadcast address, as masks are not known. */
static bool is_for_many(const struct anomaly_event *event)
{
	const uint8_t *ip = event->dst;

	if (event->ip_version != 4)
		return ip[0] == 0xff;
	return ip[12] >= 224 || ip[15] == 255;
}

/* --- TCP ------------------------------------------------------------------------------------------------------------- */

/* Which side is the server's: 0: A. Where no SYN was seen, the lower port is. */
static unsigned tcp_server(const struct tcp_flow *tcp, const struct flow_key *key)
{
	uint8_t client = tcp_cold(tcp)->client;

	if (client == CLIENT_UNKNOWN)
		return key->b_port < key->a_port;
	return client == CLIENT_A_TO_B;
}

/* From client to server, whoever sent this packet. */
static __attribute__((noinline)) void note_path(
	struct anomaly_tap *tap, struct tcp_flow *tcp, const struct packet *packet, uint64_t order, unsigned bits, uint32_t packets)
{
	struct anomaly_event event = event_of(packet, order);
	const struct flow_key *key = &packet->key;
	unsigned server = tcp_server(tcp, key);
	struct tcp_cold *cold = tcp_cold(tcp);
	uint64_t bytes = flow_bytes(&tcp->flow, 0) + flow_bytes(&tcp->flow, 1);

	memcpy(event.src, server ? key->a_ip : key->b_ip, sizeof(event.src));
	memcpy(event.dst, server ? key->b_ip : key->a_ip, sizeof(event.dst));
	event.port = server ? key->b_port : key->a_port;
	event.src_port = server ? key->a_port : key->b_port;
	event.bits = (uint16_t)bits;
	event.packets = packets;
	event.bytes = bytes > UINT32_MAX ? UINT32_MAX : (uint32_t)bytes;
	event.first_ns = cold->flow.first_ns;
	event.rtt_ticks = tcp->flow.leg_samples[server] ? tcp_leg(tcp, server)->ewma : 0;
	event.retransmissions = (uint16_t)(cold->retransmissions - cold->retransmissions_told);
	cold->retransmissions_told = (uint16_t)cold->retransmissions;
	tap_push(tap, &event);
}

static unsigned tcp_bits(const struct flow *flow, const struct packet *packet)
{
	uint32_t sent = flow->packets[packet->dir], received = flow->packets[!packet->dir];
	uint8_t flags = packet->tcp_flags;
	unsigned bits = 0;

	if ((flags & (TCP_SYN | TCP_ACK)) == TCP_SYN)
		bits |= EVENT_SYN;
	if (flags & TCP_RST)
		bits |= EVENT_RST;
	if (!sent && !received) {
		bits |= EVENT_NEW;
		if (flags & TCP_RST)
			return bits | EVENT_REJECT; /* live, the other direction may be another lane's */
		/* Neither ACK nor SYN: NULL, FIN and Xmas scans. */
		if (!(flags & TCP_ACK))
			return bits | EVENT_ATTEMPT;
		return flags & TCP_SYN ? bits | EVENT_ANSWER : bits;
	}
	if (!sent)
		return bits | (flags & TCP_RST ? EVENT_REJECT : EVENT_ANSWER);
	/* Only one direction is captured, but its sender has heard from the other. */
	if (!received && sent <= HEARD_PACKETS && (flags & (TCP_ACK | TCP_SYN | TCP_RST)) == TCP_ACK)
		bits |= EVENT_ANSWER;
	return bits;
}

static void note_tcp(struct anomaly_tap *tap, struct tcp_flow *tcp, const struct packet *packet, uint64_t order)
{
	const struct flow *flow = &tcp->flow;
	unsigned bits = tcp_bits(flow, packet);
	struct anomaly_event *place = bits ? tap_place(tap) : NULL;

	if (place) {
		event_write(place, packet, order);
		place->bits = (uint16_t)bits;
		place->flow = packet->hash;
		if (bits & EVENT_SYN)
			place->service = event_service(tap->engine, place);
	}
	if (!anomaly_tells_tcp(flow, packet))
		return;
	bool ends =
		packet->tcp_flags & (TCP_FIN | TCP_RST) && tcp->state >= TCP_STATE_SYN_ACK && tcp->state <= TCP_STATE_ESTABLISHED;
	if (ends)
		note_path(tap, tcp, packet, order, EVENT_END | EVENT_PATH, flow->packets[0] % STEP + flow->packets[1] % STEP);
	else if (flow->packets[packet->dir] % STEP == STEP - 1)
		note_path(tap, tcp, packet, order, EVENT_PATH, STEP);
}

/* --- UDP ------------------------------------------------------------------------------------------------------------- */

/* Who asks whom: by the message if it was captured, else by the ports. */
static bool is_dns_answer(const struct packet *packet)
{
	const uint8_t *dns = packet->frame->data + packet->payload_off;

	if (packet->payload_off + 3u > packet->frame->cap_len)
		return packet_src_port(packet) == DNS_PORT;
	return dns[2] & 0x80; /* QR (RFC 1035 section 4.1.1) */
}

static bool is_ntp_answer(const struct packet *packet)
{
	const uint8_t *ntp = packet->frame->data + packet->payload_off;

	if (packet->payload_off + 2u > packet->frame->cap_len)
		return packet_src_port(packet) == NTP_PORT;
	switch (ntp[0] & 7) {
	case 6: /* control (RFC 9327 section 2): R */
		return ntp[1] & 0x80;
	case 7: /* private, as ntpdc uses it: response bit */
		return ntp[0] & 0x80;
	default: /* RFC 5905 section 3: 2 symmetric passive, 4 server, 5 broadcast */
		return (ntp[0] & 7) == 2 || (ntp[0] & 7) == 4 || (ntp[0] & 7) == 5;
	}
}

static unsigned udp_service_bits(const struct packet *packet)
{
	const struct flow_key *key = &packet->key;

	if (key->a_port == DNS_PORT || key->b_port == DNS_PORT)
		return is_dns_answer(packet) ? EVENT_DNS_ANSWER : EVENT_DNS_ASKED;
	if (key->a_port == NTP_PORT || key->b_port == NTP_PORT)
		return is_ntp_answer(packet) ? EVENT_NTP_ANSWER : EVENT_NTP_ASKED;
	return 0;
}

/* From a system port to another: the answer to a request that was not captured, rather than a request. */
static bool udp_is_attempt(const struct packet *packet, const struct anomaly_event *event)
{
	return packet_src_port(packet) >= SYSTEM_PORTS || event->port < SYSTEM_PORTS;
}

static __attribute__((noinline)) void note_udp(
	struct anomaly_tap *tap, const struct flow *flow, const struct packet *packet, uint64_t order)
{
	struct anomaly_event event = event_of(packet, order);
	uint32_t sent = flow->packets[packet->dir], received = flow->packets[!packet->dir];
	bool for_many = is_for_many(&event);
	unsigned bits = tap->compat ? EVENT_UDP_ANY : 0;

	if (!sent && !received) {
		bits |= EVENT_NEW;
		if (!for_many)
			bits |= udp_is_attempt(packet, &event) ? EVENT_ATTEMPT : EVENT_ANSWER;
		bits |= event.bytes <= SMALL_BYTES ? EVENT_SMALL : 0;
	} else if (!sent) {
		bits |= EVENT_ANSWER;
	}
	if (!received && !for_many) {
		bool step = sent % STEP == STEP - 1;
		event.packets = sent < UDP_EXACT ? 1 : STEP;
		bits |= sent < UDP_EXACT || step ? EVENT_UDP : 0;
	}
	if (!for_many)
		bits |= udp_service_bits(packet);
	if (!bits)
		return;
	event.bits = (uint16_t)bits;
	event.flow = packet->hash;
	tap_push(tap, &event);
}

/* --- the others ------------------------------------------------------------------------------------------------------ */

/* How IPv6 finds its neighbours, and who listens to what: not what a ping is. */
static bool is_icmp6_housekeeping(const struct packet *packet)
{
	return packet->key.proto == ICMP6_PROTO &&
	       ((packet->icmp_type >= ICMP6_MLD_FIRST && packet->icmp_type <= ICMP6_ND_LAST) || packet->icmp_type == ICMP6_MLD2);
}

static __attribute__((noinline)) void note_icmp(
	struct anomaly_tap *tap, const struct flow *flow, const struct packet *packet, uint64_t order)
{
	struct anomaly_event event = event_of(packet, order);
	uint32_t sent = flow->packets[packet->dir], received = flow->packets[!packet->dir];
	bool echo = packet->icmp_type == (packet->key.proto == ICMP_PROTO ? ICMP_ECHO : ICMP6_ECHO);
	unsigned bits = is_icmp6_housekeeping(packet) ? 0 : EVENT_ICMP;

	if (!sent && !received)
		bits |= EVENT_NEW | (echo && !is_for_many(&event) ? EVENT_ATTEMPT : 0);
	else if (!sent)
		bits |= EVENT_ANSWER;
	if (!bits)
		return;
	event.bits = (uint16_t)bits;
	event.flow = packet->hash;
	tap_push(tap, &event);
}

/* Of the other protocols only that a flow begins. */
static __attribute__((noinline)) void note_begin(
	struct anomaly_tap *tap, const struct flow *flow, const struct packet *packet, uint64_t order)
{
	struct anomaly_event event = event_of(packet, order);

	event.bits = EVENT_NEW;
	if (!flow->packets[0] && !flow->packets[1])
		tap_push(tap, &event);
}

void anomaly_note(struct anomaly_tap *tap, struct flow *flow, const struct packet *packet, uint64_t order)
{
	/* Later fragments have no ports of their own, and what they belong to has been seen. */
	if (packet->flags & PACKET_FRAGMENT_LATER)
		return;
	if (tap->live)
		order = packet->frame->ts_ns;
	if (packet->key.proto == TCP_PROTO) {
		note_tcp(tap, (struct tcp_flow *)flow, packet, order);
		return;
	}
	switch (packet->key.proto) {
	case UDP_PROTO:
		note_udp(tap, flow, packet, order);
		break;
	case ICMP_PROTO:
	case ICMP6_PROTO:
		note_icmp(tap, flow, packet, order);
		break;
	default:
		note_begin(tap, flow, packet, order);
	}
}

void anomaly_note_opening(struct anomaly_tap *tap, const struct packet *packet, uint64_t order)
{
	struct anomaly_event *place = tap_place(tap);

	if (!place)
		return;
	event_write(place, packet, tap->live ? packet->frame->ts_ns : order);
	place->bits = EVENT_NEW | EVENT_SYN | EVENT_ATTEMPT;
	place->flow = packet->hash;
	place->service = event_service(tap->engine, place);
}

/* Events before progress: who has read progress and then head sees all that it promises. */
static void tap_publish(struct anomaly_tap *tap, uint64_t order)
{
	__atomic_store_n(&tap->head, tap->written, __ATOMIC_RELEASE);
	if (order > tap->progress)
		__atomic_store_n(&tap->progress, order, __ATOMIC_RELEASE);
}

/* With one lane on a file, the engine is given what there is now and then, so that alerts about a slow pipe come soon. */
void anomaly_publish(struct anomaly_tap *tap, uint64_t frames, uint64_t now_ns)
{
	tap_publish(tap, tap->live ? now_ns : frames);
	if (tap->live)
		return;
	bool due = tap->alone && now_ns - tap->taken_ns > TAKE_NS;
	if (!due && tap->written - tap->tail_seen <= tap->mask / 2)
		return;
	tap->taken_ns = now_ns;
	anomaly_make_room(tap);
}

void anomaly_end(struct anomaly_tap *tap)
{
	tap_publish(tap, UINT64_MAX);
}
