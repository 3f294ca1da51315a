/* The part of bench_sinks that writes packets: --write-pcap through the sink contract. */
#ifndef FLOWLANE_BENCH_PCAP_H
#define FLOWLANE_BENCH_PCAP_H

#include <stdint.h>

/* Writes `bytes` of packets of 64 and of 1,500 bytes to a file in `directory`, and to /dev/null; a JSON line each. The files are
 * removed. Ends the program on an error. */
void pcap_bench(const char *directory, uint64_t bytes);

#endif
