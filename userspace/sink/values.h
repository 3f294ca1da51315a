/*
 * One field of one record as text: what JSON, JSONL and CSV have in common. They differ in the words (quoted or not, null or
 * empty) and in the digits of avg_bps.
 *
 * Words are copied as fixed 24 bytes, two or three vector moves, and then only their length is kept: cheaper than a memcpy of
 * variable length. So the writers may scribble VALUE_MAX bytes behind `out`.
 */
#ifndef FLOWLANE_VALUES_H
#define FLOWLANE_VALUES_H

#include <string.h>

#include "flowlane/fields.h"
#include "text.h"

#define VALUE_MAX 48

struct word {
	char text[23];
	uint8_t length;
};

struct value_words {
	struct word protocol[256];
	struct word tcp_state[TCP_STATE_COUNT];
	struct word client[3];
	struct word direction[2];
	struct word end[FLOW_ALIVE + 1];
	struct word null;
};

/* quote: what stands before and behind a string; null: what stands for no value. */
void value_words_init(struct value_words *words, const char *quote, const char *null);

/* bytes * 8 / duration in units of 10^-digits bit/s, to the nearest. */
uint64_t value_rate(uint64_t bytes, uint64_t duration_us, unsigned digits);

static inline char *value_word(char *out, const struct word *word)
{
	memcpy(out, word, sizeof(*word));
	return out + word->length;
}

static inline uint8_t value_u8(const struct flow_record *record, unsigned offset)
{
	return ((const uint8_t *)record)[offset];
}

static inline uint16_t value_u16(const struct flow_record *record, unsigned offset)
{
	uint16_t value;
	memcpy(&value, (const uint8_t *)record + offset, sizeof(value));
	return value;
}

static inline uint32_t value_u32(const struct flow_record *record, unsigned offset)
{
	uint32_t value;
	memcpy(&value, (const uint8_t *)record + offset, sizeof(value));
	return value;
}

static inline uint64_t value_u64(const struct flow_record *record, unsigned offset)
{
	uint64_t value;
	memcpy(&value, (const uint8_t *)record + offset, sizeof(value));
	return value;
}

/* Cut to microseconds first, so that a reader who subtracts the printed times gets the printed duration. */
static inline uint64_t value_duration_us(uint64_t start_ns, uint64_t end_ns)
{
	return end_ns > start_ns ? end_ns / 1000 - start_ns / 1000 : 0;
}

/* Any field but an endpoint, which each format lays out itself. */
static inline char *value_write(char *out, const struct field *field, const struct flow_record *record,
	const struct value_words *words, unsigned rate_digits)
{
	unsigned at = field->offset;

	switch ((enum field_type)field->type) {
	case FIELD_PROTOCOL:
		return value_word(out, &words->protocol[value_u8(record, at)]);
	case FIELD_TIME:
		return text_decimal(out, value_u64(record, at) / 1000, 6);
	case FIELD_DURATION:
		return text_decimal(out, value_duration_us(value_u64(record, field->companion), value_u64(record, at)), 6);
	case FIELD_U64:
		return text_u64(out, value_u64(record, at));
	case FIELD_U32:
		return text_u64(out, value_u32(record, at));
	case FIELD_U16:
		return text_u64(out, value_u16(record, at));
	case FIELD_U8:
		return text_u64(out, value_u8(record, at));
	case FIELD_SUM:
		return text_u64(out, value_u64(record, at) + value_u64(record, at + 8));
	case FIELD_RATE: {
		uint64_t bytes = value_u64(record, at) + value_u64(record, at + 8);
		uint64_t rate = value_rate(bytes, value_duration_us(record->first_ns, record->last_ns), rate_digits);
		return rate_digits == 1 ? text_decimal(out, rate, 1) : text_decimal(out, rate, 3);
	}
	case FIELD_TCP_STATE:
		return value_word(out, &words->tcp_state[value_u8(record, at) % TCP_STATE_COUNT]);
	case FIELD_CLIENT:
		return value_word(out, &words->client[value_u8(record, at) % 3]);
	case FIELD_DIRECTION:
		return value_word(out, &words->direction[value_u8(record, at) % 2]);
	case FIELD_RTT:
		if (value_u32(record, field->companion) == 0)
			return value_word(out, &words->null);
		/* ticks to microseconds, to the nearest: 125 is odd, there are no ties */
		return text_decimal(out, ((uint64_t)value_u32(record, at) * RTT_TICK_NS + 500) / 1000, 3);
	case FIELD_VLAN:
		if (value_u16(record, at) == FLOW_VLAN_NONE)
			return value_word(out, &words->null);
		return text_u64(out, value_u16(record, at));
	case FIELD_TUNNEL:
		if (value_u32(record, at) == 0)
			return value_word(out, &words->null);
		return text_u64(out, value_u32(record, at));
	case FIELD_END:
		return value_word(out, &words->end[value_u8(record, at) % (FLOW_ALIVE + 1)]);
	case FIELD_BOOL:
		return value_u8(record, at) ? (char *)memcpy(out, "true", 4) + 4 : (char *)memcpy(out, "false", 5) + 5;
	case FIELD_ENDPOINT:
	case FIELD_TYPE_COUNT:
		break;
	}
	return out;
}

#endif
