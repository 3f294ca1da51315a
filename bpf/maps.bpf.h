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

#endif
