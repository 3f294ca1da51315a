/*
 * Fuzz target of the audit records: any frame, its layers, their records. What comes out must be messages that protobuf-c reads, with texts
 * that are UTF-8. DNS, NTP, DHCP and TLS get their bytes also without a frame around them that the fuzzer would have to find.
 *
 *   input: what(1) bytes
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit_record.h"
#include "utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

#define ETHERNET_IPV4_BYTES 34

static void fail(const char *what, enum ncap_type type)
{
	fprintf(stderr, "%s: %s\n", ncap_types[type].name, what);
	abort();
}

static bool is_utf8(const char *text)
{
	unsigned n;

	while (*text && (n = utf8_length(text)) > 0)
		text += n;
	return *text == 0;
}

/* All texts of a message, and of those in it: other readers refuse a record for one that is no UTF-8. */
static bool texts_are_utf8(const ProtobufCMessage *message)
{
	for (unsigned i = 0; i < message->descriptor->n_fields; i++) {
		const ProtobufCFieldDescriptor *field = &message->descriptor->fields[i];
		const uint8_t *member = (const uint8_t *)message + field->offset;
		bool repeated = field->label == PROTOBUF_C_LABEL_REPEATED;
		size_t count = repeated ? *(const size_t *)((const uint8_t *)message + field->quantifier_offset) : 1;
		void *const *pointers = repeated ? *(void *const *const *)member : (void *const *)member;
		if (field->type != PROTOBUF_C_TYPE_STRING && field->type != PROTOBUF_C_TYPE_MESSAGE)
			continue;
		for (size_t k = 0; k < count; k++) {
			if (!pointers[k])
				continue;
			if (field->type == PROTOBUF_C_TYPE_STRING ? !is_utf8(pointers[k]) : !texts_are_utf8(pointers[k]))
				return false;
		}
	}
	return true;
}

static void check_record(struct encoder *encoder, const struct ncap_layer *layer, uint8_t *out)
{
	enum ncap_type type = (enum ncap_type)layer->type;
	uint8_t *end = encoder_layer(encoder, layer, out);

	if (!end)
		return;
	if (end < out || (size_t)(end - out) > RECORD_MAX)
		fail("longer than it may be", type);
	ProtobufCMessage *message = protobuf_c_message_unpack(ncap_types[type].current, NULL, (size_t)(end - out), out);
	if (!message)
		fail("no message", type);
	if (message->n_unknown_fields)
		fail("a field that the message does not have", type);
	if (!texts_are_utf8(message))
		fail("a text that is no UTF-8", type);
	protobuf_c_message_free_unpacked(message, NULL);
}

/* Ethernet, IPv4, and TCP or UDP with these ports. Returns its length. */
static size_t head_put(uint8_t *frame, bool tcp, uint16_t port, size_t payload)
{
	size_t transport = tcp ? 20 : 8, total = 20 + transport + payload;

	memset(frame, 0, ETHERNET_IPV4_BYTES + transport);
	frame[12] = 0x08;
	frame[14] = 0x45;
	frame[16] = (uint8_t)(total >> 8);
	frame[17] = (uint8_t)total;
	frame[23] = tcp ? 6 : 17;
	uint8_t *l4 = frame + ETHERNET_IPV4_BYTES;
	l4[0] = 0xc0;
	l4[2] = (uint8_t)(port >> 8);
	l4[3] = (uint8_t)port;
	if (tcp) {
		l4[12] = 0x50;
	} else {
		l4[4] = (uint8_t)((8 + payload) >> 8);
		l4[5] = (uint8_t)(8 + payload);
	}
	return ETHERNET_IPV4_BYTES + transport;
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	static const struct {
		bool tcp;
		uint16_t port;
	} wraps[] = { { false, 53 }, { true, 53 }, { false, 123 }, { false, 67 }, { true, 443 }, { false, 4789 }, { false, 6081 } };
	static struct ncap_walker *walker;
	static struct encoder *encoder;
	static struct ncap_walk walk;
	static uint8_t *out;
	struct record_options options = { .payload = true, .entropy = true };

	if (!walker) {
		out = malloc(RECORD_MAX);
		if (!out || ncap_walker_create(false, &walker) || encoder_create(&options, &encoder))
			abort();
	}
	if (size < 1 || size > 16000)
		return 0;
	unsigned wrap = input[0] % (sizeof(wraps) / sizeof(wraps[0]) + 2);
	bool wrapped = wrap < sizeof(wraps) / sizeof(wraps[0]);
	uint8_t *frame = malloc(size + 64), *exact;
	size_t n = 0;
	if (!frame)
		abort();
	if (wrapped)
		n = head_put(frame, wraps[wrap].tcp, wraps[wrap].port, size - 1);
	memcpy(frame + n, input + 1, size - 1);
	n += size - 1;
	exact = malloc(n ? n : 1); /* so that the sanitizer sees one byte too far */
	if (!exact)
		abort();
	memcpy(exact, frame, n);
	struct frame made = { .data = exact,
		.ts_ns = 1700000000000000000u,
		.cap_len = (uint32_t)n,
		.wire_len = (uint32_t)n,
		.link = wrapped || input[0] & 0x80 ? LINK_ETHERNET : LINK_RAW };
	ncap_walk_frame(walker, &made, &walk);
	encoder_begin(encoder, &walk);
	for (unsigned i = 0; i < walk.layers_count; i++)
		check_record(encoder, &walk.layers[i], out);
	free(exact);
	free(frame);
	return 0;
}
