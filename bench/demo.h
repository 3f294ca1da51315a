/* The capture of scripts/demo.sh: a little of everything, with known answers (RTTs, losses, a scan, a flood). */
#ifndef DEMO_H
#define DEMO_H

#include "traffic.h"

/* Every call makes the same packets. Free with capture_free(). */
struct capture *demo_make(void);

#endif
