#include "index_shapes.h"

#include <string.h>

#include "arena.h"

static size_t slots_bytes(const struct shapes *shapes)
{
	return 2 * (size_t)shapes->max * sizeof(*shapes->slots);
}

bool shapes_create(struct shapes *shapes, uint32_t max)
{
	*shapes = (struct shapes){ .max = max, .slots_mask = 2 * max - 1 };
	shapes->all = arena_map(max * sizeof(*shapes->all));
	shapes->slots = arena_map(slots_bytes(shapes));
	return shapes->all && shapes->slots;
}

void shapes_destroy(struct shapes *shapes)
{
	arena_unmap(shapes->all, shapes->max * sizeof(*shapes->all));
	arena_unmap(shapes->slots, slots_bytes(shapes));
	memset(shapes, 0, sizeof(*shapes));
}

void shapes_clear(struct shapes *shapes)
{
	/* Those that there are will come again. */
	if (shapes->count <= shapes->max / 2)
		return;
	arena_clear(shapes->slots, slots_bytes(shapes));
	shapes->count = 0;
}
