/*
 * UDP ports that say what is inside: tunnels, and what asks and answers. Both ports of a packet are compared with all of them at once:
 * no branch, which on ports would often be mispredicted, and no table. Packet path.
 */
#ifndef FLOWLANE_SPECIAL_PORTS_H
#define FLOWLANE_SPECIAL_PORTS_H

#include <stdint.h>

#include "decode.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* UDP ports with requests and answers that tcp/rtt.h times. */
enum asking_port { PORT_DNS = 53, PORT_QUIC = 443 };

#define SPECIAL_BE16(x)  (short)(uint16_t)((x) >> 8 | ((x)&0xff) << 8)
#define SPECIAL_TWICE(x) SPECIAL_BE16(x), SPECIAL_BE16(x)

/* The ports, each for source and destination, as they lie in the packet. One bit each in the result of special_ports(). */
#define SPECIAL_LOW     SPECIAL_TWICE(PORT_VXLAN), SPECIAL_TWICE(PORT_VXLAN_LINUX), SPECIAL_TWICE(PORT_DNS), SPECIAL_TWICE(PORT_QUIC)
#define SPECIAL_HIGH    SPECIAL_TWICE(PORT_VXLAN_GPE), SPECIAL_TWICE(PORT_GENEVE), SPECIAL_TWICE(PORT_GTPU), SPECIAL_TWICE(PORT_TEREDO)
#define SPECIAL_TUNNELS 0xff0fu     /* those that lead on into a tunnel */
#define SPECIAL_ASKING  PACKET_ASKS /* the same bits as in packet.flags */
_Static_assert((SPECIAL_TUNNELS ^ SPECIAL_ASKING) == 0xffff, "each bit is one or the other");

/* ports: source and destination as in the packet. */
static inline uint32_t special_ports(uint32_t ports)
{
#ifdef __SSE2__
	const __m128i low = _mm_setr_epi16(SPECIAL_LOW), high = _mm_setr_epi16(SPECIAL_HIGH);
	__m128i both = _mm_set1_epi32((int)ports);

	return (uint32_t)_mm_movemask_epi8(_mm_packs_epi16(_mm_cmpeq_epi16(both, low), _mm_cmpeq_epi16(both, high)));
#else
	static const short special[16] = { SPECIAL_LOW, SPECIAL_HIGH };
	uint32_t bits = 0;

	for (unsigned i = 0; i < 16; i++)
		bits |= (uint32_t)((uint16_t)special[i] == (uint16_t)(ports >> 16 * (i & 1))) << i;
	return bits;
#endif
}

#endif
