#include "number_list.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>

#define DIGITS_MAX 9 /* more would not fit an unsigned */

static const char *skip_blanks(const char *text)
{
	while (*text == ' ' || *text == '\t')
		text++;
	return text;
}

/* Behind the number, or NULL. */
static const char *parse_number(const char *text, unsigned *number)
{
	unsigned digits = 0;

	*number = 0;
	for (text = skip_blanks(text); *text >= '0' && *text <= '9'; text++) {
		if (++digits > DIGITS_MAX)
			return NULL;
		*number = *number * 10 + (unsigned)(*text - '0');
	}
	return digits ? skip_blanks(text) : NULL;
}

static bool is_among(unsigned number, const unsigned *numbers, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		if (numbers[i] == number)
			return true;
	}
	return false;
}

int number_list_parse(const char *text, unsigned limit, unsigned *numbers, unsigned room, unsigned *bad)
{
	unsigned count = 0;

	for (;;) {
		unsigned first, last;
		text = parse_number(text, &first);
		if (!text)
			return -EINVAL;
		last = first;
		if (*text == '-')
			text = parse_number(text + 1, &last);
		if (!text || last < first)
			return -EINVAL;
		for (unsigned number = first; number <= last; number++) {
			*bad = number;
			if (number > limit)
				return -ERANGE;
			if (is_among(number, numbers, count))
				return -EEXIST;
			if (count == room)
				return -ENOSPC;
			numbers[count++] = number;
		}
		if (!*text)
			return (int)count;
		if (*text++ != ',')
			return -EINVAL;
	}
}
