#include "pcapng.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "byte_stream.h"
#include "bytes.h"
#include "flowlane/pcap_format.h"
#include "flowlane/source.h"
#include "log.h"

#define NS_PER_SECOND     UINT64_C(1000000000)
#define OPTION_RESOLUTION 9
#define OPTION_OFFSET     14
#define SECTION_BYTES     28 /* of its header without options */
#define SCAN_LINKS        8  /* that many different link types are told apart at open: more than flowlane reads, but two */

static uint32_t u32_at(const uint8_t *p, bool swapped)
{
	return swapped ? load_be32(p) : load_le32(p);
}

static uint16_t u16_at(const uint8_t *p, bool swapped)
{
	return swapped ? load_be16(p) : load_le16(p);
}

static int damage_say(struct pcap_reader *reader, const char *what)
{
	log_error("%s: damaged behind packet %llu, at byte %llu: %s; the packets before it are processed",
		byte_stream_name(reader->stream), (unsigned long long)reader->frames, (unsigned long long)pcap_block_offset(reader),
		what);
	return -EBADMSG;
}

static bool is_packet(uint32_t type)
{
	return type == PCAPNG_ENHANCED_PACKET || type == PCAPNG_OBSOLETE_PACKET || type == PCAPNG_SIMPLE_PACKET;
}

/* A section header says its own byte order; all other blocks have that of their section. */
static const char *byte_order_find(const uint8_t *block, bool *swapped)
{
	if (load_le32(block) != PCAPNG_SECTION)
		return NULL;
	if (load_le32(block + 8) != PCAPNG_BYTE_ORDER && load_be32(block + 8) != PCAPNG_BYTE_ORDER)
		return "a section header without byte order mark";
	*swapped = load_be32(block + 8) == PCAPNG_BYTE_ORDER;
	return NULL;
}

/* What is wrong with the first PCAPNG_BLOCK_MIN bytes of a block; NULL: nothing. */
static const char *block_fault(const uint8_t *block, bool *swapped)
{
	const char *fault = byte_order_find(block, swapped);

	if (fault)
		return fault;
	uint32_t type = u32_at(block, *swapped);
	uint32_t bytes = u32_at(block + 4, *swapped);
	if (bytes < PCAPNG_BLOCK_MIN)
		return "a block shorter than its own header";
	if (bytes % 4 != 0)
		return "a block whose length is not a multiple of four";
	if (bytes > PCAPNG_BLOCK_MAX && (is_packet(type) || type == PCAPNG_SECTION || type == PCAPNG_INTERFACE))
		return "a block longer than any such block can be";
	return NULL;
}

size_t pcapng_block_bytes(struct pcap_reader *reader)
{
	bool swapped = reader->ng->swapped;

	if (reader->end - reader->next < (ptrdiff_t)PCAPNG_BLOCK_MIN)
		return PCAPNG_BLOCK_MIN;
	const char *fault = block_fault(reader->next, &swapped);
	if (fault) {
		reader->state = damage_say(reader, fault);
		return 0;
	}
	size_t bytes = u32_at(reader->next + 4, swapped);
	return bytes <= PCAPNG_BLOCK_MAX ? bytes : PCAPNG_BLOCK_MIN;
}

static void option_take(struct pcapng_interface *interface, uint16_t code, const uint8_t *value, uint16_t length, bool swapped)
{
	if (code == OPTION_RESOLUTION && length == 1) {
		interface->resolution = value[0];
	} else if (code == OPTION_OFFSET && length == 8) {
		uint64_t seconds = swapped ? load_be64(value) : load_le64(value);
		interface->offset_ns = seconds * NS_PER_SECOND;
	}
}

/* From a whole interface block. False: broken. */
static bool interface_parse(const uint8_t *block, uint32_t bytes, bool swapped, struct pcapng_interface *interface)
{
	if (bytes < 20)
		return false;
	*interface = (struct pcapng_interface){
		.link = u16_at(block + 8, swapped),
		.snaplen = u32_at(block + 12, swapped),
		.resolution = 6,
	};
	if (interface->link == LINK_RAW_BSD || interface->link == LINK_RAW_OPENBSD)
		interface->link = LINK_RAW;
	const uint8_t *end = block + bytes - 4;
	for (const uint8_t *option = block + 16; end - option >= 4;) {
		uint16_t code = u16_at(option, swapped);
		uint16_t length = u16_at(option + 2, swapped);

		if (code == 0 || length > end - option - 4)
			break;
		option_take(interface, code, option + 4, length, swapped);
		option += 4 + (length + 3u) / 4 * 4;
		if (option > end) /* the padding is missing */
			break;
	}
	if (interface->resolution <= 9) {
		interface->multiplier = 1;
		for (unsigned digits = interface->resolution; digits < 9; digits++)
			interface->multiplier *= 10;
	}
	return true;
}

/* What the first blocks say about the file as a whole. */
struct scan {
	struct pcapng section;
	unsigned sections;
	unsigned interfaces; /* over all sections */
	struct scan_links {
		unsigned count;
		uint16_t link[SCAN_LINKS];
	} of_interfaces, of_packets;
	uint32_t snaplen;
	bool nanoseconds;
};

static void link_add(struct scan_links *links, uint16_t link)
{
	unsigned i = 0;

	while (i < links->count && links->link[i] != link)
		i++;
	if (i == links->count && links->count < SCAN_LINKS)
		links->link[links->count++] = link;
}

static int interface_add(struct pcapng *ng, const struct pcapng_interface *interface)
{
	if (ng->interface_count == ng->interface_room) {
		uint32_t room = ng->interface_room ? ng->interface_room * 2 : 8;
		struct pcapng_interface *grown = realloc(ng->interfaces, room * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		ng->interfaces = grown;
		ng->interface_room = room;
	}
	ng->interfaces[ng->interface_count++] = *interface;
	return 0;
}

static void section_begin(struct pcapng *ng, bool swapped)
{
	ng->swapped = swapped;
	ng->interface_count = 0;
}

static bool is_finer_than_us(uint8_t resolution)
{
	return resolution & 0x80 ? resolution > (0x80 | 19) : resolution > 6;
}

static int scan_block(struct scan *scan, const uint8_t *block, uint32_t bytes)
{
	struct pcapng *section = &scan->section;
	struct pcapng_interface interface;
	struct pcapng_packet packet;
	uint32_t type = u32_at(block, section->swapped);

	if (type == PCAPNG_SECTION) {
		section_begin(section, section->swapped);
		scan->sections++;
	}
	if (type == PCAPNG_INTERFACE && interface_parse(block, bytes, section->swapped, &interface)) {
		uint32_t snaplen = interface.snaplen ? interface.snaplen : PCAP_READER_CAP_LEN_MAX;

		scan->interfaces++;
		scan->snaplen = snaplen > scan->snaplen ? snaplen : scan->snaplen;
		scan->nanoseconds = scan->nanoseconds || is_finer_than_us(interface.resolution);
		link_add(&scan->of_interfaces, interface.link);
		return interface_add(section, &interface);
	}
	if (pcapng_packet_parse(block, bytes, section->swapped, &packet) && packet.interface < section->interface_count)
		link_add(&scan->of_packets, section->interfaces[packet.interface].link);
	return 0;
}

/* Looks through the whole blocks that are in memory. What is broken among them is said when it is reached in earnest. */
static int scan_blocks(struct scan *scan, const struct pcap_reader *reader)
{
	const uint8_t *block = reader->next;
	int error = 0;

	while (!error && reader->end - block >= (ptrdiff_t)PCAPNG_BLOCK_MIN && !block_fault(block, &scan->section.swapped)) {
		uint32_t bytes = u32_at(block + 4, scan->section.swapped);
		if ((ptrdiff_t)bytes > reader->end - block)
			break;
		error = scan_block(scan, block, bytes);
		block += bytes;
	}
	return error;
}

/* Reads the first blocks, at least up to the first interface, and looks through them. */
static int scan_run(struct scan *scan, struct pcap_reader *reader)
{
	bool end = false;
	int error = 0;

	do {
		ssize_t got = pcap_block_read(reader);
		if (got < 0 && got != -EAGAIN)
			return (int)got;
		end = got == 0;
		free(scan->section.interfaces);
		*scan = (struct scan){ 0 };
		error = scan_blocks(scan, reader);
	} while (!error && !end && scan->interfaces == 0 && reader->end < reader->buffer + reader->buffer_bytes);
	if (error)
		log_error("cannot open %s: out of memory", byte_stream_name(reader->stream));
	if (!error && scan->sections == 0) {
		log_error("%s: cut off inside its file header: it holds no packets", byte_stream_name(reader->stream));
		error = -EBADMSG;
	}
	/* The whole file is in sight: interfaces without packets do not matter. */
	if (byte_stream_done(reader->stream) == byte_stream_total(reader->stream) && scan->of_packets.count > 0)
		scan->of_interfaces = scan->of_packets;
	return error;
}

/* Decides what to announce. A file with several link types is read if one of them is; the decoder counts the others. */
static int link_decide(const struct scan_links *links, struct pcap_reader *reader)
{
	const char *name = byte_stream_name(reader->stream);
	uint16_t first = links->count ? links->link[0] : LINK_ETHERNET;

	reader->link = links->count > 1 ? -1 : first;
	for (unsigned i = 0; i < links->count; i++)
		if (link_type_known(links->link[i]))
			return 0;
	return link_type_check(name, first, link_type_name(first)) < 0 ? -EPROTONOSUPPORT : 0;
}

/* The version, and that the rest is pcapng at all: four line-end bytes begin other files, too. */
static int section_check(struct pcap_reader *reader)
{
	size_t bytes;
	const uint8_t *head = byte_stream_head(reader->stream, &bytes);
	const char *name = byte_stream_name(reader->stream);
	bool swapped = false;
	const char *fault = block_fault(head, &swapped);

	if (fault) {
		log_error("%s is not a capture file: it starts like pcapng, but with %s", name, fault);
		return -EBADMSG;
	}
	uint16_t major = u16_at(head + 12, swapped);
	if (major != 1) {
		log_error("%s is pcapng of version %u; flowlane reads version 1", name, major);
		return -EBADMSG;
	}
	return 0;
}

int pcapng_open(struct pcap_reader *reader)
{
	struct scan scan = { 0 };
	int error = section_check(reader);

	if (error)
		return error;
	reader->ng = calloc(1, sizeof(*reader->ng));
	if (!reader->ng) {
		log_error("cannot open %s: out of memory", byte_stream_name(reader->stream));
		return -ENOMEM;
	}
	error = scan_run(&scan, reader);
	if (!error)
		error = link_decide(&scan.of_interfaces, reader);
	reader->snaplen = scan.snaplen ? scan.snaplen : PCAP_READER_CAP_LEN_MAX;
	reader->nanoseconds = scan.nanoseconds;
	free(scan.section.interfaces);
	return error;
}

/* Says why pcapng_take() did not take a packet block that is there whole. */
static int packet_refuse(struct pcap_reader *reader, uint32_t bytes)
{
	const struct pcapng *ng = reader->ng;
	struct pcapng_packet packet;

	if (u32_at(reader->next + bytes - 4, ng->swapped) != bytes)
		return damage_say(reader, "the two lengths of a block differ");
	if (!pcapng_packet_parse(reader->next, bytes, ng->swapped, &packet))
		return damage_say(reader, "a packet longer than its block, or than any packet can be");
	if (packet.interface >= ng->interface_count)
		return damage_say(reader, "a packet of an interface that is not described");
	log_error("%s: packet %llu has link type %u (%s), and the ones before it %d; flowlane must see all link types in the first "
		  "%zu KiB of a "
		  "file; the packets before it are processed",
		byte_stream_name(reader->stream), (unsigned long long)reader->frames + 1, ng->interfaces[packet.interface].link,
		link_type_name(ng->interfaces[packet.interface].link), reader->link, PCAP_BLOCK_BYTES >> 10);
	return -EPROTONOSUPPORT;
}

/* Each section has a version of its own; what other ones than the first look like is not known. */
static const char *section_fault(const uint8_t *block, uint32_t bytes, bool swapped)
{
	if (bytes < SECTION_BYTES)
		return "a section header that is too short";
	return u16_at(block + 12, swapped) != 1 ? "a section of another version than 1" : NULL;
}

/* Takes in a block that is no packet. 0 or a negative errno, logged. */
static int block_take(struct pcap_reader *reader, uint32_t type, uint32_t bytes)
{
	struct pcapng *ng = reader->ng;
	struct pcapng_interface interface;

	if (type == PCAPNG_SECTION) {
		bool swapped = ng->swapped;
		byte_order_find(reader->next, &swapped);
		const char *fault = section_fault(reader->next, bytes, swapped);
		if (fault)
			return damage_say(reader, fault);
		section_begin(ng, swapped);
	} else if (type == PCAPNG_INTERFACE) {
		if (!interface_parse(reader->next, bytes, ng->swapped, &interface))
			return damage_say(reader, "an interface description that is too short");
		interface.usable = reader->link < 0 || reader->link == interface.link;
		if (interface_add(ng, &interface)) {
			log_error("%s: out of memory for %u interfaces", byte_stream_name(reader->stream), ng->interface_count + 1);
			return -ENOMEM;
		}
	}
	size_t there = (size_t)(reader->end - reader->next);
	ng->skip = bytes > there ? bytes - there : 0;
	reader->next += bytes > there ? there : bytes;
	return 0;
}

/* Reads past the rest of a long block. As pcap_reader_refill(). */
static int rest_skip(struct pcap_reader *reader)
{
	struct pcapng *ng = reader->ng;

	if (ng->skip > 0)
		pcap_buffer_turn(reader);
	while (ng->skip > 0) {
		size_t piece = ng->skip < reader->block_bytes ? (size_t)ng->skip : reader->block_bytes;
		ssize_t got = byte_stream_read(reader->stream, reader->block, piece);

		reader->next = reader->end = reader->block;
		if (got == -EAGAIN)
			return 0;
		if (got <= 0) {
			reader->state = got < 0 ? (int)got : pcap_reader_cut(reader, reader->frames + 1);
			return reader->state;
		}
		ng->skip -= (uint64_t)got;
	}
	return 1;
}

int pcapng_refill(struct pcap_reader *reader)
{
	struct pcapng *ng = reader->ng;
	struct frame probe;

	for (;;) {
		int filled = rest_skip(reader);
		if (filled == 1)
			filled = pcap_block_fill(reader);
		if (filled <= 0)
			return filled;

		bool swapped = ng->swapped;
		byte_order_find(reader->next, &swapped);
		uint32_t type = u32_at(reader->next, swapped);
		uint32_t bytes = u32_at(reader->next + 4, swapped);
		if (!is_packet(type)) {
			reader->state = block_take(reader, type, bytes);
		} else {
			const uint8_t *at = reader->next;
			uint64_t frames = reader->frames;
			if (pcapng_take(reader, &probe, 1) == 1) {
				reader->next = at; /* it was only to see that it can be taken */
				reader->frames = frames;
				return 1;
			}
			reader->state = packet_refuse(reader, bytes);
		}
		if (reader->state)
			return reader->state;
	}
}

void pcapng_close(struct pcap_reader *reader)
{
	if (reader->ng)
		free(reader->ng->interfaces);
	free(reader->ng);
	reader->ng = NULL;
}
