/*
 * The frames of live_gen. BPF_PROG_TEST_RUN with live frames calls gen_frame() with pages of its own; what the program
 * redirects goes out through the link as if a NIC had received it here.
 *
 * Frames go round robin over the flows. TCP: every flow has one conversation, all in the same phase:
 *
 *   SYN  SYN-ACK  ACK  ( data> <ACK  <data ACK> ) x segments  FIN> <ACK  <FIN ACK>   then with a new client port again
 */
#include <stddef.h>

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/tcp.h>
#include <linux/udp.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "gen.h"

#define CLIENT_NET  0x0a000000 /* 10.0.0.0/16 */
#define SERVER      0xc6120001 /* 198.18.0.1 */
#define SERVER_PORT 443
#define CLIENT_PORT 1024
#define FLAG_FIN    0x01
#define FLAG_SYN    0x02
#define FLAG_ACK    0x10
#define FLAG_PUSH   0x08

char LICENSE[] SEC("license") = "GPL";

const volatile struct gen_config config;
struct gen_state state;

/* Key: 0, value: interface to send to. Written before the start; the kernel empties it when the interface goes away. */
struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} link SEC(".maps");

/* One's complement sum of a 64-bit number's four words: any order of bytes, as long as all words have the same. */
static __always_inline __u64 sum64(__u64 value)
{
	return (value & 0xffff) + (value >> 16 & 0xffff) + (value >> 32 & 0xffff) + (value >> 48);
}

static __always_inline __u16 fold(__u64 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (__u16)~sum;
}

static __always_inline void phase_set(__u8 flags, __u8 from_server, __u32 client_off, __u32 server_off, __u16 len)
{
	state.flags = flags;
	state.from_server = from_server;
	state.client_off = client_off;
	state.server_off = server_off;
	state.len = len;
}

static __always_inline void phase_begin(void)
{
	__u32 payload = config.size - GEN_TCP_HEADERS;
	__u32 phase = state.phase;

	if (phase == 0) {
		phase_set(FLAG_SYN, 0, 0, 0, GEN_SIZE_MIN);
	} else if (phase == 1) {
		phase_set(FLAG_SYN | FLAG_ACK, 1, 1, 0, GEN_SIZE_MIN);
	} else if (phase == 2) {
		phase_set(FLAG_ACK, 0, 1, 1, GEN_SIZE_MIN);
	} else if (config.segments && phase >= 3 + 4 * config.segments) {
		__u32 sent = 1 + config.segments * payload;
		__u32 step = phase - 3 - 4 * config.segments;
		if (step == 0)
			phase_set(FLAG_FIN | FLAG_ACK, 0, sent, sent, GEN_SIZE_MIN);
		else if (step == 1)
			phase_set(FLAG_ACK, 1, sent + 1, sent, GEN_SIZE_MIN);
		else if (step == 2)
			phase_set(FLAG_FIN | FLAG_ACK, 1, sent + 1, sent, GEN_SIZE_MIN);
		else
			phase_set(FLAG_ACK, 0, sent + 1, sent + 1, GEN_SIZE_MIN);
	} else {
		__u32 sent = 1 + ((phase - 3) >> 2) * payload;
		__u32 step = (phase - 3) & 3;
		if (step == 0)
			phase_set(FLAG_PUSH | FLAG_ACK, 0, sent, sent, config.size);
		else if (step == 1)
			phase_set(FLAG_ACK, 1, sent + payload, sent, GEN_SIZE_MIN);
		else if (step == 2)
			phase_set(FLAG_PUSH | FLAG_ACK, 1, sent + payload, sent, config.size);
		else
			phase_set(FLAG_ACK, 0, sent + payload, sent + payload, GEN_SIZE_MIN);
	}
}

static __always_inline void flow_next(void)
{
	if (state.is_mouse) {
		state.is_mouse = 0;
		return;
	}
	if (++state.flow < config.flows)
		return;
	state.flow = 0;
	if (!config.tcp)
		return;
	state.phase++;
	if (config.segments && state.phase == 3 + 4 * config.segments + 4) {
		state.phase = 0;
		state.conversation++;
	}
	phase_begin();
}

/* True: a frame may be sent now. Time that was lost is not made up for: that would be a burst of any length. */
static __always_inline int pace(void)
{
	__u64 now_ns, due_ns;

	if (!config.burst)
		return 1;
	if (!state.credit) {
		now_ns = bpf_ktime_get_ns();
		due_ns = state.next_ns;
		if (now_ns < due_ns)
			return 0;
		if (now_ns - due_ns > 4 * (__u64)config.burst_ns)
			due_ns = now_ns;
		state.next_ns = due_ns + config.burst_ns;
		state.credit = config.burst;
	}
	state.credit--;
	return 1;
}

static __always_inline void address_fill(struct iphdr *ip, __u32 flow, __u32 from_server, __u16 total_len, __u8 protocol)
{
	__u32 client = bpf_htonl(CLIENT_NET | (flow & 0xffff)), server = bpf_htonl(SERVER);

	ip->version = 4;
	ip->ihl = 5;
	ip->tos = 0;
	ip->tot_len = bpf_htons(total_len);
	ip->id = 0;
	ip->frag_off = bpf_htons(0x4000);
	ip->ttl = 64;
	ip->protocol = protocol;
	ip->saddr = from_server ? server : client;
	ip->daddr = from_server ? client : server;
	ip->check = fold(sum64((__u64)client << 32 | server) + bpf_htons(0x4500) + bpf_htons(total_len) + bpf_htons(0x4000) +
			 bpf_htons(64 << 8 | protocol));
}

static __always_inline __u16 client_port(__u32 flow)
{
	return CLIENT_PORT + (((flow >> 16) + (state.conversation << 6)) & 0x7fff);
}

/* All but the checksum, whose sum without the payload it returns. */
static __always_inline __u64 tcp_fill(void *data, __u32 flow)
{
	struct iphdr *ip = data + GEN_IP;
	struct tcphdr *tcp = data + GEN_L4;
	__u32 isn = (flow + 1) * 2654435761u; /* any number that differs from flow to flow */
	__u32 client_seq = isn + state.client_off, server_seq = ~isn + state.server_off;
	__u16 client = bpf_htons(client_port(flow)), server = bpf_htons(SERVER_PORT);
	__u16 flags = bpf_htons(0x5000 | state.flags), tcp_len = 20;

	if (state.flags & FLAG_PUSH)
		tcp_len += config.size - GEN_TCP_HEADERS;
	address_fill(ip, flow, state.from_server, 20 + tcp_len, 6);
	tcp->source = state.from_server ? server : client;
	tcp->dest = state.from_server ? client : server;
	tcp->seq = bpf_htonl(state.from_server ? server_seq : client_seq);
	tcp->ack_seq = bpf_htonl(state.from_server ? client_seq : server_seq);
	if (!(state.flags & FLAG_ACK))
		tcp->ack_seq = 0;
	__builtin_memcpy((char *)tcp + 12, &flags, sizeof(flags));
	tcp->window = 0xffff;
	tcp->urg_ptr = 0;
	return sum64((__u64)ip->saddr << 32 | ip->daddr) + bpf_htons(6) + bpf_htons(tcp_len) + client + server +
	       sum64((__u64)tcp->seq << 32 | tcp->ack_seq) + flags + 0xffff;
}

static __always_inline void udp_fill(void *data, __u32 flow)
{
	struct udphdr *udp = data + GEN_L4;

	address_fill(data + GEN_IP, flow, 0, config.size - GEN_IP, 17);
	udp->source = bpf_htons(client_port(flow));
	udp->dest = bpf_htons(SERVER_PORT);
	udp->len = bpf_htons(config.size - GEN_L4);
	udp->check = 0;
}

/* The sum of eight bytes that begin at an odd address within the segment is that of the swapped words. */
static __always_inline __u64 seq_sum(__u64 seq_be, __u32 offset)
{
	__u64 sum = sum64(seq_be);

	if (!(offset & 1))
		return sum;
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return bpf_htons((__u16)sum);
}

static __always_inline int data_make(void *data, void *data_end, __u32 flow, __u64 seq_be)
{
	struct tcphdr *tcp = data + GEN_L4;
	__u64 sum, zero = 0;

	if (data + config.size > data_end)
		return 0;
	sum = tcp_fill(data, flow) + seq_sum(seq_be, config.size);
	/* The page may hold an ACK's sequence number from its last use. */
	__builtin_memcpy(data + GEN_TCP_HEADERS, &zero, 8);
	__builtin_memcpy(data + GEN_TCP_HEADERS + 2, &zero, 8);
	__builtin_memcpy(data + config.size - GEN_SEQ_LEN, &seq_be, sizeof(seq_be));
	tcp->check = fold(sum);
	return 1;
}

static __always_inline int ack_make(void *data, void *data_end, __u32 flow, __u64 seq_be)
{
	struct tcphdr *tcp = data + GEN_L4;

	if (data + GEN_SIZE_MIN > data_end)
		return 0;
	tcp->check = fold(tcp_fill(data, flow));
	__builtin_memcpy(data + GEN_SIZE_MIN - GEN_SEQ_LEN, &seq_be, sizeof(seq_be));
	return 1;
}

static __always_inline int datagram_make(void *data, void *data_end, __u32 flow, __u64 seq_be)
{
	if (data + config.size > data_end)
		return 0;
	udp_fill(data, flow);
	__builtin_memcpy(data + config.size - GEN_SEQ_LEN, &seq_be, sizeof(seq_be));
	return 1;
}

static __always_inline void *frame_data(struct xdp_md *ctx)
{
	return (void *)(long)ctx->data;
}

static __always_inline void *frame_end(struct xdp_md *ctx)
{
	return (void *)(long)ctx->data_end;
}

/* The flow of the next frame: an elephant's, or a mouse's, whose numbers come after those. */
static __always_inline __u32 flow_choose(void)
{
	if (!config.elephants)
		return state.flow;
	state.share += config.elephants;
	if (state.share >= 100) {
		state.share -= 100;
		return state.flow;
	}
	state.is_mouse = 1;
	return config.flows + state.mice++ / GEN_MOUSE;
}

static __always_inline int frame_make(struct xdp_md *ctx)
{
	__u32 flow = config.first_flow + flow_choose();
	__u64 seq_be = bpf_cpu_to_be64(config.first_seq + state.frames);

	if (!config.tcp)
		return datagram_make(frame_data(ctx), frame_end(ctx), flow, seq_be);
	if (state.flags & FLAG_PUSH)
		return data_make(frame_data(ctx), frame_end(ctx), flow, seq_be);
	if (config.size > GEN_SIZE_MIN && bpf_xdp_adjust_tail(ctx, GEN_SIZE_MIN - (int)config.size))
		return 0;
	return ack_make(frame_data(ctx), frame_end(ctx), flow, seq_be);
}

SEC("xdp")
int gen_frame(struct xdp_md *ctx)
{
	if ((config.count && state.frames >= config.count) || !pace()) {
		state.idle++;
		return XDP_DROP;
	}
	if (!frame_make(ctx))
		return XDP_ABORTED;
	state.frames++;
	state.bytes += config.tcp ? state.len : config.size;
	flow_next();
	return bpf_redirect_map(&link, 0, XDP_DROP);
}

/* (from, to, sent, drops, err): once per bulk of up to 16 frames, in the context of the process that runs the test. */
SEC("raw_tp/xdp_devmap_xmit")
int gen_xmit(struct bpf_raw_tracepoint_args *ctx)
{
	if (bpf_get_current_pid_tgid() >> 32 == config.tgid) {
		state.last_ns = bpf_ktime_get_ns();
		if (!state.first_ns)
			state.first_ns = state.last_ns;
		state.sent += (__u32)ctx->args[2];
		state.refused += (__u32)ctx->args[3];
	}
	return 0;
}
