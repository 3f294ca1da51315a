/*
 * libFuzzer target: any bytes as a capture file, alone and merged with itself. What must hold: no sanitizer report; every byte of
 * every frame can be read while the batch lasts; the end comes, and stays; a file read twice at once gives twice the frames.
 *
 *   clang -fsanitize=fuzzer,address,undefined ... fuzz_pcap_source.c source/... -lpcap -lz
 *   fuzz_pcap_source -runs=20000 -seed=1 [CORPUS]        the short mode, for CI
 */
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz_log.h"
#include "pcap_source.h"

#define FRAMES_MAX 10000000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile uint8_t touched; /* a read that the compiler must do */

static uint64_t drain(char *const *files, unsigned count)
{
	struct frame frames[FLOWLANE_BATCH];
	struct source_stats stats;
	struct source *source;
	uint64_t total = 0;
	int n;

	if (pcap_source_open(files, count, &source))
		return 0;
	while ((n = source->ops->rx_batch(source, frames, FLOWLANE_BATCH)) >= 0) {
		require(n <= FLOWLANE_BATCH);
		total += (uint64_t)n;
		require(total < FRAMES_MAX);
		for (int i = 0; i < n; i++)
			for (uint32_t at = 0; at < frames[i].cap_len; at++)
				touched = frames[i].data[at];
		source->ops->release(source, frames, (unsigned)n);
	}
	require(source->ops->rx_batch(source, frames, FLOWLANE_BATCH) == n);
	source->ops->stats(source, &stats);
	require(stats.frames == total);
	require(n == SOURCE_END || !stats.truncated || count > 1);
	source->ops->close(source);
	return total;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char path[64];
	char *twice[2] = { path, path };
	int fd = memfd_create("input", MFD_CLOEXEC);

	require(fd >= 0);
	require(write(fd, data, size) == (ssize_t)size);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd); /* each open() of it starts at byte 0 */
	uint64_t one = drain(twice, 1);
	require(drain(twice, 2) == 2 * one);
	close(fd);
	return 0;
}
