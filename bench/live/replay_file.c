#include "replay_file.h"

#include <pcap/pcap.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "live.h"

/* Order of the two does not matter. */
static uint32_t pair_hash(const uint8_t *a, const uint8_t *b, size_t len)
{
	uint32_t hash = 1;

	for (size_t i = 0; i < len; i += 4) {
		hash = hash * 31 + (load_be32(a + i) ^ load_be32(b + i));
		hash = hash * 31 + load_be32(a + i) + load_be32(b + i);
	}
	hash *= 2654435761u;
	return hash >> 8 | 1u << 24;
}

static uint32_t frame_hash(const uint8_t *data, uint32_t len)
{
	uint32_t at = 12;

	while (at + 6 <= len && (load_be16(data + at) == 0x8100 || load_be16(data + at) == 0x88a8))
		at += 4;
	if (at + 2 + 20 <= len && load_be16(data + at) == 0x0800)
		return pair_hash(data + at + 14, data + at + 18, 4);
	if (at + 2 + 40 <= len && load_be16(data + at) == 0x86dd)
		return pair_hash(data + at + 10, data + at + 26, 16);
	return 0;
}

static void *grow(void *area, size_t used, size_t more, size_t *room)
{
	if (used + more <= *room)
		return area;
	*room = 2 * (used + more);
	area = realloc(area, *room);
	if (!area)
		live_die("no memory for a capture of more than %zu bytes", used);
	return area;
}

void replay_file_read(struct replay_file *file, const char *path)
{
	char message[PCAP_ERRBUF_SIZE];
	pcap_t *pcap = pcap_open_offline_with_tstamp_precision(path, PCAP_TSTAMP_PRECISION_NANO, message);
	size_t used = 0, bytes_room = 0, frames_room = 0;
	struct pcap_pkthdr *header;
	const unsigned char *data;
	int result;

	memset(file, 0, sizeof(*file));
	if (!pcap)
		live_die("cannot read %s: %s", path, message);
	if (pcap_datalink(pcap) != DLT_EN10MB)
		live_die("%s is a capture of %s; only Ethernet can be replayed", path,
			pcap_datalink_val_to_description(pcap_datalink(pcap)));
	while ((result = pcap_next_ex(pcap, &header, &data)) == 1) {
		file->bytes = grow(file->bytes, used, header->caplen, &bytes_room);
		file->frames = grow(file->frames, file->count * sizeof(*file->frames), sizeof(*file->frames), &frames_room);
		memcpy(file->bytes + used, data, header->caplen);
		file->frames[file->count++] = (struct replay_frame){
			.ts_ns = (uint64_t)header->ts.tv_sec * 1000000000 + (uint64_t)header->ts.tv_usec,
			.len = header->caplen,
			.hash = frame_hash(data, header->caplen),
		};
		file->cut += header->caplen < header->len;
		used += header->caplen;
	}
	if (result != PCAP_ERROR_BREAK)
		live_die("%s: %s, after %zu frames", path, pcap_geterr(pcap), file->count);
	pcap_close(pcap);
	used = 0;
	for (size_t i = 0; i < file->count; i++) {
		file->frames[i].data = file->bytes + used;
		used += file->frames[i].len;
	}
}

void replay_file_free(struct replay_file *file)
{
	free(file->frames);
	free(file->bytes);
}
