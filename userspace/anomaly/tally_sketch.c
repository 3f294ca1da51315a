#include "tally_sketch.h"

#include <string.h>

#include "hash.h"

#include "poison.h"

void sketch_start(struct sketch *sketch, unsigned elements, uint64_t pane)
{
	sketch->pane = pane;
	memset(sketch->sum, 0, sizeof(sketch->sum));
	for (unsigned k = 0; k < elements; k++) {
		struct sketch_elements *of = &sketch->elements[k];
		for (unsigned i = 0; i < SKETCH_PANES / SKETCH_COARSE; i++)
			hll_clear(&of->pane[i]);
		hll_clear(&of->all);
		of->stale = false;
		of->estimate = 0;
	}
}

/* A new HyperLogLog begins every four panes; the one in its place, 16 to 13 panes old, is over. */
static void sketch_elements_rotate(struct sketch_elements *of, uint64_t coarse)
{
	hll_clear(&of->pane[coarse % (SKETCH_PANES / SKETCH_COARSE)]);
	hll_clear(&of->all);
	for (unsigned i = 0; i < SKETCH_PANES / SKETCH_COARSE; i++)
		hll_merge(&of->all, &of->pane[i]);
	of->stale = true;
}

void sketch_rotate(struct sketch *sketch, unsigned elements, uint64_t pane)
{
	if (pane == sketch->pane)
		return;
	if (pane < sketch->pane || pane - sketch->pane >= SKETCH_PANES) {
		sketch_start(sketch, elements, pane);
		return;
	}
	while (sketch->pane < pane) {
		sketch->pane++;
		sketch->sum[0][sketch->pane % SKETCH_PANES] = 0;
		sketch->sum[1][sketch->pane % SKETCH_PANES] = 0;
		for (unsigned k = 0; k < elements && sketch->pane % SKETCH_COARSE == 0; k++)
			sketch_elements_rotate(&sketch->elements[k], sketch->pane / SKETCH_COARSE);
	}
}

void sketch_add(struct sketch *sketch, unsigned elements, const uint32_t amount[2], const uint32_t element[2])
{
	uint64_t coarse = sketch->pane / SKETCH_COARSE % (SKETCH_PANES / SKETCH_COARSE);

	sketch->sum[0][sketch->pane % SKETCH_PANES] += amount[0];
	sketch->sum[1][sketch->pane % SKETCH_PANES] += amount[1];
	for (unsigned k = 0; k < elements; k++) {
		uint64_t hash = hash_fold(element[k] ^ 0x9e3779b97f4a7c15, 0xd6e8feb86659fd93);
		hash = hash_fold(hash ^ 0xa0761d6478bd642f, 0xe7037ed1a0b428db);
		/* What the whole window has, a pane may still lack: it is asked each time. */
		hll_add(&sketch->elements[k].pane[coarse], hash);
		sketch->elements[k].stale |= hll_add(&sketch->elements[k].all, hash);
	}
}

void sketch_read(struct sketch *sketch, unsigned elements, uint64_t sum[2], uint32_t distinct[2])
{
	sum[0] = sum[1] = 0;
	for (unsigned i = 0; i < SKETCH_PANES; i++) {
		sum[0] += sketch->sum[0][i];
		sum[1] += sketch->sum[1][i];
	}
	for (unsigned k = 0; k < elements; k++) {
		struct sketch_elements *of = &sketch->elements[k];
		if (of->stale)
			of->estimate = (uint32_t)(hll_estimate(&of->all) + 0.5);
		of->stale = false;
		distinct[k] = of->estimate;
	}
}
