/*
 * The XDP program: each frame of an RX queue that has an AF_XDP socket is stamped and handed to it; all else goes on to the host.
 *
 *   count ◀────────────────────────────────────────────── verdict
 *   filter expression ─▶ parse ─▶ rules ─▶ sample ─▶ cutoff ─▶ choose the share ─▶ stamp, cut ─▶ redirect
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
#include "cutoff.bpf.h"
#include "rules.bpf.h"
#include "maps.bpf.h"

char LICENSE[] SEC("license") = "GPL"; /* the kfuncs ask for it */

const volatile struct xdp_config config = { .fanout = 1 };
volatile struct xdp_state state = { .sample = 1 };
__u32 cutoff_marks[CUTOFF_MARKS];

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
	if (config.unstamped) {
		meta->ts_kind = FRAME_TS_BATCH;
		return;
	}
	meta->ts_ns = clock_read();
	meta->ts_kind = FRAME_TS_KTIME;
}

/* The tag that hardware took out: tci, and tpid as struct frame_meta has it. */
struct tag {
	__u16 tci;
	__u8 tpid;
};

static __always_inline struct tag taken_tag(struct xdp_md *ctx, enum variant variant)
{
	struct tag tag = {};
	__be16 tpid = 0;
	__u16 tci = 0;

	if (variant & VARIANT_HW && config.hw_vlan && !bpf_xdp_metadata_rx_vlan_tag(ctx, &tpid, &tci)) {
		tag.tci = tci;
		tag.tpid = tpid == bpf_htons(0x88a8) ? 2 : 1;
	}
	return tag;
}

/* --- selection --------------------------------------------------------------------------------------------------------- */

/*
 * Stands for the filter expression: the loader puts a function that it made of it in this one's place (translate_link()). So it must
 * be the only one that is not inlined, and nothing may be known of what it returns.
 */
static __noinline int frame_matches_called(struct xdp_md *ctx, void *data, void *data_end)
{
	int matches = 1;

	asm volatile("" : "+r"(matches) : "r"(ctx), "r"(data), "r"(data_end));
	return matches;
}

/*
 * The same where the expression needs no more registers than a call leaves alone, without the call: 6 ns less. Of the assignment to
 * r0 the loader makes the expression's instructions. Below the stack that this program uses, they have 64 bytes of their own.
 */
static __always_inline int frame_matches_inlined(void *data, void *data_end)
{
	__u64 matches;

	asm volatile("r2 = %[data]\n\t"
		     "r3 = %[end]\n\t"
		     "r0 = %[marker]\n\t"
		     "%[matches] = r0"
		     : [matches] "=r"(matches)
		     : [data] "r"(data), [end] "r"(data_end), [marker] "i"(XDP_FILTER_MARKER)
		     : "r0", "r1", "r2", "r3", "r4", "r5", "memory");
	return matches != 0;
}

static __always_inline int frame_matches(struct xdp_md *ctx, enum variant variant)
{
	void *data = (void *)(long)ctx->data, *data_end = (void *)(long)ctx->data_end;

	return variant & VARIANT_FRAGS ? frame_matches_called(ctx, data, data_end) : frame_matches_inlined(data, data_end);
}

static __always_inline const struct rules_address *find_address(
	void *trie, const struct rules_tables *tables, const __u32 words[4], __u8 version)
{
	struct rules_prefix prefix;

	rules_prefix_of(&prefix, words, version);
	const struct rules_address *found = bpf_map_lookup_elem(trie, &prefix);
	return found ? found : &tables->elsewhere;
}

/* The slot is read once: all that follows is of one set. Its trie and tables do not change while a frame may still see them. */
static __always_inline int is_denied(const struct parse *parse)
{
	__u32 slot = state.rules_slot;
	const struct rules_tables *tables = bpf_map_lookup_elem(&rules_tables, &slot);
	void *trie = bpf_map_lookup_elem(&rules_tries, &slot);

	if (!tables || !trie)
		return 0;
	const struct rules_address *source = &tables->elsewhere, *destination = &tables->elsewhere;
	if (parse->flags & PARSE_IP) {
		source = find_address(trie, tables, parse->src, parse->ip_version);
		destination = find_address(trie, tables, parse->dst, parse->ip_version);
	}
	return rules_decide(tables, parse, source, destination) & 1;
}

static __always_inline int is_sampled(const struct parse *parse)
{
	return parse_share(parse_hash(parse, XDP_SHARE_PORTS, PARSE_SAMPLE_SEED), state.sample) == 0;
}

/* What was stored is loaded anew from here on, not kept in registers: see `scratches`. */
static __always_inline void forget(void)
{
	asm volatile("" ::: "memory");
}

/* Of a flow that is cut off: counted. */
static __always_inline int count_cut_off(const struct cutoff_packet *packet, __u64 bytes)
{
	struct cutoff_counts *counts = bpf_map_lookup_elem(&cutoff_flows, &packet->key);
	__u32 dir = packet->dir & 1;

	if (!counts)
		return 0;
	counts->packets[dir]++;
	counts->bytes[dir] += bytes;
	counts->l3_bytes[dir] += packet->l3_len;
	counts->last_ns[dir] = clock_read();
	return 1;
}

/* From now on the flow's packets are counted. False: there is no room, or another CPU was faster. */
static __always_inline int cut_off(const struct cutoff_key *key)
{
	struct cutoff_counts none = {};
	__u32 mark = cutoff_hash(key) & (CUTOFF_MARKS - 1);

	__sync_fetch_and_add(&cutoff_marks[mark], 1);
	if (!bpf_map_update_elem(&cutoff_flows, key, &none, BPF_NOEXIST))
		return 1;
	__sync_fetch_and_add(&cutoff_marks[mark], -1);
	return 0;
}

/* True: this packet is not to be captured. The one with which the flow reaches its bytes still is. */
static __always_inline int is_cut_off(struct xdp_md *ctx, struct cutoff_packet *packet, __u64 bytes)
{
	if (!cutoff_parse(packet, (void *)(long)ctx->data, (void *)(long)ctx->data_end, (__u32)bytes, config.key_vlan))
		return 0;
	forget();
	if (!(packet->tcp_flags & CUTOFF_TCP_FLAGS) && count_cut_off(packet, bytes))
		return 1;
	__u64 *seen = bpf_map_lookup_elem(&cutoff_seen, &packet->key);
	if (!seen) {
		bpf_map_update_elem(&cutoff_seen, &packet->key, &bytes, BPF_ANY);
		return 0;
	}
	__u64 before = __sync_fetch_and_add(seen, bytes);
	if (before + bytes >= config.cutoff_bytes && !(packet->tcp_flags & CUTOFF_TCP_FLAGS) && cut_off(&packet->key))
		*seen = 0; /* once its record is written, it begins anew */
	return 0;
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

/* --- capture ----------------------------------------------------------------------------------------------------------- */

/*
 * Puts a struct frame_meta in front of the frame, and cuts its end. False: the driver has no room for it; user space then stamps the
 * batch, and the frame stays whole, for nothing would say how long it was.
 */
static __always_inline int stamp(struct xdp_md *ctx, struct tag tag, __u64 bytes, enum variant variant)
{
	struct frame_meta meta = { .vlan_tci = tag.tci, .vlan_tpid = tag.tpid };

	stamp_time(ctx, &meta, variant); /* before the frame moves: the kfunc reads what the driver put there */
	if (bpf_xdp_adjust_meta(ctx, -(int)sizeof(meta)))
		return 0;
	if (config.snaplen && bytes > config.snaplen && !bpf_xdp_adjust_tail(ctx, (int)config.snaplen - (int)bytes))
		meta.wire_len = (__u32)bytes;
	struct frame_meta *room = (void *)(long)ctx->data_meta;
	if ((void *)(room + 1) > (void *)(long)ctx->data)
		return 0;
	*room = meta;
	return 1;
}

static __always_inline int run(struct xdp_md *ctx, enum variant variant)
{
	__u32 queue = ctx->rx_queue_index, share = 0, zero = 0;
	struct xdp_counters *counter = bpf_map_lookup_elem(&counters, &queue);
	struct scratch *scratch = bpf_map_lookup_elem(&scratches, &zero);

	if (!counter || !scratch)
		return XDP_PASS;
	__u64 bytes = variant & VARIANT_FRAGS ? bpf_xdp_get_buff_len(ctx) : (__u64)(ctx->data_end - ctx->data);
	if (config.filter && !frame_matches(ctx, variant))
		return leave(counter, XDP_VERDICT_FILTERED, bytes);
	struct tag tag = taken_tag(ctx, variant);
	if (config.rules || config.samples || config.fanout > 1) {
		parse_frame(&scratch->parse, (void *)(long)ctx->data, (void *)(long)ctx->data_end);
		if (tag.tpid)
			scratch->parse.vlan = tag.tci & 0xfff;
		forget();
	}
	if (config.rules && is_denied(&scratch->parse))
		return leave(counter, XDP_VERDICT_DENIED, bytes);
	if (config.samples && !is_sampled(&scratch->parse))
		return leave(counter, XDP_VERDICT_UNSAMPLED, bytes);
	if (config.cutoff_bytes && !tag.tpid && is_cut_off(ctx, &scratch->cutoff, bytes))
		return leave(counter, XDP_VERDICT_CUT_OFF, bytes);
	if (config.fanout > 1)
		share = parse_share(parse_hash(&scratch->parse, config.share_by, config.hash_seed), config.fanout);
	__u32 socket = queue * config.fanout + share;
	/* What was cut could not go on to the host. */
	if (config.snaplen && !bpf_map_lookup_elem(&xsks, &socket)) {
		count(counter, XDP_VERDICT_NO_SOCKET, bytes);
		return XDP_PASS;
	}
	int stamped = stamp(ctx, tag, bytes, variant);

	/* The last argument is what to return where no socket is: never a negative number, never a frame lost. */
	int action = bpf_redirect_map(&xsks, socket, XDP_PASS);
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
