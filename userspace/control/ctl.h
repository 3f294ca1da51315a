/*
 * The control socket: a Unix socket on which `flowlane ctl` asks a running flowlane for something. One line there, an answer back. All
 * in the control thread, between its looks at the lanes.
 */
#ifndef FLOWLANE_CTL_H
#define FLOWLANE_CTL_H

#include "lanes.h"

#define CTL_PATH "/run/flowlane.sock" /* where `flowlane ctl` looks if it is not told */

struct ctl;

/* Makes the socket (mode 0600); one that was left behind by a process that is gone is taken away. 0, or a negative errno, logged. */
int ctl_open(const char *path, struct ctl **ctl);
/* Answers who is waiting. Accepts NULL. */
void ctl_serve(struct ctl *ctl, struct lanes *lanes);
void ctl_close(struct ctl *ctl); /* accepts NULL */

/* flowlane ctl [--control PATH] COMMAND: the exit code. */
int ctl_run(int argc, char **argv);

#endif
