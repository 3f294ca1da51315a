/*
 * The load of the benchmarks: N bidirectional flows of small frames, all of them alive at once. 70 % are TCP (handshake, then
 * data and ACKs in both directions), the rest UDP. A stream: the state is four bytes a flow, everything else follows from
 * its number. Each flow's packets come in order, and every number in them (sequence, ACK, checksum) is right.
 *
 *   LOAD_SETUP_FIRST  | all flows are opened, handshakes interleaved over 1000 flows | packets of uniformly random flows |
 *   LOAD_MIXED        | the same two, mixed: flows open during the first half of the packets                             |
 */
#ifndef LOAD_H
#define LOAD_H

#include "traffic.h"

#define LOAD_TCP_PERCENT 70
#define LOAD_FRAME_MIN   64 /* with the FCS, as link rates are counted; four bytes less are captured */
#define LOAD_FRAME_MAX   1518

enum load_order { LOAD_SETUP_FIRST, LOAD_MIXED };

struct load_options {
	uint64_t flows;      /* up to 2^32 - 1 */
	uint64_t packets;    /* in all; what load_next() gives must not be more */
	uint32_t frame_size; /* LOAD_FRAME_MIN .. LOAD_FRAME_MAX; frames without payload are always 64 */
	uint64_t seed;
	enum load_order order;
};

struct load;

/* How many packets open that many flows: the least that `packets` may be. */
uint64_t load_setup_packets(const struct load_options *options);
struct load *load_create(const struct load_options *options);
void load_free(struct load *load);
uint64_t load_tcp_flows(const struct load *load);
/* Writes the next frame (room for frame_size bytes); returns its length without FCS. */
uint32_t load_next(struct load *load, uint8_t *frame);

#endif
