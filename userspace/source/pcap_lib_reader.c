/*
 * Whatever is neither a classic pcap file of today nor pcapng, read by libpcap: the modified and the very old pcap formats.
 *
 * libpcap reads through a FILE over our byte stream, which unpacks gzip and knows how far it is. On a pipe libpcap blocks:
 * packets come when a batch is full or the pipe ends.
 */
#include "pcap_reader.h"

#include <errno.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "byte_stream.h"
#include "flowlane/source.h"
#include "log.h"

#define NS_PER_SECOND UINT64_C(1000000000)

static ssize_t cookie_read(void *cookie, char *to, size_t n)
{
	ssize_t got;
	do
		got = byte_stream_read(cookie, to, n);
	while (got == -EAGAIN);
	if (got < 0) {
		errno = (int)-got;
		return -1;
	}
	return got;
}

/* The program that unpacks what the file begins with; NULL if it is not packed, or by gzip, which we unpack. */
static const char *unpacker_of(const uint8_t *head)
{
	static const struct {
		uint8_t magic[4];
		unsigned bytes;
		const char *command;
	} packers[] = {
		{ { 0x28, 0xb5, 0x2f, 0xfd }, 4, "zstd -dc" },
		{ { 0xfd, '7', 'z', 'X' }, 4, "xz -dc" },
		{ { 'B', 'Z', 'h' }, 3, "bzip2 -dc" },
		{ { 0x04, 0x22, 0x4d, 0x18 }, 4, "lz4 -dc" },
		{ { 'P', 'K', 3, 4 }, 4, "unzip -p" },
	};

	for (unsigned i = 0; i < sizeof(packers) / sizeof(packers[0]); i++) {
		if (!memcmp(head, packers[i].magic, packers[i].bytes))
			return packers[i].command;
	}
	return NULL;
}

static void refuse_format(const char *name, const uint8_t *head)
{
	const char *unpacker = unpacker_of(head);

	if (unpacker)
		log_error("%s is compressed, but not by gzip; unpack it into a pipe: %s FILE | flowlane -r - ...", name, unpacker);
	else
		log_error("%s is not a capture file: it starts with %02x %02x %02x %02x; flowlane reads pcap, pcapng, and both "
			  "gzip'ed",
			name, head[0], head[1], head[2], head[3]);
}

/* libpcap's reasons are unknown to the user; what is in the file helps more. */
static int open_refuse(struct pcap_reader *reader, const char *why)
{
	const char *name = byte_stream_name(reader->stream);
	size_t bytes;
	const uint8_t *head = byte_stream_head(reader->stream, &bytes);

	if (byte_stream_error(reader->stream))
		return byte_stream_error(reader->stream);
	if (strstr(why, "unknown file format"))
		refuse_format(name, head);
	else if (strstr(why, "truncated"))
		log_error("%s: cut off inside its file header: it holds no packets", name);
	else
		log_error("%s cannot be read as a capture file: %s", name, why);
	return -EBADMSG;
}

static int lib_link(struct pcap_reader *reader)
{
	int dlt = pcap_datalink(reader->lib);
	const char *name = pcap_datalink_val_to_name(dlt);
	/* DLT_ numbers differ between systems, LINKTYPE_ numbers do not; of those that flowlane reads only raw IP does. */
	int link = link_type_check(
		byte_stream_name(reader->stream), (uint32_t)(dlt == DLT_RAW ? LINK_RAW : dlt), name ? name : "unknown");

	if (link < 0)
		return -EPROTONOSUPPORT;
	reader->link = link;
	return 0;
}

int pcap_lib_open(struct pcap_reader *reader)
{
	const cookie_io_functions_t io = { .read = cookie_read };
	char why[PCAP_ERRBUF_SIZE] = "";

	reader->ready = calloc(FLOWLANE_BATCH, sizeof(*reader->ready));
	FILE *file = reader->ready ? fopencookie(reader->stream, "rb", io) : NULL;
	if (!file) {
		log_error("cannot open %s: out of memory", byte_stream_name(reader->stream));
		return -ENOMEM;
	}
	setvbuf(file, NULL, _IOFBF, PCAP_BLOCK_BYTES);
	reader->lib = pcap_fopen_offline_with_tstamp_precision(file, PCAP_TSTAMP_PRECISION_NANO, why);
	if (!reader->lib) {
		fclose(file);
		return open_refuse(reader, why);
	}
	reader->snaplen = (uint32_t)pcap_snapshot(reader->lib);
	return lib_link(reader);
}

static uint64_t time_ns(const struct timeval *time)
{
	/* tv_usec holds nanoseconds, as asked for; times before 1970 are nonsense of a damaged file */
	if (time->tv_sec < 0)
		return 0;
	return (uint64_t)time->tv_sec * NS_PER_SECOND + (uint64_t)time->tv_usec;
}

/* After libpcap's last word: nothing else comes, for one of several reasons. */
static int lib_end(struct pcap_reader *reader, int result)
{
	const char *name = byte_stream_name(reader->stream);
	const char *why = pcap_geterr(reader->lib);
	unsigned long long packet = reader->frames + reader->ready_count + 1;

	if (byte_stream_error(reader->stream))
		return byte_stream_error(reader->stream); /* logged there */
	if (result == PCAP_ERROR_BREAK)
		return byte_stream_cut(reader->stream) ? pcap_reader_cut(reader, packet) : SOURCE_END;
	if (strstr(why, "truncated"))
		return pcap_reader_cut(reader, packet);
	log_error("%s: cannot be read on at packet %llu: %s; the packets before it are processed", name, packet, why);
	return -EBADMSG;
}

/* Copies packets until the batch is full, or the next might not fit. */
int pcap_lib_refill(struct pcap_reader *reader)
{
	pcap_buffer_turn(reader);
	uint8_t *to = reader->buffer;
	uint8_t *limit = reader->buffer + reader->buffer_bytes - PCAP_READER_CAP_LEN_MAX;

	reader->ready_next = reader->ready_count = 0;
	while (reader->ready_count < FLOWLANE_BATCH && to < limit) {
		struct pcap_pkthdr *header;
		const u_char *data;
		int result = pcap_next_ex(reader->lib, &header, &data);

		if (result != 1) {
			reader->state = lib_end(reader, result);
			break;
		}
		if (header->caplen > PCAP_READER_CAP_LEN_MAX) {
			log_error("%s: damaged at packet %llu: it claims %u captured bytes", byte_stream_name(reader->stream),
				(unsigned long long)reader->frames + reader->ready_count + 1, header->caplen);
			reader->state = -EBADMSG;
			break;
		}
		memcpy(to, data, header->caplen);
		reader->ready[reader->ready_count++] = (struct frame){
			.data = to,
			.ts_ns = time_ns(&header->ts),
			.cap_len = header->caplen,
			.wire_len = header->len,
			.link = (uint16_t)reader->link,
		};
		to += header->caplen;
	}
	return reader->ready_count ? 1 : reader->state;
}

void pcap_lib_close(struct pcap_reader *reader)
{
	if (reader->lib)
		pcap_close(reader->lib);
	reader->lib = NULL;
}
