#include "nearest.h"

#include <string.h>

#define NAME_MAX_BYTES 48

static unsigned least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

/* Edits between two names: insert, delete, replace, or swap of neighbours (optimal string alignment). */
static unsigned edit_distance(const char *a, const char *b)
{
	size_t a_len = strlen(a), b_len = strlen(b);
	unsigned row[3][NAME_MAX_BYTES + 1];

	if (a_len > NAME_MAX_BYTES || b_len > NAME_MAX_BYTES)
		return NAME_MAX_BYTES;
	for (size_t j = 0; j <= b_len; j++)
		row[0][j] = (unsigned)j;
	for (size_t i = 1; i <= a_len; i++) {
		unsigned *now = row[i % 3], *above = row[(i + 2) % 3], *two_above = row[(i + 1) % 3];

		now[0] = (unsigned)i;
		for (size_t j = 1; j <= b_len; j++) {
			now[j] = least(above[j - 1] + (a[i - 1] != b[j - 1]), least(above[j], now[j - 1]) + 1);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				now[j] = least(now[j], two_above[j - 2] + 1);
		}
	}
	return row[a_len % 3][b_len];
}

const char *nearest_name(const char *given, const char *const *names, unsigned count)
{
	const char *best = NULL;
	size_t given_len = strlen(given);
	unsigned best_distance = NAME_MAX_BYTES;

	for (unsigned i = 0; i < count; i++) {
		unsigned distance = edit_distance(given, names[i]);

		/* Half a name, "--max" or "--rotate-mb", is a good guess too, but never better than a typo away. */
		if (given_len >= 3 && strstr(names[i], given))
			distance = least(distance, 2);
		if (distance < best_distance) {
			best_distance = distance;
			best = names[i];
		}
	}
	return best_distance <= least(3, (unsigned)given_len / 3 + 1) ? best : NULL;
}
