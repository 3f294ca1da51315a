#include "nic_rss.h"

#include <stdio.h>
#include <linux/ethtool.h>

#define FIELDS_ADDRESSES (RXH_IP_SRC | RXH_IP_DST)
#define FIELDS_PORTS     (RXH_L4_B_0_1 | RXH_L4_B_2_3)
#define FIELDS_ONE_SIDED (RXH_L2DA) /* the receiver's address: another one in each direction */

#define WINDOW_BITS 32 /* each input bit that is set adds 32 bits of the key, from its own position on */

static const char *const flow_names[NIC_RSS_FLOWS] = { "tcp4", "udp4", "tcp6", "udp6" };
static const unsigned address_bits[NIC_RSS_FLOWS] = { 32, 32, 128, 128 };

static bool key_bit(const struct nic_rss *rss, unsigned bit)
{
	return rss->key[bit / 8] >> (7 - bit % 8) & 1;
}

/* Whether input bits [first, first + bits) and the `bits` behind them may change places: then both add the same part of the key. */
static bool key_swaps(const struct nic_rss *rss, unsigned first, unsigned bits)
{
	unsigned compared = bits + WINDOW_BITS - 1;

	if ((first + bits + compared + 7) / 8 > rss->key_bytes)
		return false;
	for (unsigned i = first; i < first + compared; i++) {
		if (key_bit(rss, i) != key_bit(rss, i + bits))
			return false;
	}
	return true;
}

static bool key_has_period_16(const struct nic_rss *rss)
{
	for (unsigned i = 2; i < rss->key_bytes; i++) {
		if (rss->key[i] != rss->key[i - 2])
			return false;
	}
	return rss->key_bytes >= 8;
}

/* Both of each pair, or none. */
static bool fields_are_paired(uint64_t fields)
{
	uint64_t addresses = fields & FIELDS_ADDRESSES, ports = fields & FIELDS_PORTS;

	return !(fields & FIELDS_ONE_SIDED) && (addresses == 0 || addresses == FIELDS_ADDRESSES) &&
	       (ports == 0 || ports == FIELDS_PORTS);
}

static uint64_t flow_fields(const struct nic_rss *rss, unsigned flow)
{
	return rss->fields_known[flow] ? rss->fields[flow] : (FIELDS_ADDRESSES | FIELDS_PORTS);
}

static bool toeplitz_is_symmetric(const struct nic_rss *rss, unsigned flow)
{
	uint64_t fields = flow_fields(rss, flow);
	unsigned bits = address_bits[flow];

	/* Where a VLAN id or a protocol number would stand before them is the NIC's business: only a key that looks the same
	 * everywhere will do. */
	if ((fields & ~(uint64_t)(FIELDS_ADDRESSES | FIELDS_PORTS)) || !(fields & FIELDS_ADDRESSES))
		return !fields || key_has_period_16(rss);
	if (!key_swaps(rss, 0, bits))
		return false;
	return !(fields & FIELDS_PORTS) || key_swaps(rss, 2 * bits, 16);
}

/* Some drivers answer with zeros instead of the key. */
static bool key_is_zero(const struct nic_rss *rss)
{
	for (unsigned i = 0; i < rss->key_bytes; i++) {
		if (rss->key[i])
			return false;
	}
	return true;
}

static enum nic_rss_verdict judge_toeplitz(const struct nic_rss *rss, char *text, size_t size)
{
	if (key_is_zero(rss)) {
		snprintf(text, size, "the key cannot be read");
		return NIC_RSS_CANNOT_TELL;
	}
	for (unsigned flow = 0; flow < NIC_RSS_FLOWS; flow++) {
		if (!toeplitz_is_symmetric(rss, flow)) {
			snprintf(text, size, "toeplitz, key not symmetric (%s)", flow_names[flow]);
			return NIC_RSS_ASYMMETRIC;
		}
	}
	snprintf(text, size, "toeplitz, symmetric key");
	return NIC_RSS_SYMMETRIC;
}

enum nic_rss_verdict nic_rss_judge(const struct nic_rss *rss, char *text, size_t size)
{
	if (rss->one_queue) {
		snprintf(text, size, "all flows go to one queue");
		return NIC_RSS_SYMMETRIC;
	}
	for (unsigned flow = 0; flow < NIC_RSS_FLOWS; flow++) {
		if (!fields_are_paired(flow_fields(rss, flow))) {
			snprintf(text, size, "the hash of %s takes fields of one direction only", flow_names[flow]);
			return NIC_RSS_ASYMMETRIC;
		}
	}
	if (rss->transform & (NIC_RSS_SYM_XOR | NIC_RSS_SYM_OR_XOR)) {
		snprintf(text, size, "%s", rss->transform & NIC_RSS_SYM_XOR ? "symmetric-xor" : "symmetric-or-xor");
		return NIC_RSS_SYMMETRIC;
	}
	switch (rss->function) {
	case NIC_RSS_XOR: /* of all bytes: the order does not matter */
		snprintf(text, size, "xor");
		return NIC_RSS_SYMMETRIC;
	case NIC_RSS_CRC32:
		snprintf(text, size, "crc32, not symmetric");
		return NIC_RSS_ASYMMETRIC;
	case NIC_RSS_TOEPLITZ:
	case NIC_RSS_UNSAID: /* drivers that do not say have this one */
		return judge_toeplitz(rss, text, size);
	}
	snprintf(text, size, "a hash function of the driver's own");
	return NIC_RSS_CANNOT_TELL;
}

void nic_rss_symmetric_key(uint8_t *key, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		key[i] = i % 2 ? 0x5a : 0x6d;
}
