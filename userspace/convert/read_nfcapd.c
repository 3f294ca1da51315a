/* nfcapd files of layout 2 (nfdump 1.7): blocks of records, uncompressed, LZO, LZ4 or bzip2. sink/nfcapd_format.h has the layout. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bytes.h"
#include "log.h"
#include "reader.h"

struct nfcapd_reader {
	struct reader base;
	int fd;
	struct nfcapd_file_header header;
	uint32_t block;        /* number of the one at hand, from 1 */
	uint64_t block_offset; /* in the file */
	uint64_t next_offset;  /* of the block behind it */
	uint32_t records;      /* of it still to come */
	uint32_t at, bytes;    /* in `data` */
	uint64_t reverse;      /* records with counters of the other direction */
	bool ended;            /* what is behind the last block was looked at */
	uint8_t *packed;       /* NFCAPD_BLOCK_LIMIT, as the next */
	uint8_t *data;
};

/* offset: in the file, or in the unpacked block. */
static int nfcapd_fail(const struct nfcapd_reader *reader, const char *reason)
{
	log_error("convert: %s, block %u at offset %" PRIu64 ", byte %u of it: %s", reader->base.path, reader->block,
		reader->block_offset, reader->at, reason);
	return -EINVAL;
}

static int header_fail(const struct nfcapd_reader *reader, const char *reason)
{
	log_error("convert: %s: %s", reader->base.path, reason);
	return -EINVAL;
}

static int read_failed(const struct nfcapd_reader *reader, ssize_t error)
{
	log_error("convert: cannot read \"%s\": %s", reader->base.path,
		error == -ESPIPE ? "nfcapd is read from a file, and this is a pipe" : strerror((int)-error));
	return (int)error;
}

/* Bytes read, less only at the end of the file; or a negative errno, not logged. */
static ssize_t read_at(const struct nfcapd_reader *reader, void *data, size_t bytes, uint64_t offset)
{
	size_t done = 0;

	while (done < bytes) {
		ssize_t n = pread(reader->fd, (uint8_t *)data + done, bytes - done, (off_t)(offset + done));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

static int header_check(struct nfcapd_reader *reader)
{
	const struct nfcapd_file_header *header = &reader->header;

	if (header->magic == __builtin_bswap16(NFCAPD_MAGIC))
		return header_fail(reader, "written on a big-endian machine; nfdump there can write it with -o pipe");
	if (header->magic != NFCAPD_MAGIC)
		return header_fail(reader, "no nfcapd file: it does not begin with 0c a5");
	if (header->layout == 1)
		return header_fail(reader, "layout 1 of nfdump 1.6; `nfdump -r FILE -w NEW` of nfdump 1.7 rewrites it");
	if (header->layout != NFCAPD_LAYOUT)
		return header_fail(reader, "a layout that is not known; 2 is (nfdump 1.7)");
	if (header->encryption)
		return header_fail(reader, "it is encrypted");
	if (header->compression > NFCAPD_COMPRESSION_LZ4)
		return header_fail(reader, "a compression that is not known; none, LZO, LZ4 and bzip2 are; nfdump of the version "
					   "that wrote it can change it with -J");
	if (!header->blocks && reader->base.bytes_total > sizeof(*header) && !header->appendix_blocks)
		return header_fail(reader, "it was not finished: its header says that there are no blocks");
	return 0;
}

/* --- blocks ---------------------------------------------------------------------------------------------------------- */

/* Where the appendix begins the blocks end: as many as the header says. */
static int blocks_check_end(const struct nfcapd_reader *reader)
{
	bool ended = reader->block == reader->header.blocks;
	uint64_t appendix = (uint64_t)reader->header.appendix_offset;

	if (!reader->header.appendix_blocks)
		return 0;
	if (!ended && reader->next_offset >= appendix)
		return header_fail(reader, "its header counts more blocks than there are in front of the appendix");
	if (ended && reader->next_offset != appendix)
		return header_fail(reader, "its header counts fewer blocks than there are in front of the appendix");
	return 0;
}

/* Behind the last block: the appendix, which has to be whole although nothing of it is needed, and nothing more. An nfcapd that
 * appends to a file may leave a few bytes there. */
static int file_check_end(struct nfcapd_reader *reader)
{
	uint64_t offset = reader->next_offset, bytes = reader->base.bytes_total;
	struct nfcapd_block_header header;

	if (reader->ended)
		return 0;
	for (unsigned i = 0; i < reader->header.appendix_blocks; i++) {
		ssize_t n = read_at(reader, &header, sizeof(header), offset);
		if (n < 0)
			return read_failed(reader, n);
		if (n != sizeof(header) || offset + sizeof(header) + header.size > bytes)
			return header_fail(reader, "the file ends before its appendix does; it is cut off");
		offset += sizeof(header) + header.size;
	}
	if (offset < bytes)
		log_warning("convert: %s: %" PRIu64
			    " bytes behind its end are left out; if it was joined of several files, name those",
			reader->base.path, bytes - offset);
	reader->ended = true;
	return 0;
}

static int block_load(struct nfcapd_reader *reader)
{
	struct nfcapd_block_header header;

	reader->block++;
	reader->block_offset = reader->next_offset;
	reader->at = 0;
	ssize_t n = read_at(reader, &header, sizeof(header), reader->block_offset);
	if (n < 0)
		return read_failed(reader, n);
	if (n != sizeof(header))
		return nfcapd_fail(reader, "the file ends before the block does; it is cut off");
	if (header.size > NFCAPD_BLOCK_LIMIT)
		return nfcapd_fail(reader, "more than 5 MiB, which no block has");
	n = read_at(reader, reader->packed, header.size, reader->block_offset + sizeof(header));
	if (n < 0)
		return read_failed(reader, n);
	if (n != (ssize_t)header.size)
		return nfcapd_fail(reader, "the file ends before the block does; it is cut off");
	reader->next_offset += sizeof(header) + header.size;
	reader->base.bytes_done = reader->next_offset;
	if (header.type == NFCAPD_BLOCK_ARRAYS) {
		reader->records = reader->bytes = 0;
		return 0;
	}
	if (header.type != NFCAPD_BLOCK_FLOWS)
		return nfcapd_fail(reader, "a type of block that is not known; 3 is");
	long bytes = nfcapd_decompress(reader->header.compression, reader->packed, header.size, reader->data, NFCAPD_BLOCK_LIMIT);
	if (bytes < 0)
		return nfcapd_fail(reader, "it cannot be decompressed; it is damaged");
	reader->bytes = (uint32_t)bytes;
	reader->records = header.records;
	return 0;
}

/* --- records --------------------------------------------------------------------------------------------------------- */

static void address_take(uint32_t words[4], const uint64_t halves[2])
{
	for (unsigned i = 0; i < 2; i++) {
		words[2 * i] = (uint32_t)(halves[i] >> 32);
		words[2 * i + 1] = (uint32_t)halves[i];
	}
}

static void generic_take(struct record *record, const uint8_t *at)
{
	struct nfcapd_generic generic;

	memcpy(&generic, at, sizeof(generic));
	record->row.first = generic.first_ms / 1000;
	record->row.first_ms = (uint16_t)(generic.first_ms % 1000);
	record->row.last = generic.last_ms / 1000;
	record->row.last_ms = (uint16_t)(generic.last_ms % 1000);
	record->row.packets = generic.packets;
	record->row.octets = generic.octets;
	record->row.sp = generic.sp;
	record->row.dp = generic.dp;
	record->row.prot = generic.prot;
	record->row.tcp_flags = generic.tcp_flags;
	record->row.tos = generic.tos;
	record->extra.received_ms = generic.received_ms;
}

/* One element; those that have no place in a record are passed over. False: its length is not that of its kind. */
static bool element_take(struct nfcapd_reader *reader, struct record *record, uint16_t id, uint16_t length, const uint8_t *at)
{
	struct way_row *row = &record->row;
	struct nfcapd_extra *extra = &record->extra;

	switch (id) {
	case NFCAPD_GENERIC:
		if (length != sizeof(struct nfcapd_generic))
			return false;
		generic_take(record, at);
		return true;
	case NFCAPD_IPV4:
		if (length != sizeof(struct nfcapd_ipv4))
			return false;
		row->af = WAY_AF_IPV4;
		address_take(row->sa, (uint64_t[]){ 0, load_le32(at + 4) });
		address_take(row->da, (uint64_t[]){ 0, load_le32(at + 8) });
		return true;
	case NFCAPD_IPV6:
		if (length != sizeof(struct nfcapd_ipv6))
			return false;
		row->af = WAY_AF_IPV6;
		address_take(row->sa, (uint64_t[]){ load_le64(at + 4), load_le64(at + 12) });
		address_take(row->da, (uint64_t[]){ load_le64(at + 20), load_le64(at + 28) });
		return true;
	case NFCAPD_MISC:
		if (length != sizeof(struct nfcapd_misc))
			return false;
		extra->has_misc = true;
		row->inif = load_le32(at + 4);
		row->outif = load_le32(at + 8);
		extra->biflow_direction = at[16];
		extra->end_reason = at[17];
		return true;
	case NFCAPD_COUNT:
		if (length != sizeof(struct nfcapd_count))
			return false;
		row->aggs = load_le64(at + 4) > UINT32_MAX ? UINT32_MAX : (uint32_t)load_le64(at + 4);
		reader->reverse += load_le64(at + 12) || load_le64(at + 20);
		return true;
	case NFCAPD_VLAN:
		if (length != sizeof(struct nfcapd_vlan))
			return false;
		extra->has_vlan = true;
		extra->vlan[0] = load_le32(at + 4);
		extra->vlan[1] = load_le32(at + 8);
		return true;
	case NFCAPD_AS:
		if (length != sizeof(struct nfcapd_as))
			return false;
		row->src_as = load_le32(at + 4);
		row->dst_as = load_le32(at + 8);
		return true;
	case NFCAPD_MAC:
		if (length != sizeof(struct nfcapd_mac))
			return false;
		extra->has_mac = true;
		for (unsigned i = 0; i < 4; i++)
			extra->mac[i] = load_le64(at + 4 + 8 * i);
		return true;
	case NFCAPD_LATENCY:
		if (length != sizeof(struct nfcapd_latency))
			return false;
		extra->has_latency = true;
		for (unsigned i = 0; i < 3; i++)
			extra->latency_us[i] = load_le64(at + 4 + 8 * i);
		return true;
	default:
		return true;
	}
}

static int flow_take(struct nfcapd_reader *reader, struct record *record, const uint8_t *start, unsigned size)
{
	struct nfcapd_flow_header header;
	unsigned at = sizeof(header);
	bool generic = false;

	if (size < sizeof(header))
		return nfcapd_fail(reader, "a flow record shorter than its header");
	memcpy(&header, start, sizeof(header));
	memset(record, 0, sizeof(*record));
	record->row.af = WAY_AF_IPV4;
	record->extra.anonymized = header.flags & NFCAPD_FLAG_ANONYMIZED;
	for (unsigned i = 0; i < header.elements; i++) {
		if (size - at < sizeof(struct nfcapd_element))
			return nfcapd_fail(reader, "a flow record with fewer elements than its header says");
		uint16_t id = load_le16(start + at), length = load_le16(start + at + 2);
		if (length < sizeof(struct nfcapd_element) || length > size - at ||
			!element_take(reader, record, id, length, start + at))
			return nfcapd_fail(reader, "an element of a flow record has a wrong length");
		generic |= id == NFCAPD_GENERIC;
		at += length;
	}
	if (at != size)
		return nfcapd_fail(reader, "the elements of a flow record do not add up to its size");
	if (!generic)
		return nfcapd_fail(reader, "a flow record without times and counters");
	return 1;
}

/* Types of records that are no flows: exporters, samplers, names. */
static bool type_is_known(uint16_t type)
{
	return type == 7 || type == 8 || (type >= 12 && type <= 15) || type == 5 || type == 6 || type == 9;
}

/* The next flow of the block: 1; 0: it has no more; or a negative errno, logged. */
static int record_take(struct nfcapd_reader *reader, struct record *record)
{
	char reason[120];

	while (reader->records) {
		if (reader->bytes - reader->at < sizeof(struct nfcapd_record_header))
			return nfcapd_fail(reader, "the block holds fewer records than its header says");
		const uint8_t *start = reader->data + reader->at;
		uint16_t type = load_le16(start), size = load_le16(start + 2);
		if (size < sizeof(struct nfcapd_record_header) || size > reader->bytes - reader->at)
			return nfcapd_fail(reader, "a record that is longer than the rest of the block, or has no length");
		if (type != NFCAPD_RECORD_FLOW && !type_is_known(type)) {
			snprintf(reason, sizeof(reason), "a record of type %u, which is not known%s", type,
				type == 1 || type == 2 || type == 10
					? "; nfdump 1.6 wrote it: `nfdump -r FILE -w NEW` of 1.7 rewrites it"
					: "");
			return nfcapd_fail(reader, reason);
		}
		int taken = type == NFCAPD_RECORD_FLOW ? flow_take(reader, record, start, size) : 0;
		if (taken < 0)
			return taken;
		reader->records--;
		reader->at += size;
		if (taken)
			return 1;
	}
	return reader->at == reader->bytes ? 0
					   : nfcapd_fail(reader, "the block holds more than the records that its header counts");
}

static int nfcapd_next(struct reader *base, struct record *records, unsigned n)
{
	struct nfcapd_reader *reader = (struct nfcapd_reader *)base;
	unsigned got = 0;

	while (got < n) {
		int more = record_take(reader, &records[got]);
		if (more > 0) {
			got++;
			continue;
		}
		if (!more)
			more = blocks_check_end(reader);
		bool ended = reader->block == reader->header.blocks;
		if (!more)
			more = ended ? file_check_end(reader) : block_load(reader);
		if (more < 0)
			return more;
		if (ended)
			break;
	}
	return (int)got;
}

static void nfcapd_close(struct reader *base)
{
	struct nfcapd_reader *reader = (struct nfcapd_reader *)base;

	if (reader->reverse)
		log_warning("convert: %s: %" PRIu64
			    " records also count the other direction; that is left out, as nfdump -o pipe does",
			base->path, reader->reverse);
	if (reader->fd >= 0)
		close(reader->fd);
	free(reader->packed);
	free(reader->data);
	free(reader);
}

static const struct reader_ops nfcapd_ops = { nfcapd_next, nfcapd_close };

int nfcapd_reader_open(const char *path, struct reader **result)
{
	struct nfcapd_reader *reader = calloc(1, sizeof(*reader));
	struct stat st;
	int error = 0;

	if (!reader) {
		log_error("convert: no memory");
		return -ENOMEM;
	}
	reader->base = (struct reader){ .ops = &nfcapd_ops, .path = path };
	reader->packed = malloc(NFCAPD_BLOCK_LIMIT);
	reader->data = malloc(NFCAPD_BLOCK_LIMIT);
	reader->fd = open(path, O_RDONLY | O_CLOEXEC);
	if (reader->fd < 0 || fstat(reader->fd, &st) < 0) {
		error = -errno;
		log_error("convert: cannot read \"%s\": %s", path, strerror(-error));
	} else if (!reader->packed || !reader->data) {
		error = -ENOMEM;
		log_error("convert: no memory");
	} else {
		reader->base.bytes_total = (uint64_t)st.st_size;
		reader->next_offset = sizeof(reader->header);
		ssize_t n = read_at(reader, &reader->header, sizeof(reader->header), 0);
		if (n < 0)
			error = read_failed(reader, n);
		else if (n != sizeof(reader->header))
			error = header_fail(reader, "shorter than the header of an nfcapd file");
		else
			error = header_check(reader);
	}
	if (error)
		nfcapd_close(&reader->base);
	else
		*result = &reader->base;
	return error;
}
