#include "values.h"

#include <stdio.h>

#include "names.h"

_Static_assert(sizeof(struct word) == 24, "three registers a word");
_Static_assert(PROTOCOL_NAME_MAX - 1 + 2 <= sizeof(((struct word *)0)->text), "the longest name and its quotes fit a word");
_Static_assert(TEXT_DECIMAL_MAX <= VALUE_MAX && sizeof(struct word) <= VALUE_MAX, "what a writer may overwrite");

static void word_init(struct word *word, const char *quote, const char *name, const char *null)
{
	char text[64];
	int length = name ? snprintf(text, sizeof(text), "%s%s%s", quote, name, quote) : snprintf(text, sizeof(text), "%s", null);

	memset(word, 0, sizeof(*word));
	memcpy(word->text, text, (size_t)length);
	word->length = (uint8_t)length;
}

void value_words_init(struct value_words *words, const char *quote, const char *null)
{
	static const char *const directions[] = { "a_to_b", "b_to_a" };
	char number[8];

	for (unsigned i = 0; i < 256; i++) {
		const char *name = protocol_name((uint8_t)i);
		snprintf(number, sizeof(number), "%u", i);
		word_init(&words->protocol[i], quote, name ? name : number, null);
	}
	for (unsigned i = 0; i < TCP_STATE_COUNT; i++)
		word_init(&words->tcp_state[i], quote, tcp_state_name(i), null);
	for (unsigned i = 0; i <= FLOW_ALIVE; i++)
		word_init(&words->end[i], quote, flow_end_name(i), null);
	for (unsigned i = 0; i < 2; i++)
		word_init(&words->direction[i], quote, directions[i], null);
	word_init(&words->client[CLIENT_UNKNOWN], quote, NULL, null);
	word_init(&words->client[CLIENT_A_TO_B], quote, directions[0], null);
	word_init(&words->client[CLIENT_B_TO_A], quote, directions[1], null);
	word_init(&words->null, quote, NULL, null);
}

uint64_t value_rate(uint64_t bytes, uint64_t duration_us, unsigned digits)
{
	uint64_t scale = 8 * 1000000;

	if (duration_us == 0)
		return 0;
	for (unsigned i = 0; i < digits; i++)
		scale *= 10;
	if (bytes <= (UINT64_MAX - duration_us) / scale) /* one machine division instead of a library call */
		return (bytes * scale + duration_us / 2) / duration_us;
	unsigned __int128 rate = ((unsigned __int128)bytes * scale + duration_us / 2) / duration_us;
	return rate > UINT64_MAX ? UINT64_MAX : (uint64_t)rate;
}
