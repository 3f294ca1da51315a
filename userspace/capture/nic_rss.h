/*
 * Whether a NIC's receive hash sends both directions of a flow to the same queue: a pure judgement over function, key, input
 * transform and fields. Source: the Toeplitz hash as in Microsoft's "RSS hashing functions", and the kernel's
 * Documentation/networking/scaling.rst.
 */
#ifndef FLOWLANE_NIC_RSS_H
#define FLOWLANE_NIC_RSS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NIC_RSS_KEY_MAX 256 /* bytes; NICs have 40 or 52 */

/* The kernel's numbers (ETH_RSS_HASH_*, RXH_XFRM_*), which its exported headers lack or got in 6.8 and 6.15. */
enum nic_rss_function { NIC_RSS_UNSAID = 0, NIC_RSS_TOEPLITZ = 1, NIC_RSS_XOR = 2, NIC_RSS_CRC32 = 4 };
enum nic_rss_transform { NIC_RSS_SYM_XOR = 1, NIC_RSS_SYM_OR_XOR = 2 };

enum nic_rss_flow { NIC_RSS_TCP4, NIC_RSS_UDP4, NIC_RSS_TCP6, NIC_RSS_UDP6, NIC_RSS_FLOWS };

struct nic_rss {
	uint32_t function;  /* enum nic_rss_function */
	uint8_t transform;  /* enum nic_rss_transform, bits */
	bool one_queue;     /* the indirection table has a single queue in it */
	unsigned key_bytes; /* 0: the key cannot be read */
	uint8_t key[NIC_RSS_KEY_MAX];
	bool fields_known[NIC_RSS_FLOWS];
	uint64_t fields[NIC_RSS_FLOWS]; /* RXH_* of linux/ethtool.h; unknown: addresses and ports are assumed */
};

enum nic_rss_verdict { NIC_RSS_CANNOT_TELL, NIC_RSS_ASYMMETRIC, NIC_RSS_SYMMETRIC };

/* `text` (of `size` bytes) says why, for people. */
enum nic_rss_verdict nic_rss_judge(const struct nic_rss *rss, char *text, size_t size);

/* 6d 5a repeated: period 16 bits, so that addresses and ports may change places (Woo and Park, "Scalable TCP session monitoring with
 * symmetric receive-side scaling", 2012). */
void nic_rss_symmetric_key(uint8_t *key, unsigned bytes);

#endif
