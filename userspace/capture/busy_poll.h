/*
 * Busy polling: lanes run the driver's poll themselves, and the NIC's interrupts stay off while they do. On real NICs one core then
 * is driver and sensor; some kernels and drivers stall, so it is watched and taken back. Control thread.
 */
#ifndef FLOWLANE_BUSY_POLL_H
#define FLOWLANE_BUSY_POLL_H

#include "capture_internal.h"

/*
 * Looks once a second: did the NIC get packets that nobody fetched? `packets` and `missed` (no room in its ring) are the NIC's, `seen` the
 * XDP program's, all since the start. Drivers differ in what they count and when: some have a packet in `packets` only once it was
 * fetched, then only `missed` tells; many bring their counters up to date every other second, when the traffic may be over. So a
 * counter that moves once behind a packet that was seen means nothing; `missed` must move twice.
 */
bool busy_poll_stalls(struct busy_poll_watch *watch, uint64_t packets, uint64_t missed, uint64_t seen);

/* Sockets are bound. What the kernel will not have is said, and is no error: then lanes sleep as usual. 0 or -ENOMEM. */
int busy_poll_start(struct capture *capture, struct capture_interface *interface);
/* Back to interrupts; settings as they were. Accepts an interface without. */
void busy_poll_stop(struct capture *capture, struct capture_interface *interface);
/* True: stopping changes the NIC's settings. */
bool busy_poll_needs_admin(const struct capture_interface *interface);

#endif
