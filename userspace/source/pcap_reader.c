#include "pcap_reader.h"

#include "bytes.h"
#include "flowlane/pcap_format.h"
#include "pcapng.h"
#include "poison.h"

#define NS_PER_SECOND UINT64_C(1000000000)

static inline uint32_t field_load(const uint8_t *p, bool swapped)
{
	return swapped ? load_be32(p) : load_le32(p);
}

/* One copy of this loop per variant: byte order and unit are constants in it. It stops at a record that the block does not
 * hold whole, and at one that cannot be; refill tells the two apart. */
static inline __attribute__((always_inline)) unsigned records_take(
	struct pcap_reader *reader, struct frame *frames, unsigned n, bool swapped, uint64_t fraction_ns)
{
	const uint8_t *record = reader->next;
	const uint8_t *end = reader->end;
	const uint16_t link = (uint16_t)reader->link;
	unsigned taken = 0;

	while (taken < n && end - record >= (ptrdiff_t)sizeof(struct pcap_record_header)) {
		uint64_t seconds = field_load(record, swapped);
		uint64_t fraction = field_load(record + 4, swapped);
		uint32_t cap_len = field_load(record + 8, swapped);
		const uint8_t *data = record + sizeof(struct pcap_record_header);

		if (cap_len > PCAP_CAP_LEN_MAX || (ptrdiff_t)cap_len > end - data)
			break;
		/* A fraction of a second and more is no reason to lose a packet: it just adds up. */
		frames[taken++] = (struct frame){
			.data = data,
			.ts_ns = seconds * NS_PER_SECOND + fraction * fraction_ns,
			.cap_len = cap_len,
			.wire_len = field_load(record + 12, swapped),
			.link = link,
		};
		record = data + cap_len;
	}
	reader->next = record;
	reader->frames += taken;
	return taken;
}

static unsigned ready_take(struct pcap_reader *reader, struct frame *frames, unsigned n)
{
	unsigned left = reader->ready_count - reader->ready_next;
	unsigned taken = n < left ? n : left;

	memcpy(frames, reader->ready + reader->ready_next, taken * sizeof(*frames));
	reader->ready_next += taken;
	reader->frames += taken;
	return taken;
}

unsigned pcap_reader_take(struct pcap_reader *reader, struct frame *frames, unsigned n)
{
	switch (reader->variant) {
	case PCAP_US:
		return records_take(reader, frames, n, false, 1000);
	case PCAP_NS:
		return records_take(reader, frames, n, false, 1);
	case PCAP_US_SWAPPED:
		return records_take(reader, frames, n, true, 1000);
	case PCAP_NS_SWAPPED:
		return records_take(reader, frames, n, true, 1);
	case PCAP_NG:
		return pcapng_take(reader, frames, n);
	default:
		return ready_take(reader, frames, n);
	}
}
