/*
 * Busy polling: lanes run the driver's poll themselves, and the NIC's interrupts stay off while they do. On real NICs one core then
 * is driver and sensor; some kernels and drivers stall, so it is watched and taken back. Control thread.
 */
#ifndef FLOWLANE_BUSY_POLL_H
#define FLOWLANE_BUSY_POLL_H

#include "capture_internal.h"

/* Sockets are bound. What the kernel will not have is said, and is no error: then lanes sleep as usual. 0 or -ENOMEM. */
int busy_poll_start(struct capture *capture, struct capture_interface *interface);
/* Back to interrupts; settings as they were. Accepts an interface without. */
void busy_poll_stop(struct capture *capture, struct capture_interface *interface);
/* True: stopping changes the NIC's settings. */
bool busy_poll_needs_admin(const struct capture_interface *interface);

#endif
