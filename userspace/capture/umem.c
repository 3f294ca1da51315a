#include "umem.h"

#include <errno.h>
#include <linux/mempolicy.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "arena.h"

#define HUGE_PAGE        ((size_t)2 << 20)
#define NODES_MAX        1024 /* what the kernel is built for at most */
#define MASK_WORD_BITS   (8 * sizeof(unsigned long))
#define PAGE_BYTES_LEAST ((size_t)4096)

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif

/* Preferred, not bound: memory of another node is slower, no memory is no capture. A kernel without NUMA refuses; all the same. */
static void umem_prefer_node(const struct umem *umem, int node)
{
	unsigned long mask[NODES_MAX / MASK_WORD_BITS] = { 0 };

	if (node < 0 || node >= NODES_MAX)
		return;
	mask[(unsigned)node / MASK_WORD_BITS] |= 1ul << ((unsigned)node % MASK_WORD_BITS);
	syscall(SYS_mbind, umem->area, umem->mapped, MPOL_PREFERRED, mask, (unsigned long)NODES_MAX + 1, 0u);
}

/* After the choice of the node, hence not by MAP_POPULATE. The packet path must find every page in place. */
static int umem_populate(const struct umem *umem)
{
	if (!madvise(umem->area, umem->mapped, MADV_POPULATE_WRITE))
		return 0;
	if (errno != EINVAL)
		return -ENOMEM;
	for (size_t at = 0; at < umem->mapped; at += PAGE_BYTES_LEAST)
		((volatile uint8_t *)umem->area)[at] = 0;
	return 0;
}

static bool umem_map_hugetlb(struct umem *umem)
{
	umem->mapped = (umem->bytes + HUGE_PAGE - 1) & ~(HUGE_PAGE - 1);
	umem->area = mmap(NULL, umem->mapped, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | 21 << MAP_HUGE_SHIFT, -1, 0);
	if (umem->area == MAP_FAILED)
		umem->area = NULL;
	umem->backing = UMEM_HUGETLB;
	return umem->area;
}

static bool umem_map_thp(struct umem *umem)
{
	umem->mapped = umem->bytes;
	umem->area = arena_map(umem->bytes);
	umem->backing = UMEM_THP;
	return umem->area;
}

int umem_map(struct umem *umem, uint32_t frames, uint32_t frame_bytes, int numa_node)
{
	static bool (*const ways[])(struct umem *) = { umem_map_hugetlb, umem_map_thp };

	*umem = (struct umem){ .bytes = (size_t)frames * frame_bytes, .frames = frames, .frame_bytes = frame_bytes };
	for (unsigned i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		if (!ways[i](umem))
			continue;
		umem_prefer_node(umem, numa_node);
		if (!umem_populate(umem))
			return 0;
		umem_unmap(umem); /* a cgroup's limit of huge pages shows only now */
	}
	return -ENOMEM;
}

void umem_unmap(struct umem *umem)
{
	if (umem->area && umem->backing == UMEM_HUGETLB)
		munmap(umem->area, umem->mapped);
	else
		arena_unmap(umem->area, umem->bytes);
	umem->area = NULL;
}

uint64_t umem_available_bytes(void)
{
	char line[128];
	unsigned long long kib;
	uint64_t bytes = UINT64_MAX;
	FILE *file = fopen("/proc/meminfo", "re");

	if (!file)
		return UINT64_MAX;
	while (bytes == UINT64_MAX && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "MemAvailable: %llu kB", &kib) == 1)
			bytes = kib << 10;
	}
	fclose(file);
	return bytes;
}
