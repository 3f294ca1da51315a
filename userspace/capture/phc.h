/*
 * A NIC's own clock, which stamps frames as they arrive (a PTP hardware clock). It counts from anything, at a rate of its own: what
 * it says becomes UNIX time by an offset that is measured again and again. Control thread.
 */
#ifndef FLOWLANE_PHC_H
#define FLOWLANE_PHC_H

#include <stdint.h>

/* A file descriptor of the clock, if the NIC stamps every frame it receives: `hwstamp_ctl -i IF -r 1`, or what runs PTP, makes it do
 * so; nobody does by default. Or a negative errno. Nothing is logged. */
int phc_open(const char *interface);
/* UNIX time - the clock's. 0 or a negative errno. */
int phc_measure(int fd, int64_t *offset_ns);

#endif
