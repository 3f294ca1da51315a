/*
 * libFuzzer target: any bytes as an nfcapd file, or as parts of one that is good otherwise. What must hold: no sanitizer report, and an
 * end; what was read, written as an nfcapd block again, is read as the same records.
 *
 *   input: what(1), then
 *     FUZZ_FILE      the file
 *     FUZZ_PACKED    compression(1), the body of a block as it is in the file
 *     FUZZ_RECORDS   the records of a block
 *     FUZZ_ELEMENTS  what elements hold, each: id(1) bytes(its own, else as the next byte says)
 */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bytes.h"
#include "fuzz_log.h"
#include "nfcapd_block.h"
#include "reader.h"

#define RECORDS_MAX 64

enum { FUZZ_FILE, FUZZ_PACKED, FUZZ_RECORDS, FUZZ_ELEMENTS, FUZZ_KINDS };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void put(int fd, const void *data, size_t size)
{
	require(write(fd, data, size) == (ssize_t)size);
}

/* Up to RECORDS_MAX records of the file; those behind are read, too. Closes it. A negative errno: it was bad. */
static int read_file(int fd, struct record *records)
{
	struct record rest[RECORDS_MAX];
	struct reader *reader;
	char path[64];
	int n = 0, more = 1;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	int error = nfcapd_reader_open(path, &reader);
	if (!error) {
		while (n < RECORDS_MAX && (more = reader->ops->next(reader, records + n, (unsigned)(RECORDS_MAX - n))) > 0)
			n += more;
		while (more > 0)
			more = reader->ops->next(reader, rest, RECORDS_MAX);
		reader->ops->close(reader);
		error = more;
	}
	close(fd);
	return error ? error : n;
}

/* A file without appendix of one block. */
static int file_make(uint8_t compression, const void *body, size_t bytes, uint32_t records)
{
	const struct nfcapd_file_header file = {
		.magic = NFCAPD_MAGIC, .layout = NFCAPD_LAYOUT, .compression = compression, .blocks = bytes > 0
	};
	const struct nfcapd_block_header block = { .records = records, .size = (uint32_t)bytes, .type = NFCAPD_BLOCK_FLOWS };
	int fd = memfd_create("input", MFD_CLOEXEC);

	require(fd >= 0);
	put(fd, &file, sizeof(file));
	if (bytes) {
		put(fd, &block, sizeof(block));
		put(fd, body, bytes);
	}
	return fd;
}

/* As many records as their lengths say. */
static uint32_t records_count(const uint8_t *data, size_t size)
{
	uint32_t n = 0;

	while (size >= 4 && load_le16(data + 2) >= 4 && load_le16(data + 2) <= size) {
		size -= load_le16(data + 2);
		data += load_le16(data + 2);
		n++;
	}
	return n;
}

static void write_again(const struct record *records, int n)
{
	struct record again[RECORDS_MAX];
	struct nfcapd_block block;

	require(nfcapd_block_init(&block, NFCAPD_BLOCK_BYTES, NFCAPD_COMPRESSION_NONE) == 0);
	for (int i = 0; i < n; i++)
		nfcapd_block_add(&block, &records[i].row, &records[i].extra);
	require(read_file(file_make(NFCAPD_COMPRESSION_NONE, block.raw, block.bytes, block.records), again) == n);
	for (int i = 0; i < n; i++)
		require(!memcmp(&records[i], &again[i], sizeof(again[i])));
	nfcapd_block_free(&block);
}

/* The length of an element of this kind, header included; 0: any. */
static unsigned element_length(unsigned id)
{
	switch (id) {
	case NFCAPD_GENERIC:
		return sizeof(struct nfcapd_generic);
	case NFCAPD_IPV4:
	case NFCAPD_VLAN:
	case NFCAPD_AS:
		return sizeof(struct nfcapd_ipv4);
	case NFCAPD_IPV6:
	case NFCAPD_MAC:
		return sizeof(struct nfcapd_ipv6);
	case NFCAPD_MISC:
		return sizeof(struct nfcapd_misc);
	case NFCAPD_COUNT:
	case NFCAPD_LATENCY:
		return sizeof(struct nfcapd_count);
	default:
		return 0;
	}
}

/* One record of good elements. Its length; at most `max` bytes. */
static unsigned record_make(const uint8_t *data, size_t size, uint8_t *record, size_t max)
{
	struct nfcapd_flow_header header = { .record = { .type = NFCAPD_RECORD_FLOW } };
	unsigned at = sizeof(header);

	while (size >= 2) {
		struct nfcapd_element element = { .id = data[0] % 20, .length = (uint16_t)element_length(data[0] % 20) };
		if (!element.length)
			element.length = (uint16_t)(sizeof(element) + data[1]);
		size_t bytes = element.length - sizeof(element);
		data++;
		size--;
		if (bytes > size || at + element.length > max)
			break;
		memcpy(record + at, &element, sizeof(element));
		memcpy(record + at + sizeof(element), data, bytes);
		at += element.length;
		data += bytes;
		size -= bytes;
		header.elements++;
	}
	header.record.size = (uint16_t)at;
	memcpy(record, &header, sizeof(header));
	return at;
}

static int input_make(const uint8_t *data, size_t size)
{
	unsigned kind = data[0] % FUZZ_KINDS;
	uint8_t record[4096];

	data++;
	size--;
	if (kind == FUZZ_RECORDS)
		return file_make(NFCAPD_COMPRESSION_NONE, data, size, records_count(data, size));
	if (kind == FUZZ_ELEMENTS)
		return file_make(NFCAPD_COMPRESSION_NONE, record, record_make(data, size, record, sizeof(record)), 1);
	if (kind == FUZZ_PACKED && size)
		return file_make(data[0] % 4, data + 1, size - 1, 1);
	int fd = memfd_create("input", MFD_CLOEXEC);
	require(fd >= 0);
	put(fd, data, size);
	return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct record records[RECORDS_MAX];

	if (!size)
		return 0;
	int n = read_file(input_make(data, size), records);
	if (n > 0)
		write_again(records, n);
	return 0;
}
