#include "index_capture.h"

#include "flowlane/source.h"
#include "log.h"
#include "pcap_reader.h"

#define BLOCK_BYTES ((size_t)16 << 10)

int index_capture_first(const char *path, uint64_t *first_ns)
{
	struct pcap_reader reader;
	struct frame frame;
	int error = pcap_reader_open(&reader, path, BLOCK_BYTES, 1), filled = 1;

	if (error)
		return error;
	log_mute(true); /* that it is cut off is said by who reads it */
	*first_ns = 0;
	while (filled > 0) {
		if (pcap_reader_take(&reader, &frame, 1) == 1) {
			*first_ns = frame.ts_ns;
			break;
		}
		filled = pcap_reader_refill(&reader);
	}
	pcap_reader_close(&reader);
	log_mute(false);
	return 0;
}
