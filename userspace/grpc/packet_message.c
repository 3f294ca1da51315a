#include "packet_message.h"

#include <stdbool.h>

#include "poison.h"

enum wire_type { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_BYTES = 2, WIRE_32 = 5 };

/* What is left of a message. After an error `failed` is set, and nothing is left. */
struct reader {
	const uint8_t *at;
	const uint8_t *end;
	bool failed;
};

struct field {
	uint32_t number;
	uint64_t value;      /* of a varint */
	struct reader bytes; /* of WIRE_BYTES */
	uint8_t type;        /* enum wire_type */
};

static uint64_t read_varint(struct reader *reader)
{
	uint64_t value = 0;

	for (unsigned shift = 0; shift < 70 && reader->at < reader->end; shift += 7) {
		uint8_t byte = *reader->at++;
		value |= shift < 64 ? (uint64_t)(byte & 0x7f) << shift : 0;
		if (byte < 0x80)
			return value;
	}
	reader->failed = true;
	reader->at = reader->end;
	return 0;
}

static void skip(struct reader *reader, uint64_t length)
{
	if (length > (uint64_t)(reader->end - reader->at)) {
		reader->failed = true;
		reader->at = reader->end;
	} else {
		reader->at += length;
	}
}

/* The next field, of any number; false at the end, and after an error. */
static bool read_field(struct reader *reader, struct field *field)
{
	if (reader->at == reader->end)
		return false;
	uint64_t tag = read_varint(reader);
	field->number = (uint32_t)(tag >> 3);
	field->type = (uint8_t)(tag & 7);
	reader->failed |= tag > UINT32_MAX || field->number == 0;
	switch (field->type) {
	case WIRE_VARINT:
		field->value = read_varint(reader);
		break;
	case WIRE_64:
		skip(reader, 8);
		break;
	case WIRE_32:
		skip(reader, 4);
		break;
	case WIRE_BYTES:
		field->value = read_varint(reader);
		field->bytes.at = reader->at;
		skip(reader, field->value);
		field->bytes.end = reader->at;
		field->bytes.failed = false;
		break;
	default: /* groups: no proto3 message has them */
		reader->failed = true;
	}
	return !reader->failed;
}

static bool read_header(struct reader reader, struct packet_message *message)
{
	struct field field;

	while (read_field(&reader, &field)) {
		if (field.type != WIRE_VARINT)
			continue;
		uint32_t value = (uint32_t)field.value; /* protobuf: the low 32 bits */
		if (field.number == 1)
			message->ts_sec = value;
		else if (field.number == 2)
			message->ts_usec = value;
		else if (field.number == 3)
			message->cap_len = value;
		else if (field.number == 4)
			message->wire_len = value;
		else if (field.number == 15)
			message->ts_nsec_rest = value;
	}
	return !reader.failed;
}

static bool read_data(struct reader reader, const uint8_t **data, uint64_t *length)
{
	struct field field;

	while (read_field(&reader, &field)) {
		if (field.number != 1 || field.type != WIRE_BYTES)
			continue;
		*data = field.bytes.at;
		*length = field.value;
	}
	return !reader.failed;
}

/* A sub-message that comes twice is one: what the second has replaces what the first had. */
const char *packet_message_read(const uint8_t *bytes, size_t length, struct packet_message *message)
{
	static const uint8_t nothing[1];
	struct packet_message result = { .data = nothing };
	struct reader reader = { .at = bytes, .end = bytes + length };
	uint64_t data_length = 0;
	bool has_header = false, has_data = false, good = true;
	struct field field;

	while (good && read_field(&reader, &field)) {
		if (field.type != WIRE_BYTES)
			continue;
		if (field.number == 1) {
			has_header = true;
			good = read_header(field.bytes, &result);
		} else if (field.number == 2) {
			has_data = true;
			good = read_data(field.bytes, &result.data, &data_length);
		}
	}
	if (!good || reader.failed)
		return "the message is no Packet: its protobuf encoding is broken";
	if (!has_header)
		return "a Packet without a header";
	if (!has_data)
		return "a Packet without data";
	if (result.cap_len != data_length)
		return "a Packet whose header.caplen is not the length of its data";
	if (result.ts_usec > 999999)
		return "a Packet whose header.ts_usec is more than 999999";
	if (result.ts_nsec_rest > 999)
		return "a Packet whose header.ts_nsec_rest is more than 999";
	*message = result;
	return NULL;
}
