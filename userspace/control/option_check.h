/* Refuses options that contradict each other, before anything is opened. Private to control/. */
#ifndef FLOWLANE_OPTION_CHECK_H
#define FLOWLANE_OPTION_CHECK_H

#include "options.h"

/* 0, or -EINVAL with options->error set. Looks at files (is it the same, is it a pipe), opens none. */
int options_check(struct options *options);

#endif
