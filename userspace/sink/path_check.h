/* Refuses an output that would overwrite an input, or that another output of the same run writes, too. */
#ifndef FLOWLANE_PATH_CHECK_H
#define FLOWLANE_PATH_CHECK_H

#include "flowlane/config.h"

/* `path` must be the config's own pointer: that is how it is told from the other outputs. 0, or -EINVAL, logged. */
int path_check(const struct config *config, const char *what, const char *path);

#endif
