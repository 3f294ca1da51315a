/* The maps of the XDP program. Sizes are set through the skeleton before loading: bpf_map__set_max_entries(skel->maps.NAME, n). */
#ifndef FLOWLANE_MAPS_BPF_H
#define FLOWLANE_MAPS_BPF_H

/*
 * Key: rx queue * fanout + share; value: an AF_XDP socket of that queue. Size: queues * fanout. Written by user space before the
 * program is attached; the kernel takes an entry out when its socket closes. An empty entry: the frame goes on to the host.
 */
struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} xsks SEC(".maps");

/*
 * Key: rx queue; value: struct xdp_counters, one writer (the CPU that runs the program). Size: queues. Read by the control thread,
 * summed over CPUs. Frames of a queue beyond its size are not counted: they go on to the host.
 */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct xdp_counters);
} counters SEC(".maps");

/* Key: 0; value: struct xdp_clock, one writer (the CPU that runs the program). Read by nobody else. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct xdp_clock);
} clocks SEC(".maps");

/*
 * The prefixes of a set of rules, one such map per slot. Key: struct rules_prefix; value: struct rules_address, with all that the
 * prefixes around it say, too. Written by user space while the slot is not in force, read by the program. Full: user space says so.
 */
struct rules_trie {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, RULES_PREFIXES_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct rules_prefix);
	__type(value, struct rules_address);
} rules_trie_0 SEC(".maps"), rules_trie_1 SEC(".maps"), rules_trie_2 SEC(".maps"), rules_trie_3 SEC(".maps"),
	rules_trie_4 SEC(".maps"), rules_trie_5 SEC(".maps"), rules_trie_6 SEC(".maps"), rules_trie_7 SEC(".maps");

/* Key: slot; value: that map. Never written. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, RULES_SLOTS);
	__type(key, __u32);
	__array(values, struct rules_trie);
} rules_tries SEC(".maps") = { .values = { &rules_trie_0, &rules_trie_1, &rules_trie_2, &rules_trie_3, &rules_trie_4, &rules_trie_5,
				       &rules_trie_6, &rules_trie_7 } };

/* Key: slot; value: the rest of the set. Written as the prefixes are. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, RULES_SLOTS);
	__type(key, __u32);
	__type(value, struct rules_tables);
} rules_tables SEC(".maps");

/*
 * Bytes of each flow that may come to be cut off, until it is. Full: the one that was silent longest is forgotten, and may have its
 * bytes again; nothing is counted here that somebody asks for.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1);
	__type(key, struct cutoff_key);
	__type(value, __u64);
} cutoff_seen SEC(".maps");

/*
 * Flows that are cut off, and what was not captured of them. Written by the program, read and taken away by the lane that has the flow,
 * when it ends. Full: no more flows are cut off.
 */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct cutoff_key);
	__type(value, struct cutoff_counts);
} cutoff_flows SEC(".maps");

/*
 * Where the program keeps what it has parsed, one place per CPU. On the stack the verifier would follow each way through the parsers
 * to the program's end; what is in a map it forgets, and the ways are one again.
 */
struct scratch {
	struct parse parse;
	struct cutoff_packet cutoff;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct scratch);
} scratches SEC(".maps");

#endif
