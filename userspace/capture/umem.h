/*
 * The memory behind the frames of one RX queue: `frames` buffers of `frame_bytes` each, written by the kernel or the NIC, read by
 * the queue's lanes. Mapped, and backed by memory, at start: on huge pages where there are any, near the NIC.
 */
#ifndef FLOWLANE_UMEM_H
#define FLOWLANE_UMEM_H

#include <stddef.h>
#include <stdint.h>

enum umem_backing {
	UMEM_HUGETLB, /* reserved huge pages (vm.nr_hugepages) */
	UMEM_THP,     /* transparent huge pages, as far as the kernel finds some; else pages of 4 KiB */
};

struct umem {
	uint8_t *area; /* 2 MiB-aligned; NULL: none */
	size_t bytes;  /* frames * frame_bytes: what the kernel is told */
	size_t mapped;
	uint32_t frames;
	uint32_t frame_bytes; /* 2048 or 4096 */
	enum umem_backing backing;
};

/* numa_node: of the NIC, or -1. 0, or a negative errno: -ENOMEM. Nothing is logged. */
int umem_map(struct umem *umem, uint32_t frames, uint32_t frame_bytes, int numa_node);
void umem_unmap(struct umem *umem); /* accepts one that is not mapped */
/* Memory that could be had without swapping (MemAvailable of /proc/meminfo), bytes; UINT64_MAX: unknown. */
uint64_t umem_available_bytes(void);

#endif
