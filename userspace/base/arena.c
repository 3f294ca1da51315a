#include "arena.h"

#include <stdint.h>
#include <sys/mman.h>

#define HUGE_PAGE ((size_t)2 << 20)

static size_t arena_round(size_t bytes)
{
	return (bytes + HUGE_PAGE - 1) & ~(HUGE_PAGE - 1);
}

void *arena_map(size_t bytes)
{
	size_t size = arena_round(bytes ? bytes : 1);
	/* One huge page too much, so that an aligned start can be cut out. */
	uint8_t *raw = mmap(NULL, size + HUGE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (raw == MAP_FAILED)
		return NULL;
	uint8_t *start = (uint8_t *)(((uintptr_t)raw + HUGE_PAGE - 1) & ~(HUGE_PAGE - 1));
	if (start != raw)
		munmap(raw, (size_t)(start - raw));
	munmap(start + size, (size_t)(raw + size + HUGE_PAGE - (start + size)));
	/* Transparent huge pages rather than MAP_HUGETLB: these need no administrator, and a small capture touches little. */
	madvise(start, size, MADV_HUGEPAGE);
	return start;
}

void arena_unmap(void *area, size_t bytes)
{
	if (area)
		munmap(area, arena_round(bytes ? bytes : 1));
}
