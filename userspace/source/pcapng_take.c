#include "pcapng.h"

#include "bytes.h"
#include "poison.h"

#define NS_PER_SECOND UINT64_C(1000000000)

static inline uint32_t u32_at(const uint8_t *p, bool swapped)
{
	return swapped ? load_be32(p) : load_le32(p);
}

static inline uint16_t u16_at(const uint8_t *p, bool swapped)
{
	return swapped ? load_be16(p) : load_le16(p);
}

/*
 * 64 bits of nanoseconds end in 2554. What is beyond was never a time of day; of its seconds the lower 32 bits count, as in every
 * pcap file made of it (tcpdump -w), and often those are right.
 */
static uint64_t far_ns(uint64_t multiplier, uint64_t ticks)
{
	return ticks % ((NS_PER_SECOND << 32) / multiplier) * multiplier;
}

/* The resolutions that no capture tool uses: powers of two, and finer than nanoseconds. */
static uint64_t ticks_to_ns(uint8_t resolution, uint64_t ticks)
{
	unsigned digits = resolution & 0x7f;

	if (resolution & 0x80) {
		if (digits > 63)
			return 0;
		uint64_t fraction = ticks & ((UINT64_C(1) << digits) - 1);
		uint64_t seconds = ticks >> digits;
		if (seconds >= UINT64_MAX / NS_PER_SECOND)
			seconds &= UINT32_MAX;
		return seconds * NS_PER_SECOND + (uint64_t)(((unsigned __int128)fraction * NS_PER_SECOND) >> digits);
	}
	for (; digits > 9 && ticks > 0; digits--)
		ticks /= 10;
	return ticks;
}

static inline __attribute__((always_inline)) bool packet_parse(
	const uint8_t *block, uint32_t bytes, bool swapped, struct pcapng_packet *packet)
{
	uint32_t header;

	packet->simple = false;
	switch (u32_at(block, swapped)) {
	case PCAPNG_ENHANCED_PACKET:
		header = 28;
		if (bytes < header + 4)
			return false;
		packet->interface = u32_at(block + 8, swapped);
		break;
	case PCAPNG_OBSOLETE_PACKET:
		header = 28;
		if (bytes < header + 4)
			return false;
		packet->interface = u16_at(block + 8, swapped);
		break;
	case PCAPNG_SIMPLE_PACKET:
		header = 12;
		if (bytes < header + 4)
			return false;
		packet->simple = true;
		packet->interface = 0;
		packet->ticks = 0;
		packet->wire_len = u32_at(block + 8, swapped);
		packet->cap_len = packet->wire_len < bytes - header - 4 ? packet->wire_len : bytes - header - 4;
		packet->data = block + header;
		return packet->cap_len <= PCAP_READER_CAP_LEN_MAX;
	default:
		return false;
	}
	packet->ticks = (uint64_t)u32_at(block + 12, swapped) << 32 | u32_at(block + 16, swapped);
	packet->cap_len = u32_at(block + 20, swapped);
	packet->wire_len = u32_at(block + 24, swapped);
	packet->data = block + header;
	return packet->cap_len <= bytes - header - 4 && packet->cap_len <= PCAP_READER_CAP_LEN_MAX;
}

bool pcapng_packet_parse(const uint8_t *block, uint32_t bytes, bool swapped, struct pcapng_packet *packet)
{
	return packet_parse(block, bytes, swapped, packet);
}

static void simple_finish(struct frame *frame, const struct pcapng_interface *interface)
{
	frame->ts_ns = 0;
	if (interface->snaplen > 0 && frame->cap_len > interface->snaplen)
		frame->cap_len = interface->snaplen;
}

static inline __attribute__((always_inline)) unsigned blocks_take(
	struct pcap_reader *reader, struct frame *frames, unsigned n, bool swapped)
{
	const struct pcapng *ng = reader->ng;
	const uint8_t *block = reader->next;
	const uint8_t *end = reader->end;
	unsigned taken = 0;

	while (taken < n && end - block >= (ptrdiff_t)PCAPNG_BLOCK_MIN) {
		uint32_t bytes = u32_at(block + 4, swapped);
		struct pcapng_packet packet;

		if (bytes < PCAPNG_BLOCK_MIN || bytes % 4 != 0 || (ptrdiff_t)bytes > end - block)
			break;
		if (u32_at(block + bytes - 4, swapped) != bytes || !packet_parse(block, bytes, swapped, &packet))
			break;
		if (packet.interface >= ng->interface_count || !ng->interfaces[packet.interface].usable)
			break;
		const struct pcapng_interface *interface = &ng->interfaces[packet.interface];
		uint64_t ns;
		if (!interface->multiplier)
			ns = ticks_to_ns(interface->resolution, packet.ticks);
		else if (__builtin_mul_overflow(packet.ticks, interface->multiplier, &ns))
			ns = far_ns(interface->multiplier, packet.ticks);
		frames[taken++] = (struct frame){
			.data = packet.data,
			.ts_ns = ns + interface->offset_ns,
			.cap_len = packet.cap_len,
			.wire_len = packet.wire_len,
			.link = interface->link,
		};
		if (packet.simple)
			simple_finish(&frames[taken - 1], interface);
		block += bytes;
	}
	reader->next = block;
	reader->frames += taken;
	return taken;
}

unsigned pcapng_take(struct pcap_reader *reader, struct frame *frames, unsigned n)
{
	return reader->ng->swapped ? blocks_take(reader, frames, n, true) : blocks_take(reader, frames, n, false);
}
