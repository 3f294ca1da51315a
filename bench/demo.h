/*
 * The capture of scripts/demo.sh: a little of everything, with known answers (RTTs, a scan of 60 ports, a flood of 300 SYNs), among
 * them, per bulk transfer from 192.0.2.77 (tshark says the same):
 *
 *   port    retransmissions  out of order   RTT to the client, to the server, ms
 *   51000   6                0              4   30
 *   51001   6                0              8   50
 *   51002   0                7              5   25
 *   51003   3                6              2   40
 */
#ifndef DEMO_H
#define DEMO_H

#include "traffic.h"

/* Every call makes the same packets. Free with capture_free(). */
struct capture *demo_make(void);

#endif
