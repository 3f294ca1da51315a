/*
 * Fuzz target of the decoder: a history of frames of one link type through one decoder. Build with -fsanitize=fuzzer,address.
 *
 *   input: link(1) options(1) then frames: cap_len(2) wire_len(2) time step(1) VLAN(1) bytes(cap_len)
 */
#include <stdio.h>
#include <stdlib.h>

#include "decode_internal.h"

#include "../unit/decode_invariants.h"

#define FRAME_HEADER 6

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

static void check(const struct decoder_options *options, const struct frame *frame, const struct packet *packet)
{
	const char *broken = packet_broken(options, frame, packet);

	if (broken) {
		fprintf(stderr, "%s: cap_len %u wire_len %u link %u: %s\n", verdict_name(packet->verdict), frame->cap_len,
			frame->wire_len, frame->link, broken);
		abort();
	}
}

/* A buffer of exactly cap_len bytes, so that the sanitizer sees one byte too far. */
static void decode_one(struct decoder *decoder, struct frame *frame, const uint8_t *bytes)
{
	uint8_t *copy = malloc(frame->cap_len ? frame->cap_len : 1);
	struct packet packet, general;

	if (!copy)
		abort();
	memcpy(copy, bytes, frame->cap_len);
	frame->data = copy;
	decode_batch(decoder, frame, &packet, 1);
	check(&decoder->options, frame, &packet);
	decode_general(decoder, frame, &general);
	check(&decoder->options, frame, &general);
	if (memcmp(&packet, &general, offsetof(struct packet, unused)) != 0) {
		fprintf(stderr, "fast and general path differ\n");
		abort();
	}
	free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	static const uint16_t links[] = { LINK_ETHERNET, LINK_NULL, LINK_RAW, LINK_RAW_BSD, LINK_RAW_OPENBSD, LINK_LOOP,
		LINK_LINUX_SLL, LINK_IPV4, LINK_IPV6, LINK_LINUX_SLL2, 105 };
	struct decoder *decoder;
	uint64_t now_ns = 1000000000;

	if (size < 2)
		return 0;
	uint16_t link = links[input[0] % (sizeof(links) / sizeof(links[0]))];
	struct decoder_options options = { input[1] & 1, input[1] & 2, input[1] & 4, HASH_SEED_FIXED };
	if (decoder_create(&options, &decoder) < 0)
		return 0;
	input += 2;
	size -= 2;
	while (size >= FRAME_HEADER) {
		uint32_t cap_len = load_be16(input);
		struct frame frame = { .ts_ns = now_ns, .wire_len = load_be16(input + 2), .link = link };

		now_ns += (uint64_t)input[4] * 1000000000;
		if (input[5] & 1) {
			frame.vlan_tpid = 0x8100;
			frame.vlan_tci = input[5];
		}
		input += FRAME_HEADER;
		size -= FRAME_HEADER;
		frame.cap_len = cap_len < size ? cap_len : (uint32_t)size;
		decode_one(decoder, &frame, input);
		input += frame.cap_len;
		size -= frame.cap_len;
	}
	decoder_destroy(decoder);
	return 0;
}
