/* CRC-32C (Castagnoli; RFC 3720, appendix B.4), as storage formats have it. Pure; any thread. */
#ifndef FLOWLANE_CRC32C_H
#define FLOWLANE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Of `bytes` more behind those that gave `crc`; of nothing it is 0. With SSE 4.2 three cycles for eight bytes, or, of many, for 24. */
uint32_t crc32c(uint32_t crc, const void *data, size_t bytes);
/* The same without SSE 4.2: what other CPUs use. */
uint32_t crc32c_plain(uint32_t crc, const void *data, size_t bytes);

#endif
