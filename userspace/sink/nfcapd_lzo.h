/* Reads LZO1X, which nfcapd -z writes; we write LZ4. Any thread. */
#ifndef FLOWLANE_NFCAPD_LZO_H
#define FLOWLANE_NFCAPD_LZO_H

#include <stddef.h>
#include <stdint.h>

/* At most `size` bytes into `to`. Returns their number, or -EINVAL: the stream is damaged, or longer than that. */
long lzo_decompress(const uint8_t *from, size_t bytes, uint8_t *to, size_t size);

#endif
