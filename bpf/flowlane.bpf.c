/*
 * The XDP program: each frame of an RX queue that has an AF_XDP socket is stamped and handed to it; all else goes on to the host.
 *
 *   count ◀────────────────────────────────────────────── verdict
 *   filter expression ─▶ (parse, if something asks for it) ─▶ choose the share ─▶ stamp ─▶ redirect
 *
 * One body, four programs; none is loaded by itself ("?"), the loader switches on exactly one. What `config` does not ask for is
 * not in it: the verifier removes it.
 *
 *   flowlane            any kernel that we run on, any driver, generic mode too
 *   flowlane_frags      frames longer than a page (XDP multi-buffer, Linux 5.18)
 *   flowlane_hw         asks the driver for time stamp and VLAN tag (Linux 6.3); must be loaded for the device, native mode only
 *   flowlane_hw_frags   both
 *
 * The kernel refuses the driver's kfuncs in a program that is not loaded for a device, even in code that is never reached
 * (Linux 6.18 and 7.2: "metadata kfuncs require device-bound program"). Hence programs of their own, and not just a constant.
 * A driver without them is no reason not to load (igb): the kfunc then says so for each frame, and the clock is taken.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>

#include "flowlane/abi.h"
#include "maps.bpf.h"
#include "parse.bpf.h"

char LICENSE[] SEC("license") = "GPL"; /* the kfuncs ask for it */

const volatile struct xdp_config config = { .fanout = 1 };

/* Which of the four programs this is. */
enum variant { VARIANT_FRAGS = 1, VARIANT_HW = 2 };

/* Weak: kernels from before them load the programs that do not use them. */
extern int bpf_xdp_metadata_rx_timestamp(const struct xdp_md *ctx, __u64 *timestamp) __ksym __weak;
extern int bpf_xdp_metadata_rx_vlan_tag(const struct xdp_md *ctx, __be16 *vlan_proto, __u16 *vlan_tci) __ksym __weak;

/* A tick in which frames came less than XDP_CLOCK_GAP_NS apart makes the next one `fast`. */
static __always_inline void clock_tick(struct xdp_clock *clock, __u64 tick, __u64 now_ns)
{
	clock->fast = clock->packets > (now_ns - clock->tick_ns) / XDP_CLOCK_GAP_NS;
	clock->tick = tick;
	clock->tick_ns = now_ns;
	clock->packets = 0;
}

/* CLOCK_MONOTONIC, or what it was a few frames ago: never older than this tick, as ticks cost nothing to tell. */
static __always_inline __u64 clock_read(void)
{
	const __u32 only = 0;
	struct xdp_clock *clock = config.shared_clock ? bpf_map_lookup_elem(&clocks, &only) : NULL;
	if (!clock)
		return bpf_ktime_get_ns();

	__u64 tick = bpf_jiffies64();
	clock->packets++;
	if (clock->left && clock->tick == tick) {
		clock->left--;
		return clock->now_ns;
	}
	clock->now_ns = bpf_ktime_get_ns();
	if (clock->tick != tick)
		clock_tick(clock, tick, clock->now_ns);
	clock->left = clock->fast ? XDP_CLOCK_SHARE - 1 : 0;
	return clock->now_ns;
}

static __always_inline void stamp_time(struct xdp_md *ctx, struct frame_meta *meta, enum variant variant)
{
	__u64 ts_ns = 0;

	/* 0 is none: drivers say "success" for frames that the NIC did not stamp. */
	if (variant & VARIANT_HW && config.hw_timestamp && !bpf_xdp_metadata_rx_timestamp(ctx, &ts_ns) && ts_ns) {
		meta->ts_ns = ts_ns;
		meta->ts_kind = FRAME_TS_HARDWARE;
		return;
	}
	if (config.unstamped)
		return;
	meta->ts_ns = clock_read();
	meta->ts_kind = FRAME_TS_KTIME;
}

static __always_inline void stamp_vlan(struct xdp_md *ctx, struct frame_meta *meta, enum variant variant)
{
	__be16 tpid = 0;
	__u16 tci = 0;

	if (variant & VARIANT_HW && config.hw_vlan && !bpf_xdp_metadata_rx_vlan_tag(ctx, &tpid, &tci)) {
		meta->vlan_tci = tci;
		meta->vlan_tpid = tpid == bpf_htons(0x88a8) ? 2 : 1;
	}
}

/* Puts a struct frame_meta in front of the frame. False: the driver has no room for it; user space then stamps the batch. */
static __always_inline int stamp(struct xdp_md *ctx, enum variant variant)
{
	struct frame_meta meta = {};

	stamp_time(ctx, &meta, variant); /* before the frame moves: the kfuncs read what the driver put there */
	stamp_vlan(ctx, &meta, variant);
	if (bpf_xdp_adjust_meta(ctx, -(int)sizeof(meta)))
		return 0;
	struct frame_meta *room = (void *)(long)ctx->data_meta;
	if ((void *)(room + 1) > (void *)(long)ctx->data)
		return 0;
	*room = meta;
	return 1;
}

static __always_inline __u32 choose_share(struct xdp_md *ctx)
{
	struct parse parse;

	if (config.fanout <= 1)
		return 0;
	parse_frame(&parse, (void *)(long)ctx->data, (void *)(long)ctx->data_end);
	return parse_share(parse_hash(&parse, config.share_by, config.hash_seed), config.fanout);
}

/*
 * Stands for the filter expression: the loader puts a function that it made of it in this one's place (translate_link()). So it must
 * be the only one that is not inlined, and nothing may be known of what it returns.
 */
static __noinline int frame_matches(struct xdp_md *ctx, void *data, void *data_end)
{
	int matches = 1;

	asm volatile("" : "+r"(matches) : "r"(ctx), "r"(data), "r"(data_end));
	return matches;
}

static __always_inline void count(struct xdp_counters *counter, enum xdp_verdict verdict, __u64 bytes)
{
	counter->packets[verdict]++;
	counter->bytes[verdict] += bytes;
}

/* Not wanted. */
static __always_inline int leave(struct xdp_counters *counter, enum xdp_verdict verdict, __u64 bytes)
{
	count(counter, verdict, bytes);
	return config.exclusive ? XDP_DROP : XDP_PASS;
}

static __always_inline int run(struct xdp_md *ctx, enum variant variant)
{
	__u32 queue = ctx->rx_queue_index;
	struct xdp_counters *counter = bpf_map_lookup_elem(&counters, &queue);
	if (!counter)
		return XDP_PASS;

	__u64 bytes = variant & VARIANT_FRAGS ? bpf_xdp_get_buff_len(ctx) : (__u64)(ctx->data_end - ctx->data);
	if (config.filter && !frame_matches(ctx, (void *)(long)ctx->data, (void *)(long)ctx->data_end))
		return leave(counter, XDP_VERDICT_FILTERED, bytes);
	__u32 share = choose_share(ctx);
	int stamped = stamp(ctx, variant);

	/* The last argument is what to return where no socket is: never a negative number, never a frame lost. */
	int action = bpf_redirect_map(&xsks, queue * config.fanout + share, XDP_PASS);
	if (action != XDP_REDIRECT) {
		/* The host would carry our bytes along with its packet, and its GRO compares them. */
		if (stamped)
			bpf_xdp_adjust_meta(ctx, sizeof(struct frame_meta));
		count(counter, XDP_VERDICT_NO_SOCKET, bytes);
		return action;
	}
	if (!stamped)
		counter->meta_failed++;
	count(counter, XDP_VERDICT_CAPTURED, bytes);
	return action;
}

SEC("?xdp")
int flowlane(struct xdp_md *ctx)
{
	return run(ctx, 0);
}

SEC("?xdp.frags")
int flowlane_frags(struct xdp_md *ctx)
{
	return run(ctx, VARIANT_FRAGS);
}

SEC("?xdp")
int flowlane_hw(struct xdp_md *ctx)
{
	return run(ctx, VARIANT_HW);
}

SEC("?xdp.frags")
int flowlane_hw_frags(struct xdp_md *ctx)
{
	return run(ctx, VARIANT_HW | VARIANT_FRAGS);
}
