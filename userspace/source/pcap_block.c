/* What pcap_reader_take() must not do: open, read blocks, say what is wrong, close. */
#include "pcap_reader.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "byte_stream.h"
#include "bytes.h"
#include "flowlane/pcap_format.h"
#include "flowlane/source.h"
#include "log.h"
#include "pcapng.h"

_Static_assert(PCAP_READER_CAP_LEN_MAX == PCAP_CAP_LEN_MAX,
	"one limit; libpcap's header keeps pcap_lib_reader.c from seeing the other name");

#define PAGE_BYTES ((size_t)4096)

_Static_assert(PCAPNG_BLOCK_MAX > sizeof(struct pcap_record_header) + PCAP_CAP_LEN_MAX, "room for either kind of record");

static bool is_swapped(const struct pcap_reader *reader)
{
	return reader->variant == PCAP_US_SWAPPED || reader->variant == PCAP_NS_SWAPPED;
}

static uint32_t load_32(const struct pcap_reader *reader, const uint8_t *p)
{
	return is_swapped(reader) ? load_be32(p) : load_le32(p);
}

uint64_t pcap_block_offset(const struct pcap_reader *reader)
{
	return byte_stream_unpacked(reader->stream) - (uint64_t)(reader->end - reader->next);
}

uint64_t pcap_reader_position(const struct pcap_reader *reader, const uint8_t *data)
{
	return byte_stream_unpacked(reader->stream) - (uint64_t)(reader->end - data);
}

bool pcap_reader_has_positions(const struct pcap_reader *reader)
{
	return reader->variant != PCAP_LIBPCAP && byte_stream_plain(reader->stream);
}

int pcap_reader_cut(struct pcap_reader *reader, uint64_t packet)
{
	log_warning("%s: cut off inside packet %llu at byte %llu; the %llu packets before it are processed",
		byte_stream_name(reader->stream), (unsigned long long)packet,
		(unsigned long long)byte_stream_unpacked(reader->stream), (unsigned long long)packet - 1);
	__atomic_store_n(&reader->truncated, true, __ATOMIC_RELAXED);
	return SOURCE_END;
}

static int record_refuse(struct pcap_reader *reader, uint32_t cap_len)
{
	log_error("%s: damaged at packet %llu, byte %llu: it claims %u captured bytes, and no packet has more than %u; "
		  "the packets before it are processed",
		byte_stream_name(reader->stream), (unsigned long long)reader->frames + 1,
		(unsigned long long)pcap_block_offset(reader), cap_len, PCAP_CAP_LEN_MAX);
	return -EBADMSG;
}

/* How many bytes must be there to go on: a whole record; its header if that is not there whole; 0: it cannot be. */
static size_t record_bytes(struct pcap_reader *reader)
{
	if (reader->variant == PCAP_NG)
		return pcapng_block_bytes(reader);
	if (reader->end - reader->next < (ptrdiff_t)sizeof(struct pcap_record_header))
		return sizeof(struct pcap_record_header);
	uint32_t cap_len = load_32(reader, reader->next + 8);
	if (cap_len > PCAP_CAP_LEN_MAX) {
		reader->state = record_refuse(reader, cap_len);
		return 0;
	}
	return sizeof(struct pcap_record_header) + cap_len;
}

static int input_end(struct pcap_reader *reader)
{
	if (reader->next < reader->end || byte_stream_cut(reader->stream))
		return pcap_reader_cut(reader, reader->frames + 1);
	return SOURCE_END;
}

ssize_t pcap_block_read(struct pcap_reader *reader)
{
	uint8_t *to = (uint8_t *)reader->end;
	size_t room = (size_t)(reader->buffer + reader->buffer_bytes - to);
	ssize_t got = byte_stream_read(reader->stream, to, room < reader->block_bytes ? room : reader->block_bytes);

	if (got > 0)
		reader->end += got;
	return got;
}

void pcap_buffer_turn(struct pcap_reader *reader)
{
	size_t room = (size_t)(reader->block - reader->buffer);

	if (reader->frames == reader->turned)
		return;
	reader->turned = reader->frames;
	reader->buffer += reader->buffer_bytes;
	if (reader->buffer == reader->memory + reader->buffers * reader->buffer_bytes)
		reader->buffer = reader->memory;
	reader->block = reader->buffer + room;
}

/* What is left of the block goes in front of where the next one will be. */
static void block_move(struct pcap_reader *reader)
{
	size_t left = (size_t)(reader->end - reader->next);

	pcap_buffer_turn(reader);
	uint8_t *to = reader->block - left;
	memmove(to, reader->next, left);
	reader->next = to;
	reader->end = reader->block;
}

int pcap_block_fill(struct pcap_reader *reader)
{
	size_t wanted = record_bytes(reader);

	if (wanted > (size_t)(reader->end - reader->next))
		block_move(reader);
	while (wanted > (size_t)(reader->end - reader->next)) {
		ssize_t got = pcap_block_read(reader);
		if (got == -EAGAIN)
			return 0;
		if (got <= 0) {
			reader->state = got < 0 ? (int)got : input_end(reader);
			return reader->state;
		}
		wanted = record_bytes(reader);
	}
	return wanted ? 1 : reader->state;
}

int pcap_reader_refill(struct pcap_reader *reader)
{
	if (reader->state)
		return reader->state;
	switch (reader->variant) {
	case PCAP_NG:
		return pcapng_refill(reader);
	case PCAP_LIBPCAP:
		return pcap_lib_refill(reader);
	default:
		return pcap_block_fill(reader);
	}
}

static int classic_header(struct pcap_reader *reader, const uint8_t *head)
{
	uint32_t network = load_32(reader, head + 20) & PCAP_LINK_MASK;
	int link = link_type_check(byte_stream_name(reader->stream), network, link_type_name(network));
	uint8_t skipped[sizeof(struct pcap_file_header)];

	if (link < 0)
		return -EPROTONOSUPPORT;
	reader->link = link;
	reader->snaplen = load_32(reader, head + 16);
	if (reader->snaplen == 0)
		reader->snaplen = PCAP_CAP_LEN_MAX;
	byte_stream_read(reader->stream, skipped, sizeof(skipped)); /* the head: it is there */
	return 0;
}

/* The variant if the head is that of a classic pcap file of today; libpcap knows the older and the odd ones. */
static enum pcap_variant variant_of(const uint8_t *head)
{
	static const struct {
		uint32_t magic; /* as loaded little-endian */
		enum pcap_variant variant;
	} known[] = {
		{ PCAP_MAGIC_US, PCAP_US },
		{ PCAP_MAGIC_NS, PCAP_NS },
		{ __builtin_bswap32(PCAP_MAGIC_US), PCAP_US_SWAPPED },
		{ __builtin_bswap32(PCAP_MAGIC_NS), PCAP_NS_SWAPPED },
	};

	if (load_le32(head) == PCAPNG_SECTION)
		return PCAP_NG;
	for (unsigned i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		bool swapped = known[i].variant >= PCAP_US_SWAPPED;
		uint16_t major = swapped ? load_be16(head + 4) : load_le16(head + 4);
		uint16_t minor = swapped ? load_be16(head + 6) : load_le16(head + 6);
		if (load_le32(head) == known[i].magic && major == PCAP_VERSION_MAJOR_CURRENT && minor == PCAP_VERSION_MINOR_CURRENT)
			return known[i].variant;
	}
	return PCAP_LIBPCAP;
}

/* Names what is wrong with an input of less than a file header. */
static int short_input(const char *name, const uint8_t *head, size_t bytes)
{
	uint32_t magic = bytes >= sizeof(magic) ? load_le32(head) : 0;

	if (bytes == 0) {
		log_error("%s is empty (0 bytes): not even the file header of a capture is there", name);
		return -EBADMSG;
	}
	if (magic == PCAP_MAGIC_US || magic == PCAP_MAGIC_NS || magic == __builtin_bswap32(PCAP_MAGIC_US) ||
		magic == __builtin_bswap32(PCAP_MAGIC_NS)) {
		log_error("%s: cut off inside its file header (%zu bytes of %zu): it holds no packets", name, bytes,
			sizeof(struct pcap_file_header));
		return -EBADMSG;
	}
	log_error("%s is not a capture file: it has only %zu bytes; flowlane reads pcap, pcapng, and both gzip'ed", name, bytes);
	return -EBADMSG;
}

static int buffers_open(struct pcap_reader *reader, size_t block_bytes, unsigned buffers)
{
	/* In front: the part of a record that a block ends in. Behind, a page: where a record header that a block ends in
	 * turns out to belong to a packet of the greatest length. */
	size_t room = (PCAPNG_BLOCK_MAX + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
	size_t body = reader->variant == PCAP_LIBPCAP || block_bytes < room ? room : block_bytes;

	reader->buffer_bytes = room + body + PAGE_BYTES;
	reader->buffers = buffers;
	reader->memory = reader->buffer = aligned_alloc(PAGE_BYTES, buffers * reader->buffer_bytes);
	if (!reader->buffer) {
		log_error("cannot open %s: no memory for %u buffers of %zu bytes", byte_stream_name(reader->stream), buffers,
			reader->buffer_bytes);
		return -ENOMEM;
	}
	reader->block = reader->buffer + room;
	reader->block_bytes = block_bytes;
	reader->next = reader->end = reader->block;
	return 0;
}

int pcap_reader_open(struct pcap_reader *reader, const char *path, size_t block_bytes, unsigned buffers)
{
	const uint8_t *head;
	size_t head_bytes;
	int error;

	memset(reader, 0, sizeof(*reader));
	error = byte_stream_open(path, &reader->stream);
	if (error)
		return error;
	head = byte_stream_head(reader->stream, &head_bytes);
	if (head_bytes < sizeof(struct pcap_file_header)) {
		error = short_input(byte_stream_name(reader->stream), head, head_bytes);
		goto fail;
	}
	reader->variant = (uint8_t)variant_of(head);
	/* Also for libpcap, which does not tell what the file has: the modified format and the old ones have microseconds. */
	reader->nanoseconds = load_le32(head) == PCAP_MAGIC_NS || load_le32(head) == __builtin_bswap32(PCAP_MAGIC_NS);
	error = buffers_open(reader, block_bytes, buffers);
	if (error)
		goto fail;
	if (reader->variant == PCAP_NG)
		error = pcapng_open(reader);
	else
		error = reader->variant == PCAP_LIBPCAP ? pcap_lib_open(reader) : classic_header(reader, head);
	if (error)
		goto fail;
	return 0;
fail:
	pcap_reader_close(reader);
	return error;
}

void pcap_reader_close(struct pcap_reader *reader)
{
	pcap_lib_close(reader); /* it reads from the stream: first */
	free(reader->memory);
	pcapng_close(reader);
	free(reader->ready);
	byte_stream_close(reader->stream);
	memset(reader, 0, sizeof(*reader));
}
