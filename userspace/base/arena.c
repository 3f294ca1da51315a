#include "arena.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#define HUGE_PAGE ((size_t)2 << 20)

static bool back_all;

void arena_back_all(void)
{
	back_all = true;
}

bool arena_backs_all(void)
{
	return back_all;
}

uint64_t arena_available(void)
{
	FILE *file = fopen("/proc/meminfo", "r");
	unsigned long long kib = 0;
	char line[128];

	while (file && fgets(line, sizeof(line), file) && sscanf(line, "MemAvailable: %llu", &kib) != 1)
		;
	if (file)
		fclose(file);
	return kib ? kib * 1024 : UINT64_MAX;
}

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
	if (back_all)
		arena_populate(start, size);
	return start;
}

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif

void arena_populate(void *area, size_t bytes)
{
	volatile uint8_t *bytes_at = area;

	if (madvise(area, arena_round(bytes), MADV_POPULATE_WRITE) == 0)
		return;
	for (size_t at = 0; at < bytes; at += 4096) /* older kernels: touch each page; nobody else has the area yet */
		bytes_at[at] = 0;
}

bool arena_touch(void *part, size_t bytes)
{
	return madvise(part, bytes, MADV_POPULATE_WRITE) == 0;
}

void arena_clear(void *area, size_t bytes)
{
	if (back_all || madvise(area, arena_round(bytes), MADV_DONTNEED) < 0)
		memset(area, 0, bytes); /* locked memory cannot be given back */
}

void arena_unmap(void *area, size_t bytes)
{
	if (area)
		munmap(area, arena_round(bytes ? bytes : 1));
}
