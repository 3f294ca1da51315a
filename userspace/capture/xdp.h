/* The XDP program of one interface: loaded, attached, its counters read. Control thread. */
#ifndef FLOWLANE_XDP_H
#define FLOWLANE_XDP_H

#include <stdbool.h>
#include <stdint.h>

#include "flowlane/classic.h"
#include "flowlane/abi.h"

struct xdp;

struct xdp_load_options {
	const char *interface;
	unsigned ifindex;
	unsigned queues; /* RX queues of the interface, with a socket or not */
	unsigned fanout;
	uint64_t hash_seed;
	bool exclusive;
	bool unstamped;                    /* no time stamps by the program */
	bool shared_clock;                 /* its clock is read less often under load */
	bool frags;                        /* frames longer than a page */
	bool hw_timestamp, hw_vlan;        /* ask the driver: native mode only, and not every driver can */
	const struct classic_insn *filter; /* what it does not match is not captured; NULL: all is */
	unsigned filter_count;
};

/* 0, or a negative errno; `why` (of why_bytes) gets the loader's own words then, or what in the filter is not for the kernel. Nothing
 * is logged. */
int xdp_load(const struct xdp_load_options *options, struct xdp **xdp, char *why, unsigned why_bytes);
void xdp_unload(struct xdp *xdp); /* detaches; accepts NULL */

/* Frames of this queue and share go to the socket `fd`. */
int xdp_set_socket(struct xdp *xdp, unsigned queue, unsigned share, int fd);
/* By a link: when this process ends, however it ends, the program is gone. 0 or a negative errno: -EBUSY and -EEXIST: another
 * program is there; -EOPNOTSUPP: the driver has no native XDP; -ERANGE, -EINVAL: often the MTU. */
int xdp_attach(struct xdp *xdp, bool generic);
/* When this returns no CPU is in the program any more, and all it redirected is in the rings. */
void xdp_detach(struct xdp *xdp);

/* Sum over the CPUs. 0 or a negative errno; -ENOENT: xdp is NULL, for nothing was loaded. */
int xdp_read_counters(const struct xdp *xdp, unsigned queue, struct xdp_counters *counters);

/* Takes away the program with this id, which is attached to the interface (--replace). 0 or a negative errno; -EPERM: it is held by a
 * link, and finding that takes CAP_SYS_ADMIN. */
int xdp_remove_other(unsigned ifindex, uint32_t program);

#endif
